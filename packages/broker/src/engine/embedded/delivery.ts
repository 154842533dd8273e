// One message as the embedded engine keeps it, and as it is delivered. Most messages
// are one object from SEND to ACK.

import type { Content } from '@stompbox/protocol';
import type { Delivery, Settlement } from '../engine.ts';

/** What settles deliveries: the queue they came from, or the topic subscription. */
export interface Origin {
  settle(kept: Kept, outcome: Settlement['outcome']): void;
  /** All settlements of one piece of work are in: what came back goes out again, in order. */
  settled(): void;
}

/** Bookkeeping of a kept message besides its content, in bytes: an estimate, so that limits mean memory. */
const OVERHEAD = 200;

/** What a message of that content counts for in every limit. */
export function weightOf(content: Content): number {
  return content.bytes.length + OVERHEAD;
}

export class Kept implements Delivery {
  readonly id: number;
  readonly destination: string;
  readonly content: Content;
  readonly origin: Origin;
  redeliveries = 0;
  /** The consumer that must settle it now. */
  holder: object | undefined = undefined;
  /** The consumer that gave it back last. */
  refusedBy: object | undefined = undefined;

  constructor(id: number, destination: string, content: Content, origin: Origin) {
    this.id = id;
    this.destination = destination;
    this.content = content;
    this.origin = origin;
  }

  get bytes(): number {
    return weightOf(this.content);
  }
}

/** First in, first out, in amortised constant time; what comes back goes to the place its id gives it. */
export class Backlog {
  #items: (Kept | undefined)[] = [];
  #head = 0;
  readonly #returned: Kept[] = []; // a binary heap by id, however much came back and however much waits

  get length(): number {
    return this.#items.length - this.#head + this.#returned.length;
  }

  /** Ids only grow. */
  push(kept: Kept): void {
    this.#items.push(kept);
  }

  shift(): Kept | undefined {
    const kept = this.#items[this.#head];
    const oldest = this.#returned[0];
    if (oldest !== undefined && (kept === undefined || oldest.id < kept.id)) {
      this.#removeOldest();
      return oldest;
    }
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

  /** Puts a message back where it was: by its id, before all that came later. */
  giveBack(kept: Kept): void {
    const heap = this.#returned;
    let at = heap.length;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above] as Kept;
      if (parent.id <= kept.id) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = kept;
  }

  clear(): void {
    this.#items = [];
    this.#head = 0;
    this.#returned.length = 0;
  }

  #removeOldest(): void {
    const heap = this.#returned;
    const moved = heap.pop();
    if (moved === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      const right = heap[below + 1];
      if (right !== undefined && right.id < (heap[below] as Kept).id) below++;
      const child = heap[below];
      if (child === undefined || child.id >= moved.id) break;
      heap[at] = child;
      at = below;
    }
    heap[at] = moved;
  }
}
