// A Channel over any WebSocket. The adapters (websocket.ts for the WHATWG
// interface, websocket-node.ts for `ws`) know how to send and to listen; what
// is common lives here: back-pressure both ways, and what an end means.
//
//   message ─► [ inbox: only while paused or not open yet ] ─► data()
//   write() ─► socket, which tells when it is below the mark again

import {
  type Channel,
  type ChannelEnd,
  type ChannelHandlers,
  type PeerInfo,
  TransportError,
  type TransportErrorCode,
} from './channel.ts';

/** What the adapter tells the channel. `closed` is the last. */
export interface MessageListener {
  message(bytes: Uint8Array): void;
  closed(code: number, reason: string, error?: TransportError): void;
}

/** The few verbs a channel needs of a WebSocket that is open. Listeners are never called from inside a verb. */
export interface MessageSocket {
  readonly buffered: number;
  /** Set where `send` copies what it is given. */
  readonly copies?: true | undefined;
  /** True where `pause` reaches the network. Otherwise the channel keeps what comes, within its bound. */
  readonly canPause: boolean;
  listen(listener: MessageListener): void;
  /** Sends one message. False: it would have to be text and is not UTF-8. */
  send(bytes: Uint8Array): boolean;
  /** Calls `tell` once, when `buffered` is below `mark` again. */
  whenBelow(mark: number, tell: () => void): void;
  pause(): void;
  resume(): void;
  /** Sends what is buffered, then a close frame. Answers the code that goes out, where the runtime allows not every one. */
  close(code: number, reason: string): number;
  /** Ends without waiting for the peer, whom `code` tells why where there is one. `closed` follows soon. */
  terminate(code?: number, reason?: string): void;
}

/** What a channel is told of, besides its socket. */
export interface WebSocketChannelOptions {
  /** Bounds what is kept while a socket that cannot pause is paused. Bytes, 16 MiB unless given. */
  readonly maxBufferedBytes?: number;
  /** Write more bytes than this as several messages. Never unless given. */
  readonly splitOver?: number;
  /** This end is the client: the other may turn out to be something else than a STOMP broker. */
  readonly dialled?: boolean;
}

const MAX_BUFFERED_BYTES = 16 * 1024 * 1024;
const HIGH_WATER_MARK = 64 * 1024; // bytes
const SMALLEST_PIECE = 4; // a character of UTF-8 fits
const MAX_REASON_BYTES = 123; // RFC 6455, 5.5: a control frame carries 125 bytes, two are the code

/** An open WebSocket as a Channel. */
export function webSocketChannel(socket: MessageSocket, peer: PeerInfo, options: WebSocketChannelOptions): Channel {
  return new WebSocketChannel(socket, peer, options);
}

class WebSocketChannel implements Channel {
  readonly peer: PeerInfo;
  readonly framed: boolean = true;
  readonly #socket: MessageSocket;
  readonly #maxBufferedBytes: number;
  readonly #splitOver: number;
  readonly #dialled: boolean;
  #isFirst = true;
  #handlers: ChannelHandlers | undefined;

  readonly #inbox: Uint8Array[] = [];
  #inboxBytes = 0;
  #paused = false;
  #flushing = false;

  #full = false; // write() answered false and drain() is owed
  #writable = true;
  #sentCode: number | undefined; // of the close frame this end began with
  #failCode: number | undefined; // of the one it broke off with
  #destroyed = false;
  #error: TransportError | undefined;
  #end: ChannelEnd | undefined; // the socket is gone; closed() follows what the inbox holds

  constructor(socket: MessageSocket, peer: PeerInfo, options: WebSocketChannelOptions) {
    this.#socket = socket;
    this.peer = peer;
    this.#maxBufferedBytes = options.maxBufferedBytes ?? MAX_BUFFERED_BYTES;
    this.#splitOver = Math.max(SMALLEST_PIECE, options.splitOver ?? Number.POSITIVE_INFINITY);
    this.#dialled = options.dialled ?? false;
    socket.pause(); // until open()
    socket.listen({
      message: (bytes) => this.#receive(bytes),
      closed: (code, reason, error) => this.#socketClosed(code, reason, error),
    });
  }

  get buffered(): number {
    return this.#end ? 0 : this.#socket.buffered;
  }

  get settled(): true | undefined {
    return this.#socket.copies;
  }

  open(handlers: ChannelHandlers): void {
    if (this.#handlers) throw new Error('a channel is opened once');
    this.#handlers = handlers;
    this.#wake();
  }

  write(bytes: Uint8Array): boolean {
    if (!this.#writable) return false;
    if (bytes.length > 0 && !this.#send(bytes)) {
      this.#fail('unsupported', 'bytes that are not UTF-8 cannot go out as text, and `binary` is never (W-07)', 1007);
      return false;
    }
    if (this.#full) return false;
    if (this.#socket.buffered < HIGH_WATER_MARK) return true;
    this.#full = true;
    this.#socket.whenBelow(HIGH_WATER_MARK, this.#onBelow);
    return false;
  }

  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#wake();
  }

  end(code = 1000, reason = ''): void {
    if (!this.#writable) return;
    this.#writable = false;
    this.#sentCode = this.#socket.close(code, shortened(reason));
  }

  destroy(error?: TransportError): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    this.#writable = false;
    this.#error = error;
    this.#inbox.length = 0;
    if (this.#end) {
      // the socket went before; only closed() was still to come
      this.#end = error ? { ...this.#end, error } : this.#end;
      this.#wake();
    } else {
      this.#socket.terminate();
    }
  }

  readonly #onBelow = (): void => {
    this.#full = false;
    if (this.#writable) this.#handlers?.drain();
  };

  #send(bytes: Uint8Array): boolean {
    if (bytes.length <= this.#splitOver) return this.#socket.send(bytes);
    for (let from = 0, to: number; from < bytes.length; from = to) {
      to = pieceEnd(bytes, from + this.#splitOver);
      if (!this.#socket.send(bytes.subarray(from, to))) return false;
    }
    return true;
  }

  #receive(bytes: Uint8Array): void {
    if (bytes.length === 0 || this.#destroyed) return; // an empty message says nothing (M-101)
    if (this.#isFirst) {
      this.#isFirst = false;
      if (this.#dialled && bytes.length === 1 && bytes[0] === SOCKJS_OPEN) {
        this.#fail(
          'protocol',
          `${this.peer.remote} speaks SockJS; dial its endpoint with /websocket appended (W-16)`,
          1002,
        );
        return;
      }
    }
    if (this.#handlers && !this.#paused && this.#inbox.length === 0) {
      this.#handlers.data(bytes);
      return;
    }
    this.#inbox.push(bytes);
    this.#inboxBytes += bytes.length;
    if (this.#inboxBytes > this.#maxBufferedBytes && !this.#socket.canPause) {
      const sentence = `the peer sent more than ${this.#maxBufferedBytes} bytes (maxBufferedBytes) while reading was paused`;
      this.#fail('too-large', sentence, 1009);
    }
  }

  #fail(code: TransportErrorCode, message: string, closeCode: number): void {
    this.#destroyed = true;
    this.#writable = false;
    this.#error = new TransportError(code, message);
    this.#failCode = closeCode;
    this.#inbox.length = 0;
    this.#socket.terminate(closeCode, shortened(message));
  }

  #wake(): void {
    if (this.#flushing || !this.#handlers) return;
    this.#flushing = true;
    queueMicrotask(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    const handlers = this.#handlers;
    if (!handlers) return;
    if (!this.#paused && !this.#destroyed && this.#inbox.length > 0) {
      // What is handed over here is new to nobody: messages that come meanwhile queue up behind.
      let next = 0;
      while (next < this.#inbox.length && !this.#paused && !this.#destroyed) {
        const bytes = this.#inbox[next++];
        if (bytes === undefined) break;
        this.#inboxBytes -= bytes.length;
        handlers.data(bytes);
      }
      this.#inbox.splice(0, next);
    }
    if (this.#end && (this.#destroyed || this.#inbox.length === 0)) {
      const end = this.#end;
      this.#handlers = SILENT;
      handlers.closed(end);
    } else if (!this.#paused && !this.#end) {
      this.#socket.resume();
    }
  }

  #socketClosed(code: number, reason: string, error: TransportError | undefined): void {
    this.#writable = false;
    const fault = this.#error ?? (this.#destroyed ? undefined : (error ?? this.#faultOf(code, reason)));
    this.#end = { ...(fault ? { error: fault } : {}), code: this.#failCode ?? code, reason };
    this.#wake();
  }

  /** 1000, 1001, 1005 and the echo of our own code are an orderly end; everything else is a fault. */
  #faultOf(code: number, reason: string): TransportError | undefined {
    if (code === 1000 || code === 1001 || code === 1005 || code === this.#sentCode) return undefined;
    if (code === 1006)
      return new TransportError('reset', `${this.peer.remote}: the connection broke without a close frame`);
    const said = reason === '' ? '' : ` ${JSON.stringify(reason)}`;
    const cause = this.#dialled ? (CAUSES[code] ?? '') : '';
    const message = `${this.peer.remote}: the peer closed with ${code}${said}${cause}`;
    if (code === 1008) return new TransportError('denied', message);
    if (code === 1009) return new TransportError('too-large', message);
    return new TransportError('reset', message);
  }
}

const SOCKJS_OPEN = 0x6f; // `o`, all of the first message (W-16)

// What servers mean by it, as far as they can be known.
const CAUSES: Readonly<Record<number, string>> = {
  1009: ': a message was too large for it (Spring takes 64 KiB a frame, Tomcat 8 KiB a message: webSocket.splitOver)',
  1011: ': it failed, often over a message too large or a slow reader; its log tells',
  4500: ': Spring gave up a reader that was too slow',
};

/** Where to cut at the latest: `at`, or before, so that no character is cut in two. */
function pieceEnd(bytes: Uint8Array, at: number): number {
  if (at >= bytes.length) return bytes.length;
  for (let end = at; end > at - SMALLEST_PIECE; end--) {
    if (((bytes[end] ?? 0) & 0xc0) !== 0x80) return end;
  }
  return at; // that is no UTF-8
}

// After closed() there is nobody to call.
const SILENT: ChannelHandlers = { data() {}, drain() {}, ended() {}, closed() {} };

function shortened(reason: string): string {
  if (reason.length * 3 <= MAX_REASON_BYTES) return reason;
  const bytes = new TextEncoder().encode(reason).subarray(0, MAX_REASON_BYTES);
  return new TextDecoder().decode(bytes).replace(/\uFFFD+$/, ''); // a character cut in half is left out
}
