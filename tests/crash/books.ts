// What the clients know of every message, and what they hold against the broker.
//
// A life is the time from one start of the broker to its end. The rules:
//
//   confirmed                 it is delivered, sooner or later, until its settlement is confirmed
//   settlement confirmed      it never comes back
//   a transaction             all of it has happened, or none; unknown outcomes included
//   first deliveries          in the order of their producer, for each reader
//   a second delivery         is marked redelivered, in whatever life; a first one in the message's own life is not
//   aborted, or never sent    is never seen
//
// An outcome that got lost with the connection is unknown: either is fine, but not half of it.

import type { Message } from '@stompbox/client';
import type { View } from './process.ts';

type Fate = 'open' | 'confirmed' | 'unknown' | 'never';

export interface Sent {
  readonly id: string;
  readonly producer: string;
  readonly queue: string;
  readonly seq: number;
  readonly size: number;
  readonly life: number;
  fate: Fate;
  /** Lives in which it was delivered, one entry each time. */
  readonly seen: number[];
  readonly seenDead: number[];
  nacked: boolean;
  settled: 'no' | 'tried' | 'confirmed';
  triedIn: number;
}

export interface Deal {
  readonly life: number;
  readonly sends: Sent[];
  readonly acks: Sent[];
  fate: Fate;
}

export const AT_MOST_ONCE = 'auto'; // the queue whose consumer does not acknowledge
const LARGEST = 65_536;
const FILLING = Buffer.from(Array.from({ length: LARGEST }, (_, i) => (i * 31 + (i >> 8)) & 0xff));
const DEAD = '/queue/dlq.';

export class Books {
  readonly problems: string[] = [];
  life = 0;
  /** The broker is closing in order: what still comes is refused. */
  stopping = false;
  readonly #sent = new Map<string, Sent>();
  readonly #deals: Deal[] = [];
  readonly #seqs = new Map<string, number>();
  readonly #orders = new Map<string, number>();
  #events = 0;
  #target = Number.POSITIVE_INFINITY;
  #reached: () => void = () => {};
  duplicates = 0;

  problem(text: string): void {
    if (this.problems.length < 50) this.problems.push(`life ${this.life}: ${text}`);
    this.#reached(); // no need to go on
  }

  /** Resolves when `n` more things have happened, or something went wrong. */
  events(n: number): Promise<void> {
    this.#target = this.#events + n;
    return new Promise((resolve) => {
      this.#reached = resolve;
    });
  }

  happened(): void {
    if (++this.#events === this.#target) this.#reached();
  }

  // ------------------------------------------------------------------------------------------------------- producers

  sends(producer: string, queue: string, size: number): Sent {
    const stream = `${producer}.${queue}`;
    const seq = (this.#seqs.get(stream) ?? 0) + 1;
    this.#seqs.set(stream, seq);
    const id = `${stream}.${seq}`;
    const sent: Sent = {
      id,
      producer,
      queue,
      seq,
      size,
      life: this.life,
      fate: 'open',
      seen: [],
      seenDead: [],
      nacked: false,
      settled: 'no',
      triedIn: 0,
    };
    this.#sent.set(id, sent);
    this.happened();
    return sent;
  }

  deal(): Deal {
    const deal: Deal = { life: this.life, sends: [], acks: [], fate: 'open' };
    this.#deals.push(deal);
    return deal;
  }

  ends(deal: Deal, fate: Fate): void {
    deal.fate = fate;
    for (const sent of deal.sends) {
      if (fate === 'never' && sent.seen.length > 0) this.problem(`${sent.id} was seen and then not committed`);
      sent.fate = fate;
    }
    for (const sent of deal.acks) {
      if (fate === 'confirmed') this.settled(sent);
      else if (fate === 'never') sent.settled = 'no';
    }
    this.happened();
  }

  bodyOf({ id, size }: Sent): Buffer {
    return Buffer.concat([Buffer.from(`${id}\n`), FILLING.subarray(0, Math.max(0, size - id.length - 1))]);
  }

  // ------------------------------------------------------------------------------------------------------- consumers

  /** Who got it; undefined where it is not ours. */
  delivered(message: Message, reader: string): Sent | undefined {
    this.happened();
    const id = message.headers.get('book-id') ?? '';
    const sent = this.#sent.get(id);
    if (sent === undefined) {
      this.problem(`a message that nobody sent: ${JSON.stringify(id)}`);
      return undefined;
    }
    if (!this.bodyOf(sent).equals(message.bytes)) this.problem(`${id} came with another body`);
    if (sent.fate === 'never') this.problem(`${id} was not committed, and comes all the same`);
    const isDead = message.destination.startsWith(DEAD);
    if (isDead && !sent.nacked) this.problem(`${id} is dead, though nobody refused it`);
    if (!isDead && message.destination !== `/queue/${sent.queue}`)
      this.problem(`${id} came from ${message.destination}`);
    if (sent.settled === 'confirmed') this.problem(`${id} comes back after its settlement was confirmed`);
    const seen = isDead ? sent.seenDead : sent.seen;
    if (seen.length > 0) {
      this.duplicates++;
      if (!message.redelivered) this.problem(`${id} comes again, and is not marked redelivered (seen in ${seen})`);
    } else if (!isDead) {
      if (message.redelivered && sent.life === this.life)
        this.problem(`${id} comes for the first time, and is marked redelivered`);
      const stream = `${reader} ${sent.producer} ${sent.queue}`;
      const before = this.#orders.get(stream) ?? 0;
      if (sent.seq < before) this.problem(`${id} comes after ${before}, out of order`);
      this.#orders.set(stream, sent.seq);
    }
    seen.push(this.life);
    if (sent.settled === 'tried') sent.settled = 'no'; // it was not taken after all
    return sent;
  }

  settles(sent: Sent): void {
    sent.settled = 'tried';
    sent.triedIn = this.life;
  }

  settled(sent: Sent): void {
    sent.settled = 'confirmed';
    this.happened();
  }

  // --------------------------------------------------------------------------------------------------------- the sums

  /** What the broker says it holds, against what it may hold. */
  compare(view: View): void {
    const least = new Map<string, number>();
    const most = new Map<string, number>();
    for (const sent of this.#sent.values()) {
      const { queue, fate, settled, nacked } = sent;
      if (fate === 'never' || settled === 'confirmed') continue;
      most.set(queue, (most.get(queue) ?? 0) + 1);
      if (fate === 'confirmed' && settled === 'no' && !nacked && queue !== AT_MOST_ONCE)
        least.set(queue, (least.get(queue) ?? 0) + 1);
    }
    const found = new Map(view.queues.map(({ name, waiting, unsettled }) => [name, waiting + unsettled]));
    for (const queue of new Set([...found.keys(), ...most.keys()])) {
      if (queue.startsWith('dlq.')) continue;
      const count = found.get(queue) ?? 0;
      const from = least.get(queue) ?? 0;
      const to = most.get(queue) ?? 0;
      if (count < from || count > to) this.problem(`${queue} holds ${count}, not ${from} to ${to}`);
    }
  }

  /** After the queues were drained and everything in them acknowledged. */
  close(): {
    confirmed: number;
    unknown: number;
    duplicates: number;
    transactions: number;
    unknownTransactions: number;
  } {
    for (const sent of this.#sent.values()) {
      if (sent.fate === 'open') this.problem(`${sent.id} has no outcome`);
      if (sent.fate !== 'confirmed') continue;
      if (sent.queue === AT_MOST_ONCE) this.#checkLostInFlight(sent);
      else if (sent.settled === 'no')
        this.problem(`${sent.id} was confirmed and is lost (sent in ${sent.life}, seen in ${sent.seen})`);
    }
    for (const deal of this.#deals) if (deal.fate === 'unknown') this.#checkWhole(deal);
    const all = [...this.#sent.values()];
    return {
      confirmed: all.filter(({ fate }) => fate === 'confirmed').length,
      unknown: all.filter(({ fate }) => fate === 'unknown').length,
      duplicates: this.duplicates,
      transactions: this.#deals.filter(({ fate }) => fate === 'confirmed').length,
      unknownTransactions: this.#deals.filter(({ fate }) => fate === 'unknown').length,
    };
  }

  // At most once: it may be lost on its way to a consumer when the broker dies, but only the last ones can.
  #checkLostInFlight(sent: Sent): void {
    if (sent.seen.length > 0) return;
    const later = [...this.#sent.values()].find(
      ({ queue, producer, seq, seen }) =>
        queue === sent.queue && producer === sent.producer && seq > sent.seq && seen.includes(sent.life),
    );
    if (later !== undefined) this.problem(`${sent.id} was left out before ${later.id}`);
  }

  #checkWhole(deal: Deal): void {
    const happened: string[] = [];
    const not: string[] = [];
    for (const sent of deal.sends) {
      if (sent.settled === 'confirmed' || sent.seen.some((life) => life > deal.life)) happened.push(sent.id);
      else if (sent.settled === 'no') not.push(sent.id); // a "tried" one may have been there
    }
    for (const sent of deal.acks) {
      if (sent.seen.some((life) => life > deal.life)) not.push(`ACK of ${sent.id}`);
      else if (sent.fate === 'confirmed' || sent.life < deal.life) happened.push(`ACK of ${sent.id}`);
    }
    if (happened.length > 0 && not.length > 0) this.problem(`half a transaction: ${happened} happened, ${not} not`);
  }
}
