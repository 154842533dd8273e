// What an application asks for, in words that no broker owns; and what each broker can
// answer. A Profile turns the first into headers (conformance 6.6):
//
//   { expiresInMs: 5000 }  ── rabbitmq ──►  expiration:5000
//                          ── activemq ──►  expires:1794000005000
//                          ── spring   ──►  UnsupportedByBroker, and nothing is sent
//
// Everything here is pure: time is handed in.

import { StompError } from '@stompbox/protocol';

/** `stompbox` is the broker of this project, `spring` Spring's simple broker, `generic` any other: headers of the specification only. */
export type ProfileName = 'rabbitmq' | 'activemq' | 'artemis' | 'spring' | 'stompbox' | 'generic';

export type HeaderRecord = Readonly<Record<string, string>>;

/** Options of SEND. Undefined is "as usual". */
export interface PortableSend {
  /**
   * Whether the message outlives a restart of the broker. True unless given, where the broker knows the word: over STOMP all of
   * them would otherwise take it for one that may be lost (P-02).
   */
  readonly persistent?: boolean | undefined;
  /** How long it is worth delivering, in whole milliseconds from now; from 1 up. It counts from sending, also with `deliverAfterMs`. */
  readonly expiresInMs?: number | undefined;
  /** Deliver it this many whole milliseconds from now, not before. */
  readonly deliverAfterMs?: number | undefined;
  /** 0 to 9, higher first; 4 is usual. RabbitMQ heeds it in queues that were declared with `x-max-priority`. */
  readonly priority?: number | undefined;
  /** Messages of one group go to one consumer, in order, as long as it is there. */
  readonly group?: string | undefined;
  /** What an answer names. */
  readonly correlationId?: string | undefined;
  /** Where an answer goes. */
  readonly replyTo?: string | undefined;
  readonly type?: string | undefined;
  /** The broker drops a second message with this id. */
  readonly deduplicationId?: string | undefined;
  /** What a JMS consumer gets: TextMessage or BytesMessage. Other brokers make no difference. */
  readonly as?: 'text' | 'bytes' | undefined;
}

/** Options of SUBSCRIBE. */
export interface PortableSubscribe {
  /** Messages that may be under way unsettled, 1 to 65535; the broker's own default unless given. */
  readonly prefetch?: number | undefined;
  /** The name of a durable subscription to a topic: it gathers messages while nobody is there, until it is forgotten. */
  readonly durable?: string | undefined;
  /** Only messages whose headers fulfil this, in the SQL-92 of JMS. */
  readonly selector?: string | undefined;
  /** All messages of the queue to one consumer, as long as it is there. */
  readonly exclusive?: boolean | undefined;
  /** Not what this connection sends itself. */
  readonly noLocal?: boolean | undefined;
}

export type PortableOption =
  | keyof PortableSend
  | keyof PortableSubscribe
  | 'confirm' // the receipt of a SEND
  | 'transaction'
  | 'ack' // a mode with settling
  | 'nack'
  | 'requeue'
  | 'wildcard' // in a portable destination
  | 'name'; // of a portable destination

/** A queue or a topic by its bare name; `queue()` and `topic()` make one. Each broker writes it its own way. */
export interface PortableDestination {
  readonly kind: 'queue' | 'topic';
  /** Words with dots between them. In a topic to subscribe to, `*` is any one word and a last `#` all the rest. */
  readonly name: string;
}

/** A text is the broker's own name for the place and is written as it is. */
export type To = string | PortableDestination;

/** For sentences. */
export function nameOf(to: To): string {
  return typeof to === 'string' ? to : `${to.kind} ${to.name}`;
}

export interface Resolved {
  readonly destination: string;
  /** Headers that belong to it (Artemis says in one whether it is a queue). */
  readonly headers: HeaderRecord;
}

export interface ReplyAddress {
  /** What `reply-to` says. */
  readonly destination: string;
  /** Headers of the SUBSCRIBE to it. Undefined: do not subscribe; answers come with `subscription` = `destination`. */
  readonly subscribe: HeaderRecord | undefined;
}

export interface SubscribeContext {
  /** The id the client would use. */
  readonly id: string;
  /** As it is written. */
  readonly destination: string;
  /** What CONNECT said. */
  readonly clientId?: string | undefined;
}

/**
 * One broker's words. Its functions throw UnsupportedByBroker for what this broker cannot do, and UsageError `bad-option` or
 * `missing-header` for a value that no broker takes (P-07, P-08): nothing is sent then. They read the options they know and
 * ignore the rest of what they are given.
 */
export interface Profile {
  readonly name: ProfileName;
  /** Which frames a receipt can be had for (P10). */
  readonly receipts: 'all' | 'disconnect';
  /** What a transaction holds together. `sends`: an ACK in it counts at once. */
  readonly transactions: 'all' | 'sends' | 'none';
  /** Whether ack modes, ACK and NACK mean anything. Where not, subscribe in `auto`. */
  readonly settles: boolean;
  /** What becomes of a nacked message (P-05). `drops` on ActiveMQ too, where it was not persistent. */
  readonly nacked: 'redelivered' | 'dead-lettered' | 'dropped' | 'unknown';
  /** Whether consumers of a queue share its messages, or each gets them all. */
  readonly queues: 'shared' | 'broadcast';
  /**
   * How answers come back: to a queue of this connection's own that it subscribes to (`temporary`) or that the broker
   * subscribes it to (`broker`), or to an address that others could read too (`shared`).
   */
  readonly reply: 'temporary' | 'broker' | 'shared';

  /** Whether an option can be had at all; some values of it may still be refused. */
  supports(option: keyof PortableSend | keyof PortableSubscribe): boolean;
  /** Headers for CONNECT. */
  connect(options: { readonly clientId?: string | undefined }): HeaderRecord;
  /** Headers for SEND; `now` in milliseconds since 1970. */
  send(portable: PortableSend, now: number): HeaderRecord;
  /** Headers for SUBSCRIBE, and the id to use: a durable subscription may be known by it. */
  subscribe(
    portable: PortableSubscribe,
    context: SubscribeContext,
  ): { readonly id: string; readonly headers: HeaderRecord };
  /** The UNSUBSCRIBE frames to write in turn, each with the `id` and these headers. `forget` ends a durable subscription for good. */
  unsubscribe(
    portable: Pick<PortableSubscribe, 'durable'> & { readonly forget?: boolean | undefined },
  ): readonly HeaderRecord[];
  /** Headers for NACK. `requeue`: true wants it back in the queue, false wants it never again. */
  nack(options: { readonly requeue?: boolean | undefined }): HeaderRecord;
  resolve(to: To, verb: 'SEND' | 'SUBSCRIBE'): Resolved;
  /** Where this client can be answered; `unique` is a name that nobody else uses. */
  replyAddress(unique: string): ReplyAddress;
  /** A SEND that is to be text for JMS must not say its content-length, as long as its body is UTF-8 without NUL (C-56). */
  omitsContentLength(as: PortableSend['as']): boolean;
}

/** The broker cannot do that. Nothing was sent; the message says what to do instead. */
export class UnsupportedByBroker extends StompError {
  override readonly name = 'UnsupportedByBroker';
  readonly code = 'unsupported-by-broker';
  readonly outcome = 'unsent';
  readonly option: PortableOption;
  readonly profile: ProfileName;

  constructor(option: PortableOption, profile: ProfileName, instead: string) {
    super(`${option} is not for ${profile}: ${instead}`);
    this.option = option;
    this.profile = profile;
  }
}
