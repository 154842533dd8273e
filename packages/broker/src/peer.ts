// One connection, from CONNECT to its end: events of the session become work for the
// engine, and what the engine delivers becomes frames.
//
//   channel ─► session ─► handle ─► Work ─────────► engine.commit ─► Answers: receipts
//                           └─► Subscriptions ─► Consumers ─► engine.open
//   channel ◄─ Outlet ◄── session.message ◄──── Consumers ◄── deliver ◄── engine
//
// SENDs and settlements of one chunk are one piece of work. Whatever must be answered
// waits in `Answers`, in the order it was asked for. Output is written once a
// turn, after the whole turn's input has been read.

import type { Encoder, Frame, ServerEvent, ServerSession } from '@stompbox/protocol';
import type { Channel, ChannelEnd } from '@stompbox/transport';
import type { Identity } from './access.ts';
import { Answers, type AnswersPeer } from './answers.ts';
import { Consumers, type ConsumersOwner, type ConsumersPeer, putBack } from './consumers.ts';
import type { Delivery, Destination, EngineError } from './engine/engine.ts';
import { lastWords } from './last-words.ts';
import { Outlet, type OutletPeer } from './outlet.ts';
import { Refusal } from './refusal.ts';
import { Router } from './router.ts';
import { Subscriptions, type SubscriptionsPeer } from './subscriptions.ts';
import type { Counted, FrameKind, Holdings } from './tally.ts';
import { Work, type WorkPeer } from './work.ts';

/** What a peer needs of its broker. */
export interface PeerOwner extends ConsumersOwner {
  /** What CONNECTED says in `server`; undefined says nothing. */
  readonly server: string | undefined;
  /** Milliseconds since 1970. */
  time(): number;
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
  /** A failure that is nobody's but ours. */
  unexpected(error: unknown): void;
  closed(peer: Peer, end: ChannelEnd): void;
}

const DONE = Promise.resolve();

// Input whose effect is still awaited, above which a connection is not read.
const MAX_IN_FLIGHT_BYTES = 256 * 1024;
// How long what was asked for may keep a connection that is about to end.
const MAX_DEPARTURE_MS = 10_000;
// What is still read, and dropped, of a client that we have said our last words to. Then it is left alone until the linger
// is over: a reset at once would take the last words along (E-05).
const MAX_AFTER_END_BYTES = 64 * 1024;

export class Peer implements ConsumersPeer, AnswersPeer, OutletPeer, WorkPeer, SubscriptionsPeer {
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
  readonly #consumers: Consumers;
  readonly #answers: Answers;
  readonly #outlet: Outlet;
  readonly #work: Work;
  readonly #subscriptions: Subscriptions;
  #identity: Identity | undefined;
  #clientId: string | undefined;

  #receiptAtFault: string | undefined;
  #paused = false;

  #ending = false; // no more input is acted on
  #ended = false; // the last words are out
  #gone = false;
  #afterEndBytes = 0;
  #cancelTimer: (() => void) | undefined;
  #timerAt = Number.POSITIVE_INFINITY;

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
    this.#consumers = new Consumers(owner, this, session);
    this.#answers = new Answers(session, this);
    const parts = {
      owner,
      peer: this,
      session,
      router: this.#router,
      consumers: this.#consumers,
      answers: this.#answers,
    };
    this.#work = new Work(parts);
    this.#subscriptions = new Subscriptions(parts);
    this.#outlet = new Outlet(channel, session, this, owner.limits.outputTimeoutMs);
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
    const { queues, topics } = this.#consumers.kinds;
    return {
      queueSubscriptions: queues,
      topicSubscriptions: topics,
      transactions: this.#work.transactions,
      unsettled: this.#consumers.unsettled,
      isSlowed: this.#paused,
    };
  }

  /** The rules have changed. */
  forgetPermissions(): void {
    this.#router.forget();
  }

  // --- what its parts ask of it

  get unread(): number {
    return this.#session.pending + this.#outlet.held;
  }

  get isOver(): boolean {
    return this.#ended;
  }

  get login(): string | undefined {
    return this.#identity?.name;
  }

  get clientId(): string | undefined {
    return this.#clientId;
  }

  now(): number {
    return this.#owner.now();
  }

  schedule(ms: number, run: () => void): () => void {
    return this.#owner.schedule(ms, run);
  }

  handedOut({ redelivered }: Delivery): void {
    this.delivered++;
    this.#owner.count('delivered', 1);
    if (redelivered) this.#owner.count('redelivered', 1);
    this.#outlet.said();
    if (this.#paused) this.throttle(); // what it owes now may be what the engine is waiting for
  }

  ended(error: EngineError): void {
    this.#fail(error, undefined);
  }

  overdue(): void {
    this.#tooLate('unsettledTimeoutMs', 'a delivery was not settled within');
  }

  stuck(): void {
    this.#tooLate('outputTimeoutMs', 'nothing was read for');
  }

  isThere(destination: Destination): boolean {
    return this.#router.isThere(destination);
  }

  said(): void {
    this.#outlet.said();
  }

  sent(bytes: number): void {
    this.#owner.count('bytesSent', bytes);
  }

  flushLater(): void {
    this.#owner.flushLater(this);
  }

  failed(error: unknown, receipt: string | undefined): void {
    this.#failNow(error, receipt);
  }

  // --- input: session events become work

  #data(bytes: Uint8Array): void {
    if (this.#ending) {
      this.#afterEndBytes += bytes.length;
      if (this.#afterEndBytes > MAX_AFTER_END_BYTES) this.channel.pause();
      return;
    }
    this.#owner.count('bytesReceived', bytes.length);
    this.#session.receive(bytes, this.now());
    this.#work.came(bytes.length);
    this.#pump();
    if (this.#identity === undefined) this.throttle(); // what comes behind CONNECT waits for the login
  }

  #pump(): void {
    const now = this.now();
    while (!this.#ending) {
      const event = this.#session.next(now);
      if (event === undefined) break;
      try {
        this.#handle(event);
      } catch (error) {
        this.#fail(error, this.#receiptAtFault); // a Refusal, or what a hook of the user's threw
      }
    }
    this.#work.flush();
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
    this.#owner.heard(event.type === 'forget' ? 'unsubscribe' : event.type);
    if (event.type === 'unsubscribe') this.#consumers.rest(event.subscription); // the flush is not to deliver to it
    this.#work.flush(); // what follows takes its turn behind what came before
    switch (event.type) {
      case 'subscribe':
        this.#subscriptions.subscribe(event.frame, event.subscription, receipt);
        return;
      case 'unsubscribe':
        this.#subscriptions.unsubscribe(event.frame, event.subscription, event.owed, receipt);
        return;
      case 'forget':
        this.#subscriptions.forget(event.frame, receipt);
        return;
      case 'begin':
        this.#work.begin(event.transaction);
        this.#answers.answer(DONE, receipt);
        return;
      case 'commit':
        this.#work.commit(event.transaction, receipt);
        return;
      case 'abort':
        this.#work.abort(event.transaction);
        this.#answers.answer(putBack(this.#owner.engine, event.orphans), receipt);
        return;
      case 'disconnect':
        this.#answers.answer(DONE, receipt);
        this.#depart();
    }
  }

  #connect(frame: Frame, version: string): void {
    // Not in its turn: nothing was asked for yet, and a login that takes for ever must not keep its connection.
    this.#owner
      .authenticate(this, frame)
      .then((identity) => {
        if (this.#ending) return;
        this.#identity = identity;
        this.#clientId = frame.get('client-id');
        const { server } = this.#owner;
        this.#session.accept({ session: this.id, ...(server !== undefined && { server }) }, this.now());
        this.#outlet.said();
        this.#owner.admitted(this, version);
        this.#pump();
        this.throttle();
      })
      .catch((error: unknown) => this.#fail(error, undefined));
  }

  #send(event: ServerEvent<Delivery> & { type: 'send' }): void {
    const { frame, destination, transaction, receipt } = event;
    this.received++;
    this.#owner.count('received', 1);
    const replies = this.#router.replyQueue(frame);
    if (replies !== undefined) this.#subscriptions.expectReplies(replies);
    const send = this.#router.send(frame, destination, replies);
    if (send === undefined) this.#owner.count('droppedReplies', 1);
    else this.#work.send(send, transaction);
    if (receipt !== undefined) this.#work.confirm(receipt, send !== undefined && transaction === undefined);
  }

  #settle(event: ServerEvent<Delivery> & { type: 'settle' }): void {
    const { items, transaction, receipt, subscription } = event;
    const outcome = event.outcome === 'ack' ? 'ack' : event.frame.get('requeue') === 'false' ? 'reject' : 'nack';
    this.#work.settle(items, outcome, this.#consumers.get(subscription), transaction);
    this.#owner.heard(event.outcome);
    if (receipt !== undefined) this.#work.confirm(receipt, false);
  }

  // Reads on only while neither too much input waits for its effect nor too much output for the client (M-92). A client
  // that owes settlements is read all the same while input waits: they may be what the engine is waiting for.
  throttle(): void {
    if (this.#ended) return;
    const { maxOutputBytes } = this.#owner.limits;
    const slack = this.#paused ? 0.5 : 1;
    const behind = this.#work.underWay > MAX_IN_FLIGHT_BYTES * slack && !this.#consumers.owes;
    const early = this.#identity === undefined && this.#session.buffered > MAX_IN_FLIGHT_BYTES * slack;
    const unread = this.#outlet.held > maxOutputBytes * slack;
    if ((behind || early || unread) === this.#paused) return;
    this.#paused = !this.#paused;
    if (this.#paused) this.channel.pause();
    else {
      this.#session.excuse(this.now());
      this.channel.resume();
    }
  }

  // --- output

  /** Hands what was said to the channel. */
  flush(): void {
    this.#outlet.flush();
    this.#relax();
  }

  #drained(): void {
    this.#outlet.drained();
    this.#relax();
  }

  #relax(): void {
    this.throttle();
    if (this.#outlet.held <= this.#owner.limits.maxOutputBytes / 2) this.#consumers.unchoke();
  }

  // --- time

  #arm(): void {
    const at = this.#session.deadline;
    if (at >= this.#timerAt || at === Number.POSITIVE_INFINITY) return;
    this.#cancelTimer?.();
    this.#timerAt = at;
    this.#cancelTimer = this.#owner.schedule(Math.max(0, at - this.now()), () => this.#tick());
  }

  #tick(): void {
    this.#timerAt = Number.POSITIVE_INFINITY;
    this.#cancelTimer = undefined;
    const now = this.now();
    if (this.#paused) this.#session.excuse(now);
    const lost = this.#session.tick(now);
    if (lost !== undefined) {
      this.#failNow(lost, undefined);
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

  /** Nothing more is delivered; otherwise all goes on. */
  hush(): void {
    this.#consumers.hush();
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
    this.#work.flush();
    this.#answers.later(DONE, () => this.#failNow(error, receipt, closeCode));
  }

  #tooLate(limit: 'unsettledTimeoutMs' | 'outputTimeoutMs', what: string): void {
    this.#failNow(new Refusal('limit', `${what} ${this.#owner.limits[limit]} ms (${limit})`), undefined);
  }

  // Not in its turn: what it would wait for may be what does not come.
  #failNow(error: unknown, receipt: string | undefined, closeCode?: number): void {
    this.#ending = true;
    if (this.#ended) return;
    const { code, message, isUnexpected, ...words } = lastWords(error, this.#identity !== undefined);
    if (isUnexpected) this.#owner.unexpected(error);
    this.#owner.refused(this, error, code, message);
    this.#session.error({ code, message }, receipt);
    this.#end(closeCode ?? words.closeCode);
  }

  // E-05: flush, close our side, and leave the other a while to read it.
  #end(closeCode = 1000): void {
    if (this.#ended) return;
    this.#ended = this.#ending = true;
    this.undo(); // before the last flush, which makes room: nothing may be delivered into that
    this.flush();
    this.#outlet.stop();
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
    this.#answers.later(DONE, () => this.#end());
    this.#cancelTimer?.();
    this.#timerAt = Number.NEGATIVE_INFINITY; // no deadline of the session comes before it
    this.#cancelTimer = this.#owner.schedule(MAX_DEPARTURE_MS, () => this.#end());
  }

  #closed(end: ChannelEnd): void {
    if (this.#gone) return;
    this.#gone = this.#ending = this.#ended = true;
    this.#cancelTimer?.();
    this.#outlet.stop();
    this.#session.close();
    this.undo();
    this.#owner.closed(this, end);
    this.#left();
  }

  // E-07: deliveries go back, transactions are void, temporary queues disappear.
  undo(): void {
    const owed = new Set(this.#work.drop());
    for (const delivery of this.#consumers.leaveAll()) owed.add(delivery); // what is enlisted is owed until COMMIT
    this.#owner.count('returned', owed.size);
    // Now that all have left, so that nothing of it comes back to us.
    putBack(this.#owner.engine, [...owed]).catch((error: unknown) => this.#owner.unexpected(error));
    for (const name of this.#router.temporary) this.#owner.discard(name);
  }

  #left!: () => void;
  readonly #departure = new Promise<void>((resolve) => {
    this.#left = resolve;
  });
}
