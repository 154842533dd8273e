// What the commands of the shell act on: one client, its subscriptions, the messages that wait to be settled, and the
// transaction that is open.

import {
  type Body,
  type Client,
  type ClientSendOptions,
  type ClientSubscription,
  type ClientTransaction,
  ConnectionLost,
  type Message,
  SubscriptionRefused,
  statistics,
} from '@stompbox/client';
import type { AckMode } from '@stompbox/protocol';
import { printable } from '../escape.ts';
import { WrongUsage } from '../exit-codes.ts';
import type { House } from '../house.ts';
import { shown } from '../output.ts';
import { acknowledge, leave } from '../reading.ts';
import { destination } from '../values.ts';
import { Held, type HeldMessage, type Holder } from './held.ts';

const MAX_PLACES = 1_000;

export interface SessionOptions {
  /** Show every header. */
  readonly verbose: boolean;
  readonly receiptTimeoutMs: number;
  /** What `version` says of this program. */
  readonly version: string;
}

interface Open {
  readonly holder: Holder;
  readonly subscription: ClientSubscription;
  readonly leaving: AbortController;
  /** Resolves when nothing of it is shown any more. */
  readonly reading: Promise<void>;
}

interface Current {
  readonly transaction: ClientTransaction;
  readonly settled: HeldMessage[];
  sent: number;
  /** Lets the client have it back, ended. */
  readonly release: () => void;
}

/** What has been sent, for whoever stops in the middle. */
export interface Sent {
  /** Done for good. */
  done: number;
  /** In transactions that were aborted. */
  undone: number;
}

export class Session {
  readonly house: House;
  readonly client: Client;
  readonly options: SessionOptions;
  readonly held: Held = new Held();
  readonly sent: Sent = { done: 0, undone: 0 };
  readonly #subscriptions = new Map<string, Open>();
  readonly #places = new Set<string>();
  #current: Current | undefined;
  #subscribing: string | undefined;
  #stopCounting: (() => void) | undefined;
  #counts = statistics();

  constructor(client: Client, house: House, options: SessionOptions) {
    this.client = client;
    this.house = house;
    this.options = options;
    void this.#watch();
  }

  get hasTransaction(): boolean {
    return this.#current !== undefined;
  }
  /** Sent in the transaction that is open. */
  get inTransaction(): number {
    return this.#current?.sent ?? 0;
  }
  /** Whether somebody waits for that subscription, and hears of its refusal. */
  isSubscribing(destination: string): boolean {
    return this.#subscribing === destination;
  }
  /** What is subscribed to, as it was typed. */
  get subscribed(): readonly string[] {
    return [...this.#subscriptions.keys()];
  }
  /** Every destination that was typed or seen. */
  get places(): readonly string[] {
    return [...this.#places];
  }

  // ------------------------------------------------------------------------------------------------------- subscriptions

  /** Without a mode each message is acknowledged when it has been shown. Rejects where the broker refuses. */
  async subscribe(place: string, mode: AckMode | undefined, signal: AbortSignal): Promise<void> {
    if (this.#subscriptions.has(place)) throw new WrongUsage(`${place} is subscribed to already`);
    const ack = mode ?? (this.client.profile?.settles === false ? 'auto' : 'client-individual');
    const subscription = this.client.subscribe(destination(place), { ack });
    this.#subscribing = subscription.destination;
    try {
      await Promise.race([subscription.ready, gone(signal)]);
    } catch (error) {
      await subscription.unsubscribe();
      throw error instanceof SubscriptionRefused ? error.cause : error; // it is not tried again
    } finally {
      this.#subscribing = undefined;
    }
    const holder: Holder = { name: place, id: subscription.id, cumulative: ack === 'client' };
    const leaving = new AbortController();
    const reading = this.#read(subscription, holder, mode, leaving.signal).catch((error: unknown) => {
      if (!leaving.signal.aborted && this.#subscriptions.delete(place)) this.house.tell(error);
    });
    this.#subscriptions.set(place, { holder, subscription, leaving, reading });
    this.note(place);
  }

  async unsubscribe(place: string): Promise<void> {
    const open = this.#subscriptions.get(place);
    if (open === undefined) throw new WrongUsage(`${place} is not subscribed to`);
    this.#subscriptions.delete(place);
    open.leaving.abort();
    this.held.drop(open.holder);
    await open.reading;
    await leave([open.subscription]);
  }

  async #read(
    subscription: ClientSubscription,
    holder: Holder,
    mode: AckMode | undefined,
    leaving: AbortSignal,
  ): Promise<void> {
    const signal = AbortSignal.any([leaving, this.house.stop]);
    for (;;) {
      if (this.held.isFull) {
        this.house.out.warn(
          `${this.held.ids.length} messages wait for an ack or nack: no more are read until some are settled`,
        );
        await Promise.race([this.held.room(), gone(signal)]);
      }
      const message = await subscription.next({ timeoutMs: 0, signal });
      this.note(message.destination);
      if (message.ackable && mode !== undefined) this.held.add(message, holder); // who sees it may settle it
      await this.house.out.print(this.#asText(message));
      if (mode === undefined) await acknowledge(message, this.house);
    }
  }

  #asText(message: Message): string | Uint8Array {
    const { out } = this.house;
    const text = shown(message, 'pretty', out);
    if (!this.options.verbose) return text;
    const all = [...message.headers].map(([name, value]) => out.dim(`  ${printable(name)}: ${printable(value)}\n`));
    return `${out.dim('MESSAGE')}\n${all.join('')}${text}`;
  }

  /** Somebody may want to type it again. */
  note(place: string): void {
    if (this.#places.size < MAX_PLACES) this.#places.add(place);
  }

  // ------------------------------------------------------------------------------------------------------------- sending

  /** In the open transaction, if one is. Without one it resolves when the broker has it, where the broker says so. */
  async send(place: string, body: Body, options: ClientSendOptions, signal: AbortSignal): Promise<void> {
    const to = destination(place);
    this.note(place);
    const current = this.#current;
    if (current === undefined) {
      await this.client.send(to, body, { ...options, signal });
      this.sent.done++;
      return;
    }
    const { confirm: _, ...rest } = options; // COMMIT's receipt is theirs
    await current.transaction.send(to, body, { ...rest, signal });
    current.sent++;
  }

  // ------------------------------------------------------------------------------------------------------------ settling

  /** Answers how many messages that settled. */
  async settle(
    outcome: 'ack' | 'nack',
    messageId: string,
    subscription: string | undefined,
    signal: AbortSignal,
  ): Promise<number> {
    const one = this.held.find(messageId, subscription);
    const taken = this.held.take(one, outcome);
    const current = this.#current;
    try {
      if (current === undefined) {
        const confirm = this.client.profile?.receipts === 'all';
        await one.message[outcome]({ confirm, signal, timeoutMs: this.options.receiptTimeoutMs });
      } else {
        await current.transaction[outcome](one.message);
        current.settled.push(...taken);
      }
    } catch (error) {
      if (!one.message.settled) this.held.putBack(taken);
      throw error;
    }
    return taken.length;
  }

  // -------------------------------------------------------------------------------------------------------- transactions

  async begin(signal: AbortSignal): Promise<void> {
    if (this.#current !== undefined) throw new WrongUsage('a transaction is open already: commit or abort it first');
    this.#current = await new Promise<Current>((resolve, reject) => {
      const work = (transaction: ClientTransaction): Promise<void> =>
        new Promise((release) => resolve({ transaction, settled: [], sent: 0, release }));
      this.client.transaction(work, { signal }).catch(reject);
    });
  }

  /** Answers what was in it. */
  async end(outcome: 'commit' | 'abort', signal: AbortSignal): Promise<{ sent: number; settled: number }> {
    const current = this.#current;
    if (current === undefined) throw new WrongUsage('no transaction is open: begin opens one');
    this.#current = undefined;
    const { transaction, settled, sent } = current;
    try {
      await transaction[outcome]({ signal, timeoutMs: this.options.receiptTimeoutMs });
      if (outcome === 'commit') this.sent.done += sent;
      else this.#undo(current);
    } finally {
      current.release();
    }
    return { sent, settled: settled.length };
  }

  #undo({ sent, settled }: Current): void {
    this.sent.undone += sent;
    this.held.putBack(settled); // they wait for their ACK again (T-08)
  }

  // ------------------------------------------------------------------------------------------------------------ counting

  get isCounting(): boolean {
    return this.#stopCounting !== undefined;
  }
  /** A line for each count that is not zero. */
  get counts(): string {
    return this.#counts.toString();
  }
  count(on: boolean): void {
    if (on === this.isCounting) return;
    this.#stopCounting?.();
    this.#stopCounting = undefined;
    if (!on) return;
    this.#counts = statistics();
    this.#stopCounting = this.client.observe('stats', this.#counts);
  }

  // ------------------------------------------------------------------------------------------------------------- the end

  // What came on a connection ends with it: messages to be settled, and the transaction (T-05).
  async #watch(): Promise<void> {
    for await (const status of this.client.status()) {
      if (status.type !== 'disconnected') continue;
      this.held.drop();
      const current = this.#current;
      if (current === undefined) continue;
      this.#current = undefined;
      this.sent.undone += current.sent;
      current.release();
      if (status.error !== undefined) this.house.out.warn('the open transaction went with its connection');
    }
  }

  /** Takes back what was not committed, and shows nothing more. What was not settled goes back to the broker. */
  async close(): Promise<void> {
    const current = this.#current;
    if (current !== undefined) {
      this.house.out.warn('the open transaction is aborted');
      await this.end('abort', new AbortController().signal).catch((error: unknown) => {
        if (!(error instanceof ConnectionLost)) throw error; // it went with its connection
      });
    }
    const open = [...this.#subscriptions.values()];
    for (const { leaving } of open) leaving.abort();
    await Promise.all(open.map(({ reading }) => reading));
    await leave(open.map(({ subscription }) => subscription));
  }
}

function gone(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) return reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
