// Runs a TypeScript file of this folder as a process of its own.

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

export interface Program {
  readonly file: string;
  start(...args: readonly (string | number)[]): ChildProcessByStdio<null, Readable, Readable>;
  remove(): void;
}

export async function program(name: string): Promise<Program> {
  const here = fileURLToPath(new URL('.', import.meta.url));
  const packages = join(here, '../../..');
  const file = join(here, '.cache', `${name}-${process.pid}.mjs`); // below node_modules, so that lmdb is found
  await build({
    entryPoints: [join(here, `${name}.ts`)],
    outfile: file,
    bundle: true,
    platform: 'node',
    format: 'esm',
    external: ['lmdb'],
    alias: { '@stompbox/protocol': join(packages, 'protocol/src/index.ts') },
    logLevel: 'error',
  });
  return {
    file,
    start: (...args) => spawn(process.execPath, [file, ...args.map(String)], { stdio: ['ignore', 'pipe', 'pipe'] }),
    remove: () => rmSync(file),
  };
}
