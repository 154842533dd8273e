// A queue: competing consumers, in turn, each as far as its credit goes; what comes
// back goes to its old place, and to somebody else if possible.
//
// Most queues take the short way: the next message to the next consumer. Where there are
// selectors, exclusive consumers or message groups, each consumer looks for what it may
// have, through the whole queue, a slice at a time: `walk` is the next one.

import type { Portion } from '../../store/store.ts';
import type { QueueView, Settlement, SubscriptionRequest } from '../engine.ts';
import { Backlog, type Pages, type Place } from './backlog.ts';
import { type Consumer, Consumers } from './consumers.ts';
import { type Kept, type Origin, OVERHEAD } from './delivery.ts';
import { Gauge } from './gauge.ts';
import { type Counter, look } from './look.ts';
import type { Walker } from './rounds.ts';

export type Death = 'redeliveries' | 'rejected' | 'expired';

/** What a queue needs of its engine. */
export interface QueueOwner {
  /** Bytes held changed by this many; `store`: they are on disk, and in memory only as far as they are needed. */
  weigh(bytes: number, where: 'memory' | 'store'): void;
  /** Of what is on disk, this many more bytes are in memory, or fewer. */
  hold(bytes: number): void;
  /** It has more to look through: `walk` goes on when its turn comes. */
  walkLater(queue: Queue): void;
  /** There was no room in memory for what should be delivered: `walk` goes on when there is some. */
  starved(queue: Queue): void;
  /** It leaves its queue for good: settled, dead or expired. */
  gone(queue: Queue, kept: Kept): void;
  /** It was delivered once more, and is back. */
  redelivered(queue: Queue, kept: Kept): void;
  /** Delivered too often, rejected, or too late. Answers whether it may leave its queue. */
  deadLetter(queue: Queue, kept: Kept, reason: Death): boolean;
  /** Nothing in it and nobody at it. */
  abandoned(queue: Queue): void;
  /** Calls `run` after `ms`; the answer cancels. */
  schedule(ms: number, run: () => void): () => void;
  /** Milliseconds since 1970. */
  time(): number;
  readonly maxDeliveries: number;
  readonly redeliveryDelayMs: number;
  readonly maxRedeliveryDelayMs: number;
  readonly producersWaitAboveBytes: number;
  /** A queue takes what comes beyond its limits, and whoever sent it waits for room. */
  readonly producersWaitForRoom: boolean;
  readonly maxQueueMessages: number;
  readonly maxQueueBytes: number;
}

/** A queue's share of the store, and of the memory that all have for it. */
export type QueuePages = Omit<Pages, 'mayExceed' | 'isOpen'> & { isOpen(queue: Queue): void };

const RESTORED_AFTER_MS = 1_000;

export class Queue implements Origin, Walker, Counter {
  readonly name: string;
  readonly #owner: QueueOwner;
  readonly #gauge: Gauge; // everything in it, wherever it is
  readonly #backlog: Backlog;
  readonly #isPaged: boolean;
  readonly #consumers = new Consumers();
  readonly #cooling = new Map<Kept, () => void>(); // nacked, and waiting for another try
  #unsettled = 0;
  #outBytes = 0; // where it is paged
  #dispatching = false;
  #discarded = false;
  #roomWanted: (() => void)[] = []; // producers that wait until it is no longer over its limits

  constructor(name: string, owner: QueueOwner, pages?: QueuePages) {
    this.name = name;
    this.#owner = owner;
    this.#isPaged = pages !== undefined;
    this.#backlog = new Backlog(
      pages && {
        ...pages,
        read: (after, most) => this.#mindGroups(pages.read(after, most)),
        isOpen: () => pages.isOpen(this),
        mayExceed: () => !this.isPartlyOut,
      },
    );
    // What the store holds takes no memory, and so no producer waits for it.
    this.#gauge = new Gauge(pages ? Number.POSITIVE_INFINITY : owner.producersWaitAboveBytes, (bytes) =>
      owner.weigh(bytes, pages ? 'store' : 'memory'),
    );
  }

  #mindGroups(page: Kept[]): Kept[] {
    for (const kept of page) this.#consumers.mind(kept);
    return page;
  }

  get bytes(): number {
    return this.#gauge.bytes;
  }
  /** Messages and bytes of those that wait in memory. */
  get held(): { readonly messages: number; readonly bytes: number } {
    return this.#backlog.held;
  }
  /** Messages in it, unsettled ones included. */
  get length(): number {
    return this.#backlog.length + this.#unsettled + this.#cooling.size;
  }
  /** Its consumers are behind: producers wait for `eased`. Where there is none, waiting would not help, unless it was asked for. */
  get isBehind(): boolean {
    return (this.#gauge.isHigh && this.#consumers.size > 0) || this.#isOver;
  }
  eased(): Promise<void> {
    if (this.#isOver) return new Promise((resolve) => this.#roomWanted.push(resolve));
    return this.#gauge.eased();
  }
  // It was let grow beyond its limits: producers wait, whether there is a consumer or not.
  get #isOver(): boolean {
    const { producersWaitForRoom, maxQueueMessages, maxQueueBytes } = this.#owner;
    return producersWaitForRoom && (this.length > maxQueueMessages || this.#gauge.bytes > maxQueueBytes);
  }
  /** With consumers, or between two tries. */
  get out(): { readonly messages: number; readonly bytes: number } {
    const bytes = this.#isPaged ? this.#outBytes : this.#gauge.bytes - this.#backlog.held.bytes;
    return { messages: this.#unsettled + this.#cooling.size, bytes };
  }

  /** Nobody is at it, and nothing is in it. */
  get isIdle(): boolean {
    return this.#consumers.size === 0 && this.length === 0;
  }

  get view(): QueueView {
    return {
      name: this.name,
      waiting: this.#backlog.length + this.#cooling.size,
      unsettled: this.#unsettled,
      bytes: this.#gauge.bytes,
      consumers: this.#consumers.size,
    };
  }

  /** Takes over what the store has from before. */
  recover(messages: number, bytes: number): void {
    this.#backlog.recover(messages);
    this.#gauge.add(bytes + messages * OVERHEAD);
  }

  add(kept: Kept): void {
    this.#gauge.add(kept.bytes);
    this.#consumers.mind(kept);
    const isPlain = this.#consumers.arePlain;
    const consumer = isPlain ? this.#atOnce(kept) : this.#consumers.takerOfNew(kept, (one) => this.#isIdle(one));
    if (consumer === undefined) {
      this.#backlog.push(kept);
      if (!isPlain && this.#consumers.looking.some((one) => this.#consumers.hasMore(one))) this.#dispatch();
      return;
    }
    this.#backlog.passed(kept);
    this.hand(kept, consumer);
  }

  // Who can have it before it waits. What waits is for nobody who is ready: otherwise it would not.
  #atOnce(kept: Kept): Consumer | undefined {
    if (!this.#consumers.areReady || this.#dispatching || this.#backlog.length > 0) return undefined;
    return this.#consumers.turn(kept);
  }

  /** Nothing waits that it may have. */
  #isIdle(consumer: Consumer): boolean {
    if (this.#dispatching) return false;
    return this.#consumers.takesAny(consumer) ? this.#backlog.length === 0 : consumer.search.isDone;
  }

  /** The store could not keep it after all: it leaves; where somebody has it already, it does not come back. */
  retract(kept: Kept): void {
    kept.stored = 'no';
    if (this.#backlog.remove(kept)) this.#gone(kept);
  }

  /** The store has one that was gone no longer. */
  left(id: number): void {
    this.#backlog.left(id);
    this.#reclaim();
  }

  /** The store has more of what it was told: that need not stay in memory. */
  caughtUp(): void {
    this.#backlog.trim();
  }

  /** The store could not let it go: it is back, and rests before its next try. */
  restore(kept: Kept): void {
    if (this.#discarded) return;
    this.#gauge.add(kept.bytes);
    kept.recovered = true;
    this.#cool(kept, RESTORED_AFTER_MS);
  }

  open(request: SubscriptionRequest): Consumer {
    return this.#consumers.open(request);
  }

  request(consumer: Consumer, n: number): void {
    if (this.#consumers.request(consumer, n)) this.#dispatch();
  }

  close(consumer: Consumer): void {
    if (!this.#consumers.close(consumer)) return;
    if (this.#consumers.size === 0) this.#gauge.release();
    // What only it could have had may be anybody's now: behind what whoever closes gives back in the same breath (promise 4).
    if (this.#consumers.areReady) queueMicrotask(() => this.#dispatch());
    this.#reclaim();
  }

  settle(kept: Kept, outcome: Settlement['outcome']): void {
    if (kept.holder === undefined) return; // settled before
    const { holder } = kept;
    kept.holder = undefined;
    this.#unsettled--;
    if (this.#discarded) return;
    this.#hold(kept, -1);
    if (outcome === 'ack' || (kept.stored === 'no' && this.#isPaged)) {
      this.#gone(kept); // settled, or never kept: its producer has heard so
      return;
    }
    if (outcome !== 'reject') kept.redeliveries++;
    const dies = outcome === 'reject' || (outcome === 'nack' && kept.redeliveries >= this.#owner.maxDeliveries);
    if (dies && this.#owner.deadLetter(this, kept, outcome === 'reject' ? 'rejected' : 'redeliveries')) {
      this.#gone(kept);
      return;
    }
    kept.refusedBy = holder;
    this.#owner.redelivered(this, kept);
    const { redeliveryDelayMs, maxRedeliveryDelayMs } = this.#owner;
    if (outcome === 'nack' && redeliveryDelayMs > 0) {
      // Another try, later each time.
      this.#cool(kept, Math.min(redeliveryDelayMs * 2 ** (kept.redeliveries - 1), maxRedeliveryDelayMs));
    } else this.#giveBack(kept);
  }

  #giveBack(kept: Kept): void {
    this.#backlog.giveBack(kept);
    if (!this.#consumers.arePlain) this.#consumers.tell(kept);
  }

  // A message that is with a consumer, or between two tries, is in memory whatever the window holds.
  #hold(kept: Kept, sign: 1 | -1): void {
    if (!this.#isPaged) return;
    const bytes = sign * kept.bytes;
    this.#outBytes += bytes;
    this.#owner.hold(bytes);
  }

  #cool(kept: Kept, ms: number): void {
    const cancel = this.#owner.schedule(ms, () => {
      this.#cooling.delete(kept);
      this.#hold(kept, -1);
      this.#giveBack(kept);
      this.#dispatch();
    });
    this.#cooling.set(kept, cancel);
    this.#hold(kept, 1);
  }

  settled(): void {
    this.#dispatch();
    this.#reclaim();
  }

  /** What waits behind `after`, in delivery order; reading changes nothing. None: there is no more. */
  peek(after: Place | undefined, most: Portion): Kept[] {
    return this.#backlog.peek(after, most);
  }

  /** Those in memory, in delivery order. */
  inMemory(): Iterable<Kept> {
    return this.#backlog.inMemory();
  }

  /** Removes what waits in the store only, which the caller settles there, or answers false where it does not wait here. `bytes` are those of its content. */
  forget(place: Place, bytes: number): boolean {
    if (!this.#backlog.forget(place)) return false;
    this.#gauge.add(-bytes - OVERHEAD);
    if (this.#roomWanted.length > 0) this.#letIn();
    this.#reclaim();
    return true;
  }

  /** Takes those in memory out that `wanted` says; they are gone for their owner as if they were settled. */
  remove(wanted: (kept: Kept) => boolean): Kept[] {
    const removed = [...this.#backlog.inMemory()].filter(wanted);
    for (const kept of removed) {
      this.#backlog.remove(kept);
      this.#gone(kept);
    }
    return removed;
  }

  /** Takes the next `n` that wait out of it, from wherever they are; they are gone as if they were settled. */
  pull(n: number): Kept[] {
    const pulled: Kept[] = [];
    for (let kept = this.#backlog.shift(true); kept !== undefined; kept = this.#backlog.shift(true)) {
      pulled.push(kept);
      this.#gone(kept);
      if (pulled.length === n) break;
    }
    this.#reclaim();
    return pulled;
  }

  /** Gives up what is next in line until there is room, or until all that is left is out. Answers how many. */
  makeRoomFor(bytes: number): number {
    let given = 0;
    while (this.isFullFor(bytes) && this.pull(1).length > 0) given++;
    return given;
  }

  isFullFor(bytes: number): boolean {
    const { maxQueueMessages, maxQueueBytes } = this.#owner;
    return this.length >= maxQueueMessages || this.bytes + bytes > maxQueueBytes;
  }

  /** Whether some of it is where `remove` does not look: with consumers, or between two tries. */
  get isPartlyOut(): boolean {
    return this.#unsettled + this.#cooling.size > 0;
  }

  /** Lets go of up to `bytes` of what is in memory and in the store. True: of everything that waits. */
  shrink(bytes: number): boolean {
    return this.#backlog.shrink(bytes);
  }

  /** Everything in it is dropped. */
  discard(): void {
    this.#discarded = true;
    for (const [kept, cancel] of this.#cooling) {
      cancel();
      this.#hold(kept, -1);
    }
    this.#cooling.clear();
    this.#backlog.clear();
    this.#gauge.add(-this.#gauge.bytes);
    this.#gauge.release();
    for (const resolve of this.#roomWanted.splice(0)) resolve();
  }

  /** The engine closes: no producer waits any longer, and no timer is left. */
  release(): void {
    for (const cancel of this.#cooling.values()) cancel();
    this.#gauge.release();
    for (const resolve of this.#roomWanted.splice(0)) resolve();
  }

  /** Its turn to look through more of the queue, or there is room in memory. */
  walk(): void {
    this.#consumers.resume();
    this.#dispatch();
  }

  // A `deliver` may ask for more, or settle, while we are here: the outer loop goes on.
  #dispatch(): void {
    if (this.#dispatching || !this.#consumers.areReady) return;
    this.#dispatching = true;
    try {
      while (this.#consumers.arePlain && this.#consumers.areReady) {
        const kept = this.#backlog.shift();
        if (kept === undefined) break;
        this.hand(kept, this.#consumers.turn(kept));
      }
      if (!this.#consumers.arePlain && look(this.#consumers, this.#backlog, this) && !this.#backlog.isStarved)
        this.#owner.walkLater(this);
    } finally {
      this.#dispatching = false;
    }
    if (!this.#backlog.isStarved) return;
    this.#backlog.feed();
    this.#owner.starved(this);
  }

  /** Over the counter: it is out of the backlog. */
  hand(kept: Kept, consumer: Consumer): void {
    if (this.isLate(kept)) this.#expire(kept);
    else this.#deliver(kept, consumer);
  }

  isLate(kept: Kept): boolean {
    return kept.attributes.expiresAt > 0 && kept.isExpired(this.#owner.time());
  }

  #expire(kept: Kept): void {
    this.#owner.deadLetter(this, kept, 'expired');
    this.#gone(kept);
  }

  #deliver(kept: Kept, consumer: Consumer): void {
    this.#consumers.serve(consumer);
    if (kept.attributes.group !== undefined) this.#consumers.bind(kept, consumer);
    if (consumer.request.acknowledged) {
      kept.holder = consumer;
      this.#unsettled++;
      this.#hold(kept, 1);
      consumer.request.deliver(kept);
    } else {
      consumer.request.deliver(kept);
      this.#gone(kept);
    }
  }

  #gone(kept: Kept): void {
    this.#owner.gone(this, kept);
    this.#gauge.add(-kept.bytes);
    if (this.#roomWanted.length > 0) this.#letIn();
    if (this.#gauge.bytes === 0 && this.#consumers.size === 0) this.#reclaim();
  }

  #letIn(): void {
    if (!this.#isOver) for (const resolve of this.#roomWanted.splice(0)) resolve();
  }

  #reclaim(): void {
    if (this.isIdle && this.#backlog.isSettled) this.#owner.abandoned(this);
  }
}
