// The engine inside the process: queues and topics over a store. One thread, no waiting
// inside: `commit` has its effect, deliveries included, before it returns; its promise
// waits for the store, and, where a producer is to be slowed down, for consumers.
//
//   commit ─► room: is there any? ─► queues, topics ─► journal ─► store.commit   once a call
//   a consumer asks, a timer fires ─► queues, topics ─► journal ─► store.commit   once a turn
//
// This is the façade: it commits and opens, and gives each part what it needs of the others.

import type { Content } from '@stompbox/protocol';
import { Encoder } from '@stompbox/protocol';
import type { MessageKey, ScheduledMessage, Store, StoredMessage } from '../../store/store.ts';
import { isTemporary } from '../../temporary.ts';
import {
  type Attributes,
  type Engine,
  EngineError,
  type Feed,
  type Guarantees,
  type Inspection,
  PLAIN,
  type Send,
  type Settlement,
  type SubscriptionRequest,
  type Work,
} from '../engine.ts';
import { type EngineCounts, noCounts } from './books.ts';
import { browser, type Peek } from './browser.ts';
import { DeadLetters } from './dead-letters.ts';
import { groupOf, Kept, NOBODY, type Origin, weightOf } from './delivery.ts';
import { Duplicates } from './duplicates.ts';
import { Durables, isDurableQueue } from './durable.ts';
import { DurableFeeds } from './durable-feeds.ts';
import { Expiry } from './expiry.ts';
import { inspection } from './inspection.ts';
import { DONE, Journal } from './journal.ts';
import type { EmbeddedEngineOptions, WhenFull } from './options.ts';
import { type Death, Queue, type QueueOwner } from './queue.ts';
import { Reader } from './reader.ts';
import { Room } from './room.ts';
import { Rounds, type Walker } from './rounds.ts';
import { Schedule } from './schedule.ts';
import { type TopicOwner, type TopicSubscriber, Topics } from './topic.ts';

export class EmbeddedEngine implements Engine, QueueOwner, TopicOwner {
  readonly guarantees: Guarantees;
  readonly counts: EngineCounts = noCounts();
  readonly inspect: Inspection;
  readonly #options: EmbeddedEngineOptions;
  readonly #whenFull: WhenFull;
  readonly #durable: boolean;
  readonly #queues = new Map<string, Queue>();
  readonly #topics: Topics;
  readonly #durables = new Durables();
  readonly #durableFeeds: DurableFeeds;
  readonly #duplicates: Duplicates;
  readonly #room: Room;
  readonly #journal: Journal;
  readonly #reader: Reader;
  readonly #schedule: Schedule;
  readonly #expiry: Expiry;
  readonly #rounds: Rounds;
  readonly #deadLetters: DeadLetters;
  readonly #scratch = new Encoder({ version: '1.2', unrepresentable: 'replace' });
  #nextId: number;
  #closed = false;

  /** Takes over what the store has. Throws StoreError where that cannot be read. */
  constructor(options: EmbeddedEngineOptions, store: Store) {
    const { observer } = options;
    const durable = store.survives === 'power-cut';
    this.#options = options;
    this.#whenFull = options.whenFull ?? 'refuse';
    this.#durable = durable;
    this.#nextId = store.lastId + 1;
    this.guarantees = { durable: durable ? 'power-cut' : 'no', atomic: true, ordered: true, scheduled: true };
    this.#topics = new Topics(this);
    this.#deadLetters = new DeadLetters(options.deadLetterPrefix ?? 'dlq.', this.#scratch);
    this.#duplicates = new Duplicates(options);
    this.#rounds = new Rounds((ms, run) => options.schedule(ms, run));
    this.#reader = new Reader(store, observer);
    this.#journal = new Journal(store, {
      telling: (facts, outcome) => this.#duplicates.telling(facts, outcome),
      postponed: () => this.#schedule.arm(),
      time: () => options.time(),
      counts: this.counts,
      observer,
    });
    this.#room = new Room(
      {
        queues: this.#queues,
        durable,
        scheduled: () => store.scheduled,
        keeps: (queue) => this.#journal.keeps(queue),
        gathering: (topic) => this.#durables.of(topic),
        roomFor: (queue) => this.#rounds.add(queue),
      },
      options,
    );
    this.#schedule = new Schedule(
      {
        nextDue: () => store.nextDue(),
        due: (now, most, drop) => this.#reader.due(now, most, drop),
        arrive: (kind, name, message) => this.#arrive(kind, name, message),
      },
      this.#journal,
      options,
      options.windowBytes,
    );
    this.#expiry = new Expiry(
      {
        expired: (now, most) => (durable ? store.expired(now, most) : []),
        find: (key) => this.#find(key),
        deadLetter: (queue, kept, reason) => this.deadLetter(queue, kept, reason),
        gone: (queue, kept) => this.gone(queue, kept),
      },
      this.#journal,
      this.#duplicates,
      options,
    );
    this.#durableFeeds = new DurableFeeds(
      this.#durables,
      {
        queue: (name) => this.#queue(name),
        drop: (queue) => {
          this.#queues.delete(queue.name);
          this.#room.forget(queue);
        },
        feed: (queue, request) => this.#feedOf(queue, request),
        admitQueue: () => this.#room.admitQueue(),
        durableDeleted: (name, pattern) => observer?.durableDeleted?.(name, pattern),
      },
      this.#journal,
    );
    this.inspect = inspection(
      {
        queues: this.#queues,
        durables: this.#durables,
        deadLetters: this.#deadLetters,
        bytes: () => this.#room.bytes,
        scheduled: () => store.scheduled.messages,
        enqueue: (queue, text, content, attributes) => this.#enqueue(this.#queue(queue), text, content, attributes),
        publish: (topic, text, content, attributes) => this.#publish(topic, text, content, attributes, new Set()),
        forgetDurable: (name) => this.#durableFeeds.forget(name),
        windowBytes: options.windowBytes,
      },
      this.#journal,
    );
    this.#recover(store);
  }

  #recover(store: Store): void {
    for (const { queue, messages, bytes } of store.queues()) this.#queue(queue).recover(messages, bytes);
    this.#durableFeeds.recover(store.facts(Durables.facts));
    const known = [...store.facts(Duplicates.facts)].map(([key, at]) => [key, Number(at)] as const);
    for (const [key, at] of known.sort(([, a], [, b]) => a - b)) this.#duplicates.remember(key, at);
    this.#schedule.arm();
    this.#expiry.begin();
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

  /** Bytes of messages in memory, whether they are on disk or not. */
  get memoryBytes(): number {
    return this.#room.memoryBytes;
  }

  // --------------------------------------------------------------------------------------------------------- commit

  commit(work: Work): Promise<void> {
    if (this.#closed) return Promise.reject(new EngineError('engine-closed', 'the broker is closing'));
    const { sends, settlements, atomic } = work;
    const behind = new Set<Queue | TopicSubscriber>();
    let refused: unknown;
    this.#journal.hold();
    try {
      if (atomic) this.#room.admitAll(sends);
      this.#settle(settlements);
      for (let at = 0; at < sends.length; at++) {
        const send = sends[at] as Send;
        if (!atomic) this.#room.admit(send, at);
        this.#send(send, behind);
      }
    } catch (error) {
      refused = error;
    } finally {
      this.#journal.letGo();
    }
    const persistent = settlements.length > 0 || sends.some(({ attributes }) => attributes?.persistent !== false);
    const told = this.#duplicates.withFirstOnes(this.#journal.tell());
    if (told !== DONE) told.catch(() => {}); // not everybody waits for it
    if (refused !== undefined) return told.then(() => Promise.reject(refused)); // what came before it stands, once it is kept
    const still = [...behind].filter((one) => one.isBehind); // what was delivered since may have made room
    // Who does not wait for the disk must not be ever further ahead of it.
    const waits = persistent || this.#journal.toldBytes > this.#options.producersWaitAboveBytes;
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
        this.#schedule.postpone(send, attributes, this.#nextId++);
        return;
      }
    }
    if (destination.kind === 'topic') this.#publish(destination.name, destination.text, content, attributes, behind);
    else {
      const queue = this.#queue(destination.name);
      this.#take(queue, destination.text, content, attributes);
      if (queue.isBehind) behind.add(queue);
    }
  }

  #take(queue: Queue, text: string, content: Content, attributes: Attributes): void {
    if (this.#whenFull === 'drop-oldest') this.counts.droppedOldest += queue.makeRoomFor(weightOf(content));
    this.#enqueue(this.#queue(queue.name), text, content, attributes); // it may have been abandoned when it was emptied
  }

  #enqueue(queue: Queue, text: string, content: Content, attributes: Attributes): void {
    const kept = new Kept(this.#nextId++, text, content, queue, attributes, this.#durable ? this.time() : 0);
    if (this.#journal.keeps(queue.name)) this.#journal.append(queue, kept);
    if (attributes.expiresAt > 0) this.#expiry.watch(queue);
    queue.add(kept);
  }

  #publish(
    topic: string,
    text: string,
    content: Content,
    attributes: Attributes,
    behind: Set<Queue | TopicSubscriber>,
  ): void {
    for (const { queue, selects } of this.#durables.of(topic)) {
      if (selects?.(content) === false) continue;
      this.#take(queue, text, content, attributes);
      if (queue.isBehind) behind.add(queue);
    }
    const subscribers = this.#topics.subscribers(topic);
    if (subscribers.length === 0 || (attributes.expiresAt > 0 && attributes.expiresAt <= this.time())) return;
    const kept = new Kept(this.#nextId++, text, content, NOBODY, attributes);
    for (const subscriber of subscribers) {
      subscriber.add(kept);
      if (subscriber.isBehind) behind.add(subscriber);
    }
  }

  #isDuplicate(destination: string, id: string): boolean {
    const now = this.time();
    const key = this.#duplicates.check(destination, id, now);
    if (key === undefined) {
      this.counts.duplicates++;
      return true;
    }
    this.#duplicates.remember(key, now);
    this.#journal.fact({ key, value: String(now) });
    this.#expiry.sweepLater();
    return false;
  }

  // What was postponed.
  #arrive(kind: string, name: string, { destination, content, priority, expiresAt }: ScheduledMessage): void {
    const attributes = { ...PLAIN, priority, expiresAt, group: groupOf(content) };
    if (kind === 'topic') this.#publish(name, destination, content, attributes, new Set());
    else this.#take(this.#queue(name), destination, content, attributes);
  }

  // --------------------------------------------------------------------------------------------- queues and messages

  #queue(name: string): Queue {
    let queue = this.#queues.get(name);
    if (queue === undefined) {
      queue = new Queue(name, this, this.#journal.keeps(name) ? this.#pagesOf(name) : undefined);
      this.#queues.set(name, queue);
    }
    return queue;
  }

  #pagesOf(name: string): ConstructorParameters<typeof Queue>[2] {
    return {
      windowBytes: this.#options.windowBytes,
      hold: (bytes) => this.#room.hold(bytes),
      isOpen: (queue) => this.#room.opened(queue),
      isOver: () => this.#room.isOver,
      spare: (wanted) => this.#room.spare(wanted),
      read: (after, most) => {
        const key = after && { queue: name, priority: after.priority, id: after.id };
        return this.#reader.read(name, key, most).map((stored) => this.#revive(stored));
      },
    };
  }

  #revive(stored: StoredMessage): Kept {
    const { id, destination, content, priority, expiresAt, sentAt, redeliveries, queue } = stored;
    const plain = priority === PLAIN.priority && expiresAt === 0;
    const group = groupOf(content);
    const attributes = plain && group === undefined ? PLAIN : { ...PLAIN, priority, expiresAt, group };
    const origin = this.#queue(queue);
    const kept = new Kept(id, destination, content, origin, attributes, sentAt);
    kept.redeliveries = kept.counted = redeliveries;
    kept.recovered = id <= this.#journal.recoveredTo; // who knows what had been delivered
    kept.stored = 'yes';
    if (expiresAt > 0) this.#expiry.watch(origin);
    return kept;
  }

  #find(key: MessageKey): { queue: Queue; kept: Kept } | undefined {
    const queue = this.#queues.get(key.queue);
    const [stored] = this.#reader.read(key.queue, { ...key, id: key.id - 1 }, { messages: 1, bytes: 1 });
    return queue === undefined || stored?.id !== key.id ? undefined : { queue, kept: this.#revive(stored) };
  }

  // ----------------------------------------------------------------------------------------------------------- open

  open(request: SubscriptionRequest): Promise<Feed> {
    if (this.#closed) return Promise.reject(new EngineError('engine-closed', 'the broker is closing'));
    if (!this.#journal.begun) return this.#journal.begin().then(() => this.open(request));
    const { kind, name } = request.destination;
    if (kind === 'topic') {
      if (request.durable !== undefined) return this.#durableFeeds.open(request, request.durable);
      const subscriber = this.#topics.open(request);
      return Promise.resolve({
        request: (n) => subscriber.ask(n),
        close: () => this.#topics.close(subscriber),
      });
    }
    if (request.browse) {
      const peek: Peek = (after, most) => this.#queues.get(name)?.peek(after, most) ?? [];
      const later = (walker: Walker): void => this.#rounds.add(walker);
      return Promise.resolve(browser(request, this.#nextId++, peek, later, this.#scratch));
    }
    try {
      if (!this.#queues.has(name)) this.#room.admitQueue();
    } catch (error) {
      return Promise.reject(error);
    }
    return Promise.resolve(this.#feedOf(this.#queue(name), request));
  }

  #feedOf(queue: Queue, request: SubscriptionRequest): Feed {
    const consumer = queue.open(request);
    return { request: (n) => queue.request(consumer, n), close: () => queue.close(consumer) };
  }

  discard(name: string): Promise<void> {
    const queue = this.#queues.get(name);
    this.#queues.delete(name);
    if (queue !== undefined) this.#room.forget(queue);
    queue?.discard();
    return DONE;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#schedule.close();
    this.#expiry.close();
    this.#rounds.close();
    for (const queue of this.#queues.values()) queue.release();
    this.#topics.release();
    await this.#journal.close();
  }

  // --------------------------------------------------------------------------------- what queues and topics ask for

  weigh(bytes: number, where: 'memory' | 'store' = 'memory'): void {
    this.#room.weigh(bytes, where);
  }

  hold(bytes: number): void {
    this.#room.hold(bytes);
  }

  walkLater(queue: Queue): void {
    this.#rounds.add(queue);
  }

  starved(queue: Queue): void {
    this.#room.starve(queue);
  }

  wouldOverflow(bytes: number): boolean {
    return this.#room.wouldOverflow(bytes);
  }

  schedule(ms: number, run: () => void): () => void {
    return this.#options.schedule(ms, run);
  }

  time(): number {
    return this.#options.time();
  }

  abandoned(queue: Queue): void {
    this.#expiry.unwatch(queue);
    this.#room.forget(queue);
    if (this.#queues.get(queue.name) === queue && !isDurableQueue(queue.name)) this.#queues.delete(queue.name);
  }

  gone(queue: Queue, kept: Kept): void {
    this.#journal.gone(queue, kept);
  }

  redelivered(queue: Queue, kept: Kept): void {
    this.#journal.redelivered(queue, kept);
  }

  // What is dead in a dead-letter queue stays there unless it is rejected; a temporary queue is no place to look it up.
  deadLetter(queue: Queue, kept: Kept, reason: Death): boolean {
    if (reason === 'expired') this.counts.expired++;
    if (this.#deadLetters.lieIn(queue.name)) return reason !== 'redeliveries';
    if (isTemporary(queue.name) && !isDurableQueue(queue.name)) return true;
    this.counts.dead[reason]++;
    this.#options.observer?.deadLetter?.(kept.destination, kept.id, reason, kept.redeliveries);
    this.#bury(this.#deadLetters.queueFor(queue.name), this.#deadLetters.letter(kept, reason, this.time()));
    this.#journal.tellLater();
    return true;
  }

  // Where there is no room the oldest dead letters make some: keeping the message where it was would block its queue, and
  // nobody is there to be refused. What consumers have stays; if that is all there is, the new one is given up.
  #bury(name: string, letter: Content): void {
    const bytes = weightOf(letter);
    let dropped = this.#queue(name).makeRoomFor(bytes);
    const queue = this.#queue(name);
    if (queue.length > 0 && queue.isFullFor(bytes)) dropped++;
    else this.#enqueue(queue, `/queue/${name}`, letter, PLAIN);
    if (dropped === 0) return;
    this.counts.droppedDead += dropped;
    this.#options.observer?.deadLettersDropped?.(name, dropped);
  }
}
