// Publishers for many places, made when they are needed and closed when they are not.
//
//   key (where) ─► [ publisher, publisher … ]   at most `perKey`; the one with the least to do is given out
//
// All keys together have at most `max`; one that is idle makes room, and otherwise one waits.

import { type Clock, systemClock } from '../clock.ts';
import type { Body } from '../connection/body.ts';
import type { WaitOptions } from '../connection/inbox.ts';
import { ConnectionLost, TimeoutError } from '../errors.ts';
import { type Check, type Given, number, object, resolve, type Settings } from '../option-table.ts';
import type { To } from '../profiles/profile.ts';
import { onAbort } from '../signal.ts';
import type { ClientOptions } from './client-options.ts';
import { type ClientSendOptions, type CloseOptions, Publisher } from './publisher.ts';
import type { Where } from './read-endpoints.ts';

export const POOL_OPTIONS = {
  perKey: {
    default: 1 as number,
    check: number(1) as Check,
    say: 'So many publishers for one place; a second one is made when all before it are in use.',
  },
  max: {
    default: 100 as number,
    check: number(1) as Check,
    say: 'So many in all; an idle one is closed for a new one, or else one waits.',
  },
  idleMs: {
    default: 30_000 as number,
    check: number(0) as Check,
    say: 'Close one that nobody has used for this long; 0 never does.',
  },
  waitMs: {
    default: 15_000 as number,
    check: number(0) as Check,
    say: 'Wait this long for one to become free; 0 is for ever.',
  },
  options: {
    default: {} as ClientOptions,
    check: object as Check,
    say: 'The options of each publisher.',
  },
};

/** Options of a Pool. Each has its sentence in POOL_OPTIONS. */
export type PoolOptions = Given<typeof POOL_OPTIONS>;

interface Member {
  readonly key: string;
  readonly publisher: Publisher;
  users: number;
  stopIdling: (() => void) | undefined;
}

export class Pool implements AsyncDisposable {
  readonly #settings: Settings<typeof POOL_OPTIONS>;
  readonly #clock: Clock;
  readonly #members = new Set<Member>();
  readonly #waiting = new Set<() => void>();
  #closing: Promise<void> | undefined;

  /** Throws UsageError. */
  constructor(options: PoolOptions = {}) {
    this.#settings = resolve(POOL_OPTIONS, options, 'pool');
    this.#clock = this.#settings.options.clock ?? systemClock;
  }

  /** Publishers that are open. */
  get size(): number {
    return this.#members.size;
  }

  /** Lends a publisher for that place to `work`, and answers what it answers. Rejects with TimeoutError when none became free. */
  async use<Result>(
    where: Where,
    work: (publisher: Publisher) => Result | PromiseLike<Result>,
    options: WaitOptions = {},
  ): Promise<Result> {
    const member = await this.#take(where, options);
    try {
      return await work(member.publisher);
    } finally {
      this.#giveBack(member);
    }
  }

  /** Sends there; as `Publisher.send`. */
  send(where: Where, destination: To, body?: Body, options?: ClientSendOptions): Promise<void> {
    return this.use(where, (publisher) => publisher.send(destination, body, options));
  }

  /** Closes all of them as `Publisher.close` does, those in use too. */
  close(options: CloseOptions = {}): Promise<void> {
    this.#closing ??= this.#close(options);
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(options: CloseOptions): Promise<void> {
    for (const wake of this.#waiting) wake();
    await Promise.all(
      [...this.#members].map((member) => {
        member.stopIdling?.();
        return member.publisher.close(options);
      }),
    );
    this.#members.clear();
  }

  async #take(where: Where, options: WaitOptions): Promise<Member> {
    const key = JSON.stringify(where);
    const { timeoutMs = this.#settings.waitMs, signal } = options;
    const until = timeoutMs === 0 ? Number.POSITIVE_INFINITY : this.#clock.now() + timeoutMs;
    for (;;) {
      signal?.throwIfAborted();
      if (this.#closing !== undefined) {
        throw new ConnectionLost('closed', 'the pool was closed; nothing was sent', { outcome: 'unsent' });
      }
      const member = this.#best(key) ?? this.#make(key, where);
      if (member !== undefined) {
        member.users++;
        member.stopIdling?.();
        member.stopIdling = undefined;
        return member;
      }
      if (this.#clock.now() >= until) throw new TimeoutError('a publisher of the pool', timeoutMs);
      await this.#change(until, signal);
    }
  }

  /** The one with the fewest users, unless another may be made. */
  #best(key: string): Member | undefined {
    const ours = [...this.#members].filter((member) => member.key === key && member.publisher.state !== 'closed');
    const best = ours.sort((a, b) => a.users - b.users)[0];
    if (best === undefined || (best.users > 0 && ours.length < this.#settings.perKey && this.#hasRoom()))
      return undefined;
    return best;
  }

  #hasRoom(): boolean {
    return this.#members.size < this.#settings.max || [...this.#members].some(({ users }) => users === 0);
  }

  #make(key: string, where: Where): Member | undefined {
    if (this.#members.size >= this.#settings.max) {
      const idle = [...this.#members].find(({ users }) => users === 0);
      if (idle === undefined) return undefined;
      this.#drop(idle);
    }
    const publisher = new Publisher(where, this.#settings.options);
    const member: Member = { key, publisher, users: 0, stopIdling: undefined };
    this.#members.add(member);
    void publisher.closed.then(() => this.#members.delete(member)); // it may give up by itself
    return member;
  }

  #giveBack(member: Member): void {
    member.users--;
    for (const wake of this.#waiting) wake();
    const { idleMs } = this.#settings;
    if (member.users > 0 || idleMs === 0 || this.#closing !== undefined) return;
    member.stopIdling = this.#clock.schedule(idleMs, () => this.#drop(member));
  }

  #drop(member: Member): void {
    this.#members.delete(member);
    member.stopIdling?.();
    void member.publisher.close();
  }

  #change(until: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        this.#waiting.delete(end);
        stopTimer?.();
        stopSignal?.();
        resolve();
      };
      this.#waiting.add(end);
      const stopTimer =
        until === Number.POSITIVE_INFINITY
          ? undefined
          : this.#clock.schedule(Math.max(0, until - this.#clock.now()), end, true);
      const stopSignal = onAbort(signal, end);
    });
  }
}
