// What the application hung on a connection: `observer` and `onError`. User code runs here
// and may throw; what it throws is always heard of, and never by the connection.

import type { Message } from './message.ts';
import type { Observer } from './observer.ts';
import type { OnError } from './options.ts';

export class Hooks {
  readonly #observer: Observer | undefined;
  readonly #onError: OnError | undefined;
  /** Somebody watches. */
  readonly observed: boolean;
  /** Somebody watches the frames that go out. */
  readonly seesSent: boolean;

  constructor({
    observer,
    onError,
  }: { readonly observer?: Observer | undefined; readonly onError?: OnError | undefined }) {
    this.#observer = observer;
    this.#onError = onError;
    this.observed = observer !== undefined;
    this.seesSent = observer?.frameSent !== undefined;
  }

  observe(tell: (observer: Observer) => void): void {
    if (this.#observer === undefined) return;
    try {
      tell(this.#observer);
    } catch (error) {
      this.failed(error);
    }
  }

  /** User code threw. Without `onError` it becomes an unhandled rejection. */
  failed(error: unknown, message?: Message): void {
    if (this.#onError === undefined) void Promise.reject(error);
    else {
      try {
        this.#onError(error, message);
      } catch (worse) {
        void Promise.reject(worse);
      }
    }
  }
}
