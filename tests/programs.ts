// Programs of the documentation: run as their reader would run them, from the sources, in a process of their own.

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

export const ROOT: string = fileURLToPath(new URL('..', import.meta.url));

export interface Output {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ProgramOptions {
  /** Stand in the program's folder, by name. */
  readonly files?: Readonly<Record<string, string>>;
  /** Packages of others that are bundled with what they import, instead of being left to Node. */
  readonly bundled?: readonly string[];
  /** What is imported instead of a package, in the bundled ones too. */
  readonly instead?: Readonly<Record<string, string>>;
  /** Sees what will run. */
  readonly inspect?: (text: string) => void;
}

export async function runProgram(program: string, options: ProgramOptions = {}): Promise<Output> {
  const { files = {}, bundled = [], instead = {}, inspect } = options;
  const folder = mkdtempSync(join(ROOT, 'node_modules/.program-')); // so that packages are found
  try {
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
    const file = join(folder, 'program.mjs');
    // Node 20 has no WebSocket, which stompjs asks its users to provide.
    writeFileSync(file, `import { WebSocket } from 'ws';\nglobalThis.WebSocket ??= WebSocket;\n${program}`);
    await build({
      entryPoints: [file],
      outfile: file,
      allowOverwrite: true,
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node20', // `await using` is younger
      plugins: [
        {
          name: 'the sources of ours, the packages of others',
          setup(build) {
            build.onResolve({ filter: /^[^./]/ }, ({ path, kind }) => {
              if (bundled.includes(path)) return undefined;
              const wanted = instead[path] ?? path;
              const [, name, door = 'index'] = /^@stompbox\/([a-z]+)(?:\/([a-z-]+))?$/.exec(wanted) ?? [];
              if (name !== undefined) return { path: join(ROOT, 'packages', name, `src/${door}.ts`) };
              return kind === 'entry-point' ? undefined : { path, external: true };
            });
          },
        },
      ],
    });
    inspect?.(readFileSync(file, 'utf8'));
    return await runFile(file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Runs a file in its own folder. */
export function runFile(file: string): Promise<Output> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [file], { timeout: 20_000, cwd: join(file, '..') });
    const out = { stdout: '', stderr: '' };
    child.stdout.on('data', (text) => {
      out.stdout += text;
    });
    child.stderr.on('data', (text) => {
      out.stderr += text;
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, ...out }));
  });
}
