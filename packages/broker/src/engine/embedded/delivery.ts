// One message as the embedded engine keeps it, and as it is delivered. Most messages
// are one object from SEND to ACK.

import type { Content } from '@stompbox/protocol';
import type { Delivery } from '../engine.ts';

/** What settles deliveries: the queue they came from, or the topic subscription. */
export interface Origin {
  acked(delivery: Kept): void;
  nacked(delivery: Kept): void;
  rejected(delivery: Kept): void;
}

/** Bookkeeping of a kept message besides its content, in bytes: an estimate, so that limits mean memory. */
const OVERHEAD = 200;

export class Kept implements Delivery {
  readonly id: number;
  readonly destination: string;
  readonly content: Content;
  readonly origin: Origin;
  redeliveries = 0;

  constructor(id: number, destination: string, content: Content, origin: Origin) {
    this.id = id;
    this.destination = destination;
    this.content = content;
    this.origin = origin;
  }

  get bytes(): number {
    return this.content.bytes.length + OVERHEAD;
  }
}

/** First in, first out, in amortised constant time; what comes back goes to the place its id gives it. */
export class Backlog {
  #items: (Kept | undefined)[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  push(kept: Kept): void {
    this.#items.push(kept);
  }

  shift(): Kept | undefined {
    const kept = this.#items[this.#head];
    if (kept === undefined) return undefined;
    this.#items[this.#head++] = undefined;
    if (this.#head === this.#items.length) {
      this.#items = [];
      this.#head = 0;
    } else if (this.#head > 4096 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return kept;
  }

  /** Puts messages back where they were: by id, before all that came later. */
  giveBack(returned: readonly Kept[]): void {
    if (returned.length === 0) return;
    const sorted = [...returned].sort((a, b) => a.id - b.id);
    const last = (sorted.at(-1) as Kept).id;
    // Usually everything returned is older than everything waiting: a short search from the front.
    let end = this.#head;
    while (end < this.#items.length && (this.#items[end] as Kept).id < last) end++;
    const front = this.#items.slice(this.#head, end) as Kept[];
    const merged = front.length === 0 ? sorted : [...front, ...sorted].sort((a, b) => a.id - b.id);
    this.#items = [...merged, ...this.#items.slice(end)];
    this.#head = 0;
  }

  drain(): Kept[] {
    const rest = this.#items.slice(this.#head) as Kept[];
    this.#items = [];
    this.#head = 0;
    return rest;
  }
}
