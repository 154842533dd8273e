// A received body that comes in pieces, between the connection that puts them in and
// the one reader that takes them out. What waits counts in the gauge, so a body larger
// than memory passes at the reader's speed.

import type { Gauge } from './inbox.ts';

const NOTHING_WAITS = (): void => {};

export class StreamedBody {
  readonly #gauge: Gauge;
  readonly #pieces: Uint8Array[] = [];
  #taken = false;
  #discarded = false;
  #complete = false;
  #error: Error | undefined;
  #wake = NOTHING_WAITS;

  constructor(gauge: Gauge) {
    this.#gauge = gauge;
  }

  get taken(): boolean {
    return this.#taken;
  }

  push(bytes: Uint8Array, last: boolean): void {
    if (last) this.#complete = true;
    if (!this.#discarded && bytes.length > 0) {
      this.#pieces.push(bytes);
      this.#gauge.add(0, bytes.length);
    }
    this.#wake();
  }

  /** The connection went before the last piece came. */
  fail(error: Error): void {
    if (this.#complete) return;
    this.#error = error;
    this.#wake();
  }

  /** Nobody wants the rest: what is here goes, what comes is dropped. */
  discard(): void {
    this.#discarded = true;
    for (const piece of this.#pieces) this.#gauge.remove(0, piece.length);
    this.#pieces.length = 0;
  }

  /** Nobody has taken the stream, and now nobody will. */
  discardUnlessTaken(): void {
    if (!this.#taken) this.discard();
  }

  /** The body, once. Errors with the reason when the connection goes first. */
  stream(): ReadableStream<Uint8Array> {
    this.#taken = true;
    return new ReadableStream<Uint8Array>(
      {
        pull: (controller) => this.#pull(controller),
        cancel: () => this.discard(),
      },
      { highWaterMark: 0 },
    );
  }

  async #pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    for (;;) {
      const piece = this.#pieces.shift();
      if (piece !== undefined) {
        this.#gauge.remove(0, piece.length);
        controller.enqueue(piece);
        return;
      }
      if (this.#complete) {
        controller.close();
        return;
      }
      if (this.#error !== undefined) throw this.#error;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = NOTHING_WAITS;
    }
  }
}
