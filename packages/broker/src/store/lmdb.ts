// The store on LMDB: what a resolved commit kept survives `kill -9` and a power cut.
//
//   commit  -> waiting -> batch -> one LMDB transaction -> written, flushed -> all of the batch resolve
//                 ^                                              |
//                 └── commits that come meanwhile: the next batch ┘
//
// One transaction at a time is under way, so what it will find can be looked up while it
// is built: every read below sees what the last one left. The counts of a queue are
// written by the transaction that changes them; they cannot disagree with its messages.
//
// `overlappingSync` stays off. With it a commit is visible before it is durable, and one
// whose flush fails cannot be taken back; without it, LMDB flushes the new pages
// (fdatasync), then writes the page that points at them (O_DSYNC), and only then says so.

import { mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { ABORT } from 'lmdb';
import { Batch, type Write } from './batch.ts';
import { checkDataFile } from './data-file.ts';
import { Environment, flushNames, openRoot } from './environment.ts';
import { bringUpToDate, LAYOUT, type Layout, type Root } from './layout.ts';
import { type DirectoryLock, lockDirectory } from './lock.ts';
import {
  decodeMessage,
  decodeScheduled,
  messageKey,
  messageKeyOf,
  queueNumberOf,
  queueStart,
  scheduleKeyOf,
  timePrefix,
  unsealed,
} from './record.ts';
import { Room } from './room.ts';
import {
  type Change,
  checkChange,
  type Held,
  type MessageKey,
  type Portion,
  type QueueHeld,
  type ScheduledMessage,
  type Store,
  type StoredMessage,
  StoreError,
} from './store.ts';
import { readState, type State, type Tables } from './tables.ts';

// Above either, a batch is closed, so that nobody waits for a transaction without end.
const BATCH_PARTS = 20_000;
const BATCH_BYTES = 16 * 1024 * 1024;

// MDB_MAP_FULL; EFBIG, ENOSPC and EDQUOT as Linux and macOS number them, and as Node names them
const FULL: ReadonlySet<unknown> = new Set([
  -30_792,
  ...[27, 28, process.platform === 'darwin' ? 69 : 122],
  ...['EFBIG', 'ENOSPC', 'EDQUOT'],
]);

const EIO = 5;
const PROBE_BYTES = 2 * BATCH_BYTES; // what a batch takes, with room to spare

export interface LmdbStoreOptions {
  /** Made where it does not exist. */
  readonly dir: string;
  /** How many bytes of the data file may count as memory of this process before they are let go. Default: 32 MiB. */
  readonly mostMapped?: number;
}

const MOST_MAPPED = 32 * 1024 * 1024;
/** Rejects with StoreError 'locked', 'newer', 'damaged' or 'failed', and a sentence for whoever runs the broker. */
export async function lmdbStore(
  { dir, mostMapped = MOST_MAPPED }: LmdbStoreOptions,
  layout: Layout = LAYOUT,
): Promise<Store> {
  const firstMade = mkdirSync(dir, { recursive: true });
  const lock = await lockDirectory(dir);
  let root: Root | undefined;
  try {
    const file = join(dir, 'data.mdb');
    if (statSync(file, { throwIfNoEntry: false }) !== undefined) checkDataFile(file);
    root = openRoot(dir);
    flushNames(dir, firstMade);
    bringUpToDate(root, dir, layout);
    const environment = new Environment(dir, root, mostMapped);
    return new LmdbStore(dir, environment, readState(environment.tables, dir), lock);
  } catch (error) {
    await root?.close();
    await lock.release();
    throw error;
  }
}

/** For the tree's own pages, and the list of free ones. */
const SPARE_PAGES = 64;

interface Waiting {
  readonly change: Change;
  resolve(): void;
  reject(error: Error): void;
}

class LmdbStore implements Store {
  readonly survives = 'power-cut';
  readonly #dir: string;
  readonly #environment: Environment;
  readonly #state: State;
  readonly #lock: DirectoryLock;
  readonly #room: Room;
  readonly #pageBytes: number;
  #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;
  #broken: unknown;
  #closing: Promise<void> | undefined;

  constructor(dir: string, environment: Environment, state: State, lock: DirectoryLock) {
    this.#dir = dir;
    this.#environment = environment;
    this.#state = state;
    this.#lock = lock;
    this.#room = new Room(join(dir, 'data.mdb'), () => {
      const { lastPageNumber, pageSize } = this.#stats();
      return (lastPageNumber + 1) * pageSize;
    });
    this.#pageBytes = this.#stats().pageSize;
  }

  async commit(change: Change): Promise<void> {
    if (this.#closing !== undefined) throw this.#closed();
    checkChange(change);
    await new Promise<void>((resolve, reject) => {
      this.#waiting.push({ change, resolve, reject });
      this.#writing ??= this.#write();
    });
  }

  read(queue: string, after: MessageKey | undefined, most: Portion): StoredMessage[] {
    const { messages } = this.#toRead();
    const found: StoredMessage[] = [];
    const lane = this.#state.lanes.get(queue);
    if (lane === undefined || most.messages < 1) return found;
    const start = after === undefined ? queueStart(lane.number) : messageKey(lane.number, after.priority, after.id + 1);
    const range = { start, end: queueStart(lane.number + 1), limit: most.messages };
    let bytes = 0;
    for (const { key, value } of messages.getRange(range)) {
      const id = messageKeyOf(queue, key).id;
      const message = decodeMessage(key, value, queue, this.#state.redeliveries.get(id));
      if (message === undefined) {
        if (found.length > 0) break;
        const where = messageKeyOf(queue, key);
        throw new StoreError('damaged', `message ${id} of queue ${queue} in ${this.#dir} is damaged`, { key: where });
      }
      found.push(message);
      bytes += message.content.bytes.length;
      if (bytes >= most.bytes) break;
    }
    this.#environment.touch(found.length);
    return found;
  }

  due(now: number, most: Portion): ScheduledMessage[] {
    const { schedule } = this.#toRead();
    const found: ScheduledMessage[] = [];
    if (most.messages < 1) return found;
    const range = { start: timePrefix(0), end: timePrefix(now + 1), limit: most.messages };
    let bytes = 0;
    for (const { key, value } of schedule.getRange(range)) {
      const message = decodeScheduled(key, value);
      if (message === undefined) {
        if (found.length > 0) break;
        const where = scheduleKeyOf(key);
        throw new StoreError('damaged', `scheduled message ${where.id} in ${this.#dir} is damaged`, { key: where });
      }
      found.push(message);
      bytes += message.content.bytes.length;
      if (bytes >= most.bytes) break;
    }
    this.#environment.touch(found.length);
    return found;
  }

  nextDue(): number | undefined {
    const { schedule } = this.#toRead();
    for (const key of schedule.getKeys({ start: timePrefix(0), limit: 1 })) return scheduleKeyOf(key).dueAt;
    return undefined;
  }

  expired(now: number, most: number): MessageKey[] {
    const { expiry, messages } = this.#toRead();
    const found: MessageKey[] = [];
    if (most < 1) return found;
    for (const key of expiry.getKeys({ start: timePrefix(0), end: timePrefix(now + 1) })) {
      const queue = this.#state.names.get(queueNumberOf(key, 6));
      // Where a damaged message was settled, its expiry may have stayed.
      if (queue === undefined || !messages.doesExist(key.subarray(6))) continue;
      found.push(messageKeyOf(queue, key, 6));
      if (found.length >= most) break;
    }
    return found;
  }

  *queues(): Iterable<QueueHeld> {
    for (const [queue, { messages, bytes }] of this.#state.lanes) yield { queue, messages, bytes };
  }

  facts(prefix: string): Iterable<readonly [key: string, value: string]> {
    const { facts } = this.#toRead();
    const found: [key: string, value: string][] = [];
    const start = Buffer.from(prefix);
    const end = Buffer.concat([start, Buffer.of(0xff)]); // no UTF-8 has this byte
    for (const { key, value: bytes } of facts.getRange({
      start: start.length > 0 ? start : Buffer.of(0),
      end,
    })) {
      const value = unsealed(key, bytes);
      if (value === undefined) throw new StoreError('damaged', `the fact ${key} in ${this.#dir} is damaged`);
      found.push([key.toString(), value.toString()]);
    }
    return found;
  }

  get scheduled(): Held {
    return this.#state.counts.scheduled;
  }

  get lastId(): number {
    return this.#state.counts.lastId;
  }

  get size(): number {
    return statSync(join(this.#dir, 'data.mdb'), { throwIfNoEntry: false })?.size ?? 0;
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    await this.#writing;
    await this.#environment.close();
    this.#room.close();
    await this.#lock.release();
  }

  // ------------------------------------------------------------------------------------------------------- writing

  async #write(): Promise<void> {
    await turn(); // whoever else has something to keep in this turn comes along
    do {
      if (this.#waiting.length > 0) await this.#keep(this.#nextBatch());
      if (this.#isLarge()) await this.#letGo();
    } while (this.#waiting.length > 0);
    this.#writing = undefined;
  }

  #isLarge(): boolean {
    return this.#broken === undefined && this.#environment.isLarge();
  }

  async #letGo(): Promise<void> {
    await turn(); // until it is open again nothing but our own microtasks comes to run: no read falls in between
    try {
      await this.#environment.renew();
    } catch (error) {
      this.#broken = error;
    }
  }

  #nextBatch(): Waiting[] {
    let end = 0;
    let parts = 0;
    let bytes = 0;
    while (end < this.#waiting.length && parts < BATCH_PARTS && bytes < BATCH_BYTES) {
      const { append = [], schedule = [], ...rest } = (this.#waiting[end++] as Waiting).change;
      parts += append.length + schedule.length;
      for (const list of Object.values(rest)) parts += list.length;
      for (const { content } of append) bytes += content.bytes.length;
      for (const { content } of schedule) bytes += content.bytes.length;
    }
    return this.#waiting.splice(0, end);
  }

  /** Settles the promises of all of them. */
  async #keep(changes: readonly Waiting[]): Promise<void> {
    try {
      const batch = new Batch(this.#environment.tables, this.#state);
      for (const { change } of changes) batch.apply(change);
      await this.#transact(
        batch.finish(),
        changes.some(({ change }) => isGrowing(change)),
      );
      batch.confirm();
    } catch (error) {
      const failure = this.#failure(error);
      // What only takes away needs little or no space and makes some: it gets another chance by itself.
      const others = failure.code === 'full' ? changes.filter(({ change }) => !isGrowing(change)) : [];
      const isLastTry = others.length === changes.length;
      for (const each of changes) if (isLastTry || !others.includes(each)) each.reject(failure);
      if (!isLastTry && others.length > 0) await this.#keep(others);
      return;
    }
    for (const each of changes) each.resolve();
  }

  #stats(): { readonly lastPageNumber: number; readonly pageSize: number } {
    return this.#environment.root.getStats() as { lastPageNumber: number; pageSize: number };
  }

  /** All the writes in one transaction; resolves when it is on the disk. */
  async #transact(writes: readonly Write[], grows: boolean): Promise<void> {
    if (this.#broken !== undefined) throw this.#broken;
    if (writes.length === 0) return;
    const bytes = mostThatWritesTake(writes, this.#pageBytes);
    if (grows) this.#room.take(bytes);
    else this.#room.spend(bytes);
    this.#environment.touch(writes.length);
    try {
      await this.#environment.root.batch(() => {
        for (const { table, key, value } of writes) {
          if (value === undefined) void table.remove(key);
          else void table.put(key, value);
        }
      });
    } catch (error) {
      throw await causeOf(error);
    }
  }

  /** A transaction that failed left nothing behind: its pages were never pointed at, and the next one writes its own. */
  #failure(error: unknown): StoreError {
    if (this.#broken === undefined && !this.#canWrite()) this.#broken = error;
    if (this.#broken !== undefined) {
      const sentence = `${this.#dir} takes no more writes until it is opened again: ${textOf(this.#broken)}`;
      return new StoreError('failed', sentence, { cause: this.#broken });
    }
    const code = (error as { code?: unknown }).code;
    if (FULL.has(code) || (code === EIO && !hasRoom(this.#dir)))
      return new StoreError('full', `there is no space left for ${this.#dir}`, { cause: error });
    return new StoreError('failed', `${this.#dir} could not be written to: ${textOf(error)}`, { cause: error });
  }

  /** LMDB gives up for good when the page that points at the others could not be written. */
  #canWrite(): boolean {
    try {
      this.#environment.root.transactionSync(() => ABORT);
      return true;
    } catch {
      return false;
    }
  }

  /** What there is to read; now and then it has a look at how much of it is mapped. */
  #toRead(): Tables {
    if (this.#closing !== undefined) throw this.#closed();
    this.#environment.touch(0);
    if (this.#isLarge()) this.#writing ??= this.#write();
    return this.#environment.tables;
  }

  #closed(): StoreError {
    return new StoreError('closed', `the store in ${this.#dir} is closed`);
  }
}

// Pages that a transaction may add at the most, in bytes: what it writes, and a copy of every page on the way to each place.
function mostThatWritesTake(writes: readonly Write[], pageSize: number): number {
  let bytes = SPARE_PAGES * pageSize;
  for (const { value } of writes) {
    const length = value?.length ?? 0;
    bytes += pageSize + (length > pageSize / 4 ? length + pageSize : 0);
  }
  return bytes;
}

function isGrowing({ append = [], schedule = [], redelivered = [], facts = [] }: Change): boolean {
  return append.length + schedule.length + redelivered.length > 0 || facts.some(({ value }) => value !== undefined);
}

/** LMDB reports a write that was cut off as EIO, whether the disk is full or broken: so we write something ourselves. */
function hasRoom(dir: string): boolean {
  const probe = join(dir, 'probe');
  try {
    writeFileSync(probe, Buffer.alloc(PROBE_BYTES), { flush: true });
    return true;
  } catch {
    return false;
  } finally {
    rmSync(probe, { force: true });
  }
}

/** lmdb rejects with an error that promises the real one. */
async function causeOf(error: unknown): Promise<unknown> {
  try {
    await (error as { commitError?: Promise<never> }).commitError;
    return error;
  } catch (cause) {
    return cause;
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
