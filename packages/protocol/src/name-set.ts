// Names of headers, found among wire bytes without a text being made of any.

/** Header names, to be found among wire bytes without making texts of them. ASCII only. */
export class NameSet {
  readonly #byLength: Uint8Array[][] = [];
  readonly #names: ReadonlySet<string>;

  constructor(names: Iterable<string>) {
    this.#names = new Set(names);
    for (const name of this.#names) {
      const known = this.#byLength[name.length] ?? [];
      known.push(new TextEncoder().encode(name));
      this.#byLength[name.length] = known;
    }
  }

  has(name: string): boolean {
    return this.#names.has(name);
  }

  /** Whether `bytes[start, end)` is one of the names. */
  hasAt(bytes: Uint8Array, start: number, end: number): boolean {
    const candidates = this.#byLength[end - start];
    if (candidates === undefined) return false;
    for (const name of candidates) {
      let k = 0;
      while (k < name.length && name[k] === bytes[start + k]) k++;
      if (k === name.length) return true;
    }
    return false;
  }
}
