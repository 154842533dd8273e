// Patience ends: with who does not settle, and with who does not read.

import fc from 'fast-check';
import { ManualClock, type MemoryClient, quiet } from 'testkit';
import { describe, expect, test } from 'vitest';
import { Overdue } from '../src/overdue.ts';
import { remembering } from './operations/support.ts';
import { books, type Place, place } from './support.ts';

const TIMEOUT = 400;

async function consumerOf(at: Place, ack: 'client' | 'client-individual' = 'client-individual'): Promise<MemoryClient> {
  const client = await at.client();
  await client.subscribe('1', '/queue/q', ack);
  return client;
}

describe('a consumer that does not settle', () => {
  test('gets an ERROR, and what it has goes to another, marked', async () => {
    const log = remembering();
    const at = await place({ limits: { unsettledTimeoutMs: TIMEOUT }, log });
    const consumer = await consumerOf(at);
    const producer = await at.client();
    for (const body of ['a', 'b']) await producer.send('/queue/q', body);
    await consumer.take(2);
    const other = await consumerOf(at);
    await at.clock.advance(TIMEOUT);
    expect((await consumer.error()).get('message')).toBe(
      'a delivery was not settled within 400 ms (unsettledTimeoutMs)',
    );
    const came = await other.take(2);
    expect(came.map((message) => [message.text(), message.get('redelivered')])).toEqual([
      ['a', 'true'],
      ['b', 'true'],
    ]);
    expect(log.of('limit-reached')).toMatchObject([{ limit: 'unsettledTimeoutMs' }]);
    expect(at.broker.metrics().stompbox_messages_returned_total).toBe(2);
    expect(at.faults).toEqual([]);
  });

  test('one of many is enough, and an ACK that waits in a transaction is none', async () => {
    for (const transaction of [undefined, 't']) {
      const at = await place({ limits: { unsettledTimeoutMs: TIMEOUT } });
      const consumer = await consumerOf(at);
      const producer = await at.client();
      for (const body of ['a', 'b', 'c']) await producer.send('/queue/q', body);
      const [first, ...others] = await consumer.take(3);
      await consumer.ask('BEGIN', { transaction: 't' });
      for (const message of others) consumer.settle('ACK', message);
      if (first && transaction !== undefined) consumer.settle('ACK', first, { transaction });
      await at.clock.advance(TIMEOUT);
      await consumer.error();
      expect(books(at.broker, 'q')).toMatchObject({ waiting: 1, unsettled: 0 });
    }
  });

  test('in time is left alone, however long it works, and leaves no timer behind when it has nothing', async () => {
    const at = await place({ limits: { unsettledTimeoutMs: TIMEOUT } });
    const [consumer, producer] = [await consumerOf(at), await at.client()];
    for (let i = 0; i < 50; i++) {
      await producer.send('/queue/q', `${i}`);
      const message = await consumer.next();
      await at.clock.advance(TIMEOUT - 1);
      consumer.settle('ACK', message);
    }
    await at.clock.advance(TIMEOUT);
    expect(consumer.end).toBeUndefined();
    expect(at.clock.alarms).toBe(0);
  });

  test('is waited for without end where unsettledTimeoutMs is 0', async () => {
    const at = await place({ limits: { unsettledTimeoutMs: 0 } });
    const [consumer, producer] = [await consumerOf(at), await at.client()];
    await producer.send('/queue/q');
    await consumer.next();
    await at.clock.advance(1e9);
    expect(consumer.end).toBeUndefined();
  });

  test('has all the time there is for copies, which nobody settles', async () => {
    const at = await place({ limits: { unsettledTimeoutMs: TIMEOUT } });
    const client = await at.client();
    await client.send('/queue/q');
    await client.subscribe('1', '/queue/q', 'client', { browser: 'true' });
    await client.take(2);
    await at.clock.advance(10 * TIMEOUT);
    expect(client.end).toBeUndefined();
  });

  test('property: whatever is owed and settled when, nothing is overdue too early or more than a quarter too late', async () => {
    const timeoutMs = 100;
    const step = fc.record({ wait: fc.integer({ min: 0, max: 60 }), settle: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 30 }), async (steps) => {
        const clock = new ManualClock();
        const owed = new Map<number, number>();
        let [next, told] = [0, false];
        const overdue = new Overdue(
          {
            oldest: () => owed.keys().next().value,
            next: () => next,
            now: clock.now,
            schedule: clock.schedule,
            overdue: () => {
              const [since = Number.NaN] = owed.values();
              expect(clock.now() - since).toBeGreaterThanOrEqual(timeoutMs);
              told = true;
              overdue.stop();
            },
          },
          timeoutMs,
        );
        for (const { wait, settle } of steps) {
          if (settle) for (const first of [...owed.keys()].slice(0, 1)) owed.delete(first);
          else {
            owed.set(next++, clock.now());
            overdue.watch();
          }
          await clock.advance(wait);
          if (told) break;
          for (const since of owed.values()) expect(clock.now() - since).toBeLessThan(timeoutMs * 1.25);
        }
        overdue.stop();
        expect(clock.alarms).toBe(0);
      }),
    );
  });
});

describe('a client that does not read', () => {
  const BODY = 'x'.repeat(1_000);

  async function stuck(at: Place): Promise<MemoryClient> {
    const client = await at.client('1.2', {}, { highWaterMark: 1_024 });
    await client.subscribe('1', '/queue/q', 'client-individual');
    client.channel.pause();
    const producer = await at.client();
    for (let i = 0; i < 4; i++) await producer.send('/queue/q', BODY);
    await quiet();
    return client;
  }

  test('is closed, logged and counted, and what it was sent goes back', async () => {
    const log = remembering();
    const at = await place({ limits: { outputTimeoutMs: TIMEOUT, maxOutputBytes: 2_048 }, log });
    await stuck(at);
    const idle = at.broker.stats().connections;
    await at.clock.advance(TIMEOUT + 1_000); // and lingerMs
    expect(at.broker.stats().connections).toBe(idle - 1);
    expect(books(at.broker, 'q')).toEqual({ waiting: 4, unsettled: 0, consumers: 0 });
    expect(log.of('limit-reached')).toMatchObject([{ limit: 'outputTimeoutMs' }]);
    expect(at.broker.metrics().stompbox_errors_total).toContainEqual({ labels: { code: 'limit' }, value: 1 });
    expect(at.faults).toEqual([]);
  });

  test('but now and then is left alone, and needs no timer once it has read all', async () => {
    const at = await place({ limits: { outputTimeoutMs: TIMEOUT, maxOutputBytes: 1_024, unsettledTimeoutMs: 0 } });
    const client = await stuck(at);
    const producer = await at.client();
    for (let i = 0; i < 20; i++) {
      await at.clock.advance(TIMEOUT - 100);
      client.channel.resume();
      for (const message of await client.rest()) client.settle('ACK', message);
      client.channel.pause();
      await producer.send('/queue/q', BODY);
      await producer.send('/queue/q', BODY);
    }
    expect(client.end).toBeUndefined();
    client.channel.resume();
    for (const message of await client.rest()) client.settle('ACK', message);
    await at.clock.advance(TIMEOUT);
    expect(client.end).toBeUndefined();
  });

  test('is waited for without end where outputTimeoutMs is 0', async () => {
    const at = await place({ limits: { outputTimeoutMs: 0, unsettledTimeoutMs: 0 } });
    const client = await stuck(at);
    await at.clock.advance(1e9);
    client.channel.resume();
    expect((await client.bodies(4)).length).toBe(4);
  });
});
