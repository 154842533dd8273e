// The lines that were typed, kept for the next time: in a file that only its owner reads, without those that look like secrets.

import { constants } from 'node:fs';
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { SystemFailure } from '../exit-codes.ts';
import type { World } from '../world.ts';

const MAX_LINES = 1_000;
const MAX_CHARS = 4_096;
const MAX_BYTES = 8 * 1024 * 1024;
const SECRET = /pass(?:code|word|phrase|wd)|secret|token|credential|authorization|api[_-]?key|\/\/[^/\s]*:[^/\s]*@/i;

/** Where it is kept; undefined for nowhere. */
export function historyPath({ env }: Pick<World, 'env'>): string | undefined {
  const { STOMPBOX_HISTORY: told, XDG_STATE_HOME: state, HOME, USERPROFILE } = env;
  if (told !== undefined) return told === '' ? undefined : told;
  if (state !== undefined && state !== '') return join(state, 'stompbox', 'history');
  const home = HOME ?? USERPROFILE;
  return home === undefined || home === '' ? undefined : join(home, '.local', 'state', 'stompbox', 'history');
}

/** Whether a line may be kept: not one that begins with a blank, is very long, or looks as if it held a secret. */
export function mayKeep(line: string): boolean {
  return line !== '' && !/^\s/.test(line) && line.length <= MAX_CHARS && !SECRET.test(line);
}

export class History {
  readonly #file: FileHandle | undefined;
  /** Newest last. */
  readonly lines: readonly string[];

  private constructor(file: FileHandle | undefined, lines: readonly string[]) {
    this.#file = file;
    this.lines = lines;
  }

  /** Reads it, and makes it where there is none. No link is followed. Rejects with SystemFailure. */
  static async open(path: string | undefined): Promise<History> {
    if (path === undefined) return new History(undefined, []);
    let file: FileHandle | undefined;
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      const { O_RDWR, O_CREAT, O_APPEND, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants;
      file = await open(path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK, 0o600);
      const { size, isOrdinary } = await file
        .stat()
        .then((stats) => ({ size: stats.size, isOrdinary: stats.isFile() }));
      if (!isOrdinary) throw new Error('it is no file');
      await file.chmod(0o600);
      const text = size > MAX_BYTES ? '' : await file.readFile('utf8');
      const lines = text.split('\n').filter(mayKeep);
      const kept = lines.slice(-MAX_LINES);
      if (lines.length > 2 * MAX_LINES || size > MAX_BYTES) {
        await file.truncate(0);
        await file.appendFile(kept.map((line) => `${line}\n`).join(''));
      }
      return new History(file, kept);
    } catch (cause) {
      await file?.close();
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new SystemFailure(`the history ${path} cannot be kept: ${why}`, { cause });
    }
  }

  /** Kept, unless it may not be. */
  async add(line: string): Promise<void> {
    if (mayKeep(line)) await this.#file?.appendFile(`${line}\n`);
  }

  async close(): Promise<void> {
    await this.#file?.close();
  }
}
