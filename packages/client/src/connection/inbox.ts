// What has come and waits for its reader, and the readers that wait for what comes.
// At most one of the two lists is ever filled.
//
//   put ─► [ item, item, … ] ─► take / next
//          [ reader, reader ]   each with its deadline and its signal
//
// How much may wait in all of a connection's inboxes together is the business of the
// gauge, which pauses the channel.

import type { Clock } from '../clock.ts';
import { TimeoutError } from '../errors.ts';
import { onAbort } from '../signal.ts';

/** How long a reader waits, and how to call it off. */
export interface WaitOptions {
  /** Milliseconds, then a TimeoutError; 0 is for ever. Unless given, reading waits for ever and a verb `receiptTimeoutMs`. */
  readonly timeoutMs?: number | undefined;
  /** Rejects with the signal's reason. A reader that is called off loses nothing; a frame that was written stays sent. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Counts what waits for readers, over all inboxes of a connection, and says when it is too much: `full(true)` above either
 * bound, `full(false)` when both are down to a half.
 */
export class Gauge {
  readonly #maxFrames: number;
  readonly #maxBytes: number;
  readonly #full: (full: boolean) => void;
  #frames = 0;
  #bytes = 0;
  #isFull = false;

  constructor(maxFrames: number, maxBytes: number, full: (full: boolean) => void) {
    this.#maxFrames = maxFrames;
    this.#maxBytes = maxBytes;
    this.#full = full;
  }

  get frames(): number {
    return this.#frames;
  }
  get bytes(): number {
    return this.#bytes;
  }
  get isFull(): boolean {
    return this.#isFull;
  }

  /** More waits than so many times what either bound allows. */
  isBeyond(times: number): boolean {
    return this.#frames > this.#maxFrames * times || this.#bytes > this.#maxBytes * times;
  }

  add(frames: number, bytes: number): void {
    this.#frames += frames;
    this.#bytes += bytes;
    if (this.#isFull || (this.#frames <= this.#maxFrames && this.#bytes <= this.#maxBytes)) return;
    this.#isFull = true;
    this.#full(true);
  }

  remove(frames: number, bytes: number): void {
    this.#frames -= frames;
    this.#bytes -= bytes;
    if (!this.#isFull || this.#frames * 2 > this.#maxFrames || this.#bytes * 2 > this.#maxBytes) return;
    this.#isFull = false;
    this.#full(false);
  }
}

/** Taken ones that are worth moving the others for. */
const MANY = 1024;

interface Reader<Item> {
  /** Undefined: the end, in order. */
  give(item: Item | undefined): void;
  fail(error: unknown): void;
}

/** Items in order, each for one reader. */
export class Inbox<Item> {
  readonly #what: string;
  readonly #size: (item: Item) => number;
  readonly #gauge: Gauge;
  readonly #clock: Clock;
  readonly #given: ((item: Item) => void) | undefined;
  readonly #items: (Item | undefined)[] = [];
  #first = 0; // of #items that is not taken: shift() would move the others each time
  readonly #readers: Reader<Item>[] = []; // mostly one
  #end: { readonly error: Error | undefined } | undefined;

  /** `what` is what a TimeoutError says was waited for; `size` is an item's in bytes; `given` hears what each reader gets. */
  constructor(
    what: string,
    size: (item: Item) => number,
    shared: { readonly gauge: Gauge; readonly clock: Clock },
    given?: (item: Item) => void,
  ) {
    this.#what = what;
    this.#size = size;
    this.#gauge = shared.gauge;
    this.#clock = shared.clock;
    this.#given = given;
  }

  get length(): number {
    return this.#items.length - this.#first;
  }
  /** Somebody waits, so nothing does. */
  get hasReaders(): boolean {
    return this.#readers.length > 0;
  }
  get ended(): boolean {
    return this.#end !== undefined;
  }

  put(item: Item): void {
    if (this.#end !== undefined) return;
    const reader = this.#readers[0];
    if (reader !== undefined) {
      this.#given?.(item);
      reader.give(item);
      return;
    }
    this.#items.push(item);
    this.#gauge.add(1, this.#size(item));
  }

  /** The next item if one is here. */
  take(): Item | undefined {
    const item = this.#items[this.#first];
    if (item === undefined) return undefined;
    this.#items[this.#first++] = undefined;
    if (this.#first === this.#items.length) {
      this.#items.length = this.#first = 0;
    } else if (this.#first >= MANY && this.#first * 2 >= this.#items.length) {
      this.#items.splice(0, this.#first);
      this.#first = 0;
    }
    this.#gauge.remove(1, this.#size(item));
    return item;
  }

  /** The next item; undefined after an end in order. Rejects after an end with an error, once all items are taken. */
  next(options: WaitOptions = {}): Promise<Item | undefined> {
    const { signal } = options;
    if (signal?.aborted) return Promise.reject(signal.reason);
    const item = this.take();
    if (item !== undefined) {
      this.#given?.(item);
      return Promise.resolve(item);
    }
    if (this.#end !== undefined) {
      return this.#end.error === undefined ? Promise.resolve(undefined) : Promise.reject(this.#end.error);
    }
    return new Promise((resolve, reject) => {
      const { timeoutMs = 0 } = options;
      const finish = (): void => {
        const at = this.#readers.indexOf(reader);
        if (at >= 0) this.#readers.splice(at, 1);
        stopTimer?.();
        stopSignal?.();
      };
      const reader: Reader<Item> = {
        give(next) {
          finish();
          resolve(next);
        },
        fail(error) {
          finish();
          reject(error);
        },
      };
      this.#readers.push(reader);
      const stopSignal = onAbort(signal, (reason) => reader.fail(reason));
      const stopTimer =
        timeoutMs > 0
          ? this.#clock.schedule(timeoutMs, () => reader.fail(new TimeoutError(this.#what, timeoutMs)))
          : undefined;
    });
  }

  /** Nothing more comes. Who waits is told; what is here may still be taken, unless `drop`. Later calls change nothing but `drop`. */
  end(error: Error | undefined, drop: boolean): void {
    if (drop) while (this.take() !== undefined);
    if (this.#end !== undefined) return;
    this.#end = { error };
    for (const reader of [...this.#readers]) {
      if (error === undefined) reader.give(undefined);
      else reader.fail(error);
    }
  }
}
