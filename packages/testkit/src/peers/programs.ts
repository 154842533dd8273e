// Finding and running other people's programs.

import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

const RUN_DEADLINE_MS = 30_000;
const PRINT_VERSION = 'import stomp; print(".".join(map(str, stomp.__version__)))';

/** A program on this machine. */
export interface Program {
  readonly path: string;
  readonly version: string;
}

/** A program that cannot run on this machine, and what would help. */
export interface Skipped {
  readonly skipped: string;
}

export function isSkipped(found: object): found is Skipped {
  return 'skipped' in found;
}

/** The full path of the first of these programs that is installed; a name with a slash is tried as it is. */
export async function which(...names: readonly string[]): Promise<string | undefined> {
  const folders = (process.env.PATH ?? '').split(delimiter);
  for (const name of names) {
    for (const path of name.includes('/') ? [name] : folders.map((folder) => join(folder, name))) {
      const found = await access(path, constants.X_OK).then(
        () => true,
        () => false,
      );
      if (found) return path;
    }
  }
  return undefined;
}

/** What the program printed. Rejects with what it complained of. */
export function run(command: string, args: readonly string[], deadlineMs: number = RUN_DEADLINE_MS): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(command, args, { timeout: deadlineMs }, (cause, stdout, stderr) => {
      if (cause) reject(new Error(`${command} ${args[0] ?? ''} failed: ${stderr.trim() || cause.message}`, { cause }));
      else resolve(stdout);
    });
  });
}

/** The Python that has stomp.py, to be called with `-c`, `-m stomp` or a script; `version` is that of stomp.py. */
export async function findStompPy(): Promise<Program | Skipped> {
  // The first python3 of PATH need not be Debian's, and only Debian's has Debian's stomp.py.
  for (const python of ['python3', '/usr/bin/python3']) {
    const path = await which(python);
    if (path === undefined) continue;
    const version = await run(path, ['-c', PRINT_VERSION]).catch(() => ''); // no stomp.py, or a Python too old for it
    if (version !== '') return { path, version: version.trim() };
  }
  return { skipped: 'stomp.py is not installed (apt-get install python3-stomp)' };
}

/** A Chromium that playwright-core can drive. */
export async function findChromium(): Promise<Program | Skipped> {
  const path = await which('chromium', 'chromium-browser', 'google-chrome');
  if (path === undefined) return { skipped: 'chromium is not installed (apt-get install chromium)' };
  const [version] = /[\d.]+/.exec(await run(path, ['--version'])) ?? [''];
  return { path, version };
}
