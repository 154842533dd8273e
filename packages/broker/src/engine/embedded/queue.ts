// A queue: competing consumers, in turn, each as far as its credit goes; what comes
// back goes to its old place, and to somebody else if possible.

import type { QueueView, Settlement, SubscriptionRequest } from '../engine.ts';
import { Backlog, type Kept, type Origin } from './delivery.ts';
import { Gauge } from './gauge.ts';

/** What a queue needs of its engine. */
export interface QueueOwner {
  /** Bytes held changed by this many. */
  weigh(bytes: number): void;
  /** Delivered too often, or rejected. Answers whether it may leave its queue. */
  deadLetter(queue: Queue, kept: Kept, reason: 'redeliveries' | 'rejected'): boolean;
  /** Nothing in it and nobody at it. */
  abandoned(queue: Queue): void;
  readonly maxDeliveries: number;
  readonly producersWaitAboveBytes: number;
}

interface Consumer {
  readonly request: SubscriptionRequest;
  credit: number;
  ready: boolean;
}

export class Queue implements Origin {
  readonly name: string;
  readonly #owner: QueueOwner;
  readonly #gauge: Gauge;
  readonly #backlog = new Backlog();
  readonly #consumers = new Set<Consumer>();
  readonly #ready: Consumer[] = []; // those with credit, in turn
  #next = 0;
  #unsettled = 0;
  #dispatching = false;
  #discarded = false;

  constructor(name: string, owner: QueueOwner) {
    this.name = name;
    this.#owner = owner;
    this.#gauge = new Gauge(owner.producersWaitAboveBytes, (bytes) => owner.weigh(bytes));
  }

  get bytes(): number {
    return this.#gauge.bytes;
  }
  /** Messages in it, unsettled ones included. */
  get length(): number {
    return this.#backlog.length + this.#unsettled;
  }
  /** Its consumers are behind: producers wait for `eased`. Where there is none, waiting would not help. */
  get isBehind(): boolean {
    return this.#gauge.isHigh && this.#consumers.size > 0;
  }
  eased(): Promise<void> {
    return this.#gauge.eased();
  }

  get view(): QueueView {
    return {
      name: this.name,
      waiting: this.#backlog.length,
      unsettled: this.#unsettled,
      bytes: this.#gauge.bytes,
      consumers: this.#consumers.size,
    };
  }

  add(kept: Kept): void {
    this.#gauge.add(kept.bytes);
    if (this.#backlog.length === 0 && this.#ready.length > 0 && !this.#dispatching) {
      this.#deliver(kept);
      return;
    }
    this.#backlog.push(kept);
    this.#dispatch();
  }

  open(request: SubscriptionRequest): Consumer {
    const consumer: Consumer = { request, credit: 0, ready: false };
    this.#consumers.add(consumer);
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
    consumer.credit = 0;
    this.#unready(consumer);
    if (this.#consumers.size === 0) this.#gauge.release();
    this.#reclaim();
  }

  settle(kept: Kept, outcome: Settlement['outcome']): void {
    if (kept.holder === undefined) return; // settled before
    const { holder } = kept;
    kept.holder = undefined;
    this.#unsettled--;
    if (this.#discarded) return;
    if (outcome === 'ack') {
      this.#gone(kept);
      return;
    }
    if (outcome !== 'reject') kept.redeliveries++;
    const dies = outcome === 'reject' || (outcome === 'nack' && kept.redeliveries >= this.#owner.maxDeliveries);
    if (dies && this.#owner.deadLetter(this, kept, outcome === 'reject' ? 'rejected' : 'redeliveries')) {
      this.#gone(kept);
      return;
    }
    kept.refusedBy = holder;
    this.#backlog.giveBack(kept);
  }

  settled(): void {
    this.#dispatch();
    this.#reclaim();
  }

  /** Everything in it is dropped: its connection is gone (temporary queues). */
  discard(): void {
    this.#discarded = true;
    this.#backlog.clear();
    this.#gauge.add(-this.#gauge.bytes);
    this.#gauge.release();
  }

  /** The engine closes: no producer waits any longer. */
  release(): void {
    this.#gauge.release();
  }

  // A `deliver` may ask for more, or settle, while we are here: the outer loop goes on.
  #dispatch(): void {
    if (this.#dispatching) return;
    this.#dispatching = true;
    try {
      while (this.#ready.length > 0) {
        const kept = this.#backlog.shift();
        if (kept === undefined) break;
        this.#deliver(kept);
      }
    } finally {
      this.#dispatching = false;
    }
  }

  #deliver(kept: Kept): void {
    const consumer = this.#turn(kept);
    if (--consumer.credit === 0) this.#unready(consumer);
    else this.#next++;
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

  #unready(consumer: Consumer): void {
    if (!consumer.ready) return;
    consumer.ready = false;
    const at = this.#ready.indexOf(consumer);
    this.#ready.splice(at, 1);
    if (at < this.#next) this.#next--;
  }

  #gone(kept: Kept): void {
    this.#gauge.add(-kept.bytes);
    if (this.#gauge.bytes === 0 && this.#consumers.size === 0) this.#reclaim();
  }

  #reclaim(): void {
    if (this.#consumers.size === 0 && this.length === 0) this.#owner.abandoned(this);
  }
}
