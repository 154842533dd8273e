// Bytes <-> text, the only place that owns a TextDecoder or TextEncoder.

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }); // C-17: a BOM is data
const lenient = new TextDecoder('utf-8', { ignoreBOM: true });
const utf8Encoder = new TextEncoder();

export const EMPTY: Uint8Array = new Uint8Array(0);

/** Throws a TypeError on invalid UTF-8. */
export function decodeUtf8(bytes: Uint8Array): string {
  return utf8.decode(bytes);
}

/** Invalid UTF-8 becomes U+FFFD. */
export function decodeUtf8Lossy(bytes: Uint8Array): string {
  return lenient.decode(bytes);
}

export function decodeLatin1(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return text;
}

/** Lone surrogates become U+FFFD; callers that must not lose them check with `isWellFormed` first. */
export function encodeUtf8(text: string): Uint8Array {
  // Most is ASCII, and written into memory that is there already costs a tenth of what `encode` does.
  const { length } = text;
  const bytes = length > POOL / 4 ? new Uint8Array(length) : cut(length);
  return utf8Encoder.encodeInto(text, bytes).read === length ? bytes : utf8Encoder.encode(text);
}

export function encodeUtf8Into(text: string, into: Uint8Array): number {
  return utf8Encoder.encodeInto(text, into).written;
}

/** No lone UTF-16 surrogates (C-67). */
export const isWellFormed: (text: string) => boolean = ((native) => {
  if (typeof native === 'function') return (text) => native.call(text);
  return (text) => !/[\ud800-\udfff]/u.test(text); // String.prototype.isWellFormed is younger than the browsers we serve
})((String.prototype as { isWellFormed?: (this: string) => boolean }).isWellFormed);

export function isUtf8(bytes: Uint8Array): boolean {
  try {
    utf8.decode(bytes);
    return true;
  } catch {
    return false;
  }
}

// Small copies are cut from a shared piece of memory: an ArrayBuffer of its own costs more than the copy. A piece is kept as
// long as one of its cuts is, which is why it is no larger.
const POOL = 8 * 1024;
let pool = new Uint8Array(POOL);
let poolAt = 0;

function cut(length: number): Uint8Array {
  if (poolAt + length > POOL) {
    pool = new Uint8Array(POOL);
    poolAt = 0;
  }
  const from = poolAt;
  poolAt += length;
  return pool.subarray(from, poolAt);
}

/** The first `length` bytes, copied. */
export function copyOf(bytes: Uint8Array, length: number): Uint8Array {
  if (length > POOL / 4) return bytes.slice(0, length);
  const copy = cut(length);
  if (length < 64) for (let i = 0; i < length; i++) copy[i] = bytes[i] as number;
  else copy.set(bytes.subarray(0, length));
  return copy;
}

export function join(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

// Short ASCII texts (destinations, ids, header names) come again and again. A direct-mapped table of the last ones seen
// turns most of them into a comparison instead of an allocation: 45 ns -> 20 ns for 20 characters (bench/codec).
// Bounded: SLOTS strings of at most LONGEST characters.
const SLOTS = 512;
const LONGEST = 48;
const recent: string[] = new Array<string>(SLOTS).fill('');

/** `bytes[start, end)` as text, all of it below 0x80. */
export function decodeAscii(bytes: Uint8Array, start: number, end: number): string {
  const length = end - start;
  if (length === 0) return '';
  if (length > LONGEST) return utf8.decode(bytes.subarray(start, end));
  // A few characters choose the slot: to look at all of them would cost as much as comparing does.
  const first = bytes[start] as number;
  const middle = bytes[start + (length >> 1)] as number;
  const last = bytes[end - 1] as number;
  const slot = (length + first * 7 + middle * 31 + last * 97) & (SLOTS - 1);
  const seen = recent[slot] as string;
  if (seen.length === length) {
    let at = 0;
    while (at < length && seen.charCodeAt(at) === bytes[start + at]) at++;
    if (at === length) return seen;
  }
  const text = make(bytes, start, end);
  recent[slot] = text;
  return text;
}

// Twelve characters are where V8 begins to make ropes of concatenations.
const SHORT = 12;
const ASCII: readonly string[] = Array.from({ length: 128 }, (_, code) => String.fromCharCode(code));
const codes: number[] = [];

function make(bytes: Uint8Array, start: number, end: number): string {
  if (end - start <= SHORT) {
    let text = '';
    for (let at = start; at < end; at++) text += ASCII[bytes[at] as number];
    return text;
  }
  codes.length = 0;
  for (let at = start; at < end; at++) codes.push(bytes[at] as number);
  return String.fromCharCode.apply(null, codes);
}
