// An engine over a store that is as late as a disk and as quick as memory, and short words for both.

import { Content, Encoder, frame, NameSet } from '@stompbox/protocol';
import { ManualClock } from 'testkit';
import { onTestFinished } from 'vitest';
import { EmbeddedEngine } from '../../src/engine/embedded/embedded.ts';
import type { EmbeddedEngineOptions } from '../../src/engine/embedded/options.ts';
import {
  type Attributes,
  type Delivery,
  type Destination,
  type EngineError,
  type Feed,
  PLAIN,
  type Send,
  type Settlement,
  type SubscriptionRequest,
} from '../../src/engine/engine.ts';
import { resolveLimits } from '../../src/limits.ts';
import { memoryStore } from '../../src/store/memory.ts';
import type { Change, Store } from '../../src/store/store.ts';

const scratch = new Encoder({ version: '1.2', unrepresentable: 'replace' });
const NONE = new NameSet([]);

export const queue = (name: string): Destination => ({ kind: 'queue', name, text: `/queue/${name}` });
export const topic = (name: string): Destination => ({ kind: 'topic', name, text: `/topic/${name}` });
export const textOf = ({ content }: Pick<Delivery, 'content'>): string => Buffer.from(content.body).toString();
export const kindIs =
  (kind: string) =>
  (content: Content): boolean =>
    content.headers.get('kind') === kind;

export function sendOf(
  destination: Destination,
  body: string,
  { kind, ...attributes }: Partial<Attributes> & { readonly kind?: string | undefined } = {},
): Send {
  const { group } = attributes;
  const headers: [string, string][] = [];
  if (kind !== undefined) headers.push(['kind', kind]);
  if (group !== undefined) headers.push(['JMSXGroupID', group]);
  const content = Content.of(frame('SEND', headers, body), NONE, scratch);
  return { destination, content, attributes: { ...PLAIN, ...attributes } };
}

/** Keeps what it is told a turn of the loop later, and counts what it is asked for. It survives the engines on it. */
export class LateStore implements Store {
  readonly survives = 'power-cut';
  readonly #store = memoryStore();
  /** Messages that were read. */
  messagesRead = 0;
  /** It keeps nothing until this is over. */
  disk: Promise<void> = Promise.resolve();
  /** The most bytes of contents that one reading brought. */
  largest = 0;

  async commit(change: Change): Promise<void> {
    await new Promise(setImmediate);
    await this.disk;
    await this.#store.commit(change);
  }
  read: Store['read'] = (...args) => {
    const found = this.#store.read(...args);
    this.messagesRead += found.length;
    this.largest = Math.max(
      this.largest,
      found.reduce((sum, { content }) => sum + content.bytes.length, 0),
    );
    return found;
  };
  /** What is kept now. */
  async copy(): Promise<LateStore> {
    const copy = new LateStore();
    const all = { messages: Number.MAX_SAFE_INTEGER, bytes: Number.MAX_SAFE_INTEGER };
    const append = [...this.#store.queues()].flatMap(({ queue }) => this.#store.read(queue, undefined, all));
    const facts = [...this.#store.facts('')].map(([key, value]) => ({ key, value }));
    await copy.#store.commit({ append, facts });
    return copy;
  }
  due: Store['due'] = (...args) => this.#store.due(...args);
  nextDue: Store['nextDue'] = () => this.#store.nextDue();
  expired: Store['expired'] = (...args) => this.#store.expired(...args);
  queues: Store['queues'] = () => this.#store.queues();
  facts: Store['facts'] = (prefix) => this.#store.facts(prefix);
  async close(): Promise<void> {}
  get scheduled() {
    return this.#store.scheduled;
  }
  get lastId() {
    return this.#store.lastId;
  }
  get size() {
    return this.#store.size;
  }
}

export interface Actor {
  readonly feed: Feed;
  /** What it was given and has not settled, oldest first. */
  readonly owed: Delivery[];
  /** What it was given since the last look. */
  take(): string[];
  ended: EngineError | undefined;
}

export class Bench {
  readonly clock = new ManualClock();
  store = new LateStore();
  readonly #limits: Partial<EmbeddedEngineOptions>;
  engine: EmbeddedEngine;

  constructor(limits: Partial<EmbeddedEngineOptions> = {}) {
    this.#limits = limits;
    this.engine = this.#open();
    onTestFinished(() => this.engine.close());
  }

  #open(): EmbeddedEngine {
    const { now: time, schedule } = this.clock;
    return new EmbeddedEngine({ ...resolveLimits(), ...this.#limits, schedule, time }, this.store);
  }

  /** In order; or with another store: as after `kill -9`. */
  async restart(store = this.store): Promise<void> {
    await this.engine.close();
    this.store = store;
    this.engine = this.#open();
  }

  async send(...sends: Send[]): Promise<void> {
    await this.engine.commit({ sends, settlements: [], atomic: false });
    await this.quiet();
  }

  async settle(outcome: Settlement['outcome'], ...deliveries: readonly (Delivery | undefined)[]): Promise<void> {
    const settlements = deliveries
      .filter((delivery) => delivery !== undefined)
      .map((delivery) => ({ delivery, outcome }));
    await this.engine.commit({ sends: [], settlements, atomic: false });
    await this.quiet();
  }

  /** Everything that can happen without time passing has happened. */
  async quiet(): Promise<void> {
    await this.clock.advance(0);
  }

  async consume(
    destination: Destination,
    { credit = 0, auto = false, ...asked }: Partial<SubscriptionRequest> & { credit?: number; auto?: boolean } = {},
  ): Promise<Actor> {
    const owed: Delivery[] = [];
    const got: string[] = [];
    const actor: { -readonly [name in keyof Actor]: Actor[name] } = {
      feed: { request() {}, close() {} },
      owed,
      take: () => got.splice(0),
      ended: undefined,
    };
    actor.feed = await this.engine.open({
      destination,
      acknowledged: !auto,
      ...asked,
      deliver(delivery) {
        got.push(textOf(delivery));
        if (!auto) owed.push(delivery);
      },
      ended(error) {
        actor.ended = error;
      },
    });
    if (credit > 0) actor.feed.request(credit);
    await this.quiet();
    return actor;
  }
}
