// The engine that is ours: over a store in memory or in a directory, with its news in the
// broker's log.

import type { EngineObserver } from './engine/embedded/books.ts';
import { EmbeddedEngine } from './engine/embedded/embedded.ts';
import type { EmbeddedEngineOptions } from './engine/embedded/options.ts';
import type { BrokerLimits } from './limits.ts';
import type { Log } from './log.ts';
import { lmdbStore } from './store/lmdb.ts';
import { memoryStore } from './store/memory.ts';
import type { Store } from './store/store.ts';

/** The engine that is ours, and what it stands on. */
export interface OwnEngine {
  readonly engine: EmbeddedEngine;
  readonly store: Store;
  /** Undefined: in memory. */
  readonly data: string | undefined;
}

type Chosen = Pick<EmbeddedEngineOptions, 'whenFull' | 'deadLetterPrefix'>;

export interface OwnEngineOptions extends Chosen, Required<Pick<EmbeddedEngineOptions, 'schedule' | 'time'>> {
  /** The directory; in memory unless given. */
  readonly data: string | undefined;
  readonly limits: BrokerLimits;
  readonly log: Log;
  now(): number;
  /** Hears of what is damaged. */
  fault(error: unknown): void;
}

/** Over the `given` store, or over the one that `data` means. Rejects with StoreError; nothing is left open. */
export async function openOwnEngine(options: OwnEngineOptions, given?: Store): Promise<OwnEngine> {
  const { data, limits, log, now, fault, ...chosen } = options;
  const start = now();
  const store = given ?? (data === undefined ? memoryStore() : await lmdbStore({ dir: data }));
  try {
    const engine = new EmbeddedEngine({ ...limits, ...chosen, observer: observing(log, fault) }, store);
    if (data !== undefined) {
      let messages = store.scheduled.messages;
      for (const queue of store.queues()) messages += queue.messages;
      log('store-opened', { path: data, messages, bytes: store.size, ms: Math.round(now() - start) });
    }
    return { engine, store, data };
  } catch (error) {
    await store.close();
    throw error;
  }
}

function observing(log: Log, fault: (error: unknown) => void): EngineObserver {
  return {
    deadLetter: (destination, message, reason, deliveries) =>
      log('dead-letter', { destination, message, reason, deliveries }),
    deadLettersDropped: (queue, messages) => log('dead-letters-dropped', { queue, messages }),
    storeFailed: (error) => log('store-failed', { error }),
    storeDamaged: (error) => {
      log('store-damaged', { error });
      fault(error);
    },
    storeRecovered: (ms) => log('store-recovered', { ms }),
    durableDeleted: (subscription, destination) => log('subscription-deleted', { subscription, destination }),
  };
}
