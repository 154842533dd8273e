// What waits, against a sorted list: whatever comes, goes, comes back and is read again, in whatever order the store
// gets to hear of it.

import assert from 'node:assert/strict';
import { Content, Encoder, frame, NameSet } from '@stompbox/protocol';
import fc from 'fast-check';
import { test } from 'vitest';
import { Backlog, type Pages } from '../../src/engine/embedded/backlog.ts';
import { Kept } from '../../src/engine/embedded/delivery.ts';

const scratch = new Encoder({ version: '1.2', unrepresentable: 'replace' });
const NOBODY = { settle() {}, settled() {} };
const CONTENT = Content.of(frame('SEND', [], 'a message'), new NameSet([]), scratch);
const WEIGHT = CONTENT.bytes.length + 200;
const order = (a: Kept, b: Kept): number => b.attributes.priority - a.attributes.priority || a.id - b.id;

function keptOf(id: number, priority: number): Kept {
  const attributes = {
    priority,
    expiresAt: 0,
    dueAt: 0,
    persistent: true,
    group: undefined,
    duplicateId: undefined,
  };
  return new Kept(id, '/queue/q', CONTENT, NOBODY, attributes);
}

type Step =
  | { readonly do: 'push'; readonly priority: number }
  | { readonly do: 'shrink'; readonly messages: number }
  | { readonly do: 'shift' | 'write' | 'confirm' | 'peek' | 'restart' }
  | { readonly do: 'claim' | 'giveBack' | 'settle' | 'forget' | 'retract'; readonly which: number };

/** A backlog over a store that is told late, and the list it should be. */
class Story {
  #backlog: Backlog;
  readonly #store = new Map<number, { kept: Kept; redeliveries: number }>();
  readonly #waits: Kept[] = []; // what should wait
  readonly #held: Kept[] = [];
  readonly #onTheirWay: (() => () => void)[] = []; // what the store will hear, and then confirm
  readonly #confirmations: (() => void)[] = [];
  #nextId = 1;
  readonly #pages: Pages;
  #bytes = 0; // in memory, as the backlog told

  constructor(window: number) {
    this.#pages = {
      windowBytes: window * WEIGHT,
      hold: (bytes) => {
        this.#bytes += bytes;
      },
      isOpen() {},
      isOver: () => false,
      spare: () => Number.POSITIVE_INFINITY,
      mayExceed: () => false,
      read: (after, most) => {
        const here = [...this.#store.values()].map(({ kept, redeliveries }) => {
          const read = keptOf(kept.id, kept.attributes.priority);
          read.stored = 'yes';
          read.redeliveries = read.counted = redeliveries;
          return read;
        });
        here.sort(order);
        const rest = after ? here.filter((kept) => order(keptOf(after.id, after.priority), kept) < 0) : here;
        return rest.slice(0, Math.min(most.messages, 3));
      },
    };
    this.#backlog = new Backlog(this.#pages);
  }

  run(step: Step): void {
    const pick = <T>(list: T[]): T | undefined => ('which' in step ? list[step.which % list.length] : undefined);
    switch (step.do) {
      case 'push': {
        const kept = keptOf(this.#nextId++, step.priority);
        kept.stored = 'told';
        this.#tell(
          () => void this.#store.set(kept.id, { kept, redeliveries: 0 }),
          () => {
            kept.stored = 'yes';
          },
        );
        this.#waits.push(kept);
        this.#waits.sort(order);
        this.#backlog.push(kept);
        return;
      }
      case 'shift': {
        const [first] = this.#waits;
        this.#takes(first, this.#backlog.shift());
        return;
      }
      case 'claim': {
        // Shown, and taken after all that is in memory may have become another.
        const one = pick(this.#waits);
        if (one === undefined) return;
        const shown = this.#backlog.at({ priority: one.attributes.priority, id: one.id });
        assert.ok(shown, 'what waits is shown');
        this.#backlog.shrink(WEIGHT);
        this.#takes(one, this.#backlog.claim(shown));
        assert.equal(this.#backlog.claim(shown), undefined);
        return;
      }
      case 'shrink':
        this.#backlog.shrink(step.messages * WEIGHT);
        return;
      case 'giveBack': {
        const kept = pick(this.#held);
        if (kept === undefined) return;
        this.#held.splice(this.#held.indexOf(kept), 1);
        const redeliveries = ++kept.redeliveries;
        this.#tell(
          () => {
            const stored = this.#store.get(kept.id);
            if (stored) stored.redeliveries = redeliveries;
          },
          () => {
            kept.counted = redeliveries;
          },
        );
        this.#waits.push(kept);
        this.#waits.sort(order);
        this.#backlog.giveBack(kept);
        return;
      }
      case 'settle': {
        const kept = pick(this.#held);
        if (kept === undefined) return;
        this.#held.splice(this.#held.indexOf(kept), 1);
        this.#goes(kept);
        return;
      }
      case 'forget': {
        // Only what the store shows is looked for.
        const shown = [...this.#store.values()].map(({ kept }) => kept);
        const one = pick(shown);
        if (one === undefined) return;
        if (!this.#backlog.forget({ priority: one.attributes.priority, id: one.id })) return;
        const at = this.#waits.findIndex(({ id }) => id === one.id);
        assert.ok(at >= 0, 'what was forgotten was waiting');
        this.#waits.splice(at, 1);
        this.#goes(one);
        return;
      }
      case 'retract': {
        const one = pick(this.#waits.filter(({ stored }) => stored === 'told'));
        if (one === undefined || !this.#backlog.remove(one)) return;
        this.#waits.splice(this.#waits.indexOf(one), 1);
        this.#goes(one);
        return;
      }
      case 'write': {
        const confirm = this.#onTheirWay.shift()?.();
        if (confirm) this.#confirmations.push(confirm);
        return;
      }
      case 'confirm':
        this.#confirmations.shift()?.();
        return;
      case 'peek': {
        const seen: number[] = [];
        for (let after: { priority: number; id: number } | undefined; ; ) {
          const page = this.#backlog.peek(after, { messages: 2, bytes: 1e9 });
          const end = page.at(-1);
          if (end === undefined) break;
          after = { priority: end.attributes.priority, id: end.id };
          seen.push(...page.map(({ id }) => id));
        }
        assert.deepEqual(
          seen,
          this.#waits.map(({ id }) => id),
        );
        return;
      }
      case 'restart':
        this.quiet();
        this.#held.length = 0;
        for (const stored of this.#store.values()) stored.kept.redeliveries = stored.redeliveries;
        this.#waits.splice(0, this.#waits.length, ...[...this.#store.values()].map(({ kept }) => kept).sort(order));
        this.#bytes = 0;
        this.#backlog = new Backlog(this.#pages);
        this.#backlog.recover(this.#store.size);
    }
  }

  check(window: number): void {
    assert.equal(this.#backlog.length, this.#waits.length);
    const late = this.#onTheirWay.length + this.#confirmations.length;
    const { messages, bytes } = this.#backlog.held;
    assert.ok(messages <= window + 256 + late + 3, `${messages} are in memory`);
    assert.equal(bytes, messages * WEIGHT);
    assert.equal(this.#bytes, bytes);
  }

  quiet(): void {
    while (this.#onTheirWay.length > 0) this.run({ do: 'write' });
    while (this.#confirmations.length > 0) this.run({ do: 'confirm' });
  }

  end(): void {
    while (this.#waits.length > 0) this.run({ do: 'shift' });
    this.#takes(undefined, this.#backlog.shift());
    for (const kept of this.#held.splice(0)) this.#goes(kept);
    this.quiet();
    assert.equal(this.#store.size, 0);
    assert.ok(this.#backlog.isSettled);
  }

  #takes(expected: Kept | undefined, kept: Kept | undefined): void {
    assert.equal(kept?.id, expected?.id);
    if (kept === undefined || expected === undefined) return;
    assert.equal(kept.redeliveries, expected.redeliveries);
    this.#waits.splice(this.#waits.indexOf(expected), 1);
    this.#held.push(kept);
  }

  #goes({ id }: Kept): void {
    this.#tell(
      () => void this.#store.delete(id),
      () => this.#backlog.left(id),
    );
  }

  #tell(write: () => void, confirm: () => void): void {
    this.#onTheirWay.push(() => {
      write();
      return confirm;
    });
  }
}

const which = fc.nat(1000);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('push' as const), priority: fc.constantFrom(4, 4, 4, 9, 0) }) },
  fc.record({ do: fc.constant('shrink' as const), messages: fc.nat(3) }),
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constantFrom('shift' as const, 'shift', 'write', 'write', 'confirm', 'peek') }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constantFrom('claim' as const, 'giveBack', 'settle', 'forget', 'retract'), which }),
  },
);

test.each([1, 2, 5])('any history over a window of %i messages: in order, nothing lost, nothing twice', (window) => {
  const steps = fc.array(fc.oneof({ weight: 60, arbitrary: step }, fc.constant<Step>({ do: 'restart' })), {
    maxLength: 120,
  });
  fc.assert(
    fc.property(steps, (history) => {
      const story = new Story(window);
      for (const one of history) {
        story.run(one);
        story.check(window);
      }
      story.end();
    }),
    { numRuns: 1_000 },
  );
});
