// Keys and values as bytes.
//
// Keys sort as their bytes do, so a range of them is the order in which messages are
// delivered, expire or fall due:
//
//   message    queue number (4)  9 - priority (1)  id (6)
//   expiry     time (6)  then the message's key
//   schedule   time (6)  id (6)
//
// A record is a fixed head, little endian, then the parts whose lengths the head gives.
// The checksum covers the key, too: a record in the wrong place is as damaged as one
// with a wrong bit.
//
//    0  crc32 of the key and of all that follows here
//    4  version of this encoding   5  priority   6  0   7  0
//    8  redeliveries              12  where the body begins in the content
//   16  sentAt (float64)          24  expiresAt (float64)
//   32  bytes of the queue        36  bytes of the destination   40  bytes of the notes
//   44  queue (empty in a queue), destination, notes (JSON, or empty), content

import { crc32 } from 'node:zlib';
import { Content } from '@stompbox/protocol';
import type { MessageKey, ScheduledMessage, ScheduleKey, StoredMessage } from './store.ts';

const RECORD_VERSION = 1;
const HEAD = 44;

export const MESSAGE_KEY_BYTES = 11;

export function messageKey(queue: number, priority: number, id: number): Buffer {
  const key = Buffer.allocUnsafe(MESSAGE_KEY_BYTES);
  key.writeUInt32BE(queue, 0);
  key[4] = 9 - priority;
  key.writeUIntBE(id, 5, 6);
  return key;
}

/** Before all keys of that queue. */
export function queueStart(queue: number): Buffer {
  const key = Buffer.alloc(MESSAGE_KEY_BYTES);
  key.writeUInt32BE(queue, 0);
  return key;
}

export function queueNumberOf(key: Buffer, at = 0): number {
  return key.readUInt32BE(at);
}

export function messageKeyOf(queue: string, key: Buffer, at = 0): MessageKey {
  return { queue, priority: 9 - (key[at + 4] as number), id: key.readUIntBE(at + 5, 6) };
}

export function expiryKey(expiresAt: number, message: Buffer): Buffer {
  const key = Buffer.allocUnsafe(6 + MESSAGE_KEY_BYTES);
  key.writeUIntBE(expiresAt, 0, 6);
  key.set(message, 6);
  return key;
}

export function scheduleKey(dueAt: number, id: number): Buffer {
  const key = Buffer.allocUnsafe(12);
  key.writeUIntBE(dueAt, 0, 6);
  key.writeUIntBE(id, 6, 6);
  return key;
}

export function scheduleKeyOf(key: Buffer): ScheduleKey {
  return { dueAt: key.readUIntBE(0, 6), id: key.readUIntBE(6, 6) };
}

/** The 6 bytes that expiry and schedule keys of that time or later begin with, or follow. */
export function timePrefix(time: number): Buffer {
  const prefix = Buffer.allocUnsafe(6);
  prefix.writeUIntBE(Math.min(Math.max(Math.floor(time), 0), 2 ** 48 - 1), 0, 6);
  return prefix;
}

/** `queue` is empty where the key tells it. */
export function encodeRecord(key: Buffer, message: StoredMessage, queue: string): Buffer {
  const { content, destination, notes } = message;
  const queueBytes = queue === '' ? 0 : Buffer.byteLength(queue);
  const destinationBytes = Buffer.byteLength(destination);
  const notesText = notes === undefined || notes.length === 0 ? '' : JSON.stringify(notes);
  const notesBytes = notesText === '' ? 0 : Buffer.byteLength(notesText);
  const contentAt = HEAD + queueBytes + destinationBytes + notesBytes;

  const record = Buffer.allocUnsafe(contentAt + content.bytes.length);
  record.writeUInt32LE(RECORD_VERSION + (message.priority << 8), 4);
  record.writeUInt32LE(message.redeliveries, 8);
  record.writeUInt32LE(content.bodyAt, 12);
  record.writeDoubleLE(message.sentAt, 16);
  record.writeDoubleLE(message.expiresAt, 24);
  record.writeUInt32LE(queueBytes, 32);
  record.writeUInt32LE(destinationBytes, 36);
  record.writeUInt32LE(notesBytes, 40);
  if (queueBytes > 0) record.write(queue, HEAD);
  record.write(destination, HEAD + queueBytes);
  if (notesBytes > 0) record.write(notesText, HEAD + queueBytes + destinationBytes);
  record.set(content.bytes, contentAt);
  record.writeUInt32LE(checksum(key, record), 0);
  return record;
}

/**
 * Undefined: damaged. The content is a view into `record`, which must not change any more.
 * `redeliveries`: where it is another number than the record says.
 */
export function decodeMessage(
  key: Buffer,
  record: Buffer,
  queue: string,
  redeliveries?: number,
): StoredMessage | undefined {
  if (!isWhole(key, record)) return undefined;
  return decode(record, queue, 9 - (key[4] as number), key.readUIntBE(5, 6), redeliveries ?? record.readUInt32LE(8));
}

/** The same for a scheduled one. */
export function decodeScheduled(key: Buffer, record: Buffer): ScheduledMessage | undefined {
  if (!isWhole(key, record)) return undefined;
  const { dueAt, id } = scheduleKeyOf(key);
  const queue = record.toString('utf8', HEAD, HEAD + record.readUInt32LE(32));
  return { ...decode(record, queue, record[5] as number, id, record.readUInt32LE(8)), dueAt };
}

function decode(record: Buffer, queue: string, priority: number, id: number, redeliveries: number): StoredMessage {
  const destinationAt = HEAD + record.readUInt32LE(32);
  const notesAt = destinationAt + record.readUInt32LE(36);
  const contentAt = notesAt + record.readUInt32LE(40);
  const message = {
    queue,
    priority,
    id,
    destination: record.toString('utf8', destinationAt, notesAt),
    content: new Content(record.subarray(contentAt), record.readUInt32LE(12)),
    sentAt: record.readDoubleLE(16),
    expiresAt: record.readDoubleLE(24),
    redeliveries,
  };
  if (contentAt === notesAt) return message;
  return { ...message, notes: JSON.parse(record.toString('utf8', notesAt, contentAt)) as [string, string][] };
}

/** What settling must know of a record, without reading it all. For a damaged one the best guess. */
export function outlineOf(record: Buffer): { readonly expiresAt: number; readonly bytes: number } {
  if (record.length < HEAD) return { expiresAt: 0, bytes: 0 };
  const contentAt = HEAD + record.readUInt32LE(32) + record.readUInt32LE(36) + record.readUInt32LE(40);
  const expiresAt = record.readDoubleLE(24);
  const isTime = Number.isInteger(expiresAt) && expiresAt >= 0 && expiresAt < 2 ** 48;
  return { expiresAt: isTime ? expiresAt : 0, bytes: Math.max(0, record.length - contentAt) };
}

function isWhole(key: Buffer, record: Buffer): boolean {
  return record.length >= HEAD && record[4] === RECORD_VERSION && record.readUInt32LE(0) === checksum(key, record);
}

function checksum(key: Buffer, record: Buffer): number {
  return crc32(record.subarray(4), crc32(key));
}

/** A small value with its checksum before it. */
export function sealed(key: Buffer, value: Buffer): Buffer {
  const seal = Buffer.allocUnsafe(4);
  seal.writeUInt32LE(crc32(value, crc32(key)), 0);
  return Buffer.concat([seal, value]);
}

/** Undefined: damaged. */
export function unsealed(key: Buffer, bytes: Buffer): Buffer | undefined {
  if (bytes.length < 4) return undefined;
  const value = bytes.subarray(4);
  return bytes.readUInt32LE(0) === crc32(value, crc32(key)) ? value : undefined;
}
