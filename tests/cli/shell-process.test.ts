// The shell itself, as a process: from a pipe, from a file, and at a real terminal.

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Broker, createBroker } from '@stompbox/broker';
import { Client } from '@stompbox/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EXIT } from '../../packages/cli/src/exit-codes.ts';

const script = fileURLToPath(new URL('../../packages/cli/bin/stompbox.js', import.meta.url));
const build = new URL('../../scripts/ensure.mjs', import.meta.url).href;
const terminalScript = fileURLToPath(new URL('terminal.py', import.meta.url));
const hasPython = spawnSync('python3', ['-c', 'import pty']).status === 0;

const folder = mkdtempSync(join(tmpdir(), 'stompbox-shell-'));
let broker: Broker;
let url: string;
beforeAll(async () => {
  execFileSync(process.execPath, ['-e', `import(${JSON.stringify(build)}).then(({ ensure }) => ensure())`]);
  broker = await createBroker({
    listen: ['tcp://127.0.0.1:0'],
    authenticate: ({ login, passcode }) => (login === 'ann' && passcode === 's3cret' ? { name: 'ann' } : undefined),
  });
  url = (broker.urls[0] ?? '').replace('//', '//ann@');
});
afterAll(async () => {
  await broker.close();
  rmSync(folder, { recursive: true });
});

function piped(stdin: string, ...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const { NO_COLOR: _, ...env } = process.env;
  const child = spawn(process.execPath, [script, 'shell', url, ...args], {
    env: { ...env, STOMPBOX_PASSCODE: 's3cret' },
  });
  const said = { out: '', err: '' };
  child.stdout.on('data', (chunk) => {
    said.out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    said.err += chunk;
  });
  child.stdin.end(stdin);
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, ...said })));
}

test('commands from a pipe, and from a file whose failing line is named (M-164)', async () => {
  expect(await piped('sendrec /queue/piped one\nquit\n')).toEqual({
    code: 0,
    out: 'Receipt: the broker has it\n',
    err: '',
  });
  const path = join(folder, 'script');
  writeFileSync(path, 'send /queue/piped two\nsend /queue/piped\n');
  expect(await piped('', '-F', path)).toEqual({
    code: EXIT.usage,
    out: '',
    err: `stompbox: ${path}, line 2: it is written: send <destination> <message> (1 sent before)\n`,
  });
});

test.skipIf(!hasPython)('at a real terminal: a passcode, a line that stays, completion, history, Ctrl-D', async () => {
  const child = spawn('python3', [terminalScript, process.execPath, script, 'shell', url], {
    env: { ...process.env, TERM: 'xterm-256color', NO_COLOR: '', HOME: folder, XDG_STATE_HOME: '' },
  });
  let screen = '';
  child.stdout.on('data', (chunk) => {
    screen += chunk;
  });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  let seen = 0;
  /** It shows this, after what it was seen to show before. */
  const shows = (what: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const at = screen.indexOf(what, seen);
        if (at === -1) return;
        seen = at + what.length;
        child.stdout.off('data', look);
        resolve();
      };
      child.stdout.on('data', look);
      void ended.then(() => reject(new Error(`ended without showing ${what}: ${screen}`)));
      look();
    });
  await shows('Passcode of ann: ');
  child.stdin.write('s3cret\r');
  await shows('stompbox\u001b[22m> '); // bold
  child.stdin.write('subscribe /queue/typed\r');
  await shows('Subscribed to /queue/typed');
  await shows('> ');
  child.stdin.write('send /queue/ty');
  await shows('send /queue/ty');
  const sender = new Client(url, { credentials: { login: 'ann', passcode: 's3cret' } });
  await sender.send('/queue/typed', 'bell \u0007');
  await shows('bell \\u0007');
  await shows('> send /queue/ty'); // drawn again below it
  child.stdin.write('\t');
  await shows('ped ');
  child.stdin.write('hello\r');
  await shows('hello');
  await shows('> ');
  child.stdin.write('\u0004');
  expect(await ended).toBe(0);
  expect(screen).not.toContain('s3cret');
  const history = join(folder, '.local/state/stompbox/history');
  expect(readFileSync(history, 'utf8')).toBe('subscribe /queue/typed\nsend /queue/typed hello\n');
  expect(statSync(history).mode & 0o777).toBe(0o600);
  await sender.close();
});
