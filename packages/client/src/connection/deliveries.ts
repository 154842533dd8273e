// MESSAGEs, and the pieces of their bodies, to whom they belong.
//
//   MESSAGE ─┬─ of subscribe(), adopt() here ─► its Subscription
//            ├─ of a SUBSCRIBE sent raw ──────► raw inbox
//            ├─ of nobody (S-13) ─────────────► onUnhandled, or the raw inbox if it is read, or given back
//            └─ under way to one who left ────► onUnhandled, or dropped (F-10)

import type { ClientEvent, Frame, ProtocolError } from '@stompbox/protocol';
import type { Hooks } from '../observers/hooks.ts';
import type { Gauge } from './inbox.ts';
import { Message, type Settler } from './message.ts';
import type { OnUnhandled } from './options.ts';
import type { RawInbox } from './raw-inbox.ts';
import { StreamedBody } from './streamed-body.ts';
import type { Subscription } from './subscription.ts';

/** What deliveries need of the connection they come on. */
export interface Recipients {
  readonly gauge: Gauge;
  readonly raw: RawInbox;
  readonly hooks: Hooks;
  readonly settler: Settler;
  readonly onUnhandled: OnUnhandled | undefined;
  /** NACKs a delivery that nobody here asked for. */
  giveBack(frame: Frame): void;
}

/** Ids of ended subscriptions that are remembered, so that what was under way is not taken for a stranger's. */
const MAX_FORMER = 1000;

export class Deliveries {
  readonly #to: Recipients;
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #former = new Set<string>();
  #incoming: StreamedBody | undefined; // where the pieces of the body being received go
  #dropping = false;

  constructor(to: Recipients) {
    this.#to = to;
  }

  has(id: string): boolean {
    return this.#subscriptions.has(id);
  }
  get(id: string): Subscription | undefined {
    return this.#subscriptions.get(id);
  }
  /** Those that have not been unsubscribed. */
  get subscriptions(): Iterable<Subscription> {
    return this.#subscriptions.values();
  }

  add(subscription: Subscription): void {
    this.#subscriptions.set(subscription.id, subscription);
  }

  /** It is unsubscribed: what is under way to it is dropped. Undefined where there is no such one. */
  remove(id: string): Subscription | undefined {
    const subscription = this.#subscriptions.get(id);
    if (subscription === undefined) return undefined;
    this.#subscriptions.delete(id);
    this.#former.add(id);
    if (this.#former.size > MAX_FORMER) this.#former.delete(this.#former.values().next().value ?? '');
    return subscription;
  }

  /** From now on messages are dropped as they come. */
  drop(): void {
    this.#dropping = true;
  }

  message(event: Extract<ClientEvent, { type: 'message' }>): void {
    const { frame, subscription, streaming } = event;
    const ours = this.#subscriptions.get(subscription?.id ?? frame.headers.get('subscription') ?? '');
    if (this.#dropping) {
      this.#ignore(streaming);
    } else if (ours !== undefined) {
      ours.deliver(new Message(frame, this.#to.settler, event.owed, this.#body(streaming)));
    } else if (subscription !== undefined) {
      this.#to.raw.put(frame, streaming);
    } else {
      this.#unhandled(frame, streaming);
    }
  }

  /** Answers the error where a body for `receive()` grows too large. */
  piece(bytes: Uint8Array, last: boolean): ProtocolError | undefined {
    this.#incoming?.push(bytes, last);
    if (last) this.#incoming = undefined;
    return this.#to.raw.piece(bytes, last);
  }

  /** The connection is over; `unfinished` is for who reads the body that was coming, `error` for those who wait for messages. */
  end(unfinished: Error, error: Error | undefined): void {
    this.#incoming?.fail(unfinished);
    for (const subscription of this.#subscriptions.values()) subscription.end(error);
    this.#to.raw.end(error);
  }

  // S-13, S-14, F-09
  #unhandled(frame: Frame, streaming: boolean): void {
    const { onUnhandled, raw, hooks, settler } = this.#to;
    const former = this.#former.has(frame.headers.get('subscription') ?? '');
    if (onUnhandled !== undefined) {
      const message = new Message(frame, settler, undefined, this.#body(streaming));
      queueMicrotask(() => {
        try {
          onUnhandled(message);
        } catch (error) {
          hooks.failed(error, message);
        }
        message.leave();
      });
    } else if (raw.isRead && !former) {
      raw.put(frame, streaming);
    } else {
      this.#ignore(streaming);
      if (!former) this.#to.giveBack(frame);
    }
  }

  // The pieces that follow are the reader's.
  #body(streaming: boolean): StreamedBody | undefined {
    this.#incoming = streaming ? new StreamedBody(this.#to.gauge) : undefined;
    return this.#incoming;
  }

  #ignore(streaming: boolean): void {
    this.#body(streaming)?.discard();
  }
}
