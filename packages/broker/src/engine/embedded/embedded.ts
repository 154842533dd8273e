// The engine inside the process: queues and topics over a store. One thread, no waiting
// inside: `commit` has its effect, deliveries included, before it returns; its promise
// waits for the store, and, where a producer is to be slowed down, for consumers.
//
//   commit ─► queues, topics ─► #change ─► store.commit      once a call
//   a consumer asks, a timer fires ─► #change ─► store.commit  once a turn
//
// What is sent and settled in the same change never reaches the store.

import { Content, Encoder, frame, NameSet } from '@stompbox/protocol';
import type { Change, MessageKey, Store, StoredMessage } from '../../store/store.ts';
import { StoreError } from '../../store/store.ts';
import { isTemporary } from '../../temporary.ts';
import {
  type Attributes,
  type Engine,
  EngineError,
  type Feed,
  type Guarantees,
  type Inspection,
  type MessageView,
  PLAIN,
  type Send,
  type Settlement,
  type SubscriptionRequest,
  type Work,
} from '../engine.ts';
import type { Place } from './backlog.ts';
import { type EngineCounts, type EngineObserver, noCounts } from './books.ts';
import { Kept, type Origin, weightOf } from './delivery.ts';
import { Duplicates, type DuplicateWindow } from './duplicates.ts';
import { type Durable, Durables, durableQueueName, isDurableQueue } from './durable.ts';
import { type Death, Queue, type QueueOwner } from './queue.ts';
import { type TopicOwner, type TopicSubscriber, Topics } from './topic.ts';

export interface EmbeddedEngineOptions extends DuplicateWindow {
  /** Messages in one queue, unsettled ones included. */
  readonly maxQueueMessages: number;
  /** Bytes in one queue, unsettled ones included. */
  readonly maxQueueBytes: number;
  /** Bytes in all queues and backlogs. */
  readonly maxMemoryBytes: number;
  readonly maxQueues: number;
  /** Bytes of all messages in the store. */
  readonly maxStoreBytes: number;
  /** Deliveries of one message before it is a dead letter. */
  readonly maxDeliveries: number;
  /** How long a nacked message waits for its next try; twice as long each time. Milliseconds. */
  readonly redeliveryDelayMs: number;
  readonly maxRedeliveryDelayMs: number;
  /** Bytes in one queue or topic backlog above which its producers wait. */
  readonly producersWaitAboveBytes: number;
  /** How long producers wait for a topic subscriber that does not keep up; then it is given up. Milliseconds. */
  readonly slowConsumerGraceMs: number;
  /** Bytes of one queue that are held in memory where a store has them too. */
  readonly windowBytes: number;
  /** What becomes of a message for which its queue has no room. `refuse` unless given. */
  readonly whenFull?: WhenFull;
  /** Stands before a queue's name in the name of its dead letter queue; not empty. `dlq.` unless given. */
  readonly deadLetterPrefix?: string;
  readonly observer?: EngineObserver;
  /** Calls `run` after `ms`; the answer cancels. */
  schedule(ms: number, run: () => void): () => void;
  /** Milliseconds since 1970. */
  time(): number;
}

export const WHEN_FULL = ['refuse', 'wait', 'drop-oldest'] as const;
/**
 * When a queue is at its limit: the producer gets an ERROR; or the message is taken and its producer is not read until there
 * is room; or the messages that are next in line are given up, as far as nobody has them. Memory and store always refuse.
 */
export type WhenFull = (typeof WHEN_FULL)[number];

/** What the sends of one piece of work, before the one that is looked at, add to the engine. */
interface Load {
  messages: number;
  bytes: number;
}

/** What the store is to be told, as far as it is known. */
interface Pending {
  append: { readonly queue: Queue; readonly kept: Kept }[];
  settle: MessageKey[];
  redelivered: (MessageKey & { redeliveries: number })[];
  schedule: NonNullable<Change['schedule']>[number][];
  unschedule: NonNullable<Change['unschedule']>[number][];
  facts: { key: string; value: string | undefined }[];
}

const DONE = Promise.resolve();
const NOTHING: Load = { messages: 0, bytes: 0 };
const NO_HEADERS = new NameSet([]);
const NOBODY: Origin = { settle() {}, settled() {} };
const ABOUT_THE_DEATH = new NameSet([
  'content-length',
  'original-destination',
  'dead-letter-reason',
  'dead-letter-time',
  'delivery-count',
]);
const BROWSED_AT_MOST = 10_000;
const SWEEP_MS = 1_000;
const SWEPT_AT_ONCE = 1_000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;
const STOPPED = 'stopped'; // it is there while no process has the store, unless the last one was killed

const empty = (): Pending => ({ append: [], settle: [], redelivered: [], schedule: [], unschedule: [], facts: [] });

export class EmbeddedEngine implements Engine, QueueOwner, TopicOwner {
  readonly guarantees: Guarantees;
  readonly counts: EngineCounts = noCounts();
  readonly #options: EmbeddedEngineOptions;
  readonly #whenFull: WhenFull;
  readonly #deadLetters: string;
  readonly #store: Store;
  #failedAt: number | undefined; // the store keeps nothing since then
  readonly #durable: boolean;
  readonly #queues = new Map<string, Queue>();
  readonly #topics: Topics;
  readonly #durables = new Durables();
  readonly #duplicates: Duplicates;
  readonly #expiring = new Set<Queue>(); // that have, or had, something in memory that expires
  readonly #scratch = new Encoder({ version: '1.2', unrepresentable: 'replace' });
  #pending = empty();
  #flushing = false; // a turn's end will tell the store
  #committing = false; // `commit` will
  #recoveredTo = 0; // up to this id, nobody knows what was delivered before a crash
  #beginning: Promise<void> | undefined;
  #begun = true; // a crash from now on will be noticed
  readonly #tellingDuplicates = new Map<string, Promise<void>>(); // ids of producers that the store does not have yet
  #firstOnes: Promise<void>[] = []; // whose duplicates are in the work at hand
  #bytes = 0; // of all messages, wherever they are
  #memoryBytes = 0; // of those that are nowhere else
  #nextId: number;
  #closed = false;
  #cancelDue: (() => void) | undefined;
  #dueAt = Number.POSITIVE_INFINITY;
  #cancelSweep: (() => void) | undefined;

  /** Takes over what the store has. Throws StoreError where that cannot be read. */
  constructor(options: EmbeddedEngineOptions, store: Store) {
    this.#options = options;
    this.#whenFull = options.whenFull ?? 'refuse';
    this.#deadLetters = options.deadLetterPrefix ?? 'dlq.';
    this.#store = store;
    this.#durable = store.survives === 'power-cut';
    this.#nextId = store.lastId + 1;
    this.#duplicates = new Duplicates(options);
    this.#topics = new Topics(this);
    this.guarantees = {
      durable: this.#durable ? 'power-cut' : 'no',
      atomic: true,
      ordered: true,
      scheduled: true,
    };
    this.#recover();
  }

  #recover(): void {
    for (const { queue, messages, bytes } of this.#store.queues()) this.#queue(queue).recover(messages, bytes);
    for (const [key, text] of this.#store.facts(Durables.facts)) {
      const name = key.slice(Durables.facts.length);
      this.#durables.add(name, topicOf(text), text, this.#queue(durableQueueName(name)));
    }
    const known = [...this.#store.facts(Duplicates.facts)].map(([key, at]) => [key, Number(at)] as const);
    for (const [key, at] of known.sort(([, a], [, b]) => a - b)) this.#duplicates.remember(key, at);
    const [stopped] = [...this.#store.facts(STOPPED)];
    this.#begun = stopped === undefined;
    this.#recoveredTo = stopped === undefined ? this.#store.lastId : Number(stopped[1]);
    this.#armDue();
    if (this.#duplicates.size > 0 || this.#willExpire()) this.#sweepLater();
  }

  get maxDeliveries(): number {
    return this.#options.maxDeliveries;
  }
  get redeliveryDelayMs(): number {
    return this.#options.redeliveryDelayMs;
  }
  get maxRedeliveryDelayMs(): number {
    return this.#options.maxRedeliveryDelayMs;
  }
  get maxMemoryBytes(): number {
    return this.#options.maxMemoryBytes;
  }
  get producersWaitAboveBytes(): number {
    return this.#options.producersWaitAboveBytes;
  }
  get producersWaitForRoom(): boolean {
    return this.#whenFull === 'wait';
  }
  get maxQueueMessages(): number {
    return this.#options.maxQueueMessages;
  }
  get maxQueueBytes(): number {
    return this.#options.maxQueueBytes;
  }
  get slowConsumerGraceMs(): number {
    return this.#options.slowConsumerGraceMs;
  }

  commit(work: Work): Promise<void> {
    if (this.#closed) return Promise.reject(new EngineError('engine-closed', 'the broker is closing'));
    const { sends, settlements, atomic } = work;
    const behind = new Set<Queue | TopicSubscriber>();
    let refused: unknown;
    this.#committing = true;
    try {
      if (atomic) this.#admitAll(sends);
      this.#settle(settlements);
      for (let at = 0; at < sends.length; at++) {
        const send = sends[at] as Send;
        if (!atomic) this.#admit(send, at, NOTHING, NOTHING, 0);
        this.#send(send, behind);
      }
    } catch (error) {
      refused = error;
    } finally {
      this.#committing = false;
    }
    const persistent = settlements.length > 0 || sends.some(({ attributes }) => attributes?.persistent !== false);
    const told = this.#withFirstOnes(this.#tell());
    told.catch(() => {}); // not everybody waits for it
    if (refused !== undefined) return Promise.reject(refused);
    const still = [...behind].filter((one) => one.isBehind); // what was delivered since may have made room
    if (still.length === 0) return persistent ? told : DONE;
    return Promise.all([persistent ? told : DONE, ...still.map((one) => one.eased())]).then(() => {});
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

  #send(send: Send, behind: Set<Queue | TopicSubscriber>): void {
    const { destination, content, attributes = PLAIN } = send;
    if (attributes !== PLAIN) {
      if (attributes.duplicateId !== undefined && this.#isDuplicate(destination.text, attributes.duplicateId)) return;
      if (attributes.dueAt > this.time()) {
        this.#postpone(send, attributes);
        return;
      }
    }
    if (destination.kind === 'topic') this.#publish(destination.name, destination.text, content, attributes, behind);
    else {
      if (this.#whenFull === 'drop-oldest') this.#makeRoom(destination.name, weightOf(content));
      const queue = this.#queue(destination.name);
      this.#enqueue(queue, destination.text, content, attributes);
      if (queue.isBehind) behind.add(queue);
    }
  }

  // Gives up what is next in line until there is room, or until all that is left is with consumers.
  #makeRoom(name: string, bytes: number): void {
    const { maxQueueMessages, maxQueueBytes } = this.#options;
    for (;;) {
      const queue = this.#queues.get(name);
      if (queue === undefined) return;
      if (queue.length < maxQueueMessages && queue.bytes + bytes <= maxQueueBytes) return;
      const given = queue.pull(1).length;
      if (given === 0) return;
      this.counts.droppedOldest += given;
    }
  }

  #enqueue(queue: Queue, text: string, content: Content, attributes: Attributes): void {
    const kept = new Kept(this.#nextId++, text, content, queue, attributes, this.#durable ? this.time() : 0);
    if (this.#keeps(queue)) {
      kept.stored = 'pending';
      this.#pending.append.push({ queue, kept });
    }
    if (attributes.expiresAt > 0) {
      this.#expiring.add(queue);
      this.#sweepLater();
    }
    queue.add(kept);
  }

  #publish(
    topic: string,
    text: string,
    content: Content,
    attributes: Attributes,
    behind: Set<Queue | TopicSubscriber>,
  ): void {
    for (const { queue } of this.#durables.of(topic)) this.#enqueue(queue, text, content, attributes);
    const subscribers = this.#topics.subscribers(topic);
    if (subscribers.length === 0) return;
    const kept = new Kept(this.#nextId++, text, content, NOBODY, attributes);
    for (const subscriber of subscribers) {
      subscriber.add(kept);
      if (subscriber.isBehind) behind.add(subscriber);
    }
  }

  // A duplicate is confirmed when the first one is kept, and fails when it is not.
  #withFirstOnes(told: Promise<void>): Promise<void> {
    if (this.#firstOnes.length === 0) return told;
    const all = Promise.all([told, ...this.#firstOnes]).then(() => {});
    this.#firstOnes = [];
    return all;
  }

  #isDuplicate(destination: string, id: string): boolean {
    const now = this.time();
    const key = this.#duplicates.check(destination, id, now);
    if (key === undefined) {
      this.counts.duplicates++;
      const telling = this.#tellingDuplicates.get(Duplicates.keyOf(destination, id));
      if (telling !== undefined) this.#firstOnes.push(telling);
      return true;
    }
    this.#duplicates.remember(key, now);
    this.#pending.facts.push({ key, value: String(now) });
    this.#sweepLater();
    return false;
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
    if (destination.kind === 'topic') return;
    const { maxQueueBytes, maxQueueMessages, maxMemoryBytes, maxQueues } = this.#options;
    const { name, text } = destination;
    const queue = this.#queues.get(name);
    const bytes = weightOf(content);
    if (queue === undefined && ahead.messages === 0 && this.#queues.size + newQueues >= maxQueues)
      throw tooMany(maxQueues, at);
    // What waits makes room, if that is the policy; or its producer does.
    const stays = this.#whenFull === 'refuse' ? queue?.length : queue?.unsettled;
    const isWaiting = this.#whenFull === 'wait';
    if (!isWaiting && (stays ?? 0) + ahead.messages >= maxQueueMessages)
      throw new EngineError('queue-full', `${text} has room for ${maxQueueMessages} messages (maxQueueMessages)`, at);
    const staysBytes = this.#whenFull === 'refuse' ? (queue?.bytes ?? 0) : 0;
    if (!isWaiting && staysBytes + ahead.bytes + bytes > maxQueueBytes)
      throw new EngineError('queue-full', `${text} has room for ${maxQueueBytes} bytes (maxQueueBytes)`, at);
    if (queue !== undefined && this.#keeps(queue)) {
      if (this.#bytes - this.#memoryBytes + all.bytes + bytes > this.#options.maxStoreBytes)
        throw new EngineError(
          'store-full',
          `the store has room for ${this.#options.maxStoreBytes} bytes (maxStoreBytes)`,
          at,
        );
    } else if (this.wouldOverflow(all.bytes + bytes))
      throw new EngineError('memory-full', `all queues have room for ${maxMemoryBytes} bytes (maxMemoryBytes)`, at);
  }

  #queue(name: string): Queue {
    let queue = this.#queues.get(name);
    if (queue === undefined) {
      const paged = this.#durable && (!isTemporary(name) || isDurableQueue(name));
      queue = new Queue(name, this, paged ? this.#pagesOf(name) : undefined);
      this.#queues.set(name, queue);
    }
    return queue;
  }

  #pagesOf(name: string): ConstructorParameters<typeof Queue>[2] {
    return {
      windowBytes: this.#options.windowBytes,
      read: (after, most) => {
        const key = after && { queue: name, priority: after.priority, id: after.id };
        return this.#store.read(name, key, most).map((stored) => this.#revive(stored));
      },
    };
  }

  #revive(stored: StoredMessage): Kept {
    const { id, destination, content, priority, expiresAt, sentAt, redeliveries, queue } = stored;
    const plain = priority === PLAIN.priority && expiresAt === 0;
    const group = content.headers.get('JMSXGroupID');
    const attributes = plain && group === undefined ? PLAIN : { ...PLAIN, priority, expiresAt, group };
    const kept = new Kept(id, destination, content, this.#queue(queue), attributes, sentAt);
    kept.redeliveries = redeliveries;
    kept.recovered = id <= this.#recoveredTo; // who knows what had been delivered
    kept.stored = 'yes';
    return kept;
  }

  open(request: SubscriptionRequest): Promise<Feed> {
    if (this.#closed) return Promise.reject(new EngineError('engine-closed', 'the broker is closing'));
    if (!this.#begun) return this.#begin().then(() => this.open(request));
    const { kind, name } = request.destination;
    if (kind === 'topic') {
      if (request.durable !== undefined) return this.#openDurable(request, request.durable);
      const subscriber = this.#topics.open(request);
      return Promise.resolve({
        request: (n) => subscriber.ask(n),
        close: () => this.#topics.close(subscriber),
      });
    }
    if (request.browse) return Promise.resolve(this.#openBrowser(request));
    if (!this.#queues.has(name) && this.#queues.size >= this.#options.maxQueues) {
      return Promise.reject(tooMany(this.#options.maxQueues));
    }
    return Promise.resolve(this.#feedOf(this.#queue(name), request));
  }

  // Nothing is delivered before the store could tell, after a crash, that it may have been.
  #begin(): Promise<void> {
    this.#beginning ??= this.#store.commit({ facts: [{ key: STOPPED, value: undefined }] }).then(
      () => {
        this.#begun = true;
      },
      (cause: unknown) => {
        this.#beginning = undefined;
        throw storeFailure(cause);
      },
    );
    return this.#beginning;
  }

  #feedOf(queue: Queue, request: SubscriptionRequest): Feed {
    const consumer = queue.open(request);
    return { request: (n) => queue.request(consumer, n), close: () => queue.close(consumer) };
  }

  async #openDurable(request: SubscriptionRequest, name: string): Promise<Feed> {
    const { destination } = request;
    let durable = this.#durables.get(name);
    if (durable?.connected) throw new EngineError('in-use', `the durable subscription ${name} has its subscriber`);
    if (durable !== undefined && durable.text !== destination.text) {
      await this.#forget(durable); // another topic under the same name begins anew
      durable = undefined;
    }
    if (durable === undefined) {
      durable = this.#durables.add(name, destination.name, destination.text, this.#queue(durableQueueName(name)));
      this.#pending.facts.push(Durables.factOf(name, destination.text));
    }
    const kept = durable;
    kept.connected = true;
    const feed = this.#feedOf(kept.queue, request);
    await this.#tell();
    return {
      request: (n) => feed.request(n),
      close: () => {
        kept.connected = false;
        feed.close();
      },
    };
  }

  #openBrowser(request: SubscriptionRequest): Feed {
    const views = this.#browse(request.destination.name, BROWSED_AT_MOST);
    const { destination } = request;
    const end = Content.of(frame('SEND', [['browser', 'end']]), NO_HEADERS, this.#scratch);
    const copies = views
      .filter(({ content }) => request.selects?.(content) !== false)
      .map(({ id, content }) => new Kept(id, destination.text, content, NOBODY));
    copies.push(new Kept(this.#nextId++, destination.text, end, NOBODY));
    let next = 0;
    let credit = 0;
    let delivering = false;
    return {
      request: (n) => {
        credit += n;
        if (delivering) return;
        delivering = true;
        while (credit > 0 && next < copies.length) {
          credit--;
          request.deliver(copies[next++] as Kept);
        }
        delivering = false;
      },
      close: () => {
        next = copies.length;
      },
    };
  }

  discard(name: string): Promise<void> {
    const queue = this.#queues.get(name);
    this.#queues.delete(name);
    queue?.discard();
    return DONE;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancelDue?.();
    this.#cancelSweep?.();
    for (const queue of this.#queues.values()) queue.release();
    this.#topics.release();
    if (this.#durable) this.#pending.facts.push({ key: STOPPED, value: String(this.#recoveredTo) });
    await this.#tell().catch(() => {}); // whoever waited for it has heard
    await this.#store.close();
  }

  // ----------------------------------------------------------------------------------------------------- the store

  // Whether the store has the messages of a queue; a temporary one goes with its connection.
  #keeps(queue: Queue): boolean {
    return this.#durable && (!isTemporary(queue.name) || isDurableQueue(queue.name));
  }

  #tellLater(): void {
    if (this.#flushing || this.#committing) return;
    this.#flushing = true;
    queueMicrotask(() => {
      this.#flushing = false;
      this.#tell().catch(() => {}); // an ACK that was not kept: the message comes again
    });
  }

  // Hands over what has happened since the last time; resolves when it is kept.
  #tell(): Promise<void> {
    const { append, settle, redelivered, schedule, unschedule, facts } = this.#pending;
    const kept = append.filter(({ kept }) => kept.stored === 'pending');
    if (kept.length + settle.length + redelivered.length + schedule.length + unschedule.length + facts.length === 0) {
      if (append.length > 0) this.#pending = empty();
      return DONE;
    }
    this.#pending = empty();
    for (const one of kept) one.kept.stored = 'told';
    const change: Change = { append: kept.map(storedOf), settle, redelivered, schedule, unschedule, facts };
    const counts = this.counts;
    const told = kept.length + schedule.length;
    const toldAt = this.time();
    counts.told += told;
    const telling = this.#store.commit(change).then(
      () => {
        counts.heard += told;
        counts.commits++;
        counts.commitMs += this.time() - toldAt;
        if (this.#failedAt !== undefined) this.#storeRecovered(this.#failedAt);
        for (const one of kept) one.kept.stored = 'yes';
      },
      (cause: unknown) => {
        counts.heard += told;
        counts.commitFailures++;
        this.#storeFailed(cause);
        for (const { queue, kept: lost } of kept) {
          lost.stored = 'no';
          queue.retract(lost);
        }
        for (const { key } of facts) this.#duplicates.forget(key); // it may be sent again
        throw storeFailure(cause);
      },
    );
    this.#telling(facts, telling);
    return telling;
  }

  #telling(facts: Pending['facts'], telling: Promise<void>): void {
    for (const { key, value } of facts) {
      if (value === undefined || !key.startsWith(Duplicates.facts)) continue;
      const over = () => void this.#tellingDuplicates.delete(key);
      this.#tellingDuplicates.set(key, telling);
      telling.then(over, over);
    }
  }

  // Told once for each time that it stops working, however many wait for it.
  #storeFailed(cause: unknown): void {
    if (this.#failedAt !== undefined) return;
    this.#failedAt = this.time();
    this.#options.observer?.storeFailed?.(cause);
  }

  #storeRecovered(failedAt: number): void {
    this.#failedAt = undefined;
    this.#options.observer?.storeRecovered?.(this.time() - failedAt);
  }

  /** Bytes of messages that are held in memory: those that are nowhere else, and the windows of queues. */
  get memoryBytes(): number {
    return this.#memoryBytes;
  }

  // ------------------------------------------------------------------------------ what has its time: delay and expiry

  #postpone({ destination, content }: Send, { dueAt, ...attributes }: Attributes): void {
    this.#pending.schedule.push({
      id: this.#nextId++,
      queue: `${destination.kind}:${destination.name}`,
      destination: destination.text,
      content,
      priority: attributes.priority,
      expiresAt: attributes.expiresAt,
      sentAt: this.time(),
      redeliveries: 0,
      dueAt,
    });
    if (dueAt < this.#dueAt) this.#arm(dueAt);
  }

  #armDue(): void {
    const next = this.#store.nextDue();
    if (next !== undefined && next < this.#dueAt) this.#arm(next);
  }

  #arm(dueAt: number): void {
    this.#cancelDue?.();
    this.#dueAt = dueAt;
    const ms = Math.min(Math.max(0, dueAt - this.time()), LONGEST_TIMER_MS);
    this.#cancelDue = this.#options.schedule(ms, () => this.#release());
  }

  // A message leaves the schedule and enters its queue in one change.
  #release(): void {
    this.#dueAt = Number.POSITIVE_INFINITY;
    this.#cancelDue = undefined;
    const due = this.#store.due(this.time(), { messages: SWEPT_AT_ONCE, bytes: this.#options.windowBytes });
    const behind = new Set<Queue | TopicSubscriber>();
    this.#committing = true;
    for (const { id, dueAt, queue, destination, content, priority, expiresAt } of due) {
      this.#pending.unschedule.push({ id, dueAt });
      const [kind = '', name = ''] = split(queue);
      const attributes = { ...PLAIN, priority, expiresAt, group: content.headers.get('JMSXGroupID') };
      if (kind === 'topic') this.#publish(name, destination, content, attributes, behind);
      else this.#enqueue(this.#queue(name), destination, content, attributes);
    }
    this.#committing = false;
    this.#tell().then(
      () => {
        if (!this.#closed) this.#armDue();
      },
      () => {
        if (!this.#closed) this.#arm(this.time() + SWEEP_MS); // no room: try again
      },
    );
  }

  // Runs once a second while anything is there whose time will be over.
  #sweepLater(): void {
    if (this.#cancelSweep !== undefined || this.#closed) return;
    this.#cancelSweep = this.#options.schedule(SWEEP_MS, () => {
      this.#cancelSweep = undefined;
      this.#sweep();
    });
  }

  // Expired messages leave idle queues too; ids of producers are forgotten.
  #sweep(): void {
    const now = this.time();
    for (const queue of this.#expiring) {
      const late = queue.remove((kept) => kept.isExpired(now) && this.deadLetter(queue, kept, 'expired'));
      const more = late.length > 0 || [...queue.inMemory()].some(({ attributes }) => attributes.expiresAt > 0);
      if (!more) this.#expiring.delete(queue);
    }
    if (this.#durable) for (const key of this.#store.expired(now, SWEPT_AT_ONCE)) this.#expireAway(key);
    for (const key of this.#duplicates.expire(now)) this.#pending.facts.push({ key, value: undefined });
    this.#tellLater();
    if (this.#expiring.size > 0 || this.#duplicates.size > 0 || this.#willExpire()) this.#sweepLater();
  }

  #willExpire(): boolean {
    return this.#durable && this.#store.expired(Number.MAX_SAFE_INTEGER, 1).length > 0;
  }

  #expireAway(key: MessageKey): void {
    const queue = this.#queues.get(key.queue);
    const before: Place | undefined = key.id > 1 ? { priority: key.priority, id: key.id - 1 } : undefined;
    const after = before && { queue: key.queue, ...before };
    const [stored] = this.#store.read(key.queue, after, { messages: 1, bytes: 1 });
    if (queue === undefined || stored?.id !== key.id) return;
    if (!queue.forget(key, stored.content.bytes.length)) return; // it is in memory, or with a consumer
    this.deadLetter(queue, this.#revive(stored), 'expired');
    this.#pending.settle.push(key);
  }

  // --------------------------------------------------------------------------------- what queues and topics ask for

  weigh(bytes: number, where: 'memory' | 'store' = 'memory'): void {
    this.#bytes += bytes;
    if (where === 'memory') this.#memoryBytes += bytes;
  }

  wouldOverflow(bytes: number): boolean {
    return this.#memoryBytes + bytes > this.#options.maxMemoryBytes;
  }

  schedule(ms: number, run: () => void): () => void {
    return this.#options.schedule(ms, run);
  }

  time(): number {
    return this.#options.time();
  }

  abandoned(queue: Queue): void {
    this.#expiring.delete(queue);
    if (this.#queues.get(queue.name) === queue && !isDurableQueue(queue.name)) this.#queues.delete(queue.name);
  }

  gone(queue: Queue, kept: Kept): void {
    if (kept.stored === 'pending')
      kept.stored = 'no'; // it came and went before the store heard of it
    else if (kept.stored !== 'no') {
      this.#pending.settle.push({ queue: queue.name, priority: kept.attributes.priority, id: kept.id });
      this.#tellLater();
    }
  }

  redelivered(queue: Queue, kept: Kept): void {
    if (kept.stored === 'no') return;
    const { priority } = kept.attributes;
    this.#pending.redelivered.push({ queue: queue.name, priority, id: kept.id, redeliveries: kept.redeliveries });
    this.#tellLater();
  }

  // What is dead in a dead-letter queue stays there unless it is rejected; a temporary queue is no place to look it up.
  deadLetter(queue: Queue, kept: Kept, reason: Death): boolean {
    if (reason === 'expired') this.counts.expired++;
    if (queue.name.startsWith(this.#deadLetters)) return reason !== 'redeliveries';
    if (isTemporary(queue.name) && !isDurableQueue(queue.name)) return true;
    this.counts.dead[reason]++;
    this.#options.observer?.deadLetter?.(kept.destination, kept.id, reason, kept.redeliveries);
    const name = `${this.#deadLetters}${isDurableQueue(queue.name) ? queue.name.slice(1) : queue.name}`;
    const about: [string, string][] = [
      ['original-destination', kept.destination],
      ['dead-letter-reason', reason],
      ['dead-letter-time', new Date(this.time()).toISOString()],
      ['delivery-count', String(kept.redeliveries + (reason === 'rejected' ? 1 : 0))],
    ];
    const headers = [...about, ...[...kept.content.headers].filter(([header]) => !ABOUT_THE_DEATH.has(header))];
    const content = Content.of(frame('SEND', headers, kept.content.body), NO_HEADERS, this.#scratch);
    this.#enqueue(this.#queue(name), `/queue/${name}`, content, PLAIN);
    this.#tellLater();
    return true;
  }

  // ------------------------------------------------------------------------------------------------------ inspection

  readonly inspect: Inspection = (() => {
    const bytes = () => this.#bytes;
    const scheduled = () => this.#store.scheduled.messages;
    return {
      queues: () => [...this.#queues.values()].filter(({ name }) => !isDurableQueue(name)).map((queue) => queue.view),
      durables: () =>
        [...this.#durables.all].map(({ name, text, queue, connected }) => ({
          name,
          pattern: text,
          waiting: queue.length,
          connected,
        })),
      browse: (queue, options = {}) => this.#browse(queue, options.limit ?? 100),
      purge: (queue) => this.#purge(queue),
      move: (queue, to, options = {}) => this.#move(queue, to, options.ids),
      forgetDurable: (name) => this.#forgetDurable(name),
      get bytes() {
        return bytes();
      },
      get scheduled() {
        return scheduled();
      },
    };
  })();

  #browse(name: string, limit: number): readonly MessageView[] {
    const queue = this.#queues.get(name);
    if (queue === undefined) return [];
    const views: MessageView[] = [];
    for (const { id, destination, content, redeliveries, attributes, sentAt } of queue.inMemory()) {
      if (views.length >= limit) return views;
      const { priority, expiresAt } = attributes;
      views.push({ id, destination, content, redeliveries, priority, sentAt, expiresAt });
    }
    if (!this.#keeps(queue)) return views;
    // Those that are only in the store stand behind those in memory; the ones with consumers stand before.
    const last = views.at(-1);
    let after = last && { queue: name, priority: last.priority, id: last.id };
    while (views.length < limit && views.length < queue.view.waiting) {
      const page = this.#store.read(name, after, { messages: limit - views.length, bytes: this.#options.windowBytes });
      const end = page.at(-1);
      if (end === undefined) break;
      views.push(...page);
      after = { queue: name, priority: end.priority, id: end.id };
    }
    return views;
  }

  async #purge(name: string): Promise<number> {
    const queue = this.#queues.get(name);
    let purged = 0;
    for (;;) {
      const some = queue?.pull(SWEPT_AT_ONCE) ?? [];
      if (some.length === 0) return purged;
      purged += some.length;
      await this.#tell();
    }
  }

  async #move(name: string, to: string | undefined, ids: readonly number[] | undefined): Promise<number> {
    const queue = this.#queues.get(name);
    if (queue === undefined) return 0;
    const wanted = ids && new Set(ids);
    const moved = wanted ? queue.remove(({ id }) => wanted.has(id)) : queue.pull(queue.view.waiting);
    const behind = new Set<Queue | TopicSubscriber>();
    this.#committing = true;
    for (const kept of moved) {
      const origin = kept.content.headers.get('original-destination');
      const text = to === undefined ? (origin ?? kept.destination) : `/queue/${to}`;
      const content = to === undefined ? this.#withoutDeath(kept.content) : kept.content;
      if (text.startsWith('/topic/')) this.#publish(topicOf(text), text, content, kept.attributes, behind);
      else
        this.#enqueue(this.#queue(text.replace(/^\/queue\//, '')), text, content, { ...kept.attributes, expiresAt: 0 });
    }
    this.#committing = false;
    await this.#tell();
    return moved.length;
  }

  #withoutDeath(content: Content): Content {
    return Content.of(frame('SEND', content.headers, content.body), ABOUT_THE_DEATH, this.#scratch);
  }

  async #forgetDurable(name: string): Promise<boolean> {
    const durable = this.#durables.get(name);
    if (durable === undefined) return false;
    if (durable.connected) throw new EngineError('in-use', `the durable subscription ${name} has its subscriber`);
    await this.#forget(durable);
    this.#options.observer?.durableDeleted?.(name, durable.text);
    return true;
  }

  async #forget(durable: Durable): Promise<void> {
    this.#durables.delete(durable.name);
    await this.#purge(durable.queue.name);
    this.#queues.delete(durable.queue.name);
    this.#pending.facts.push({ key: Durables.factOf(durable.name, '').key, value: undefined });
    await this.#tell();
  }
}

function storedOf({ queue, kept }: { readonly queue: Queue; readonly kept: Kept }): StoredMessage {
  const { id, destination, content, attributes, redeliveries, sentAt } = kept;
  const { priority, expiresAt } = attributes;
  return { queue: queue.name, priority, id, destination, content, sentAt, expiresAt, redeliveries };
}

function topicOf(text: string): string {
  return text.replace(/^\/topic\//, '');
}

function split(text: string): [kind: string, name: string] {
  const at = text.indexOf(':');
  return [text.slice(0, at), text.slice(at + 1)];
}

function storeFailure(cause: unknown): EngineError {
  const why = cause instanceof StoreError ? cause.message : 'the store failed';
  return new EngineError('store-failed', why, undefined, { cause });
}

function tooMany(maxQueues: number, at?: number): EngineError {
  return new EngineError('too-many-queues', `there are ${maxQueues} queues (maxQueues)`, at);
}
