// Leaving in order: handlers finish, what was asked for is answered, DISCONNECT, the end.
//
//   nothing new is heard ─► handlers are idle ─► last words: nothing new is said ─► receipts are in ─► DISCONNECT
//
// Each step is looked at again whenever `recheck` is called; the end of the connection, from
// whichever side, ends them all.

import type { Clock } from '../clock.ts';
import type { Subscription } from './subscription.ts';

/** What a goodbye needs of the connection that is left. */
export interface Leaving {
  readonly clock: Clock;
  /** The connection has ended, in this way or another. */
  isOver(): boolean;
  /** Ends every subscription and answers them; messages that come from now on are dropped. */
  stopListening(): Iterable<Subscription>;
  /** No body is being sent and no RECEIPT is outstanding. */
  isQuiet(): boolean;
  /** Says DISCONNECT, waits for its RECEIPT and closes. Rejects where the connection ended otherwise. */
  part(): Promise<void>;
  /** Ends it now. */
  destroy(): void;
  readonly closed: Promise<unknown>;
}

export class Goodbye {
  readonly #from: Leaving;
  readonly #draining = new Set<Subscription>(); // ended, and a handler may still be at work
  #recheck: (() => void) | undefined;
  #said: Promise<void> | undefined;
  #hasBegun = false;
  #lastWords = false;

  constructor(from: Leaving) {
    this.#from = from;
  }

  /** Messages that come now are dropped. */
  get hasBegun(): boolean {
    return this.#hasBegun;
  }
  /** Handlers are through: only what ends something already begun still goes out. */
  get lastWords(): boolean {
    return this.#lastWords;
  }

  /** Its handler is waited for. */
  waitFor(ended: Subscription): void {
    this.#draining.add(ended);
  }

  /** Something that a goodbye may wait for has happened. */
  recheck(): void {
    this.#recheck?.();
  }

  /** The promise is the same however often it is called. `timeoutMs` 0 is for ever. */
  say(timeoutMs: number): Promise<void> {
    this.#said ??= this.#leave(timeoutMs);
    return this.#said;
  }

  async #leave(timeoutMs: number): Promise<void> {
    const from = this.#from;
    if (from.isOver()) {
      await from.closed;
      return;
    }
    const stop = timeoutMs > 0 ? from.clock.schedule(timeoutMs, () => from.destroy()) : undefined;
    this.#hasBegun = true;
    for (const subscription of from.stopListening()) this.#draining.add(subscription);
    if (!this.#handlersAreIdle()) await this.#until(() => this.#handlersAreIdle());
    this.#lastWords = true;
    await this.#until(() => from.isQuiet());
    if (!from.isOver()) {
      try {
        await from.part();
      } catch {
        // It ended instead, and the connection knows how.
      }
    }
    await from.closed;
    stop?.();
  }

  #handlersAreIdle(): boolean {
    for (const subscription of this.#draining) if (subscription.isIdle) this.#draining.delete(subscription);
    return this.#draining.size === 0;
  }

  async #until(isSo: () => boolean): Promise<void> {
    while (!this.#from.isOver() && !isSo()) {
      await new Promise<void>((resolve) => {
        this.#recheck = resolve;
      });
    }
    this.#recheck = undefined;
  }
}
