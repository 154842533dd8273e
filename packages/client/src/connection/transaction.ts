// SENDs and ACKs that happen together or not at all (T-03).
//
//   BEGIN ─► send, ack, nack, … ─┬─ COMMIT, awaited
//                                └─ ABORT, awaited
//
// Members ask for no receipts: RabbitMQ gives them only after COMMIT, so waiting for one
// inside would be waiting for ever. COMMIT's own receipt covers them all. A member
// that could not be sent is remembered, and commit() then aborts and rejects with it.

import { UsageError } from '../errors.ts';
import type { Body } from './body.ts';
import type { WaitOptions } from './inbox.ts';
import type { Message, SettleOptions } from './message.ts';
import type { SendOptions } from './send.ts';

export type TransactionSendOptions = Omit<SendOptions, 'transaction' | 'confirm' | 'timeoutMs'>;
export type TransactionSettleOptions = Pick<SettleOptions, 'headers'>;

/** What a transaction needs of its connection. */
export interface TransactionOwner<Destination, Options> {
  send(destination: Destination, body: Body, options: Options & { readonly transaction: string }): Promise<void>;
  ack(message: Message, options: SettleOptions): Promise<void>;
  nack(message: Message, options: SettleOptions): Promise<void>;
  demarcate(command: 'COMMIT' | 'ABORT', id: string, options: WaitOptions): Promise<void>;
}

export class Transaction<Destination = string, Options = TransactionSendOptions> {
  readonly id: string;
  readonly #owner: TransactionOwner<Destination, Options>;
  #failure: { readonly error: unknown } | undefined;
  #ending: { readonly command: 'COMMIT' | 'ABORT'; readonly answer: Promise<void> } | undefined;

  /** @internal */
  constructor(owner: TransactionOwner<Destination, Options>, id: string) {
    this.id = id;
    this.#owner = owner;
  }

  /** `commit()` or `abort()` was called. */
  get ended(): boolean {
    return this.#ending !== undefined;
  }

  /** Resolves when it is written and the connection takes more. What it rejects with, `commit()` rejects with too. */
  send(destination: Destination, body?: Body, options?: Options): Promise<void> {
    const all = { ...(options as Options), transaction: this.id };
    return this.#member(() => this.#owner.send(destination, body, all));
  }

  /** The message is settled if and when the transaction commits. */
  ack(message: Message, options: TransactionSettleOptions = {}): Promise<void> {
    return this.#member(() => this.#owner.ack(message, { ...options, transaction: this.id }));
  }

  nack(message: Message, options: TransactionSettleOptions = {}): Promise<void> {
    return this.#member(() => this.#owner.nack(message, { ...options, transaction: this.id }));
  }

  /**
   * All of it happens. Resolves on COMMIT's RECEIPT; rejects as `send` does. Where a member could not be sent, aborts and
   * rejects with that member's error.
   */
  async commit(options: WaitOptions = {}): Promise<void> {
    if (this.#ending?.command === 'COMMIT') return this.#ending.answer;
    if (this.#failure !== undefined) {
      await this.abort(options);
      throw this.#failure.error;
    }
    return this.#end('COMMIT', options);
  }

  /** None of it happens, and messages acknowledged in it wait for their ACK again (T-08). Resolves on ABORT's RECEIPT. */
  async abort(options: WaitOptions = {}): Promise<void> {
    if (this.#ending?.command === 'ABORT') return this.#ending.answer;
    return this.#end('ABORT', options);
  }

  /** @internal BEGIN could not be sent. */
  fail(error: unknown): void {
    this.#failure ??= { error };
  }

  #end(command: 'COMMIT' | 'ABORT', options: WaitOptions): Promise<void> {
    if (this.#ending !== undefined) return Promise.reject(this.#over());
    const answer = this.#owner.demarcate(command, this.id, options);
    this.#ending = { command, answer };
    return answer;
  }

  #member(say: () => Promise<void>): Promise<void> {
    if (this.#ending !== undefined) return Promise.reject(this.#over());
    const said = say();
    said.catch((error: unknown) => this.fail(error));
    return said;
  }

  #over(): UsageError {
    const how = this.#ending?.command === 'COMMIT' ? 'committed' : 'aborted';
    return new UsageError('unknown-transaction', `transaction ${JSON.stringify(this.id)} was ${how} before (T-04)`);
  }
}

/** COMMIT when `work` returns, ABORT when it throws; what `work` ended itself stays ended. Answers what `work` answers. */
export async function inTransaction<Result, Destination, Options>(
  transaction: Transaction<Destination, Options>,
  work: (transaction: Transaction<Destination, Options>) => Result | PromiseLike<Result>,
  options: WaitOptions,
): Promise<Result> {
  let result: Result;
  try {
    result = await work(transaction);
  } catch (error) {
    if (!transaction.ended) await transaction.abort(options).catch(() => {}); // a lost connection aborts as well (T-05)
    throw error;
  }
  if (!transaction.ended) await transaction.commit(options);
  return result;
}
