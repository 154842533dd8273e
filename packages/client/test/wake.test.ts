// Waking up, with both clocks by hand.

import { ManualClock } from 'testkit';
import { expect, test } from 'vitest';
import { type WatchOptions, watchForSleep } from '../src/managed/wake.ts';

function watched(options: WatchOptions = {}) {
  const clock = new ManualClock();
  let ahead = 0; // what only the wall clock has seen
  const woke: number[] = [];
  const stop = watchForSleep(clock, (awayMs) => woke.push(awayMs), { wall: () => clock.now() + ahead, ...options });
  return {
    clock,
    woke,
    stop,
    set: (ms: number) => {
      ahead += ms;
    },
  };
}

test('P5: a laptop that slept is noticed within five seconds of waking up, once, with how long it was', async () => {
  const { clock, woke, set } = watched();
  await clock.advance(60_000);
  expect(woke).toEqual([]);
  set(3_600_000); // timers do not count sleep here
  await clock.advance(5_000);
  expect(woke).toEqual([3_600_000]);
  await clock.advance(60_000);
  expect(woke).toHaveLength(1);
});

test('P5: so is one whose timers count sleep, and ring late', async () => {
  const { clock, woke } = watched();
  await clock.leap(3_600_000);
  await clock.advance(60_000);
  expect(woke).toEqual([3_595_000]);
});

test('a timer that is a little late, and a wall clock that is set back, are nothing', async () => {
  const { clock, woke, set } = watched({ everyMs: 1_000, slackMs: 500 });
  set(500);
  await clock.advance(1_000);
  set(-7_200_000);
  await clock.advance(5_000);
  expect(woke).toEqual([]);
  set(501);
  await clock.advance(1_000);
  expect(woke).toEqual([501]);
});

test('whoever hears of it may stop the watch, and no timer is left', async () => {
  const clock = new ManualClock();
  let ahead = 0;
  const stop = watchForSleep(clock, () => stop(), { wall: () => clock.now() + ahead });
  ahead = 60_000;
  await clock.advance(5_000);
  expect(clock.alarms).toBe(0);
  stop();
});
