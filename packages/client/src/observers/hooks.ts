// What the application hung on a connection, or on all connections of a client: observers,
// interceptors and `onError`. User code runs here and may throw; what it throws is always
// heard of, and never by the connection.

import type { Command, Frame } from '@stompbox/protocol';
import type { Message } from '../connection/message.ts';
import { type Interceptor, Interceptors } from './interceptors.ts';
import { EVENTS, type EventName, type Events, type FrameEvent, type Observer, redacted } from './observer.ts';

/** Hears what user code threw, with the message where there is one. */
export type OnError = (error: unknown, message?: Message) => void;

/** Give the same one to several connections (option `hooks`), and all of them are watched and intercepted together. */
export class Hooks {
  readonly #observers = new Map<string, Observer>();
  readonly #interceptors: Interceptors = new Interceptors((error) => this.failed(error));
  readonly #onError: OnError | undefined;
  #watching: { readonly [Event in EventName]?: readonly Observer[] } = {}; // by event; absent where nobody watches

  constructor({
    observer,
    onError,
  }: { readonly observer?: Observer | undefined; readonly onError?: OnError | undefined } = {}) {
    this.#onError = onError;
    if (observer !== undefined) this.observe('observer', observer);
  }

  /**
   * Hangs up an observer from now on. They are told in the order of their names' first coming; the same name replaces.
   * Answers how to remove it, which may be called twice, and after it was replaced.
   */
  observe(name: string, observer: Observer): () => void {
    this.#observers.set(name, observer);
    this.#sort();
    return () => {
      if (this.#observers.get(name) !== observer) return;
      this.#observers.delete(name);
      this.#sort();
    };
  }

  /** Puts an interceptor behind those that are there; the same name replaces, at its place. Answers how to remove it. */
  use(name: string, interceptor: Interceptor): () => void {
    return this.#interceptors.use(name, interceptor);
  }

  /** Whether anybody watches that. */
  sees(event: EventName): boolean {
    return this.#watching[event] !== undefined;
  }

  tell<Event extends EventName>(event: Event, ...told: Events[Event]): void {
    for (const observer of this.#watching[event] ?? []) {
      try {
        observer[event]?.(...told);
      } catch (error) {
        this.failed(error);
      }
    }
  }

  /** Tells of a frame, its secrets masked. */
  show(event: FrameEvent, frame: Frame): void {
    if (this.sees(event)) this.tell(event, redacted(frame));
  }

  /** The frame as it is to be written. Throws what an interceptor threw. `streamed`: its body is not in it. */
  leaving<C extends Command>(frame: Frame<C>, streamed = false): Frame<C> {
    const written = this.#interceptors.outgoing(frame, streamed);
    this.show('frameSending', written);
    return written;
  }

  /** Whether anybody sees frames that leave, and may keep them. */
  get seesLeaving(): boolean {
    return this.#interceptors.hasOutgoing || this.sees('frameSending') || this.sees('frameSent');
  }

  get rewritesIncoming(): boolean {
    return this.#interceptors.hasIncoming;
  }

  /** The frame as it is to be delivered. */
  entering(frame: Frame, streamed: boolean): Frame {
    return this.#interceptors.incoming(frame, streamed);
  }

  /** User code threw. Without `onError` it becomes an unhandled rejection. */
  failed(error: unknown, message?: Message): void {
    if (this.#onError === undefined) void Promise.reject(error);
    else {
      try {
        this.#onError(error, message);
      } catch (worse) {
        void Promise.reject(worse);
      }
    }
  }

  #sort(): void {
    const observers = [...this.#observers.values()];
    this.#watching = Object.fromEntries(
      EVENTS.map((event) => [event, observers.filter((observer) => observer[event] !== undefined)] as const).filter(
        ([, watching]) => watching.length > 0,
      ),
    );
  }
}
