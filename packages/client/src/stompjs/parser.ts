// stompjs's parser, on our decoder: bytes or text in, raw frames out, nothing unescaped.

import { Decoder } from '@stompbox/protocol';
import { LENIENT } from './leniency.ts';
import { octetsOf } from './octets.ts';
import type { IRawFrameType } from './types.ts';

export class Parser {
  onFrame: (frame: IRawFrameType) => void;
  onIncomingPing: () => void;
  readonly #decoder = new Decoder(LENIENT);

  constructor(onFrame: (frame: IRawFrameType) => void, onIncomingPing: () => void) {
    this.onFrame = onFrame;
    this.onIncomingPing = onIncomingPing;
  }

  /** Throws ProtocolError where it is not STOMP; the parser is then beyond repair. What a callback throws passes through. */
  parseChunk(segment: string | ArrayBuffer | Uint8Array, appendMissingNULLonIncoming: boolean = false): void {
    this.#decoder.push(octetsOf(segment, appendMissingNULLonIncoming));
    for (const decoded of this.#decoder) {
      if (decoded.type === 'heart-beat') this.onIncomingPing();
      else if (decoded.type === 'frame') {
        this.onFrame({ command: decoded.command, headers: [...decoded.headers], binaryBody: decoded.body });
      }
    }
  }
}
