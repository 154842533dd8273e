// Queues that have more to look through than one slice of a turn allows take turns: one slice of one queue, then the
// loop goes round, so that nobody waits long for anybody's search.

export interface Walker {
  /** One slice; whoever is not at the end then asks for another turn. */
  walk(): void;
}

/** Calls `run` after `ms`; the answer cancels. */
type Schedule = (ms: number, run: () => void) => () => void;

export class Rounds {
  readonly #schedule: Schedule;
  readonly #waiting = new Set<Walker>();
  #cancel: (() => void) | undefined;
  #closed = false;

  constructor(schedule: Schedule) {
    this.#schedule = schedule;
  }

  add(walker: Walker): void {
    this.#waiting.add(walker);
    this.#arm();
  }

  close(): void {
    this.#closed = true;
    this.#cancel?.();
  }

  #arm(): void {
    if (this.#closed || this.#waiting.size === 0) return;
    this.#cancel ??= this.#schedule(0, () => {
      this.#cancel = undefined;
      this.#walk();
    });
  }

  #walk(): void {
    for (const walker of this.#waiting) {
      this.#waiting.delete(walker);
      this.#arm();
      walker.walk();
      break;
    }
  }
}
