// Every option of a connection, once: its default, its check, its sentence. The type,
// the frozen settings, the command line and the documentation follow from these lines.

import { type Limits, type SessionOptions, UsageError, VERSIONS, type Version } from '@stompbox/protocol';
import type { Channel, Endpoint, TlsOptions, WebSocketDialOptions } from '@stompbox/transport';
import { type DialOptions, dial } from '@stompbox/transport/dial';
import type { Clock } from '../clock.ts';
import { Hooks, type OnError } from '../observers/hooks.ts';
import type { Observer } from '../observers/observer.ts';
import { type Check, callable, type Given, number, object, resolve, type Settings, text } from '../option-table.ts';
import { runtimeClock } from '../worker-clock.ts';
import type { Message } from './message.ts';

/** Opens a channel to the endpoint; rejects with a TransportError. */
export type Dial = (endpoint: Endpoint, options: DialOptions) => Promise<Channel>;
export type OnUnhandled = (message: Message) => void;

const period = (value: unknown): boolean => Number.isInteger(value) && Number(value) >= 0 && Number(value) < 1e15;
const hooks: Check = (value) => (value instanceof Hooks ? undefined : 'made by new Hooks()');
const heartBeat: Check = (value) =>
  object(value) === undefined && Object.values(value as object).every(period)
    ? undefined
    : '{ send, expect }, whole milliseconds from 0 up';
const versions: Check = (value) =>
  Array.isArray(value) && value.length > 0 && value.every((one) => VERSIONS.includes(one))
    ? undefined
    : `a list of ${VERSIONS.join(', ')}`;
const headers: Check = (value) =>
  object(value) === undefined && Object.values(value as object).every((one) => typeof one === 'string')
    ? undefined
    : 'an object of strings';

export const CONNECTION_OPTIONS = {
  login: {
    default: undefined as string | undefined,
    check: text as Check,
    say: 'Log in under this name. The user part of the URL unless given.',
  },
  passcode: {
    default: undefined as string | undefined,
    check: text as Check,
    say: 'Prove it with this secret. The password part of the URL unless given; never shown to an observer or in an error.',
  },
  host: {
    default: undefined as string | undefined,
    check: text as Check,
    say: 'The virtual host to ask for (N-11). The host name that was dialled unless given; RabbitMQ usually wants "/".',
  },
  headers: {
    default: {} as Readonly<Record<string, string>>,
    check: headers as Check,
    say: 'More headers for CONNECT, such as client-id.',
  },
  versions: {
    default: VERSIONS as readonly Version[],
    check: versions as Check,
    say: 'STOMP versions to offer (N-05).',
  },
  heartBeat: {
    default: { send: 10_000, expect: 10_000 } as { readonly send?: number; readonly expect?: number },
    check: heartBeat as Check,
    say: 'The heart-beats to offer and to ask for, in milliseconds; 0 is none (H-02).',
  },
  heartBeatTolerance: {
    default: 2 as number,
    check: number(1) as Check,
    say: 'Give a silent broker this many times its agreed gap before the connection counts as lost (H-06).',
  },
  connectTimeoutMs: {
    default: 10_000 as number,
    check: number(0) as Check,
    say: 'Give up unless DNS, TCP, TLS, WebSocket and CONNECTED together are done in this time; 0 waits for ever (N-21).',
  },
  receiptTimeoutMs: {
    default: 15_000 as number,
    check: number(0) as Check,
    say: 'Wait this long for a RECEIPT, then call the outcome unknown; 0 waits for ever (R-06, R-08).',
  },
  limits: {
    default: undefined as Partial<Limits> | undefined,
    check: object as Check,
    say: 'The largest frames to take; the connection ends when the broker exceeds one (C-34, C-60).',
  },
  leniency: {
    default: undefined as SessionOptions['leniency'],
    check: object as Check,
    say: 'Deviations from the strict grammar that this broker is known to need.',
  },
  streamBodiesOver: {
    default: undefined as number | undefined,
    check: number(0) as Check,
    say: 'Hand on bodies of more bytes than this piece by piece (message.stream()); never unless given.',
  },
  maxBufferedFrames: {
    default: 1_000 as number,
    check: number(1) as Check,
    say: 'Stop reading while more frames than this wait for their readers; sixteen times as many while a RECEIPT is awaited (P32).',
  },
  maxBufferedBytes: {
    default: (8 * 1024 * 1024) as number,
    check: number(1) as Check,
    say: 'Stop reading while bodies of more bytes than this wait for their readers; sixteen times that while a RECEIPT is awaited.',
  },
  tls: {
    default: undefined as TlsOptions | undefined,
    check: object as Check,
    say: 'Certificates for stomp+ssl: and wss:, on Node; the broker is verified unless this says otherwise.',
  },
  webSocket: {
    default: undefined as WebSocketDialOptions | undefined,
    check: object as Check,
    say: 'How to dial ws: and wss:.',
  },
  localAddress: {
    default: undefined as string | undefined,
    check: text as Check,
    say: 'The local IP address to leave from, on Node.',
  },
  keepAliveMs: {
    default: undefined as number | undefined,
    check: number(0) as Check,
    say: 'TCP keep-alive, on Node: the first probe after this much silence; 60 seconds unless given, 0 sends none.',
  },
  dial: {
    default: dial as Dial,
    check: callable as Check,
    say: 'Opens the channel, for transports of your own and for tests; by the scheme of the URL unless given.',
  },
  signal: {
    default: undefined as AbortSignal | undefined,
    check: object as Check,
    say: 'Call connecting off; once connected the signal means nothing.',
  },
  onError: {
    default: undefined as OnError | undefined,
    check: callable as Check,
    say: 'Hears what handlers and observers throw, with the message where there is one. Unless given it becomes an unhandled rejection.',
  },
  onUnhandled: {
    default: undefined as OnUnhandled | undefined,
    check: callable as Check,
    say: 'Gets messages for subscriptions that this connection does not have (S-13).',
  },
  observer: {
    default: undefined as Observer | undefined,
    check: object as Check,
    say: 'Sees every frame, secrets masked.',
  },
  hooks: {
    default: undefined as Hooks | undefined,
    check: hooks as Check,
    say: 'Observers and interceptors, for CONNECT too, and for several connections; instead of observer and onError.',
  },
  clock: {
    default: runtimeClock as Clock,
    check: object as Check,
    say: 'Where time comes from: in a page a worker helps, so that a hidden tab is punctual; systemClock goes without it.',
  },
};

/** Options of `connect()` and `Connection.over()`. Each has its sentence in CONNECTION_OPTIONS. */
export type ConnectionOptions = Given<typeof CONNECTION_OPTIONS>;

/** Every option with its value. */
export type ConnectionSettings = Settings<typeof CONNECTION_OPTIONS>;

/** Checks what was given and fills in the defaults; frozen. Throws UsageError `bad-option`, which names the option. */
export function resolveOptions(given: ConnectionOptions): ConnectionSettings {
  if (given.hooks !== undefined && (given.observer ?? given.onError) !== undefined) {
    throw new UsageError('bad-option', 'hooks have their own observer and onError: give those to new Hooks()');
  }
  return resolve(CONNECTION_OPTIONS, given);
}
