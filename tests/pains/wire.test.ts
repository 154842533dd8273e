// Pains of the wire: what is written by one comes out at the other as it was, or not at all.

import { once } from 'node:events';
import { ConnectionLost, connect, type Message, ProtocolError } from '@stompbox/client';
import { memoryPair } from '@stompbox/transport';
import { MemoryClient, settled } from 'testkit';
import { describe, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { failure, stage } from '../../packages/client/test/stage.ts';
import { backstage, texts } from './support.ts';

const ODD = { 'a:b': 'c:d', 'line\nend': 'x\r\ny\\n', 'C:\\new': '\\\\c', blank: ' x ', grüße: '🐢', empty: '' };

describe('headers', () => {
  for (const reads of ['1.0', '1.1', '1.2'] as const) {
    test(`written in 1.2 are the same for a reader of ${reads}, and none becomes two (P4)`, async () => {
      const { client } = await backstage();
      const writer = client();
      const reader = client({ versions: [reads] });
      const subscription = reader.subscribe('/queue/a');
      await subscription.ready;
      await writer.send('/queue/a', 'x', {
        headers: reads === '1.2' ? ODD : { plain: 'value', 'a:b': 'c\ninjected:yes' },
      });
      const { headers } = await subscription.next({ timeoutMs: 10_000 });
      if (reads === '1.2') for (const [name, value] of Object.entries(ODD)) expect(headers.get(name)).toBe(value);
      else expect(headers.get('plain')).toBe('value');
      expect(headers.get('injected')).toBeUndefined();
    });
  }

  test('that STOMP 1.0 cannot say are refused before a byte is written (P4)', async () => {
    const { client } = await backstage();
    const old = client({ versions: ['1.0'] });
    const error = await failure(old.send('/queue/a', 'x', { headers: { note: 'one\ndestination:/queue/b' } }));
    expect(error).toMatchObject({ name: 'UsageError' });
    await old.send('/queue/a', 'y');
    expect(await texts(old.subscribe('/queue/a'), 1)).toEqual(['y']);
  });

  test('of CONNECT are written raw, so a passcode with a backslash is that passcode (P4)', async () => {
    const seen: unknown[] = [];
    const { client } = await backstage({
      authenticate: ({ login, passcode }) => {
        seen.push([login, passcode]);
        return { name: login ?? '' };
      },
    });
    await client({ credentials: { login: 'a:b\\n', passcode: 'p\\c:\\\\' } }).connect();
    expect(seen).toEqual([['a:b\\n', 'p\\c:\\\\']]);
  });
});

describe('bodies', () => {
  test('are announced in octets, whatever letters they are made of, and NUL is one of them (P21)', async () => {
    const { client } = await backstage();
    const one = client();
    const subscription = one.subscribe('/queue/a');
    const bodies = ['zażółć 🐢', 'a\0b\0', '\ufeffx', '', '\0', '{"x":"é"}'];
    for (const body of bodies) await one.send('/queue/a', body);
    expect(await texts(subscription, bodies.length)).toEqual(bodies);
  });

  for (const [what, length, body] of [
    ['too short', 3, 'hello'],
    ['too long', 9, 'hello'],
  ] as const) {
    test(`whose announced length is ${what} end the connection instead of eating the next message (P21)`, async () => {
      const { client, enter, types } = stage();
      const got: string[] = [];
      client.subscribe('/queue/a', (message) => void got.push(message.text()), { id: 'a', ack: 'auto' });
      const { peer } = await enter();
      await settled();
      const head = `MESSAGE\nsubscription:a\nmessage-id:1\ndestination:/queue/a\n`;
      peer.say(`${head}content-length:${length}\n\n${body}\0${head}content-length:2\n\nok\0`);
      await settled();
      expect(got).toEqual([]);
      expect(types()).toContain('disconnected');
    });
  }

  test('without their NUL are an error with the rule and the byte, which the status tells (P21)', async () => {
    const { client, enter, statuses } = stage();
    client.subscribe('/queue/a', { id: 'a' });
    const { peer } = await enter();
    await settled();
    peer.say('MESSAGE\nsubscription:a\nmessage-id:1\ndestination:/q\ncontent-length:2\n\nhixMESSAGE\n\n\0');
    await settled();
    const ended = statuses.find(({ type }) => type === 'disconnected');
    const error = ended?.type === 'disconnected' ? ended.error : undefined;
    expect(error?.cause ?? error).toBeInstanceOf(ProtocolError);
    expect(String(error)).toMatch(/NUL/);
  });
});

describe('large messages', () => {
  test('go to a Spring broker in messages of the size it takes, and arrive as one (P6)', async () => {
    const server = await webSocketServer(16_384);
    const { broker } = await backstage({ listen: ['ws://127.0.0.1:0'] });
    const sizes: number[] = [];
    server.on('connection', (near) => {
      const far = new WebSocket(broker.urls[0] ?? '', ['v12.stomp']);
      const waiting: Buffer[] = [];
      far.on('open', () => {
        for (const bytes of waiting.splice(0)) far.send(bytes);
      });
      near.on('message', (data: Buffer) => {
        sizes.push(data.length);
        if (far.readyState === far.OPEN) far.send(data);
        else waiting.push(data);
      });
      far.on('message', (data: Buffer) => near.send(data));
      near.on('close', () => far.close());
    });
    try {
      const { port } = server.address() as { port: number };
      await using connection = await connect(`ws://127.0.0.1:${port}`, { webSocket: { splitOver: 16_384 } });
      const subscription = connection.subscribe('/queue/large');
      const body = 'ż'.repeat(100_000);
      await connection.send('/queue/large', body);
      const message: Message = await subscription.next({ timeoutMs: 10_000 });
      expect(message.text() === body).toBe(true);
      expect(Math.max(...sizes)).toBeLessThanOrEqual(16_384);
    } finally {
      server.close();
    }
  });

  test('that a server does not take end with its close code in the error, not in silence (P6)', async () => {
    const server = await webSocketServer(1_000);
    server.on('connection', (socket) => {
      socket.once('message', () => socket.send('CONNECTED\nversion:1.2\n\n\0'));
      socket.on('error', () => {}); // it says so in its close frame
    });
    try {
      const { port } = server.address() as { port: number };
      const connection = await connect(`ws://127.0.0.1:${port}`);
      const error = await failure(connection.send('/app/large', 'x'.repeat(10_000)));
      expect(error).toBeInstanceOf(ConnectionLost);
      expect(String(error)).toContain('1009');
    } finally {
      server.close();
    }
  });
});

describe('a hostile peer of the broker', () => {
  test('gets nothing done before CONNECT, and one ERROR (P25)', async () => {
    const { broker, client } = await backstage();
    const pair = memoryPair();
    broker.serve(pair.b);
    const stranger = new MemoryClient(pair.a);
    stranger.say('SEND', { destination: '/queue/a' }, 'smuggled');
    const error = await stranger.error();
    expect(error.get('message')).toBeTruthy();
    const one = client();
    await one.send('/queue/a', 'honest');
    expect(await texts(one.subscribe('/queue/a'), 1)).toEqual(['honest']);
  });

  test('is bounded in header lines, bodies, transactions and subscriptions, each by a limit that its ERROR names (P25)', async () => {
    const { broker } = await backstage({
      limits: { maxBodyBytes: 1_000, maxHeaders: 10, maxTransactions: 2, maxSubscriptions: 3 },
    });
    const floods: Readonly<Record<string, (bad: MemoryClient) => void>> = {
      maxBodyBytes: (bad) => bad.write(`SEND\ndestination:/queue/a\n\n${'x'.repeat(5_000)}`),
      maxHeaders: (bad) => bad.write(`SEND\n${Array.from({ length: 50 }, (_, i) => `h${i}:v\n`).join('')}`),
      maxTransactions: (bad) => {
        for (let i = 0; i < 5; i++) bad.say('BEGIN', { transaction: `t${i}` });
      },
      maxSubscriptions: (bad) => {
        for (let i = 0; i < 5; i++) bad.say('SUBSCRIBE', { id: `${i}`, destination: '/queue/a' });
      },
    };
    for (const [limit, flood] of Object.entries(floods)) {
      const pair = memoryPair();
      broker.serve(pair.b);
      const bad = new MemoryClient(pair.a);
      await bad.connect();
      flood(bad);
      const error = await bad.error();
      expect(`${error.get('message')} ${error.text()}`).toContain(limit);
    }
  });

  test('that says nothing is not waited for: CONNECT has a deadline (P25)', async () => {
    const { broker } = await backstage({ limits: { connectTimeoutMs: 20 } });
    const pair = memoryPair();
    broker.serve(pair.b);
    const silent = new MemoryClient(pair.a);
    await silent.closed();
    expect(broker.stats().connections).toBe(0);
  });
});

describe('text for JMS', () => {
  for (const [what, body, announced] of [
    ['a string', 'hello', false],
    ['JSON', { x: 1 }, false],
    ['octets', new TextEncoder().encode('hello'), true],
    ['text with NUL, which cannot do without', 'a\0b', true],
  ] as const) {
    test(`${what}: content-length is ${announced ? 'there' : 'left out'} on ActiveMQ and Artemis (P8)`, async () => {
      for (const profile of ['activemq', 'artemis'] as const) {
        const { client, enter } = stage({ profile });
        const sent = client.send('/queue/a', body);
        const { peer } = await enter();
        await sent;
        const send = peer.frames.find(({ command }) => command === 'SEND');
        expect(send?.headers.get('content-length') !== undefined).toBe(announced);
      }
    });
  }
});

async function webSocketServer(maxPayload: number): Promise<WebSocketServer> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', maxPayload });
  await once(server, 'listening');
  return server;
}
