// One connection to a broker, in bytes: what is said goes out as it stands, what is heard comes back as frames, and
// every wait ends. It sends nothing by itself and forgives all it can, for it is here to look and not to judge.

import type { Dial } from '@stompbox/client';
import { Decoder, Frame, ProtocolError, type Version } from '@stompbox/protocol';
import { type Channel, type ChannelEnd, parseEndpoint } from '@stompbox/transport';
import { type DialOptions, dial } from '@stompbox/transport/dial';

/** What was waited for: a frame, the end of the connection, bytes that are no STOMP, or nothing in time. */
export type Heard =
  | { readonly is: 'frame'; readonly frame: Frame }
  | { readonly is: 'closed'; readonly end: ChannelEnd }
  | { readonly is: 'unreadable'; readonly error: ProtocolError }
  | { readonly is: 'silence' };

export interface LineOptions extends DialOptions {
  /** How long `next` waits unless told otherwise. Milliseconds. */
  readonly patienceMs: number;
  /** Opens channels instead of the usual dialling: for tests. */
  readonly open?: Dial | undefined;
}

/** Above this many frames that nobody has asked for, reading pauses. */
const FRAMES_AHEAD = 512;
/** What is remembered of the bytes as they came. */
const RAW_BYTES = 64 * 1024;
const SILENCE: Heard = { is: 'silence' };

/** Reads what any broker writes, so that a departure of its own does not end the conversation. */
const LENIENT = {
  skipInterFrameNul: true,
  lenientContentLength: true,
  undefinedEscape: 'keep',
  escapeR11: 'accept',
  trim10: 'none',
  headerUtf8: 'replace',
  allowNulInHeader: true,
  discardStrayBody: true,
  limits: { maxHeaders: 10_000, maxHeaderLineBytes: 1 << 20, maxHeadBytes: 4 << 20, maxBodyBytes: 32 << 20 },
} as const;

export class Line {
  readonly #channel: Channel;
  readonly #patienceMs: number;
  readonly #decoder = new Decoder(LENIENT);
  readonly #heard: Heard[] = [];
  #waiting: ((heard: Heard) => void) | undefined;
  #last: Heard | undefined; // nothing comes after it
  #raw = '';
  #beats = 0;
  #stalled = false;

  private constructor(channel: Channel, patienceMs: number, signal: AbortSignal | undefined) {
    this.#channel = channel;
    this.#patienceMs = patienceMs;
    const callOff = (): void => channel.destroy();
    signal?.addEventListener('abort', callOff);
    channel.open({
      data: (bytes) => this.#read(bytes),
      drain: () => {},
      ended: () => this.#hear({ is: 'closed', end: {} }), // the broker has said its last word, and waits for us to close
      closed: (end) => {
        signal?.removeEventListener('abort', callOff);
        this.#hear({ is: 'closed', end });
      },
    });
  }

  /** Rejects with a TransportError, as `dial` does. */
  static async open(url: string, options: LineOptions): Promise<Line> {
    const { open = dial, patienceMs, signal } = options;
    return new Line(await open(parseEndpoint(url), options), patienceMs, signal);
  }

  /** How headers are read from now on; undefined before CONNECTED. */
  set version(version: Version | undefined) {
    this.#decoder.version = version;
  }
  get version(): Version | undefined {
    return this.#decoder.version;
  }

  /** True where the network keeps what is written in messages of its own (WebSocket). */
  get framed(): boolean {
    return this.#channel.framed;
  }

  /** The first 64 KiB that came, one character an octet. */
  get raw(): string {
    return this.#raw;
  }

  /** EOLs that came between frames. */
  get beats(): number {
    return this.#beats;
  }

  get closed(): boolean {
    return this.#last?.is === 'closed';
  }

  /** One write. Text goes out as UTF-8. False: the network has enough for now. */
  say(...parts: readonly (string | Uint8Array)[]): boolean {
    return this.#channel.write(
      Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part))),
    );
  }

  /** What comes next. After `closed` and `unreadable` the same for ever. */
  async next(withinMs: number = this.#patienceMs): Promise<Heard> {
    const first = this.#heard.shift();
    if (!this.#stalled && this.#heard.length < FRAMES_AHEAD / 2) this.#channel.resume();
    if (first !== undefined || this.#last !== undefined) return first ?? this.#last ?? SILENCE;
    return await new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#waiting = undefined;
        resolve(SILENCE);
      }, withinMs);
      this.#waiting = (heard) => {
        clearTimeout(timer);
        this.#waiting = undefined;
        resolve(heard);
      };
    });
  }

  /** Reads no more, so that the broker has to wait with what it writes. */
  stall(): void {
    this.#stalled = true;
    this.#channel.pause();
  }

  /** No more is said (TCP: FIN; WebSocket: close). */
  end(): void {
    this.#channel.end();
  }

  /** Over, without a word. */
  drop(): void {
    this.#channel.destroy();
  }

  #read(bytes: Uint8Array): void {
    if (this.#raw.length < RAW_BYTES) {
      this.#raw += Buffer.from(bytes)
        .toString('latin1')
        .slice(0, RAW_BYTES - this.#raw.length);
    }
    if (this.#last !== undefined) return;
    this.#decoder.push(bytes);
    try {
      for (const event of this.#decoder) {
        if (event instanceof Frame) this.#hear({ is: 'frame', frame: event });
        else if (event.type === 'heart-beat') this.#beats++;
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#hear({ is: 'unreadable', error });
    }
    if (this.#heard.length > FRAMES_AHEAD) this.#channel.pause();
  }

  #hear(heard: Heard): void {
    if (this.#last !== undefined) return;
    if (heard.is !== 'frame') this.#last = heard;
    // CONNECTED decides how all that follows is read, also what came with it in one chunk.
    if (heard.is === 'frame' && heard.frame.is('CONNECTED')) {
      const version = heard.frame.get('version') ?? '1.0';
      if (version === '1.0' || version === '1.1' || version === '1.2') this.#decoder.version = version;
    }
    if (this.#waiting) this.#waiting(heard);
    else if (heard.is === 'frame') this.#heard.push(heard);
  }
}
