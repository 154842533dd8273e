// The engine inside the process: queues and topics in memory, one thread, no waiting
// inside: `commit` has its effect, deliveries included, before it returns, and its
// promise is late only where a producer is to be slowed down.

import { Content, Encoder, frame, NameSet } from '@stompbox/protocol';
import {
  type Engine,
  EngineError,
  type Feed,
  type Guarantees,
  type Inspection,
  type Send,
  type SubscriptionRequest,
  type Work,
} from '../engine.ts';
import { Kept } from './delivery.ts';
import { Queue, type QueueOwner } from './queue.ts';
import { type TopicOwner, Topics } from './topic.ts';

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

interface Waiter {
  /** The queue it waits for; undefined: a topic. */
  readonly queue: Queue | undefined;
  resolve(): void;
}

const NO_CONTENT = new NameSet(['content-length', 'original-destination', 'dead-letter-reason', 'delivery-count']);
const DONE = Promise.resolve();
export const DEAD_LETTERS = 'dlq.';

export class EmbeddedEngine implements Engine, QueueOwner, TopicOwner {
  readonly guarantees: Guarantees = { durable: 'no', atomic: true, ordered: true, scheduled: false };
  readonly #options: EmbeddedEngineOptions;
  readonly #queues = new Map<string, Queue>();
  readonly #topics: Topics;
  readonly #scratch = new Encoder({ version: '1.2' });
  #waiters: Waiter[] = [];
  #patience: (() => void) | undefined;
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
  get maxBacklogBytes(): number {
    return this.#options.producersWaitAboveBytes * 8;
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
    let full: Queue | undefined;
    let lagging = false;
    try {
      if (atomic) for (let at = 0; at < sends.length; at++) this.#admit(sends[at] as Send, at, sends);
      for (let i = 0; i < settlements.length; i++) {
        const settlement = settlements[i];
        if (settlement === undefined || !(settlement.delivery instanceof Kept)) continue;
        const { delivery, outcome } = settlement;
        if (outcome === 'ack') delivery.origin.acked(delivery);
        else if (outcome === 'nack') delivery.origin.nacked(delivery);
        else delivery.origin.rejected(delivery);
      }
      for (let at = 0; at < sends.length; at++) {
        const send = sends[at] as Send;
        const { destination, content } = send;
        if (destination.kind === 'topic') {
          const subscribers = this.#topics.subscribers(destination.name);
          if (subscribers.length === 0) continue;
          const kept = new Kept(this.#nextId++, destination.text, content, NOBODY);
          for (const subscriber of subscribers) {
            subscriber.add(kept);
            if (subscriber.bytes > this.#options.producersWaitAboveBytes) lagging = true;
          }
        } else {
          if (!atomic) this.#admit(send, at);
          const queue = this.#queue(destination.name);
          queue.add(new Kept(this.#nextId++, destination.text, content, queue));
          if (queue.bytes > this.#options.producersWaitAboveBytes && queue.consumers > 0) full = queue;
        }
      }
    } catch (error) {
      return Promise.reject(error);
    }
    return full !== undefined || lagging ? this.#wait(full, lagging) : DONE;
  }

  // Refuses what would break a limit. `all`: together with every send before it (T-06).
  #admit(send: Send, at: number, all?: readonly Send[]): void {
    if (send.destination.kind === 'topic') return;
    const { maxQueueBytes, maxQueueMessages, maxMemoryBytes, maxQueues } = this.#options;
    const { name, text } = send.destination;
    const queue = this.#queues.get(name);
    let messages = 1;
    let bytes = send.content.bytes.length;
    if (all !== undefined) {
      for (const other of all.slice(0, at)) {
        if (other.destination.name !== name) continue;
        messages++;
        bytes += other.content.bytes.length;
      }
    }
    if (queue === undefined) {
      if (this.#queues.size >= maxQueues)
        throw new EngineError('too-many-queues', `there are ${maxQueues} queues, the limit`, at);
    } else {
      const held = queue.view;
      if (held.waiting + held.unsettled + messages > maxQueueMessages) {
        throw new EngineError('queue-full', `${text} holds ${maxQueueMessages} messages, the limit`, at);
      }
      if (queue.bytes + bytes > maxQueueBytes)
        throw new EngineError('queue-full', `${text} holds ${maxQueueBytes} bytes, the limit`, at);
    }
    if (this.#bytes + bytes > maxMemoryBytes)
      throw new EngineError('memory-full', `all queues hold ${maxMemoryBytes} bytes, the limit`, at);
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
        close: (unsettled) => this.#topics.close(subscriber, unsettled),
      });
    }
    if (!this.#queues.has(name) && this.#queues.size >= this.#options.maxQueues) {
      return Promise.reject(
        new EngineError('too-many-queues', `there are ${this.#options.maxQueues} queues, the limit`),
      );
    }
    const queue = this.#queue(name);
    const consumer = queue.open(request);
    return Promise.resolve({
      request: (n) => queue.request(consumer, n),
      close: (unsettled) => queue.close(consumer, unsettled),
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
    this.#patience?.();
    for (const waiter of this.#waiters.splice(0)) waiter.resolve();
    return DONE;
  }

  // --- what queues and topics ask of their engine

  weigh(bytes: number): void {
    this.#bytes += bytes;
  }

  eased(queue: Queue): void {
    if (this.#waiters.length > 0) this.#release(queue);
  }

  easedTopic(): void {
    if (this.#waiters.length > 0) this.#release(undefined);
  }

  abandoned(queue: Queue): void {
    if (this.#queues.get(queue.name) === queue) this.#queues.delete(queue.name);
  }

  deadLetter(queue: Queue, kept: Kept, reason: string): void {
    if (queue.name.startsWith(DEAD_LETTERS) || queue.name.startsWith('\0')) return; // no dead letters of dead letters
    const name = `${DEAD_LETTERS}${queue.name}`;
    const letters = this.#queue(name);
    const about: [string, string][] = [
      ['original-destination', kept.destination],
      ['dead-letter-reason', reason],
      ['delivery-count', String(kept.redeliveries + (reason === 'rejected' ? 1 : 0))],
    ];
    const headers = [...about, ...[...kept.content.headers].filter(([header]) => !NO_CONTENT.has(header))];
    const content = Content.of(frame('SEND', headers, kept.content.body), NO_HEADERS, this.#scratch);
    letters.add(new Kept(this.#nextId++, `/queue/${name}`, content, letters));
  }

  // --- producers that wait

  #wait(queue: Queue | undefined, lagging: boolean): Promise<void> {
    if (lagging && this.#patience === undefined) {
      this.#patience = this.#options.schedule(this.#options.slowConsumerGraceMs, () => {
        this.#patience = undefined;
        const ms = this.#options.slowConsumerGraceMs;
        for (const subscriber of this.#topics.laggards(this.#options.producersWaitAboveBytes)) {
          subscriber.end(`${subscriber.bytes} bytes wait for this subscriber, and it did not catch up in ${ms} ms`);
        }
      });
    }
    return new Promise<void>((resolve) => this.#waiters.push({ queue, resolve }));
  }

  #release(eased: Queue | undefined): void {
    const low = this.#options.producersWaitAboveBytes / 2;
    const calm = eased === undefined && this.#topics.laggards(low).length === 0;
    if (calm) {
      this.#patience?.();
      this.#patience = undefined;
    }
    if (eased !== undefined && eased.bytes > low && eased.consumers > 0) return;
    const still: Waiter[] = [];
    for (const waiter of this.#waiters) {
      if (waiter.queue === eased && (eased !== undefined || calm)) waiter.resolve();
      else still.push(waiter);
    }
    this.#waiters = still;
  }
}

const NO_HEADERS = new NameSet([]);
const NOBODY = { acked() {}, nacked() {}, rejected() {} };
