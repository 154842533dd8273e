// LMDB's environment in a directory, and how much of its file counts as memory of this process.
//
// LMDB maps data.mdb. Linux counts a page of it as this process's memory from when it is first touched, with its fifteen
// neighbours, until the map goes; so ten million messages would count as two gigabytes, although the system may take all
// of them back. `renew` lets the map go: the environment is closed and opened again, which takes a few milliseconds.
//
// Nothing may be read or written meanwhile. A map that is gone is not read by accident: what comes out of LMDB here is
// copied (`getRange` with binary values), or looked at and dropped at once (`getBinaryFast`).

import { closeSync, fsyncSync, openSync, readSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { open } from 'lmdb';
import type { Root } from './layout.ts';
import { StoreError } from './store.ts';
import { openTables, type Tables } from './tables.ts';

const TOUCHED_BYTES = 16 * 4096;
/** Entries that lead to those that are wanted. */
const ON_THE_WAY = 8;
/** How often it is looked at until the map may be full. */
const LOOKS = 3;

export function openRoot(dir: string): Root {
  try {
    return open<Buffer, Buffer>({
      path: dir,
      noSubdir: false, // a directory, even if its name has a dot
      maxDbs: 16,
      encoding: 'binary',
      keyEncoding: 'binary',
      overlappingSync: false,
      eventTurnBatching: false, // batches are ours
    });
  } catch (cause) {
    throw new StoreError('failed', `${dir} cannot be opened: ${(cause as Error).message}`, { cause });
  }
}

/** A file whose name is not on the disk is not there after a power cut. */
export function flushNames(dir: string, firstMade: string | undefined): void {
  if (process.platform === 'win32') return;
  const last = firstMade === undefined ? resolve(dir) : dirname(resolve(firstMade));
  for (let at = resolve(dir); ; at = dirname(at)) {
    const fd = openSync(at, 'r');
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    if (at === last) return;
  }
}

export class Environment {
  readonly #dir: string;
  readonly #mostMapped: number;
  readonly #meter = new Meter();
  #root: Root;
  #tables: Tables;
  #others: number; // what else is mapped
  #touched = 0; // bytes at the most, since the last look
  #lost: StoreError | undefined;

  /** Takes over `root`. `mostMapped`: the bytes of its file that may count as memory. */
  constructor(dir: string, root: Root, mostMapped: number) {
    this.#dir = dir;
    this.#mostMapped = mostMapped;
    this.#root = root;
    this.#tables = openTables(root);
    this.#others = this.#meter.bytes();
  }

  get root(): Root {
    return this.#root;
  }

  /** Throws what `renew` rejected with. */
  get tables(): Tables {
    if (this.#lost !== undefined) throw this.#lost;
    return this.#tables;
  }

  /** So many entries of the file were read, or are about to be written. */
  touch(entries: number): void {
    this.#touched += (entries + ON_THE_WAY) * TOUCHED_BYTES;
  }

  /** More of the file counts as memory than should. Has a look when there may be much more than at the last one. */
  isLarge(): boolean {
    if (this.#touched < this.#mostMapped / LOOKS) return false;
    if (this.#meter.bytes() - this.#others >= this.#mostMapped) return true;
    this.#touched = 0;
    return false;
  }

  /** Between two transactions. Where it rejects, with StoreError 'failed', nothing can be read or written any more. */
  async renew(): Promise<void> {
    await this.#root.close();
    try {
      this.#root = openRoot(this.#dir);
      this.#tables = openTables(this.#root);
    } catch (cause) {
      const sentence = `${this.#dir} could not be opened again: ${(cause as Error).message}`;
      this.#lost = new StoreError('failed', sentence, { cause });
      throw this.#lost;
    }
    this.#others = this.#meter.bytes();
    this.#touched = 0;
  }

  async close(): Promise<void> {
    await this.#root.close();
    this.#meter.close();
  }
}

/** What Linux counts as this process's memory because it is mapped from files: Node itself, libraries, and data.mdb. */
class Meter {
  readonly #fd: number | undefined;
  readonly #text = Buffer.alloc(4096);

  constructor() {
    if (process.platform === 'linux') this.#fd = openSync('/proc/self/status', 'r');
  }

  /** 0 where nobody counts. */
  bytes(): number {
    if (this.#fd === undefined) return 0;
    const length = readSync(this.#fd, this.#text, 0, this.#text.length, 0);
    const kilobytes = /^RssFile:\s+(\d+) kB$/m.exec(this.#text.toString('latin1', 0, length))?.[1];
    return 1024 * Number(kilobytes ?? 0);
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
  }
}
