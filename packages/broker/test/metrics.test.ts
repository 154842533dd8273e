// Metrics: the text that Prometheus reads, against the grammar of its exposition format 0.0.4.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LIMITS } from '../src/limits.ts';
import { METRICS, type MetricName, type MetricsSnapshot, renderMetrics } from '../src/metrics.ts';

interface Series {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const LABEL = String.raw`[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"`;
const SAMPLE = new RegExp(
  String.raw`^(${NAME})(?:\{(${LABEL}(?:,${LABEL})*)?\})? ([+-]Inf|NaN|-?[0-9.]+(?:e[+-]?\d+)?)$`,
);
const COMMENT = new RegExp(String.raw`^# (?:HELP (${NAME}) (?:[^\\\n]|\\[\\n])*|TYPE (${NAME}) (counter|gauge))$`);

const unescaped = (text: string) => text.replace(/\\(.)/gs, (_, char: string) => (char === 'n' ? '\n' : char));

/** Reads an exposition as a strict scraper does. */
function scrape(text: string): readonly Series[] {
  expect(text === '' || text.endsWith('\n')).toBe(true);
  const found: Series[] = [];
  const seen = new Set<string>();
  let current: string | undefined;
  for (const line of text.split('\n').slice(0, -1)) {
    if (line.startsWith('#')) {
      const [, help, type, kind] = COMMENT.exec(line) ?? [];
      expect(help ?? type, line).toBeDefined();
      if (help !== undefined) {
        expect(seen.has(help), `${help} comes in one group`).toBe(false);
        seen.add(help);
        current = help;
      } else {
        expect(type).toBe(current);
        expect(kind === 'counter').toBe(type?.endsWith('_total'));
      }
      continue;
    }
    const [, name = '', labels = '', value = ''] = SAMPLE.exec(line) ?? [];
    expect(name, line).toBe(current);
    const pairs = [...labels.matchAll(/([a-zA-Z0-9_]+)="((?:[^"\\]|\\.)*)"/g)].map(
      ([, label = '', text = '']) => [label, unescaped(text)] as const,
    );
    found.push({ name, labels: Object.fromEntries(pairs), value: Number(value.replace('Inf', 'Infinity')) });
  }
  return found;
}

describe('the table', () => {
  test.each(Object.entries(METRICS))('%s follows the naming rules', (name, { type, labels, help }) => {
    expect(name).toMatch(/^stompbox_[a-z]+(_[a-z]+)*$/);
    expect(name.endsWith('_total')).toBe(type === 'counter');
    expect(name).not.toMatch(/_(?:ms|milliseconds|kib|count)$/); // base units
    for (const label of labels) expect(label).toMatch(/^[a-z]+$/);
    expect(help).toMatch(/\.$/);
  });
});

describe('renderMetrics', () => {
  test('a small snapshot, letter by letter, in the order of the table', () => {
    const text = renderMetrics({
      stompbox_queue_messages: [
        { labels: { queue: 'orders', state: 'waiting' }, value: 5 },
        { labels: { queue: 'a"b\\c\nd', state: 'unsettled' }, value: 0 },
      ],
      stompbox_bytes_sent_total: 1e21,
      stompbox_uptime_seconds: 0.5,
      stompbox_subscriptions: [],
    });
    expect(text).toBe(
      [
        '# HELP stompbox_uptime_seconds Since the start.',
        '# TYPE stompbox_uptime_seconds gauge',
        'stompbox_uptime_seconds 0.5',
        '# HELP stompbox_bytes_sent_total Bytes to clients.',
        '# TYPE stompbox_bytes_sent_total counter',
        'stompbox_bytes_sent_total 1e+21',
        '# HELP stompbox_queue_messages Messages in a queue, waiting or unsettled.',
        '# TYPE stompbox_queue_messages gauge',
        'stompbox_queue_messages{queue="orders",state="waiting"} 5',
        'stompbox_queue_messages{queue="a\\"b\\\\c\\nd",state="unsettled"} 0',
        '',
      ].join('\n'),
    );
  });
  test('nothing is an empty text', () => expect(renderMetrics({})).toBe(''));
  test('what is no finite number', () => {
    const value = (n: number) => scrape(renderMetrics({ stompbox_memory_bytes: n }))[0]?.value;
    expect([Infinity, -Infinity, Number.NaN].map(value)).toEqual([Infinity, -Infinity, Number.NaN]);
  });
  test('every limit can be told', () => {
    const limits = Object.entries(LIMITS).map(([limit, one]) => ({ labels: { limit }, value: one.default }));
    expect(scrape(renderMetrics({ stompbox_limit: limits }))).toHaveLength(limits.length);
  });
  test('too many series are left out, and it says how many', () => {
    const queues = Array.from({ length: 25 }, (_, i) => ({ labels: { queue: `q${i}` }, value: i }));
    const found = scrape(renderMetrics({ stompbox_queue_bytes: queues, stompbox_queues: 25 }, { maxSeries: 10 }));
    expect(found.filter(({ name }) => name === 'stompbox_queue_bytes')).toHaveLength(10);
    expect(found.at(-1)).toEqual({
      name: 'stompbox_series_left_out',
      labels: { metric: 'stompbox_queue_bytes' },
      value: 15,
    });
  });
  test('property: a scraper reads back what was handed over, whatever the labels and figures', () => {
    const text = fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.string({ unit: fc.constantFrom('"', '\\', '\n', 'n', '{', '}', ',', '=', ' ') }),
    );
    const figure = fc.double({ noNaN: true }).map((n) => n + 0); // -0 is written as 0
    const names = Object.keys(METRICS) as MetricName[];
    const metric = fc.constantFrom(...names.filter((name) => name !== 'stompbox_series_left_out')).chain((name) => {
      const labels = Object.fromEntries(METRICS[name].labels.map((label) => [label, text]));
      const one = fc.record({ labels: fc.record(labels), value: figure });
      return fc.tuple(fc.constant(name), METRICS[name].labels.length === 0 ? figure : fc.array(one, { maxLength: 4 }));
    });
    fc.assert(
      fc.property(fc.uniqueArray(metric, { selector: ([name]) => name, maxLength: 8 }), (given) => {
        const found = scrape(renderMetrics(Object.fromEntries(given) as MetricsSnapshot));
        const expected = names.flatMap((name) => {
          const value = given.find(([own]) => own === name)?.[1] ?? [];
          const samples = typeof value === 'number' ? [{ labels: {}, value }] : value;
          return samples.map((sample) => ({ name, labels: { ...sample.labels }, value: sample.value }));
        });
        expect(found.map(({ value, ...rest }) => ({ ...rest, value: value + 0 }))).toEqual(expected);
      }),
    );
  });
});
