// Commands from a file or a pipe, a line each: it stops at the first that fails, and says which that was (M-164).

import { PartlyDone, WrongUsage } from '../exit-codes.ts';
import { lines } from '../input.ts';
import { Interrupted } from '../interrupt.ts';
import type { Source } from '../world.ts';

const MAX_LINE_BYTES = 16 * 1024 * 1024;

export interface Script {
  /** What it is called where a line of it fails. */
  readonly name: string;
  readonly source: Source;
  readonly signal: AbortSignal;
}

/** Rejects with PartlyDone that names the line and holds the error as its cause; with the signal's reason when it fires. */
export async function runScript(
  { name, source, signal }: Script,
  execute: (line: string) => Promise<'quit' | undefined>,
): Promise<'quit' | undefined> {
  for await (const { number, bytes } of lines(source, signal, MAX_LINE_BYTES)) {
    try {
      signal.throwIfAborted();
      if ((await execute(textOf(bytes))) === 'quit') return 'quit';
    } catch (error) {
      if (error instanceof Interrupted) throw error;
      const why = error instanceof Error ? error.message : String(error);
      throw new PartlyDone(`${name}, line ${number}: ${why}`, { cause: error });
    }
  }
  return undefined;
}

function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new WrongUsage('the line is not UTF-8', { cause });
  }
}
