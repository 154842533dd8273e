// Bytes held back until it is known where a frame ends: a WebSocket server may want one frame a message (W-05).

export class Cutter {
  #parts: Uint8Array[] = [];
  #size = 0;
  #base = 0;

  /** Bytes that are held. */
  get size(): number {
    return this.#size;
  }

  push(bytes: Uint8Array): void {
    this.#parts.push(bytes);
    this.#size += bytes.length;
  }

  /** What is held of the stream before this offset. */
  cut(offset: number): Uint8Array {
    const length = Math.min(Math.max(offset - this.#base, 0), this.#size);
    const all = Buffer.concat(this.#parts);
    this.#base += length;
    this.#size -= length;
    this.#parts = this.#size === 0 ? [] : [all.subarray(length)];
    return all.subarray(0, length);
  }

  /** All that is held. */
  take(): Uint8Array {
    return this.cut(this.#base + this.#size);
  }
}
