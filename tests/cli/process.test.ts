// The program itself, as a process over real sockets: exit codes, signals, pipes that close, and a real terminal.

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { type Broker, createBroker } from '@stompbox/broker';
import { Client } from '@stompbox/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EXIT } from '../../packages/cli/src/exit-codes.ts';

const script = fileURLToPath(new URL('../../packages/cli/bin/stompbox.js', import.meta.url));
const build = new URL('../../scripts/ensure.mjs', import.meta.url).href;
const terminalScript = fileURLToPath(new URL('terminal.py', import.meta.url));
const hasPython = spawnSync('python3', ['-c', 'import pty']).status === 0;

let broker: Broker;
let url: string;
beforeAll(async () => {
  execFileSync(process.execPath, ['-e', `import(${JSON.stringify(build)}).then(({ ensure }) => ensure())`]);
  broker = await createBroker({ listen: ['tcp://127.0.0.1:0'] });
  url = broker.urls[0] ?? '';
});
afterAll(() => broker.close());

function start(...args: string[]) {
  const { STOMPBOX_URL: _, NO_COLOR: __, ...env } = process.env;
  const child = spawn(process.execPath, [script, ...args], { env: { ...env, STOMPBOX_URL: url } });
  const said = { out: '', err: '' };
  const waiting = new Set<() => void>();
  const heard = (part: 'out' | 'err') => (chunk: Buffer) => {
    said[part] += chunk;
    for (const look of waiting) look();
  };
  child.stdout.on('data', heard('out'));
  child.stderr.on('data', heard('err'));
  const ended = new Promise<{ code: number | null; out: string; err: string }>((resolve) => {
    child.on('close', (code) => resolve({ code, ...said }));
  });
  const says = (what: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (!(said.out + said.err).includes(what)) return;
        waiting.delete(look);
        resolve();
      };
      waiting.add(look);
      void ended.then(({ out, err }) => reject(new Error(`ended without saying ${what}: ${out}${err}`)));
      look();
    });
  return { child, ended, says, said };
}

test('sends and listens over a real socket, and ends by itself', async () => {
  expect(await start('send', '/queue/process', 'hello').ended).toEqual({
    code: 0,
    out: 'Sent 1 message to /queue/process, confirmed.\n',
    err: '',
  });
  expect(await start('listen', '/queue/process', '--count', '1', '--raw').ended).toEqual({
    code: 0,
    out: 'hello\n',
    err: '',
  });
});

test('exit codes reach the shell', async () => {
  const codes = async (...all: string[][]) => Promise.all(all.map(async (args) => (await start(...args).ended).code));
  expect(
    await codes(
      ['--version'],
      ['nonsense'],
      ['send', 'stomp://127.0.0.1:1', '/queue/a', 'x'],
      ['listen', '/queue/nothing-here', '--timeout', '10ms'],
      ['send', '/queue/a', '--file', '/nowhere/at/all'],
    ),
  ).toEqual([EXIT.done, EXIT.usage, EXIT.connection, EXIT.timeout, EXIT.system]);
});

test('Ctrl-C and SIGTERM end it in order; work that was cut short says so in its exit code (M-162)', async () => {
  const endless = start('listen', '/queue/signals', '--raw');
  const counted = start('listen', '/queue/signals-too', '--raw', '--count', '2');
  const client = new Client(url);
  await client.send('/queue/signals', 'one');
  await client.send('/queue/signals-too', 'one');
  await Promise.all([endless.says('one'), counted.says('one')]);
  endless.child.kill('SIGINT');
  counted.child.kill('SIGTERM');
  expect(await endless.ended).toEqual({ code: 0, out: 'one\n', err: '' });
  expect(await counted.ended).toEqual({ code: EXIT.terminated, out: 'one\n', err: '' });
  await client.close();
});

test('a second signal ends it at once, whatever is under way (M-162)', async () => {
  const server = createServer(() => {}); // takes the connection and never answers
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  const hung = start('listen', `stomp://127.0.0.1:${port}`, '/queue/a', '--debug');
  await hung.says('>>> CONNECT');
  hung.child.kill('SIGTERM');
  hung.child.kill('SIGINT');
  expect([EXIT.interrupted, EXIT.terminated]).toContain((await hung.ended).code);
  server.close();
});

test('a reader that goes away, as head does, ends it quietly; what it did not read stays in the queue (M-161)', async () => {
  const client = new Client(url);
  await client.send('/queue/head', 'read');
  const running = start('listen', '/queue/head', '--raw');
  await running.says('read');
  running.child.stdout.destroy();
  await client.send('/queue/head', 'not read');
  expect(await running.ended).toMatchObject({ code: 0, err: '' });
  expect(broker.inspect.browse('head').length).toBe(1);
  await client.close();
});

test('stompbox broker serves, and drains at SIGTERM', async () => {
  const running = start('broker', '--memory', '--listen', 'tcp://127.0.0.1:0', '--json');
  await running.says('"listening"');
  const { urls } = JSON.parse(running.said.out);
  const client = new Client(urls[0]);
  await client.send('/queue/a', 'x');
  running.child.kill('SIGTERM');
  expect((await running.ended).code).toBe(0);
  await client.close();
});

test.skipIf(!hasPython)('at a real terminal: colours, a prompt without echo, Ctrl-C', async () => {
  const closed = await createBroker({
    listen: ['tcp://127.0.0.1:0'],
    authenticate: ({ login, passcode }) => (login === 'ann' && passcode === 's3cret' ? { name: 'ann' } : undefined),
  });
  const address = (closed.urls[0] ?? '').replace('//', '//ann@');
  const child = spawn('python3', [terminalScript, process.execPath, script, 'listen', address, '/queue/a'], {
    env: { ...process.env, TERM: 'xterm-256color', NO_COLOR: '' },
  });
  let screen = '';
  const shows = (what: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (screen.includes(what)) resolve();
      };
      child.stdout.on('data', look);
      child.on('close', () => reject(new Error(`ended without showing ${what}: ${screen}`)));
      look();
    });
  child.stdout.on('data', (chunk) => {
    screen += chunk;
  });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  await shows('Passcode of ann: ');
  child.stdin.write('s3cret\r');
  await shows('Ctrl-C ends it.');
  const sender = new Client(address, { credentials: { login: 'ann', passcode: 's3cret' } });
  await sender.send('/queue/a', 'bell \u0007');
  await shows('bell \\u0007');
  child.stdin.write('\u0003');
  expect(await ended).toBe(0);
  expect(screen).not.toContain('s3cret');
  expect(screen).toContain('\u001b[1m/queue/a');
  await sender.close();
  await closed.close();
});
