// Sends and settlements on their way to becoming one piece of work: those of a chunk of
// input, and those of a transaction until its COMMIT.

import type { Consumer } from './consumers.ts';
import type { Delivery, Send, Settlement } from './engine/engine.ts';
import { Refusal } from './refusal.ts';

class Gathering {
  readonly sends: Send[] = [];
  readonly settlements: Settlement[] = [];
  /** How many deliveries more each consumer may have once this is under way. */
  readonly credits: Map<Consumer, number> = new Map();

  settle(items: readonly Delivery[], outcome: Settlement['outcome'], consumer: Consumer | undefined): void {
    for (const delivery of items) this.settlements.push({ delivery, outcome });
    if (consumer !== undefined) this.credits.set(consumer, (this.credits.get(consumer) ?? 0) + items.length);
  }
}

/** What one chunk has asked for so far. */
export class Batch extends Gathering {
  /** Receipts, how many of `sends` came before each, and whether it is the last of these that asked for it. */
  readonly receipts: { readonly id: string; readonly after: number; readonly forSend: boolean }[] = [];

  get isEmpty(): boolean {
    return this.sends.length === 0 && this.settlements.length === 0 && this.receipts.length === 0;
  }

  confirm(id: string, forSend: boolean): void {
    this.receipts.push({ id, after: this.sends.length, forSend });
  }
}

/** What a transaction may gather. */
interface TransactionLimits {
  readonly maxTransactionFrames: number;
  readonly maxTransactionBytes: number;
}

/** Throws Refusal where it grows beyond a limit (T-07). */
export class Transaction extends Gathering {
  readonly #limits: TransactionLimits;
  #frames = 0;
  #bytes = 0;

  constructor(limits: TransactionLimits) {
    super();
    this.#limits = limits;
  }

  send(send: Send): void {
    this.#bytes += send.content.bytes.length;
    const { maxTransactionBytes } = this.#limits;
    if (this.#bytes > maxTransactionBytes) {
      throw new Refusal('limit', `the transaction holds more than ${maxTransactionBytes} bytes (maxTransactionBytes)`);
    }
    this.sends.push(send);
  }

  /** One SEND, ACK or NACK more. */
  enlist(): void {
    const { maxTransactionFrames } = this.#limits;
    if (++this.#frames > maxTransactionFrames) {
      throw new Refusal(
        'limit',
        `the transaction holds more than ${maxTransactionFrames} frames (maxTransactionFrames)`,
      );
    }
  }
}
