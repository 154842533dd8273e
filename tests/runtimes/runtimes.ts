// The runtimes, as npm has them, kept in node_modules/.cache: what is there once is not fetched again.

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Program, Skipped } from 'testkit/peers';

const run = promisify(execFile);
const CACHE = fileURLToPath(new URL('../../node_modules/.cache/stompbox-runtimes/', import.meta.url));
const INSTALL_MS = 120_000;

export interface Runtime extends Program {
  /** Come before the script. */
  readonly args: readonly string[];
}

const RUNTIMES = [
  { name: 'Node 20', what: 'node@20.20.0', command: 'node', args: [] },
  { name: 'Node 22', what: 'node@22.23.3', command: 'node', args: [] },
  { name: 'Node 24', what: 'node@24.21.0', command: 'node', args: [] },
  { name: 'Deno', what: 'deno@2.9.6', command: 'deno', args: ['run', '--allow-all', '--node-modules-dir=manual'] },
  { name: 'Bun', what: 'bun@1.4.5', command: 'bun', args: ['run'] },
] as const;

/** By name. The Node that runs us is taken as it is; with SKIP_PEERS in the environment nothing else is fetched. */
export async function findRuntimes(): Promise<ReadonlyMap<string, Runtime | Skipped>> {
  const found = new Map<string, Runtime | Skipped>();
  await mkdir(CACHE, { recursive: true });
  for (const runtime of RUNTIMES) found.set(runtime.name, await find(runtime));
  return found;
}

async function find({ name, what, command, args }: (typeof RUNTIMES)[number]): Promise<Runtime | Skipped> {
  const [major = ''] = process.versions.node.split('.');
  if (name === `Node ${major}`) return { path: process.execPath, version: process.versions.node, args };
  if (process.env.SKIP_PEERS) return { skipped: 'SKIP_PEERS is set' };
  const home = join(CACHE, what.replace('@', '-'));
  const path = join(home, 'node_modules', '.bin', command);
  try {
    if (!existsSync(path)) await install(what, home);
    const { stdout } = await run(path, ['--version']);
    const [version = ''] = /\d+\.\d+\.\d+/.exec(stdout) ?? [];
    return { path, version, args };
  } catch (error) {
    return { skipped: `${what} cannot be installed from npm (${(error as Error).message.split('\n', 1)})` };
  }
}

/** Next to its place first, so that nobody finds half of it. */
async function install(what: string, home: string): Promise<void> {
  const fresh = await mkdtemp(join(CACHE, 'new-'));
  try {
    await writeFile(join(fresh, 'package.json'), '{"private":true}');
    const args = ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error', what];
    await run('npm', args, { cwd: fresh, timeout: INSTALL_MS });
    await rename(fresh, home);
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}
