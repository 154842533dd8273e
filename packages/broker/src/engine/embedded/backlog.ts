// What waits in a queue, in delivery order: by priority, then by id. The front is in
// memory; behind `#cursor` there may be any number of messages that are only in the
// store, and come back page by page.
//
//   in memory, up to `windowBytes`          │ in the store only: `#away` of them
//   9: a b c   4: d e f g … ────────────────┤ h i j k …          (`#unwritten`: not there yet)
//                                        #cursor

import type { Portion } from '../../store/store.ts';
import type { Kept } from './delivery.ts';
import { Lane } from './lane.ts';

/** The store, as one queue's backlog sees it. */
export interface Pages {
  /** In delivery order, behind `after`, or from the beginning. */
  read(after: Place | undefined, most: Portion): Kept[];
  readonly windowBytes: number;
}

/** Where a message stands. */
export interface Place {
  readonly priority: number;
  readonly id: number;
}

const PRIORITIES = 10;
const PAGE_MESSAGES = 512;

export class Backlog {
  readonly #pages: Pages | undefined;
  readonly #lanes: (Lane | undefined)[] = new Array<Lane | undefined>(PRIORITIES).fill(undefined);
  #highest = -1; // no lane above it has anything
  #here = 0;
  #hereBytes = 0;
  #away = 0;
  #cursor: Place | undefined; // nothing in memory is behind it, while something is away
  #unwritten: Kept[] = [];

  /** Without pages everything is in memory. */
  constructor(pages?: Pages) {
    this.#pages = pages;
  }

  get length(): number {
    return this.#here + this.#away;
  }
  /** Bytes of those that are in memory. */
  get bytes(): number {
    return this.#hereBytes;
  }

  /** Takes over `messages` that the store has from before. */
  recover(messages: number): void {
    this.#away += messages;
    this.#cursor = undefined;
  }

  push(kept: Kept): void {
    if (this.#away > 0 && this.#isBehindCursor(kept)) {
      this.#sendAway(kept);
      return;
    }
    this.#put(kept, false);
    const window = this.#pages?.windowBytes ?? Number.POSITIVE_INFINITY;
    while (this.#hereBytes > window && this.#here > 1) if (!this.#evict()) break;
  }

  giveBack(kept: Kept): void {
    this.#put(kept, true);
  }

  shift(): Kept | undefined {
    for (;;) {
      for (; this.#highest >= 0; this.#highest--) {
        const kept = this.#lanes[this.#highest]?.shift();
        if (kept !== undefined) {
          this.#here--;
          this.#hereBytes -= kept.bytes;
          return kept;
        }
      }
      if (this.#away === 0 || !this.#turnPage()) return undefined;
    }
  }

  /** The first in delivery order that `wanted` takes, out of those in memory. Linear in what it looks at. */
  take(wanted: (kept: Kept) => boolean): Kept | undefined {
    if (this.#here === 0 && this.#away > 0) this.#turnPage();
    for (const kept of this.inMemory()) {
      if (!wanted(kept)) continue;
      this.remove(kept);
      return kept;
    }
    return undefined;
  }

  /** In delivery order. */
  *inMemory(): Iterable<Kept> {
    for (let priority = PRIORITIES - 1; priority >= 0; priority--) yield* this.#lanes[priority]?.all() ?? [];
  }

  /** True if it was here. */
  remove(kept: Kept): boolean {
    if (this.#lanes[kept.attributes.priority]?.remove(kept) !== true) return this.#recall(kept);
    this.#here--;
    this.#hereBytes -= kept.bytes;
    return true;
  }

  /** One that is only in the store has left it. Answers false where that place is in memory, if anywhere. */
  forget(place: Place): boolean {
    if (this.#away === 0 || !this.#isBehindCursor({ attributes: place, id: place.id })) return false;
    this.#away--;
    return true;
  }

  clear(): void {
    this.#lanes.fill(undefined);
    this.#highest = -1;
    this.#here = this.#hereBytes = this.#away = 0;
    this.#unwritten = [];
  }

  #put(kept: Kept, returned: boolean): void {
    const { priority } = kept.attributes;
    let lane = this.#lanes[priority];
    if (lane === undefined) {
      lane = new Lane();
      this.#lanes[priority] = lane;
    }
    if (returned) lane.giveBack(kept);
    else lane.push(kept);
    this.#here++;
    this.#hereBytes += kept.bytes;
    if (priority > this.#highest) this.#highest = priority;
  }

  // The last in delivery order goes back to being in the store only.
  #evict(): boolean {
    for (let priority = 0; priority <= this.#highest; priority++) {
      const lane = this.#lanes[priority];
      if (lane === undefined || lane.length === 0) continue;
      const kept = lane.pop();
      if (kept === undefined || kept.stored === 'no') {
        if (kept !== undefined) lane.push(kept);
        return false;
      }
      this.#here--;
      this.#hereBytes -= kept.bytes;
      this.#sendAway(kept);
      // Whatever is away now is behind the one before it.
      this.#cursor = { priority, id: kept.id - 1 };
      return true;
    }
    return false;
  }

  #sendAway(kept: Kept): void {
    this.#away++;
    // They are written in the order of their ids: what is in the store by now is at the front.
    let written = 0;
    while (this.#unwritten[written]?.stored === 'yes') written++;
    if (written > 0 && written * 2 >= this.#unwritten.length) this.#unwritten = this.#unwritten.slice(written);
    if (kept.stored !== 'yes') this.#unwritten.push(kept);
  }

  #recall(kept: Kept): boolean {
    const at = this.#unwritten.indexOf(kept);
    if (at < 0) return false;
    this.#unwritten.splice(at, 1);
    this.#away--;
    return true;
  }

  #isBehindCursor({
    attributes,
    id,
  }: {
    readonly attributes: { readonly priority: number };
    readonly id: number;
  }): boolean {
    const cursor = this.#cursor;
    if (cursor === undefined) return true; // nothing was read yet
    return attributes.priority < cursor.priority || (attributes.priority === cursor.priority && id > cursor.id);
  }

  // Brings the next ones into memory. False where there is nothing to bring.
  #turnPage(): boolean {
    const pages = this.#pages;
    if (pages === undefined) return false;
    const page = pages.read(this.#cursor, { messages: PAGE_MESSAGES, bytes: pages.windowBytes });
    const last = page.at(-1);
    const known = new Set(page.map(({ id }) => id));
    this.#unwritten = this.#unwritten.filter(({ id, stored }) => stored !== 'yes' && !known.has(id));
    // What the store does not have yet belongs to this page if it stands before its end, or if there is no more to come.
    const full = page.length >= PAGE_MESSAGES || page.length + this.#unwritten.length < this.#away;
    const late = this.#unwritten.filter((kept) => !full || last === undefined || before(kept, last));
    this.#unwritten = this.#unwritten.filter((kept) => !late.includes(kept));
    const all = late.length === 0 ? page : [...page, ...late].sort((a, b) => (before(a, b) ? -1 : 1));
    const end = all.at(-1);
    if (end === undefined) {
      this.#away = this.#unwritten.length; // the store has less than was counted: nothing to wait for
      return false;
    }
    this.#away -= all.length;
    this.#cursor = { priority: end.attributes.priority, id: end.id };
    for (const kept of all) this.#put(kept, false);
    return true;
  }
}

function before(a: Kept, b: Kept): boolean {
  return (
    a.attributes.priority > b.attributes.priority || (a.attributes.priority === b.attributes.priority && a.id < b.id)
  );
}
