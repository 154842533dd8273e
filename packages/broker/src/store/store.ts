// Where an engine keeps what must outlive the process: the port, in the engine's words.
//
// One verb writes, so a SEND, an ACK, a COMMIT, a move to the dead letters and a new
// subscription need no mechanisms of their own. Nothing leaves by being read; it leaves
// when it is settled. So a crash at any line can repeat a delivery and cannot lose one.

import type { Content } from '@stompbox/protocol';

/** Where a message stands. Delivery order within a queue is by priority, highest first, then by id. */
export interface MessageKey {
  readonly queue: string;
  /** 0 to 9. */
  readonly priority: number;
  /** Ascends over the life of the store and is never used again; the engine counts on from `lastId`. */
  readonly id: number;
}

/** A message as it is kept. Times are in milliseconds since 1970. */
export interface StoredMessage extends MessageKey {
  /** As consumers see it. */
  readonly destination: string;
  readonly content: Content;
  readonly sentAt: number;
  /** 0: never. */
  readonly expiresAt: number;
  /** How often it was delivered before. */
  readonly redeliveries: number;
  /** What the broker itself tells consumers about it: where a dead letter came from, and why. */
  readonly notes?: readonly (readonly [name: string, value: string])[];
}

/** Where a message stands that waits for its time. */
export interface ScheduleKey {
  readonly dueAt: number;
  readonly id: number;
}

/** It is in no queue yet; `queue` is the engine's note to itself. */
export interface ScheduledMessage extends StoredMessage, ScheduleKey {}

/** What belongs together. Within a change, things come before they go. */
export interface Change {
  readonly append?: readonly StoredMessage[];
  readonly schedule?: readonly ScheduledMessage[];
  /** Delivery counts that must survive; nothing happens for what is not there. */
  readonly redelivered?: readonly (MessageKey & { readonly redeliveries: number })[];
  /** Unknown keys are fine: an ACK may be repeated. */
  readonly settle?: readonly MessageKey[];
  readonly unschedule?: readonly ScheduleKey[];
  /** Small named facts, such as durable subscriptions; `undefined` forgets one. */
  readonly facts?: readonly { readonly key: string; readonly value: string | undefined }[];
}

/** The most to read at a time. At least one message comes, however large. */
export interface Portion {
  readonly messages: number;
  /** Of content. */
  readonly bytes: number;
}

/** Messages and bytes of their contents. */
export interface Held {
  readonly messages: number;
  readonly bytes: number;
}

export interface QueueHeld extends Held {
  readonly queue: string;
}

/** What readers see are whole changes, in the order of the calls: every confirmed one, perhaps some that are on their way. */
export interface Store {
  /**
   * All of it is kept, or none of it; resolves once it is, as firmly as `survives` says. Only then may a RECEIPT be sent.
   * The order of the calls is the order of the effects; whoever waits at the same time shares one flush.
   * Rejects with StoreError 'full' or 'failed', and with RangeError for what no store can keep.
   */
  commit(change: Change): Promise<void>;
  /** In delivery order, the ones after `after`. Throws StoreError 'damaged' when the first of them is. */
  read(queue: string, after: MessageKey | undefined, most: Portion): StoredMessage[];
  /** The scheduled messages whose time has come, oldest first. Throws StoreError 'damaged' when the first of them is. */
  due(now: number, most: Portion): ScheduledMessage[];
  /** When `due` will have something. */
  nextDue(): number | undefined;
  /** The messages in queues whose `expiresAt` has come, oldest first; idle queues included. */
  expired(now: number, most: number): MessageKey[];
  /** The queues that hold something, from counts that are kept with every change: as cheap with ten million messages. */
  queues(): Iterable<QueueHeld>;
  /** In no promised order. */
  facts(prefix: string): Iterable<readonly [key: string, value: string]>;
  readonly scheduled: Held;
  /** The highest id that was ever kept. */
  readonly lastId: number;
  /** Bytes on disk. */
  readonly size: number;
  /** What a resolved `commit` survives. */
  readonly survives: 'nothing' | 'power-cut';
  /** After the commits that were called before. Those called later are rejected. */
  close(): Promise<void>;
}

export type StoreErrorCode =
  | 'full' // no space: nothing of the change was kept; try again when there is some
  | 'failed' // the disk would not: nothing of the change was kept; the message tells whether to open the store again
  | 'damaged' // what is on disk is not what was written
  | 'locked' // another process, or this one, has it open
  | 'newer' // written by a later Stompbox
  | 'closed';

/** The store could not. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: StoreErrorCode;
  /** The damaged message: settle or unschedule it to read on. */
  readonly key: MessageKey | ScheduleKey | undefined;
  constructor(
    code: StoreErrorCode,
    message: string,
    options: { readonly cause?: unknown; readonly key?: MessageKey | ScheduleKey } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.key = options.key;
  }
}

const MAX_48_BITS = 2 ** 48 - 1;
const MAX_FACT_KEY_BYTES = 1_024;

/** Throws a RangeError for what no store can keep. */
export function checkChange(change: Change): void {
  const { append = [], schedule = [], redelivered = [], settle = [], unschedule = [], facts = [] } = change;
  for (const message of append) checkMessage(message);
  for (const message of schedule) {
    checkMessage(message);
    checkNumber('dueAt', message.dueAt, 0, MAX_48_BITS);
  }
  for (const { redeliveries } of redelivered) checkNumber('redeliveries', redeliveries, 0, 2 ** 32 - 1);
  for (const key of redelivered) checkKey(key);
  for (const key of settle) checkKey(key);
  for (const { dueAt, id } of unschedule) {
    checkNumber('dueAt', dueAt, 0, MAX_48_BITS);
    checkNumber('id', id, 1, MAX_48_BITS);
  }
  for (const { key } of facts) {
    const bytes = Buffer.byteLength(key);
    if (bytes < 1 || bytes > MAX_FACT_KEY_BYTES)
      throw new RangeError(`a fact's key has 1 to ${MAX_FACT_KEY_BYTES} bytes, not ${bytes}`);
  }
}

function checkMessage(message: StoredMessage): void {
  checkKey(message);
  checkNumber('expiresAt', message.expiresAt, 0, MAX_48_BITS);
  checkNumber('redeliveries', message.redeliveries, 0, 2 ** 32 - 1);
}

function checkKey({ priority, id }: MessageKey): void {
  checkNumber('priority', priority, 0, 9);
  checkNumber('id', id, 1, MAX_48_BITS);
}

function checkNumber(name: string, value: number, least: number, most: number): void {
  if (!(Number.isInteger(value) && value >= least && value <= most))
    throw new RangeError(`${name} is a whole number from ${least} to ${most}, not ${value}`);
}
