// A report in its forms.

import { expect, test } from 'vitest';
import { junitOf, markdownOf, scoreOf, tableOf } from '../../src/conformance/render.ts';
import type { Report } from '../../src/conformance/run.ts';

const PLAIN = {
  good: (text: string) => text,
  bad: (text: string) => text,
  dim: (text: string) => text,
  bold: (text: string) => text,
};

const REPORT: Report = {
  url: 'stomp://broker:61613',
  broker: { name: 'generic', server: 'Odd/1 \u001b[31m', versions: ['1.2'] },
  hostile: false,
  startedAt: '2026-11-20T12:00:00.000Z',
  durationMs: 1_234,
  score: { pass: 1, fail: 1, differs: 1, untested: 1 },
  rows: [
    { id: 'C-01', says: 'a frame is a frame', outcome: 'pass', versions: ['1.2'], durationMs: 10 },
    {
      id: 'C-21',
      says: 'a < b',
      outcome: 'fail',
      detail: 'said "no" & \u001b[2J',
      versions: ['1.1', '1.2'],
      durationMs: 20,
    },
    { id: 'C-16', says: 'no EOL', outcome: 'differs', detail: 'an EOL (C-16)', versions: ['1.2'], durationMs: 5 },
    { id: 'N-03', says: 'CONNECT', outcome: 'untested', detail: 'a rule for clients', versions: [], durationMs: 0 },
  ],
  left: [],
};

test('a table has a line for each rule that was asked, and its reason; all of them if wanted', () => {
  const short = [...tableOf(REPORT, PLAIN)].join('\n');
  expect(short).toContain('C-21   FAIL       a < b');
  expect(short).toContain('C-16   differs');
  expect(short).not.toContain('N-03');
  expect([...tableOf(REPORT, PLAIN, true)].join('\n')).toContain('a rule for clients');
  expect(short).toContain(scoreOf(REPORT));
});

test('what a broker says cannot speak to the terminal (M-160)', () => {
  expect([...tableOf(REPORT, PLAIN, true)].join('\n')).not.toContain('\u001b');
});

test('JUnit has a case for each rule: failed, skipped or passed, and nothing in it breaks the XML', () => {
  const xml = junitOf(REPORT);
  expect(xml).toContain('<testsuites tests="4" failures="1" skipped="1" errors="0" time="1.234">');
  expect(xml.match(/<testcase /g)).toHaveLength(4);
  expect(xml).toContain('<failure message="said &quot;no&quot; &amp; \\e[2J"/>');
  expect(xml).toContain('name="C-21 a &lt; b"');
  expect(xml).toContain('<skipped message="a rule for clients"/>');
  expect(xml).toContain('differs, as documented: an EOL (C-16)');
});

test('a page shows brokers beside each other, what they do instead, and what nobody was asked', () => {
  const page = markdownOf([
    { title: 'One', report: REPORT },
    { title: 'Two', report: { ...REPORT, score: { pass: 4, fail: 0, differs: 0, untested: 0 } } },
  ]);
  expect(page).toContain('| | One | Two |');
  expect(page).toContain('| pass | 1 | 4 |');
  expect(page).toContain('| C-21 | a &lt; b | FAIL | FAIL |');
  expect(page).toContain('### One: what it does instead');
  expect(page).toContain('- a rule for clients: N-03');
});
