// Destination texts -> destinations, for one connection: what a name means, whether
// it may be used, and what a SEND hands to the engine.
//
//   /queue/a            queue `a`
//   /topic/a.b          topic; on SUBSCRIBE a pattern
//   /temp-queue/a       a queue of this connection's own
//   /remote-temp-queue/ID/a   how others see it, and may send to it: what `reply-to` says
//   anything else       a queue of that whole name

import { Content, type Encoder, type Frame, NameSet, quote } from '@stompbox/protocol';
import { parseSelector, SelectorError } from './engine/embedded/selector.ts';
import { type Attributes, type Destination, PLAIN, type Send } from './engine/engine.ts';
import { isWildcard, wrongPattern } from './pattern.ts';
import { Refusal } from './refusal.ts';
import { isTemporary, temporaryName } from './temporary.ts';

export interface RouterOptions {
  /** This connection's name in `/remote-temp-queue/`. */
  readonly connection: string;
  readonly maxDestinationBytes: number;
  readonly maxTempQueues: number;
  readonly maxDelayMs: number;
  /** Milliseconds since 1970. */
  time(): number;
  allows(verb: 'send' | 'subscribe', destination: string): boolean;
  /** Whether some connection has this temporary queue now. */
  hasTemporary(queue: string): boolean;
}

const REMEMBERED = 1024;
const NONE: ReadonlySet<string> = new Set();
const TEMP = '/temp-queue/';
const REMOTE = '/remote-temp-queue/';

const MAX_DUPLICATE_ID_LENGTH = 256;

// Not the consumer's business, or not the producer's to say (F-03, X-13).
const RESERVED = [
  'ack',
  'content-length',
  'delivery-count',
  'destination',
  'heart-beat',
  'message-id',
  'receipt',
  'receipt-id',
  'redelivered',
  'server',
  'session',
  'subscription',
  'transaction',
  'version',
];
const DROPPED = new NameSet(RESERVED);
const DROPPED_AND_REPLY_TO = new NameSet([...RESERVED, 'reply-to']);

// Sent once instead of again and again would be a silent no.
const REPEATING = ['AMQ_SCHEDULED_CRON', 'AMQ_SCHEDULED_PERIOD', 'AMQ_SCHEDULED_REPEAT'];
// What makes a message another than a plain one, besides `persistent`.
const ASKING = new NameSet([
  ...REPEATING,
  'AMQ_SCHEDULED_DELAY',
  'AMQ_SCHEDULED_TIME',
  'JMSXGroupID',
  '_AMQ_DUPL_ID',
  'duplicate-id',
  'expiration',
  'expires',
  'priority',
]);
const TRANSIENT: Attributes = { ...PLAIN, persistent: false };

export class Router {
  readonly #options: RouterOptions;
  readonly #scratch: Encoder;
  // Made when they are needed: ten thousand idle connections need none.
  #sends: Map<string, Destination> | undefined;
  #temporary: Set<string> | undefined;

  constructor(options: RouterOptions, scratch: Encoder) {
    this.#options = options;
    this.#scratch = scratch;
  }

  /** Names of this connection's temporary queues, as the engine knows them. */
  get temporary(): ReadonlySet<string> {
    return this.#temporary ?? NONE;
  }

  /**
   * What a SEND means; undefined where it goes to a temporary queue that is not there (any more). `replies` is what
   * `replyQueue` answered. Throws Refusal.
   */
  send(frame: Frame, destination: string, replies: string | undefined): Send | undefined {
    this.#sends ??= new Map();
    const name = addressed(frame, 'destination-type', destination);
    let target = this.#sends.get(name);
    if (target === undefined) {
      target = this.#resolve('send', name);
      if (target === undefined) return undefined;
      if (this.#sends.size >= REMEMBERED) this.#sends.clear();
      if (!isTemporary(target.name)) this.#sends.set(name, target); // which may be gone next time
    }
    return { destination: target, content: this.#content(frame, replies), attributes: this.#attributes(frame) };
  }

  /** The rules have changed: permissions are asked for again. */
  forget(): void {
    this.#sends?.clear();
  }

  /** Whether a destination is still there: that of a transaction may have left before its COMMIT. */
  isThere({ name }: Destination): boolean {
    return !isTemporary(name) || this.#options.hasTemporary(name);
  }

  /** What a SUBSCRIBE means. Throws Refusal. */
  subscribe(frame: Frame, destination: string): Destination {
    const target = this.#resolve('subscribe', addressed(frame, 'subscription-type', destination));
    if (target === undefined)
      throw new Refusal('bad-destination', `${quote(destination)} belongs to another connection (M-84)`);
    return target;
  }

  /** The engine's destination for one of this connection's temporary queues. */
  temporaryQueue(name: string): Destination {
    const destination: Destination = {
      kind: 'queue',
      name: temporaryName(this.#options.connection, name),
      text: TEMP + name,
    };
    this.#temporary ??= new Set();
    if (!this.#temporary.has(destination.name)) {
      if (this.#temporary.size >= this.#options.maxTempQueues) {
        throw new Refusal('limit', `this connection has ${this.#temporary.size} temporary queues (maxTempQueues)`);
      }
      this.#temporary.add(destination.name);
    }
    return destination;
  }

  /** The local name of a temporary queue that a SEND wants its answers in, where it says one (`reply-to`). */
  replyQueue(frame: Frame): string | undefined {
    const replyTo = frame.get('reply-to');
    return replyTo?.startsWith(TEMP) && replyTo.length > TEMP.length ? replyTo.slice(TEMP.length) : undefined;
  }

  #content(frame: Frame, replies: string | undefined): Content {
    if (replies === undefined) return Content.of(frame, DROPPED, this.#scratch);
    const replyTo = `${REMOTE}${this.#options.connection}/${replies}`;
    return Content.of(frame, DROPPED_AND_REPLY_TO, this.#scratch, [['reply-to', replyTo]]);
  }

  // What the headers of RabbitMQ, ActiveMQ, Artemis and ours ask for, where they mean the same (conformance 6.6).
  #attributes({ headers }: Frame): Attributes {
    const isPersistent = headers.get('persistent')?.toLowerCase() !== 'false';
    if (!headers.hasAny(ASKING)) return isPersistent ? PLAIN : TRANSIENT; // as most do: one pass, not one for each name
    const priority = headers.get('priority');
    const expires = headers.get('expires');
    const expiration = headers.get('expiration');
    const delay = headers.get('AMQ_SCHEDULED_DELAY');
    const time = headers.get('AMQ_SCHEDULED_TIME');
    const repeated = REPEATING.find((name) => headers.has(name));
    if (repeated !== undefined) throw new Refusal('unsupported', `${repeated}: this broker does not repeat messages`);
    const group = headers.get('JMSXGroupID') || undefined;
    const duplicateId = headers.get('duplicate-id') || headers.get('_AMQ_DUPL_ID') || undefined;
    if (duplicateId !== undefined && duplicateId.length > MAX_DUPLICATE_ID_LENGTH)
      throw new Refusal('limit', `the id against duplicates is longer than ${MAX_DUPLICATE_ID_LENGTH} characters`);
    if (priority !== undefined && !/^[0-9]$/.test(priority))
      throw new Refusal('bad-header', `priority ${quote(priority)} is not 0 to 9`);
    const now = this.#options.time();
    let expiresAt = expires === undefined ? 0 : milliseconds('expires', expires);
    if (expiration !== undefined)
      expiresAt = Math.min(LATEST, now + Math.max(1, milliseconds('expiration', expiration))); // it wins
    let dueAt = time === undefined ? 0 : milliseconds('AMQ_SCHEDULED_TIME', time);
    if (delay !== undefined) dueAt = now + milliseconds('AMQ_SCHEDULED_DELAY', delay);
    if (dueAt > now + this.#options.maxDelayMs)
      throw new Refusal('limit', `the message would wait longer than ${this.#options.maxDelayMs} ms (maxDelayMs)`);
    return {
      priority: priority === undefined ? PLAIN.priority : Number(priority),
      expiresAt,
      dueAt: dueAt > now ? dueAt : 0,
      persistent: isPersistent,
      group,
      duplicateId,
    };
  }

  #resolve(verb: 'send' | 'subscribe', text: string): Destination | undefined {
    const { maxDestinationBytes } = this.#options;
    if (Buffer.byteLength(text) > maxDestinationBytes)
      throw new Refusal('limit', `the destination is longer than ${maxDestinationBytes} bytes (maxDestinationBytes)`);
    if (/[\x00-\x1f\x7f]/.test(text)) throw new Refusal('bad-destination', `${quote(text)} holds a control character`);
    if (text.startsWith(REMOTE)) return this.#remote(verb, text);
    const match = /^\/(queue|topic|temp-queue)(?:\/(.*))?$/s.exec(text);
    const name = match ? (match[2] ?? '') : text;
    if (name === '' || name === '/') throw new Refusal('bad-destination', `${quote(text)} names nothing`);
    const kind = match?.[1] === 'topic' ? 'topic' : 'queue';
    const wildcard = name.split('.').find(isWildcard);
    if (wildcard !== undefined && verb === 'send')
      throw new Refusal(
        'bad-destination',
        `${quote(text)} holds the wildcard ${wildcard}; a message goes to one place`,
      );
    if (wildcard !== undefined && kind === 'queue')
      throw new Refusal('bad-destination', `${quote(text)} holds the wildcard ${wildcard}; only topics have them`);
    const wrong = kind === 'topic' ? wrongPattern(name) : undefined;
    if (wrong !== undefined) throw new Refusal('bad-destination', `${quote(text)} is no pattern: ${wrong}`);
    if (match?.[1] === 'temp-queue') return this.temporaryQueue(name);
    const fullName = match ? text : `/queue/${name}`; // one queue, one right
    if (!this.#options.allows(verb, fullName)) throw new Refusal('access-refused', `you may not ${verb} here`); // M-85: no hint whether it exists
    return { kind, name, text };
  }

  #remote(verb: 'send' | 'subscribe', text: string): Destination | undefined {
    const [connection = '', ...rest] = text.slice(REMOTE.length).split('/');
    const name = rest.join('/');
    const queue = temporaryName(connection, name);
    if (verb === 'subscribe' || !this.#options.hasTemporary(queue)) return undefined;
    return { kind: 'queue', name: queue, text: TEMP + name };
  }
}

// What brokers call the same thing (conformance 6.6); the first that is there counts.
const PREFETCH = ['prefetch-count', 'activemq.prefetchSize'];
const EXCLUSIVE = ['exclusive', 'activemq.exclusive'];
const MAX_DURABLE_NAME_BYTES = 900;
const SUBSCRIPTION_NAME = ['durable-subscription-name', 'durable-subscriber-name', 'activemq.subscriptionName'];
/** With one of them a durable subscription can be named although it is not open here. */
export const DURABLE_NAMES: NameSet = new NameSet(SUBSCRIPTION_NAME);

// Artemis names addresses without a prefix, and says in a header which of them are topics (6.3).
function addressed(frame: Frame, header: string, destination: string): string {
  if (destination.startsWith('/')) return destination;
  return frame.headers.get(header) === 'MULTICAST' ? `/topic/${destination}` : destination;
}

/** A header under any of its names. */
function firstOf(frame: Frame, names: readonly string[]): string | undefined {
  for (const name of names) {
    const value = frame.headers.get(name);
    if (value !== undefined) return value;
  }
  return undefined;
}

function isTrue(value: string | undefined): boolean {
  return value?.toLowerCase() === 'true';
}

const LATEST = 2 ** 48 - 1; // in the year 10889; stores count no further

// A `long` of Java, perhaps; what comes after the end of all times is as good as that.
function milliseconds(name: string, value: string): number {
  if (!/^\d{1,19}$/.test(value))
    throw new Refusal('bad-header', `${name} ${quote(value)} is no number of milliseconds`);
  return Math.min(Number(value), LATEST);
}

/**
 * How many unsettled deliveries a SUBSCRIBE allows, in the words of RabbitMQ (0: no limit), ActiveMQ or Artemis (bytes; 0:
 * one at a time, -1: no limit). Throws Refusal.
 */
export function prefetchOf(frame: Frame, limits: { defaultPrefetch: number; maxPrefetch: number }): number {
  const text = firstOf(frame, PREFETCH);
  if (text === undefined) {
    const window = frame.get('consumer-window-size');
    if (window === '0') return 1;
    return window === '-1' ? limits.maxPrefetch : limits.defaultPrefetch;
  }
  if (!/^\d{1,9}$/.test(text)) throw new Refusal('bad-header', `prefetch ${quote(text)} is no number of messages`);
  if (Number(text) === 0) return frame.get('prefetch-count') === undefined ? 1 : limits.maxPrefetch;
  return Math.min(Number(text), limits.maxPrefetch);
}

export function wantsExclusive(frame: Frame): boolean {
  return isTrue(firstOf(frame, EXCLUSIVE));
}

export function wantsBrowsing(frame: Frame): boolean {
  return isTrue(frame.get('browser'));
}

/**
 * The name of the durable topic subscription that a SUBSCRIBE asks for, or that an UNSUBSCRIBE ends: ActiveMQ and Artemis
 * name it within a client id, RabbitMQ by the id of the subscription. Undefined where none is meant. Throws Refusal.
 */
export function durableNameOf(
  frame: Frame,
  owner: string,
  clientId: string | undefined,
  destination: string,
): string | undefined {
  const name = subscriptionNameOf(frame);
  if (name !== undefined) {
    if (!clientId) throw new Refusal('bad-header', 'a durable subscription needs a client-id in CONNECT');
    return joined(owner, clientId, name);
  }
  if (!isTrue(frame.get('durable')) && !isTrue(frame.get('persistent'))) return undefined;
  const id = frame.get('id');
  if (!id) throw new Refusal('bad-header', 'a durable subscription needs an id');
  return joined(owner, clientId ?? '', destination, id); // RabbitMQ takes the same id for another topic as another name
}

/** The name of a durable subscription in the words of ActiveMQ and Artemis. */
function subscriptionNameOf(frame: Frame): string | undefined {
  return firstOf(frame, SUBSCRIPTION_NAME) || undefined;
}

// Whatever the parts hold: one user's subscription is never another's.
function joined(...parts: string[]): string {
  const name = parts.map((part) => part.replace(/[%/]/g, encodeURIComponent)).join('/');
  if (Buffer.byteLength(name) > MAX_DURABLE_NAME_BYTES)
    throw new Refusal('limit', `the name of the durable subscription is longer than ${MAX_DURABLE_NAME_BYTES} bytes`);
  return name;
}

/** What a SUBSCRIBE selects; nothing said selects everything. Throws Refusal. */
export function selectorOf(
  frame: Frame,
  maxLength: number,
): { readonly selector?: string; readonly selects?: (content: Content) => boolean } {
  const text = frame.get('selector');
  if (text === undefined || text.trim() === '') return {};
  if (text.length > maxLength) {
    throw new Refusal('limit', `the selector is longer than ${maxLength} characters (maxSelectorBytes)`);
  }
  try {
    const selector = parseSelector(text, { maxLength });
    return { selector: text, selects: (content) => selector.matches(content.headers) };
  } catch (cause) {
    if (!(cause instanceof SelectorError)) throw cause;
    throw new Refusal('bad-header', cause.message, { cause });
  }
}
