import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Channel } from '../src/channel.ts';
import { dial } from '../src/dial.ts';
import { type Listener, listen } from '../src/listen.ts';
import { makeCertificates } from './certificates.ts';
import { Owner, running, turnsUntil, utf8 } from './support.ts';

const dir = mkdtempSync(join(tmpdir(), 'stompbox-listen-'));
const { server: identity } = makeCertificates();
afterAll(() => rmSync(dir, { recursive: true }));

const QUIET = running(); // what the test runner itself keeps
const ignore = (): void => {};
const echo = (channel: Channel): void => {
  const owner = new Owner(channel);
  owner.onData = (bytes) => void channel.write(bytes);
};

describe('dial says why not', () => {
  test.each([
    ['tcp://127.0.0.1:1', 'refused'],
    ['ws://127.0.0.1:1', 'refused'],
    ['stomp+ssl://127.0.0.1:1', 'refused'],
    ['tcp://no-such-host.invalid', 'unreachable'],
    ['ws://no-such-host.invalid', 'unreachable'],
    [`stomp+unix://${dir}/nobody.sock`, 'unreachable'],
    ['http://127.0.0.1', 'bad-url'],
    ['tcp://127.0.0.1:0', 'bad-url'],
  ])('%s is %s', async (url, code) => {
    await expect(dial(url)).rejects.toMatchObject({ name: 'TransportError', code });
  });

  test('with the address in the sentence and what Node said as the cause', async () => {
    const failure: unknown = await dial('tcp://localhost:1').catch((error: unknown) => error);
    expect(failure).toMatchObject({ message: expect.stringMatching(/^stomp:\/\/localhost:1: .*ECONNREFUSED/) });
    expect(failure).toHaveProperty('cause');
  });

  test('a local address that is none', async () => {
    await expect(dial('tcp://127.0.0.1:1', { localAddress: 'nonsense' })).rejects.toMatchObject({
      code: 'unreachable',
    });
  });
});

// A server that accepts and then says nothing: TLS and WebSocket handshakes never end.
describe('abort and timeout', () => {
  let mute: Server;
  let port: number;
  let quiet: string;
  const sockets: Socket[] = [];

  beforeEach(async () => {
    await turnsUntil(() => running() === QUIET, running);
    mute = createServer((socket) => {
      socket.on('error', ignore);
      sockets.push(socket);
      socket.resume();
    });
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
    const address = mute.address();
    port = typeof address === 'object' && address !== null ? address.port : 0;
    quiet = running();
  });

  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
    mute.close();
  });

  const nothingLeft = async (): Promise<void> => {
    for (const socket of sockets)
      await turnsUntil(
        () => socket.closed || socket.readableEnded,
        () => 'the end of a socket',
      );
    for (const socket of sockets.splice(0)) socket.destroy();
    await turnsUntil(
      () => running() === quiet,
      () => `${quiet} from ${running()}`,
    );
  };

  test.each(['stomp+ssl', 'ws', 'wss'])(
    '%s: a handshake that never ends times out and leaves nothing',
    async (scheme) => {
      const attempt = dial(`${scheme}://127.0.0.1:${port}`, { timeoutMs: 50 });
      await expect(attempt).rejects.toMatchObject({
        code: 'timeout',
        message: expect.stringContaining('within 50 ms'),
      });
      await nothingLeft();
    },
  );

  test.each(['tcp', 'stomp+ssl', 'ws', 'wss'])('%s: abort while connecting leaves nothing', async (scheme) => {
    const abort = new AbortController();
    const attempt = dial(`${scheme}://localhost:${port}`, { signal: abort.signal });
    const refused = expect(attempt).rejects.toMatchObject({ code: 'aborted', cause: 'changed my mind' });
    abort.abort('changed my mind');
    await refused;
    await nothingLeft();
  });

  test('a signal that fired before starts nothing', async () => {
    const attempt = dial(`tcp://127.0.0.1:${port}`, { signal: AbortSignal.abort() });
    await expect(attempt).rejects.toMatchObject({ code: 'aborted' });
    await nothingLeft();
    expect(sockets).toHaveLength(0);
  });

  test('an abort after success is too late and does nothing', async () => {
    const abort = new AbortController();
    const owner = new Owner(await dial(`tcp://127.0.0.1:${port}`, { signal: abort.signal, timeoutMs: 20 }));
    abort.abort();
    await new Promise((resolve) => setTimeout(resolve, 40));
    expect(owner.end).toBeUndefined();
    owner.channel.destroy();
    await owner.whenClosed();
    await nothingLeft();
  });
});

describe('listen', () => {
  let listener: Listener | undefined;
  afterEach(() => listener?.close());

  test('tells the real port, as data and as a URL that can be dialled', async () => {
    listener = await listen('tcp://127.0.0.1:0', {}, echo);
    expect(listener.endpoint).toMatchObject({ transport: 'tcp', host: '127.0.0.1' });
    expect(listener.url).toMatch(/^stomp:\/\/127\.0\.0\.1:[1-9]\d+$/);
    for (const where of [listener.url, listener.endpoint]) {
      const owner = new Owner(await dial(where));
      owner.channel.write(utf8('x'));
      await owner.until(() => owner.text === 'x');
      owner.channel.end();
      await owner.whenClosed();
    }
  });

  test.each([
    ['stomp', {}],
    ['stomp+ssl', { tls: identity }],
    ['ws', {}],
    ['wss', { tls: identity }],
  ])('%s: a taken port is address-in-use, in a sentence', async (scheme, options) => {
    listener = await listen('tcp://127.0.0.1:0', {}, echo);
    const { port } = new URL(listener.url);
    await expect(listen(`${scheme}://127.0.0.1:${port}/`, options, echo)).rejects.toMatchObject({
      code: 'address-in-use',
      message: expect.stringMatching(new RegExp(`^${scheme.replace('+', '\\+')}://127\\.0\\.0\\.1:${port}.* is taken`)),
    });
  });

  test('an address of another machine is unreachable', async () => {
    await expect(listen('tcp://192.0.2.1:0', {}, echo)).rejects.toMatchObject({ code: 'unreachable' });
  });

  test('IPv4 peers of an IPv6 listener have IPv4 addresses', async () => {
    const coming = new Promise<Channel>((resolve) => {
      listen('tcp://[::]:0', {}, resolve).then(
        async (started) => {
          listener = started;
          (await dial(started.url.replace('[::]', '127.0.0.1'))).destroy();
        },
        () => {},
      );
    });
    const { peer } = await coming;
    expect(peer.address).toBe('127.0.0.1');
    expect(peer.remote).toMatch(/^127\.0\.0\.1:\d+$/);
  });

  test('close may be called twice, frees the port at once and leaves channels alone', async () => {
    const first = await listen('tcp://127.0.0.1:0', {}, echo);
    const owner = new Owner(await dial(first.url));
    await first.close();
    await first.close();
    listener = await listen(first.url, {}, echo);
    owner.channel.write(utf8('still here'));
    await owner.until(() => owner.text === 'still here');
    owner.channel.destroy();
  });

  test('connections over maxConnections are dropped, and the door opens again', async () => {
    listener = await listen('tcp://127.0.0.1:0', { maxConnections: 1 }, echo);
    const first = new Owner(await dial(listener.url));
    first.channel.write(utf8('x'));
    await first.until(() => first.text === 'x');
    const second = new Owner(await dial(listener.url));
    await second.whenClosed();
    first.channel.end();
    await first.whenClosed();
    let third = new Owner(await dial(listener.url));
    third.channel.write(utf8('y'));
    await third.until(() => third.text === 'y' || third.end !== undefined);
    if (third.end) third = new Owner(await dial(listener.url)); // the first one's end was still on its way
    third.channel.destroy();
  });

  test('a Unix socket somebody answers on is taken; one a dead process left is replaced', async () => {
    const path = join(dir, 'left.sock');
    listener = await listen(`stomp+unix://${path}`, {}, echo);
    await expect(listen(`stomp+unix://${path}`, {}, echo)).rejects.toMatchObject({ code: 'address-in-use' });
    await listener.close();
    await turnsUntil(
      () => !existsSync(path),
      () => 'the end of the socket file',
    );

    const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
    await new Promise((resolve) => spawn(process.execPath, ['-e', script]).on('exit', resolve));
    expect(existsSync(path)).toBe(true);
    listener = await listen(`stomp+unix://${path}`, {}, echo);
    (await dial(listener.url)).destroy();
  });

  test('a file that is no socket is never removed', async () => {
    const path = join(dir, 'precious');
    writeFileSync(path, 'data');
    await expect(listen(`stomp+unix://${path}`, {}, echo)).rejects.toMatchObject({ code: 'address-in-use' });
    expect(existsSync(path)).toBe(true);
  });
});

test('a reset in the middle is told with the end (M-36)', async () => {
  let near: Channel | undefined;
  const listener = await listen('tcp://127.0.0.1:0', {}, (channel) => {
    near = channel;
  });
  const far = await dial(listener.url);
  await turnsUntil(
    () => near !== undefined,
    () => 'a channel',
  );
  if (!near) throw new Error('no channel');
  far.open(new Owner(far, { opened: false }));
  far.write(utf8('x'));
  const owner = new Owner(near, { answerEnd: false });
  await owner.until(() => owner.text === 'x');
  owner.channel.pause();
  far.destroy();
  const push = setInterval(() => owner.channel.write(new Uint8Array(1000)), 1); // to a peer that has left
  const end = await owner.whenClosed();
  clearInterval(push);
  expect(end.error?.code).toBe('reset');
  expect(owner.diary.at(-1)).toBe('closed');
  await listener.close();
});
