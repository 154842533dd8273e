// A SEND whose body comes from a source, piece by piece. Until its end no other frame may
// go out on the connection; they wait in the backlog, in order.
//
//   source ─piece─► wire.piece ─► wire.ready ─┐
//      ▲                                      │   one piece is asked for when the last one was taken
//      └──────────────────────────────────────┘
//   other verbs ─► [ backlog ] ─► said when the last piece is out
//
// Source, channel and signal are waited for; each of the other two may end such a wait.

import type { Frame } from '@stompbox/protocol';
import { ConnectionLost, type Outcome } from '../errors.ts';
import { onAbort } from '../signal.ts';
import { pieces, type Source } from './body.ts';

/** What a streamed body needs of the connection it is sent on. */
export interface Wire {
  /** Opens the frame. Throws UsageError where it may not be sent now. */
  head(head: Frame<'SEND'>, contentLength: number | undefined): void;
  piece(bytes: Uint8Array, last: boolean): void;
  /** Resolves when the channel takes more. */
  ready(): Promise<void>;
  /** The frame is left half-written, so the connection cannot live on. */
  breakOff(error: ConnectionLost): void;
  /** The error for one whose frame was or was not begun when the connection ended; undefined while it lives. */
  lost(outcome: Outcome): ConnectionLost | undefined;
  /** The backlog is through. */
  idle(): void;
}

export interface StreamedSendOptions {
  readonly signal?: AbortSignal | undefined;
  readonly contentLength?: number | undefined;
}

/** Something to be said when the streamed body before it is through. */
interface Waiting {
  readonly say: () => void;
  readonly fail: (error: Error) => void;
}

const NOTHING = new Uint8Array(0);

export class StreamedSends {
  readonly #wire: Wire;
  readonly #backlog: Waiting[] = [];
  readonly #interrupts = new Set<(error: Error) => void>();
  #underWay = false;

  constructor(wire: Wire) {
    this.#wire = wire;
  }

  /** A body is being sent: nothing else may be; see `behind`. */
  get underWay(): boolean {
    return this.#underWay;
  }

  /** Sends; `answer` is asked when all is written, before anything else is said. Not while another one is under way. */
  async send(
    head: Frame<'SEND'>,
    source: Source,
    { signal, contentLength }: StreamedSendOptions,
    answer: () => Promise<void>,
  ): Promise<void> {
    const wire = this.#wire;
    this.#underWay = true;
    const from = pieces(source);
    let begun = false;
    try {
      for (;;) {
        const { done = false, value = NOTHING } = await this.#unlessOver(from.next(), signal);
        if (!begun) {
          wire.head(head, contentLength);
          begun = true;
        }
        wire.piece(value, done);
        if (done) break;
        await this.#unlessOver(wire.ready(), signal);
      }
    } catch (error) {
      from.return().catch(() => {}); // the source is told; what it says to that helps nobody
      if (begun) wire.breakOff(brokenOff(head, error));
      const lost = wire.lost(begun ? 'unknown' : 'unsent');
      if (lost !== undefined) throw lost;
      this.#through();
      throw error;
    }
    const answered = answer();
    this.#through();
    return answered;
  }

  /** Says it when the body that is under way, and what waits already, is through. */
  behind(signal: AbortSignal | undefined, say: () => Promise<void>): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      let dropped = false;
      const stopSignal = onAbort(signal, (reason) => {
        dropped = true;
        reject(reason);
      });
      this.#backlog.push({
        say: () => {
          stopSignal?.();
          if (dropped) return;
          try {
            say().then(resolve, reject);
          } catch (error) {
            reject(error);
          }
        },
        fail: (error) => {
          stopSignal?.();
          reject(error);
        },
      });
    });
  }

  /** The connection is over: `unsent` makes the error of each that waited, `interrupted` ends the body under way. */
  fail(unsent: () => Error, interrupted: Error): void {
    for (const waiting of this.#backlog.splice(0)) waiting.fail(unsent());
    for (const interrupt of this.#interrupts) interrupt(interrupted);
  }

  #through(): void {
    this.#underWay = false;
    while (!this.#underWay) {
      const next = this.#backlog.shift();
      if (next === undefined) break;
      next.say();
    }
    this.#wire.idle();
  }

  // The promise, unless the connection or the signal ends first.
  #unlessOver<Result>(promise: Promise<Result>, signal: AbortSignal | undefined): Promise<Result> {
    return new Promise<Result>((resolve, reject) => {
      const stop = (): void => {
        this.#interrupts.delete(interrupt);
        stopSignal?.();
      };
      const interrupt = (error: unknown): void => {
        stop();
        reject(error);
      };
      this.#interrupts.add(interrupt);
      const stopSignal = onAbort(signal, interrupt);
      promise.then((result) => {
        stop();
        resolve(result);
      }, interrupt);
    });
  }
}

function brokenOff(head: Frame<'SEND'>, cause: unknown): ConnectionLost {
  const why = cause instanceof Error ? cause.message : String(cause);
  const destination = head.headers.get('destination') ?? '';
  return new ConnectionLost('closed', `the body of a SEND to ${destination} broke off midway: ${why}`, { cause });
}
