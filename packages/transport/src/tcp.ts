// TCP and Unix sockets: dial and listen.

import { lstat, unlink } from 'node:fs/promises';
import { connect, createServer, type ServerOpts, type Socket } from 'node:net';
import { type AttemptOptions, attempt } from './attempt.ts';
import type { Channel, PeerInfo } from './channel.ts';
import { formatAddress, formatEndpoint, type SocketEndpoint, type UnixEndpoint } from './endpoint.ts';
import { type Accept, type ListenerOptions, type NodeListener, startListening } from './listener.ts';
import { codeOf, toTransportError } from './node-errors.ts';
import { HIGH_WATER_MARK, nodeStreamChannel } from './node-stream.ts';

/** How a TCP connection is made. */
export interface TcpOptions {
  /** The local IP address to leave from. */
  readonly localAddress?: string;
  /** The first keep-alive probe after this much silence. Milliseconds, 60,000 unless given; 0 sends none. */
  readonly keepAliveMs?: number;
}

const KEEP_ALIVE_MS = 60_000;

interface SocketTuning {
  readonly allowHalfOpen: true;
  readonly noDelay: true;
  readonly highWaterMark: number;
  readonly keepAlive: boolean;
  readonly keepAliveInitialDelay: number;
}

/** What every socket of ours is told, on either side. */
export function tuning(keepAliveMs: number = KEEP_ALIVE_MS): SocketTuning {
  return {
    allowHalfOpen: true,
    noDelay: true, // frames are written whole; Nagle would only hold the last one back
    highWaterMark: HIGH_WATER_MARK,
    keepAlive: keepAliveMs > 0,
    keepAliveInitialDelay: keepAliveMs,
  };
}

/** Connects to a TCP port or a Unix socket. */
export function dialTcp(
  endpoint: SocketEndpoint | UnixEndpoint,
  options: TcpOptions & AttemptOptions,
): Promise<Channel> {
  const what = formatEndpoint(endpoint);
  return attempt<Channel>(what, options, (done, fail) => {
    const { localAddress } = options;
    const where =
      endpoint.transport === 'unix'
        ? { path: endpoint.path }
        : { host: endpoint.host, port: endpoint.port, ...(localAddress === undefined ? {} : { localAddress }) };
    return connecting(
      what,
      'connect',
      () => connect({ ...tuning(options.keepAliveMs), ...where }),
      (socket) => done(nodeStreamChannel(socket, dialledPeer(endpoint, socket))),
      fail,
    );
  });
}

/**
 * Follows a socket until `ready` fires or it fails. Answers how to abandon it.
 * The runtime throws for what it can refuse at once (a bad key, a wrong passphrase); that is a failure like any other.
 */
export function connecting<S extends Socket>(
  what: string,
  ready: string,
  start: () => S,
  done: (socket: S) => void,
  fail: (error: ReturnType<typeof toTransportError>) => void,
): () => void {
  let socket: S;
  try {
    socket = start();
  } catch (cause) {
    fail(toTransportError(cause, what, 'handshake'));
    return () => {};
  }
  const forget = (): void => {
    socket.off(ready, onReady);
    socket.off('error', onError);
    socket.off('close', onClose);
  };
  const onReady = (): void => {
    forget();
    done(socket);
  };
  const onError = (cause: unknown): void => {
    forget();
    socket.on('error', ignore); // the fault is told; a second one has nobody left to hear it
    socket.destroy();
    fail(toTransportError(cause, what, 'unreachable'));
  };
  const onClose = (): void => onError(new Error('the peer closed the connection while it was being made'));
  socket.on(ready, onReady);
  socket.on('error', onError);
  socket.on('close', onClose);
  return () => {
    forget();
    socket.on('error', ignore);
    socket.destroy();
  };
}

function ignore(): void {}

function dialledPeer(endpoint: SocketEndpoint | UnixEndpoint, socket: Socket): PeerInfo {
  return endpoint.transport === 'unix' ? { transport: 'unix', remote: endpoint.path } : ipPeer('tcp', socket);
}

/** The peer of a TCP or TLS socket, with IPv4 written as IPv4 also where the listener speaks IPv6. */
export function ipPeer(transport: 'tcp' | 'tls', socket: Socket): PeerInfo {
  const address = plainAddress(socket.remoteAddress);
  if (address === undefined) return { transport, remote: 'a peer that has left' };
  return { transport, remote: formatAddress(address, socket.remotePort ?? 0), address };
}

/** `::ffff:127.0.0.1` is `127.0.0.1`: a limit per address must not count one host twice. */
export function plainAddress(address: string | undefined): string | undefined {
  return address?.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '');
}

/** Accepts TCP connections. */
export function listenTcp(
  endpoint: SocketEndpoint,
  options: ListenerOptions,
  accept: Accept,
): Promise<NodeListener<SocketEndpoint>> {
  const server = createServer(serverOptions(options), (socket) => {
    accept(nodeStreamChannel(socket, ipPeer('tcp', socket)));
  });
  return startListening(server, endpoint, options);
}

/**
 * Accepts connections on a Unix socket. A socket file that a dead process left behind is replaced; one that somebody
 * answers on is `address-in-use`.
 */
export async function listenUnix(
  endpoint: UnixEndpoint,
  options: ListenerOptions,
  accept: Accept,
): Promise<NodeListener<UnixEndpoint>> {
  const start = (): Promise<NodeListener<UnixEndpoint>> => {
    const server = createServer(serverOptions(options), (socket) => {
      accept(nodeStreamChannel(socket, { transport: 'unix', remote: endpoint.path }));
    });
    return startListening(server, endpoint, options);
  };
  try {
    return await start();
  } catch (error) {
    if (codeOf(error) !== 'address-in-use' || !(await isLeftOver(endpoint.path))) throw error;
    await unlink(endpoint.path);
    return start();
  }
}

export function serverOptions(options: ListenerOptions): ServerOpts {
  return { ...tuning(options.keepAliveMs), pauseOnConnect: false };
}

async function isLeftOver(path: string): Promise<boolean> {
  const file = await lstat(path);
  if (!file.isSocket()) return false;
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.on('connect', () => {
      probe.destroy();
      resolve(false);
    });
    probe.on('error', (cause) => resolve(codeOf(cause) === 'ECONNREFUSED'));
  });
}
