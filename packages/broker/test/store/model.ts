// A store as simple as can be, to compare others with: a list of messages.

import { createHash } from 'node:crypto';
import type { Change, MessageKey, ScheduledMessage, Store, StoredMessage } from '../../src/store/store.ts';
import { ALL, plain } from './support.ts';

export class Model {
  #messages: StoredMessage[] = [];
  #scheduled: ScheduledMessage[] = [];
  readonly #facts = new Map<string, string>();
  #lastId = 0;

  apply({ append = [], schedule = [], redelivered = [], settle = [], unschedule = [], facts = [] }: Change): void {
    this.#messages.push(...append);
    this.#scheduled.push(...schedule);
    for (const { id } of [...append, ...schedule]) this.#lastId = Math.max(this.#lastId, id);
    for (const { redeliveries, ...key } of redelivered)
      this.#messages = this.#messages.map((each) => (isSame(each, key) ? { ...each, redeliveries } : each));
    this.#messages = this.#messages.filter((each) => !settle.some((key) => isSame(each, key)));
    this.#scheduled = this.#scheduled.filter(
      (each) => !unschedule.some(({ id, dueAt }) => each.id === id && each.dueAt === dueAt),
    );
    for (const { key, value } of facts) {
      if (value === undefined) this.#facts.delete(key);
      else this.#facts.set(key, value);
    }
  }

  /** The same as `stateOf` a store that has kept the same changes. */
  get state(): object {
    const queues = [...new Set(this.#messages.map(({ queue }) => queue))].sort();
    const expiring = this.#messages.filter(({ expiresAt }) => expiresAt > 0);
    return {
      queues: queues.map((queue) => {
        const messages = this.#messages.filter((each) => each.queue === queue);
        messages.sort((a, b) => b.priority - a.priority || a.id - b.id);
        return { queue, held: held(messages), messages: plain(messages) };
      }),
      expiring: expiring.map(({ id }) => id).sort((a, b) => a - b),
      scheduled: plain(this.#scheduled.sort((a, b) => a.dueAt - b.dueAt || a.id - b.id)),
      scheduledHeld: held(this.#scheduled),
      nextDue: this.#scheduled[0]?.dueAt,
      facts: [...this.#facts].sort(),
      lastId: this.#lastId,
    };
  }
}

interface State {
  readonly expiring: readonly number[];
  readonly [more: string]: unknown;
}

/** Throws where something is damaged. */
export function stateOf(store: Store): State {
  const queues = [...store.queues()].sort((a, b) => (a.queue < b.queue ? -1 : 1));
  const expiring = store.expired(Number.MAX_SAFE_INTEGER, 1e9);
  const due = store.due(Number.MAX_SAFE_INTEGER, ALL);
  if (due.length < store.scheduled.messages)
    throw new Error(`what comes after ${due.length} scheduled ones is damaged`);
  return {
    queues: queues.map(({ queue, messages, bytes }) => ({
      queue,
      held: { messages, bytes },
      messages: plain(readAll(store, queue)),
    })),
    expiring: expiring.map(({ id }) => id).sort((a, b) => a - b),
    scheduled: plain(due),
    scheduledHeld: store.scheduled,
    nextDue: store.nextDue(),
    facts: [...store.facts('')].map(([key, value]) => [key, value]).sort(),
    lastId: store.lastId,
  };
}

/** Short, and apart what damage may take: an expiry is looked up again when its message is read. */
export function digestOf({ expiring, ...state }: State): {
  digest: string;
  expiring: readonly number[];
} {
  return { digest: createHash('sha256').update(JSON.stringify(state)).digest('hex'), expiring };
}

function readAll(store: Store, queue: string): StoredMessage[] {
  const found: StoredMessage[] = [];
  for (;;) {
    const more = store.read(queue, found.at(-1), ALL);
    if (more.length === 0) return found;
    found.push(...more);
  }
}

function held(messages: readonly StoredMessage[]): object {
  return { messages: messages.length, bytes: messages.reduce((sum, { content }) => sum + content.bytes.length, 0) };
}

function isSame(a: MessageKey, b: MessageKey): boolean {
  return a.queue === b.queue && a.priority === b.priority && a.id === b.id;
}
