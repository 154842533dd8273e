// `stompbox bench` through `stompbox tap`, both as processes over real sockets.

import { type ChildProcessByStdio, execFileSync, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { type Broker, createBroker } from '@stompbox/broker';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EXIT } from '../../packages/cli/src/exit-codes.ts';

const script = fileURLToPath(new URL('../../packages/cli/bin/stompbox.js', import.meta.url));
const build = new URL('../../scripts/ensure.mjs', import.meta.url).href;

let broker: Broker;
beforeAll(async () => {
  execFileSync(process.execPath, ['-e', `import(${JSON.stringify(build)}).then(({ ensure }) => ensure())`]);
  broker = await createBroker({ listen: ['tcp://127.0.0.1:0'] });
});
afterAll(() => broker.close());

type Child = ChildProcessByStdio<null, Readable, Readable>;

function run(...args: string[]): Child {
  return spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
}

/** All it says until it ends, after its first line was handed over. */
async function all(child: Child, firstLine: (line: string) => void = () => {}): Promise<object> {
  let out = '';
  let err = '';
  child.stderr.on('data', (part: Buffer) => {
    err += part;
  });
  child.stdout.on('data', (part: Buffer) => {
    const isFirst = !out.includes('\n');
    out += part;
    if (isFirst && out.includes('\n')) firstLine(out.slice(0, out.indexOf('\n')));
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  return { code, out, err };
}

test('bench measures through tap, which shows every message; SIGINT ends both in order (M-162)', async () => {
  const tap = run('tap', broker.urls[0] ?? '', '--json', '--body', '0');
  let tapped: Promise<object> | undefined;
  const local = await new Promise<string>((resolve) => {
    tapped = all(tap, (line) => resolve(String(JSON.parse(line).url)));
  });
  expect(await all(run('bench', local, '--count', '200', '--json'))).toMatchObject({
    code: EXIT.done,
    out: expect.stringContaining('"complete":true'),
    err: '',
  });

  const endless = run('bench', local, '--duration', '1h');
  const cutShort = all(endless);
  const { received } = broker.stats();
  while (broker.stats().received === received) await new Promise((resolve) => setImmediate(resolve));
  endless.kill('SIGINT');
  expect(await cutShort).toMatchObject({ code: EXIT.interrupted, out: expect.stringMatching(/\nreceived/), err: '' });

  tap.kill('SIGINT');
  const said = await tapped;
  expect(said).toMatchObject({ code: EXIT.done, err: '' });
  const { out } = said as { readonly out: string };
  expect(out.match(/"from":"broker","command":"MESSAGE"/g)?.length).toBeGreaterThanOrEqual(200);
  expect(broker.stats()).toMatchObject({ bytes: 0 });
});
