// A queue: competing consumers, in turn, each as far as its credit goes; what comes
// back goes to the front, in its old order, and to somebody else if possible.

import type { Delivery, QueueView, SubscriptionRequest } from '../engine.ts';
import { Backlog, Kept, type Origin } from './delivery.ts';

/** What a queue needs of its engine. */
export interface QueueOwner {
  /** Bytes held changed by this many. */
  weigh(bytes: number): void;
  /** The queue got shorter: producers may be waiting. */
  eased(queue: Queue): void;
  /** Delivered too often, or rejected. */
  deadLetter(queue: Queue, kept: Kept, reason: 'redeliveries' | 'rejected'): void;
  /** Nothing in it and nobody at it. */
  abandoned(queue: Queue): void;
  readonly maxDeliveries: number;
}

interface Consumer {
  readonly request: SubscriptionRequest;
  credit: number;
  ready: boolean;
}

export class Queue implements Origin {
  readonly name: string;
  readonly #owner: QueueOwner;
  readonly #backlog = new Backlog();
  readonly #consumers = new Set<Consumer>();
  #ready: Consumer[] = []; // those with credit, in turn
  #next = 0;
  #unsettled = 0;
  #bytes = 0;
  #dispatching = false;

  constructor(name: string, owner: QueueOwner) {
    this.name = name;
    this.#owner = owner;
  }

  get bytes(): number {
    return this.#bytes;
  }
  get waiting(): number {
    return this.#backlog.length;
  }
  get consumers(): number {
    return this.#consumers.size;
  }
  get view(): QueueView {
    return {
      name: this.name,
      waiting: this.#backlog.length,
      unsettled: this.#unsettled,
      bytes: this.#bytes,
      consumers: this.#consumers.size,
    };
  }

  add(kept: Kept): void {
    this.#weigh(kept.bytes);
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

  close(consumer: Consumer, unsettled: Iterable<Delivery>): void {
    if (!this.#consumers.delete(consumer)) return;
    consumer.credit = 0;
    this.#unready(consumer);
    const returned: Kept[] = [];
    for (const delivery of unsettled) {
      if (!(delivery instanceof Kept) || delivery.origin !== this) continue;
      this.#unsettled--;
      delivery.redeliveries++;
      returned.push(delivery);
    }
    this.#backlog.giveBack(returned);
    this.#dispatch();
    this.#owner.eased(this);
    this.#abandon();
  }

  acked(kept: Kept): void {
    this.#unsettled--;
    this.#gone(kept);
  }

  nacked(kept: Kept): void {
    kept.redeliveries++;
    if (kept.redeliveries >= this.#owner.maxDeliveries) {
      this.#unsettled--;
      this.#owner.deadLetter(this, kept, 'redeliveries');
      this.#gone(kept);
      return;
    }
    this.#unsettled--;
    this.#backlog.giveBack([kept]);
    this.#dispatch();
  }

  rejected(kept: Kept): void {
    this.#unsettled--;
    this.#owner.deadLetter(this, kept, 'rejected');
    this.#gone(kept);
  }

  /** Everything in it is dropped: its connection is gone (temporary queues). */
  discard(): void {
    this.#backlog.drain();
    this.#weigh(-this.#bytes);
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
    if (this.#next >= this.#ready.length) this.#next = 0;
    const consumer = this.#ready[this.#next] as Consumer;
    if (--consumer.credit === 0) this.#unready(consumer);
    else this.#next++;
    if (consumer.request.acknowledged) {
      this.#unsettled++;
      consumer.request.deliver(kept);
    } else {
      consumer.request.deliver(kept);
      this.#gone(kept);
    }
  }

  #unready(consumer: Consumer): void {
    if (!consumer.ready) return;
    consumer.ready = false;
    const at = this.#ready.indexOf(consumer);
    this.#ready.splice(at, 1);
    if (at < this.#next) this.#next--;
  }

  #gone(kept: Kept): void {
    this.#weigh(-kept.bytes);
    this.#owner.eased(this);
    if (this.#bytes === 0 && this.#consumers.size === 0) this.#abandon();
  }

  #abandon(): void {
    if (this.#consumers.size === 0 && this.#backlog.length === 0 && this.#unsettled === 0) this.#owner.abandoned(this);
  }

  #weigh(bytes: number): void {
    this.#bytes += bytes;
    this.#owner.weigh(bytes);
  }
}
