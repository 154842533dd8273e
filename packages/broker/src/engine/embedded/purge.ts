// Empties a queue, a thousand messages a change.

import type { Queue } from './queue.ts';

export const PURGED_AT_ONCE = 1_000;

/** Answers how many there were. `tell` tells the store, and resolves when it has heard. */
export async function purge(queue: Queue | undefined, tell: () => Promise<void>): Promise<number> {
  let purged = 0;
  for (;;) {
    const some = queue?.pull(PURGED_AT_ONCE) ?? [];
    if (some.length === 0) return purged;
    purged += some.length;
    await tell();
  }
}
