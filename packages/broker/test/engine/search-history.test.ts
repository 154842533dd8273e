// A queue with consumers of every taste, against the plainest model of it: whatever comes, goes and comes back, whoever is
// ready has got what it may have, the oldest first, and a group is one consumer's.

import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import type { Delivery, Feed, Send } from '../../src/engine/engine.ts';
import { Bench, kindIs, queue, sendOf, textOf } from './support.ts';

const Q = queue('q');

type Step =
  | { readonly do: 'send'; readonly n: number; readonly kinds: string; readonly groups: string; readonly high: boolean }
  | { readonly do: 'open'; readonly kind: string; readonly exclusive: boolean; readonly auto: boolean }
  | { readonly do: 'ask'; readonly who: number; readonly n: number }
  | { readonly do: 'settle'; readonly who: number; readonly n: number; readonly outcome: 'ack' | 'nack' | 'return' }
  | { readonly do: 'close'; readonly who: number }
  | { readonly do: 'wait' };

interface Message {
  readonly number: number;
  readonly kind: string;
  readonly group: string | undefined;
  readonly priority: number;
}

interface Actor {
  readonly kind: string; // '': anything
  readonly exclusive: boolean;
  readonly owed: Delivery[];
  credit: number;
  feed: Feed;
}

class Story {
  readonly #at = new Bench({ windowBytes: 2_048, maxDeliveries: 1_000 });
  readonly #actors: Actor[] = [];
  readonly #waiting = new Map<number, Message>();
  readonly #all: Message[] = [];
  readonly #groups = new Map<string, Actor>();
  #fault: unknown;

  async run(step: Step): Promise<void> {
    if (step.do === 'send') return void this.#commit({ sends: this.#write(step) });
    if (step.do === 'wait') return this.#check();
    if (step.do === 'open') return this.#open(step.kind, step.exclusive, step.auto);
    const actor = this.#actors[step.who % this.#actors.length];
    if (actor === undefined) return;
    if (step.do === 'ask') {
      actor.credit += step.n;
      actor.feed.request(step.n);
    } else if (step.do === 'close') this.#close(actor);
    else this.#settle(actor.owed.splice(0, step.n), step.outcome);
  }

  async end(): Promise<void> {
    await this.#check();
    for (const actor of [...this.#actors]) this.#close(actor);
    await this.#at.quiet();
    const rest = [...this.#waiting.values()].sort((a, b) => b.priority - a.priority || a.number - b.number);
    const last = await this.#at.consume(Q, { auto: true, credit: 1_000_000 });
    assert.deepEqual(
      last.take(),
      rest.map(({ number }) => String(number)),
    );
    last.feed.close();
    await this.#at.quiet();
    assert.deepEqual(this.#at.engine.inspect.queues(), []);
    assert.equal(this.#at.engine.inspect.bytes, 0);
    assert.equal(this.#at.engine.memoryBytes, 0);
    assert.equal(this.#at.clock.alarms, 0);
    await this.#at.engine.close();
  }

  #commit({
    sends = [],
    settlements = [],
  }: {
    sends?: Send[];
    settlements?: { delivery: Delivery; outcome: 'ack' | 'nack' | 'return' }[];
  }): void {
    this.#at.engine.commit({ sends, settlements, atomic: false }).catch((error: unknown) => {
      this.#fault ??= error;
    });
  }

  #write({ n, kinds, groups, high }: Step & { do: 'send' }): Send[] {
    return Array.from({ length: n }, (_, i) => {
      const number = this.#all.length;
      const kind = kinds[i % kinds.length] as string;
      const group = groups[i % (groups.length + 1)];
      const priority = high ? 9 : 4;
      const message = { number, kind, group, priority };
      this.#all.push(message);
      this.#waiting.set(number, message);
      return sendOf(Q, String(number), { kind, group, priority });
    });
  }

  async #open(kind: string, exclusive: boolean, auto: boolean): Promise<void> {
    const actor: Actor = { kind, exclusive, owed: [], credit: 0, feed: { request() {}, close() {} } };
    this.#actors.push(actor);
    actor.feed = await this.#at.engine.open({
      destination: Q,
      acknowledged: !auto,
      ...(kind !== '' && { selects: kindIs(kind) }),
      exclusive,
      deliver: (delivery) => this.#hear(actor, delivery, auto),
      ended: (error) => assert.fail(error),
    });
  }

  #hear(actor: Actor, delivery: Delivery, auto: boolean): void {
    const message = this.#waiting.get(Number(textOf(delivery)));
    assert.ok(message, `${textOf(delivery)} does not wait`);
    assert.ok(this.#actors.includes(actor) && actor.credit-- > 0, 'nobody gets what it did not ask for');
    assert.ok(this.#mayHave(actor, message), `${message.number} is not for this consumer`);
    if (!delivery.redelivered)
      for (const other of this.#waiting.values())
        assert.ok(
          other.number >= message.number || other.priority < message.priority || !this.#mayHave(actor, other),
          `${other.number} should have come before ${message.number}`,
        );
    this.#waiting.delete(message.number);
    if (message.group !== undefined && !this.#groups.has(message.group)) this.#groups.set(message.group, actor);
    if (!auto) actor.owed.push(delivery);
  }

  #mayHave(actor: Actor, { kind, group }: Message): boolean {
    const exclusive = this.#actors.find((one) => one.exclusive);
    if (exclusive !== undefined && exclusive !== actor) return false;
    const owner = exclusive === undefined && group !== undefined ? this.#groups.get(group) : undefined;
    return (owner === undefined || owner === actor) && (actor.kind === '' || actor.kind === kind);
  }

  #settle(deliveries: readonly Delivery[], outcome: 'ack' | 'nack' | 'return'): void {
    if (outcome !== 'ack')
      for (const delivery of deliveries) {
        const message = this.#all[Number(textOf(delivery))] as Message;
        this.#waiting.set(message.number, message);
      }
    this.#commit({ settlements: deliveries.map((delivery) => ({ delivery, outcome })) });
  }

  #close(actor: Actor): void {
    this.#actors.splice(this.#actors.indexOf(actor), 1);
    for (const [group, owner] of this.#groups) if (owner === actor) this.#groups.delete(group);
    actor.feed.close();
    this.#settle(actor.owed.splice(0), 'return');
  }

  async #check(): Promise<void> {
    await this.#at.quiet();
    if (this.#fault !== undefined) throw this.#fault;
    for (const actor of this.#actors)
      if (actor.credit > 0)
        for (const message of this.#waiting.values())
          assert.ok(!this.#mayHave(actor, message), `${message.number} waits for somebody who asks`);
  }
}

const who = fc.nat(9);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('send' as const),
      n: fc.constantFrom(1, 2, 5, 60, 400),
      kinds: fc.constantFrom('a', 'b', 'c', 'ab', 'abc', `${'c'.repeat(50)}a`),
      groups: fc.constantFrom('', '', '', '', 'x', 'xy'),
      high: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('open' as const),
      kind: fc.constantFrom('', 'a', 'a', 'b'),
      exclusive: fc.constantFrom(false, false, false, false, true),
      auto: fc.boolean(),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('ask' as const), who, n: fc.constantFrom(1, 2, 10, 300) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('settle' as const),
      who,
      n: fc.constantFrom(1, 3, 200),
      outcome: fc.constantFrom('ack' as const, 'nack' as const, 'return' as const),
    }),
  },
  fc.record({ do: fc.constant('close' as const), who }),
  { weight: 2, arbitrary: fc.constant<Step>({ do: 'wait' }) },
);

test('any history of selectors, exclusive consumers and groups over a small window', async () => {
  const property = fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60, size: 'max' }), async (history) => {
    const story = new Story();
    for (const one of history) await story.run(one);
    await story.end();
  });
  await fc.assert(property, { numRuns: 150 });
}, 60_000);
