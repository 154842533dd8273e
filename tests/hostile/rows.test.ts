// Every row of conformance 8.1 to 8.5 is tested here, through real sockets.

import { readdir, readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';

/** Rows that cannot be shown through a socket, and where they are shown instead. */
const ELSEWHERE: Readonly<Record<string, string>> = {};

const range = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => `M-${String(from + i).padStart(2, '0')}`);
const ROWS = [
  ...range(1, 39), // 8.1 codec
  ...range(40, 56), // 8.2 handshake
  ...range(60, 86), // 8.3 frames and state
  ...range(90, 98), // 8.4 resources
  ...range(100, 111), // 8.5 WebSocket
];

test('no row of conformance 8.1 to 8.5 is without a test', async () => {
  const tested = new Set<string>();
  for (const file of await readdir(import.meta.dirname)) {
    if (!file.endsWith('.test.ts') || file === 'rows.test.ts') continue;
    const text = await readFile(`${import.meta.dirname}/${file}`, 'utf8');
    // Where an id begins a text it is a row's `id`, or a test's name.
    for (const [, id] of text.matchAll(/['"`](M-\d+)\b/g)) tested.add(id ?? '');
  }
  expect(ROWS.filter((id) => !tested.has(id) && !(id in ELSEWHERE))).toEqual([]);
  expect(Object.keys(ELSEWHERE).filter((id) => tested.has(id))).toEqual([]);
});
