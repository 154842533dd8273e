// What arrives by callback, taken by promise; and the deadline that every wait of these tests has.

const DEADLINE_MS = 10_000;

/** Rejects, naming what was waited for, when `promise` takes longer than ten seconds. */
export function within<T>(promise: Promise<T>, what: string, deadlineMs: number = DEADLINE_MS): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`waited ${deadlineMs} ms in vain for ${what}`)), deadlineMs);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** What it rejects with; nothing else will do. */
export function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => {
      throw new Error('it was expected to reject');
    },
    (error: unknown) => error,
  );
}

/** Items in the order they came. */
export class Inbox<T> {
  readonly #what: string;
  readonly #items: T[] = [];
  readonly #takers: ((item: T) => void)[] = [];

  /** `what` comes in, for the error of a wait in vain. */
  constructor(what: string) {
    this.#what = what;
  }

  put(item: T): void {
    const taker = this.#takers.shift();
    if (taker) taker(item);
    else this.#items.push(item);
  }

  /** The next one. */
  take(): Promise<T> {
    const item = this.#items.shift();
    if (item !== undefined) return Promise.resolve(item);
    return within(new Promise<T>((resolve) => this.#takers.push(resolve)), this.#what);
  }

  /** How many wait to be taken. */
  get length(): number {
    return this.#items.length;
  }
}
