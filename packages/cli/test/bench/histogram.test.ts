// Percentiles in bounded memory.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Histogram } from '../../src/bench/histogram.ts';

test('where nothing was measured there are no percentiles', () => {
  expect(new Histogram().percentiles).toBeUndefined();
});

test('a percentile is what that share took at most, within 1.6 %; the maximum is exact', () => {
  const times = fc.array(fc.double({ min: 0.001, max: 1e9, noNaN: true }), { minLength: 1, maxLength: 300 });
  fc.assert(
    fc.property(times, (all) => {
      const histogram = new Histogram();
      for (const ms of all) histogram.add(ms);
      const sorted = [...all].sort((a, b) => a - b);
      const exact = (share: number): number => sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN;
      const { p50, p90, p99, max } = histogram.percentiles ?? { p50: 0, p90: 0, p99: 0, max: 0 };
      expect(histogram.count).toBe(all.length);
      expect(max).toBe(exact(1));
      for (const [found, wanted] of [
        [p50, exact(0.5)],
        [p90, exact(0.9)],
        [p99, exact(0.99)],
      ] as const) {
        expect(Math.abs(found - wanted)).toBeLessThanOrEqual(wanted * 0.016);
      }
    }),
  );
});

test('what took no time at all, or longer than anybody waits, is counted too', () => {
  const histogram = new Histogram();
  histogram.add(0);
  histogram.add(1e15);
  expect(histogram.percentiles).toMatchObject({ p50: expect.any(Number), max: 1e15 });
  expect(histogram.count).toBe(2);
});
