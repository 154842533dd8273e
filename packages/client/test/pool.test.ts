// Publishers for many places.

import { Pool, type PoolOptions, UsageError } from '@stompbox/client';
import { type Endpoint, formatEndpoint, memoryPair } from '@stompbox/transport';
import { ManualClock, ScriptedPeer, settled } from 'testkit';
import { expect, onTestFinished, test } from 'vitest';
import { failure, hold } from './stage.ts';

function pond(options: Omit<PoolOptions, 'options'> = {}): { pool: Pool; clock: ManualClock; dialled: string[] } {
  const clock = new ManualClock();
  const dialled: string[] = [];
  const dial = async (endpoint: Endpoint) => {
    dialled.push(formatEndpoint(endpoint));
    const { a, b } = memoryPair();
    const peer = new ScriptedPeer(b, clock, { heartBeat: { send: 0, expect: 0 } });
    void peer.accept().catch(() => {});
    return a;
  };
  const pool = new Pool({ ...options, options: { clock, dial, probeMs: 0 } });
  onTestFinished(async () => {
    const closing = pool.close({ drain: false });
    await clock.advance(10_000);
    await closing;
    expect(clock.alarms).toBe(0);
  });
  return { pool, clock, dialled };
}

test('one place is one connection, however many send', async () => {
  const { pool, dialled } = pond();
  await Promise.all([1, 2, 3].map((n) => pool.send('stomp://a', '/queue/q', String(n))));
  await pool.send('stomp://b', '/queue/q', 'x');
  expect(dialled).toEqual(['stomp://a:61613', 'stomp://b:61613']);
  expect(pool.size).toBe(2);
});

test('a second connection to a place is made while the first is in use, up to the limit', async () => {
  const { pool } = pond({ perKey: 2 });
  const held = hold();
  const using = [1, 2, 3].map(() => pool.use('stomp://a', () => held.wait()));
  await settled();
  expect(pool.size).toBe(2);
  held.release();
  await Promise.all(using);
});

test('an idle one is closed after a while, and one in use is not', async () => {
  const { pool, clock } = pond({ idleMs: 1_000 });
  await pool.send('stomp://a', '/queue/q', 'x');
  await clock.advance(900);
  await pool.send('stomp://a', '/queue/q', 'x');
  await clock.advance(900);
  expect(pool.size).toBe(1);
  await clock.advance(100);
  expect(pool.size).toBe(0);
});

test('at the limit an idle one makes room, or else one waits until time is up', async () => {
  const { pool, clock } = pond({ max: 1 });
  await pool.send('stomp://a', '/queue/q', 'x');
  const held = hold();
  const using = pool.use('stomp://b', () => held.wait());
  await settled();
  expect(pool.size).toBe(1);
  const late = failure(pool.send('stomp://c', '/queue/q', 'x', {}));
  await clock.advance(15_000);
  expect(await late).toMatchObject({ name: 'TimeoutError' });
  const waiting = pool.send('stomp://c', '/queue/q', 'x');
  held.release();
  await using;
  await waiting;
});

test('what fails in use fails its user, and the publisher goes on', async () => {
  const { pool, dialled } = pond();
  expect(
    await failure(
      pool.use('stomp://a', () => {
        throw new Error('no');
      }),
    ),
  ).toMatchObject({ message: 'no' });
  await pool.send('stomp://a', '/queue/q', 'x');
  expect(dialled).toHaveLength(1);
});

test('a closed pool gives nothing out', async () => {
  const { pool } = pond();
  await pool.send('stomp://a', '/queue/q', 'x');
  const closing = pool.close();
  expect(pool.close()).toBe(closing);
  await closing;
  expect(pool.size).toBe(0);
  expect(await failure(pool.send('stomp://a', '/queue/q', 'x'))).toMatchObject({ code: 'closed', outcome: 'unsent' });
});

test('options are checked', () => {
  expect(() => new Pool({ max: 0 })).toThrow(UsageError);
});
