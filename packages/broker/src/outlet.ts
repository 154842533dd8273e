// What the session has written -> the channel: once a turn, after the whole turn's input
// has been read, so that there are few large writes; on a WebSocket frame by frame (W-05).

import type { ServerSession } from '@stompbox/protocol';
import type { Channel } from '@stompbox/transport';
import type { Delivery } from './engine/engine.ts';

/** What an outlet needs of its connection. */
export interface OutletPeer {
  now(): number;
  schedule(ms: number, run: () => void): () => void;
  sent(bytes: number): void;
  /** Calls `flush` of the peer at the end of this turn. */
  flushLater(): void;
  /** The same, at once. */
  flush(): void;
  /** The channel is full, and has passed nothing on for `outputTimeoutMs`, or up to a quarter longer. */
  stuck(): void;
}

const LOOKS = 4; // within `outputTimeoutMs`

export class Outlet {
  readonly #channel: Channel;
  readonly #session: ServerSession<Delivery>;
  readonly #peer: OutletPeer;
  #full = false; // the channel has had enough, and will say when it is empty
  #held = 0; // what it held after the last flush, where it was full: otherwise it takes care of itself
  #dirty = false;
  readonly #timeoutMs: number;
  #written = 0;
  #passed = 0; // of these, what the channel had passed on when it was last looked at
  #looksInVain = 0;
  #cancel: (() => void) | undefined;

  /** `timeoutMs` 0: it is never stuck. */
  constructor(channel: Channel, session: ServerSession<Delivery>, peer: OutletPeer, timeoutMs: number) {
    this.#channel = channel;
    this.#session = session;
    this.#peer = peer;
    this.#timeoutMs = timeoutMs;
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

  /** Whether the client reads is no longer looked at. */
  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #write(bytes: Uint8Array): void {
    this.#peer.sent(bytes.length);
    this.#written += bytes.length;
    if (this.#channel.write(bytes)) return;
    this.#full = true;
    if (this.#cancel !== undefined || this.#timeoutMs === 0) return;
    this.#looksInVain = -1;
    this.#look();
  }

  #look(): void {
    this.#cancel = undefined;
    if (!this.#full) return;
    const passed = this.#written - this.#channel.buffered;
    this.#looksInVain = passed > this.#passed ? 0 : this.#looksInVain + 1;
    this.#passed = passed;
    if (this.#looksInVain === LOOKS) this.#peer.stuck();
    else this.#cancel = this.#peer.schedule(Math.ceil(this.#timeoutMs / LOOKS), () => this.#look());
  }
}
