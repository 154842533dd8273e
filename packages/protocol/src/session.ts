// Frames -> what they mean now, for either role. A session owns the decoder, the
// encoder, the state, the books and the deadlines of one connection, and touches
// neither a socket nor a clock:
//
//   receive(bytes, now) ─► next() ─► events        send(…) ─► take(now) ─► bytes
//                    deadline ─► tick(now)
//
// Pull events until there is none. What the peer did wrong is an event too (`fault`),
// the last one there is.

import { type Decoded, Decoder, type DecoderLeniency, type Limits } from './decoder.ts';
import { Encoder, type EncoderOptions } from './encoder.ts';
import { ProtocolError } from './errors.ts';
import { type HeartBeatPeriods, type KeepAlive, keepAlive } from './heart-beat.ts';
import type { State } from './transitions.ts';
import type { Version } from './version.ts';

/** What both roles take. */
export interface SessionOptions {
  readonly limits?: Partial<Limits> | undefined;
  /** Deviations from the strict grammar, for a peer that is known to need them (conformance 7). */
  readonly leniency?: (DecoderLeniency & Omit<EncoderOptions, 'version' | 'unrepresentable' | 'onePiece'>) | undefined;
  /** How long CONNECT and CONNECTED may take. Milliseconds, default 10 000; 0 is for ever. */
  readonly connectTimeoutMs?: number | undefined;
  /** How long a head may take to arrive, and a body may pause. Milliseconds, default 60 000; 0 is for ever (M-30, M-37). */
  readonly frameTimeoutMs?: number | undefined;
  /** How many times its agreed gap a silent peer is given (H-06). Default 2. */
  readonly heartBeatTolerance?: number | undefined;
  /** As the encoder has it: all there is to take is one piece. */
  readonly onePiece?: boolean | undefined;
}

/** The peer broke the specification; nothing follows. On a server `receipt` is what the frame at fault had asked for. */
export interface Fault {
  readonly type: 'fault';
  readonly error: ProtocolError;
  readonly receipt?: string | undefined;
}

export const HEART_BEAT_EVENT: { readonly type: 'heart-beat' } = { type: 'heart-beat' };

/** The half of a session that has no role: bytes, versions and deadlines. Use ClientSession or ServerSession. */
export abstract class Session {
  protected readonly decoder: Decoder;
  protected readonly encoder: Encoder;
  protected current: State = 'opening';
  readonly #tolerance: number;
  readonly #connectBy: number;
  readonly #frameTimeout: number;
  #keepAlive: KeepAlive | undefined;
  readonly #idleTimeout: number;
  #frameBy = Number.POSITIVE_INFINITY;
  #idleBy = Number.POSITIVE_INFINITY;

  constructor(
    options: SessionOptions & { streamBodiesOver?: number | undefined; idleTimeoutMs?: number | undefined },
    now: number,
    unrepresentable: 'throw' | 'replace',
  ) {
    this.decoder = new Decoder({
      ...options.leniency,
      limits: options.limits,
      streamBodiesOver: options.streamBodiesOver,
    });
    this.encoder = new Encoder({ ...options.leniency, unrepresentable, onePiece: options.onePiece });
    this.#tolerance = options.heartBeatTolerance ?? 2;
    this.#connectBy = now + ((options.connectTimeoutMs ?? 10_000) || Number.POSITIVE_INFINITY);
    this.#idleTimeout = options.idleTimeoutMs || Number.POSITIVE_INFINITY;
    this.#frameTimeout = (options.frameTimeoutMs ?? 60_000) || Number.POSITIVE_INFINITY;
  }

  get state(): State {
    return this.current;
  }

  /** What was negotiated; undefined before CONNECTED. */
  get version(): Version | undefined {
    return this.encoder.version;
  }

  /** The agreed heart-beats; none before CONNECTED. */
  get heartBeat(): HeartBeatPeriods {
    return this.#keepAlive?.periods ?? { out: 0, in: 0 };
  }

  /** Bytes of a frame that has not come whole yet. */
  get buffered(): number {
    return this.decoder.length;
  }

  /** The peer may close here without cutting a frame. */
  get idle(): boolean {
    return this.decoder.idle;
  }

  /** Takes what came from the peer. Pull `next()` until there is none before the next call. */
  receive(bytes: Uint8Array, now: number): void {
    this.#keepAlive?.received(now);
    if (this.#idleBy !== Number.POSITIVE_INFINITY) this.#idleBy = now + this.#idleTimeout;
    if (this.hears()) this.decoder.push(bytes);
  }

  /** The peer cannot be heard because we are not reading: its silence does not count. */
  excuse(now: number): void {
    this.#keepAlive?.received(now);
    if (this.#idleBy !== Number.POSITIVE_INFINITY) this.#idleBy = now + this.#idleTimeout;
    if (this.#frameBy !== Number.POSITIVE_INFINITY) this.#frameBy = now + this.#frameTimeout;
  }

  /** False once whatever comes is dropped, and not even kept (C-73). */
  protected hears(): boolean {
    return this.current !== 'closed';
  }

  /** What comes next from the decoder; notes whether a frame is under way, for its deadline. */
  protected decode(now: number): Decoded | undefined {
    const decoded = this.decoder.next();
    if (decoded !== undefined) this.#frameBy = Number.POSITIVE_INFINITY;
    else {
      const { progress } = this.decoder;
      // The deadline of a head is that of its first byte (M-30); a body has a new one with every piece (M-37).
      if (progress === 'body' || (progress === 'head' && this.#frameBy === Number.POSITIVE_INFINITY))
        this.#frameBy = now + this.#frameTimeout;
    }
    return decoded;
  }

  /** Bytes that wait for `take`. */
  get pending(): number {
    return this.encoder.length;
  }

  /** What is to be written to the peer, at once and in one piece. */
  take(now: number): Uint8Array {
    if (this.encoder.length > 0) this.#keepAlive?.sent(now);
    return this.encoder.take();
  }

  /** The same unjoined: large bodies are the very bytes that were given, so do not change them. */
  takeAll(now: number): Uint8Array[] {
    if (this.encoder.length > 0) this.#keepAlive?.sent(now);
    return this.encoder.takeAll();
  }

  /** As `takeAll`, without a copy of small ones: for who says `reuse()` when they are written. */
  lendAll(now: number): Uint8Array[] {
    if (this.encoder.length > 0) this.#keepAlive?.sent(now);
    return this.encoder.lendAll();
  }

  /** Nobody needs any more what was taken: its memory may be written again. */
  reuse(): void {
    this.encoder.reuse();
  }

  /** When `tick` has something to do; Infinity for never. The clock of `now`. */
  get deadline(): number {
    if (this.current === 'closed') return Number.POSITIVE_INFINITY;
    const connect =
      this.current === 'opening' || this.current === 'connecting' ? this.#connectBy : Number.POSITIVE_INFINITY;
    return Math.min(connect, this.#frameBy, this.#idleBy, this.#keepAlive?.deadline ?? Number.POSITIVE_INFINITY);
  }

  /** Writes a heart-beat where one is due. Answers the reason to give the peer up, or undefined. */
  tick(now: number): ProtocolError | undefined {
    if (this.current === 'closed') return undefined;
    if ((this.current === 'opening' || this.current === 'connecting') && now >= this.#connectBy) {
      return new ProtocolError('connect-timeout', 'the peer took too long to connect');
    }
    if (now >= this.#frameBy) return new ProtocolError('frame-timeout', 'a frame was begun and not finished');
    if (now >= this.#idleBy) {
      return new ProtocolError('silent-peer', `nothing came for ${this.#idleTimeout} ms`, { rule: 'X-33' });
    }
    switch (this.#keepAlive?.check(now)) {
      case 'lost':
        return new ProtocolError('silent-peer', `nothing came for ${this.heartBeat.in} ms and the tolerance`);
      case 'beat':
        if (this.mayBeat()) this.encoder.heartBeat();
        else this.#keepAlive?.sent(now); // C-15: a frame is partly written; its own bytes must do
    }
    return undefined;
  }

  /** False while a frame is partly written. */
  protected mayBeat(): boolean {
    return this.current === 'connected'; // E-02: nothing after DISCONNECT, heart-beats included
  }

  protected begin(version: Version, periods: HeartBeatPeriods, now: number): void {
    this.current = 'connected';
    this.decoder.version = version;
    this.encoder.version = version;
    if (periods.in === 0) this.#idleBy = now + this.#idleTimeout; // otherwise heart-beats tell the dead from the idle
    if (periods.in > 0 || periods.out > 0) this.#keepAlive = keepAlive(periods, now, { tolerance: this.#tolerance });
  }
}
