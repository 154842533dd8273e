// The tables inside data.mdb, and what is known of them without reading all.

import { openTable, type Root, type Table } from './layout.ts';
import { queueNumberOf, sealed, unsealed } from './record.ts';
import { type Held, StoreError } from './store.ts';

export interface Tables {
  /** Key of a message -> its record. */
  readonly messages: Table;
  /** Time and key of a message -> nothing. */
  readonly expiry: Table;
  /** Time and id -> the record of a scheduled message. */
  readonly schedule: Table;
  /** Key of a message -> how often it was delivered, where that is not what its record says. */
  readonly redelivered: Table;
  /** Number of a queue -> its name and what it holds. */
  readonly queues: Table;
  /** Key of a fact -> its value. */
  readonly facts: Table;
  /** `counts`: the last id and what is scheduled; `version`: see layout.ts. */
  readonly meta: Table;
}

export function openTables(root: Root): Tables {
  return {
    messages: openTable(root, 'messages'),
    expiry: openTable(root, 'expiry'),
    schedule: openTable(root, 'schedule'),
    redelivered: openTable(root, 'redelivered'),
    queues: openTable(root, 'queues'),
    facts: openTable(root, 'facts'),
    meta: openTable(root, 'meta'),
  };
}

/** A queue that holds something. */
export interface Lane extends Held {
  /** Stands for its name in keys; free for another queue once this one is empty. */
  readonly number: number;
}

export interface Counts {
  readonly lastId: number;
  readonly scheduled: Held;
}

/** What is kept, as of the last transaction. */
export interface State {
  readonly lanes: Map<string, Lane>;
  readonly names: Map<number, string>;
  readonly freeNumbers: number[];
  nextNumber: number;
  /** By message id. */
  readonly redeliveries: Map<number, number>;
  counts: Counts;
}

const COUNTS = Buffer.from('counts');

export function laneKey(number: number): Buffer {
  const key = Buffer.allocUnsafe(4);
  key.writeUInt32BE(number, 0);
  return key;
}

export function laneValue(key: Buffer, queue: string, { messages, bytes }: Held): Buffer {
  const value = Buffer.allocUnsafe(16 + Buffer.byteLength(queue));
  value.writeDoubleLE(messages, 0);
  value.writeDoubleLE(bytes, 8);
  value.write(queue, 16);
  return sealed(key, value);
}

export function countsEntry({ lastId, scheduled }: Counts): readonly [key: Buffer, value: Buffer] {
  const value = Buffer.allocUnsafe(24);
  value.writeDoubleLE(lastId, 0);
  value.writeDoubleLE(scheduled.messages, 8);
  value.writeDoubleLE(scheduled.bytes, 16);
  return [COUNTS, sealed(COUNTS, value)];
}

/** Throws StoreError 'damaged' where the counts and what they count disagree. */
export function readState(tables: Tables, dir: string): State {
  const lanes = new Map<string, Lane>();
  const names = new Map<number, string>();
  let messages = 0;
  let nextNumber = 1;
  for (const { key, value: bytes } of tables.queues.getRange()) {
    const value = unsealed(key, bytes);
    if (value === undefined)
      throw damaged(dir, `the counts of queue number ${queueNumberOf(key)} are not what was written`);
    const number = queueNumberOf(key);
    const queue = value.toString('utf8', 16);
    const lane = { number, messages: value.readDoubleLE(0), bytes: value.readDoubleLE(8) };
    lanes.set(queue, lane);
    names.set(number, queue);
    messages += lane.messages;
    nextNumber = number + 1;
  }
  const freeNumbers: number[] = [];
  for (let number = 1; number < nextNumber; number++) if (!names.has(number)) freeNumbers.push(number);

  const counts = readCounts(tables, dir);
  compare(dir, 'messages', messages, tables.messages);
  compare(dir, 'scheduled messages', counts.scheduled.messages, tables.schedule);

  const redeliveries = new Map<number, number>();
  for (const { key, value: bytes } of tables.redelivered.getRange()) {
    const value = unsealed(key, bytes);
    if (value === undefined) throw damaged(dir, 'a delivery count is not what was written');
    redeliveries.set(key.readUIntBE(5, 6), value.readUInt32LE(0));
  }
  return { lanes, names, freeNumbers, nextNumber, redeliveries, counts };
}

function readCounts({ meta }: Tables, dir: string): Counts {
  const bytes = meta.getBinary(COUNTS);
  if (bytes === undefined) return { lastId: 0, scheduled: { messages: 0, bytes: 0 } };
  const value = unsealed(COUNTS, bytes);
  if (value === undefined) throw damaged(dir, 'the last id is not what was written');
  const scheduled = { messages: value.readDoubleLE(8), bytes: value.readDoubleLE(16) };
  return { lastId: value.readDoubleLE(0), scheduled };
}

function compare(dir: string, what: string, expected: number, table: Table): void {
  const { entryCount } = table.getStats() as { entryCount: number };
  if (entryCount !== expected) throw damaged(dir, `there should be ${expected} ${what} and there are ${entryCount}`);
}

function damaged(dir: string, what: string): StoreError {
  return new StoreError('damaged', `${dir} is damaged (${what}); nothing was changed: restore it from a backup`);
}
