// Sleep, found out by waking up: the wall clock moved on and our timer did not ring meanwhile. A laptop that was closed, a
// page that was frozen, a process that was stopped, a loop that was blocked: we were away, and a broker that heard nothing
// may have given us up. The clock of timers need not count sleep, so it cannot tell.

import type { Clock } from '../clock.ts';

export interface WatchOptions {
  /** Look so often. Milliseconds; 5,000 unless given. */
  readonly everyMs?: number | undefined;
  /** A look so much later than that means we were away. Milliseconds; 5,000 unless given. */
  readonly slackMs?: number | undefined;
  /** Milliseconds of the wall clock; `Date.now` unless given. */
  readonly wall?: (() => number) | undefined;
}

/**
 * Calls `onWake` with how many milliseconds we were away, once for each time, within `everyMs` of waking up. A wall clock
 * that was set forward looks the same; one that was set back is nothing. Keeps no process alive. Answers how to stop.
 */
export function watchForSleep(clock: Clock, onWake: (awayMs: number) => void, options: WatchOptions = {}): () => void {
  const { everyMs = 5_000, slackMs = 5_000, wall = Date.now } = options;
  let stop: () => void;
  let last: number;
  const look = (): void => {
    const awayMs = wall() - last - everyMs;
    watch();
    if (awayMs > slackMs) onWake(awayMs);
  };
  const watch = (): void => {
    last = wall();
    stop = clock.schedule(everyMs, look);
  };
  watch();
  return () => stop();
}
