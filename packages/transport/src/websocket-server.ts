// WebSocket server: a door on a Node http(s) server, its own or somebody's.
//
//   upgrade ─► path? 404 ─► origin? 403 ─► subprotocol (W-01, W-02) ─► `ws` ─► Channel
//
// HTTP itself guards the way here: time and size of headers are its limits.

import { createServer, type Server as HttpServer, type IncomingMessage, STATUS_CODES } from 'node:http';
import { createServer as createSecureServer, type Server as HttpsServer } from 'node:https';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { type ServerOptions, WebSocketServer } from 'ws';
import { type PeerInfo, TransportError } from './channel.ts';
import { formatAddress, formatEndpoint, type WebSocketEndpoint } from './endpoint.ts';
import {
  type Accept,
  HANDSHAKE_TIMEOUT_MS,
  type ListenerOptions,
  type NodeListener,
  startListening,
} from './listener.ts';
import { toTransportError } from './node-errors.ts';
import { plainAddress, serverOptions } from './tcp.ts';
import { certificateOf, refusedCertificate, renewal, type ServerTlsOptions, serverSecurity } from './tls.ts';
import { type BinaryMode, SUBPROTOCOLS } from './websocket.ts';
import { webSocketChannel } from './websocket-channel.ts';
import { CLOSE_TIMEOUT_MS, NodeSocket } from './websocket-node.ts';

/**
 * Whose pages may connect (W-12). `same`: those this host served, by comparing Origin with Host; a list: exactly these
 * origins (`https://app.example`); `any`: all. A peer that sends no Origin is no browser and is let in. `null`, which any
 * sandboxed page can send, gets in by `any` alone.
 */
export type Origins = 'same' | 'any' | readonly string[];

export interface WebSocketServerOptions {
  /** The path to answer on, without a query; others are 404. `/stomp` unless given. */
  readonly path?: string;
  /** `same` unless given. */
  readonly origins?: Origins;
  /** The largest message taken, inflated; beyond: close 1009 and `too-large` (M-105, M-106). Bytes, 1 MiB + 64 KiB unless given. */
  readonly maxMessageBytes?: number;
  /** Accept permessage-deflate. False unless given: it costs memory for every connection. */
  readonly compress?: boolean;
  /** How messages go out (W-07). `auto` unless given. */
  readonly binary?: BinaryMode;
  /** A ping after this much time. Milliseconds, 30,000 unless given; 0 sends none (M-110). */
  readonly pingIntervalMs?: number;
  /** A peer that has not answered a ping by then is gone. Milliseconds, 30,000 unless given. */
  readonly pongTimeoutMs?: number;
  /** A refused upgrade. For logs. */
  readonly onFault?: (error: TransportError) => void;
}

/** A WebSocket door on an http server. */
export interface Attachment {
  /** Takes no more upgrades. Open channels and the http server are left alone. May be called twice. */
  close(): void;
}

export const DEFAULT_PATH = '/stomp';

const MAX_MESSAGE_BYTES = 1024 * 1024 + 64 * 1024;
const PING_INTERVAL_MS = 30_000;
const PONG_TIMEOUT_MS = 30_000;

/**
 * Answers WebSocket upgrades of `server` on `path`. Other paths are left to the server's other `upgrade` listeners, or
 * answered 404 when there are none.
 */
export function attachWebSocket(
  server: HttpServer | HttpsServer,
  options: WebSocketServerOptions,
  accept: Accept,
): Attachment {
  const { path = DEFAULT_PATH, origins = 'same', binary = 'auto', onFault } = options;
  const pings = {
    intervalMs: options.pingIntervalMs ?? PING_INTERVAL_MS,
    timeoutMs: options.pongTimeoutMs ?? PONG_TIMEOUT_MS,
  };
  const settings: ServerOptions & { closeTimeout: number } = {
    noServer: true,
    clientTracking: false,
    perMessageDeflate: options.compress ?? false,
    maxPayload: options.maxMessageBytes ?? MAX_MESSAGE_BYTES,
    closeTimeout: CLOSE_TIMEOUT_MS,
  };
  const webSockets = new WebSocketServer(settings);
  const refuse = (request: IncomingMessage, socket: Duplex, status: number, why: string): void => {
    answer(socket, status, why);
    onFault?.(new TransportError('denied', `${remoteOf(request)}: upgrade refused with ${status}: ${why}`));
  };
  const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    if (pathOf(request) !== path) {
      if (server.listenerCount('upgrade') === 1) refuse(request, socket, 404, `WebSocket is on ${path}`);
      return;
    }
    const untrusted = request.socket instanceof TLSSocket ? refusedCertificate(request.socket) : undefined;
    if (untrusted) {
      refuse(request, socket, 403, untrusted.message);
      return;
    }
    if (!originAllowed(origins, request.headers.origin, request.headers.host)) {
      refuse(request, socket, 403, `origin ${JSON.stringify(request.headers.origin)} is not allowed here`);
      return;
    }
    const subprotocol = chooseSubprotocol(request.headers['sec-websocket-protocol']);
    // `ws` answers 400 to a name offered twice and may pick one it does not know; show it our choice alone (W-02, M-107).
    if (subprotocol === undefined) delete request.headers['sec-websocket-protocol'];
    else request.headers['sec-websocket-protocol'] = subprotocol;
    webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      const peer = peerOf(request, subprotocol);
      accept(webSocketChannel(new NodeSocket(webSocket, binary, peer.remote, { pings }), peer, {}));
    });
  };
  server.on('upgrade', onUpgrade);
  return {
    close() {
      server.off('upgrade', onUpgrade);
    },
  };
}

/** Listens with an http(s) server of its own, which answers anything but an upgrade with 426. */
export function listenWebSocket(
  endpoint: WebSocketEndpoint,
  options: ListenerOptions & { readonly tls?: ServerTlsOptions; readonly webSocket?: WebSocketServerOptions },
  accept: Accept,
): Promise<NodeListener<WebSocketEndpoint>> {
  const { tls, webSocket = {}, onFault } = options;
  const path = endpoint.path === '/' ? (webSocket.path ?? DEFAULT_PATH) : endpoint.path;
  const where = { ...endpoint, path };
  const handshakeTimeoutMs = options.handshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS;
  const http = {
    ...serverOptions(options),
    headersTimeout: handshakeTimeoutMs,
    requestTimeout: handshakeTimeoutMs,
    connectionsCheckingInterval: Math.max(50, Math.min(1_000, handshakeTimeoutMs / 4)),
  };
  let server: HttpServer | HttpsServer;
  let renew: NodeListener['renew'];
  if (endpoint.secure) {
    const what = formatEndpoint(where);
    if (!tls) throw new TransportError('untrusted', `${what} needs tls.cert and tls.key to prove itself with`);
    const secure = createSecureServer({ ...http, ...serverSecurity({ ...options, tls }, what) });
    secure.on('tlsClientError', (cause) => onFault?.(toTransportError(cause, what, 'handshake')));
    renew = renewal(secure, what);
    server = secure;
  } else {
    server = createServer(http);
  }
  server.on('request', (_request, response) => {
    const sentence = `This is a WebSocket for STOMP; connect to it with ${endpoint.secure ? 'wss' : 'ws'}://…${path}\n`;
    response.writeHead(426, {
      Connection: 'Upgrade, close',
      Upgrade: 'websocket',
      'Content-Type': 'text/plain; charset=utf-8',
    });
    response.end(sentence);
  });
  const attachment = attachWebSocket(server, { ...(onFault ? { onFault } : {}), ...webSocket, path }, accept);
  const stop = (): void => {
    attachment.close();
    server.closeAllConnections(); // of requests and idle keep-alives; a WebSocket is none any more
  };
  return startListening(server, where, options, stop, renew);
}

/** The highest STOMP version offered, or none; never one that was not offered (W-01, W-02). */
export function chooseSubprotocol(offered: string | undefined): string | undefined {
  if (offered === undefined) return undefined;
  const names = offered.split(',').map((name) => name.trim());
  return SUBPROTOCOLS.find((name) => names.includes(name));
}

/** Whether a page of `origin` may connect to `host` (W-12, M-108). */
export function originAllowed(origins: Origins, origin: string | undefined, host: string | undefined): boolean {
  if (origin === undefined || origins === 'any') return true;
  const from = parseOrigin(origin);
  if (!from) return false;
  if (origins !== 'same') return origins.some((one) => parseOrigin(one)?.origin === from.origin);
  // A proxy may have ended TLS before us, so the scheme is the page's word; with it, default ports compare equal.
  return host !== undefined && parseOrigin(`${from.protocol}//${host}`)?.host === from.host;
}

function parseOrigin(text: string): URL | undefined {
  if (!/^https?:\/\/[^/?#@\s]+\/?$/i.test(text)) return undefined;
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}

function pathOf(request: IncomingMessage): string {
  const url = request.url ?? '/';
  const query = url.indexOf('?');
  return query === -1 ? url : url.slice(0, query);
}

function remoteOf(request: IncomingMessage): string {
  const address = plainAddress(request.socket.remoteAddress);
  return address === undefined ? 'a peer that has left' : formatAddress(address, request.socket.remotePort ?? 0);
}

function peerOf(request: IncomingMessage, subprotocol: string | undefined): PeerInfo {
  const address = plainAddress(request.socket.remoteAddress);
  return {
    transport: 'websocket',
    remote: remoteOf(request),
    ...(address === undefined ? {} : { address }),
    ...(subprotocol === undefined ? {} : { subprotocol }),
    ...(request.socket instanceof TLSSocket ? certificateOf(request.socket) : {}),
  };
}

function answer(socket: Duplex, status: number, sentence: string): void {
  socket.on('error', () => {}); // the peer may have left; nobody needs the answer then
  const body = `${sentence}\n`;
  socket.end(
    [
      `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
      'Connection: close',
      'Content-Type: text/plain; charset=utf-8',
      `Content-Length: ${Buffer.byteLength(body)}`,
      '',
      body,
    ].join('\r\n'),
    () => socket.destroy(),
  );
}
