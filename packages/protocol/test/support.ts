// What came out of a decoder, as plain values that compare and print well.

import {
  type Command,
  Decoder,
  type DecoderOptions,
  Frame,
  type Headers,
  ProtocolError,
  type ProtocolErrorCode,
} from '@stompbox/protocol';
import type { Meaning, Vector } from 'testkit';

export interface FrameSeen {
  readonly command: Command;
  readonly headers: readonly (readonly [string, string])[];
  /** One character an octet. */
  readonly body: string;
}

export type Seen = FrameSeen | 'heart-beat' | { readonly skipped: number; readonly code: ProtocolErrorCode };

export interface Outcome {
  /** A streamed body is seen joined, so that streaming changes nothing. */
  readonly seen: readonly Seen[];
  readonly error:
    | { readonly code: ProtocolErrorCode; readonly rule: string; readonly offset: number | undefined }
    | undefined;
}

export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function wire(bytes: string | Uint8Array): Uint8Array {
  return typeof bytes === 'string' ? utf8(bytes) : bytes;
}

/** One character an octet. */
export function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}

export function framesSeen(frames: readonly Meaning[]): FrameSeen[] {
  return frames.map(({ command, headers, body }) => ({ command, headers, body: latin1(wire(body)) }));
}

function frameSeen(frame: Frame, body: string): FrameSeen {
  return { command: frame.command, headers: pairs(frame.headers), body };
}

export function pairs(headers: Headers): [string, string][] {
  return [...headers];
}

/** Everything the chunks say to this decoder, to their end or to the first error. Anything but a ProtocolError escapes. */
export function listen(decoder: Decoder, chunks: Iterable<Uint8Array>): Outcome {
  const seen: Seen[] = [];
  let streamed: { frame: Frame; body: string } | undefined;
  try {
    for (const chunk of chunks) {
      decoder.push(chunk);
      for (const event of decoder) {
        switch (event.type) {
          case 'frame':
            seen.push(frameSeen(event, latin1(event.body)));
            break;
          case 'heart-beat':
            seen.push('heart-beat');
            break;
          case 'damage':
            seen.push({ skipped: event.skipped, code: event.error.code });
            break;
          case 'head':
            streamed = { frame: event.frame, body: '' };
            break;
          case 'piece':
            if (streamed === undefined) throw new Error('a piece without a head');
            streamed.body += latin1(event.bytes);
            if (!event.last) break;
            seen.push(frameSeen(streamed.frame, streamed.body));
            streamed = undefined;
        }
      }
    }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return { seen, error: { code: error.code, rule: error.rule, offset: error.offset } };
  }
  return { seen, error: undefined };
}

export function decode(chunks: Iterable<Uint8Array>, options: DecoderOptions = {}): Outcome {
  return listen(new Decoder(options), chunks);
}

/** The frames of these bytes, which are whole and unbroken. */
export function framesOf(bytes: Uint8Array, options: DecoderOptions = {}): Frame[] {
  const decoder = new Decoder(options);
  decoder.push(bytes);
  return [...decoder].filter((event): event is Frame => event instanceof Frame);
}

export function optionsOf(row: Vector): DecoderOptions {
  return { ...row.options, version: row.version, limits: row.limits };
}

export function titleOf(row: Vector): string {
  return `${[row.id].flat().join(' ')}, ${row.version ?? 'before negotiation'}: ${row.name}`;
}
