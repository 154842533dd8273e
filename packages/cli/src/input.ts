// Standard input and files -> lines and bodies, within bounds.

import { createReadStream } from 'node:fs';
import { SystemFailure, WrongUsage } from './exit-codes.ts';
import type { House } from './house.ts';
import { firstLine } from './prompt.ts';
import type { Source } from './world.ts';

/** What is kept whole in memory, and the longest line. */
const MAX_BYTES = 64 * 1024 * 1024;
const MAX_LINE_BYTES = 16 * 1024 * 1024;
const MAX_SECRET_BYTES = 8 * 1024;

function octets(chunk: string | Uint8Array): Uint8Array {
  return typeof chunk === 'string' ? new TextEncoder().encode(chunk) : chunk;
}

/** Chunks of a source, until it ends or the signal fires. */
async function* chunks(source: Source, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
  const stop = (): void => {
    if ('destroy' in source && typeof source.destroy === 'function') source.destroy(signal.reason);
  };
  signal.throwIfAborted();
  signal.addEventListener('abort', stop, { once: true });
  try {
    for await (const chunk of source) yield octets(chunk);
    signal.throwIfAborted();
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** All of it. Rejects with WrongUsage where that is too much for a body in memory. */
export async function readAll(source: Source, signal: AbortSignal, maxBytes: number = MAX_BYTES): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of chunks(source, signal)) {
    size += part.length;
    if (size > maxBytes) throw new WrongUsage(`standard input holds more than ${maxBytes} bytes; send it with --file`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** The first line of standard input: a secret that a script pipes in. */
export async function readLine({ world, stop }: House): Promise<string> {
  const line = firstLine(new TextDecoder().decode(await readAll(world.stdin, stop, MAX_SECRET_BYTES)));
  if (line === '') throw new WrongUsage('standard input holds no passcode in its first line');
  return line;
}

export interface Line {
  /** Counted from 1. */
  readonly number: number;
  readonly bytes: Uint8Array;
  /** Where it ends in the source, its end included: in octets from the beginning. */
  readonly end: number;
  /** False for a last one without its end. */
  readonly whole: boolean;
}

/** Lines without their ends, LF or CR LF; the last one needs none. */
export async function* lines(
  source: Source,
  signal: AbortSignal,
  maxBytes: number = MAX_LINE_BYTES,
): AsyncGenerator<Line, void, undefined> {
  let number = 0;
  let end = 0;
  let rest: Uint8Array[] = [];
  let size = 0;
  const line = (last: Uint8Array, whole: boolean): Line => {
    const bytes = rest.length === 0 ? last : Buffer.concat([...rest, last]);
    rest = [];
    size = 0;
    number++;
    end += bytes.length + (whole ? 1 : 0);
    return { number, bytes: bytes.at(-1) === 0x0d ? bytes.subarray(0, -1) : bytes, end, whole };
  };
  for await (const chunk of chunks(source, signal)) {
    let from = 0;
    for (let at = chunk.indexOf(0x0a); at !== -1; at = chunk.indexOf(0x0a, from)) {
      yield line(chunk.subarray(from, at), true);
      from = at + 1;
    }
    if (from === chunk.length) continue;
    rest.push(chunk.subarray(from));
    size += chunk.length - from;
    if (size > maxBytes) throw new WrongUsage(`line ${number + 1} is longer than ${maxBytes} bytes`);
  }
  if (rest.length > 0) yield line(new Uint8Array(0), false);
}

/** A file as a source of chunks, from an octet on. Rejects with SystemFailure where it cannot be opened. */
export async function openFile(path: string, start: number = 0): Promise<Source> {
  const stream = createReadStream(path, { start });
  await new Promise<void>((resolve, reject) => {
    stream.once('open', () => resolve());
    stream.once('error', (cause) => reject(new SystemFailure(`${path} cannot be read: ${cause.message}`, { cause })));
  });
  return stream;
}

/** Text where it is UTF-8, octets where it is not. */
export function textOrOctets(bytes: Uint8Array): string | Uint8Array {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) return bytes; // what `fatal` throws
    throw error;
  }
}
