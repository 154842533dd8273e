// Bodies -> files in one folder, under names that cannot leave it: what a sender calls a file is a wish (stomp.py takes it
// for an order).

import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Message } from '@stompbox/client';
import { SystemFailure } from './exit-codes.ts';

const MAX_CHARS = 100;
const MAX_TRIES = 10_000;
const RESERVED = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i; // Windows

/** The last part of whatever path it names, in letters that no file system and no terminal takes for more. */
export function safeName(wish: string): string {
  const last = wish.split(/[/\\]/).at(-1) ?? '';
  const plain = last
    .normalize('NFC')
    .replace(/[^\p{L}\p{N}._ -]/gu, '_')
    .replace(/^[. -]+/, '')
    .replace(/[. ]+$/, '');
  const short = [...plain]
    .slice(-MAX_CHARS)
    .join('')
    .replace(/^[. -]+/, ''); // the end says what kind it is
  if (short === '') return 'message';
  return RESERVED.test(short) ? `_${short}` : short;
}

/** Makes the folder. Rejects with SystemFailure. */
export async function makeFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true }).catch((cause: Error) => {
    throw new SystemFailure(`${folder} cannot be made: ${cause.message}`, { cause });
  });
}

/**
 * Writes the body to a file of its own, flushed to the disk; answers its path. No file is written over, and no link is
 * followed: a name that is taken gets a number. Rejects with SystemFailure.
 */
export async function saveBody(message: Message, folder: string): Promise<string> {
  const name = safeName(message.headers.get('filename') ?? message.id);
  const dot = name.lastIndexOf('.');
  const [stem, ending] = dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, ''];
  for (let nth = 1; nth <= MAX_TRIES; nth++) {
    const path = join(folder, nth === 1 ? name : `${stem}-${nth}${ending}`);
    if (await written(path, message.bytes)) return path;
  }
  throw new SystemFailure(`${folder} holds ${MAX_TRIES} files called ${name}`);
}

async function written(path: string, bytes: Uint8Array): Promise<boolean> {
  try {
    const file = await open(path, 'wx');
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    return true;
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'EEXIST') return false;
    throw new SystemFailure(`${path} cannot be written: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
}
