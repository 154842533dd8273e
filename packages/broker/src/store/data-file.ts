// Looks through data.mdb before LMDB maps it into memory.
//
// LMDB trusts its file. Cut short or scribbled over, it would answer with SIGBUS, or
// with fewer messages than there were. So every page that is in use is visited once:
// it must lie inside the file, know its own number, be no younger than the last
// transaction, hold its nodes within its bounds and its keys in ascending order; no page
// may be used twice, or used and free; and each tree must have as many entries as it
// says. What this cannot see, a flipped bit inside a value, the records' checksums do.
//
// Cost: one pass over the pages in use, about a gigabyte a second.
//
//   page   0  number (8)   8  transaction (8)   16  pad (2)   18  flags (2)
//         20  lower (2)   22  upper (2), or of an overflow page its pages (4)   24  offsets of nodes (2 each)
//   node   0  low (2)   2  high (2)   4  flags (2)   6  key bytes (2)   8  key, then data
//   tree   0  page size in the first (4)   4  flags (2)   6  depth (2)   8  branch, leaf, overflow pages (8 each)
//         32  entries (8)   40  root (8)
//   meta  24  magic (4)  28  version (4)  32  address (8)  40  map size (8)  48  free tree  96  main tree
//        144  last page (8)   152  transaction (8)

import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { StoreError } from './store.ts';

const MAGIC = 0xbeefc0de;
const FORMAT = 2;
const PAGE_HEAD = 24;
const NODE_HEAD = 8;
const TREE_BYTES = 48;
const BRANCH = 1;
const LEAF = 2;
const OVERFLOW = 4;
const META = 8;
const BIG = 1; // node flags
const TREE = 2;
const INTEGER_KEYS = 8; // of a tree
const FREE = 'the free pages';
const NO_ROOT = 0xffffffffffffffffn;
const CHUNK = 1 << 18; // read ahead where pages follow each other

interface Tree {
  readonly name: string;
  readonly flags: number;
  readonly depth: number;
  readonly branches: number;
  readonly leaves: number;
  readonly overflow: number;
  readonly entries: number;
  readonly root: bigint;
}

/** Throws StoreError 'damaged' that says where. */
export function checkDataFile(path: string): void {
  const fd = openSync(path, 'r');
  try {
    new Inspection(path, fd).run();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw damaged(path, 'a page points past its own end', error); // Buffer's own bounds did the checking
  } finally {
    closeSync(fd);
  }
}

class Inspection {
  readonly #path: string;
  readonly #fd: number;
  readonly #size: number;
  #pageSize = 4096;
  #lastPage = 0;
  #transaction = 0n;
  #used = new Uint8Array(0); // a bit a page
  #chunk: Buffer = Buffer.alloc(0);
  #chunkAt = 0;

  constructor(path: string, fd: number) {
    this.#path = path;
    this.#fd = fd;
    this.#size = fstatSync(fd).size;
  }

  run(): void {
    if (this.#size === 0) return; // LMDB was killed before its first write: nothing was ever kept
    const meta = this.#newerMeta();
    this.#use(0, 2, 'the beginning');
    const freePages: [first: number, count: number][] = [];
    this.#walk(treeAt(meta, 48, FREE), (_key, value) => {
      for (const range of freeRanges(value)) freePages.push(range);
    });
    this.#walk(treeAt(meta, 96, 'the trees'), (key, value, flags) => {
      if ((flags & TREE) === 0 || value.length !== TREE_BYTES) this.#fail(`the trees hold something that is none`);
      this.#walk(treeAt(value, 0, key.toString('latin1')), () => {});
    });
    for (const [first, count] of freePages) this.#use(first, count, FREE);
  }

  /**
   * Transactions take turns with the two first pages; the newer counts. A wrong bit in either must not let the older one
   * count, which would be whole, and one transaction short: 157 beside 158 is one bit from 159. But every transaction writes
   * the root of the trees anew, and that says which one it was.
   */
  #newerMeta(): Buffer {
    const first = this.#bytes(0, 512);
    if (first.readUInt32LE(24) === MAGIC) this.#pageSize = first.readUInt32LE(48);
    if (![4096, 8192, 16384, 32768, 65536].includes(this.#pageSize)) this.#fail('its first page has no page size');
    const metas = [first, this.#bytes(this.#pageSize, 512)];
    const [even = 0n, odd = 0n] = metas.map((meta, i) => {
      if ((meta.readUInt16LE(18) & META) === 0 || meta.readUInt32LE(24) !== MAGIC)
        this.#fail(`page ${i} is not the beginning of an LMDB file`);
      const format = meta.readUInt32LE(28) & 0xffff;
      if (format !== FORMAT) this.#fail(`LMDB's format is ${format}, not ${FORMAT}`);
      return meta.readBigUInt64LE(152);
    });
    const isNew = even === 0n && odd === 0n;
    if (!isNew && !(even % 2n === 0n && odd % 2n === 1n && (even - odd === 1n || odd - even === 1n)))
      this.#fail(`its first pages are of transactions ${even} and ${odd}`);
    const both: [meta: Buffer, transaction: bigint][] = [
      [metas[0] as Buffer, even],
      [metas[1] as Buffer, odd],
    ];
    if (even > odd) both.reverse(); // the newer one last, to stay
    for (const [meta, transaction] of both) {
      this.#lastPage = Number(meta.readBigUInt64LE(144));
      this.#transaction = transaction;
      for (const { root } of [treeAt(meta, 48, FREE), treeAt(meta, 96, 'the trees')])
        if (root !== NO_ROOT) this.#page(Number(root));
      const { root } = treeAt(meta, 96, 'the trees');
      const written = root === NO_ROOT ? transaction : this.#page(Number(root)).readBigUInt64LE(8);
      if (written !== transaction)
        this.#fail(`a first page is of transaction ${transaction}, and its trees of ${written}`);
    }
    // Free pages at the end may never have been written. Those in use are looked for one by one.
    if (this.#lastPage > 1024 * (16 + this.#size / this.#pageSize)) this.#cut(this.#lastPage);
    this.#used = new Uint8Array((this.#lastPage >> 3) + 1);
    return (both[1] as [Buffer, bigint])[0];
  }

  #walk(tree: Tree, entry: (key: Buffer, value: Buffer, flags: number) => void): void {
    const found = { branches: 0, leaves: 0, overflow: 0, entries: 0 };
    const compare = tree.name === FREE ? byNumber : Buffer.compare;
    let previous: Buffer | undefined; // the last key seen
    let floor: Buffer | undefined; // what the branch says of the next
    const ascend = (key: Buffer, number: number): void => {
      const isLow = previous !== undefined && compare(key, previous) <= 0;
      if (isLow || (floor !== undefined && compare(key, floor) < 0))
        this.#fail(`page ${number} of ${tree.name} is out of order`);
      previous = Buffer.from(key);
      floor = undefined;
    };
    const visit = (number: number, level: number): void => {
      this.#use(number, 1, tree.name);
      const page = this.#page(number);
      const isLeaf = level === tree.depth;
      if (page.readUInt16LE(18) !== (isLeaf ? LEAF : BRANCH))
        this.#fail(`page ${number} of ${tree.name} is of another kind`);
      if (isLeaf) found.leaves++;
      else found.branches++;
      const count = page.readUInt16LE(20) >> 1;
      const lower = PAGE_HEAD + page.readUInt16LE(20);
      const upper = PAGE_HEAD + page.readUInt16LE(22);
      const senseless = (): never => this.#fail(`page ${number} of ${tree.name} makes no sense`);
      if (lower > upper || upper > this.#pageSize || count === 0) senseless();
      for (let i = 0; i < count; i++) {
        const at = PAGE_HEAD + page.readUInt16LE(PAGE_HEAD + 2 * i);
        if (at < upper) senseless();
        const flags = page.readUInt16LE(at + 4);
        const low = page.readUInt16LE(at) + page.readUInt16LE(at + 2) * 0x10000;
        const keyEnd = at + NODE_HEAD + page.readUInt16LE(at + 6);
        if (keyEnd > this.#pageSize) senseless();
        const key = page.subarray(at + NODE_HEAD, keyEnd);
        if (!isLeaf) {
          if (i > 0) {
            if (previous !== undefined && compare(key, previous) <= 0) senseless();
            floor = Buffer.from(key);
          }
          visit(low + flags * 2 ** 32, level + 1);
          continue;
        }
        const valueEnd = keyEnd + (flags & BIG ? 24 : low);
        if (valueEnd > this.#pageSize || (flags & ~(BIG | TREE)) !== 0) senseless();
        ascend(key, number);
        found.entries++;
        let value = page.subarray(keyEnd, valueEnd);
        if (flags & BIG) {
          found.overflow += Number(value.readBigUInt64LE(16));
          value = this.#overflow(value, low, tree);
        }
        entry(key, value, flags);
      }
    };
    if (tree.root !== NO_ROOT) visit(Number(tree.root), 1);
    if (tree.flags !== (tree.name === FREE ? INTEGER_KEYS : 0)) this.#fail(`${tree.name} are of another kind`);
    for (const key of ['branches', 'leaves', 'overflow', 'entries'] as const)
      if (found[key] !== tree[key]) this.#fail(`${tree.name} should have ${tree[key]} ${key} and has ${found[key]}`);
  }

  /** The value itself is read for the free pages only. */
  #overflow(reference: Buffer, bytes: number, tree: Tree): Buffer {
    const number = Number(reference.readBigUInt64LE(0));
    const count = Number(reference.readBigUInt64LE(16));
    if (count !== Math.ceil((bytes + PAGE_HEAD) / this.#pageSize))
      this.#fail(`page ${number} of ${tree.name} has another length`);
    this.#use(number, count, tree.name);
    const page = this.#page(number);
    if ((page.readUInt16LE(18) & OVERFLOW) === 0 || page.readUInt32LE(20) !== count)
      this.#fail(`page ${number} of ${tree.name} is of another kind`);
    if ((number + count - 1) * this.#pageSize + (((PAGE_HEAD + bytes - 1) % this.#pageSize) + 1) > this.#size)
      this.#cut(number + count - 1);
    return tree.name === FREE ? this.#bytes(number * this.#pageSize + PAGE_HEAD, bytes) : Buffer.alloc(0);
  }

  #use(first: number, count: number, name: string): void {
    if (!(first >= 0 && first + count - 1 <= this.#lastPage))
      this.#fail(`${name} want page ${first} of ${this.#lastPage}`);
    for (let number = first; number < first + count; number++) {
      const bit = 1 << (number & 7);
      const byte = this.#used[number >> 3] as number;
      if (byte & bit) this.#fail(`page ${number} is used by ${name} and once more`);
      this.#used[number >> 3] = byte | bit;
    }
  }

  #page(number: number): Buffer {
    if ((number + 1) * this.#pageSize > this.#size) this.#cut(number);
    const page = this.#bytes(number * this.#pageSize, this.#pageSize);
    if (page.readBigUInt64LE(0) !== BigInt(number)) this.#fail(`page ${number} is not there`);
    if (page.readBigUInt64LE(8) > this.#transaction) this.#fail(`page ${number} comes from a later time`);
    return page;
  }

  /** A view that is good until the next call, unless it is kept by whoever holds it: chunks are not reused. */
  #bytes(at: number, length: number): Buffer {
    if (at < this.#chunkAt || at + length > this.#chunkAt + this.#chunk.length) {
      const isNext = at >= this.#chunkAt && at <= this.#chunkAt + this.#chunk.length + CHUNK;
      const chunk = Buffer.allocUnsafe(isNext ? Math.max(length, CHUNK) : length);
      const read = readSync(this.#fd, chunk, 0, chunk.length, at);
      if (read < length) this.#cut(Math.floor(at / this.#pageSize));
      this.#chunk = chunk.subarray(0, read);
      this.#chunkAt = at;
    }
    return this.#chunk.subarray(at - this.#chunkAt, at - this.#chunkAt + length);
  }

  #cut(page: number): never {
    this.#fail(`it is cut short: it has ${this.#size} bytes and page ${page} is missing`);
  }

  #fail(what: string): never {
    throw damaged(this.#path, what);
  }
}

function damaged(path: string, what: string, cause?: unknown): StoreError {
  return new StoreError(
    'damaged',
    `${path} is damaged (${what}); nothing was changed: restore it from a backup, or move it away to begin empty`,
    { cause },
  );
}

function treeAt(bytes: Buffer, at: number, name: string): Tree {
  return {
    name,
    flags: bytes.readUInt16LE(at + 4),
    depth: bytes.readUInt16LE(at + 6),
    branches: Number(bytes.readBigUInt64LE(at + 8)),
    leaves: Number(bytes.readBigUInt64LE(at + 16)),
    overflow: Number(bytes.readBigUInt64LE(at + 24)),
    entries: Number(bytes.readBigUInt64LE(at + 32)),
    root: bytes.readBigUInt64LE(at + 40),
  };
}

function byNumber(a: Buffer, b: Buffer): number {
  return Number(a.readBigUInt64LE(0) - b.readBigUInt64LE(0));
}

/** A count, then page numbers; below zero: that many pages from the number that follows; zero: nothing. */
function* freeRanges(value: Buffer): Generator<[first: number, count: number]> {
  const end = Number(value.readBigInt64LE(0));
  for (let i = 1; i <= end; i++) {
    const number = Number(value.readBigInt64LE(8 * i));
    if (number > 0) yield [number, 1];
    else if (number < 0) yield [Number(value.readBigInt64LE(8 * ++i)), -number];
  }
}
