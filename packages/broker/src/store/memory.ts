// The store of tests, and of brokers that may forget: it keeps while the process lives.

import { Sorted } from './sorted.ts';
import {
  type Change,
  checkChange,
  type Held,
  type MessageKey,
  type Portion,
  type QueueHeld,
  type ScheduledMessage,
  type ScheduleKey,
  type Store,
  type StoredMessage,
  StoreError,
} from './store.ts';

interface Kept<M extends StoredMessage> {
  message: M;
  isGone: boolean;
}

interface Lane {
  readonly byPriority: Sorted<Kept<StoredMessage>>[];
  messages: number;
  bytes: number;
}

export function memoryStore(): Store {
  return new MemoryStore();
}

class MemoryStore implements Store {
  readonly survives = 'nothing';
  readonly size = 0;
  readonly #lanes = new Map<string, Lane>();
  readonly #byId = new Map<number, Kept<StoredMessage>>();
  readonly #expiring = new Sorted<Kept<StoredMessage>>(
    ({ message: a }, { message: b }) => a.expiresAt - b.expiresAt || a.id - b.id,
  );
  readonly #waiting = new Sorted<Kept<ScheduledMessage>>(
    ({ message: a }, { message: b }) => a.dueAt - b.dueAt || a.id - b.id,
  );
  readonly #waitingById = new Map<number, Kept<ScheduledMessage>>();
  readonly #facts = new Map<string, string>();
  #waitingBytes = 0;
  #lastId = 0;
  #isClosed = false;

  async commit(change: Change): Promise<void> {
    if (this.#isClosed) throw new StoreError('closed', 'the store is closed');
    checkChange(change);
    for (const message of change.append ?? []) this.#append(message);
    for (const message of change.schedule ?? []) this.#schedule(message);
    for (const { redeliveries, ...key } of change.redelivered ?? []) {
      const kept = this.#find(key);
      if (kept !== undefined) kept.message = { ...kept.message, redeliveries };
    }
    for (const key of change.settle ?? []) this.#settle(key);
    for (const key of change.unschedule ?? []) this.#unschedule(key);
    for (const { key, value } of change.facts ?? []) {
      if (value === undefined) this.#facts.delete(key);
      else this.#facts.set(key, value);
    }
  }

  read(queue: string, after: MessageKey | undefined, most: Portion): StoredMessage[] {
    const found: StoredMessage[] = [];
    const lane = this.#lanes.get(queue);
    let bytes = 0;
    for (let priority = after?.priority ?? 9; priority >= 0; priority--) {
      const past = after?.priority === priority ? after.id + 1 : 0;
      for (const { message } of lane?.byPriority[priority]?.from((kept) => kept.message.id - past) ?? []) {
        if (found.length >= most.messages || (found.length > 0 && bytes >= most.bytes)) return found;
        found.push(message);
        bytes += bytesOf(message);
      }
    }
    return found;
  }

  due(now: number, most: Portion): ScheduledMessage[] {
    const found: ScheduledMessage[] = [];
    let bytes = 0;
    for (const { message } of this.#waiting.from()) {
      if (message.dueAt > now || found.length >= most.messages) break;
      if (found.length > 0 && bytes >= most.bytes) break;
      found.push(message);
      bytes += bytesOf(message);
    }
    return found;
  }

  nextDue(): number | undefined {
    return this.#waiting.first?.message.dueAt;
  }

  expired(now: number, most: number): MessageKey[] {
    const found: MessageKey[] = [];
    for (const { message } of this.#expiring.from()) {
      if (message.expiresAt > now || found.length >= most) break;
      const { queue, priority, id } = message;
      found.push({ queue, priority, id });
    }
    return found;
  }

  *queues(): Iterable<QueueHeld> {
    for (const [queue, { messages, bytes }] of this.#lanes) yield { queue, messages, bytes };
  }

  *facts(prefix: string): Iterable<readonly [key: string, value: string]> {
    for (const fact of this.#facts) if (fact[0].startsWith(prefix)) yield fact;
  }

  get scheduled(): Held {
    return { messages: this.#waitingById.size, bytes: this.#waitingBytes };
  }

  get lastId(): number {
    return this.#lastId;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
  }

  #append(message: StoredMessage): void {
    const { queue, priority, id, expiresAt } = message;
    this.#settle(this.#byId.get(id)?.message);
    const kept = { message, isGone: false };
    const lane = this.#lanes.get(queue) ?? { byPriority: [], messages: 0, bytes: 0 };
    this.#lanes.set(queue, lane);
    lane.byPriority[priority] ??= new Sorted(({ message: a }, { message: b }) => a.id - b.id);
    lane.byPriority[priority].add(kept);
    lane.messages++;
    lane.bytes += bytesOf(message);
    this.#byId.set(id, kept);
    if (expiresAt > 0) this.#expiring.add(kept);
    this.#lastId = Math.max(this.#lastId, id);
  }

  #settle(key: MessageKey | undefined): void {
    const kept = key && this.#find(key);
    const lane = key && this.#lanes.get(key.queue);
    if (kept === undefined || lane === undefined) return;
    kept.isGone = true;
    this.#byId.delete(kept.message.id);
    lane.byPriority[kept.message.priority]?.left();
    lane.messages--;
    lane.bytes -= bytesOf(kept.message);
    if (lane.messages === 0) this.#lanes.delete(kept.message.queue);
    if (kept.message.expiresAt > 0) this.#expiring.left();
  }

  #find({ queue, priority, id }: MessageKey): Kept<StoredMessage> | undefined {
    const kept = this.#byId.get(id);
    return kept?.message.queue === queue && kept.message.priority === priority ? kept : undefined;
  }

  #schedule(message: ScheduledMessage): void {
    const { id, dueAt } = message;
    this.#unschedule({ dueAt, id });
    const kept = { message, isGone: false };
    this.#waiting.add(kept);
    this.#waitingById.set(id, kept);
    this.#waitingBytes += bytesOf(message);
    this.#lastId = Math.max(this.#lastId, id);
  }

  #unschedule({ dueAt, id }: ScheduleKey): void {
    const kept = this.#waitingById.get(id);
    if (kept?.message.dueAt !== dueAt) return;
    kept.isGone = true;
    this.#waitingById.delete(id);
    this.#waiting.left();
    this.#waitingBytes -= bytesOf(kept.message);
  }
}

function bytesOf({ content }: StoredMessage): number {
  return content.bytes.length;
}
