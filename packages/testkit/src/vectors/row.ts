// What a row of the table is, and the words the rows are written in.
//
//   { id: 'C-42', name: 'an escaped backslash does not escape what follows', version: '1.2',
//     bytes: 'MESSAGE\np:C\\c\\\\new\n\n\0', expect: reads('MESSAGE', [['p', 'C:\\new']]) }

import type { Command, DecoderLeniency, Limits, ProtocolErrorCode, Version } from '@stompbox/protocol';
import type { RuleId } from './rules.ts';

export type Pairs = readonly (readonly [name: string, value: string])[];

/** What a frame says. A text body is UTF-8. */
export interface Meaning {
  readonly command: Command;
  readonly headers: Pairs;
  readonly body: string | Uint8Array;
}

/** The bytes are these frames and so many line ends between them. */
export interface Reading {
  readonly frames: readonly Meaning[];
  readonly heartBeats: number;
}

/** The bytes are `before`, and then broken in this way, at this byte. The error names a rule that the row cites. */
export interface Refusal {
  readonly error: ProtocolErrorCode;
  readonly offset: number;
  readonly before: Reading;
}

export interface Vector {
  readonly id: RuleId | readonly RuleId[];
  /** A sentence. */
  readonly name: string;
  /** Absent: before negotiation. */
  readonly version?: Version | undefined;
  readonly options?: DecoderLeniency;
  readonly limits?: Partial<Limits>;
  /** On the wire; a text is UTF-8. */
  readonly bytes: string | Uint8Array;
  readonly expect: Reading | Refusal;
  /** What the frames are encoded to. Absent: these very bytes. false: what leniency let in is not written. */
  readonly encode?: false | string | Uint8Array;
}

const NOTHING: Reading = { frames: [], heartBeats: 0 };

export function meaning(command: Command, headers: Pairs = [], body: string | Uint8Array = ''): Meaning {
  return { command, headers, body };
}

/** One frame and nothing else. */
export function reads(command: Command, headers: Pairs = [], body: string | Uint8Array = ''): Reading {
  return { frames: [meaning(command, headers, body)], heartBeats: 0 };
}

export function readsAll(frames: readonly Meaning[], heartBeats = 0): Reading {
  return { frames, heartBeats };
}

export function refuses(error: ProtocolErrorCode, offset: number, before: Reading = NOTHING): Refusal {
  return { error, offset, before };
}

export function isRefusal(expect: Reading | Refusal): expect is Refusal {
  return 'error' in expect;
}

/** The same row in several versions. */
export function inEach(versions: readonly (Version | undefined)[], row: Omit<Vector, 'version'>): Vector[] {
  return versions.map((version) => ({ ...row, version }));
}

/** Bytes from texts (as UTF-8) and single octets. */
export function octets(...parts: readonly (string | number | Uint8Array)[]): Uint8Array {
  const utf8 = new TextEncoder();
  const pieces = parts.map((part) => {
    if (typeof part === 'number') return Uint8Array.of(part);
    return typeof part === 'string' ? utf8.encode(part) : part;
  });
  const all = new Uint8Array(pieces.reduce((length, piece) => length + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
