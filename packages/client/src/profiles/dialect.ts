// A broker's words as a table -> its Profile. What has no word in the table is refused.

import { UsageError } from '@stompbox/protocol';
import { resolve, type Spelling } from './destination.ts';
import {
  type HeaderRecord,
  type PortableOption,
  type PortableSend,
  type PortableSubscribe,
  type Profile,
  UnsupportedByBroker,
} from './profile.ts';

/** A header that carries the value, or the headers for it; undefined refuses this value. */
type Word<Value> = string | ((value: NonNullable<Value>, now: number) => HeaderRecord | undefined);
type Words<Options> = { readonly [Option in keyof Options]?: Word<Options[Option]> };

type Facts = Pick<Profile, 'receipts' | 'transactions' | 'settles' | 'nacked' | 'queues' | 'reply'>;

export interface Dialect extends Partial<Facts>, Partial<Spelling>, Partial<Pick<Profile, 'replyAddress'>> {
  readonly name: Profile['name'];
  /** Besides the headers that only travel from client to client. */
  readonly send?: Words<PortableSend>;
  readonly subscribe?: Words<PortableSubscribe>;
  /** A durable subscription is named within the client-id of CONNECT. */
  readonly needsClientId?: boolean;
  /** A durable subscription is named by its id. */
  readonly namedById?: boolean;
  /** The frames that forget a durable subscription. */
  readonly forget?: (name: string) => readonly HeaderRecord[];
  readonly requeue?: (requeue: boolean) => HeaderRecord | undefined;
  readonly textWithoutLength?: boolean;
  /** What to do instead of what it has no word for. */
  readonly instead?: { readonly [Option in PortableOption]?: string };
}

const NONE: HeaderRecord = {};

/** What most brokers are like. */
const USUAL: Facts & Spelling = {
  receipts: 'all',
  transactions: 'all',
  settles: true,
  nacked: 'unknown',
  queues: 'shared',
  reply: 'temporary',
  queue: '/queue/',
  topic: '/topic/',
};
const FROM_CLIENT_TO_CLIENT: Words<PortableSend> = {
  correlationId: 'correlation-id',
  replyTo: 'reply-to',
  type: 'type',
};

/** Several brokers take these for a word. */
export const expires: Word<number> = (ms, now) => ({ expires: String(Math.round(now) + ms) });
export const nothing: Word<unknown> = () => NONE;
export const requeue = (wanted: boolean): HeaderRecord => ({ requeue: String(wanted) });
export const never = (wanted: boolean): HeaderRecord | undefined => (wanted ? undefined : NONE);

const TEXT = 'a text that is not empty';
const FLAG = 'true or false';
type Kind = typeof TEXT | typeof FLAG | readonly [least: number, most: number];

const SEND: { readonly [Option in keyof Required<PortableSend>]: Kind } = {
  persistent: FLAG,
  expiresInMs: [1, 2 ** 47],
  deliverAfterMs: [0, 2 ** 47],
  priority: [0, 9],
  group: TEXT,
  correlationId: TEXT,
  replyTo: TEXT,
  type: TEXT,
  deduplicationId: TEXT,
  as: TEXT,
};
const SUBSCRIBE: { readonly [Option in keyof Required<PortableSubscribe>]: Kind } = {
  prefetch: [1, 65_535],
  durable: TEXT,
  selector: TEXT,
  exclusive: FLAG,
  noLocal: FLAG,
};
const BY_HAND = 'leave it out; if yours can, write its own header';

/** What an option's value must be, where it is not (P-07). */
function wrong(value: unknown, kind: Kind): string | undefined {
  if (kind === TEXT) return typeof value === 'string' && value !== '' ? undefined : kind;
  if (kind === FLAG) return typeof value === 'boolean' ? undefined : kind;
  const [least, most] = kind as readonly [number, number];
  return Number.isInteger(value) && Number(value) >= least && Number(value) <= most
    ? undefined
    : `a whole number from ${least} to ${most}`;
}

export function profile(own: Dialect): Profile {
  const dialect = { ...USUAL, ...own, send: { ...FROM_CLIENT_TO_CLIENT, ...own.send }, subscribe: own.subscribe ?? {} };
  const { name, receipts, transactions, settles, nacked, queues, reply } = dialect;

  const refuse = (option: PortableOption): never => {
    throw new UnsupportedByBroker(option, name, dialect.instead?.[option] ?? BY_HAND);
  };

  const say = (
    kinds: Readonly<Record<string, Kind>>,
    words: Readonly<Record<string, Word<never> | undefined>>,
    options: object,
    now: number,
  ): HeaderRecord => {
    const headers = {};
    for (const option of Object.keys(kinds) as PortableOption[]) {
      const value = (options as Readonly<Record<string, unknown>>)[option];
      const kind = kinds[option];
      if (value === undefined || kind === undefined) continue;
      const must = wrong(value, kind);
      if (must !== undefined) throw new UsageError('bad-option', `${option} must be ${must}`);
      const word = words[option];
      if (typeof word === 'string') Object.assign(headers, { [word]: String(value) });
      else if (word !== undefined)
        Object.assign(headers, word(value as never, now) ?? refuse(option)); // just checked
      else if (value !== false && (value !== 0 || option === 'priority') && option !== 'as') refuse(option); // which ask for nothing
    }
    return headers;
  };

  return {
    name,
    receipts,
    transactions,
    settles,
    nacked,
    queues,
    reply,
    replyAddress: dialect.replyAddress ?? ((unique) => ({ destination: `/temp-queue/${unique}`, subscribe: NONE })),
    supports: (option) => option in dialect.send || option in dialect.subscribe,
    connect: ({ clientId }) => (clientId === undefined ? NONE : { 'client-id': clientId }),
    send: (portable, now) =>
      say(
        SEND,
        dialect.send,
        dialect.send.persistent ? { ...portable, persistent: portable.persistent ?? true } : portable, // P-02
        now,
      ),
    subscribe: (portable, { id, destination, clientId }) => {
      const { durable } = portable;
      const headers = say(SUBSCRIBE, dialect.subscribe, portable, 0);
      if (durable !== undefined) {
        if (dialect.needsClientId && !clientId) {
          throw new UsageError('bad-option', `durable needs a clientId on ${name}: it names the subscription with it`);
        }
        if (destination.startsWith(dialect.queue) && dialect.queue !== '') {
          throw new UsageError('bad-option', 'durable is for topics; a queue keeps its messages anyway');
        }
      }
      const used = durable !== undefined && dialect.namedById ? durable : id;
      if (used === '' || used.startsWith('/temp-queue/')) {
        throw new UsageError('bad-option', 'a subscription id may not be empty or begin with /temp-queue/ (P-03)');
      }
      return { id: used, headers };
    },
    unsubscribe: ({ durable, forget }) =>
      durable !== undefined && forget ? (dialect.forget?.(durable) ?? refuse('durable')) : [NONE],
    nack: ({ requeue }) => {
      if (!settles) return refuse('nack');
      return requeue === undefined ? NONE : (dialect.requeue?.(requeue) ?? refuse('requeue'));
    },
    resolve: (to, verb) => resolve(dialect, to, verb, refuse),
    omitsContentLength: (as) => as === 'text' && dialect.textWithoutLength === true,
  };
}
