// Texts as UTF-8, in memory that is used again and again: making some for each body costs more than sending it, most of it
// in the garbage collector.

/** Room for what goes out in one write. Bytes. */
const ROOM = 64 * 1024;
/** Longer texts have memory of their own, which is not kept. Characters. */
const LONGEST = 256 * 1024;

export class Scratch {
  readonly #encoder = new TextEncoder();
  #memory = new Uint8Array(0);
  #used = 0;

  /** The text where it is ASCII and not very long, good until `free()`; undefined otherwise. */
  encode(text: string): Uint8Array | undefined {
    const { length } = text;
    if (length > LONGEST) return undefined;
    if (this.#used + length > this.#memory.length) {
      this.#memory = new Uint8Array(Math.max(ROOM, length)); // somebody may still need the other
      this.#used = 0;
    }
    const bytes = this.#memory.subarray(this.#used, this.#used + length);
    if (this.#encoder.encodeInto(text, bytes).read < length) return undefined; // what is not ASCII takes more room
    this.#used += length;
    return bytes;
  }

  /** Nobody needs what was encoded. */
  free(): void {
    this.#used = 0;
  }
}
