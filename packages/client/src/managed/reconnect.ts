// When to connect again, and when to give up.
//
//   delay before round n+1 = jitter( min(maxMs, initialMs * factor^(n-1)) )
//
// A round walks every endpoint once; n counts rounds that came to nothing. A connection that did not live for `stableMs`
// counts as one more of them: a broker that lets us in and drops us at once is not there yet. One that did begins the count
// anew, and is waited for as after a first failure: all its other clients lost theirs at the same moment. No clock in here,
// and no chance but what is handed in.

import { UsageError } from '@stompbox/protocol';
import { type Check, callable, type Given, number, oneOf, resolve, type Settings } from '../option-table.ts';

/** What `decide` is told. */
export interface Failure {
  /** How many rounds came to nothing since the last stable connection; 0 where that one was just lost. */
  readonly attempt: number;
  /** How long there has been none, in milliseconds. */
  readonly elapsedMs: number;
  /** Why the last one did: as `connect()` rejects, or how the connection was lost. */
  readonly error: unknown;
  /** Where, as a URL without its secrets. */
  readonly endpoint: string;
  /** What would be waited as usual, in milliseconds; undefined where a limit says to stop. */
  readonly delayMs: number | undefined;
}

/** Milliseconds to wait, false to stop, or undefined for what the other options say. */
export type Decide = (failure: Failure) => number | false | undefined;

const limit: Check = number(0);
const optionalLimit: Check = (value) => (value === undefined ? undefined : limit(value));
const ratio: Check = (value) => {
  const fits = typeof value === 'number' ? value >= 0 && value <= 1 : oneOf('full', 'none')(value) === undefined;
  return fits ? undefined : "'full', 'none' or a number from 0 to 1";
};

export const RECONNECT_OPTIONS = {
  initialMs: {
    default: 1_000 as number,
    check: number(0) as Check,
    say: 'Wait about this long after the first round over the endpoints that came to nothing.',
  },
  factor: {
    default: 2 as number,
    check: number(1) as Check,
    say: 'Each wait is so many times the one before.',
  },
  maxMs: {
    default: 30_000 as number,
    check: number(0) as Check,
    say: 'Never wait longer than this.',
  },
  jitter: {
    default: 'full' as 'full' | 'none' | number,
    check: ratio as Check,
    say: "How much of a wait is left to chance, so that clients do not come back all at once: 'full' (from 0 up), 'none', or a share from 0 to 1.",
  },
  attempts: {
    default: Number.POSITIVE_INFINITY as number,
    check: limit as Check,
    say: 'Give up after so many rounds that came to nothing. 1 tries every endpoint once, 0 does not connect again.',
  },
  startAttempts: {
    default: undefined as number | undefined,
    check: optionalLimit as Check,
    say: 'The same while there has been no connection yet; as `attempts` unless given.',
  },
  elapsedMs: {
    default: Number.POSITIVE_INFINITY as number,
    check: limit as Check,
    say: 'Give up when there has been no stable connection for this long.',
  },
  stableMs: {
    default: 30_000 as number,
    check: limit as Check,
    say: 'A connection that lived this long begins the count anew.',
  },
  decide: {
    default: undefined as Decide | undefined,
    check: callable as Check,
    say: 'Asked after each failure: milliseconds to wait, false to stop, undefined for as usual.',
  },
};

/** Options of reconnecting. Each has its sentence in RECONNECT_OPTIONS. */
export type ReconnectOptions = Given<typeof RECONNECT_OPTIONS>;

/** Wait so long, then try again; or why not to. */
export type Verdict =
  | { readonly delayMs: number }
  | {
      /** `attempts`, `elapsed`: that limit was reached. `decided`: the hook said so, or failed (`cause`). */
      readonly stop: 'attempts' | 'elapsed' | 'decided';
      readonly cause?: unknown;
    };

export class Backoff {
  readonly #settings: Settings<typeof RECONNECT_OPTIONS>;
  readonly #random: () => number;
  #failures = 0;
  #since: number | undefined; // when the first of them was
  #started = false;

  /** `random` answers numbers from 0 up to 1, as Math.random does. Throws UsageError `bad-option`. */
  constructor(options: ReconnectOptions, random: () => number = Math.random) {
    this.#settings = resolve(RECONNECT_OPTIONS, options, 'reconnect');
    this.#random = random;
  }

  /**
   * A round came to nothing, at `now` in milliseconds, or a connection was lost that had lived for `livedMs`. Answers what
   * to do.
   */
  next(failure: {
    readonly now: number;
    readonly error: unknown;
    readonly endpoint: string;
    readonly livedMs?: number;
  }): Verdict {
    const { now, error, endpoint, livedMs } = failure;
    const { decide } = this.#settings;
    if (livedMs !== undefined) this.#started = true;
    if (livedMs !== undefined && livedMs >= this.#settings.stableMs) {
      this.#failures = 0;
      this.#since = now;
    } else {
      this.#failures += 1;
      this.#since ??= now;
    }
    const elapsedMs = now - this.#since;
    const usual = this.#usual(elapsedMs);
    if (decide === undefined) return usual;
    const delayMs = 'delayMs' in usual ? usual.delayMs : undefined;
    try {
      const answer = decide({ attempt: this.#failures, elapsedMs, error, endpoint, delayMs });
      if (answer === undefined) return usual;
      if (answer === false) return { stop: 'decided' };
      const wanted = number(0)(answer);
      if (wanted === undefined) return { delayMs: answer };
      throw new UsageError('bad-option', `reconnect.decide must answer ${wanted}, false or undefined`);
    } catch (cause) {
      return { stop: 'decided', cause };
    }
  }

  #usual(elapsedMs: number): Verdict {
    const settings = this.#settings;
    const attempts = this.#started ? settings.attempts : (settings.startAttempts ?? settings.attempts);
    if (this.#failures >= attempts) return { stop: 'attempts' };
    if (elapsedMs >= settings.elapsedMs) return { stop: 'elapsed' };
    const growth = Math.min(settings.factor ** Math.max(0, this.#failures - 1), Number.MAX_VALUE); // 0 * Infinity is no number
    const whole = Math.min(settings.maxMs, settings.initialMs * growth);
    const share = settings.jitter === 'full' ? 1 : settings.jitter === 'none' ? 0 : settings.jitter;
    const delayMs = Math.round(whole * (1 - share * this.#random()));
    return { delayMs: Math.min(delayMs, settings.elapsedMs - elapsedMs) }; // so that the last try is at the limit
  }
}
