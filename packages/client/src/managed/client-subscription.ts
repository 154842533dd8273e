// One subscription of a client: an intent, which outlives connections. On each connection
// it is a wire: a Subscription of that connection, or a share in one.
//
//   wire (connection 1) ─┐
//   wire (connection 2) ─┴─ pull ─┬─ for await / next()
//                                 └─ handler, `concurrency` at a time ─ settle, try again, dead letters
//
// Nothing is held here: a message stays with its wire until somebody wants it, so that
// slow readers are felt by the connection, the socket and the broker.

import type { AckMode } from '@stompbox/protocol';
import type { Clock } from '../clock.ts';
import { Gauge, Inbox, type WaitOptions } from '../connection/inbox.ts';
import type { Message } from '../connection/message.ts';
import { checkConcurrency, hasEnded } from '../connection/subscription.ts';
import { ConnectionLost, sayError, UsageError } from '../errors.ts';
import type { Status } from './status.ts';

/** `nack` settles with NACK, `requeue` with NACK in the broker's words for "again"; anything else a handler answers, with ACK. */
export type Verdict = 'ack' | 'nack' | 'requeue';
export type ClientHandler<T = unknown> = (message: Message<T>) => unknown;

/** How a failed handler is tried again with the same message, which stays unsettled meanwhile. */
export interface RetryOptions {
  /** Times in all, the first one counted. */
  readonly attempts: number;
  /** Before the second; doubled each time. Milliseconds, 100 unless given. */
  readonly initialMs?: number | undefined;
  /** At most; 30,000 unless given. */
  readonly maxMs?: number | undefined;
}

export interface ReadOptions {
  /** `client-individual` for a handler (P-06), `auto` for a loop, unless given. */
  readonly ack?: AckMode | undefined;
  /** How many messages are handled at a time; 1 unless given, which keeps them in order. More is not for `client` mode. */
  readonly concurrency?: number | undefined;
  /** False: the handler calls ack() and nack() itself. */
  readonly autoSettle?: boolean | undefined;
  readonly retry?: RetryOptions | undefined;
  /** Where a message goes when its handler has failed for the last time: a copy is sent there and confirmed, then it is acknowledged. */
  readonly deadLetter?: string | undefined;
  /**
   * What becomes of a message whose handler has failed for the last time, without `deadLetter`: `nack` unless given, `ack`,
   * or `stop`, which nacks it and ends the subscription.
   */
  readonly onFailure?: 'nack' | 'ack' | 'stop' | undefined;
}

/** Where messages come from, on one connection. */
export interface Wire {
  readonly ack: AckMode;
  take(): Message | undefined;
  readonly ended: boolean;
  watch(watcher: () => void): void;
}

/** What a subscription needs of its client. */
export interface ReaderOwner {
  readonly clock: Clock;
  failed(error: unknown, message?: Message): void;
  tell(status: Status): void;
  /** Sends and waits for the broker to have it. */
  deadLetter(destination: string, message: Message, error: unknown, attempts: number): Promise<void>;
  /** Leaves the broker; `forget` deletes a durable subscription. */
  leave(subscription: ClientSubscription, options: LeaveOptions): Promise<void>;
}

export interface LeaveOptions extends WaitOptions {
  /** Delete the durable subscription at the broker; otherwise it stays there and collects. */
  readonly forget?: boolean | undefined;
}

export class ClientSubscription<T = unknown> implements AsyncIterable<Message<T>>, AsyncDisposable {
  readonly id: string;
  readonly destination: string;
  readonly #owner: ReaderOwner;
  readonly #options: ReadOptions;
  readonly #handler: ClientHandler<T> | undefined;
  readonly #concurrency: number;
  /** Oldest first; only the last one still gets messages. */
  #wires: Wire[] = [];
  /** Readers that wait; it never holds a message. */
  readonly #readers: Inbox<Message<T>>;
  readonly #running = new Set<Message<T>>();
  #handOvers: { readonly left: Set<Message<T>>; readonly resolve: () => void }[] = [];
  #awake = false;
  #paused = false;
  #stopping = false; // gives nothing more; what was given is being settled
  #given: Message<T> | undefined; // to a loop, whose body may be at work on it
  #end: { readonly error: Error | undefined } | undefined;
  #left: Promise<void> | undefined;
  #quiet: (() => void)[] = [];
  #confirm: () => void = () => {};
  #refuse: (error: unknown) => void = () => {};

  /**
   * Resolves when a broker has confirmed the subscription for the first time. Rejects when it is refused for the first time
   * (SubscriptionRefused; it is tried again all the same), and when it or the client ends before. A rejection nobody awaits
   * is silent: `onError` hears of refusals too.
   */
  readonly ready: Promise<void>;

  /** @internal */
  constructor(
    owner: ReaderOwner,
    id: string,
    destination: string,
    options: ReadOptions,
    handler: ClientHandler<T> | undefined,
  ) {
    this.#owner = owner;
    this.id = id;
    this.destination = destination;
    this.#options = options;
    this.#handler = handler;
    this.#concurrency = options.concurrency ?? 1;
    checkConcurrency(this.#concurrency, options.ack);
    if (options.retry !== undefined && !(options.retry.attempts >= 1)) {
      throw new UsageError('bad-option', 'retry.attempts must be a number from 1 up');
    }
    const unbounded = new Gauge(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, () => {});
    this.#readers = new Inbox(`a message from ${JSON.stringify(destination)}`, () => 0, {
      gauge: unbounded,
      clock: owner.clock,
    });
    this.ready = new Promise<void>((resolve, reject) => {
      this.#confirm = resolve;
      this.#refuse = reject;
    });
    this.ready.catch(() => {});
  }

  // ------------------------------------------------------------------------------------------------------------ reading

  /**
   * The next message, over as many reconnects as it takes. Rejects with TimeoutError, the signal's reason, and after the end
   * with why: ConnectionLost `closed` after `unsubscribe()` or `close()`, otherwise what ended the client.
   */
  async next(options: WaitOptions = {}): Promise<Message<T>> {
    const message = await this.#next(options);
    if (message === undefined) throw hasEnded(this.destination);
    return message;
  }

  /** The next message if one is here; undefined otherwise. */
  tryNext(): Message<T> | undefined {
    this.#noHandler();
    return this.#pull();
  }

  /**
   * Messages until `unsubscribe()`, `drain()` or the client's `close()`; throws when the client has given up. A lost connection
   * is only a pause. Leaving the loop unsubscribes. Several loops share the messages.
   */
  [Symbol.asyncIterator](): AsyncIterator<Message<T>, undefined, undefined> {
    return {
      next: () =>
        this.#next({}).then((value) => (value === undefined ? { done: true, value } : { done: false, value })),
      return: () => {
        this.unsubscribe().catch((error: unknown) => this.#owner.failed(error));
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }

  #noHandler(): void {
    if (this.#handler === undefined) return;
    throw new UsageError('bad-option', 'the messages of this subscription go to its handler');
  }

  #next(options: WaitOptions): Promise<Message<T> | undefined> {
    try {
      this.#noHandler();
      options.signal?.throwIfAborted();
    } catch (error) {
      return Promise.reject(error);
    }
    this.#given = undefined;
    if (this.#stopping) this.#hush();
    const message = this.#pull();
    if (message !== undefined) return Promise.resolve(message);
    return this.#readers.next(options);
  }

  /** The next message that may be given now. */
  #pull(): Message<T> | undefined {
    if (this.#paused || this.#stopping) return undefined;
    for (;;) {
      const wire = this.#wires[0];
      if (wire === undefined) return undefined;
      const message = wire.take();
      if (message !== undefined) {
        message.forgiveStale(this.#stale);
        this.#given = message as Message<T>;
        return this.#given;
      }
      if (!wire.ended) return undefined;
      this.#wires.shift();
    }
  }

  // Called inside the parser, so user code runs a microtask later.
  readonly #arrived = (): void => {
    if (this.#handler !== undefined) {
      if (this.#awake) return;
      this.#awake = true;
      queueMicrotask(this.#work);
      return;
    }
    while (this.#readers.hasReaders) {
      const message = this.#pull();
      if (message === undefined) return;
      this.#readers.put(message);
    }
  };

  // ----------------------------------------------------------------------------------------------------------- handling

  readonly #work = (): void => {
    this.#awake = false;
    while (this.#running.size < this.#concurrency) {
      const message = this.#pull();
      if (message === undefined) break;
      this.#running.add(message);
      this.#handle(message, 1);
    }
    if (this.#running.size === 0) this.#hush();
  };

  #handle(message: Message<T>, attempt: number): void {
    try {
      const verdict = this.#handler?.(message);
      if (isPromiseLike(verdict)) {
        verdict.then(
          (settled) => this.#returned(message, settled),
          (error: unknown) => this.#threw(message, error, attempt),
        );
      } else {
        this.#returned(message, verdict);
      }
    } catch (error) {
      this.#threw(message, error, attempt);
    }
  }

  #returned(message: Message<T>, verdict: unknown): void {
    if (verdict === 'nack') this.#settle(message, 'nack');
    else if (verdict === 'requeue') this.#settle(message, 'requeue');
    else this.#settle(message, 'ack');
  }

  #threw(message: Message<T>, error: unknown, attempt: number): void {
    const { retry, deadLetter, onFailure = 'nack' } = this.#options;
    this.#owner.failed(error, message);
    if (retry !== undefined && attempt < retry.attempts && !this.#stopping && this.#end === undefined) {
      const { initialMs = 100, maxMs = 30_000 } = retry;
      const delay = Math.min(maxMs, initialMs * 2 ** (attempt - 1));
      this.#owner.clock.schedule(delay, () => this.#handle(message, attempt + 1), true);
      return;
    }
    if (deadLetter !== undefined) {
      this.#owner.deadLetter(deadLetter, message, error, attempt).then(
        () => this.#settle(message, 'ack'),
        (worse: unknown) => {
          this.#owner.failed(worse, message);
          this.#settle(message, 'nack');
        },
      );
      return;
    }
    this.#settle(message, onFailure === 'ack' ? 'ack' : 'nack');
    if (onFailure === 'stop') {
      this.unsubscribe().catch((worse: unknown) => this.#owner.failed(worse));
      this.end(error instanceof Error ? error : new Error(sayError(error)));
    }
  }

  #settle(message: Message<T>, how: Verdict): void {
    message.leave();
    const settles = this.#left === undefined && (this.#options.autoSettle ?? true);
    if (settles && message.ackable && !message.settled) {
      const answer = how === 'ack' ? message.ack() : message.nack(how === 'nack' ? {} : { requeue: true });
      answer.catch((error: unknown) => {
        if (how === 'requeue' && !(error instanceof ConnectionLost)) this.#settleAnyway(message, error);
        else this.#unsettled(message, error);
      });
    }
    this.#running.delete(message);
    for (const { left, resolve } of this.#handOvers) if (left.delete(message) && left.size === 0) resolve();
    this.#handOvers = this.#handOvers.filter(({ left }) => left.size > 0);
    this.#arrived();
  }

  // This broker cannot be asked to deliver it again; a NACK is the nearest.
  #settleAnyway(message: Message<T>, error: unknown): void {
    this.#owner.failed(error, message);
    message.nack().catch((worse: unknown) => this.#unsettled(message, worse));
  }

  // It is delivered again.
  readonly #stale = (message: Message): void => {
    this.#owner.tell({ type: 'stale-settle', destination: this.destination, messageId: message.id });
  };

  #unsettled(message: Message<T>, error: unknown): void {
    if (error instanceof ConnectionLost) this.#stale(message);
    else this.#owner.failed(error, message);
  }

  // ----------------------------------------------------------------------------------------------------- pause and leave

  /** Gives nothing more until `resume()`. What comes waits, and slows the connection and the broker when it is too much. */
  pause(): void {
    this.#paused = true;
  }
  resume(): void {
    this.#paused = false;
    this.#arrived();
  }
  get paused(): boolean {
    return this.#paused;
  }
  /** It gives no more messages. */
  get ended(): boolean {
    return this.#end !== undefined;
  }

  /**
   * Ends it at once: handlers that run go on, but what they settle is too late (F-10); `drain()` waits for them. Resolves on
   * the broker's RECEIPT. The promise is the same however often it is called.
   */
  unsubscribe(options: LeaveOptions = {}): Promise<void> {
    this.#left ??= this.#owner.leave(this, options);
    this.end(undefined);
    return this.#left;
  }

  /**
   * Ends it in order: no new message is given, what was given is finished and settled, then UNSUBSCRIBE. In `auto` mode, where
   * the broker forgets what it has written, all that came is given first. After `timeoutMs` (15,000 unless given) it ends as
   * `unsubscribe()` does.
   */
  async drain(options: LeaveOptions = {}): Promise<void> {
    const { timeoutMs = 15_000, signal } = options;
    if (this.#end !== undefined) return await this.#left;
    const late = new Promise<void>((resolve) => {
      const stop = timeoutMs > 0 ? this.#owner.clock.schedule(timeoutMs, resolve) : undefined;
      signal?.addEventListener('abort', () => resolve(), { once: true });
      this.#quiet.push(() => {
        stop?.();
        resolve();
      });
    });
    if (this.#isAuto()) {
      this.#left ??= this.#owner.leave(this, options);
      this.#left.catch(() => {}); // whoever unsubscribes hears of it
      await this.#left;
      this.#arrived();
      if (this.#handler === undefined) this.#hush();
    } else {
      this.#stopping = true;
      const isDone = this.#given === undefined || this.#given.settled || this.#readers.hasReaders;
      if (this.#handler === undefined ? isDone : this.#running.size === 0) this.#hush();
    }
    await late;
    await this.unsubscribe(options);
  }

  #isAuto(): boolean {
    return this.#wires.every(({ ack }) => ack === 'auto');
  }

  #hush(): void {
    for (const tell of this.#quiet.splice(0)) tell();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.unsubscribe();
  }

  // --------------------------------------------------------------------------------------------------- for its client

  /** @internal Another connection takes over: resolves when what was given from earlier ones is settled. */
  handOver(): Promise<void> {
    const last = this.#wires.at(-1);
    this.#wires = this.#wires.filter((wire) => wire === last || wire.ack === 'auto'); // what waits there comes again
    const left = new Set(this.#running);
    if (left.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#handOvers.push({ left, resolve }));
  }

  /** @internal Messages come from here from now on, and from earlier wires what they still have. */
  attach(wire: Wire): void {
    this.#wires.push(wire);
    wire.watch(this.#arrived);
    this.#arrived();
  }

  /** @internal */
  confirmed(): void {
    this.#confirm();
  }
  /** @internal */
  refused(error: Error): void {
    this.#refuse(error);
  }

  /** @internal No more messages come; `error` is why, unless it was asked for. */
  end(error: Error | undefined): void {
    if (this.#end !== undefined) return;
    this.#end = { error };
    this.#refuse(error ?? new ConnectionLost('closed', 'the subscription was ended', { outcome: 'unsent' }));
    this.#readers.end(error, false);
    this.#hush();
  }
}

function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
