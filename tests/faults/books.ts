// What producers and consumers know of every message, and what they hold against client and broker.
//
//   confirmed             it is delivered, sooner or later
//   rejected, unsent      it is never seen
//   unknown               either is fine
//   a transaction         all of it has happened, or none (where the broker promises that). What was seen before the broker
//                         was killed need not have: it is delivered at once, and confirmed when it is on the disk
//   an ack confirmed      the message never comes back, on whatever connection was made since
//   a second delivery     is marked so; a line that was silent may bring the first one late (where the broker marks at all)
//   an ack                names a delivery of its own connection, and none of an earlier one
//   every promise         settles

import { BrokerError, ConnectionLost, type Message, type Observer, TimeoutError } from '@stompbox/client';

/** What became of a send. There is no fifth. */
export const OUTCOMES = ['confirmed', 'rejected', 'unknown', 'unsent'] as const;
export type SendOutcome = (typeof OUTCOMES)[number];

export interface Sent {
  readonly id: string;
  readonly size: number;
  readonly life: number;
  outcome: SendOutcome | 'open';
  deliveries: number;
  /** Of these, the life of the last one that was not marked as another one. */
  unmarkedIn: number | undefined;
  /** It was there after a restart, or an ACK of it was confirmed. */
  survived: boolean;
  /** When an ACK of it was confirmed, and where. */
  settled: { readonly at: number; readonly on: Line } | undefined;
}

/** What is looked at of a message. */
export type Came = Pick<Message, 'bytes' | 'redelivered'> & {
  readonly headers: { get(name: string): string | undefined };
};

/** A connection of a consumer, and when it was made. */
export interface Line {
  readonly born: number;
}

export interface Rules {
  /**
   * A second delivery of a message is marked `redelivered`. `in-one-life`: not after a restart, where what was delivered and
   * not yet on the disk is gone, and was sent again.
   */
  readonly marksRedelivered: 'always' | 'in-one-life' | 'never';
  /** A COMMIT is all or nothing, also when the connection breaks. */
  readonly atomic: boolean;
}

export type Figures = Record<SendOutcome | 'sends' | 'delivered' | 'again' | 'acks' | 'stale', number>;

const MOST_PROBLEMS = 20;
const FILLING = Buffer.from(Array.from({ length: 65_536 }, (_, i) => (i * 31 + (i >> 8)) & 0xff));

export class Books {
  readonly problems: string[] = [];
  readonly #rules: Rules;
  readonly #sent = new Map<string, Sent>();
  readonly #deals: Sent[][] = [];
  /** How often the broker was started. */
  life = 0;
  #time = 0;
  #missing = 0; // confirmed, and not seen yet
  #again = 0;
  #acks = 0;
  #stale = 0;

  constructor(rules: Rules) {
    this.#rules = rules;
  }

  problem(text: string): void {
    if (this.problems.length < MOST_PROBLEMS) this.problems.push(text);
  }

  /** How many confirmed messages nobody has seen yet. */
  get missing(): number {
    return this.#missing;
  }

  // -------------------------------------------------------------------------------------------------------- producers

  sends(producer: string, size: number): Sent {
    const sent: Sent = {
      id: `${producer}.${this.#sent.size}`,
      size,
      life: this.life,
      outcome: 'open',
      deliveries: 0,
      unmarkedIn: undefined,
      survived: false,
      settled: undefined,
    };
    this.#sent.set(sent.id, sent);
    return sent;
  }

  bodyOf({ id, size }: Sent): Buffer {
    return Buffer.concat([Buffer.from(`${id}\n`), FILLING.subarray(0, Math.max(0, size - id.length - 1))]);
  }

  confirmed(...all: Sent[]): void {
    for (const sent of all) {
      this.#ends(sent, 'confirmed');
      if (sent.deliveries === 0) this.#missing++;
    }
  }

  failed(error: unknown, ...all: Sent[]): void {
    const outcome = this.#outcomeOf(error);
    for (const sent of all) {
      this.#ends(sent, outcome);
      if (sent.deliveries > 0 && outcome !== 'unknown')
        this.problem(`${sent.id} was seen, and is ${outcome}: ${error}`);
    }
  }

  /** These belong to one transaction. */
  deal(all: Sent[]): void {
    this.#deals.push(all);
  }

  #ends(sent: Sent, outcome: SendOutcome): void {
    if (sent.outcome !== 'open') this.problem(`${sent.id} is ${sent.outcome} and then ${outcome}`);
    sent.outcome = outcome;
  }

  #outcomeOf(error: unknown): SendOutcome {
    if (error instanceof BrokerError) return 'rejected';
    if (error instanceof ConnectionLost || error instanceof TimeoutError) return error.outcome;
    this.problem(`a send failed with something else: ${error}`);
    return 'unknown';
  }

  // -------------------------------------------------------------------------------------------------------- consumers

  /** Which one it is; undefined where nobody sent it. */
  delivered(message: Came, line: Line): Sent | undefined {
    const id = message.headers.get('book-id') ?? '';
    const sent = this.#sent.get(id);
    if (sent === undefined) {
      this.problem(`a message that nobody sent: ${JSON.stringify(id)}`);
      return undefined;
    }
    if (!this.bodyOf(sent).equals(message.bytes)) this.problem(`${id} came with another body`);
    if (sent.outcome === 'rejected' || sent.outcome === 'unsent') this.problem(`${id} is ${sent.outcome}, and comes`);
    const { settled } = sent;
    if (settled !== undefined && (settled.on === line || settled.at < line.born))
      this.problem(`${id} comes back after its ACK was confirmed`);
    if (!message.redelivered) {
      if (this.#mustBeMarked(sent)) this.problem(`${id} comes again, and is not marked so`);
      sent.unmarkedIn = this.life;
    }
    if (this.life > sent.life) sent.survived = true;
    if (sent.deliveries++ > 0) this.#again++;
    else if (sent.outcome === 'confirmed') this.#missing--;
    return sent;
  }

  #mustBeMarked({ unmarkedIn }: Sent): boolean {
    if (unmarkedIn === undefined || this.#rules.marksRedelivered === 'never') return false;
    return this.#rules.marksRedelivered === 'always' || unmarkedIn === this.life;
  }

  /** An ACK that the broker confirms, or not. */
  async acks(sent: Sent, line: Line, acked: Promise<void>): Promise<void> {
    try {
      await acked;
      sent.survived = true;
      sent.settled = { at: ++this.#time, on: line };
      this.#acks++;
    } catch (error) {
      if (!(error instanceof ConnectionLost || error instanceof TimeoutError))
        this.problem(`the ACK of ${sent.id} failed with ${error}`);
    }
  }

  /** An ACK of a message whose connection is gone: it must fail, and have cost nothing. */
  async acksLate(sent: Sent, acked: Promise<void>): Promise<void> {
    try {
      await acked;
      this.problem(`${sent.id} was acked after its connection had gone`);
    } catch (error) {
      this.#stale++;
      if (!(error instanceof ConnectionLost && error.outcome === 'unsent'))
        this.problem(`the late ACK of ${sent.id} failed with ${error}`);
    }
  }

  /** A connection that is made now. */
  line(): Line {
    return { born: ++this.#time };
  }

  /** Watches one client: an ACK that names no delivery of the same connection is a problem. */
  watch(name: string): { readonly observer: Observer; line(): Line } {
    const open = new Set<string>();
    let line = this.line();
    const observer: Observer = {
      connected: () => {
        open.clear();
        line = this.line();
      },
      frameReceived: (frame) => {
        const tag = frame.command === 'MESSAGE' ? frame.headers.get('ack') : undefined;
        if (tag !== undefined) open.add(tag);
      },
      frameSent: (frame) => {
        if (frame.command !== 'ACK' && frame.command !== 'NACK') return;
        const tag = frame.headers.get('id') ?? '';
        if (!open.delete(tag)) this.problem(`${name} settles ${tag}, which did not come on this connection`);
      },
    };
    return { observer, line: () => line };
  }

  // --------------------------------------------------------------------------------------------------------- the sums

  /** When everything is over and the queues are empty. */
  close(): Figures {
    const figures: Figures = {
      sends: this.#sent.size,
      confirmed: 0,
      rejected: 0,
      unknown: 0,
      unsent: 0,
      delivered: 0,
      again: this.#again,
      acks: this.#acks,
      stale: this.#stale,
    };
    for (const { id, outcome, deliveries } of this.#sent.values()) {
      if (outcome === 'open') this.problem(`${id} has no outcome`);
      else figures[outcome]++;
      if (deliveries > 0) figures.delivered++;
      else if (outcome === 'confirmed') this.problem(`${id} was confirmed, and is lost`);
    }
    if (this.#rules.atomic) {
      for (const deal of this.#deals) {
        const happened = deal.filter(({ survived }) => survived);
        const not = deal.filter(({ deliveries }) => deliveries === 0);
        if (happened.length > 0 && not.length > 0)
          this.problem(`half a transaction: ${happened.map(({ id }) => id)} happened, ${not.map(({ id }) => id)} not`);
      }
    }
    return figures;
  }
}
