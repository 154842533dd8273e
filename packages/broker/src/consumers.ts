// The subscriptions of one connection: what each may still be given, and what they owe.
//
//   engine ──deliver──► Consumers ──message──► session
//   engine ◄──request── ask: as far as the client's window, the room for output and maxUnsettled allow

import type { ServerSession, ServerSubscription } from '@stompbox/protocol';
import type {
  Delivery,
  Destination,
  Engine,
  EngineError,
  Feed,
  Settlement,
  SubscriptionRequest,
} from './engine/engine.ts';
import type { BrokerLimits, LimitName } from './limits.ts';
import { Overdue } from './overdue.ts';

/** A subscription as the broker keeps it. */
export interface Consumer {
  readonly subscription: ServerSubscription<Delivery>;
  /** Deliveries wait for their ACK. */
  readonly acked: boolean;
  /** And are not to wait for ever. */
  readonly timed: boolean;
  readonly feed: Promise<Feed>;
  /** The feed once it may deliver: after the RECEIPT of the SUBSCRIBE (F-11). */
  ready: Feed | undefined;
  open: boolean;
  /** Deliveries the client still allows (prefetch; without bound for `auto`) and the engine was not asked for. */
  window: number;
  /** Deliveries the engine was asked for and has not made. */
  asked: number;
}

/** What a SUBSCRIBE asks for besides a place. */
export type Wishes = Pick<SubscriptionRequest, 'selects' | 'selector' | 'exclusive' | 'browse' | 'durable'>;

/** What consumers need of their broker. */
export interface ConsumersOwner {
  readonly engine: Engine;
  readonly limits: BrokerLimits;
  now(): number;
  schedule(ms: number, run: () => void): () => void;
  /** Nothing more is delivered for now. */
  reached(limit: LimitName): void;
}

/** What consumers need of their connection. */
export interface ConsumersPeer {
  /** Bytes that wait for the client to read. */
  readonly unread: number;
  /** A MESSAGE was written. */
  handedOut(delivery: Delivery): void;
  /** The engine has ended a subscription. */
  ended(error: EngineError): void;
  /** A delivery has waited too long for its settlement. */
  overdue(): void;
}

// Asking for few at a time keeps what the engine hands over bounded by what the client reads.
const CREDIT = 2;
const DONE = Promise.resolve();

export class Consumers {
  readonly #owner: ConsumersOwner;
  readonly #peer: ConsumersPeer;
  readonly #session: ServerSession<Delivery>;
  readonly #all = new Map<ServerSubscription<Delivery>, Consumer>();
  #overdue: Overdue | undefined; // made with the first debt
  #unsettled = 0;
  #choked = false; // too much waits for the client
  #sated = false; // it owes as many settlements as it may
  #hushed = false; // the broker stops

  constructor(owner: ConsumersOwner, peer: ConsumersPeer, session: ServerSession<Delivery>) {
    this.#owner = owner;
    this.#peer = peer;
    this.#session = session;
  }

  get(subscription: ServerSubscription<Delivery> | undefined): Consumer | undefined {
    return subscription && this.#all.get(subscription);
  }

  /** Deliveries that wait for their settlement. */
  get unsettled(): number {
    return this.#unsettled;
  }

  /** Whether any settlement is owed. */
  get owes(): boolean {
    for (const { subscription } of this.#all.values()) if (subscription.owed.size > 0) return true;
    return false;
  }

  /** How many there are of queues and of topics. */
  get kinds(): { readonly queues: number; readonly topics: number } {
    let queues = 0;
    for (const { subscription } of this.#all.values()) if (!subscription.destination.startsWith('/topic/')) queues++;
    return { queues, topics: this.#all.size - queues };
  }

  /** Whether one has this destination. */
  has(destination: string): boolean {
    for (const { subscription } of this.#all.values()) if (subscription.destination === destination) return true;
    return false;
  }

  /** Makes one; nothing is delivered to it before `start`. */
  open(
    subscription: ServerSubscription<Delivery>,
    destination: Destination,
    window: number,
    wishes: Wishes = {},
  ): Consumer {
    const acked = subscription.ack !== 'auto';
    const consumer: Consumer = {
      subscription,
      acked,
      timed: acked && !wishes.browse, // nobody has to settle a copy
      feed: this.#owner.engine.open({
        ...wishes,
        destination,
        acknowledged: acked,
        deliver: (delivery) => this.#deliver(consumer, delivery),
        ended: (error) => queueMicrotask(() => this.#peer.ended(error)), // we may be inside the engine
      }),
      ready: undefined,
      open: true,
      window,
      asked: 0,
    };
    this.#all.set(subscription, consumer);
    return consumer;
  }

  start(consumer: Consumer, feed: Feed): void {
    consumer.ready = feed;
    if (consumer.open) this.#ask(consumer);
  }

  /** Nothing more is delivered to any. What was delivered is owed as before. */
  hush(): void {
    this.#hushed = true;
    for (const { ready } of this.#all.values()) ready?.close();
  }

  /** Nothing more is delivered to one that is about to end. */
  rest(subscription: ServerSubscription<Delivery>): void {
    this.#all.get(subscription)?.ready?.close();
  }

  /** Ends one. What it owed is nobody's debt, and the caller's to give back. */
  leave(subscription: ServerSubscription<Delivery>): Promise<void> {
    const left = this.#leave(subscription);
    this.#unsettled = 0;
    for (const consumer of this.#all.values()) if (consumer.acked) this.#unsettled += consumer.subscription.owed.size;
    this.#askTheSated();
    return left;
  }

  /** Ends all. Answers what they owed, what is enlisted in transactions included. */
  leaveAll(): Delivery[] {
    const owed: Delivery[] = [];
    this.#overdue?.stop();
    this.#unsettled = 0;
    for (const subscription of this.#all.keys()) {
      for (const { item } of subscription.owed.values()) owed.push(item);
      void this.#leave(subscription);
    }
    return owed;
  }

  // A feed that may deliver is closed at once: nothing can be delivered to a subscription that has ended.
  #leave(subscription: ServerSubscription<Delivery>): Promise<void> {
    const consumer = this.#all.get(subscription);
    if (consumer === undefined) return DONE;
    this.#all.delete(subscription);
    consumer.open = false;
    if (consumer.ready === undefined) return consumer.feed.then((feed) => feed.close()).catch(() => {}); // it never opened, and SUBSCRIBE was told
    consumer.ready.close();
    return DONE;
  }

  /** Windows open by so much: settlements were taken. */
  credit(credits: ReadonlyMap<Consumer, number>): void {
    for (const [consumer, n] of credits) {
      consumer.window += n;
      if (!consumer.open) continue;
      this.#unsettled -= n;
      this.#ask(consumer);
    }
    this.#askTheSated();
  }

  /** The client has read. */
  unchoke(): void {
    if (!this.#choked) return;
    this.#choked = false;
    for (const consumer of this.#all.values()) this.#ask(consumer);
  }

  #deliver(consumer: Consumer, delivery: Delivery): void {
    this.#session.message(consumer.subscription, delivery, delivery);
    if (consumer.acked) this.#unsettled++;
    if (consumer.timed) this.#watch();
    consumer.asked--;
    this.#peer.handedOut(delivery);
    this.#ask(consumer);
  }

  #watch(): void {
    this.#overdue ??= new Overdue(
      {
        oldest: () => this.#oldest(),
        next: () => this.#session.deliveries,
        now: () => this.#owner.now(),
        schedule: (ms, run) => this.#owner.schedule(ms, run),
        overdue: () => this.#peer.overdue(),
      },
      this.#owner.limits.unsettledTimeoutMs,
    );
    this.#overdue.watch();
  }

  #oldest(): number | undefined {
    let oldest: number | undefined;
    for (const { timed, subscription } of this.#all.values()) {
      if (!timed) continue;
      const [first] = subscription.owed.keys(); // the oldest, as they are in the order of delivery
      if (first !== undefined && (oldest === undefined || first < oldest)) oldest = first;
    }
    return oldest;
  }

  // Asks the engine for more, as far as the client's window and the room for output allow (M-90, M-91).
  #ask(consumer: Consumer): void {
    if (this.#hushed || this.#choked || consumer.ready === undefined) return;
    if (consumer.asked >= CREDIT || consumer.window === 0) return;
    const { maxOutputBytes, maxUnsettled } = this.#owner.limits;
    if (this.#peer.unread > maxOutputBytes) {
      this.#choked = true;
      return;
    }
    let n = Math.min(consumer.window, CREDIT - consumer.asked);
    if (consumer.acked) {
      const room = maxUnsettled - this.#unsettled - consumer.asked;
      if (room <= 0) {
        if (!this.#sated) this.#owner.reached('maxUnsettled');
        this.#sated = true;
        return;
      }
      n = Math.min(n, room);
    }
    consumer.window -= n;
    consumer.asked += n;
    consumer.ready.request(n);
  }

  #askTheSated(): void {
    if (!this.#sated || this.#unsettled >= this.#owner.limits.maxUnsettled) return;
    this.#sated = false;
    for (const consumer of this.#all.values()) this.#ask(consumer);
  }
}

/** Deliveries that nobody will settle now: all at once, so that they go out again in their order. */
export function putBack(engine: Engine, orphans: readonly Delivery[]): Promise<void> {
  if (orphans.length === 0) return DONE;
  const settlements = orphans.map((delivery): Settlement => ({ delivery, outcome: 'return' }));
  return engine.commit({ sends: [], settlements, atomic: false });
}
