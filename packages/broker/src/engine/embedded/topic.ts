// Topics: every subscriber gets every message, as far as its credit goes; behind that
// a backlog of its own, which is bounded. Patterns are matched once per name and
// remembered until somebody subscribes or leaves.

import { matches, type Pattern, parsePattern } from '../../pattern.ts';
import { type Delivery, EngineError, type SubscriptionRequest } from '../engine.ts';
import { Backlog, Kept, type Origin } from './delivery.ts';

/** What topics need of their engine. */
export interface TopicOwner {
  weigh(bytes: number): void;
  /** A backlog got shorter: producers may be waiting. */
  easedTopic(): void;
  readonly maxDeliveries: number;
  /** Bytes of one subscriber's backlog. */
  readonly maxBacklogBytes: number;
}

const NAMES_REMEMBERED = 10_000;

export class TopicSubscriber implements Origin {
  readonly request: SubscriptionRequest;
  readonly pattern: Pattern;
  readonly #owner: TopicOwner;
  readonly #backlog = new Backlog();
  #credit = 0;
  #bytes = 0;
  #open = true;
  #asking = false;

  constructor(request: SubscriptionRequest, owner: TopicOwner) {
    this.request = request;
    this.pattern = parsePattern(request.destination.name);
    this.#owner = owner;
  }

  /** Bytes that wait for credit. */
  get bytes(): number {
    return this.#bytes;
  }

  /** `kept` is shared by all subscribers; one that must be settled is delivered as a copy of its own. */
  add(kept: Kept): void {
    if (!this.#open) return;
    const own = this.request.acknowledged ? new Kept(kept.id, kept.destination, kept.content, this) : kept;
    if (this.#credit > 0 && this.#backlog.length === 0) {
      this.#credit--;
      this.request.deliver(own);
      return;
    }
    this.#backlog.push(own);
    this.#weigh(own.bytes);
    if (this.#bytes > this.#owner.maxBacklogBytes)
      this.end(`more than ${this.#owner.maxBacklogBytes} bytes wait for this subscriber`);
  }

  /** Gives a subscriber up that cannot keep up. */
  end(reason: string): void {
    if (!this.#open) return;
    this.close();
    this.request.ended(new EngineError('slow-consumer', reason));
  }

  ask(n: number): void {
    this.#credit += n;
    if (this.#asking) return; // `deliver` asks for more: the loop that called it goes on
    this.#asking = true;
    while (this.#open && this.#credit > 0) {
      const kept = this.#backlog.shift();
      if (kept === undefined) break;
      this.#credit--;
      this.#weigh(-kept.bytes);
      this.request.deliver(kept);
    }
    this.#asking = false;
    this.#owner.easedTopic();
  }

  close(): void {
    this.#open = false;
    this.#backlog.drain();
    this.#weigh(-this.#bytes);
    this.#owner.easedTopic();
  }

  acked(): void {}

  nacked(kept: Kept): void {
    if (!this.#open || kept.redeliveries + 1 >= this.#owner.maxDeliveries) return; // a topic keeps nothing for later
    kept.redeliveries++;
    this.#backlog.giveBack([kept]);
    this.#weigh(kept.bytes);
    this.ask(0);
  }

  rejected(): void {}

  #weigh(bytes: number): void {
    this.#bytes += bytes;
    this.#owner.weigh(bytes);
  }
}

export class Topics {
  readonly #owner: TopicOwner;
  readonly #subscribers = new Set<TopicSubscriber>();
  readonly #byName = new Map<string, readonly TopicSubscriber[]>();

  constructor(owner: TopicOwner) {
    this.#owner = owner;
  }

  open(request: SubscriptionRequest): TopicSubscriber {
    const subscriber = new TopicSubscriber(request, this.#owner);
    this.#subscribers.add(subscriber);
    this.#byName.clear();
    return subscriber;
  }

  close(subscriber: TopicSubscriber, _unsettled: Iterable<Delivery>): void {
    if (!this.#subscribers.delete(subscriber)) return;
    this.#byName.clear();
    subscriber.close();
  }

  subscribers(name: string): readonly TopicSubscriber[] {
    let found = this.#byName.get(name);
    if (found === undefined) {
      const words = name.split('.');
      found = [...this.#subscribers].filter((subscriber) => matches(subscriber.pattern, words));
      if (this.#byName.size >= NAMES_REMEMBERED) this.#byName.clear();
      this.#byName.set(name, found);
    }
    return found;
  }

  /** Those with more than `bytes` waiting. */
  laggards(bytes: number): TopicSubscriber[] {
    return [...this.#subscribers].filter((subscriber) => subscriber.bytes > bytes);
  }
}
