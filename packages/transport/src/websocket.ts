// WebSocket client over the WHATWG interface: browsers, Deno, Bun, Node 22 and
// later, or any object of that shape from a factory. No Node, no `ws` in here.
//
// The interface has no drain event and cannot pause. Writing polls
// `bufferedAmount` while it is above the mark; reading buffers within a bound.

import { type AttemptOptions, attempt } from './attempt.ts';
import { type Channel, TransportError } from './channel.ts';
import { formatEndpoint, type WebSocketEndpoint } from './endpoint.ts';
import { type MessageListener, type MessageSocket, webSocketChannel } from './websocket-channel.ts';

/** An event of a WebSocket, as far as it is looked at. */
export interface WebSocketLikeEvent {
  readonly type: string;
  readonly data?: unknown;
  readonly code?: number;
  readonly reason?: string;
  readonly message?: unknown;
}

/**
 * What is used of a WHATWG WebSocket. `pause` and `resume` are extras of `ws` and are used where they exist. One without a
 * `binaryType` carries text only, as SockJS does; one without a `bufferedAmount` is always ready for more.
 */
export interface WebSocketLike {
  binaryType?: string;
  readonly bufferedAmount?: number;
  readonly protocol?: string;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: 'open' | 'message' | 'close' | 'error', listener: (event: WebSocketLikeEvent) => void): void;
  removeEventListener(
    type: 'open' | 'message' | 'close' | 'error',
    listener: (event: WebSocketLikeEvent) => void,
  ): void;
  pause?(): void;
  resume?(): void;
}

/** Makes a WebSocket that is still connecting. */
export type WebSocketFactory = (url: string, protocols: string[]) => WebSocketLike;

/** Which messages go out as binary: those that are not UTF-8, all, or none (W-07). */
export type BinaryMode = 'auto' | 'always' | 'never';

export interface WebSocketOptions {
  /** Makes the socket, with whatever TLS and headers it is to have. The runtime's own WebSocket unless given. */
  readonly factory?: WebSocketFactory;
  /** Subprotocols to offer, best first (W-01). `v12.stomp v11.stomp v10.stomp` unless given; `[]` offers none. */
  readonly protocols?: readonly string[];
  /**
   * `auto` unless given; `always` on React Native, which cuts text at NUL (W-14). With `never`, and on sockets for text only,
   * bytes that are not UTF-8 end the channel with `unsupported`: better than garbling them.
   */
  readonly binary?: BinaryMode;
  /**
   * Write what is longer than so many bytes as several messages, for Spring and Tomcat with their small buffers (16 KiB fits).
   * Off unless given: ActiveMQ wants a STOMP frame whole (W-04, W-05).
   */
  readonly splitOver?: number;
  /** How much is kept while reading is paused and the runtime cannot pause. Bytes, 16 MiB unless given; beyond: `too-large`. */
  readonly maxBufferedBytes?: number;
}

/** What a dialler can be told about WebSockets. The last three need `ws`, so Node; asking for one chooses it. */
export interface WebSocketDialOptions extends WebSocketOptions {
  /** Headers of the upgrade request: cookies, Authorization, Origin. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Offer permessage-deflate. False unless given. */
  readonly compress?: boolean;
  /** The largest message that is taken, inflated. Bytes, 100 MiB unless given. */
  readonly maxMessageBytes?: number;
}

/** Subprotocols a STOMP client offers, best first (W-01). */
export const SUBPROTOCOLS: readonly string[] = ['v12.stomp', 'v11.stomp', 'v10.stomp'];

const POLL_MS = 10;
const BROKEN_OFF = 4000; // a script cannot drop a WebSocket without a close frame; this one says it was no orderly end

/**
 * Connects over WHATWG WebSocket. Rejects with `timeout`, `aborted`, `unsupported` (no WebSocket in this runtime),
 * `bad-url`, or `handshake`: the interface does not tell why a connection failed.
 */
export function dialWebSocket(
  endpoint: WebSocketEndpoint,
  options: WebSocketOptions & AttemptOptions = {},
): Promise<Channel> {
  const what = formatEndpoint(endpoint);
  return attempt<Channel>(what, options, (done, fail) => {
    let socket: WebSocketLike;
    try {
      const make = options.factory ?? nativeFactory();
      socket = make(webSocketUrl(endpoint), [...(options.protocols ?? SUBPROTOCOLS)]);
      if ('binaryType' in socket) socket.binaryType = 'arraybuffer';
      else if (options.binary === 'always') {
        socket.close();
        throw new TransportError('unsupported', 'this socket carries text only (it has no binaryType)');
      }
    } catch (cause) {
      fail(refusal(what, cause));
      return () => {};
    }
    const forget = (): void => {
      socket.removeEventListener('open', onOpen);
      socket.removeEventListener('close', onClose);
      socket.removeEventListener('error', onError);
    };
    const onError = (cause: WebSocketLikeEvent): void => {
      // Some runtimes fire no close after it. Those that are silent about the reason have no message either.
      forget();
      socket.addEventListener('error', ignore);
      const words = typeof cause.message === 'string' && cause.message !== '' ? cause.message : 'it failed';
      fail(new TransportError('handshake', `${what}: the WebSocket did not open: ${words}`, { cause }));
    };
    const onClose = ({ code, reason }: WebSocketLikeEvent): void => {
      forget();
      const said = reason === undefined || reason === '' ? '' : ` ${JSON.stringify(reason)}`;
      const sentence = `${what}: the WebSocket closed (${code ?? 1006}${said}) before it opened`;
      fail(new TransportError('handshake', `${sentence}; the runtime does not say why, its network log may`));
    };
    const onOpen = (): void => {
      forget();
      const subprotocol = socket.protocol ? { subprotocol: socket.protocol } : {};
      const peer = { transport: 'websocket', remote: what, ...subprotocol } as const;
      const adapter = new StandardSocket(socket, binaryMode(socket, options.binary));
      done(webSocketChannel(adapter, peer, { ...options, dialled: true }));
    };
    socket.addEventListener('open', onOpen);
    socket.addEventListener('close', onClose);
    socket.addEventListener('error', onError);
    return () => {
      forget();
      socket.addEventListener('error', ignore); // `ws` would throw what nobody listens for
      socket.close();
    };
  });
}

/** The URL to hand to a WebSocket: with its query, without credentials, which browsers refuse. */
export function webSocketUrl(endpoint: WebSocketEndpoint): string {
  const query = endpoint.query === undefined ? '' : `?${endpoint.query}`;
  return `${formatEndpoint(endpoint)}${query}`;
}

/** Tells whether this runtime has a WebSocket of its own. */
export function hasNativeWebSocket(): boolean {
  return typeof globalThis.WebSocket === 'function';
}

function nativeFactory(): WebSocketFactory {
  if (!hasNativeWebSocket()) {
    throw new TransportError('unsupported', 'this runtime has no WebSocket of its own; pass webSocket.factory');
  }
  return (url, protocols) => new globalThis.WebSocket(url, protocols);
}

function binaryMode(socket: WebSocketLike, wanted: BinaryMode | undefined): BinaryMode {
  if (!('binaryType' in socket)) return 'never';
  return wanted ?? (isReactNative() ? 'always' : 'auto');
}

function isReactNative(): boolean {
  const { navigator } = globalThis as { readonly navigator?: { readonly product?: unknown } };
  return navigator?.product === 'ReactNative';
}

function refusal(what: string, cause: unknown): TransportError {
  if (cause instanceof TransportError) return cause;
  const words = cause instanceof Error ? cause.message : String(cause);
  return new TransportError('handshake', `${what}: ${words}`, { cause });
}

function ignore(): void {}

class StandardSocket implements MessageSocket {
  readonly canPause: boolean;
  readonly #socket: WebSocketLike;
  readonly #binary: BinaryMode;
  readonly #cutsText: boolean;
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }); // a BOM is content
  readonly #encoder = new TextEncoder();
  #listener: MessageListener | undefined;
  #poll: ReturnType<typeof setTimeout> | undefined;

  constructor(socket: WebSocketLike, binary: BinaryMode) {
    this.#socket = socket;
    this.#binary = binary;
    this.#cutsText = isReactNative();
    this.canPause = socket.pause !== undefined && socket.resume !== undefined;
  }

  get buffered(): number {
    return this.#socket.bufferedAmount ?? 0;
  }

  listen(listener: MessageListener): void {
    this.#listener = listener;
    this.#socket.addEventListener('message', this.#onMessage);
    this.#socket.addEventListener('close', this.#onClose);
    this.#socket.addEventListener('error', ignore); // told with the close
  }

  send(bytes: Uint8Array): boolean {
    if (this.#binary === 'always') {
      this.#socket.send(unshared(bytes));
      return true;
    }
    const text = this.#asText(bytes);
    if (text === undefined && this.#binary === 'never') return false;
    this.#socket.send(text ?? unshared(bytes));
    return true;
  }

  whenBelow(mark: number, tell: () => void): void {
    const look = (): void => {
      this.#poll = undefined;
      if (!this.#listener) return;
      if (this.buffered < mark) tell();
      else this.#poll = setTimeout(look, POLL_MS);
    };
    this.#poll = setTimeout(look, 0);
  }

  pause(): void {
    this.#socket.pause?.();
  }

  resume(): void {
    this.#socket.resume?.();
  }

  close(code: number, reason: string): number {
    const allowed = allowedCode(code);
    this.#socket.close(allowed, reason);
    return allowed;
  }

  terminate(code = BROKEN_OFF, reason = ''): void {
    const listener = this.#listener;
    this.#forget();
    this.#socket.addEventListener('error', ignore);
    this.#socket.resume?.(); // or the peer's close frame would never be read
    this.#socket.close(allowedCode(code), reason);
    queueMicrotask(() => listener?.closed(1006, ''));
  }

  readonly #onMessage = ({ data }: WebSocketLikeEvent): void => {
    if (typeof data === 'string') this.#listener?.message(this.#encoder.encode(this.#mended(data)));
    else if (data instanceof ArrayBuffer) this.#listener?.message(new Uint8Array(data));
    else if (data instanceof Uint8Array) this.#listener?.message(data);
  };

  readonly #onClose = ({ code, reason }: WebSocketLikeEvent): void => {
    const listener = this.#listener;
    this.#forget();
    listener?.closed(code ?? 1006, reason ?? '');
  };

  /** React Native cuts text at its first NUL, which ends a frame; a broker that speaks text sends one frame a message (W-14). */
  #mended(text: string): string {
    return this.#cutsText && !text.endsWith('\0') && /[^\r\n]/.test(text) ? `${text}\0` : text;
  }

  #asText(bytes: Uint8Array): string | undefined {
    try {
      return this.#decoder.decode(bytes);
    } catch {
      return undefined; // not UTF-8: goes out as binary
    }
  }

  #forget(): void {
    clearTimeout(this.#poll);
    this.#listener = undefined;
    this.#socket.removeEventListener('message', this.#onMessage);
    this.#socket.removeEventListener('close', this.#onClose);
    this.#socket.removeEventListener('error', ignore);
  }
}

/** Scripts may close with 1000 and 3000 to 4999 only (WHATWG): 1002 goes out as 4002. */
function allowedCode(code: number): number {
  return code === 1000 || code >= 3000 ? code : code + 3000;
}

function unshared(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer, byteOffset, byteLength } = bytes;
  return buffer instanceof ArrayBuffer ? new Uint8Array(buffer, byteOffset, byteLength) : new Uint8Array(bytes);
}
