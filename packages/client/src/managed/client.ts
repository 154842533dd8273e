// What applications use: a publisher that listens as well.
//
//   subscribe ─► Intent ─┬─ on each connection: SUBSCRIBE ─► wire ─► ClientSubscription, or several that share it
//                        └─ refused: quarantine, and again later, while the others go on
//
// Intents are restored before the outbox is opened, so that answers find their readers.

import type { Body } from '../connection/body.ts';
import type { CloseReason } from '../connection/close-reason.ts';
import type { Connection } from '../connection/connection.ts';
import type { Message } from '../connection/message.ts';
import { BrokerError, ConnectionLost, SubscriptionRefused, sayError, UsageError } from '../errors.ts';
import { nameOf, type PortableSubscribe, type ProfileName, type To, UnsupportedByBroker } from '../profiles/index.ts';
import type { HeadersFor, WithHeaders } from '../typed-headers.ts';
import {
  type ClientHandler,
  ClientSubscription,
  type LeaveOptions,
  type ReaderOwner,
  type ReadOptions,
} from './client-subscription.ts';
import { Intent, type IntentOptions } from './intent.ts';
import { Publisher } from './publisher.ts';
import { FAILURE, type RequestManyOptions, type RequestOptions, Requests } from './request.ts';
import type { Session } from './session.ts';
import { Shared } from './shared.ts';

/** `Broker` and `Own` say which headers there are: see HeadersFor. */
export interface ClientSubscribeOptions<Broker extends ProfileName = 'generic', Own extends string = never>
  extends PortableSubscribe,
    ReadOptions {
  /** Unique in the client; one is made unless given. */
  readonly id?: string | undefined;
  /** More headers for SUBSCRIBE, or a function asked for them on each connection. */
  readonly headers?:
    | HeadersFor<Broker, 'SUBSCRIBE', Own>
    | (() => HeadersFor<Broker, 'SUBSCRIBE', Own> | PromiseLike<HeadersFor<Broker, 'SUBSCRIBE', Own>>)
    | undefined;
  /**
   * All subscriptions of this client to one destination that say so get every message, over one subscription at the broker,
   * which the first of them described. In `auto` mode; the slowest reader decides.
   */
  readonly share?: boolean | undefined;
}

const MAX_QUARANTINE_MS = 300_000;

export class Client<Broker extends ProfileName = 'generic', Own extends string = never> extends Publisher<Broker, Own> {
  /** Those who read, and what they read from; several may share one. */
  readonly #intents = new Map<ClientSubscription, Intent>();
  readonly #shares = new Map<string, { readonly intent: Intent; readonly shared: Shared }>();
  readonly #owner: ReaderOwner;
  readonly #requests: Requests;
  #ids = 0;
  #careful = false; // the last restore ended with an ERROR that named nobody
  #whyEnded: Error | undefined;

  constructor(...args: ConstructorParameters<typeof Publisher>) {
    super(...args);
    this.#owner = {
      clock: this.settings.clock,
      failed: (error, message) => this.hooks.failed(error, message),
      tell: (status) => this.tell(status),
      deadLetter: (destination, message, error, attempts) => this.#deadLetter(destination, message, error, attempts),
      leave: (subscription, options) => this.#leave(subscription, options),
    };
    this.#requests = new Requests({
      clock: this.settings.clock,
      session: (options) => this.session(options),
      listen: (destination, handler, headers) =>
        (this as Client).subscribe(destination, handler, { ack: 'auto', headers }), // in headers of ours, not the caller's
    });
  }

  /**
   * Subscribes, now and on every connection to come. Read messages with `for await`, `next()` or a handler, which settles them:
   * ACK when it returns, NACK when it throws. Throws UsageError, or ConnectionLost `closed`.
   */
  subscribe<T = unknown>(destination: To, options?: ClientSubscribeOptions<Broker, Own>): ClientSubscription<T>;
  subscribe<T = unknown>(
    destination: To,
    handler: ClientHandler<T>,
    options?: ClientSubscribeOptions<Broker, Own>,
  ): ClientSubscription<T>;
  subscribe<T = unknown>(
    destination: To,
    handlerOrOptions: ClientHandler<T> | ClientSubscribeOptions = {},
    handlerOptions: ClientSubscribeOptions = {},
  ): ClientSubscription<T> {
    if (this.#whyEnded !== undefined) throw this.#whyEnded;
    const handler = typeof handlerOrOptions === 'function' ? handlerOrOptions : undefined;
    const options = typeof handlerOrOptions === 'function' ? handlerOptions : handlerOrOptions;
    const id = options.id ?? `s-${++this.#ids}`; // connections make ids of their own: sub-1, sub-2 …
    for (const other of this.#intents.values()) {
      if (other.id === id)
        throw new UsageError('duplicate-subscription', `there is a subscription ${id} already (F-05)`);
    }
    const subscription = new ClientSubscription<T>(this.#owner, id, nameOf(destination), options, handler);
    if (options.share) this.#share(destination, options, subscription);
    else {
      const usualAck = handler === undefined ? 'auto' : 'client-individual';
      this.#intents.set(subscription, this.#intend(id, destination, { ...options, usualAck }, subscription));
    }
    return subscription;
  }

  /**
   * Asks, and answers with the first message that comes back; `reply-to` and `correlation-id` are written. Rejects with
   * TimeoutError, RequestRefused (the responder says it failed), ConnectionLost (`unknown`: it may have been asked),
   * UsageError, UnsupportedByBroker or the signal's reason.
   */
  request<T = unknown>(
    destination: To,
    body?: Body,
    options?: WithHeaders<RequestOptions, Broker, Own>,
  ): Promise<Message<T>>;
  request<T = unknown>(destination: To, body?: Body, options: RequestOptions = {}): Promise<Message<T>> {
    return this.#requests.one<T>(destination, body, options);
  }

  /**
   * Asks everybody who hears it: answers as they come, until `max`, until none came for `quietMs`, or until `timeoutMs` is over,
   * which is a TimeoutError only if there was none.
   */
  requestMany<T = unknown>(
    destination: To,
    body?: Body,
    options?: WithHeaders<RequestManyOptions, Broker, Own>,
  ): AsyncGenerator<Message<T>, void, undefined>;
  requestMany<T = unknown>(
    destination: To,
    body?: Body,
    options: RequestManyOptions = {},
  ): AsyncGenerator<Message<T>, void, undefined> {
    return this.#requests.many<T>(destination, body, options);
  }

  /**
   * Answers requests: what `answer` returns is sent to where the request says, and then the request is acknowledged. What it
   * throws is sent as a refusal, and goes to `onError`. A request that names no place for an answer is handled, and its answer
   * dropped.
   */
  respond<T = unknown>(
    destination: To,
    answer: (message: Message<T>) => Body | PromiseLike<Body>,
    options: ClientSubscribeOptions<Broker, Own> = {},
  ): ClientSubscription<T> {
    const handler = async (message: Message<T>): Promise<void> => {
      let body: Body;
      const headers: Record<string, string> = {};
      try {
        body = await answer(message);
      } catch (error) {
        this.hooks.failed(error, message);
        headers[FAILURE] = sayError(error).slice(0, 1_000);
      }
      if (message.replyTo !== undefined) await message.reply(body, { headers, confirm: false });
    };
    return this.subscribe<T>(destination, handler, options);
  }

  // ------------------------------------------------------------------------------------------------------------ intents

  #intend(
    id: string,
    destination: To,
    options: Omit<IntentOptions, 'clientId'>,
    reader: ClientSubscription | Shared,
  ): Intent {
    this.start();
    const { clientId } = this.settings;
    const intent = new Intent(id, destination, { ...options, clientId }, reader);
    const session = this.current;
    if (session?.isOpen) void this.#plug(intent, session);
    return intent;
  }

  #share(destination: To, options: ClientSubscribeOptions, reader: ClientSubscription): void {
    if ((options.ack ?? 'auto') !== 'auto') {
      throw new UsageError('bad-option', 'share is for auto mode: nobody could say whose ACK counts');
    }
    const name = nameOf(destination);
    let one = this.#shares.get(name);
    if (one === undefined) {
      const shared = new Shared();
      const intent = this.#intend(`${reader.id}-shared`, destination, { ...options, usualAck: 'auto' }, shared);
      one = { intent, shared };
      this.#shares.set(name, one);
    }
    one.shared.add(reader);
    this.#intents.set(reader, one.intent);
  }

  async #leave(reader: ClientSubscription, options: LeaveOptions): Promise<void> {
    const intent = this.#intents.get(reader);
    if (intent === undefined) return;
    this.#intents.delete(reader);
    const name = nameOf(intent.destination);
    const shared = intent.reader === reader ? undefined : this.#shares.get(name)?.shared;
    shared?.remove(reader);
    if (shared !== undefined && !shared.isEmpty) return;
    if (shared !== undefined) this.#shares.delete(name);
    const session = options.forget && !this.current?.isOpen ? await this.session(options) : this.current;
    intent.isOver = true;
    intent.stopQuarantine?.();
    try {
      await intent.leave(options, session?.isOpen ? session : undefined);
    } catch (error) {
      if (!(error instanceof ConnectionLost)) throw error; // it went with its connection
    }
  }

  // ---------------------------------------------------------------------------------------------------------- restoring

  /** @internal */
  protected override async restore(session: Session): Promise<void> {
    const intents = new Set(this.#intents.values());
    const due = [...intents].filter(({ stopQuarantine }) => stopQuarantine === undefined);
    if (this.#careful || due.length === 1) {
      // One by one, so that an ERROR without a name can only mean the last one (P13): nothing else is said yet.
      for (const intent of due) if (session.isOpen) await this.#plug(intent, session, true);
    } else {
      await Promise.all(due.map((intent) => this.#plug(intent, session)));
    }
    if (session.isOpen) this.#careful = false;
  }

  async #plug(intent: Intent, session: Session, isAlone = false): Promise<void> {
    const name = nameOf(intent.destination);
    try {
      const isAgain = intent.wireId !== undefined;
      await intent.plug(session);
      intent.refusals = 0;
      intent.reader.confirmed();
      if (isAgain && !intent.isOver) this.tell({ type: 'subscription-restored', destination: name });
    } catch (error) {
      if (intent.isOver) return;
      if (error instanceof BrokerError) this.#quarantine(intent, error);
      else if (error instanceof UsageError || error instanceof UnsupportedByBroker) this.#giveUp(intent, error);
      else if (error instanceof ConnectionLost) {
        const said = error.code === 'refused' && error.cause instanceof BrokerError ? error.cause : undefined;
        if (said !== undefined && isAlone) this.#quarantine(intent, said);
        else this.#careful ||= said !== undefined;
      } else this.hooks.failed(error); // no RECEIPT in time, and messages may come all the same
    }
  }

  #quarantine(intent: Intent, cause: Error): void {
    const { quarantineMs, clock } = this.settings;
    const delay = Math.min(quarantineMs * 2 ** intent.refusals, MAX_QUARANTINE_MS);
    intent.refusals++;
    const error = new SubscriptionRefused(nameOf(intent.destination), delay, cause);
    intent.reader.refused(error);
    this.tell({ type: 'subscription-refused', destination: error.destination, error });
    this.hooks.failed(error);
    intent.stopQuarantine?.();
    intent.stopQuarantine = clock.schedule(delay, () => {
      intent.stopQuarantine = undefined;
      if (this.current?.isOpen) void this.#plug(intent, this.current);
    });
  }

  #giveUp(intent: Intent, error: Error): void {
    intent.isOver = true;
    for (const [reader, theirs] of this.#intents) if (theirs === intent) this.#intents.delete(reader);
    for (const [name, { intent: theirs }] of this.#shares) if (theirs === intent) this.#shares.delete(name);
    intent.reader.end(error);
    this.hooks.failed(error);
  }

  /** @internal */
  protected override unplugged(reason: CloseReason): void {
    this.#requests.lost(reason.error);
    // The broker may end one subscription and say which, as RabbitMQ does for a deleted queue.
    const id = reason.kind === 'refused' ? reason.error.frame.headers.get('subscription') : undefined;
    if (id === undefined || reason.error === undefined) return;
    for (const intent of new Set(this.#intents.values())) {
      if (intent.wireId === id && intent.stopQuarantine === undefined) this.#quarantine(intent, reason.error);
    }
  }

  /** @internal */
  protected override async retire(connection: Connection): Promise<void> {
    const finished = Promise.all([...this.#intents.keys()].map((subscription) => subscription.handOver()));
    await this.within(finished, 'handlers', {}).catch(() => {}); // what they settle later is stale
    await super.retire(connection);
    this.#requests.lost(undefined);
  }

  /** @internal */
  protected override async drain(timeoutMs: number): Promise<void> {
    const leaving = [...this.#intents.keys()].map((subscription) => subscription.drain({ timeoutMs }));
    for (const left of await Promise.allSettled(leaving)) {
      if (left.status === 'rejected') this.hooks.failed(left.reason);
    }
  }

  /** @internal */
  protected override ended(error: Error | undefined): void {
    this.#whyEnded = error ?? new ConnectionLost('closed', 'the client was closed', { outcome: 'unsent' });
    for (const [subscription, intent] of this.#intents) {
      intent.isOver = true;
      intent.stopQuarantine?.();
      subscription.end(error);
    }
    this.#intents.clear();
    this.#shares.clear();
    this.#requests.end(this.#whyEnded);
  }

  #deadLetter(destination: string, message: Message, error: unknown, attempts: number): Promise<void> {
    const { contentType, headers } = message;
    return (this as Client).send(destination, message.bytes, {
      contentType,
      headers: {
        ...userHeaders(headers),
        'original-destination': message.destination,
        'original-message-id': message.id,
        'dead-letter-reason': sayError(error).slice(0, 1_000),
        'dead-letter-attempts': attempts,
      },
    });
  }
}

/** Headers that the broker or the protocol wrote; they would mean something else on a SEND. */
const OF_DELIVERY =
  /^(destination|message-id|subscription|ack|content-length|content-type|receipt|transaction|redelivered|expires|expiration|timestamp|delivery-count|x-delivery-count|persistent|priority)$/i;

function userHeaders(headers: Iterable<readonly [string, string]>): Record<string, string> {
  return Object.fromEntries([...headers].filter(([name]) => !OF_DELIVERY.test(name)));
}
