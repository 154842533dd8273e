// What a producer can ask for a message: its time, its place, its end.

import type { Frame } from '@stompbox/protocol';
import { describe, expect, test } from 'vitest';
import { onBothEngines, onDisk, type Site, START } from './support.ts';

const QUEUE = '/queue/q';

async function consumed(site: Site, n: number, queue = QUEUE): Promise<string[]> {
  const consumer = await site.client();
  await consumer.subscribe('1', queue);
  const bodies = await consumer.bodies(n);
  expect(await consumer.rest()).toEqual([]);
  await consumer.ask('DISCONNECT');
  return bodies;
}

const about = (message: Frame, ...names: string[]): (string | undefined)[] => names.map((name) => message.get(name));

onBothEngines((open) => {
  describe('priority', () => {
    test('a higher one is delivered first, and within one the oldest', async () => {
      const at = await open();
      const producer = await at.client();
      for (const [body, priority] of [
        ['a', 4],
        ['b', 0],
        ['c', 9],
        ['d', 4],
        ['e', 9],
      ] as const)
        await producer.send(QUEUE, body, { priority });
      expect(await consumed(at, 5)).toEqual(['c', 'e', 'a', 'd', 'b']);
    });
  });

  describe('expiry', () => {
    test('an expired message becomes a dead letter, in an idle queue too', async () => {
      const at = await open();
      const producer = await at.client();
      await producer.send(QUEUE, 'soon', { expiration: 5_000 });
      await producer.send(QUEUE, 'at a time', { expires: START + 6_000 });
      await producer.send(QUEUE, 'never', { expires: 0 });
      await at.clock.advance(4_000);
      expect(at.broker.inspect.browse('q')).toHaveLength(3);
      await at.clock.advance(4_000);
      expect(at.broker.inspect.browse('q').map(({ content }) => Buffer.from(content.body).toString())).toEqual([
        'never',
      ]);
      const dead = at.broker.inspect.browse('dlq.q');
      expect(dead.map(({ content }) => content.headers.get('dead-letter-reason'))).toEqual(['expired', 'expired']);
    });

    test('one that has expired on arrival is not delivered', async () => {
      const at = await open();
      const consumer = await at.client();
      await consumer.subscribe('1', QUEUE);
      await consumer.subscribe('2', '/topic/t');
      await consumer.send(QUEUE, 'late', { expires: START - 1 });
      await consumer.send('/topic/t', 'late', { expires: START - 1 });
      expect(await consumer.rest()).toEqual([]);
    });

    test('Long.MAX_VALUE never comes', async () => {
      const at = await open();
      const producer = await at.client();
      await producer.send(QUEUE, 'x', { expires: '9223372036854775807' });
      expect(await consumed(at, 1)).toEqual(['x']);
    });
  });

  describe('delay', () => {
    test('a message comes when its time has come, in the order of the times', async () => {
      const at = await open();
      const consumer = await at.client();
      await consumer.subscribe('1', QUEUE);
      await consumer.send(QUEUE, 'b', { AMQ_SCHEDULED_DELAY: 2_000 });
      await consumer.send(QUEUE, 'a', { AMQ_SCHEDULED_TIME: START + 1_000 });
      await consumer.send(QUEUE, 'now', { AMQ_SCHEDULED_TIME: START - 5 });
      expect(await consumer.bodies(1)).toEqual(['now']);
      expect(at.broker.inspect.scheduled).toBe(2);
      await at.clock.advance(999);
      expect(await consumer.rest()).toEqual([]);
      await at.clock.advance(1);
      expect(await consumer.bodies(1)).toEqual(['a']);
      await consumer.send('/queue/other'); // the store has done what it was told before
      await at.clock.advance(1_000);
      expect(await consumer.bodies(1)).toEqual(['b']);
      await consumer.send('/queue/other');
      await at.clock.advance(60_000);
      expect(await consumer.rest()).toEqual([]);
      expect(at.broker.inspect.scheduled).toBe(0);
    });

    test('the shortest delay is not forgotten while the store writes', async () => {
      const at = await open();
      const consumer = await at.client();
      await consumer.subscribe('1', '/topic/t');
      for (const body of ['a', 'b', 'c'])
        consumer.say('SEND', { destination: '/topic/t', AMQ_SCHEDULED_DELAY: 1 }, body);
      await at.clock.advance(1);
      await consumer.send('/topic/x');
      await at.clock.advance(1);
      expect(await consumer.bodies(3)).toEqual(['a', 'b', 'c']);
      expect(await consumer.rest()).toEqual([]);
    });
  });

  describe('dead letters', () => {
    test('a message that is nacked too often goes to the dead letters, with its story, and back on request', async () => {
      const at = await open({ limits: { maxDeliveries: 2 } });
      const consumer = await at.client();
      await consumer.subscribe('1', QUEUE, 'client-individual');
      await consumer.send(QUEUE, 'x', { priority: 7, k: 'v' });
      consumer.settle('NACK', await consumer.next());
      const again = await consumer.next();
      expect(about(again, 'redelivered', 'delivery-count')[0]).toBe('true');
      consumer.settle('NACK', again);
      await consumer.send('/queue/other');
      expect(await consumer.rest()).toEqual([]);
      const [dead] = at.broker.inspect.browse('dlq.q');
      const story = ['original-destination', 'dead-letter-reason', 'dead-letter-time', 'delivery-count', 'k'];
      expect(story.map((name) => dead?.content.headers.get(name))).toEqual([
        QUEUE,
        'redeliveries',
        new Date(START).toISOString(),
        '2',
        'v',
      ]);
      expect(await at.broker.inspect.move('dlq.q', undefined)).toBe(1);
      const back = await consumer.next();
      expect([back.text(), ...about(back, 'k', 'priority', 'original-destination', 'redelivered')]).toEqual([
        'x',
        'v',
        '7',
        undefined,
        undefined,
      ]);
    });

    test('the newest are kept where there is no room for all; what is given up is counted and told', async () => {
      const told: [string, unknown][] = [];
      const log = { log: (_: string, event: string, fields: unknown) => void told.push([event, fields]) };
      const at = await open({ limits: { maxQueueMessages: 2 }, log });
      const consumer = await at.client();
      await consumer.subscribe('1', QUEUE, 'client-individual');
      for (const body of ['a', 'b', 'c']) {
        await consumer.send(QUEUE, body);
        consumer.settle('NACK', await consumer.next(), { requeue: 'false' });
      }
      await consumer.send('/queue/other');
      expect(at.broker.inspect.browse('dlq.q').map(({ content }) => Buffer.from(content.body).toString())).toEqual([
        'b',
        'c',
      ]);
      expect(at.broker.metrics().stompbox_messages_dropped_total).toContainEqual({
        labels: { reason: 'dead-letters-full' },
        value: 1,
      });
      expect(told).toContainEqual(['dead-letters-dropped', { queue: 'dlq.q', messages: 1 }]);
    });

    test('each try waits twice as long as the one before', async () => {
      const at = await open({ limits: { redeliveryDelayMs: 1_000, maxRedeliveryDelayMs: 3_000 } });
      const consumer = await at.client();
      await consumer.subscribe('1', QUEUE, 'client-individual');
      await consumer.send(QUEUE, 'x');
      for (const ms of [1_000, 2_000, 3_000, 3_000]) {
        consumer.settle('NACK', await consumer.next());
        await at.clock.advance(ms - 1);
        expect(await consumer.rest()).toEqual([]);
        await at.clock.advance(1);
      }
      expect(await consumer.bodies(1)).toEqual(['x']);
    });

    test('requeue:false goes there at once', async () => {
      const at = await open();
      const consumer = await at.client();
      await consumer.subscribe('1', QUEUE, 'client-individual');
      await consumer.send(QUEUE, 'x');
      consumer.settle('NACK', await consumer.next(), { requeue: 'false' });
      await consumer.send('/queue/other');
      expect(at.broker.inspect.browse('dlq.q')[0]?.content.headers.get('dead-letter-reason')).toBe('rejected');
    });
  });

  describe('de-duplication', () => {
    test.each(['duplicate-id', '_AMQ_DUPL_ID'])(
      '%s: a second one within the window is confirmed and dropped',
      async (name) => {
        const at = await open({ limits: { duplicateWindowMs: 10_000 } });
        const producer = await at.client();
        await producer.send(QUEUE, 'a', { [name]: '1' });
        await producer.send(QUEUE, 'b', { [name]: '1' });
        await producer.send('/queue/other', 'elsewhere', { [name]: '1' });
        await at.clock.advance(10_000);
        await producer.send(QUEUE, 'c', { [name]: '1' });
        expect(await consumed(at, 2)).toEqual(['a', 'c']);
      },
    );
  });
});

describe('after an orderly restart', () => {
  test('messages are there, in order and by priority, and not marked', async () => {
    const at = await onDisk();
    const producer = await at.client();
    for (let i = 0; i < 5; i++) await producer.send(QUEUE, String(i), { priority: i === 3 ? 9 : 4 });
    await at.restart();
    const consumer = await at.client();
    await consumer.subscribe('1', QUEUE);
    const messages = await consumer.take(5);
    expect(messages.map((message) => message.text())).toEqual(['3', '0', '1', '2', '4']);
    expect(messages.every((message) => message.get('redelivered') === undefined)).toBe(true);
  });

  test('the schedule, delivery counts, dead letters, ids of producers and expiry are kept', async () => {
    const at = await onDisk({ limits: { maxDeliveries: 2 } });
    const before = await at.client();
    await before.subscribe('1', '/queue/counted', 'client-individual');
    await before.send('/queue/counted', 'counted');
    before.settle('NACK', await before.next());
    await before.next();
    await before.send('/queue/later', 'later', { AMQ_SCHEDULED_DELAY: 5_000 });
    await before.send('/queue/once', 'once', { 'duplicate-id': 'x' });
    await before.send('/queue/short', 'short', { expiration: 3_000 });
    await at.restart();
    expect(at.broker.inspect.scheduled).toBe(1);
    const after = await at.client();
    await after.send('/queue/once', 'twice', { 'duplicate-id': 'x' });
    expect(await consumed(at, 1, '/queue/once')).toEqual(['once']);
    expect(at.broker.inspect.browse('counted')[0]?.redeliveries).toBe(2);
    await at.clock.advance(5_000);
    await after.send('/queue/any');
    expect(await consumed(at, 1, '/queue/later')).toEqual(['later']);
    expect(at.broker.inspect.browse('short')).toEqual([]);
    await at.restart();
    expect(at.broker.inspect.browse('dlq.short')).toHaveLength(1);
  });
});

describe('after a crash', () => {
  test('what may have been delivered is marked, what comes later is not', async () => {
    const at = await onDisk();
    const before = await at.client();
    await before.subscribe('1', QUEUE, 'client');
    await before.send(QUEUE, 'a');
    await before.next();
    await at.crash();
    const after = await at.client();
    await after.subscribe('1', QUEUE);
    await after.send(QUEUE, 'b');
    const messages = await after.take(2);
    expect(messages.map((message) => [message.text(), message.get('redelivered')])).toEqual([
      ['a', 'true'],
      ['b', undefined],
    ]);
  });
});
