// What durable queues have in memory counts in `maxMemoryBytes`: windows give way, and nothing is read for which there is
// no room.

import { expect, test } from 'vitest';
import { Bench, kindIs, queue, sendOf, topic } from './support.ts';

const Q = queue('q');
const R = queue('r');
const KILO = 'x'.repeat(1_000);
const kilos = (to: typeof Q, n: number, kind?: string) => Array.from({ length: n }, () => sendOf(to, KILO, { kind }));
const WEIGHT = 1_250; // about, of one of them

test('what waits to be settled counts, and nothing more is read until it is (promise 5)', async () => {
  const at = new Bench({ maxMemoryBytes: 20_000, windowBytes: 8_192 });
  for (let i = 0; i < 5; i++) await at.send(...kilos(Q, 20));
  const consumer = await at.consume(Q, { credit: 1_000 });
  const got = consumer.owed.length;
  expect(got).toBeGreaterThan(10);
  expect(got).toBeLessThan(100);
  expect(at.engine.memoryBytes).toBeLessThanOrEqual(20_000);
  let settled = 0;
  while (settled < 100) {
    const some = consumer.owed.splice(0, 3);
    expect(some.length).toBeGreaterThan(0);
    settled += some.length;
    await at.settle('ack', ...some);
    expect(at.engine.memoryBytes).toBeLessThanOrEqual(20_000);
  }
  expect(at.engine.memoryBytes).toBe(0);
  expect(at.engine.inspect.queues()).toMatchObject([{ waiting: 0, unsettled: 0, bytes: 0 }]);
});

test('a search reads on when there is room again', async () => {
  const at = new Bench({ maxMemoryBytes: 10_000, windowBytes: 4_096 });
  for (let i = 0; i < 10; i++) await at.send(...kilos(Q, 5), ...kilos(Q, 5, 'wanted'));
  const consumer = await at.consume(Q, { selects: kindIs('wanted'), credit: 1_000 });
  for (let settled = 0; settled < 50; ) {
    const some = consumer.owed.splice(0);
    expect(some.length).toBeGreaterThan(0);
    expect(at.engine.memoryBytes).toBeLessThanOrEqual(10_000);
    settled += some.length;
    await at.settle('ack', ...some);
  }
  expect(at.engine.inspect.queues()).toMatchObject([{ waiting: 50, unsettled: 0 }]);
});

test('a window gives way to another queue, and to what is in memory only', async () => {
  const at = new Bench({ maxMemoryBytes: 12_000, windowBytes: 10_000 });
  await at.send(...kilos(Q, 50));
  expect(at.engine.memoryBytes).toBeGreaterThan(8_000);
  await at.send(...kilos(R, 7));
  const reader = await at.consume(R, { credit: 100 });
  expect(reader.owed).toHaveLength(7);
  await at.send(...kilos(queue('\0here'), 2)); // of a connection: not on disk
  expect(at.engine.memoryBytes).toBeLessThanOrEqual(12_000);
  await at.settle('ack', ...reader.owed.splice(0));
  await at.engine.discard('\0here');
  const consumer = await at.consume(Q, { credit: 100, auto: true });
  expect(consumer.take()).toHaveLength(50);
  expect(at.engine.memoryBytes).toBe(0);
});

test('what consumers of durable queues have leaves no room for what is in memory only, and the refusal names the limit', async () => {
  const at = new Bench({ maxMemoryBytes: 12_000, windowBytes: 4_096 });
  await at.send(...kilos(Q, 50));
  const holder = await at.consume(Q, { credit: 100 });
  expect(holder.owed.length).toBeGreaterThan(5);
  const flood = at.send(...kilos(queue('\0here'), 10));
  await expect(flood).rejects.toMatchObject({
    code: 'memory-full',
    message: expect.stringMatching(/\(maxMemoryBytes\)$/),
  });
  const subscriber = await at.consume(topic('t'));
  await at.send(...kilos(topic('t'), 10));
  expect(subscriber.ended).toMatchObject({
    code: 'slow-consumer',
    message: expect.stringMatching(/\(maxMemoryBytes\)$/),
  });
  await at.send(...kilos(Q, 10)); // goes to disk
  expect(at.engine.memoryBytes).toBeLessThanOrEqual(12_000);
});

test('a queue of which nothing is in memory may always bring one message, so that it goes on', async () => {
  const at = new Bench({ maxMemoryBytes: 12_000, windowBytes: 4_096 });
  await at.send(...kilos(queue('\0here'), 9)); // and nobody takes it
  await at.send(...kilos(Q, 20));
  await at.send(...kilos(R, 20, 'wanted'));
  for (const consumer of [
    await at.consume(Q, { credit: 100 }),
    await at.consume(R, { credit: 100, selects: kindIs('wanted') }),
  ]) {
    for (let settled = 0; settled < 20; settled++) {
      expect(consumer.owed).toHaveLength(1);
      expect(at.engine.memoryBytes).toBeLessThanOrEqual(12_000 + 2 * WEIGHT);
      await at.settle('ack', ...consumer.owed.splice(0));
    }
    consumer.feed.close();
  }
});

test('what is given up for the sake of new messages needs no room', async () => {
  const at = new Bench({ maxMemoryBytes: 10_000, windowBytes: 8_192, maxQueueMessages: 20, whenFull: 'drop-oldest' });
  await at.send(...kilos(queue('\0here'), 7));
  for (let i = 0; i < 40; i++) {
    await at.send(sendOf(Q, `${i} ${KILO}`));
    expect(at.engine.memoryBytes).toBeLessThanOrEqual(10_000 + WEIGHT);
  }
  expect(
    at.engine.inspect.browse('q').map(({ content }) => Buffer.from(content.body).toString().split(' ')[0]),
  ).toEqual(Array.from({ length: 20 }, (_, i) => String(i + 20)));
});

test('a queue is purged, and moved, however little room there is', async () => {
  const at = new Bench({ maxMemoryBytes: 4_000, windowBytes: 2_048 });
  await at.send(...kilos(Q, 30));
  const holder = await at.consume(Q, { credit: 100 });
  const held = holder.owed.length;
  expect(await at.engine.inspect.move('q', 'r')).toBe(30 - held);
  expect(await at.engine.inspect.purge('r')).toBe(30 - held);
  await at.settle('ack', ...holder.owed);
  expect(at.engine.memoryBytes).toBe(0);
});
