// Destination texts -> destinations, for one connection: what a name means, whether
// it may be used, and what a SEND hands to the engine.
//
//   /queue/a            queue `a`
//   /topic/a.b          topic; on SUBSCRIBE a pattern
//   /temp-queue/a       a queue of this connection's own
//   /remote-temp-queue/ID/a   how others see it, and may send to it: what `reply-to` says
//   anything else       a queue of that whole name

import { Content, type Encoder, type Frame, NameSet, quote } from '@stompbox/protocol';
import type { Destination, Send } from './engine/engine.ts';
import { isWildcard, wrongPattern } from './pattern.ts';
import { Refusal } from './refusal.ts';
import { isTemporary, temporaryName } from './temporary.ts';

export interface RouterOptions {
  /** This connection's name in `/remote-temp-queue/`. */
  readonly connection: string;
  readonly maxDestinationBytes: number;
  readonly maxTempQueues: number;
  allows(verb: 'send' | 'subscribe', destination: string): boolean;
  /** Whether some connection has this temporary queue now. */
  hasTemporary(queue: string): boolean;
}

const REMEMBERED = 1024;
const TEMP = '/temp-queue/';
const REMOTE = '/remote-temp-queue/';

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

export class Router {
  readonly #options: RouterOptions;
  readonly #scratch: Encoder;
  readonly #sends = new Map<string, Destination>();
  readonly #temporary = new Set<string>();

  constructor(options: RouterOptions, scratch: Encoder) {
    this.#options = options;
    this.#scratch = scratch;
  }

  /** Names of this connection's temporary queues, as the engine knows them. */
  get temporary(): ReadonlySet<string> {
    return this.#temporary;
  }

  /** What a SEND means; undefined where it goes to a temporary queue that is not there (any more). Throws Refusal. */
  send(frame: Frame, destination: string): Send | undefined {
    let target = this.#sends.get(destination);
    if (target === undefined) {
      target = this.#resolve('send', destination);
      if (target === undefined) return undefined;
      if (this.#sends.size >= REMEMBERED) this.#sends.clear();
      if (!isTemporary(target.name)) this.#sends.set(destination, target); // which may be gone next time
    }
    checkValues(frame);
    return { destination: target, content: this.#content(frame) };
  }

  /** Whether a destination is still there: that of a transaction may have left before its COMMIT. */
  isThere({ name }: Destination): boolean {
    return !isTemporary(name) || this.#options.hasTemporary(name);
  }

  /** What a SUBSCRIBE means. Throws Refusal. */
  subscribe(frame: Frame, destination: string): Destination {
    if (frame.headers.has('selector')) throw new Refusal('unsupported', 'selectors are not supported by this broker');
    const target = this.#resolve('subscribe', destination);
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

  #content(frame: Frame): Content {
    const local = this.replyQueue(frame);
    if (local === undefined) return Content.of(frame, DROPPED, this.#scratch);
    const replyTo = `${REMOTE}${this.#options.connection}/${local}`;
    return Content.of(frame, DROPPED_AND_REPLY_TO, this.#scratch, [['reply-to', replyTo]]);
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

// Headers that other brokers understand and that would mean something else if they were taken as text (M-83).
function checkValues(frame: Frame): void {
  const { headers } = frame;
  const priority = headers.get('priority');
  if (priority !== undefined && !/^[0-9]$/.test(priority))
    throw new Refusal('bad-header', `priority ${quote(priority)} is not 0 to 9`);
  for (const name of ['expires', 'expiration']) {
    const value = headers.get(name);
    if (value !== undefined && !/^\d{1,15}$/.test(value))
      throw new Refusal('bad-header', `${name} ${quote(value)} is no number of milliseconds`);
  }
  if (headers.has('AMQ_SCHEDULED_DELAY')) throw new Refusal('unsupported', 'this broker does not delay messages');
}
