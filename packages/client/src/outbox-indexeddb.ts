// An outbox in a browser's IndexedDB: what was sent and has no outcome yet survives the
// page. Keys are counted up by the database, so its order is that of the calls.

import type { OutboxStore, StoredSend } from './managed/outbox.ts';

const VERSION = 1;
const SENDS = 'sends';
const BY_KEY = 'key';

/**
 * Keeps an outbox in the database `name`, which belongs to one page at a time: give each its own, or hold a Web Lock. Its
 * promises reject with what the database said, such as QuotaExceededError.
 */
export function indexedDbOutbox(name = 'stompbox-outbox'): OutboxStore {
  return new IndexedDbOutbox(name);
}

class IndexedDbOutbox implements OutboxStore {
  readonly #name: string;
  #database: Promise<IDBDatabase> | undefined;

  constructor(name: string) {
    this.#name = name;
  }

  async load(): Promise<readonly StoredSend[]> {
    const database = await this.#open();
    return await answer<StoredSend[]>(database.transaction(SENDS).objectStore(SENDS).getAll());
  }

  async put(send: StoredSend): Promise<void> {
    const transaction = (await this.#open()).transaction(SENDS, 'readwrite', { durability: 'strict' });
    transaction.objectStore(SENDS).add(send);
    await end(transaction);
  }

  async remove(key: string): Promise<void> {
    const transaction = (await this.#open()).transaction(SENDS, 'readwrite');
    const sends = transaction.objectStore(SENDS);
    const found = await answer(sends.index(BY_KEY).getKey(key));
    if (found !== undefined) sends.delete(found);
    await end(transaction);
  }

  async close(): Promise<void> {
    (await this.#database)?.close();
    this.#database = undefined;
  }

  #open(): Promise<IDBDatabase> {
    this.#database ??= this.#opened();
    return this.#database;
  }

  async #opened(): Promise<IDBDatabase> {
    const opening = indexedDB.open(this.#name, VERSION);
    opening.onupgradeneeded = () => {
      const sends = opening.result.createObjectStore(SENDS, { autoIncrement: true });
      sends.createIndex(BY_KEY, BY_KEY, { unique: true });
    };
    return await answer(opening);
  }
}

function answer<Result>(request: IDBRequest<Result>): Promise<Result> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function end(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
  });
}
