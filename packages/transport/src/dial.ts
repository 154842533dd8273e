// One verb for every transport that can be dialled, on Node, Deno and Bun.
// Browsers get dial-browser.ts under the same name.

import { isIP } from 'node:net';
import { type Channel, TransportError } from './channel.ts';
import { beyondStandard, type DialOptions } from './dial-options.ts';
import { type Endpoint, toEndpoint } from './endpoint.ts';
import { dialTcp } from './tcp.ts';
import { dialTls } from './tls.ts';
import { dialWebSocket, hasNativeWebSocket } from './websocket.ts';

export type { DialOptions, TlsOptions } from './dial-options.ts';

/**
 * Connects. One deadline and one signal cover DNS, TCP, TLS and WebSocket; an attempt that ends early leaves no socket.
 * Rejects with a TransportError: `bad-url`, `refused`, `unreachable`, `denied`, `untrusted`, `handshake`, `timeout`,
 * `aborted`, `unsupported`.
 */
export async function dial(where: Endpoint | string, options: DialOptions = {}): Promise<Channel> {
  const endpoint = toEndpoint(where, 'dial');
  const { localAddress } = options;
  if (localAddress !== undefined && isIP(localAddress) === 0) {
    // Node throws for it, and leaves a socket behind
    throw new TransportError('unreachable', `localAddress ${JSON.stringify(localAddress)} is no IP address`);
  }
  switch (endpoint.transport) {
    case 'tcp':
    case 'unix':
      return dialTcp(endpoint, options);
    case 'tls':
      return dialTls(endpoint, options);
    case 'websocket': {
      const settings = { ...options, ...options.webSocket };
      const beyond = beyondStandard(options);
      if (options.webSocket?.factory) {
        if (beyond === undefined) return dialWebSocket(endpoint, settings);
        throw new TransportError('unsupported', `webSocket.factory makes the socket, so ${beyond} is to be set there`);
      }
      if (hasNativeWebSocket() && !isNode() && beyond === undefined) return dialWebSocket(endpoint, settings);
      const { dialNodeWebSocket } = await import('./websocket-node.ts'); // so that `ws` is loaded by those who need it
      return dialNodeWebSocket(endpoint, settings);
    }
  }
}

/**
 * Node 22 has a WebSocket of its own, but not one for us: it cannot pause, says `1006` for every reason there is, leaves
 * the TCP connection behind when a handshake is called off, and refuses a server that chose no subprotocol (W-02).
 */
function isNode(): boolean {
  return !('deno' in process.versions) && !('bun' in process.versions);
}
