// Whole WebSocket messages of a client -> bytes (RFC 6455, 5.2 and 5.3), many in one buffer.
//
//   FIN opcode │ MASK length │ [ 16 or 64 bits of length ] │ key │ payload XOR key │ …
//
// `ws` makes a buffer, a pass over single bytes and a write of each message. Here a turn's messages lie in one buffer, which
// is written once, and masking goes by words of four bytes, wherever they are aligned.

import { randomFillSync } from 'node:crypto';

const FIN = 0x80;
const MASK = 0x80;
const TEXT = 1;
const BINARY = 2;
const LONGEST_HEAD = 14;

/** A buffer that many messages share. Bytes. */
const SHARED = 64 * 1024;
/** A buffer up to here is used again. Bytes. */
const WORTH_REUSING = 512 * 1024;
/** Fresh random bytes that are drawn at a time: a key must not be foreseen (5.3). */
const RANDOM = 4 * 1024;

const isLittleEndian = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

export class ClientFrames {
  #buffer = new Uint8Array(0);
  #words = new Uint32Array(0); // the same memory
  #from = 0; // what is before is handed out
  #length = 0;
  readonly #random = new Uint8Array(RANDOM);
  #drawn = RANDOM;

  /** Bytes that were added and not taken. */
  get length(): number {
    return this.#length - this.#from;
  }

  /** Adds one message. */
  add(payload: Uint8Array, isText: boolean): void {
    const { length } = payload;
    this.#reserve(LONGEST_HEAD + length);
    const buffer = this.#buffer;
    let at = this.#length;
    buffer[at++] = FIN | (isText ? TEXT : BINARY);
    if (length < 126) buffer[at++] = MASK | length;
    else if (length < 65_536) {
      buffer[at++] = MASK | 126;
      buffer[at++] = length >> 8;
      buffer[at++] = length;
    } else {
      buffer[at++] = MASK | 127;
      for (let shift = 56; shift >= 0; shift -= 8) buffer[at++] = Math.floor(length / 2 ** shift);
    }
    if (this.#drawn + 4 > RANDOM) {
      randomFillSync(this.#random);
      this.#drawn = 0;
    }
    const key = this.#random.subarray(this.#drawn, this.#drawn + 4);
    this.#drawn += 4;
    buffer.set(key, at);
    at += 4;
    buffer.set(payload, at);
    this.#mask(at, at + length, key);
    this.#length = at + length;
  }

  /** All that was added, to be written once; the caller owns it. */
  take(): Uint8Array {
    const taken = this.#buffer.subarray(this.#from, this.#length);
    this.#from = this.#length;
    return taken;
  }

  /** Nobody needs any more what was taken: its memory may be written again. */
  reuse(): void {
    if (this.#from === this.#length && this.#buffer.length <= WORTH_REUSING) this.#from = this.#length = 0;
  }

  #mask(start: number, end: number, key: Uint8Array): void {
    const buffer = this.#buffer;
    const words = this.#words;
    const aligned = Math.min(end, (start + 3) & ~3);
    let at = start;
    for (; at < aligned; at++) (buffer[at] as number) ^= key[(at - start) & 3] as number;
    const last = end & ~3;
    if (at < last) {
      const word = this.#wordOf(key, at - start);
      for (let i = at >> 2; i < last >> 2; i++) (words[i] as number) ^= word;
      at = last;
    }
    for (; at < end; at++) (buffer[at] as number) ^= key[(at - start) & 3] as number;
  }

  // The key as a number of four bytes, from the byte on that stands at `offset` of the payload.
  #wordOf(key: Uint8Array, offset: number): number {
    let word = 0;
    for (let i = 0; i < 4; i++) word |= (key[(offset + i) & 3] as number) << (isLittleEndian ? 8 * i : 24 - 8 * i);
    return word;
  }

  #reserve(length: number): void {
    if (this.#buffer.length - this.#length >= length) return;
    const unsent = this.#buffer.subarray(this.#from, this.#length);
    const size = Math.max(SHARED, unsent.length + length);
    const memory = Buffer.allocUnsafeSlow((size + 3) & ~3).buffer;
    this.#buffer = new Uint8Array(memory);
    this.#words = new Uint32Array(memory);
    this.#buffer.set(unsent);
    this.#from = 0;
    this.#length = unsent.length;
  }
}
