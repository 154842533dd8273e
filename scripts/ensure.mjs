// Makes a fresh clone ready: installs and builds what is missing, and says nothing when nothing is.

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

const OLDEST_NODE = [20, 19];

/** A failure whose message is all there is to say: print it without a stack. */
export class Failure extends Error {}

export function ensure() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])) {
    throw new Failure(`Stompbox needs Node ${OLDEST_NODE.join('.')} or later; this is ${process.version}.`);
  }
  if (changed('package-lock.json') > changed('node_modules/.package-lock.json')) {
    // Not `npm ci`: it refuses a lock file without the binaries for other platforms, which not every registry has.
    const args = ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'];
    step('installing packages', 'npm', args, 'is the registry reachable?');
  }
  if (isStale()) step('building', process.execPath, [tool('typescript', 'tsc'), '-b'], 'fix the errors above');
}

/** The script behind a command that a package brings; runs with our own Node on every system. */
export function tool(name, command = name) {
  const folder = join(root, 'node_modules', name);
  const { bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  return join(folder, typeof bin === 'string' ? bin : bin[command]);
}

/** Some source is newer than what was built from its package. */
function isStale() {
  return readdirSync(join(root, 'packages')).some((name) => {
    const folder = `packages/${name}`;
    if (!existsSync(join(root, folder, 'tsconfig.json'))) return false;
    const sources = readdirSync(join(root, folder, 'src'), { recursive: true }).map((file) => `${folder}/src/${file}`);
    const newest = Math.max(...['tsconfig.base.json', `${folder}/tsconfig.json`, ...sources].map(changed));
    return newest > changed(`${folder}/dist/.tsbuildinfo`);
  });
}

/** When a file was last written; 0 when there is none. */
function changed(path) {
  return statSync(join(root, path), { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function step(what, command, args, advice) {
  process.stderr.write(`stompbox: ${what} …\n`);
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0)
    throw new Failure(`stompbox: ${what} failed (${error?.message ?? `exit code ${status}`}): ${advice}`);
}
