// Who is at a queue, whose turn it is, and for whom a message is: selectors, exclusive
// consumers and message groups.

import type { SubscriptionRequest } from '../engine.ts';
import { placeOf } from './backlog.ts';
import type { Kept } from './delivery.ts';
import { Search } from './search.ts';

export interface Consumer {
  readonly request: SubscriptionRequest;
  readonly search: Search;
  credit: number;
  ready: boolean;
  /** It has looked at enough for one turn of the loop. */
  paused: boolean;
}

const GROUPS_REMEMBERED = 100_000;

export class Consumers {
  readonly #all = new Set<Consumer>();
  readonly #ready: Consumer[] = []; // those with credit, in turn
  readonly #groups = new Map<string, Consumer>();
  #choosy = 0; // those that do not take just anything
  #grouped = false;
  #next = 0;

  get size(): number {
    return this.#all.size;
  }
  get areReady(): boolean {
    return this.#ready.length > 0;
  }
  /** Everybody takes anything. */
  get arePlain(): boolean {
    return this.#choosy === 0 && !this.#grouped;
  }

  /** From the first message with a group on, groups are honoured. */
  mind({ attributes }: Kept): void {
    if (attributes.group !== undefined) this.#grouped = true;
  }

  /** It takes what comes first, whatever the others want. */
  takesAny({ request }: Consumer): boolean {
    return !this.#grouped && request.selects === undefined;
  }

  /** Something may wait for it that it can look for now. */
  hasMore(consumer: Consumer): boolean {
    return !consumer.paused && !this.takesAny(consumer) && !consumer.search.isDone;
  }

  open(request: SubscriptionRequest): Consumer {
    const consumer: Consumer = { request, search: new Search(), credit: 0, ready: false, paused: false };
    this.#all.add(consumer);
    if (isChoosy(consumer)) this.#choosy++;
    return consumer;
  }

  /** False where it has left. */
  request(consumer: Consumer, n: number): boolean {
    if (!this.#all.has(consumer)) return false;
    consumer.credit += n;
    if (!consumer.ready && consumer.credit > 0) {
      consumer.ready = true;
      this.#ready.push(consumer);
    }
    return true;
  }

  /** False where it has left before. */
  close(consumer: Consumer): boolean {
    if (!this.#all.delete(consumer)) return false;
    if (isChoosy(consumer)) this.#choosy--;
    consumer.credit = 0;
    this.#unready(consumer);
    for (const [group, owner] of this.#groups) if (owner === consumer) this.#groups.delete(group);
    // What only it could have had may be anybody's now.
    const { hidden } = consumer.search;
    if (hidden !== undefined) for (const { search } of this.#all) search.goBackTo(hidden);
    return true;
  }

  /** It gets a message: one less to ask for, and the next one's turn. */
  serve(consumer: Consumer): void {
    const at = this.#ready[this.#next] === consumer ? this.#next : this.#ready.indexOf(consumer);
    if (--consumer.credit === 0) this.#unready(consumer);
    else this.#next = at + 1;
  }

  /** Whose turn it is; somebody else's where that one has just given it back. */
  turn(kept: Kept): Consumer {
    if (this.#next >= this.#ready.length) this.#next = 0;
    if (this.#ready[this.#next] === kept.refusedBy) this.#next = (this.#next + 1) % this.#ready.length;
    return this.#ready[this.#next] as Consumer;
  }

  /** The next turn is that one's. */
  beginWith(consumer: Consumer): void {
    if (consumer.ready) this.#next = this.#ready.indexOf(consumer);
  }

  #unready(consumer: Consumer): void {
    if (!consumer.ready) return;
    consumer.ready = false;
    const at = this.#ready.indexOf(consumer);
    this.#ready.splice(at, 1);
    if (at < this.#next) this.#next--;
  }

  // ------------------------------------------------------------------------------------------ what not everybody gets

  /** Those that may look for something now, in turn: who is ready, or of these the exclusive one. */
  get looking(): readonly Consumer[] {
    const exclusive = this.#exclusive();
    if (exclusive !== undefined) return exclusive.ready ? [exclusive] : [];
    if (this.#next >= this.#ready.length) this.#next = 0;
    return this.#next === 0 ? this.#ready : [...this.#ready.slice(this.#next), ...this.#ready.slice(0, this.#next)];
  }

  /** Who gets what `finder` has found: itself; somebody else, where it has just given it back; or undefined: not for it. */
  takerOf(kept: Kept, finder: Consumer): Consumer | undefined {
    const bound = this.#boundTo(kept);
    if (bound !== undefined && bound !== finder) {
      bound.search.hide(placeOf(kept));
      this.#tell(bound, kept); // it will find it by itself, unless it has passed that place before the group was its own
      return undefined;
    }
    if (!selects(finder, kept)) return undefined;
    if (bound !== undefined || kept.refusedBy !== finder) return finder;
    return this.looking.find((other) => other !== finder && selects(other, kept)) ?? finder;
  }

  /**
   * Who gets one that has just come, out of those that are `idle`: ready, and with nothing else to look at. Undefined: it
   * has to wait; who declined need not look at it again, and the others will.
   */
  takerOfNew(kept: Kept, idle: (consumer: Consumer) => boolean): Consumer | undefined {
    const bound = this.#boundTo(kept);
    const asked = new Set(this.looking.filter(idle));
    for (const consumer of asked)
      if ((bound === undefined || bound === consumer) && selects(consumer, kept)) return consumer;
    for (const consumer of this.#all)
      if (asked.has(consumer)) consumer.search.declined(placeOf(kept));
      else this.#tell(consumer, kept);
    if (asked.size > 0) bound?.search.hide(placeOf(kept));
    return undefined;
  }

  /** It waits again. */
  tell(kept: Kept): void {
    for (const consumer of this.#all) this.#tell(consumer, kept);
  }

  #tell(consumer: Consumer, kept: Kept): void {
    consumer.search.came(placeOf(kept), () => selects(consumer, kept));
  }

  /** The group of a message belongs to whoever got its first one. */
  bind({ attributes: { group } }: Kept, consumer: Consumer): void {
    if (group === undefined || this.#groups.has(group)) return;
    if (this.#groups.size >= GROUPS_REMEMBERED)
      for (const oldest of this.#groups.keys()) {
        this.#groups.delete(oldest);
        break;
      }
    this.#groups.set(group, consumer);
  }

  /** Another turn of the loop. */
  resume(): void {
    for (const consumer of this.#all) consumer.paused = false;
  }

  #boundTo({ attributes: { group } }: Kept): Consumer | undefined {
    return this.#exclusive() ?? (group === undefined ? undefined : this.#groups.get(group));
  }

  // The oldest one that asked for it has the queue for itself; the others wait until it leaves.
  #exclusive(): Consumer | undefined {
    if (this.#choosy === 0) return undefined;
    for (const consumer of this.#all) if (consumer.request.exclusive) return consumer;
    return undefined;
  }
}

function selects({ request }: Consumer, { content }: Kept): boolean {
  return request.selects?.(content) !== false;
}

function isChoosy({ request }: Consumer): boolean {
  return request.selects !== undefined || request.exclusive === true;
}
