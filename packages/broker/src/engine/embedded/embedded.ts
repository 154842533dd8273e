// The engine inside the process: queues and topics in memory, one thread, no waiting
// inside: `commit` has its effect, deliveries included, before it returns, and its
// promise is late only where a producer is to be slowed down.

import { Content, Encoder, frame, NameSet } from '@stompbox/protocol';
import { isTemporary } from '../../temporary.ts';
import {
  type Engine,
  EngineError,
  type Feed,
  type Guarantees,
  type Inspection,
  type Send,
  type Settlement,
  type SubscriptionRequest,
  type Work,
} from '../engine.ts';
import { Kept, type Origin, weightOf } from './delivery.ts';
import { Queue, type QueueOwner } from './queue.ts';
import { type TopicOwner, type TopicSubscriber, Topics } from './topic.ts';

export interface EmbeddedEngineOptions {
  /** Messages in one queue, unsettled ones included. */
  readonly maxQueueMessages: number;
  /** Bytes in one queue, unsettled ones included. */
  readonly maxQueueBytes: number;
  /** Bytes in all queues and backlogs. */
  readonly maxMemoryBytes: number;
  readonly maxQueues: number;
  /** Deliveries of one message before it is a dead letter. */
  readonly maxDeliveries: number;
  /** Bytes in one queue or topic backlog above which its producers wait. */
  readonly producersWaitAboveBytes: number;
  /** How long producers wait for a topic subscriber that does not keep up; then it is given up. Milliseconds. */
  readonly slowConsumerGraceMs: number;
  /** Calls `run` after `ms`; the answer cancels. */
  schedule(ms: number, run: () => void): () => void;
}

/** What the sends of one piece of work, before the one that is looked at, add to the engine. */
interface Load {
  messages: number;
  bytes: number;
}

const DONE = Promise.resolve();
const NOTHING: Load = { messages: 0, bytes: 0 };
const NO_HEADERS = new NameSet([]);
const NOBODY: Origin = { settle() {}, settled() {} };
const DEAD_LETTERS = 'dlq.';
const ABOUT_THE_DEATH = new NameSet(['content-length', 'original-destination', 'dead-letter-reason', 'delivery-count']);

export class EmbeddedEngine implements Engine, QueueOwner, TopicOwner {
  readonly guarantees: Guarantees = { durable: 'no', atomic: true, ordered: true, scheduled: false };
  readonly #options: EmbeddedEngineOptions;
  readonly #queues = new Map<string, Queue>();
  readonly #topics: Topics;
  readonly #scratch = new Encoder({ version: '1.2', unrepresentable: 'replace' });
  #bytes = 0;
  #nextId = 1;
  #closed = false;

  constructor(options: EmbeddedEngineOptions) {
    this.#options = options;
    this.#topics = new Topics(this);
  }

  get maxDeliveries(): number {
    return this.#options.maxDeliveries;
  }
  get maxMemoryBytes(): number {
    return this.#options.maxMemoryBytes;
  }
  get producersWaitAboveBytes(): number {
    return this.#options.producersWaitAboveBytes;
  }
  get slowConsumerGraceMs(): number {
    return this.#options.slowConsumerGraceMs;
  }

  readonly inspect: Inspection = (() => {
    const queues = () => [...this.#queues.values()].map((queue) => queue.view);
    const bytes = () => this.#bytes;
    return {
      queues,
      get bytes() {
        return bytes();
      },
    };
  })();

  commit(work: Work): Promise<void> {
    if (this.#closed) return Promise.reject(new EngineError('engine-closed', 'the broker is closing'));
    const { sends, settlements, atomic } = work;
    const behind = new Set<Queue | TopicSubscriber>();
    try {
      if (atomic) this.#admitAll(sends);
      this.#settle(settlements);
      for (let at = 0; at < sends.length; at++) {
        const send = sends[at] as Send;
        if (send.destination.kind === 'topic') this.#publish(send, behind);
        else {
          if (!atomic) this.#admit(send, at, NOTHING, NOTHING, 0);
          const { name, text } = send.destination;
          const queue = this.#queue(name);
          queue.add(new Kept(this.#nextId++, text, send.content, queue));
          if (queue.isBehind) behind.add(queue);
        }
      }
    } catch (error) {
      return Promise.reject(error);
    }
    if (behind.size === 0) return DONE;
    const still = [...behind].filter((one) => one.isBehind); // what was delivered since may have made room
    return Promise.all(still.map((one) => one.eased())).then(() => {});
  }

  #settle(settlements: readonly Settlement[]): void {
    let returned: Set<Origin> | undefined;
    for (const { delivery, outcome } of settlements) {
      if (!(delivery instanceof Kept)) continue;
      delivery.origin.settle(delivery, outcome);
      if (outcome !== 'ack') returned = (returned ?? new Set()).add(delivery.origin);
    }
    if (returned !== undefined) for (const origin of returned) origin.settled();
  }

  #publish({ destination, content }: Send, behind: Set<Queue | TopicSubscriber>): void {
    const subscribers = this.#topics.subscribers(destination.name);
    if (subscribers.length === 0) return;
    const kept = new Kept(this.#nextId++, destination.text, content, NOBODY);
    for (const subscriber of subscribers) {
      subscriber.add(kept);
      if (subscriber.isBehind) behind.add(subscriber);
    }
  }

  // Refuses as a whole what would break a limit together (T-06).
  #admitAll(sends: readonly Send[]): void {
    const byQueue = new Map<string, Load>();
    const all = { ...NOTHING };
    let newQueues = 0;
    for (let at = 0; at < sends.length; at++) {
      const send = sends[at] as Send;
      if (send.destination.kind === 'topic') continue;
      const { name } = send.destination;
      let load = byQueue.get(name);
      this.#admit(send, at, load ?? NOTHING, all, newQueues);
      if (load === undefined) {
        load = { ...NOTHING };
        byQueue.set(name, load);
        if (!this.#queues.has(name)) newQueues++;
      }
      for (const grown of [load, all]) {
        grown.messages++;
        grown.bytes += weightOf(send.content);
      }
    }
  }

  // Refuses what would break a limit: on top of what is here, `ahead` for the same queue and `all` for any.
  #admit({ destination, content }: Send, at: number, ahead: Load, all: Load, newQueues: number): void {
    const { maxQueueBytes, maxQueueMessages, maxMemoryBytes, maxQueues } = this.#options;
    const { name, text } = destination;
    const queue = this.#queues.get(name);
    const bytes = weightOf(content);
    if (queue === undefined && ahead.messages === 0 && this.#queues.size + newQueues >= maxQueues)
      throw tooMany(maxQueues, at);
    if ((queue?.length ?? 0) + ahead.messages >= maxQueueMessages)
      throw new EngineError('queue-full', `${text} has room for ${maxQueueMessages} messages (maxQueueMessages)`, at);
    if ((queue?.bytes ?? 0) + ahead.bytes + bytes > maxQueueBytes)
      throw new EngineError('queue-full', `${text} has room for ${maxQueueBytes} bytes (maxQueueBytes)`, at);
    if (this.wouldOverflow(all.bytes + bytes))
      throw new EngineError('memory-full', `all queues have room for ${maxMemoryBytes} bytes (maxMemoryBytes)`, at);
  }

  #queue(name: string): Queue {
    let queue = this.#queues.get(name);
    if (queue === undefined) {
      queue = new Queue(name, this);
      this.#queues.set(name, queue);
    }
    return queue;
  }

  open(request: SubscriptionRequest): Promise<Feed> {
    if (this.#closed) return Promise.reject(new EngineError('engine-closed', 'the broker is closing'));
    const { kind, name } = request.destination;
    if (kind === 'topic') {
      const subscriber = this.#topics.open(request);
      return Promise.resolve({
        request: (n) => subscriber.ask(n),
        close: () => this.#topics.close(subscriber),
      });
    }
    if (!this.#queues.has(name) && this.#queues.size >= this.#options.maxQueues) {
      return Promise.reject(tooMany(this.#options.maxQueues));
    }
    const queue = this.#queue(name);
    const consumer = queue.open(request);
    return Promise.resolve({
      request: (n) => queue.request(consumer, n),
      close: () => queue.close(consumer),
    });
  }

  discard(name: string): Promise<void> {
    const queue = this.#queues.get(name);
    this.#queues.delete(name);
    queue?.discard();
    return DONE;
  }

  close(): Promise<void> {
    this.#closed = true;
    for (const queue of this.#queues.values()) queue.release();
    this.#topics.release();
    return DONE;
  }

  // --- what queues and topics ask of their engine

  weigh(bytes: number): void {
    this.#bytes += bytes;
  }

  wouldOverflow(bytes: number): boolean {
    return this.#bytes + bytes > this.#options.maxMemoryBytes;
  }

  schedule(ms: number, run: () => void): () => void {
    return this.#options.schedule(ms, run);
  }

  abandoned(queue: Queue): void {
    if (this.#queues.get(queue.name) === queue) this.#queues.delete(queue.name);
  }

  // What is dead in a dead-letter queue stays there unless it is rejected; a temporary queue is no place to look it up.
  deadLetter(queue: Queue, kept: Kept, reason: 'redeliveries' | 'rejected'): boolean {
    if (queue.name.startsWith(DEAD_LETTERS)) return reason === 'rejected';
    if (isTemporary(queue.name)) return true;
    const name = `${DEAD_LETTERS}${queue.name}`;
    const letters = this.#queue(name);
    const about: [string, string][] = [
      ['original-destination', kept.destination],
      ['dead-letter-reason', reason],
      ['delivery-count', String(kept.redeliveries + (reason === 'rejected' ? 1 : 0))],
    ];
    const headers = [...about, ...[...kept.content.headers].filter(([header]) => !ABOUT_THE_DEATH.has(header))];
    const content = Content.of(frame('SEND', headers, kept.content.body), NO_HEADERS, this.#scratch);
    letters.add(new Kept(this.#nextId++, `/queue/${name}`, content, letters));
    return true;
  }
}

function tooMany(maxQueues: number, at?: number): EngineError {
  return new EngineError('too-many-queues', `there are ${maxQueues} queues (maxQueues)`, at);
}
