// Frames -> bytes.
//
// One large buffer takes everything a turn has to say; take() hands it on, takeAll()
// without joining it: a large body is never copied, but goes between two parts of the
// buffer as it is.
//
//   #buffer  head LF LF          NUL head body NUL …
//            └ #parts[0] ┘ body  └ from #partStart on
//
// Nothing is measured first: a header is written character by character as long as it
// is plain ASCII, and again with care from the first character that is not.

import { copyOf, EMPTY, encodeUtf8Into, isUtf8, isWellFormed, join } from './bytes.ts';
import { quote, UsageError } from './errors.ts';
import { type Command, type Frame, isHandshake, mayHaveBody } from './frame.ts';
import type { Headers } from './headers.ts';
import { GRAMMARS, type Version } from './version.ts';

export interface EncoderOptions {
  /** How headers are escaped. Absent: 1.0 rules, the only ones that hold before a version is agreed on (S-10). */
  readonly version?: Version | undefined;
  /**
   * Whether SEND, MESSAGE and ERROR bodies announce their length (C-55). `whenNeeded`: only if the body holds NUL or is
   * no UTF-8, which ActiveMQ and Artemis take as "text, not bytes" (C-56). Default `always`.
   */
  readonly contentLength?: 'always' | 'whenNeeded' | undefined;
  /** a raw CR in a 1.1 header is written as it is instead of refused (C-43). */
  readonly rawCr11?: boolean | undefined;
  /** CONNECT headers are escaped. RabbitMQ, ActiveMQ and go-stomp unescape them, against C-36. */
  readonly escapeConnect?: boolean | undefined;
  /**
   * What to do with a header this version cannot write (C-44, C-45). `throw` (default) is for what the caller chose;
   * `replace` for what somebody else did: LF, CR and NUL become a blank, and names that hold them or a colon are dropped.
   */
  readonly unrepresentable?: 'throw' | 'replace' | undefined;
  /** Large bodies are copied too, so that all there is to take is one piece. */
  readonly onePiece?: boolean | undefined;
}

/** The first buffer: room for what a connection that is idle has said. */
const SMALL = 512;
/** The buffer of an encoder that had much to say before. */
const SCRATCH = 64 * 1024;
/** A buffer up to here is kept however little of it was used. */
const WORTH_HOLDING = 4 * 1024;
/** Above this, what take() hands out is the buffer itself; below, a copy of the part used. */
const WORTH_COPYING = 16 * 1024;
/** Bytes that are not copied into the buffer but handed on as they are, from this length on. */
const WORTH_KEEPING = 16 * 1024;

/** A buffer up to here is used again. */
const WORTH_REUSING = 512 * 1024;

const LF = 10;
const CR = 13;

const CAREFUL = new Uint8Array(128);
for (const c of [0, LF, CR, 58, 92]) CAREFUL[c] = 1;

export class Encoder {
  version: Version | undefined;
  readonly #options: EncoderOptions;
  readonly #first: number; // how much room to make at first
  #room: number; // how much room the next buffer has at least
  #buffer: Uint8Array = EMPTY;
  #lends = false;
  #given: Uint8Array | undefined; // lent: the buffer before that one
  #length = 0; // of #buffer
  #parts: Uint8Array[] = []; // what is complete: parts of #buffer, and large bodies between them
  #partStart = 0; // where in #buffer the next part begins
  #partBytes = 0;

  constructor(options: EncoderOptions = {}, first: number = SMALL) {
    this.#options = options;
    this.#first = this.#room = first;
    this.version = options.version;
  }

  /** Bytes written and not taken yet. */
  get length(): number {
    return this.#partBytes + this.#length - this.#partStart;
  }

  /** Everything written since the last time, in one piece; the caller owns it. */
  take(): Uint8Array {
    if (this.#parts.length > 0) return join(this.takeAll());
    const from = this.#partStart;
    const length = this.#length - from;
    if (length === 0) return EMPTY;
    if (length >= WORTH_COPYING) return this.#cut();
    const copy = copyOf(from === 0 ? this.#buffer : this.#buffer.subarray(from), length);
    this.#length = from;
    if (this.#buffer.length > WORTH_HOLDING && length * 8 < this.#buffer.length) {
      this.#buffer = EMPTY; // ten thousand connections had better not keep what they needed once
      this.#length = this.#partStart = 0;
      this.#room = this.#first;
    }
    return copy;
  }

  /** The same in as many pieces as it has. Large ones are the very bytes that were given: do not change them. */
  takeAll(): Uint8Array[] {
    if (this.#parts.length === 0) return this.length === 0 ? [] : [this.take()];
    const parts = this.#parts;
    if (this.#length > this.#partStart) parts.push(this.#cut());
    else this.#letGo();
    this.#parts = [];
    this.#partBytes = 0;
    return parts;
  }

  /** As takeAll(), and a small one is no copy either: for who says `reuse()` when it is written. */
  lendAll(): Uint8Array[] {
    if (this.length === 0) return [];
    this.#lends = true;
    return this.#parts.length === 0 ? [this.#cut()] : this.takeAll();
  }

  /** Nobody needs any more what was taken: its memory may be written again. */
  reuse(): void {
    if (this.length > 0) return;
    if (this.#given !== undefined && this.#given.length > this.#buffer.length) this.#buffer = this.#given;
    if (this.#buffer.length > WORTH_REUSING) this.#buffer = EMPTY;
    this.#given = undefined;
    this.#length = this.#partStart = 0;
  }

  // What is in #buffer and in no part, as a part of it.
  #cut(): Uint8Array {
    const part = this.#buffer.subarray(this.#partStart, this.#length);
    this.#partStart = this.#length;
    this.#letGo();
    return part;
  }

  // All of #buffer is handed out; what is behind it is still ours, where that is much.
  #letGo(): void {
    this.#room = SCRATCH;
    if (this.#length * 2 <= this.#buffer.length) return;
    this.#given = this.#lends ? this.#buffer : undefined;
    this.#buffer = EMPTY;
    this.#length = this.#partStart = 0;
  }

  /** A whole frame; `contentLength` as in the options. Throws UsageError and writes nothing where this version cannot say it. */
  frame(frame: Frame, contentLength: EncoderOptions['contentLength'] = this.#options.contentLength): void {
    const before = this.length;
    try {
      this.#head(frame.command, frame.headers, this.#announced(frame, contentLength));
      this.bytes(frame.body);
      this.byte(0);
    } catch (error) {
      this.#length -= this.length - before;
      throw error;
    }
  }

  /**
   * The head of a frame whose body the caller writes, and ends with `byte(0)`. Without `length` the body may hold no NUL,
   * which the caller checks (C-54).
   */
  head(frame: Frame, length: number | undefined): void {
    const before = this.length;
    try {
      this.#head(frame.command, frame.headers, length);
    } catch (error) {
      this.#length -= this.length - before;
      throw error;
    }
  }

  /** One LF (H-03). */
  heartBeat(): void {
    this.byte(LF);
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#length++] = value;
  }

  bytes(value: Uint8Array): void {
    this.slice(value, 0, value.length);
  }

  /** `bytes[start, end)`. */
  slice(bytes: Uint8Array, start: number, end: number): void {
    const length = end - start;
    if (length >= WORTH_KEEPING && !this.#options.onePiece) {
      this.#keep(bytes.subarray(start, end));
      return;
    }
    this.#reserve(length);
    const buffer = this.#buffer;
    let at = this.#length;
    if (length < 48) for (let i = start; i < end; i++) buffer[at++] = bytes[i] as number;
    else buffer.set(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end), at);
    this.#length += length;
  }

  #keep(bytes: Uint8Array): void {
    if (this.#length > this.#partStart) this.#parts.push(this.#buffer.subarray(this.#partStart, this.#length));
    this.#parts.push(bytes);
    this.#partBytes += this.#length - this.#partStart + bytes.length;
    this.#partStart = this.#length;
  }

  /** Decimal digits of a non-negative integer. */
  integer(value: number): void {
    this.#reserve(20);
    let digits = 1;
    for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) digits++;
    let rest = value;
    for (let at = this.#length + digits - 1; at >= this.#length; at--) {
      const tens = Math.floor(rest / 10);
      this.#buffer[at] = 48 + (rest - tens * 10);
      rest = tens;
    }
    this.#length += digits;
  }

  /** `name:value` and LF, escaped as the version wants it. */
  header(name: string, value: string, handshake = false): void {
    if (this.#plainHeader(name, value)) return;
    const escapes = handshake
      ? (this.#options.escapeConnect ?? false)
      : this.version !== undefined && GRAMMARS[this.version].escapes;
    if (!this.#isRepresentable(name, escapes, true) || !this.#isRepresentable(value, escapes, false)) {
      if (this.#options.unrepresentable !== 'replace') this.#refuse(name, value);
      if (!this.#isRepresentable(name, escapes, true)) return;
      const never = !escapes ? /[\n\r\0]/g : this.#writesCr() ? /\0/g : /[\r\0]/g;
      value = value.replace(never, ' ').replace(/[\ud800-\udfff]/gu, '\ufffd');
    }
    this.#text(name, escapes);
    this.byte(58);
    this.#text(value, escapes);
    this.byte(LF);
  }

  // A header without a character that any version would treat as special, written at once; or nothing, and false.
  #plainHeader(name: string, value: string): boolean {
    this.#reserve(name.length + value.length + 2);
    const buffer = this.#buffer;
    let at = this.#length;
    for (let i = 0; i < name.length; i++) {
      const c = name.charCodeAt(i);
      if (c >= 128 || CAREFUL[c] === 1) return false;
      buffer[at++] = c;
    }
    buffer[at++] = 58;
    for (let i = 0; i < value.length; i++) {
      const c = value.charCodeAt(i);
      if (c >= 128 || CAREFUL[c] === 1) return false;
      buffer[at++] = c;
    }
    buffer[at++] = LF;
    this.#length = at;
    return true;
  }

  #head(command: Command, headers: Headers, length: number | undefined): void {
    this.ascii(command);
    this.byte(LF);
    const handshake = isHandshake(command);
    let announced = length === undefined;
    const flat = headers.flat();
    for (let i = 0; i < flat.length; i += 2) {
      const name = flat[i] as string;
      const value = flat[i + 1] as string;
      if (name === 'content-length') {
        // The real one, where the caller wanted it to stand (C-57); 0 on a frame that has no body (C-53).
        if (!announced) this.header(name, String(length));
        announced = true;
      } else this.header(name, value, handshake);
    }
    if (!announced) {
      this.ascii('content-length:');
      this.integer(length as number);
      this.byte(LF);
    }
    this.byte(LF);
  }

  #announced(frame: Frame, contentLength: EncoderOptions['contentLength']): number | undefined {
    const { body } = frame;
    if (body.length > 0 && !mayHaveBody(frame.command))
      throw new UsageError('bad-body', `a ${frame.command} frame has no body (C-61)`);
    if (body.length === 0) return frame.headers.has('content-length') ? 0 : undefined;
    if (contentLength === 'whenNeeded' && !body.includes(0) && isUtf8(body)) return undefined;
    return body.length;
  }

  /** Text that is known to be ASCII and to need no escape. */
  ascii(text: string): void {
    this.#reserve(text.length);
    const buffer = this.#buffer;
    let at = this.#length;
    for (let i = 0; i < text.length; i++) buffer[at++] = text.charCodeAt(i);
    this.#length = at;
  }

  #text(text: string, escapes: boolean): void {
    this.#reserve(text.length * 3); // UTF-8 needs at most three bytes for a UTF-16 unit, an escape two
    const buffer = this.#buffer;
    let at = this.#length;
    for (let i = 0; i < text.length; i++) {
      const c = text.charCodeAt(i);
      if (c >= 128) {
        // From here on natively, in stretches between escapes.
        let end = i + 1;
        while (end < text.length && !(escapes && isEscaped(text.charCodeAt(end)))) end++;
        at += encodeUtf8Into(text.slice(i, end), buffer.subarray(at));
        i = end - 1;
      } else if (escapes && isEscaped(c) && !(c === CR && this.version === '1.1')) {
        buffer[at++] = 92;
        buffer[at++] = c === LF ? 110 : c === CR ? 114 : c === 58 ? 99 : 92;
      } else buffer[at++] = c;
    }
    this.#length = at;
  }

  // C-43: 1.1 has escapes, and none for CR.
  #writesCr(): boolean {
    return this.version !== '1.1' || this.#options.rawCr11 === true;
  }

  // C-35, C-43, C-44, C-67
  #isRepresentable(text: string, escapes: boolean, isName: boolean): boolean {
    let surrogates = false;
    for (let i = 0; i < text.length; i++) {
      const c = text.charCodeAt(i);
      if (c === 0) return false;
      if (c === LF || (c === 58 && isName)) {
        if (!escapes) return false;
      } else if (c === CR) {
        if (!escapes || !this.#writesCr()) return false;
      } else if (c >= 0xd800 && c <= 0xdfff) surrogates = true;
    }
    return !surrogates || isWellFormed(text);
  }

  #refuse(name: string, value: string): never {
    const version = this.version === undefined ? 'a handshake' : `STOMP ${this.version}`;
    const shown = /pass|secret|token|authorization/i.test(name) ? '' : ` ${quote(value)}`;
    throw new UsageError(
      'unencodable',
      `header ${quote(name)} cannot carry${shown || ' its value'} in ${version} (C-44)`,
    );
  }

  #reserve(length: number): void {
    const need = this.#length + length;
    if (need > this.#buffer.length) this.#grow(need);
  }

  #grow(need: number): void {
    const unparted = this.#buffer.subarray(this.#partStart, this.#length);
    const rest = need - this.#partStart;
    const grown = new Uint8Array(Math.max(this.#room, unparted.length * 2, rest));
    grown.set(unparted);
    this.#buffer = grown;
    this.#length = unparted.length;
    this.#partStart = 0;
  }
}

function isEscaped(c: number): boolean {
  return c === LF || c === CR || c === 58 || c === 92;
}

/** One frame as bytes. Throws UsageError `unencodable` or `bad-body`. */
export function encode(frame: Frame, options: EncoderOptions = {}): Uint8Array {
  const { length } = frame.body;
  const encoder = new Encoder(options, 512 + (length < WORTH_KEEPING ? length : 0));
  encoder.frame(frame);
  return encoder.take();
}
