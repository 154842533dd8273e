// The engine inside the process: queues and topics over a store. One thread, no waiting
// inside: `commit` has its effect, deliveries included, before it returns; its promise
// waits for the store, and, where a producer is to be slowed down, for consumers.
//
//   commit ─► queues, topics ─► #change ─► store.commit      once a call
//   a consumer asks, a timer fires ─► #change ─► store.commit  once a turn
//
// What is sent and settled in the same change never reaches the store.

import { Content, Encoder, frame, NameSet } from '@stompbox/protocol';
import type { Change, MessageKey, Portion, ScheduledMessage, Store, StoredMessage } from '../../store/store.ts';
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

interface Gone {
  readonly queue: Queue;
  readonly kept: Kept;
}

/** What the store is to be told, as far as it is known. */
interface Pending {
  append: { readonly queue: Queue; readonly kept: Kept }[];
  settle: Gone[];
  redelivered: (Gone & { readonly redeliveries: number })[];
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
const BROWSED_AT_ONCE = { messages: 100, bytes: 262_144 };
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
  readonly #damaged = new Set<number>(); // ids that were told
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
  #toldBytes = 0; // on their way to the store
  #releasing = false; // what is due is on its way from the schedule to its queues
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
      const { topic, selector } = Durables.readFact(text);
      this.#durables.add(name, topic, selector, this.#queue(durableQueueName(name)));
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
    if (told !== DONE) told.catch(() => {}); // not everybody waits for it
    if (refused !== undefined) return told.then(() => Promise.reject(refused)); // what came before it stands, once it is kept
    const still = [...behind].filter((one) => one.isBehind); // what was delivered since may have made room
    // Who does not wait for the disk must not be ever further ahead of it.
    const waits = persistent || this.#toldBytes > this.#options.producersWaitAboveBytes;
    const kept = persistent ? told : waits ? told.catch(() => {}) : DONE;
    if (still.length === 0) return kept;
    return Promise.all([kept, ...still.map((one) => one.eased())]).then(() => {});
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
    for (const { queue, selects } of this.#durables.of(topic))
      if (selects?.(content) !== false) this.#enqueue(queue, text, content, attributes);
    const subscribers = this.#topics.subscribers(topic);
    if (subscribers.length === 0 || (attributes.expiresAt > 0 && attributes.expiresAt <= this.time())) return;
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
  #admit(
    { destination, content, attributes = PLAIN }: Send,
    at: number,
    ahead: Load,
    all: Load,
    newQueues: number,
  ): void {
    if (destination.kind === 'topic') {
      if (attributes.dueAt > 0 || this.#durables.of(destination.name).length > 0)
        this.#admitBytes(this.#durable, all.bytes + weightOf(content), at);
      return;
    }
    const { maxQueueBytes, maxQueueMessages, maxQueues } = this.#options;
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
    this.#admitBytes(this.#keepsNamed(name), all.bytes + bytes, at);
  }

  // What waits for its time, and a topic's durable subscriptions, have no other limit.
  #admitBytes(stored: boolean, bytes: number, at: number): void {
    const scheduled = this.#store.scheduled.bytes;
    const { maxMemoryBytes } = this.#options;
    if (stored) {
      if (this.#bytes - this.#memoryBytes + scheduled + bytes > this.#options.maxStoreBytes)
        throw new EngineError(
          'store-full',
          `the store has room for ${this.#options.maxStoreBytes} bytes (maxStoreBytes)`,
          at,
        );
    } else if (this.wouldOverflow(bytes + (this.#durable ? 0 : scheduled)))
      throw new EngineError('memory-full', `all queues have room for ${maxMemoryBytes} bytes (maxMemoryBytes)`, at);
  }

  #queue(name: string): Queue {
    let queue = this.#queues.get(name);
    if (queue === undefined) {
      queue = new Queue(name, this, this.#keepsNamed(name) ? this.#pagesOf(name) : undefined);
      this.#queues.set(name, queue);
    }
    return queue;
  }

  #pagesOf(name: string): ConstructorParameters<typeof Queue>[2] {
    return {
      windowBytes: this.#options.windowBytes,
      read: (after, most) => {
        const key = after && { queue: name, priority: after.priority, id: after.id };
        return this.#read(name, key, most).map((stored) => this.#revive(stored));
      },
    };
  }

  // A damaged message is told and set aside: it stays in the store for somebody to look at, and the queue goes on behind it.
  #read(queue: string, after: MessageKey | undefined, most: Portion): StoredMessage[] {
    let from = after;
    for (;;) {
      try {
        return this.#store.read(queue, from, most);
      } catch (error) {
        if (!(error instanceof StoreError) || error.key === undefined || !('queue' in error.key)) throw error;
        this.#setAside(error, error.key.id);
        from = error.key;
      }
    }
  }

  #setAside(error: StoreError, id: number): void {
    if (this.#damaged.has(id)) return;
    this.#damaged.add(id);
    this.#options.observer?.storeDamaged?.(error);
  }

  #revive(stored: StoredMessage): Kept {
    const { id, destination, content, priority, expiresAt, sentAt, redeliveries, queue } = stored;
    const plain = priority === PLAIN.priority && expiresAt === 0;
    const group = groupOf(content);
    const attributes = plain && group === undefined ? PLAIN : { ...PLAIN, priority, expiresAt, group };
    const origin = this.#queue(queue);
    const kept = new Kept(id, destination, content, origin, attributes, sentAt);
    kept.redeliveries = kept.counted = redeliveries;
    kept.recovered = id <= this.#recoveredTo; // who knows what had been delivered
    kept.stored = 'yes';
    if (expiresAt > 0) this.#expiring.add(origin);
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
    const { selector } = request;
    let durable = this.#durables.get(name);
    if (durable !== undefined && (durable.text !== destination.text || durable.selector !== selector)) {
      if (durable.connected) throw inUse(name);
      await this.#forget(durable); // another topic or selector under the same name begins anew
      durable = this.#durables.get(name);
    }
    if (durable?.connected) throw inUse(name);
    if (durable === undefined) {
      if (this.#queues.size >= this.#options.maxQueues) throw tooMany(this.#options.maxQueues);
      durable = this.#durables.add(name, destination.text, selector, this.#queue(durableQueueName(name)));
      this.#pending.facts.push(Durables.factOf(durable));
    }
    const kept = durable;
    kept.connected = true;
    const feed = this.#feedOf(kept.queue, { ...request, selects: undefined }); // selected when they came
    try {
      await this.#tell();
    } catch (error) {
      kept.connected = false;
      feed.close();
      throw error;
    }
    return {
      request: (n) => feed.request(n),
      close: () => {
        kept.connected = false;
        feed.close();
      },
    };
  }

  #openBrowser(request: SubscriptionRequest): Feed {
    const { destination, selects } = request;
    const last = this.#nextId++; // what comes later is not shown
    let page: Kept[] = [];
    let after: Place | undefined;
    let over = false;
    let credit = 0;
    let delivering = false;
    const show = ({ id, content }: Kept): void => {
      credit--;
      request.deliver(new Kept(id, destination.text, content, NOBODY));
    };
    const turn = (): void => {
      page = this.#queues.get(destination.name)?.peek(after, BROWSED_AT_ONCE).reverse() ?? [];
      const [end] = page;
      if (end !== undefined) after = { priority: end.attributes.priority, id: end.id };
      else {
        over = true;
        show(new Kept(last, '', Content.of(frame('SEND', [['browser', 'end']]), NO_HEADERS, this.#scratch), NOBODY));
      }
    };
    return {
      request: (n) => {
        credit += n;
        if (delivering) return;
        delivering = true;
        while (credit > 0 && !over) {
          const kept = page.pop();
          if (kept === undefined) turn();
          else if (kept.id < last && selects?.(kept.content) !== false) show(kept);
        }
        delivering = false;
      },
      close: () => {
        over = true;
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
  #keeps({ name }: Queue): boolean {
    return this.#keepsNamed(name);
  }

  #keepsNamed(name: string): boolean {
    return this.#durable && (!isTemporary(name) || isDurableQueue(name));
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
    let toldBytes = 0;
    for (const one of kept) {
      one.kept.stored = 'told';
      one.kept.counted = one.kept.redeliveries;
      toldBytes += one.kept.bytes;
    }
    this.#toldBytes += toldBytes;
    const change: Change = {
      append: kept.map(storedOf),
      settle: settle.map(keyOf),
      redelivered: redelivered.map((one) => ({ ...keyOf(one), redeliveries: one.redeliveries })),
      schedule,
      unschedule,
      facts,
    };
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
        this.#toldBytes -= toldBytes;
        for (const one of kept) one.kept.stored = 'yes';
        for (const one of redelivered) one.kept.counted = one.redeliveries;
        for (const one of settle) one.queue.left(one.kept.id);
        if (schedule.length > 0 && !this.#closed) this.#armDue();
      },
      (cause: unknown) => {
        this.#toldBytes -= toldBytes;
        counts.heard += told;
        counts.commitFailures++;
        this.#storeFailed(cause);
        for (const { queue, kept: lost } of kept) queue.retract(lost);
        for (const one of redelivered) one.kept.counted = one.redeliveries; // nobody will count them again
        for (const { queue, kept: back } of settle) {
          if (back.stored === 'no') queue.left(back.id);
          else queue.restore(back);
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

  /** Bytes of messages that are in memory and nowhere else. */
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
  }

  // Once the store has it: what is on its way there is not due yet.
  #armDue(): void {
    if (this.#releasing) return;
    const next = this.#store.nextDue();
    if (next !== undefined && next < this.#dueAt) this.#arm(next);
  }

  #arm(dueAt: number): void {
    this.#cancelDue?.();
    this.#dueAt = dueAt;
    const ms = Math.min(Math.max(0, dueAt - this.time()), LONGEST_TIMER_MS);
    this.#cancelDue = this.#options.schedule(ms, () => this.#release());
  }

  // A damaged one can only be told and dropped: it would stand before all others for ever.
  #due(): ScheduledMessage[] {
    try {
      return this.#store.due(this.time(), { messages: SWEPT_AT_ONCE, bytes: this.#options.windowBytes });
    } catch (error) {
      if (!(error instanceof StoreError) || error.key === undefined || !('dueAt' in error.key)) throw error;
      this.#setAside(error, error.key.id);
      this.#pending.unschedule.push(error.key);
      return [];
    }
  }

  // A message leaves the schedule and enters its queue in one change.
  #release(): void {
    this.#dueAt = Number.POSITIVE_INFINITY;
    this.#cancelDue = undefined;
    this.#releasing = true; // until the store shows them no longer
    const due = this.#due();
    const behind = new Set<Queue | TopicSubscriber>();
    this.#committing = true;
    for (const { id, dueAt, queue, destination, content, priority, expiresAt } of due) {
      this.#pending.unschedule.push({ id, dueAt });
      const [kind = '', name = ''] = split(queue);
      const attributes = { ...PLAIN, priority, expiresAt, group: groupOf(content) };
      if (kind === 'topic') this.#publish(name, destination, content, attributes, behind);
      else this.#enqueue(this.#queue(name), destination, content, attributes);
    }
    this.#committing = false;
    this.#tell().then(
      () => {
        this.#releasing = false;
        if (!this.#closed) this.#armDue();
      },
      () => {
        this.#releasing = false;
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
      const more =
        late.length > 0 || queue.isPartlyOut || some(queue.inMemory(), (kept) => kept.attributes.expiresAt > 0);
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
    const [stored] = this.#read(key.queue, { ...key, id: key.id - 1 }, { messages: 1, bytes: 1 });
    if (queue === undefined || stored?.id !== key.id) return;
    const kept = this.#revive(stored);
    if (!queue.forget(key, stored.content.bytes.length)) return; // it is in memory, or with a consumer
    this.#pending.settle.push({ queue, kept });
    this.deadLetter(queue, kept, 'expired');
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
    if (kept.stored === 'pending') kept.stored = 'no'; // it came and went before the store heard of it
    if (kept.stored === 'no') queue.left(kept.id);
    else {
      this.#pending.settle.push({ queue, kept });
      this.#tellLater();
    }
  }

  redelivered(queue: Queue, kept: Kept): void {
    if (kept.stored === 'no') return;
    this.#pending.redelivered.push({ queue, kept, redeliveries: kept.redeliveries });
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
      queues: () =>
        [...this.#queues.values()]
          .filter((queue) => !queue.isIdle && !isDurableQueue(queue.name))
          .map((queue) => queue.view),
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
    for (let after: Place | undefined; views.length < limit; ) {
      const page = queue.peek(after, { messages: limit - views.length, bytes: this.#options.windowBytes });
      const end = page.at(-1);
      if (end === undefined) break;
      after = { priority: end.attributes.priority, id: end.id };
      for (const { id, destination, content, redeliveries, attributes, sentAt } of page) {
        const { priority, expiresAt } = attributes;
        views.push({ id, destination, content, redeliveries, priority, sentAt, expiresAt });
      }
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
    if (wanted)
      return this.#moveAway(
        queue,
        to,
        queue.remove(({ id }) => wanted.has(id)),
      );
    let moved = 0;
    for (let left = queue.view.waiting; left > 0; left -= SWEPT_AT_ONCE) {
      const some = await this.#moveAway(queue, to, queue.pull(Math.min(left, SWEPT_AT_ONCE)));
      if (some === 0) break;
      moved += some;
    }
    return moved;
  }

  async #moveAway(queue: Queue, to: string | undefined, moved: readonly Kept[]): Promise<number> {
    const behind = new Set<Queue | TopicSubscriber>();
    // Dead letters of a durable subscription are its own, and no other's.
    const subscription = this.#durables.get(queue.name.slice(`${this.#deadLetters}durable/`.length))?.queue;
    const owner = queue.name.startsWith(`${this.#deadLetters}durable/`) ? subscription : undefined;
    this.#committing = true;
    for (const { content, destination, attributes } of moved) {
      if (to !== undefined) {
        this.#enqueue(this.#queue(to), `/queue/${to}`, content, attributes);
        continue;
      }
      const text = content.headers.get('original-destination') ?? destination;
      const priority = content.headers.get('priority') ?? '';
      const before = {
        ...PLAIN,
        priority: /^[0-9]$/.test(priority) ? Number(priority) : PLAIN.priority,
        group: groupOf(content),
      };
      const alive = this.#withoutDeath(content);
      if (owner !== undefined) this.#enqueue(owner, text, alive, before);
      else if (text.startsWith('/topic/')) this.#publish(topicOf(text), text, alive, before, behind);
      else this.#enqueue(this.#queue(text.replace(/^\/queue\//, '')), text, alive, before);
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
    if (durable.connected) throw inUse(name);
    await this.#forget(durable);
    this.#options.observer?.durableDeleted?.(name, durable.text);
    return true;
  }

  async #forget(durable: Durable): Promise<void> {
    this.#durables.delete(durable.name);
    await this.#purge(durable.queue.name);
    this.#queues.delete(durable.queue.name);
    this.#pending.facts.push({ key: Durables.factOf(durable).key, value: undefined });
    await this.#tell();
  }
}

function storedOf({ queue, kept }: { readonly queue: Queue; readonly kept: Kept }): StoredMessage {
  const { id, destination, content, attributes, redeliveries, sentAt } = kept;
  const { priority, expiresAt } = attributes;
  return { queue: queue.name, priority, id, destination, content, sentAt, expiresAt, redeliveries };
}

function keyOf({ queue, kept }: Gone): MessageKey {
  return { queue: queue.name, priority: kept.attributes.priority, id: kept.id };
}

function groupOf({ headers }: Content): string | undefined {
  return headers.get('JMSXGroupID');
}

function some<T>(all: Iterable<T>, met: (one: T) => boolean): boolean {
  for (const one of all) if (met(one)) return true;
  return false;
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

function inUse(name: string): EngineError {
  return new EngineError('in-use', `the durable subscription ${name} has its subscriber`);
}

function tooMany(maxQueues: number, at?: number): EngineError {
  return new EngineError('too-many-queues', `there are ${maxQueues} queues (maxQueues)`, at);
}
