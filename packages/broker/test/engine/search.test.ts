// Selectors, exclusive consumers and groups on queues far longer than what is held of them in memory.

import { describe, expect, test } from 'vitest';
import { Bench, kindIs, queue, sendOf } from './support.ts';

const Q = queue('q');
const SMALL = { windowBytes: 2_048 };
const MANY = 1_000_000;

/** `n` messages that say their number; of which kind each is, `kindOf` says. */
const numbered = (n: number, kindOf: (i: number) => string, from = 0) =>
  Array.from({ length: n }, (_, i) => sendOf(Q, String(from + i), { kind: kindOf(from + i) }));
const everyNth = (n: number) => (i: number) => (i % n === n - 1 ? 'wanted' : 'other');

describe('a consumer with a selector', () => {
  test('finds what is at the end of a queue whose window is full of what nobody wants, in slices, and reads it once', async () => {
    const at = new Bench(SMALL);
    await at.send(...numbered(20_000, (i) => (i >= 19_998 ? 'wanted' : 'other')));
    const readBefore = at.store.messagesRead;
    const consumer = await at.engine.open({
      destination: Q,
      acknowledged: false,
      selects: kindIs('wanted'),
      deliver: ({ content }) => got.push(Buffer.from(content.body).toString()),
      ended() {},
    });
    const got: string[] = [];
    consumer.request(10);
    expect(got).toEqual([]); // one slice does not reach so far
    expect(at.store.messagesRead - readBefore).toBeLessThan(1_000);
    await at.quiet();
    expect(got).toEqual(['19998', '19999']);
    expect(at.store.messagesRead - readBefore).toBeLessThan(21_000);
    for (let i = 0; i < 50; i++) consumer.request(1);
    await at.send(sendOf(Q, 'not wanted'), sendOf(Q, 'new', { kind: 'wanted' }));
    expect(got).toEqual(['19998', '19999', 'new']);
    expect(at.store.messagesRead - readBefore).toBeLessThan(21_000); // nothing is looked at twice
    expect(at.engine.inspect.queues()).toMatchObject([{ waiting: 19_999, unsettled: 0 }]);
  });

  test('gets what is interspersed, in order, one credit at a time, for about one reading of the queue', async () => {
    const at = new Bench(SMALL);
    await at.send(...numbered(10_000, everyNth(10)));
    const before = at.store.messagesRead;
    const consumer = await at.consume(Q, { selects: kindIs('wanted') });
    const got: string[] = [];
    for (let i = 0; i < 1_000; i++) {
      consumer.feed.request(1);
      got.push(...consumer.take());
      void at.engine.commit({
        sends: [],
        settlements: consumer.owed.splice(0).map((delivery) => ({ delivery, outcome: 'ack' as const })),
        atomic: false,
      });
    }
    await at.quiet();
    expect(got).toEqual(Array.from({ length: 1_000 }, (_, i) => String(i * 10 + 9)));
    expect(at.store.messagesRead - before).toBeLessThan(30_000);
    expect(at.engine.inspect.queues()).toMatchObject([{ waiting: 9_000, unsettled: 0 }]);
  });

  test('that closes leaves the rest to another one with the same selector, and what it had, too', async () => {
    const at = new Bench(SMALL);
    await at.send(...numbered(3_000, everyNth(1_000)));
    const first = await at.consume(Q, { selects: kindIs('wanted'), credit: 2 });
    expect(first.take()).toEqual(['999', '1999']);
    const second = await at.consume(Q, { selects: kindIs('wanted'), credit: MANY });
    expect(second.take()).toEqual(['2999']);
    first.feed.close();
    await at.settle('return', ...first.owed);
    expect(second.take()).toEqual(['999', '1999']);
    expect(second.owed.slice(-1)[0]).toMatchObject({ redelivered: true, redeliveries: 1 });
  });

  test('sees what it nacked again, from its old place, without a look at the rest', async () => {
    const at = new Bench({ ...SMALL, maxDeliveries: 100 });
    await at.send(...numbered(5_000, everyNth(1_000)));
    const consumer = await at.consume(Q, { selects: kindIs('wanted'), credit: 3 });
    expect(consumer.take()).toEqual(['999', '1999', '2999']);
    const before = at.store.messagesRead;
    await at.settle('nack', ...consumer.owed.splice(0, 2));
    consumer.feed.request(2);
    await at.quiet();
    expect(consumer.take()).toEqual(['999', '1999']);
    expect(at.store.messagesRead - before).toBeLessThan(20);
    consumer.feed.request(MANY);
    await at.quiet();
    expect(consumer.take()).toEqual(['3999', '4999']);
  });

  test('finds what was sent before a restart, and what comes back after more nacks than it can note', async () => {
    const at = new Bench({ ...SMALL, maxDeliveries: 100 });
    await at.send(...numbered(6_000, everyNth(2)));
    await at.restart();
    const consumer = await at.consume(Q, { selects: kindIs('wanted'), credit: MANY });
    const all = Array.from({ length: 3_000 }, (_, i) => String(i * 2 + 1));
    expect(consumer.take()).toEqual(all);
    await at.settle('nack', ...consumer.owed.splice(0));
    expect(consumer.take()).toEqual(all);
    await at.settle('ack', ...consumer.owed.splice(0));
    expect(at.engine.inspect.queues()).toMatchObject([{ waiting: 3_000, unsettled: 0 }]);
  });

  test('goes on after a purge with what comes then', async () => {
    const at = new Bench(SMALL);
    await at.send(...numbered(3_000, everyNth(3_000)));
    const consumer = await at.consume(Q, { selects: kindIs('wanted') });
    consumer.feed.request(MANY);
    expect(await at.engine.inspect.purge('q')).toBe(3_000);
    await at.send(...numbered(1_000, everyNth(500), 3_000));
    expect(consumer.take()).toEqual(['3499', '3999']);
  });

  test('gets a higher priority first, wherever it lies, and when it comes in the middle of a search', async () => {
    const at = new Bench(SMALL);
    await at.send(...numbered(4_000, everyNth(1_000)));
    await at.send(
      sendOf(Q, 'low', { kind: 'wanted', priority: 1 }),
      sendOf(Q, 'high', { kind: 'wanted', priority: 9 }),
    );
    const consumer = await at.consume(Q, { selects: kindIs('wanted'), credit: 2 });
    expect(consumer.take()).toEqual(['high', '999']);
    consumer.feed.request(MANY);
    expect(consumer.take()).toEqual([]); // it looks
    void at.engine.commit({
      sends: [sendOf(Q, 'urgent', { kind: 'wanted', priority: 8 })],
      settlements: [],
      atomic: false,
    });
    await at.quiet();
    expect(consumer.take()).toEqual(['urgent', '1999', '2999', '3999', 'low']);
  });

  test('and others with other selectors and with none share a queue', async () => {
    const at = new Bench(SMALL);
    await at.send(...numbered(3_000, (i) => ['a', 'b', 'c'][i % 3] as string));
    const a = await at.consume(Q, { selects: kindIs('a'), credit: 300 });
    const b = await at.consume(Q, { selects: kindIs('b'), credit: MANY, auto: true });
    const bs = b.take();
    expect(bs).toHaveLength(1_000);
    const any = await at.consume(Q, { credit: MANY, auto: true });
    const [as, rest] = [a.take(), any.take()];
    expect(as).toEqual(Array.from({ length: 300 }, (_, i) => String(3 * i)));
    expect(rest).toHaveLength(1_700);
    expect([...as, ...bs, ...rest].map(Number).sort((x, y) => x - y)).toEqual(
      Array.from({ length: 3_000 }, (_, i) => i),
    );
    expect(rest).toEqual([...rest].sort((x, y) => Number(x) - Number(y)));
  });

  test('holds up nobody else: another queue is served between two slices of its search', async () => {
    const at = new Bench(SMALL);
    await at.send(...numbered(20_000, () => 'other'));
    await at.send(
      ...Array.from({ length: 3_000 }, (_, i) => sendOf(queue('r'), String(i), { kind: everyNth(3_000)(i) })),
    );
    const far = await at.engine.open({
      destination: Q,
      acknowledged: false,
      selects: kindIs('wanted'),
      deliver() {},
      ended() {},
    });
    far.request(1);
    const near = await at.engine.open({
      destination: queue('r'),
      acknowledged: false,
      selects: kindIs('wanted'),
      deliver: () => readWhenFound.push(at.store.messagesRead),
      ended() {},
    });
    const readWhenFound: number[] = [];
    const before = at.store.messagesRead;
    near.request(1);
    await at.quiet();
    expect(readWhenFound).toHaveLength(1);
    expect((readWhenFound[0] ?? 0) - before).toBeLessThan(8_000);
  });

  test('does not slow another one down that finds what it wants nearby', async () => {
    const at = new Bench(SMALL);
    await at.send(...numbered(20_000, (i) => (i < 600 ? 'near' : 'other')));
    const near = await at.consume(Q, { selects: kindIs('near') });
    const far = await at.consume(Q, { selects: kindIs('far') });
    far.feed.request(1);
    for (let i = 0; i < 100; i++) {
      near.feed.request(1);
      expect(near.take()).toEqual([String(i)]);
    }
  });
});

describe('an exclusive consumer', () => {
  test('hands a queue over when it leaves: what it had, what it left, and what came, in order', async () => {
    const at = new Bench(SMALL);
    await at.send(...numbered(2_000, everyNth(2)));
    const one = await at.consume(Q, { exclusive: true, selects: kindIs('wanted'), credit: 10 });
    const two = await at.consume(Q, { exclusive: true, credit: MANY, auto: true });
    const three = await at.consume(Q, { credit: MANY, auto: true });
    expect(one.take()).toHaveLength(10);
    await at.send(sendOf(Q, 'last'));
    expect([...two.take(), ...three.take()]).toEqual([]);
    await at.settle('ack', ...one.owed.splice(0, 8));
    await at.settle('return', ...one.owed.splice(0));
    one.feed.close();
    await at.quiet();
    const got = two.take();
    expect(got).toHaveLength(2_001 - 8);
    expect(got.slice(0, 10)).toEqual(['0', '2', '4', '6', '8', '10', '12', '14', '16', '17']);
    expect(got.at(-1)).toBe('last');
    expect(three.take()).toEqual([]);
    two.feed.close();
    await at.send(sendOf(Q, 'after'));
    expect(three.take()).toEqual(['after']);
  });
});

describe('message groups', () => {
  const grouped = (n: number, groupOf: (i: number) => string) =>
    Array.from({ length: n }, (_, i) => sendOf(Q, `${groupOf(i)}:${i}`, { group: groupOf(i) }));

  test('whose consumer is busy do not starve the others behind a full window', async () => {
    const at = new Bench(SMALL);
    const busy = await at.consume(Q, { credit: 1 });
    await at.send(...grouped(5_001, (i) => (i < 5_000 ? 'a' : 'b')));
    expect(busy.take()).toEqual(['a:0']);
    const other = await at.consume(Q, { credit: MANY });
    expect(other.take()).toEqual(['b:5000']);
    busy.feed.request(3);
    await at.quiet();
    expect(busy.take()).toEqual(['a:1', 'a:2', 'a:3']);
    expect(other.take()).toEqual([]);
  });

  test('whose consumer leaves go to another one, what it had first', async () => {
    const at = new Bench(SMALL);
    const [one, two] = [await at.consume(Q, { credit: 2 }), await at.consume(Q, { credit: 1 })];
    await at.send(...grouped(2_000, (i) => 'ab'[i % 2] as string));
    expect(one.take()).toEqual(['a:0', 'a:2']);
    expect(two.take()).toEqual(['b:1']);
    await at.settle('return', ...one.owed.splice(0));
    one.feed.close();
    two.feed.request(MANY);
    await at.quiet();
    expect(two.take()).toEqual(
      Array.from({ length: 2_000 }, (_, i) => `${'ab'[i % 2]}:${i}`).filter((text) => text !== 'b:1'),
    );
  });

  test('are whole and in order for each of several consumers, whoever is slow', async () => {
    const at = new Bench(SMALL);
    await at.send(...grouped(3_000, (i) => `g${(i * 7) % 13}`));
    const actors = await Promise.all([1, 5, 50].map((credit) => at.consume(Q, { credit })));
    const owners = new Map<string, number>();
    const got: string[] = [];
    for (let round = 0; got.length < 3_000; round++) {
      expect(round).toBeLessThan(3_000);
      for (const [i, actor] of actors.entries()) {
        const some = actor.take();
        for (const text of some) {
          const [group = ''] = text.split(':');
          expect(owners.get(group) ?? i).toBe(i);
          owners.set(group, i);
        }
        got.push(...some);
        if (some.length === 0) continue;
        await at.settle('ack', ...actor.owed.splice(0));
        actor.feed.request(some.length);
      }
      await at.quiet();
    }
    const numberOf = (text: string): number => Number(text.split(':')[1]);
    for (const group of owners.keys()) {
      const numbers = got.filter((text) => text.startsWith(`${group}:`)).map(numberOf);
      expect(numbers).toEqual([...numbers].sort((x, y) => x - y));
    }
  });
});

describe('a browser', () => {
  test('with a selector shows what it wants from anywhere, in slices, then its end, and takes nothing', async () => {
    const at = new Bench(SMALL);
    await at.send(...numbered(5_000, everyNth(1_000)));
    const shown: string[] = [];
    const feed = await at.engine.open({
      destination: Q,
      acknowledged: false,
      browse: true,
      selects: kindIs('wanted'),
      deliver: ({ content }) => shown.push(content.headers.get('browser') ?? Buffer.from(content.body).toString()),
      ended() {},
    });
    const before = at.store.messagesRead;
    feed.request(100);
    feed.request(100);
    expect(shown).toEqual([]);
    expect(at.store.messagesRead - before).toBeLessThan(1_000);
    await at.quiet();
    expect(shown).toEqual(['999', '1999', '2999', '3999', '4999', 'end']);
    expect(at.engine.inspect.queues()).toMatchObject([{ waiting: 5_000, unsettled: 0 }]);
  });

  test('that leaves in the middle of its search is shown nothing more', async () => {
    const at = new Bench(SMALL);
    await at.send(...numbered(5_000, everyNth(1_000)));
    const browser = await at.engine.open({
      destination: Q,
      acknowledged: false,
      browse: true,
      selects: kindIs('wanted'),
      deliver: () => expect.unreachable(),
      ended() {},
    });
    browser.request(100);
    browser.close();
    await at.quiet();
    expect(at.clock.alarms).toBe(0);
  });
});

test('what is loaded for a search is let go of again: memory holds the window, and what is with consumers', async () => {
  const at = new Bench({ windowBytes: 8_192 });
  await at.send(...Array.from({ length: 2_000 }, (_, i) => sendOf(Q, 'x'.repeat(4_000), { kind: everyNth(1_000)(i) })));
  const consumer = await at.consume(Q, { selects: kindIs('wanted'), credit: MANY });
  expect(consumer.owed).toHaveLength(2);
  expect(at.engine.memoryBytes).toBeLessThanOrEqual(8_192 + 2 * 4_300);
  expect(at.store.largest).toBeLessThanOrEqual(262_144 + 4_300);
});
