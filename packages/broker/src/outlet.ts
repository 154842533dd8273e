// What the session has written -> the channel: once a turn, after the whole turn's input
// has been read, so that there are few large writes; on a WebSocket frame by frame (W-05).

import type { ServerSession } from '@stompbox/protocol';
import type { Channel } from '@stompbox/transport';
import type { Delivery } from './engine/engine.ts';

/** What an outlet needs of its connection. */
export interface OutletPeer {
  now(): number;
  sent(bytes: number): void;
  /** Calls `flush` of the peer at the end of this turn. */
  flushLater(): void;
  /** The same, at once. */
  flush(): void;
}

export class Outlet {
  readonly #channel: Channel;
  readonly #session: ServerSession<Delivery>;
  readonly #peer: OutletPeer;
  #full = false; // the channel has had enough, and will say when it is empty
  #held = 0; // what it held after the last flush, where it was full: otherwise it takes care of itself
  #dirty = false;

  constructor(channel: Channel, session: ServerSession<Delivery>, peer: OutletPeer) {
    this.#channel = channel;
    this.#session = session;
    this.#peer = peer;
  }

  /** Bytes that the channel could not pass on. */
  get held(): number {
    return this.#held;
  }

  /** Call after the session has written. */
  said(): void {
    if (this.#channel.framed)
      this.#peer.flush(); // one frame a WebSocket message (W-05)
    else if (!this.#dirty) {
      this.#dirty = true;
      this.#peer.flushLater();
    }
  }

  flush(): void {
    this.#dirty = false;
    if (this.#session.pending > 0) {
      const now = this.#peer.now();
      if (this.#channel.framed) this.#write(this.#session.take(now));
      else for (const bytes of this.#session.takeAll(now)) this.#write(bytes);
    }
    this.#held = this.#full ? this.#channel.buffered : 0;
  }

  /** The channel is empty. */
  drained(): void {
    this.#full = false;
    this.#held = 0;
  }

  #write(bytes: Uint8Array): void {
    this.#peer.sent(bytes.length);
    if (!this.#channel.write(bytes)) this.#full = true;
  }
}
