// What waits in a queue, in delivery order: by priority, then by id. The front is in
// memory; behind `#cursor` there may be any number of messages that are only in the
// store, and come back page by page.
//
//   in memory, up to `windowBytes`          │ in the store only: `#away` of them
//   9: a b c   4: d e f g … ────────────────┤ h i j k …
//                                        #cursor
//
// While something is away, nothing in memory stands behind the cursor. Reading the
// store shows too much and too little: `#absent` names what it may show that does not
// wait here (it is with a consumer, or settled and on its way out of the store), and
// `#late` holds what is away but not yet, or not yet exactly so, in the store.

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
const TRIMMED_EVERY = 256;

export class Backlog {
  readonly #pages: Pages | undefined;
  readonly #lanes: (Lane | undefined)[] = new Array<Lane | undefined>(PRIORITIES).fill(undefined);
  #highest = -1; // no lane above it has anything
  #here = 0;
  #hereBytes = 0;
  #away = 0;
  #cursor: Place | undefined; // undefined: before everything
  readonly #absent = new Set<number>();
  readonly #late = new Map<number, Kept>();
  #untrimmed = 0;

  /** Without pages everything is in memory. */
  constructor(pages?: Pages) {
    this.#pages = pages;
  }

  get length(): number {
    return this.#here + this.#away;
  }
  /** How many are only in the store. */
  get away(): number {
    return this.#away;
  }
  /** Messages and bytes that are held in memory. */
  get held(): { readonly messages: number; readonly bytes: number } {
    let bytes = this.#hereBytes;
    for (const kept of this.#late.values()) bytes += kept.bytes;
    return { messages: this.#here + this.#late.size, bytes };
  }
  get isPaged(): boolean {
    return this.#pages !== undefined;
  }
  /** The store has nothing of it that does not wait here. */
  get isSettled(): boolean {
    return this.#absent.size === 0;
  }

  /** Takes over `messages` that the store has from before. */
  recover(messages: number): void {
    this.#away += messages;
    this.#cursor = undefined;
  }

  push(kept: Kept): void {
    if (this.#away > 0 && this.#isBehindCursor(placeOf(kept))) this.#sendAway(kept);
    else {
      this.#put(kept, false);
      this.#keepToWindow();
    }
  }

  /** It was taken, and is back at its place. */
  giveBack(kept: Kept): void {
    this.#absent.delete(kept.id);
    if (this.#away > 0 && this.#isBehindCursor(placeOf(kept))) this.#sendAway(kept);
    else {
      this.#put(kept, true);
      this.#keepToWindow();
    }
  }

  /** It was handed on without ever having waited here. */
  passed(kept: Kept): void {
    if (this.#pages !== undefined) this.#absent.add(kept.id);
  }

  /** One that was taken is in the store no longer. */
  left(id: number): void {
    this.#absent.delete(id);
  }

  shift(): Kept | undefined {
    for (;;) {
      for (; this.#highest >= 0; this.#highest--) {
        const kept = this.#lanes[this.#highest]?.shift();
        if (kept !== undefined) {
          this.#took(kept);
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
    for (let priority = PRIORITIES - 1; priority >= 0; priority--) yield* this.#lanes[priority]?.after() ?? [];
  }

  /** What waits behind `after`, wherever it is, in delivery order; reading changes nothing. None: there is no more. */
  peek(after: Place | undefined, most: Portion): Kept[] {
    const found: Kept[] = [];
    let bytes = 0;
    for (let priority = after?.priority ?? PRIORITIES - 1; priority >= 0; priority--) {
      const from = priority === after?.priority ? after.id : 0;
      for (const kept of this.#lanes[priority]?.after(from) ?? []) {
        found.push(kept);
        bytes += kept.bytes;
        if (found.length >= most.messages || bytes >= most.bytes) return found;
      }
    }
    if (this.#away === 0 || found.length > 0) return found;
    let from = after !== undefined && this.#isBehindCursor(after) ? after : this.#cursor;
    for (;;) {
      const page = this.#read(from, most);
      if (page === undefined || page.waiting.length > 0) return page?.waiting ?? [];
      from = page.end;
    }
  }

  /** Takes one out. True if it was here. */
  remove(kept: Kept): boolean {
    if (this.#late.delete(kept.id)) {
      this.#away--;
      this.passed(kept);
      return true;
    }
    if (this.#lanes[kept.attributes.priority]?.remove(kept) !== true) return false;
    this.#took(kept);
    return true;
  }

  /** Takes out one that is only in the store. Answers false where that place is in memory, if anywhere. */
  forget(place: Place): boolean {
    if (this.#away === 0 || !this.#isBehindCursor(place) || this.#absent.has(place.id)) return false;
    this.#late.delete(place.id);
    this.#absent.add(place.id);
    this.#away--;
    return true;
  }

  clear(): void {
    this.#lanes.fill(undefined);
    this.#highest = -1;
    this.#here = this.#hereBytes = this.#away = 0;
    this.#late.clear();
    this.#absent.clear();
  }

  #took(kept: Kept): void {
    this.#here--;
    this.#hereBytes -= kept.bytes;
    if (this.#pages !== undefined) this.#absent.add(kept.id);
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

  #keepToWindow(): void {
    const pages = this.#pages;
    if (pages !== undefined) while (this.#hereBytes > pages.windowBytes && this.#here > 1) if (!this.#evict()) break;
  }

  // The last in delivery order goes back to being in the store only.
  #evict(): boolean {
    for (let priority = 0; priority <= this.#highest; priority++) {
      const lane = this.#lanes[priority];
      const kept = lane?.pop();
      if (lane === undefined || kept === undefined) continue;
      if (kept.stored === 'no') {
        lane.push(kept);
        return false;
      }
      this.#here--;
      this.#hereBytes -= kept.bytes;
      this.#cursor = { priority, id: kept.id - 1 };
      this.#sendAway(kept);
      return true;
    }
    return false;
  }

  #sendAway(kept: Kept): void {
    this.#away++;
    if (!kept.isInStore) this.#late.set(kept.id, kept);
    if (++this.#untrimmed < TRIMMED_EVERY) return;
    // They reach the store about in the order in which they went away.
    this.#untrimmed = 0;
    for (const [id, { isInStore }] of this.#late) {
      if (!isInStore) break;
      this.#late.delete(id);
    }
  }

  #isBehindCursor(place: Place): boolean {
    return this.#cursor === undefined || isBefore(this.#cursor, place);
  }

  // Brings the next ones into memory. False where there is nothing to bring.
  #turnPage(): boolean {
    const most = { messages: PAGE_MESSAGES, bytes: this.#pages?.windowBytes ?? 0 };
    for (;;) {
      const page = this.#read(this.#cursor, most);
      if (page === undefined) {
        this.#away = 0; // the store has less than was counted: nothing to wait for
        return false;
      }
      this.#cursor = page.end;
      if (page.waiting.length === 0) continue;
      this.#away = Math.max(0, this.#away - page.waiting.length);
      for (const kept of page.waiting) {
        this.#late.delete(kept.id);
        this.#put(kept, false);
      }
      return true;
    }
  }

  // What is away behind `after`, and the place to read on from. Undefined: nothing more.
  #read(after: Place | undefined, most: Portion): { waiting: Kept[]; end: Place } | undefined {
    const page = this.#pages?.read(after, most) ?? [];
    const last = page.at(-1);
    const waiting = page.filter(({ id }) => !this.#absent.has(id)).map((kept) => this.#late.get(kept.id) ?? kept);
    if (this.#late.size > 0) {
      const known = new Set(page.map(({ id }) => id));
      const shown = waiting.length;
      for (const kept of this.#late.values()) {
        const place = placeOf(kept);
        if (known.has(kept.id) || (after !== undefined && !isBefore(after, place))) continue;
        if (last === undefined || isBefore(place, placeOf(last))) waiting.push(kept);
      }
      if (waiting.length > shown) waiting.sort((a, b) => (isBefore(placeOf(a), placeOf(b)) ? -1 : 1));
    }
    const end = last ?? waiting.at(-1);
    return end && { waiting, end: placeOf(end) };
  }
}

function placeOf({ id, attributes }: Kept): Place {
  return { priority: attributes.priority, id };
}

function isBefore(a: Place, b: Place): boolean {
  return a.priority > b.priority || (a.priority === b.priority && a.id < b.id);
}
