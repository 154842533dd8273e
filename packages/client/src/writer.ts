// What the session wrote -> the channel.
//
//   session.send(…) ─► soon() ─┬─ bytes: once, when this turn is over ─► channel.write
//                              └─ framed: at once, one frame a write (W-05)
//
// When the channel says enough, `ready()` becomes a promise that producers wait for;
// whoever does not wait only makes the channel's buffer longer.

import type { ClientSession } from '@stompbox/protocol';
import type { Channel } from '@stompbox/transport';
import type { Clock } from './clock.ts';

/** Do not wait for the end of the turn with more than this. Bytes. */
const ENOUGH = 64 * 1024;

const DONE: Promise<void> = Promise.resolve();

export class Writer {
  readonly #session: ClientSession;
  readonly #channel: Channel;
  readonly #clock: Clock;
  readonly #framed: boolean;
  #scheduled = false;
  #full = false;
  #drained: { promise: Promise<void>; resolve: () => void; reject: (error: Error) => void } | undefined;

  constructor(session: ClientSession, channel: Channel, clock: Clock) {
    this.#session = session;
    this.#channel = channel;
    this.#clock = clock;
    this.#framed = channel.framed;
  }

  /** Call after the session wrote one frame. */
  soon(): void {
    if (this.#framed || this.#session.pending >= ENOUGH) {
      this.flush();
    } else if (!this.#scheduled) {
      this.#scheduled = true;
      queueMicrotask(this.flush);
    }
  }

  readonly flush = (): void => {
    this.#scheduled = false;
    if (this.#session.pending === 0) return;
    const now = this.#clock.now();
    for (const bytes of this.#framed ? [this.#session.take(now)] : this.#session.takeAll(now)) {
      if (!this.#channel.write(bytes)) this.#full = true;
    }
  };

  /** Resolved while the channel takes more; otherwise resolves when it does again, and rejects with the end of the connection. */
  ready(): Promise<void> {
    if (!this.#full) return DONE;
    this.#drained ??= deferred();
    return this.#drained.promise;
  }

  drained(): void {
    this.#full = false;
    this.#drained?.resolve();
    this.#drained = undefined;
  }

  fail(error: Error): void {
    this.#full = false;
    this.#drained?.reject(error);
    this.#drained = undefined;
  }
}

function deferred(): { promise: Promise<void>; resolve: () => void; reject: (error: Error) => void } {
  let resolve = (): void => {};
  let reject = (_: Error): void => {};
  const promise = new Promise<void>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  promise.catch(() => {}); // fire and forget: who awaits it hears of the failure, who does not has said not to care
  return { promise, resolve, reject };
}
