// Opens durable subscriptions, and forgets them: one subscriber at a time, and none before
// the store knows of the subscription.

import { EngineError, type Feed, type SubscriptionRequest } from '../engine.ts';
import { type Durable, Durables, durableQueueName } from './durable.ts';
import type { Fact } from './journal.ts';
import { purge } from './purge.ts';
import type { Queue } from './queue.ts';

/** What durable subscriptions need of their engine. */
export interface DurableOwner {
  /** Makes it if it is not there. */
  queue(name: string): Queue;
  drop(queue: Queue): void;
  feed(queue: Queue, request: SubscriptionRequest): Feed;
  /** Throws where there is no room for one queue more. */
  admitQueue(): void;
  durableDeleted(name: string, pattern: string): void;
}

/** What they have to tell the store. */
export interface DurableJournal {
  fact(fact: Fact): void;
  tell(): Promise<void>;
}

export class DurableFeeds {
  readonly #durables: Durables;
  readonly #owner: DurableOwner;
  readonly #journal: DurableJournal;

  constructor(durables: Durables, owner: DurableOwner, journal: DurableJournal) {
    this.#durables = durables;
    this.#owner = owner;
    this.#journal = journal;
  }

  /** Takes over what the store knows. */
  recover(facts: Iterable<readonly [key: string, text: string]>): void {
    for (const [key, text] of facts) {
      const name = key.slice(Durables.facts.length);
      const { topic, selector } = Durables.readFact(text);
      this.#durables.add(name, topic, selector, this.#owner.queue(durableQueueName(name)));
    }
  }

  async open(request: SubscriptionRequest, name: string): Promise<Feed> {
    const { destination, selector } = request;
    let durable = this.#durables.get(name);
    if (durable !== undefined && (durable.text !== destination.text || durable.selector !== selector)) {
      if (durable.connected) throw inUse(name);
      await this.#forget(durable); // another topic or selector under the same name begins anew
      durable = this.#durables.get(name);
    }
    if (durable?.connected) throw inUse(name);
    if (durable === undefined) {
      this.#owner.admitQueue();
      durable = this.#durables.add(name, destination.text, selector, this.#owner.queue(durableQueueName(name)));
      this.#journal.fact(Durables.factOf(durable));
    }
    const kept = durable;
    kept.connected = true;
    const feed = this.#owner.feed(kept.queue, { ...request, selects: undefined }); // selected when they came
    try {
      await this.#journal.tell();
    } catch (error) {
      kept.connected = false;
      feed.close();
      throw error;
    }
    let isOpen = true;
    return {
      request: (n) => feed.request(n),
      close: () => {
        if (!isOpen) return; // it may be somebody else's by now
        isOpen = false;
        kept.connected = false;
        feed.close();
      },
    };
  }

  /** Answers whether there was one. */
  async forget(name: string): Promise<boolean> {
    const durable = this.#durables.get(name);
    if (durable === undefined) return false;
    if (durable.connected) throw inUse(name);
    await this.#forget(durable);
    this.#owner.durableDeleted(name, durable.text);
    return true;
  }

  async #forget(durable: Durable): Promise<void> {
    this.#durables.delete(durable.name);
    await purge(durable.queue, () => this.#journal.tell());
    this.#owner.drop(durable.queue);
    this.#journal.fact({ key: Durables.factOf(durable).key, value: undefined });
    await this.#journal.tell();
  }
}

function inUse(name: string): EngineError {
  return new EngineError('in-use', `the durable subscription ${name} has its subscriber`);
}
