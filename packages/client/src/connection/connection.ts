// One connection, from CONNECTED to its end, which is final: connecting again is the
// business of whoever holds it. This is its front: the verbs, and the seams towards
// messages, subscriptions and transactions. What is behind it is in line.ts.

import { type Frame, frame, type HeartBeatPeriods, UsageError, type Version } from '@stompbox/protocol';
import type { Channel, PeerInfo } from '@stompbox/transport';
import { ConnectionLost } from '../errors.ts';
import type { Interceptor } from '../observers/interceptors.ts';
import type { Observer } from '../observers/observer.ts';
import type { Body } from './body.ts';
import type { CloseReason } from './close-reason.ts';
import type { WaitOptions } from './inbox.ts';
import { Line } from './line.ts';
import type { Message, SettleOptions, Settler } from './message.ts';
import { type ConnectionOptions, type ConnectionSettings, resolveOptions } from './options.ts';
import type { SendOptions } from './send.ts';
import { isConfirmed } from './speaker.ts';
import {
  type HandleOptions,
  type Handler,
  type SubscribeOptions,
  Subscription,
  type SubscriptionOwner,
  subscribeFrame,
  type UnsubscribeOptions,
} from './subscription.ts';
import { inTransaction, Transaction, type TransactionOwner, type TransactionSendOptions } from './transaction.ts';

export interface SendFrameOptions extends WaitOptions {
  /** Ask for a RECEIPT, unless the frame does, and wait for it. False unless given: the frame goes out as it is. */
  readonly confirm?: boolean | undefined;
}

const NO_OPTIONS: SendOptions = {};

export class Connection implements AsyncIterable<Frame>, AsyncDisposable {
  readonly #line: Line;
  readonly #receiptTimeoutMs: number;

  // The seams towards messages, subscriptions and transactions: their verbs, not our fields.
  readonly #settler: Settler = {
    settle: (owed, outcome, options) =>
      this.#verb(() => this.#line.speaker.settle(owed, outcome, this.#inWords(options)), !options.confirm),
    send: (destination, body, options) => this.send(destination, body, options),
  };
  readonly #owner: SubscriptionOwner;
  readonly #transactions: TransactionOwner<string, TransactionSendOptions> = {
    send: (destination, body, options) => this.send(destination, body, options),
    ack: (message, options) => this.ack(message, options),
    nack: (message, options) => this.nack(message, options),
    demarcate: (command, transaction, options) =>
      this.#verb(() =>
        this.#line.speaker.confirmed(command, { transaction }, `in transaction ${transaction}`, options),
      ),
  };

  /** @internal How `requeue` is said to this broker; a client knows by its profile. */
  requeueWords: (requeue: boolean) => Readonly<Record<string, string>> = () => {
    throw new UsageError('bad-option', "requeue needs a Client, which knows the broker; give the broker's own header");
  };

  /** How the connection ended, once its channel is closed. Never rejects. */
  readonly closed: Promise<CloseReason>;

  private constructor(channel: Channel, settings: ConnectionSettings) {
    this.#line = new Line(channel, settings, this.#settler);
    this.#receiptTimeoutMs = settings.receiptTimeoutMs;
    this.closed = this.#line.closed;
    this.#owner = {
      gauge: this.#line.gauge,
      clock: settings.clock,
      unsubscribe: (id, options) => this.#unsubscribe(id, options),
      failed: (error, message) => this.#line.hooks.failed(error, message),
      idle: () => this.#line.goodbye.recheck(),
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
    await connection.#line.open();
    return connection;
  }

  /** `Hooks.observe` of this connection, or of all that share its `hooks`. */
  observe(name: string, observer: Observer): () => void {
    return this.#line.hooks.observe(name, observer);
  }
  /** `Hooks.use`, likewise. CONNECT and CONNECTED have passed by now: `hooks` handed in before sees those too. */
  use(name: string, interceptor: Interceptor): () => void {
    return this.#line.hooks.use(name, interceptor);
  }

  /** The CONNECTED frame. */
  get connected(): Frame {
    return this.#line.connected;
  }
  /** What was negotiated. */
  get version(): Version {
    return this.#line.version;
  }
  /** The `server` header of CONNECTED, such as `RabbitMQ/3.10.8`; not all brokers tell (N-15). */
  get server(): string | undefined {
    return this.connected.headers.get('server');
  }
  /** The agreed heart-beats: milliseconds each way, 0 for none. */
  get heartBeat(): HeartBeatPeriods {
    return this.#line.heartBeat;
  }
  get peer(): PeerInfo {
    return this.#line.peer;
  }
  /** True until the end has begun, whoever began it. */
  get isOpen(): boolean {
    return !this.#line.isOver && !this.#line.goodbye.hasBegun;
  }
  /**
   * What has come and waits for its reader. Reading stops above `maxBufferedFrames` or `maxBufferedBytes`; while a RECEIPT is
   * awaited, which stands behind messages, above sixteen times that.
   */
  get waiting(): { readonly frames: number; readonly bytes: number } {
    return this.#line.waiting;
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
    try {
      this.#line.mayTalk(false);
      return this.#line.speaker.send(destination, body, options);
    } catch (error) {
      return rejection(error, !isConfirmed(options));
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
    this.#line.mayTalk(false);
    options.signal?.throwIfAborted();
    const id = options.id ?? this.#line.speaker.subscriptionId();
    const subscription = new Subscription<T>(this.#owner, id, destination, options, handler);
    const receipt = (options.confirm ?? true) ? this.#line.speaker.receiptId() : undefined;
    const subscribe = subscribeFrame(subscription, options, receipt);
    if (this.#line.deliveries.has(id)) {
      throw new UsageError('duplicate-subscription', `there is a subscription ${JSON.stringify(id)} already (F-05)`);
    }
    const answer = this.#line.speaker.say(subscribe, receipt, options, destination);
    this.#line.deliveries.add(subscription);
    subscription.answered(answer);
    return subscription;
  }

  /** @internal Messages the broker sends under this id without having been asked, such as RabbitMQ's answers (S-13). */
  adopt(id: string, handler: Handler): Subscription {
    const subscription = new Subscription(this.#owner, id, id, {}, handler);
    this.#line.deliveries.add(subscription);
    subscription.answered(Promise.resolve());
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
  begin(id: string = this.#line.speaker.transactionId()): Transaction {
    return this.beginWith(this.#transactions, id);
  }

  /** @internal A transaction whose members are sent by somebody else. */
  beginWith<Destination, Options>(
    owner: Omit<TransactionOwner<Destination, Options>, 'demarcate'>,
    id: string = this.#line.speaker.transactionId(),
  ): Transaction<Destination, Options> {
    this.#line.mayTalk(false);
    const { demarcate } = this.#transactions;
    const transaction = new Transaction<Destination, Options>(
      {
        send: (destination, body, options) => owner.send(destination, body, options),
        ack: (message, options) => owner.ack(message, options),
        nack: (message, options) => owner.nack(message, options),
        demarcate,
      },
      id,
    );
    const begin = this.#line.speaker.say(frame('BEGIN', { transaction: id }), undefined, NO_OPTIONS, id);
    begin.catch((error: unknown) => transaction.fail(error));
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
    return await inTransaction(this.begin(), work, options);
  }

  /** Resolves when the broker has answered: BEGIN with a receipt, which ABORT takes back. Rejects as `send` does. */
  async ping(options: WaitOptions = {}): Promise<void> {
    const transaction = this.#line.speaker.transactionId();
    await this.sendFrame(frame('BEGIN', { transaction }), { ...options, confirm: true });
    await this.sendFrame(frame('ABORT', { transaction }));
  }

  /** @internal Traffic that nobody answers, where no heart-beats were agreed (P20). */
  beat(): void {
    this.#line.beat();
  }

  /**
   * Sends a frame as it is. Resolves and rejects as `send` does with `confirm` as given (false unless given). What it causes
   * is read with `receive()`: messages of a SUBSCRIBE sent this way, and RECEIPTs the frame itself asked for.
   */
  sendFrame(raw: Frame, options: SendFrameOptions = {}): Promise<void> {
    const { confirm = false } = options;
    try {
      this.#line.mayTalk(true);
      options.signal?.throwIfAborted();
      const asked = raw.headers.get('receipt');
      const receipt = confirm ? (asked ?? this.#line.speaker.receiptId()) : undefined;
      const whole =
        receipt === undefined || asked !== undefined
          ? raw
          : frame(raw.command, [...raw.headers, ['receipt', receipt]], raw.body);
      const answer = this.#line.speaker.say(whole, receipt, options, raw.headers.get('destination') ?? '');
      const id = raw.command === 'UNSUBSCRIBE' ? raw.headers.get('id') : undefined;
      if (id !== undefined) this.#line.deliveries.get(id)?.end(undefined);
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
  receive(options: WaitOptions = {}): Promise<Frame> {
    return this.#line.raw.receive(options);
  }

  /** Frames as `receive()` gives them, until this side ends the connection; throws when anything else does. */
  [Symbol.asyncIterator](): AsyncIterator<Frame, undefined, undefined> {
    return this.#line.raw.frames();
  }

  // --------------------------------------------------------------------------------------------------------- speaking

  #unsubscribe(id: string, options: UnsubscribeOptions): Promise<void> {
    if (this.#line.isOver) return Promise.resolve(); // it went with the connection
    const subscription = this.#line.deliveries.remove(id);
    if (subscription === undefined) return Promise.resolve();
    this.#line.goodbye.waitFor(subscription);
    const headers = { id, ...options.headers };
    return this.#verb(() => {
      if (options.confirm ?? true) return this.#line.speaker.confirmed('UNSUBSCRIBE', headers, id, options);
      return this.#line.speaker.say(frame('UNSUBSCRIBE', headers), undefined, options, id);
    });
  }

  #inWords(options: SettleOptions): SettleOptions {
    if (options.requeue === undefined) return options;
    return { ...options, headers: { ...this.requeueWords(options.requeue), ...options.headers } };
  }

  // For the verbs that still may go out while the connection says goodbye.
  #verb(say: () => Promise<void>, quiet = false): Promise<void> {
    try {
      this.#line.mayTalk(true);
      return say();
    } catch (error) {
      return rejection(error, quiet);
    }
  }

  /**
   * Says goodbye: lets handlers finish, waits for outstanding receipts (E-03), sends DISCONNECT and waits for its RECEIPT, or
   * for the broker to close instead (E-04), then closes. Messages that come meanwhile are dropped; in the client modes the
   * broker delivers them again. Not to be awaited inside a handler, which it waits for. Never rejects: `closed` tells how it went. The promise is the same however often it is called.
   * After `timeoutMs` (`receiptTimeoutMs` unless given; 0 for ever) the connection is destroyed.
   */
  disconnect(options: { readonly timeoutMs?: number | undefined } = {}): Promise<void> {
    return this.#line.goodbye.say(options.timeoutMs ?? this.#receiptTimeoutMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.disconnect();
  }

  /**
   * Closes without a goodbye: what was written goes out, what waits rejects with ConnectionLost `closed`. Resolves when the
   * channel is closed, which the broker has one second for. May be called twice, and during `disconnect()`.
   */
  async close(): Promise<void> {
    await this.#line.close();
  }

  /** Ends it at once; what was not on the wire is dropped. `error` becomes the reason and the cause of every rejection. */
  destroy(error?: Error): void {
    this.#line.destroy(error);
  }
}

function cameElsewhere(): UsageError {
  return new UsageError('unknown-ack', 'this message came on another connection, which alone can settle it (A-08)');
}

// Fire and forget: a lost connection is no news to one who does not listen, a wrong call is.
function rejection(error: unknown, quiet: boolean): Promise<never> {
  const rejected = Promise.reject(error);
  if (quiet && error instanceof ConnectionLost) rejected.catch(() => {});
  return rejected;
}
