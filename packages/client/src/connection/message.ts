// One MESSAGE as a reader gets it: the frame, its body in whatever form is wanted, and
// the settling of it, which only the connection that delivered it can do.

import { type Frame, type Headers, type OwedMessage, quote, UsageError } from '@stompbox/protocol';
import { ConnectionLost } from '../errors.ts';
import { type MessageAttributes, messageAttributes } from '../profiles/attributes.ts';
import type { Body } from './body.ts';
import type { WaitOptions } from './inbox.ts';
import type { SendOptions } from './send.ts';
import type { StreamedBody } from './streamed-body.ts';
import { TAKEN } from './writer.ts';

export interface SettleOptions extends WaitOptions {
  /** Ask for a RECEIPT and wait for it. False unless given: the promise resolves when the connection takes more frames. */
  readonly confirm?: boolean | undefined;
  /** Settle when this transaction commits; it must be open on the same connection (T-03). Not with `confirm`. */
  readonly transaction?: string | undefined;
  /**
   * For a NACK of a Client's message: true wants it delivered again, false wants it never again (dead-lettered or gone). Rejects
   * with UnsupportedByBroker where the broker knows no such choice, and with UsageError on a plain connection.
   */
  readonly requeue?: boolean | undefined;
  /** Headers for the broker besides the standard ones. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

const UTF8 = 'utf-8';
const strict = new TextDecoder(UTF8, { fatal: true, ignoreBOM: true });

function charsetOf(type: string | undefined): string {
  if (type === undefined || !type.includes(';')) return UTF8;
  return /;\s*charset\s*=\s*"?([^\s";]+)/i.exec(type)?.[1] ?? UTF8;
}

function decoderFor(charset: string, replaces: boolean): TextDecoder {
  if (charset === UTF8 && !replaces) return strict;
  try {
    return new TextDecoder(charset, { fatal: !replaces, ignoreBOM: true });
  } catch (cause) {
    throw new UsageError('bad-body', `the charset ${quote(charset)} is not known here; read bytes instead`, { cause });
  }
}

/** What a message needs of the connection it came on. */
export interface Settler {
  settle(owed: OwedMessage, outcome: 'ACK' | 'NACK', options: SettleOptions): Promise<void>;
  send(destination: string, body: Body, options: SendOptions): Promise<void>;
}

/** `T` is what the sender promised the JSON to be; nothing checks it. */
export class Message<T = unknown> {
  /** The MESSAGE as it came; its body is empty where it is streamed. */
  readonly frame: Frame;
  readonly #settler: Settler;
  readonly #owed: OwedMessage | undefined;
  readonly #streamed: StreamedBody | undefined;
  #settled = false;
  #tellStale: ((message: Message) => void) | undefined;
  #attributes: MessageAttributes | undefined;

  /** @internal */
  constructor(frame: Frame, settler: Settler, owed: OwedMessage | undefined, streamed?: StreamedBody) {
    this.frame = frame;
    this.#settler = settler;
    this.#owed = owed;
    this.#streamed = streamed;
  }

  get headers(): Headers {
    return this.frame.headers;
  }
  /** As the broker writes it, which need not be how it was sent or subscribed to (S-04). */
  get destination(): string {
    return this.frame.headers.get('destination') ?? '';
  }
  /** The `message-id`. Opaque. */
  get id(): string {
    return this.frame.headers.get('message-id') ?? '';
  }
  get contentType(): string | undefined {
    return this.frame.headers.get('content-type');
  }
  /** Absent means false. */
  get redelivered(): boolean {
    return this.#says.redelivered;
  }
  /** How often it was delivered before, where the broker counts. */
  get deliveryCount(): number | undefined {
    return this.#says.deliveryCount;
  }
  get persistent(): boolean | undefined {
    return this.#says.persistent;
  }
  get priority(): number | undefined {
    return this.#says.priority;
  }
  /** When it was sent, in milliseconds since 1970. */
  get timestamp(): number | undefined {
    return this.#says.timestamp;
  }
  /** When it stops being worth delivering, in milliseconds since 1970; undefined is never. */
  get expires(): number | undefined {
    return this.#says.expires;
  }
  get correlationId(): string | undefined {
    return this.#says.correlationId;
  }
  get replyTo(): string | undefined {
    return this.#says.replyTo;
  }
  get type(): string | undefined {
    return this.#says.type;
  }
  get group(): string | undefined {
    return this.#says.group;
  }
  /** Where it was sent, if the broker has moved it since. */
  get originalDestination(): string | undefined {
    return this.#says.originalDestination;
  }
  // Under any broker's names, read leniently (P-07).
  get #says(): MessageAttributes {
    this.#attributes ??= messageAttributes(this.frame.headers);
    return this.#attributes;
  }
  /** The broker waits for `ack()` or `nack()`: the subscription is not `auto`, whatever headers a producer planted. */
  get ackable(): boolean {
    return this.#owed !== undefined;
  }
  /** `ack()` or `nack()` was called on it. */
  get settled(): boolean {
    return this.#settled;
  }

  /** The octets as they came; never inflated, whatever `content-encoding` says. Throws UsageError `bad-body` on a streamed body. */
  get bytes(): Uint8Array {
    if (this.#streamed !== undefined) {
      throw new UsageError('bad-body', 'this body is streamed (streamBodiesOver): read it with stream()');
    }
    return this.frame.body;
  }

  /**
   * The body as text, in the charset of `content-type` or else UTF-8 (C-65). Throws UsageError `bad-body` where the runtime
   * does not know the charset, and where the octets are none of it, unless `{ invalid: 'replace' }` puts U+FFFD for those.
   */
  text(options: { readonly invalid?: 'throw' | 'replace' | undefined } = {}): string {
    const { bytes } = this;
    const charset = charsetOf(this.contentType);
    const decoder = decoderFor(charset, options.invalid === 'replace');
    try {
      return decoder.decode(bytes);
    } catch (cause) {
      throw new UsageError('bad-body', `the body is not ${quote(charset)} text`, { cause });
    }
  }

  /** The body as JSON. Throws UsageError `bad-json`, or as `text()` does. */
  json<U = T>(): U {
    const text = this.text();
    try {
      return JSON.parse(text);
    } catch (cause) {
      throw new UsageError('bad-json', 'the body is not JSON', { cause });
    }
  }

  /**
   * The body as a stream. A streamed body can be had once, and only until the next message of its subscription is asked for
   * or its handler has returned: a body that nobody took by then is dropped as it comes.
   */
  stream(): ReadableStream<Uint8Array> {
    if (this.#streamed === undefined) {
      const { body } = this.frame;
      return new ReadableStream<Uint8Array>({
        start(controller) {
          if (body.length > 0) controller.enqueue(body);
          controller.close();
        },
      });
    }
    if (this.#streamed.taken) throw new UsageError('bad-body', 'the stream of this body was taken before');
    return this.#streamed.stream();
  }

  /**
   * Says the message is done with; in `client` mode every earlier one of its subscription too.
   * Rejects with UsageError `ack-on-auto` or `unknown-ack` (settled before), ConnectionLost `unsent` once the connection
   * that delivered it is gone (the broker delivers it again), and with `confirm` as `send` does. On a message of a `Client` a lost
   * connection is no error unless `confirm` or `transaction` is given: the status says `stale-settle`.
   */
  ack(options: SettleOptions = {}): Promise<void> {
    return this.#settle('ACK', options);
  }

  /** Gives the message back; what becomes of it is up to the broker. Not in STOMP 1.0. Rejects as `ack()` does. */
  nack(options: SettleOptions = {}): Promise<void> {
    return this.#settle('NACK', options);
  }

  /**
   * Sends to where its `reply-to` says, with its `correlation-id`, on the connection it came on. Rejects with UsageError
   * `missing-header` where it asks for no answer, and as `Connection.send` does.
   */
  reply(body?: Body, options: SendOptions = {}): Promise<void> {
    const { replyTo, correlationId } = this;
    if (replyTo === undefined) {
      return Promise.reject(
        new UsageError('missing-header', 'this message has no reply-to: its sender wants no answer'),
      );
    }
    const correlation = correlationId === undefined ? {} : { 'correlation-id': correlationId };
    return this.#settler.send(replyTo, body, { ...options, headers: { ...correlation, ...options.headers } });
  }

  #settle(outcome: 'ACK' | 'NACK', options: SettleOptions): Promise<void> {
    if (this.#owed === undefined) {
      return Promise.reject(
        new UsageError('ack-on-auto', 'this message waits for no ACK: its subscription acknowledges by itself (A-01)'),
      );
    }
    this.#settled = true;
    const settling = this.#settler.settle(this.#owed, outcome, options);
    const tell = this.#tellStale;
    if (tell === undefined || settling === TAKEN || options.confirm || options.transaction !== undefined)
      return settling;
    return settling.catch((error: unknown) => {
      if (!(error instanceof ConnectionLost)) throw error;
      tell(this);
    });
  }

  /** The body comes in pieces (`streamBodiesOver`): only `stream()` reads it. */
  get isStreamed(): boolean {
    return this.#streamed !== undefined;
  }

  /**
   * @internal An ACK or NACK that comes too late is told there and no error, so that a loop goes on (P14); not where it asks for
   * a RECEIPT or stands in a transaction.
   */
  forgiveStale(tell: (message: Message) => void): void {
    this.#tellStale = tell;
  }

  /** @internal Whether it came on that connection. */
  cameBy(settler: Settler): boolean {
    return this.#settler === settler;
  }

  /** @internal The reader goes on without having taken the stream. */
  leave(): void {
    this.#streamed?.discardUnlessTaken();
  }
}
