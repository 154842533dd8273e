// Bytes -> frames.
//
// Feed with push(), drain with next() until it answers undefined. Nothing here
// knows whether a frame makes sense; that is the session's business. After a
// throw the stream is beyond repair: drop the decoder, close the channel
// (or, in a tool that reads damaged captures, ask for `resync`).
//
//   between ──byte──► head ──blank line──► body ──NUL──► between
//      │ EOL: heart-beat                    └─ large and streaming ─► piece, piece, last piece
//
// Cost: every byte is looked at once, whatever the chunks. The head is checked in a
// single pass that also notes where names and values lie; texts are made only for
// headers somebody reads. A frame inside one chunk is never copied. What a peer
// announces is never allocated on its word (C-60): memory follows bytes received.

import { decodeLatin1, EMPTY, isUtf8 } from './bytes.ts';
import { ProtocolError, type ProtocolErrorCode, quote } from './errors.ts';
import { type Command, Frame, isHandshake, mayHaveBody } from './frame.ts';
import { Headers, type WireTraits } from './headers.ts';
import { GRAMMARS, type Grammar, type Version } from './version.ts';

/** Bounds on one frame, in bytes unless said. A peer that exceeds one is refused before more is kept (C-34, C-60). */
export interface Limits {
  /** The command line. */
  readonly maxCommandBytes: number;
  /** One header line. */
  readonly maxHeaderLineBytes: number;
  /** Header lines, repeats counted. */
  readonly maxHeaders: number;
  /** Command and header lines together. */
  readonly maxHeadBytes: number;
  /** A body that is kept whole; streamed ones pass piece by piece and are not bounded. */
  readonly maxBodyBytes: number;
}

export const DEFAULT_LIMITS: Limits = {
  maxCommandBytes: 32,
  maxHeaderLineBytes: 16 * 1024,
  maxHeaders: 128,
  maxHeadBytes: 64 * 1024,
  maxBodyBytes: 64 * 1024 * 1024,
};

/** Deviations from the strict grammar, each off unless named (conformance 7.1). */
export interface DecoderLeniency {
  /** CR LF ends a line in every version. */
  readonly crlf?: 'all' | undefined;
  /** NUL octets between frames are skipped. */
  readonly skipInterFrameNul?: boolean | undefined;
  /** X-07 (a strictness): a raw colon in a 1.1 or 1.2 value is refused. */
  readonly rejectRawColon?: boolean | undefined;
  /** blanks around content-length and a leading `+` are forgiven. */
  readonly lenientContentLength?: boolean | undefined;
  /** an undefined escape is kept as it stands. */
  readonly undefinedEscape?: 'keep' | undefined;
  /** X-09b: `\r` means CR in 1.1 too. RabbitMQ and go-stomp send it. */
  readonly escapeR11?: 'accept' | undefined;
  /** 1.0 headers are unescaped as 1.2 ones are. RabbitMQ escapes them. */
  readonly escape10?: boolean | undefined;
  /** which blanks around a 1.0 value are padding; leading ones unless said. */
  readonly trim10?: 'leading' | 'both' | 'none' | undefined;
  /** what becomes of header bytes that are no UTF-8; refused unless said. */
  readonly headerUtf8?: 'replace' | 'latin1' | undefined;
  /** NUL inside a header value is data. */
  readonly allowNulInHeader?: boolean | undefined;
  /** a body where none may be is read and dropped. */
  readonly discardStrayBody?: boolean | undefined;
}

export interface DecoderOptions extends DecoderLeniency {
  /** Absent: not negotiated yet; CR LF is welcome (C-04) and nothing is unescaped. */
  readonly version?: Version | undefined;
  readonly limits?: Partial<Limits> | undefined;
  /** Hand bodies of SEND and MESSAGE larger than this many bytes on in pieces. Absent: never. */
  readonly streamBodiesOver?: number | undefined;
  /** Damaged stretches become `damage` events instead of the end (X-08 forbids this to anything but tools). */
  readonly resync?: boolean | undefined;
}

/** One EOL between frames (C-08, H-03). */
export interface HeartBeat {
  readonly type: 'heart-beat';
}
/** A frame whose body follows in pieces; `frame.body` is empty. */
export interface Head {
  readonly type: 'head';
  readonly frame: Frame;
  /** The announced length in bytes, or undefined where only NUL will end it. */
  readonly length: number | undefined;
}
/** The next part of a streamed body; the last one may be empty. */
export interface Piece {
  readonly type: 'piece';
  readonly bytes: Uint8Array;
  readonly last: boolean;
}
/** With `resync`: `skipped` bytes made no frame, because of `error`. */
export interface Damage {
  readonly type: 'damage';
  readonly error: ProtocolError;
  readonly skipped: number;
}
export type Decoded = Frame | HeartBeat | Head | Piece | Damage;

const HEART_BEAT: HeartBeat = { type: 'heart-beat' };

const LF = 10;
const CR = 13;
const COLON = 58;
const BACKSLASH = 92;
const R = 114;

// Room for sixteen headers at first, and for about a hundred frames of ten where many come: four times as much each time.
const FIRST_MARKS = 64;
const MARKS = 4096;

// What a byte of the head needs: nothing, or a second look.
const SPECIAL = new Uint8Array(256).fill(1, 128);
for (const c of [0, LF, CR, COLON, BACKSLASH]) SPECIAL[c] = 1;

const BY_LENGTH: (readonly (readonly [Command, Uint8Array])[])[] = [];
for (const command of [
  'ACK',
  'SEND',
  'NACK',
  'BEGIN',
  'ABORT',
  'STOMP',
  'ERROR',
  'COMMIT',
  'MESSAGE',
  'RECEIPT',
  'CONNECT',
  'SUBSCRIBE',
  'CONNECTED',
  'DISCONNECT',
  'UNSUBSCRIBE',
] as const) {
  const known = BY_LENGTH[command.length] ?? [];
  BY_LENGTH[command.length] = [...known, [command, new TextEncoder().encode(command)]];
}

function commandAt(bytes: Uint8Array, start: number, end: number): Command | undefined {
  const candidates = BY_LENGTH[end - start];
  if (candidates === undefined) return undefined;
  for (const [command, text] of candidates) {
    let k = 0;
    while (k < text.length && bytes[start + k] === text[k]) k++;
    if (k === text.length) return command;
  }
  return undefined;
}

/** `base` where `given` says nothing. Only these five, and none anew without need: `given` may hold all of a broker's limits. */
function limited(base: Limits, given: Partial<Limits> | undefined): Limits {
  if (given === undefined) return base;
  return {
    maxCommandBytes: given.maxCommandBytes ?? base.maxCommandBytes,
    maxHeaderLineBytes: given.maxHeaderLineBytes ?? base.maxHeaderLineBytes,
    maxHeaders: given.maxHeaders ?? base.maxHeaders,
    maxHeadBytes: given.maxHeadBytes ?? base.maxHeadBytes,
    maxBodyBytes: given.maxBodyBytes ?? base.maxBodyBytes,
  };
}

const LONGEST_COMMAND = BY_LENGTH.length - 1;

const CONTENT_LENGTH = new TextEncoder().encode('content-length');

type Stage = 'between' | 'head' | 'body' | 'streaming' | 'discarding' | 'broken' | 'lost';

export class Decoder {
  readonly #leniency: DecoderLeniency;
  readonly #streamOver: number;
  readonly #resync: boolean;
  #limits: Limits;
  #grammar: Grammar | undefined;

  // What has come and was not handed out: #bytes[#at, #end). #base is the stream offset of #bytes[0].
  #bytes: Uint8Array = EMPTY;
  #at = 0;
  #end = 0;
  #base = 0;
  #own = false; // #bytes is ours to write behind #end; otherwise it is a chunk we adopted

  #stage: Stage = 'between';
  #error: ProtocolError | undefined;
  #lostFrom = 0; // stream offset of what makes no frame
  #fresh = false; // a frame may begin at #at: what stands before it ended something

  // The head under way. #scan is how far we have looked.
  #frameStart = 0; // stream offset
  #scan = 0;
  #lineStart = 0;
  #colon = -1;
  #command: Command | undefined;
  #unescapes = false;
  #ascii = true;
  #escaped = false;
  #canonical = true;
  // Marks of many frames share one array, so that a frame costs none of its own.
  #marks: Int32Array = new Int32Array(FIRST_MARKS);
  #markStart = 0; // the first of this frame
  #markEnd = 0;
  #length: number | undefined; // content-length

  // The body under way.
  #headers: Headers = Headers.none;
  #streamed = 0;

  constructor(options: DecoderOptions = {}) {
    this.#leniency = options;
    this.#limits = limited(DEFAULT_LIMITS, options.limits);
    this.#streamOver = options.streamBodiesOver ?? Number.POSITIVE_INFINITY;
    this.#resync = options.resync ?? false;
    if (options.version !== undefined) this.#grammar = GRAMMARS[options.version];
  }

  /** The version that the next frame is read as; undefined until negotiated. */
  get version(): Version | undefined {
    return this.#grammar?.version;
  }
  set version(version: Version | undefined) {
    this.#grammar = version === undefined ? undefined : GRAMMARS[version];
  }

  /** Bounds for the next frame on; a server tightens them before login (C-70). */
  set limits(limits: Partial<Limits>) {
    this.#limits = limited(this.#limits, limits);
  }

  /** Bytes that have come and are not handed out yet. */
  get length(): number {
    return this.#end - this.#at;
  }

  /** Bytes of the stream consumed so far. */
  get offset(): number {
    return this.#base + this.#at;
  }

  /** Nothing of a frame has come yet: the stream may end here without loss. */
  get idle(): boolean {
    return this.#stage === 'between' && this.#at === this.#end;
  }

  /** What the stream would be cut in if it ended here. */
  get progress(): 'idle' | 'head' | 'body' {
    if (this.idle) return 'idle';
    return this.#stage === 'between' || this.#stage === 'head' ? 'head' : 'body';
  }

  /** With `resync`: why what is being skipped makes no frame. Undefined while there is nothing to skip. */
  get damage(): ProtocolError | undefined {
    return this.#stage === 'lost' ? this.#error : undefined;
  }

  /** Appends a chunk. It belongs to the decoder from now on: frames may be views into it. */
  push(chunk: Uint8Array): void {
    if (chunk.length === 0 || this.#stage === 'broken') return;
    const rest = this.#end - this.#at;
    if (rest === 0) {
      // The common case: adopt the chunk.
      this.#rebase(chunk, chunk.length, false);
      return;
    }
    if (!this.#own || this.#bytes.length - this.#end < chunk.length) {
      // Doubling keeps a large body linear; a known length is met exactly once a sixteenth of it has come. Never compact in
      // place: bodies already handed out are views into the old buffer.
      const need = rest + chunk.length;
      const whole = this.#stage === 'body' && this.#length !== undefined ? this.#length + 1 : 0;
      const room = need < whole && need * 16 >= whole ? whole : Math.max(need * 2, 512);
      const grown = new Uint8Array(room);
      grown.set(this.#bytes.subarray(this.#at, this.#end));
      this.#rebase(grown, rest, true);
    }
    this.#bytes.set(chunk, this.#end);
    this.#end += chunk.length;
  }

  /**
   * The next event, or undefined: more bytes are needed. Throws ProtocolError where the stream breaks the grammar, and the
   * same error ever after (C-73).
   */
  next(): Decoded | undefined {
    if (this.#error !== undefined && this.#stage === 'broken') throw this.#error;
    try {
      return this.#stage === 'lost' ? this.#findFrame() : this.#step();
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#error = error;
      if (!this.#resync) {
        this.clear();
        this.#error = error;
        this.#stage = 'broken';
        throw error;
      }
      this.#lose();
      return this.#findFrame();
    }
  }

  /** Events until more bytes are needed. */
  *[Symbol.iterator](): Iterator<Decoded> {
    for (let event = this.next(); event !== undefined; event = this.next()) yield event;
  }

  /** Forgets everything that was pushed, an error included. The version and the limits stay. */
  clear(): void {
    this.#base += this.#end;
    this.#bytes = EMPTY;
    this.#at = this.#end = 0;
    this.#error = undefined;
    this.#stage = 'between';
  }

  #rebase(bytes: Uint8Array, end: number, own: boolean): void {
    const shift = this.#at;
    this.#base += shift;
    this.#scan -= shift;
    this.#lineStart -= shift;
    if (this.#colon >= 0) this.#colon -= shift;
    for (let i = this.#markStart; i < this.#markEnd; i++) (this.#marks[i] as number) -= shift;
    this.#bytes = bytes;
    this.#at = 0;
    this.#end = end;
    this.#own = own;
  }

  #step(): Decoded | undefined {
    if (this.#stage === 'between') {
      const beat = this.#between();
      if (beat !== undefined) return beat;
    }
    if (this.#stage === 'head' && !this.#head()) return undefined;
    switch (this.#stage) {
      case 'body':
        return this.#body();
      case 'streaming':
      case 'discarding':
        return this.#pieces();
      default:
        return undefined;
    }
  }

  #between(): HeartBeat | undefined {
    const bytes = this.#bytes;
    const end = this.#end;
    for (let at = this.#at; at < end; at++) {
      const c = bytes[at] as number;
      if (c === LF) {
        this.#at = at + 1;
        return HEART_BEAT;
      }
      if (c === CR && this.#endsLines()) {
        if (at + 1 === end) return undefined;
        if (bytes[at + 1] === LF) continue;
        this.#fail('stray-carriage-return', 'a CR between frames is not followed by LF', at);
      }
      if (c === 0) {
        if (!this.#leniency.skipInterFrameNul) this.#fail('nul-between-frames', 'a NUL stands between frames', at);
        this.#at = at + 1;
        continue;
      }
      this.#at = at;
      this.#stage = 'head';
      this.#frameStart = this.#base + at;
      this.#scan = this.#lineStart = at;
      this.#colon = -1;
      this.#command = undefined;
      this.#unescapes = false;
      this.#ascii = this.#canonical = true;
      this.#escaped = false;
      this.#markStart = this.#markEnd;
      this.#length = undefined;
      return undefined;
    }
    return undefined;
  }

  // C-02, C-03, C-04, X-02
  #endsLines(): boolean {
    return this.#grammar === undefined || this.#grammar.crlf || this.#leniency.crlf === 'all';
  }

  // True once the blank line has been read; #scan is then the first byte of the body.
  #head(): boolean {
    const bytes = this.#bytes;
    const end = this.#end;
    let at = this.#scan;
    let stop = this.#lineStop();
    for (;;) {
      while (at < stop && SPECIAL[bytes[at] as number] === 0) at++;
      if (at >= stop) {
        this.#scan = at;
        if (at === end) return false;
        if (bytes[at] !== LF) this.#tooLong(at);
      }
      const c = bytes[at] as number;
      if (c === COLON) {
        if (this.#colon < 0) this.#colon = at;
        else this.#canonical = false; // C-26, C-27
        at++;
      } else if (c === LF) {
        const crlf = at > this.#lineStart && bytes[at - 1] === CR && this.#endsLines();
        const lineEnd = crlf ? at - 1 : at;
        if (at >= stop && lineEnd - this.#lineStart > this.#lineLimit()) this.#tooLong(at);
        at++;
        this.#scan = at;
        if (this.#command === undefined) this.#startCommand(lineEnd);
        else if (lineEnd === this.#lineStart) {
          this.#finishHead(lineEnd);
          return true;
        } else this.#line(lineEnd);
        this.#lineStart = at;
        this.#colon = -1;
        stop = this.#lineStop();
      } else if (c >= 128) {
        this.#ascii = false;
        at++;
      } else if (c === CR) {
        if (!this.#endsLines()) this.#canonical = false;
        else {
          if (at + 1 === end) {
            this.#scan = at;
            return false;
          }
          if (bytes[at + 1] !== LF) {
            if (this.#grammar === undefined || this.#grammar.crlf)
              this.#fail('stray-carriage-return', 'a CR in the head is not followed by LF', at);
            this.#canonical = false;
          }
        }
        at++;
      } else if (c === BACKSLASH) {
        if (!this.#unescapes) {
          this.#canonical = false;
          at++;
        } else {
          if (at + 1 === end) {
            this.#scan = at;
            return false;
          }
          this.#escape(at, bytes[at + 1] as number);
          at += this.#isEscape(bytes[at + 1] as number) ? 2 : 1;
        }
      } else {
        if (!this.#leniency.allowNulInHeader || this.#command === undefined)
          this.#fail('nul-in-header', 'a NUL stands in the head', at);
        this.#canonical = false;
        at++;
      }
    }
  }

  #isEscape(c: number): boolean {
    if (c === 110 || c === 99 || c === BACKSLASH) return true;
    return (
      c === R && (this.#grammar?.escapesCr === true || !this.#grammar?.escapes || this.#leniency.escapeR11 === 'accept')
    );
  }

  #escape(at: number, next: number): void {
    this.#escaped = true;
    if (this.#isEscape(next)) return;
    this.#canonical = false;
    if (this.#leniency.undefinedEscape === 'keep') return;
    const pair =
      next === LF || next === CR
        ? 'a backslash at the end of a line'
        : quote(decodeLatin1(this.#bytes.subarray(at, at + 2)));
    const rule = next === R ? 'C-40' : 'C-41';
    this.#fail('bad-escape', `${pair} is not an escape in STOMP ${this.version}`, at, rule);
  }

  // How far this line may be searched: to the end of what has come, or to where it breaks a limit (and the CR of CR LF).
  #lineStop(): number {
    const limits = this.#limits;
    const limit = this.#command === undefined ? limits.maxCommandBytes : limits.maxHeaderLineBytes;
    const limited = Math.min(this.#lineStart + limit + 1, this.#at + limits.maxHeadBytes);
    return Math.min(limited, this.#end);
  }

  #lineLimit(): number {
    return this.#command === undefined ? this.#limits.maxCommandBytes : this.#limits.maxHeaderLineBytes;
  }

  #tooLong(at: number): never {
    if (at <= this.#lineStart + this.#lineLimit()) {
      this.#fail('headers-too-large', `the head is longer than ${this.#limits.maxHeadBytes} bytes`, at);
    }
    if (this.#command === undefined)
      this.#fail('command-too-long', `the command line is longer than ${this.#lineLimit()} bytes`, at);
    this.#fail('header-line-too-long', `a header line is longer than ${this.#lineLimit()} bytes`, at);
  }

  #startCommand(lineEnd: number): void {
    const command = commandAt(this.#bytes, this.#lineStart, lineEnd);
    const known =
      command !== undefined &&
      (this.#grammar === undefined || this.#grammar.nack || (command !== 'NACK' && command !== 'STOMP'));
    if (!known) {
      const text = this.#quote(this.#lineStart, lineEnd);
      const rule = command === undefined ? 'C-13' : 'C-12';
      this.#fail(
        'unknown-command',
        `${text} is not a STOMP ${this.version ?? ''}${this.version ? ' ' : ''}command`,
        this.#lineStart,
        rule,
      );
    }
    this.#command = command;
    // STOMP 1.2, Value Encoding: CONNECT and CONNECTED are not escaped (C-36); nor is anything in 1.0 (C-37).
    this.#unescapes = !isHandshake(command) && (this.#grammar?.escapes ?? false);
    if (!this.#unescapes && this.#grammar !== undefined && this.#leniency.escape10)
      this.#unescapes = !isHandshake(command);
    this.#ascii = true;
    if (isHandshake(command)) this.#canonical = false;
  }

  #line(lineEnd: number): void {
    const start = this.#lineStart;
    const colon = this.#colon;
    if (colon < 0) {
      // It may be a part of the passcode (S-09).
      const text = isHandshake(this.#command as Command) ? '' : `${this.#quote(start, lineEnd)} `;
      this.#fail('header-without-colon', `the header line ${text}has no colon`, start);
    }
    if (colon === start) this.#fail('empty-header-name', 'a header line begins with a colon', start);
    const mark = this.#markEnd;
    if ((mark - this.#markStart) >> 2 >= this.#limits.maxHeaders)
      this.#fail('too-many-headers', `there are more than ${this.#limits.maxHeaders} header lines`, start);
    if (!this.#canonical && this.#leniency.rejectRawColon && this.#unescapes) {
      const second = this.#bytes.subarray(colon + 1, lineEnd).indexOf(COLON);
      if (second >= 0) this.#fail('raw-colon', 'a header value holds a raw colon', colon + 1 + second);
    }
    let from = colon + 1;
    let to = lineEnd;
    if (this.#grammar?.padded && this.#leniency.trim10 !== 'none') {
      while (from < to && isBlank(this.#bytes[from] as number)) from++;
      if (this.#leniency.trim10 === 'both') while (to > from && isBlank(this.#bytes[to - 1] as number)) to--;
    }
    if (mark + 4 > this.#marks.length) this.#moreMarks();
    const marks = this.#marks;
    const at = this.#markEnd;
    marks[at] = start;
    marks[at + 1] = colon;
    marks[at + 2] = from;
    marks[at + 3] = to;
    this.#markEnd = at + 4;
    if (colon - start === 14 && this.#bytes[start] === 99 && this.#isContentLength(start)) this.#announce(from, to);
  }

  // Earlier frames keep the old array; this one's marks move.
  #moreMarks(): void {
    const own = this.#marks.subarray(this.#markStart, this.#markEnd);
    this.#marks = new Int32Array(Math.max(Math.min(MARKS, this.#marks.length * 4), own.length * 2));
    this.#marks.set(own);
    this.#markStart = 0;
    this.#markEnd = own.length;
  }

  #isContentLength(start: number): boolean {
    let k = 0;
    while (k < 14 && this.#bytes[start + k] === CONTENT_LENGTH[k]) k++;
    return k === 14;
  }

  // C-32, C-58, C-59
  #announce(from: number, to: number): void {
    const bytes = this.#bytes;
    let at = from;
    let end = to;
    if (this.#leniency.lenientContentLength) {
      while (at < end && isBlank(bytes[at] as number)) at++;
      while (end > at && isBlank(bytes[end - 1] as number)) end--;
      if (bytes[at] === 43 && end - at > 1) at++;
    }
    let length = 0;
    let digits = end - at;
    for (; at < end && digits <= 15; at++) {
      const digit = (bytes[at] as number) - 48;
      if (digit < 0 || digit > 9) digits = 16;
      length = length * 10 + digit;
    }
    if (digits === 0 || digits > 15) {
      const text = this.#quote(from, to);
      this.#fail('bad-content-length', `content-length ${text} is not 1 to 15 digits`, from);
    }
    if (this.#length !== undefined && this.#length !== length) {
      this.#fail('conflicting-content-length', `content-length is ${this.#length} and then ${length}`, from);
    }
    this.#length = length;
  }

  #finishHead(blank: number): void {
    const command = this.#command as Command;
    const utf8 = this.#leniency.headerUtf8 ?? 'strict';
    if (!this.#ascii && utf8 === 'strict') this.#checkUtf8(blank);
    const length = this.#length;
    const stray = !mayHaveBody(command);
    if (length !== undefined && length > 0) {
      if (stray && !this.#discards(command)) {
        this.#fail('unexpected-body', `a ${command} frame has no body, and announces ${length} bytes`, this.#scan);
      }
      if (length > this.#limits.maxBodyBytes && (stray || !this.#streams(length))) this.#bodyTooLarge(this.#scan);
    }
    const traits: WireTraits =
      this.#ascii && !this.#escaped && utf8 === 'strict'
        ? this.#canonical
          ? PLAIN
          : UNCANONICAL
        : {
            ascii: this.#ascii,
            escaped: this.#escaped,
            escapedCr: this.#isEscape(R),
            canonical: this.#canonical && utf8 === 'strict',
            utf8,
          };
    this.#headers = Headers.fromWire({
      bytes: this.#bytes,
      marks: this.#marks,
      from: this.#markStart,
      to: this.#markEnd,
      traits,
    });
    this.#stage = 'body';
    this.#at = this.#scan;
    this.#markStart = this.#markEnd;
  }

  #checkUtf8(blank: number): void {
    const head = this.#bytes.subarray(this.#at, blank);
    if (isUtf8(head)) return;
    // Rare and about to end: find the line.
    let start = 0;
    for (let end = head.indexOf(LF); end >= 0 && isUtf8(head.subarray(start, end)); end = head.indexOf(LF, start))
      start = end + 1;
    this.#fail('bad-utf8', 'the head is not UTF-8', this.#at + start);
  }

  #discards(command: Command): boolean {
    // C-62: a 1.0 SUBSCRIBE may carry a body that nobody reads.
    return this.#leniency.discardStrayBody === true || (command === 'SUBSCRIBE' && this.version === '1.0');
  }

  #bodyTooLarge(at: number): never {
    this.#fail('body-too-large', `the body is longer than ${this.#limits.maxBodyBytes} bytes`, at);
  }

  #body(): Decoded | undefined {
    const command = this.#command as Command;
    const bytes = this.#bytes;
    const start = this.#at;
    const length = this.#length;
    if (!mayHaveBody(command)) {
      if (this.#discards(command)) {
        this.#stage = 'discarding';
        this.#streamed = 0;
        return this.#pieces();
      }
      if (start === this.#end) return undefined;
      if (bytes[start] !== 0) this.#fail('unexpected-body', `a ${command} frame has no body`, start);
      return this.#frame(EMPTY, start);
    }
    if (length !== undefined) {
      if (this.#streams(length)) return this.#stream();
      const nul = start + length;
      if (nul >= this.#end) return undefined;
      if (bytes[nul] !== 0) this.#missingNul(nul);
      return this.#frame(length === 0 ? EMPTY : bytes.subarray(start, nul), nul);
    }
    const from = Math.max(this.#scan, start);
    const nul = this.#indexOfNul(from);
    const seen = (nul < 0 ? this.#end : nul) - start;
    if (this.#streams(seen)) return this.#stream();
    if (seen > this.#limits.maxBodyBytes) this.#bodyTooLarge(start + this.#limits.maxBodyBytes);
    if (nul < 0) {
      this.#scan = this.#end;
      return undefined;
    }
    return this.#frame(nul === start ? EMPTY : bytes.subarray(start, nul), nul);
  }

  #indexOfNul(from: number): number {
    const nul = this.#bytes.indexOf(0, from);
    return nul < this.#end ? nul : -1; // our own buffer is zero behind #end
  }

  #missingNul(at: number): never {
    this.#fail('missing-nul', `the ${this.#command} body of ${this.#length} bytes is not followed by NUL`, at);
  }

  #frame(body: Uint8Array, nul: number): Frame {
    this.#at = nul + 1;
    this.#stage = 'between';
    return new Frame(this.#command as Command, this.#headers, body);
  }

  // An ERROR is the last thing there is: whoever gets it wants it whole.
  #streams(length: number): boolean {
    return length > this.#streamOver && this.#command !== 'ERROR';
  }

  #stream(): Head {
    this.#stage = 'streaming';
    this.#streamed = 0;
    return { type: 'head', frame: new Frame(this.#command as Command, this.#headers), length: this.#length };
  }

  // The rest of a streamed body, or of one that nobody wants.
  #pieces(): Decoded | undefined {
    const start = this.#at;
    const length = this.#length;
    const have = this.#end - start;
    const discarding = this.#stage === 'discarding';
    let take: number;
    let last: boolean;
    if (length === undefined) {
      const nul = this.#indexOfNul(start);
      last = nul >= 0;
      take = last ? nul - start : have;
    } else {
      const left = length - this.#streamed;
      take = Math.min(left, have);
      last = take === left && have > left;
    }
    this.#at = start + take;
    if (last && this.#bytes[this.#at] !== 0) this.#missingNul(this.#at);
    this.#streamed += take;
    if (discarding && this.#streamed > this.#limits.maxBodyBytes) {
      this.#at -= this.#streamed - this.#limits.maxBodyBytes;
      this.#bodyTooLarge(this.#at);
    }
    if (last) {
      if (discarding) return this.#frame(EMPTY, this.#at);
      const piece: Piece = { type: 'piece', bytes: this.#bytes.subarray(start, this.#at), last };
      this.#at++;
      this.#stage = 'between';
      return piece;
    }
    if (take === 0 || discarding) return undefined;
    return { type: 'piece', bytes: this.#bytes.subarray(start, this.#at), last };
  }

  // A streamed frame has been handed out up to here; any other is lost from its first byte.
  #lose(): void {
    const stage = this.#stage;
    this.#lostFrom = stage === 'between' || stage === 'streaming' ? this.offset : this.#frameStart;
    this.#fresh = stage === 'body' || this.#bytes[this.#at] === 0;
    if (stage === 'between' || stage === 'head') this.#at++;
    this.#stage = 'lost';
  }

  // Skips to what looks like a frame: a known command on a line of its own, behind a NUL or LF. However the bytes are cut,
  // none is looked at more than twice, but for the few of a command line that has not ended.
  #findFrame(): Damage | undefined {
    const bytes = this.#bytes;
    const end = this.#end;
    while (this.#at < end) {
      let at = this.#at;
      if (this.#fresh) {
        while (at < end && at - this.#at <= LONGEST_COMMAND && isUpper(bytes[at] as number)) at++;
        const eol = bytes[at] === CR && this.#endsLines() ? at + 1 : at;
        if (eol >= end && at - this.#at <= LONGEST_COMMAND) return undefined; // may become a command
        if (bytes[eol] === LF && commandAt(bytes, this.#at, at) !== undefined) {
          this.#stage = 'between';
          const error = this.#error as ProtocolError;
          this.#error = undefined;
          return { type: 'damage', error, skipped: this.offset - this.#lostFrom };
        }
        at = this.#at;
      }
      while (at < end && bytes[at] !== 0 && bytes[at] !== LF) at++;
      this.#fresh = at < end;
      this.#at = Math.min(at + 1, end);
    }
    return undefined;
  }

  // 40 bytes are at most 240 when every one of them is escaped (S-09).
  #quote(start: number, end: number): string {
    return quote(decodeLatin1(this.#bytes.subarray(start, Math.min(end, start + 41))));
  }

  #fail(code: ProtocolErrorCode, detail: string, at: number, rule?: string): never {
    throw new ProtocolError(code, detail, { offset: this.#base + at, rule });
  }
}

const PLAIN: WireTraits = { ascii: true, escaped: false, escapedCr: false, canonical: true, utf8: 'strict' };
const UNCANONICAL: WireTraits = { ascii: true, escaped: false, escapedCr: false, canonical: false, utf8: 'strict' };

function isUpper(c: number): boolean {
  return c >= 65 && c <= 90;
}

function isBlank(c: number): boolean {
  return c === 32 || c === 9;
}
