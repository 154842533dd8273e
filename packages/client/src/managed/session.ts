// One connection of a client, in the words of its broker: portable options -> headers.

import { type Body, isSource } from '../connection/body.ts';
import type { Connection } from '../connection/connection.ts';
import type { SendOptions } from '../connection/send.ts';
import type { Transaction, TransactionSendOptions } from '../connection/transaction.ts';
import { OutboxError } from '../errors.ts';
import {
  type HeaderRecord,
  type PortableSend,
  type Profile,
  type To,
  UnsupportedByBroker,
} from '../profiles/profile.ts';
import type { Attempt, OutboxSendOptions, Outlet } from './outbox.ts';

/** Options of a send that goes out on a session. */
export type SessionSendOptions = SendOptions & PortableSend & Pick<OutboxSendOptions, 'onUnknown'>;

export type ClientTransactionSendOptions = TransactionSendOptions & PortableSend;
export type ClientTransaction = Transaction<To, ClientTransactionSendOptions>;

export class Session implements Outlet {
  readonly connection: Connection;
  readonly profile: Profile;
  /** The endpoint as a URL, without its secrets. */
  readonly endpoint: string;
  readonly #resends: boolean;
  readonly #plain: HeaderRecord; // of a send without portable options

  /** `resends`: sends with an unknown outcome are written again unless they say otherwise. */
  constructor(connection: Connection, profile: Profile, endpoint: string, resends: boolean) {
    this.connection = connection;
    this.profile = profile;
    this.endpoint = endpoint;
    this.#resends = resends;
    this.#plain = profile.send({}, 0);
    connection.requeueWords = (requeue) => profile.nack({ requeue });
  }

  get isOpen(): boolean {
    return this.connection.isOpen;
  }

  /** Throws UsageError, UnsupportedByBroker, or OutboxError `expired`: nothing was sent. */
  send(to: To, body: Body, options: SessionSendOptions, attempt?: Attempt): Promise<void> {
    const { destination, headers } = this.profile.resolve(to, 'SEND');
    const answers = this.profile.receipts === 'all';
    if (!answers && options.confirm === true) {
      throw new UnsupportedByBroker('confirm', this.profile.name, 'it answers no receipts; leave confirm out');
    }
    const as = options.as ?? (isOctets(body) ? 'bytes' : 'text'); // P8: a JMS consumer gets a TextMessage of what is text here
    const words = this.#words(options, attempt);
    const { contentType, contentLength, transaction, timeoutMs, signal } = options;
    return this.connection.send(destination, body, {
      contentType,
      contentLength,
      transaction,
      timeoutMs,
      signal,
      confirm: answers ? options.confirm : false,
      announceLength: this.profile.omitsContentLength(as) ? 'whenNeeded' : options.announceLength,
      headers: options.headers === undefined && isEmpty(headers) ? words : { ...words, ...headers, ...options.headers },
    });
  }

  /** Throws UnsupportedByBroker where it has no transactions. */
  begin(): ClientTransaction {
    const { connection, profile } = this;
    const { transactions, name } = profile;
    if (transactions === 'none') throw new UnsupportedByBroker('transaction', name, 'send one by one');
    const settles = (): void => {
      if (transactions === 'all') return;
      throw new UnsupportedByBroker('transaction', name, 'an ACK in a transaction counts at once; settle after it');
    };
    return connection.beginWith<To, ClientTransactionSendOptions>({
      send: async (to, body, options) => this.send(to, body, options),
      ack: async (message, options) => {
        settles();
        await connection.ack(message, options);
      },
      nack: async (message, options) => {
        settles();
        await connection.nack(message, options);
      },
    });
  }

  #words(options: SessionSendOptions, attempt: Attempt | undefined): HeaderRecord {
    const { profile } = this;
    const resends = options.onUnknown === undefined ? this.#resends : options.onUnknown === 'resend';
    const named = resends && attempt !== undefined && profile.supports('deduplicationId');
    if (!named && isPlain(options)) return this.#plain;
    const { expiresInMs } = options;
    const left = expiresInMs === undefined ? undefined : expiresInMs - Math.round(attempt?.waitedMs ?? 0);
    if (left !== undefined && left <= 0 && attempt !== undefined && attempt.waitedMs > 0) {
      throw new OutboxError('expired', `it waited longer for a connection than its expiresInMs; nothing was sent`);
    }
    return profile.send(
      {
        ...options,
        expiresInMs: left,
        deduplicationId: options.deduplicationId ?? (named ? attempt?.key : undefined),
      },
      Date.now(),
    );
  }
}

/** It has no portable option. Written out: this is asked of every send. */
function isPlain(options: PortableSend): boolean {
  return (
    options.persistent === undefined &&
    options.expiresInMs === undefined &&
    options.deliverAfterMs === undefined &&
    options.priority === undefined &&
    options.group === undefined &&
    options.correlationId === undefined &&
    options.replyTo === undefined &&
    options.type === undefined &&
    options.deduplicationId === undefined &&
    options.as === undefined
  );
}

function isEmpty(headers: HeaderRecord): boolean {
  for (const _ in headers) return false;
  return true;
}

function isOctets(body: Body): boolean {
  return body instanceof Uint8Array || isSource(body);
}
