// npm test: every check and every test, on a fresh clone too. Arguments go to vitest, and leave out the slow checks.
//
// The last line is always "N passed, N failed, N skipped"; each check counts as a test.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { check } from './check.mjs';
import { ensure, Failure, root, tool } from './ensure.mjs';

const args = process.argv.slice(2);
const total = { passed: 0, failed: 0, skipped: 0 };

process.on('SIGINT', () => {}); // the terminal tells vitest as well; we stay for the summary
try {
  ensure();
  add(check({ slow: args.length === 0 }));
  add(await vitest());
} catch (error) {
  if (!(error instanceof Failure)) throw error;
  console.error(error.message);
  add({ failed: 1 });
}
console.log(`npm test took ${Math.round(process.uptime())} s`);
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
if (total.failed > 0) process.exitCode = 1;

function add(counts) {
  for (const [outcome, count] of Object.entries(counts)) total[outcome] += count;
}

async function vitest() {
  const folder = mkdtempSync(join(tmpdir(), 'stompbox-report-'));
  try {
    const report = join(folder, 'report.json');
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
    const child = spawn(process.execPath, [tool('vitest'), 'run', ...reporters, ...args], {
      cwd: root,
      stdio: 'inherit',
    });
    const [code] = await once(child, 'exit');
    return summary(read(report), code);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function read(report) {
  try {
    return JSON.parse(readFileSync(report, 'utf8')).testResults;
  } catch {
    return []; // vitest never got as far; its exit code tells
  }
}

function summary(files, code) {
  const tests = files.flatMap((file) => file.assertionResults);
  const passed = tests.filter((test) => test.status === 'passed').length;
  const unloaded = files.filter((file) => file.status === 'failed' && file.assertionResults.length === 0).length;
  const skipped = tests.filter((test) => !['passed', 'failed'].includes(test.status));
  let failed = tests.filter((test) => test.status === 'failed').length + unloaded;
  if (failed === 0 && code !== 0) {
    console.log(`vitest ended with exit code ${code} although no test failed: see above`);
    failed = 1;
  }
  sayWhySkipped(skipped);
  return { passed, failed, skipped: skipped.length };
}

/** Peers by name under their reason (tests/real-peers/peers.ts makes such names), then other tests by their full name. */
function sayWhySkipped(skipped) {
  const peers = new Map();
  for (const { title, fullName } of skipped) {
    const [, name, reason] = /^(.+) is skipped: (.+)$/.exec(title) ?? [];
    if (name === undefined) console.log(`skipped: ${fullName}`);
    else peers.set(reason, (peers.get(reason) ?? new Set()).add(name));
  }
  for (const [reason, names] of peers) console.log(`skipped peers: ${[...names].join(', ')}: ${reason}`);
}
