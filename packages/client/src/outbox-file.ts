// An outbox in a directory, on Node: what was sent and has no outcome yet survives the end
// of the process.
//
//   put      00000012-<key>.tmp ─ fsync ─ rename ─► 00000012-<key>.send ─ fsync of the directory
//   remove   unlink
//
// One file a send: its options as a line of JSON, then the body. A file without its last
// name was never promised to anybody and is thrown away. A lock keeps a second process out.

import { type FileHandle, mkdir, open, readdir, readFile, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { UsageError } from './errors.ts';
import type { OutboxStore, StoredSend } from './managed/outbox.ts';

const NAME = /^(\d{12})-(.+)\.send$/;
const LOCK = 'lock';
const NEWLINE = 10;

interface Head extends Omit<StoredSend, 'body'> {
  /** How `body` is to be read. */
  readonly as: 'text' | 'bytes';
}

/**
 * Keeps an outbox in `directory`, which is made if it is not there and belongs to one client at a time. Each send is flushed to
 * the disk before it is written to a broker. `load` rejects with UsageError `bad-option` while another process has the
 * directory, or where a file in it is none of ours; both and `put` reject with what the file system said.
 */
export function fileOutbox(directory: string): OutboxStore {
  return new FileOutbox(directory);
}

class FileOutbox implements OutboxStore {
  readonly #directory: string;
  readonly #names = new Map<string, string>(); // by key
  #count = 0;
  #lock: FileHandle | undefined;
  #opened: Promise<readonly StoredSend[]> | undefined;

  constructor(directory: string) {
    this.#directory = directory;
  }

  load(): Promise<readonly StoredSend[]> {
    this.#opened ??= this.#open();
    return this.#opened;
  }

  async put({ key, destination, body, options }: StoredSend): Promise<void> {
    await this.load();
    const name = `${String(++this.#count).padStart(12, '0')}-${encodeURIComponent(key)}`;
    this.#names.set(key, `${name}.send`);
    const head: Head = { key, destination, options, as: typeof body === 'string' ? 'text' : 'bytes' };
    const path = join(this.#directory, name);
    const file = await open(`${path}.tmp`, 'w', 0o600);
    try {
      await file.write(`${JSON.stringify(head)}\n`);
      await file.write(typeof body === 'string' ? Buffer.from(body) : body);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(`${path}.tmp`, `${path}.send`);
    await this.#sync();
  }

  async remove(key: string): Promise<void> {
    const name = this.#names.get(key);
    if (name === undefined) return;
    this.#names.delete(key);
    await unlink(join(this.#directory, name)); // one that comes back after a crash has an id to be known by
  }

  async close(): Promise<void> {
    const lock = this.#lock;
    this.#lock = undefined;
    if (lock === undefined) return;
    await lock.close();
    await unlink(join(this.#directory, LOCK));
  }

  async #open(): Promise<readonly StoredSend[]> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    await this.#take();
    const sends: StoredSend[] = [];
    for (const name of (await readdir(this.#directory)).sort()) {
      const [, number, key] = NAME.exec(name) ?? [];
      if (name.endsWith('.tmp')) await unlink(join(this.#directory, name));
      if (number === undefined || key === undefined) continue;
      const send = parse(name, await readFile(join(this.#directory, name)));
      this.#names.set(send.key, name);
      this.#count = Number(number);
      sends.push(send);
    }
    return sends;
  }

  /** The lock names the process that holds it; that of a dead one is taken over. */
  async #take(): Promise<void> {
    const path = join(this.#directory, LOCK);
    try {
      this.#lock = await open(path, 'wx', 0o600);
    } catch (cause) {
      const holder = Number(await readFile(path, 'utf8').catch(() => ''));
      if (isAlive(holder)) {
        throw new UsageError('bad-option', `${this.#directory} is the outbox of process ${holder}`, { cause });
      }
      await unlink(path).catch(() => {}); // whoever is quicker has it
      this.#lock = await open(path, 'wx', 0o600);
    }
    await this.#lock.write(String(process.pid));
  }

  async #sync(): Promise<void> {
    const directory = await open(this.#directory, 'r');
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  }
}

function parse(name: string, bytes: Buffer): StoredSend {
  try {
    const end = bytes.indexOf(NEWLINE);
    const { as, ...head }: Head = JSON.parse(bytes.toString('utf8', 0, end));
    const body = bytes.subarray(end + 1);
    return { ...head, body: as === 'text' ? body.toString('utf8') : new Uint8Array(body) };
  } catch (cause) {
    throw new UsageError('bad-option', `${name} is not a send of an outbox; move it away`, { cause });
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
