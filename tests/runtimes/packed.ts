// The client as npm would deliver it: packed, and unpacked into a node_modules of its own, with the suite beside it.

import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build } from 'esbuild';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PACKED = ['protocol', 'transport', 'client'];

export interface Installation {
  readonly folder: string;
  /** The program, which imports `@stompbox/client`. */
  readonly program: string;
  remove(): Promise<void>;
}

export async function installPacked(): Promise<Installation> {
  const folder = await mkdtemp(join(tmpdir(), 'stompbox-runtimes-'));
  const remove = () => rm(folder, { recursive: true, force: true });
  try {
    // What is packed is `dist`, which `npm test` has built, and a test by itself has not.
    if (!process.env.NOBUILD)
      await run('npm', ['exec', '--offline', '--', 'tsc', '-b', 'packages/client'], { cwd: ROOT });
    const modules = join(folder, 'node_modules');
    await mkdir(join(modules, '@stompbox'), { recursive: true });
    const workspaces = PACKED.flatMap((name) => ['-w', `packages/${name}`]);
    await run('npm', ['pack', '--pack-destination', folder, '--loglevel=error', ...workspaces], { cwd: ROOT });
    for (const file of (await readdir(folder)).filter((name) => name.endsWith('.tgz'))) {
      const [, name = ''] = /^stompbox-([a-z]+)-/.exec(file) ?? [];
      const target = join(modules, '@stompbox', name);
      await mkdir(target);
      await run('tar', ['-xzf', join(folder, file), '-C', target, '--strip-components=1']);
    }
    await cp(join(ROOT, 'node_modules', 'ws'), join(modules, 'ws'), { recursive: true });
    await writeFile(join(folder, 'package.json'), '{"private":true,"type":"module"}');
    const program = join(folder, 'program.js');
    await build({
      entryPoints: [join(ROOT, 'tests/runtimes/program.ts')],
      outfile: program,
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'es2022',
      packages: 'external',
      logLevel: 'error',
    });
    return { folder, program, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}
