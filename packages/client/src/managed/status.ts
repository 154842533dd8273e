// What happens to a client, told to whoever iterates `client.status()`.
//
// Each reader has a list of its own, so a slow one costs the others nothing. A list is
// bounded: the oldest go, and `missed` says how many.

import type { Version } from '@stompbox/protocol';
import type { SubscriptionRefused } from '../errors.ts';

/** `idle` until the first verb; `waiting` between two attempts; `closed` is final. */
export type ClientState = 'idle' | 'connecting' | 'connected' | 'waiting' | 'closing' | 'closed';

/** Endpoints are URLs without their secrets; times are milliseconds. */
export type Status =
  | { readonly type: 'connecting'; readonly endpoint: string; readonly attempt: number }
  /** Subscriptions are restored and the outbox is being emptied. `again`: there was a connection before. */
  | {
      readonly type: 'connected';
      readonly endpoint: string;
      readonly server: string | undefined;
      readonly version: Version;
      readonly again: boolean;
    }
  | {
      readonly type: 'attempt-failed';
      readonly endpoint: string;
      readonly attempt: number;
      readonly error: unknown;
      readonly nextInMs: number | undefined;
    }
  | { readonly type: 'disconnected'; readonly endpoint: string; readonly error: Error | undefined }
  | { readonly type: 'subscription-refused'; readonly destination: string; readonly error: SubscriptionRefused }
  /** After a reconnect; what was published meanwhile to a topic is not seen. */
  | { readonly type: 'subscription-restored'; readonly destination: string }
  /** Reading has stopped: so much waits for its readers. */
  | { readonly type: 'slow-consumer'; readonly frames: number; readonly bytes: number }
  | { readonly type: 'flowing' }
  /** An ack or nack came after its connection had gone; the broker delivers the message again. */
  | { readonly type: 'stale-settle'; readonly destination: string; readonly messageId: string }
  /** A send was given up before it was written. */
  | { readonly type: 'dropped'; readonly destination: string; readonly why: string }
  /** A send whose outcome was unknown was written once more. */
  | { readonly type: 'resent'; readonly destination: string; readonly attempt: number }
  /** The machine slept, or the process stood still. */
  | { readonly type: 'woke'; readonly afterMs: number }
  /** So many did not fit the list of a reader that is slow. */
  | { readonly type: 'missed'; readonly count: number }
  | { readonly type: 'closed'; readonly error: Error | undefined };

const MAX_WAITING = 256;

interface Reader {
  readonly waiting: Status[];
  missed: number;
  wake: (() => void) | undefined;
}

export class StatusFeed {
  readonly #readers = new Set<Reader>();
  #last: Status | undefined;
  #ended = false;

  tell(status: Status): void {
    if (this.#ended) return;
    if (status.type === 'connecting' || status.type === 'connected' || status.type === 'disconnected') {
      this.#last = status;
    }
    this.#ended = status.type === 'closed';
    if (this.#ended) this.#last = status;
    for (const reader of this.#readers) {
      reader.waiting.push(status);
      if (reader.waiting.length > MAX_WAITING) {
        reader.waiting.shift();
        reader.missed++;
      }
      reader.wake?.();
    }
  }

  /** From how it stands now until `closed`. Leaving the loop is enough to stop. */
  read(): AsyncIterableIterator<Status, undefined> {
    const reader: Reader = { waiting: this.#last === undefined ? [] : [this.#last], missed: 0, wake: undefined };
    if (!this.#ended) this.#readers.add(reader);
    let over = false;
    const stop = (): Promise<IteratorReturnResult<undefined>> => {
      over = true;
      this.#readers.delete(reader);
      reader.wake?.();
      return Promise.resolve({ done: true, value: undefined });
    };
    return {
      next: async () => {
        while (!over) {
          if (reader.missed > 0) {
            const count = reader.missed;
            reader.missed = 0;
            return { done: false, value: { type: 'missed', count } };
          }
          const value = reader.waiting.shift();
          if (value !== undefined) {
            if (value.type === 'closed') this.#readers.delete(reader);
            return { done: false, value };
          }
          if (!this.#readers.has(reader)) break;
          await new Promise<void>((resolve) => {
            reader.wake = resolve;
          });
        }
        return { done: true, value: undefined };
      },
      return: stop,
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }
}
