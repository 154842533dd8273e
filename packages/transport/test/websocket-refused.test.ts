// What a dialler is told where there is no STOMP over WebSocket: an HTTP answer, SockJS, a close that has a known cause.

import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { dial } from '../src/dial.ts';
import { Owner, running, turnsUntil, utf8 } from './support.ts';

let server: Server | undefined;
let sockets: WebSocketServer | undefined;

afterEach(() => {
  sockets?.close();
  server?.closeAllConnections();
  server?.close();
  server = sockets = undefined;
});

/** A server that answers every upgrade with HTTP. */
function answering(answer: (response: ServerResponse) => void): Promise<string> {
  return listening(createServer((_request, response) => answer(response)));
}

/** One that opens WebSockets. */
function opening(connected: (socket: WebSocket) => void): Promise<string> {
  const http = createServer();
  sockets = new WebSocketServer({ server: http });
  sockets.on('connection', connected);
  return listening(http);
}

async function listening(http: Server): Promise<string> {
  server = http;
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  return `ws://127.0.0.1:${(http.address() as AddressInfo).port}`;
}

describe('an HTTP answer instead of a WebSocket', () => {
  test.each([
    [401, 'unauthorized', '401 Unauthorized'],
    [403, 'unauthorized', '403 Forbidden'],
    [404, 'handshake', '404 Not Found; RabbitMQ has its WebSocket at /ws'],
    [200, 'handshake', '200 OK; there are web pages at this path, and no WebSocket'],
    [302, 'handshake', '302 Found'],
    [503, 'handshake', '503 Service Unavailable'],
  ])('P27: %i is told as %s, with its status', async (status, code, words) => {
    const url = await answering((response) => response.writeHead(status).end('<html>'));
    const refused = dial(`${url}/stomp?token=hush`);
    await expect(refused).rejects.toMatchObject({ code, status, message: expect.stringContaining(words) });
    await expect(refused).rejects.toMatchObject({ message: expect.not.stringContaining('hush') });
  });

  test.each([
    ["Spring's greeting", 200, 'Welcome to SockJS!\n'],
    ["sockjs-node's refusal", 400, 'Can "Upgrade" only to "WebSocket".'],
    ['a page that says so', 404, 'Not Found in SockJS'],
  ])('P19: %s is explained: append /websocket (W-16)', async (_name, status, body) => {
    const url = await answering((response) => response.writeHead(status).end(body));
    await expect(dial(`${url}/ws`)).rejects.toMatchObject({
      code: 'handshake',
      status,
      message: expect.stringContaining('this is a SockJS endpoint: append /websocket'),
    });
    const appended = dial(`${url}/ws/websocket`);
    await expect(appended).rejects.toMatchObject({ message: expect.not.stringContaining('append') });
  });

  test('a body that never comes does not keep the status back, and leaves nothing running', async () => {
    const quiet = running();
    const url = await answering((response) => {
      response.writeHead(401, { 'Content-Length': '10' });
      response.flushHeaders();
    });
    await expect(dial(url)).rejects.toMatchObject({ code: 'unauthorized', status: 401 });
    server?.closeAllConnections();
    server?.close();
    await turnsUntil(
      () => running().length <= quiet.length,
      () => running(),
    );
  });

  test('a connection that is cut in the middle of the body is a failure like any other', async () => {
    const url = await answering((response) => {
      response.writeHead(404, { 'Content-Length': '10' });
      response.flushHeaders();
      setImmediate(() => response.destroy());
    });
    await expect(dial(url)).rejects.toMatchObject({ name: 'TransportError' });
  });
});

test('P19: a SockJS session is recognised by its first frame (W-16)', async () => {
  const url = await opening((socket) => socket.send('o'));
  const owner = new Owner(await dial(`${url}/ws/000/abc/websocket`));
  const { error } = await owner.whenClosed();
  expect(error).toMatchObject({ code: 'protocol', message: expect.stringContaining('/websocket appended') });
  expect(owner.received).toBe(0);
});

test('an o that is not the first message is content', async () => {
  const url = await opening((socket) => {
    socket.send('\n');
    socket.send('o');
  });
  const owner = new Owner(await dial(url));
  await owner.until(() => owner.text === '\no');
  owner.channel.end();
  await owner.whenClosed();
});

test.each([
  [1009, 'too-large', 'webSocket.splitOver'],
  [1011, 'reset', 'its log tells'],
  [4500, 'reset', 'reader that was too slow'],
])('P6: close %i tells the probable cause', async (code, kind, words) => {
  const url = await opening((socket) => socket.close(code, 'sorry'));
  const owner = new Owner(await dial(url));
  expect((await owner.whenClosed()).error).toMatchObject({ code: kind, message: expect.stringContaining(words) });
  expect(owner.end).toMatchObject({ code, reason: 'sorry' });
});

describe.each([
  ['ws', {}],
  ['WHATWG', { factory: (url: string, protocols: string[]) => new WebSocket(url, protocols) }],
])('splitOver over %s', (_name, made) => {
  async function messages(splitOver: number | undefined, ...writes: Uint8Array[]): Promise<[string[], Buffer]> {
    const heard: Buffer[] = [];
    const kinds: string[] = [];
    let told: () => void = () => {};
    const gone = new Promise<void>((resolve) => {
      told = resolve;
    });
    const url = await opening((socket) => {
      socket.on('message', (data: Buffer, isBinary) => {
        heard.push(data);
        kinds.push(`${isBinary ? 'binary' : 'text'} ${data.length}`);
      });
      socket.on('close', told);
    });
    const split = splitOver === undefined ? {} : { splitOver };
    const owner = new Owner(await dial(url, { webSocket: { ...made, ...split } }));
    for (const bytes of writes) owner.channel.write(bytes);
    owner.channel.end();
    await owner.whenClosed();
    await gone;
    return [kinds, Buffer.concat(heard)];
  }

  test('P6: a long frame goes out as several messages, a short one as one', async () => {
    const long = utf8('x'.repeat(2_500));
    const [kinds, bytes] = await messages(1_000, long, utf8('short'));
    expect(kinds).toEqual(['text 1000', 'text 1000', 'text 500', 'text 5']);
    expect(bytes.toString()).toBe(`${'x'.repeat(2_500)}short`);
  });

  test('P6: no character is cut in two, so that text stays text (W-07)', async () => {
    const text = 'aπ€😀'.repeat(30);
    for (const size of [1, 4, 5, 7, 64]) {
      const [kinds, bytes] = await messages(size, utf8(text));
      expect(bytes.toString()).toBe(text);
      expect(kinds.length).toBeGreaterThan(4);
      for (const kind of kinds) expect(kind).toMatch(/^text/);
    }
  });

  test('bytes that are no text are cut as well', async () => {
    const octets = new Uint8Array(100).fill(0x80);
    const [kinds, bytes] = await messages(30, octets);
    expect(kinds).toEqual(['binary 30', 'binary 30', 'binary 30', 'binary 10']);
    expect(new Uint8Array(bytes)).toEqual(octets);
  });

  test('unless asked for, a frame is one message, however long (W-05)', async () => {
    const [kinds] = await messages(undefined, new Uint8Array(300_000));
    expect(kinds).toEqual(['text 300000']);
  });
});
