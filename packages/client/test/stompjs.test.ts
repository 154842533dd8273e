// Where `@stompbox/client/stompjs` does better than what it stands in for, one test a line of
// docs/coming-from/stompjs.md; with a socket by hand and a clock by hand.

import {
  ActivationState,
  Client,
  type IMessage,
  ReconnectionTimeMode,
  type SocketCloseEvent,
  type SocketErrorEvent,
  Stomp,
  type StompConfig,
  StompSocketState,
  Versions,
} from '@stompbox/client/stompjs';
import { ManualClock } from 'testkit';
import { expect, test } from 'vitest';

const CONNECTED = 'CONNECTED\nversion:1.2\nheart-beat:0,0\n\n\0';

/** A socket whose other end is the test. */
class Socket {
  url = 'ws://by.hand/';
  readyState: StompSocketState = StompSocketState.CONNECTING;
  onopen: (() => unknown) | null = null;
  onmessage: ((event: { data: string }) => unknown) | null = null;
  onerror: ((event: SocketErrorEvent) => unknown) | null = null;
  onclose: ((event: SocketCloseEvent) => unknown) | null = null;
  readonly sent: (string | Uint8Array)[] = [];

  send(data: string | Uint8Array): void {
    this.sent.push(data);
  }
  /** Begins to close; whether it ever has closed is the test's to say. */
  close(): void {
    this.readyState = StompSocketState.CLOSING;
  }

  open(): void {
    this.readyState = StompSocketState.OPEN;
    this.onopen?.();
  }
  closed(event: SocketCloseEvent = { code: 1000 }): void {
    this.readyState = StompSocketState.CLOSED;
    this.onclose?.(event);
  }
  says(data: string): void {
    this.onmessage?.({ data });
  }
  get last(): string {
    return String(this.sent.at(-1));
  }
}

function laid(conf: StompConfig = {}) {
  const clock = new ManualClock();
  const sockets: Socket[] = [];
  const lines: string[] = [];
  const errors: unknown[] = [];
  const closes: SocketCloseEvent[] = [];
  const client = new Client({
    clock,
    webSocketFactory: () => {
      const socket = new Socket();
      sockets.push(socket);
      return socket;
    },
    debug: (line) => lines.push(line),
    onWebSocketError: ({ error }) => errors.push(error),
    onWebSocketClose: (event) => closes.push(event),
    ...conf,
  });
  return { clock, sockets, lines, errors, closes, client };
}

async function connected(conf: StompConfig = {}, answer = CONNECTED) {
  const all = laid(conf);
  all.client.activate();
  await all.clock.advance(0);
  const [socket] = all.sockets;
  if (socket === undefined) throw new Error('no socket was made');
  socket.open();
  socket.says(answer);
  return { ...all, socket };
}

function message(more = ''): string {
  return `MESSAGE\nsubscription:sub-0\nmessage-id:1\ndestination:/queue/a\n${more}\n\0`;
}

test('a beforeConnect that throws is a failed attempt: it is heard of, and the next one follows', async () => {
  let calls = 0;
  const failure = new Error('no token');
  const { client, clock, sockets, errors } = laid({
    reconnectDelay: 100,
    beforeConnect: () => {
      if (++calls === 1) throw failure;
    },
  });
  client.activate();
  await clock.advance(0);
  expect([errors, sockets.length]).toEqual([[failure], 0]);
  await clock.advance(100);
  expect([calls, sockets.length, client.active]).toEqual([2, 1, true]);
});

test('a webSocketFactory that throws is one too', async () => {
  const failure = new Error('no socket');
  const { client, clock, errors } = laid({
    reconnectDelay: 100,
    webSocketFactory: () => {
      throw failure;
    },
  });
  client.activate();
  await clock.advance(250);
  expect(errors).toEqual([failure, failure, failure]);
  await client.deactivate();
  expect(clock.alarms).toBe(0);
});

test('deactivate resolves where DISCONNECT is never answered and the socket never closes', async () => {
  const { client, clock, socket, closes } = await connected();
  let left = false;
  const leaving = client.deactivate().then(() => {
    left = true;
  });
  expect(socket.last).toMatch(/^DISCONNECT\n/);
  await clock.advance(4_999);
  expect([left, socket.readyState]).toEqual([false, StompSocketState.OPEN]);
  await clock.advance(1);
  expect(socket.readyState).toBe(StompSocketState.CLOSING);
  await clock.advance(2_000);
  await leaving;
  expect(closes).toMatchObject([{ code: 4001, wasClean: false }]);
  expect([client.state, clock.alarms]).toEqual([ActivationState.INACTIVE, 0]);
});

test('deactivate by force overtakes a deactivate that waits, and both resolve', async () => {
  const { client } = await connected();
  const patient = client.deactivate();
  await client.deactivate({ force: true });
  await patient;
  expect(client.webSocket).toBe(undefined);
});

test('what a beforeConnect resolves to after deactivate and activate starts no second connection', async () => {
  const waiting: (() => void)[] = [];
  const { client, clock, sockets } = laid({
    beforeConnect: () =>
      new Promise((resolve) => {
        waiting.push(resolve);
      }),
  });
  client.activate();
  await client.deactivate();
  client.activate();
  for (const go of waiting) go();
  await clock.advance(0);
  expect(sockets.length).toBe(1);
});

test('an application that activates in onWebSocketClose, or deactivates first, gets one connection', async () => {
  for (const again of [
    (client: Client) => client.activate(),
    (client: Client) => void client.deactivate().then(() => client.activate()),
  ]) {
    const { client, clock, sockets, socket } = await connected({ reconnectDelay: 100 });
    client.onWebSocketClose = () => again(client);
    const left = client.deactivate({ force: true });
    socket.closed();
    await left;
    client.activate();
    await clock.advance(1_000);
    expect(sockets.length).toBe(2);
    client.onWebSocketClose = () => {};
    await client.deactivate({ force: true });
    expect(clock.alarms).toBe(0);
  }
});

test('an ack that belongs to a former connection is not sent to the next one', async () => {
  const { client, clock, sockets, socket, lines } = await connected({ reconnectDelay: 10 });
  let came: IMessage | undefined;
  client.subscribe(
    '/queue/a',
    (one) => {
      came = one;
    },
    { ack: 'client' },
  );
  socket.says(message('ack:a1\n'));
  socket.closed({ code: 1006 });
  await clock.advance(10);
  sockets[1]?.open();
  sockets[1]?.says(CONNECTED);
  const before = [socket.sent.length, sockets[1]?.sent.length];
  came?.ack();
  expect([socket.sent.length, sockets[1]?.sent.length]).toEqual(before);
  expect(lines.at(-1)).toBe('ACK is not sent: the connection that delivered the message is gone');
});

test('a second ack of a message, a second unsubscribe, and an ack that nobody waits for are not sent', async () => {
  const { client, socket, lines } = await connected();
  const came: IMessage[] = [];
  const subscription = client.subscribe('/queue/a', (one) => came.push(one), { ack: 'client' });
  client.subscribe('/queue/b', (one) => came.push(one));
  socket.says(message('ack:a1\n'));
  socket.says(message().replace('sub-0', 'sub-1'));
  came[0]?.ack();
  const { length } = socket.sent;
  came[0]?.ack();
  came[0]?.nack();
  came[1]?.ack();
  client.ack('unheard-of', 'sub-0');
  expect(socket.sent.length).toBe(length);
  subscription.unsubscribe();
  subscription.unsubscribe();
  expect(socket.sent.length).toBe(length + 1);
  expect(lines.filter((line) => line.includes('is not sent')).length).toBe(5);
});

test('what a callback throws is heard of, and the frames behind it are still read', async () => {
  const thrown: unknown[] = [];
  const got: string[] = [];
  const { client, socket } = await connected({ onCallbackError: (error) => thrown.push(error) });
  const failure = new Error('of the handler');
  client.subscribe('/queue/a', ({ headers }) => {
    got.push(headers['message-id'] ?? '');
    if (got.length === 1) throw failure;
  });
  socket.says(message() + message().replace('message-id:1', 'message-id:2'));
  expect([got, thrown]).toEqual([['1', '2'], [failure]]);
});

test('header values are escaped in STOMP 1.1 as in 1.2, and unescaped in one pass', async () => {
  const { client, socket } = await connected({ stompVersions: new Versions(['1.1']) }, CONNECTED.replace('1.2', '1.1'));
  client.publish({ destination: '/queue/a', headers: { x: 'a:b\\n' } });
  expect(socket.last).toBe('SEND\ndestination:/queue/a\nx:a\\cb\\\\n\n\n\0');
  let came: IMessage | undefined;
  client.subscribe('/queue/a', (one) => {
    came = one;
  });
  socket.says(message('x:a\\cb\\\\n\n'));
  expect(came?.headers.x).toBe('a:b\\n');
});

test('a header that would smuggle another one in is refused, in CONNECT as an attempt that failed', async () => {
  const { client, clock, sockets, errors } = laid({ connectHeaders: { login: 'me\nadmin:true' }, reconnectDelay: 0 });
  client.activate();
  await clock.advance(0);
  sockets[0]?.open();
  expect(sockets[0]?.sent).toEqual([]);
  expect(errors).toMatchObject([{ name: 'UsageError', code: 'unencodable' }]);
});

test('a content-length of the application is replaced by the right one, and undefined headers are left out', async () => {
  const { client, socket } = await connected();
  const headers: Record<string, string> = JSON.parse('{"content-length":"99","x":null}');
  client.publish({ destination: '/queue/a', body: 'é', headers });
  expect(socket.last).toBe('SEND\ndestination:/queue/a\ncontent-length:2\n\né\0');
});

test('a wrong content-length of the broker ends the connection instead of losing the next message', async () => {
  const { client, socket, errors } = await connected({ reconnectDelay: 0 });
  const got: IMessage[] = [];
  client.subscribe('/queue/a', (one) => got.push(one));
  socket.says(message('content-length:2\n') + message());
  expect(got).toEqual([]);
  expect(errors).toMatchObject([{ name: 'ProtocolError' }]);
  expect(socket.readyState).toBe(StompSocketState.CLOSING);
});

test.each([
  ['a frame that no server may send', 'SEND\ndestination:/queue/a\n\n\0'],
  ['a frame of no command', 'HELLO\n\n\0'],
  ['a body of more than 64 MiB', message('content-length:70000000\n').slice(0, -1)],
])('%s ends the connection, and onWebSocketError hears why', async (_, said) => {
  const { socket, errors } = await connected();
  socket.says(said);
  expect(errors).toMatchObject([{ name: 'ProtocolError' }]);
  expect(socket.readyState).toBe(StompSocketState.CLOSING);
});

test('an ERROR ends the connection within a second where the broker does not', async () => {
  const { client, clock, socket } = await connected();
  socket.says('ERROR\nmessage:no\n\n\0');
  expect(client.connected).toBe(false);
  await clock.advance(999);
  expect(socket.readyState).toBe(StompSocketState.OPEN);
  await clock.advance(1);
  expect(socket.readyState).toBe(StompSocketState.CLOSING);
});

test('an ERROR that names a subscription ends that one only', async () => {
  const refused: string[] = [];
  const { client, clock, socket } = await connected({
    onStompError: ({ headers }) => refused.push(headers.message ?? ''),
  });
  const subscription = client.subscribe('/queue/a', () => {});
  socket.says(`ERROR\nmessage:cancelled\nsubscription:${subscription.id}\n\n\0`);
  await clock.advance(5_000);
  expect([refused, client.connected]).toEqual([['cancelled'], true]);
});

test('what a broker would end the connection for is thrown at the call, and nothing is sent', async () => {
  const { client, socket } = await connected();
  client.subscribe('/queue/a', () => {}, { id: 'one' });
  const { length } = socket.sent;
  expect(() => client.subscribe('/queue/b', () => {}, { id: 'one' })).toThrow(
    expect.objectContaining({ code: 'duplicate-subscription' }),
  );
  expect(() => client.commit('none')).toThrow(expect.objectContaining({ code: 'unknown-transaction' }));
  expect(socket.sent.length).toBe(length);
});

test('a receipt id may be used again, also where the first RECEIPT never came', async () => {
  const { client, socket } = await connected();
  const publish = () => client.publish({ destination: '/queue/a', headers: { receipt: 'same' } });
  publish();
  publish();
  let heard = 0;
  client.watchForReceipt('same', () => {
    heard++;
  });
  socket.says('RECEIPT\nreceipt-id:same\n\n\0');
  expect(heard).toBe(1);
});

test('blanks around a header value are kept', async () => {
  const { client, socket } = await connected();
  let came: IMessage | undefined;
  client.subscribe('/queue/a', (one) => {
    came = one;
  });
  socket.says(message('x: a \n'));
  expect(came?.headers.x).toBe(' a ');
});

test('splitLargeFrames cuts no character in two', async () => {
  const { client, socket } = await connected({ splitLargeFrames: true, maxWebSocketChunkSize: 64 });
  const { length } = socket.sent;
  client.publish({ destination: '/queue/a', body: '😀'.repeat(60) });
  for (const piece of socket.sent.slice(length)) expect(() => encodeURIComponent(String(piece))).not.toThrow(); // as a lone surrogate would
});

test('no secret reaches debug', async () => {
  const { lines } = await connected({
    connectHeaders: { login: 'me', passcode: 's3cret', Authorization: 'Bearer t0ken' },
  });
  expect(lines.join('\n')).toContain('login:me');
  expect(lines.join('\n')).not.toMatch(/s3cret|t0ken/);
});

test('connectionTimeout of an attempt that failed does not end the next one', async () => {
  const { client, clock, sockets } = laid({ connectionTimeout: 1_000, reconnectDelay: 900 });
  client.activate();
  await clock.advance(0);
  sockets[0]?.closed({ code: 1006 });
  await clock.advance(900);
  await clock.advance(500);
  expect(sockets[1]?.readyState).toBe(StompSocketState.CONNECTING);
});

test('after a lost heart-beat a socket that does not close is not waited for', async () => {
  const { client, clock, sockets } = await connected(
    { heartbeatIncoming: 1_000, heartbeatOutgoing: 0, reconnectDelay: 100 },
    CONNECTED.replace('0,0', '1000,0'),
  );
  await clock.advance(2_000 + 2_000 + 100);
  expect([sockets.length, client.active]).toEqual([2, true]);
});

test('attempts are reconnectDelay apart, or twice as far each time up to maxReconnectDelay', async () => {
  for (const [reconnectTimeMode, expected] of [
    [ReconnectionTimeMode.LINEAR, [100, 100, 100, 100]],
    [ReconnectionTimeMode.EXPONENTIAL, [100, 200, 300, 300]],
  ] as const) {
    const { client, clock, sockets } = laid({ reconnectTimeMode, reconnectDelay: 100, maxReconnectDelay: 300 });
    client.activate();
    await clock.advance(0);
    for (const delay of expected) {
      const { length } = sockets;
      sockets.at(-1)?.closed({ code: 1006 });
      await clock.advance(delay - 1);
      expect(sockets.length).toBe(length);
      await clock.advance(1);
      expect(sockets.length).toBe(length + 1);
    }
    sockets.at(-1)?.open();
    sockets.at(-1)?.says(CONNECTED);
    sockets.at(-1)?.closed({ code: 1006 });
    const { length } = sockets;
    await clock.advance(100);
    expect(sockets.length).toBe(length + 1);
    await client.deactivate({ force: true });
    expect(clock.alarms).toBe(0);
  }
});

test('a debug that throws costs no frame', async () => {
  const thrown: unknown[] = [];
  const failure = new Error('of debug');
  const { socket } = await connected({
    debug: () => {
      throw failure;
    },
    onCallbackError: (error) => thrown.push(error),
  });
  expect(socket.sent.length).toBe(1);
  expect(new Set(thrown)).toEqual(new Set([failure]));
});

test('a client whose debug is null is silent, and Stomp clients print nothing of themselves', async () => {
  const { client } = await connected({ debug: null });
  client.publish({ destination: '/queue/a' });
  expect(client.connected).toBe(true);
  const { debug } = Stomp.over(() => new Socket());
  expect(debug('nothing is printed')).toBe(undefined);
});
