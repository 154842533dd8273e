// When to connect again, and when to give up (P11). Chance is handed in: 0.5 leaves half of what is left to it.

import { UsageError } from '@stompbox/protocol';
import { expect, test } from 'vitest';
import { Backoff, type Failure, type ReconnectOptions } from '../src/managed/reconnect.ts';

const error = new Error('refused');
const endpoint = 'stomp://a:61613';

/** What each of the failures, a second apart, is answered with. */
function answers(backoff: Backoff, count: number, from = 0): unknown[] {
  return Array.from({ length: count }, (_, i) => backoff.next({ now: from + i * 1_000, error, endpoint }));
}

function delays(options: ReconnectOptions, count: number, chance = 0): unknown[] {
  const backoff = new Backoff(options, () => chance);
  return answers(backoff, count).map((verdict) => Object.values(verdict as object)[0]);
}

test('P11: waits grow by the factor up to the cap', () => {
  const options = { initialMs: 100, factor: 3, maxMs: 2_000, jitter: 'none' } as const;
  expect(delays(options, 5, 0.7)).toEqual([100, 300, 900, 2_000, 2_000]);
});

test('P11: unless told otherwise a wait is anything from nothing up to the whole of it', () => {
  expect(delays({ initialMs: 100, maxMs: 400 }, 4, 0)).toEqual([100, 200, 400, 400]);
  expect(delays({ initialMs: 100, maxMs: 400 }, 4, 0.5)).toEqual([50, 100, 200, 200]);
  expect(delays({ initialMs: 100, maxMs: 400 }, 4, 0.999_999)).toEqual([0, 0, 0, 0]);
});

test('a share of jitter leaves the rest of the wait certain', () => {
  expect(delays({ initialMs: 1_000, jitter: 0.2 }, 2, 0.5)).toEqual([900, 1_800]);
});

test('P11: after the allowed attempts it stops', () => {
  expect(delays({ initialMs: 1, jitter: 'none', attempts: 3 }, 4)).toEqual([1, 2, 'attempts', 'attempts']);
});

test('P11: it stops when there has been no connection for elapsedMs, and the last try is not before that', () => {
  const options = { initialMs: 1_500, factor: 1, jitter: 'none', elapsedMs: 2_000 } as const;
  expect(delays(options, 3)).toEqual([1_500, 1_000, 'elapsed']);
});

test('a thousand failures in a row are waited for like the tenth, also without any initial wait', () => {
  expect(delays({ maxMs: 30_000, jitter: 'none' }, 1_200).at(-1)).toBe(30_000);
  expect(delays({ initialMs: 0, jitter: 'none' }, 1_200).at(-1)).toBe(0);
});

test('P11: a stable connection begins the count anew, a short one is one more failure', () => {
  const backoff = new Backoff({ initialMs: 100, jitter: 'none', stableMs: 5_000, attempts: 5 });
  expect(answers(backoff, 3)).toEqual([{ delayMs: 100 }, { delayMs: 200 }, { delayMs: 400 }]);
  expect(backoff.next({ now: 4_000, error, endpoint, livedMs: 4_999 })).toEqual({ delayMs: 800 });
  expect(backoff.next({ now: 9_000, error, endpoint, livedMs: 5_000 })).toEqual({ delayMs: 100 });
  expect(answers(backoff, 5, 10_000).at(-1)).toEqual({ stop: 'attempts' });
});

test('a broker that lets us in and drops us at once runs into the limits', () => {
  const backoff = new Backoff({ initialMs: 1, jitter: 'none', attempts: 2 });
  expect(backoff.next({ now: 0, error, endpoint, livedMs: 10 })).toEqual({ delayMs: 1 });
  expect(backoff.next({ now: 50, error, endpoint, livedMs: 10 })).toEqual({ stop: 'attempts' });
});

test('no attempts means: a connection that was lost stays lost', () => {
  const backoff = new Backoff({ attempts: 0 });
  expect(backoff.next({ now: 0, error, endpoint, livedMs: 60_000 })).toEqual({ stop: 'attempts' });
});

test('startAttempts holds until the first connection only', () => {
  const options = { initialMs: 1, jitter: 'none', attempts: 3, startAttempts: 1 } as const;
  expect(answers(new Backoff(options), 1)).toEqual([{ stop: 'attempts' }]);
  const connected = new Backoff(options);
  connected.next({ now: 0, error, endpoint, livedMs: 60_000 });
  expect(answers(connected, 3).map((verdict) => Object.keys(verdict as object)[0])).toEqual([
    'delayMs',
    'delayMs',
    'stop',
  ]);
});

test('decide hears what happened and what would be done, and its word counts', () => {
  const heard: Failure[] = [];
  const said = [7, undefined, 0, false] as const;
  const backoff = new Backoff({
    initialMs: 100,
    jitter: 'none',
    attempts: 3,
    decide: (failure) => said[heard.push(failure) - 1],
  });
  expect(answers(backoff, 4)).toEqual([{ delayMs: 7 }, { delayMs: 200 }, { delayMs: 0 }, { stop: 'decided' }]);
  expect(heard[0]).toEqual({ attempt: 1, elapsedMs: 0, error, endpoint, delayMs: 100 });
  expect(heard[2]).toEqual({ attempt: 3, elapsedMs: 2_000, error, endpoint, delayMs: undefined });
});

test('a decide hook that throws, or answers what is no time, stops and is heard of', () => {
  const broken = new Error('no idea');
  const throwing = new Backoff({
    decide: () => {
      throw broken;
    },
  });
  expect(answers(throwing, 1)).toEqual([{ stop: 'decided', cause: broken }]);
  const negative = new Backoff({ decide: () => -1 });
  expect(answers(negative, 1)).toEqual([{ stop: 'decided', cause: expect.any(UsageError) }]);
});

for (const [wrong, sentence] of [
  [{ factor: 0.5 }, 'reconnect.factor must be a number from 1 up'],
  [{ jitter: 2 }, "reconnect.jitter must be 'full', 'none' or a number from 0 to 1"],
  [{ maxms: 5 }, 'there is no option reconnect.maxms; did you mean reconnect.maxMs?'],
] as const) {
  test(`${JSON.stringify(wrong)} is refused by name`, () => {
    expect(() => new Backoff(wrong as ReconnectOptions)).toThrow(sentence);
  });
}
