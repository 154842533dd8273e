// docs/cli.md: its sessions run and print what it says, its table of exit codes is ours, and every example of --help parses.

import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { type Broker, createBroker } from '@stompbox/broker';
import { systemClock } from '@stompbox/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EXIT_CODES } from '../../packages/cli/src/exit-codes.ts';
import { examplesFor, House } from '../../packages/cli/src/house.ts';
import { program } from '../../packages/cli/src/program.ts';

const page = readFileSync(new URL('../../docs/cli.md', import.meta.url), 'utf8');
const script = fileURLToPath(new URL('../../packages/cli/bin/stompbox.js', import.meta.url));
const build = new URL('../../scripts/ensure.mjs', import.meta.url).href;

interface Step {
  readonly command: string;
  readonly prints: string;
}

const steps: readonly Step[] = [...page.matchAll(/^```console\n(.*?)^```$/gms)].flatMap(([, session = '']) =>
  session
    .split(/^\$ /m)
    .slice(1)
    .map((step) => {
      const end = step.indexOf('\n');
      return { command: step.slice(0, end), prints: step.slice(end + 1) };
    }),
);

const folder = mkdtempSync(join(tmpdir(), 'stompbox-docs-'));
let broker: Broker;
beforeAll(async () => {
  execFileSync(process.execPath, ['-e', `import(${JSON.stringify(build)}).then(({ ensure }) => ensure())`]);
  mkdirSync(join(folder, 'bin'));
  symlinkSync(script, join(folder, 'bin', 'stompbox'));
  broker = await createBroker({ listen: ['tcp://127.0.0.1:0'] });
});
afterAll(async () => {
  await broker.close();
  rmSync(folder, { recursive: true });
});

/** In a shell, as a reader would; standard error and output as a terminal mixes them. */
function shell({ command, prints }: Step): Promise<string> {
  const env = {
    ...process.env,
    PATH: `${join(folder, 'bin')}:${process.env.PATH}`,
    STOMPBOX_URL: broker.urls[0],
    NO_COLOR: '1',
  };
  return new Promise((resolve, reject) => {
    const isLeftRunning = command.endsWith('&');
    const child = spawn('bash', ['-c', isLeftRunning ? command.slice(0, -1) : `${command} 2>&1`], { cwd: folder, env });
    if (isLeftRunning) return resolve(prints);
    let said = '';
    child.stdout.on('data', (chunk) => {
      said += chunk;
    });
    child.stderr.on('data', (chunk) => {
      said += chunk;
    });
    child.on('error', reject);
    child.on('close', () => resolve(said.replace(/"ms":\d+/, '"ms":0')));
  });
}

test('the sessions print what the page says', async () => {
  expect(steps.length).toBeGreaterThan(20);
  for (const step of steps) expect(`$ ${step.command}\n${await shell(step)}`).toBe(`$ ${step.command}\n${step.prints}`);
}, 60_000);

test('the exit codes are those of the program', () => {
  const rows = [...page.matchAll(/^\| (\d+) +\| (.*?) *\|$/gm)].map(([, code, meaning]) => [Number(code), meaning]);
  expect(rows).toEqual(EXIT_CODES.map(([code, meaning]) => [code, meaning]));
});

describe('every verb', () => {
  const streams = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() };
  const root = program(
    new House({ ...streams, env: {}, interrupted: new AbortController().signal, clock: systemClock }),
  );

  test('is on the page', () => {
    for (const verb of root.commands) expect(page).toContain(`\`${verb.name()}\``);
  });

  test.for(root.commands.flatMap((verb) => examplesFor(verb).map(([line]) => [line, verb] as const)))(
    'has an example that can be written so: %s',
    ([line, verb]) => {
      const ours = line.slice(line.indexOf('stompbox '));
      const words = [...ours.matchAll(/'[^']*'|"[^"]*"|[|>]|[^\s|>]+/g)].map(([word]) => word);
      const end = words.findIndex((word) => word === '|' || word === '>');
      const [name, verbName, ...args] = end === -1 ? words : words.slice(0, end);
      expect([name, verbName]).toEqual(['stompbox', verb.name()]);
      const [before] = args.join('\n').split('\n--\n');
      expect(verb.parseOptions((before ?? '').split('\n')).unknown).toEqual([]);
    },
  );
});
