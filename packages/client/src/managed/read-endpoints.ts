// Where to connect, as it may be written -> endpoints, and what a failover: URL says about trying them.
//
//   failover:(tcp://a:61613,tcp://b:61613)?randomize=false&maxReconnectDelay=5000
//
// The grammar and the names are ActiveMQ's (its "Failover Transport Reference"), and so is what it leaves to chance unless
// told not to: the order. Times that are not written are ours.

import { UsageError } from '@stompbox/protocol';
import { type Endpoint, formatEndpoint, parseEndpoint, TransportError } from '@stompbox/transport';
import { nearest } from '../option-table.ts';
import type { EndpointsOptions } from './endpoints.ts';
import type { ReconnectOptions } from './reconnect.ts';

/** URLs or endpoints, one or several in order, or one `failover:(…)?…`. */
export type Where = string | Endpoint | readonly (string | Endpoint)[];

/** What `Where` says. Options are there only where a failover: URL names them; those given in code go before them. */
export interface WhereRead {
  /** At least one. */
  readonly endpoints: readonly Endpoint[];
  readonly options: EndpointsOptions;
  readonly reconnect: ReconnectOptions;
  /** How long a send may wait for a connection (`timeout`), in milliseconds. */
  readonly sendTimeoutMs?: number;
}

const FAIL_BACK_MS = 30_000; // ActiveMQ's: as long as its longest wait

/** Reads where to connect. Throws UsageError `bad-option`, which names the part and never repeats a password. */
export function readEndpoints(where: Where): WhereRead {
  if (typeof where === 'string' && /^\s*failover:/i.test(where)) return readFailover(where.trim());
  const list = typeof where === 'string' || !isList(where) ? [where] : where;
  if (list.length === 0) throw bad('there is no endpoint in the list');
  return { endpoints: list.map(read), options: {}, reconnect: {} };
}

function isList(where: Where): where is readonly (string | Endpoint)[] {
  return Array.isArray(where);
}

function read(where: string | Endpoint): Endpoint {
  if (typeof where !== 'string') return where;
  try {
    return parseEndpoint(where);
  } catch (cause) {
    throw cause instanceof TransportError ? bad(cause.message, cause) : cause;
  }
}

/** What the options of a failover: URL come to. */
interface Draft {
  randomize: boolean;
  priorityBackup: boolean;
  priorityURIs: readonly string[];
  exponential: boolean;
  sendTimeoutMs: number | undefined;
  reconnect: { -readonly [Name in keyof ReconnectOptions]: ReconnectOptions[Name] };
}

/** Takes a value in, or answers what it must be. */
type Take = (draft: Draft, value: string) => string | undefined;

const flag = (take: (draft: Draft, value: boolean) => void): Take => {
  return (draft, value) => {
    if (value !== 'true' && value !== 'false') return 'true or false';
    take(draft, value === 'true');
    return undefined;
  };
};
const amount = (least: number, take: (draft: Draft, value: number) => void): Take => {
  return (draft, value) => {
    const amount = /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : Number.NaN;
    if (!(amount >= least)) return `a number from ${least} up`;
    take(draft, amount);
    return undefined;
  };
};
const factor = amount(1, ({ reconnect }, value) => {
  reconnect.factor = value;
});
/** For what we do anyhow, and cannot do otherwise. */
const only = (wanted: string): Take => {
  return (_, value) => (value === wanted ? undefined : `${wanted}: Stompbox has nothing like it`);
};

const OPTIONS: Readonly<Record<string, Take>> = {
  randomize: flag((draft, value) => {
    draft.randomize = value;
  }),
  initialReconnectDelay: amount(0, ({ reconnect }, value) => {
    reconnect.initialMs = value;
  }),
  maxReconnectDelay: amount(0, ({ reconnect }, value) => {
    reconnect.maxMs = value;
  }),
  useExponentialBackOff: flag((draft, value) => {
    draft.exponential = value;
  }),
  backOffMultiplier: factor,
  reconnectDelayExponent: factor,
  maxReconnectAttempts: amount(-1, ({ reconnect }, value) => {
    if (value >= 0) reconnect.attempts = value;
  }),
  startupMaxReconnectAttempts: amount(-1, ({ reconnect }, value) => {
    if (value >= 0) reconnect.startAttempts = value;
  }),
  timeout: amount(-1, (draft, value) => {
    if (value >= 0) draft.sendTimeoutMs = value;
  }),
  priorityBackup: flag((draft, value) => {
    draft.priorityBackup = value;
  }),
  priorityURIs: (draft, value) => {
    draft.priorityURIs = split(value);
    return undefined;
  },
  backup: only('false'),
  trackMessages: only('false'),
  updateURIsSupported: only('false'),
  reconnectSupported: only('true'),
};

function readFailover(url: string): WhereRead {
  const rest = url.slice('failover:'.length).replace(/^\/\//, '');
  const [, inside, query] = /^\(([^)]*)\)(?:\?(.*))?$/s.exec(rest) ?? [];
  if (inside === undefined && /[()]/.test(rest)) throw bad('failover: is written failover:(URL,URL)?option=value&…');
  const endpoints = split(inside ?? rest).map(read);
  if (endpoints.length === 0) throw bad('failover: holds no endpoint');
  const draft: Draft = {
    randomize: true,
    priorityBackup: false,
    priorityURIs: [],
    exponential: true,
    sendTimeoutMs: undefined,
    reconnect: {},
  };
  for (const part of (query ?? '').split('&')) if (part !== '') take(draft, part);
  if (!draft.exponential) draft.reconnect.factor = 1;
  const best = draft.priorityBackup ? preferred(endpoints, draft.priorityURIs) : [];
  return {
    endpoints: [...best, ...endpoints.filter((one) => !best.includes(one))],
    options: {
      order: draft.randomize ? 'random' : 'listed',
      ...(draft.priorityBackup
        ? { preferred: best.length, failBackMs: Math.max(1, draft.reconnect.maxMs ?? FAIL_BACK_MS) }
        : {}),
    },
    reconnect: draft.reconnect,
    ...(draft.sendTimeoutMs === undefined ? {} : { sendTimeoutMs: draft.sendTimeoutMs }),
  };
}

// By hand: URLSearchParams reads the + of stomp+ssl: as a space.
function take(draft: Draft, part: string): void {
  const [name = '', ...value] = part.split('=');
  const option = Object.hasOwn(OPTIONS, name) ? OPTIONS[name] : undefined;
  if (option === undefined) {
    throw bad(
      `failover: has no option ${name} that means something here; is it ${nearest(name, Object.keys(OPTIONS))}?`,
    );
  }
  const wanted = option(draft, decode(name, value.join('=')));
  if (wanted !== undefined) throw bad(`failover: ${name} must be ${wanted}`);
}

function decode(name: string, value: string): string {
  try {
    return decodeURIComponent(value);
  } catch (cause) {
    throw bad(`failover: ${name} holds a % that does not begin an escape of UTF-8`, cause);
  }
}

/** The endpoints that `priorityURIs` names; the first one unless it does. */
function preferred(endpoints: readonly Endpoint[], urls: readonly string[]): Endpoint[] {
  if (urls.length === 0) return endpoints.slice(0, 1);
  const wanted = urls.map((url) => formatEndpoint(read(url)));
  const missing = wanted.find((url) => !endpoints.some((one) => formatEndpoint(one) === url));
  if (missing !== undefined) throw bad(`failover: priorityURIs names ${missing}, which is not in the list`);
  return endpoints.filter((one) => wanted.includes(formatEndpoint(one)));
}

function split(list: string): string[] {
  const parts = list.split(',').map((part) => part.trim());
  return parts.filter((part) => part !== '');
}

function bad(message: string, cause?: unknown): UsageError {
  return new UsageError('bad-option', message, cause === undefined ? undefined : { cause });
}
