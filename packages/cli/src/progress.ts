// How far it is: one line on a terminal that is written over, nothing elsewhere.
//
//   1,234 of 10,000 messages, 12,300/s, 1 s left

import type { Sink, World } from './world.ts';

const REDRAW_MS = 100;
const CLEAR = '\r\u001b[K';

export class Progress {
  readonly #what: string;
  readonly #total: number | undefined;
  readonly #sink: Sink | undefined;
  readonly #clock: World['clock'];
  readonly #began: number;
  #count = 0;
  #drawn: number | undefined;

  /** Without a sink it only counts. `what` is the plural of what is counted. */
  constructor(what: string, total: number | undefined, sink: Sink | undefined, clock: World['clock']) {
    this.#what = what;
    this.#total = total;
    this.#sink = sink;
    this.#clock = clock;
    this.#began = clock.now();
  }

  get count(): number {
    return this.#count;
  }
  /** Milliseconds since it began. */
  get elapsedMs(): number {
    return this.#clock.now() - this.#began;
  }

  /** So many more. */
  add(more = 1): void {
    this.#count += more;
    const now = this.#clock.now();
    if (this.#sink === undefined || now - (this.#drawn ?? this.#began) < REDRAW_MS) return;
    this.#drawn = now;
    const line = this.line();
    this.#sink.write(CLEAR + line.slice(0, (this.#sink.columns ?? 80) - 1));
  }

  /** Count, rate and time left. */
  line(): string {
    const rate = this.elapsedMs > 0 ? (this.#count * 1_000) / this.elapsedMs : 0;
    const of = this.#total === undefined ? '' : ` of ${number(this.#total)}`;
    const left = this.#total === undefined || rate === 0 ? undefined : (this.#total - this.#count) / rate;
    const parts = [`${number(this.#count)}${of} ${this.#what}`, `${number(Math.round(rate))}/s`];
    if (left !== undefined) parts.push(`${duration(left)} left`);
    return parts.join(', ');
  }

  /** Takes the line away; the next `add` may bring it back. */
  hide(): void {
    if (this.#drawn === undefined) return;
    this.#sink?.write(CLEAR);
    this.#drawn = undefined;
  }
}

export function number(value: number): string {
  return value.toLocaleString('en-US');
}

/** Of seconds. */
export function duration(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${whole % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
