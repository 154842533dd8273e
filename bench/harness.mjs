// What every benchmark here shares: rounds that interleave the contestants, medians, ratios, tables, and doubts.
//
// The machines these run on are noisy and only ratios travel. So nobody runs alone for long: every round gives each
// contestant a short turn, one after the other, and a ratio is the median of the ratios within the rounds.

import { availableParallelism, cpus, loadavg } from 'node:os';

/** A median whose rounds lie further apart than this, as a part of it, is marked in the tables. */
const NOISY = 0.3;

/**
 * Gives each contestant a turn per round; the first turn goes round as well.
 *
 *   contestants   names
 *   turn          name => number, or an object of numbers
 *
 * Answers the list of turns by name.
 */
export async function interleave(contestants, rounds, turn) {
  const turns = new Map(contestants.map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (let k = 0; k < contestants.length; k++) {
      const name = contestants[(k + round) % contestants.length];
      turns.get(name).push(await turn(name));
    }
  }
  return turns;
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** How often the rounds of `ours` hold those of `theirs`, round by round; undefined where one of them did not run. */
export function ratio(ours, theirs) {
  if (!ours?.length || !theirs?.length) return undefined;
  return median(ours.map((value, round) => value / theirs[round]));
}

/** The distance between the best and the worst round, as a part of the median. */
export function spread(values) {
  return (Math.max(...values) - Math.min(...values)) / median(values);
}

/** The median as text, with a tilde where the rounds disagree. */
export function shown(values) {
  if (!values?.length) return '–';
  return `${spread(values) > NOISY ? '~' : ''}${number(median(values))}`;
}

/** Three digits or the whole number, with thousands apart. */
export function number(value) {
  if (value === undefined || !Number.isFinite(value)) return '–';
  const digits = value >= 100 || Number.isInteger(value) ? 0 : value >= 10 ? 1 : 2;
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export function times(value) {
  return value === undefined ? '–' : `${number(value)}×`;
}

/** What was wanted, what was seen, and what nobody could exceed, all as ratios. */
export function target(what, wanted, seen, ceiling = Number.POSITIVE_INFINITY) {
  return { what, wanted, seen, ceiling, met: seen === undefined ? undefined : seen >= wanted };
}

/** Where and when; the doubts are what the reader should hold against the figures. */
export function machine() {
  const cores = availableParallelism();
  const [load] = loadavg();
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores,
    system: `${process.platform} ${process.arch}`,
    node: process.version,
    date: new Date().toISOString().slice(0, 10),
    doubts: load > cores / 2 ? [`the machine was busy before the run: load ${load.toFixed(1)} on ${cores} cores`] : [],
  };
}

/** A table for people: markdown that lines up in a terminal. The first column holds names, the others figures. */
export function markdown({ columns, rows }) {
  const cells = [columns, ...rows];
  const widths = columns.map((_, at) => Math.max(3, ...cells.map((row) => row[at].length)));
  const line = (row) => `| ${row.map((cell, at) => pad(cell, widths[at], at)).join(' | ')} |`;
  const rule = `| ${widths.map((width, at) => (at === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`;
  return [line(columns), rule, ...rows.map(line)].join('\n');
}

function pad(cell, width, at) {
  return at === 0 ? cell.padEnd(width) : cell.padStart(width);
}

/** Everything a run found, as markdown: a section for each result, by title. */
export function sections({ machine: { cpu, cores, system, node, date, doubts }, results }) {
  const all = results.map(({ title, legend, table, targets, notes }) => {
    const parts = [`### ${title}`, legend, markdown(table)];
    const remarks = [...targets.map(verdict), ...notes, ...doubts.map((doubt) => `Doubt these figures: ${doubt}.`)];
    if (remarks.length > 0) parts.push(remarks.map((each) => `- ${each}`).join('\n'));
    parts.push(`${cpu}, ${cores} cores, ${system}, Node ${node}, ${date}.`);
    return [title, parts.join('\n\n')];
  });
  return new Map(all);
}

function verdict({ what, wanted, seen, ceiling, met }) {
  const outcome = met === undefined ? 'not measured' : met ? 'met' : 'missed';
  const excuse = ceiling < wanted ? ` (the floor itself is ${times(ceiling)})` : '';
  return `target ${outcome}: ${what}, ${times(wanted)} wanted, ${times(seen)} seen${excuse}`;
}
