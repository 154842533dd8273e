// What the README shows, runs: each of its programs, as it stands there, in a process of its own.

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { transformSync } from 'esbuild';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const readme = readFileSync(join(root, 'README.md'), 'utf8');
const programs = [...readme.matchAll(/^## (.+)\n(?:(?!^## ).*\n)*?```js\n((?:(?!^```).*\n)*)```/gm)].map(
  ([, title = '', code = '']) => ({ title, code }),
);

const said: Record<string, string> = {
  'A broker in a test': '7 application/json\n',
  'A broker that keeps its word': '2\n',
  'A client of any broker': '/topic/prices.eur 1.07\n',
  'The protocol alone': 'SEND a:b hello\n',
};

test('the README shows a program for each of its chapters that has one', () => {
  expect(programs.map(({ title }) => title)).toEqual(Object.keys(said));
});

for (const { title, code } of programs) {
  test(`the program under "${title}" runs, says what it should, and ends by itself`, async () => {
    // Inside the checkout, so that the packages are found as a reader's would be.
    const folder = mkdtempSync(join(root, 'node_modules/.readme-'));
    try {
      const file = join(folder, 'program.mjs');
      writeFileSync(file, transformSync(code, { target: 'node20', format: 'esm' }).code); // `await using` is younger than Node 20
      expect(await run(file)).toEqual({ code: 0, stdout: said[title], stderr: '' });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}

function run(file: string): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [file], { timeout: 20_000, cwd: dirname(file) });
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
