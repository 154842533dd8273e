// What an application of @stomp/stompjs relies on, the same tests for that and for ours,
// against our broker over WebSocket.

import { type Broker, createBroker } from '@stompbox/broker';
import type { IMessage } from '@stompbox/client/stompjs';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { Inbox, within } from '../real-peers/inbox.ts';
import { awaited, type Client, confirmed, connected, installWebSocket, MODULES } from './modules.ts';

installWebSocket();

describe.each(MODULES)('%s', (_, stomp) => {
  const { ActivationState, Client, ReconnectionTimeMode, Stomp, StompSocketState, TickerStrategy, Versions } = stomp;
  let broker: Broker;
  let brokerURL: string;
  const clients: Client[] = [];

  function made(conf: ConstructorParameters<typeof Client>[0] = {}): Client {
    const client = new Client({ brokerURL, reconnectDelay: 20, ...conf });
    clients.push(client);
    return client;
  }

  async function inboxOf(client: Client, destination: string, headers: Record<string, string> = {}) {
    const inbox = new Inbox<IMessage>(`a message from ${destination}`);
    let id = '';
    await confirmed(client, (receipt) => {
      id = client.subscribe(destination, (message) => inbox.put(message), { ...headers, ...receipt }).id;
    });
    return { inbox, id };
  }

  beforeEach(async () => {
    broker = await createBroker({ listen: ['ws://127.0.0.1:0'] });
    brokerURL = broker.urls[0] ?? '';
  });

  afterEach(async () => {
    for (const client of clients.splice(0)) await client.deactivate({ force: true });
    await broker.close();
  });

  test('activate connects by brokerURL, and onConnect gets CONNECTED', async () => {
    const client = made();
    const frame = await connected(client);
    expect(frame.command).toBe('CONNECTED');
    expect(frame.headers).toMatchObject({ version: '1.2' });
    expect([client.connected, client.active, client.connectedVersion]).toEqual([true, true, '1.2']);
    expect(client.webSocket?.readyState).toBe(StompSocketState.OPEN);
  });

  test('stompVersions decides what is offered', async () => {
    const client = made({ stompVersions: new Versions([Versions.V1_1]) });
    await connected(client);
    expect(client.connectedVersion).toBe('1.1');
  });

  test('webSocketFactory makes the socket and wins over brokerURL', async () => {
    const sockets: WebSocket[] = [];
    const client = made({
      brokerURL: 'ws://127.0.0.1:1',
      webSocketFactory: () => {
        const socket = new WebSocket(brokerURL, ['v12.stomp']);
        sockets.push(socket);
        return socket;
      },
    });
    await connected(client);
    expect(client.webSocket).toBe(sockets[0]);
  });

  test('beforeConnect is awaited before each attempt and may change the connectHeaders', async () => {
    const seen: string[] = [];
    const client = made({
      beforeConnect: async (self) => {
        await Promise.resolve();
        seen.push('before');
        self.connectHeaders = { 'client-id': 'me' };
      },
    });
    await connected(client);
    expect(seen).toEqual(['before']);
    client.forceDisconnect();
    await reconnected(client);
    expect(seen).toEqual(['before', 'before']);
  });

  test('a published text comes to its subscriber with its headers, body and octets', async () => {
    const client = made();
    await connected(client);
    const { inbox, id } = await inboxOf(client, '/queue/a');
    client.publish({ destination: '/queue/a', body: 'grüße', headers: { kind: 'a:b', 'content-type': 'text/plain' } });
    const message = await inbox.take();
    expect(message.command).toBe('MESSAGE');
    expect(message.body).toBe('grüße');
    expect(message.binaryBody).toEqual(new TextEncoder().encode('grüße'));
    expect(message.isBinaryBody).toBe(true);
    expect(message.headers).toMatchObject({
      destination: '/queue/a',
      subscription: id,
      kind: 'a:b',
      'content-type': 'text/plain',
      'content-length': '7',
    });
  });

  test('a binaryBody goes and comes octet by octet', async () => {
    const client = made();
    await connected(client);
    const { inbox } = await inboxOf(client, '/queue/a');
    const octets = new Uint8Array([0, 255, 10, 0, 128]);
    client.publish({ destination: '/queue/a', binaryBody: octets });
    expect((await inbox.take()).binaryBody).toEqual(octets);
  });

  test('skipContentLengthHeader announces no length', async () => {
    const lines: string[] = [];
    const client = made({ debug: (line) => lines.push(line) });
    await connected(client);
    const { inbox } = await inboxOf(client, '/queue/a');
    client.publish({ destination: '/queue/a', body: 'text', skipContentLengthHeader: true });
    expect((await inbox.take()).body).toBe('text');
    const send = lines.find((line) => line.startsWith('>>> SEND'));
    expect(send).not.toContain('content-length');
  });

  test("an id of one's own names a subscription, and otherwise one is made", async () => {
    const client = made();
    await connected(client);
    const own = client.subscribe('/topic/a', () => {}, { id: 'mine' });
    const made1 = client.subscribe('/topic/a', () => {});
    const made2 = client.subscribe('/topic/a', () => {});
    expect(own.id).toBe('mine');
    expect(made1.id).not.toBe(made2.id);
  });

  test('unsubscribe of the handle, and by id, ends a subscription', async () => {
    const client = made();
    await connected(client);
    const got: string[] = [];
    const handle = client.subscribe('/topic/a', () => got.push('handle'));
    client.subscribe('/topic/a', () => got.push('id'), { id: 'mine' });
    await confirmed(client, (headers) => handle.unsubscribe(headers));
    await confirmed(client, (headers) => client.unsubscribe('mine', headers));
    await confirmed(client, (headers) => client.publish({ destination: '/topic/a', headers }));
    expect(got).toEqual([]);
  });

  test('watchForReceipt hears the RECEIPT once; one that nobody watches goes to onUnhandledReceipt', async () => {
    const client = made();
    await connected(client);
    const receipt = await confirmed(client, (headers) => client.publish({ destination: '/queue/a', headers }));
    expect(receipt.command).toBe('RECEIPT');
    const unhandled = awaited<string>('an unhandled RECEIPT');
    client.onUnhandledReceipt = (frame) => unhandled.resolve(frame.headers['receipt-id'] ?? '');
    client.publish({ destination: '/queue/a', headers: { receipt: 'nobody-asked' } });
    expect(await unhandled.promise).toBe('nobody-asked');
  });

  test('message.ack settles, message.nack gives back', async () => {
    const client = made();
    await connected(client);
    const { inbox } = await inboxOf(client, '/queue/a', { ack: 'client-individual' });
    client.publish({ destination: '/queue/a', body: 'once' });
    const first = await inbox.take();
    await confirmed(client, (headers) => first.nack(headers));
    const again = await inbox.take();
    expect(again.body).toBe('once');
    expect(again.headers).toMatchObject({ redelivered: 'true' });
    await confirmed(client, (headers) => again.ack(headers));
    client.forceDisconnect();
    await reconnected(client);
    const { inbox: later } = await inboxOf(client, '/queue/a');
    client.publish({ destination: '/queue/a', body: 'next' });
    expect((await later.take()).body).toBe('next');
  });

  test.each(['1.1', '1.2'])('client.ack and client.nack settle by id in STOMP %s', async (version) => {
    const client = made({ stompVersions: new Versions([version]) });
    await connected(client);
    const { inbox, id } = await inboxOf(client, '/queue/a', { ack: 'client-individual' });
    const name = version === '1.2' ? 'ack' : 'message-id';
    client.publish({ destination: '/queue/a', body: 'once' });
    await confirmed(
      client,
      (headers) => void inbox.take().then((one) => client.nack(one.headers[name] ?? '', id, headers)),
    );
    await confirmed(
      client,
      (headers) => void inbox.take().then((one) => client.ack(one.headers[name] ?? '', id, headers)),
    );
    expect(inbox.length).toBe(0);
  });

  test('a transaction sends on commit and not on abort, by its handle and by its id', async () => {
    const client = made();
    await connected(client);
    const { inbox } = await inboxOf(client, '/queue/a');
    const aborted = client.begin();
    client.publish({ destination: '/queue/a', body: 'aborted', headers: { transaction: aborted.id } });
    aborted.abort();
    const committed = client.begin('mine');
    expect(committed.id).toBe('mine');
    client.publish({ destination: '/queue/a', body: 'committed', headers: { transaction: 'mine' } });
    committed.commit();
    client.begin('byId');
    client.publish({ destination: '/queue/a', body: 'by id', headers: { transaction: 'byId' } });
    client.commit('byId');
    client.begin('byIdToo');
    client.abort('byIdToo');
    expect([(await inbox.take()).body, (await inbox.take()).body]).toEqual(['committed', 'by id']);
  });

  test('an ack in a transaction counts when it commits', async () => {
    const client = made();
    await connected(client);
    const { inbox } = await inboxOf(client, '/queue/a', { ack: 'client-individual' });
    client.publish({ destination: '/queue/a', body: 'once' });
    const transaction = client.begin();
    (await inbox.take()).ack({ transaction: transaction.id });
    transaction.commit();
    await confirmed(client, (headers) => client.publish({ destination: '/topic/nobody', headers }));
    client.forceDisconnect();
    await reconnected(client);
    const { inbox: later } = await inboxOf(client, '/queue/a');
    client.publish({ destination: '/queue/a', body: 'next' });
    expect((await later.take()).body).toBe('next');
  });

  test('an ERROR comes to onStompError, then the socket closes, then the client connects again', async () => {
    const client = made({ stompVersions: new Versions(['1.2']) });
    await connected(client);
    const events: string[] = [];
    client.onStompError = ({ command, headers }) => events.push(`${command} ${'message' in headers}`);
    client.onWebSocketClose = () => events.push('closed');
    client.subscribe('/queue/a', () => {}, { selector: 'this is ( no selector' });
    await reconnected(client);
    expect(events).toEqual(['ERROR true', 'closed']);
  });

  test('subscriptions are gone after a reconnect, and onConnect makes them again', async () => {
    const inbox = new Inbox<IMessage>('a message');
    const client = made({ onConnect: () => void client.subscribe('/queue/a', (message) => inbox.put(message)) });
    await connected(client);
    client.webSocket?.close();
    await reconnected(client);
    client.publish({ destination: '/queue/a', body: 'still here' });
    expect((await inbox.take()).body).toBe('still here');
  });

  test('a socket that does not open is onWebSocketError, onWebSocketClose and another attempt', async () => {
    const events: string[] = [];
    const again = awaited<void>('a second attempt');
    const client = made({
      brokerURL: 'ws://127.0.0.1:1',
      reconnectDelay: 1,
      onWebSocketError: () => events.push('error'),
      onWebSocketClose: () => events.push('close'),
    });
    client.beforeConnect = () => {
      if (events.length > 0) again.resolve();
    };
    client.activate();
    await again.promise;
    expect(events.slice(0, 2)).toEqual(['error', 'close']);
  });

  test('deactivate says DISCONNECT, hears its RECEIPT, closes, and connects no more', async () => {
    const events: string[] = [];
    const client = made({
      disconnectHeaders: { receipt: 'bye' },
      onDisconnect: ({ headers }) => events.push(`disconnected ${headers['receipt-id']}`),
      onWebSocketClose: () => events.push('closed'),
      onChangeState: (state) => events.push(ActivationState[state]),
    });
    await connected(client);
    await within(client.deactivate(), 'deactivate');
    expect(events).toEqual(['ACTIVE', 'DEACTIVATING', 'disconnected bye', 'INACTIVE', 'closed']);
    expect([client.connected, client.active, client.state]).toEqual([false, false, ActivationState.INACTIVE]);
    expect(client.webSocket).toBe(undefined);
    await client.deactivate();
  });

  test('deactivate by force skips the goodbye', async () => {
    const client = made();
    await connected(client);
    let said = false;
    client.onDisconnect = () => {
      said = true;
    };
    await within(client.deactivate({ force: true }), 'deactivate');
    expect([said, client.active]).toEqual([false, false]);
  });

  test('deactivate resolves at once where nothing was active, and while waiting for the next attempt', async () => {
    await within(made().deactivate(), 'deactivate');
    const client = made({ brokerURL: 'ws://127.0.0.1:1', reconnectDelay: 1_000_000 });
    const closed = awaited<void>('the close');
    client.onWebSocketClose = () => closed.resolve();
    client.activate();
    await closed.promise;
    await within(client.deactivate(), 'deactivate');
    expect(client.active).toBe(false);
  });

  test('activate twice connects once; activate during deactivate connects when that is done', async () => {
    const client = made();
    let connects = 0;
    client.onConnect = () => {
      connects++;
    };
    client.activate();
    await connected(client);
    expect(connects).toBe(1);
    const left = client.deactivate();
    await connected(client);
    await left;
    expect([connects, client.connected]).toEqual([2, true]);
  });

  test('deactivate in onWebSocketClose ends the attempts', async () => {
    const client = made({ reconnectDelay: 1 });
    await connected(client);
    const closed = awaited<void>('the close');
    client.onWebSocketClose = () => void client.deactivate().then(closed.resolve);
    client.forceDisconnect();
    await closed.promise;
    expect(client.state).toBe(ActivationState.INACTIVE);
  });

  test('every verb throws a TypeError without a connection', () => {
    const client = made();
    for (const verb of [
      () => client.publish({ destination: '/queue/a' }),
      () => client.subscribe('/queue/a', () => {}),
      () => client.unsubscribe('a'),
      () => client.begin(),
      () => client.commit('a'),
      () => client.abort('a'),
      () => client.ack('a', 'b'),
      () => client.nack('a', 'b'),
      () => client.watchForReceipt('a', () => {}),
    ]) {
      expect(verb).toThrow(new TypeError('There is no underlying STOMP connection'));
    }
  });

  test('connectionTimeout ends an attempt in which CONNECT is never answered', async () => {
    const closed = awaited<void>('the close');
    const client = made({
      connectionTimeout: 30,
      reconnectDelay: 0,
      webSocketFactory: () => Object.assign(new WebSocket(brokerURL), { send: () => {} }),
      onWebSocketClose: () => closed.resolve(),
    });
    client.activate();
    await closed.promise;
    expect(client.connected).toBe(false);
  });

  test('heart-beats are agreed on, sent, and heard', async () => {
    const lines: string[] = [];
    const client = made({
      heartbeatIncoming: 40,
      heartbeatOutgoing: 40,
      heartbeatStrategy: TickerStrategy.Interval,
      debug: (line) => lines.push(line),
    });
    const heard = awaited<void>('a heart-beat');
    client.onHeartbeatReceived = () => heard.resolve();
    await connected(client);
    await heard.promise;
    await expect.poll(() => lines.includes('>>> PING')).toBe(true);
    expect(lines).toContain('<<< PONG');
  });

  test('discardWebsocketOnCommFailure does not wait for the socket', async () => {
    const client = made({ discardWebsocketOnCommFailure: true, reconnectDelay: 0 });
    await connected(client);
    const closed = awaited<void>('the close');
    client.onWebSocketClose = () => closed.resolve();
    client.forceDisconnect();
    await closed.promise;
    expect(client.connected).toBe(false);
  });

  test('configure changes what the next attempt uses, and a maxReconnectDelay below reconnectDelay is raised to it', () => {
    const client = made();
    client.configure({
      reconnectDelay: 200,
      maxReconnectDelay: 100,
      reconnectTimeMode: ReconnectionTimeMode.EXPONENTIAL,
    });
    expect([client.reconnectDelay, client.maxReconnectDelay, client.reconnectTimeMode]).toEqual([200, 200, 1]);
  });

  test('the debug callback sees frames both ways, whole ones with logRawCommunication', async () => {
    const lines: string[] = [];
    const client = made({ debug: (line) => lines.push(line), logRawCommunication: true });
    await connected(client);
    await confirmed(client, (headers) => client.publish({ destination: '/queue/a', body: 'the body', headers }));
    expect(lines.some((line) => line.startsWith('>>> CONNECT'))).toBe(true);
    expect(lines.some((line) => line.startsWith('<<< CONNECTED'))).toBe(true);
    expect(lines.some((line) => line.startsWith('>>> SEND') && line.includes('the body'))).toBe(true);
  });

  test('forceBinaryWSFrames speaks in binary messages only', async () => {
    const sent: unknown[] = [];
    const client = made({
      forceBinaryWSFrames: true,
      webSocketFactory: () => {
        const socket = new WebSocket(brokerURL, ['v12.stomp']);
        const send = socket.send.bind(socket);
        return Object.assign(socket, {
          send(data: string | Uint8Array) {
            sent.push(data);
            send(data);
          },
        });
      },
    });
    await connected(client);
    await confirmed(client, (headers) => client.publish({ destination: '/queue/a', body: 'text', headers }));
    expect(sent.length).toBeGreaterThan(1);
    expect(sent.every((one) => typeof one !== 'string')).toBe(true);
  });

  describe('as it was before version 5', () => {
    test('Stomp.client, connect with headers, send, subscribe, disconnect', async () => {
      const client = Stomp.client(brokerURL);
      clients.push(client);
      client.debug = () => {};
      const came = awaited<string>('a message');
      client.connect({ host: 'localhost' }, () => {
        client.subscribe('/queue/a', ({ body, headers }) => came.resolve(`${body} ${headers.priority}`));
        client.send('/queue/a', { priority: 9 }, 'hello');
      });
      expect(await came.promise).toBe('hello 9');
      expect(client.version).toBe('1.2');
      expect(client.ws).toBe(client.webSocket);
      const left = awaited<void>('the goodbye');
      client.disconnect(() => left.resolve());
      await left.promise;
    });

    test('Stomp.over a factory, connect with login and passcode, and a host', async () => {
      const client = Stomp.over(() => new WebSocket(brokerURL, ['v12.stomp']));
      clients.push(client);
      client.debug = () => {};
      const came = awaited<void>('CONNECTED');
      client.connect(
        'me',
        'secret',
        () => came.resolve(),
        () => {},
        () => {},
        'localhost',
      );
      await came.promise;
      expect(client.connectHeaders).toEqual({ login: 'me', passcode: 'secret', host: 'localhost' });
    });

    test('Stomp.over one socket connects, and connects no second time unless reconnect_delay says so', async () => {
      const warn = vi.spyOn(console, 'warn').mockImplementation(() => {}); // which stompjs does
      const client = Stomp.over(new WebSocket(brokerURL, ['v12.stomp']));
      warn.mockRestore();
      clients.push(client);
      client.debug = () => {};
      expect(client.reconnectDelay).toBe(0);
      await connected(client);
      client.reconnect_delay = 300;
      expect(client.reconnectDelay).toBe(300);
    });

    test('WebSocketClass, heartbeat, onreceive and onreceipt are where they were', async () => {
      let made = 0;
      class Counted extends WebSocket {
        constructor(url: string, protocols?: string | string[]) {
          super(url, protocols);
          made++;
        }
      }
      Stomp.WebSocketClass = Counted;
      try {
        const client = Stomp.client(brokerURL, ['v12.stomp']);
        clients.push(client);
        client.debug = () => {};
        client.heartbeat.incoming = 0;
        client.heartbeat = { incoming: client.heartbeat.incoming, outgoing: 5_000 };
        expect([client.heartbeatIncoming, client.heartbeatOutgoing, client.heartbeat.outgoing]).toEqual([
          0, 5_000, 5_000,
        ]);
        const hear = () => {};
        client.onreceive = hear;
        client.onreceipt = hear;
        expect([client.onUnhandledMessage, client.onreceive, client.onUnhandledReceipt, client.onreceipt]).toEqual([
          hear,
          hear,
          hear,
          hear,
        ]);
        const came = awaited<void>('CONNECTED');
        client.connect({}, () => came.resolve());
        await came.promise;
        expect(made).toBe(1);
      } finally {
        Stomp.WebSocketClass = null;
      }
    });

    test('connect with fewer than two arguments is refused', () => {
      const client = Stomp.client(brokerURL);
      const connect = client.connect.bind(client) as unknown as (...args: unknown[]) => void;
      expect(() => connect({})).toThrow('Connect requires at least 2 arguments');
    });
  });
});

/** The next CONNECTED of a client that is active already. */
async function reconnected(client: Client): Promise<void> {
  const came = awaited<void>('the next CONNECTED');
  const { onConnect } = client;
  client.onConnect = (frame) => {
    client.onConnect = onConnect;
    onConnect(frame);
    came.resolve();
  };
  await came.promise;
}
