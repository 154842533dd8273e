// What one connection owes: subscriptions that are open, deliveries that wait for an
// ACK or NACK, transactions that wait for their end. The same books on both sides; a
// key is what names a delivery there (a number where it was made, a text where it came).
//
//   delivered ──ACK──► settled            delivered ──ACK in t──► enlisted ──COMMIT t──► settled
//                                             ▲                       └─────ABORT t──┐
//                                             └──────────────────────────────────────┘   (T-08)

import { quote } from './errors.ts';
import type { AckMode } from './frame.ts';

export type LedgerFault =
  | 'duplicate-subscription'
  | 'unknown-subscription'
  | 'unknown-ack'
  | 'duplicate-transaction'
  | 'unknown-transaction';

export interface Owed<Key, Item> {
  readonly key: Key;
  readonly item: Item;
  readonly subscription: Subscription<Key, Item>;
  /** The open transaction that settles it; undefined while it waits. */
  transaction: string | undefined;
}

export class Subscription<Key, Item> {
  /** Unique on its connection. A STOMP 1.0 subscription without an id has one of ours, and `named` is false. */
  readonly id: string;
  readonly named: boolean;
  readonly destination: string;
  readonly ack: AckMode;
  /** Counts up over the life of the connection. */
  readonly ordinal: number;
  /** In the order of delivery, which is what makes a cumulative ACK a prefix. */
  readonly owed: Map<Key, Owed<Key, Item>> = new Map();

  constructor(id: string, named: boolean, destination: string, ack: AckMode, ordinal: number) {
    this.id = id;
    this.named = named;
    this.destination = destination;
    this.ack = ack;
    this.ordinal = ordinal;
  }
}

export class Ledger<Key, Item> {
  readonly #fail: (fault: LedgerFault, detail: string) => never;
  readonly #subscriptions = new Map<string, Subscription<Key, Item>>();
  readonly #transactions = new Map<string, Owed<Key, Item>[]>();
  #ordinal = 0;

  /** `fail` throws the error of this side: the peer's fault on a server, the caller's on a client. */
  constructor(fail: (fault: LedgerFault, detail: string) => never) {
    this.#fail = fail;
  }

  get subscriptions(): ReadonlyMap<string, Subscription<Key, Item>> {
    return this.#subscriptions;
  }

  /** How many subscriptions there ever were. */
  get ordinals(): number {
    return this.#ordinal;
  }

  /** How many transactions are open. */
  get transactions(): number {
    return this.#transactions.size;
  }

  /** F-05: ids are unique on the connection; one may be used again after UNSUBSCRIBE. */
  subscribe(id: string | undefined, destination: string, ack: AckMode): Subscription<Key, Item> {
    const ordinal = this.#ordinal++;
    const name = id ?? `\0${ordinal}`; // no header can hold a NUL, so this cannot be anybody's id
    if (this.#subscriptions.has(name))
      this.#fail('duplicate-subscription', `there is a subscription ${quote(name)} already`);
    const subscription = new Subscription<Key, Item>(name, id !== undefined, destination, ack, ordinal);
    this.#subscriptions.set(name, subscription);
    return subscription;
  }

  /** Ends a subscription by its id (F-08). What it still owes is in `owed`; enlisted settlements stay enlisted. */
  unsubscribe(id: string): Subscription<Key, Item> {
    const subscription = this.#subscriptions.get(id);
    if (subscription === undefined) this.#fail('unknown-subscription', `there is no subscription ${quote(id)}`);
    this.#subscriptions.delete(id);
    return subscription;
  }

  /** STOMP 1.0 may name the destination instead: the oldest one without an id. */
  unsubscribeFrom(destination: string): Subscription<Key, Item> {
    for (const subscription of this.#subscriptions.values()) {
      if (!subscription.named && subscription.destination === destination) return this.unsubscribe(subscription.id);
    }
    return this.#fail('unknown-subscription', `there is no subscription to ${quote(destination)}`);
  }

  /** Notes a delivery that must be settled. */
  deliver(subscription: Subscription<Key, Item>, key: Key, item: Item): Owed<Key, Item> {
    const owed: Owed<Key, Item> = { key, item, subscription, transaction: undefined };
    const { size } = subscription.owed;
    subscription.owed.set(key, owed);
    if (subscription.owed.size === size) {
      subscription.owed.delete(key); // a peer that names two deliveries alike means the later one, in the later place
      subscription.owed.set(key, owed);
    }
    return owed;
  }

  /**
   * Settles the delivery, and in `client` mode every earlier one of its subscription. Inside a transaction
   * they are enlisted until its end. Answers what was settled, oldest first.
   */
  settle(subscription: Subscription<Key, Item>, key: Key, transaction: string | undefined): Item[] {
    const owed = subscription.owed.get(key);
    if (owed === undefined || owed.transaction !== undefined) {
      this.#fail('unknown-ack', 'that delivery is not waiting here: it was settled before, or never made');
    }
    const enlist = transaction === undefined ? undefined : this.#open(transaction);
    if (subscription.ack !== 'client') return [this.#take(owed, transaction, enlist)];
    const settled: Item[] = [];
    for (const earlier of subscription.owed.values()) {
      if (earlier.transaction === undefined) settled.push(this.#take(earlier, transaction, enlist));
      if (earlier === owed) break;
    }
    return settled;
  }

  #take(owed: Owed<Key, Item>, transaction: string | undefined, enlist: Owed<Key, Item>[] | undefined): Item {
    if (enlist === undefined) forget(owed);
    else {
      owed.transaction = transaction;
      enlist.push(owed);
    }
    return owed.item;
  }

  isOpen(transaction: string): boolean {
    return this.#transactions.has(transaction);
  }

  /** T-02: ids of open transactions differ; one may be used again after COMMIT or ABORT. */
  begin(transaction: string): void {
    if (this.#transactions.has(transaction))
      this.#fail('duplicate-transaction', `transaction ${quote(transaction)} is open already`);
    this.#transactions.set(transaction, []);
  }

  /** T-04. */
  check(transaction: string): void {
    this.#open(transaction);
  }

  commit(transaction: string): void {
    for (const owed of this.#open(transaction)) forget(owed);
    this.#transactions.delete(transaction);
  }

  /**
   * The deliveries it had enlisted wait again, in their old places (T-08). Answers those that cannot, because their
   * subscription has ended: nobody will settle them now.
   */
  abort(transaction: string): Item[] {
    const orphans: Item[] = [];
    for (const owed of this.#open(transaction)) {
      owed.transaction = undefined;
      if (this.#subscriptions.get(owed.subscription.id) === owed.subscription) continue;
      forget(owed);
      orphans.push(owed.item);
    }
    this.#transactions.delete(transaction);
    return orphans;
  }

  #open(transaction: string): Owed<Key, Item>[] {
    const enlisted = this.#transactions.get(transaction);
    if (enlisted === undefined) this.#fail('unknown-transaction', `there is no open transaction ${quote(transaction)}`);
    return enlisted;
  }
}

function forget<Key, Item>(owed: Owed<Key, Item>): void {
  if (owed.subscription.owed.get(owed.key) === owed) owed.subscription.owed.delete(owed.key);
}
