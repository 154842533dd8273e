// One connection, from CONNECTED to its end, which is final: connecting again is the
// business of whoever holds it.
//
//   channel ─bytes─► session ─events─┬─► Subscription   messages of subscribe()
//                                    ├─► Receipts       what verbs wait for
//                                    └─► raw inbox      everything else: receive(), for await
//   channel ◄─bytes─ Writer ◄─ session ◄─ verbs
//                                    ▲
//                                    └─ while a body is streamed, other frames wait in the backlog
//
// One timer serves heart-beats and receipts. Whatever ends the connection goes through
// #finish, which settles every promise there is, once.

import {
  type ClientEvent,
  ClientSession,
  encode,
  Frame,
  frame,
  type HeartBeatPeriods,
  type OwedMessage,
  ProtocolError,
  UsageError,
  type Version,
} from '@stompbox/protocol';
import type { Channel, ChannelEnd, PeerInfo } from '@stompbox/transport';
import { type Body, isSource, pieces, type Source } from './body.ts';
import type { CloseReason } from './close-reason.ts';
import { BrokerError, ConnectionLost, TimeoutError } from './errors.ts';
import { Gauge, Inbox, type WaitOptions } from './inbox.ts';
import { Message, type SettleOptions, type Settler } from './message.ts';
import { redacted } from './observer.ts';
import { type ConnectionOptions, type ConnectionSettings, resolveOptions } from './options.ts';
import { Receipts } from './receipts.ts';
import { type SendOptions, sendFrame } from './send.ts';
import { onAbort } from './signal.ts';
import { StreamedBody } from './streamed-body.ts';
import {
  type HandleOptions,
  type Handler,
  type SubscribeOptions,
  Subscription,
  type SubscriptionOwner,
  type UnsubscribeOptions,
} from './subscription.ts';
import { Transaction, type TransactionOwner } from './transaction.ts';
import { Writer } from './writer.ts';

export interface SendFrameOptions extends WaitOptions {
  /** Ask for a RECEIPT, unless the frame does, and wait for it. False unless given: the frame goes out as it is. */
  readonly confirm?: boolean | undefined;
}

/** How long a broker may take to close after its ERROR, or after we closed our side (M-137). */
const GRACE_MS = 1000;
/** Ids of ended subscriptions that are remembered, so that what was under way is not taken for a stranger's. */
const MAX_FORMER = 1000;
const NOTHING = new Uint8Array(0);
const NO_OPTIONS: SendOptions = {};

/** Something to be said when the streamed body before it is through. */
interface Waiting {
  readonly say: () => void;
  readonly fail: (error: Error) => void;
}

export class Connection implements AsyncIterable<Frame>, AsyncDisposable {
  readonly #settings: ConnectionSettings;
  readonly #channel: Channel;
  readonly #session: ClientSession;
  readonly #writer: Writer;
  readonly #gauge: Gauge;
  readonly #receipts: Receipts;
  readonly #raw: Inbox<Frame>;
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #former = new Set<string>(); // ids of subscriptions that were ended here
  readonly #draining = new Set<Subscription>(); // ended, and a handler is still at work
  readonly #backlog: Waiting[] = [];
  readonly #interrupts = new Set<(error: Error) => void>();

  // The seams towards messages, subscriptions and transactions: their verbs, not our fields.
  readonly #settler: Settler = { settle: (owed, outcome, options) => this.#settle(owed, outcome, options) };
  readonly #owner: SubscriptionOwner;
  readonly #transactions: TransactionOwner = {
    send: (destination, body, options) => this.send(destination, body, options),
    ack: (message, options) => this.ack(message, options),
    nack: (message, options) => this.nack(message, options),
    demarcate: (command, transaction, options) =>
      this.#verb(() => this.#confirmed(command, { transaction }, `in transaction ${transaction}`, options)),
  };

  #connected: Frame = new Frame('CONNECTED', frame('CONNECTED', []).headers);
  #open: (connection: Connection) => void = () => {};
  #failOpen: (error: unknown) => void = () => {};
  #stopSignal: (() => void) | undefined;
  #ids = 0;

  #streaming = false; // a body is being sent: nothing else may be
  #incoming: StreamedBody | undefined; // where the pieces of the body being received go
  #gathered: { readonly frame: Frame; readonly pieces: Uint8Array[]; length: number } | undefined; // or so, for the raw inbox
  #readsRaw = false;

  #timerAt = Number.POSITIVE_INFINITY;
  #stopTimer: (() => void) | undefined;
  #stopGrace: (() => void) | undefined;

  #leaving = false; // disconnect() was called: messages that come now are dropped
  #saysGoodbye = false; // handlers are through: only settlements still go out
  #goodbye: Promise<void> | undefined;
  #recheck: (() => void) | undefined;
  #reason: CloseReason | undefined; // set by #finish, and only there
  #tellClosed: (reason: CloseReason) => void = () => {};

  /** How the connection ended, once its channel is closed. Never rejects. */
  readonly closed: Promise<CloseReason>;

  private constructor(channel: Channel, settings: ConnectionSettings) {
    const { clock, heartBeat } = settings;
    this.#settings = settings;
    this.#channel = channel;
    this.closed = new Promise((resolve) => {
      this.#tellClosed = resolve;
    });
    this.#session = new ClientSession(
      {
        versions: settings.versions,
        heartBeat: { send: heartBeat.send ?? 10_000, expect: heartBeat.expect ?? 10_000 },
        heartBeatTolerance: settings.heartBeatTolerance,
        limits: settings.limits,
        leniency: settings.leniency,
        streamBodiesOver: settings.streamBodiesOver,
        connectTimeoutMs: settings.connectTimeoutMs,
        frameTimeoutMs: 0, // we may be the slow one; a broker that stops in a frame stops its heart-beats too
      },
      clock.now(),
    );
    this.#writer = new Writer(this.#session, channel, clock);
    this.#receipts = new Receipts((id) => {
      this.#session.forget(id);
      this.#recheck?.();
    });
    this.#gauge = new Gauge(settings.maxBufferedFrames, settings.maxBufferedBytes, (full) => this.#pause(full));
    this.#raw = new Inbox('a frame', ({ body }) => body.length, { gauge: this.#gauge, clock });
    this.#owner = {
      gauge: this.#gauge,
      clock,
      unsubscribe: (id, options) => this.#unsubscribe(id, options),
      failed: (error, message) => this.#failed(error, message),
      idle: () => this.#recheck?.(),
    };
  }

  /**
   * Speaks STOMP on a channel that is not opened yet, which belongs to the connection from now on. Resolves on CONNECTED.
   * Rejects with UsageError, BrokerError (the login was refused), ProtocolError (that is no STOMP broker), ConnectionLost,
   * TimeoutError (`connectTimeoutMs`) or the reason of `signal`; the channel is then closed.
   */
  static async over(channel: Channel, options: ConnectionOptions = {}): Promise<Connection> {
    let connection: Connection;
    try {
      const settings = resolveOptions(options);
      if (settings.tls !== undefined || settings.webSocket !== undefined) {
        throw new UsageError('bad-option', 'tls and webSocket are for dialling; this channel is open already');
      }
      settings.signal?.throwIfAborted();
      connection = new Connection(channel, settings);
    } catch (error) {
      channel.destroy();
      throw error;
    }
    return await connection.#handshake();
  }

  #handshake(): Promise<Connection> {
    const { login, passcode, headers, host = 'localhost', signal } = this.#settings;
    return new Promise<Connection>((resolve, reject) => {
      this.#open = resolve;
      this.#failOpen = reject;
      this.#channel.open({
        data: (bytes) => this.#receive(bytes),
        drain: () => this.#writer.drained(),
        ended: () => this.#ended(),
        closed: (end) => this.#closed(end),
      });
      this.#stopSignal = onAbort(signal, (reason) => {
        reject(reason);
        this.destroy();
      });
      try {
        const connect = this.#session.connect({
          host,
          ...(login === undefined ? {} : { login }),
          ...(passcode === undefined ? {} : { passcode }),
          ...headers,
        });
        this.#writer.flush();
        this.#observe((observer) => observer.frameSent?.(redacted(connect)));
        this.#arm();
      } catch (error) {
        reject(error);
        this.destroy();
      }
    });
  }

  /** The CONNECTED frame. */
  get connected(): Frame {
    return this.#connected;
  }
  /** What was negotiated. */
  get version(): Version {
    return this.#session.version ?? '1.0';
  }
  /** The `server` header of CONNECTED, such as `RabbitMQ/3.10.8`; not all brokers tell (N-15). */
  get server(): string | undefined {
    return this.#connected.headers.get('server');
  }
  /** The agreed heart-beats: milliseconds each way, 0 for none. */
  get heartBeat(): HeartBeatPeriods {
    return this.#session.heartBeat;
  }
  get peer(): PeerInfo {
    return this.#channel.peer;
  }
  /** True until the end has begun, whoever began it. */
  get isOpen(): boolean {
    return this.#reason === undefined && !this.#leaving;
  }
  /** What has come and waits for its reader. Reading stops above `maxBufferedFrames` or `maxBufferedBytes`. */
  get waiting(): { readonly frames: number; readonly bytes: number } {
    return { frames: this.#gauge.frames, bytes: this.#gauge.bytes };
  }

  // -------------------------------------------------------------------------------------------------------- the verbs

  /**
   * Sends. Resolves on the broker's RECEIPT, or with `confirm: false` when the connection takes more.
   *
   * Rejects with UsageError (nothing was sent), BrokerError (refused: an ERROR named this receipt), ConnectionLost or
   * TimeoutError (their `outcome` tells `unsent` from `unknown`), or the reason of `signal` (unknown, once it was written).
   * With `confirm: false` a lost connection rejects too, but makes no unhandled rejection.
   *
   * A streamed body keeps every other frame of this connection waiting until its end, also while its source is slow. A source
   * that fails before its first piece costs nothing and its error is the rejection; after that a frame is partly written, so
   * the connection is destroyed and the rejection is a ConnectionLost whose cause is the source's error.
   *
   * RECEIPTs travel behind messages: while reading is paused because readers are slow (see `waiting`), they are late.
   */
  send(destination: string, body?: Body, options: SendOptions = NO_OPTIONS): Promise<void> {
    const { transaction } = options;
    const confirm = options.confirm ?? transaction === undefined;
    try {
      this.#mayTalk(false);
      options.signal?.throwIfAborted();
      if (confirm && transaction !== undefined) throw confirmedByCommit();
      if (isSource(body)) return this.#sendSource(destination, body, options, confirm);
      const receipt = confirm ? this.#receiptId() : undefined;
      return this.#say(sendFrame(destination, body, options, receipt), receipt, options, destination);
    } catch (error) {
      return rejection(error, !confirm);
    }
  }

  /**
   * Subscribes. The SUBSCRIBE is written at once; `ready` tells when the broker has confirmed it. Read messages with
   * `for await`, `next()` or a handler. Throws UsageError, or ConnectionLost `unsent`.
   */
  subscribe<T = unknown>(destination: string, options?: SubscribeOptions): Subscription<T>;
  subscribe<T = unknown>(destination: string, handler: Handler<T>, options?: HandleOptions): Subscription<T>;
  subscribe<T = unknown>(
    destination: string,
    handlerOrOptions: Handler<T> | SubscribeOptions = {},
    handlerOptions: HandleOptions = {},
  ): Subscription<T> {
    const handler = typeof handlerOrOptions === 'function' ? handlerOrOptions : undefined;
    const options = typeof handlerOrOptions === 'function' ? handlerOptions : handlerOrOptions;
    this.#mayTalk(false);
    options.signal?.throwIfAborted();
    const id = options.id ?? this.#subscriptionId();
    const subscription = new Subscription<T>(this.#owner, id, destination, options, handler);
    const { prefetch } = options;
    const receipt = (options.confirm ?? true) ? this.#receiptId() : undefined;
    const subscribe = frame('SUBSCRIBE', {
      destination,
      id,
      ack: subscription.ack,
      ...(receipt === undefined ? {} : { receipt }),
      ...(prefetch === undefined ? {} : { 'prefetch-count': prefetch, 'activemq.prefetchSize': prefetch }),
      ...options.headers,
    });
    if (this.#subscriptions.has(id)) {
      throw new UsageError('duplicate-subscription', `there is a subscription ${JSON.stringify(id)} already (F-05)`);
    }
    const answer = this.#say(subscribe, receipt, options, destination);
    this.#subscriptions.set(id, subscription);
    subscription.answered(answer);
    return subscription;
  }

  /** `message.ack()`, refused with UsageError `unknown-ack` where the message came on another connection. */
  ack(message: Message, options: SettleOptions = {}): Promise<void> {
    return message.cameBy(this.#settler) ? message.ack(options) : Promise.reject(cameElsewhere());
  }

  /** `message.nack()`, on the same condition. */
  nack(message: Message, options: SettleOptions = {}): Promise<void> {
    return message.cameBy(this.#settler) ? message.nack(options) : Promise.reject(cameElsewhere());
  }

  /** Opens a transaction; BEGIN is written at once. Throws UsageError `duplicate-transaction`, or ConnectionLost `unsent`. */
  begin(id: string = `tx-${++this.#ids}`): Transaction {
    this.#mayTalk(false);
    const transaction = new Transaction(this.#transactions, id);
    this.#say(frame('BEGIN', { transaction: id }), undefined, NO_OPTIONS, id).catch((error: unknown) =>
      transaction.fail(error),
    );
    return transaction;
  }

  /**
   * COMMIT when `work` returns, ABORT when it throws; what `work` ended itself stays ended. Answers what `work` answers,
   * after COMMIT's RECEIPT. Rejects with what `work` threw, or as `commit()` does.
   */
  async transaction<Result>(
    work: (transaction: Transaction) => Result | PromiseLike<Result>,
    options: WaitOptions = {},
  ): Promise<Result> {
    const transaction = this.begin();
    let result: Result;
    try {
      result = await work(transaction);
    } catch (error) {
      if (!transaction.ended) await transaction.abort(options).catch(() => {}); // a lost connection aborts as well (T-05)
      throw error;
    }
    if (!transaction.ended) await transaction.commit(options);
    return result;
  }

  /**
   * Sends a frame as it is. Resolves and rejects as `send` does with `confirm` as given (false unless given). What it causes
   * is read with `receive()`: messages of a SUBSCRIBE sent this way, and RECEIPTs the frame itself asked for.
   */
  sendFrame(raw: Frame, options: SendFrameOptions = {}): Promise<void> {
    const { confirm = false } = options;
    try {
      this.#mayTalk(true);
      options.signal?.throwIfAborted();
      const asked = raw.headers.get('receipt');
      const receipt = confirm ? (asked ?? this.#receiptId()) : undefined;
      const whole =
        receipt === undefined || asked !== undefined
          ? raw
          : frame(raw.command, [...raw.headers, ['receipt', receipt]], raw.body);
      const answer = this.#say(whole, receipt, options, raw.headers.get('destination') ?? '');
      const id = raw.command === 'UNSUBSCRIBE' ? raw.headers.get('id') : undefined;
      if (id !== undefined) this.#subscriptions.get(id)?.end(undefined);
      return answer;
    } catch (error) {
      return rejection(error, !confirm);
    }
  }

  /**
   * The next frame that belongs to nobody else: messages of subscriptions made with `sendFrame`, RECEIPTs asked for by
   * frames given to `sendFrame`, and the ERROR that ends the connection. Messages of `subscribe()` go to their Subscription,
   * RECEIPTs that a verb waits for to that verb. Once a connection was read this way, messages of unknown subscriptions come
   * here as well, unless `onUnhandled` takes them. What waits here counts towards `maxBufferedFrames`.
   *
   * Rejects with TimeoutError, the signal's reason, or, when all frames are read, with why the connection ended.
   */
  async receive(options: WaitOptions = {}): Promise<Frame> {
    this.#readsRaw = true;
    const next = await this.#raw.next(options);
    if (next === undefined) throw new ConnectionLost('closed', 'the connection was closed here', { outcome: 'unsent' });
    return next;
  }

  /** Frames as `receive()` gives them, until this side ends the connection; throws when anything else does. */
  [Symbol.asyncIterator](): AsyncIterator<Frame, undefined, undefined> {
    this.#readsRaw = true;
    return {
      next: async () => {
        const value = await this.#raw.next();
        return value === undefined ? { done: true, value: undefined } : { done: false, value };
      },
      return: () => Promise.resolve({ done: true, value: undefined }),
    };
  }

  // --------------------------------------------------------------------------------------------------------- speaking

  // Writes the frame now, or behind the body that is being streamed. Throws what the session refuses.
  #say(said: Frame, receipt: string | undefined, options: WaitOptions, about: string): Promise<void> {
    if (this.#streaming) {
      const later = this.#behind(options.signal, () => this.#say(said, receipt, options, about));
      if (receipt === undefined) later.catch(() => {}); // as Writer.ready: who does not listen is not told
      return later;
    }
    this.#session.send(said);
    this.#said(said);
    return receipt === undefined
      ? this.#writer.ready()
      : this.#receipt(receipt, `the RECEIPT of ${said.command} ${about}`, options);
  }

  #said(said: Frame): void {
    if (this.#settings.observer?.frameSent !== undefined) {
      this.#observe((observer) => observer.frameSent?.(redacted(said)));
    }
    this.#writer.soon();
  }

  #receipt(id: string, what: string, options: WaitOptions): Promise<void> {
    const { clock, receiptTimeoutMs } = this.#settings;
    const answer = this.#receipts.wait(id, what, options.timeoutMs ?? receiptTimeoutMs, options.signal, clock.now());
    if (this.#receipts.deadline < this.#timerAt) this.#arm();
    return answer;
  }

  #confirmed(
    command: 'COMMIT' | 'ABORT' | 'UNSUBSCRIBE' | 'DISCONNECT',
    headers: Readonly<Record<string, string>>,
    about: string,
    options: WaitOptions,
  ): Promise<void> {
    const receipt = this.#receiptId();
    return this.#say(frame(command, Object.entries({ ...headers, receipt })), receipt, options, about);
  }

  #settle(owed: OwedMessage, outcome: 'ACK' | 'NACK', options: SettleOptions): Promise<void> {
    const { confirm = false, transaction } = options;
    return this.#verb(() => {
      if (confirm && transaction !== undefined) throw confirmedByCommit();
      options.signal?.throwIfAborted();
      if (this.#streaming) return this.#behind(options.signal, () => this.#settle(owed, outcome, options));
      if (this.#session.subscriptions.get(owed.subscription.id) !== owed.subscription) {
        throw new UsageError('unknown-ack', 'its subscription has ended, and the broker took it back (F-10)');
      }
      const receipt = confirm ? this.#receiptId() : undefined;
      const said = this.#session.settle(owed, outcome, {
        ...(transaction === undefined ? {} : { transaction }),
        ...(receipt === undefined ? {} : { receipt }),
        ...options.headers,
      });
      this.#said(said);
      return receipt === undefined
        ? this.#writer.ready()
        : this.#receipt(receipt, `the RECEIPT of ${outcome} ${owed.key}`, options);
    }, !confirm);
  }

  #unsubscribe(id: string, options: UnsubscribeOptions): Promise<void> {
    const subscription = this.#subscriptions.get(id);
    if (subscription === undefined || this.#reason !== undefined) return Promise.resolve(); // it went with the connection
    this.#subscriptions.delete(id);
    this.#draining.add(subscription);
    this.#former.add(id);
    if (this.#former.size > MAX_FORMER) this.#former.delete(this.#former.values().next().value ?? '');
    const headers = { id, ...options.headers };
    return this.#verb(() => {
      if (options.confirm ?? true) return this.#confirmed('UNSUBSCRIBE', headers, id, options);
      return this.#say(frame('UNSUBSCRIBE', headers), undefined, options, id);
    });
  }

  // For the verbs that still may go out while the connection says goodbye.
  #verb(say: () => Promise<void>, quiet = false): Promise<void> {
    try {
      this.#mayTalk(true);
      return say();
    } catch (error) {
      return rejection(error, quiet);
    }
  }

  #mayTalk(settles: boolean): void {
    if (this.#reason !== undefined) throw this.#lost('unsent');
    if (this.#session.state !== 'connected' || (this.#saysGoodbye && !settles)) {
      throw new ConnectionLost('closed', 'the connection is saying goodbye; nothing was sent', { outcome: 'unsent' });
    }
  }

  #receiptId(): string {
    let id: string;
    do id = `r-${++this.#ids}`;
    while (this.#session.receipts.has(id)); // somebody may have asked for it with sendFrame
    return id;
  }

  #subscriptionId(): string {
    let id: string;
    do id = `sub-${++this.#ids}`;
    while (this.#session.subscriptions.has(id));
    return id;
  }

  // -------------------------------------------------------------------------------------------------- streaming bodies

  #sendSource(destination: string, source: Source, options: SendOptions, confirm: boolean): Promise<void> {
    if (this.#streaming) {
      return this.#behind(options.signal, () => this.#sendSource(destination, source, options, confirm));
    }
    const receipt = confirm ? this.#receiptId() : undefined;
    const head = sendFrame(destination, source, options, receipt);
    this.#streaming = true;
    return this.#pour(head, source, receipt, options, destination);
  }

  async #pour(
    head: Frame<'SEND'>,
    source: Source,
    receipt: string | undefined,
    options: SendOptions,
    destination: string,
  ): Promise<void> {
    const { signal } = options;
    const from = pieces(source);
    let begun = false;
    try {
      for (;;) {
        const { done = false, value = NOTHING } = await this.#unlessOver(from.next(), signal);
        if (!begun) {
          this.#session.sendHead(head, options.contentLength);
          begun = true;
          this.#observe((observer) => observer.frameSent?.(head));
        }
        this.#session.sendPiece(value, done);
        this.#writer.flush();
        if (done) break;
        await this.#unlessOver(this.#writer.ready(), signal);
      }
    } catch (error) {
      from.return().catch(() => {}); // the source is told; what it says to that helps nobody
      if (begun && this.#reason === undefined) this.#finish({ kind: 'closed', error: brokenOff(destination, error) });
      if (this.#reason !== undefined) {
        this.#channel.destroy();
        throw this.#lost(begun ? 'unknown' : 'unsent');
      }
      this.#streamed();
      throw error;
    }
    const answer =
      receipt === undefined
        ? this.#writer.ready()
        : this.#receipt(receipt, `the RECEIPT of SEND ${destination}`, options);
    this.#streamed();
    return answer;
  }

  // The promise, unless the connection or the signal ends first.
  #unlessOver<Result>(promise: Promise<Result>, signal: AbortSignal | undefined): Promise<Result> {
    return new Promise<Result>((resolve, reject) => {
      const stop = (): void => {
        this.#interrupts.delete(interrupt);
        stopSignal?.();
      };
      const interrupt = (error: unknown): void => {
        stop();
        reject(error);
      };
      this.#interrupts.add(interrupt);
      const stopSignal = onAbort(signal, interrupt);
      promise.then((result) => {
        stop();
        resolve(result);
      }, interrupt);
    });
  }

  #behind(signal: AbortSignal | undefined, say: () => Promise<void>): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      let dropped = false;
      const stopSignal = onAbort(signal, (reason) => {
        dropped = true;
        reject(reason);
      });
      this.#backlog.push({
        say: () => {
          stopSignal?.();
          if (dropped) return;
          try {
            say().then(resolve, reject);
          } catch (error) {
            reject(error);
          }
        },
        fail: (error) => {
          stopSignal?.();
          reject(error);
        },
      });
    });
  }

  #streamed(): void {
    this.#streaming = false;
    while (!this.#streaming) {
      const next = this.#backlog.shift();
      if (next === undefined) break;
      next.say();
    }
    this.#recheck?.();
  }

  // -------------------------------------------------------------------------------------------------------- listening

  #receive(bytes: Uint8Array): void {
    if (this.#reason !== undefined) return; // S-12: what follows an ERROR, or our own end, is of no interest
    const session = this.#session;
    const now = this.#settings.clock.now();
    session.receive(bytes, now);
    for (let event = session.next(now); event !== undefined; event = session.next(now)) this.#hear(event);
  }

  #hear(event: ClientEvent): void {
    if (this.#settings.observer !== undefined) this.#observeEvent(event);
    switch (event.type) {
      case 'message':
        this.#message(event);
        return;
      case 'piece':
        this.#piece(event.bytes, event.last);
        return;
      case 'receipt':
        if (event.id === undefined || !this.#receipts.confirm(event.id)) {
          if (event.expected) this.#raw.put(event.frame);
          else this.#observe((observer) => observer.unexpectedReceipt?.(event.frame));
        }
        this.#recheck?.();
        return;
      case 'connected':
        this.#connected = event.frame;
        this.#stopSignal?.();
        this.#arm();
        this.#observe((observer) => observer.connected?.(event.frame));
        this.#open(this);
        return;
      case 'error':
        this.#refused(new BrokerError(event.frame));
        return;
      case 'fault':
        this.#finish({ kind: 'broken', error: event.error });
        this.#channel.destroy();
    }
  }

  #observeEvent(event: ClientEvent): void {
    if (event.type === 'heart-beat') this.#observe((observer) => observer.heartBeat?.('received'));
    else if ('frame' in event) this.#observe((observer) => observer.frameReceived?.(event.frame));
  }

  #message(event: Extract<ClientEvent, { type: 'message' }>): void {
    const { frame: came, subscription, streaming } = event;
    const ours = subscription && this.#subscriptions.get(subscription.id);
    if (this.#leaving) {
      this.#incoming = streaming ? this.#unwanted() : undefined;
    } else if (ours !== undefined) {
      this.#incoming = streaming ? new StreamedBody(this.#gauge) : undefined;
      ours.deliver(new Message(came, this.#settler, event.owed, this.#incoming));
    } else if (subscription !== undefined) {
      this.#putRaw(came, streaming);
    } else {
      this.#unhandled(came, streaming);
    }
  }

  // S-13, S-14, F-09
  #unhandled(came: Frame, streaming: boolean): void {
    const { onUnhandled } = this.#settings;
    const former = this.#former.has(came.headers.get('subscription') ?? '');
    if (onUnhandled !== undefined) {
      this.#incoming = streaming ? new StreamedBody(this.#gauge) : undefined;
      const message = new Message(came, this.#settler, undefined, this.#incoming);
      queueMicrotask(() => {
        try {
          onUnhandled(message);
        } catch (error) {
          this.#failed(error, message);
        }
        message.leave();
      });
    } else if (this.#readsRaw && !former) {
      this.#putRaw(came, streaming);
    } else {
      this.#incoming = streaming ? this.#unwanted() : undefined;
      if (!former) this.#giveBack(came);
    }
  }

  // The session has no books on a stranger's delivery, so this is written past it. Of an ended subscription the broker takes
  // everything back by itself (F-10), and a NACK would be an error.
  #giveBack(came: Frame): void {
    const id = came.headers.get('ack');
    if (id === undefined || this.version !== '1.2' || this.#streaming || this.#session.state !== 'connected') return;
    const nack = frame('NACK', { id });
    this.#writer.flush();
    this.#channel.write(encode(nack, { ...this.#settings.leniency, version: '1.2' }));
    this.#observe((observer) => observer.frameSent?.(nack));
  }

  #putRaw(came: Frame, streaming: boolean): void {
    this.#incoming = undefined;
    if (streaming) this.#gathered = { frame: came, pieces: [], length: 0 };
    else this.#raw.put(came);
  }

  #unwanted(): StreamedBody {
    const body = new StreamedBody(this.#gauge);
    body.discard();
    return body;
  }

  #piece(bytes: Uint8Array, last: boolean): void {
    this.#incoming?.push(bytes, last);
    const gathered = this.#gathered;
    if (gathered !== undefined) {
      const most = this.#settings.limits?.maxBodyBytes ?? this.#settings.maxBufferedBytes;
      gathered.pieces.push(bytes);
      gathered.length += bytes.length;
      if (gathered.length > most) {
        const error = new ProtocolError('body-too-large', `a body of more than ${most} bytes came for receive()`);
        this.#finish({ kind: 'broken', error });
        this.#channel.destroy();
      } else if (last) {
        this.#raw.put(new Frame(gathered.frame.command, gathered.frame.headers, joined(gathered)));
      }
    }
    if (!last) return;
    this.#incoming = undefined;
    this.#gathered = undefined;
  }

  #pause(full: boolean): void {
    if (this.#reason !== undefined || this.#leaving) return;
    if (full) {
      this.#channel.pause();
      this.#observe((observer) => observer.paused?.(this.waiting));
    } else {
      this.#session.receive(NOTHING, this.#settings.clock.now()); // the silence was ours: patience begins anew
      this.#channel.resume();
      this.#observe((observer) => observer.resumed?.());
    }
  }

  // What user code threw is always heard of.
  #failed(error: unknown, message?: Message): void {
    const { onError } = this.#settings;
    if (onError === undefined) void Promise.reject(error);
    else {
      try {
        onError(error, message);
      } catch (worse) {
        void Promise.reject(worse);
      }
    }
  }

  #observe(tell: (observer: NonNullable<ConnectionSettings['observer']>) => void): void {
    const { observer } = this.#settings;
    if (observer === undefined) return;
    try {
      tell(observer);
    } catch (error) {
      this.#failed(error);
    }
  }

  // --------------------------------------------------------------------------------------------------------- the timer

  // It is set to the earliest deadline known and left alone while deadlines only move away.
  #arm(): void {
    const at = Math.min(this.#session.deadline, this.#receipts.deadline);
    if (at >= this.#timerAt) return;
    const { clock } = this.#settings;
    this.#stopTimer?.();
    this.#timerAt = at;
    this.#stopTimer = clock.schedule(Math.max(0, at - clock.now()), this.#onTimer);
  }

  readonly #onTimer = (): void => {
    const { clock } = this.#settings;
    this.#timerAt = Number.POSITIVE_INFINITY;
    const now = clock.now();
    if (now < Math.min(this.#session.deadline, this.#receipts.deadline)) {
      this.#arm();
      return;
    }
    // We may be late and not the broker: look again when what has come meanwhile is read.
    this.#timerAt = now;
    this.#stopTimer = clock.schedule(0, this.#onDue);
  };

  readonly #onDue = (): void => {
    const now = this.#settings.clock.now();
    this.#timerAt = Number.POSITIVE_INFINITY;
    const paused = this.#gauge.isFull;
    if (paused) this.#session.receive(NOTHING, now); // nobody reads, so silence proves nothing
    const before = this.#session.pending;
    const error = this.#session.tick(now);
    if (error !== undefined) {
      this.#finish({ kind: 'lost', error: this.#tooLate(error) });
      this.#channel.destroy();
      return;
    }
    if (this.#session.pending > before) {
      this.#writer.flush();
      this.#observe((observer) => observer.heartBeat?.('sent'));
    }
    this.#receipts.expire(now, paused ? this.#pausedHint() : undefined);
    this.#recheck?.();
    this.#arm();
  };

  #tooLate(error: ProtocolError): ConnectionLost | TimeoutError {
    if (error.code === 'connect-timeout') return new TimeoutError('CONNECTED', this.#settings.connectTimeoutMs);
    return new ConnectionLost('silent', `the broker fell silent: ${error.message}`, { cause: error });
  }

  #pausedHint(): string {
    const { frames, bytes } = this.waiting;
    return `reading is paused: ${frames} frames of ${bytes} bytes wait for their readers`;
  }

  // ------------------------------------------------------------------------------------------------------------ ending

  /**
   * Says goodbye: lets handlers finish, waits for outstanding receipts (E-03), sends DISCONNECT and waits for its RECEIPT, or
   * for the broker to close instead (E-04), then closes. Messages that come meanwhile are dropped; in the client modes the
   * broker delivers them again. Not to be awaited inside a handler, which it waits for. Never rejects: `closed` tells how it went. The promise is the same however often it is called.
   * After `timeoutMs` (`receiptTimeoutMs` unless given; 0 for ever) the connection is destroyed.
   */
  disconnect(options: { readonly timeoutMs?: number | undefined } = {}): Promise<void> {
    this.#goodbye ??= this.#leave(options.timeoutMs ?? this.#settings.receiptTimeoutMs);
    return this.#goodbye;
  }

  async #leave(timeoutMs: number): Promise<void> {
    if (this.#reason !== undefined) {
      await this.closed;
      return;
    }
    const stop = timeoutMs > 0 ? this.#settings.clock.schedule(timeoutMs, () => this.destroy()) : undefined;
    this.#leaving = true;
    if (this.#gauge.isFull) this.#channel.resume(); // receipts stand behind what we did not read
    for (const subscription of this.#subscriptions.values()) {
      this.#draining.add(subscription);
      subscription.end(undefined);
    }
    if (!this.#handlersAreIdle()) await this.#until(() => this.#handlersAreIdle());
    this.#saysGoodbye = true;
    await this.#until(() => !this.#streaming && this.#session.receipts.size === 0);
    if (this.#reason === undefined) {
      try {
        if (this.#session.state === 'connected') {
          await this.#confirmed('DISCONNECT', {}, '', { timeoutMs: 0 });
        }
        this.#finish({ kind: 'disconnected' });
        this.#hangUp();
      } catch {
        // It ended instead, and #finish knows how.
      }
    }
    await this.closed;
    stop?.();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.disconnect();
  }

  /**
   * Closes without a goodbye: what was written goes out, what waits rejects with ConnectionLost `closed`. Resolves when the
   * channel is closed, which the broker has one second for. May be called twice, and during `disconnect()`.
   */
  async close(): Promise<void> {
    if (this.#reason === undefined) {
      this.#writer.flush();
      this.#finish({ kind: 'closed' });
      this.#hangUp();
    }
    await this.closed;
  }

  /** Ends it at once; what was not on the wire is dropped. `error` becomes the reason and the cause of every rejection. */
  destroy(error?: Error): void {
    this.#finish(error === undefined ? { kind: 'closed' } : { kind: 'closed', error });
    this.#channel.destroy();
  }

  #refused(error: BrokerError): void {
    if (error.receipt !== undefined) this.#receipts.refuse(error.receipt, error);
    this.#raw.put(error.frame);
    this.#finish({ kind: 'refused', error });
    this.#hangUp();
  }

  /** The broker will send no more. */
  #ended(): void {
    this.#finish(this.#lastWord(undefined));
    this.#hangUp();
  }

  #closed(end: ChannelEnd): void {
    this.#finish(this.#lastWord(end));
    this.#stopGrace?.();
    const reason = this.#reason ?? this.#lastWord(end);
    this.#observe((observer) => observer.closed?.(reason));
    this.#tellClosed(reason);
  }

  #lastWord(end: ChannelEnd | undefined): CloseReason {
    if (this.#session.state === 'disconnecting') return { kind: 'disconnected' }; // E-04
    const { remote } = this.#channel.peer;
    const error =
      end?.error === undefined
        ? new ConnectionLost('ended', `${remote} closed the connection without a word`)
        : new ConnectionLost('reset', `the connection to ${remote} broke: ${end.error.message}`, { cause: end.error });
    return { kind: 'lost', error };
  }

  // We write no more, and the other side has a moment to do the same.
  #hangUp(): void {
    this.#channel.end();
    this.#stopGrace ??= this.#settings.clock.schedule(GRACE_MS, () => this.#channel.destroy());
  }

  #finish(reason: CloseReason): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#session.close();
    this.#stopTimer?.();
    this.#stopSignal?.();
    if (this.#gauge.isFull) this.#channel.resume(); // its end stands behind what we did not read
    const unknown = this.#lost('unknown');
    const forReaders = reason.kind === 'closed' && reason.error !== undefined ? unknown : reason.error;
    this.#failOpen(reason.error ?? unknown);
    this.#receipts.fail(unknown);
    this.#writer.fail(unknown);
    for (const waiting of this.#backlog.splice(0)) waiting.fail(this.#lost('unsent'));
    for (const interrupt of this.#interrupts) interrupt(unknown);
    this.#incoming?.fail(reason.error ?? unknown);
    for (const subscription of this.#subscriptions.values()) subscription.end(forReaders);
    this.#raw.end(forReaders, false);
    this.#recheck?.();
  }

  // The error for one whose frame went out, or did not.
  #lost(outcome: 'unsent' | 'unknown'): ConnectionLost {
    const reason = this.#reason;
    const what = outcome === 'unsent' ? 'nothing was sent' : 'whether the broker took it is unknown';
    switch (reason?.kind) {
      case 'lost': {
        const { error } = reason;
        const code = error instanceof ConnectionLost ? error.code : 'ended';
        return new ConnectionLost(code, `${error.message}; ${what}`, { outcome, cause: error.cause ?? error });
      }
      case 'refused':
        return new ConnectionLost('refused', `${reason.error.message}, which ended the connection; ${what}`, {
          outcome,
          cause: reason.error,
        });
      case 'broken':
        return new ConnectionLost('broken', `${reason.error.message}; ${what}`, { outcome, cause: reason.error });
      default: {
        const why = reason?.error === undefined ? '' : `: ${reason.error.message}`;
        return new ConnectionLost('closed', `the connection was closed here${why}; ${what}`, {
          outcome,
          ...(reason?.error === undefined ? {} : { cause: reason.error }),
        });
      }
    }
  }

  #handlersAreIdle(): boolean {
    for (const subscription of this.#draining) if (subscription.isIdle) this.#draining.delete(subscription);
    return this.#draining.size === 0;
  }

  async #until(isSo: () => boolean): Promise<void> {
    while (this.#reason === undefined && !isSo()) {
      await new Promise<void>((resolve) => {
        this.#recheck = resolve;
      });
    }
    this.#recheck = undefined;
  }
}

function confirmedByCommit(): UsageError {
  return new UsageError('bad-option', 'in a transaction COMMIT confirms; `confirm` may not be true (R-05)');
}

function cameElsewhere(): UsageError {
  return new UsageError('unknown-ack', 'this message came on another connection, which alone can settle it (A-08)');
}

function brokenOff(destination: string, cause: unknown): ConnectionLost {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new ConnectionLost('closed', `the body of a SEND to ${destination} broke off midway: ${why}`, { cause });
}

// Fire and forget: a lost connection is no news to one who does not listen, a wrong call is.
function rejection(error: unknown, quiet: boolean): Promise<never> {
  const rejected = Promise.reject(error);
  if (quiet && error instanceof ConnectionLost) rejected.catch(() => {});
  return rejected;
}

function joined({ pieces, length }: { readonly pieces: readonly Uint8Array[]; readonly length: number }): Uint8Array {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
