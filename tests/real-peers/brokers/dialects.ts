// What the real brokers do, where they differ: facts, measured, in the words of conformance sections 6 and 7.

import type { ConnectionOptions } from '@stompbox/client';
import type { Version } from '@stompbox/protocol';
import type { PeerAddress, Skipped } from 'testkit/peers';
import { activeMq, rabbitMq } from '../peers.ts';

export interface Dialect {
  readonly name: string;
  readonly peer: PeerAddress | Skipped;
  readonly server: RegExp;
  /** CONNECT's `host`. */
  readonly host: string;
  /** How it can be reached. */
  readonly transports: readonly (keyof PeerAddress['urls'])[];
  /** Where an ERROR that is followed by a close may be lost on the way out, so that only the close is seen. */
  readonly mayCloseMute: readonly (keyof PeerAddress['urls'])[];
  /** What our client must overlook to understand it (section 7). */
  leniency(version: Version): ConnectionOptions['leniency'];
  /** The shortest heart-beat it grants, milliseconds. */
  readonly shortestHeartBeatMs: number;
  /** Headers that come back as they were sent. */
  oddHeaders(version: Version): Readonly<Record<string, string>>;
  /** Headers of a NACK after which the message does not come back. */
  readonly forGood: Readonly<Record<string, string>>;
  /** Which of three messages are left after a NACK for good of the second in mode `client`. */
  readonly leftByNackInClientMode: readonly string[];
  /** What becomes of a persistent message that is nacked. */
  readonly nacked: 'redelivered' | 'dead letter';
  /** When it answers a SEND in a transaction that asked for a receipt. */
  readonly receiptInTransaction: 'at once' | 'after COMMIT';
  /** A SUBSCRIBE that it refuses with an ERROR. */
  readonly refused: { readonly destination: string; readonly headers: Readonly<Record<string, string>> };
  /** What an ERROR names: the receipt of the frame at fault (S-07, X-66). */
  readonly namesTheReceipt: boolean;
  /** Whether one has to SUBSCRIBE to a temporary queue to get what is sent there (6.6). */
  readonly subscribesToTemporaryQueues: boolean;
}

export const DIALECTS: readonly Dialect[] = [
  {
    name: 'RabbitMQ',
    peer: rabbitMq,
    server: /^RabbitMQ\/3\./,
    host: '/',
    transports: ['tcp', 'tls', 'ws'],
    mayCloseMute: [],
    // It escapes in every version as in 1.2 (X-09b, X-10).
    leniency: (version) => ({ '1.0': { escape10: true }, '1.1': { escapeR11: 'accept' as const }, '1.2': {} })[version],
    shortestHeartBeatMs: 1_000,
    oddHeaders: (version) => ({
      colon: 'a:b::c',
      blanks: version === '1.0' ? 'none before ' : ' both ',
      'non-ascii': 'zażółć 🐢',
      ...(version !== '1.0' && { backslash: String.raw`C:\new\dir`, newline: 'two\nlines', 'na:me': 'value' }),
      ...(version === '1.2' && { return: 'two\r\nlines' }),
    }),
    forGood: { requeue: 'false' },
    leftByNackInClientMode: ['three'],
    nacked: 'redelivered',
    receiptInTransaction: 'after COMMIT',
    refused: { destination: '/nope/x', headers: {} },
    namesTheReceipt: false,
    subscribesToTemporaryQueues: false,
  },
  {
    name: 'ActiveMQ',
    peer: activeMq,
    server: /^ActiveMQ\/5\./,
    host: 'localhost',
    transports: ['tcp', 'tls', 'nio'],
    mayCloseMute: ['nio'], // one wrong login in ten
    leniency: () => undefined,
    shortestHeartBeatMs: 100,
    oddHeaders: (version) => ({
      colon: 'a:b::c',
      blanks: version === '1.0' ? 'none at all' : ' both ',
      'non-ascii': 'zażółć 🐢',
      ...(version !== '1.0' && { backslash: String.raw`C:\new\dir`, newline: 'two\nlines', 'na:me': 'value' }),
      ...(version === '1.2' && { return: 'two\r\nlines' }),
    }),
    forGood: {},
    leftByNackInClientMode: ['one', 'three'],
    nacked: 'dead letter',
    receiptInTransaction: 'at once',
    refused: { destination: '/queue/x', headers: { selector: 'this is no selector' } },
    namesTheReceipt: true,
    subscribesToTemporaryQueues: true,
  },
];
