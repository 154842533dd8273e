// What every listener on Node does the same way: bind, say why not, stop.

import type { Server } from 'node:net';
import { type Channel, TransportError } from './channel.ts';
import type { TlsIdentity } from './dial-options.ts';
import { type Endpoint, formatEndpoint } from './endpoint.ts';
import { codeOf, toTransportError } from './node-errors.ts';

/** Hands over a connection that is ready. */
export type Accept = (channel: Channel) => void;

/** What every listener can be told. */
export interface ListenerOptions {
  /** Connections beyond this many are dropped as they come; the others go on. No limit unless given. */
  readonly maxConnections?: number;
  /** Connections the system may hold that were not accepted yet. 511 unless given. */
  readonly backlog?: number;
  /** TCP keep-alive: the first probe after this much silence. Milliseconds, 60,000 unless given; 0 sends none. */
  readonly keepAliveMs?: number;
  /** A TLS or HTTP handshake must be over by then. Milliseconds, 10,000 unless given. */
  readonly handshakeTimeoutMs?: number;
  /** A connection that never became a channel (failed TLS, refused upgrade), or a failed accept. For logs. */
  readonly onFault?: (error: TransportError) => void;
  /** A connection beyond `maxConnections` was dropped; its IP address, where there is one. */
  readonly onDrop?: (address: string | undefined) => void;
}

export const HANDSHAKE_TIMEOUT_MS = 10_000;

/** Something that accepts. Its channels outlive it. */
export interface NodeListener<E extends Endpoint = Endpoint> {
  /** Where it listens, with the real port. */
  readonly endpoint: E;
  /** The same as a URL that can be dialled from this machine where the address is not a wildcard. */
  readonly url: string;
  /** Stops accepting and drops what is still in a handshake. Open channels are left alone. May be called twice. */
  close(): Promise<void>;
  /**
   * TLS: shows another certificate from the next handshake on; open connections stay. Throws what cannot be used, and
   * leaves things as they were. Absent where there is no TLS.
   */
  readonly renew?: (identity: TlsIdentity) => void;
}

/** Binds `server`. Rejects with `address-in-use`, `denied`, `unreachable`, and a sentence that says which address. */
export function startListening<E extends Endpoint>(
  server: Server,
  endpoint: E,
  options: ListenerOptions,
  stop: () => void = () => {},
  renew?: (identity: TlsIdentity) => void,
): Promise<NodeListener<E>> {
  const { maxConnections, backlog = 511, onFault, onDrop } = options;
  if (maxConnections !== undefined) server.maxConnections = maxConnections;
  if (onDrop) server.on('drop', (data) => onDrop(data?.remoteAddress?.replace(/^::ffff:/i, '')));
  return new Promise((resolve, reject) => {
    const onListening = (): void => {
      server.off('error', onRefused);
      server.on('error', (cause) => onFault?.(toTransportError(cause, formatEndpoint(endpoint), 'reset')));
      resolve(running(server, withRealPort(server, endpoint), stop, renew));
    };
    const onRefused = (cause: unknown): void => {
      server.off('listening', onListening);
      reject(cannotListen(endpoint, cause));
    };
    server.once('listening', onListening);
    server.once('error', onRefused);
    if (endpoint.transport === 'unix') server.listen({ path: endpoint.path, backlog });
    else server.listen({ host: endpoint.host, port: endpoint.port, backlog });
  });
}

function running<E extends Endpoint>(
  server: Server,
  endpoint: E,
  stop: () => void,
  renew: ((identity: TlsIdentity) => void) | undefined,
): NodeListener<E> {
  let closed: Promise<void> | undefined;
  return {
    endpoint,
    url: formatEndpoint(endpoint),
    close() {
      // Node's callback waits for the last connection; the port is free as soon as close() returns.
      closed ??= new Promise((resolve) => {
        server.close();
        stop();
        setImmediate(resolve);
      });
      return closed;
    },
    ...(renew && { renew }),
  };
}

function withRealPort<E extends Endpoint>(server: Server, endpoint: E): E {
  const bound = server.address();
  return typeof bound === 'object' && bound !== null ? { ...endpoint, port: bound.port } : endpoint;
}

function cannotListen(endpoint: Endpoint, cause: unknown): TransportError {
  const where = formatEndpoint(endpoint);
  switch (codeOf(cause)) {
    case 'EADDRINUSE':
      return new TransportError('address-in-use', `${where} is taken: another process listens there`, { cause });
    case 'EACCES':
    case 'EPERM':
      return new TransportError('denied', `listening on ${where} is not permitted to this user`, { cause });
    case 'EADDRNOTAVAIL':
      return new TransportError('unreachable', `${where} is not an address of this machine`, { cause });
    default:
      return toTransportError(cause, `cannot listen on ${where}`, 'unreachable');
  }
}
