// What the README shows, runs: each of its programs, as it stands there, in a process of its own.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { transformSync } from 'esbuild';
import { expect, test } from 'vitest';
import { ROOT, runFile } from './programs.ts';

const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
const programs = [...readme.matchAll(/^## (.+)\n(?:(?!^## ).*\n)*?```js\n((?:(?!^```).*\n)*)```/gm)].map(
  ([, title = '', code = '']) => ({ title, code }),
);

const said: Record<string, string> = {
  'A client of any broker': 'shipping 7\n3\n',
  'A broker in a test': '7 application/json\n',
  'A broker that keeps its word': '2\n',
  'One plain connection': '/topic/prices.eur 1.07\n',
  'The protocol alone': 'SEND a:b hello\n',
};

test('the README shows a program for each of its chapters that has one', () => {
  expect(programs.map(({ title }) => title)).toEqual(Object.keys(said));
});

for (const { title, code } of programs) {
  test(`the program under "${title}" runs, says what it should, and ends by itself`, async () => {
    // Inside the checkout, so that the packages are found as a reader's would be.
    const folder = mkdtempSync(join(ROOT, 'node_modules/.readme-'));
    try {
      const file = join(folder, 'program.mjs');
      writeFileSync(file, transformSync(code, { target: 'node20', format: 'esm' }).code); // `await using` is younger than Node 20
      expect(await runFile(file)).toEqual({ code: 0, stdout: said[title], stderr: '' });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}
