// A diagnosis as text.

import type { Paints } from '../conformance/render.ts';
import { printable } from '../escape.ts';
import type { Diagnosis, Level } from './finding.ts';

const MARKS: Readonly<Record<Level, string>> = { good: 'ok', note: 'note', warning: 'WARN', problem: 'BAD' };

export function* textOf(
  { url, server, findings, left }: Diagnosis,
  { good, bad, dim, bold }: Paints,
): Iterable<string> {
  yield bold(`${server === undefined ? '' : `${printable(server)} at `}${url}`);
  yield '';
  const paints: Readonly<Record<Level, (text: string) => string>> = {
    good,
    note: (text) => text,
    warning: bad,
    problem: bad,
  };
  for (const { topic, level, saw, advice } of findings) {
    yield `${paints[level](MARKS[level].padEnd(5))} ${topic.padEnd(12)} ${printable(saw)}`;
    yield dim(`${' '.repeat(19)}${printable(advice)}`);
  }
  const count = (level: Level): number => findings.filter((finding) => finding.level === level).length;
  yield '';
  yield bold(`${counted(count('problem'), 'problem')}, ${counted(count('warning'), 'warning')}`);
  if (left.length > 0) yield bad(`${left.length} queues could not be emptied: ${left.map(printable).join(', ')}`);
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
