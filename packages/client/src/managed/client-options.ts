// Every option of a client, once: those of its connections, of the choice of endpoints, and its own.

import { UsageError } from '@stompbox/protocol';
import { CONNECTION_OPTIONS, type ConnectionOptions } from '../connection/options.ts';
import {
  type Check,
  callable,
  type Given,
  number,
  object,
  oneOf,
  resolve,
  type Settings,
  text,
} from '../option-table.ts';
import { PROFILES, type Profile, type ProfileName } from '../profiles/index.ts';
import { ENDPOINTS_OPTIONS } from './endpoints.ts';
import { OUTBOX_OPTIONS, type OutboxOptions } from './outbox.ts';
import { RECONNECT_OPTIONS, type ReconnectOptions } from './reconnect.ts';

/** Who we are, for one attempt to connect. */
export interface Credentials {
  readonly login?: string | undefined;
  readonly passcode?: string | undefined;
  /** How long they are good for. Before that a connection with fresh ones takes over, without a gap; unless given, none does. */
  readonly expiresInMs?: number | undefined;
}

/** What a function for credentials or headers is told. */
export interface AttemptContext {
  /** Counted from 1 since the client was last connected. */
  readonly attempt: number;
  /** As a URL, without its secrets. */
  readonly endpoint: string;
  /** What the last attempt failed with, or how the last connection ended. */
  readonly lastError: unknown;
  /** The broker has just refused what the function answered: answer something fresh. */
  readonly refresh: boolean;
  /** Fires when the attempt is called off, also by `connectTimeoutMs`. */
  readonly signal: AbortSignal;
}

export type PerAttempt<Value> = Value | ((context: AttemptContext) => Value | PromiseLike<Value>);

export type ConnectHeaders = Readonly<Record<string, string>>;

type OfConnections = Omit<typeof CONNECTION_OPTIONS, 'login' | 'passcode' | 'headers' | 'signal' | 'hooks'>;

const { login: _, passcode: __, headers: ___, signal: ____, hooks: _____, ...rest } = CONNECTION_OPTIONS;
const ofConnections: OfConnections = rest;

const valueOrFunction: Check = (value) =>
  callable(value) === undefined || object(value) === undefined ? undefined : 'an object or a function';
const profile: Check = (value) =>
  object(value) === undefined || oneOf(...Object.keys(PROFILES))(value) === undefined
    ? undefined
    : `one of ${Object.keys(PROFILES).join(', ')}, or a profile`;

const OWN_OPTIONS = {
  credentials: {
    default: {} as PerAttempt<Credentials>,
    check: valueOrFunction as Check,
    say: 'Login and passcode, or a function asked for them before each attempt; those in the URL unless given.',
  },
  connectHeaders: {
    default: {} as PerAttempt<ConnectHeaders>,
    check: valueOrFunction as Check,
    say: 'More headers for CONNECT, or a function asked for them before each attempt.',
  },
  clientId: {
    default: undefined as string | undefined,
    check: text as Check,
    say: 'The name a broker keeps durable subscriptions under; ActiveMQ and Artemis want one for them.',
  },
  profile: {
    default: undefined as ProfileName | Profile | undefined,
    check: profile as Check,
    say: 'Whose words to use for portable options; found out from CONNECTED unless given (P-01).',
  },
  reconnect: {
    default: {} as ReconnectOptions,
    check: object as Check,
    say: 'When to connect again, and when to give up; see RECONNECT_OPTIONS.',
  },
  outbox: {
    default: {} as OutboxOptions,
    check: object as Check,
    say: 'How much may wait for an outcome, for how long, and what then; see OUTBOX_OPTIONS.',
  },
  probeMs: {
    default: 30_000 as number,
    check: number(0) as Check,
    say: 'Where the broker agrees to no heart-beats, ask it this often whether it lives, or write a line end where it gives no answers; 0 never does (P20).',
  },
  quarantineMs: {
    default: 1_000 as number,
    check: number(1) as Check,
    say: 'Try a refused subscription again after this long, doubled with each refusal up to five minutes.',
  },
};

export const CLIENT_OPTIONS: OfConnections & typeof ENDPOINTS_OPTIONS & typeof OWN_OPTIONS = {
  ...ofConnections,
  ...ENDPOINTS_OPTIONS,
  ...OWN_OPTIONS,
};

/** Options of a Client. Each has its sentence in CLIENT_OPTIONS. */
export type ClientOptions = Given<typeof CLIENT_OPTIONS>;
export type ClientSettings = Settings<typeof CLIENT_OPTIONS>;

/** Checks what was given and fills in the defaults; frozen. Throws UsageError `bad-option`, which names the option. */
export function resolveClientOptions(given: ClientOptions): ClientSettings {
  if ('login' in given || 'passcode' in given) {
    throw new UsageError('bad-option', 'a client takes login and passcode as credentials: { login, passcode }');
  }
  const settings = resolve(CLIENT_OPTIONS, given);
  resolve(RECONNECT_OPTIONS, settings.reconnect, 'reconnect');
  resolve(OUTBOX_OPTIONS, settings.outbox, 'outbox');
  return settings;
}

/** What of it is for each connection. */
export function ofConnection(settings: ClientSettings): ConnectionOptions {
  const { observer: _, onError: __, ...names } = ofConnections; // those are in the client's hooks
  return Object.fromEntries(Object.keys(names).map((name) => [name, settings[name as keyof typeof names]]));
}
