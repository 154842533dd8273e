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
//
// What is in memory is told to `hold`. Where memory is short the front is as long as
// there is room for it, and perhaps empty: then `isStarved` says that a message waits
// for nothing but room.

import type { Portion } from '../../store/store.ts';
import type { Kept } from './delivery.ts';
import { Lane } from './lane.ts';

/** The store, as one queue's backlog sees it. */
export interface Pages {
  /** In delivery order, behind `after`, or from the beginning. */
  read(after: Place | undefined, most: Portion): Kept[];
  readonly windowBytes: number;
  /** So many bytes more are in memory, or fewer. */
  hold(bytes: number): void;
  /** Something is in memory that `shrink` can let go. */
  isOpen(): void;
  /** More is in memory than may be. */
  isOver(): boolean;
  /** Bytes that may come into memory; if they are fewer than `wanted`, after others have let go what they can. */
  spare(wanted: number): number;
  /** Nothing of the queue is in memory but what waits here: one message may come whatever there is, so that it goes on. */
  mayExceed(): boolean;
}

/** Where a message stands. */
export interface Place {
  readonly priority: number;
  readonly id: number;
}

const PRIORITIES = 10;
const PAGE_MESSAGES = 512;
const TRIMMED_EVERY = 256;
const LEAST_PAGE_BYTES = 65_536; // others let go so much for a page

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
  #lateBytes = 0;
  #untrimmed = 0;
  #isStarved = false;

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
    return { messages: this.#here + this.#late.size, bytes: this.#hereBytes + this.#lateBytes };
  }
  /** There was no room in memory for what should have come, since `feed`. */
  get isStarved(): boolean {
    return this.#isStarved;
  }
  /** Forgets that it was starved: another try. */
  feed(): void {
    this.#isStarved = false;
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

  /** `anyway`: it will not stay in memory, and so comes whether there is room or not. */
  shift(anyway = false): Kept | undefined {
    for (;;) {
      for (; this.#highest >= 0; this.#highest--) {
        const kept = this.#lanes[this.#highest]?.shift();
        if (kept !== undefined) {
          this.#took(kept);
          return kept;
        }
      }
      if (this.#away === 0 || !this.#turnPage(anyway)) return undefined;
    }
  }

  /** The one that waits at a place. */
  at({ priority, id }: Place): Kept | undefined {
    const [kept] = this.peek({ priority, id: id - 1 }, { messages: 1, bytes: 1 });
    return kept?.id === id ? kept : undefined;
  }

  /** Takes out what `peek` or `at` has shown, or what it has become since. Undefined: it is gone, or `isStarved`. */
  claim(shown: Kept): Kept | undefined {
    if (this.#claim(shown)) return shown;
    const now = this.at(placeOf(shown));
    return now !== undefined && this.#claim(now) ? now : undefined;
  }

  #claim(kept: Kept): boolean {
    const late = this.#late.get(kept.id);
    const place = placeOf(kept);
    if (late === undefined && this.#away > 0 && this.#isBehindCursor(place)) {
      if (this.#absent.has(kept.id)) return false;
      if (this.#hasRoomFor(kept)) return this.forget(place);
      this.#isStarved = true;
      return false;
    }
    return (late === undefined || late === kept) && this.remove(kept);
  }

  #hasRoomFor({ bytes }: Kept): boolean {
    const pages = this.#pages;
    return pages === undefined || pages.spare(bytes) >= bytes || pages.mayExceed();
  }

  /** Lets go of what the store has too, the last in delivery order first, until it is `bytes`. True: of everything. */
  shrink(bytes: number): boolean {
    const wanted = this.held.bytes - bytes;
    this.trim();
    while (this.held.bytes > wanted && this.#here > 0) if (!this.#evict()) break;
    this.trim();
    return this.held.messages === 0;
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
    if (this.#arrived(kept.id)) {
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
    this.#arrived(place.id);
    this.#absent.add(place.id);
    this.#away--;
    return true;
  }

  clear(): void {
    this.#lanes.fill(undefined);
    this.#highest = -1;
    this.#pages?.hold(-this.held.bytes);
    this.#here = this.#hereBytes = this.#lateBytes = this.#away = 0;
    this.#late.clear();
    this.#absent.clear();
  }

  #took(kept: Kept): void {
    this.#weigh(-1, -kept.bytes);
    if (this.#pages !== undefined) this.#absent.add(kept.id);
  }

  #weigh(messages: number, bytes: number): void {
    this.#here += messages;
    this.#hereBytes += bytes;
    this.#pages?.hold(bytes);
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
    this.#weigh(1, kept.bytes);
    if (this.#here === 1) this.#pages?.isOpen();
    if (priority > this.#highest) this.#highest = priority;
  }

  #keepToWindow(): void {
    const pages = this.#pages;
    if (pages === undefined) return;
    while ((this.#hereBytes > pages.windowBytes && this.#here > 1) || (this.#here > 0 && pages.isOver()))
      if (!this.#evict()) break;
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
      this.#weigh(-1, -kept.bytes);
      this.#cursor = { priority, id: kept.id - 1 };
      this.#sendAway(kept);
      return true;
    }
    return false;
  }

  #sendAway(kept: Kept): void {
    this.#away++;
    const pages = this.#pages;
    if (!kept.isInStore && pages !== undefined) {
      this.#late.set(kept.id, kept);
      this.#lateBytes += kept.bytes;
      pages.hold(kept.bytes);
      if (this.#late.size === 1) pages.isOpen();
    }
    if (++this.#untrimmed >= TRIMMED_EVERY || this.#lateBytes > (pages?.windowBytes ?? 0)) this.trim();
  }

  /** Lets go of what is away and was late for the store. It reaches it about in the order in which it went away. */
  trim(): void {
    this.#untrimmed = 0;
    for (const [id, { isInStore }] of this.#late) {
      if (!isInStore) break;
      this.#arrived(id);
    }
  }

  // The store has it, or it does not wait any more.
  #arrived(id: number): boolean {
    const late = this.#late.get(id);
    if (late === undefined) return false;
    this.#late.delete(id);
    this.#lateBytes -= late.bytes;
    this.#pages?.hold(-late.bytes);
    return true;
  }

  #isBehindCursor(place: Place): boolean {
    return this.#cursor === undefined || isBefore(this.#cursor, place);
  }

  // Brings the next ones into memory. False where there is nothing to bring, or no room for it.
  #turnPage(anyway: boolean): boolean {
    const { windowBytes = 0 } = this.#pages ?? {};
    const room = this.#roomForPage(windowBytes, anyway);
    if (room === 0) return false;
    for (;;) {
      const page = this.#read(this.#cursor, { messages: PAGE_MESSAGES, bytes: Math.min(windowBytes, room) });
      if (page === undefined) {
        this.#away = 0; // the store has less than was counted: nothing to wait for
        return false;
      }
      if (page.waiting.length > 0) return this.#bring(page.waiting, page.end, room, anyway);
      this.#cursor = page.end;
    }
  }

  #roomForPage(windowBytes: number, anyway: boolean): number {
    const pages = this.#pages;
    const spare = pages?.spare(Math.min(windowBytes, LEAST_PAGE_BYTES)) ?? 0;
    if (spare > 0 || anyway || pages?.mayExceed()) return Math.max(1, spare);
    this.#isStarved = true;
    return 0;
  }

  // As far as there is room; false where that is not even for the first.
  #bring(waiting: readonly Kept[], end: Place, room: number, anyway: boolean): boolean {
    let left = room;
    let last: Kept | undefined;
    for (const kept of waiting) {
      const isFirst = last === undefined;
      // What is late is in memory already.
      if (kept.bytes > left && !this.#late.has(kept.id) && !(isFirst && (anyway || this.#pages?.mayExceed()))) {
        this.#isStarved = isFirst;
        break;
      }
      last = kept;
      left -= kept.bytes;
      this.#arrived(kept.id);
      this.#put(kept, false);
      this.#away = Math.max(0, this.#away - 1);
    }
    if (last === undefined) return false;
    this.#cursor = last === waiting.at(-1) ? end : placeOf(last);
    return true;
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

export function placeOf({ id, attributes }: Kept): Place {
  return { priority: attributes.priority, id };
}

/** Whether what stands at `a` is delivered before what stands at `b`. */
export function isBefore(a: Place, b: Place): boolean {
  return a.priority > b.priority || (a.priority === b.priority && a.id < b.id);
}
