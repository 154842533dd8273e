// Somebody else's client, in the few words that all of them can be made to speak.
//
// Each verb settles when our broker has said, by a RECEIPT, that it is done. Some clients cannot ask for a receipt on
// every frame; since our broker answers in the order of the asking, the receipt of a later frame tells as much.

import type { Broker } from '@stompbox/broker';
import type { Inbox } from '../inbox.ts';

export type Version = '1.0' | '1.1' | '1.2';
export type AckMode = 'auto' | 'client' | 'client-individual';

export interface Message {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

export interface Subscription {
  readonly messages: Inbox<Message>;
  ack(message: Message, transaction?: string): Promise<void>;
  nack(message: Message, transaction?: string): Promise<void>;
  unsubscribe(): Promise<void>;
}

export interface ForeignClient extends AsyncDisposable {
  /** The headers of CONNECTED. */
  readonly connected: Readonly<Record<string, string>>;
  /** The `message` of each ERROR. */
  readonly errors: Inbox<string>;
  send(
    destination: string,
    body: string | Uint8Array,
    options?: { headers?: Record<string, string>; transaction?: string },
  ): Promise<void>;
  subscribe(destination: string, ack: AckMode): Promise<Subscription>;
  begin(transaction: string): Promise<void>;
  commit(transaction: string): Promise<void>;
  abort(transaction: string): Promise<void>;
  /** Settles on the receipt of DISCONNECT. */
  disconnect(): Promise<void>;
  /** Cuts the connection, without a word. */
  drop(): void;
}

export interface ForeignProgram {
  /** The versions it can be told to speak. */
  readonly versions: readonly Version[];
  /** Those in which it escapes headers as the specification says. */
  readonly escapes: readonly Version[];
  connect(broker: Broker, options: { version: Version; heartBeatMs?: number }): Promise<ForeignClient>;
}
