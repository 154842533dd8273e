// docs/pains.md keeps its word: each pain is in the title of a test, or said not to be ours.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const page = readFileSync(`${root}docs/pains.md`, 'utf8');
const [table = '', notOurs = ''] = page.split('## Not ours');
const ids = Array.from({ length: 40 }, (_, i) => `P${i + 1}`);

const rows = table
  .split('\n')
  .filter((line) => /^\| P\d/.test(line))
  .map((line) => {
    const [id = '', ...cells] = line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim());
    return { id, cells, files: [...(cells[2] ?? '').matchAll(/`([^`]+)`/g)].map(([, file = '']) => file) };
  });
const excused = [...notOurs.matchAll(/^- \*\*(P\d+)\*\*, (.+)/gm)].map(([, id = '', why = '']) => ({ id, why }));

/** The ids in the titles of a test file: `(P7)` at the end of one, or `P7: …`. */
function idsIn(text: string): Set<string> {
  const found = new Set<string>();
  for (const line of text.split('\n')) {
    if (!/^\s*(?:\}\s*)?(?:(?:test|describe)\b|['"`])/.test(line)) continue;
    for (const [, first, among = ''] of line.matchAll(/['"`](P\d+)(?::[^'"`]|['"`])|\(([^()]*\bP\d+\b[^()]*)\)/g)) {
      for (const id of first === undefined ? (among.match(/\bP\d+\b/g) ?? []) : [first]) found.add(id);
    }
  }
  return found;
}

const folders = ['tests', ...readdirSync(`${root}packages`).map((name) => `packages/${name}/test`)];
const titles = new Map(
  folders
    .flatMap((folder) => filesIn(folder).map((file) => `${folder}/${file}`))
    .filter((file) => file.endsWith('.test.ts') && file !== 'tests/pains.test.ts')
    .map((file) => [file, idsIn(readFileSync(`${root}${file}`, 'utf8'))]),
);

function filesIn(folder: string): string[] {
  return existsSync(`${root}${folder}`) ? readdirSync(`${root}${folder}`, { recursive: true, encoding: 'utf8' }) : [];
}

describe('docs/pains.md', () => {
  test('has a row or an excuse for each pain, in order, and no other', () => {
    const order = rows.map(({ id }) => Number(id.slice(1)));
    expect(order).toEqual([...order].sort((a, b) => a - b));
    expect(new Set([...rows, ...excused].map(({ id }) => id))).toEqual(new Set(ids));
    for (const { cells } of rows) expect(cells.map((cell) => cell !== '')).toEqual([true, true, true]);
  });

  test.each(ids)('%s is in the title of a test, or not ours', (id) => {
    const shown = [...titles.values()].some((found) => found.has(id));
    expect(shown || excused.some((one) => one.id === id)).toBe(true);
  });

  test.each(rows)('$id: the tests it names are there and carry its number', ({ id, files }) => {
    expect(files).not.toEqual([]);
    for (const file of files) expect([file, titles.get(file)?.has(id)]).toEqual([file, true]);
  });
});
