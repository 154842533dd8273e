// Heart-beats (STOMP 1.1 and 1.2, Heart-beating; H-01 to H-12): the arithmetic and
// the deadlines. No timer lives here: whoever owns a clock asks `check(now)` at
// `deadline`. All times are milliseconds on a clock that never jumps back.

import { ProtocolError, quote } from './errors.ts';

/** What one side offers: the shortest gap it can keep when sending, and the gap it wants; 0 is none. Milliseconds. */
export interface HeartBeatOffer {
  readonly send: number;
  readonly expect: number;
}

/** What was agreed: gaps in milliseconds, 0 for none. */
export interface HeartBeatPeriods {
  readonly out: number;
  readonly in: number;
}

export const NO_HEART_BEAT: HeartBeatOffer = { send: 0, expect: 0 };

/** Timers take no more than this (H-08). */
export const MAX_PERIOD_MS: number = 2 ** 31 - 1;

/** `cx,cy` -> offer; absent is `0,0` (H-01). Throws ProtocolError `bad-heart-beat` (H-09). `lenient` forgives blanks around the numbers. */
export function parseHeartBeat(value: string | undefined, options: { lenient?: boolean } = {}): HeartBeatOffer {
  if (value === undefined) return NO_HEART_BEAT;
  const form = options.lenient ? /^[ \t]*(\d{1,15})[ \t]*,[ \t]*(\d{1,15})[ \t]*$/ : /^(\d{1,15}),(\d{1,15})$/;
  const match = form.exec(value);
  if (!match)
    throw new ProtocolError(
      'bad-heart-beat',
      `heart-beat ${quote(value)} is not two non-negative integers and a comma`,
    );
  return { send: Math.min(Number(match[1]), MAX_PERIOD_MS), expect: Math.min(Number(match[2]), MAX_PERIOD_MS) };
}

export function formatHeartBeat(offer: HeartBeatOffer): string {
  return `${offer.send},${offer.expect}`;
}

/** What follows from both offers, seen from `mine` (STOMP 1.2, Heart-beating). */
export function agree(mine: HeartBeatOffer, theirs: HeartBeatOffer): HeartBeatPeriods {
  return {
    out: mine.send === 0 || theirs.expect === 0 ? 0 : Math.max(mine.send, theirs.expect),
    in: mine.expect === 0 || theirs.send === 0 ? 0 : Math.max(mine.expect, theirs.send),
  };
}

/** The state of two clocks: when we must be heard, and when we must have heard. */
export interface KeepAlive {
  readonly periods: HeartBeatPeriods;
  /** When to call `check` next; Infinity where nothing was agreed. */
  readonly deadline: number;
  /** Any octet counts, also part of a frame (H-04). */
  received(now: number): void;
  sent(now: number): void;
  check(now: number): 'fine' | 'beat' | 'lost';
}

/**
 * Starts both clocks at `now` (H-07). We speak after three quarters of the agreed gap, and give the peer `tolerance`
 * times its gap, one second more at the least (H-06).
 */
export function keepAlive(periods: HeartBeatPeriods, now: number, options: { tolerance?: number } = {}): KeepAlive {
  const sendEvery = periods.out * 0.75;
  const patience = Math.min(Math.max(periods.in * (options.tolerance ?? 2), periods.in + 1000), MAX_PERIOD_MS);
  let lastIn = now;
  let lastOut = now;
  return {
    periods,
    get deadline() {
      const speak = periods.out === 0 ? Number.POSITIVE_INFINITY : lastOut + sendEvery;
      const lost = periods.in === 0 ? Number.POSITIVE_INFINITY : lastIn + patience;
      return Math.min(speak, lost);
    },
    received(at) {
      lastIn = at;
    },
    sent(at) {
      lastOut = at;
    },
    check(at) {
      if (periods.in > 0 && at >= lastIn + patience) return 'lost';
      return periods.out > 0 && at >= lastOut + sendEvery ? 'beat' : 'fine';
    },
  };
}
