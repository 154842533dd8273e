// What every transport is to the rest of Stompbox: bytes both ways, in order,
// with back-pressure in each direction and exactly one end.
//
//            write() ─► [ buffered ] ─► network
//   owner                                        peer
//            data()  ◄─ pause/resume ◄─ network
//
// A Channel knows nothing of STOMP. Whoever opens it owns it.

/** Where a channel leads, as far as the transport knows. For logs and for access decisions; never holds a secret. */
export interface PeerInfo {
  readonly transport: 'tcp' | 'tls' | 'unix' | 'websocket' | 'memory';
  /** The other end, printable: `127.0.0.1:61613`, `wss://host/stomp`, a socket path. */
  readonly remote: string;
  /** The IP address of the other end without its port, where there is one: what per-address limits count by. */
  readonly address?: string;
  /** The WebSocket subprotocol agreed on (`v12.stomp`), where one was (W-01, W-02). */
  readonly subprotocol?: string;
  /** Set on TLS: whether the peer's certificate was verified, and its subject's common name. */
  readonly certificate?: { readonly authorized: boolean; readonly subject: string };
}

/** How a channel ended. A fault is told here, with the end, and nowhere else. */
export interface ChannelEnd {
  /** Absent when both sides finished in order. */
  readonly error?: TransportError;
  /** WebSocket close code, where there was one. */
  readonly code?: number;
  /** WebSocket close reason, where there was one. */
  readonly reason?: string;
}

/** What the owner of a channel hears. Called one at a time, never from inside `open`, `write` or `end`. */
export interface ChannelHandlers {
  /** Bytes in the order they were sent. The view may be kept; the channel never touches it again. */
  data(bytes: Uint8Array): void;
  /** After `write` answered false: what was buffered has been taken. */
  drain(): void;
  /** The peer will send no more (TCP half-close). Writing is still allowed. Not every transport can say it. */
  ended(): void;
  /** Exactly once, last of all. */
  closed(end: ChannelEnd): void;
}

export interface Channel {
  readonly peer: PeerInfo;
  /**
   * True where one `write` becomes one message that the far side may see as such (WebSocket).
   * Write whole STOMP frames there, one at a time (W-05).
   */
  readonly framed: boolean;
  /** Bytes given to `write` that the network has not taken yet. */
  readonly buffered: number;
  /**
   * True where nothing that was written is held here any more, so that its memory may be used again. Undefined where a
   * transport cannot tell.
   */
  readonly settled?: boolean | undefined;
  /** Starts the flow. Bytes that came before are kept until then. Call once. */
  open(handlers: ChannelHandlers): void;
  /**
   * Takes bytes; they belong to the channel from now on. False: enough for now, wait for `drain`.
   * After the end, bytes are dropped and the answer is false.
   */
  write(bytes: Uint8Array): boolean;
  /** Stops `data` soon (a chunk under way may still arrive) and, through the network, the peer. */
  pause(): void;
  resume(): void;
  /**
   * No more will be written: what is buffered goes out, then the write side closes
   * (TCP: FIN; WebSocket: close frame with `code`, 1000 unless given). May be called twice.
   */
  end(code?: number, reason?: string): void;
  /** Ends at once; buffered bytes are dropped. `closed` still follows, with `error` if given. May be called twice. */
  destroy(error?: TransportError): void;
}

export type TransportErrorCode =
  | 'bad-url' // the URL cannot be used; the message names the part
  | 'unsupported' // this runtime has no such transport
  | 'refused' // nobody listens there
  | 'unreachable' // no route, no such host, no such path
  | 'address-in-use' // listening: the port is taken
  | 'denied' // listening or connecting: not permitted
  | 'unauthorized' // the peer wants to know who we are, or does not take our word: HTTP 401 or 403, our TLS certificate
  | 'timeout' // the deadline passed while connecting
  | 'aborted' // the caller's AbortSignal fired
  | 'untrusted' // the TLS peer could not be verified
  | 'handshake' // TLS or WebSocket handshake failed otherwise
  | 'reset' // the connection broke
  | 'too-large' // a WebSocket message over the limit
  | 'protocol'; // the peer broke the WebSocket protocol

/** Bytes stopped coming, or never could. `cause` holds what the runtime said. */
export class TransportError extends Error {
  override readonly name = 'TransportError';
  readonly code: TransportErrorCode;
  /** The HTTP status that a server answered instead of opening a WebSocket, where the runtime tells it. */
  readonly status: number | undefined;
  constructor(code: TransportErrorCode, message: string, options: { cause?: unknown; status?: number } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.status = options.status;
  }
}
