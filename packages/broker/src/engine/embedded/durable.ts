// Durable topic subscriptions: a name and a pattern that gather messages in a queue of
// their own while nobody is there, and as long as nobody forgets them.

import { matches, type Pattern, parsePattern } from '../../pattern.ts';
import type { Queue } from './queue.ts';

export interface Durable {
  readonly name: string;
  /** As it was subscribed to, with its prefix. */
  readonly text: string;
  readonly pattern: Pattern;
  readonly queue: Queue;
  connected: boolean;
}

/** No client can name such a queue: NUL cannot be in a header. */
const PREFIX = '\0durable/';
const FACT = 'durable/';
const NAMES_REMEMBERED = 10_000;

export function durableQueueName(name: string): string {
  return PREFIX + name;
}

export function isDurableQueue(queue: string): boolean {
  return queue.startsWith(PREFIX);
}

export class Durables {
  readonly #byName = new Map<string, Durable>();
  readonly #byTopic = new Map<string, readonly Durable[]>();

  get all(): Iterable<Durable> {
    return this.#byName.values();
  }

  get(name: string): Durable | undefined {
    return this.#byName.get(name);
  }

  add(name: string, topic: string, text: string, queue: Queue): Durable {
    const durable: Durable = { name, text, pattern: parsePattern(topic), queue, connected: false };
    this.#byName.set(name, durable);
    this.#byTopic.clear();
    return durable;
  }

  delete(name: string): void {
    this.#byName.delete(name);
    this.#byTopic.clear();
  }

  /** Those that want messages of a topic. */
  of(topic: string): readonly Durable[] {
    if (this.#byName.size === 0) return NONE;
    let found = this.#byTopic.get(topic);
    if (found === undefined) {
      const words = topic.split('.');
      found = [...this.#byName.values()].filter(({ pattern }) => matches(pattern, words));
      if (this.#byTopic.size >= NAMES_REMEMBERED) this.#byTopic.clear();
      this.#byTopic.set(topic, found);
    }
    return found;
  }

  /** What the store must know to make it again: `factOf` and `readFact` are each other's inverse. */
  static factOf(name: string, text: string): { key: string; value: string } {
    return { key: FACT + name, value: text };
  }
  static readonly facts: string = FACT;
}

const NONE: readonly Durable[] = [];
