// One connection, from CONNECT to its end: events of the session become work for the
// engine, and what the engine delivers becomes frames.
//
//   channel ─► session ─► handle ─► work ─► engine.commit ─► in order: receipts
//   channel ◄─ flush ◄─── session.message ◄── deliver ◄───── engine
//
// SENDs and settlements of one chunk are one piece of work. Whatever must be answered
// waits in `#tail`, in the order it was asked for. Output is written once a
// turn, after the whole turn's input has been read.

import {
  type Encoder,
  type Frame,
  ProtocolError,
  type ServerEvent,
  type ServerSession,
  type ServerSubscription,
} from '@stompbox/protocol';
import type { Channel, ChannelEnd } from '@stompbox/transport';
import type { Identity } from './access.ts';
import {
  type Delivery,
  type Destination,
  type Engine,
  EngineError,
  type Feed,
  type Send,
  type Settlement,
  type SubscriptionRequest,
} from './engine/engine.ts';
import { type BrokerLimits, LIMIT_BEHIND, type LimitName } from './limits.ts';
import { Refusal } from './refusal.ts';
import { durableNameOf, prefetchOf, Router, selectorOf, wantsBrowsing, wantsExclusive } from './router.ts';

/** What a peer needs of its broker. */
export interface PeerOwner {
  readonly engine: Engine;
  readonly limits: BrokerLimits;
  /** What CONNECTED says in `server`; undefined says nothing. */
  readonly server: string | undefined;
  now(): number;
  /** Milliseconds since 1970. */
  time(): number;
  /** Calls `run` after `ms`; the answer cancels. */
  schedule(ms: number, run: () => void): () => void;
  /** Calls `peer.flush()` at the end of this turn. */
  flushLater(peer: Peer): void;
  authenticate(peer: Peer, frame: Frame): Promise<Identity>;
  allows(peer: Peer, identity: Identity, verb: 'send' | 'subscribe', destination: string): boolean;
  /** Whether some connection has this temporary queue now. */
  hasTemporary(queue: string): boolean;
  /** Drops a temporary queue and what is in it. */
  discard(queue: string): void;
  count(what: Counted, n: number): void;
  /** A frame came; SENDs are counted as `received`. */
  heard(kind: FrameKind): void;
  /** CONNECTED was sent. */
  admitted(peer: Peer, version: string): void;
  /** An ERROR with that code and message was sent. */
  refused(peer: Peer, error: unknown, code: string, message: string): void;
  /** Nothing more is delivered to it for now. */
  reached(limit: LimitName): void;
  /** A failure that is nobody's but ours. */
  unexpected(error: unknown): void;
  closed(peer: Peer, end: ChannelEnd): void;
}

/** What a broker counts. */
export type Counted =
  | 'received'
  | 'delivered'
  | 'redelivered'
  | 'acked'
  | 'nacked'
  | 'returned'
  | 'droppedReplies'
  | 'bytesReceived'
  | 'bytesSent';

/** Frames by what they do. */
export type FrameKind = Exclude<ServerEvent<unknown>['type'], 'settle' | 'heart-beat' | 'fault'> | 'ack' | 'nack';

/** What a connection holds now. */
export interface Holdings {
  readonly queueSubscriptions: number;
  readonly topicSubscriptions: number;
  readonly transactions: number;
  readonly unsettled: number;
  readonly isSlowed: boolean;
}

/** A subscription as the broker keeps it. */
interface Consumer {
  readonly subscription: ServerSubscription<Delivery>;
  /** Deliveries wait for their ACK. */
  readonly acked: boolean;
  readonly feed: Promise<Feed>;
  /** The feed once it may deliver: after the RECEIPT of the SUBSCRIBE (F-11). */
  ready: Feed | undefined;
  open: boolean;
  /** Deliveries the client still allows (prefetch; without bound for `auto`) and the engine was not asked for. */
  window: number;
  /** Deliveries the engine was asked for and has not made. */
  asked: number;
}

interface Transaction {
  readonly sends: Send[];
  readonly settlements: Settlement[];
  readonly credits: Map<Consumer, number>;
  frames: number;
  bytes: number;
}

/** What one chunk has asked for so far. */
interface Batch extends Pick<Transaction, 'credits'> {
  readonly sends: Send[];
  readonly settlements: Settlement[];
  /** Receipts, how many of `sends` came before each, and whether it is the last of these that asked for it. */
  readonly receipts: { readonly id: string; readonly after: number; readonly forSend: boolean }[];
}

/** What a SUBSCRIBE asks for besides a place. */
type Wishes = Pick<SubscriptionRequest, 'selects' | 'selector' | 'exclusive' | 'browse' | 'durable'>;

/** What to do when work was refused, where `at` says; answers the receipt that the refused frame had asked for. */
type Failed = (at: number | undefined) => string | undefined;

const DONE = Promise.resolve();

const emptyBatch = (): Batch => ({ sends: [], settlements: [], receipts: [], credits: new Map() });

// Asking for few at a time keeps what the engine hands over bounded by what the client reads.
const CREDIT = 2;
// Input whose effect is still awaited, above which a connection is not read.
const MAX_IN_FLIGHT_BYTES = 256 * 1024;
// How long what was asked for may keep a connection that is about to end.
const MAX_DEPARTURE_MS = 10_000;
// What is still read, and dropped, of a client that we have said our last words to. Then it is left alone until the linger
// is over: a reset at once would take the last words along (E-05).
const MAX_AFTER_END_BYTES = 64 * 1024;

export class Peer {
  /** Unique in the broker; the client knows it as `session`. */
  readonly id: string;
  readonly channel: Channel;
  readonly since: number;
  /** SENDs and MESSAGEs. */
  received = 0;
  delivered = 0;
  readonly #owner: PeerOwner;
  readonly #session: ServerSession<Delivery>;
  readonly #router: Router;
  readonly #consumers = new Map<ServerSubscription<Delivery>, Consumer>();
  readonly #transactions = new Map<string, Transaction>();
  #identity: Identity | undefined;
  #clientId: string | undefined;

  #batch = emptyBatch();
  #tail: Promise<void> = Promise.resolve();
  #receiptAtFault: string | undefined;
  #chunkBytes = 0;
  #inFlightBytes = 0;
  #paused = false;

  #full = false; // the channel has had enough, and will say when it is empty
  #channelBytes = 0; // what it held after the last flush, where it was full: otherwise it takes care of itself
  #choked = false;
  #dirty = false;

  #ending = false; // no more input is acted on
  #ended = false; // the last words are out
  #gone = false;
  #afterEndBytes = 0;
  #cancelTimer: (() => void) | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #unsettled = 0;
  #sated = false; // it owes as many settlements as it may

  constructor(id: string, channel: Channel, owner: PeerOwner, session: ServerSession<Delivery>, scratch: Encoder) {
    this.id = id;
    this.channel = channel;
    this.since = owner.now();
    this.#owner = owner;
    this.#session = session;
    const { maxDestinationBytes, maxTempQueues } = owner.limits;
    const options = {
      connection: id,
      maxDestinationBytes,
      maxTempQueues,
      maxDelayMs: owner.limits.maxDelayMs,
      time: () => owner.time(),
      allows: (verb: 'send' | 'subscribe', destination: string) =>
        this.#identity !== undefined && owner.allows(this, this.#identity, verb, destination),
      hasTemporary: (queue: string) => owner.hasTemporary(queue),
    };
    this.#router = new Router(options, scratch);
    channel.open({
      data: (bytes) => this.#data(bytes),
      drain: () => this.#drained(),
      ended: () => this.#halfClosed(),
      closed: (end) => this.#closed(end),
    });
    this.#arm();
  }

  get identity(): Identity | undefined {
    return this.#identity;
  }

  get holdings(): Holdings {
    let queueSubscriptions = 0;
    for (const { subscription } of this.#consumers.values())
      if (!subscription.destination.startsWith('/topic/')) queueSubscriptions++;
    return {
      queueSubscriptions,
      topicSubscriptions: this.#consumers.size - queueSubscriptions,
      transactions: this.#transactions.size,
      unsettled: this.#unsettled,
      isSlowed: this.#paused,
    };
  }

  /** The rules have changed. */
  forgetPermissions(): void {
    this.#router.forget();
  }

  // --- input: session events become work

  #data(bytes: Uint8Array): void {
    if (this.#ending) {
      this.#afterEndBytes += bytes.length;
      if (this.#afterEndBytes > MAX_AFTER_END_BYTES) this.channel.pause();
      return;
    }
    this.#owner.count('bytesReceived', bytes.length);
    this.#session.receive(bytes, this.#owner.now());
    this.#chunkBytes += bytes.length;
    this.#pump();
    if (this.#identity === undefined) this.#throttle(); // what comes behind CONNECT waits for the login
  }

  #pump(): void {
    const now = this.#owner.now();
    while (!this.#ending) {
      const event = this.#session.next(now);
      if (event === undefined) break;
      try {
        this.#handle(event);
      } catch (error) {
        this.#fail(error, this.#receiptAtFault); // a Refusal, or what a hook of the user's threw
      }
    }
    this.#commitBatch();
    this.#arm();
  }

  #handle(event: ServerEvent<Delivery>): void {
    if (event.type === 'heart-beat') return;
    if (event.type === 'fault') {
      this.#fail(event.error, event.receipt);
      return;
    }
    if (event.type === 'connect') {
      this.#owner.heard('connect');
      this.#connect(event.frame, event.version);
      return;
    }
    const { receipt } = event;
    this.#receiptAtFault = receipt;
    if (event.type === 'send') {
      this.#send(event);
      return;
    }
    if (event.type === 'settle') {
      this.#settle(event);
      return;
    }
    this.#owner.heard(event.type);
    this.#commitBatch(); // what follows takes its turn behind what came before
    switch (event.type) {
      case 'subscribe':
        this.#subscribe(event.frame, event.subscription, receipt);
        return;
      case 'unsubscribe':
        this.#unsubscribe(event.frame, event.subscription, event.owed, receipt);
        return;
      case 'begin':
        this.#transactions.set(event.transaction, {
          sends: [],
          settlements: [],
          credits: new Map(),
          frames: 0,
          bytes: 0,
        });
        this.#answer(DONE, receipt);
        return;
      case 'commit':
        this.#commit(event.transaction, receipt);
        return;
      case 'abort':
        this.#transactions.delete(event.transaction);
        this.#answer(this.#putBack(event.orphans), receipt);
        return;
      case 'disconnect':
        this.#answer(DONE, receipt);
        this.#depart();
    }
  }

  #connect(frame: Frame, version: string): void {
    // Not in `#tail`: nothing was asked for yet, and a login that takes for ever must not keep its connection.
    this.#owner
      .authenticate(this, frame)
      .then((identity) => {
        if (this.#ending) return;
        this.#identity = identity;
        this.#clientId = frame.get('client-id');
        const { server } = this.#owner;
        this.#session.accept({ session: this.id, ...(server !== undefined && { server }) }, this.#owner.now());
        this.#said();
        this.#owner.admitted(this, version);
        this.#pump();
        this.#throttle();
      })
      .catch((error: unknown) => this.#fail(error, undefined));
  }

  #send(event: ServerEvent<Delivery> & { type: 'send' }): void {
    const { frame, destination, transaction, receipt } = event;
    this.received++;
    this.#owner.count('received', 1);
    const replies = this.#router.replyQueue(frame);
    if (replies !== undefined) this.#expectReplies(replies);
    const send = this.#router.send(frame, destination, replies);
    if (send === undefined) this.#owner.count('droppedReplies', 1);
    else if (transaction === undefined) this.#batch.sends.push(send);
    else {
      const enlisting = this.#enlist(transaction);
      enlisting.bytes += send.content.bytes.length;
      const { maxTransactionBytes } = this.#owner.limits;
      if (enlisting.bytes > maxTransactionBytes) {
        throw new Refusal(
          'limit',
          `the transaction holds more than ${maxTransactionBytes} bytes (maxTransactionBytes)`,
        );
      }
      enlisting.sends.push(send);
    }
    if (receipt !== undefined) this.#confirmLater(receipt, send !== undefined && transaction === undefined);
  }

  #confirmLater(receipt: string, forSend: boolean): void {
    this.#batch.receipts.push({ id: receipt, after: this.#batch.sends.length, forSend });
  }

  #settle(event: ServerEvent<Delivery> & { type: 'settle' }): void {
    const { items, transaction, receipt, subscription } = event;
    const outcome = event.outcome === 'ack' ? 'ack' : event.frame.get('requeue') === 'false' ? 'reject' : 'nack';
    const { settlements, credits } = transaction === undefined ? this.#batch : this.#enlist(transaction);
    for (const delivery of items) settlements.push({ delivery, outcome });
    const consumer = subscription && this.#consumers.get(subscription);
    if (consumer !== undefined) credits.set(consumer, (credits.get(consumer) ?? 0) + items.length);
    this.#owner.heard(event.outcome);
    if (transaction === undefined) this.#owner.count(outcome === 'ack' ? 'acked' : 'nacked', items.length);
    if (receipt !== undefined) this.#confirmLater(receipt, false);
  }

  #enlist(name: string): Transaction {
    const transaction = this.#transactions.get(name);
    if (transaction === undefined) throw new Refusal('limit', `transaction ${name} is not open`); // the session has seen to it
    const { maxTransactionFrames } = this.#owner.limits;
    if (++transaction.frames > maxTransactionFrames) {
      throw new Refusal(
        'limit',
        `the transaction holds more than ${maxTransactionFrames} frames (maxTransactionFrames)`,
      );
    }
    return transaction;
  }

  #commit(name: string, receipt: string | undefined): void {
    const transaction = this.#transactions.get(name);
    this.#transactions.delete(name);
    if (transaction === undefined) return;
    const { settlements } = transaction;
    const sends = transaction.sends.filter(({ destination }) => this.#router.isThere(destination));
    this.#owner.count('droppedReplies', transaction.sends.length - sends.length);
    for (const { outcome } of settlements) this.#owner.count(outcome === 'ack' ? 'acked' : 'nacked', 1);
    this.#slow(
      this.#owner.engine.commit({ sends, settlements, atomic: true }),
      () => this.#receipts(receipt),
      () => {
        // Nothing of it happened: what it would have settled goes back with the rest of this connection (T-06).
        this.#transactions.set(name, transaction);
        if (this.#ended) this.#undo();
        return receipt;
      },
    );
    this.#giveCredit(transaction.credits);
  }

  // All that this chunk sent and settled, as one piece of work.
  #commitBatch(): void {
    const batch = this.#batch;
    const { sends, settlements, receipts } = batch;
    if (sends.length === 0 && settlements.length === 0 && receipts.length === 0) {
      if (this.#session.buffered === 0) this.#chunkBytes = 0; // otherwise they belong to a frame that is still coming
      return;
    }
    this.#batch = emptyBatch();
    const done = this.#owner.engine.commit({ sends, settlements, atomic: false });
    this.#slow(
      done,
      () => {
        for (const { id } of receipts) this.#session.receipt(id);
        if (receipts.length > 0) this.#said();
      },
      (at) => {
        if (at === undefined) {
          this.#release(settlements);
          return receipts[0]?.id;
        }
        // What came before the refused one stands, and gets its receipts.
        for (const { id, after } of receipts) if (after <= at) this.#session.receipt(id);
        return receipts.find(({ after, forSend }) => forSend && after === at + 1)?.id;
      },
    );
    this.#giveCredit(batch.credits);
  }

  // Waits for work in its turn, and does not read on while too much of it is under way. A client that owes settlements is
  // read all the same: they may be what the engine is waiting for.
  #slow(work: Promise<void>, done: () => void, failed: Failed): void {
    const bytes = this.#chunkBytes;
    this.#chunkBytes = 0;
    this.#inFlightBytes += bytes;
    this.#later(
      work.then(
        () => {
          this.#inFlightBytes -= bytes;
          this.#throttle();
        },
        (error: unknown) => {
          this.#inFlightBytes -= bytes;
          throw error;
        },
      ),
      done,
      failed,
    );
    this.#throttle();
  }

  // Reads on only while neither too much input waits for its effect nor too much output for the client (M-92). A client
  // that owes settlements is read all the same while input waits: they may be what the engine is waiting for.
  #throttle(): void {
    if (this.#ended) return;
    const { maxOutputBytes } = this.#owner.limits;
    const slack = this.#paused ? 0.5 : 1;
    const behind = this.#inFlightBytes > MAX_IN_FLIGHT_BYTES * slack && !this.#owes();
    const early = this.#identity === undefined && this.#session.buffered > MAX_IN_FLIGHT_BYTES * slack;
    const unread = this.#channelBytes > maxOutputBytes * slack;
    if ((behind || early || unread) === this.#paused) return;
    this.#paused = !this.#paused;
    if (this.#paused) this.channel.pause();
    else {
      this.#session.excuse(this.#owner.now());
      this.channel.resume();
    }
  }

  #owes(): boolean {
    for (const { subscription } of this.#consumers.values()) if (subscription.owed.size > 0) return true;
    return false;
  }

  // --- answers: in the order they were asked for

  // Runs `done` when `work` and everything before it is over; what fails becomes the one ERROR.
  #later<T>(work: Promise<T>, done: (value: T) => void, failed?: Failed): void {
    work.catch(() => {}); // heard of in its turn, which may be late; until then nobody else is to
    this.#tail = this.#tail
      .then(() => work)
      .then(done)
      .catch((error: unknown) => {
        this.#failNow(error, failed?.(error instanceof EngineError ? error.at : undefined));
      });
  }

  #answer(work: Promise<unknown>, receipt: string | undefined): void {
    this.#later(
      work,
      () => this.#receipts(receipt),
      () => receipt,
    );
  }

  #receipts(receipt: string | undefined): void {
    if (receipt === undefined || this.#ended) return;
    this.#session.receipt(receipt);
    this.#said();
  }

  // --- subscriptions

  #subscribe(frame: Frame, subscription: ServerSubscription<Delivery>, receipt: string | undefined): void {
    const destination = this.#router.subscribe(frame, subscription.destination);
    const { limits } = this.#owner;
    const browse = destination.kind === 'queue' && wantsBrowsing(frame);
    const isUnbounded = subscription.ack === 'auto' || browse; // nobody has to settle a copy
    const window = isUnbounded ? Number.POSITIVE_INFINITY : prefetchOf(frame, limits);
    const wishes: Wishes = {
      ...selectorOf(frame, limits.maxSelectorBytes),
      exclusive: wantsExclusive(frame),
      browse,
      durable: destination.kind === 'topic' ? this.#durableName(frame, subscription.destination) : undefined,
    };
    this.#start(this.#open(subscription, destination, window, wishes), receipt);
  }

  #durableName(frame: Frame, destination: string): string | undefined {
    return durableNameOf(frame, this.#identity?.name ?? '', this.#clientId, destination);
  }

  #open(
    subscription: ServerSubscription<Delivery>,
    destination: Destination,
    window: number,
    wishes: Wishes = {},
  ): Consumer {
    const acked = subscription.ack !== 'auto';
    const consumer: Consumer = {
      subscription,
      acked,
      feed: this.#owner.engine.open({
        ...wishes,
        destination,
        acknowledged: acked,
        deliver: (delivery) => this.#deliver(consumer, delivery),
        ended: (error) => queueMicrotask(() => this.#fail(error, undefined)), // we may be inside the engine
      }),
      ready: undefined,
      open: true,
      window,
      asked: 0,
    };
    this.#consumers.set(subscription, consumer);
    return consumer;
  }

  // RECEIPT first, then the first MESSAGE (F-11).
  #start(consumer: Consumer, receipt?: string): void {
    this.#later(
      consumer.feed,
      (feed) => {
        this.#receipts(receipt);
        consumer.ready = feed;
        if (consumer.open) this.#ask(consumer);
      },
      () => receipt,
    );
  }

  // With the headers that made it durable, a subscription is forgotten; without, it goes on gathering messages.
  #unsubscribe(
    frame: Frame,
    subscription: ServerSubscription<Delivery>,
    owed: Delivery[],
    receipt: string | undefined,
  ): void {
    const durable = this.#durableName(frame, subscription.destination);
    const left = this.#leave(subscription);
    this.#recount();
    const back = Promise.all([this.#putBack(owed), left]);
    if (durable === undefined) this.#answer(back, receipt);
    else
      this.#answer(
        back.then(() => this.#owner.engine.inspect.forgetDurable(durable)),
        receipt,
      );
  }

  // A feed that may deliver is closed at once: nothing can be delivered to a subscription that has ended.
  #leave(subscription: ServerSubscription<Delivery>): Promise<void> {
    const consumer = this.#consumers.get(subscription);
    if (consumer === undefined) return DONE;
    this.#consumers.delete(subscription);
    consumer.open = false;
    if (consumer.ready === undefined) return consumer.feed.then((feed) => feed.close()).catch(() => {}); // it never opened, and SUBSCRIBE was told
    consumer.ready.close();
    return DONE;
  }

  // The subscription that answers to `reply-to:/temp-queue/x` arrive on, unless the client has made one (conformance 6.6).
  #expectReplies(name: string): void {
    const destination = this.#router.temporaryQueue(name);
    const id = destination.text;
    if (this.#session.subscriptions.has(id)) return;
    for (const { subscription } of this.#consumers.values()) if (subscription.destination === destination.text) return;
    this.#start(this.#open(this.#session.subscribeImplicitly(id, id), destination, Number.POSITIVE_INFINITY));
  }

  // Deliveries that nobody will settle now: all at once, so that they go out again in their order.
  #putBack(orphans: readonly Delivery[]): Promise<void> {
    if (orphans.length === 0) return DONE;
    const settlements = orphans.map((delivery) => ({ delivery, outcome: 'return' as const }));
    return this.#owner.engine.commit({ sends: [], settlements, atomic: false });
  }

  #release(settlements: readonly Settlement[]): void {
    this.#putBack(settlements.map(({ delivery }) => delivery)).catch((error: unknown) => this.#owner.unexpected(error));
  }

  // --- deliveries

  #deliver(consumer: Consumer, delivery: Delivery): void {
    this.#session.message(consumer.subscription, delivery, delivery);
    this.delivered++;
    this.#owner.count('delivered', 1);
    if (delivery.redelivered) this.#owner.count('redelivered', 1);
    if (consumer.acked) this.#unsettled++;
    consumer.asked--;
    this.#said();
    if (this.#paused) this.#throttle(); // what it owes now may be what the engine is waiting for
    this.#ask(consumer);
  }

  // Asks the engine for more, as far as the client's window and the room for output allow (M-90, M-91).
  #ask(consumer: Consumer): void {
    if (this.#choked || consumer.ready === undefined || consumer.asked >= CREDIT || consumer.window === 0) return;
    if (this.#session.pending + this.#channelBytes > this.#owner.limits.maxOutputBytes) {
      this.#choked = true;
      return;
    }
    let n = Math.min(consumer.window, CREDIT - consumer.asked);
    if (consumer.acked) {
      const room = this.#owner.limits.maxUnsettled - this.#unsettled - consumer.asked;
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

  #giveCredit(credits: Map<Consumer, number>): void {
    for (const [consumer, n] of credits) {
      consumer.window += n;
      if (!consumer.open) continue;
      this.#unsettled -= n;
      this.#ask(consumer);
    }
    if (this.#sated) this.#askAgain();
  }

  #askAgain(): void {
    if (this.#unsettled >= this.#owner.limits.maxUnsettled) return;
    this.#sated = false;
    for (const consumer of this.#consumers.values()) this.#ask(consumer);
  }

  // What a subscription owed that has left is nobody's debt.
  #recount(): void {
    this.#unsettled = 0;
    for (const { acked, subscription } of this.#consumers.values())
      if (acked) this.#unsettled += subscription.owed.size;
    if (this.#sated) this.#askAgain();
  }

  // --- output

  #said(): void {
    if (this.channel.framed)
      this.flush(); // one frame a WebSocket message (W-05)
    else if (!this.#dirty) {
      this.#dirty = true;
      this.#owner.flushLater(this);
    }
  }

  /** Hands what was said to the channel. */
  flush(): void {
    this.#dirty = false;
    if (this.#session.pending > 0) {
      const now = this.#owner.now();
      if (this.channel.framed) this.#write(this.#session.take(now));
      else for (const bytes of this.#session.takeAll(now)) this.#write(bytes);
    }
    this.#channelBytes = this.#full ? this.channel.buffered : 0;
    this.#throttle();
    if (this.#choked) this.#unchoke();
  }

  #write(bytes: Uint8Array): void {
    this.#owner.count('bytesSent', bytes.length);
    if (!this.channel.write(bytes)) this.#full = true;
  }

  #drained(): void {
    this.#full = false;
    this.#channelBytes = 0;
    this.#throttle();
    this.#unchoke();
  }

  #unchoke(): void {
    if (this.#channelBytes > this.#owner.limits.maxOutputBytes / 2) return;
    this.#choked = false;
    for (const consumer of this.#consumers.values()) this.#ask(consumer);
  }

  // --- time

  #arm(): void {
    const at = this.#session.deadline;
    if (at >= this.#timerAt || at === Number.POSITIVE_INFINITY) return;
    this.#cancelTimer?.();
    this.#timerAt = at;
    this.#cancelTimer = this.#owner.schedule(Math.max(0, at - this.#owner.now()), () => this.#tick());
  }

  #tick(): void {
    this.#timerAt = Number.POSITIVE_INFINITY;
    this.#cancelTimer = undefined;
    const now = this.#owner.now();
    if (this.#paused) this.#session.excuse(now);
    const lost = this.#session.tick(now);
    if (lost !== undefined) {
      this.#failNow(lost, undefined); // not in its turn: what it would wait for may be what does not come
      return;
    }
    this.flush();
    this.#arm();
  }

  // --- the end

  /** Whether this temporary queue is ours, and we are still here. */
  owns(queue: string): boolean {
    return !this.#ended && this.#router.temporary.has(queue);
  }

  /** No more input; what was asked for is answered, then ERROR, then the close. Settles when the channel has closed. */
  stop(message: string): Promise<void> {
    this.#fail(new Refusal('closing', message), undefined, 1001);
    return this.#departure;
  }

  // In its turn: what came before is answered first.
  #fail(error: unknown, receipt: string | undefined, closeCode?: number): void {
    if (this.#ending) return;
    this.#ending = true;
    this.#commitBatch();
    this.#later(DONE, () => this.#failNow(error, receipt, closeCode));
  }

  #failNow(error: unknown, receipt: string | undefined, closeCode?: number): void {
    this.#ending = true;
    if (this.#ended) return;
    const known = error instanceof ProtocolError || error instanceof Refusal || error instanceof EngineError;
    if (!known) this.#owner.unexpected(error);
    const said = known ? error : { code: 'internal', message: 'the broker failed; its log says how' };
    const message = said.message + this.#limitBehind(error);
    this.#owner.refused(this, error, said.code, message);
    this.#session.error({ code: said.code, message }, receipt);
    this.#end(closeCode ?? closeCodeOf(error));
  }

  // The name of the limit that the session has kept for us. Before login stricter sizes than ours hold (C-70).
  #limitBehind(error: unknown): string {
    if (!(error instanceof ProtocolError)) return '';
    const limit = LIMIT_BEHIND[error.code];
    return limit === undefined || (this.#identity === undefined && !limit.endsWith('Ms')) ? '' : ` (${limit})`;
  }

  // E-05: flush, close our side, and leave the other a while to read it.
  #end(closeCode = 1000): void {
    if (this.#ended) return;
    this.#ended = this.#ending = true;
    this.#undo(); // before the last flush, which makes room: nothing may be delivered into that
    this.flush();
    this.#session.close();
    if (this.#paused) this.channel.resume();
    this.channel.end(closeCode);
    this.#cancelTimer?.();
    this.#cancelTimer = this.#owner.schedule(this.#owner.limits.lingerMs, () => this.channel.destroy());
  }

  #halfClosed(): void {
    if (!this.#ending) this.#depart(); // E-09, E-10: what came whole is answered before we go
  }

  // Ends in its turn, or when what it waits for takes too long.
  #depart(): void {
    this.#ending = true;
    this.#later(DONE, () => this.#end());
    this.#cancelTimer?.();
    this.#timerAt = Number.NEGATIVE_INFINITY; // no deadline of the session comes before it
    this.#cancelTimer = this.#owner.schedule(MAX_DEPARTURE_MS, () => this.#end());
  }

  #closed(end: ChannelEnd): void {
    if (this.#gone) return;
    this.#gone = this.#ending = this.#ended = true;
    this.#cancelTimer?.();
    this.#session.close();
    this.#undo();
    this.#owner.closed(this, end);
    this.#left();
  }

  // E-07: deliveries go back, transactions are void, temporary queues disappear.
  #undo(): void {
    const owed = new Set<Delivery>();
    for (const { settlements } of this.#transactions.values())
      for (const { delivery } of settlements) owed.add(delivery);
    this.#transactions.clear();
    for (const [subscription] of this.#consumers) {
      for (const { item } of subscription.owed.values()) owed.add(item); // what is enlisted is owed until COMMIT
      void this.#leave(subscription);
    }
    this.#owner.count('returned', owed.size);
    // Now that all have left, so that nothing of it comes back to us.
    this.#putBack([...owed]).catch((error: unknown) => this.#owner.unexpected(error));
    for (const name of this.#router.temporary) this.#owner.discard(name);
  }

  #left!: () => void;
  readonly #departure = new Promise<void>((resolve) => {
    this.#left = resolve;
  });
}

// W-09
function closeCodeOf(error: unknown): number {
  if (error instanceof Refusal) return error.code === 'limit' ? 1009 : 1008;
  if (error instanceof ProtocolError) return error.code.includes('too-') ? 1009 : 1002;
  return 1011;
}
