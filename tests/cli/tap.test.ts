// `stompbox tap` between clients and a broker, over real sockets.

import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Broker, createBroker } from '@stompbox/broker';
import { connect } from '@stompbox/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EXIT } from '../../packages/cli/src/exit-codes.ts';
import { cli, type Running, type Said, start } from './support.ts';

const folder = mkdtempSync(join(tmpdir(), 'stompbox-tap-'));
let broker: Broker;
let tcp: string;
let ws: string;
beforeAll(async () => {
  broker = await createBroker({ listen: ['tcp://127.0.0.1:0', 'ws://127.0.0.1:0/stomp'] });
  [tcp = '', ws = ''] = broker.urls;
});
afterAll(async () => {
  await broker.close();
  rmSync(folder, { recursive: true });
});

let taps = 0;

/** A tap, and where clients connect to it. */
async function tapping(url: string, ...args: string[]): Promise<{ readonly running: Running; readonly local: string }> {
  const local = `stomp+unix://${join(folder, `tap-${++taps}`)}`;
  const running = start(['tap', url, '--listen', local, ...args]);
  await running.says(args.includes('--json') ? 'listening' : 'Ctrl-C ends it');
  return { running, local };
}

/** One message to and fro. */
async function talk(local: string): Promise<string> {
  const connection = await connect(local, { login: 'ann', passcode: 'hunter2', heartBeat: { send: 0, expect: 0 } });
  const subscription = connection.subscribe('/queue/tapped', { id: 's-1' });
  await connection.send('/queue/tapped', 'hello', { contentType: 'text/plain' });
  const message = await subscription.next();
  await connection.disconnect();
  return message.text();
}

function objects({ out }: Said): readonly Readonly<Record<string, unknown>>[] {
  return out
    .trimEnd()
    .split('\n')
    .map((line): Readonly<Record<string, unknown>> => JSON.parse(line));
}

test.for(['tcp', 'ws'] as const)('over %s a client notices nothing, and every frame is a line', async (transport) => {
  const { running, local } = await tapping(transport === 'tcp' ? tcp : ws, '--json');
  expect(await talk(local)).toBe('hello');
  await running.says('"event":"closed"');
  running.interrupt();
  const said = await running.ended;
  expect({ code: said.code, err: said.err }).toEqual({ code: EXIT.done, err: '' });

  const [listening, opened, ...rest] = objects(said);
  expect(listening).toMatchObject({ event: 'listening', url: local });
  expect(opened).toMatchObject({ event: 'opened', connection: 1 });
  const told = rest.map(({ from, command, event }) => `${from ?? 'tap'} ${command ?? event}`);
  expect(told.filter((line) => line.startsWith('client'))).toEqual([
    'client CONNECT',
    'client SUBSCRIBE',
    'client SEND',
    'client DISCONNECT',
  ]);
  expect(told.filter((line) => line.startsWith('broker')).toSorted()).toEqual([
    'broker CONNECTED',
    'broker MESSAGE',
    'broker RECEIPT',
    'broker RECEIPT',
    'broker RECEIPT',
  ]);
  expect(told.at(-1)).toBe('tap closed');
  expect(rest.find(({ command }) => command === 'CONNECT')).toMatchObject({ headers: { passcode: '***' } });
  expect(rest.find(({ command }) => command === 'MESSAGE')).toMatchObject({ bytes: 5, body: 'hello' });
  expect(said.out).not.toContain('hunter2');
});

test('for people: where it leads, a line a frame, and the sum at the end; Ctrl-C ends open connections', async () => {
  const { running, local } = await tapping(tcp);
  const connection = await connect(local);
  await connection.send('/queue/left', 'x');
  await running.says('<<< RECEIPT');
  running.interrupt();
  const { code, out, err } = await running.ended;
  expect(code).toBe(EXIT.done);
  expect(out).toContain(`${local} leads to ${tcp}; Ctrl-C ends it.\n`);
  expect(out).toMatch(/^\d\d:\d\d:\d\d\.\d{3} #1 >>> SEND destination:\/queue\/left .*, 1 bytes "x"$/m);
  expect(err).toBe('4 frames on 1 connections.\n');
  expect(await connection.closed).toMatchObject({ kind: 'lost' });
});

test('two clients are told apart; heart-beats are shown with -v', async () => {
  const { running, local } = await tapping(tcp, '-v');
  const all = await Promise.all([connect(local), connect(local, { heartBeat: { send: 20, expect: 20 } })]);
  await running.says('heart-beat');
  await Promise.all(all.map((connection) => connection.disconnect()));
  await running.says('#1 --- closed');
  await running.says('#2 --- closed');
  running.interrupt();
  expect((await running.ended).code).toBe(EXIT.done);
});

test('a broker that is not there is told; the tap stays', async () => {
  const { running, local } = await tapping('stomp://127.0.0.1:1', '--json');
  await expect(connect(local)).rejects.toThrow();
  await running.says('no connection to the broker');
  running.interrupt();
  expect((await running.ended).code).toBe(EXIT.done);
});

test('it ends without a word when nobody reads it (M-161)', async () => {
  const { running, local } = await tapping(tcp, '--json');
  running.stopReading();
  const connection = connect(local);
  await connection.catch(() => {});
  expect((await running.ended).code).toBe(EXIT.done);
});

test('a passcode in the URL is warned about and shown nowhere (M-163)', async () => {
  const { running } = await tapping(tcp.replace('//', '//ann:hunter2@'));
  running.interrupt();
  const { out, err } = await running.ended;
  expect(err).toContain('can be read by everybody');
  expect(out + err).not.toContain('hunter2');
});

test('a port that is taken, TLS to listen on and what is no URL are told with their exit codes', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const run = (...args: string[]) => cli(['tap', ...args]);
  const taken = await run(tcp, '--listen', `127.0.0.1:${port}`);
  expect(taken).toMatchObject({ code: EXIT.system, err: expect.stringContaining('is taken') });
  expect(await run(tcp, '--listen', 'stomp+ssl://127.0.0.1:0')).toMatchObject({ code: EXIT.usage });
  expect(await run(tcp, '--listen', '127.0.0.1:many')).toMatchObject({ code: EXIT.usage });
  expect(await run('/queue/a')).toMatchObject({ code: EXIT.usage, err: expect.stringContaining('no URL') });
  expect(await run('failover:(tcp://a,tcp://b)')).toMatchObject({ code: EXIT.usage });
  await new Promise((resolve) => server.close(resolve));
});
