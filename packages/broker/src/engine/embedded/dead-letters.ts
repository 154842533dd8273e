// Dead letters: where they lie, what is written on them, and how they come back to life.

import { Content, type Encoder, frame, NameSet } from '@stompbox/protocol';
import { type Attributes, PLAIN } from '../engine.ts';
import { groupOf, type Kept } from './delivery.ts';
import { isDurableQueue } from './durable.ts';
import type { Death } from './queue.ts';

const NO_HEADERS = new NameSet([]);
const ABOUT_THE_DEATH = new NameSet([
  'content-length',
  'original-destination',
  'dead-letter-reason',
  'dead-letter-time',
  'delivery-count',
]);

/** A dead letter as it was before. */
export interface Revived {
  /** As consumers see it. */
  readonly destination: string;
  readonly content: Content;
  readonly attributes: Attributes;
}

export class DeadLetters {
  readonly #prefix: string;
  readonly #scratch: Encoder;

  /** `prefix` stands before a queue's name in the name of its dead letter queue. */
  constructor(prefix: string, scratch: Encoder) {
    this.#prefix = prefix;
    this.#scratch = scratch;
  }

  /** Whether a queue is for dead letters. */
  lieIn(queue: string): boolean {
    return queue.startsWith(this.#prefix);
  }

  /** The queue for the dead letters of a queue. */
  queueFor(queue: string): string {
    return `${this.#prefix}${isDurableQueue(queue) ? queue.slice(1) : queue}`;
  }

  /** The durable subscription whose dead letters lie in a queue. They are its own, and no other's. */
  durableOf(queue: string): string | undefined {
    const prefix = `${this.#prefix}durable/`;
    return queue.startsWith(prefix) ? queue.slice(prefix.length) : undefined;
  }

  /** What is kept of a message that dies at `time`. */
  letter(kept: Kept, reason: Death, time: number): Content {
    const about: [string, string][] = [
      ['original-destination', kept.destination],
      ['dead-letter-reason', reason],
      ['dead-letter-time', new Date(time).toISOString()],
      ['delivery-count', String(kept.redeliveries + (reason === 'rejected' ? 1 : 0))],
    ];
    const headers = [...about, ...[...kept.content.headers].filter(([header]) => !ABOUT_THE_DEATH.has(header))];
    return Content.of(frame('SEND', headers, kept.content.body), NO_HEADERS, this.#scratch);
  }

  revive({ content, destination }: Kept): Revived {
    const priority = content.headers.get('priority') ?? '';
    return {
      destination: content.headers.get('original-destination') ?? destination,
      content: Content.of(frame('SEND', content.headers, content.body), ABOUT_THE_DEATH, this.#scratch),
      attributes: {
        ...PLAIN,
        priority: /^[0-9]$/.test(priority) ? Number(priority) : PLAIN.priority,
        group: groupOf(content),
      },
    };
  }
}
