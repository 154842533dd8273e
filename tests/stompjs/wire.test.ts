// The same tests for @stomp/stompjs and for ours, against a broker that says what the test
// wants and shows every message of the socket as it came.

import { once } from 'node:events';
import type { IFrame, IMessage } from '@stompbox/client/stompjs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { Inbox } from '../real-peers/inbox.ts';
import { awaited, type Client, installWebSocket, MODULES } from './modules.ts';

installWebSocket();

const CONNECTED = 'CONNECTED\nversion:1.2\nheart-beat:0,0\n\n\0';

describe.each(MODULES)('%s', (_, stomp) => {
  const { Client, FrameImpl, Parser, Versions } = stomp;
  let server: WebSocketServer;
  let heard: Inbox<string | Uint8Array>;
  let sockets: Inbox<WebSocket>;
  const clients: Client[] = [];

  beforeEach(async () => {
    heard = new Inbox('a message of the socket');
    sockets = new Inbox('a socket');
    server = new WebSocketServer({ port: 0, host: '127.0.0.1', handleProtocols: () => 'v12.stomp' });
    server.on('connection', (socket) => {
      socket.on('message', (data: Buffer, isBinary) => heard.put(isBinary ? new Uint8Array(data) : data.toString()));
      sockets.put(socket);
    });
    await once(server, 'listening');
  });

  afterEach(async () => {
    for (const client of clients.splice(0)) await client.deactivate({ force: true });
    for (const socket of server.clients) socket.terminate();
    server.close();
    await once(server, 'close');
  });

  function made(conf: ConstructorParameters<typeof Client>[0] = {}): Client {
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    const client = new Client({ brokerURL: `ws://127.0.0.1:${port}/`, reconnectDelay: 0, ...conf });
    clients.push(client);
    return client;
  }

  /** A client that is connected, and the broker's end of its socket. */
  async function connected(conf: ConstructorParameters<typeof Client>[0] = {}, answer = CONNECTED) {
    const client = made(conf);
    const came = awaited<IFrame>('CONNECTED');
    client.onConnect = came.resolve;
    client.activate();
    const socket = await sockets.take();
    const connect = await heard.take();
    socket.send(answer);
    await came.promise;
    return { client, socket, connect };
  }

  test('CONNECT carries the connectHeaders, unescaped, and no host that nobody gave', async () => {
    const { connect } = await connected({ connectHeaders: { login: 'a:b', passcode: 'c', 'client-id': 'd' } });
    const [command, ...lines] = String(connect).split('\n');
    expect(command).toBe('CONNECT');
    expect(lines).toEqual(expect.arrayContaining(['login:a:b', 'passcode:c', 'client-id:d', 'heart-beat:10000,10000']));
    expect(String(connect)).not.toContain('\nhost:');
  });

  test('text goes out as text and octets as octets', async () => {
    const { client } = await connected();
    client.publish({ destination: '/queue/a', body: 'é', headers: { a: 'b:c' } });
    expect(await heard.take()).toBe('SEND\ndestination:/queue/a\na:b\\cc\ncontent-length:2\n\né\0');
    client.publish({ destination: '/queue/a', binaryBody: new Uint8Array([1]) });
    expect(await heard.take()).toEqual(
      new TextEncoder().encode('SEND\ndestination:/queue/a\ncontent-length:1\n\n\u0001\0'),
    );
  });

  test('splitLargeFrames cuts text, and only text', async () => {
    const { client } = await connected({ splitLargeFrames: true, maxWebSocketChunkSize: 100 });
    client.publish({ destination: '/queue/a', body: 'x'.repeat(200) });
    const pieces = [await heard.take(), await heard.take(), await heard.take()];
    expect(pieces.map((piece) => piece.length)).toEqual([100, 100, 47]);
    expect(pieces.join('')).toBe(`SEND\ndestination:/queue/a\ncontent-length:200\n\n${'x'.repeat(200)}\0`);
    client.publish({ destination: '/queue/a', binaryBody: new Uint8Array(200) });
    expect((await heard.take()).length).toBe(247);
  });

  test('appendMissingNULLonIncoming ends frames that React Native cut', async () => {
    const { client, socket } = await connected({ appendMissingNULLonIncoming: true }, CONNECTED.slice(0, -1));
    const came = awaited<IMessage>('a message');
    client.subscribe('/queue/a', came.resolve, { id: 'a' });
    socket.send('MESSAGE\nsubscription:a\nmessage-id:1\ndestination:/queue/a\n\nhello');
    expect((await came.promise).body).toBe('hello');
  });

  test('a message in pieces and two in one chunk are the same to a subscriber', async () => {
    const { client, socket } = await connected();
    const inbox = new Inbox<IMessage>('a message');
    client.subscribe('/queue/a', (message) => inbox.put(message), { id: 'a' });
    const message = (body: string) =>
      `MESSAGE\nsubscription:a\nmessage-id:1\ndestination:/queue/a\ncontent-length:${body.length}\n\n${body}\0`;
    const whole = message('one');
    socket.send(whole.slice(0, 10));
    socket.send(Buffer.from(whole.slice(10, 70)));
    socket.send(whole.slice(70) + message('t\0o') + message('three'));
    expect([(await inbox.take()).body, (await inbox.take()).body, (await inbox.take()).body]).toEqual([
      'one',
      't\0o',
      'three',
    ]);
  });

  test('the first of a repeated header counts, and header values are unescaped', async () => {
    const { client, socket } = await connected();
    const came = awaited<IMessage>('a message');
    client.subscribe('/queue/a', came.resolve, { id: 'a' });
    socket.send('MESSAGE\nsubscription:a\nmessage-id:1\ndestination:/queue/a\nx:a\\cb\\nc\nx:second\n\n\0');
    expect((await came.promise).headers.x).toBe('a:b\nc');
  });

  test('a message of no subscription goes to onUnhandledMessage', async () => {
    const { client, socket } = await connected();
    const came = awaited<IMessage>('a message');
    client.onUnhandledMessage = came.resolve;
    socket.send('MESSAGE\nsubscription:/temp-queue/a\nmessage-id:1\ndestination:/queue/a\n\nreply\0');
    expect((await came.promise).body).toBe('reply');
  });

  test('an ERROR instead of CONNECTED goes to onStompError', async () => {
    const client = made();
    const came = awaited<IFrame>('an ERROR');
    const closed = awaited<void>('the close');
    client.onStompError = came.resolve;
    client.onWebSocketClose = () => closed.resolve();
    client.activate();
    const socket = await sockets.take();
    await heard.take();
    socket.send('ERROR\nmessage:Bad CONNECT\n\nno such user\0');
    socket.close();
    expect(await came.promise).toMatchObject({ headers: { message: 'Bad CONNECT' }, body: 'no such user' });
    await closed.promise;
  });

  test('onWebSocketClose hears the code and the reason', async () => {
    const { client, socket } = await connected();
    const closed = awaited<{ code?: number | undefined; reason?: string | undefined }>('the close');
    client.onWebSocketClose = closed.resolve;
    socket.close(4321, 'because');
    expect(await closed.promise).toMatchObject({ code: 4321, reason: 'because' });
  });

  test('ack and nack name the delivery as its version wants it', async () => {
    const { client, socket } = await connected();
    const came = awaited<IMessage>('a message');
    client.subscribe('/queue/a', came.resolve, { id: 'a', ack: 'client' });
    expect(await heard.take()).toContain('ack:client');
    socket.send('MESSAGE\nsubscription:a\nmessage-id:1\nack:a1\ndestination:/queue/a\n\n\0');
    (await came.promise).ack({ transaction1: 'x' });
    const ack = String(await heard.take());
    expect(ack.split('\n').sort()).toEqual(['', '\0', 'ACK', 'id:a1', 'subscription:a', 'transaction1:x']);
  });

  test('a silent broker is onHeartbeatLost, and then the socket closes', async () => {
    const lost = awaited<void>('the loss');
    const closed = awaited<void>('the close');
    await connected(
      {
        heartbeatIncoming: 20,
        heartbeatOutgoing: 0,
        heartbeatToleranceMultiplier: 1,
        onHeartbeatLost: () => lost.resolve(),
        onWebSocketClose: () => closed.resolve(),
      },
      CONNECTED.replace('0,0', '20,0'),
    );
    await lost.promise;
    await closed.promise;
  });

  test('FrameImpl.marshall writes a frame, text as text and octets as an ArrayBuffer', () => {
    const text = FrameImpl.marshall({
      command: 'SEND',
      headers: { destination: '/queue/a', x: 'a:b' },
      body: 'é',
      escapeHeaderValues: true,
    });
    expect(text).toBe('SEND\ndestination:/queue/a\nx:a\\cb\ncontent-length:2\n\né\0');
    const unannounced = FrameImpl.marshall({ command: 'SEND', headers: {}, body: 'a', skipContentLengthHeader: true });
    expect(unannounced).toBe('SEND\n\na\0');
    const octets = FrameImpl.marshall({ command: 'SEND', headers: {}, binaryBody: new Uint8Array([1, 0]) });
    expect(octets).toBeInstanceOf(ArrayBuffer);
    expect(new Uint8Array(octets as ArrayBuffer)).toEqual(
      new TextEncoder().encode('SEND\ncontent-length:2\n\n\u0001\0\0'),
    );
    expect(String(new FrameImpl({ command: 'BEGIN', headers: { transaction: 'a' } }))).toBe('BEGIN\ntransaction:a\n\n');
  });

  test('Parser gives raw frames and pings, and FrameImpl.fromRawFrame makes frames of them', () => {
    const frames: IFrame[] = [];
    let pings = 0;
    const parser = new Parser(
      (raw) => frames.push(FrameImpl.fromRawFrame(raw, true)),
      () => {
        pings++;
      },
    );
    parser.parseChunk('\n\r\nMESSAGE\nx:a\\cb\nx:c\ncontent-length:3\n\na');
    parser.parseChunk(new TextEncoder().encode('\0b\0').buffer);
    parser.parseChunk('RECEIPT\r\nreceipt-id:1\n\n', true);
    expect(pings).toBe(2);
    expect(frames.map(({ command, headers, body }) => ({ command, headers, body }))).toEqual([
      { command: 'MESSAGE', headers: { x: 'a:b', 'content-length': '3' }, body: 'a\0b' },
      { command: 'RECEIPT', headers: { 'receipt-id': '1' }, body: '' },
    ]);
  });

  test('Versions says what is offered in CONNECT and to the WebSocket', () => {
    const versions = new Versions(['1.2', '1.0']);
    expect(versions.supportedVersions()).toBe('1.2,1.0');
    expect(versions.protocolVersions()).toEqual(['v12.stomp', 'v10.stomp']);
    expect([Versions.V1_0, Versions.V1_1, Versions.V1_2]).toEqual(['1.0', '1.1', '1.2']);
    expect(Versions.default.supportedVersions()).toBe('1.2,1.1,1.0');
  });

  test('the constants have the values and the names of an enum', () => {
    const { ActivationState, ReconnectionTimeMode, StompSocketState, TickerStrategy } = stomp;
    expect({ ...ActivationState }).toEqual({
      ACTIVE: 0,
      DEACTIVATING: 1,
      INACTIVE: 2,
      0: 'ACTIVE',
      1: 'DEACTIVATING',
      2: 'INACTIVE',
    });
    expect({ ...ReconnectionTimeMode }).toEqual({ LINEAR: 0, EXPONENTIAL: 1, 0: 'LINEAR', 1: 'EXPONENTIAL' });
    expect(StompSocketState[StompSocketState.CLOSED]).toBe('CLOSED');
    expect({ ...TickerStrategy }).toEqual({ Interval: 'interval', Worker: 'worker' });
  });
});

test('ours exports what theirs exports', () => {
  const [[, theirs] = ['', {}], [, ours] = ['', {}]] = MODULES;
  expect(Object.keys(ours).sort()).toEqual(expect.arrayContaining(Object.keys(theirs).sort()));
});
