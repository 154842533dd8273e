// Heart-beats and time, on a clock by hand.

import { type Clock, ConnectionLost, systemClock } from '@stompbox/client';
import { ManualClock, settled } from 'testkit';
import { expect, test } from 'vitest';
import { failure, type Table, table } from './support.ts';

const BEATS = { send: 1_000, expect: 1_000 };

function beating(): Promise<Table> {
  return table({ heartBeat: BEATS }, { peer: { heartBeat: BEATS } });
}

test('H-06: a quiet client beats after three quarters of the agreed gap, and one that sends does not', async () => {
  const { connection, peer, clock } = await beating();
  expect(connection.heartBeat).toEqual({ out: 1_000, in: 1_000 });
  await clock.advance(749);
  expect(peer.beats).toBe(0);
  await clock.advance(1);
  expect(peer.beats).toBe(1);
  await clock.advance(700);
  await connection.send('/q', 'x');
  await clock.advance(100);
  expect(peer.beats).toBe(1);
  await clock.advance(650);
  expect(peer.beats).toBe(2);
});

test('H-05: a silent broker is lost after the tolerance, and whoever waits is told', async () => {
  const { connection, clock, peer } = await beating();
  peer.say('\n');
  const receiving = failure(connection.receive());
  await clock.advance(1_999);
  expect(connection.isOpen).toBe(true);
  await clock.advance(1);
  const error = await receiving;
  expect(error).toBeInstanceOf(ConnectionLost);
  expect(error).toMatchObject({ code: 'silent', cause: { code: 'silent-peer' } });
  expect(await connection.closed).toMatchObject({ kind: 'lost' });
  expect(clock.alarms).toBe(0);
});

test('H-04: any byte keeps a connection alive, also part of a frame', async () => {
  const { connection, clock, peer } = await beating();
  for (const byte of 'MESSAGE\nsubscription:1\nmessage-id:1\n') {
    peer.say(byte);
    await clock.advance(1_900);
  }
  expect(connection.isOpen).toBe(true);
});

test('P1: when a timer rings late, bytes that came meanwhile count first', async () => {
  const time = new ManualClock();
  let ring = (): void => {};
  const clock: Clock = {
    now: time.now,
    schedule: (ms, fn) =>
      time.schedule(ms, () => {
        ring();
        fn();
      }),
  };
  const { connection, peer } = await table(
    { heartBeat: { send: 0, expect: 1_000 }, clock },
    { peer: { heartBeat: BEATS } },
  );
  ring = () => peer.say('\n'); // written when the alarm rings, so it is still to be read
  await time.leap(5_000);
  expect(connection.isOpen).toBe(true);
  ring = () => {};
  await time.leap(5_000);
  expect(connection.isOpen).toBe(false);
});

test('M-148: after hours of sleep a silent connection is lost once, and no timers burst', async () => {
  const seen: string[] = [];
  const { connection, clock } = await table(
    {
      heartBeat: BEATS,
      observer: { heartBeat: (direction) => seen.push(direction), closed: ({ kind }) => seen.push(kind) },
    },
    { peer: { heartBeat: BEATS } },
  );
  await clock.leap(8 * 3_600_000);
  expect(seen).toEqual(['lost']);
  expect(connection.isOpen).toBe(false);
  expect(clock.alarms).toBe(0);
});

test('one timer serves a connection, however much it sends', async () => {
  const { connection, clock } = await table({ heartBeat: BEATS }, { peer: { heartBeat: BEATS, receipts: false } });
  const sends = Array.from({ length: 100 }, () => failure(connection.send('/q', 'x')));
  expect(clock.alarms).toBe(1);
  connection.destroy();
  await Promise.all(sends);
  expect(clock.alarms).toBe(0);
});

test('without heart-beats there is no timer at all', async () => {
  const { clock } = await table({ heartBeat: { send: 0, expect: 0 } });
  await clock.advance(10_000);
  expect(clock.alarms).toBe(0);
});

test('E-02: no heart-beat follows a DISCONNECT', async () => {
  const { connection, peer, clock } = await table(
    { heartBeat: BEATS },
    { peer: { heartBeat: BEATS, receipts: false } },
  );
  const gone = connection.disconnect({ timeoutMs: 1_500 });
  await peer.next('disconnect');
  await clock.advance(1_500);
  await gone;
  expect(peer.beats).toBe(0);
});

test('a slow reader is no silent broker: while reading is paused, we still beat and the silence is ours', async () => {
  const { connection, peer, clock } = await table(
    { heartBeat: BEATS, maxBufferedFrames: 2 },
    { peer: { heartBeat: BEATS } },
  );
  const subscription = connection.subscribe('/queue/a');
  await subscription.ready;
  for (let i = 0; i < 10; i++) peer.deliver(subscription.id, 'x');
  await clock.advance(60_000);
  expect(connection.isOpen).toBe(true);
  expect(peer.beats).toBeGreaterThan(50);
  for (let i = 0; i < 10; i++) await subscription.next();
  await settled();
  await clock.advance(1_999);
  expect(connection.isOpen).toBe(true);
  await clock.advance(1);
  expect(connection.isOpen).toBe(false);
});

test('the clock of the runtime can be called off and keeps no process alive', async () => {
  const before = systemClock.now();
  await new Promise<void>((resolve) => {
    systemClock.schedule(0, () => expect.unreachable('called off'))();
    const alive = setTimeout(() => {}, 1_000); // ours does not hold the test up
    systemClock.schedule(1, () => {
      clearTimeout(alive);
      resolve();
    });
  });
  expect(systemClock.now()).toBeGreaterThan(before);
});
