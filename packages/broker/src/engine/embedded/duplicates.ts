// The ids that producers gave their messages, for a while: a second message with the
// same id to the same place is confirmed and dropped.

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

  constructor(window: DuplicateWindow) {
    this.#window = window;
  }

  get size(): number {
    return this.#seen.size;
  }

  static keyOf(destination: string, id: string): string {
    return `${FACT}${destination.length}/${destination}/${id}`;
  }

  /** The key to remember, or undefined: it was here before. `now` is in milliseconds since 1970. */
  check(destination: string, id: string, now: number): string | undefined {
    const key = Duplicates.keyOf(destination, id);
    const at = this.#seen.get(key);
    if (at !== undefined && now - at < this.#window.duplicateWindowMs) return undefined;
    return key;
  }

  remember(key: string, now: number): void {
    this.#seen.delete(key);
    this.#seen.set(key, now);
  }

  /** It was not kept after all. */
  forget(key: string): void {
    this.#seen.delete(key);
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
