import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import { deflateRawSync } from 'node:zlib';
import { afterEach, describe, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { type Channel, TransportError } from '../src/channel.ts';
import { dial } from '../src/dial.ts';
import { dial as dialInBrowser } from '../src/dial-browser.ts';
import type { DialOptions } from '../src/dial-options.ts';
import { type Listener, type ListenOptions, listen } from '../src/listen.ts';
import type { WebSocketLike, WebSocketLikeEvent } from '../src/websocket.ts';
import { attachWebSocket, chooseSubprotocol, type Origins, originAllowed } from '../src/websocket-server.ts';
import { noise, Owner, running, turnsUntil, utf8 } from './support.ts';

let listener: Listener | undefined;
const accepted: Owner[] = [];
const faults: TransportError[] = [];

afterEach(async () => {
  for (const owner of accepted.splice(0)) owner.channel.destroy();
  faults.length = 0;
  await listener?.close();
  listener = undefined;
});

let arrived: (owner: Owner) => void = () => {};

async function serve(options: ListenOptions = {}, url = 'ws://127.0.0.1:0'): Promise<string> {
  const onFault = (error: TransportError): void => void faults.push(error);
  listener = await listen(url, { onFault, ...options }, (channel) => {
    const owner = new Owner(channel);
    accepted.push(owner);
    arrived(owner);
  });
  return listener.url;
}

function nextOwner(): Promise<Owner> {
  return new Promise((resolve) => {
    arrived = resolve;
  });
}

async function both(listening: ListenOptions = {}, dialling: DialOptions = {}): Promise<{ near: Owner; far: Owner }> {
  const url = await serve(listening);
  const coming = nextOwner();
  const near = new Owner(await dial(url, dialling));
  return { near, far: await coming };
}

// A client below the WebSocket library: an upgrade by hand, then any bytes at all.

interface Raw {
  readonly socket: Socket;
  /** Status line and headers of the answer. */
  readonly answer: string;
  /** What came after the answer, so far. */
  rest(): Buffer;
  /** Resolves when the server has closed the connection. */
  readonly gone: Promise<void>;
}

function upgrade(url: string, headers: readonly string[] = [], path = '/stomp'): Promise<Raw> {
  const { port } = new URL(url);
  const socket = connect({ host: '127.0.0.1', port: Number(port) });
  let bytes = Buffer.alloc(0);
  const gone = new Promise<void>((resolve) => socket.on('close', () => resolve()));
  socket.on('error', () => {});
  socket.write(
    [
      `GET ${path} HTTP/1.1`,
      ...(headers.some((header) => /^host:/i.test(header)) ? [] : [`Host: 127.0.0.1:${port}`]),
      ...['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'],
      `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
      ...headers,
      '\r\n',
    ].join('\r\n'),
  );
  return new Promise((resolve) => {
    const raw = (): Raw => {
      const end = bytes.indexOf('\r\n\r\n');
      const answer = bytes.subarray(0, end === -1 ? bytes.length : end).toString();
      return { socket, answer, gone, rest: () => bytes.subarray(end + 4) };
    };
    socket.on('data', (chunk) => {
      bytes = Buffer.concat([bytes, chunk]);
      if (bytes.includes('\r\n\r\n')) resolve(raw());
    });
    void gone.then(() => resolve(raw()));
  });
}

/** One frame as RFC 6455 5.2 draws it. `first` is FIN, RSV and opcode; masked with zeros unless told not to. */
function frame(first: number, payload: Uint8Array, options: { masked?: boolean; length?: number[] } = {}): Buffer {
  const { masked = true, length } = options;
  const size = payload.length;
  const plain = size < 126 ? [size] : size < 65_536 ? [126, size >> 8, size & 255] : [127, 0, 0, 0, 0, ...be32(size)];
  const [head = 0, ...more] = length ?? plain;
  return Buffer.from([first, head | (masked ? 0x80 : 0), ...more, ...(masked ? [0, 0, 0, 0] : []), ...payload]);
}

function be32(size: number): number[] {
  return [size >>> 24, (size >>> 16) & 255, (size >>> 8) & 255, size & 255];
}

const FIN = 0x80;
const TEXT = 0x1;
const BINARY = 0x2;

/** The close code in the last frame the server sent. */
function closeCode(bytes: Buffer): number {
  const at = bytes.indexOf(0x88);
  return at === -1 ? 0 : bytes.readUInt16BE(at + 2);
}

async function closedBy(
  options: ListenOptions,
  headers: readonly string[],
  bytes: Uint8Array,
): Promise<[number, Owner]> {
  const url = await serve(options);
  const coming = nextOwner();
  const raw = await upgrade(url, headers);
  const owner = await coming;
  raw.socket.write(bytes);
  await turnsUntil(
    () => closeCode(raw.rest()) !== 0,
    () => `a close frame in ${raw.rest().toString('hex')}`,
  );
  raw.socket.destroy();
  await owner.whenClosed();
  return [closeCode(raw.rest()), owner];
}

describe('subprotocols', () => {
  test.each([
    [undefined, undefined],
    ['', undefined],
    ['v12.stomp, v11.stomp, v10.stomp', 'v12.stomp'],
    ['v10.stomp,v11.stomp', 'v11.stomp'],
    ['v10.stomp', 'v10.stomp'],
    ['foo, v10.stomp', 'v10.stomp'],
    ['stomp', undefined],
    ['V12.STOMP', undefined],
    ['v12.stomp, v12.stomp', 'v12.stomp'],
  ])('of %j we choose %j (W-01, W-02, M-107)', (offered, chosen) => {
    expect(chooseSubprotocol(offered)).toBe(chosen);
  });

  const many = Array.from({ length: 1_000 }, (_, i) => `x${i}`).join(',');
  test.each([
    ['none', undefined, undefined],
    ['unknown ones', 'foo, stomp', undefined],
    ['upper case', 'V12.STOMP', undefined],
    ['a duplicate', 'v11.stomp, v11.stomp', 'v11.stomp'],
    ['a malformed list', 'v11.stomp,, ;', 'v11.stomp'],
    ['a thousand', `${many},v12.stomp`, 'v12.stomp'],
    ['a thousand unknown', many, undefined],
  ])('%s offered: accepted, and only what was offered is answered (W-02, M-107)', async (_name, offered, chosen) => {
    const url = await serve();
    const raw = await upgrade(url, offered === undefined ? [] : [`Sec-WebSocket-Protocol: ${offered}`]);
    expect(raw.answer).toMatch(/^HTTP\/1.1 101 /);
    expect(/sec-websocket-protocol: (.*)/i.exec(raw.answer)?.[1]?.trim()).toBe(chosen);
    expect(accepted[0]?.channel.peer.subprotocol).toBe(chosen);
    raw.socket.destroy();
  });

  test('a client whose offer nobody answers keeps going (W-02)', async () => {
    const server = new WebSocketServer({ port: 0, handleProtocols: () => false });
    await new Promise((resolve) => server.once('listening', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const near = new Owner(await dial(`ws://127.0.0.1:${port}/`));
    expect(near.channel.peer.subprotocol).toBeUndefined();
    near.channel.end();
    await near.whenClosed();
    server.close();
  });

  test('both ends know the one they agreed on (W-01)', async () => {
    const { near, far } = await both({}, { webSocket: { protocols: ['v10.stomp', 'v11.stomp'] } });
    expect(near.channel.peer.subprotocol).toBe('v11.stomp');
    expect(far.channel.peer.subprotocol).toBe('v11.stomp');
  });
});

describe('origins', () => {
  test.each<[Origins, string | undefined, string | undefined, boolean]>([
    ['same', undefined, 'broker', true],
    ['same', 'http://broker', 'broker', true],
    ['same', 'http://broker:80', 'broker', true],
    ['same', 'https://broker', 'broker:443', true],
    ['same', 'https://broker', 'broker', true],
    ['same', 'http://BROKER:8080', 'broker:8080', true],
    ['same', 'http://[::1]:8080', '[::1]:8080', true],
    ['same', 'http://broker:8080', 'broker', false],
    ['same', 'http://broker', 'broker:8080', false],
    ['same', 'http://evil', 'broker', false],
    ['same', 'http://broker.evil', 'broker', false],
    ['same', 'http://evil@broker', 'broker', false],
    ['same', 'http://broker/path', 'broker', false],
    ['same', 'null', 'broker', false],
    ['same', '', 'broker', false],
    ['same', 'file://', 'broker', false],
    ['same', 'http://broker', undefined, false],
    ['same', 'http://a, http://broker', 'broker', false],
    [['https://app.example'], 'https://app.example', 'broker', true],
    [['https://app.example/'], 'https://APP.example:443', 'broker', true],
    [['https://app.example'], 'http://app.example', 'broker', false],
    [['https://app.example'], 'https://app.example:8443', 'broker', false],
    [['https://app.example'], 'http://broker', 'broker', false],
    [['https://app.example'], undefined, 'broker', true],
    [['null'], 'null', 'broker', false],
    [[], 'http://broker', 'broker', false],
    ['any', 'null', 'broker', true],
    ['any', 'http://evil', 'broker', true],
  ])('%j: a page of %j to host %j is let in: %j (W-12, M-108)', (origins, origin, host, allowed) => {
    expect(originAllowed(origins, origin, host)).toBe(allowed);
  });

  test('a foreign page is answered 403 and never becomes a channel (M-108)', async () => {
    const url = await serve();
    const raw = await upgrade(url, ['Origin: http://evil.example']);
    expect(raw.answer).toMatch(/^HTTP\/1.1 403 Forbidden/);
    await raw.gone;
    expect(accepted).toHaveLength(0);
    expect(faults[0]?.message).toContain('http://evil.example');
    await expect(dial(url, { webSocket: { headers: { Origin: 'null' } } })).rejects.toMatchObject({
      code: 'unauthorized',
      status: 403,
    });
    const own = await dial(url, { webSocket: { headers: { Origin: url.replace(/^ws(.*)\/stomp$/, 'http$1') } } });
    own.destroy();
  });
});

describe('messages', () => {
  async function kinds(
    webSocket: NonNullable<DialOptions['webSocket']>,
    ...messages: Uint8Array[]
  ): Promise<boolean[]> {
    const server = new WebSocketServer({ port: 0 });
    await new Promise((resolve) => server.once('listening', resolve));
    const heard: boolean[] = [];
    const all = new Promise<void>((resolve) => {
      server.on('connection', (socket) => {
        socket.on('message', (_data, isBinary) => heard.push(isBinary));
        socket.on('close', () => resolve());
      });
    });
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const near = new Owner(await dial(`ws://127.0.0.1:${port}/`, { webSocket }));
    for (const message of messages) near.channel.write(message);
    near.channel.end();
    await near.whenClosed();
    await all;
    server.close();
    return heard;
  }
  const factory = (url: string, protocols: string[]): WebSocket => new WebSocket(url, protocols);
  const text = utf8('SEND\n\nπ\0');
  const octets = Uint8Array.of(0xff, 0, 0xc3);

  test.each([
    ['ws', {}],
    ['WHATWG', { factory }],
  ])('%s: UTF-8 goes out as text, the rest as binary, or all of it as told (W-07)', async (_name, made) => {
    expect(await kinds(made, text, octets)).toEqual([false, true]);
    expect(await kinds({ ...made, binary: 'always' }, text, octets)).toEqual([true, true]);
    expect(await kinds({ ...made, binary: 'never' }, text)).toEqual([false]);
  });

  test.each([
    ['ws', {}],
    ['WHATWG', { factory }],
  ])('%s: with binary never, octets end the channel rather than being garbled (W-07)', async (_name, made) => {
    const { near, far } = await both({}, { webSocket: { ...made, binary: 'never' } });
    expect(near.channel.write(octets)).toBe(false);
    expect((await near.whenClosed()).error?.code).toBe('unsupported');
    await far.whenClosed();
    expect(far.received).toBe(0);
  });

  test.each([
    ['ws', {}],
    ['WHATWG', { factory }],
  ])('%s: a byte order mark is content and arrives', async (_name, made) => {
    const { near, far } = await both({}, { webSocket: made });
    const marked = Uint8Array.of(0xef, 0xbb, 0xbf, 0x41);
    near.channel.write(marked);
    far.channel.write(marked);
    await Promise.all([far.until(() => far.received === 4), near.until(() => near.received === 4)]);
    expect([...far.bytes]).toEqual([...marked]);
    expect([...near.bytes]).toEqual([...marked]);
  });

  test('text and binary are both received (W-06, M-104)', async () => {
    const url = await serve();
    const coming = nextOwner();
    const raw = await upgrade(url);
    const far = await coming;
    raw.socket.write(Buffer.concat([frame(FIN | TEXT, utf8('text ')), frame(FIN | BINARY, utf8('binary'))]));
    await far.until(() => far.text === 'text binary');
    raw.socket.destroy();
  });

  test('one frame over many messages, many in one, cut inside UTF-8 as binary: the bytes are what counts (M-100, W-04)', async () => {
    const { near, far } = await both();
    const bytes = utf8('SEND\ndestination:/queue/ü\n\nπ\0\nSEND\ndestination:/queue/a\n\n\0');
    for (const byte of bytes) near.channel.write(Uint8Array.of(byte));
    near.channel.write(bytes);
    await far.until(() => far.received === bytes.length * 2);
    expect(far.text).toBe(Buffer.concat([bytes, bytes]).toString());
    expect(far.chunks).toHaveLength(bytes.length + 1);
  });

  test('fragments with pings between them make one message, and the pings are answered (M-101)', async () => {
    const url = await serve();
    const coming = nextOwner();
    const raw = await upgrade(url);
    const far = await coming;
    raw.socket.write(
      Buffer.concat([
        frame(TEXT, utf8('one ')),
        frame(FIN | 0x9, utf8('?')),
        frame(0, utf8('')),
        frame(FIN, utf8('two')),
      ]),
    );
    await far.until(() => far.text === 'one two');
    expect(far.chunks).toHaveLength(1);
    await turnsUntil(
      () => raw.rest().includes(Buffer.from([0x8a, 1, 0x3f])),
      () => 'a pong',
    );
    raw.socket.destroy();
  });

  test('a hundred thousand empty messages are nothing (M-101)', async () => {
    const url = await serve();
    const coming = nextOwner();
    const raw = await upgrade(url);
    const far = await coming;
    raw.socket.write(
      Buffer.concat([...Array<Buffer>(100_000).fill(frame(FIN | TEXT, utf8(''))), frame(FIN | TEXT, utf8('!'))]),
    );
    await far.until(() => far.received > 0);
    expect(far.text).toBe('!');
    expect(far.chunks).toHaveLength(1);
    raw.socket.destroy();
  });

  test('endless empty fragments are bounded: closed with 1008 (M-101)', async () => {
    const fragments = [frame(TEXT, utf8('')), ...Array<Buffer>(20_000).fill(frame(0, utf8('')))];
    const [code, owner] = await closedBy({}, [], Buffer.concat(fragments));
    expect(code).toBe(1008);
    expect(owner.end).toMatchObject({ code: 1008, error: { code: 'protocol' } });
  });
});

describe('a peer that breaks RFC 6455 is closed with 1002 (M-102)', () => {
  test.each([
    ['an unmasked frame', frame(FIN | TEXT, utf8('x'), { masked: false })],
    ['reserved bit 1', frame(FIN | 0x40 | TEXT, utf8('x'))],
    ['reserved bit 2', frame(FIN | 0x20 | TEXT, utf8('x'))],
    ['reserved bit 3', frame(FIN | 0x10 | TEXT, utf8('x'))],
    ['a reserved opcode', frame(FIN | 0x3, utf8('x'))],
    ['a reserved control opcode', frame(FIN | 0xb, utf8('x'))],
    ['a control frame of 126 bytes', frame(FIN | 0x9, noise(126))],
    ['a fragmented control frame', frame(0x9, utf8('x'))],
    ['a continuation of nothing', frame(FIN, utf8('x'))],
    ['a new message inside a fragmented one', Buffer.concat([frame(TEXT, utf8('x')), frame(FIN | TEXT, utf8('y'))])],
    ['a close frame of one byte', frame(FIN | 0x8, Uint8Array.of(3))],
    ['a close code nobody may send', frame(FIN | 0x8, Uint8Array.of(1005 >> 8, 1005 & 255))],
  ])('%s', async (_name, bytes) => {
    const [code, owner] = await closedBy({}, [], bytes);
    expect(code).toBe(1002);
    expect(owner.end).toMatchObject({ code: 1002, error: { code: 'protocol' } });
    expect(owner.diary).toEqual(['closed']);
  });

  test('a length over 2^53 is refused without allocation: 1009 (M-102, M-106)', async () => {
    const [code, owner] = await closedBy(
      {},
      [],
      frame(FIN | BINARY, utf8(''), { length: [127, 0x7f, ...Array<number>(7).fill(0xff)] }),
    );
    expect(code).toBe(1009);
    expect(owner.end?.error?.code).toBe('too-large');
  });
});

test('a text message that is not UTF-8 is closed with 1007 (M-103)', async () => {
  const [code, owner] = await closedBy({}, [], frame(FIN | TEXT, Uint8Array.of(0xff)));
  expect(code).toBe(1007);
  expect(owner.end).toMatchObject({ code: 1007, error: { code: 'protocol' } });
});

describe('a message over the limit is closed with 1009', () => {
  const limit = { webSocket: { maxMessageBytes: 1_000, compress: true } };

  test('by its declared length, before the body comes (M-106)', async () => {
    const [code, owner] = await closedBy(limit, [], frame(FIN | BINARY, noise(1_001)).subarray(0, 8));
    expect(code).toBe(1009);
    expect(owner.end).toMatchObject({ code: 1009, error: { code: 'too-large' } });
  });

  test('by the sum of its fragments (M-106)', async () => {
    const [code] = await closedBy(limit, [], Buffer.concat([frame(BINARY, noise(600)), frame(FIN, noise(600))]));
    expect(code).toBe(1009);
  });

  test('by its inflated size (M-105, W-11)', async () => {
    const bomb = deflateRawSync(new Uint8Array(10 * 1024 * 1024));
    const small = { webSocket: { maxMessageBytes: 100_000, compress: true } };
    const headers = ['Sec-WebSocket-Extensions: permessage-deflate'];
    const [code, owner] = await closedBy(small, headers, frame(FIN | 0x40 | BINARY, bomb));
    expect(code).toBe(1009);
    expect(owner.received).toBe(0);
    expect(owner.end?.error?.code).toBe('too-large');
  });

  test('and one of exactly the limit is taken', async () => {
    const { near, far } = await both(limit);
    near.channel.write(noise(1_000));
    await far.until(() => far.received === 1_000);
    near.channel.write(noise(1_001));
    expect((await near.whenClosed()).error?.code).toBe('too-large');
  });

  test('also by the client', async () => {
    const { near, far } = await both({}, { webSocket: { maxMessageBytes: 10 } });
    far.channel.write(noise(11));
    expect((await near.whenClosed()).error?.code).toBe('too-large');
    expect(await far.whenClosed()).toMatchObject({ code: 1009, error: { code: 'too-large' } });
  });
});

describe('ends', () => {
  test.each([1000, 1001])('close %i is orderly, with its reason at both ends (W-09)', async (code) => {
    const { near, far } = await both();
    far.channel.write(utf8('last words'));
    far.channel.end(code, 'done');
    expect(await near.whenClosed()).toEqual({ code, reason: 'done' });
    expect(await far.whenClosed()).toEqual({ code, reason: 'done' });
    expect(near.text).toBe('last words'); // W-10
  });

  test.each([
    [1002, 'reset'],
    [1008, 'denied'],
    [1009, 'too-large'],
    [1011, 'reset'],
  ])('close %i is a fault, %s, to the one who hears it (W-09)', async (code, fault) => {
    const { near, far } = await both();
    far.channel.end(code, 'because');
    const end = await near.whenClosed();
    expect(end).toMatchObject({ code, reason: 'because', error: { code: fault } });
    expect(end.error?.message).toContain('because');
    expect((await far.whenClosed()).error).toBeUndefined();
  });

  test('a reason longer than a close frame is cut between characters', async () => {
    const { near, far } = await both();
    far.channel.end(1000, 'π'.repeat(100));
    expect((await near.whenClosed()).reason).toBe('π'.repeat(61));
  });

  test('a close frame in the middle of a message still ends in order; a cut without one is a reset (M-109)', async () => {
    const url = await serve();
    let coming = nextOwner();
    let raw = await upgrade(url);
    let far = await coming;
    raw.socket.write(
      Buffer.concat([frame(TEXT, utf8('half')), frame(FIN | 0x8, Uint8Array.of(1000 >> 8, 1000 & 255))]),
    );
    expect(await far.whenClosed()).toEqual({ code: 1000, reason: '' });
    expect(far.received).toBe(0);
    raw.socket.destroy();

    coming = nextOwner();
    raw = await upgrade(url);
    far = await coming;
    raw.socket.write(frame(TEXT, utf8('half')));
    raw.socket.end();
    expect(await far.whenClosed()).toMatchObject({ code: 1006, error: { code: 'reset' } });
    raw.socket.destroy();
  });

  test('a peer that does not answer pings is dropped; one that does, or is paused, is not (M-110)', async () => {
    const quiet = running();
    const pings = { webSocket: { pingIntervalMs: 20, pongTimeoutMs: 20 } };
    const { near, far } = await both(pings);
    const coming = nextOwner();
    const raw = await upgrade(listener?.url ?? ''); // never answers
    const mute = await coming;
    far.channel.pause();
    const end = await mute.whenClosed();
    expect(end).toMatchObject({
      code: 1006,
      error: { code: 'reset', message: expect.stringContaining('no pong within 20 ms') },
    });
    await new Promise((resolve) => setTimeout(resolve, 100)); // several rounds more
    far.channel.resume();
    near.channel.write(utf8('still here'));
    await far.until(() => far.text === 'still here');
    near.channel.end();
    await far.whenClosed();
    raw.socket.destroy();
    await listener?.close();
    await turnsUntil(
      () => running().length <= quiet.length,
      () => running(),
    );
  });
});

describe('the HTTP door', () => {
  test('a plain request is answered 426 in a sentence', async () => {
    const url = await serve();
    const answer = await fetch(url.replace('ws:', 'http:'));
    expect(answer.status).toBe(426);
    expect(answer.headers.get('content-type')).toMatch('text/plain');
    expect(await answer.text()).toMatch('/stomp');
  });

  test('another path is 404, and a query does not matter', async () => {
    const url = await serve();
    expect((await upgrade(url, [], '/other')).answer).toMatch(/^HTTP\/1.1 404/);
    expect((await upgrade(url, [], '/stomp?x=1')).answer).toMatch(/^HTTP\/1.1 101/);
  });

  test('the path comes from the URL, or the option, or is /stomp, and the listener says which', async () => {
    expect(await serve()).toMatch(/\/stomp$/);
    await listener?.close();
    expect(await serve({ webSocket: { path: '/ws' } })).toMatch(/\/ws$/);
    await listener?.close();
    const url = await serve({ webSocket: { path: '/ws' } }, 'ws://127.0.0.1:0/mine');
    expect(url).toMatch(/\/mine$/);
    (await dial(url)).destroy();
  });

  test.each([
    ['no key', 'Sec-WebSocket-Version: 13', 400],
    ['an old version', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 7', 400],
  ])('a broken upgrade (%s) is refused', async (_name, headers, status) => {
    const url = await serve();
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.write(`GET /stomp HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${headers}\r\n\r\n`);
    const answer = await new Promise<string>((resolve) => socket.once('data', (bytes) => resolve(String(bytes))));
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status}`));
    socket.destroy();
  });

  test('a peer that connects and says nothing is dropped when the handshake time is over', async () => {
    const url = await serve({ handshakeTimeoutMs: 100 });
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.resume();
    await new Promise((resolve) => socket.once('close', resolve));
  });

  test('headers beyond the limit of http are 431', async () => {
    const url = await serve();
    const raw = await upgrade(url, [`X-Long: ${'x'.repeat(20_000)}`]);
    expect(raw.answer).toMatch(/^HTTP\/1.1 431/);
  });

  test('closing the listener leaves open channels alone', async () => {
    const { near, far } = await both();
    await listener?.close();
    near.channel.write(utf8('still here'));
    await far.until(() => far.text === 'still here');
  });

  test("a door on somebody's server shares it: other requests, other upgrades, and its close", async () => {
    const server = createServer((_request, response) => response.end('the console'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const base = `127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
    let channel: Channel | undefined;
    const door = attachWebSocket(server, { path: '/stomp' }, (one) => {
      channel = one;
      one.open(new Owner(one, { opened: false }));
    });
    expect(await (await fetch(`http://${base}/`)).text()).toBe('the console');
    (await dial(`ws://${base}/stomp`)).destroy();
    expect(channel?.peer.address).toBe('127.0.0.1');
    const theirs = (_request: unknown, socket: { end(text: string): void }): void =>
      socket.end('HTTP/1.1 418 Mine\r\n\r\n');
    server.on('upgrade', theirs);
    expect((await upgrade(`ws://${base}`, [], '/other')).answer).toMatch(/^HTTP\/1.1 418/);
    door.close();
    door.close();
    expect(server.listeners('upgrade')).toEqual([theirs]);
    server.closeAllConnections();
    server.close();
  });
});

// A WebSocket as browsers have it: no pause, no drain, close codes restricted.
class Standard implements WebSocketLike {
  binaryType = 'blob';
  bufferedAmount = 0;
  readonly protocol = 'v12.stomp';
  readonly sent: (string | Uint8Array)[] = [];
  readonly closes: (number | undefined)[] = [];
  readonly #listeners = new Map<string, Set<(event: WebSocketLikeEvent) => void>>();

  send(data: string | Uint8Array<ArrayBuffer>): void {
    this.sent.push(data);
    this.bufferedAmount += data.length;
  }

  close(code?: number): void {
    if (code !== undefined && code !== 1000 && (code < 3000 || code > 4999)) throw new RangeError('InvalidAccessError');
    this.closes.push(code);
  }

  addEventListener(type: string, listener: (event: WebSocketLikeEvent) => void): void {
    const all = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, all.add(listener));
  }

  removeEventListener(type: string, listener: (event: WebSocketLikeEvent) => void): void {
    this.#listeners.get(type)?.delete(listener);
  }

  fire(event: WebSocketLikeEvent): void {
    for (const listener of this.#listeners.get(event.type) ?? []) listener(event);
  }

  listening(...types: string[]): number {
    return types.reduce((sum, type) => sum + (this.#listeners.get(type)?.size ?? 0), 0);
  }
}

describe('over a WebSocket that cannot pause', () => {
  async function opened(webSocket: NonNullable<DialOptions['webSocket']> = {}): Promise<[Standard, Owner]> {
    const socket = new Standard();
    const dialling = dialInBrowser('wss://broker/stomp?token=hush', {
      webSocket: { factory: () => socket, ...webSocket },
    });
    await Promise.resolve();
    socket.fire({ type: 'open' });
    const owner = new Owner(await dialling);
    await Promise.resolve();
    return [socket, owner];
  }

  test('the URL and the offer are handed to the factory; the query is kept out of the printed peer', async () => {
    const seen: unknown[] = [];
    const socket = new Standard();
    const factory = (...given: unknown[]): Standard => {
      seen.push(...given);
      return socket;
    };
    const dialling = dialInBrowser('wss://app:hush@broker/stomp?token=hush', { webSocket: { factory } });
    await Promise.resolve();
    socket.fire({ type: 'open' });
    const channel = await dialling;
    expect(seen).toEqual(['wss://broker/stomp?token=hush', ['v12.stomp', 'v11.stomp', 'v10.stomp']]);
    expect(channel.peer.remote).toBe('wss://broker/stomp');
    expect(socket.binaryType).toBe('arraybuffer');
    channel.destroy();
  });

  test('what comes while paused is kept within the bound and handed over on resume', async () => {
    const [socket, owner] = await opened();
    owner.channel.pause();
    socket.fire({ type: 'message', data: 'one ' });
    socket.fire({ type: 'message', data: utf8('two').slice().buffer });
    socket.fire({ type: 'close', code: 1000, reason: '' });
    await Promise.resolve();
    expect(owner.diary).toEqual([]);
    owner.channel.resume();
    expect(await owner.whenClosed()).toEqual({ code: 1000, reason: '' });
    expect(owner.text).toBe('one two');
  });

  test('more than maxBufferedBytes while paused is too-large, and the peer is told 4009', async () => {
    const [socket, owner] = await opened({ maxBufferedBytes: 10 });
    owner.channel.pause();
    socket.fire({ type: 'message', data: '0123456789' });
    expect(socket.closes).toEqual([]);
    socket.fire({ type: 'message', data: '!' });
    const end = await owner.whenClosed();
    expect(end).toMatchObject({ code: 1009, error: { code: 'too-large' } });
    expect(end.error?.message).toContain('maxBufferedBytes');
    expect(socket.closes).toEqual([4009]);
    expect(owner.received).toBe(0);
  });

  test('above the mark write answers false; drain comes when bufferedAmount has fallen', async () => {
    const [socket, owner] = await opened();
    expect(owner.channel.write(new Uint8Array(1000))).toBe(true);
    expect(owner.channel.write(new Uint8Array(100_000))).toBe(false);
    expect(owner.channel.buffered).toBe(101_000);
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(owner.diary).toEqual([]);
    socket.bufferedAmount = 0;
    await owner.until(() => owner.drains === 1);
    owner.channel.destroy();
  });

  test('close codes scripts may not send go out 3000 higher (WHATWG)', async () => {
    const [socket, owner] = await opened();
    owner.channel.end(1002, 'malformed');
    socket.fire({ type: 'close', code: 4002, reason: 'malformed' });
    expect(socket.closes).toEqual([4002]);
    expect((await owner.whenClosed()).error).toBeUndefined();
  });

  test('after closed no listener and no timer is left', async () => {
    const quiet = running();
    const [socket, owner] = await opened();
    owner.channel.write(new Uint8Array(100_000));
    owner.channel.destroy();
    await owner.whenClosed();
    expect(socket.listening('open', 'message', 'close')).toBe(0);
    expect(running()).toBe(quiet);
  });

  test('a socket that closes before it opens is a handshake error', async () => {
    const socket = new Standard();
    const dialling = dialInBrowser('ws://broker/', { webSocket: { factory: () => socket } });
    await Promise.resolve();
    socket.fire({ type: 'error' });
    socket.fire({ type: 'close', code: 1006, reason: '' });
    await expect(dialling).rejects.toMatchObject({ code: 'handshake' });
    expect(socket.listening('open', 'message', 'close')).toBe(0);
  });

  test('abort closes the socket that was connecting', async () => {
    const socket = new Standard();
    const abort = new AbortController();
    const dialling = dialInBrowser('ws://broker/', { signal: abort.signal, webSocket: { factory: () => socket } });
    await Promise.resolve();
    abort.abort();
    await expect(dialling).rejects.toMatchObject({ code: 'aborted' });
    expect(socket.closes).toEqual([undefined]);
  });

  test.each<[string, DialOptions, RegExp]>([
    ['tcp://broker', {}, /can dial ws: and wss: only/],
    ['ws://broker', { tls: { verify: false } }, /no way to set tls/],
    ['ws://broker', { webSocket: { headers: { Cookie: 'a' } } }, /no way to set headers/],
  ])('a browser refuses what it cannot do: %s %j', async (url, options, sentence) => {
    const refused = dialInBrowser(url, options);
    await expect(refused).rejects.toBeInstanceOf(TransportError);
    await expect(refused).rejects.toMatchObject({ code: 'unsupported', message: expect.stringMatching(sentence) });
  });
});
