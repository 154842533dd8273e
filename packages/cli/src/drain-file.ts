// The file that `drain` writes and `replay` reads: a line of JSON for each message, headers in their order, octets exact.
//
//   {"stompbox":"drained","version":1,"from":"/queue/orders"}
//   {"headers":[["destination","/queue/orders"],["message-id","7"]],"body":"text, where it is UTF-8"}
//   {"headers":[["destination","/queue/orders"],["message-id","8"]],"base64":"gIGC"}
//
// A line counts once its end is there: what a crash has torn is cut off when the file is continued.

import { type FileHandle, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import type { Message } from '@stompbox/client';
import type { Original } from './copying.ts';
import { originalOf } from './copying.ts';
import { json } from './escape.ts';
import { SystemFailure, WrongUsage } from './exit-codes.ts';
import { type Line, lines, openFile, textOrOctets } from './input.ts';

const VERSION = 1;
const MAX_LINE_BYTES = 512 * 1024 * 1024;

function fail(path: string, what: string): (cause: unknown) => never {
  return (cause) => {
    throw new SystemFailure(`${path} cannot be ${what}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  };
}

function parsed(line: Line): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(line.bytes));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return undefined; // no JSON, no UTF-8
    throw error;
  }
}

/** Whose queue it holds. Throws WrongUsage for another file. */
function readHead(line: Line | undefined, path: string): string {
  const head = line?.whole ? parsed(line) : undefined;
  if (typeof head === 'object' && head !== null && 'stompbox' in head && head.stompbox === 'drained') {
    const { version, from } = head as { readonly version?: unknown; readonly from?: unknown };
    if (version === VERSION && typeof from === 'string') return from;
    throw new WrongUsage(`${path} was written by another version of stompbox`);
  }
  throw new WrongUsage(`${path} was not written by stompbox drain`);
}

// ------------------------------------------------------------------------------------------------------------- writing

export class DrainFile {
  readonly #file: FileHandle;
  readonly #path: string;
  /** Messages that were there before. */
  readonly before: number;

  private constructor(file: FileHandle, path: string, before: number) {
    this.#file = file;
    this.#path = path;
    this.before = before;
  }

  /** Makes it, or continues the one that is there. Rejects with WrongUsage where that holds something else. */
  static async open(path: string, from: string, signal: AbortSignal): Promise<DrainFile> {
    const made = await open(path, 'ax').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'EEXIST') return undefined;
      return fail(path, 'written')(error);
    });
    if (made !== undefined) {
      await made.appendFile(`${json({ stompbox: 'drained', version: VERSION, from })}\n`);
      return new DrainFile(made, path, 0);
    }
    let before = -1; // the head
    let end = 0;
    for await (const line of lines(await openFile(path), signal, MAX_LINE_BYTES)) {
      if (before === -1 && readHead(line, path) !== from) {
        throw new WrongUsage(`${path} holds messages of another queue; choose another file`);
      }
      if (!line.whole) break;
      before++;
      end = line.end;
    }
    if (before === -1) throw new WrongUsage(`${path} was not written by stompbox drain`);
    const file = await open(path, 'r+').catch(fail(path, 'written'));
    await file.truncate(end);
    await file.close();
    return new DrainFile(await open(path, 'a'), path, before);
  }

  /** Resolves when they are on the disk. Rejects with SystemFailure. */
  async append(messages: readonly Message[]): Promise<void> {
    const text = messages.map((message) => `${lineOf(message)}\n`).join('');
    try {
      await this.#file.appendFile(text);
      await this.#file.datasync();
    } catch (cause) {
      fail(this.#path, 'written')(cause);
    }
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

function lineOf(message: Message): string {
  const { headers, bytes } = originalOf(message);
  const body = textOrOctets(bytes);
  return json(typeof body === 'string' ? { headers, body } : { headers, base64: Buffer.from(body).toString('base64') });
}

// ------------------------------------------------------------------------------------------------------------- reading

/** One message of the file. */
export interface Stored extends Original {
  /** Counted from 1; the head is line 1. */
  readonly line: number;
  /** Where the next line begins. */
  readonly end: number;
}

/** Its messages behind an octet that `end` has named. Throws WrongUsage at the first line that holds none. */
export async function* storedMessages(
  path: string,
  start: { readonly end: number; readonly messages: number },
  signal: AbortSignal,
): AsyncGenerator<Stored, void, undefined> {
  for await (const line of lines(await openFile(path), signal, MAX_LINE_BYTES)) {
    readHead(line, path);
    if (start.end === 0) start = { end: line.end, messages: 0 };
    break;
  }
  if (start.end === 0) throw new WrongUsage(`${path} was not written by stompbox drain`);
  for await (const line of lines(await openFile(path, start.end), signal, MAX_LINE_BYTES)) {
    const number = line.number + start.messages + 1;
    const message = line.whole ? originalIn(parsed(line)) : undefined;
    if (message === undefined) throw new WrongUsage(`line ${number} of ${path} holds no message`);
    yield { ...message, line: number, end: start.end + line.end };
  }
}

function originalIn(value: unknown): Original | undefined {
  if (typeof value !== 'object' || value === null || !('headers' in value) || !Array.isArray(value.headers))
    return undefined;
  const headers: (readonly [string, string])[] = [];
  for (const pair of value.headers as readonly unknown[]) {
    if (!Array.isArray(pair) || typeof pair[0] !== 'string' || typeof pair[1] !== 'string') return undefined;
    headers.push([pair[0], pair[1]]);
  }
  if ('body' in value && typeof value.body === 'string')
    return { headers, bytes: new TextEncoder().encode(value.body) };
  if ('base64' in value && typeof value.base64 === 'string')
    return { headers, bytes: Buffer.from(value.base64, 'base64') };
  return undefined;
}

// ------------------------------------------------------------------------------------------------------------ how far

/** How far a replay has come: all before `end` is confirmed. */
export interface Replayed {
  readonly end: number;
  readonly messages: number;
}

const NOTHING: Replayed = { end: 0, messages: 0 };

function notePath(path: string): string {
  return `${path}.replayed`;
}

export async function readReplayed(path: string): Promise<Replayed> {
  const note = notePath(path);
  const text = await readFile(note, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    return fail(note, 'read')(error);
  });
  if (text === undefined) return NOTHING;
  const [, end, messages] = /^\{"end":(\d{1,15}),"messages":(\d{1,15})\}\n$/.exec(text) ?? [];
  if (end === undefined) throw new WrongUsage(`${note} does not say how far the replay has come; --again starts over`);
  return { end: Number(end), messages: Number(messages) };
}

/** As a whole or not at all. */
export async function noteReplayed(path: string, { end, messages }: Replayed): Promise<void> {
  const note = notePath(path);
  try {
    await writeFile(`${note}.new`, `${JSON.stringify({ end, messages })}\n`, { flush: true });
    await rename(`${note}.new`, note);
  } catch (cause) {
    fail(note, 'written')(cause);
  }
}

export function forgetReplayed(path: string): Promise<void> {
  return rm(notePath(path), { force: true });
}
