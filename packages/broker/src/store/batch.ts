// Changes on their way into one transaction.
//
// `apply` looks up what it must know and notes what is to be written; nothing is written
// and the state stays as it is, until `confirm` says that the transaction is durable.

import type { Table } from './layout.ts';
import { encodeRecord, expiryKey, messageKey, outlineOf, scheduleKey, sealed } from './record.ts';
import type { Change, Held, MessageKey, ScheduledMessage, ScheduleKey, StoredMessage } from './store.ts';
import { countsEntry, type Lane, laneKey, laneValue, type State, type Tables } from './tables.ts';

/** Without a value, the key goes. */
export interface Write {
  readonly table: Table;
  readonly key: Buffer;
  readonly value: Buffer | undefined;
}

interface Outline {
  readonly expiresAt: number;
  readonly bytes: number;
}

interface Placed extends Outline, MessageKey {}

const EMPTY = Buffer.alloc(0);

export class Batch {
  readonly #tables: Tables;
  readonly #state: State;
  readonly #writes: Write[] = [];
  readonly #lanes = new Map<string, Lane>(); // the ones touched
  readonly #messages = new Map<number, Placed | undefined>(); // by id: come, or gone, in this batch
  readonly #schedule = new Map<number, (ScheduleKey & Outline) | undefined>();
  readonly #redeliveries = new Map<number, number | undefined>();
  #freeTaken = 0;
  #nextNumber: number;
  #lastId: number;
  #scheduled: Held;

  constructor(tables: Tables, state: State) {
    this.#tables = tables;
    this.#state = state;
    this.#nextNumber = state.nextNumber;
    this.#lastId = state.counts.lastId;
    this.#scheduled = state.counts.scheduled;
  }

  apply(change: Change): void {
    for (const message of change.append ?? []) this.#append(message);
    for (const message of change.schedule ?? []) this.#add(message);
    for (const { redeliveries, ...key } of change.redelivered ?? []) this.#mark(key, redeliveries);
    for (const key of change.settle ?? []) this.#settle(key);
    for (const key of change.unschedule ?? []) this.#unschedule(key);
    for (const { key, value } of change.facts ?? []) {
      const bytes = Buffer.from(key);
      this.#write(this.#tables.facts, bytes, value === undefined ? undefined : sealed(bytes, Buffer.from(value)));
    }
  }

  /** All that `apply` noted, and the counts. Empty where there is nothing to do. */
  finish(): readonly Write[] {
    if (this.#writes.length === 0) return this.#writes;
    for (const [queue, lane] of this.#lanes) {
      const key = laneKey(lane.number);
      this.#write(this.#tables.queues, key, lane.messages === 0 ? undefined : laneValue(key, queue, lane));
    }
    const [key, value] = countsEntry(this.#newCounts);
    this.#write(this.#tables.meta, key, value);
    return this.#writes;
  }

  /** The writes are durable. */
  confirm(): void {
    const state = this.#state;
    state.nextNumber = this.#nextNumber;
    state.freeNumbers.length -= this.#freeTaken;
    for (const [queue, lane] of this.#lanes) {
      if (lane.messages > 0) {
        state.lanes.set(queue, lane);
        state.names.set(lane.number, queue);
      } else {
        state.lanes.delete(queue);
        state.names.delete(lane.number);
        state.freeNumbers.push(lane.number);
      }
    }
    for (const [id, redeliveries] of this.#redeliveries) {
      if (redeliveries === undefined) state.redeliveries.delete(id);
      else state.redeliveries.set(id, redeliveries);
    }
    state.counts = this.#newCounts;
  }

  get #newCounts(): State['counts'] {
    return { lastId: this.#lastId, scheduled: this.#scheduled };
  }

  #append(message: StoredMessage): void {
    const { queue, priority, id, expiresAt, content } = message;
    if (id <= this.#lastId)
      this.#settle({ queue, priority, id }); // not a new id: perhaps it is there
    else this.#lastId = id;
    const lane = this.#laneToFill(queue);
    const key = messageKey(lane.number, priority, id);
    this.#write(this.#tables.messages, key, encodeRecord(key, message, ''));
    if (expiresAt > 0) this.#write(this.#tables.expiry, expiryKey(expiresAt, key), EMPTY);
    this.#messages.set(id, { queue, priority, id, expiresAt, bytes: content.bytes.length });
    this.#hold(queue, lane, 1, content.bytes.length);
  }

  #settle(wanted: MessageKey): void {
    const lane = this.#laneOf(wanted.queue);
    if (lane === undefined) return;
    const key = messageKey(lane.number, wanted.priority, wanted.id);
    const outline = this.#outline(wanted, key);
    if (outline === undefined) return;
    this.#write(this.#tables.messages, key, undefined);
    if (outline.expiresAt > 0) this.#write(this.#tables.expiry, expiryKey(outline.expiresAt, key), undefined);
    if (this.#isRedelivered(wanted.id)) {
      this.#write(this.#tables.redelivered, key, undefined);
      this.#redeliveries.set(wanted.id, undefined);
    }
    this.#messages.set(wanted.id, undefined);
    this.#hold(wanted.queue, lane, -1, -outline.bytes);
  }

  #mark(wanted: MessageKey, redeliveries: number): void {
    const lane = this.#laneOf(wanted.queue);
    if (lane === undefined) return;
    const key = messageKey(lane.number, wanted.priority, wanted.id);
    if (this.#outline(wanted, key) === undefined) return;
    const value = Buffer.allocUnsafe(4);
    value.writeUInt32LE(redeliveries, 0);
    this.#write(this.#tables.redelivered, key, sealed(key, value));
    this.#redeliveries.set(wanted.id, redeliveries);
  }

  #add(message: ScheduledMessage): void {
    const { dueAt, id, queue, content } = message;
    if (id <= this.#lastId) this.#unschedule({ dueAt, id });
    else this.#lastId = id;
    const key = scheduleKey(dueAt, id);
    this.#write(this.#tables.schedule, key, encodeRecord(key, message, queue));
    const bytes = content.bytes.length;
    this.#schedule.set(id, { dueAt, id, bytes, expiresAt: 0 });
    this.#scheduled = { messages: this.#scheduled.messages + 1, bytes: this.#scheduled.bytes + bytes };
  }

  #unschedule({ dueAt, id }: ScheduleKey): void {
    const key = scheduleKey(dueAt, id);
    const noted = this.#schedule.get(id);
    const outline =
      noted?.dueAt === dueAt ? noted : this.#schedule.has(id) ? undefined : stored(this.#tables.schedule, key);
    if (outline === undefined) return;
    this.#write(this.#tables.schedule, key, undefined);
    this.#schedule.set(id, undefined);
    const { messages, bytes } = this.#scheduled;
    this.#scheduled = { messages: messages - 1, bytes: messages === 1 ? 0 : Math.max(0, bytes - outline.bytes) };
  }

  /** Of the message, if it is there. */
  #outline({ queue, priority, id }: MessageKey, key: Buffer): Outline | undefined {
    if (!this.#messages.has(id)) return stored(this.#tables.messages, key);
    const placed = this.#messages.get(id);
    return placed?.queue === queue && placed.priority === priority ? placed : undefined;
  }

  #isRedelivered(id: number): boolean {
    if (this.#redeliveries.has(id)) return this.#redeliveries.get(id) !== undefined;
    return this.#state.redeliveries.has(id);
  }

  #laneOf(queue: string): Lane | undefined {
    return this.#lanes.get(queue) ?? this.#state.lanes.get(queue);
  }

  #laneToFill(queue: string): Lane {
    return this.#laneOf(queue) ?? { number: this.#takeNumber(), messages: 0, bytes: 0 };
  }

  #takeNumber(): number {
    const { freeNumbers } = this.#state;
    if (this.#freeTaken === freeNumbers.length) return this.#nextNumber++;
    this.#freeTaken++;
    return freeNumbers[freeNumbers.length - this.#freeTaken] as number;
  }

  /** A damaged record may have told the wrong length; an empty queue has no bytes whatever it told. */
  #hold(queue: string, { number, messages, bytes }: Lane, more: 1 | -1, moreBytes: number): void {
    const left = messages + more;
    this.#lanes.set(queue, { number, messages: left, bytes: left === 0 ? 0 : Math.max(0, bytes + moreBytes) });
  }

  #write(table: Table, key: Buffer, value: Buffer | undefined): void {
    this.#writes.push({ table, key, value });
  }
}

function stored(table: Table, key: Buffer): Outline | undefined {
  const record = table.getBinaryFast(key);
  return record === undefined ? undefined : outlineOf(record);
}
