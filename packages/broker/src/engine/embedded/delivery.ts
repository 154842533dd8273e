// One message as the embedded engine keeps it, and as it is delivered. Most messages
// are one object from SEND to ACK.

import type { Content } from '@stompbox/protocol';
import { type Attributes, type Delivery, PLAIN, type Settlement } from '../engine.ts';

/** What settles deliveries: the queue they came from, or the topic subscription. */
export interface Origin {
  settle(kept: Kept, outcome: Settlement['outcome']): void;
  /** All settlements of one piece of work are in: what came back goes out again, in order. */
  settled(): void;
}

/** Of what need not be settled. */
export const NOBODY: Origin = { settle() {}, settled() {} };

/** Bookkeeping of a kept message besides its content, in bytes: an estimate, so that limits mean memory. */
export const OVERHEAD = 200;

/** What a message of that content counts for in every limit. */
export function weightOf(content: Content): number {
  return content.bytes.length + OVERHEAD;
}

export class Kept implements Delivery {
  readonly id: number;
  readonly destination: string;
  readonly content: Content;
  readonly origin: Origin;
  readonly attributes: Attributes;
  readonly sentAt: number;
  redeliveries = 0;
  /** It may have been delivered before the process last ended; nobody counted. */
  recovered = false;
  /** Not its business; to be told of it; told; keeps it. */
  stored: 'no' | 'pending' | 'told' | 'yes' = 'no';
  /** The redeliveries that the store knows of. */
  counted = 0;
  /** The consumer that must settle it now. */
  holder: object | undefined = undefined;
  /** The consumer that gave it back last. */
  refusedBy: object | undefined = undefined;

  constructor(
    id: number,
    destination: string,
    content: Content,
    origin: Origin,
    attributes: Attributes = PLAIN,
    sentAt = 0,
  ) {
    this.id = id;
    this.destination = destination;
    this.content = content;
    this.origin = origin;
    this.attributes = attributes;
    this.sentAt = sentAt;
  }

  get bytes(): number {
    return weightOf(this.content);
  }
  /** The store has it, and as it is. */
  get isInStore(): boolean {
    return this.stored === 'yes' && this.counted === this.redeliveries;
  }
  get redelivered(): boolean {
    return this.redeliveries > 0 || this.recovered;
  }
  isExpired(now: number): boolean {
    return this.attributes.expiresAt > 0 && this.attributes.expiresAt <= now;
  }
}

/** The message group that a content names. */
export function groupOf({ headers }: Content): string | undefined {
  return headers.get('JMSXGroupID');
}
