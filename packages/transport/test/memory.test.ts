import { expect, test } from 'vitest';
import { memoryPair } from '../src/memory.ts';
import { Owner, utf8 } from './support.ts';

const microtasks = async (): Promise<void> => {
  for (let i = 0; i < 20; i += 1) await Promise.resolve();
};

test('bytes move in microtasks alone: no timer, no turn of the event loop', async () => {
  const { a, b } = memoryPair();
  const [, far] = [new Owner(a), new Owner(b)];
  a.write(utf8('hello'));
  expect(far.text).toBe('');
  await microtasks();
  expect(far.text).toBe('hello');
});

test('a cut is a reset at both ends, and what was under way is lost', async () => {
  const pair = memoryPair();
  const [near, far] = [new Owner(pair.a), new Owner(pair.b)];
  pair.a.write(utf8('lost'));
  pair.cut();
  await microtasks();
  expect(near.end?.error?.code).toBe('reset');
  expect(far.end?.error?.code).toBe('reset');
  expect(far.text).toBe('');
  expect(pair.a.write(utf8('x'))).toBe(false);
});

test('a silent cut tells nobody: bytes, ends and destroys vanish', async () => {
  const pair = memoryPair();
  const [near, far] = [new Owner(pair.a), new Owner(pair.b)];
  pair.a.write(utf8('heard'));
  await microtasks();
  pair.cut('silent');
  for (let i = 0; i < 1000; i += 1) expect(pair.a.write(utf8('lost'))).toBe(true);
  pair.a.end();
  await microtasks();
  pair.a.destroy();
  await microtasks();
  expect(near.diary).toEqual(['closed']);
  expect(far.diary).toEqual(['data']);
  expect(far.text).toBe('heard');
});

test('a silent cut also swallows what was on the way, and the writer is not stuck with it', async () => {
  const waiting: (() => void)[] = [];
  const pair = memoryPair({ delayMs: 5, schedule: (_ms, fn) => void waiting.push(fn), highWaterMark: 4 });
  const [near, far] = [new Owner(pair.a), new Owner(pair.b)];
  expect(pair.a.write(utf8('on the way'))).toBe(false);
  pair.cut('silent');
  for (const fn of waiting) fn();
  await microtasks();
  expect(far.text).toBe('');
  expect(near.diary).toEqual(['drain']);
});

test('a delay is asked of the scheduler, in milliseconds, and of no clock', async () => {
  const waiting: [number, () => void][] = [];
  const { a, b } = memoryPair({ delayMs: 250, schedule: (ms, fn) => void waiting.push([ms, fn]) });
  const [, far] = [new Owner(a), new Owner(b)];
  a.write(utf8('slow'));
  await microtasks();
  expect(far.text).toBe('');
  expect(waiting.map(([ms]) => ms)).toEqual([250]);
  waiting[0]?.[1]();
  await microtasks();
  expect(far.text).toBe('slow');
  expect(() => memoryPair({ delayMs: 1 })).toThrow('needs a schedule');
});

test('bytes are split into one size, sizes in turn, or as a function says', async () => {
  const lengths = async (split: number | readonly number[] | ((left: number) => number)): Promise<number[]> => {
    const { a, b } = memoryPair({ split });
    const [, far] = [new Owner(a), new Owner(b)];
    a.write(new Uint8Array(10));
    await microtasks();
    return far.chunks.map((chunk) => chunk.length);
  };
  expect(await lengths(4)).toEqual([4, 4, 2]);
  expect(await lengths([1, 5])).toEqual([1, 5, 1, 3]);
  expect(await lengths((left) => Math.ceil(left / 2))).toEqual([5, 3, 1, 1]);
  expect(await lengths(0)).toHaveLength(10);
});

test('bytes can be broken on the way, knowing who wrote them', async () => {
  const { a, b } = memoryPair({ break: (bytes, from) => (from === 'a' ? bytes.map((byte) => byte ^ 1) : bytes) });
  const [near, far] = [new Owner(a), new Owner(b)];
  a.write(Uint8Array.of(2, 4));
  b.write(Uint8Array.of(8));
  await microtasks();
  expect([...far.bytes]).toEqual([3, 5]);
  expect([...near.bytes]).toEqual([8]);
});

test('framed: one write is one message, and the close code and reason reach the peer', async () => {
  const { a, b } = memoryPair({ framed: true });
  const [near, far] = [new Owner(a), new Owner(b)];
  expect(a.framed && b.framed).toBe(true);
  a.write(utf8('one'));
  a.write(utf8('two'));
  a.end(1002, 'malformed');
  await microtasks();
  expect(far.chunks).toHaveLength(2);
  expect(far.end).toMatchObject({ code: 1002, reason: 'malformed', error: { code: 'reset' } });
  expect(near.end).toEqual({ code: 1002, reason: 'malformed' });
});

test('each end can be told who its peer is', () => {
  const { a, b } = memoryPair({ peers: { b: { address: '192.0.2.1' } } });
  expect(a.peer).toEqual({ transport: 'memory', remote: 'memory:b' });
  expect(b.peer).toEqual({ transport: 'memory', remote: 'memory:a', address: '192.0.2.1' });
});
