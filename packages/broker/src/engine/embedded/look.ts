// One slice of looking through a queue: each consumer in turn takes the next message that it may have, until nobody finds
// anything, or it is enough for one turn of the loop.

import type { Backlog } from './backlog.ts';
import type { Consumer, Consumers } from './consumers.ts';
import type { Kept } from './delivery.ts';

/** Where what was found is handed out. */
export interface Counter {
  hand(kept: Kept, consumer: Consumer): void;
  /** It has expired: whoever finds it takes it out. */
  isLate(kept: Kept): boolean;
}

// How many messages all consumers of a queue look at in a slice, and each of them at the least.
const LOOKED_AT_ONCE = 512;
const LEAST_LOOKED_AT = 16;

/** True: somebody has to go on in another slice. */
export function look(consumers: Consumers, backlog: Backlog, counter: Counter): boolean {
  const looked = new Map<Consumer, number>();
  let left = LOOKED_AT_ONCE;
  let next: Consumer | undefined; // the first for whom nothing was left begins the next slice
  for (let found = true; found; ) {
    found = false;
    const looking = consumers.looking;
    const searching = looking.reduce((n, one) => n + Number(consumers.hasMore(one)), 0);
    const share = Math.max(LEAST_LOOKED_AT, Math.floor(LOOKED_AT_ONCE / searching));
    for (const consumer of looking) {
      if (consumers.takesAny(consumer)) found = takeNext(consumer);
      else if (consumers.hasMore(consumer)) {
        found = search(consumer, share);
        if (consumer.paused && left === 0) next ??= consumer;
      }
      if (found) break;
    }
  }
  let isPaused = false;
  for (const { search, paused } of looked.keys()) {
    search.rest();
    isPaused ||= paused;
  }
  if (next !== undefined) consumers.beginWith(next);
  return isPaused;

  function takeNext(consumer: Consumer): boolean {
    const kept = backlog.shift();
    if (kept !== undefined) counter.hand(kept, consumers.takerOf(kept, consumer) ?? consumer);
    return kept !== undefined;
  }

  function search(consumer: Consumer, share: number): boolean {
    const before = looked.get(consumer) ?? 0;
    let n = 0;
    let taker: Consumer | undefined;
    const wants = (kept: Kept): boolean => {
      n++;
      taker = consumers.takerOf(kept, consumer);
      return taker !== undefined || counter.isLate(kept);
    };
    const kept = consumer.search.next(backlog, Math.min(share - before, left), wants);
    looked.set(consumer, before + n);
    left -= n;
    consumer.paused = kept === undefined && !consumer.search.isDone;
    if (kept !== undefined) counter.hand(kept, taker ?? consumer);
    return kept !== undefined;
  }
}
