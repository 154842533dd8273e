// How many bytes something holds, and the producers that wait for it to hold less.

export class Gauge {
  readonly #mark: number;
  readonly #weigh: (bytes: number) => void;
  #bytes = 0;
  #waiting: (() => void)[] = [];

  /** Producers wait above `mark`, until it holds half of it. `weigh` hears of every change. Bytes. */
  constructor(mark: number, weigh: (bytes: number) => void) {
    this.#mark = mark;
    this.#weigh = weigh;
  }

  get bytes(): number {
    return this.#bytes;
  }
  get isHigh(): boolean {
    return this.#bytes > this.#mark;
  }
  get isLow(): boolean {
    return this.#bytes <= this.#mark / 2;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
    this.#weigh(bytes);
    if (this.#waiting.length > 0 && this.isLow) this.release();
  }

  /** Resolves when it is low again, or waiting has lost its sense. */
  eased(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Nobody waits any longer. */
  release(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
