// Durable topic subscriptions: a name and a pattern that gather messages in a queue of
// their own while nobody is there, and as long as nobody forgets them.

import type { Content } from '@stompbox/protocol';
import { matches, type Pattern, parsePattern } from '../../pattern.ts';
import type { Queue } from './queue.ts';
import { parseSelector } from './selector.ts';

export interface Durable {
  readonly name: string;
  /** As it was subscribed to, with its prefix. */
  readonly text: string;
  /** Only what it selects is gathered. */
  readonly selector: string | undefined;
  readonly selects: ((content: Content) => boolean) | undefined;
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

  /** Throws SelectorError. */
  add(name: string, text: string, selector: string | undefined, queue: Queue): Durable {
    const parsed = selector === undefined ? undefined : parseSelector(selector, { maxLength: selector.length });
    const selects = parsed && ((content: Content) => parsed.matches(content.headers));
    const pattern = parsePattern(text.replace(/^\/topic\//, ''));
    const durable: Durable = { name, text, selector, selects, pattern, queue, connected: false };
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
  static factOf({ name, text, selector }: Pick<Durable, 'name' | 'text' | 'selector'>): { key: string; value: string } {
    return { key: FACT + name, value: selector === undefined ? text : `${text}\n${selector}` };
  }
  static readFact(value: string): { topic: string; selector: string | undefined } {
    const at = value.indexOf('\n'); // no destination holds one
    return at < 0
      ? { topic: value, selector: undefined }
      : { topic: value.slice(0, at), selector: value.slice(at + 1) };
  }
  static readonly facts: string = FACT;
}

const NONE: readonly Durable[] = [];
