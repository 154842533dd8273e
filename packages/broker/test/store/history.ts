// What a writer does, as a function of a seed and a number, so that whoever finds its
// store can say what must be there: the writer itself may have been killed.

import type { Change, MessageKey, StoredMessage } from '../../src/store/store.ts';
import { content, message, random } from './support.ts';

const IDS_PER_CHANGE = 100;

/** The change number `n`, counted from 0. */
export function changeAt(seed: number, n: number): Change {
  const dice = random(seed * 7_919 + n);
  const earlier = (within: number): StoredMessage[] => appendedAt(seed, Math.max(0, n - 1 - dice(within)));
  const settled: MessageKey[] = Array.from({ length: dice(4) }, () => earlier(30)).flat();
  const [marked] = earlier(5);
  const id = n * IDS_PER_CHANGE + IDS_PER_CHANGE;
  return {
    append: appendedAt(seed, n),
    settle: n === 0 ? [] : settled,
    redelivered: n > 0 && marked !== undefined ? [{ ...marked, redeliveries: dice(9) }] : [],
    schedule: dice(4) === 0 ? [{ ...message(id), dueAt: n }] : [],
    unschedule: Array.from({ length: 3 }, () => dice(n + 1)).map((m) => ({
      dueAt: m,
      id: m * IDS_PER_CHANGE + IDS_PER_CHANGE,
    })),
    facts: [{ key: `fact/${dice(20)}`, value: dice(3) === 0 ? undefined : `set by ${n}` }],
  };
}

function appendedAt(seed: number, n: number): StoredMessage[] {
  const dice = random(seed * 104_729 + n);
  return Array.from({ length: dice(8) }, (_, i) =>
    message(n * IDS_PER_CHANGE + 1 + i, {
      queue: `q${dice(4)}`,
      priority: dice(10),
      expiresAt: dice(3) * 1000,
      content: content(Buffer.alloc(dice(20) === 0 ? 50_000 : dice(400), n)),
    }),
  );
}
