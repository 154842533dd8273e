// The ids that producers gave their messages, for a while: a second message with the
// same id to the same place is dropped, and confirmed when the first one is kept.

import type { Fact } from './journal.ts';

export interface DuplicateWindow {
  /** Milliseconds that an id is remembered. */
  readonly duplicateWindowMs: number;
  /** Ids that are remembered at the most; the oldest go first. */
  readonly maxDuplicateIds: number;
}

const FACT = 'duplicate/';

export class Duplicates {
  static readonly facts: string = FACT;
  readonly #window: DuplicateWindow;
  readonly #seen = new Map<string, number>(); // in the order of their times
  readonly #telling = new Map<string, Promise<void>>(); // those that the store does not have yet
  #firstOnes: Promise<void>[] = []; // whose duplicates are in the work at hand

  constructor(window: DuplicateWindow) {
    this.#window = window;
  }

  get size(): number {
    return this.#seen.size;
  }

  /** The key to remember, or undefined: it was here before. `now` is in milliseconds since 1970. */
  check(destination: string, id: string, now: number): string | undefined {
    const key = `${FACT}${destination.length}/${destination}/${id}`;
    const at = this.#seen.get(key);
    if (at === undefined || now - at >= this.#window.duplicateWindowMs) return key;
    const telling = this.#telling.get(key);
    if (telling !== undefined) this.#firstOnes.push(telling);
    return undefined;
  }

  remember(key: string, now: number): void {
    this.#seen.delete(key);
    this.#seen.set(key, now);
  }

  /** The store is being told; what it does not keep may be sent again. */
  telling(facts: readonly Fact[], outcome: Promise<void>): void {
    for (const { key, value } of facts) {
      if (!key.startsWith(FACT)) continue;
      if (value !== undefined) this.#telling.set(key, outcome);
      const over = () => value !== undefined && this.#telling.delete(key);
      outcome.then(over, () => {
        over();
        this.#seen.delete(key);
      });
    }
  }

  /** A duplicate is confirmed when the first one is kept, and fails when it is not. */
  withFirstOnes(told: Promise<void>): Promise<void> {
    if (this.#firstOnes.length === 0) return told;
    const all = Promise.all([told, ...this.#firstOnes]).then(() => {});
    this.#firstOnes = [];
    return all;
  }

  /** The keys whose time is over, or for which there is no room; they are forgotten. */
  expire(now: number): string[] {
    const over: string[] = [];
    for (const [key, at] of this.#seen) {
      const late = now - at >= this.#window.duplicateWindowMs;
      if (!late && this.#seen.size - over.length <= this.#window.maxDuplicateIds) break;
      over.push(key);
    }
    for (const key of over) this.#seen.delete(key);
    return over;
  }
}
