// Messages of one priority that are in memory: first in, first out, in amortised
// constant time; what comes back goes to the place its id gives it.

import type { Kept } from './delivery.ts';

export class Lane {
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

  /** The last that was pushed and is still here; undefined where only returned ones are. */
  pop(): Kept | undefined {
    return this.#items.length > this.#head ? this.#items.pop() : undefined;
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

  /** In order. */
  all(): Kept[] {
    const waiting = this.#items.slice(this.#head) as Kept[];
    if (this.#returned.length === 0) return waiting;
    return [...this.#returned, ...waiting].sort((a, b) => a.id - b.id);
  }

  /** Takes one out of the middle; linear. */
  remove(kept: Kept): boolean {
    const rest = this.all();
    const at = rest.indexOf(kept);
    if (at < 0) return false;
    rest.splice(at, 1);
    this.#items = rest;
    this.#head = 0;
    this.#returned.length = 0;
    return true;
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
