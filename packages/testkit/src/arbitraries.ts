// Frames, header texts and chunkings for fast-check: anything a version can say, and
// the odd characters far more often than chance would have it.

import { type Command, type Frame, frame, isHandshake, mayHaveBody, type Version } from '@stompbox/protocol';
import fc from 'fast-check';

const ODD = [
  '\n',
  '\r',
  ':',
  '\\',
  '\\n',
  '\\c',
  '\\\\',
  '\\r',
  '\\t',
  ' ',
  '\t',
  '\ufeff',
  'é',
  '€',
  '𝄞',
  '\u0001',
  '\u007f',
  '\u0085',
  '\u2028',
  '\ufffd',
];
const NAMES = [
  'destination',
  'receipt',
  'id',
  'ack',
  'foo',
  '__proto__',
  'constructor',
  'toString',
  'Content-Length',
  'content-type',
  'a b',
  '0',
];
const COMMANDS: readonly Command[] = [
  'CONNECT',
  'STOMP',
  'SEND',
  'SEND',
  'SEND',
  'SUBSCRIBE',
  'UNSUBSCRIBE',
  'ACK',
  'NACK',
  'BEGIN',
  'COMMIT',
  'ABORT',
  'DISCONNECT',
  'CONNECTED',
  'MESSAGE',
  'MESSAGE',
  'MESSAGE',
  'RECEIPT',
  'ERROR',
];

/** What the headers of this frame cannot hold: LF and CR where nothing is escaped, CR in 1.1 (C-43, C-44). */
function forbidden(version: Version | undefined, command: Command): RegExp {
  if (isHandshake(command) || version === '1.0' || version === undefined) return /[\n\r\0]/g;
  return version === '1.1' ? /[\r\0]/g : /\0/g;
}

const text: fc.Arbitrary<string> = fc
  .array(
    fc.oneof(
      { weight: 2, arbitrary: fc.constantFrom(...ODD) },
      { weight: 3, arbitrary: fc.string({ unit: 'binary', maxLength: 8 }) },
    ),
    { maxLength: 6 },
  )
  .map((parts) => parts.join(''));

/** A header value that this version can write and read back. */
export function headerValues(version: Version | undefined, command: Command): fc.Arbitrary<string> {
  const never = forbidden(version, command);
  return text.map((value) => {
    const fit = value.replace(never, '');
    return version === '1.0' ? fit.replace(/^[ \t]+/, '') : fit; // C-29
  });
}

/** A header name that this version can write; never content-length, which the encoder sees to. */
export function headerNames(version: Version | undefined, command: Command): fc.Arbitrary<string> {
  const never = forbidden(version, command);
  const escapes = never.source !== forbidden('1.0', 'SEND').source;
  return fc
    .oneof(fc.constantFrom(...NAMES), text)
    .map((name) => (escapes ? name.replace(never, '') : name.replace(never, '').replaceAll(':', '')))
    .filter((name) => name !== '' && name !== 'content-length');
}

/** Octets, NULs and line ends among them. */
export function bodies(): fc.Arbitrary<Uint8Array> {
  const octet = fc.oneof(
    { weight: 4, arbitrary: fc.integer({ min: 0, max: 255 }) },
    { weight: 1, arbitrary: fc.constantFrom(0, 10, 13, 58, 92) },
  );
  return fc.array(octet, { maxLength: 64 }).map((octets) => Uint8Array.from(octets));
}

/** Any frame that this version can say; undefined is before negotiation. */
export function frames(version: Version | undefined): fc.Arbitrary<Frame> {
  const commands =
    version === '1.0' ? COMMANDS.filter((command) => command !== 'NACK' && command !== 'STOMP') : COMMANDS;
  return fc
    .constantFrom(...commands)
    .chain((command) =>
      fc
        .tuple(
          fc.array(fc.tuple(headerNames(version, command), headerValues(version, command)), { maxLength: 8 }),
          mayHaveBody(command) ? bodies() : fc.constant(new Uint8Array(0)),
        )
        .map(([headers, body]): Frame => frame(command, headers, body)),
    );
}

/** Ways to cut `length` bytes: where each chunk ends, ascending. */
export function chunkings(length: number): fc.Arbitrary<number[]> {
  return fc.oneof(
    fc.constant<number[]>([]),
    fc.constant(Array.from({ length: Math.max(0, length - 1) }, (_, at) => at + 1)),
    fc.uniqueArray(fc.integer({ min: 0, max: length }), { maxLength: 20 }).map((ends) => ends.sort((a, b) => a - b)),
  );
}

/** The chunks that a chunking makes, each in memory of its own. */
export function chunksOf(bytes: Uint8Array, ends: readonly number[]): Uint8Array[] {
  const all = [0, ...ends, bytes.length];
  return all.slice(1).map((end, at) => bytes.slice(all[at], end));
}
