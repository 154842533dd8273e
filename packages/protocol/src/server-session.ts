// A session from the server's end: what clients say, checked against every rule that
// needs no broker, and what is said to them.
//
// CONNECT holds the stream: `next()` answers undefined until `accept` or `refuse`, so
// that a login may take its time and what was sent behind it is read in the version it
// gets (M-51). ERROR ends the session: nothing is read or written after it (C-73).
//
// A delivery is named `ordinal.number` towards the client (X-53: opaque there): as the
// `ack` header in 1.2, behind the message id in 1.1 and 1.0, which therefore is unique
// per delivery.

import type { Content } from './content.ts';
import { DEFAULT_LIMITS, type Limits } from './decoder.ts';
import { Encoder } from './encoder.ts';
import { ProtocolError, type ProtocolErrorCode, quote } from './errors.ts';
import { ACK_MODES, Frame, frame, isHandshake, SERVER_COMMANDS } from './frame.ts';
import { Headers } from './headers.ts';
import { agree, formatHeartBeat, type HeartBeatOffer, parseHeartBeat } from './heart-beat.ts';
import { Ledger, type Subscription } from './ledger.ts';
import type { NameSet } from './name-set.ts';
import { type Fault, HEART_BEAT_EVENT, Session, type SessionOptions } from './session.ts';
import { move } from './transitions.ts';
import { negotiate, VERSIONS, type Version } from './version.ts';

/** The leniencies of a server that are none of the codec (conformance 7.2 and 7.3). */
export interface ServerLeniency {
  /** blanks in `heart-beat`. */
  readonly lenientHeartBeat?: boolean | undefined;
  /** SUBSCRIBE without an id in 1.1 and 1.2. */
  readonly optionalSubscriptionId?: boolean | undefined;
  /** ACK and NACK in 1.1 may go without `subscription`. RabbitMQ takes them so. */
  readonly optionalAckSubscription?: boolean | undefined;
  /** ACK and NACK of what a subscription owed before its UNSUBSCRIBE are ignored. */
  readonly ignoreLateAck?: boolean | undefined;
  /** ACK and NACK of whatever is not waiting are ignored. */
  readonly ignoreUnknownAck?: boolean | undefined;
}

/** Strictnesses that are off in everyday use. */
export interface ServerStrictness {
  /** CONNECT in 1.1 and 1.2 must name a host (N-12). */
  readonly requireHost?: boolean | undefined;
  /** no blanks in accept-version. */
  readonly strictAcceptVersion?: boolean | undefined;
}

export interface ServerSessionOptions extends SessionOptions, ServerStrictness {
  readonly leniency?: (NonNullable<SessionOptions['leniency']> & ServerLeniency) | undefined;
  /** Bounds before login (C-70): a head of 8 KiB and a body of as much unless given. */
  readonly loginLimits?: Partial<Limits> | undefined;
  readonly versions?: readonly Version[] | undefined;
  /** The gaps this server offers and asks for; shorter wishes are raised to them (M-50). Default 1000 ms each way. */
  readonly heartBeat?: HeartBeatOffer | undefined;
  /** a client without heart-beats is given up after this silence. Milliseconds, default 0: never. */
  readonly idleTimeoutMs?: number | undefined;
  /** Default 1000 (M-77). */
  readonly maxSubscriptions?: number | undefined;
  /** Open at a time; default 16 (T-07). */
  readonly maxTransactions?: number | undefined;
  /**
   * Headers that name a durable subscription. An UNSUBSCRIBE with one of them may mean a subscription that is not open here,
   * which is the event `forget` (6.6). None unless given.
   */
  readonly durableNames?: NameSet | undefined;
}

/** One delivery as a client knows it; the item is the server's own. */
export type ServerSubscription<Item> = Subscription<number, Item>;

interface FromClient {
  readonly frame: Frame;
  /** The receipt asked for, to be given with `receipt()` after the effect; may be empty text. */
  readonly receipt: string | undefined;
}

export type ServerEvent<Item> =
  | { readonly type: 'connect'; readonly frame: Frame; readonly version: Version }
  | (FromClient & { readonly type: 'send'; readonly destination: string; readonly transaction: string | undefined })
  | (FromClient & { readonly type: 'subscribe'; readonly subscription: ServerSubscription<Item> })
  /** `owed`: deliveries that nobody will settle now, oldest first. */
  | (FromClient & {
      readonly type: 'unsubscribe';
      readonly subscription: ServerSubscription<Item>;
      readonly owed: Item[];
    })
  /** Ends a durable subscription that is not open on this connection; only under `durableNames`. */
  | (FromClient & { readonly type: 'forget' })
  | (FromClient & {
      readonly type: 'settle';
      readonly outcome: 'ack' | 'nack';
      /** What it covers, oldest first; empty only under `ignoreLateAck` and `ignoreUnknownAck`. */
      readonly items: Item[];
      /** The one they were delivered on, which may have ended since; undefined where `items` is empty. */
      readonly subscription: ServerSubscription<Item> | undefined;
      readonly transaction: string | undefined;
    })
  | (FromClient & { readonly type: 'begin' | 'commit'; readonly transaction: string })
  /** `orphans`: deliveries it had enlisted whose subscription has ended; nobody will settle them now. */
  | (FromClient & { readonly type: 'abort'; readonly transaction: string; readonly orphans: Item[] })
  | (FromClient & { readonly type: 'disconnect' })
  | { readonly type: 'heart-beat' }
  | Fault;

const LF = 10;
const LOGIN_LIMITS: Partial<Limits> = { maxHeadBytes: 8192, maxBodyBytes: 8192 };
// What message() makes of a delivery: `ordinal.number`, behind the message id before 1.2.
const ACK_ID = /^(0|[1-9]\d{0,14})\.(0|[1-9]\d{0,14})$/;
const MESSAGE_ID = /^\d{1,16}@(0|[1-9]\d{0,14})(?:\.(0|[1-9]\d{0,14}))?$/;

export class ServerSession<Item = unknown> extends Session {
  readonly #options: ServerSessionOptions;
  readonly #ledger = new Ledger<number, Item>((code, detail) => {
    throw new ProtocolError(code, detail);
  });
  readonly #versions: readonly Version[];
  // Made when they are needed: ten thousand idle connections need none.
  #heads: WeakMap<ServerSubscription<Item>, Map<string, Uint8Array>> | undefined;
  #byOrdinal: Map<number, ServerSubscription<Item>> | undefined;
  #theirs: HeartBeatOffer = { send: 0, expect: 0 };
  #negotiated: Version = '1.0';
  #deliveries = 0;
  #faulted = false;

  constructor(options: ServerSessionOptions, now: number) {
    super(options, now, 'replace');
    this.#options = options;
    this.#versions = options.versions ?? VERSIONS;
    this.decoder.limits = LOGIN_LIMITS;
    this.decoder.limits = options.loginLimits ?? {};
  }

  /** Open subscriptions by id. */
  get subscriptions(): ReadonlyMap<string, ServerSubscription<Item>> {
    return this.#ledger.subscriptions;
  }

  /** How many deliveries were made that the client must settle; each is in `owed` under its number, from 0 on. */
  get deliveries(): number {
    return this.#deliveries;
  }

  /** The next event, or undefined: more bytes are needed, or CONNECT waits for its answer. */
  next(now: number): ServerEvent<Item> | undefined {
    if (!this.hears() || this.current === 'connecting') return undefined;
    let heard: Frame | undefined;
    try {
      const decoded = this.decode(now);
      if (decoded === undefined) return undefined;
      if (!(decoded instanceof Frame)) return HEART_BEAT_EVENT;
      heard = decoded;
      return this.#hear(decoded);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#faulted = true; // `error` may still speak, but nothing more is heard (C-73)
      const handshake = heard !== undefined && isHandshake(heard.command);
      return { type: 'fault', error, receipt: handshake ? undefined : heard?.get('receipt') }; // N-16: CONNECT asks for none
    }
  }

  protected override hears(): boolean {
    return super.hears() && this.current !== 'disconnecting' && !this.#faulted; // M-76
  }

  #hear(frame: Frame): ServerEvent<Item> {
    const { command } = frame;
    const state = move(this.current, 'client', command);
    if (state === undefined) this.#unexpected(frame);
    this.current = state;
    if (command === 'SEND') {
      const receipt = frame.headers.get('receipt');
      return {
        type: 'send',
        frame,
        receipt,
        destination: this.#required(frame, 'destination'),
        transaction: this.#transaction(frame),
      };
    }
    return command === 'CONNECT' || command === 'STOMP'
      ? this.#connect(frame)
      : this.#command(frame, frame.headers.get('receipt'));
  }

  #command(frame: Frame, receipt: string | undefined): ServerEvent<Item> {
    switch (frame.command) {
      case 'SUBSCRIBE':
        return { type: 'subscribe', frame, receipt, subscription: this.#subscribe(frame) };
      case 'UNSUBSCRIBE': {
        const subscription = this.#unsubscribe(frame);
        if (subscription === undefined) return { type: 'forget', frame, receipt };
        this.#byOrdinal?.delete(subscription.ordinal);
        const owed = [...subscription.owed.values()].filter((delivery) => delivery.transaction === undefined);
        for (const { key } of owed) subscription.owed.delete(key);
        return { type: 'unsubscribe', frame, receipt, subscription, owed: owed.map(({ item }) => item) };
      }
      case 'ACK':
      case 'NACK': {
        const transaction = this.#transaction(frame);
        return {
          type: 'settle',
          frame,
          receipt,
          outcome: frame.command === 'ACK' ? 'ack' : 'nack',
          ...this.#settle(frame, transaction),
          transaction,
        };
      }
      case 'BEGIN': {
        const transaction = this.#required(frame, 'transaction', 'T-01');
        if (this.#ledger.transactions >= (this.#options.maxTransactions ?? 16)) {
          throw new ProtocolError(
            'too-many-transactions',
            `there are ${this.#ledger.transactions} open transactions on this connection`,
          );
        }
        this.#ledger.begin(transaction);
        return { type: 'begin', frame, receipt, transaction };
      }
      case 'COMMIT': {
        const transaction = this.#required(frame, 'transaction', 'T-01');
        this.#ledger.commit(transaction);
        return { type: 'commit', frame, receipt, transaction };
      }
      case 'ABORT': {
        const transaction = this.#required(frame, 'transaction', 'T-01');
        return { type: 'abort', frame, receipt, transaction, orphans: this.#ledger.abort(transaction) };
      }
      default:
        return { type: 'disconnect', frame, receipt };
    }
  }

  #unexpected(frame: Frame): never {
    const { command } = frame;
    if ((SERVER_COMMANDS as readonly string[]).includes(command)) {
      throw new ProtocolError('unexpected-frame', `${command} is for servers to send`, { rule: 'M-44' });
    }
    if (this.current === 'opening') throw new ProtocolError('unexpected-frame', `${command} came before CONNECT`);
    throw new ProtocolError('unexpected-frame', `${command} came on a connection that is connected already`, {
      rule: 'M-45',
    });
  }

  #connect(frame: Frame): ServerEvent<Item> {
    const accept = frame.get('accept-version');
    if (frame.is('STOMP') && accept === undefined) {
      throw new ProtocolError('missing-header', 'STOMP needs accept-version; only CONNECT may go without', {
        rule: 'N-04',
      });
    }
    const version = negotiate(accept, this.#versions, { strict: this.#options.strictAcceptVersion ?? false });
    if (version === undefined) {
      throw new ProtocolError(
        'version-mismatch',
        `accept-version ${quote(accept ?? '1.0')} has none of ${this.#versions.join(', ')}`,
      );
    }
    if (this.#options.requireHost && version !== '1.0' && !frame.get('host')) {
      throw new ProtocolError('missing-header', 'CONNECT needs a host header', { rule: 'N-11' });
    }
    // H-10: not a part of 1.0.
    if (version !== '1.0') {
      this.#theirs = parseHeartBeat(frame.get('heart-beat'), {
        lenient: this.#options.leniency?.lenientHeartBeat ?? false,
      });
    }
    this.#negotiated = version;
    return { type: 'connect', frame: version === '1.0' ? this.#unpadded(frame) : frame, version };
  }

  // Blanks before a 1.0 value are padding (C-29), and `login: x` is how 1.0 shows it; the decoder could not know the version.
  #unpadded(connect: Frame): Frame {
    if (this.#options.leniency?.trim10 === 'none') return connect;
    const values = [...connect.headers].map(([name, value]) => [name, value.replace(/^[ \t]+/, '')] as const);
    return new Frame(connect.command, Headers.from(values));
  }

  /** Answers CONNECT with CONNECTED and lets the stream go on; does nothing on a session that has ended meanwhile. */
  accept(answer: { session?: string; server?: string }, now: number): void {
    if (this.current !== 'connecting') return;
    const version = this.#negotiated;
    const mine = this.#options.heartBeat ?? { send: 1000, expect: 1000 };
    const headers: [string, string][] = [['version', version]];
    if (version !== '1.0') headers.push(['heart-beat', formatHeartBeat(mine)]);
    if (answer.session !== undefined) headers.push(['session', answer.session]);
    if (answer.server !== undefined) headers.push(['server', answer.server]);
    this.encoder.frame(frame('CONNECTED', headers));
    this.begin(version, version === '1.0' ? { out: 0, in: 0 } : agree(mine, this.#theirs), now);
    this.decoder.limits = DEFAULT_LIMITS;
    this.decoder.limits = this.#options.limits ?? {};
  }

  #subscribe(frame: Frame): ServerSubscription<Item> {
    const destination = this.#required(frame, 'destination');
    const id = frame.get('id');
    const optional = this.version === '1.0' || this.#options.leniency?.optionalSubscriptionId === true;
    if (id === '' || (id === undefined && !optional))
      throw new ProtocolError('missing-header', 'SUBSCRIBE needs an id', { rule: 'F-05' });
    const ack = ACK_MODES.find((mode) => mode === (frame.get('ack') ?? 'auto'));
    if (ack === undefined)
      throw new ProtocolError('bad-header', `ack ${quote(frame.get('ack') ?? '')} is none of ${ACK_MODES.join(', ')}`);
    const max = this.#options.maxSubscriptions ?? 1000;
    if (this.#ledger.subscriptions.size >= max)
      throw new ProtocolError('too-many-subscriptions', `there are ${max} subscriptions on this connection`);
    const subscription = this.#ledger.subscribe(id, destination, ack);
    this.#byOrdinal = (this.#byOrdinal ?? new Map()).set(subscription.ordinal, subscription);
    return subscription;
  }

  /** Undefined: it is not open here, and is named as a durable one. */
  #unsubscribe(frame: Frame): ServerSubscription<Item> | undefined {
    try {
      const id = frame.get('id');
      if (id !== undefined) return this.#ledger.unsubscribe(id);
      if (this.version !== '1.0' && !this.#options.leniency?.optionalSubscriptionId) {
        throw new ProtocolError('missing-header', 'UNSUBSCRIBE needs an id', { rule: 'F-08' });
      }
      return this.#ledger.unsubscribeFrom(this.#required(frame, 'destination', 'F-08'));
    } catch (error) {
      if (!(error instanceof ProtocolError) || error.code !== 'unknown-subscription') throw error;
      const { durableNames } = this.#options;
      if (durableNames !== undefined && frame.headers.hasAny(durableNames)) return undefined;
      throw error;
    }
  }

  #settle(
    frame: Frame,
    transaction: string | undefined,
  ): { items: Item[]; subscription: ServerSubscription<Item> | undefined } {
    try {
      const [subscription, number] = this.#delivery(frame);
      return { items: this.#ledger.settle(subscription, number, transaction), subscription };
    } catch (error) {
      if (!(error instanceof ProtocolError) || error.code !== 'unknown-ack') throw error;
      const { ignoreUnknownAck, ignoreLateAck } = this.#options.leniency ?? {};
      if (ignoreUnknownAck || (ignoreLateAck && this.#isLate(frame))) return { items: [], subscription: undefined };
      throw error;
    }
  }

  // Its subscription has ended; ordinals and numbers only count up.
  #isLate(frame: Frame): boolean {
    const [ordinal, number] = this.#named(frame);
    return ordinal < this.#ledger.ordinals && !this.#byOrdinal?.has(ordinal) && number < this.#deliveries;
  }

  // What the client calls the delivery: the ordinal of its subscription and its own number, NaN where it says none.
  #named(frame: Frame): [ordinal: number, number: number] {
    const text = frame.get(this.version === '1.2' ? 'id' : 'message-id') ?? '';
    const match = (this.version === '1.2' ? ACK_ID : MESSAGE_ID).exec(text);
    return [Number(match?.[1] ?? Number.NaN), Number(match?.[2] ?? Number.NaN)];
  }

  // 1.2: id is our ack header. 1.1: message-id and subscription. 1.0: message-id alone.
  #delivery(frame: Frame): [subscription: ServerSubscription<Item>, number: number] {
    const { version } = this;
    const text =
      version === '1.2'
        ? this.#required(frame, 'id', 'A-12')
        : this.#required(frame, 'message-id', version === '1.1' ? 'A-11' : 'A-10');
    const id = version === '1.1' ? this.#acknowledged(frame) : undefined;
    const [ordinal, number] = this.#named(frame);
    const subscription = id === undefined ? this.#byOrdinal?.get(ordinal) : this.#ledger.subscriptions.get(id);
    if (subscription?.ack === 'auto')
      throw new ProtocolError('ack-on-auto', `subscription ${quote(subscription.id)} acknowledges by itself`);
    if (subscription === undefined || subscription.ordinal !== ordinal)
      throw new ProtocolError('unknown-ack', `${quote(text)} is no delivery that waits here`);
    return [subscription, number];
  }

  // A subscription that was let in without an id can be named by none.
  #acknowledged(frame: Frame): string | undefined {
    const { optionalAckSubscription, optionalSubscriptionId } = this.#options.leniency ?? {};
    return optionalAckSubscription || optionalSubscriptionId
      ? frame.get('subscription')
      : this.#required(frame, 'subscription', 'A-11');
  }

  #transaction(frame: Frame): string | undefined {
    const transaction = frame.headers.get('transaction');
    if (transaction !== undefined) this.#ledger.check(transaction);
    return transaction;
  }

  #required(frame: Frame, name: string, rule = 'F-01'): string {
    const value = frame.headers.get(name);
    if (value === undefined || value === '')
      throw new ProtocolError('missing-header', `${frame.command} needs a ${name} header`, { rule });
    return value;
  }

  /** Opens a subscription that the client did not ask for in a frame: answers to a `reply-to` arrive on it. */
  subscribeImplicitly(id: string, destination: string): ServerSubscription<Item> {
    const subscription = this.#ledger.subscribe(id, destination, 'auto');
    this.#byOrdinal = (this.#byOrdinal ?? new Map()).set(subscription.ordinal, subscription);
    return subscription;
  }

  /**
   * Writes a MESSAGE. `messageId` is the server's name for the message; `item` comes back when the client settles it
   * (S-01 to S-03; `ack` iff the client must: A-06). Does nothing on a session that has ended.
   */
  message(
    subscription: ServerSubscription<Item>,
    message: {
      readonly id: number;
      readonly destination: string;
      readonly content: Content;
      readonly redeliveries: number;
      /** It may have been delivered before although nobody counted; follows from `redeliveries` unless given. */
      readonly redelivered?: boolean;
    },
    item: Item,
  ): void {
    const { encoder, version } = this;
    if (version === undefined || this.current === 'closed') return;
    encoder.bytes(this.#messageHead(subscription, message.destination));
    encoder.integer(message.id);
    if (subscription.ack !== 'auto') {
      const number = this.#deliveries++;
      if (version === '1.2') encoder.ascii('\nack:');
      else encoder.byte(64);
      encoder.integer(subscription.ordinal);
      encoder.byte(46);
      encoder.integer(number);
      this.#ledger.deliver(subscription, number, item);
    } else if (version === '1.0') {
      encoder.byte(64);
      encoder.integer(subscription.ordinal);
    }
    encoder.byte(LF);
    if (message.redelivered ?? message.redeliveries > 0) encoder.ascii('redelivered:true\n');
    if (message.redeliveries > 0) {
      encoder.ascii('delivery-count:');
      encoder.integer(message.redeliveries + 1);
      encoder.byte(LF);
    }
    encoder.bytes(message.content.in(version));
  }

  // The part that is the same for every message of a destination on a subscription: built once.
  #messageHead(subscription: ServerSubscription<Item>, destination: string): Uint8Array {
    this.#heads ??= new WeakMap();
    let heads = this.#heads.get(subscription);
    if (heads === undefined) {
      heads = new Map();
      this.#heads.set(subscription, heads);
    }
    let head = heads.get(destination);
    if (head === undefined) {
      const encoder = new Encoder({ version: this.version, unrepresentable: 'replace' });
      encoder.ascii('MESSAGE\n');
      if (subscription.named) encoder.header('subscription', subscription.id);
      encoder.header('destination', destination);
      encoder.ascii('message-id:');
      head = encoder.take();
      if (heads.size >= 64) heads.clear(); // a wildcard may see any number of destinations
      heads.set(destination, head);
    }
    return head;
  }

  /**
   * Says that the frame which asked for it has been processed, and all before it received. Does nothing on a session
   * that has ended: ERROR was the last word (C-73).
   */
  receipt(id: string): void {
    if (this.current === 'closed') return;
    this.encoder.ascii('RECEIPT\n');
    this.encoder.header('receipt-id', id);
    this.encoder.byte(LF);
    this.encoder.byte(0);
  }

  /**
   * Writes the one ERROR there is and ends the session (E-06, S-08, I-1); does nothing on a session that has ended.
   * `detail` becomes `message` and the body. Name no secret in it (S-09).
   */
  error(error: { readonly code: ProtocolErrorCode | (string & {}); readonly message: string }, receipt?: string): void {
    if (this.current === 'closed') return;
    const headers: [string, string][] = [['message', error.message]];
    if (receipt !== undefined) headers.push(['receipt-id', receipt]);
    if (error.code === 'version-mismatch') headers.push(['version', this.#versions.join(',')]);
    headers.push(['content-type', 'text/plain;charset=utf-8']); // stompit 1.0 crashes on a bare text/plain here
    this.encoder.frame(frame('ERROR', headers, `${error.message}\n`));
    this.current = 'closed';
  }

  /** The client is gone, or is to be: nothing more is read or written. */
  close(): void {
    this.current = 'closed';
  }
}
