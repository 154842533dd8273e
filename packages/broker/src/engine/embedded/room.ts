// How much there is, where, and whether there is room for more: every limit is checked
// here, before anything has an effect.

import type { Held } from '../../store/store.ts';
import { EngineError, PLAIN, type Send } from '../engine.ts';
import { weightOf } from './delivery.ts';
import type { EmbeddedEngineOptions, WhenFull } from './options.ts';

/** A queue, as far as its limits go. */
interface Filled {
  readonly length: number;
  readonly bytes: number;
  readonly unsettled: number;
}

/** What the limits are about. */
export interface RoomOwner {
  readonly queues: ReadonlyMap<string, Filled>;
  /** In the store's schedule. */
  scheduled(): Held;
  /** What is scheduled, and what durable subscriptions gather, is on disk. */
  readonly durable: boolean;
  /** Whether the store has the messages of a queue. */
  keeps(queue: string): boolean;
  /** Whether durable subscriptions gather messages of a topic. */
  gathers(topic: string): boolean;
}

/** What the sends of one piece of work, before the one that is looked at, add to the engine. */
interface Load {
  messages: number;
  bytes: number;
}

const NOTHING: Load = { messages: 0, bytes: 0 };

export class Room {
  readonly #owner: RoomOwner;
  readonly #options: EmbeddedEngineOptions;
  readonly #whenFull: WhenFull;
  #bytes = 0;
  #memoryBytes = 0;

  constructor(owner: RoomOwner, options: EmbeddedEngineOptions) {
    this.#owner = owner;
    this.#options = options;
    this.#whenFull = options.whenFull ?? 'refuse';
  }

  /** Of all messages, wherever they are. */
  get bytes(): number {
    return this.#bytes;
  }
  /** Of those that are in memory and nowhere else. */
  get memoryBytes(): number {
    return this.#memoryBytes;
  }

  weigh(bytes: number, where: 'memory' | 'store'): void {
    this.#bytes += bytes;
    if (where === 'memory') this.#memoryBytes += bytes;
  }

  /** Whether `bytes` more would be too many in memory. */
  wouldOverflow(bytes: number): boolean {
    return this.#memoryBytes + bytes > this.#options.maxMemoryBytes;
  }

  /** Throws where there is no room for one queue more. */
  admitQueue(): void {
    if (this.#owner.queues.size >= this.#options.maxQueues) throw tooMany(this.#options.maxQueues);
  }

  /** Refuses as a whole what would break a limit together (T-06). */
  admitAll(sends: readonly Send[]): void {
    const byQueue = new Map<string, Load>();
    const all = { ...NOTHING };
    let newQueues = 0;
    for (let at = 0; at < sends.length; at++) {
      const send = sends[at] as Send;
      if (send.destination.kind === 'topic') continue;
      const { name } = send.destination;
      let load = byQueue.get(name);
      this.admit(send, at, load ?? NOTHING, all, newQueues);
      if (load === undefined) {
        load = { ...NOTHING };
        byQueue.set(name, load);
        if (!this.#owner.queues.has(name)) newQueues++;
      }
      for (const grown of [load, all]) {
        grown.messages++;
        grown.bytes += weightOf(send.content);
      }
    }
  }

  /** Refuses what would break a limit: on top of what is here, `ahead` for the same queue and `all` for any. */
  admit(
    { destination, content, attributes = PLAIN }: Send,
    at: number,
    ahead: Load = NOTHING,
    all: Load = NOTHING,
    newQueues = 0,
  ): void {
    if (destination.kind === 'topic') {
      if (attributes.dueAt > 0 || this.#owner.gathers(destination.name))
        this.#admitBytes(this.#owner.durable, all.bytes + weightOf(content), at);
      return;
    }
    const { maxQueueBytes, maxQueueMessages, maxQueues } = this.#options;
    const { queues } = this.#owner;
    const { name, text } = destination;
    const queue = queues.get(name);
    const bytes = weightOf(content);
    if (queue === undefined && ahead.messages === 0 && queues.size + newQueues >= maxQueues)
      throw tooMany(maxQueues, at);
    // What waits makes room, if that is the policy; or its producer does.
    const stays = this.#whenFull === 'refuse' ? queue?.length : queue?.unsettled;
    const isWaiting = this.#whenFull === 'wait';
    if (!isWaiting && (stays ?? 0) + ahead.messages >= maxQueueMessages)
      throw new EngineError('queue-full', `${text} has room for ${maxQueueMessages} messages (maxQueueMessages)`, at);
    const staysBytes = this.#whenFull === 'refuse' ? (queue?.bytes ?? 0) : 0;
    if (!isWaiting && staysBytes + ahead.bytes + bytes > maxQueueBytes)
      throw new EngineError('queue-full', `${text} has room for ${maxQueueBytes} bytes (maxQueueBytes)`, at);
    this.#admitBytes(this.#owner.keeps(name), all.bytes + bytes, at);
  }

  // What waits for its time, and a topic's durable subscriptions, have no other limit.
  #admitBytes(stored: boolean, bytes: number, at: number): void {
    const scheduled = this.#owner.scheduled().bytes;
    const { maxMemoryBytes, maxStoreBytes } = this.#options;
    if (stored) {
      if (this.#bytes - this.#memoryBytes + scheduled + bytes > maxStoreBytes)
        throw new EngineError('store-full', `the store has room for ${maxStoreBytes} bytes (maxStoreBytes)`, at);
    } else if (this.wouldOverflow(bytes + (this.#owner.durable ? 0 : scheduled)))
      throw new EngineError('memory-full', `all queues have room for ${maxMemoryBytes} bytes (maxMemoryBytes)`, at);
  }
}

function tooMany(maxQueues: number, at?: number): EngineError {
  return new EngineError('too-many-queues', `there are ${maxQueues} queues (maxQueues)`, at);
}
