// What one connection has sent and settled -> pieces of work for the engine: SENDs and
// settlements of one chunk are one, those of a transaction another, at its COMMIT.
//
//   send, settle, confirm ─► Batch ───────flush──► engine.commit ─► in order: receipts
//                        └─► Transaction ─commit─┘

import type { ServerSession } from '@stompbox/protocol';
import type { Answers, Failed } from './answers.ts';
import { type Consumer, type Consumers, putBack } from './consumers.ts';
import type { Delivery, Destination, Engine, Send, Settlement } from './engine/engine.ts';
import { Batch, Transaction } from './gathering.ts';
import type { BrokerLimits } from './limits.ts';
import { Refusal } from './refusal.ts';
import type { Counted } from './tally.ts';

/** What work needs of the broker. */
export interface WorkOwner {
  readonly engine: Engine;
  readonly limits: BrokerLimits;
  count(what: Counted, n: number): void;
  unexpected(error: unknown): void;
}

/** What work needs of its connection. */
export interface WorkPeer {
  /** Nothing more happens; what is found to be owed later is to be `undo`ne. */
  readonly isOver: boolean;
  undo(): void;
  /** More work is under way than before, or less. */
  throttle(): void;
  isThere(destination: Destination): boolean;
}

interface Parts {
  readonly owner: WorkOwner;
  readonly peer: WorkPeer;
  readonly session: ServerSession<Delivery>;
  readonly consumers: Consumers;
  readonly answers: Answers;
}

export class Work {
  readonly #owner: WorkOwner;
  readonly #peer: WorkPeer;
  readonly #session: ServerSession<Delivery>;
  readonly #consumers: Consumers;
  readonly #answers: Answers;
  readonly #transactions = new Map<string, Transaction>();
  #batch = new Batch();
  #chunkBytes = 0;
  #underWay = 0;

  constructor({ owner, peer, session, consumers, answers }: Parts) {
    this.#owner = owner;
    this.#peer = peer;
    this.#session = session;
    this.#consumers = consumers;
    this.#answers = answers;
  }

  /** Bytes of input whose effect is still awaited. */
  get underWay(): number {
    return this.#underWay;
  }

  /** Open transactions. */
  get transactions(): number {
    return this.#transactions.size;
  }

  /** So many bytes came; what is asked for from now on is in them. */
  came(bytes: number): void {
    this.#chunkBytes += bytes;
  }

  /** Throws Refusal where a transaction grows beyond a limit. */
  send(send: Send, transaction: string | undefined): void {
    if (transaction === undefined) this.#batch.sends.push(send);
    else this.#enlist(transaction).send(send);
  }

  /** Throws Refusal where a transaction grows beyond a limit. */
  settle(
    items: readonly Delivery[],
    outcome: Settlement['outcome'],
    consumer: Consumer | undefined,
    transaction: string | undefined,
  ): void {
    const gathering = transaction === undefined ? this.#batch : this.#enlist(transaction);
    gathering.settle(items, outcome, consumer);
    if (transaction === undefined) this.#count(outcome, items.length);
  }

  /** A receipt for what was asked for so far; `forSend`: the last SEND of this chunk has asked for it. */
  confirm(receipt: string, forSend: boolean): void {
    this.#batch.confirm(receipt, forSend);
  }

  begin(name: string): void {
    this.#transactions.set(name, new Transaction(this.#owner.limits));
  }

  abort(name: string): void {
    this.#transactions.delete(name);
  }

  commit(name: string, receipt: string | undefined): void {
    const transaction = this.#transactions.get(name);
    this.#transactions.delete(name);
    if (transaction === undefined) return;
    const { settlements } = transaction;
    const sends = transaction.sends.filter(({ destination }) => this.#peer.isThere(destination));
    this.#owner.count('droppedReplies', transaction.sends.length - sends.length);
    for (const { outcome } of settlements) this.#count(outcome, 1);
    this.#slow(
      this.#owner.engine.commit({ sends, settlements, atomic: true }),
      () => this.#answers.receipt(receipt),
      () => {
        // Nothing of it happened: what it would have settled goes back with the rest of this connection (T-06).
        this.#transactions.set(name, transaction);
        if (this.#peer.isOver) this.#peer.undo();
        return receipt;
      },
    );
    this.#consumers.credit(transaction.credits);
  }

  /** All that this chunk sent and settled, as one piece of work. */
  flush(): void {
    const batch = this.#batch;
    const { sends, settlements, receipts } = batch;
    if (batch.isEmpty) {
      if (this.#session.buffered === 0) this.#chunkBytes = 0; // otherwise they belong to a frame that is still coming
      return;
    }
    this.#batch = new Batch();
    this.#slow(
      this.#owner.engine.commit({ sends, settlements, atomic: false }),
      () => this.#answers.receipts(receipts),
      (at) => {
        if (at === undefined) {
          this.#release(settlements);
          return receipts[0]?.id;
        }
        // What came before the refused one stands, and gets its receipts.
        for (const { id, after } of receipts) if (after <= at) this.#session.receipt(id);
        return receipts.find(({ after, forSend }) => forSend && after === at + 1)?.id;
      },
    );
    this.#consumers.credit(batch.credits);
  }

  /** Transactions are void (E-07). Answers what they would have settled. */
  drop(): Delivery[] {
    const enlisted: Delivery[] = [];
    for (const { settlements } of this.#transactions.values())
      for (const { delivery } of settlements) enlisted.push(delivery);
    this.#transactions.clear();
    return enlisted;
  }

  #enlist(name: string): Transaction {
    const transaction = this.#transactions.get(name);
    if (transaction === undefined) throw new Refusal('limit', `transaction ${name} is not open`); // the session has seen to it
    transaction.enlist();
    return transaction;
  }

  #count(outcome: Settlement['outcome'], n: number): void {
    this.#owner.count(outcome === 'ack' ? 'acked' : 'nacked', n);
  }

  // Waits for work in its turn, and has input wait while too much of it is under way.
  #slow(work: Promise<void>, done: () => void, failed: Failed): void {
    const bytes = this.#chunkBytes;
    this.#chunkBytes = 0;
    this.#underWay += bytes;
    this.#answers.later(
      work.then(
        () => {
          this.#underWay -= bytes;
          this.#peer.throttle();
        },
        (error: unknown) => {
          this.#underWay -= bytes;
          throw error;
        },
      ),
      done,
      failed,
    );
    this.#peer.throttle();
  }

  #release(settlements: readonly Settlement[]): void {
    const deliveries = settlements.map(({ delivery }) => delivery);
    putBack(this.#owner.engine, deliveries).catch((error: unknown) => this.#owner.unexpected(error));
  }
}
