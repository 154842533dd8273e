// What the embedded engine counts while it works, and tells whoever runs it. Plain integers: counting costs nothing.

import type { Death } from './queue.ts';

/** Counts since the start. */
export interface EngineCounts {
  duplicates: number;
  expired: number;
  dead: Record<Death, number>;
  /** Messages that `whenFull: drop-oldest` gave up. */
  droppedOldest: number;
  /** Dead letters that a full queue of dead letters gave up. */
  droppedDead: number;
  /** Changes that the store kept, and milliseconds from handing each over until it was kept. */
  commits: number;
  commitMs: number;
  commitFailures: number;
  /** Messages that were handed to the store, and of those the ones whose outcome is known. */
  told: number;
  heard: number;
}

export const noCounts = (): EngineCounts => ({
  duplicates: 0,
  expired: 0,
  dead: { redeliveries: 0, rejected: 0, expired: 0 },
  droppedOldest: 0,
  droppedDead: 0,
  commits: 0,
  commitMs: 0,
  commitFailures: 0,
  told: 0,
  heard: 0,
});

/** Hears of what is rare. Called from inside engine calls: keep it short and do not throw. */
export interface EngineObserver {
  deadLetter?(destination: string, message: number, reason: Death, deliveries: number): void;
  /** A queue of dead letters was full, and gave so many up. */
  deadLettersDropped?(queue: string, messages: number): void;
  storeFailed?(error: unknown): void;
  /** What is on disk is not what was written. */
  storeDamaged?(error: Error): void;
  /** It failed before, and has kept something again. */
  storeRecovered?(ms: number): void;
  durableDeleted?(name: string, pattern: string): void;
}
