// Full queues that no producer addresses: those of durable subscriptions, and those of dead letters.

import { describe, expect, test } from 'vitest';
import type { Delivery, SubscriptionRequest } from '../../src/engine/engine.ts';
import { Bench, kindIs, queue, sendOf, textOf, topic } from './support.ts';

const T = topic('t');
const Q = queue('q');
const LIMITS = [
  ['maxQueueMessages', { maxQueueMessages: 3 }, 'x'],
  ['maxQueueBytes', { maxQueueBytes: 2_000 }, 'x'.repeat(400)],
] as const;

/** A durable subscription that was left. */
async function leaves(at: Bench, name: string, asked: Partial<SubscriptionRequest> = {}): Promise<void> {
  const { feed } = await at.consume(T, { durable: name, ...asked });
  feed.close();
}
const waiting = (at: Bench) => Object.fromEntries(at.engine.inspect.durables().map((one) => [one.name, one.waiting]));

describe.each(LIMITS)('a durable subscription that is full (%s)', (limit, limits, body) => {
  const message = () => sendOf(T, body);

  test('refuses the producer of its topic, by name, and nobody gets the message', async () => {
    const at = new Bench(limits);
    await leaves(at, 'full');
    for (let i = 0; i < 3; i++) await at.send(message());
    await leaves(at, 'other');
    const subscriber = await at.consume(T, { credit: 10 });
    await expect(at.send(message())).rejects.toMatchObject({
      code: 'queue-full',
      at: 0,
      message: expect.stringMatching(new RegExp(`^the durable subscription full .*\\(${limit}\\)$`)),
    });
    expect(waiting(at)).toEqual({ full: 3, other: 0 });
    expect(subscriber.take()).toEqual([]);
    await at.send(sendOf(topic('u'), body), sendOf(Q, body)); // others go on
  });

  test('refuses a transaction as a whole, and counts what the transaction itself brings', async () => {
    const at = new Bench(limits);
    await leaves(at, 'full');
    await at.send(message());
    const sends = [sendOf(Q, 'first'), message(), message(), message()];
    const work = at.engine.commit({ sends, settlements: [], atomic: true });
    await expect(work).rejects.toMatchObject({ code: 'queue-full', at: 3 });
    expect(waiting(at)).toEqual({ full: 1 });
    expect(at.engine.inspect.queues()).toEqual([]);
  });

  test('makes the producer of its topic wait, where that was asked for, until there is room', async () => {
    const at = new Bench({ ...limits, whenFull: 'wait' });
    await leaves(at, 'full');
    await leaves(at, 'selecting', { selector: "kind = 'none'", selects: kindIs('none') });
    for (let i = 0; i < 3; i++) await at.send(message());
    let isSent = false;
    const sending = at.engine.commit({ sends: [message(), message()], settlements: [], atomic: false }).then(() => {
      isSent = true;
    });
    await at.quiet();
    expect(isSent).toBe(false);
    const consumer = await at.consume(T, { durable: 'full', credit: 5 });
    await at.settle('ack', consumer.owed[0]);
    expect(isSent).toBe(false);
    await at.settle('ack', ...consumer.owed.slice(1, 3));
    await sending;
    expect(waiting(at)).toEqual({ full: 2, selecting: 0 });
  });

  test('gives up its own oldest, where that was asked for, and the others lose nothing', async () => {
    const at = new Bench({ ...limits, whenFull: 'drop-oldest' });
    await leaves(at, 'full');
    const reader = await at.consume(T, { durable: 'reader', credit: 100, auto: true });
    for (let i = 0; i < 5; i++) await at.send(sendOf(T, `${i}${body}`));
    expect(reader.take()).toHaveLength(5);
    const late = await at.consume(T, { durable: 'full', credit: 100 });
    expect(late.take().map((text) => text[0])).toEqual(['2', '3', '4']);
    expect(at.engine.counts.droppedOldest).toBe(2);
    await expect(at.send(message())).rejects.toMatchObject({ code: 'queue-full' }); // a consumer has all of it
    await at.settle('ack', ...late.owed);
    await at.send(message());
    expect(late.take()).toHaveLength(1);
  });
});

test('a durable subscription whose consumer has all that it may hold refuses, even where the oldest are dropped', async () => {
  const at = new Bench({ maxQueueMessages: 2, whenFull: 'drop-oldest' });
  const holder = await at.consume(T, { durable: 'd', credit: 100 });
  await at.send(sendOf(T, 'a'), sendOf(T, 'b'));
  await expect(at.send(sendOf(T, 'c'))).rejects.toMatchObject({ code: 'queue-full' });
  await at.settle('ack', ...holder.owed);
  await at.send(sendOf(T, 'c'));
  expect(holder.take()).toEqual(['a', 'b', 'c']);
});

test('a message counts for a durable subscription only if it is selected', async () => {
  const at = new Bench({ maxQueueMessages: 1 });
  await leaves(at, 'd', { selector: "kind = 'a'", selects: kindIs('a') });
  await at.send(sendOf(T, '1', { kind: 'a' }));
  await at.send(sendOf(T, '2', { kind: 'b' }), sendOf(T, '3'));
  await expect(at.send(sendOf(T, '4', { kind: 'a' }))).rejects.toMatchObject({ code: 'queue-full' });
});

test('each durable subscription counts in the limit of the store', async () => {
  const at = new Bench({ maxStoreBytes: 2_000 });
  for (const name of ['a', 'b', 'c']) await leaves(at, name);
  const work = { sends: [sendOf(T, 'x'.repeat(400)), sendOf(T, 'x'.repeat(400))], settlements: [], atomic: true };
  await expect(at.engine.commit(work)).rejects.toMatchObject({ code: 'store-full', at: 1 });
});

describe('a queue of dead letters that is full', () => {
  const dropped: [queue: string, messages: number][] = [];
  const bench = (limits: ConstructorParameters<typeof Bench>[0]) => {
    dropped.length = 0;
    return new Bench({
      maxDeliveries: 1,
      ...limits,
      observer: { deadLettersDropped: (...args) => dropped.push(args) },
    });
  };
  const letters = (at: Bench) => at.engine.inspect.browse('dlq.q').map(({ content }) => textOf({ content }));

  test.each(LIMITS)('keeps the newest, and says what it gave up (%s)', async (_, limits, body) => {
    const at = bench({ ...limits, ...('maxQueueBytes' in limits && { maxQueueBytes: 2_600 }) });
    const consumer = await at.consume(Q, { credit: 100 });
    for (let i = 0; i < 6; i++) {
      await at.send(sendOf(Q, `${i}${body}`));
      await at.settle(i % 2 ? 'nack' : 'reject', ...consumer.owed.splice(0));
    }
    expect(letters(at).map((text) => text[0])).toEqual(['3', '4', '5']);
    expect(at.engine.counts.droppedDead).toBe(3);
    expect(dropped).toEqual([
      ['dlq.q', 1],
      ['dlq.q', 1],
      ['dlq.q', 1],
    ]);
    await at.restart();
    expect(letters(at)).toHaveLength(3);
  });

  test('gives the new one up where consumers have all the others', async () => {
    const at = bench({ maxQueueMessages: 2 });
    const undertaker = await at.consume(queue('dlq.q'), { credit: 100 });
    const consumer = await at.consume(Q, { credit: 100 });
    for (const body of ['a', 'b', 'c']) {
      await at.send(sendOf(Q, body));
      await at.settle('reject', ...consumer.owed.splice(0));
    }
    expect(undertaker.take()).toEqual(['a', 'b']);
    expect(dropped).toEqual([['dlq.q', 1]]);
    expect(at.engine.inspect.queues()).toMatchObject([
      { name: 'dlq.q', waiting: 0, unsettled: 2 },
      { name: 'q', waiting: 0, unsettled: 0 },
    ]);
  });

  test('takes what expires in its turn, in an idle queue, too', async () => {
    const at = bench({ maxQueueMessages: 4 });
    const expiresAt = at.clock.now() + 100;
    await at.send(...Array.from({ length: 4 }, (_, i) => sendOf(Q, `${i}`, { expiresAt })));
    await at.clock.advance(2_000);
    expect(letters(at)).toEqual(['0', '1', '2', '3']);
    await at.send(sendOf(Q, '4', { expiresAt: at.clock.now() + 100 }));
    await at.clock.advance(2_000);
    expect(letters(at)).toEqual(['1', '2', '3', '4']);
  });
});

describe('a message that need not be kept (persistent:false)', () => {
  const volatile = (body: string) => sendOf(Q, body, { persistent: false });
  const texts = (deliveries: readonly Delivery[]) => deliveries.map(textOf);

  test('is confirmed before the disk has it, and delivered; a persistent one is not confirmed', async () => {
    const at = new Bench();
    await at.send(sendOf(queue('r'), 'x'));
    const consumer = await at.consume(Q, { credit: 10 });
    let goOn = (): void => {};
    at.store.disk = new Promise((resolve) => {
      goOn = resolve;
    });
    let isKept = false;
    await at.engine.commit({ sends: [volatile('quick')], settlements: [], atomic: false });
    const keeping = at.engine.commit({ sends: [sendOf(Q, 'safe')], settlements: [], atomic: false }).then(() => {
      isKept = true;
    });
    await at.quiet();
    expect(texts(consumer.owed)).toEqual(['quick', 'safe']);
    expect(isKept).toBe(false);
    goOn();
    await keeping;
  });

  test('is there after an orderly restart, in its place', async () => {
    const at = new Bench();
    await at.engine.commit({ sends: [volatile('a'), sendOf(Q, 'b'), volatile('c')], settlements: [], atomic: false });
    await at.engine.commit({ sends: [volatile('d')], settlements: [], atomic: false });
    await at.restart();
    const consumer = await at.consume(Q, { credit: 10 });
    expect(texts(consumer.owed)).toEqual(['a', 'b', 'c', 'd']);
    expect(consumer.owed.some(({ redelivered }) => redelivered)).toBe(false);
  });

  test('is lost, and nothing with it, when the process ends before the disk has it', async () => {
    const at = new Bench();
    await at.send(sendOf(Q, 'kept'));
    const dead = at.store.copy(); // as the disk is
    await at.engine.commit({ sends: [volatile('lost')], settlements: [], atomic: false });
    await at.restart(await dead);
    const consumer = await at.consume(Q, { credit: 10 });
    expect(texts(consumer.owed)).toEqual(['kept']);
    expect(at.engine.inspect.queues()).toMatchObject([{ waiting: 0, unsettled: 1 }]);
  });
});

describe('a durable subscription', () => {
  test('that was left by closing its feed gets what came meanwhile when it is resumed, and goes on', async () => {
    const at = new Bench();
    const before = await at.consume(T, { durable: 'd', credit: 1 });
    await at.send(sendOf(T, 'a'), sendOf(T, 'b'));
    expect(before.take()).toEqual(['a']);
    before.feed.close();
    await at.settle('return', ...before.owed);
    await at.send(sendOf(T, 'c'));
    await at.restart();
    const after = await at.consume(T, { durable: 'd', credit: 10 });
    await at.send(sendOf(T, 'd'));
    expect(after.take()).toEqual(['a', 'b', 'c', 'd']);
    expect(after.owed[0]?.redelivered).toBe(true);
  });

  test('that is forgotten drops what waits, gathers no more, and is not there after a restart', async () => {
    const forgotten: string[] = [];
    const at = new Bench({ observer: { durableDeleted: (name) => forgotten.push(name) } });
    for (const name of ['gone', 'stays']) await leaves(at, name);
    await at.send(sendOf(T, 'a'), sendOf(T, 'b'));
    expect(await at.engine.inspect.forgetDurable('unknown')).toBe(false);
    expect(await at.engine.inspect.forgetDurable('gone')).toBe(true);
    expect(await at.engine.inspect.forgetDurable('gone')).toBe(false);
    expect(forgotten).toEqual(['gone']);
    await at.send(sendOf(T, 'c'));
    expect(waiting(at)).toEqual({ stays: 3 });
    await at.restart();
    expect(waiting(at)).toEqual({ stays: 3 });
    const anew = await at.consume(T, { durable: 'gone', credit: 10 });
    expect(anew.take()).toEqual([]);
    expect(await at.engine.inspect.forgetDurable('stays')).toBe(true);
    expect(at.engine.inspect.bytes).toBe(0);
  });

  test('is not forgotten while it has its subscriber', async () => {
    const at = new Bench();
    const subscriber = await at.consume(T, { durable: 'd', credit: 10 });
    await expect(at.engine.inspect.forgetDurable('d')).rejects.toMatchObject({ code: 'in-use' });
    await at.send(sendOf(T, 'a'));
    expect(subscriber.take()).toEqual(['a']);
  });
});
