// The one place that knows Node sockets: drain, half-close, pause, and what a
// failure is called. TCP, TLS and Unix sockets are all this.
//
// Cost: one socket.write per write and no promise; data is handed on as the
// view that Node read into, never copied.
//
// Node calls listeners from its own ticks, never from inside write, end or
// destroy, so handlers are called straight from them.

import type { Socket } from 'node:net';
import type { Channel, ChannelEnd, ChannelHandlers, PeerInfo, TransportError } from './channel.ts';
import { toTransportError } from './node-errors.ts';

/** Bytes a socket buffers in each direction before it says enough: what Node 22 has, and four times what Node 20 has. */
export const HIGH_WATER_MARK: number = 64 * 1024;

/**
 * A connected socket as a Channel. The socket must have been made with `allowHalfOpen: true` and belongs to the channel.
 * A fault is mapped by node-errors; one that Node has no name for is `reset`.
 */
export function nodeStreamChannel(socket: Socket, peer: PeerInfo): Channel {
  return new NodeStreamChannel(socket, peer);
}

class NodeStreamChannel implements Channel {
  readonly peer: PeerInfo;
  readonly framed: boolean = false;
  readonly #socket: Socket;
  #handlers: ChannelHandlers | undefined;
  #paused = false;
  #writable = true;
  #error: TransportError | undefined;
  #end: ChannelEnd | undefined; // set once the socket has closed

  constructor(socket: Socket, peer: PeerInfo) {
    this.#socket = socket;
    this.peer = peer;
    socket.on('error', this.#onError);
    socket.on('close', this.#onClose);
  }

  get buffered(): number {
    return this.#end ? 0 : this.#socket.writableLength;
  }

  // TLS keeps what it could not encrypt at once.
  get settled(): boolean | undefined {
    return this.peer.transport === 'tls' ? undefined : this.#socket.writableLength === 0;
  }

  open(handlers: ChannelHandlers): void {
    if (this.#handlers) throw new Error('a channel is opened once');
    this.#handlers = handlers;
    if (this.#end) {
      const end = this.#end;
      queueMicrotask(() => handlers.closed(end));
      return;
    }
    this.#socket.on('drain', this.#onDrain);
    this.#socket.on('end', this.#onEnd);
    if (this.#paused) this.#socket.pause();
    this.#socket.on('data', this.#onData); // starts the flow, unless paused
  }

  write(bytes: Uint8Array): boolean {
    if (!this.#writable) return false;
    return this.#socket.write(bytes);
  }

  pause(): void {
    this.#paused = true;
    if (this.#handlers) this.#socket.pause();
  }

  resume(): void {
    this.#paused = false;
    if (this.#handlers) this.#socket.resume(); // before open() it would throw the bytes away
  }

  end(): void {
    if (!this.#writable) return;
    this.#writable = false;
    this.#socket.end();
  }

  destroy(error?: TransportError): void {
    if (this.#end || this.#socket.destroyed) return;
    this.#writable = false;
    this.#error = error;
    this.#socket.destroy();
  }

  readonly #onData = (bytes: Uint8Array): void => this.#handlers?.data(bytes);

  readonly #onDrain = (): void => {
    if (this.#writable) this.#handlers?.drain();
  };

  readonly #onEnd = (): void => this.#handlers?.ended();

  readonly #onError = (cause: unknown): void => {
    this.#writable = false;
    this.#error ??= toTransportError(cause, this.peer.remote, 'reset');
    this.#socket.destroy(); // Node leaves a TLS socket half open after an alert that came late (TLS 1.3)
  };

  readonly #onClose = (): void => {
    const socket = this.#socket;
    socket.off('data', this.#onData);
    socket.off('drain', this.#onDrain);
    socket.off('end', this.#onEnd);
    socket.off('error', this.#onError);
    socket.off('close', this.#onClose);
    this.#writable = false;
    this.#end = this.#error ? { error: this.#error } : {};
    this.#handlers?.closed(this.#end);
  };
}
