// What has an end: messages that expire, in idle queues too, and the ids of producers.
// Swept once a second while anything is there whose time will be over.

import type { MessageKey } from '../../store/store.ts';
import type { Kept } from './delivery.ts';
import type { Duplicates } from './duplicates.ts';
import type { Fact } from './journal.ts';
import type { Clock } from './options.ts';
import type { Queue } from './queue.ts';

/** What the sweep needs of its engine. */
export interface ExpiryOwner {
  /** Those in the store whose time is over by then. */
  expired(now: number, most: number): readonly MessageKey[];
  /** One of them, if it is there. */
  find(key: MessageKey): { readonly queue: Queue; readonly kept: Kept } | undefined;
  /** Answers whether it may leave its queue. */
  deadLetter(queue: Queue, kept: Kept, reason: 'expired'): boolean;
  gone(queue: Queue, kept: Kept): void;
}

/** What the sweep has to tell the store. */
export interface ExpiryJournal {
  fact(fact: Fact): void;
  tellLater(): void;
}

const SWEEP_MS = 1_000;
const SWEPT_AT_ONCE = 1_000;

export class Expiry {
  readonly #owner: ExpiryOwner;
  readonly #journal: ExpiryJournal;
  readonly #duplicates: Duplicates;
  readonly #clock: Clock;
  readonly #queues = new Set<Queue>(); // that have, or had, something in memory that expires
  #cancel: (() => void) | undefined;
  #closed = false;

  constructor(owner: ExpiryOwner, journal: ExpiryJournal, duplicates: Duplicates, clock: Clock) {
    this.#owner = owner;
    this.#journal = journal;
    this.#duplicates = duplicates;
    this.#clock = clock;
  }

  /** Something in there expires. */
  watch(queue: Queue): void {
    this.#queues.add(queue);
    this.sweepLater();
  }

  unwatch(queue: Queue): void {
    this.#queues.delete(queue);
  }

  /** There may be something already. */
  begin(): void {
    if (this.#isNeeded) this.sweepLater();
  }

  sweepLater(): void {
    if (this.#cancel !== undefined || this.#closed) return;
    this.#cancel = this.#clock.schedule(SWEEP_MS, () => {
      this.#cancel = undefined;
      this.#sweep();
    });
  }

  close(): void {
    this.#closed = true;
    this.#cancel?.();
  }

  get #isNeeded(): boolean {
    if (this.#queues.size > 0 || this.#duplicates.size > 0) return true;
    return this.#owner.expired(Number.MAX_SAFE_INTEGER, 1).length > 0;
  }

  #sweep(): void {
    const now = this.#clock.time();
    for (const queue of this.#queues) {
      const late = queue.remove((kept) => kept.isExpired(now) && this.#owner.deadLetter(queue, kept, 'expired'));
      const more =
        late.length > 0 || queue.isPartlyOut || some(queue.inMemory(), (kept) => kept.attributes.expiresAt > 0);
      if (!more) this.#queues.delete(queue);
    }
    for (const key of this.#owner.expired(now, SWEPT_AT_ONCE)) this.#expireAway(key);
    for (const key of this.#duplicates.expire(now)) this.#journal.fact({ key, value: undefined });
    this.#journal.tellLater();
    if (this.#isNeeded) this.sweepLater();
  }

  #expireAway(key: MessageKey): void {
    const found = this.#owner.find(key);
    if (found === undefined) return;
    const { queue, kept } = found;
    if (!queue.forget(key, kept.content.bytes.length)) return; // it is in memory, or with a consumer
    this.#owner.gone(queue, kept);
    this.#owner.deadLetter(queue, kept, 'expired');
  }
}

function some<T>(all: Iterable<T>, met: (one: T) => boolean): boolean {
  for (const one of all) if (met(one)) return true;
  return false;
}
