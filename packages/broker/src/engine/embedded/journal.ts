// What the store is to be told. Changes gather here while a commit or a turn lasts and are
// handed over as one; what became of a change is told to those it is about. What comes
// and goes before the store has heard of it never reaches it.
//
//   Kept.stored   no ─► pending ─► told ─► yes       the store has it
//                 ▲◄────────┘ gone     │
//                 └────────────────────┘ the change failed
//
// Also here: whether the store works, and the fact that says how the last process ended.

import type { Change, MessageKey, ScheduledMessage, ScheduleKey, Store, StoredMessage } from '../../store/store.ts';
import { StoreError } from '../../store/store.ts';
import { isTemporary } from '../../temporary.ts';
import { EngineError } from '../engine.ts';
import type { EngineCounts, EngineObserver } from './books.ts';
import type { Kept } from './delivery.ts';
import { isDurableQueue } from './durable.ts';

/** A queue, as it hears of what became of its messages. */
export interface Shelf {
  readonly name: string;
  /** The store has one that was gone no longer. */
  left(id: number): void;
  /** The store has more of what it was told. */
  caughtUp(): void;
  /** The store could not keep it. */
  retract(kept: Kept): void;
  /** The store could not let it go. */
  restore(kept: Kept): void;
}

/** A small thing to know by its name; `undefined` forgets it. */
export interface Fact {
  readonly key: string;
  readonly value: string | undefined;
}

/** What the journal needs of its engine. */
export interface JournalOwner {
  /** Facts are on their way. Called before anybody else can wait for the outcome. */
  telling(facts: readonly Fact[], outcome: Promise<void>): void;
  /** The store has what was postponed. */
  postponed(): void;
  /** Milliseconds since 1970. */
  time(): number;
  readonly counts: EngineCounts;
  readonly observer: EngineObserver | undefined;
}

interface Entry {
  readonly queue: Shelf;
  readonly kept: Kept;
}

interface Pending {
  append: Entry[];
  settle: Entry[];
  redelivered: (Entry & { readonly redeliveries: number })[];
  schedule: ScheduledMessage[];
  unschedule: ScheduleKey[];
  facts: Fact[];
}

/** What a change resolves with that has nothing to tell. */
export const DONE: Promise<void> = Promise.resolve();
const STOPPED = 'stopped'; // it is there while no process has the store, unless the last one was killed

const empty = (): Pending => ({ append: [], settle: [], redelivered: [], schedule: [], unschedule: [], facts: [] });

export class Journal {
  readonly #store: Store;
  readonly #owner: JournalOwner;
  readonly #durable: boolean;
  readonly #recoveredTo: number;
  #pending = empty();
  #flushing = false; // a turn's end will tell the store
  #held = false; // whoever holds it will
  #toldBytes = 0;
  #failedAt: number | undefined; // the store keeps nothing since then
  #beginning: Promise<void> | undefined;
  #begun: boolean; // a crash from now on will be noticed

  constructor(store: Store, owner: JournalOwner) {
    this.#store = store;
    this.#owner = owner;
    this.#durable = store.survives === 'power-cut';
    const [stopped] = [...store.facts(STOPPED)];
    this.#begun = stopped === undefined;
    this.#recoveredTo = stopped === undefined ? store.lastId : Number(stopped[1]);
  }

  /** Up to this id, nobody knows what was delivered before a crash. */
  get recoveredTo(): number {
    return this.#recoveredTo;
  }
  get begun(): boolean {
    return this.#begun;
  }
  /** Bytes on their way to the store. */
  get toldBytes(): number {
    return this.#toldBytes;
  }

  /** Whether the store has the messages of a queue; a temporary one goes with its connection. */
  keeps(queue: string): boolean {
    return this.#durable && (!isTemporary(queue) || isDurableQueue(queue));
  }

  /** Nothing is delivered before the store could tell, after a crash, that it may have been. */
  begin(): Promise<void> {
    this.#beginning ??= this.#store.commit({ facts: [{ key: STOPPED, value: undefined }] }).then(
      () => {
        this.#begun = true;
      },
      (cause: unknown) => {
        this.#beginning = undefined;
        throw storeFailure(cause);
      },
    );
    return this.#beginning;
  }

  append(queue: Shelf, kept: Kept): void {
    kept.stored = 'pending';
    this.#pending.append.push({ queue, kept });
  }

  gone(queue: Shelf, kept: Kept): void {
    if (kept.stored === 'pending') kept.stored = 'no'; // it came and went before the store heard of it
    if (kept.stored === 'no') queue.left(kept.id);
    else {
      this.#pending.settle.push({ queue, kept });
      this.tellLater();
    }
  }

  redelivered(queue: Shelf, kept: Kept): void {
    if (kept.stored === 'no') return;
    this.#pending.redelivered.push({ queue, kept, redeliveries: kept.redeliveries });
    this.tellLater();
  }

  postpone(message: ScheduledMessage): void {
    this.#pending.schedule.push(message);
  }

  unschedule(key: ScheduleKey): void {
    this.#pending.unschedule.push(key);
  }

  fact(fact: Fact): void {
    this.#pending.facts.push(fact);
  }

  /** What happens until `letGo` is one change, and whoever held it tells it. */
  hold(): void {
    this.#held = true;
  }

  letGo(): void {
    this.#held = false;
  }

  /** At the end of this turn, unless somebody holds it. */
  tellLater(): void {
    if (this.#flushing || this.#held) return;
    this.#flushing = true;
    queueMicrotask(() => {
      this.#flushing = false;
      this.tell().catch(() => {}); // an ACK that was not kept: the message comes again
    });
  }

  /** Hands over what has happened since the last time; resolves when it is kept. `DONE`: there was nothing. */
  tell(): Promise<void> {
    const { append, settle, redelivered, schedule, unschedule, facts } = this.#pending;
    const kept = append.filter(({ kept }) => kept.stored === 'pending');
    if (kept.length + settle.length + redelivered.length + schedule.length + unschedule.length + facts.length === 0) {
      if (append.length > 0) this.#pending = empty();
      return DONE;
    }
    this.#pending = empty();
    let toldBytes = 0;
    for (const one of kept) {
      one.kept.stored = 'told';
      one.kept.counted = one.kept.redeliveries;
      toldBytes += one.kept.bytes;
    }
    this.#toldBytes += toldBytes;
    const change: Change = {
      append: kept.map(storedOf),
      settle: settle.map(keyOf),
      redelivered: redelivered.map((one) => ({ ...keyOf(one), redeliveries: one.redeliveries })),
      schedule,
      unschedule,
      facts,
    };
    const { counts } = this.#owner;
    const told = kept.length + schedule.length;
    const toldAt = this.#owner.time();
    counts.told += told;
    const telling = this.#store.commit(change).then(
      () => {
        counts.heard += told;
        counts.commits++;
        counts.commitMs += this.#owner.time() - toldAt;
        if (this.#failedAt !== undefined) this.#recovered(this.#failedAt);
        this.#toldBytes -= toldBytes;
        for (const one of kept) one.kept.stored = 'yes';
        for (const one of redelivered) one.kept.counted = one.redeliveries;
        tellShelves(kept);
        tellShelves(redelivered);
        for (const one of settle) one.queue.left(one.kept.id);
        if (schedule.length > 0) this.#owner.postponed();
      },
      (cause: unknown) => {
        this.#toldBytes -= toldBytes;
        counts.heard += told;
        counts.commitFailures++;
        this.#failed(cause);
        for (const { queue, kept: lost } of kept) queue.retract(lost);
        for (const one of redelivered) one.kept.counted = one.redeliveries; // nobody will count them again
        for (const { queue, kept: back } of settle) {
          if (back.stored === 'no') queue.left(back.id);
          else queue.restore(back);
        }
        throw storeFailure(cause);
      },
    );
    if (facts.length > 0) this.#owner.telling(facts, telling);
    return telling;
  }

  /** Tells what is left, and that this was no crash. */
  async close(): Promise<void> {
    if (this.#durable) this.fact({ key: STOPPED, value: String(this.#recoveredTo) });
    await this.tell().catch(() => {}); // whoever waited for it has heard
    await this.#store.close();
  }

  // Told once for each time that it stops working, however many wait for it.
  #failed(cause: unknown): void {
    if (this.#failedAt !== undefined) return;
    this.#failedAt = this.#owner.time();
    this.#owner.observer?.storeFailed?.(cause);
  }

  #recovered(failedAt: number): void {
    this.#failedAt = undefined;
    this.#owner.observer?.storeRecovered?.(this.#owner.time() - failedAt);
  }
}

function tellShelves(entries: readonly Entry[]): void {
  let last: Shelf | undefined; // most are of one
  for (const { queue } of entries) {
    if (queue !== last) queue.caughtUp();
    last = queue;
  }
}

function storedOf({ queue, kept }: Entry): StoredMessage {
  const { id, destination, content, attributes, redeliveries, sentAt } = kept;
  const { priority, expiresAt } = attributes;
  return { queue: queue.name, priority, id, destination, content, sentAt, expiresAt, redeliveries };
}

function keyOf({ queue, kept }: Entry): MessageKey {
  return { queue: queue.name, priority: kept.attributes.priority, id: kept.id };
}

function storeFailure(cause: unknown): EngineError {
  const why = cause instanceof StoreError ? cause.message : 'the store failed';
  return new EngineError('store-failed', why, undefined, { cause });
}
