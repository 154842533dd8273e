// The headers of one frame: ordered, repeats kept, the first of a name is its value
// (C-31). Immutable.
//
// Decoded headers stay what they were on the wire until somebody asks: the decoder has
// checked every byte and noted where each line's name and value lie (`marks`), so
// reading one header of seven costs one comparison loop and one short string.
//
//   marks:  … nameStart nameEnd valueStart valueEnd …   four for each line

import { decodeAscii, decodeLatin1, decodeUtf8, decodeUtf8Lossy } from './bytes.ts';
import { quote, UsageError } from './errors.ts';
import type { NameSet } from './name-set.ts';

/** How to read wire bytes; what the decoder found out while it checked them. */
export interface WireTraits {
  /** Every byte is below 0x80. */
  readonly ascii: boolean;
  /** Backslashes are escapes and there is at least one. */
  readonly escaped: boolean;
  /** `\r` is among them (C-39, C-40). */
  readonly escapedCr: boolean;
  /** The lines are what a STOMP 1.2 encoder would write: they may be copied into a 1.2 frame as they are. */
  readonly canonical: boolean;
  /** What to do with bytes that are no UTF-8 (C-66). */
  readonly utf8: 'strict' | 'replace' | 'latin1';
}

/** The header lines of one frame among received bytes: four marks each, in `marks[from, to)`. */
export interface Wire {
  readonly bytes: Uint8Array;
  /** nameStart, nameEnd, valueStart, valueEnd: offsets into `bytes`. */
  readonly marks: Int32Array;
  readonly from: number;
  readonly to: number;
  readonly traits: WireTraits;
}

export type HeaderPairs = Iterable<readonly [name: string, value: string | number | boolean]>;

const ESCAPES: Readonly<Record<string, string>> = { '\\n': '\n', '\\c': ':', '\\\\': '\\', '\\r': '\r' };

/** One pass, left to right (C-42). Escapes that are none have been refused, or are to be kept as they stand. */
function withoutEscapes(text: string, withCr: boolean): string {
  return text.includes('\\')
    ? text.replace(withCr ? /\\[nc\\r]/g : /\\[nc\\]/g, (pair) => ESCAPES[pair] as string)
    : text;
}

export class Headers implements Iterable<[name: string, value: string]> {
  #flat: readonly string[] | undefined; // name, value, name, value, …
  readonly #wire: Wire | undefined;

  private constructor(flat: readonly string[] | undefined, wire: Wire | undefined) {
    this.#flat = flat;
    this.#wire = wire;
  }

  static readonly none: Headers = new Headers([], undefined);

  /** From pairs or from an object. Throws UsageError `bad-header` on an empty name or a value that is no text (P-08). */
  static from(init: Headers | HeaderPairs | Readonly<Record<string, unknown>>): Headers {
    if (init instanceof Headers) return init;
    const flat: string[] = [];
    if (isIterable(init)) for (const pair of init) put(flat, pair[0], pair[1]);
    else for (const name of Object.keys(init)) put(flat, name, init[name]);
    return new Headers(flat, undefined);
  }

  /** @internal From checked wire bytes; the decoder's door. */
  static fromWire(wire: Wire): Headers {
    return new Headers(undefined, wire);
  }

  /** How many lines, repeats counted. */
  get size(): number {
    return this.#wire ? (this.#wire.to - this.#wire.from) >> 2 : this.#texts().length >> 1;
  }

  /** The first value of a name (C-31), or undefined. */
  get(name: string): string | undefined {
    const at = this.#find(name);
    if (at < 0) return undefined;
    if (this.#flat !== undefined) return this.#flat[at + 1];
    const { bytes, marks, traits } = this.#wire as Wire;
    const start = marks[at + 2] as number;
    const end = marks[at + 3] as number;
    return traits.ascii ? decodeAscii(bytes, start, end) : textOf(bytes, start, end, traits);
  }

  has(name: string): boolean {
    return this.#find(name) >= 0;
  }

  /** Whether any of these names is there: one pass, and no text is made. */
  hasAny(names: NameSet): boolean {
    const wire = this.#wire;
    if (this.#flat === undefined && wire !== undefined && !wire.traits.escaped) {
      const { bytes, marks, from, to } = wire;
      for (let mark = from; mark < to; mark += 4)
        if (names.hasAt(bytes, marks[mark] as number, marks[mark + 1] as number)) return true;
      return false;
    }
    const flat = this.#texts();
    for (let i = 0; i < flat.length; i += 2) if (names.has(flat[i] as string)) return true;
    return false;
  }

  /** Every value of a name, in order. */
  getAll(name: string): string[] {
    const values: string[] = [];
    const flat = this.#texts();
    for (let i = 0; i < flat.length; i += 2) if (flat[i] === name) values.push(flat[i + 1] as string);
    return values;
  }

  /** Every line in order, repeats included. */
  *[Symbol.iterator](): Iterator<[name: string, value: string]> {
    const flat = this.#texts();
    for (let i = 0; i < flat.length; i += 2) yield [flat[i] as string, flat[i + 1] as string];
  }

  /** The first value of each name, as an object without a prototype (M-82: `__proto__` is a header like any other). */
  toObject(): Record<string, string> {
    const object = Object.create(null) as Record<string, string>;
    for (const [name, value] of this) if (!(name in object)) object[name] = value;
    return object;
  }

  toJSON(): [name: string, value: string][] {
    return [...this];
  }

  /** @internal name, value, name, value, …: the lines in order, for who writes them. */
  flat(): readonly string[] {
    return this.#texts();
  }

  /** @internal The wire lines, where they may be copied into a STOMP 1.2 frame as they are. */
  canonicalWire(): Wire | undefined {
    return this.#wire?.traits.canonical ? this.#wire : undefined;
  }

  // Where a name is first: an index into `flat`, or into `marks` while there is no `flat`.
  #find(name: string): number {
    const wire = this.#wire;
    if (this.#flat === undefined && wire !== undefined && !wire.traits.escaped) {
      const { bytes, marks, to } = wire;
      const length = name.length;
      // The octets of a name are its characters only as long as both are ASCII.
      const comparable = wire.traits.ascii || isAscii(name);
      for (let mark = wire.from; comparable && mark < to; mark += 4) {
        const start = marks[mark] as number;
        if ((marks[mark + 1] as number) - start !== length) continue;
        let k = 0;
        while (k < length && bytes[start + k] === name.charCodeAt(k)) k++;
        if (k === length) return mark;
      }
      if (wire.traits.ascii) return -1;
    }
    const flat = this.#texts();
    for (let i = 0; i < flat.length; i += 2) if (flat[i] === name) return i;
    return -1;
  }

  #texts(): readonly string[] {
    if (this.#flat !== undefined) return this.#flat;
    const { bytes, marks, from, to, traits } = this.#wire as Wire;
    const flat: string[] = [];
    for (let mark = from; mark < to; mark += 2) {
      const text = textOf(bytes, marks[mark] as number, marks[mark + 1] as number, traits);
      flat.push(traits.escaped ? withoutEscapes(text, traits.escapedCr) : text);
    }
    this.#flat = flat;
    return flat;
  }
}

function put(flat: string[], name: string, value: unknown): void {
  if (typeof name !== 'string' || name === '') throw new UsageError('bad-header', 'a header name may not be empty');
  if (typeof value === 'string') flat.push(name, value);
  else if (typeof value === 'number' || typeof value === 'boolean') flat.push(name, String(value));
  else {
    const kind = value === null ? 'null' : typeof value;
    throw new UsageError('bad-header', `header ${quote(name)} is ${kind}, not text`);
  }
}

function textOf(bytes: Uint8Array, start: number, end: number, traits: WireTraits): string {
  if (traits.ascii) return decodeAscii(bytes, start, end);
  const view = bytes.subarray(start, end);
  if (traits.utf8 === 'strict') return decodeUtf8(view);
  return traits.utf8 === 'replace' ? decodeUtf8Lossy(view) : decodeLatin1(view);
}

function isAscii(text: string): boolean {
  return !/[^\0-\x7f]/.test(text);
}

function isIterable(value: object): value is Iterable<readonly [string, unknown]> {
  return Symbol.iterator in value;
}
