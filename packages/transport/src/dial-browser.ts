// What `dial` is in a browser: WebSocket, and a clear no to everything else.

import { type Channel, TransportError } from './channel.ts';
import { beyondStandard, type DialOptions } from './dial-options.ts';
import { type Endpoint, formatEndpoint, toEndpoint } from './endpoint.ts';
import { dialWebSocket } from './websocket.ts';

export type { DialOptions, TlsOptions } from './dial-options.ts';

/**
 * Connects over WebSocket. Rejects with a TransportError: `unsupported` for endpoints and options a browser has no way to
 * honour (an option that is dropped in silence would be worse), else as dialWebSocket does.
 */
export async function dial(where: Endpoint | string, options: DialOptions = {}): Promise<Channel> {
  const endpoint = toEndpoint(where, 'dial');
  if (endpoint.transport !== 'websocket') {
    throw new TransportError('unsupported', `${formatEndpoint(endpoint)}: a browser can dial ws: and wss: only`);
  }
  const beyond = beyondStandard(options);
  if (beyond !== undefined) throw new TransportError('unsupported', `a browser gives no way to set ${beyond}`);
  return dialWebSocket(endpoint, { ...options, ...options.webSocket });
}
