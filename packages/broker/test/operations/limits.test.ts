// Bounded: every limit has a key and a figure (what exceeds each: ../limits.test.ts); and what a full queue does.

import { readFileSync } from 'node:fs';
import { quiet } from 'testkit';
import { describe, expect, test } from 'vitest';
import { createBroker, LIMITS, type LimitName, renderMetrics, SECTIONS } from '../../src/index.ts';
import { place } from '../support.ts';
import { remembering } from './support.ts';

const x = (n: number): string => 'x'.repeat(n);
const names = Object.keys(LIMITS) as LimitName[];

describe('every limit', async () => {
  const broker = await createBroker();
  const text = renderMetrics(broker.metrics());
  await broker.close();
  const page = readFileSync(new URL('../../../../docs/configuration.md', import.meta.url), 'utf8');
  test.each(names)('%s has a key, a line in the documentation, and two figures', (name) => {
    expect(SECTIONS.flatMap(({ settings }) => settings).map((one) => one.name)).toContain(`limits.${name}`);
    expect(page).toContain(`| \`limits.${name}\` |`);
    expect(text).toContain(`stompbox_limit{limit="${name}"} ${LIMITS[name].default}\n`);
    expect(text).toContain(`stompbox_limit_reached_total{limit="${name}"} 0\n`);
  });
});

test('a connection that owes as many settlements as it may gets no more, on none of its subscriptions, until it settles', async () => {
  const at = await place({ limits: { maxUnsettled: 3 } });
  const [client, other] = [await at.client(), await at.client()];
  await client.subscribe('1', '/queue/a', 'client-individual');
  for (let i = 0; i < 5; i++) await other.send('/queue/a', `${i}`);
  const first = await client.rest();
  expect(first.map((message) => message.text())).toEqual(['0', '1', '2']);
  await client.subscribe('2', '/queue/b', 'client-individual');
  await other.send('/queue/b', 'b');
  expect(await client.rest()).toEqual([]);
  await client.subscribe('3', '/queue/c');
  await other.send('/queue/c', 'nobody has to settle it');
  expect(await client.bodies(1)).toEqual(['nobody has to settle it']);
  if (first[0]) client.settle('ACK', first[0]);
  expect((await client.rest()).length).toBe(1);
  await client.ask('UNSUBSCRIBE', { id: '1' }); // what it owed there goes back
  expect(await client.bodies(1)).toEqual(['b']);
  const reached = at.broker
    .metrics()
    .stompbox_limit_reached_total?.find(({ labels }) => labels.limit === 'maxUnsettled');
  expect(reached?.value).toBeGreaterThan(0);
  expect(at.faults).toEqual([]);
});

describe('a full queue', () => {
  test('refuses its producer unless told otherwise', async () => {
    const at = await place({ limits: { maxQueueMessages: 2 } });
    const client = await at.client();
    for (let i = 0; i < 2; i++) await client.send('/queue/q');
    client.say('SEND', { destination: '/queue/q', receipt: 'over' });
    expect((await client.error()).get('message')).toMatch(/\(maxQueueMessages\)$/);
  });

  test.each([
    ['maxQueueMessages', 2, 'a'],
    ['maxQueueBytes', 1_300, x(300)],
  ] as const)('of %s makes its producer wait where that was asked for, and loses nothing', async (limit, to, body) => {
    const at = await place({ limits: { [limit]: to }, whenFull: 'wait' });
    const [producer, consumer] = [await at.client(), await at.client()];
    for (let i = 0; i < 2; i++) await producer.send('/queue/q', body);
    producer.say('SEND', { destination: '/queue/q', receipt: 'over' }, `${body}!`);
    expect(await producer.rest()).toEqual([]);
    await consumer.subscribe('1', '/queue/q', 'client-individual', { 'prefetch-count': '1' });
    expect(await producer.rest()).toEqual([]);
    consumer.settle('ACK', await consumer.next());
    expect((await producer.next()).get('receipt-id')).toBe('over');
    expect(await consumer.bodies(1)).toEqual([body]);
    expect(at.faults).toEqual([]);
  });

  test('gives up what is next in line where that was asked for, but nothing that somebody has', async () => {
    const at = await place({ limits: { maxQueueMessages: 3 }, whenFull: 'drop-oldest' });
    const [producer, consumer] = [await at.client(), await at.client()];
    await consumer.subscribe('1', '/queue/q', 'client-individual', { 'prefetch-count': '1' });
    for (let i = 0; i < 6; i++) await producer.send('/queue/q', `${i}`);
    const held = await consumer.next();
    expect(held.text()).toBe('0');
    consumer.settle('ACK', held);
    const next = await consumer.next();
    expect(next.text()).toBe('4');
    expect(at.broker.metrics().stompbox_messages_dropped_total).toContainEqual({
      labels: { reason: 'queue-full' },
      value: 3,
    });
    await consumer.ask('BEGIN', { transaction: 't' });
    for (const body of ['6', '7']) await producer.send('/queue/q', body);
    consumer.settle('ACK', next);
    expect(await consumer.bodies(1)).toEqual(['6']);
  });

  test('refuses when it is full of what consumers have, whatever it was told to drop', async () => {
    const at = await place({ limits: { maxQueueMessages: 2 }, whenFull: 'drop-oldest' });
    const [producer, consumer] = [await at.client(), await at.client()];
    await consumer.subscribe('1', '/queue/q', 'client-individual');
    for (let i = 0; i < 2; i++) await producer.send('/queue/q');
    producer.say('SEND', { destination: '/queue/q', receipt: 'over' });
    expect((await producer.error()).get('message')).toMatch(/\(maxQueueMessages\)$/);
  });

  test('has a policy that exists', async () => {
    await expect(createBroker({ whenFull: 'explode' as never })).rejects.toThrow(
      'refuse, wait, drop-oldest, not explode',
    );
  });
});

test('connections that are turned away are counted one by one, and told at most once a second', async () => {
  const log = remembering();
  const at = await place({ limits: { maxConnections: 1 }, log });
  await at.client();
  for (let i = 0; i < 5; i++) await at.dial().closed();
  await at.clock.advance(1_000);
  await at.dial().closed();
  await quiet();
  const { stompbox_connections_refused_total } = at.broker.metrics();
  expect(stompbox_connections_refused_total).toContainEqual({ labels: { limit: 'maxConnections' }, value: 6 });
  expect(log.of('connection-refused').map(({ suppressed }) => suppressed)).toEqual([0, 4]);
});
