// One verb for every transport that can listen.

import type { Channel } from './channel.ts';
import { type Endpoint, formatEndpoint, toEndpoint } from './endpoint.ts';
import type { ListenerOptions, NodeListener } from './listener.ts';
import { toTransportError } from './node-errors.ts';
import { listenTcp, listenUnix } from './tcp.ts';
import { listenTls, type ServerTlsOptions } from './tls.ts';
import { listenWebSocket, type WebSocketServerOptions } from './websocket-server.ts';

/** How to listen; each transport takes what concerns it. */
export interface ListenOptions extends ListenerOptions {
  /** For `stomp+ssl:` and `wss:`, which need `cert` and `key`. */
  readonly tls?: ServerTlsOptions;
  /** For `ws:` and `wss:`. A path in the URL wins over `path`. */
  readonly webSocket?: WebSocketServerOptions;
}

/** Something that accepts. Its channels outlive it. */
export type Listener = NodeListener;

/**
 * Listens and hands over every connection that is ready to be opened. Resolves once the address is bound.
 * Rejects with a TransportError: `bad-url`, `address-in-use`, `denied`, `unreachable` (not an address of this machine),
 * or, for TLS, `untrusted` (no certificate) and `handshake` (one that cannot be used).
 */
export async function listen(
  where: Endpoint | string,
  options: ListenOptions,
  onChannel: (channel: Channel) => void,
): Promise<Listener> {
  const endpoint = toEndpoint(where, 'listen');
  try {
    switch (endpoint.transport) {
      case 'tcp':
        return await listenTcp(endpoint, options, onChannel);
      case 'tls':
        return await listenTls(endpoint, { ...options, tls: options.tls ?? {} }, onChannel);
      case 'unix':
        return await listenUnix(endpoint, options, onChannel);
      case 'websocket':
        return await listenWebSocket(endpoint, options, onChannel);
    }
  } catch (cause) {
    throw toTransportError(cause, formatEndpoint(endpoint), 'handshake');
  }
}
