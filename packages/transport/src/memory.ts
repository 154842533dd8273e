// Two connected channels in one process, and the faults a network has.
//
//   a.write ─► break ─► split ─► [ lane: bytes under way ] ─► b.data
//
// Deterministic: bytes move in microtasks, in order, never from inside write().
// A delay goes through the scheduler that is passed in; there is no clock here.

import { type Channel, type ChannelEnd, type ChannelHandlers, type PeerInfo, TransportError } from './channel.ts';

/** Which end of a pair. */
export type Side = 'a' | 'b';

export interface MemoryOptions {
  /** Act like a WebSocket: one write is one message, no half-close, close codes. False unless given. */
  readonly framed?: boolean;
  /** `write` answers false once this many bytes are under way. Bytes, 65,536 unless given. */
  readonly highWaterMark?: number;
  /** Run `fn` in `ms` milliseconds. Needed by `delayMs`; give the testkit's clock by hand or setTimeout. */
  readonly schedule?: (ms: number, fn: () => void) => void;
  /** How long bytes travel, each way. Milliseconds, 0 unless given. */
  readonly delayMs?: number;
  /**
   * Cut what is written into chunks: of one size, of sizes taken in turn, or of the size a function answers for the
   * bytes that are left. Bytes; sizes below 1 count as 1.
   */
  readonly split?: number | readonly number[] | ((left: number) => number);
  /** Garble bytes on the way: answers what arrives instead. `from` is the end that wrote them. */
  readonly break?: (bytes: Uint8Array, from: Side) => Uint8Array;
  /** What each end is told about its peer, over `{ transport: 'memory', remote: 'memory:…' }`. */
  readonly peers?: { readonly a?: Partial<PeerInfo>; readonly b?: Partial<PeerInfo> };
}

/** Two ends, and the hand that holds the scissors. */
export interface MemoryPair {
  readonly a: Channel;
  readonly b: Channel;
  /**
   * `reset`: both ends close with the error `reset`; what was under way is lost.
   * `silent`: nobody is told; from now on bytes, ends and destroys vanish on the way, as on a half-open connection.
   */
  cut(how?: 'reset' | 'silent'): void;
}

const HIGH_WATER_MARK = 64 * 1024;

/** Two channels: what one writes, the other hears. */
export function memoryPair(options: MemoryOptions = {}): MemoryPair {
  if ((options.delayMs ?? 0) > 0 && !options.schedule) throw new TypeError('delayMs needs a schedule to wait with');
  const a = new MemoryChannel('a', options);
  const b = new MemoryChannel('b', options);
  a.join(b);
  b.join(a);
  return {
    a,
    b,
    cut(how = 'reset') {
      a.cut(how);
      b.cut(how);
    },
  };
}

// What travels a lane besides bytes. A close frame also ends the other direction.
interface Parcel {
  readonly bytes?: Uint8Array;
  readonly fin?: { readonly code?: number; readonly reason?: string };
}

class MemoryChannel implements Channel {
  readonly peer: PeerInfo;
  readonly framed: boolean;
  readonly #side: Side;
  readonly #highWaterMark: number;
  readonly #delayMs: number;
  readonly #schedule: ((ms: number, fn: () => void) => void) | undefined;
  readonly #break: MemoryOptions['break'];
  readonly #nextSize: ((left: number) => number) | undefined;
  #far: MemoryChannel | undefined;
  #handlers: ChannelHandlers | undefined;

  // The lane towards this end: what has arrived and was not handed over yet.
  #inbox: Parcel[] = [];
  #next = 0; // the first parcel of the inbox that was not handed over
  #paused = false;
  #flushing = false;

  #buffered = 0; // bytes written here that the far end has not handed over
  #full = false; // write() answered false and drain() is owed
  #draining = false;
  #sentCode: number | undefined; // of the close frame this end began with
  #ended = false; // end() was called: no more writing
  #farEnded = false; // the peer said it will send no more
  #silent = false;
  #end: ChannelEnd | undefined; // set once nothing but closed() may follow
  #told = false;

  constructor(side: Side, options: MemoryOptions) {
    this.#side = side;
    this.framed = options.framed ?? false;
    this.#highWaterMark = options.highWaterMark ?? HIGH_WATER_MARK;
    this.#delayMs = options.delayMs ?? 0;
    this.#schedule = options.schedule;
    this.#break = options.break;
    this.#nextSize = sizes(options.split);
    this.peer = { transport: 'memory', remote: `memory:${side === 'a' ? 'b' : 'a'}`, ...options.peers?.[side] };
  }

  join(far: MemoryChannel): void {
    this.#far = far;
  }

  get buffered(): number {
    return this.#buffered;
  }

  open(handlers: ChannelHandlers): void {
    if (this.#handlers) throw new Error('a channel is opened once');
    this.#handlers = handlers;
    this.#wake();
  }

  write(bytes: Uint8Array): boolean {
    if (this.#ended || this.#end) return false;
    if (this.#silent || bytes.length === 0) return !this.#full;
    const broken = this.#break ? this.#break(bytes, this.#side) : bytes;
    for (const chunk of cutUp(broken, this.#nextSize)) {
      this.#buffered += chunk.length;
      this.#send({ bytes: chunk });
    }
    if (this.#buffered >= this.#highWaterMark) this.#full = true;
    return !this.#full;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#wake();
  }

  end(code?: number, reason?: string): void {
    if (this.#ended || this.#end) return;
    this.#ended = true;
    this.#sentCode = code ?? 1000;
    this.#send({ fin: this.framed ? { code: code ?? 1000, reason: reason ?? '' } : {} });
    if (this.#farEnded && !this.framed) this.#close({});
  }

  destroy(error?: TransportError): void {
    if (this.#end) return;
    this.#empty();
    this.#close(error ? { error } : {});
    if (!this.#silent) this.#far?.broken('the peer dropped the connection');
  }

  cut(how: 'reset' | 'silent'): void {
    if (how === 'reset') this.broken('the connection was cut');
    else this.#silent = true;
  }

  broken(why: string): void {
    if (this.#end) return;
    this.#empty();
    this.#close({ error: new TransportError('reset', why), ...(this.framed ? { code: 1006, reason: '' } : {}) });
  }

  #send(parcel: Parcel): void {
    const arrive = (): void => this.#far?.arrive(parcel);
    if (this.#delayMs > 0) this.#schedule?.(this.#delayMs, arrive);
    else arrive();
  }

  arrive(parcel: Parcel): void {
    if (this.#end) return;
    if (this.#silent) {
      // on the way when the cable was cut
      this.#far?.taken(parcel.bytes?.length ?? 0);
      return;
    }
    this.#inbox.push(parcel);
    this.#wake();
  }

  /** The far end has handed over this many bytes of ours, or they were lost. */
  taken(size: number): void {
    if (this.#end) return;
    this.#buffered -= size;
    if (this.#buffered > 0 || !this.#full || this.#draining) return;
    this.#draining = true;
    queueMicrotask(() => {
      this.#draining = false;
      if (this.#buffered > 0 || this.#ended || this.#end) return;
      this.#full = false;
      this.#handlers?.drain();
    });
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
    if (!handlers || this.#told) return;
    for (;;) {
      if (this.#end) {
        this.#told = true;
        handlers.closed(this.#end);
        return;
      }
      if (this.#paused) return;
      const parcel = this.#inbox[this.#next++];
      if (!parcel) {
        this.#empty();
        return;
      }
      if (parcel.bytes) {
        handlers.data(parcel.bytes);
        this.#far?.taken(parcel.bytes.length);
      } else if (parcel.fin) {
        this.#farFinished(handlers, parcel.fin);
      }
    }
  }

  #farFinished(handlers: ChannelHandlers, fin: { readonly code?: number; readonly reason?: string }): void {
    this.#farEnded = true;
    if (this.framed) {
      // a close frame is answered with one, and that is the end of both directions
      const said = { code: fin.code ?? 1000, reason: fin.reason ?? '' };
      if (!this.#ended) {
        this.#ended = true;
        this.#send({ fin: said });
      }
      this.#close(
        orderly(said.code) || said.code === this.#sentCode
          ? said
          : { ...said, error: closedWith(said.code, said.reason) },
      );
      return;
    }
    handlers.ended();
    if (this.#ended) this.#close({});
  }

  #empty(): void {
    this.#inbox = [];
    this.#next = 0;
  }

  #close(end: ChannelEnd): void {
    if (this.#end) return;
    this.#end = end;
    this.#buffered = 0;
    this.#full = false;
    this.#wake();
  }
}

function orderly(code: number): boolean {
  return code === 1000 || code === 1001 || code === 1005;
}

function closedWith(code: number, reason: string): TransportError {
  return new TransportError(
    'reset',
    `the peer closed with ${code}${reason === '' ? '' : ` ${JSON.stringify(reason)}`}`,
  );
}

function sizes(split: MemoryOptions['split']): ((left: number) => number) | undefined {
  if (split === undefined || typeof split === 'function') return split;
  if (typeof split === 'number') return () => split;
  let turn = 0;
  return () => split[turn++ % split.length] ?? 1;
}

function* cutUp(bytes: Uint8Array, nextSize: ((left: number) => number) | undefined): Iterable<Uint8Array> {
  if (!nextSize) {
    if (bytes.length > 0) yield bytes;
    return;
  }
  for (let at = 0; at < bytes.length; ) {
    const size = Math.max(1, Math.floor(nextSize(bytes.length - at)));
    yield bytes.subarray(at, at + size);
    at += size;
  }
}
