// The checks that run no code of ours: who imports whom, types, format, unused code, and what npm would publish.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensure, Failure, root, tool } from './ensure.mjs';

/** `slow` ones are left out when only some tests are asked for. */
const CHECKS = [
  { name: 'layers: imports follow the table', run: () => node('scripts/check-layers') },
  {
    name: 'types: tests and benchmarks compile',
    run: () => node(tool('typescript', 'tsc'), '-p', 'tsconfig.test.json'),
  },
  { name: 'biome: format and lint', run: () => node(tool('@biomejs/biome', 'biome'), 'check', '--error-on-warnings') },
  { name: 'knip: nothing is unused or undeclared', slow: true, run: () => node(tool('knip'), '--no-progress') },
  { name: 'packages: publint and attw accept what npm would publish', slow: true, run: packages },
];

/** Runs the checks, a line each, and what a failing one complains of. */
export function check({ slow }) {
  const result = { passed: 0, failed: 0 };
  for (const { name, run } of CHECKS.filter((each) => slow || !each.slow)) {
    const start = Date.now();
    const complaint = run();
    const seconds = ((Date.now() - start) / 1_000).toFixed(1);
    console.log(`${complaint === undefined ? 'ok  ' : 'FAIL'} ${name} (${seconds} s)`);
    if (complaint !== undefined) console.log(complaint.replace(/^/gm, '     '));
    result[complaint === undefined ? 'passed' : 'failed']++;
  }
  return result;
}

/** Runs a script with our own Node; what it printed when it failed. */
function node(script, ...args) {
  return complaintOf(process.execPath, [script, ...args]);
}

function complaintOf(command, args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: root, encoding: 'utf8' });
  if (status === 0) return undefined;
  return `${stdout}${stderr}${error?.message ?? ''}`.trim() || `exit code ${status}`;
}

function packages() {
  const folders = readdirSync(join(root, 'packages')).map((name) => `packages/${name}`);
  const published = folders.filter((folder) => !manifestOf(folder).private);
  const target = mkdtempSync(join(tmpdir(), 'stompbox-pack-'));
  try {
    const workspaces = published.flatMap((folder) => ['-w', folder]);
    const complaint = complaintOf('npm', ['pack', '--pack-destination', target, '--loglevel=error', ...workspaces]);
    if (complaint !== undefined) return complaint;
    const complaints = readdirSync(target).flatMap((name) => {
      const tarball = join(target, name);
      return [
        node(tool('publint'), 'run', tarball, '--strict'),
        node(tool('@arethetypeswrong/cli', 'attw'), tarball, '--profile', 'esm-only', '--no-color'),
      ].map((each) => each && `${name}: ${each}`);
    });
    return complaints.filter(Boolean).join('\n\n') || undefined;
  } finally {
    rmSync(target, { recursive: true });
  }
}

function manifestOf(folder) {
  return JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    ensure();
    if (check({ slow: true }).failed > 0) process.exitCode = 1;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
