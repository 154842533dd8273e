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

/** What a producer hands over. */
export interface Send {
  readonly destination: Destination;
  readonly content: Content;
}

/** A message on its way to one subscription; the engine knows it again when it is settled. */
export interface Delivery {
  /** The engine's name for the message; the same on every delivery. */
  readonly id: number;
  readonly destination: string;
  readonly content: Content;
  /** How often it was delivered before. */
  readonly redeliveries: number;
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
  /** Called, only as often as was asked for, from inside engine calls: keep it short and do not throw. */
  deliver(delivery: Delivery): void;
  /** The engine has ended the subscription; nothing more is delivered. */
  ended(error: EngineError): void;
}

/** The consumer's end of a subscription. */
export interface Feed {
  /** Allows `n` more deliveries; they may come before this returns. */
  request(n: number): void;
  /** Ends it: nothing more is delivered. What was delivered waits for its settlement: `return` it. May be called twice. */
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

export interface Inspection {
  queues(): readonly QueueView[];
  /** Bytes of message contents held. */
  readonly bytes: number;
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
  | 'too-many-queues'
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
