// Messages of one priority that are in memory: first in, first out, in amortised
// constant time; what comes back goes to the place its id gives it.

import type { Kept } from './delivery.ts';

const PUT_ONE_BY_ONE = 16;

export class Lane {
  #items: (Kept | undefined)[] = []; // ids ascend
  #head = 0;
  readonly #returned: Kept[] = []; // a binary heap by id, however much came back and however much waits
  #lastReturned = 0; // no id in there is higher

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
    this.#tidy();
    return kept;
  }

  /** The one with the highest id. */
  pop(): Kept | undefined {
    if (this.#returned.length > 0 && this.#lastReturned > (this.#items.at(-1)?.id ?? 0)) this.#merge();
    if (this.#items.length === this.#head) return undefined;
    const kept = this.#items.pop();
    this.#tidy();
    return kept;
  }

  /** Puts a message back where it was: by its id, before all that came later. */
  giveBack(kept: Kept): void {
    const heap = this.#returned;
    if (heap.length === 0 || kept.id > this.#lastReturned) this.#lastReturned = kept.id;
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

  /** In order, those with a higher id than `id`. Nothing may be added or removed between two of them. */
  *after(id = 0): Iterable<Kept> {
    this.#merge();
    for (let at = id === 0 ? this.#head : this.#find(id + 1); at < this.#items.length; at++)
      yield this.#items[at] as Kept;
  }

  /** Takes one out of the middle. Costs as many moves as there are before or behind it, whichever are fewer. */
  remove(kept: Kept): boolean {
    let at = this.#find(kept.id);
    if (this.#items[at] !== kept) {
      if (!this.#returned.includes(kept)) return false;
      this.#merge();
      at = this.#find(kept.id);
    }
    if (at - this.#head < this.#items.length - at) {
      this.#items.copyWithin(this.#head + 1, this.#head, at);
      this.#items[this.#head++] = undefined;
    } else this.#items.splice(at, 1);
    this.#tidy();
    return true;
  }

  /** Where the first one stands whose id is `id` or higher. */
  #find(id: number): number {
    let low = this.#head;
    let high = this.#items.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#items[middle] as Kept).id < id) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #tidy(): void {
    if (this.#head === this.#items.length) {
      this.#items = [];
      this.#head = 0;
    } else if (this.#head > 4096 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
  }

  #merge(): void {
    if (this.#returned.length <= PUT_ONE_BY_ONE) {
      for (const kept of this.#returned.splice(0)) this.#putBack(kept);
      return;
    }
    const waiting = this.#items.slice(this.#head) as Kept[];
    this.#items = [...this.#returned, ...waiting].sort((a, b) => a.id - b.id);
    this.#head = 0;
    this.#returned.length = 0;
  }

  #putBack(kept: Kept): void {
    const at = this.#find(kept.id);
    if (at === this.#head && at > 0) this.#items[--this.#head] = kept;
    else this.#items.splice(at, 0, kept);
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
