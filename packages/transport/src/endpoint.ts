// URL <-> data.
//
// A URL is read by hand, part by part, so that a refusal can name the part.
// Credentials and WebSocket queries (which often hold a token) are read but
// never printed again: not by formatEndpoint, not in an error.

import { TransportError } from './channel.ts';

interface Credentials {
  /** From the URL's user part, decoded. For the CONNECT frame; the transport does not use it. */
  readonly login?: string;
  /** From the URL's password part, decoded. Never printed. */
  readonly passcode?: string;
}

/** Plain TCP, or TLS over it. */
export interface SocketEndpoint extends Credentials {
  readonly transport: 'tcp' | 'tls';
  /** Name or address; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

export interface WebSocketEndpoint extends Credentials {
  readonly transport: 'websocket';
  /** True for `wss:`. */
  readonly secure: boolean;
  /** Name or address; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** Begins with `/`, percent-encoded as in the URL. */
  readonly path: string;
  /** Without the `?`, percent-encoded as in the URL. Never printed: it may hold a token. */
  readonly query?: string;
}

export interface UnixEndpoint extends Credentials {
  readonly transport: 'unix';
  /** Absolute, decoded. */
  readonly path: string;
}

/** Where to dial or to listen. */
export type Endpoint = SocketEndpoint | WebSocketEndpoint | UnixEndpoint;

/** What an endpoint is for: only a listener may say port 0, "any free one". */
export type Purpose = 'dial' | 'listen';

const SCHEMES = {
  'stomp:': { transport: 'tcp', port: 61613 },
  'tcp:': { transport: 'tcp', port: 61613 },
  'stomp+ssl:': { transport: 'tls', port: 61614 },
  'stomps:': { transport: 'tls', port: 61614 },
  'ssl:': { transport: 'tls', port: 61614 },
  'ws:': { transport: 'websocket', secure: false, port: 80 },
  'wss:': { transport: 'websocket', secure: true, port: 443 },
  'stomp+unix:': { transport: 'unix' },
} as const;

const ACCEPTED = Object.keys(SCHEMES).join(' ');

const SCHEME = /^([a-z][a-z0-9+.-]*:)(.*)$/is;
//             authority        path       query       fragment
const REST = /^(?:\/\/([^/?#]*))?([^?#]*)(?:\?([^#]*))?(#.*)?$/s;
const HOST_AND_PORT = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/s;

/**
 * Reads a URL with one of the schemes `stomp:` `tcp:` (port 61613 unless given), `stomp+ssl:` `stomps:` `ssl:` (61614),
 * `ws:` (80), `wss:` (443) and `stomp+unix:` (an absolute path).
 * Throws a TransportError `bad-url` that names the part; never repeats a password.
 */
export function parseEndpoint(url: string, purpose: Purpose = 'dial'): Endpoint {
  const space = /[\s\x00-\x1f\x7f]/.exec(url);
  if (space) throw bad(`a URL cannot hold ${JSON.stringify(space[0])} (at position ${space.index})`);
  const [, written, rest = ''] = SCHEME.exec(url) ?? [];
  if (written === undefined) throw bad(`a URL begins with its scheme, one of ${ACCEPTED}`);
  const scheme = written.toLowerCase();
  if (scheme === 'failover:') throw bad('failover: is a list of endpoints, for a Client; here one URL is wanted');
  if (scheme === 'multicast:') throw bad('multicast: is not understood yet');
  if (!isKnown(scheme)) throw bad(`scheme ${JSON.stringify(scheme)} is none of ${ACCEPTED}`);
  const kind = SCHEMES[scheme];

  const [, authority, path = '', query, fragment] = REST.exec(rest) ?? [];
  if (fragment !== undefined) throw bad(`${scheme} a fragment (#...) means nothing to a broker`);
  if (authority === undefined && kind.transport !== 'unix') throw bad(`${scheme} wants // before the host`);
  const at = authority?.lastIndexOf('@') ?? -1;
  const credentials = at === -1 ? {} : readCredentials(scheme, authority?.slice(0, at) ?? '');
  const place = authority?.slice(at + 1) ?? '';

  if (kind.transport === 'unix') {
    if (place !== '') throw bad(`${scheme} has no host, but a path: stomp+unix:///run/${place}`);
    if (query !== undefined) throw bad(`${scheme} a query (?...) means nothing on a Unix socket`);
    return usable({ transport: 'unix', path: decode(scheme, 'path', path), ...credentials }, purpose);
  }

  const [, hostPart = '', portPart] = HOST_AND_PORT.exec(place) ?? [];
  const host = readHost(scheme, hostPart, place);
  const port = portPart === undefined || portPart === '' ? kind.port : readPort(scheme, portPart);
  if (kind.transport === 'websocket') {
    const target = { transport: 'websocket', secure: kind.secure, host, port, path: path === '' ? '/' : path } as const;
    return usable({ ...target, ...(query === undefined ? {} : { query }), ...credentials }, purpose);
  }
  if (path !== '' && path !== '/') {
    throw bad(`${scheme} a path (${JSON.stringify(path)}) means nothing here; destinations are named in frames`);
  }
  if (query !== undefined) throw bad(`${scheme} a query (?...) means nothing here; options are given beside the URL`);
  return usable({ transport: kind.transport, host, port, ...credentials }, purpose);
}

/**
 * An endpoint as a URL, for people and logs: without login, passcode and query, since each may be a secret.
 * IPv6 in brackets; the port is left out only where it is the default of `ws:` or `wss:`.
 */
export function formatEndpoint(endpoint: Endpoint): string {
  if (endpoint.transport === 'unix') {
    return `stomp+unix://${endpoint.path.split('/').map(encodeURIComponent).join('/')}`;
  }
  const host = bracketed(endpoint.host);
  if (endpoint.transport === 'websocket') {
    const usual = endpoint.port === (endpoint.secure ? 443 : 80);
    return `${endpoint.secure ? 'wss' : 'ws'}://${host}${usual ? '' : `:${endpoint.port}`}${endpoint.path}`;
  }
  return `${endpoint.transport === 'tls' ? 'stomp+ssl' : 'stomp'}://${host}:${endpoint.port}`;
}

/** A URL or an endpoint as an endpoint that can be used, else a TransportError `bad-url`. */
export function toEndpoint(where: Endpoint | string, purpose: Purpose): Endpoint {
  return typeof where === 'string' ? parseEndpoint(where, purpose) : usable(where, purpose);
}

/** `host:port` with IPv6 in brackets. */
export function formatAddress(host: string, port: number): string {
  return `${bracketed(host)}:${port}`;
}

function usable(endpoint: Endpoint, purpose: Purpose): Endpoint {
  if (endpoint.transport === 'unix') {
    if (!endpoint.path.startsWith('/')) throw bad(`stomp+unix: path ${JSON.stringify(endpoint.path)} is not absolute`);
    if (endpoint.path.endsWith('/')) throw bad(`stomp+unix: path ${JSON.stringify(endpoint.path)} names no file`);
    if (endpoint.path.includes('\0')) throw bad('stomp+unix: a path cannot hold NUL');
    return endpoint;
  }
  const { port } = endpoint;
  const lowest = purpose === 'listen' ? 0 : 1;
  if (!Number.isInteger(port) || port < lowest || port > 65_535) {
    const hint = port === 0 ? '; 0 means any free port and only a listener can ask for it' : '';
    throw bad(`port ${port} is not between ${lowest} and 65535${hint}`);
  }
  return endpoint;
}

function readCredentials(scheme: string, userinfo: string): Credentials {
  const colon = userinfo.indexOf(':');
  const login = decode(scheme, 'user', colon === -1 ? userinfo : userinfo.slice(0, colon));
  if (colon === -1) return { login };
  return { login, passcode: decode(scheme, 'password', userinfo.slice(colon + 1)) };
}

function readHost(scheme: string, host: string, place: string): string {
  if (!host.startsWith('[') && place.split(':').length > 2) {
    throw bad(`${scheme} host ${JSON.stringify(place)} looks like IPv6, which is written in brackets: [::1]:61613`);
  }
  if (host === '' || host === '[]') throw bad(`${scheme} host is missing`);
  try {
    // The URL parser of the runtime knows international names and what an IPv6 address is.
    return new URL(`http://${host}/`).hostname.replace(/^\[|\]$/g, '');
  } catch (cause) {
    throw bad(`${scheme} host ${JSON.stringify(host)} is neither a name nor an address`, cause);
  }
}

function readPort(scheme: string, port: string): number {
  if (!/^\d{1,5}$/.test(port)) throw bad(`${scheme} port ${JSON.stringify(port)} is not a number up to 65535`);
  return Number(port);
}

function decode(scheme: string, part: string, text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw bad(`${scheme} ${part} holds a % that does not begin an escape of UTF-8`); // no cause: it may quote a secret
  }
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

function isKnown(scheme: string): scheme is keyof typeof SCHEMES {
  return Object.hasOwn(SCHEMES, scheme);
}

function bad(message: string, cause?: unknown): TransportError {
  return new TransportError('bad-url', message, cause === undefined ? {} : { cause });
}
