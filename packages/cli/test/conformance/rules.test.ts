// The list of rules, the checks and what is documented of brokers fit together.

import { expect, test } from 'vitest';
import { CHECKS } from '../../src/conformance/checks.ts';
import { documentedRules } from '../../src/conformance/documented.ts';
import { RULES } from '../../src/conformance/rules.ts';

/** The numbers of the matrix by section: sections 1 to 5 and 8 have these and no others. */
const MATRIX: Readonly<Record<string, string>> = {
  C: '1-17 20-45 50-68 70-73',
  N: '1-22',
  H: '1-12',
  E: '1-10',
  F: '1-12',
  A: '1-13',
  T: '1-10',
  R: '1-9',
  S: '1-15',
  W: '1-17',
  M: '1-56 60-86 90-98 100-111 120-150 160-164',
};

function idsOf(section: string, ranges: string): string[] {
  return ranges.split(' ').flatMap((range) => {
    const [from = 0, to = 0] = range.split('-').map(Number);
    return Array.from({ length: to - from + 1 }, (_, n) => `${section}-${String(from + n).padStart(2, '0')}`);
  });
}

test('every rule of sections 1 to 5 and 8 is in the list, once, and no other', () => {
  const wanted = Object.entries(MATRIX).flatMap(([section, ranges]) => idsOf(section, ranges));
  expect(RULES.map(({ id }) => id).sort()).toEqual(wanted.sort());
});

test('every rule is either asked by a check or says why it cannot be', () => {
  const asked = new Set<string>(CHECKS.flatMap(({ ids }) => ids));
  expect(RULES.filter(({ id, beyond }) => asked.has(id) === (beyond !== undefined)).map(({ id }) => id)).toEqual([]);
});

test('every check asks rules that are in the list, in versions that exist', () => {
  const known = new Set<string>(RULES.map(({ id }) => id));
  expect(CHECKS.flatMap(({ ids }) => ids).filter((id) => !known.has(id))).toEqual([]);
  for (const { versions = ['1.2'] } of CHECKS) expect(versions.length).toBeGreaterThan(0);
});

test('what is documented of a broker stands under the first rule of a check', () => {
  const first = new Set<string>(CHECKS.map(({ ids }) => ids[0]));
  expect(documentedRules().filter((id) => !first.has(id))).toEqual([]);
});
