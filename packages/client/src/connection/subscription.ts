// One subscription of one connection: messages in order for whoever iterates, or for a
// handler.
//
//   deliver ─► [ inbox ] ─┬─ for await / next()
//                         └─ handler, in a microtask of its own, `concurrency` at a time
//
// A handler settles by itself in the client modes: ACK when it returns, NACK when it
// throws, unless it called ack() or nack() already.
//
// At the end: what waits in an `auto` subscription may still be read, since the broker
// has forgotten it; in the client modes it is dropped, since the broker delivers it again.

import { type AckMode, type Frame, frame } from '@stompbox/protocol';
import type { Clock } from '../clock.ts';
import { ConnectionLost, UsageError } from '../errors.ts';
import { type Gauge, Inbox, type WaitOptions } from './inbox.ts';
import type { Message } from './message.ts';

export interface SubscribeOptions extends WaitOptions {
  /** Unique on the connection; one is made unless given. */
  readonly id?: string | undefined;
  /** `auto` unless given: a message counts as consumed once the broker has written it. */
  readonly ack?: AckMode | undefined;
  /** More headers for SUBSCRIBE, such as `selector`. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /**
   * How many messages the broker may have under way unsettled; the broker's own default unless given. Written the way
   * RabbitMQ and Stompbox (`prefetch-count`) and ActiveMQ (`activemq.prefetchSize`) read it; others ignore it.
   */
  readonly prefetch?: number | undefined;
  /** Ask for a RECEIPT, which `ready` waits for. True unless given. */
  readonly confirm?: boolean | undefined;
}

export interface HandleOptions extends SubscribeOptions {
  /** How many messages are handled at a time; 1 unless given, which keeps them in order. More is not for `client` mode. */
  readonly concurrency?: number | undefined;
  /** False: the handler calls ack() and nack() itself. True unless given. */
  readonly autoSettle?: boolean | undefined;
}

export interface UnsubscribeOptions extends WaitOptions {
  /** Ask for a RECEIPT and wait for it. True unless given. */
  readonly confirm?: boolean | undefined;
  /** More headers for UNSUBSCRIBE, such as RabbitMQ's `durable`. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

const NO_OPTIONS: WaitOptions = {};

export type Handler<T = unknown> = (message: Message<T>) => unknown;

/** What a subscription needs of its connection. */
export interface SubscriptionOwner {
  readonly gauge: Gauge;
  readonly clock: Clock;
  /** Writes UNSUBSCRIBE; resolves as `options.confirm` says. */
  unsubscribe(id: string, options: UnsubscribeOptions): Promise<void>;
  /** Hears what a handler threw, and what became of settling its message. */
  failed(error: unknown, message: Message): void;
  /** A handler has returned and nothing waits for the next one. */
  idle(): void;
}

export class Subscription<T = unknown> implements AsyncIterable<Message<T>> {
  readonly id: string;
  readonly destination: string;
  readonly ack: AckMode;
  readonly #owner: SubscriptionOwner;
  readonly #inbox: Inbox<Message<T>>;
  readonly #handler: Handler<T> | undefined;
  readonly #concurrency: number;
  readonly #autoSettle: boolean;
  #running = 0;
  #awake = false;
  #streamed: Message<T> | undefined; // the reader has it; its stream, if not taken, is dropped when the reader goes on
  #unsubscribed: Promise<void> | undefined;
  #watcher: (() => void) | undefined;
  #answer: Promise<void> = Promise.resolve();
  #isConfirmed = false;
  #confirm: () => void = () => {};
  #refuse: (error: unknown) => void = () => {};

  /**
   * Resolves when the broker has confirmed the subscription, by RECEIPT or by a first message (F-11, R-09); without `confirm`
   * when it is written. Rejects with BrokerError, ConnectionLost or TimeoutError; after the last, messages may still come.
   * A rejection that nobody awaits is silent: the end of iteration or `closed` tells the same.
   */
  readonly ready: Promise<void>;

  /** @internal */
  constructor(
    owner: SubscriptionOwner,
    id: string,
    destination: string,
    options: HandleOptions,
    handler: Handler<T> | undefined,
  ) {
    this.#owner = owner;
    this.id = id;
    this.destination = destination;
    this.ack = options.ack ?? 'auto';
    this.#handler = handler;
    this.#concurrency = options.concurrency ?? 1;
    this.#autoSettle = options.autoSettle ?? true;
    checkConcurrency(this.#concurrency, this.ack);
    const what = `a message from ${JSON.stringify(destination)}`;
    this.#inbox = new Inbox(
      what,
      (message) => message.frame.body.length,
      owner,
      (message) => this.#given(message),
    );
    this.ready = new Promise<void>((resolve, reject) => {
      this.#confirm = resolve;
      this.#refuse = reject;
    });
    this.ready.catch(() => {});
  }

  /**
   * The next message. Rejects with TimeoutError, the signal's reason, and after the end with why: BrokerError, ProtocolError
   * or ConnectionLost (`closed` after `unsubscribe()` or `disconnect()`).
   */
  async next(options: WaitOptions = {}): Promise<Message<T>> {
    const message = await this.#next(options);
    if (message === undefined) throw hasEnded(this.destination);
    return message;
  }

  /**
   * Messages until `unsubscribe()` or `disconnect()`; throws when the connection is lost. Leaving the loop unsubscribes.
   * Several loops share the messages.
   */
  [Symbol.asyncIterator](): AsyncIterator<Message<T>, undefined, undefined> {
    return {
      next: () => {
        const message = this.#handler === undefined ? this.take() : undefined;
        return message === undefined ? this.#next(NO_OPTIONS).then(asResult) : Promise.resolve(asResult(message));
      },
      return: () => {
        this.unsubscribe({ confirm: false }).catch(() => {}); // a connection that is gone says so elsewhere
        this.#inbox.end(undefined, true);
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }

  #next(options: WaitOptions): Promise<Message<T> | undefined> {
    if (this.#handler !== undefined) {
      return Promise.reject(new UsageError('bad-option', 'the messages of this subscription go to its handler'));
    }
    this.#streamed?.leave();
    this.#streamed = undefined;
    return this.#inbox.next(options);
  }

  // A body that is streamed cannot wait for a reader that has gone on: what is behind it would wait too.
  #given(message: Message<T>): void {
    if (message.isStreamed) this.#streamed = message;
  }

  /**
   * Ends the subscription. The promise is the same however often it is called; it rejects with
   * BrokerError, TimeoutError or the signal's reason; a lost connection ends it as well. Messages under way
   * are dropped; what waits unsettled here, the broker delivers to somebody else (F-10).
   */
  unsubscribe(options: UnsubscribeOptions = {}): Promise<void> {
    if (this.#unsubscribed === undefined) {
      this.#unsubscribed = this.#owner.unsubscribe(this.id, options).catch((error: unknown) => {
        if (!(error instanceof ConnectionLost)) throw error; // it went with its connection
      });
      this.end(undefined);
    }
    return this.#unsubscribed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.unsubscribe();
  }

  /** @internal */
  get isIdle(): boolean {
    return this.#running === 0 && (this.#handler === undefined || this.#inbox.length === 0);
  }

  /** @internal The next message if one is here: for who watches. */
  take(): Message<T> | undefined {
    this.#streamed?.leave();
    this.#streamed = undefined;
    const message = this.#inbox.take();
    if (message?.isStreamed) this.#streamed = message;
    return message;
  }

  /** @internal No more come; what is here may still be taken. */
  get ended(): boolean {
    return this.#inbox.ended;
  }

  /** @internal `watcher` is called, inside the parser, when there is something to take, and at the end. */
  watch(watcher: () => void): void {
    this.#watcher = watcher;
  }

  /** @internal What SUBSCRIBE was answered: rejects with BrokerError only where the ERROR meant it. */
  get answer(): Promise<void> {
    return this.#answer;
  }

  /** @internal */
  answered(answer: Promise<void>): void {
    this.#answer = answer;
    answer.then(this.#confirm, this.#refuse);
  }

  /** @internal */
  deliver(message: Message<T>): void {
    if (!this.#isConfirmed) {
      this.#isConfirmed = true; // to resolve a promise again and again is slow
      this.#confirm();
    }
    this.#inbox.put(message);
    this.#watcher?.();
    if (this.#handler !== undefined) this.#wake();
  }

  /** @internal No more messages come; `error` is why, unless it was asked for. */
  end(error: Error | undefined): void {
    this.#refuse(error ?? new ConnectionLost('closed', 'the subscription was ended'));
    this.#inbox.end(error, this.ack !== 'auto');
    this.#streamed?.leave();
    this.#watcher?.();
  }

  #wake(): void {
    if (this.#awake) return;
    this.#awake = true;
    queueMicrotask(this.#work);
  }

  readonly #work = (): void => {
    this.#awake = false;
    const handler = this.#handler;
    if (handler === undefined) return;
    while (this.#running < this.#concurrency) {
      const message = this.#inbox.take();
      if (message === undefined) break;
      this.#running++;
      try {
        const result = handler(message);
        if (isPromiseLike(result)) {
          result.then(
            () => this.#returned(message),
            (error: unknown) => this.#threw(message, error),
          );
        } else {
          this.#returned(message);
        }
      } catch (error) {
        this.#threw(message, error);
      }
    }
    if (this.isIdle) this.#owner.idle();
  };

  #returned(message: Message<T>): void {
    this.#settle(message, 'ack');
  }

  #threw(message: Message<T>, error: unknown): void {
    this.#owner.failed(error, message);
    this.#settle(message, 'nack');
  }

  #settle(message: Message<T>, how: 'ack' | 'nack'): void {
    message.leave();
    if (this.#autoSettle && this.#unsubscribed === undefined && message.ackable && !message.settled) {
      message[how]().catch((error: unknown) => {
        if (!(error instanceof ConnectionLost)) this.#owner.failed(error, message); // it is delivered again
      });
    }
    this.#running--;
    this.#wake();
  }
}

/** Throws UsageError where so many messages may not be handled at a time. */
export function checkConcurrency(concurrency: number, ack: AckMode | undefined): void {
  if (!(concurrency >= 1)) throw new UsageError('bad-option', 'concurrency must be a number from 1 up');
  if (concurrency > 1 && ack === 'client') {
    throw new UsageError('bad-option', 'an ACK in client mode covers earlier messages; handle one at a time (A-02)');
  }
}

/** For a reader who asks for more than there is. */
export function hasEnded(destination: string): ConnectionLost {
  return new ConnectionLost('closed', `the subscription to ${JSON.stringify(destination)} has ended`, {
    outcome: 'unsent',
  });
}

/** The SUBSCRIBE that asks for it. */
export function subscribeFrame(
  { id, destination, ack }: Subscription,
  { prefetch, headers }: SubscribeOptions,
  receipt: string | undefined,
): Frame<'SUBSCRIBE'> {
  return frame('SUBSCRIBE', {
    destination,
    id,
    ack,
    ...(receipt === undefined ? {} : { receipt }),
    ...(prefetch === undefined ? {} : { 'prefetch-count': prefetch, 'activemq.prefetchSize': prefetch }),
    ...headers,
  });
}

function asResult<T>(message: Message<T> | undefined): IteratorResult<Message<T>, undefined> {
  return message === undefined ? { done: true, value: undefined } : { done: false, value: message };
}

function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
