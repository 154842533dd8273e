// The headers that a known broker reads, by name, so that a wrong one does not compile:
//
//   HeadersFor<'rabbitmq', 'SEND'>              what RabbitMQ reads of a SEND, and no other name
//   HeadersFor<'rabbitmq', 'SEND', 'tenant'>    and a header of the application's own
//   HeadersFor<'generic', 'SEND'>               any name
//
// Nothing of this is there at run time. Sources: conformance 6.1 to 6.4, and docs/messages.md.

import type { HeaderValue } from './connection/send.ts';
import type { ProfileName } from './profiles/profile.ts';

type Flag = boolean | 'true' | 'false';
type Count = number | `${number}`;

/** What travels from client to client everywhere, and what the options of a verb stand for but a header may say. */
interface Everywhere {
  'content-type'?: string;
  'correlation-id'?: string;
  'reply-to'?: string;
  type?: string;
}

/** A queue's arguments, for the one that declares it. */
interface RabbitMqQueue {
  durable?: Flag;
  'auto-delete'?: Flag;
  exclusive?: Flag;
  'x-queue-name'?: string;
  'x-queue-type'?: 'classic' | 'quorum' | 'stream';
  'x-dead-letter-exchange'?: string;
  'x-dead-letter-routing-key'?: string;
  'x-expires'?: Count;
  'x-message-ttl'?: Count;
  'x-max-length'?: Count;
  'x-max-length-bytes'?: Count;
  'x-max-priority'?: Count;
  'x-max-age'?: string;
  'x-stream-max-segment-size-bytes'?: Count;
  'x-stream-filter-size-bytes'?: Count;
}

interface JmsSend extends Everywhere {
  persistent?: Flag;
  priority?: Count;
  /** Milliseconds since 1970; 0 is never. */
  expires?: Count;
  JMSXGroupID?: string;
  /** Milliseconds from now. */
  AMQ_SCHEDULED_DELAY?: Count;
}

/** By broker, then by command. */
export interface KnownHeaders {
  rabbitmq: {
    CONNECT: Record<never, never>;
    SEND: Everywhere &
      Omit<RabbitMqQueue, 'x-queue-name'> & {
        persistent?: Flag;
        priority?: Count;
        /** Milliseconds from now. */
        expiration?: Count;
        'content-encoding'?: string;
        /** Seconds since 1970. */
        timestamp?: Count;
        'user-id'?: string;
        'app-id'?: string;
        'amqp-message-id'?: string;
        'x-delay'?: Count;
        'x-stream-filter-value'?: string;
      };
    SUBSCRIBE: RabbitMqQueue & {
      persistent?: Flag;
      'prefetch-count'?: Count;
      'x-priority'?: Count;
      'x-stream-offset'?: 'first' | 'last' | 'next' | `offset=${number}` | `timestamp=${number}`;
      'x-stream-filter'?: string;
      'x-stream-match-unfiltered'?: Flag;
    };
    UNSUBSCRIBE: { durable?: Flag; 'auto-delete'?: Flag };
    NACK: { requeue?: Flag };
  };
  activemq: {
    CONNECT: { 'client-id'?: string; 'request-id'?: string };
    SEND: JmsSend & {
      JMSXGroupSeq?: Count;
      AMQ_SCHEDULED_PERIOD?: Count;
      AMQ_SCHEDULED_REPEAT?: Count;
      AMQ_SCHEDULED_CRON?: string;
      'amq-msg-type'?: 'text' | 'bytes';
      transformation?: string;
    };
    SUBSCRIBE: {
      selector?: string;
      browser?: Flag;
      transformation?: string;
      'activemq.prefetchSize'?: Count;
      'activemq.subscriptionName'?: string;
      'activemq.noLocal'?: Flag;
      'activemq.exclusive'?: Flag;
      'activemq.priority'?: Count;
      'activemq.retroactive'?: Flag;
      'activemq.dispatchAsync'?: Flag;
      'activemq.maximumPendingMessageLimit'?: Count;
    };
    UNSUBSCRIBE: { 'activemq.subscriptionName'?: string };
    NACK: Record<never, never>;
  };
  artemis: {
    CONNECT: { 'client-id'?: string };
    SEND: JmsSend & {
      'destination-type'?: 'ANYCAST' | 'MULTICAST';
      AMQ_SCHEDULED_TIME?: Count;
      _AMQ_DUPL_ID?: string;
    };
    SUBSCRIBE: {
      selector?: string;
      'subscription-type'?: 'ANYCAST' | 'MULTICAST';
      'durable-subscription-name'?: string;
      'durable-subscriber-name'?: string;
      'activemq.subscriptionName'?: string;
      /** Bytes; 0 is one message at a time, -1 any number. */
      'consumer-window-size'?: Count;
      'activemq.prefetchSize'?: Count;
      'no-local'?: Flag;
      'activemq.noLocal'?: Flag;
    };
    UNSUBSCRIBE: { 'durable-subscription-name'?: string; 'durable-subscriber-name'?: string };
    NACK: Record<never, never>;
  };
  spring: {
    CONNECT: Record<never, never>;
    SEND: Everywhere;
    SUBSCRIBE: { selector?: string };
    UNSUBSCRIBE: Record<never, never>;
    NACK: Record<never, never>;
  };
  stompbox: {
    CONNECT: { 'client-id'?: string };
    SEND: JmsSend & {
      expiration?: Count;
      AMQ_SCHEDULED_TIME?: Count;
      'duplicate-id'?: string;
      'destination-type'?: 'ANYCAST' | 'MULTICAST';
    };
    SUBSCRIBE: {
      selector?: string;
      browser?: Flag;
      exclusive?: Flag;
      durable?: Flag;
      'prefetch-count'?: Count;
      'durable-subscription-name'?: string;
      'subscription-type'?: 'ANYCAST' | 'MULTICAST';
    };
    UNSUBSCRIBE: { durable?: Flag; 'durable-subscription-name'?: string };
    NACK: { requeue?: Flag };
  };
}

export type HeaderCommand = 'CONNECT' | 'SEND' | 'SUBSCRIBE' | 'UNSUBSCRIBE' | 'NACK';

type OrFunction<Value> = Value | (() => Value);

/**
 * Headers for a command of a broker: the names it reads, and `Own`, those of the application, which may be patterns such as
 * `app-${string}`. A name that is neither is a compile error in an object literal. `generic`, and `string` for `Own`, allow any.
 * A value of SEND may be a function that is asked when the frame is written.
 */
export type HeadersFor<
  Profile extends ProfileName,
  Of extends HeaderCommand,
  Own extends string = never,
> = Profile extends keyof KnownHeaders
  ? string extends Own
    ? AnyHeaders<Of>
    : Valued<KnownHeaders[Profile][Of], Of> & { readonly [Name in Own]?: ValueOf<Of> }
  : AnyHeaders<Of>;

/** Options of something that sends, with the headers of that broker. */
export type WithHeaders<Options, Broker extends ProfileName, Own extends string> = Omit<Options, 'headers'> & {
  readonly headers?: HeadersFor<Broker, 'SEND', Own> | undefined;
};

type ValueOf<Of extends HeaderCommand> = Of extends 'SEND' ? OrFunction<HeaderValue> : string;
type AnyHeaders<Of extends HeaderCommand> = Readonly<Record<string, ValueOf<Of>>>;
type Valued<Known, Of extends HeaderCommand> = {
  readonly [Name in keyof Known]?: Of extends 'SEND'
    ? OrFunction<Exclude<Known[Name], undefined>>
    : Extract<Known[Name], string>;
};
