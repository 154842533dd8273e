// Every limit: what exceeds it gets one ERROR that names it (promise 5). The table is
// complete: a limit without a row does not compile.

import { readFileSync } from 'node:fs';
import { type MemoryClient, quiet } from 'testkit';
import { describe, expect, test } from 'vitest';
import { createBroker, LIMITS, type LimitName } from '../src/index.ts';
import { resolveLimits } from '../src/limits.ts';
import { folder, type Place, place } from './support.ts';

const x = (n: number): string => 'x'.repeat(n);

const from = (address: string) => ({ peers: { b: { address } } });

interface Row {
  /** What it is set to. */
  readonly to?: number;
  /** With a data directory. */
  readonly onDisk?: boolean;
  /** Goes up to the limit, and then beyond; answers who gets the ERROR. */
  exceed?(at: Place): Promise<MemoryClient>;
  /** The receipt of the frame that went beyond, where it is one that can be refused. */
  readonly receipt?: string | undefined;
  /** No frame exceeds it: what happens instead, and which test shows it. */
  readonly instead?: string;
}

type Said = readonly [destination: string, body?: string, headers?: Readonly<Record<string, string>>];

const delay = (ms: number) => ({ AMQ_SCHEDULED_DELAY: String(ms) });
/** It is refused before it has come whole. */
const UNREAD: Partial<Row> = { receipt: undefined };

/** SENDs that are confirmed, and one that is too many. */
function sends(to: number, within: readonly Said[], beyond: Said, more: Partial<Row> = {}): Row {
  return {
    to,
    receipt: 'over',
    ...more,
    async exceed(at) {
      const client = await at.client();
      for (const said of within) await client.send(...said);
      const [destination, body, headers] = beyond;
      client.say('SEND', { destination, ...headers, receipt: 'over' }, body);
      return client;
    },
  };
}

const ROWS: Readonly<Record<LimitName, Row>> = {
  maxConnections: {
    to: 2,
    async exceed(at) {
      await at.client();
      return at.dial();
    },
  },
  maxConnectionsPerAddress: {
    to: 1,
    async exceed(at) {
      await at.client('1.2', {}, from('192.0.2.2'));
      await at.client('1.2', {}, from('192.0.2.1'));
      return at.dial('1.2', from('192.0.2.1'));
    },
  },
  connectTimeoutMs: {
    to: 500,
    async exceed(at) {
      const client = at.dial();
      await at.clock.advance(500);
      return client;
    },
  },
  frameTimeoutMs: {
    to: 500,
    async exceed(at) {
      const client = await at.client();
      client.write('SEND\ndest');
      await at.clock.advance(499);
      expect(client.end).toBeUndefined();
      await at.clock.advance(1);
      return client;
    },
  },
  maxHeaderLineBytes: sends(100, [['/queue/q', '', { a: x(98) }]], ['/queue/q', '', { a: x(99) }], UNREAD),
  maxHeaders: {
    to: 8,
    async exceed(at) {
      const client = await at.client();
      const lines = (n: number) => 'a:1\n'.repeat(n);
      client.write(`SEND\ndestination:/queue/q\nreceipt:ok\n${lines(6)}\n\0`);
      expect((await client.next()).get('receipt-id')).toBe('ok');
      client.write(`SEND\ndestination:/queue/q\n${lines(8)}\n\0`);
      return client;
    },
  },
  maxHeadBytes: {
    to: 300,
    async exceed(at) {
      const client = await at.client();
      const send = (n: number) => `SEND\ndestination:/queue/q\nreceipt:ok\na:${x(100)}\nb:${x(n)}\n\n\0`;
      client.write(send(100));
      expect((await client.next()).get('receipt-id')).toBe('ok');
      client.write(send(200));
      return client;
    },
  },
  maxBodyBytes: sends(1_000, [['/queue/q', x(1_000)]], ['/queue/q', x(1_001)], UNREAD),
  maxDestinationBytes: sends(20, [[`/queue/${x(13)}`]], [`/queue/${'é'.repeat(7)}`]), // bytes, not characters
  maxSubscriptions: {
    to: 2,
    receipt: 'over',
    async exceed(at) {
      const client = await at.client();
      for (const id of ['1', '2', '3']) {
        await client.subscribe(id, '/queue/q');
        if (id === '1') await client.ask('UNSUBSCRIBE', { id });
      }
      client.say('SUBSCRIBE', { id: '4', destination: '/queue/q', receipt: 'over' });
      return client;
    },
  },
  maxTransactions: {
    to: 2,
    receipt: 'over',
    async exceed(at) {
      const client = await at.client();
      for (const transaction of ['1', '2', '3']) {
        await client.ask('BEGIN', { transaction });
        if (transaction === '1') await client.ask('COMMIT', { transaction });
      }
      client.say('BEGIN', { transaction: '4', receipt: 'over' });
      return client;
    },
  },
  maxTransactionFrames: {
    to: 3,
    receipt: 'over',
    async exceed(at) {
      const client = await at.client();
      await client.subscribe('1', '/queue/q', 'client');
      await client.send('/queue/q');
      const message = await client.next();
      await client.ask('BEGIN', { transaction: 't' });
      client.settle('ACK', message, { transaction: 't' }); // counts like a SEND
      for (let i = 0; i < 2; i++) await client.send('/queue/q', '', { transaction: 't' });
      client.say('SEND', { destination: '/queue/q', transaction: 't', receipt: 'over' });
      return client;
    },
  },
  maxTransactionBytes: {
    to: 1_000,
    receipt: 'over',
    async exceed(at) {
      const client = await at.client();
      await client.ask('BEGIN', { transaction: 't' });
      await client.send('/queue/q', x(900), { transaction: 't' });
      client.say('SEND', { destination: '/queue/q', transaction: 't', receipt: 'over' }, x(100));
      return client;
    },
  },
  maxTempQueues: {
    to: 2,
    receipt: 'over',
    async exceed(at) {
      const client = await at.client();
      await client.subscribe('1', '/temp-queue/1');
      await client.send('/queue/q', '', { 'reply-to': '/temp-queue/2' });
      await client.send('/queue/q', '', { 'reply-to': '/temp-queue/1' }); // known already
      client.say('SEND', { destination: '/queue/q', 'reply-to': '/temp-queue/3', receipt: 'over' });
      return client;
    },
  },
  defaultPrefetch: { instead: 'deliveries stop: queues.test.ts, prefetch' },
  maxPrefetch: { instead: 'it is lowered to the limit: queues.test.ts, prefetch' },
  maxUnsettled: { instead: 'deliveries stop: operations/limits.test.ts, "a connection that owes …"' },
  unsettledTimeoutMs: {
    to: 400,
    async exceed(at) {
      const client = await at.client();
      await client.subscribe('1', '/queue/q', 'client');
      await client.send('/queue/q');
      await client.next();
      await at.clock.advance(399);
      expect(client.end).toBeUndefined();
      await at.clock.advance(1);
      return client;
    },
  },
  maxOutputBytes: { instead: 'deliveries stop, then reading: flow.test.ts' },
  outputTimeoutMs: {
    to: 400,
    async exceed(at) {
      const [client, other] = [await at.client('1.2', {}, { highWaterMark: 1_024 }), await at.client()];
      await client.subscribe('1', '/queue/q');
      client.channel.pause();
      for (let i = 0; i < 4; i++) await other.send('/queue/q', x(1_000));
      await at.clock.advance(399);
      expect(at.broker.stats().errors).toBe(0);
      await at.clock.advance(1);
      client.channel.resume();
      return client;
    },
  },
  maxQueues: {
    to: 2,
    receipt: 'over',
    async exceed(at) {
      const [client, other] = [await at.client(), await at.client()];
      await client.send('/queue/1');
      await client.subscribe('2', '/queue/2');
      other.say('SUBSCRIBE', { id: '3', destination: '/queue/3', receipt: 'over' });
      expect((await other.error()).get('message')).toMatch(/maxQueues/);
      client.say('SEND', { destination: '/queue/3', receipt: 'over' });
      return client;
    },
  },
  maxQueueMessages: {
    to: 2,
    receipt: 'over',
    async exceed(at) {
      const client = await at.client();
      await client.subscribe('1', '/queue/q', 'client', { 'prefetch-count': 1 });
      for (let i = 0; i < 2; i++) await client.send('/queue/q'); // one of them is unsettled
      client.say('SEND', { destination: '/queue/q', receipt: 'over' });
      return client;
    },
  },
  maxQueueBytes: sends(2_000, [['/queue/q', x(1_000)]], ['/queue/q', x(1_000)]),
  maxMemoryBytes: sends(2_000, [['/queue/1', x(1_000)]], ['/queue/2', x(1_000)]),
  producersWaitAboveBytes: {
    to: 1_024,
    async exceed(at) {
      const [client, other] = [await at.client(), await at.client()];
      await client.subscribe('1', '/topic/t', 'client', { 'prefetch-count': 1 });
      for (let i = 0; i < 12; i++) other.say('SEND', { destination: '/topic/t' }, x(1_000));
      return client;
    },
  },
  slowConsumerGraceMs: {
    to: 500,
    async exceed(at) {
      const [client, other] = [await at.client(), await at.client()];
      await client.subscribe('1', '/topic/t', 'client', { 'prefetch-count': 1 });
      for (let i = 0; i < 9; i++) other.say('SEND', { destination: '/topic/t' }, x(1_000_000));
      await at.clock.advance(0);
      for (let i = 0; i < 2; i++) other.say('SEND', { destination: '/topic/t' }, x(1_000_000));
      await at.clock.advance(500);
      return client;
    },
  },
  maxDeliveries: { instead: 'the message is a dead letter: queues.test.ts, "a poison message …"' },
  redeliveryDelayMs: { instead: 'the message waits: messages.test.ts' },
  maxRedeliveryDelayMs: { instead: 'the wait is cut: the engine contract' },
  duplicateWindowMs: { instead: 'the id is forgotten: the engine contract' },
  maxDuplicateIds: { instead: 'the oldest ids are forgotten: the engine contract' },
  maxDelayMs: sends(1_000, [['/queue/q', '', delay(1_000)]], ['/queue/q', '', delay(1_001)]),
  maxSelectorBytes: {
    to: 20,
    receipt: 'over',
    async exceed(at) {
      const client = await at.client();
      await client.subscribe('1', '/queue/q', 'auto', { selector: 'a = 1' });
      client.say('SUBSCRIBE', { id: '2', destination: '/queue/q', selector: `a = '${x(20)}'`, receipt: 'over' });
      return client;
    },
  },
  windowBytes: { instead: 'messages are read from disk when their turn comes: the engine contract' },
  maxStoreBytes: sends(2_000, [['/queue/1', x(1_000)]], ['/queue/2', x(1_000)], { onDisk: true }),
  minHeartBeatMs: { instead: 'the wish is raised: heart-beats.test.ts' },
  lingerMs: { instead: 'the connection is cut: "a client that does not take our last words …", below' },
};

/** What issue 3 promises to bound, and what bounds it. */
const PROMISED: Readonly<Record<string, readonly LimitName[]>> = {
  connections: ['maxConnections'],
  'connections of one address': ['maxConnectionsPerAddress'],
  'time to CONNECT': ['connectTimeoutMs'],
  'frame parts': ['maxHeaderLineBytes', 'maxHeaders', 'maxHeadBytes', 'maxBodyBytes', 'frameTimeoutMs'],
  subscriptions: ['maxSubscriptions'],
  transactions: ['maxTransactions', 'maxTransactionFrames', 'maxTransactionBytes'],
  unacked: ['unsettledTimeoutMs'],
  'queue length and bytes': ['maxQueueMessages', 'maxQueueBytes'],
  'total memory and disk': ['maxMemoryBytes', 'maxStoreBytes'],
};

/** The rows of the table in docs/operating.md: the words of the ERROR by the name of the limit. */
const page = readFileSync(new URL('../../../docs/operating.md', import.meta.url), 'utf8');
const documented = Object.fromEntries(
  [...page.matchAll(/^\| `(\w+)` +\|.*\| `([^`]+ \(\1\))` +\|$/gm)].map(([, name = '', words = '']) => [name, words]),
);

/** An ERROR as the table has it: without the rule, and with N for figures. */
function wordsOf(message = ''): string {
  return message.replace(/ \[[^\]]*\]/, '').replace(/\d+/g, 'N');
}

describe('the limits that were promised', () => {
  test.each(Object.entries(PROMISED))('%s: each has a key, a default, and a row below that exceeds it', (_, names) => {
    for (const name of names) {
      expect(LIMITS[name].default).toBeGreaterThan(0);
      expect(ROWS[name].exceed, name).toBeDefined();
    }
  });

  test('docs/operating.md has a row for each that ends in an ERROR, with its default, and names the others', () => {
    const settings = readFileSync(new URL('../../../docs/configuration.md', import.meta.url), 'utf8');
    for (const [name, { exceed }] of Object.entries(ROWS)) {
      expect(documented[name] !== undefined, name).toBe(exceed !== undefined);
      expect(page).toContain(`\`${name}\``);
      if (exceed === undefined) continue;
      const [, standard] = new RegExp(`^\\| \`limits\\.${name}\` \\|[^|]*\\| ([^|]+) \\|`, 'm').exec(settings) ?? [];
      expect(page).toMatch(new RegExp(`^\\| \`${name}\` +\\| ${standard} +\\|`, 'm'));
    }
  });
});

describe('beyond a limit', () => {
  for (const [name, { to, exceed, receipt, onDisk }] of Object.entries(ROWS)) {
    if (exceed === undefined || to === undefined) continue;
    test(`${name}: one ERROR that names it, then the end, and nobody else minds`, async () => {
      const at = await place({ limits: { [name]: to }, ...(onDisk && { data: folder() }) });
      const bystander = await at.client();
      const client = await exceed(at);
      const error = await client.error();
      expect(error.get('message')).toContain(`(${name})`);
      expect(documented[name]).toBe(wordsOf(error.get('message')));
      expect(error.get('receipt-id')).toBe(receipt);
      expect(client.frames.filter((frame) => frame.command === 'ERROR').length).toBe(1);
      expect(at.broker.stats().errors).toBeGreaterThan(0);
      const reached = at.broker.metrics().stompbox_limit_reached_total?.find(({ labels }) => labels.limit === name);
      expect(reached?.value).toBeGreaterThan(0);
      await bystander.ask('BEGIN', { transaction: 't' });
      expect(at.faults).toEqual([]);
    });
  }

  test('a connection beyond the limit does not count, and one that leaves makes room (M-56)', async () => {
    const at = await place({ limits: { maxConnections: 2 } });
    const [one] = [await at.client(), await at.client()];
    await at.dial().error();
    one?.channel.destroy();
    await one?.closed();
    await quiet();
    await at.client();
    expect(at.broker.stats().connections).toBe(2);
  });

  test('connections beyond the limit of one address leave those of others alone', async () => {
    const at = await place({ limits: { maxConnectionsPerAddress: 2 } });
    const client = (address: string) => at.client('1.2', {}, from(address));
    const first = await client('192.0.2.1');
    await client('192.0.2.1');
    await expect(client('192.0.2.1')).rejects.toThrow(/2 connections from this address \(maxConnectionsPerAddress\)$/);
    await client('192.0.2.2');
    first.channel.destroy();
    await quiet();
    await client('192.0.2.1');
  });

  test('of a crowd that does not read why it is turned away 64 are kept for lingerMs, and nobody longer', async () => {
    const at = await place({ limits: { maxConnections: 1, lingerMs: 300 } });
    const inside = await at.client();
    const before = at.clock.alarms;
    const crowd = Array.from({ length: 100 }, () => at.dial());
    for (const client of crowd) client.channel.pause();
    await quiet();
    expect(at.clock.alarms - before).toBe(64);
    await at.clock.advance(300);
    expect(at.clock.alarms).toBe(before);
    for (const client of crowd) client.channel.resume();
    await quiet();
    expect(crowd.filter((client) => client.end === undefined)).toEqual([]);
    expect(at.broker.metrics().stompbox_connections_refused_total).toContainEqual({
      labels: { limit: 'maxConnections' },
      value: 100,
    });
    await inside.ask('BEGIN', { transaction: 't' });
  });

  test('a client that does not take our last words is cut after lingerMs (E-05)', async () => {
    const at = await place({ limits: { lingerMs: 300 } });
    const client = await at.client();
    client.channel.pause();
    client.write('BOO\n\n\0');
    await quiet();
    expect(at.broker.stats().connections).toBe(1);
    await at.clock.advance(300);
    expect(at.broker.stats().connections).toBe(0);
    expect(at.clock.alarms).toBe(0);
  });
});

describe('limits', () => {
  test('are the defaults unless given, and frozen', () => {
    const limits = resolveLimits({ maxHeaders: 9 });
    expect(limits.maxHeaders).toBe(9);
    expect(limits.maxBodyBytes).toBe(LIMITS.maxBodyBytes.default);
    expect(Object.isFrozen(limits)).toBe(true);
    expect(resolveLimits({ maxHeaders: undefined } as never).maxHeaders).toBe(LIMITS.maxHeaders.default);
  });

  test.each([
    [{ maxHeaders: 7 }, /maxHeaders is 7; it takes an integer from 8 on/],
    [{ maxHeaders: 8.5 }, /maxHeaders/],
    [{ maxHeaders: Number.POSITIVE_INFINITY }, /maxHeaders/],
    [{ maxHeaders: Number.NaN }, /maxHeaders/],
    [{ maxHeadres: 9 }, /there is no limit maxHeadres; there are maxConnections, /],
  ])('%j is refused with the name and what it takes', async (limits, message) => {
    await expect(createBroker({ limits: limits as never })).rejects.toThrow(message);
  });

  test('each says in a sentence what it bounds', () => {
    for (const { say } of Object.values(LIMITS)) expect(say).toMatch(/^[A-Z].*\.$/);
  });
});
