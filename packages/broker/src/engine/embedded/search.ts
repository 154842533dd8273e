// What one consumer that does not take just anything has looked at in its queue, so that it looks at nothing twice.
//
//   looked at: nothing is for it but what is noted │ not yet: the rest of the window, then the store
//   · · · ✓ · · · · · ✓ · · · · · · · · · · · · ·  │ ? ? ? ? ? ? …
//                                                #seenTo
//
// Places, no messages: what is read is let go of when its slice is over. It reads ahead
// the further the longer it finds nothing, so a find costs no more than twice what lay
// before it, however its credit comes.

import { type Backlog, isBefore, type Place, placeOf } from './backlog.ts';
import type { Kept } from './delivery.ts';

const LEAST_READ = 4;
const MOST_READ = 256;
const READ_BYTES = 262_144;
// Beyond it, the last ones are looked for again when their turn comes.
const MOST_NOTED = 1_000;

export class Search {
  #seenTo: Place | undefined; // undefined: nothing yet
  #noted: Place[] = []; // in delivery order, none behind `#seenTo`
  #isAtEnd = false;
  #page: Kept[] = []; // read and not looked at, the next one last
  #stride = LEAST_READ;
  #hidden: Place | undefined;

  /** Nothing waits that was not looked at, or that it wants. */
  get isDone(): boolean {
    return this.#isAtEnd && this.#noted.length === 0;
  }

  /** The first place where others passed something because it was for this consumer. */
  get hidden(): Place | undefined {
    return this.#hidden;
  }
  hide(place: Place): void {
    if (this.#hidden === undefined || isBefore(place, this.#hidden)) this.#hidden = place;
  }

  /** Something has come to that place. */
  came(place: Place, isWanted: () => boolean): void {
    if (this.#isAhead(place)) this.#readOn();
    else if (isWanted()) this.#note(place);
  }

  /** It was asked before it came, and declined; it had looked at everything else. */
  declined(place: Place): void {
    if (this.#isAhead(place)) this.#seenTo = place;
  }

  /** Looks again from that place on. */
  goBackTo(place: Place): void {
    if (this.#isAhead(place)) return;
    this.#seenTo = { priority: place.priority, id: place.id - 1 };
    this.#noted = this.#noted.filter((noted) => isBefore(noted, place));
    this.#readOn();
  }

  /**
   * Takes out the next message that it `wants`, out of at most so many. Undefined: there is none, or none yet; `isDone` tells.
   */
  next(backlog: Backlog, most: number, wants: (kept: Kept) => boolean): Kept | undefined {
    for (let n = 0; n < most; n++) {
      const noted = this.#noted.shift();
      const kept = noted === undefined ? this.#following(backlog) : backlog.at(noted);
      if (kept === undefined) {
        if (noted === undefined) return undefined;
        continue;
      }
      if (!wants(kept)) continue;
      const claimed = backlog.claim(kept);
      if (claimed !== undefined) {
        this.#stride = LEAST_READ;
        return claimed;
      }
      if (backlog.isStarved) {
        this.#note(placeOf(kept));
        return undefined;
      }
    }
    return undefined;
  }

  /** The slice is over: nothing that was read is kept. */
  rest(): void {
    this.#page = [];
  }

  #following(backlog: Backlog): Kept | undefined {
    if (this.#isAtEnd) return undefined;
    if (this.#page.length === 0) {
      this.#page = backlog.peek(this.#seenTo, { messages: this.#stride, bytes: READ_BYTES }).reverse();
      this.#stride = Math.min(this.#stride * 2, MOST_READ);
    }
    const kept = this.#page.pop();
    if (kept === undefined) this.#isAtEnd = true;
    else this.#seenTo = placeOf(kept);
    return kept;
  }

  #isAhead(place: Place): boolean {
    return this.#seenTo === undefined || isBefore(this.#seenTo, place);
  }

  #readOn(): void {
    this.#isAtEnd = false;
    this.#page = [];
  }

  #note(place: Place): void {
    const noted = this.#noted;
    let at = noted.length;
    while (at > 0 && isBefore(place, noted[at - 1] as Place)) at--;
    if (noted[at - 1]?.id === place.id) return;
    noted.splice(at, 0, place);
    if (noted.length > MOST_NOTED) this.goBackTo(noted.at(-1) as Place);
  }
}
