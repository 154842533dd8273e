// A client that only sends: the connection it is kept in, and the outbox.
//
//   send ─► Outbox ─► Session (profile) ─► Connection ◄─ Supervisor ─► Endpoints, Backoff
//
// `Client` adds everything that listens.

import { type Endpoint, formatEndpoint } from '@stompbox/transport';
import type { Body } from '../connection/body.ts';
import type { CloseReason } from '../connection/close-reason.ts';
import { connect } from '../connection/connect.ts';
import type { Connection } from '../connection/connection.ts';
import type { WaitOptions } from '../connection/inbox.ts';
import type { ConnectionOptions } from '../connection/options.ts';
import { inTransaction } from '../connection/transaction.ts';
import { ConnectionLost, TimeoutError } from '../errors.ts';
import { Hooks } from '../observers/hooks.ts';
import type { Interceptor } from '../observers/interceptors.ts';
import type { Observer } from '../observers/observer.ts';
import { detectProfile, PROFILES, type Profile, type ProfileName, type To } from '../profiles/index.ts';
import { onAbort } from '../signal.ts';
import type { WithHeaders } from '../typed-headers.ts';
import {
  type AttemptContext,
  type ClientOptions,
  type ClientSettings,
  ofConnection,
  type PerAttempt,
  resolveClientOptions,
} from './client-options.ts';
import { Endpoints } from './endpoints.ts';
import { Outbox, type OutboxSendOptions } from './outbox.ts';
import { readEndpoints, type Where } from './read-endpoints.ts';
import { Backoff } from './reconnect.ts';
import { type ClientTransaction, Session } from './session.ts';
import { type ClientState, type Status, StatusFeed } from './status.ts';
import { Supervisor } from './supervisor.ts';
import { Vigil } from './vigil.ts';

/** `Broker` and `Own` say which headers there are: see HeadersFor. */
export type ClientSendOptions<Broker extends ProfileName = 'generic', Own extends string = never> = WithHeaders<
  OutboxSendOptions,
  Broker,
  Own
>;

/** One of `sendAll`. */
export interface Outgoing<Broker extends ProfileName = 'generic', Own extends string = never> {
  readonly destination: To;
  readonly body?: Body;
  readonly options?: ClientSendOptions<Broker, Own> | undefined;
}

export interface CloseOptions {
  /** False: end at once. True unless given: handlers finish, and what was sent gets its answer, first. */
  readonly drain?: boolean | undefined;
  /** After this the connection is destroyed, whatever is left; 15,000 ms unless given, 0 is for ever. */
  readonly timeoutMs?: number | undefined;
}

const CONNECT_MS = 30_000;
const RENEW_EARLY = 0.8; // of the life of credentials

interface Waiter {
  readonly resolve: (session: Session) => void;
  readonly reject: (error: unknown) => void;
}

const NO_OPTIONS: OutboxSendOptions = {};

/**
 * Sends. `Publisher<'rabbitmq'>` takes no header that RabbitMQ does not know; `Publisher<'rabbitmq', 'tenant'>` takes that one
 * besides.
 */
export class Publisher<Broker extends ProfileName = 'generic', Own extends string = never> implements AsyncDisposable {
  /** @internal */
  protected readonly settings: ClientSettings;
  /** @internal */
  protected readonly hooks: Hooks;
  readonly #feed = new StatusFeed();
  readonly #outbox: Outbox;
  readonly #supervisor: Supervisor;
  readonly #vigil: Vigil;
  readonly #waiters = new Set<Waiter>();
  readonly #connectionOptions: ConnectionOptions;
  readonly #expiry = new WeakMap<Connection, number>();
  /** @internal Perhaps still being restored. */
  protected current: Session | undefined;
  #session: Session | undefined; // restored and in use
  #wasConnected = false;
  #failure: Error | undefined; // why it gave up
  #closing: Promise<void> | undefined;
  #tellClosed: (reason: { readonly error?: Error }) => void = () => {};

  /** How it ended: with an `error` where it gave up (ConnectFailed, AuthenticationError). Never rejects. */
  readonly closed: Promise<{ readonly error?: Error }>;

  /**
   * Nothing happens until the first verb or `connect()`. `where` is a URL, a list that fails over, or ActiveMQ's
   * `failover:(…)?…`. Throws UsageError.
   */
  constructor(where: Where, options: ClientOptions = {}) {
    const read = readEndpoints(where);
    const ageMs = read.sendTimeoutMs;
    this.settings = resolveClientOptions({
      ...read.options,
      ...options,
      reconnect: { ...read.reconnect, ...options.reconnect },
      outbox: { ...(ageMs === undefined ? {} : { maxAgeMs: ageMs }), ...options.outbox },
    });
    const { clock, credentials, connectHeaders, observer, onError } = this.settings;
    const { order, preferred, failBackMs, preferLocalhost, tryLoopback, localNames } = this.settings;
    this.#connectionOptions = ofConnection(this.settings);
    this.closed = new Promise((resolve) => {
      this.#tellClosed = resolve;
    });
    this.hooks = new Hooks({ observer, onError });
    this.hooks.observe('(client)', {
      paused: (waiting) => this.tell({ type: 'slow-consumer', ...waiting }),
      resumed: () => this.tell({ type: 'flowing' }),
    });
    this.#outbox = new Outbox(this.settings.outbox, clock, (status) => this.tell(status));
    this.#vigil = new Vigil({
      clock,
      probeMs: this.settings.probeMs,
      patienceMs: this.settings.receiptTimeoutMs,
      woke: (afterMs) => this.tell({ type: 'woke', afterMs }),
    });
    this.#supervisor = new Supervisor({
      clock,
      endpoints: new Endpoints(read.endpoints, {
        order,
        preferred,
        failBackMs,
        preferLocalhost,
        tryLoopback,
        localNames,
      }),
      backoff: new Backoff(this.settings.reconnect),
      failBackMs,
      refreshes: typeof credentials === 'function' || typeof connectHeaders === 'function',
      open: (endpoint, context) => this.#open(endpoint, context),
      established: (connection, endpoint) => this.#established(connection, formatEndpoint(endpoint)),
      lost: (reason) => this.#lost(reason),
      retire: (connection) => void this.retire(connection),
      renewInMs: (connection) => this.#expiry.get(connection),
      tell: (status) => this.tell(status),
      over: (error) => this.#over(error),
    });
  }

  // ---------------------------------------------------------------------------------------------------------- how it is

  get state(): ClientState {
    return this.#supervisor.state;
  }
  /** The connection in use, for frames of your own; another one after each reconnect. */
  get connection(): Connection | undefined {
    return this.#session?.connection;
  }
  /** Of the connection in use. */
  get profile(): Profile | undefined {
    return this.#session?.profile;
  }
  /** Sends that have no outcome yet. */
  get pending(): { readonly messages: number; readonly bytes: number } {
    return this.#outbox.pending;
  }

  /** What happens to it, from how it stands now until `closed`; a reader that is slow misses the oldest and is told how many. */
  status(): AsyncIterableIterator<Status, undefined> {
    return this.#feed.read();
  }

  /** Watches all its connections from now on; the same name replaces. Answers how to stop. */
  observe(name: string, observer: Observer): () => void {
    return this.hooks.observe(name, observer);
  }

  /** Lets frames be rewritten on their way, on all its connections; the same name replaces. Answers how to stop. */
  use(name: string, interceptor: Interceptor): () => void {
    return this.hooks.use(name, interceptor);
  }

  // ---------------------------------------------------------------------------------------------------------- the verbs

  /**
   * Connects, which the first verb does as well. Resolves when connected and restored, at once if it is. Rejects with what
   * ended the client, TimeoutError (30 seconds unless given; attempts go on), or the signal's reason.
   */
  async connect(options: WaitOptions = {}): Promise<void> {
    await this.session({ timeoutMs: CONNECT_MS, ...options });
  }

  /**
   * Sends; waits for a connection if there is none. Resolves on the broker's RECEIPT, or with `confirm: false`, and where the
   * broker gives no receipts, when the connection takes more. Rejects with an error whose `outcome` tells
   *
   *   rejected   BrokerError: the broker refused it
   *   unknown    ConnectionLost or TimeoutError: it may have been taken; `onUnknown: 'resend'` sends it again instead
   *   unsent     OutboxError, UnsupportedByBroker, or the end of the client
   *
   * and with UsageError, or the signal's reason.
   */
  send(destination: To, body?: Body, options?: ClientSendOptions<Broker, Own>): Promise<void>;
  send(destination: To, body?: Body, options: OutboxSendOptions = NO_OPTIONS): Promise<void> {
    this.start();
    return this.#outbox.send(destination, body, options);
  }

  /** Several, in order; answers what became of each. */
  sendAll(messages: Iterable<Outgoing<Broker, Own>>): Promise<PromiseSettledResult<void>[]> {
    return Promise.allSettled(
      [...messages].map(({ destination, body, options }) => this.send(destination, body, options)),
    );
  }

  /**
   * COMMIT when `work` returns, ABORT when it throws; answers what `work` answers, after COMMIT's RECEIPT. On the connection
   * of this moment, or the next one: when that goes, it is rolled back, and the rejection is a ConnectionLost, `unknown` only
   * if COMMIT had been written. Messages settled in it must have come on the same connection (T-03).
   */
  async transaction<Result>(
    work: (transaction: ClientTransaction) => Result | PromiseLike<Result>,
    options: WaitOptions = {},
  ): Promise<Result> {
    const session = await this.session(options);
    return await inTransaction(session.begin(), work, options);
  }

  /** Resolves when every send made so far has its outcome. */
  async flush(options: WaitOptions = {}): Promise<void> {
    await this.within(this.#outbox.settled(), 'the outcome of every send', options);
  }

  /** How long the broker takes to answer, in milliseconds: BEGIN with a receipt, which ABORT takes back. */
  async roundTrip(options: WaitOptions = {}): Promise<number> {
    const { connection } = await this.session(options);
    const { clock } = this.settings;
    const began = clock.now();
    await connection.ping(options);
    return clock.now() - began;
  }

  /**
   * Ends it: no new work, handlers finish, what was sent gets its answer, DISCONNECT. What waited for a connection rejects,
   * `unsent`. Never rejects, always settles; the promise is the same however often it is called.
   */
  close(options: CloseOptions = {}): Promise<void> {
    this.#closing ??= this.#close(options);
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  // ------------------------------------------------------------------------------------------------ for those who extend

  /** @internal */
  protected start(): void {
    if (this.#supervisor.state !== 'idle' || this.#closing !== undefined) return;
    this.#outbox.recover((error) => this.hooks.failed(error));
    this.#supervisor.start();
  }

  /** @internal */
  protected tell(status: Status): void {
    this.#feed.tell(status);
  }

  /** @internal A session, now or when there is one. */
  protected session(options: WaitOptions = {}): Promise<Session> {
    this.start();
    if (this.#session?.isOpen) return Promise.resolve(this.#session);
    if (this.#closing !== undefined || this.state === 'closed') return Promise.reject(this.#whyOver());
    let waiter: Waiter | undefined;
    const session = new Promise<Session>((resolve, reject) => {
      waiter = { resolve, reject };
      this.#waiters.add(waiter);
    });
    return this.within(session, 'a connection', options).finally(() => waiter && this.#waiters.delete(waiter));
  }

  /** @internal The promise, within `timeoutMs` (`receiptTimeoutMs` unless given) and until the signal fires. */
  protected within<Result>(promise: Promise<Result>, what: string, options: WaitOptions): Promise<Result> {
    const { timeoutMs = this.settings.receiptTimeoutMs, signal } = options;
    const { lastError } = this.#supervisor;
    return new Promise<Result>((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const stopTimer =
        timeoutMs > 0
          ? this.settings.clock.schedule(
              timeoutMs,
              () => end(() => reject(new TimeoutError(what, timeoutMs, { cause: lastError }))),
              true,
            )
          : undefined;
      const stopSignal = onAbort(signal, (reason) => end(() => reject(reason)));
      const end = (settle: () => void): void => {
        stopTimer?.();
        stopSignal?.();
        settle();
      };
      promise.then(
        (result) => end(() => resolve(result)),
        (error: unknown) => end(() => reject(error)),
      );
    });
  }

  /** @internal Makes a new connection fit for use. Rejects only where it is not. */
  protected async restore(_session: Session): Promise<void> {}

  /** @internal The connection is gone. */
  protected unplugged(_reason: CloseReason): void {}

  /** @internal What was begun by others than senders is finished, on an open session. */
  protected async drain(_timeoutMs: number): Promise<void> {}

  /** @internal Nothing more comes. */
  protected ended(_error: Error | undefined): void {}

  /** @internal Another connection is used now. */
  protected async retire(connection: Connection): Promise<void> {
    await connection.disconnect({ timeoutMs: this.settings.receiptTimeoutMs });
  }

  // --------------------------------------------------------------------------------------------------------- connecting

  async #open(endpoint: Endpoint, context: AttemptContext): Promise<Connection> {
    const { settings } = this;
    const { clock, connectTimeoutMs, clientId } = settings;
    const began = clock.now();
    const attempt = new AbortController();
    const stopStop = onAbort(context.signal, (reason) => attempt.abort(reason));
    const told = { ...context, signal: attempt.signal };
    try {
      const asked = Promise.all([ask(settings.credentials, told), ask(settings.connectHeaders, told)]);
      const [credentials, headers] = await this.within(asked, `credentials for ${context.endpoint}`, {
        timeoutMs: connectTimeoutMs,
        signal: context.signal,
      });
      const { login, passcode, expiresInMs } = credentials;
      const left = connectTimeoutMs === 0 ? 0 : Math.max(1, connectTimeoutMs - (clock.now() - began));
      const connection = await connect(endpoint, {
        ...this.#connectionOptions,
        login,
        passcode,
        headers: { ...(clientId === undefined ? {} : { 'client-id': clientId }), ...headers },
        connectTimeoutMs: left,
        hooks: this.hooks,
        signal: context.signal,
      });
      if (expiresInMs !== undefined) this.#expiry.set(connection, expiresInMs * RENEW_EARLY);
      return connection;
    } catch (error) {
      attempt.abort(error);
      throw error;
    } finally {
      stopStop?.();
    }
  }

  async #established(connection: Connection, endpoint: string): Promise<void> {
    const profile = chosen(this.settings.profile) ?? detectProfile(connection.server);
    const session = new Session(connection, profile, endpoint, this.settings.outbox.onUnknown === 'resend');
    this.current = session;
    try {
      await this.restore(session);
    } catch (error) {
      connection.destroy(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    if (this.current !== session || !connection.isOpen || this.#closing !== undefined) return;
    this.#session = session;
    this.#vigil.keep(session);
    const { server, version } = connection;
    this.tell({ type: 'connected', endpoint, server, version, again: this.#wasConnected });
    this.#wasConnected = true;
    this.#outbox.open(session);
    for (const waiter of this.#waiters) waiter.resolve(session);
    this.#waiters.clear();
  }

  #lost(reason: CloseReason): void {
    this.#session = undefined;
    this.current = undefined;
    this.#vigil.keep(undefined);
    this.#outbox.shut();
    this.unplugged(reason);
  }

  // ------------------------------------------------------------------------------------------------------------- ending

  async #close({ drain = true, timeoutMs = 15_000 }: CloseOptions): Promise<void> {
    const { clock } = this.settings;
    const began = clock.now();
    const left = (): number => (timeoutMs === 0 ? 0 : Math.max(1, timeoutMs - (clock.now() - began)));
    const connection = this.current?.connection;
    this.#supervisor.stop();
    if (connection?.isOpen) {
      if (drain) {
        await Promise.race([this.drain(left()), connection.closed]);
        await Promise.race([this.within(this.#outbox.settled(), '', { timeoutMs: left() }), connection.closed]).catch(
          () => {},
        );
        await connection.disconnect({ timeoutMs: left() });
      } else {
        connection.destroy();
        await connection.closed;
      }
    }
    this.#over(undefined);
    await this.within(this.#outbox.close(), 'the end of the outbox store', { timeoutMs: left() }).catch(
      (error: unknown) => this.hooks.failed(error),
    );
  }

  #over(error: Error | undefined): void {
    if (this.state === 'closed') return;
    this.#supervisor.ended();
    this.#vigil.end();
    this.#failure = error;
    const why = this.#whyOver();
    this.#outbox.end(why);
    for (const waiter of this.#waiters) waiter.reject(why);
    this.#waiters.clear();
    this.ended(error);
    this.tell({ type: 'closed', error });
    this.#tellClosed(error === undefined ? {} : { error });
  }

  #whyOver(): Error {
    return (
      this.#failure ?? new ConnectionLost('closed', 'the client was closed; nothing was sent', { outcome: 'unsent' })
    );
  }
}

function chosen(profile: ProfileName | Profile | undefined): Profile | undefined {
  return typeof profile === 'string' ? PROFILES[profile] : profile;
}

async function ask<Value extends object>(value: PerAttempt<Value>, context: AttemptContext): Promise<Value> {
  return typeof value === 'function' ? await value(context) : value;
}
