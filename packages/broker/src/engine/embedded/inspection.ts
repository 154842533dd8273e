// For operators: looks into queues, and empties and moves them. Looking changes nothing;
// moving is a change like any other, a thousand messages at a time.

import type { Content } from '@stompbox/protocol';
import type { Attributes, Inspection, MessageView } from '../engine.ts';
import type { Place } from './backlog.ts';
import type { DeadLetters } from './dead-letters.ts';
import type { Kept } from './delivery.ts';
import { type Durables, isDurableQueue } from './durable.ts';
import { PURGED_AT_ONCE, purge } from './purge.ts';
import type { Queue } from './queue.ts';

/** What inspection needs of its engine. */
export interface InspectionOwner {
  readonly queues: ReadonlyMap<string, Queue>;
  readonly durables: Durables;
  readonly deadLetters: DeadLetters;
  /** Of all messages, wherever they are. */
  bytes(): number;
  /** Messages that wait to be due. */
  scheduled(): number;
  /** Puts a message into a queue, which is made if it is not there. */
  enqueue(queue: string, destination: string, content: Content, attributes: Attributes): void;
  publish(topic: string, destination: string, content: Content, attributes: Attributes): void;
  forgetDurable(name: string): Promise<boolean>;
  /** At most so many bytes of contents are read at once. */
  readonly windowBytes: number;
}

/** What inspection has to tell the store. */
export interface InspectionJournal {
  hold(): void;
  letGo(): void;
  tell(): Promise<void>;
}

const BROWSED = 100;

export function inspection(owner: InspectionOwner, journal: InspectionJournal): Inspection {
  const { queues, durables } = owner;
  const mover = new Mover(owner, journal);
  return {
    queues: () =>
      [...queues.values()].filter((queue) => !queue.isIdle && !isDurableQueue(queue.name)).map((queue) => queue.view),
    durables: () =>
      [...durables.all].map(({ name, text, queue, connected }) => ({
        name,
        pattern: text,
        waiting: queue.length,
        connected,
      })),
    browse: (queue, options = {}) => browse(queues.get(queue), options.limit ?? BROWSED, owner.windowBytes),
    purge: (queue) => purge(queues.get(queue), () => journal.tell()),
    move: (queue, to, options = {}) => mover.move(queues.get(queue), to, options.ids),
    forgetDurable: (name) => owner.forgetDurable(name),
    get bytes() {
      return owner.bytes();
    },
    get scheduled() {
      return owner.scheduled();
    },
  };
}

function browse(queue: Queue | undefined, limit: number, bytes: number): readonly MessageView[] {
  if (queue === undefined) return [];
  const views: MessageView[] = [];
  for (let after: Place | undefined; views.length < limit; ) {
    const page = queue.peek(after, { messages: limit - views.length, bytes });
    const end = page.at(-1);
    if (end === undefined) break;
    after = { priority: end.attributes.priority, id: end.id };
    for (const { id, destination, content, redeliveries, attributes, sentAt } of page) {
      const { priority, expiresAt } = attributes;
      views.push({ id, destination, content, redeliveries, priority, sentAt, expiresAt });
    }
  }
  return views;
}

class Mover {
  readonly #owner: InspectionOwner;
  readonly #journal: InspectionJournal;

  constructor(owner: InspectionOwner, journal: InspectionJournal) {
    this.#owner = owner;
    this.#journal = journal;
  }

  /** Without `to`, dead letters go back to where they came from. Answers how many were moved. */
  async move(queue: Queue | undefined, to: string | undefined, ids: readonly number[] | undefined): Promise<number> {
    if (queue === undefined) return 0;
    const wanted = ids && new Set(ids);
    if (wanted) {
      const removed = queue.remove(({ id }) => wanted.has(id));
      return this.#moveAway(queue, to, removed);
    }
    let moved = 0;
    for (let left = queue.view.waiting; left > 0; left -= PURGED_AT_ONCE) {
      const some = await this.#moveAway(queue, to, queue.pull(Math.min(left, PURGED_AT_ONCE)));
      if (some === 0) break;
      moved += some;
    }
    return moved;
  }

  async #moveAway(queue: Queue, to: string | undefined, moved: readonly Kept[]): Promise<number> {
    this.#journal.hold();
    for (const kept of moved) {
      if (to === undefined) this.#giveBack(queue.name, kept);
      else this.#owner.enqueue(to, `/queue/${to}`, kept.content, kept.attributes);
    }
    this.#journal.letGo();
    await this.#journal.tell();
    return moved.length;
  }

  #giveBack(from: string, kept: Kept): void {
    const { durables, deadLetters } = this.#owner;
    const subscription = deadLetters.durableOf(from);
    const own = subscription === undefined ? undefined : durables.get(subscription)?.queue;
    const { destination, content, attributes } = deadLetters.revive(kept);
    if (own !== undefined) this.#owner.enqueue(own.name, destination, content, attributes);
    else if (destination.startsWith('/topic/'))
      this.#owner.publish(destination.replace(/^\/topic\//, ''), destination, content, attributes);
    else this.#owner.enqueue(destination.replace(/^\/queue\//, ''), destination, content, attributes);
  }
}
