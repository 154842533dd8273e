// One direction of a conversation, overheard: bytes -> what is told of them, cut anywhere, in bounded memory.
//
// What cannot be read is told and skipped up to the next frame; it is no business of whoever forwards the bytes. The head of
// a frame and the beginning of its body are kept, never more.

import {
  Decoder,
  type DecoderLeniency,
  type Frame,
  frame,
  type Head,
  type Limits,
  type ProtocolError,
  type Version,
} from '@stompbox/protocol';

export type Heard =
  | {
      readonly type: 'frame';
      /** Its body is the beginning of it. */
      readonly frame: Frame;
      readonly bodyBytes: number;
    }
  | { readonly type: 'heart-beat' }
  /** From here on bytes make no frame, and why. */
  | { readonly type: 'damage'; readonly why: string }
  /** A frame begins, so many bytes after the damage did. */
  | { readonly type: 'mended'; readonly bytes: number };

/** Beyond this many bytes a body is not kept. */
export const KEPT_BODY: number = 16 * 1024;

// Whoever listens in wants to see what there is; whether it may be so is for `stompbox conformance` to say.
const LENIENCY: DecoderLeniency = {
  crlf: 'all',
  skipInterFrameNul: true,
  lenientContentLength: true,
  undefinedEscape: 'keep',
  escapeR11: 'accept',
  headerUtf8: 'replace',
  discardStrayBody: true,
};

const LIMITS: Partial<Limits> = { maxBodyBytes: 1024 * 1024 }; // an ERROR is never read in pieces

interface Streamed {
  readonly head: Head;
  readonly start: Uint8Array[];
  kept: number;
  bytes: number;
}

export class Ear {
  readonly #decoder = new Decoder({ ...LENIENCY, limits: LIMITS, streamBodiesOver: KEPT_BODY, resync: true });
  #streamed: Streamed | undefined;
  #isLost = false;

  /** Where what was told last ends: how many bytes lie before it. */
  get offset(): number {
    return this.#decoder.offset;
  }

  /** What comes makes no frame, and nobody knows where the next one begins. */
  get isLost(): boolean {
    return this.#isLost;
  }

  /** Frames from now on are read as this version. */
  set version(version: Version) {
    this.#decoder.version = version;
  }

  /** Takes the next bytes; answers what they complete, as it is asked for. The bytes are copied. */
  *hear(bytes: Uint8Array): Generator<Heard, void, undefined> {
    this.#decoder.push(bytes.slice());
    for (let event = this.#decoder.next(); event !== undefined; event = this.#decoder.next()) {
      switch (event.type) {
        case 'frame':
          yield { type: 'frame', frame: event, bodyBytes: event.body.length };
          break;
        case 'heart-beat':
          yield event;
          break;
        case 'damage':
          yield* this.#lose(event.error);
          this.#isLost = false;
          yield { type: 'mended', bytes: event.skipped };
          break;
        case 'head':
          this.#streamed = { head: event, start: [], kept: 0, bytes: 0 };
          break;
        case 'piece': {
          const whole = this.#piece(event.bytes, event.last);
          if (whole !== undefined) yield whole;
        }
      }
    }
    const { damage } = this.#decoder;
    if (damage !== undefined) yield* this.#lose(damage);
  }

  *#lose(error: ProtocolError): Generator<Heard, void, undefined> {
    if (this.#isLost) return;
    this.#isLost = true;
    this.#streamed = undefined;
    yield { type: 'damage', why: error.message };
  }

  /** What is told where the bytes end here: undefined between two frames. */
  get rest(): string | undefined {
    if (this.#isLost) return undefined; // told already
    const { progress } = this.#decoder;
    const streamed = this.#streamed;
    if (streamed !== undefined)
      return `it ended in ${streamed.head.frame.command}, after ${streamed.bytes} bytes of its body`;
    return progress === 'idle' ? undefined : `it ended in the ${progress} of a frame`;
  }

  #piece(bytes: Uint8Array, isLast: boolean): Heard | undefined {
    const streamed = this.#streamed;
    if (streamed === undefined) return undefined;
    const room = KEPT_BODY - streamed.kept;
    if (room > 0 && bytes.length > 0) {
      const kept = bytes.slice(0, room);
      streamed.start.push(kept);
      streamed.kept += kept.length;
    }
    streamed.bytes += bytes.length;
    if (!isLast) return undefined;
    this.#streamed = undefined;
    const { command, headers } = streamed.head.frame;
    return { type: 'frame', frame: frame(command, headers, Buffer.concat(streamed.start)), bodyBytes: streamed.bytes };
  }
}
