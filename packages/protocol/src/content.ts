// What a MESSAGE carries over from its SEND: the producer's headers and the body, kept
// as the bytes a STOMP 1.2 consumer gets, so that delivering to a thousand of them is
// a thousand copies and no encoding.
//
//   content-length:5 LF  name:value LF  …  LF  hello NUL
//   └──────────── headers ────────────┘       └ body ┘

import { Decoder } from './decoder.ts';
import { Encoder } from './encoder.ts';
import type { Frame } from './frame.ts';
import { Headers } from './headers.ts';
import { NameSet } from './name-set.ts';
import type { Version } from './version.ts';

const CONTENT_LENGTH = new NameSet(['content-length']); // the producer's word for it is never passed on
const LF = 10;
const BACKSLASH = 92;
const SEND = new TextEncoder().encode('SEND\n');
const NUL = new Uint8Array(1);

export class Content {
  /** Header lines, blank line, body, NUL: what follows the broker's own headers in a 1.2 MESSAGE. */
  readonly bytes: Uint8Array;
  /** Where in `bytes` the body begins; it ends one byte before their end. */
  readonly bodyAt: number;
  readonly #plain: boolean;

  /** Takes bytes that an earlier Content had, from a store. `plain`: no header holds an escape; found out unless given. */
  constructor(bytes: Uint8Array, bodyAt: number, plain?: boolean) {
    this.bytes = bytes;
    this.bodyAt = bodyAt;
    this.#plain = plain ?? bytes.subarray(0, bodyAt).indexOf(BACKSLASH) < 0;
  }

  /**
   * Of a SEND, without the headers that are not the consumer's business (F-03, X-13); `content-length` is always the real
   * one. `scratch` is an encoder for version 1.2 with `unrepresentable: 'replace'` and nothing in it.
   */
  static of(
    frame: Frame,
    without: NameSet,
    scratch: Encoder,
    extra: readonly (readonly [name: string, value: string])[] = [],
  ): Content {
    const { body, headers } = frame;
    if (body.length > 0) {
      scratch.ascii('content-length:');
      scratch.integer(body.length);
      scratch.byte(LF);
    }
    for (const [name, value] of extra) scratch.header(name, value);
    const wire = headers.canonicalWire();
    if (wire === undefined) {
      for (const [name, value] of headers)
        if (name !== 'content-length' && !without.has(name)) scratch.header(name, value);
    } else {
      const { bytes, marks, from, to } = wire;
      for (let i = from; i < to; i += 4) {
        const start = marks[i] as number;
        const nameEnd = marks[i + 1] as number;
        if (CONTENT_LENGTH.hasAt(bytes, start, nameEnd) || without.hasAt(bytes, start, nameEnd)) continue;
        scratch.slice(bytes, start, nameEnd + 1);
        scratch.slice(bytes, marks[i + 2] as number, marks[i + 3] as number);
        scratch.byte(LF);
      }
    }
    scratch.byte(LF);
    const bodyAt = scratch.length;
    scratch.bytes(body);
    scratch.byte(0);
    return new Content(
      scratch.take(),
      bodyAt,
      wire !== undefined && !wire.traits.escaped && extra.length === 0 ? true : undefined,
    );
  }

  get body(): Uint8Array {
    return this.bytes.subarray(this.bodyAt, this.bytes.length - 1);
  }

  /** The producer's headers, `content-length` first where there is a body. */
  get headers(): Headers {
    const decoder = new Decoder({
      version: '1.2',
      limits: { maxHeaders: 1e6, maxHeaderLineBytes: 1e9, maxHeadBytes: 1e9 },
      streamBodiesOver: 0, // the head alone is an event: the body need not pass
    });
    decoder.push(SEND);
    decoder.push(this.bytes.subarray(0, this.bodyAt));
    if (this.body.length === 0) decoder.push(NUL);
    const decoded = decoder.next();
    if (decoded?.type === 'head') return decoded.frame.headers;
    return decoded?.type === 'frame' ? decoded.headers : Headers.none;
  }

  /** The bytes for a consumer of that version. What it cannot express is replaced, never written raw (C-45, X-12). */
  in(version: Version): Uint8Array {
    if (version === '1.2' || this.#plain) return this.bytes;
    const encoder = new Encoder({ version, unrepresentable: 'replace' });
    for (const [name, value] of this.headers) encoder.header(name, value);
    encoder.byte(LF);
    encoder.bytes(this.bytes.subarray(this.bodyAt));
    return encoder.take();
  }
}
