// A report as text for people, as JUnit for a build, and as Markdown for a page. (As JSON it is what it is.)

import { printable } from '../escape.ts';
import { OUTCOMES, type Outcome, type Report, type ReportRow } from './run.ts';

type Paint = (text: string) => string;

export interface Paints {
  readonly good: Paint;
  readonly bad: Paint;
  readonly dim: Paint;
  readonly bold: Paint;
}

const WORDS: Readonly<Record<Outcome, string>> = {
  pass: 'pass',
  fail: 'FAIL',
  differs: 'differs',
  untested: 'not tested',
};

/** One line a rule; those that were not tested only where `all`. The score comes last. */
export function* tableOf(report: Report, { good, bad, dim, bold }: Paints, all = false): Iterable<string> {
  const { broker, rows, left } = report;
  yield bold(`${printable(broker.server ?? 'A broker without a name')} at ${report.url}`);
  yield '';
  const paints: Readonly<Record<Outcome, Paint>> = { pass: good, fail: bad, differs: (text) => text, untested: dim };
  for (const { id, says, outcome, detail } of rows) {
    if (outcome === 'untested' && !all) continue;
    yield `${id.padEnd(6)} ${paints[outcome](WORDS[outcome].padEnd(10))} ${says}`;
    if (detail !== undefined) yield dim(`${' '.repeat(18)}${printable(detail)}`);
  }
  yield '';
  yield bold(scoreOf(report));
  if (!all) yield dim('--all lists the rules that were not tested too, and why not.');
  if (left.length > 0) yield bad(`${left.length} queues could not be emptied: ${left.map(printable).join(', ')}`);
}

/** `166 pass, 0 fail, 0 differ as documented, 160 were not tested`. */
export function scoreOf({ score: { pass, fail, differs, untested } }: Report): string {
  return `${pass} pass, ${fail} fail, ${differs} differ as documented, ${untested} were not tested`;
}

/** As build servers read it: a suite of all, a case a rule. */
export function junitOf(report: Report): string {
  const { rows, score, durationMs, startedAt } = report;
  const name = xml(`STOMP conformance of ${report.broker.server ?? report.url}`);
  const counts = `tests="${rows.length}" failures="${score.fail}" skipped="${score.untested}" errors="0"`;
  const suite = `name="${name}" ${counts} time="${seconds(durationMs)}" timestamp="${startedAt.slice(0, 19)}"`;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites ${counts} time="${seconds(durationMs)}">`,
    `  <testsuite ${suite}>`,
    ...rows.map(caseOf),
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}

function caseOf({ id, says, outcome, detail = '', durationMs }: ReportRow): string {
  const section = id.slice(0, 1);
  const head = `    <testcase classname="stomp.${section}" name="${xml(`${id} ${says}`)}" time="${seconds(durationMs)}"`;
  switch (outcome) {
    case 'fail':
      return `${head}><failure message="${xml(detail)}"/></testcase>`;
    case 'untested':
      return `${head}><skipped message="${xml(detail)}"/></testcase>`;
    case 'differs':
      return `${head}><system-out>${xml(`differs, as documented: ${detail}`)}</system-out></testcase>`;
    case 'pass':
      return `${head}/>`;
  }
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(3);
}

/** XML 1.0 has no control characters, not even escaped ones. */
function xml(text: string): string {
  return printable(text)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

/** What one broker scored, beside others: a row a rule that was asked of any of them, then what stands behind. */
export function markdownOf(columns: readonly { readonly title: string; readonly report: Report }[]): string {
  const [first] = columns;
  if (first === undefined) return '';
  const of = (report: Report, id: string): ReportRow | undefined => report.rows.find((row) => row.id === id);
  const lines = [
    `| | ${columns.map(({ title }) => title).join(' | ')} |`,
    `|---|${columns.map(() => '---|').join('')}`,
    ...OUTCOMES.map(
      (outcome) => `| ${WORDS[outcome]} | ${columns.map(({ report }) => report.score[outcome]).join(' | ')} |`,
    ),
    '',
    `| id | rule | ${columns.map(({ title }) => title).join(' | ')} |`,
    `|---|---|${columns.map(() => '---|').join('')}`,
  ];
  const asked = first.report.rows.filter(({ id }) =>
    columns.some(({ report }) => of(report, id)?.outcome !== 'untested'),
  );
  for (const { id, says } of asked) {
    const cells = columns.map(({ report }) => WORDS[of(report, id)?.outcome ?? 'untested']);
    lines.push(`| ${id} | ${cell(says)} | ${cells.join(' | ')} |`);
  }
  for (const { title, report } of columns) {
    const told = report.rows.filter(({ outcome }) => outcome === 'fail' || outcome === 'differs');
    lines.push('', `### ${title}: what it does instead`, '');
    if (told.length === 0) lines.push('Nothing.');
    for (const { id, outcome, detail } of told) lines.push(`- ${id} ${WORDS[outcome]}: ${cell(detail ?? '')}`);
  }
  const never = first.report.rows.filter((row) => !asked.includes(row));
  lines.push('', '### Asked of none of them', '');
  const reasons = new Map<string, string[]>();
  for (const { id, detail = '' } of never) reasons.set(detail, [...(reasons.get(detail) ?? []), id]);
  for (const [reason, ids] of reasons) lines.push(`- ${cell(reason)}: ${ids.join(' ')}`);
  return `${lines.join('\n')}\n`;
}

function cell(text: string): string {
  return printable(text)
    .replaceAll('|', '\\|')
    .replaceAll('<', '&lt;')
    .replaceAll('*', '\\*')
    .replaceAll('__', '\\_\\_');
}
