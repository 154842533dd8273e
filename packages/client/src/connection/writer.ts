// What the session wrote -> the channel.
//
//   session.send(…) ─► soon() ─┬─ bytes: when this turn is over ─► channel.write
//                              └─ framed: at once, one frame a write (W-05)
//
// Who awaits one send before the next says each in a microtask of its own, and yet they go out together: a write is a system
// call, which costs more than all else about a frame. Only the first goes by itself where its sender asks whether the channel
// takes more. None waits longer than for the microtasks there are.
//
// When the channel says enough, `ready()` becomes a promise that producers wait for;
// whoever does not wait only makes the channel's buffer longer.

import type { ClientSession } from '@stompbox/protocol';
import type { Channel } from '@stompbox/transport';
import type { Clock } from '../clock.ts';
import { Scratch } from './scratch.ts';

/** Do not wait for more with more than this; what an encoder has room for, less the frame that made it enough. Bytes. */
const ENOUGH = 48 * 1024;

/** Microtasks without a word before it counts as silence: promises around a send may well be nested as deep. */
const SILENCE = 8;

/** What `ready()` answers while the channel takes more: the frame is on its way, and there is nothing to wait for. */
export const TAKEN: Promise<void> = Promise.resolve();

export class Writer {
  readonly #session: ClientSession;
  readonly #channel: Channel;
  readonly #clock: Clock;
  readonly #framed: boolean;
  readonly #lends: boolean;
  readonly #scratch = new Scratch();
  #listening = false;
  #isFirst = false;
  #said = 0; // bytes that waited a microtask ago
  #silence = 0; // microtasks
  #full = false;
  #drained: { promise: Promise<void>; resolve: () => void; reject: (error: Error) => void } | undefined;

  constructor(session: ClientSession, channel: Channel, clock: Clock) {
    this.#session = session;
    this.#channel = channel;
    this.#clock = clock;
    this.#framed = channel.framed;
    this.#lends = channel.settled !== undefined;
  }

  /** A body of a frame that nobody keeps and that is said at once; undefined where that gains nothing. */
  encoded(text: string): Uint8Array | undefined {
    return this.#lends ? this.#scratch.encode(text) : undefined;
  }

  /** Call after the session wrote one frame. `alone`: somebody may ask `ready()` before he says more. */
  soon(alone: boolean): void {
    if (this.#framed || this.#session.pending >= ENOUGH) {
      this.flush();
    } else if (!this.#listening) {
      this.#listening = true;
      this.#isFirst = alone;
      this.#said = this.#silence = 0;
      queueMicrotask(this.#listen);
    }
  }

  readonly #listen = (): void => {
    if (this.#isFirst) {
      this.#isFirst = false;
      this.flush();
    }
    const { pending } = this.#session;
    if (pending === this.#said) this.#silence++;
    else this.#silence = 0;
    this.#said = pending;
    if (this.#silence < SILENCE) {
      queueMicrotask(this.#listen);
      return;
    }
    this.#listening = false;
    this.flush();
  };

  flush(): void {
    if (this.#session.pending === 0) return;
    const now = this.#clock.now();
    if (!this.#lends && this.#framed) {
      if (!this.#channel.write(this.#session.take(now))) this.#full = true;
      return;
    }
    for (const bytes of this.#lends ? this.#session.lendAll(now) : this.#session.takeAll(now)) {
      if (!this.#channel.write(bytes)) this.#full = true;
    }
    if (!this.#channel.settled) return;
    this.#session.reuse();
    this.#scratch.free();
  }

  /** Resolved while the channel takes more; otherwise resolves when it does again, and rejects with the end of the connection. */
  ready(): Promise<void> {
    if (!this.#full) return TAKEN;
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
