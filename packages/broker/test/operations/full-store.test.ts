// A store that has no room, as clients and operators see it.

import { memoryPair } from '@stompbox/transport';
import { ManualClock, MemoryClient } from 'testkit';
import { expect, onTestFinished, test } from 'vitest';
import { createBroker } from '../../src/index.ts';
import { resolveLimits } from '../../src/limits.ts';
import { logTo } from '../../src/log.ts';
import { openOwnEngine } from '../../src/own-engine.ts';
import { lmdbStore } from '../../src/store/lmdb.ts';
import { Moody } from '../features/moody.ts';
import { folder } from '../support.ts';
import { remembering } from './support.ts';

async function place() {
  const clock = new ManualClock();
  const log = remembering();
  const faults: unknown[] = [];
  const store = new Moody(await lmdbStore({ dir: folder() }));
  const own = {
    data: undefined,
    limits: resolveLimits(),
    log: logTo(log),
    now: clock.now,
    time: clock.now,
    schedule: clock.schedule,
    fault: (error: unknown) => faults.push(error),
  };
  const { engine } = await openOwnEngine(own, store);
  const broker = await createBroker({ engine, clock, log, onFault: own.fault });
  onTestFinished(async () => {
    let isClosed = false;
    void broker.close().then(() => {
      isClosed = true;
    });
    while (!isClosed) await clock.advance(0);
  });
  const client = async () => {
    const { a, b } = memoryPair();
    broker.serve(b);
    const made = new MemoryClient(a);
    await made.connect();
    return made;
  };
  return { broker, clock, log, store, faults, client };
}

test('its producer gets an ERROR and no RECEIPT, what was confirmed stays, and the log tells when it fails and when it recovers', async () => {
  const at = await place();
  const [producer, bystander] = [await at.client(), await at.client()];
  await producer.send('/queue/q', 'kept');
  at.store.isFull = true;
  producer.say('SEND', { destination: '/queue/q', receipt: 'lost' }, 'lost');
  const error = await producer.error();
  expect(error.get('message')).toContain('there is no space left');
  expect(error.get('receipt-id')).toBe('lost');
  expect(producer.frames.map(({ command }) => command)).toEqual(['ERROR']);
  expect(at.log.of('store-failed')).toEqual([{ error: expect.stringContaining('there is no space left') }]);
  expect(at.log.of('store-recovered')).toEqual([]);
  expect(at.log.of('client-error')).toMatchObject([{ code: 'store-failed' }]);

  await at.clock.advance(250);
  at.store.isFull = false;
  const other = await at.client();
  await other.send('/queue/q', 'after');
  await at.clock.advance(1_000);
  expect(at.log.of('store-recovered')).toEqual([{ ms: expect.any(Number) }]);
  expect(at.log.of('store-failed')).toHaveLength(1);
  await bystander.subscribe('1', '/queue/q');
  expect(await bystander.bodies(2)).toEqual(['kept', 'after']);
  expect(at.broker.stats().errors).toBe(1);
  expect(at.faults).toEqual([]);
});

test('a transaction that it cannot keep happens not at all, and its client hears of it', async () => {
  const at = await place();
  const [client, other] = [await at.client(), await at.client()];
  await client.send('/queue/in', 'work');
  await client.subscribe('1', '/queue/in', 'client');
  const message = await client.next();
  await client.ask('BEGIN', { transaction: 't' });
  client.settle('ACK', message, { transaction: 't' });
  await client.send('/queue/out', 'result', { transaction: 't' });
  at.store.isFull = true;
  client.say('COMMIT', { transaction: 't', receipt: 'commit' });
  expect((await client.error()).get('receipt-id')).toBe('commit');
  at.store.isFull = false;
  await at.clock.advance(1_000);
  await other.subscribe('1', '/queue/in');
  const again = await other.next();
  expect([again.text(), again.get('redelivered')]).toEqual(['work', 'true']);
  expect(at.broker.inspect.queues().find(({ name }) => name === 'out')?.waiting ?? 0).toBe(0);
});
