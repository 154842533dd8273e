// Space on the disk, taken before it is needed.
//
// LMDB that meets a full disk in the middle of a transaction is worse than an error: the native code formats its complaint
// into a buffer that is too small (mdb.c, mdb_page_flush) and may take the process along. So the data file is made longer
// with zeros before a transaction that could make it grow; LMDB uses only what its last page number says, and never minds a
// longer file. Where there is no space, it is we who hear of it.
//
//   data.mdb   in use │ what transactions took at the most │ #free … kept for what only takes away │
//
// How much is in use only LMDB knows, and asking it takes as long as the rest of a small transaction does. So it is asked
// when what is certainly free runs out.

import { closeSync, fstatSync, ftruncateSync, openSync, writeSync } from 'node:fs';

const ZEROS = new Uint8Array(256 * 1024);
/** So that a full disk can be drained: what only takes away also copies pages before it frees some. */
const KEPT_BYTES = 2 * 1024 * 1024;
/** Taken at a time, where there is as much. */
const AHEAD_BYTES = 2 * 1024 * 1024;

export class Room {
  readonly #fd: number;
  readonly #inUse: () => number;
  #free = 0;

  /** `inUse`: how many bytes at the beginning of the file are. */
  constructor(file: string, inUse: () => number) {
    this.#fd = openSync(file, 'r+');
    this.#inUse = inUse;
  }

  /** For a transaction that may add so many bytes. Throws what the system said, ENOSPC above all; then there was none to be had. */
  take(bytes: number): void {
    const needed = bytes + KEPT_BYTES;
    if (this.#free < needed) {
      const inUse = this.#inUse();
      const size = fstatSync(this.#fd).size;
      this.#free = size - inUse;
      if (this.#free < needed) this.#free = this.#lengthened(size, inUse + needed) - inUse;
    }
    this.#free -= bytes;
  }

  /** The same for one that only takes away, with what was kept for it. */
  spend(bytes: number): void {
    this.#free -= bytes;
  }

  close(): void {
    closeSync(this.#fd);
  }

  #lengthened(size: number, atLeast: number): number {
    try {
      return this.#fill(size, atLeast + AHEAD_BYTES);
    } catch {
      return this.#fill(size, atLeast);
    }
  }

  /** Answers the new size. Where it throws, the file is as long as before. */
  #fill(from: number, to: number): number {
    let at = from;
    try {
      while (at < to) at += writeSync(this.#fd, ZEROS, 0, Math.min(ZEROS.length, to - at), at);
    } catch (error) {
      ftruncateSync(this.#fd, from);
      throw error;
    }
    return at;
  }
}
