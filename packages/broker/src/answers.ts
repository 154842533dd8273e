// What a connection was promised and has not got: its answers, in the order they were
// asked for, whenever their work is over.

import type { ServerSession } from '@stompbox/protocol';
import { type Delivery, EngineError } from './engine/engine.ts';

/** What to do when work was refused, where `at` says; answers the receipt that the refused frame had asked for. */
export type Failed = (at: number | undefined) => string | undefined;

/** What answers need of their connection. */
export interface AnswersPeer {
  /** Something was written to the session. */
  said(): void;
  /** It failed: the one ERROR, now, for the frame that had asked for `receipt`. */
  failed(error: unknown, receipt: string | undefined): void;
}

export class Answers {
  readonly #session: ServerSession<Delivery>;
  readonly #peer: AnswersPeer;
  #tail: Promise<void> = Promise.resolve();

  constructor(session: ServerSession<Delivery>, peer: AnswersPeer) {
    this.#session = session;
    this.#peer = peer;
  }

  /** Runs `done` when `work` and everything before it is over; what fails becomes the one ERROR. */
  later<T>(work: Promise<T>, done: (value: T) => void, failed?: Failed): void {
    work.catch(() => {}); // heard of in its turn, which may be late; until then nobody else is to
    this.#tail = this.#tail
      .then(() => work)
      .then(done)
      .catch((error: unknown) => {
        this.#peer.failed(error, failed?.(error instanceof EngineError ? error.at : undefined));
      });
  }

  /** In its turn, the receipt for `work`. */
  answer(work: Promise<unknown>, receipt: string | undefined): void {
    this.later(
      work,
      () => this.receipt(receipt),
      () => receipt,
    );
  }

  /** In its turn `run`, and then the receipt for it: what it needs is the effect of what came before. */
  inTurn(run: () => Promise<void>, receipt: string | undefined): void {
    this.answer(this.#tail.then(run), receipt);
  }

  /** Now. */
  receipt(id: string | undefined): void {
    if (id === undefined) return;
    this.#session.receipt(id);
    this.#peer.said();
  }

  /** Now, all of them. */
  receipts(receipts: readonly { readonly id: string }[]): void {
    for (const { id } of receipts) this.#session.receipt(id);
    if (receipts.length > 0) this.#peer.said();
  }
}
