// How long things took, in bounded memory however many they were: 64 steps for each doubling, so that a percentile is
// within 1.6 % of what was measured. The maximum is exact.

const STEPS = 64;
const FLOOR_MS = 0.001;
const DOUBLINGS = 40; // up to twelve days

/** Milliseconds. */
export interface Percentiles {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

export class Histogram {
  readonly #counts = new Float64Array(STEPS * DOUBLINGS);
  #total = 0;
  #max = 0;

  get count(): number {
    return this.#total;
  }

  /** One more that took so many milliseconds. */
  add(ms: number): void {
    const doublings = Math.log2(Math.max(ms, FLOOR_MS) / FLOOR_MS);
    const step = Math.min(Math.floor(doublings * STEPS), this.#counts.length - 1);
    this.#counts[step] = (this.#counts[step] ?? 0) + 1;
    this.#total++;
    this.#max = Math.max(this.#max, ms);
  }

  /** Undefined while nothing was measured. */
  get percentiles(): Percentiles | undefined {
    if (this.#total === 0) return undefined;
    return { p50: this.#below(0.5), p90: this.#below(0.9), p99: this.#below(0.99), max: this.#max };
  }

  /** What this share of them took at most. */
  #below(share: number): number {
    let seen = 0;
    const wanted = Math.ceil(share * this.#total);
    for (const [step, count] of this.#counts.entries()) {
      seen += count;
      if (seen >= wanted) return Math.min(FLOOR_MS * 2 ** ((step + 1) / STEPS), this.#max);
    }
    return this.#max;
  }
}
