// A broker's life: where it listens, what it counts, and how it ends.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dial } from '@stompbox/transport/dial';
import { MemoryClient, quiet } from 'testkit';
import { type Certificates, makeCertificates } from 'testkit/peers';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type Broker, type BrokerOptions, createBroker } from '../src/index.ts';
import { place } from './support.ts';

/** Handles and timers that keep this process alive, by kind. */
function running(): string {
  const kinds = /^(TCP|TLS|Pipe|HTTP|Timeout|Immediate)/;
  return process
    .getActiveResourcesInfo()
    .filter((kind) => kinds.test(kind))
    .sort()
    .join(' ');
}

async function turnsUntil(met: () => boolean): Promise<void> {
  for (let turn = 0; turn < 2_000 && !met(); turn++) await quiet();
}

async function listening(listen: string[], options: BrokerOptions = {}): Promise<Broker> {
  const broker = await createBroker({ listen, ...options });
  onTestFinished(async () => {
    await broker.close({ timeoutMs: 1 });
  });
  return broker;
}

describe('listeners', () => {
  let certificates: Certificates;
  let dir: string;

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'stompbox-broker-'));
    certificates = await makeCertificates(dir);
    return () => rmSync(dir, { recursive: true });
  });

  test('of all transports serve one broker at once, at urls with real ports', async () => {
    const listen = [
      'tcp://127.0.0.1:0',
      'stomp+ssl://127.0.0.1:0',
      `stomp+unix://${join(dir, 'broker.sock')}`,
      'ws://127.0.0.1:0/stomp',
      'wss://127.0.0.1:0/stomp',
    ];
    const broker = await listening(listen, { tls: certificates });
    expect(broker.urls.length).toBe(5);
    for (const url of broker.urls) expect(url).not.toMatch(/:0\b/);
    const clients = [];
    for (const url of broker.urls) {
      const client = new MemoryClient(await dial(url, { tls: { ca: certificates.ca } }));
      await client.connect();
      await client.subscribe('1', '/topic/t');
      clients.push(client);
    }
    expect(broker.stats().connections).toBe(5);
    const body = new Uint8Array(2_000_000).fill(7); // more than one of anything
    for (const client of clients) {
      await client.send('/topic/t', body);
      for (const one of clients) expect(Buffer.compare((await one.next()).body, body)).toBe(0);
    }
    for (const client of clients) {
      client.say('DISCONNECT', { receipt: 'bye' });
      expect((await client.next()).get('receipt-id')).toBe('bye');
      await client.closed();
    }
  });

  test('on WebSocket each frame is a message (W-05), and the end has a code that says why (W-09)', async () => {
    const broker = await listening(['ws://127.0.0.1:0'], { limits: { maxBodyBytes: 1_000 } });
    const [url = ''] = broker.urls;
    const endings: [words: string, code: number][] = [
      ['DISCONNECT\n\n\0', 1000],
      ['BOO\n\n\0', 1002],
      ['SEND\ndestination:/queue/*\n\n\0', 1008],
      [`SEND\ndestination:/queue/q\n\n${'x'.repeat(1_001)}\0`, 1009],
    ];
    for (const [words, code] of endings) {
      const client = new MemoryClient(await dial(url));
      await client.connect();
      client.write(words);
      await client.closed();
      expect(typeof client.end === 'object' && client.end.code).toBe(code);
    }
    const client = new MemoryClient(await dial(url));
    await client.connect();
    const closing = broker.close();
    await client.closed();
    expect(typeof client.end === 'object' && client.end.code).toBe(1001);
    await closing;
  });

  test('a taken port is said, and nothing else is left open', async () => {
    const first = await listening(['tcp://127.0.0.1:0']);
    const [taken = ''] = first.urls;
    const before = running();
    await expect(createBroker({ listen: ['tcp://127.0.0.1:0', taken] })).rejects.toMatchObject({
      name: 'TransportError',
      code: 'address-in-use',
      message: expect.stringContaining(taken.replace(/^.*:/, '')),
    });
    await turnsUntil(() => running() === before);
    expect(running()).toBe(before);
  });

  test.each(['carrier-pigeon://x', 'tcp://127.0.0.1:99999', '', 'multicast://239.0.0.1:1'])(
    '%j is no place to listen',
    async (url) => {
      await expect(createBroker({ listen: [url] })).rejects.toMatchObject({ code: 'bad-url' });
    },
  );

  test('TLS without a certificate is refused at the start', async () => {
    await expect(createBroker({ listen: ['stomp+ssl://127.0.0.1:0'] })).rejects.toMatchObject({
      name: 'TransportError',
    });
  });

  test('none is fine: a broker may serve channels alone', async () => {
    const at = await place();
    expect(at.broker.urls).toEqual([]);
    await at.client();
  });
});

describe('close()', () => {
  test('tells every client, answers what was under way, and takes nobody new (M-98)', async () => {
    const at = await place();
    const [one, two] = [await at.client(), await at.client('1.0')];
    const silent = at.dial(); // has not said CONNECT yet
    one.say('SEND', { destination: '/queue/q', receipt: 'last' });
    await quiet();
    const closing = at.broker.close();
    for (const client of [one, two]) {
      const error = await client.error();
      expect(error.get('message')).toBe('the broker is shutting down');
    }
    await silent.closed();
    expect(one.frames.map((frame) => frame.command)).toEqual(['RECEIPT', 'ERROR']);
    await closing;
    const late = at.dial();
    await late.closed();
    expect(late.frames).toEqual([]);
    expect(at.broker.stats().connections).toBe(0);
    expect(at.clock.alarms).toBe(0);
    expect(at.faults).toEqual([]);
  });

  test('twice gives the same promise', async () => {
    const broker = await createBroker();
    const first = broker.close();
    expect(broker.close({ timeoutMs: 1 })).toBe(first);
    await broker[Symbol.asyncDispose]();
    expect(await first).toEqual({ cut: 0, unsettled: 0, unflushed: 0 });
    expect(broker.close()).toBe(first);
  });

  test('settles within its deadline although a client reads nothing and a producer waits', async () => {
    const at = await place({ limits: { producersWaitAboveBytes: 1024, lingerMs: 60_000 } });
    const client = await at.client();
    await client.subscribe('1', '/queue/q', 'client', { 'prefetch-count': 1 });
    client.say('SEND', { destination: '/queue/q', receipt: 'waits' }, 'x'.repeat(3_000));
    await quiet();
    client.channel.pause();
    let over = false;
    const closing = at.broker.close({ timeoutMs: 700 }).then(() => {
      over = true;
    });
    await at.clock.advance(699);
    expect(over).toBe(false);
    await at.clock.advance(1);
    await closing;
    expect(at.clock.alarms).toBe(0);
  });

  test('leaves nothing running', async () => {
    await turnsUntil(() => !running().includes('Timeout')); // of the tests before this one
    const before = running();
    const dir = mkdtempSync(join(tmpdir(), 'stompbox-broker-'));
    const broker = await createBroker({
      listen: ['tcp://127.0.0.1:0', 'ws://127.0.0.1:0', `stomp+unix://${join(dir, 's')}`],
    });
    for (const url of broker.urls) {
      const client = new MemoryClient(await dial(url));
      await client.connect({ 'heart-beat': '5000,5000' });
      await client.subscribe('1', '/queue/q', 'client');
      await client.send('/queue/q', 'x');
    }
    await broker.close();
    await turnsUntil(() => running() === before);
    expect(running()).toBe(before);
    rmSync(dir, { recursive: true });
  });

  test('comes by itself at the end of `await using`', async () => {
    let client: MemoryClient;
    {
      await using broker = await createBroker({ listen: ['tcp://127.0.0.1:0'] });
      const [url = ''] = broker.urls;
      client = new MemoryClient(await dial(url));
      await client.connect();
    }
    await client.closed();
    expect(client.frames.at(-1)?.command).toBe('ERROR');
  });

  test('frees the port', async () => {
    const broker = await createBroker({ listen: ['tcp://127.0.0.1:0'] });
    const [url = ''] = broker.urls;
    await broker.close();
    await listening([url]);
  });
});

describe('stats()', () => {
  test('counts what went through, and what is there', async () => {
    const at = await place();
    const client = await at.client();
    await client.subscribe('1', '/queue/q', 'client-individual');
    for (let i = 0; i < 3; i++) await client.send('/queue/q', 'abc');
    await client.send('/remote-temp-queue/nobody/x');
    const [a, b] = await client.take(3);
    if (a) client.settle('ACK', a);
    if (b) client.settle('NACK', b);
    const c = await client.next();
    for (const end of ['ABORT', 'COMMIT'] as const) {
      await client.ask('BEGIN', { transaction: 't' });
      client.settle('ACK', c, { transaction: 't' });
      await client.ask(end, { transaction: 't' });
    }
    const stats = at.broker.stats();
    const { bytes, ...counts } = stats;
    expect(counts).toMatchObject({
      connections: 1,
      received: 4,
      delivered: 4,
      acked: 2,
      nacked: 1,
      redelivered: 1,
      returned: 0,
      errors: 0,
      droppedReplies: 1,
    });
    expect(bytes).toBe(at.broker.inspect.bytes);
    expect(bytes).toBeGreaterThan(3);
    client.write('BOO\n\n\0');
    await client.error();
    expect(at.broker.stats()).toMatchObject({ connections: 0, errors: 1 });
    expect(stats.errors).toBe(0); // a picture, not a window
  });
});
