// Sends, from the call to one of three outcomes.
//
//             connected, nothing before it
//   send() ──────────────────────────────────► Outlet.send ─┬─ RECEIPT ───────────────► confirmed
//     │                                             ▲       ├─ ERROR that names it ───► rejected
//     │ otherwise                                   │       ├─ lost, had been written ► unknown, or once more (`onUnknown`)
//     └────► [ waiting, in order of their calls ] ──┘       └─ lost, was not ─────────► back to waiting, in its place
//
// Both together are bounded by count and bytes, the waiting ones by age as well. With a
// store, each is kept there from the call to its outcome, and what a dead process left is
// sent by the next one.

import type { Clock } from '../clock.ts';
import { type Body, contentOf, isSource, typeOf } from '../connection/body.ts';
import { computed, type SendOptions } from '../connection/send.ts';
import { isConfirmed } from '../connection/speaker.ts';
import { TAKEN } from '../connection/writer.ts';
import { ConnectionLost, OutboxError, sayError, UsageError } from '../errors.ts';
import { type Check, type Given, number, object, oneOf, resolve, type Settings } from '../option-table.ts';
import { nameOf, type PortableSend, type To } from '../profiles/profile.ts';
import { onAbort } from '../signal.ts';
import type { Status } from './status.ts';

/** What a send says about its way through the outbox. */
export interface OutboxSendOptions extends Omit<SendOptions, 'transaction'>, PortableSend {
  /** Without a connection: wait for one (`queue`), reject at once (`fail`), or give it up (`drop`). As `outbox.offline` says unless given. */
  readonly offline?: 'queue' | 'fail' | 'drop' | undefined;
  /**
   * The connection went before the RECEIPT came: reject with outcome `unknown` (`fail`), or send it once more with the same
   * de-duplication id (`resend`), which brings it twice where the broker knows no such ids. As `outbox.onUnknown` says
   * unless given.
   */
  readonly onUnknown?: 'fail' | 'resend' | undefined;
}

/** One send as a store keeps it. `options` is plain JSON. */
export interface StoredSend {
  readonly key: string;
  readonly destination: To;
  readonly body: string | Uint8Array;
  readonly options: Readonly<Record<string, unknown>>;
}

/** Keeps sends over the end of a process. Calls come one after another; what a promise of `put` has answered must last. */
export interface OutboxStore {
  /** What was put and not removed, oldest first. */
  load(): Promise<readonly StoredSend[]>;
  put(send: StoredSend): Promise<void>;
  remove(key: string): Promise<void>;
  close(): Promise<void>;
}

export const OUTBOX_OPTIONS = {
  maxMessages: {
    default: 10_000 as number,
    check: number(1) as Check,
    say: 'So many sends may have no outcome yet.',
  },
  maxBytes: {
    default: (16 * 1024 * 1024) as number,
    check: number(0) as Check,
    say: 'So large may their bodies be together; one alone may be larger.',
  },
  maxAgeMs: {
    default: 300_000 as number,
    check: number(0) as Check,
    say: 'How long a send may wait for a connection; 0 is for ever.',
  },
  whenFull: {
    default: 'fail' as 'fail' | 'drop-oldest',
    check: oneOf('fail', 'drop-oldest') as Check,
    say: "At a bound: reject the new one ('fail'), or the one that waits longest ('drop-oldest').",
  },
  offline: {
    default: 'queue' as 'queue' | 'fail' | 'drop',
    check: oneOf('queue', 'fail', 'drop') as Check,
    say: "Without a connection: wait for one ('queue'), reject at once ('fail'), or give it up and say so in the status ('drop').",
  },
  onUnknown: {
    default: 'fail' as 'fail' | 'resend',
    check: oneOf('fail', 'resend') as Check,
    say: "The connection went before the RECEIPT came: reject with outcome unknown ('fail'), or send once more ('resend').",
  },
  store: {
    default: undefined as OutboxStore | undefined,
    check: object as Check,
    say: 'Where sends are kept beyond the end of the process; nowhere unless given.',
  },
};

/** Options of the outbox. Each has its sentence in OUTBOX_OPTIONS. */
export type OutboxOptions = Given<typeof OUTBOX_OPTIONS>;

/** How a send is written: how long it waited, which attempt this is, and a name that is the same at each. */
export interface Attempt {
  readonly waitedMs: number;
  readonly attempt: number;
  readonly key: string;
}

/** What an outbox writes on: a connection, in the words of its broker. */
export interface Outlet {
  readonly isOpen: boolean;
  send(destination: To, body: Body, options: OutboxSendOptions, attempt: Attempt): Promise<void>;
}

class Entry implements Attempt {
  readonly order: number;
  readonly destination: To;
  readonly options: OutboxSendOptions;
  readonly bytes: number;
  readonly since: number;
  body: Body;
  attempt = 1;
  waitedMs = 0;
  resolve: ((outcome: Promise<void>) => void) | undefined = undefined;
  reject: ((error: unknown) => void) | undefined = undefined;
  stopSignal: (() => void) | undefined = undefined;
  readonly #outbox: string;
  #key: string | undefined;

  constructor(
    order: number,
    destination: To,
    body: Body,
    options: OutboxSendOptions,
    since: number,
    outbox: string,
    key: string | undefined,
  ) {
    this.order = order;
    this.destination = destination;
    this.body = body;
    this.options = options;
    this.bytes = sizeOf(body, options);
    this.since = since;
    this.#outbox = outbox;
    this.#key = key;
  }

  get key(): string {
    this.#key ??= `${this.#outbox}-${this.order}`;
    return this.#key;
  }
}

interface Flush {
  left: number;
  readonly before: number;
  readonly resolve: () => void;
}

export class Outbox {
  readonly #settings: Settings<typeof OUTBOX_OPTIONS>;
  readonly #clock: Clock;
  readonly #tell: (status: Status) => void;
  readonly #name = uniqueName();
  /** In the order of their calls. */
  readonly #waiting: Entry[] = [];
  readonly #flushes = new Set<Flush>();
  #outlet: Outlet | undefined;
  #removed: Promise<unknown> = Promise.resolve();
  #stored: Promise<void> = Promise.resolve(); // what the store was asked for before: one after another, in order
  #count = 0;
  #bytes = 0;
  #calls = 0;
  #over: Error | undefined;
  #stopAge: (() => void) | undefined;

  constructor(options: OutboxOptions, clock: Clock, tell: (status: Status) => void) {
    this.#settings = resolve(OUTBOX_OPTIONS, options, 'outbox');
    this.#clock = clock;
    this.#tell = tell;
  }

  /** Sends that have no outcome yet. */
  get pending(): { readonly messages: number; readonly bytes: number } {
    return { messages: this.#count, bytes: this.#bytes };
  }

  /** Takes over what an earlier process left in the store, ahead of everything new. `failed` hears of what comes to nothing. */
  recover(failed: (error: unknown) => void): void {
    const { store } = this.#settings;
    if (store === undefined) return;
    this.#stored = store.load().then((left) => {
      for (const [at, { key, destination, body, options }] of left.entries()) {
        const entry = this.#entry(at - left.length, destination, body, options, key); // before all that were called here
        entry.attempt = 2; // nobody knows whether it was written
        this.#count++;
        this.#bytes += entry.bytes;
        this.#kept(entry).catch(failed);
      }
    }, failed);
  }

  send(destination: To, body: Body, options: OutboxSendOptions): Promise<void> {
    const { signal } = options;
    if (this.#over !== undefined) return quiet(Promise.reject(this.#over), options);
    if (signal?.aborted) return Promise.reject(signal.reason);
    const policy = this.#outlet?.isOpen ? 'queue' : (options.offline ?? this.#settings.offline);
    if (policy !== 'queue') return this.#refuse(destination, policy);
    try {
      const order = this.#calls++;
      const entry = isJson(body)
        ? this.#entry(order, destination, contentOf(body), { contentType: typeOf(body), ...options })
        : this.#entry(order, destination, body, options);
      this.#makeRoom(entry);
      this.#count++;
      this.#bytes += entry.bytes;
      return quiet(this.#settings.store === undefined ? this.#admit(entry) : this.#store(entry), options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** There is a connection: what waits goes out, in order. */
  open(outlet: Outlet): void {
    this.#outlet = outlet;
    this.#stopAge?.();
    this.#stopAge = undefined;
    const waiting = this.#waiting.splice(0);
    for (const entry of waiting) {
      entry.stopSignal?.();
      entry.resolve?.(this.#write(outlet, entry)); // a connection that ends meanwhile brings them back in order
    }
  }

  /** The connection is gone. */
  shut(): void {
    this.#outlet = undefined;
    this.#armAge();
  }

  /** For ever: what waits is rejected, or stays in the store. */
  end(error: Error): void {
    if (this.#over !== undefined) return;
    this.#over = error;
    this.#outlet = undefined;
    this.#stopAge?.();
    for (const entry of this.#waiting.splice(0)) this.#giveUp(entry, error);
  }

  async close(): Promise<void> {
    await this.#stored; // a store that is still being opened would stay open
    await this.#removed;
    await this.#settings.store?.close();
  }

  /** Resolves when every send made so far, and what an earlier process left, has its outcome, in the store too. */
  async settled(): Promise<void> {
    if (this.#settings.store !== undefined) await this.#stored;
    if (this.#count > 0) {
      const before = this.#calls;
      await new Promise<void>((resolve) => this.#flushes.add({ left: this.#count, before, resolve }));
    }
    await this.#removed;
  }

  // ----------------------------------------------------------------------------------------------------------- one send

  #entry(order: number, destination: To, body: Body, options: OutboxSendOptions, key?: string): Entry {
    return new Entry(order, destination, body, options, this.#clock.now(), this.#name, key);
  }

  #admit(entry: Entry): Promise<void> {
    const outlet = this.#outlet;
    if (this.#over !== undefined) return Promise.reject(this.#drop(entry, this.#over));
    if (outlet === undefined || !outlet.isOpen || this.#waiting.length > 0) return this.#wait(entry);
    return this.#write(outlet, entry);
  }

  #write(outlet: Outlet, entry: Entry): Promise<void> {
    const { destination, body, options } = entry;
    if (entry.resolve !== undefined) entry.waitedMs = this.#clock.now() - entry.since;
    let sent: Promise<void>;
    try {
      sent = outlet.send(destination, body, options, entry);
    } catch (error) {
      sent = Promise.reject(error);
    }
    if (sent === TAKEN) {
      this.#done(entry);
      return TAKEN;
    }
    return sent.then(
      () => this.#done(entry),
      (error: unknown) => this.#failed(entry, error),
    );
  }

  #failed(entry: Entry, error: unknown): Promise<void> | void {
    if (error instanceof ConnectionLost && this.#over === undefined && !isSource(entry.body)) {
      if (error.outcome === 'unsent') return this.#wait(entry);
      if ((entry.options.onUnknown ?? this.#settings.onUnknown) === 'resend' && isConfirmed(entry.options)) {
        entry.attempt++;
        this.#tell({ type: 'resent', destination: nameOf(entry.destination), attempt: entry.attempt });
        return this.#wait(entry);
      }
    }
    this.#done(entry);
    throw error;
  }

  #done(entry: Entry): void {
    this.#count--;
    this.#bytes -= entry.bytes;
    if (this.#flushes.size === 0) return;
    for (const flush of this.#flushes) {
      if (entry.order >= flush.before || --flush.left > 0) continue;
      this.#flushes.delete(flush);
      flush.resolve();
    }
  }

  /** In the place of its call, which is the end for a new one. */
  #wait(entry: Entry): Promise<void> {
    if (entry.body instanceof Uint8Array) entry.body = entry.body.slice();
    let at = this.#waiting.length;
    while (at > 0 && (this.#waiting[at - 1]?.order ?? 0) > entry.order) at--;
    this.#waiting.splice(at, 0, entry);
    const outcome = new Promise<void>((resolve, reject) => {
      entry.resolve = resolve;
      entry.reject = reject;
    });
    entry.stopSignal = onAbort(entry.options.signal, (reason) => {
      this.#waiting.splice(this.#waiting.indexOf(entry), 1);
      this.#giveUp(entry, reason);
    });
    this.#armAge();
    const outlet = this.#outlet; // another one may have been opened meanwhile
    if (outlet?.isOpen) queueMicrotask(() => outlet === this.#outlet && outlet.isOpen && this.open(outlet));
    return outcome;
  }

  #giveUp(entry: Entry, error: unknown): void {
    entry.stopSignal?.();
    entry.reject?.(this.#drop(entry, error));
  }

  #drop(entry: Entry, error: unknown): unknown {
    this.#done(entry);
    this.#tell({ type: 'dropped', destination: nameOf(entry.destination), why: sayError(error) });
    return error;
  }

  #refuse(destination: To, policy: 'fail' | 'drop'): Promise<never> {
    const error = new OutboxError(policy === 'fail' ? 'offline' : 'dropped', 'no connection; nothing was sent');
    const refused = Promise.reject(error);
    if (policy === 'drop') {
      refused.catch(() => {}); // asked for; the status tells it
      this.#tell({ type: 'dropped', destination: nameOf(destination), why: error.message });
    }
    return refused;
  }

  // -------------------------------------------------------------------------------------------------------------- store

  async #store(entry: Entry): Promise<void> {
    const { key, destination, body, options } = entry;
    try {
      if (isSource(body)) throw new UsageError('bad-body', 'a stream cannot be kept in an outbox store');
      const { signal: _, headers, ...plain } = options;
      const kept = { ...plain, ...(headers === undefined ? {} : { headers: computed(headers) }) };
      const put = { key, destination, body: contentOf(body), options: kept };
      const stored = this.#stored.then(() => this.#settings.store?.put(put));
      this.#stored = stored.catch(() => {}); // the next one has its own try
      await stored;
    } catch (error) {
      this.#done(entry);
      throw error;
    }
    return this.#kept(entry);
  }

  // Where the outbox ends first, it stays for the next process.
  async #kept(entry: Entry): Promise<void> {
    try {
      await this.#admit(entry);
    } catch (error) {
      if (this.#over === undefined) await this.#remove(entry);
      throw error;
    }
    await this.#remove(entry);
  }

  #remove({ key }: Entry): Promise<void> {
    const removed = this.#settings.store?.remove(key) ?? Promise.resolve();
    this.#removed = Promise.allSettled([this.#removed, removed]);
    return removed;
  }

  // ------------------------------------------------------------------------------------------------------------- bounds

  #makeRoom({ bytes }: Entry): void {
    const { maxMessages, maxBytes, whenFull } = this.#settings;
    while (this.#count >= maxMessages || (this.#bytes + bytes > maxBytes && this.#count > 0)) {
      const oldest = whenFull === 'fail' ? undefined : this.#waiting.shift();
      if (oldest === undefined) {
        throw new OutboxError(
          'full',
          `${this.#count} sends of ${this.#bytes} bytes have no outcome yet: await them, or raise outbox.maxMessages or maxBytes`,
        );
      }
      this.#giveUp(oldest, new OutboxError('dropped', 'newer sends took its place in the outbox; nothing was sent'));
    }
  }

  #armAge(): void {
    const { maxAgeMs } = this.#settings;
    const oldest = this.#waiting[0];
    if (maxAgeMs === 0 || oldest === undefined || this.#stopAge !== undefined || this.#outlet?.isOpen) return;
    const left = oldest.since + maxAgeMs - this.#clock.now();
    this.#stopAge = this.#clock.schedule(Math.max(0, left), () => {
      this.#stopAge = undefined;
      const due = this.#clock.now() - maxAgeMs;
      for (let expired = this.#waiting[0]; expired !== undefined && expired.since <= due; expired = this.#waiting[0]) {
        this.#waiting.shift();
        this.#giveUp(
          expired,
          new OutboxError('expired', `no connection came within ${maxAgeMs} ms (outbox.maxAgeMs); nothing was sent`),
        );
      }
      this.#armAge();
    });
  }
}

// Written when it is called, so that what its caller does to it later changes nothing.
function isJson(body: Body): boolean {
  return typeof body !== 'string' && body !== undefined && !(body instanceof Uint8Array) && !isSource(body);
}

function sizeOf(body: Body, { contentLength = 0 }: OutboxSendOptions): number {
  return typeof body === 'string' || body instanceof Uint8Array ? body.length : contentLength;
}

// Fire and forget: a lost connection is no news to one who does not listen.
function quiet(outcome: Promise<void>, options: OutboxSendOptions): Promise<void> {
  if (outcome !== TAKEN && !isConfirmed(options)) {
    outcome.catch((error: unknown) => {
      if (!(error instanceof ConnectionLost || error instanceof OutboxError)) throw error;
    });
  }
  return outcome;
}

/** A name no other outbox has. `crypto` is not everywhere: not on plain http:, not in React Native. */
export function uniqueName(): string {
  const part = (): string => Math.random().toString(36).slice(2, 12);
  return `${Date.now().toString(36)}${part()}${part()}`;
}
