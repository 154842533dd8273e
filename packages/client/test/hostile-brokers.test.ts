// Section 8.6 of the conformance matrix is covered: each row is in the name of a test here, or in this table with a reason.

import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const ELSEWHERE: Readonly<Record<string, string>> = {
  'M-145': 'a plain connection never connects again; back-off belongs to the managed client',
  'M-146': 'certificates are verified by the transport, whose tests (tls.test.ts) refuse bad ones',
  'M-147': 'the addresses of a name are tried in turn by the transport’s dialler',
};

test('every row M-120 to M-150 is tested, or has a reason not to be', () => {
  const folder = new URL('.', import.meta.url);
  const sources = readdirSync(folder)
    .filter((name) => name !== 'hostile-brokers.test.ts')
    .map((name) => readFileSync(new URL(name, folder), 'utf8'));
  const cited = new Set(sources.join('\n').match(/M-1\d\d/g));
  const rows = Array.from({ length: 31 }, (_, i) => `M-${120 + i}`);
  expect(rows.filter((row) => !cited.has(row) && ELSEWHERE[row] === undefined)).toEqual([]);
  expect(Object.keys(ELSEWHERE).filter((row) => cited.has(row))).toEqual([]);
});
