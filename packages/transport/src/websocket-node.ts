// `ws` on Node, as client and as the server's half. Against the WHATWG
// interface it can pause, says when bytes are taken, and spares text the way
// through a string.

import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { nextTick } from 'node:process';
import { connect, TLSSocket } from 'node:tls';
import { type ClientOptions, type RawData, WebSocket } from 'ws';
import { type AttemptOptions, attempt } from './attempt.ts';
import { type Channel, TransportError } from './channel.ts';
import type { TlsOptions } from './dial-options.ts';
import { formatEndpoint, type WebSocketEndpoint } from './endpoint.ts';
import { codeOf, toTransportError } from './node-errors.ts';
import type { TcpOptions } from './tcp.ts';
import { checkPeer, clientSecurity } from './tls-options.ts';
import { type BinaryMode, SUBPROTOCOLS, type WebSocketDialOptions, webSocketUrl } from './websocket.ts';
import { type MessageListener, type MessageSocket, webSocketChannel } from './websocket-channel.ts';
import { ClientFrames } from './websocket-frames.ts';

/** How long a peer may take to answer our close frame. Milliseconds. */
export const CLOSE_TIMEOUT_MS = 5_000;

const BODY_TIMEOUT_MS = 1_000; // of an answer that is no upgrade; it only helps to explain
const MAX_BODY_BYTES = 1_024;
const MAX_MESSAGE_BYTES = 100 * 1024 * 1024;

interface NodeWebSocketOptions extends WebSocketDialOptions, TcpOptions, AttemptOptions {
  readonly tls?: TlsOptions;
}

/**
 * Connects with `ws`. Rejects as dialTcp and dialTls do, and with `unauthorized` (401, 403) or `handshake` for an HTTP answer,
 * whose `status` is told.
 */
export function dialNodeWebSocket(endpoint: WebSocketEndpoint, options: NodeWebSocketOptions): Promise<Channel> {
  const what = formatEndpoint(endpoint);
  return attempt<Channel>(what, options, (done, fail) => {
    const offered = [...(options.protocols ?? SUBPROTOCOLS)];
    const route = {
      ...(endpoint.secure ? clientSecurity(endpoint.host, options.tls) : {}),
      ...(options.localAddress === undefined ? {} : { localAddress: options.localAddress }),
    };
    const settings: ClientOptions & { closeTimeout: number } = {
      ...route,
      headers: { ...options.headers },
      perMessageDeflate: options.compress ?? false,
      maxPayload: options.maxMessageBytes ?? MAX_MESSAGE_BYTES,
      closeTimeout: CLOSE_TIMEOUT_MS,
    };
    let socket: WebSocket;
    const check = endpoint.secure ? options.tls?.check : undefined;
    let isChecked = check === undefined;
    if (check !== undefined) {
      // The HTTP request may hold a token, so the check comes before it: when TLS is up.
      settings.createConnection = () => {
        const secured = connect({ ...route, host: endpoint.host, port: endpoint.port });
        secured.once('secureConnect', () => {
          isChecked = true;
          const refused = checkPeer(secured, endpoint.host, check, what);
          if (refused !== undefined) secured.destroy(refused);
        });
        return secured;
      };
    }
    try {
      socket = new WebSocket(webSocketUrl(endpoint), offered, settings);
    } catch (cause) {
      fail(toTransportError(cause, what, 'handshake'));
      return () => {};
    }
    let subprotocol: string | undefined;
    let wire: Socket | undefined;
    let stopReading = (): void => {};
    const onUpgrade = (response: IncomingMessage): void => {
      response.socket.setKeepAlive((options.keepAliveMs ?? 60_000) > 0, options.keepAliveMs ?? 60_000);
      if (!('Bun' in globalThis)) wire = response.socket; // its own `ws` has none that could be written on
      subprotocol = response.headers['sec-websocket-protocol'];
      // A server that picks none is fine (W-02); `ws` would refuse it, so it is shown what it wants to see.
      if (subprotocol === undefined && offered[0] !== undefined)
        response.headers['sec-websocket-protocol'] = offered[0];
    };
    const onAnswer = (_request: unknown, response: IncomingMessage): void => {
      stopReading = readBeginning(response, (body) => {
        abandon();
        fail(httpRefusal(what, endpoint.path, response, body));
      });
    };
    const onError = (cause: unknown): void => {
      forget();
      socket.on('error', ignore);
      fail(toTransportError(cause, what, 'handshake'));
    };
    const onOpen = (): void => {
      if (!isChecked) {
        abandon();
        fail(new TransportError('unsupported', `${what}: this runtime gives no way to call tls.check on a WebSocket`));
        return;
      }
      forget();
      const agreed = subprotocol === undefined ? {} : { subprotocol };
      const adapter = new NodeSocket(socket, options.binary ?? 'auto', what, {
        wire: socket.extensions === '' ? wire : undefined,
      });
      const peer = { transport: 'websocket', remote: what, ...agreed } as const;
      done(webSocketChannel(adapter, peer, { ...options, dialled: true }));
    };
    const forget = (): void => {
      stopReading();
      socket.off('upgrade', onUpgrade);
      socket.off('unexpected-response', onAnswer);
      socket.off('error', onError);
      socket.off('open', onOpen);
    };
    const abandon = (): void => {
      forget();
      socket.on('error', ignore);
      socket.terminate();
    };
    socket.on('upgrade', onUpgrade);
    socket.on('unexpected-response', onAnswer);
    socket.on('error', onError);
    socket.on('open', onOpen);
    return abandon;
  });
}

/** Tells the beginning of a body, or what there is of it after a while. Answers how to stop. */
function readBeginning(response: IncomingMessage, tell: (text: string) => void): () => void {
  const told = (bytes: Uint8Array | undefined): void => {
    stop();
    tell(new TextDecoder().decode(bytes?.subarray(0, MAX_BODY_BYTES)));
  };
  const onData = (bytes: Uint8Array): void => told(bytes);
  const onEnd = (): void => told(undefined);
  const stop = (): void => {
    clearTimeout(timer);
    response.off('data', onData);
    for (const event of ENDS) response.off(event, onEnd);
    response.on('error', ignore);
  };
  const timer = setTimeout(onEnd, BODY_TIMEOUT_MS);
  response.on('data', onData);
  for (const event of ENDS) response.on(event, onEnd);
  return stop;
}

const ENDS = ['end', 'close', 'error'] as const;

/** Why a server answered HTTP instead of opening a WebSocket. */
function httpRefusal(what: string, path: string, response: IncomingMessage, body: string): TransportError {
  const { statusCode: status = 0, statusMessage = '' } = response;
  const code = status === 401 || status === 403 ? 'unauthorized' : 'handshake';
  const said = `${what}: the server answered ${status} ${statusMessage}`.trimEnd();
  return new TransportError(code, `${said}${hint(status, path, body)}`, { status });
}

function hint(status: number, path: string, body: string): string {
  if (/SockJS|^Can "Upgrade" only to "WebSocket"/.test(body) && !path.endsWith('/websocket')) {
    return '; this is a SockJS endpoint: append /websocket to its path (W-16)';
  }
  if (status === 404)
    return '; RabbitMQ has its WebSocket at /ws, a SockJS endpoint of Spring at …/websocket (W-15, W-16)';
  if (status >= 200 && status < 300) return '; there are web pages at this path, and no WebSocket';
  return '';
}

function ignore(): void {}

const TEXT = { binary: false };
const BINARY = { binary: true };

/** How a server watches that its peer is alive (M-110). Milliseconds; an interval of 0 does not ask. */
export interface Pings {
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

interface NodeSocketOptions {
  /** A server's. */
  readonly pings?: Pings | undefined;
  /** What `ws` writes on, where a client may write whole messages on it as well: no extension was agreed on. */
  readonly wire?: Socket | undefined;
}

/** Messages of more bytes than this do not wait for the end of the turn. */
const ENOUGH = 48 * 1024;

/** Speaks `ws` to a WebSocketChannel. */
export class NodeSocket implements MessageSocket {
  readonly canPause: boolean = true;
  readonly copies: true | undefined;
  readonly #socket: WebSocket;
  #binary: BinaryMode;
  #isFirst = true;
  readonly #remote: string;
  readonly #pings: Pings | undefined;
  readonly #wire: Socket | undefined;
  readonly #frames = new ClientFrames(); // for #wire, where there is one
  #scheduled = false;
  #listener: MessageListener | undefined;
  #error: TransportError | undefined;
  #ownCode: number | undefined; // of the close frame `ws` sent because of #error
  #mark = 0;
  #tell: (() => void) | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #asked = false;

  constructor(socket: WebSocket, binary: BinaryMode, remote: string, { pings, wire }: NodeSocketOptions) {
    this.#socket = socket;
    this.#binary = binary;
    this.#remote = remote;
    this.#pings = pings;
    this.#wire = wire;
    this.copies = wire === undefined ? undefined : true;
  }

  get buffered(): number {
    return this.#socket.bufferedAmount + this.#frames.length;
  }

  listen(listener: MessageListener): void {
    this.#listener = listener;
    this.#socket.on('message', this.#onMessage);
    this.#socket.on('pong', this.#onAlive);
    this.#socket.on('error', this.#onError);
    this.#socket.on('close', this.#onClose);
    this.#onAlive();
    if (this.#pings && this.#pings.intervalMs > 0) this.#timer = setTimeout(this.#onSilence, this.#pings.intervalMs);
  }

  send(bytes: Uint8Array): boolean {
    const text = this.#binary !== 'always' && isUtf8(bytes);
    if (!text && this.#binary === 'never') return false;
    if (this.#wire === undefined) {
      this.#socket.send(bytes, text ? TEXT : BINARY, this.#onTaken);
      return true;
    }
    this.#frames.add(bytes, text);
    if (this.#frames.length >= ENOUGH) this.#flush();
    else if (!this.#scheduled) {
      this.#scheduled = true;
      nextTick(this.#flush);
    }
    return true;
  }

  readonly #flush = (): void => {
    this.#scheduled = false;
    if (this.#frames.length === 0) return;
    const bytes = this.#frames.take();
    // After a close frame nothing may follow (RFC 6455, 5.5.1).
    if (this.#wire === undefined || this.#socket.readyState !== WebSocket.OPEN) return;
    this.#wire.write(bytes, this.#onTaken);
    if (this.#wire.writableLength === 0 && !(this.#wire instanceof TLSSocket)) this.#frames.reuse();
  };

  whenBelow(mark: number, tell: () => void): void {
    this.#mark = mark;
    this.#tell = tell;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#onAlive(); // a pong may have waited behind what was paused
    this.#socket.resume();
  }

  close(code: number, reason: string): number {
    this.#flush();
    this.#socket.close(code, reason);
    return code;
  }

  terminate(code?: number, reason?: string): void {
    this.#flush();
    // The close frame is a courtesy: it goes out if the network takes it at once.
    if (code !== undefined && this.#socket.readyState === WebSocket.OPEN) this.#socket.close(code, reason);
    this.#socket.terminate();
  }

  readonly #onMessage = (data: RawData, isBinary: boolean): void => {
    this.#asked = false;
    // Whoever says CONNECT or CONNECTED in binary, though it is text, may cut our text at NUL (W-14): answer in kind.
    if (this.#isFirst && isBinary && this.#binary === 'auto') this.#binary = 'always';
    this.#isFirst = false;
    if (data instanceof Uint8Array) this.#listener?.message(data);
    else if (data instanceof ArrayBuffer) this.#listener?.message(new Uint8Array(data));
    else for (const part of data) this.#listener?.message(part);
  };

  // `ws` calls back from a later tick, also when the socket is gone.
  readonly #onTaken = (): void => {
    if (!this.#tell || this.buffered >= this.#mark) return;
    const tell = this.#tell;
    this.#tell = undefined;
    tell();
  };

  readonly #onAlive = (): void => {
    this.#asked = false;
  };

  // One timer: ask, then wait for an answer, then ask again.
  readonly #onSilence = (): void => {
    if (!this.#pings) return;
    if (this.#asked && !this.#socket.isPaused) {
      this.#error = new TransportError('reset', `${this.#remote}: no pong within ${this.#pings.timeoutMs} ms`);
      this.#socket.terminate();
      return;
    }
    if (this.#socket.readyState === WebSocket.OPEN) {
      this.#asked = !this.#socket.isPaused;
      this.#socket.ping();
    }
    this.#timer = setTimeout(this.#onSilence, this.#asked ? this.#pings.timeoutMs : this.#pings.intervalMs);
  };

  readonly #onError = (cause: unknown): void => {
    const code = codeOf(cause);
    this.#ownCode = OWN_CODES[code] ?? (code.startsWith('WS_ERR_') ? 1002 : undefined);
    const kind = this.#ownCode === undefined ? 'reset' : this.#ownCode === 1009 ? 'too-large' : 'protocol';
    this.#error ??= toTransportError(cause, this.#remote, kind);
  };

  readonly #onClose = (code: number, reason: Uint8Array): void => {
    clearTimeout(this.#timer);
    this.#socket.off('message', this.#onMessage);
    this.#socket.off('pong', this.#onAlive);
    this.#socket.off('error', this.#onError);
    this.#socket.off('close', this.#onClose);
    this.#socket.on('error', ignore);
    this.#tell = undefined;
    const listener = this.#listener;
    this.#listener = undefined;
    listener?.closed(this.#ownCode ?? code, new TextDecoder().decode(reason), this.#error);
  };
}

// What `ws` found wrong -> the code it closed with; any other WS_ERR_ is 1002 (M-102).
const OWN_CODES: Readonly<Record<string, number>> = {
  WS_ERR_INVALID_UTF8: 1007, // M-103
  WS_ERR_TOO_MANY_BUFFERED_PARTS: 1008, // M-101
  WS_ERR_UNSUPPORTED_MESSAGE_LENGTH: 1009, // M-105, M-106
  WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH: 1009,
};
