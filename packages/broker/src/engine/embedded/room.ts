// How much there is, where, and whether there is room for more: every limit is checked
// here, before anything has an effect.
//
//   maxMemoryBytes   in memory and nowhere else │ of what is on disk: windows, and what is with consumers │ free
//
// Windows are let go where something else needs the room; what is with consumers stays
// until it is settled, and until then nothing more is read from disk for it.

import type { Content } from '@stompbox/protocol';
import type { Held } from '../../store/store.ts';
import { EngineError, PLAIN, type Send } from '../engine.ts';
import { weightOf } from './delivery.ts';
import type { EmbeddedEngineOptions, WhenFull } from './options.ts';
import type { Walker } from './rounds.ts';

/** A queue, as far as its limits go. */
interface Filled {
  readonly length: number;
  readonly bytes: number;
  /** Of these, what cannot be given up. */
  readonly out: Held;
}

/** A queue on disk, as far as it is in memory; `walk` goes on when there is room. */
export interface Window extends Walker {
  /** Lets go of up to so many bytes that the store has. True: of everything. */
  shrink(bytes: number): boolean;
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
  /** The durable subscriptions that gather messages of a topic. */
  gathering(topic: string): readonly Gatherer[];
  /** There is room in memory again for what had to wait for it. */
  roomFor(window: Window): void;
}

/** A durable subscription and its queue. */
export interface Gatherer {
  readonly name: string;
  readonly selects: ((content: Content) => boolean) | undefined;
  readonly queue: Filled & { readonly name: string };
}

interface Load {
  readonly messages: number;
  readonly bytes: number;
}

/** What the sends of one piece of work, before the one that is looked at, add to the engine. */
interface Ahead {
  readonly queues: Map<string, Load>;
  memory: number;
  store: number;
  /** Queues. */
  made: number;
}

const NOTHING: Load = { messages: 0, bytes: 0 };

export class Room {
  readonly #owner: RoomOwner;
  readonly #options: EmbeddedEngineOptions;
  readonly #whenFull: WhenFull;
  #bytes = 0;
  #memoryBytes = 0;
  #heldBytes = 0;
  readonly #windows = new Set<Window>(); // that have, or had, something in memory
  readonly #starved = new Set<Window>();

  constructor(owner: RoomOwner, options: EmbeddedEngineOptions) {
    this.#owner = owner;
    this.#options = options;
    this.#whenFull = options.whenFull ?? 'refuse';
  }

  /** Of all messages, wherever they are. */
  get bytes(): number {
    return this.#bytes;
  }
  /** Of those that are in memory, whether they are on disk or not. */
  get memoryBytes(): number {
    return this.#memoryBytes + this.#heldBytes;
  }
  /** More is in memory than may be. */
  get isOver(): boolean {
    return this.memoryBytes > this.#options.maxMemoryBytes;
  }

  weigh(bytes: number, where: 'memory' | 'store'): void {
    this.#bytes += bytes;
    if (where === 'store') return;
    this.#memoryBytes += bytes;
    if (bytes < 0 && this.#starved.size > 0) this.#feed();
  }

  /** Of what is on disk, so many bytes more are in memory, or fewer. */
  hold(bytes: number): void {
    this.#heldBytes += bytes;
    if (bytes < 0 && this.#starved.size > 0) this.#feed();
  }

  /** There is something in memory that it can let go. */
  opened(window: Window): void {
    this.#windows.add(window);
  }

  /** It needs room to go on. */
  starve(window: Window): void {
    this.#starved.add(window);
  }

  /** It is no more. */
  forget(window: Window): void {
    this.#windows.delete(window);
    this.#starved.delete(window);
  }

  /** Bytes that are free in memory; where they are fewer than `wanted`, after windows were let go. */
  spare(wanted: number): number {
    const { maxMemoryBytes } = this.#options;
    for (const window of this.#windows) {
      const spare = maxMemoryBytes - this.memoryBytes;
      if (spare >= wanted) return spare;
      if (window.shrink(wanted - spare)) this.#windows.delete(window);
    }
    return maxMemoryBytes - this.memoryBytes;
  }

  #feed(): void {
    for (const window of this.#starved) this.#owner.roomFor(window);
    this.#starved.clear();
  }

  /** Whether `bytes` more would be too many in memory. */
  wouldOverflow(bytes: number): boolean {
    return this.memoryBytes + bytes > this.#options.maxMemoryBytes && this.spare(bytes) < bytes;
  }

  /** Throws where there is no room for one queue more. */
  admitQueue(): void {
    if (this.#owner.queues.size >= this.#options.maxQueues) throw tooMany(this.#options.maxQueues);
  }

  /** Refuses as a whole what would break a limit together (T-06). */
  admitAll(sends: readonly Send[]): void {
    const ahead: Ahead = { queues: new Map(), memory: 0, store: 0, made: 0 };
    for (let at = 0; at < sends.length; at++) this.admit(sends[at] as Send, at, ahead);
  }

  /** Refuses what would break a limit, on top of what is here, and of what is `ahead`: there it is counted, too. */
  admit({ destination, content, attributes = PLAIN }: Send, at: number, ahead?: Ahead): void {
    const bytes = weightOf(content);
    const { name, text } = destination;
    if (destination.kind === 'topic') {
      if (attributes.dueAt > 0) this.#admitBytes(this.#owner.durable, bytes, at, ahead);
      else for (const gatherer of this.#owner.gathering(name)) this.#admitGathered(gatherer, content, bytes, at, ahead);
      return;
    }
    const { maxQueues } = this.#options;
    const { queues } = this.#owner;
    const queue = queues.get(name);
    if (queue === undefined && !ahead?.queues.has(name)) {
      if (queues.size + (ahead?.made ?? 0) >= maxQueues) throw tooMany(maxQueues, at);
      if (ahead !== undefined) ahead.made++;
    }
    this.#admitTo(queue, name, text, bytes, at, ahead);
    this.#admitBytes(this.#owner.keeps(name), bytes, at, ahead);
  }

  // What is full holds the topic's producers up, or is thinned out: see docs/messages.md.
  #admitGathered({ name, selects, queue }: Gatherer, content: Content, bytes: number, at: number, ahead?: Ahead): void {
    if (selects?.(content) === false) return;
    this.#admitTo(queue, queue.name, `the durable subscription ${name}`, bytes, at, ahead);
    this.#admitBytes(this.#owner.durable, bytes, at, ahead);
  }

  #admitTo(queue: Filled | undefined, name: string, text: string, bytes: number, at: number, ahead?: Ahead): void {
    const { maxQueueBytes, maxQueueMessages } = this.#options;
    const load = ahead?.queues.get(name) ?? NOTHING;
    ahead?.queues.set(name, { messages: load.messages + 1, bytes: load.bytes + bytes });
    // What waits makes room, if that is the policy; or its producer does.
    if (this.#whenFull === 'wait') return;
    const refuses = this.#whenFull === 'refuse';
    const stays = (refuses ? queue?.length : queue?.out.messages) ?? 0;
    if (stays + load.messages >= maxQueueMessages)
      throw new EngineError('queue-full', `${text} has room for ${maxQueueMessages} messages (maxQueueMessages)`, at);
    const staysBytes = (refuses ? queue?.bytes : queue?.out.bytes) ?? 0;
    if (staysBytes + load.bytes + bytes > maxQueueBytes)
      throw new EngineError('queue-full', `${text} has room for ${maxQueueBytes} bytes (maxQueueBytes)`, at);
  }

  // What waits for its time has no other limit.
  #admitBytes(stored: boolean, bytes: number, at: number, ahead?: Ahead): void {
    const scheduled = this.#owner.scheduled().bytes;
    const { maxMemoryBytes, maxStoreBytes } = this.#options;
    if (stored) {
      if (this.#bytes - this.#memoryBytes + scheduled + (ahead?.store ?? 0) + bytes > maxStoreBytes)
        throw new EngineError('store-full', `the store has room for ${maxStoreBytes} bytes (maxStoreBytes)`, at);
      if (ahead !== undefined) ahead.store += bytes;
    } else {
      if (this.wouldOverflow(bytes + (ahead?.memory ?? 0) + (this.#owner.durable ? 0 : scheduled)))
        throw new EngineError('memory-full', `all queues have room for ${maxMemoryBytes} bytes (maxMemoryBytes)`, at);
      if (ahead !== undefined) ahead.memory += bytes;
    }
  }
}

function tooMany(maxQueues: number, at?: number): EngineError {
  return new EngineError('too-many-queues', `there are ${maxQueues} queues (maxQueues)`, at);
}
