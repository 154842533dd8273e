// A URL -> a connection: dial, then shake hands, under one deadline and one signal.

import { UsageError } from '@stompbox/protocol';
import {
  type Channel,
  type Endpoint,
  formatEndpoint,
  parseEndpoint,
  SUBPROTOCOLS,
  TransportError,
} from '@stompbox/transport';
import type { DialOptions } from '@stompbox/transport/dial';
import { ConnectionLost, TimeoutError } from '../errors.ts';
import { Hooks } from '../observers/hooks.ts';
import { Connection } from './connection.ts';
import { type ConnectionOptions, type ConnectionSettings, resolveOptions } from './options.ts';

/**
 * Connects once, without reconnecting. `stomp:` `tcp:` `stomp+ssl:` `stomps:` `ssl:` `ws:` `wss:` `stomp+unix:`; login and
 * passcode may stand in the URL. Resolves on CONNECTED.
 *
 * Rejects with UsageError (an option or the URL), ConnectionLost (`unreachable` and its cause, or as it ended), TimeoutError
 * (`connectTimeoutMs` over all of it), BrokerError (refused), ProtocolError (that is no STOMP broker), or the reason of
 * `signal`. Nothing is left open then.
 */
export async function connect(where: Endpoint | string, options: ConnectionOptions = {}): Promise<Connection> {
  const settings = resolveOptions(options);
  const { clock, connectTimeoutMs, signal } = settings;
  signal?.throwIfAborted();
  const endpoint = read(where);
  const began = clock.now();
  const hooks = settings.hooks ?? new Hooks(settings);
  const channel = await reach(endpoint, settings, hooks);
  const left = connectTimeoutMs === 0 ? 0 : Math.max(1, connectTimeoutMs - (clock.now() - began));
  const { tls: _, webSocket: __, localAddress: ___, keepAliveMs: ____, dial: _____, ...rest } = options;
  try {
    return await Connection.over(channel, {
      ...rest,
      observer: undefined, // in the hooks
      onError: undefined,
      hooks,
      login: options.login ?? endpoint.login,
      passcode: options.passcode ?? endpoint.passcode,
      host: options.host ?? (endpoint.transport === 'unix' ? 'localhost' : endpoint.host),
      connectTimeoutMs: left,
    });
  } catch (error) {
    // The handshake knows only its share of the time.
    if (!(error instanceof TimeoutError)) throw error;
    throw new TimeoutError(`CONNECTED from ${formatEndpoint(endpoint)}`, connectTimeoutMs, { cause: error });
  }
}

function read(where: Endpoint | string): Endpoint {
  try {
    return typeof where === 'string' ? parseEndpoint(where) : where;
  } catch (cause) {
    throw translated(cause, 'the URL', 0);
  }
}

async function reach(endpoint: Endpoint, settings: ConnectionSettings, hooks: Hooks): Promise<Channel> {
  const { connectTimeoutMs, signal, tls, webSocket, localAddress, keepAliveMs, versions } = settings;
  const offered = versions.map((version) => `v${version.replace('.', '')}.stomp`); // W-01
  const dialling: DialOptions = {
    timeoutMs: connectTimeoutMs,
    ...(signal === undefined ? {} : { signal }),
    ...(tls === undefined ? {} : { tls }),
    ...(localAddress === undefined ? {} : { localAddress }),
    ...(keepAliveMs === undefined ? {} : { keepAliveMs }),
    ...(endpoint.transport === 'websocket'
      ? { webSocket: { protocols: SUBPROTOCOLS.filter((name) => offered.includes(name)), ...webSocket } }
      : {}),
  };
  const url = formatEndpoint(endpoint);
  hooks.tell('dialling', url);
  try {
    return await settings.dial(endpoint, dialling);
  } catch (cause) {
    const error = signal?.aborted ? signal.reason : translated(cause, url, connectTimeoutMs);
    hooks.tell('dialFailed', url, error);
    throw error;
  }
}

// Whose fault it was, in the client's words; the transport's own are the cause.
function translated(cause: unknown, what: string, timeoutMs: number): unknown {
  if (!(cause instanceof TransportError)) return cause;
  switch (cause.code) {
    case 'bad-url':
    case 'unsupported':
      return new UsageError('bad-option', cause.message, { cause });
    case 'timeout':
      return new TimeoutError(`a connection to ${what}`, timeoutMs, { cause });
    default:
      return new ConnectionLost('unreachable', cause.message, { outcome: 'unsent', cause });
  }
}
