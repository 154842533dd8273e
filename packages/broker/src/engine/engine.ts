// Where messages live: the port that the peer talks to, in the peer's words, so that
// a second engine needs no change above it.
//
// A SEND is one `send`, an ACK one `settlement`, a COMMIT all that its transaction
// gathered, with `atomic` set. Nothing leaves an engine by being delivered; it leaves
// when it is settled.

import type { Content } from '@stompbox/protocol';

/** A destination after the router has read it. */
export interface Destination {
  readonly kind: 'queue' | 'topic';
  /** Without the prefix; unique within its kind. */
  readonly name: string;
  /** As consumers see it in `destination` (S-04). */
  readonly text: string;
}

/** What a producer wants for a message besides its content. Times are in milliseconds since 1970. */
export interface Attributes {
  /** 0 to 9; a higher one is delivered first. */
  readonly priority: number;
  /** 0: never. */
  readonly expiresAt: number;
  /** Not to be delivered before; 0: now. */
  readonly dueAt: number;
  /** False: it may be lost with the process, and nobody waits for the disk. */
  readonly persistent: boolean;
  /** All messages of a group go to one consumer, as long as it is there. */
  readonly group: string | undefined;
  /** The producer's name for the message: a second one within the window is confirmed and dropped. */
  readonly duplicateId: string | undefined;
}

export const PLAIN: Attributes = {
  priority: 4,
  expiresAt: 0,
  dueAt: 0,
  persistent: true,
  group: undefined,
  duplicateId: undefined,
};

/** What a producer hands over. */
export interface Send {
  readonly destination: Destination;
  readonly content: Content;
  /** `PLAIN` unless given. */
  readonly attributes?: Attributes | undefined;
}

/** A message on its way to one subscription; the engine knows it again when it is settled. */
export interface Delivery {
  /** The engine's name for the message; the same on every delivery. */
  readonly id: number;
  readonly destination: string;
  readonly content: Content;
  /** How often it was delivered before, as far as anybody counted. */
  readonly redeliveries: number;
  /** It was, or may have been, delivered before. */
  readonly redelivered: boolean;
}

/**
 * What becomes of a delivery; settling one twice changes nothing.
 *
 *   ack      it is done with, and leaves
 *   nack     back to its place for another try, with somebody else if possible; to the dead letters after too many
 *   return   back to its place through no fault of its own: its consumer has left. Counts as a delivery, and never kills
 *   reject   to the dead letters at once
 */
export interface Settlement {
  readonly delivery: Delivery;
  readonly outcome: 'ack' | 'nack' | 'return' | 'reject';
}

/** Sends and settlements that belong together: those of one chunk of input, or of one transaction. */
export interface Work {
  readonly sends: readonly Send[];
  readonly settlements: readonly Settlement[];
  /** All or nothing (T-03, T-06). Otherwise settlements stand, and sends in order up to the first that is refused. */
  readonly atomic: boolean;
}

export interface SubscriptionRequest {
  /** For a topic, `name` may be a pattern. */
  readonly destination: Destination;
  /** False: a delivery is settled by being delivered (`ack:auto`). */
  readonly acknowledged: boolean;
  /** Whether it wants a message; everything unless given. */
  readonly selects?: ((content: Content) => boolean) | undefined;
  /** The text of `selects`: a durable subscription goes on selecting while nobody is there. */
  readonly selector?: string | undefined;
  /** A queue: nobody else gets anything while this one is there. */
  readonly exclusive?: boolean | undefined;
  /** A queue: what waits now is delivered without leaving, then a message with `browser:end`. */
  readonly browse?: boolean | undefined;
  /** A topic: the name under which messages are kept while nobody is there (client id and subscription name). */
  readonly durable?: string | undefined;
  /** Called, only as often as was asked for, from inside engine calls: keep it short and do not throw. */
  deliver(delivery: Delivery): void;
  /** The engine has ended the subscription; nothing more is delivered. */
  ended(error: EngineError): void;
}

/** The consumer's end of a subscription. */
export interface Feed {
  /** Allows `n` more deliveries; they may come before this returns. */
  request(n: number): void;
  /**
   * Ends it: nothing more is delivered. What was delivered waits for its settlement: `return` it, and at once: then whoever
   * has the next turn gets it before what comes behind. May be called twice.
   */
  close(): void;
}

/** What users may rely on; the documentation prints it. */
export interface Guarantees {
  /** A resolved `commit` survives: the process's end, a power cut, or neither. */
  readonly durable: 'no' | 'restart' | 'power-cut';
  readonly atomic: boolean;
  readonly ordered: boolean;
  readonly scheduled: boolean;
}

export interface QueueView {
  /** As in `Destination`; that of a temporary queue begins with NUL. */
  readonly name: string;
  /** Waiting and not delivered. */
  readonly waiting: number;
  /** Delivered and not settled. */
  readonly unsettled: number;
  /** Of both. */
  readonly bytes: number;
  readonly consumers: number;
}

/** A durable topic subscription. */
export interface DurableView {
  readonly name: string;
  readonly pattern: string;
  readonly waiting: number;
  readonly connected: boolean;
}

/** A message as it waits. */
export interface MessageView {
  readonly id: number;
  readonly destination: string;
  readonly content: Content;
  readonly redeliveries: number;
  readonly priority: number;
  readonly sentAt: number;
  readonly expiresAt: number;
}

export interface Inspection {
  queues(): readonly QueueView[];
  /** Bytes of message contents held. */
  readonly bytes: number;
  durables(): readonly DurableView[];
  /** Messages that wait to be due. */
  readonly scheduled: number;
  /** Those that wait in a queue, in delivery order; reading changes nothing. */
  browse(queue: string, options?: { readonly limit?: number | undefined }): readonly MessageView[];
  /** Drops what waits in a queue; answers how many. */
  purge(queue: string): Promise<number>;
  /**
   * Moves messages to another queue, or with `to` undefined dead letters back to where they came from, in order; all that
   * wait in memory, or those with the given ids. Answers how many.
   */
  move(
    queue: string,
    to: string | undefined,
    options?: { readonly ids?: readonly number[] | undefined },
  ): Promise<number>;
  /** Ends a durable subscription and drops what waits for it; false where there is none. */
  forgetDurable(name: string): Promise<boolean>;
}

export interface Engine {
  /**
   * Resolves when the guarantee holds, or, for a producer that must be slowed down, later. Work is taken in the order of
   * the calls; what it returns goes out again in its old order, after all settlements are in. Rejects with EngineError;
   * `at` says which send was refused.
   */
  commit(work: Work): Promise<void>;
  /** Resolves when messages sent from now on will reach the subscription. Nothing is delivered before `request`. */
  open(subscription: SubscriptionRequest): Promise<Feed>;
  /** Drops a queue and what is in it: the connection that owned it is gone (temporary queues). */
  discard(queue: string): Promise<void>;
  readonly inspect: Inspection;
  readonly guarantees: Guarantees;
  close(): Promise<void>;
}

export type EngineErrorCode =
  | 'queue-full' // the queue is at its limit and nobody drains it
  | 'memory-full' // all queues together are at the limit
  | 'store-full' // the disk is at the limit
  | 'too-many-queues'
  | 'in-use' // the durable subscription has its subscriber
  | 'slow-consumer' // a topic subscriber let too much pile up
  | 'store-failed' // the store could not keep it
  | 'engine-closed';

/** The engine would not or could not. */
export class EngineError extends Error {
  override readonly name = 'EngineError';
  readonly code: EngineErrorCode;
  /**
   * The index in `work.sends` of the refused one; what came before it was kept, unless the work was atomic.
   * Undefined: no single one is at fault, and nothing of the work was kept.
   */
  readonly at: number | undefined;
  constructor(code: EngineErrorCode, message: string, at?: number, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
    this.at = at;
  }
}
