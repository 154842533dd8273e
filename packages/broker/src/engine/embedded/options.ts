// What the embedded engine is made with: limits, policies, whoever listens, and a clock that is passed in.

import type { EngineObserver } from './books.ts';
import type { DuplicateWindow } from './duplicates.ts';

export interface Clock {
  /** Calls `run` after `ms`; the answer cancels. */
  schedule(ms: number, run: () => void): () => void;
  /** Milliseconds since 1970. */
  time(): number;
}

export interface EmbeddedEngineOptions extends DuplicateWindow, Clock {
  /** Messages in one queue, unsettled ones included. */
  readonly maxQueueMessages: number;
  /** Bytes in one queue, unsettled ones included. */
  readonly maxQueueBytes: number;
  /** Bytes in memory: queues and backlogs, and of queues on disk their windows and what is unsettled. */
  readonly maxMemoryBytes: number;
  readonly maxQueues: number;
  /** Bytes of all messages in the store. */
  readonly maxStoreBytes: number;
  /** Deliveries of one message before it is a dead letter. */
  readonly maxDeliveries: number;
  /** How long a nacked message waits for its next try; twice as long each time. Milliseconds. */
  readonly redeliveryDelayMs: number;
  readonly maxRedeliveryDelayMs: number;
  /** Bytes in one queue or topic backlog above which its producers wait. */
  readonly producersWaitAboveBytes: number;
  /** How long producers wait for a topic subscriber that does not keep up; then it is given up. Milliseconds. */
  readonly slowConsumerGraceMs: number;
  /** Bytes of one queue that are held in memory where a store has them too. */
  readonly windowBytes: number;
  /** What becomes of a message for which its queue has no room. `refuse` unless given. */
  readonly whenFull?: WhenFull;
  /** Stands before a queue's name in the name of its dead letter queue; not empty. `dlq.` unless given. */
  readonly deadLetterPrefix?: string;
  readonly observer?: EngineObserver;
}

export const WHEN_FULL = ['refuse', 'wait', 'drop-oldest'] as const;
/**
 * When a queue is at its limit: the producer gets an ERROR; or the message is taken and its producer is not read until there
 * is room; or the messages that are next in line are given up, as far as nobody has them. Memory and store always refuse.
 */
export type WhenFull = (typeof WHEN_FULL)[number];
