// Pains of where it runs, how it is installed, tried out and watched.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createBroker } from '@stompbox/broker';
import { Client, type ClientOptions, type Message } from '@stompbox/client';
import { type Channel, type Endpoint, memoryPair } from '@stompbox/transport';
import { dial } from '@stompbox/transport/dial';
import { ManualClock, settled } from 'testkit';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { WebSocketServer } from 'ws';
import { failure, stage } from '../../packages/client/test/stage.ts';
import { makeCertificates } from '../../packages/transport/test/certificates.ts';
import { texts } from './support.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

afterEach(() => {
  vi.unstubAllGlobals();
});

describe('one client', () => {
  test('speaks TCP, TLS, WebSocket and WebSocket over TLS by the scheme of its URL (P23)', async () => {
    const { ca, server } = makeCertificates();
    const schemes = ['tcp', 'stomp+ssl', 'ws', 'wss'];
    await using broker = await createBroker({
      listen: schemes.map((scheme) => `${scheme}://127.0.0.1:0`),
      tls: server,
    });
    for (const [at, scheme] of schemes.entries()) {
      const url = broker.urls[at] ?? '';
      expect(url).toMatch(new RegExp(`^${scheme === 'tcp' ? '(tcp|stomp)' : scheme.replace('+', '\\+')}:`));
      const client = new Client(url, { tls: { ca } });
      const subscription = client.subscribe(`/queue/${at}`);
      await client.send(`/queue/${at}`, scheme);
      expect(await texts(subscription, 1)).toEqual([scheme]);
      await client.close();
    }
  });

  test('needs no global of a browser, and nothing that Node lacks (P28)', async () => {
    for (const name of ['WebSocket', 'window', 'self', 'document', 'navigator', 'location', 'crypto', 'Worker']) {
      vi.stubGlobal(name, undefined);
    }
    await using broker = await createBroker({ listen: ['ws://127.0.0.1:0'] });
    await using client = new Client(broker.urls[0] ?? '');
    const subscription = client.subscribe('/queue/a');
    await client.send('/queue/a', 'żółw');
    expect(await texts(subscription, 1)).toEqual(['żółw']);
  });

  test('sends cookies and tokens with the upgrade where the runtime lets it (P27)', async () => {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    const asked = new Promise<unknown>((resolve) => {
      server.on('connection', (_, request) => resolve([request.headers.cookie, request.headers.authorization]));
    });
    try {
      await new Promise((resolve) => server.once('listening', resolve));
      const { port } = server.address() as { port: number };
      const client = new Client(`ws://127.0.0.1:${port}`, {
        webSocket: { headers: { Cookie: 'session=1', Authorization: 'Bearer t' } },
      });
      const connecting = failure(client.connect());
      expect(await asked).toEqual(['session=1', 'Bearer t']);
      await client.close({ drain: false });
      await connecting;
    } finally {
      server.close();
    }
  });

  test('takes a fresh ticket into the query of its URL for each attempt, headers or none (P3, P27)', async () => {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    const asked: unknown[] = [];
    let done = (): void => {};
    const twice = new Promise<void>((resolve) => {
      done = resolve;
    });
    server.on('connection', (socket, request) => {
      socket.close(); // before CONNECTED, so it comes again
      if (asked.push(request.url) === 2) done();
    });
    try {
      await new Promise((resolve) => server.once('listening', resolve));
      const { port } = server.address() as { port: number };
      let tickets = 0;
      const client = new Client(`ws://127.0.0.1:${port}/stomp`, {
        dial: async (endpoint, options) => dial({ ...endpoint, query: `ticket=${++tickets}` } as Endpoint, options),
        reconnect: { initialMs: 1 },
      });
      const connecting = failure(client.connect());
      await twice;
      await client.close({ drain: false });
      await connecting;
      expect(asked.slice(0, 2)).toEqual(['/stomp?ticket=1', '/stomp?ticket=2']);
    } finally {
      server.close();
    }
  });

  test('does nothing where pages are only rendered: no timer, no socket, and close() is all there is to undo (P38)', async () => {
    const clock = new ManualClock();
    const dial = vi.fn();
    const client = new Client('wss://broker.example', { clock, dial });
    await clock.advance(3_600_000);
    expect(dial).not.toHaveBeenCalled();
    expect(clock.alarms).toBe(0);
    await client.close();
    expect(client.state).toBe('closed');
    expect(dial).not.toHaveBeenCalled();
  });
});

describe('the package', () => {
  for (const [how, code] of [
    ['import', `import * as it from '@stompbox/client'; console.log(typeof it.Client, typeof it.connect);`],
    ['require', `const it = require('@stompbox/client'); console.log(typeof it.Client, typeof it.connect);`],
  ] as const) {
    test(`can be had by ${how}, without a warning (P34)`, () => {
      const folder = mkdtempSync(join(root, 'node_modules/.pains-'));
      try {
        const file = join(folder, how === 'import' ? 'program.mjs' : 'program.cjs');
        writeFileSync(file, code);
        const { stdout, stderr } = spawnSync(process.execPath, [file], { encoding: 'utf8', timeout: 20_000 });
        expect({ stdout, stderr }).toEqual({ stdout: 'function function\n', stderr: '' });
      } finally {
        rmSync(folder, { recursive: true });
      }
    });
  }

  test('knows the headers of a broker and the type of a body when it compiles (P34)', () => {
    const verbs = (client: Client<'rabbitmq'>): void => {
      void client.send('/queue/a', 'x', { headers: { persistent: true } });
      // @ts-expect-error a misspelt header
      void client.send('/queue/a', 'x', { headers: { persistant: true } });
      client.subscribe<{ id: number }>('/queue/a', (message) => message.json().id.toFixed());
      // @ts-expect-error there is no such field
      client.subscribe<{ id: number }>('/queue/a', (message) => message.json().di);
    };
    expect(verbs).toBeTypeOf('function');
  });
});

describe('a test of an application', () => {
  test('has a broker without a socket, a clock by hand, and faults to order (P22)', async () => {
    const clock = new ManualClock(); // two functions, now() and schedule(): see Clock
    await using broker = await createBroker({ clock });
    let cut = (_how: 'reset' | 'silent'): void => {};
    const dial = async (): Promise<Channel> => {
      const pair = memoryPair();
      cut = pair.cut;
      broker.serve(pair.b);
      return pair.a;
    };
    const options: ClientOptions = { clock, dial, reconnect: { jitter: 'none', initialMs: 1_000 } };
    const client = new Client('stomp://anywhere', options);
    const got: string[] = [];
    client.subscribe('/queue/a', (message: Message) => void got.push(message.text()));
    await client.send('/queue/a', 'before');
    await settled(); // handled and acknowledged
    cut('reset');
    await settled();
    const sent = client.send('/queue/a', 'after');
    await clock.advance(999);
    expect(client.state).toBe('waiting');
    await clock.advance(1);
    await sent;
    await settled();
    cut('silent');
    await clock.advance(60_000); // heart-beats miss it, and it is replaced
    await client.send('/queue/a', 'much after');
    await settled();
    expect(got).toEqual(['before', 'after', 'much after']);
    const closing = client.close();
    await clock.advance(60_000);
    await closing;
  });
});

describe('a failure that nobody listens for', () => {
  test('crashes nothing: no endpoint, a refused login, a lost connection, a broker that talks nonsense (P30)', async () => {
    // An unhandled rejection or an unlistened `error` would fail this run.
    const nowhere = stage({ reconnect: { attempts: 1 } });
    nowhere.deaf(9);
    void nowhere.client.subscribe('/queue/a');
    expect((await nowhere.client.closed).error).toMatchObject({ name: 'ConnectFailed' });

    const refused = stage({ credentials: async () => ({ login: 'a', passcode: 'b' }), reconnect: { attempts: 1 } });
    refused.client.subscribe('/queue/a');
    for (let i = 0; i < 2; i++) {
      const { peer } = await refused.scene();
      await peer.accept('ERROR\nmessage:Bad CONNECT\n\nAccess refused\n\0');
      peer.hangUp();
    }
    expect((await refused.client.closed).error).toMatchObject({ name: 'AuthenticationError' });

    const lost = stage();
    lost.client.subscribe('/queue/a');
    const first = await lost.enter();
    first.cut();
    await lost.clock.advance(1_000);
    const second = await lost.enter();
    second.peer.say('GARBAGE\n\n\0');
    await settled();
    expect(lost.client.state).toBe('waiting');
  });
});

describe('a large message', () => {
  const PIECE = 64 * 1024;

  test('is handed on as the very bytes that came, not copied (P36)', async () => {
    const { client, enter } = stage();
    const subscription = client.subscribe('/queue/a', { id: 'a' });
    const { peer } = await enter();
    await subscription.ready;
    const head = new TextEncoder().encode(
      `MESSAGE\nsubscription:a\nmessage-id:1\ndestination:/queue/a\ncontent-length:${PIECE}\n\n`,
    );
    const chunk = new Uint8Array(head.length + PIECE + 1);
    chunk.set(head);
    peer.say(chunk);
    const { bytes } = await subscription.next();
    expect(bytes.length).toBe(PIECE);
    expect(bytes.byteOffset).toBe(head.length); // a view of the chunk
  });

  test('of 64 MiB passes in pieces, and no more than the bound is ever held (P36)', async () => {
    const pieces = 1_024;
    const { client, enter } = stage({ streamBodiesOver: PIECE, maxBufferedBytes: 4 * PIECE });
    const subscription = client.subscribe('/queue/a', { id: 'a' });
    const { peer } = await enter();
    await subscription.ready;
    peer.say(`MESSAGE\nsubscription:a\nmessage-id:1\ndestination:/queue/a\ncontent-length:${pieces * PIECE}\n\n`);
    const said = (async () => {
      const piece = new Uint8Array(PIECE);
      for (let i = 0; i < pieces; i++) {
        peer.say(piece);
        while (peer.channel.buffered > 0) await settled();
      }
      peer.say('\0');
    })();
    let read = 0;
    let most = 0;
    for await (const piece of (await subscription.next()).stream()) {
      read += piece.length;
      most = Math.max(most, client.connection?.waiting.bytes ?? 0);
    }
    await said;
    expect(read).toBe(pieces * PIECE);
    expect(most).toBeLessThanOrEqual(6 * PIECE);
  });

  test('or many small ones: the bytes of one turn are written at once (P36)', async () => {
    const { enter, client } = stage();
    void client.connect();
    const { peer } = await enter();
    const before = peer.chunks.length;
    await Promise.all(Array.from({ length: 1_000 }, (_, i) => client.send('/queue/a', `${i}`)));
    expect(peer.chunks.length - before).toBeLessThan(10);
  });
});
