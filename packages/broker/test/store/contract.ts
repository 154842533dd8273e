// What every store promises to the engine above it, asked of each store in turn. A store
// that does not promise something says so, and the test is skipped under its name.

import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Change, MessageKey, Store, StoredMessage } from '../../src/store/store.ts';
import { Model, stateOf } from './model.ts';
import { ALL, content, ids, message, plain, scheduled } from './support.ts';

export interface Promises {
  /** What is kept is there when the store is made again. */
  readonly survives?: 'restart';
}

const MIB = 1024 * 1024;

/** `make` opens the same store again; `clear` is called at the end of each test, and the next `make` begins empty. */
export function storeContract(
  name: string,
  { make, clear }: { make: () => Promise<Store>; clear: () => void },
  promises: Promises = {},
): void {
  describe(`${name} keeps the contract of a store`, () => {
    let store: Store;
    const reopen = async () => {
      await store.close();
      store = await make();
    };
    const restarts = { skip: promises.survives !== 'restart' };

    beforeEach(async () => {
      store = await make();
    });

    afterEach(async () => {
      await store.close();
      clear();
    });

    const queues = () => [...store.queues()].sort((a, b) => (a.queue < b.queue ? -1 : 1));
    const read = (queue = 'orders') => ids(store.read(queue, undefined, ALL));

    test('an empty store has nothing', () => {
      expect(queues()).toEqual([]);
      expect(read()).toEqual([]);
      expect(store.due(1e12, ALL)).toEqual([]);
      expect(store.nextDue()).toBeUndefined();
      expect(store.expired(1e12, 10)).toEqual([]);
      expect([...store.facts('')]).toEqual([]);
      expect(store.scheduled).toEqual({ messages: 0, bytes: 0 });
      expect(store.lastId).toBe(0);
    });

    test('a message comes back as it was kept', async () => {
      const kept = message(1, {
        queue: 'ünïcode/queue \n name',
        destination: '/queue/ünïcode',
        priority: 9,
        content: content(
          Uint8Array.from({ length: 256 }, (_, i) => i),
          'name\\cwith:escapes\\n\n',
        ),
        expiresAt: 2 ** 48 - 1,
        redeliveries: 3,
        notes: [
          ['dead-letter-reason', 'too many deliveries'],
          ['ünï', ''],
        ],
      });
      await store.commit({ append: [kept] });
      const [found] = store.read(kept.queue, undefined, ALL);
      expect(plain([found as StoredMessage])).toEqual(plain([kept]));
      expect([...(found as StoredMessage).content.headers]).toEqual([...kept.content.headers]);
    });

    test('messages come by priority, then by id, whatever the order they were kept in', async () => {
      const priorities = [4, 0, 9, 4, 5, 9, 0, 4];
      await store.commit({ append: priorities.slice(0, 4).map((priority, i) => message(i + 1, { priority })) });
      await store.commit({ append: priorities.slice(4).map((priority, i) => message(i + 5, { priority })) });
      expect(read()).toEqual([3, 6, 5, 1, 4, 8, 2, 7]);
    });

    test('reading goes on after any key, one that is gone or was never there included', async () => {
      await store.commit({ append: [9, 9, 4, 4, 0].map((priority, i) => message(i + 1, { priority })) });
      const from = (priority: number, id: number) =>
        ids(store.read('orders', { queue: 'orders', priority, id }, { messages: 2, bytes: 1e9 }));
      expect(from(9, 1)).toEqual([2, 3]);
      expect(from(9, 2)).toEqual([3, 4]);
      expect(from(7, 1)).toEqual([3, 4]);
      expect(from(4, 4)).toEqual([5]);
      await store.commit({ settle: [{ queue: 'orders', priority: 9, id: 2 }] });
      expect(from(9, 1)).toEqual([3, 4]);
      expect(from(9, 2)).toEqual([3, 4]);
      expect(from(0, 5)).toEqual([]);
    });

    test('a portion ends at its messages or its bytes, and always has one', async () => {
      const size = content('x'.repeat(1000)).bytes.length;
      await store.commit({ append: [1, 2, 3, 4].map((id) => message(id, { content: content('x'.repeat(1000)) })) });
      const portion = (messages: number, bytes: number) => ids(store.read('orders', undefined, { messages, bytes }));
      expect(portion(3, 1e9)).toEqual([1, 2, 3]);
      expect(portion(10, 1)).toEqual([1]);
      expect(portion(10, size)).toEqual([1]);
      expect(portion(10, size + 1)).toEqual([1, 2]);
      expect(portion(0, 1e9)).toEqual([]);
    });

    test('reading changes nothing', async () => {
      await store.commit({
        append: [message(1, { expiresAt: 10 }), message(2)],
        schedule: [scheduled(3, 10)],
        facts: [{ key: 'a', value: 'b' }],
      });
      const all = () => [read(), ids(store.due(20, ALL)), store.expired(20, 9), [...store.facts('')], queues()];
      const before = all();
      for (let i = 0; i < 3; i++) expect(all()).toEqual(before);
      expect(before[0]).toEqual([1, 2]);
    });

    test('settling takes one message away, and what is not there is no matter', async () => {
      await store.commit({ append: [message(1), message(2), message(3, { queue: 'other' })] });
      const key = { queue: 'orders', priority: 4, id: 1 };
      await store.commit({ settle: [key] });
      await store.commit({
        settle: [
          key,
          key,
          { ...key, priority: 5, id: 2 },
          { ...key, id: 3 },
          { ...key, queue: 'none' },
          { ...key, id: 99 },
        ],
      });
      expect(read()).toEqual([2]);
      expect(read('other')).toEqual([3]);
      expect(queues().map(({ messages }) => messages)).toEqual([1, 1]);
    });

    test('within a change, things come before they go', async () => {
      await store.commit({
        settle: [message(1)],
        append: [message(1), message(2)],
        unschedule: [{ dueAt: 5, id: 3 }],
        schedule: [scheduled(3, 5), scheduled(4, 5)],
        redelivered: [{ ...message(2), redeliveries: 7 }],
      });
      expect(read()).toEqual([2]);
      expect(store.read('orders', undefined, ALL)[0]?.redeliveries).toBe(7);
      expect(ids(store.due(5, ALL))).toEqual([4]);
    });

    test('commits of one turn have their effects in the order of the calls', async () => {
      const key = { queue: 'orders', priority: 4, id: 1 };
      await Promise.all([
        store.commit({ settle: [key] }),
        store.commit({ append: [message(1)], facts: [{ key: 'a', value: '1' }] }),
        store.commit({ settle: [key], facts: [{ key: 'a', value: '2' }] }),
        store.commit({ append: [message(2)] }),
        store.commit({ redelivered: [{ ...message(2), redeliveries: 1 }] }),
      ]);
      expect(read()).toEqual([2]);
      expect([...store.facts('')]).toEqual([['a', '2']]);
      expect(store.read('orders', undefined, ALL)[0]?.redeliveries).toBe(1);
    });

    test('what cannot be kept is refused, and nothing of its change is kept', async () => {
      const bad: Change[] = [
        { append: [message(1), message(2, { priority: 10 })] },
        { append: [message(1), message(2, { priority: 0.5 })] },
        { append: [message(1), message(0)] },
        { append: [message(1), message(2 ** 48)] },
        { append: [message(1), message(2, { expiresAt: -1 })] },
        { append: [message(1)], schedule: [scheduled(2, Number.NaN)] },
        { append: [message(1)], facts: [{ key: '', value: 'x' }] },
        { append: [message(1)], facts: [{ key: 'k'.repeat(1025), value: 'x' }] },
      ];
      for (const change of bad) await expect(store.commit(change)).rejects.toThrow(RangeError);
      expect(queues()).toEqual([]);
      expect(store.lastId).toBe(0);
    });

    test('a delivery count is kept apart from the message, and goes with it', async () => {
      await store.commit({ append: [message(1, { redeliveries: 2 }), message(2)] });
      await store.commit({
        redelivered: [
          { ...message(1), redeliveries: 3 },
          { ...message(9), redeliveries: 1 },
        ],
      });
      const counts = () => store.read('orders', undefined, ALL).map(({ redeliveries }) => redeliveries);
      expect(counts()).toEqual([3, 0]);
      await store.commit({ redelivered: [{ ...message(1), redeliveries: 4 }], settle: [message(2)] });
      expect(counts()).toEqual([4]);
      await store.commit({ settle: [message(1)] });
      expect(queues()).toEqual([]);
    });

    test('counts are exact, and an empty queue is no queue', async () => {
      const size = message(1).content.bytes.length;
      await store.commit({ append: [message(1), message(2), message(3, { queue: 'b' })] });
      expect(queues()).toEqual([
        { queue: 'b', messages: 1, bytes: size },
        { queue: 'orders', messages: 2, bytes: 2 * size },
      ]);
      await store.commit({ settle: [message(1), message(3, { queue: 'b' })], append: [message(4, { queue: 'c' })] });
      expect(queues()).toEqual([
        { queue: 'c', messages: 1, bytes: size },
        { queue: 'orders', messages: 1, bytes: size },
      ]);
      await store.commit({ append: [message(5, { queue: 'b' })] });
      expect(read('b')).toEqual([5]);
      expect(read('c')).toEqual([4]);
    });

    test('what expires is found by time, in all queues, until it is settled', async () => {
      await store.commit({
        append: [
          message(1, { expiresAt: 300 }),
          message(2, { expiresAt: 100, queue: 'idle', priority: 9 }),
          message(3),
          message(4, { expiresAt: 200 }),
        ],
      });
      expect(store.expired(99, 10)).toEqual([]);
      expect(store.expired(100, 10)).toEqual([{ queue: 'idle', priority: 9, id: 2 }]);
      expect(ids(store.expired(1e12, 10))).toEqual([2, 4, 1]);
      expect(ids(store.expired(1e12, 2))).toEqual([2, 4]);
      expect(store.expired(1e12, 0)).toEqual([]);
      await store.commit({ settle: store.expired(200, 10) });
      expect(ids(store.expired(1e12, 10))).toEqual([1]);
      expect(read()).toEqual([1, 3]);
    });

    test('what is scheduled comes when its time has come, the oldest first', async () => {
      const later = scheduled(1, 300, { queue: 'b', priority: 7, notes: [['a', 'b']] });
      await store.commit({ schedule: [later, scheduled(2, 100), scheduled(3, 200), scheduled(4, 100)] });
      expect(store.nextDue()).toBe(100);
      expect(queues()).toEqual([]);
      expect(store.scheduled).toEqual({ messages: 4, bytes: 4 * later.content.bytes.length });
      expect(ids(store.due(99, ALL))).toEqual([]);
      expect(ids(store.due(200, ALL))).toEqual([2, 4, 3]);
      expect(ids(store.due(1e12, { messages: 3, bytes: 1e9 }))).toEqual([2, 4, 3]);
      expect(ids(store.due(1e12, { messages: 3, bytes: 1 }))).toEqual([2]);
      await store.commit({
        unschedule: [
          { dueAt: 100, id: 2 },
          { dueAt: 100, id: 2 },
          { dueAt: 200, id: 4 },
          { dueAt: 100, id: 4 },
          { dueAt: 200, id: 3 },
        ],
        append: [message(5)],
      });
      expect(store.nextDue()).toBe(300);
      expect(plain(store.due(1e12, ALL))).toEqual(plain([later]));
      expect(store.scheduled).toEqual({ messages: 1, bytes: later.content.bytes.length });
    });

    test('facts are kept, changed, forgotten, and found by how their key begins', async () => {
      const facts = (prefix: string) => [...store.facts(prefix)].map(([key, value]) => `${key}=${value}`).sort();
      await store.commit({
        facts: [
          { key: 'durable/a', value: '1' },
          { key: 'durable/b', value: '' },
          { key: 'durablé', value: 'é' },
          { key: 'setting', value: 'x'.repeat(100_000) },
        ],
      });
      await store.commit({
        facts: [
          { key: 'setting', value: undefined },
          { key: 'durable/a', value: '2' },
        ],
      });
      expect(facts('')).toEqual(['durable/a=2', 'durable/b=', 'durablé=é']);
      expect(facts('durable/')).toEqual(['durable/a=2', 'durable/b=']);
      expect(facts('durablé')).toEqual(['durablé=é']);
      expect(facts('x')).toEqual([]);
    });

    test('the last id counts what is gone, and what is scheduled', async () => {
      await store.commit({ append: [message(7)], schedule: [scheduled(9, 1)] });
      await store.commit({ settle: [message(7)], unschedule: [{ dueAt: 1, id: 9 }] });
      expect(store.lastId).toBe(9);
    });

    test('a message of 4 MiB comes back whole, between small ones', async () => {
      const large = Buffer.alloc(4 * MIB, 'stompbox ');
      const sent = [message(1), message(2, { content: content(large) }), message(3)];
      await store.commit({ append: sent });
      expect(Buffer.compare(store.read('orders', undefined, ALL)[1]?.content.body as Uint8Array, large)).toBe(0);
      await store.commit({ settle: [message(2)] });
      expect(plain(store.read('orders', undefined, ALL))).toEqual(plain([sent[0], sent[2]] as StoredMessage[]));
    });

    test('what was read stays as it is when the store goes on', async () => {
      await store.commit({ append: [message(1), message(2, { content: content(Buffer.alloc(100_000, 7)) })] });
      const before = store.read('orders', undefined, ALL);
      const texts = JSON.stringify(plain(before));
      await store.commit({ settle: before });
      for (let id = 3; id < 50; id++)
        await store.commit({ append: [message(id, { content: content(Buffer.alloc(50_000, id)) })] });
      store.read('orders', undefined, ALL);
      expect(JSON.stringify(plain(before)) === texts).toBe(true);
    });

    test('200,000 messages are paged through, each once and in order, in flat memory', async () => {
      const TOTAL = 200_000;
      const same = content('x'.repeat(100));
      for (let id = 1; id <= TOTAL; id += 5_000)
        await store.commit({ append: Array.from({ length: 5_000 }, (_, i) => message(id + i, { content: same })) });
      const before = process.memoryUsage();
      let after: MessageKey | undefined;
      let expected = 1;
      for (;;) {
        const page = store.read('orders', after, { messages: 1_000, bytes: MIB });
        if (page.length === 0) break;
        if (page.some(({ id }) => id !== expected++)) throw new Error(`out of order near ${expected}`);
        after = page.at(-1);
      }
      expect(expected).toBe(TOTAL + 1);
      const { heapUsed, external } = process.memoryUsage();
      expect(heapUsed + external - before.heapUsed - before.external).toBeLessThan(100 * MIB);
      expect(queues()).toEqual([{ queue: 'orders', messages: TOTAL, bytes: TOTAL * same.bytes.length }]);
    });

    test('close waits for what was committed before, may be called twice, and ends the rest', async () => {
      const kept = store.commit({ append: [message(1)] });
      const closed = store.close();
      await Promise.all([kept, closed, store.close()]);
      await expect(store.commit({ append: [message(2)] })).rejects.toMatchObject({ code: 'closed' });
    });

    test('whatever is committed, the store has what a simple list would have', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(fc.array(step, { maxLength: 12 }), { maxLength: 12 }), async (rounds) => {
          await store.close();
          clear();
          store = await make();
          const model = new Model();
          const story = new Story();
          for (const [round, steps] of rounds.entries()) {
            const changes = steps.map((each) => story.change(each));
            const whole = round % 2 === 0 ? [merged(changes)] : changes;
            const kept = whole.map((change) => store.commit(change));
            for (const change of whole) model.apply(change);
            await Promise.all(kept);
            expect(stateOf(store)).toEqual(model.state);
            if (promises.survives === 'restart' && round % 3 === 2) {
              await reopen();
              expect(stateOf(store)).toEqual(model.state);
            }
          }
        }),
        { numRuns: 60, endOnFailure: true },
      );
    });

    test('everything is there after a restart', restarts, async () => {
      const kept = [message(1, { expiresAt: 50 }), message(2, { priority: 9 }), message(3, { queue: 'b' })];
      await store.commit({
        append: kept,
        schedule: [scheduled(4, 70)],
        facts: [{ key: 'a', value: 'b' }],
        redelivered: [{ ...message(1), redeliveries: 2 }],
      });
      await store.commit({ append: [message(5)], settle: [message(3, { queue: 'b' })] });
      const all = () => [
        plain(store.read('orders', undefined, ALL)),
        plain(store.due(100, ALL)),
        store.nextDue(),
        store.expired(100, 9),
        [...store.facts('')],
        queues(),
        store.scheduled,
        store.lastId,
      ];
      const before = all();
      await reopen();
      expect(all()).toEqual(before);
      expect(store.read('orders', undefined, ALL).map(({ redeliveries }) => redeliveries)).toEqual([0, 2, 0]);
      await store.commit({ append: [message(6)], settle: [message(1)] });
      await reopen();
      expect(read()).toEqual([2, 5, 6]);
      expect(store.expired(100, 9)).toEqual([]);
    });

    test('ids go on after a restart, though everything was settled', restarts, async () => {
      await store.commit({ append: [message(41)] });
      await store.commit({ settle: [message(41)] });
      await reopen();
      expect(store.lastId).toBe(41);
      expect(queues()).toEqual([]);
    });

    test('names of queues that come and go do not mix up their messages', restarts, async () => {
      for (let id = 1; id <= 30; id++) {
        await store.commit({ append: [message(id, { queue: `q${id}` })] });
        if (id % 3 === 0) await store.commit({ settle: [message(id - 1, { queue: `q${id - 1}` })] });
        if (id % 7 === 0) await reopen();
      }
      for (let id = 1; id <= 30; id++) expect(read(`q${id}`)).toEqual(id % 3 === 2 ? [] : [id]);
    });
  });
}

type Step =
  | { readonly do: 'append' | 'schedule'; readonly queue: number; readonly priority: number; readonly time: number }
  | { readonly do: 'settle' | 'unschedule' | 'mark' | 'miss'; readonly which: number; readonly count: number }
  | { readonly do: 'fact'; readonly key: number; readonly value: string | undefined };

const small = fc.nat({ max: 3 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      queue: small,
      priority: fc.nat({ max: 9 }),
      time: small,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('schedule' as const), queue: small, priority: small, time: small }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'settle' as const,
        'settle' as const,
        'unschedule' as const,
        'mark' as const,
        'miss' as const,
      ),
      which: fc.nat({ max: 20 }),
      count: fc.nat({ max: 5 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('fact' as const),
      key: small,
      value: fc.option(fc.string(), { nil: undefined }),
    }),
  },
);

/** The steps as changes, of which each knows the messages of those before. */
class Story {
  readonly #known: StoredMessage[] = [];

  change(each: Step): Change {
    switch (each.do) {
      case 'append':
      case 'schedule': {
        const made = message(this.#known.length + 1, {
          queue: `q${each.queue}`,
          priority: each.priority,
          expiresAt: each.do === 'append' ? each.time * 10 : 0,
          content: content('x'.repeat(this.#known.length % 7)),
        });
        this.#known.push(made);
        return each.do === 'append' ? { append: [made] } : { schedule: [{ ...made, dueAt: each.time }] };
      }
      case 'fact':
        return { facts: [{ key: `k${each.key}`, value: each.value }] };
      default: {
        const known = this.#known[each.which % Math.max(1, this.#known.length)] ?? message(99);
        if (each.do === 'settle') return { settle: [known] };
        if (each.do === 'mark') return { redelivered: [{ ...known, redeliveries: each.count }] };
        if (each.do === 'miss') return { settle: [{ ...known, priority: (known.priority + 1) % 10 }] };
        return { unschedule: [{ id: known.id, dueAt: each.count }] };
      }
    }
  }
}

function merged(changes: readonly Change[]): Change {
  return {
    append: changes.flatMap(({ append = [] }) => append),
    schedule: changes.flatMap(({ schedule = [] }) => schedule),
    redelivered: changes.flatMap(({ redelivered = [] }) => redelivered),
    settle: changes.flatMap(({ settle = [] }) => settle),
    unschedule: changes.flatMap(({ unschedule = [] }) => unschedule),
    facts: changes.flatMap(({ facts = [] }) => facts),
  };
}
