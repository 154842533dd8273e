// Time, as it is handed in. Tests give a clock by hand and wait for nothing.

/** Milliseconds that never jump back, and a way to be called later. */
export interface Clock {
  now(): number;
  /**
   * Calls `fn` once in `ms` milliseconds. Answers how to call it off; calling off twice, or too late, is fine. A timer that
   * `holds` keeps a Node process alive; others do not.
   */
  schedule(ms: number, fn: () => void, holds?: boolean): () => void;
}

const MAX_TIMER_MS = 2 ** 31 - 1; // H-08: setTimeout with more fires at once

/** The clock of the runtime. */
export const systemClock: Clock = {
  now: () => performance.now(),
  schedule(ms, fn, holds = false) {
    const timer = setTimeout(fn, Math.min(Math.max(ms, 0), MAX_TIMER_MS));
    if (!holds) unref(timer);
    return () => clearTimeout(timer);
  },
};

function unref(timer: unknown): void {
  if (typeof timer === 'object' && timer !== null && 'unref' in timer && typeof timer.unref === 'function') {
    timer.unref();
  }
}
