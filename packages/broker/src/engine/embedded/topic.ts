// Topics: every subscriber gets every message, as far as its credit goes; behind that
// a backlog of its own, which is bounded. Patterns are matched once per name and
// remembered until somebody subscribes or leaves.

import { matches, type Pattern, parsePattern } from '../../pattern.ts';
import { EngineError, type Settlement, type SubscriptionRequest } from '../engine.ts';
import { Kept, type Origin } from './delivery.ts';
import { Gauge } from './gauge.ts';
import { Lane } from './lane.ts';

/** What topics need of their engine. */
export interface TopicOwner {
  weigh(bytes: number): void;
  /** Whether `bytes` more would be too many for the whole engine. */
  wouldOverflow(bytes: number): boolean;
  /** Calls `run` after `ms`; the answer cancels. */
  schedule(ms: number, run: () => void): () => void;
  /** Milliseconds since 1970. */
  time(): number;
  readonly maxDeliveries: number;
  readonly maxMemoryBytes: number;
  readonly producersWaitAboveBytes: number;
  readonly slowConsumerGraceMs: number;
}

const NAMES_REMEMBERED = 10_000;
// One SEND may be larger than the mark above which producers wait, and several may be under way.
const MARKS_AT_MOST = 8;

export class TopicSubscriber implements Origin {
  readonly request: SubscriptionRequest;
  readonly pattern: Pattern;
  readonly #owner: TopicOwner;
  readonly #gauge: Gauge; // what waits for credit
  #backlog = new Lane();
  #credit = 0;
  #unsettledBytes = 0;
  #open = true;
  #asking = false;
  #cancelPatience: (() => void) | undefined;

  constructor(request: SubscriptionRequest, owner: TopicOwner) {
    this.request = request;
    this.pattern = parsePattern(request.destination.name);
    this.#owner = owner;
    this.#gauge = new Gauge(owner.producersWaitAboveBytes, (bytes) => owner.weigh(bytes));
  }

  /** Producers wait for `eased`. */
  get isBehind(): boolean {
    return this.#gauge.isHigh;
  }
  eased(): Promise<void> {
    return this.#gauge.eased();
  }

  /** `kept` is shared by all subscribers; one that must be settled is delivered as a copy of its own. */
  add(kept: Kept): void {
    if (!this.#open || this.request.selects?.(kept.content) === false) return;
    const { id, destination, content, attributes } = kept;
    const own = this.request.acknowledged ? new Kept(id, destination, content, this, attributes) : kept;
    const atOnce = this.#credit > 0 && this.#backlog.length === 0 && !this.#asking;
    if ((!atOnce || this.request.acknowledged) && this.#owner.wouldOverflow(own.bytes)) {
      const { maxMemoryBytes } = this.#owner;
      this.#end(`this subscriber is behind, and there is room for ${maxMemoryBytes} bytes (maxMemoryBytes)`);
    } else if (atOnce) {
      this.#credit--;
      this.#deliver(own);
    } else this.#keep(own);
  }

  #keep(kept: Kept): void {
    const { producersWaitAboveBytes, slowConsumerGraceMs } = this.#owner;
    this.#backlog.push(kept);
    this.#gauge.add(kept.bytes);
    if (this.#gauge.bytes > producersWaitAboveBytes * MARKS_AT_MOST) {
      this.#end(
        `more than ${MARKS_AT_MOST} times ${producersWaitAboveBytes} bytes wait for this subscriber (producersWaitAboveBytes)`,
      );
    } else if (this.#gauge.isHigh && this.#cancelPatience === undefined) {
      this.#cancelPatience = this.#owner.schedule(slowConsumerGraceMs, () =>
        this.#end(
          `${this.#gauge.bytes} bytes wait for this subscriber, which did not catch up in ${slowConsumerGraceMs} ms (slowConsumerGraceMs)`,
        ),
      );
    }
  }

  // Gives a subscriber up that cannot keep up.
  #end(reason: string): void {
    if (!this.#open) return;
    this.close();
    this.request.ended(new EngineError('slow-consumer', reason));
  }

  ask(n: number): void {
    this.#credit += n;
    if (this.#asking) return; // `deliver` asks for more: the loop that called it goes on
    this.#asking = true;
    try {
      while (this.#open && this.#credit > 0) {
        const kept = this.#backlog.shift();
        if (kept === undefined) break;
        this.#gauge.add(-kept.bytes);
        if (kept.attributes.expiresAt > 0 && kept.isExpired(this.#owner.time())) continue; // a topic keeps no dead letters
        this.#credit--;
        this.#deliver(kept);
      }
    } finally {
      this.#asking = false;
    }
    if (this.#gauge.isLow) this.#forgive();
  }

  #deliver(kept: Kept): void {
    if (this.request.acknowledged) {
      kept.holder = this;
      this.#weighUnsettled(kept.bytes);
    }
    this.request.deliver(kept);
  }

  close(): void {
    this.#open = false;
    this.#forgive();
    this.#backlog = new Lane();
    this.#gauge.add(-this.#gauge.bytes);
    this.#gauge.release();
    this.#weighUnsettled(-this.#unsettledBytes);
  }

  /** The engine closes: no producer waits any longer, and nobody is given up. */
  release(): void {
    this.#forgive();
    this.#gauge.release();
  }

  settle(kept: Kept, outcome: Settlement['outcome']): void {
    if (kept.holder === undefined || !this.#open) return; // a topic keeps nothing for later
    kept.holder = undefined;
    this.#weighUnsettled(-kept.bytes);
    if (outcome === 'ack' || outcome === 'reject') return;
    kept.redeliveries++;
    if (outcome === 'nack' && kept.redeliveries >= this.#owner.maxDeliveries) return;
    this.#backlog.giveBack(kept);
    this.#gauge.add(kept.bytes);
  }

  settled(): void {
    this.ask(0);
  }

  #forgive(): void {
    this.#cancelPatience?.();
    this.#cancelPatience = undefined;
  }

  #weighUnsettled(bytes: number): void {
    this.#unsettledBytes += bytes;
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

  close(subscriber: TopicSubscriber): void {
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

  release(): void {
    for (const subscriber of this.#subscribers) subscriber.release();
  }
}
