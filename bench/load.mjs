// The load generator: load.cpp, compiled when it has changed.

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const SOURCE = fileURLToPath(new URL('load.cpp', import.meta.url));
const CACHE = fileURLToPath(new URL('.cache/', import.meta.url));

/** The path of the program, or `{ skipped: reason }`. */
export async function loadGenerator() {
  if (process.platform !== 'linux') return { skipped: 'the load generator uses epoll and needs Linux' };
  const version = createHash('sha256').update(readFileSync(SOURCE)).digest('hex').slice(0, 12);
  const path = `${CACHE}load-${version}`;
  if (existsSync(path)) return path;
  mkdirSync(CACHE, { recursive: true });
  const unfinished = `${path}.${process.pid}`;
  try {
    await run('g++', ['-std=c++17', '-O2', '-Wall', '-Wextra', '-o', unfinished, SOURCE]);
  } catch (error) {
    if (error.code === 'ENOENT') return { skipped: 'g++ is not installed (apt-get install g++)' };
    throw error;
  }
  renameSync(unfinished, path);
  return path;
}

/** One run: what the program printed. Rejects with what it complained of. */
export async function drive(path, options) {
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  try {
    const { stdout } = await run(path, args);
    return JSON.parse(stdout);
  } catch (error) {
    throw new Error(error.stderr?.trim() || error.message, { cause: error });
  }
}
