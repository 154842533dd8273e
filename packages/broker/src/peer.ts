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
import { Answers, type AnswersPeer, type Failed } from './answers.ts';
import {
  type Consumer,
  Consumers,
  type ConsumersOwner,
  type ConsumersPeer,
  putBack,
  type Wishes,
} from './consumers.ts';
import { type Delivery, EngineError, type Settlement } from './engine/engine.ts';
import { Batch, Transaction } from './gathering.ts';
import { LIMIT_BEHIND } from './limits.ts';
import { Outlet, type OutletPeer } from './outlet.ts';
import { Refusal } from './refusal.ts';
import { durableNameOf, prefetchOf, Router, selectorOf, wantsBrowsing, wantsExclusive } from './router.ts';
import type { Counted, FrameKind, Holdings } from './tally.ts';

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
  readonly #consumers: Consumers;
  readonly #answers: Answers;
  readonly #outlet: Outlet;
  readonly #transactions = new Map<string, Transaction>();
  #identity: Identity | undefined;
  #clientId: string | undefined;

  #batch = new Batch();
  #receiptAtFault: string | undefined;
  #chunkBytes = 0;
  #inFlightBytes = 0;
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
    const self = this.#self();
    this.#consumers = new Consumers(owner, self, session);
    this.#answers = new Answers(session, self);
    this.#outlet = new Outlet(channel, session, self, owner.limits.outputTimeoutMs);
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
      transactions: this.#transactions.size,
      unsettled: this.#consumers.unsettled,
      isSlowed: this.#paused,
    };
  }

  // What the parts of a connection ask of it.
  #self(): ConsumersPeer & AnswersPeer & OutletPeer {
    const peer = this;
    return {
      get unread() {
        return peer.#session.pending + peer.#outlet.held;
      },
      delivered: ({ redelivered }) => {
        this.delivered++;
        this.#owner.count('delivered', 1);
        if (redelivered) this.#owner.count('redelivered', 1);
        this.#outlet.said();
        if (this.#paused) this.#throttle(); // what it owes now may be what the engine is waiting for
      },
      ended: (error) => this.#fail(error, undefined),
      overdue: () => this.#tooLate('unsettledTimeoutMs', 'a delivery was not settled within'),
      stuck: () => this.#tooLate('outputTimeoutMs', 'nothing was read for'),
      said: () => this.#outlet.said(),
      failed: (error, receipt) => this.#failNow(error, receipt),
      now: () => this.#owner.now(),
      schedule: (ms, run) => this.#owner.schedule(ms, run),
      sent: (bytes) => this.#owner.count('bytesSent', bytes),
      flushLater: () => this.#owner.flushLater(this),
      flush: () => this.flush(),
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
    this.#owner.heard(event.type === 'forget' ? 'unsubscribe' : event.type);
    this.#commitBatch(); // what follows takes its turn behind what came before
    switch (event.type) {
      case 'subscribe':
        this.#subscribe(event.frame, event.subscription, receipt);
        return;
      case 'unsubscribe':
        this.#unsubscribe(event.frame, event.subscription, event.owed, receipt);
        return;
      case 'forget':
        this.#forgetDurable(event.frame, receipt);
        return;
      case 'begin':
        this.#transactions.set(event.transaction, new Transaction(this.#owner.limits));
        this.#answers.answer(DONE, receipt);
        return;
      case 'commit':
        this.#commit(event.transaction, receipt);
        return;
      case 'abort':
        this.#transactions.delete(event.transaction);
        this.#answers.answer(this.#putBack(event.orphans), receipt);
        return;
      case 'disconnect':
        this.#answers.answer(DONE, receipt);
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
        this.#outlet.said();
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
    else this.#enlist(transaction).send(send);
    if (receipt !== undefined) this.#batch.confirm(receipt, send !== undefined && transaction === undefined);
  }

  #settle(event: ServerEvent<Delivery> & { type: 'settle' }): void {
    const { items, transaction, receipt, subscription } = event;
    const outcome = event.outcome === 'ack' ? 'ack' : event.frame.get('requeue') === 'false' ? 'reject' : 'nack';
    const gathering = transaction === undefined ? this.#batch : this.#enlist(transaction);
    gathering.settle(items, outcome, this.#consumers.get(subscription));
    this.#owner.heard(event.outcome);
    if (transaction === undefined) this.#owner.count(outcome === 'ack' ? 'acked' : 'nacked', items.length);
    if (receipt !== undefined) this.#batch.confirm(receipt, false);
  }

  #enlist(name: string): Transaction {
    const transaction = this.#transactions.get(name);
    if (transaction === undefined) throw new Refusal('limit', `transaction ${name} is not open`); // the session has seen to it
    transaction.enlist();
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
      () => this.#answers.receipt(receipt),
      () => {
        // Nothing of it happened: what it would have settled goes back with the rest of this connection (T-06).
        this.#transactions.set(name, transaction);
        if (this.#ended) this.#undo();
        return receipt;
      },
    );
    this.#consumers.credit(transaction.credits);
  }

  // All that this chunk sent and settled, as one piece of work.
  #commitBatch(): void {
    const batch = this.#batch;
    const { sends, settlements, receipts } = batch;
    if (batch.isEmpty) {
      if (this.#session.buffered === 0) this.#chunkBytes = 0; // otherwise they belong to a frame that is still coming
      return;
    }
    this.#batch = new Batch();
    const done = this.#owner.engine.commit({ sends, settlements, atomic: false });
    this.#slow(
      done,
      () => {
        for (const { id } of receipts) this.#session.receipt(id);
        if (receipts.length > 0) this.#outlet.said();
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
    this.#consumers.credit(batch.credits);
  }

  // Waits for work in its turn, and does not read on while too much of it is under way. A client that owes settlements is
  // read all the same: they may be what the engine is waiting for.
  #slow(work: Promise<void>, done: () => void, failed: Failed): void {
    const bytes = this.#chunkBytes;
    this.#chunkBytes = 0;
    this.#inFlightBytes += bytes;
    this.#answers.later(
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
    const behind = this.#inFlightBytes > MAX_IN_FLIGHT_BYTES * slack && !this.#consumers.owes;
    const early = this.#identity === undefined && this.#session.buffered > MAX_IN_FLIGHT_BYTES * slack;
    const unread = this.#outlet.held > maxOutputBytes * slack;
    if ((behind || early || unread) === this.#paused) return;
    this.#paused = !this.#paused;
    if (this.#paused) this.channel.pause();
    else {
      this.#session.excuse(this.#owner.now());
      this.channel.resume();
    }
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
    this.#start(this.#consumers.open(subscription, destination, window, wishes), receipt);
  }

  #durableName(frame: Frame, destination: string): string | undefined {
    return durableNameOf(frame, this.#identity?.name ?? '', this.#clientId, destination);
  }

  // RECEIPT first, then the first MESSAGE (F-11).
  #start(consumer: Consumer, receipt?: string): void {
    this.#answers.later(
      consumer.feed,
      (feed) => {
        this.#answers.receipt(receipt);
        this.#consumers.start(consumer, feed);
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
    const left = this.#consumers.leave(subscription);
    const back = Promise.all([this.#putBack(owed), left]);
    if (durable === undefined) this.#answers.answer(back, receipt);
    else
      this.#answers.answer(
        back.then(() => this.#owner.engine.inspect.forgetDurable(durable)),
        receipt,
      );
  }

  // ActiveMQ's clients end a durable subscription in two steps: UNSUBSCRIBE, and again with its name (6.6).
  #forgetDurable(frame: Frame, receipt: string | undefined): void {
    const name = this.#durableName(frame, '');
    if (name === undefined) throw new Refusal('bad-header', 'the name of the durable subscription is empty');
    this.#answers.inTurn(async () => {
      if (this.#ended) return;
      if (!(await this.#owner.engine.inspect.forgetDurable(name)))
        throw new Refusal('bad-destination', 'there is no durable subscription of that name (F-08)');
    }, receipt);
  }

  // The subscription that answers to `reply-to:/temp-queue/x` arrive on, unless the client has made one (conformance 6.6).
  #expectReplies(name: string): void {
    const destination = this.#router.temporaryQueue(name);
    const id = destination.text;
    if (this.#session.subscriptions.has(id)) return;
    if (this.#consumers.has(destination.text)) return;
    this.#start(this.#consumers.open(this.#session.subscribeImplicitly(id, id), destination, Number.POSITIVE_INFINITY));
  }

  #putBack(orphans: readonly Delivery[]): Promise<void> {
    return putBack(this.#owner.engine, orphans);
  }

  #release(settlements: readonly Settlement[]): void {
    this.#putBack(settlements.map(({ delivery }) => delivery)).catch((error: unknown) => this.#owner.unexpected(error));
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
    this.#throttle();
    if (this.#outlet.held <= this.#owner.limits.maxOutputBytes / 2) this.#consumers.unchoke();
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
    this.#answers.later(DONE, () => this.#failNow(error, receipt, closeCode));
  }

  #tooLate(limit: 'unsettledTimeoutMs' | 'outputTimeoutMs', what: string): void {
    this.#failNow(new Refusal('limit', `${what} ${this.#owner.limits[limit]} ms (${limit})`), undefined);
  }

  // Not in its turn: what it would wait for may be what does not come.
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
    for (const delivery of this.#consumers.leaveAll()) owed.add(delivery); // what is enlisted is owed until COMMIT
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
