// A queue: competing consumers, in turn, each as far as its credit goes; what comes
// back goes to its old place, and to somebody else if possible.
//
// Most queues take the short way: the next message to the next consumer. Selectors,
// exclusive consumers and message groups look for the first message that somebody may
// have, among those in memory.

import type { Portion } from '../../store/store.ts';
import type { QueueView, Settlement, SubscriptionRequest } from '../engine.ts';
import { Backlog, type Pages, type Place } from './backlog.ts';
import { type Kept, type Origin, OVERHEAD } from './delivery.ts';
import { Gauge } from './gauge.ts';

export type Death = 'redeliveries' | 'rejected' | 'expired';

/** What a queue needs of its engine. */
export interface QueueOwner {
  /** Bytes held changed by this many; `store`: they are on disk, and in memory only as far as they are needed. */
  weigh(bytes: number, where: 'memory' | 'store'): void;
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

interface Consumer {
  readonly request: SubscriptionRequest;
  credit: number;
  ready: boolean;
}

const GROUPS_REMEMBERED = 100_000;
const RESTORED_AFTER_MS = 1_000;

export class Queue implements Origin {
  readonly name: string;
  readonly #owner: QueueOwner;
  readonly #gauge: Gauge; // everything in it, wherever it is
  readonly #backlog: Backlog;
  readonly #consumers = new Set<Consumer>();
  readonly #ready: Consumer[] = []; // those with credit, in turn
  readonly #groups = new Map<string, Consumer>();
  readonly #cooling = new Map<Kept, () => void>(); // nacked, and waiting for another try
  #choosy = 0; // consumers that do not take just anything
  #grouped = false; // a message with a group has been here
  #next = 0;
  #unsettled = 0;
  #dispatching = false;
  #discarded = false;
  #roomWanted: (() => void)[] = []; // producers that wait until it is no longer over its limits

  constructor(name: string, owner: QueueOwner, pages?: Pages) {
    this.name = name;
    this.#owner = owner;
    this.#backlog = new Backlog(
      pages && { ...pages, read: (after, most) => this.#mindGroups(pages.read(after, most)) },
    );
    // What the store holds takes no memory, and so no producer waits for it.
    this.#gauge = new Gauge(pages ? Number.POSITIVE_INFINITY : owner.producersWaitAboveBytes, (bytes) =>
      owner.weigh(bytes, pages ? 'store' : 'memory'),
    );
  }

  #mindGroups(page: Kept[]): Kept[] {
    if (!this.#grouped) this.#grouped = page.some(({ attributes }) => attributes.group !== undefined);
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
  /** Delivered and not settled. */
  get unsettled(): number {
    return this.#unsettled;
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
    if (kept.attributes.group !== undefined) this.#grouped = true;
    const consumer = this.#atOnce(kept);
    if (consumer === undefined) {
      this.#backlog.push(kept);
      if (this.#backlog.length === 1) this.#dispatch();
    } else {
      this.#backlog.passed(kept);
      if (kept.attributes.expiresAt > 0 && kept.isExpired(this.#owner.time())) this.#expire(kept);
      else this.#deliver(kept, consumer);
    }
  }

  // Who can have it before it waits. What waits is for nobody who is ready: otherwise it would not.
  #atOnce(kept: Kept): Consumer | undefined {
    if (this.#ready.length === 0 || this.#dispatching) return undefined;
    if (this.#choosy > 0 || this.#grouped) return this.#backlog.away > 0 ? undefined : this.#choose(kept);
    return this.#backlog.length > 0 ? undefined : this.#turn(kept);
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

  /** The store could not let it go: it is back, and rests before its next try. */
  restore(kept: Kept): void {
    if (this.#discarded) return;
    this.#gauge.add(kept.bytes);
    kept.recovered = true;
    this.#cool(kept, RESTORED_AFTER_MS);
  }

  open(request: SubscriptionRequest): Consumer {
    const consumer: Consumer = { request, credit: 0, ready: false };
    this.#consumers.add(consumer);
    if (isChoosy(consumer)) this.#choosy++;
    return consumer;
  }

  request(consumer: Consumer, n: number): void {
    if (!this.#consumers.has(consumer)) return;
    consumer.credit += n;
    if (!consumer.ready && consumer.credit > 0) {
      consumer.ready = true;
      this.#ready.push(consumer);
    }
    this.#dispatch();
  }

  close(consumer: Consumer): void {
    if (!this.#consumers.delete(consumer)) return;
    if (isChoosy(consumer)) this.#choosy--;
    consumer.credit = 0;
    this.#unready(consumer);
    for (const [group, owner] of this.#groups) if (owner === consumer) this.#groups.delete(group);
    if (this.#consumers.size === 0) this.#gauge.release();
    this.#dispatch(); // what only it could have had may be anybody's now
    this.#reclaim();
  }

  settle(kept: Kept, outcome: Settlement['outcome']): void {
    if (kept.holder === undefined) return; // settled before
    const { holder } = kept;
    kept.holder = undefined;
    this.#unsettled--;
    if (this.#discarded) return;
    if (outcome === 'ack' || (kept.stored === 'no' && this.#backlog.isPaged)) {
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
    } else this.#backlog.giveBack(kept);
  }

  #cool(kept: Kept, ms: number): void {
    const cancel = this.#owner.schedule(ms, () => {
      this.#cooling.delete(kept);
      this.#backlog.giveBack(kept);
      this.#dispatch();
    });
    this.#cooling.set(kept, cancel);
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
    for (let kept = this.#backlog.shift(); kept !== undefined; kept = this.#backlog.shift()) {
      pulled.push(kept);
      this.#gone(kept);
      if (pulled.length === n) break;
    }
    this.#reclaim();
    return pulled;
  }

  /** Whether some of it is where `remove` does not look: with consumers, or between two tries. */
  get isPartlyOut(): boolean {
    return this.#unsettled + this.#cooling.size > 0;
  }

  /** Everything in it is dropped. */
  discard(): void {
    this.#discarded = true;
    for (const cancel of this.#cooling.values()) cancel();
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

  // A `deliver` may ask for more, or settle, while we are here: the outer loop goes on.
  #dispatch(): void {
    if (this.#dispatching) return;
    this.#dispatching = true;
    try {
      while (this.#ready.length > 0) {
        let consumer: Consumer | undefined;
        const kept =
          this.#choosy === 0 && !this.#grouped
            ? this.#backlog.shift()
            : this.#backlog.take((candidate) => {
                consumer = this.#choose(candidate);
                return consumer !== undefined || candidate.isExpired(this.#owner.time());
              });
        if (kept === undefined) break;
        if (kept.attributes.group !== undefined) consumer ??= this.#choose(kept); // the first of all groups
        if (kept.attributes.expiresAt > 0 && kept.isExpired(this.#owner.time())) this.#expire(kept);
        else this.#deliver(kept, consumer ?? this.#turn(kept));
      }
    } finally {
      this.#dispatching = false;
    }
  }

  #expire(kept: Kept): void {
    this.#owner.deadLetter(this, kept, 'expired');
    this.#gone(kept);
  }

  #deliver(kept: Kept, consumer: Consumer): void {
    const at = this.#ready[this.#next] === consumer ? this.#next : this.#ready.indexOf(consumer);
    if (--consumer.credit === 0) this.#unready(consumer);
    else this.#next = at + 1;
    if (consumer.request.acknowledged) {
      kept.holder = consumer;
      this.#unsettled++;
      consumer.request.deliver(kept);
    } else {
      consumer.request.deliver(kept);
      this.#gone(kept);
    }
  }

  // Whose turn it is; somebody else's where that one has just given it back.
  #turn(kept: Kept): Consumer {
    if (this.#next >= this.#ready.length) this.#next = 0;
    if (this.#ready[this.#next] === kept.refusedBy) this.#next = (this.#next + 1) % this.#ready.length;
    return this.#ready[this.#next] as Consumer;
  }

  // Who may have it now: the exclusive consumer, the one its group belongs to, or the next in turn that selects it.
  #choose(kept: Kept): Consumer | undefined {
    const exclusive = this.#exclusive();
    const { group } = kept.attributes;
    const bound = exclusive ?? (group === undefined ? undefined : this.#groups.get(group));
    const fits = ({ request, ready }: Consumer): boolean => ready && request.selects?.(kept.content) !== false;
    if (bound !== undefined) return fits(bound) ? bound : undefined;
    const from = this.#next;
    for (let i = 0; i < this.#ready.length; i++) {
      const consumer = this.#ready[(from + i) % this.#ready.length] as Consumer;
      if (!fits(consumer) || (consumer === kept.refusedBy && this.#ready.length > 1)) continue;
      if (group !== undefined) this.#bind(group, consumer);
      return consumer;
    }
    return undefined;
  }

  #bind(group: string, consumer: Consumer): void {
    if (this.#groups.size >= GROUPS_REMEMBERED)
      for (const oldest of this.#groups.keys()) {
        this.#groups.delete(oldest);
        break;
      }
    this.#groups.set(group, consumer);
  }

  // The oldest one that asked for it has the queue for itself; the others wait until it leaves.
  #exclusive(): Consumer | undefined {
    if (this.#choosy === 0) return undefined;
    for (const consumer of this.#consumers) if (consumer.request.exclusive) return consumer;
    return undefined;
  }

  #unready(consumer: Consumer): void {
    if (!consumer.ready) return;
    consumer.ready = false;
    const at = this.#ready.indexOf(consumer);
    this.#ready.splice(at, 1);
    if (at < this.#next) this.#next--;
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

function isChoosy({ request }: Consumer): boolean {
  return request.selects !== undefined || request.exclusive === true;
}
