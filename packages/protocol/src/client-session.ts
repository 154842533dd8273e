// A session from the client's end: what is said to the server, checked before a byte
// is written, and what the server says, checked before anybody acts on it.
//
// UsageError is thrown to the caller and nothing was sent. What the server got wrong
// is the event `fault`, and the session is over.

import type { EncoderOptions } from './encoder.ts';
import { ProtocolError, quote, UsageError } from './errors.ts';
import { ACK_MODES, type AckMode, type Command, type Frame, frame } from './frame.ts';
import {
  agree,
  formatHeartBeat,
  type HeartBeatOffer,
  type HeartBeatPeriods,
  NO_HEART_BEAT,
  parseHeartBeat,
} from './heart-beat.ts';
import { Ledger, type Owed, type Subscription } from './ledger.ts';
import { type Fault, HEART_BEAT_EVENT, Session, type SessionOptions } from './session.ts';
import { move } from './transitions.ts';
import { chosen, GRAMMARS, VERSIONS, type Version } from './version.ts';

export interface ClientSessionOptions extends SessionOptions {
  /** What to offer, ascending; default all three (N-05). */
  readonly versions?: readonly Version[] | undefined;
  /** Default 10 000 ms each way (section 2.2: portable client default). */
  readonly heartBeat?: HeartBeatOffer | undefined;
  /** H-10: heart-beats that a 1.0 server agrees to, which 1.0 does not know, are kept. Default true. */
  readonly heartBeatIn10?: boolean | undefined;
  /**
   * X-29, S-11: `profile` takes an ERROR that names an open subscription as the end of that one alone, which is how RabbitMQ
   * cancels. Default `fatal`: any ERROR ends the session.
   */
  readonly errorPolicy?: 'fatal' | 'profile' | undefined;
  /** MESSAGE bodies larger than this many bytes come in pieces. Absent: never. */
  readonly streamBodiesOver?: number | undefined;
}

/** A subscription as the client keeps it; a delivery's key is the text that names it in an ACK. */
export type ClientSubscription = Subscription<string, Frame>;
/** A MESSAGE that waits for its ACK or NACK. */
export type OwedMessage = Owed<string, Frame>;

export type ClientEvent =
  | {
      readonly type: 'connected';
      readonly frame: Frame;
      readonly version: Version;
      readonly heartBeat: HeartBeatPeriods;
    }
  | {
      readonly type: 'message';
      readonly frame: Frame;
      /** Undefined where no open subscription is meant (S-13). */
      readonly subscription: ClientSubscription | undefined;
      /** What `settle` takes; undefined where nothing is to be settled (M-141). */
      readonly owed: OwedMessage | undefined;
      /** The body follows as `piece` events. `length` is undefined where it was not announced. */
      readonly streaming: boolean;
      readonly length: number | undefined;
    }
  | { readonly type: 'piece'; readonly bytes: Uint8Array; readonly last: boolean }
  /** `expected` is false for a receipt nobody asked for, or one without an id (M-132). */
  | { readonly type: 'receipt'; readonly frame: Frame; readonly id: string | undefined; readonly expected: boolean }
  /** The server refused something; the session is over (E-06, S-11) unless that `cancelled` only a subscription. */
  | {
      readonly type: 'error';
      readonly frame: Frame;
      readonly receipt: string | undefined;
      readonly cancelled: ClientSubscription | undefined;
    }
  | { readonly type: 'heart-beat' }
  | Fault;

const DESTINATION = ['destination'] as const;
const NOT_ONE_OF_OURS = { type: 'message', subscription: undefined, owed: undefined } as const;

export class ClientSession extends Session {
  readonly #options: ClientSessionOptions;
  readonly #versions: readonly Version[];
  // What CONNECT said, which may be another's word than ours: `send` takes any frame.
  #offer: HeartBeatOffer = NO_HEART_BEAT;
  #offered: readonly Version[] = [];
  readonly #ledger = new Ledger<string, Frame>((code, detail) => {
    throw new UsageError(code, detail);
  });
  readonly #receipts = new Set<string>();
  #out: { length: number | undefined; written: number } | undefined; // the streamed body being sent

  constructor(options: ClientSessionOptions, now: number) {
    super(options, now, 'throw');
    this.#options = options;
    this.#versions = VERSIONS.filter((version) => (options.versions ?? VERSIONS).includes(version)); // N-05: ascending
  }

  get subscriptions(): ReadonlyMap<string, ClientSubscription> {
    return this.#ledger.subscriptions;
  }

  /** Receipts that were asked for and have not come. */
  get receipts(): ReadonlySet<string> {
    return this.#receipts;
  }

  /** Writes CONNECT, as `rewrite` made it, and answers it. Not the STOMP command, which 1.0 servers do not know (N-03). */
  connect(
    headers: { host?: string; login?: string; passcode?: string } & Readonly<Record<string, string>> = {},
    rewrite: (frame: Frame) => Frame = asItIs,
  ): Frame {
    const own: Record<string, string> = {};
    if (this.#versions.some((version) => version !== '1.0')) {
      own['accept-version'] = this.#versions.join(',');
      own['heart-beat'] = formatHeartBeat(this.#options.heartBeat ?? { send: 10_000, expect: 10_000 });
    }
    const connect = rewrite(frame('CONNECT', { ...own, ...headers }));
    this.send(connect);
    return connect;
  }

  /** Nobody waits for that receipt any more: should it come, it is `expected: false`. */
  forget(receipt: string): void {
    this.#receipts.delete(receipt);
  }

  /**
   * Writes a frame and enters it in the books. Throws UsageError, and then nothing was written: where this role or state
   * may not say it, where a header is missing that its version needs, or where the books speak against it.
   * `contentLength` is that of the encoder's options, for this frame.
   */
  send(frame: Frame, contentLength?: EncoderOptions['contentLength']): void {
    this.#send(frame, undefined, contentLength);
  }

  #send(frame: Frame, settled: OwedMessage | undefined, contentLength?: EncoderOptions['contentLength']): void {
    const state = this.#enter(frame);
    const owed = settled ?? (frame.is('ACK') || frame.is('NACK') ? this.#owed(frame) : undefined);
    this.encoder.frame(frame, contentLength);
    this.#book(frame, owed);
    this.current = state;
  }

  /**
   * Writes the head of a SEND whose body follows through `sendPiece`; nothing else may be sent until the last piece.
   * Without `length` the body may hold no NUL (C-54).
   */
  sendHead(frame: Frame<'SEND'>, length: number | undefined): void {
    this.#enter(frame);
    this.encoder.head(frame, length);
    this.#book(frame);
    this.#out = { length, written: 0 };
  }

  /** Throws UsageError `bad-body` where a piece breaks what was announced; the connection is then beyond repair. */
  sendPiece(bytes: Uint8Array, last: boolean): void {
    const out = this.#out;
    if (this.current !== 'connected')
      throw new UsageError('not-connected', `the body cannot go on: the session is ${this.current}`);
    if (out === undefined) throw new UsageError('unexpected-frame', 'no body is being sent');
    out.written += bytes.length;
    if (out.length === undefined && bytes.includes(0))
      throw new UsageError('bad-body', 'a body that holds NUL must announce its length (C-54)');
    if (out.length !== undefined && (out.written > out.length || (last && out.written < out.length))) {
      throw new UsageError('bad-body', `the body was announced as ${out.length} bytes and has ${out.written}`);
    }
    this.encoder.bytes(bytes);
    if (!last) return;
    this.encoder.byte(0);
    this.#out = undefined;
  }

  /**
   * Writes the ACK or NACK for a delivery, in the words of the negotiated version, enters it in the books, and answers it.
   * `rewrite` may change what the books do not speak of.
   */
  settle(
    owed: OwedMessage,
    outcome: 'ACK' | 'NACK',
    headers: Readonly<Record<string, string>> = {},
    rewrite: (frame: Frame) => Frame = asItIs,
  ): Frame {
    const { key, subscription } = owed;
    if (this.#ledger.subscriptions.get(subscription.id) !== subscription) {
      throw new UsageError('unknown-ack', `the subscription that ${quote(key)} came on has ended (F-10)`);
    }
    if (subscription.owed.get(key) !== owed || owed.transaction !== undefined) {
      throw new UsageError('unknown-ack', `${quote(key)} was settled before`);
    }
    const own: Record<string, string> =
      this.version === '1.2'
        ? { id: key }
        : this.version === '1.1'
          ? { 'message-id': key, subscription: subscription.id }
          : { 'message-id': key };
    const settlement = rewrite(frame(outcome, { ...own, ...headers }));
    this.#send(settlement, owed);
    return settlement;
  }

  /**
   * Writes the NACK of a MESSAGE that no open subscription is meant for (S-13), and answers it; `settle` is for all others.
   * Undefined, and nothing was written, where it cannot be named (before 1.2, or without `ack`) or not now: a body is being
   * sent, or the session is over.
   */
  refuse(message: Frame): Frame<'NACK'> | undefined {
    const id = message.headers.get('ack');
    if (id === undefined || this.version !== '1.2' || this.#out !== undefined || this.current !== 'connected')
      return undefined;
    const nack = frame('NACK', { id });
    this.encoder.frame(nack);
    return nack;
  }

  // What must hold before a byte is written. Answers the state after the frame.
  #enter(frame: Frame): NonNullable<ReturnType<typeof move>> {
    const { command } = frame;
    if (this.#out !== undefined)
      throw new UsageError('unexpected-frame', `${command} may not interrupt a body that is being sent`);
    const state = move(this.current, 'client', command);
    if (state === undefined) {
      if (this.current === 'connected')
        throw new UsageError('unexpected-frame', `a client does not send ${command} on an open connection`);
      throw new UsageError('not-connected', `${command} cannot be sent: the session is ${this.current}`);
    }
    const version = this.version;
    if (version !== undefined && command === 'NACK' && !GRAMMARS[version].nack) {
      throw new UsageError('unexpected-frame', 'STOMP 1.0 has no NACK (C-12)');
    }
    for (const name of this.#needed(command)) {
      if (!frame.headers.get(name))
        throw new UsageError('missing-header', `${command} needs a ${name} header in STOMP ${version ?? '1.x'}`);
    }
    const receipt = frame.get('receipt');
    if (receipt !== undefined) {
      if (command === 'CONNECT' || command === 'STOMP')
        throw new UsageError('bad-header', 'CONNECT takes no receipt (N-16)');
      if (this.#receipts.has(receipt))
        throw new UsageError('duplicate-receipt', `receipt ${quote(receipt)} is waited for already (R-06)`);
    }
    this.#check(frame);
    return state;
  }

  #needed(command: Command): readonly string[] {
    switch (command) {
      case 'SEND':
        return DESTINATION;
      case 'SUBSCRIBE':
        return this.version === '1.0' ? ['destination'] : ['destination', 'id'];
      case 'UNSUBSCRIBE':
        return this.version === '1.0' ? [] : ['id'];
      case 'ACK':
      case 'NACK':
        return this.version === '1.2'
          ? ['id']
          : this.version === '1.1'
            ? ['message-id', 'subscription']
            : ['message-id'];
      case 'BEGIN':
      case 'COMMIT':
      case 'ABORT':
        return ['transaction'];
      default:
        return [];
    }
  }

  // The books, asked without writing in them: a frame that cannot be encoded must leave no trace.
  #check(frame: Frame): void {
    const transaction = frame.get('transaction');
    switch (frame.command) {
      case 'SUBSCRIBE': {
        const id = frame.get('id');
        if (id === '') throw new UsageError('missing-header', 'the id of a subscription may not be empty (F-05)');
        if (id !== undefined && this.#ledger.subscriptions.has(id)) {
          throw new UsageError('duplicate-subscription', `there is a subscription ${quote(id)} already (F-05)`);
        }
        ackMode(frame);
        return;
      }
      case 'UNSUBSCRIBE':
        this.#subscribed(frame);
        return;
      case 'ACK':
      case 'NACK':
      case 'SEND':
        if (transaction !== undefined) this.#ledger.check(transaction);
        return;
      case 'BEGIN':
        if (this.#ledger.isOpen(transaction as string))
          throw new UsageError(
            'duplicate-transaction',
            `transaction ${quote(transaction as string)} is open already (T-02)`,
          );
        return;
      case 'CONNECT':
      case 'STOMP':
        heartBeatOf(frame);
        return;
      case 'COMMIT':
      case 'ABORT':
        this.#ledger.check(transaction as string);
    }
  }

  #book(frame: Frame, owed?: OwedMessage): void {
    const receipt = frame.get('receipt');
    if (receipt !== undefined) this.#receipts.add(receipt);
    switch (frame.command) {
      case 'CONNECT':
      case 'STOMP': {
        const accept = frame.get('accept-version')?.split(',') ?? ['1.0'];
        this.#offered = VERSIONS.filter((version) => accept.includes(version));
        this.#offer = heartBeatOf(frame); // H-01: what was not said was not offered
        return;
      }
      case 'SUBSCRIBE':
        this.#ledger.subscribe(frame.get('id'), frame.get('destination') as string, ackMode(frame));
        return;
      case 'UNSUBSCRIBE': {
        const subscription = this.#subscribed(frame);
        if (subscription !== undefined) this.#ledger.unsubscribe(subscription.id);
        return;
      }
      case 'ACK':
      case 'NACK':
        if (owed !== undefined) this.#ledger.settle(owed.subscription, owed.key, frame.get('transaction'));
        return;
      case 'BEGIN':
        this.#ledger.begin(frame.get('transaction') as string);
        return;
      case 'COMMIT':
        this.#ledger.commit(frame.get('transaction') as string);
        return;
      case 'ABORT':
        this.#ledger.abort(frame.get('transaction') as string);
    }
  }

  // ActiveMQ deletes a durable subscription with an UNSUBSCRIBE when nobody is subscribed to it any more (conformance 6.2):
  // the only one that is about nothing we know.
  #subscribed(frame: Frame): ClientSubscription | undefined {
    const id = frame.get('id');
    const destination = frame.get('destination');
    for (const subscription of this.#ledger.subscriptions.values()) {
      if (id === undefined ? !subscription.named && subscription.destination === destination : subscription.id === id)
        return subscription;
    }
    if (frame.headers.has('activemq.subscriptionName')) return undefined;
    throw new UsageError('unknown-subscription', `there is no subscription ${quote(id ?? destination ?? '')} (F-08)`);
  }

  #owed(frame: Frame): OwedMessage {
    const key = frame.get(this.version === '1.2' ? 'id' : 'message-id') as string;
    const named = this.version === '1.1' ? frame.get('subscription') : undefined;
    for (const subscription of this.#ledger.subscriptions.values()) {
      if (named !== undefined && named !== subscription.id) continue;
      if (named !== undefined && subscription.ack === 'auto') {
        throw new UsageError('ack-on-auto', `subscription ${quote(named)} acknowledges by itself (A-01)`);
      }
      const owed = subscription.owed.get(key);
      if (owed !== undefined && owed.transaction === undefined) return owed;
    }
    throw new UsageError(
      'unknown-ack',
      `${quote(key)} is no delivery that waits on this connection: it was settled before, or never came (A-08)`,
    );
  }

  protected override mayBeat(): boolean {
    return super.mayBeat() && this.#out === undefined;
  }

  /** The next event, or undefined: more bytes are needed, or the session is over. */
  next(now: number): ClientEvent | undefined {
    if (!this.hears()) return undefined;
    try {
      const decoded = this.decode(now);
      if (decoded === undefined) return undefined;
      switch (decoded.type) {
        case 'heart-beat':
        case 'damage':
          return HEART_BEAT_EVENT;
        case 'piece':
          return decoded;
        case 'head':
          return this.#hear(decoded.frame, now, true, decoded.length);
        case 'frame':
          return this.#hear(decoded, now, false, decoded.body.length);
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.current = 'closed';
      return { type: 'fault', error };
    }
  }

  #hear(frame: Frame, now: number, streaming: boolean, length: number | undefined): ClientEvent {
    const { command } = frame;
    const state = move(this.current, 'server', command);
    if (state === undefined) {
      throw new ProtocolError('unexpected-frame', `the server sent ${command} while the session is ${this.current}`, {
        rule: 'N-20',
      });
    }
    if (command === 'CONNECTED') return this.#connected(frame, now);
    if (command === 'ERROR') {
      const cancelled = streaming ? undefined : this.#cancelled(frame);
      if (cancelled === undefined) this.current = state;
      else this.#ledger.unsubscribe(cancelled.id);
      return { type: 'error', frame, receipt: frame.get('receipt-id'), cancelled };
    }
    this.current = state;
    if (command === 'MESSAGE') return this.#message(frame, streaming, length);
    const id = frame.get('receipt-id');
    return { type: 'receipt', frame, id, expected: id !== undefined && this.#receipts.delete(id) };
  }

  #cancelled(frame: Frame): ClientSubscription | undefined {
    const id = frame.get('subscription');
    return this.#options.errorPolicy === 'profile' && id !== undefined ? this.#ledger.subscriptions.get(id) : undefined;
  }

  #connected(frame: Frame, now: number): ClientEvent {
    const version = chosen(frame.get('version'), this.#offered);
    const beats = version !== '1.0' || this.#options.heartBeatIn10 !== false;
    const theirs = beats ? parseHeartBeat(frame.get('heart-beat')) : NO_HEART_BEAT;
    this.begin(version, agree(this.#offer, theirs), now);
    return { type: 'connected', frame, version, heartBeat: this.heartBeat };
  }

  #message(frame: Frame, streaming: boolean, length: number | undefined): ClientEvent {
    this.#mustHave(frame, 'message-id');
    this.#mustHave(frame, 'destination');
    const subscription = this.#meant(frame);
    if (subscription === undefined) return { ...NOT_ONE_OF_OURS, frame, streaming, length };
    if (subscription.ack === 'auto')
      return { type: 'message', frame, subscription, owed: undefined, streaming, length };
    const named = this.version === '1.2' ? 'ack' : 'message-id';
    const key = frame.headers.get(named) ?? this.#lacks(frame, named);
    const owed = this.#ledger.deliver(subscription, key, frame);
    return { type: 'message', frame, subscription, owed, streaming, length };
  }

  // By id; a 1.0 server need not give one (F-07), and then the destination must do.
  #meant(frame: Frame): ClientSubscription | undefined {
    const id = frame.headers.get('subscription');
    if (id !== undefined) return this.#ledger.subscriptions.get(id);
    if (this.version !== '1.0') return undefined; // S-14
    const destination = frame.headers.get('destination');
    for (const subscription of this.#ledger.subscriptions.values())
      if (subscription.destination === destination) return subscription;
    return undefined;
  }

  #mustHave(frame: Frame, name: string): void {
    if (!frame.headers.has(name)) this.#lacks(frame, name);
  }

  #lacks({ command }: Frame, name: string): never {
    throw new ProtocolError('missing-header', `${command} came without ${name}`, {
      rule: name === 'ack' ? 'S-15' : 'S-03',
    });
  }

  /** The connection is gone: nothing more is read or written. */
  close(): void {
    this.current = 'closed';
  }
}

function asItIs(frame: Frame): Frame {
  return frame;
}

function ackMode(frame: Frame): AckMode {
  const ack = frame.get('ack') ?? 'auto';
  const mode = ACK_MODES.find((known) => known === ack);
  if (mode === undefined)
    throw new UsageError('bad-header', `ack ${quote(ack)} is none of ${ACK_MODES.join(', ')} (F-06)`);
  return mode;
}

function heartBeatOf(frame: Frame): HeartBeatOffer {
  try {
    return parseHeartBeat(frame.get('heart-beat'));
  } catch (cause) {
    throw new UsageError('bad-header', 'heart-beat is two non-negative integers and a comma (H-01)', { cause });
  }
}
