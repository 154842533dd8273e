// What is read from the store. A damaged message is told once and set aside, and reading goes on behind it.

import type { MessageKey, Portion, ScheduledMessage, ScheduleKey, Store, StoredMessage } from '../../store/store.ts';
import { StoreError } from '../../store/store.ts';
import type { EngineObserver } from './books.ts';

export class Reader {
  readonly #store: Store;
  readonly #observer: EngineObserver | undefined;
  readonly #damaged = new Set<number>(); // ids that were told

  constructor(store: Store, observer: EngineObserver | undefined) {
    this.#store = store;
    this.#observer = observer;
  }

  /** In delivery order, those behind `after`. A damaged one stays in the store for somebody to look at. */
  read(queue: string, after: MessageKey | undefined, most: Portion): StoredMessage[] {
    let from = after;
    for (;;) {
      try {
        return this.#store.read(queue, from, most);
      } catch (error) {
        if (!(error instanceof StoreError) || error.key === undefined || !('queue' in error.key)) throw error;
        this.#setAside(error, error.key.id);
        from = error.key;
      }
    }
  }

  /** What is due. A damaged one goes to `drop`: it would stand before all others for ever. */
  due(now: number, most: Portion, drop: (key: ScheduleKey) => void): ScheduledMessage[] {
    try {
      return this.#store.due(now, most);
    } catch (error) {
      if (!(error instanceof StoreError) || error.key === undefined || !('dueAt' in error.key)) throw error;
      this.#setAside(error, error.key.id);
      drop(error.key);
      return [];
    }
  }

  #setAside(error: StoreError, id: number): void {
    if (this.#damaged.has(id)) return;
    this.#damaged.add(id);
    this.#observer?.storeDamaged?.(error);
  }
}
