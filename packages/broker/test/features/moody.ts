// A store that is full when a test says so.

import { type Change, type Store, StoreError } from '../../src/store/store.ts';

/** A store of which the test decides whether it has room. */
export class Moody implements Store {
  isFull = false;
  readonly #store: Store;
  constructor(store: Store) {
    this.#store = store;
  }
  commit(change: Change): Promise<void> {
    if (this.isFull) return Promise.reject(new StoreError('full', 'there is no space left'));
    return this.#store.commit(change);
  }
  read: Store['read'] = (...args) => this.#store.read(...args);
  due: Store['due'] = (...args) => this.#store.due(...args);
  nextDue: Store['nextDue'] = () => this.#store.nextDue();
  expired: Store['expired'] = (...args) => this.#store.expired(...args);
  queues: Store['queues'] = () => this.#store.queues();
  facts: Store['facts'] = (prefix) => this.#store.facts(prefix);
  close: Store['close'] = () => this.#store.close();
  get scheduled() {
    return this.#store.scheduled;
  }
  get lastId() {
    return this.#store.lastId;
  }
  get size() {
    return this.#store.size;
  }
  get survives() {
    return this.#store.survives;
  }
}
