// Receipts that somebody waits for, by id and never by order. Each ends once: by
// its RECEIPT, by an ERROR that names it, by its deadline, by its signal, or with the
// connection. No timer lives here: whoever owns one calls `expire` at `deadline`.

import { TimeoutError } from '../errors.ts';
import { onAbort } from '../signal.ts';

interface Waiter {
  readonly what: string;
  readonly by: number;
  readonly ms: number;
  resolve: () => void;
  reject: (error: unknown) => void;
  stop: (() => void) | undefined;
}

export class Receipts {
  readonly #waiters = new Map<string, Waiter>();
  readonly #forgotten: (id: string) => void;
  readonly #awaited: () => void;
  #deadline = Number.POSITIVE_INFINITY;

  /** `forgotten` hears of receipts that nobody waits for any more, `awaited` of a first one that somebody does. */
  constructor(forgotten: (id: string) => void, awaited: () => void) {
    this.#forgotten = forgotten;
    this.#awaited = awaited;
  }

  get size(): number {
    return this.#waiters.size;
  }

  /** Not later than when the first one runs out; Infinity where none does. */
  get deadline(): number {
    return this.#deadline;
  }

  /** Waits for one. `ms` 0 is for ever. */
  wait(id: string, what: string, ms: number, signal: AbortSignal | undefined, now: number): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const by = ms > 0 ? now + ms : Number.POSITIVE_INFINITY;
      if (by < this.#deadline) this.#deadline = by;
      const waiter: Waiter = { what, by, ms, resolve, reject, stop: undefined };
      this.#waiters.set(id, waiter);
      if (this.#waiters.size === 1) this.#awaited();
      if (signal === undefined) return;
      waiter.stop = onAbort(signal, (reason) => {
        this.#forgotten(id);
        this.#end(id, waiter);
        reject(reason);
      });
    });
  }

  /** The RECEIPT came. False: nobody here waited for it. */
  confirm(id: string): boolean {
    const waiter = this.#waiters.get(id);
    if (waiter === undefined) return false;
    const { resolve } = waiter;
    this.#end(id, waiter);
    resolve();
    return true;
  }

  refuse(id: string, error: Error): void {
    const waiter = this.#waiters.get(id);
    if (waiter === undefined) return;
    const { reject } = waiter;
    this.#end(id, waiter);
    reject(error);
  }

  /** Ends those whose time is up. `hint` is what the error says besides. */
  expire(now: number, hint: string | undefined): void {
    let next = Number.POSITIVE_INFINITY;
    for (const [id, waiter] of this.#waiters) {
      if (waiter.by > now) {
        if (waiter.by < next) next = waiter.by;
        continue;
      }
      const { reject } = waiter;
      this.#forgotten(id);
      this.#end(id, waiter);
      reject(new TimeoutError(waiter.what, waiter.ms, { outcome: 'unknown', hint }));
    }
    this.#deadline = next;
  }

  /** The connection is gone: the outcome of all of them is unknown. */
  fail(error: Error): void {
    for (const [id, waiter] of this.#waiters) {
      const { reject } = waiter;
      this.#end(id, waiter);
      reject(error);
    }
    this.#deadline = Number.POSITIVE_INFINITY;
  }

  #end(id: string, waiter: Waiter): void {
    this.#waiters.delete(id);
    waiter.stop?.();
    // A Map that has grown keeps what was in it until the next full collection: leave it nothing that holds a promise.
    waiter.resolve = waiter.reject = nothing;
    waiter.stop = undefined;
  }
}

function nothing(): void {}
