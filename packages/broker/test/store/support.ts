import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Content } from '@stompbox/protocol';
import type { Portion, ScheduledMessage, StoredMessage } from '../../src/store/store.ts';

export const ALL: Portion = { messages: 1e9, bytes: Number.POSITIVE_INFINITY };

export function content(body: string | Uint8Array = 'hello', headers = 'content-type:text/plain\n'): Content {
  const head = Buffer.from(`content-length:${Buffer.byteLength(body)}\n${headers}\n`);
  const text = typeof body === 'string' ? Buffer.from(body) : body;
  return new Content(Buffer.concat([head, text, Buffer.of(0)]), head.length);
}

export function message(id: number, rest: Partial<Omit<StoredMessage, 'id'>> = {}): StoredMessage {
  const queue = rest.queue ?? 'orders';
  return {
    id,
    queue,
    priority: 4,
    destination: `/queue/${queue}`,
    content: content(`message ${id}`),
    sentAt: 1_700_000_000_000 + id,
    expiresAt: 0,
    redeliveries: 0,
    ...rest,
  };
}

export function scheduled(id: number, dueAt: number, rest: Partial<Omit<StoredMessage, 'id'>> = {}): ScheduledMessage {
  return { ...message(id, rest), dueAt };
}

/** What a test compares: contents as their bytes, properties always in one order. */
export function plain(messages: readonly (StoredMessage & { readonly dueAt?: number })[]): object[] {
  return messages.map(({ content: { bytes, bodyAt }, ...rest }) => ({
    ...Object.fromEntries(Object.entries(rest).sort()),
    bodyAt,
    content: Buffer.from(bytes).toString('latin1'),
  }));
}

export function ids(messages: readonly { readonly id: number }[]): number[] {
  return messages.map(({ id }) => id);
}

/** A folder that is gone at the end of the test. */
export function folder(onTestFinished: (clear: () => void) => void): string {
  const dir = mkdtempSync(join(tmpdir(), 'stompbox-store-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** The same numbers for the same seed. */
export function random(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}
