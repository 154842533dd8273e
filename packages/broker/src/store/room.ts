// Space on the disk, taken before it is needed.
//
// LMDB that meets a full disk in the middle of a transaction is worse than an error: the native code formats its complaint
// into a buffer that is too small (mdb.c, mdb_page_flush) and may take the process along. So the data file is made longer
// with zeros before a transaction that could make it grow; LMDB uses only what its last page number says, and never minds a
// longer file. Where there is no space, it is we who hear of it.

import { closeSync, fstatSync, ftruncateSync, openSync, writeSync } from 'node:fs';

const ZEROS = new Uint8Array(256 * 1024);
const STEP = 64 * 1024;

export class Room {
  readonly #fd: number;
  #size: number;

  constructor(file: string) {
    this.#fd = openSync(file, 'r+');
    this.#size = fstatSync(this.#fd).size;
  }

  /** Makes the file at least this long. Throws what the system said, ENOSPC above all; the file is then as long as before. */
  make(atLeast: number): void {
    if (atLeast <= this.#size) return;
    const bytes = Math.ceil(atLeast / STEP) * STEP;
    const before = fstatSync(this.#fd).size; // LMDB may have made it longer
    let at = before;
    try {
      while (at < bytes) at += writeSync(this.#fd, ZEROS, 0, Math.min(ZEROS.length, bytes - at), at);
    } catch (error) {
      ftruncateSync(this.#fd, before);
      throw error;
    }
    this.#size = at;
  }

  close(): void {
    closeSync(this.#fd);
  }
}
