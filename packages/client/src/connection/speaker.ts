// Frames out, and the answer to each: the RECEIPT where one was asked for, otherwise that
// the channel takes more.
//
//   say ──► session ─► Writer                     answer ◄─┬─ Receipts      receipt asked for
//    │                                                     └─ Writer.ready  fire and forget
//    └─ while a body is streamed: StreamedSends.behind, then the same
//
// Whether anything may be said is for the connection to know; what a frame may say, for the
// session, which throws before a byte is written.

import { type ClientSession, type Frame, frame, type OwedMessage, UsageError } from '@stompbox/protocol';
import type { Clock } from '../clock.ts';
import type { Hooks } from '../observers/hooks.ts';
import { type Body, isSource, type Source } from './body.ts';
import type { WaitOptions } from './inbox.ts';
import type { SettleOptions } from './message.ts';
import type { Receipts } from './receipts.ts';
import { type SendOptions, sendFrame } from './send.ts';
import type { StreamedSends } from './streamed-send.ts';
import type { Timer } from './timer.ts';
import type { Writer } from './writer.ts';

/** What a speaker speaks with. */
export interface Voice {
  readonly session: ClientSession;
  readonly writer: Writer;
  readonly receipts: Receipts;
  readonly streams: StreamedSends;
  readonly timer: Timer;
  readonly hooks: Hooks;
  readonly clock: Clock;
  readonly receiptTimeoutMs: number;
}

type SayOptions = WaitOptions & Pick<SendOptions, 'announceLength'>;

export class Speaker {
  readonly #session: ClientSession;
  readonly #writer: Writer;
  readonly #receipts: Receipts;
  readonly #streams: StreamedSends;
  readonly #timer: Timer;
  readonly #hooks: Hooks;
  readonly #clock: Clock;
  readonly #receiptTimeoutMs: number;
  #ids = 0;

  constructor(voice: Voice) {
    this.#session = voice.session;
    this.#writer = voice.writer;
    this.#receipts = voice.receipts;
    this.#streams = voice.streams;
    this.#timer = voice.timer;
    this.#hooks = voice.hooks;
    this.#clock = voice.clock;
    this.#receiptTimeoutMs = voice.receiptTimeoutMs;
  }

  /** Writes the frame now, or behind the body that is being streamed. `receipt` is waited for; `about` is for its TimeoutError. */
  say(said: Frame, receipt: string | undefined, options: SayOptions, about: string): Promise<void> {
    if (this.#streams.underWay) {
      const later = this.#streams.behind(options.signal, () => this.say(said, receipt, options, about));
      if (receipt === undefined) later.catch(() => {}); // as Writer.ready: who does not listen is not told
      return later;
    }
    const written = this.#hooks.leaving(said);
    this.#session.send(written, options.announceLength);
    this.#said(written, receipt === undefined);
    return receipt === undefined
      ? this.#writer.ready()
      : this.#receipt(receipt, `the RECEIPT of ${said.command} ${about}`, options);
  }

  /** `say` with a receipt. */
  confirmed(
    command: 'COMMIT' | 'ABORT' | 'UNSUBSCRIBE' | 'DISCONNECT',
    headers: Readonly<Record<string, string>>,
    about: string,
    options: WaitOptions,
  ): Promise<void> {
    const receipt = this.receiptId();
    return this.say(frame(command, Object.entries({ ...headers, receipt })), receipt, options, about);
  }

  send(destination: string, body: Body, options: SendOptions): Promise<void> {
    const confirm = isConfirmed(options);
    options.signal?.throwIfAborted();
    if (confirm && options.transaction !== undefined) throw confirmedByCommit();
    if (isSource(body)) return this.#stream(destination, body, options, confirm);
    const receipt = confirm ? this.receiptId() : undefined;
    const isOurs = typeof body === 'string' && body !== '' && !this.#streams.underWay && !this.#hooks.seesLeaving;
    const encoded = isOurs ? this.#writer.encoded(body) : undefined;
    return this.say(sendFrame(destination, body, options, receipt, encoded), receipt, options, destination);
  }

  #stream(destination: string, source: Source, options: SendOptions, confirm: boolean): Promise<void> {
    if (this.#streams.underWay) {
      return this.#streams.behind(options.signal, () => this.#stream(destination, source, options, confirm));
    }
    const receipt = confirm ? this.receiptId() : undefined;
    const head = sendFrame(destination, source, options, receipt);
    return this.#streams.send(head, source, options, () =>
      receipt === undefined
        ? this.#writer.ready()
        : this.#receipt(receipt, `the RECEIPT of SEND ${destination}`, options),
    );
  }

  settle(owed: OwedMessage, outcome: 'ACK' | 'NACK', options: SettleOptions): Promise<void> {
    const { confirm = false, transaction } = options;
    if (confirm && transaction !== undefined) throw confirmedByCommit();
    options.signal?.throwIfAborted();
    if (this.#streams.underWay) {
      return this.#streams.behind(options.signal, () => this.settle(owed, outcome, options));
    }
    if (this.#session.subscriptions.get(owed.subscription.id) !== owed.subscription) {
      throw new UsageError('unknown-ack', 'its subscription has ended, and the broker took it back (F-10)');
    }
    const receipt = confirm ? this.receiptId() : undefined;
    const headers = {
      ...(transaction === undefined ? {} : { transaction }),
      ...(receipt === undefined ? {} : { receipt }),
      ...options.headers,
    };
    const said = this.#session.settle(owed, outcome, headers, this.#leaving);
    this.#said(said, false);
    return receipt === undefined
      ? this.#writer.ready()
      : this.#receipt(receipt, `the RECEIPT of ${outcome} ${owed.key}`, options);
  }

  receiptId(): string {
    let id: string;
    do id = `r-${++this.#ids}`;
    while (this.#session.receipts.has(id)); // somebody may have asked for it with sendFrame
    return id;
  }

  subscriptionId(): string {
    let id: string;
    do id = `sub-${++this.#ids}`;
    while (this.#session.subscriptions.has(id));
    return id;
  }

  transactionId(): string {
    return `tx-${++this.#ids}`;
  }

  readonly #leaving = (said: Frame): Frame => this.#hooks.leaving(said);

  #said(said: Frame, alone: boolean): void {
    this.#hooks.show('frameSent', said);
    this.#writer.soon(alone);
  }

  #receipt(id: string, what: string, options: WaitOptions): Promise<void> {
    const { timeoutMs = this.#receiptTimeoutMs, signal } = options;
    const answer = this.#receipts.wait(id, what, timeoutMs, signal, this.#clock.now());
    this.#timer.armFor(this.#receipts.deadline);
    return answer;
  }
}

/** Whether a SEND asks for a receipt: by default outside of a transaction. */
export function isConfirmed(options: SendOptions): boolean {
  return options.confirm ?? options.transaction === undefined;
}

function confirmedByCommit(): UsageError {
  return new UsageError('bad-option', 'in a transaction COMMIT confirms; `confirm` may not be true (R-05)');
}
