// TLS: dial and listen. The peer is verified unless somebody says, in so many
// words, `verify: false`.

import {
  connect,
  createSecureContext,
  createServer,
  type TlsOptions as NodeServerOptions,
  type Server,
  type TLSSocket,
} from 'node:tls';
import { type AttemptOptions, attempt } from './attempt.ts';
import { type Channel, type PeerInfo, TransportError } from './channel.ts';
import type { TlsIdentity, TlsOptions } from './dial-options.ts';
import { formatEndpoint, type SocketEndpoint } from './endpoint.ts';
import {
  type Accept,
  HANDSHAKE_TIMEOUT_MS,
  type ListenerOptions,
  type NodeListener,
  startListening,
} from './listener.ts';
import { toTransportError } from './node-errors.ts';
import { nodeStreamChannel } from './node-stream.ts';
import { connecting, ipPeer, serverOptions, type TcpOptions, tuning } from './tcp.ts';
import { checkPeer, clientSecurity, commonName, identity } from './tls-options.ts';

/** TLS as a server. `cert` and `key` are needed. */
export interface ServerTlsOptions extends TlsIdentity {
  /**
   * True: only peers with a certificate from `ca` get in. `optional`: a peer may come without one, but one that cannot be
   * verified is refused all the same. False unless given.
   */
  readonly requestClientCertificate?: boolean | 'optional';
}

/** Connects over TLS. Rejects with `untrusted` when the peer cannot prove who it is. */
export function dialTls(
  endpoint: SocketEndpoint,
  options: TcpOptions & AttemptOptions & { readonly tls?: TlsOptions },
): Promise<Channel> {
  const what = formatEndpoint(endpoint);
  return attempt<Channel>(what, options, (done, fail) => {
    const { localAddress } = options;
    return connecting(
      what,
      'secureConnect',
      () =>
        connect({
          ...tuning(options.keepAliveMs),
          ...clientSecurity(endpoint.host, options.tls),
          ...(localAddress === undefined ? {} : { localAddress }),
          host: endpoint.host,
          port: endpoint.port,
        }),
      (socket) => {
        const refused = checkPeer(socket, endpoint.host, options.tls?.check, what);
        if (refused === undefined) {
          done(nodeStreamChannel(socket, tlsPeer(socket)));
        } else {
          socket.on('error', () => {}); // told below
          socket.destroy();
          fail(refused);
        }
      },
      fail,
    );
  });
}

/** Accepts TLS connections. */
export function listenTls(
  endpoint: SocketEndpoint,
  options: ListenerOptions & { readonly tls: ServerTlsOptions },
  accept: Accept,
): Promise<NodeListener<SocketEndpoint>> {
  const what = formatEndpoint(endpoint);
  const { onFault } = options;
  let stopped = false;
  const server = createServer({ ...serverOptions(options), ...serverSecurity(options, what) });
  server.on('secureConnection', (socket) => {
    if (stopped) {
      // it was still shaking hands when the listener closed
      socket.destroy();
      return;
    }
    const refused = refusedCertificate(socket);
    if (refused !== undefined) {
      socket.destroy();
      onFault?.(refused);
      return;
    }
    accept(nodeStreamChannel(socket, tlsPeer(socket)));
  });
  server.on('tlsClientError', (cause) => onFault?.(toTransportError(cause, what, 'handshake')));
  return startListening(
    server,
    endpoint,
    options,
    () => {
      stopped = true;
    },
    renewal(server, what),
  );
}

/** Shows another certificate on a TLS or https server. */
export function renewal(server: Pick<Server, 'setSecureContext'>, what: string): (tls: TlsIdentity) => void {
  return (tls) => {
    if (tls.cert === undefined || tls.key === undefined) {
      throw new TransportError('untrusted', `${what} needs tls.cert and tls.key to prove itself with`);
    }
    try {
      createSecureContext(identity(tls)); // throws before anything has changed
      server.setSecureContext(identity(tls));
    } catch (cause) {
      throw toTransportError(cause, what, 'handshake');
    }
  };
}

/** What tls and https servers want. */
export function serverSecurity(
  options: ListenerOptions & { readonly tls: ServerTlsOptions },
  what: string,
): NodeServerOptions {
  const { tls } = options;
  if (tls.cert === undefined || tls.key === undefined) {
    throw new TransportError('untrusted', `${what} needs tls.cert and tls.key to prove itself with`);
  }
  const wanted = tls.requestClientCertificate ?? false;
  if (wanted !== false && tls.ca === undefined) {
    throw new TransportError('untrusted', `${what} needs tls.ca to tell whose client certificates to believe`);
  }
  return {
    ...identity(tls),
    handshakeTimeout: options.handshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS,
    requestCert: wanted !== false,
    rejectUnauthorized: wanted === true,
  };
}

/** Why a peer that showed a certificate must go: `optional` lets Node accept what it could not verify. */
export function refusedCertificate(socket: TLSSocket): TransportError | undefined {
  if (socket.authorized || subjectOf(socket) === undefined) return undefined;
  const why = String(socket.authorizationError ?? 'it could not be verified');
  return new TransportError(
    'untrusted',
    `${socket.remoteAddress ?? 'a peer'}: its client certificate was refused: ${why}`,
  );
}

/** The peer of a TLS socket, and its certificate where it showed one. */
export function tlsPeer(socket: TLSSocket): PeerInfo {
  return { ...ipPeer('tls', socket), ...certificateOf(socket) };
}

/** The peer's certificate, where it showed one. */
export function certificateOf(socket: TLSSocket): Pick<PeerInfo, 'certificate'> {
  const subject = subjectOf(socket);
  return subject === undefined ? {} : { certificate: { authorized: socket.authorized, subject } };
}

function subjectOf(socket: TLSSocket): string | undefined {
  const certificate = socket.getPeerCertificate();
  if (certificate === null || Object.keys(certificate).length === 0) return undefined;
  return commonName(certificate.subject);
}
