// `stompbox bench` against a broker in memory, and as a process.

import { ManualClock } from 'testkit';
import { afterEach, expect, test } from 'vitest';
import { EXIT } from '../../packages/cli/src/exit-codes.ts';
import { type Stage, stage } from './support.ts';

let open: Stage | undefined;
afterEach(() => open?.[Symbol.asyncDispose]());

async function scene(): Promise<Stage> {
  open = await stage();
  return open;
}

/** What is left of a run at the broker. */
function left({ broker }: Stage): object {
  const { connections, bytes } = broker.stats();
  return { connections, bytes };
}

/** Messages have come. */
async function busy({ broker }: Stage): Promise<void> {
  while (broker.stats().received === 0) await new Promise((resolve) => setImmediate(resolve));
}

test('measures a queue with receipts, says the figures, and leaves nothing behind', async () => {
  const all = await scene();
  const { code, out, err } = await all.run(['bench', '--count', '500', '--producers', '2', '--consumers', '3']);
  expect({ code, err }).toEqual({ code: EXIT.done, err: '' });
  const lines = out.trimEnd().split('\n');
  expect(lines[0]).toBe('2 producers, 3 consumers, 100 bytes, queue, receipts, ack auto');
  expect(lines[1]).toMatch(/^confirmed {7}500 messages in \d+\.\d\d s: [\d,]+\/s, \d+\.\d\d MB\/s$/);
  expect(lines[2]).toMatch(/^received {8}500 messages in /);
  expect(lines[3]).toMatch(/^receipt after {3}p50 .* ms, p90 .* ms, p99 .* ms, max .* ms$/);
  expect(lines[4]).toMatch(/^received after {2}p50 /);
  expect(left(all)).toEqual({ connections: 0, bytes: 0 });
});

test.for(['auto', 'client', 'client-individual'] as const)('--ack %s: all come once and are gone', async (ack) => {
  const all = await scene();
  const { code, out } = await all.run(['bench', '--count', '300', '--ack', ack, '--prefetch', '10', '--json']);
  expect(code).toBe(EXIT.done);
  expect(JSON.parse(out)).toMatchObject({ ack, complete: true, received: { messages: 300 }, drained: 0 });
  expect(left(all)).toMatchObject({ bytes: 0 });
});

test('--json has every figure; a topic gives each consumer all; sizes take turns', async () => {
  const all = await scene();
  const args = ['bench', '--topic', '--consumers', '2', '--count', '100', '--size', '10,30', '--no-confirm', '--json'];
  const { code, out } = await all.run(args);
  expect(code).toBe(EXIT.done);
  const times = { p50: expect.any(Number), p90: expect.any(Number), p99: expect.any(Number), max: expect.any(Number) };
  expect(JSON.parse(out)).toEqual({
    kind: 'topic',
    producers: 1,
    consumers: 2,
    sizes: [10, 30],
    receipts: false,
    ack: 'auto',
    rate: null,
    complete: true,
    sent: { messages: 100, bytes: 2_000, ms: expect.any(Number), perSecond: expect.any(Number) },
    received: { messages: 200, bytes: 4_000, ms: expect.any(Number), perSecond: expect.any(Number) },
    expected: 200,
    drained: 0,
    confirmMs: null,
    latencyMs: times,
  });
});

test('without consumers only sending is measured, and the queue is emptied afterwards', async () => {
  const all = await scene();
  const { code, out } = await all.run(['bench', '--consumers', '0', '--count', '50', '--json']);
  expect(code).toBe(EXIT.done);
  expect(JSON.parse(out)).toMatchObject({
    sent: { messages: 50 },
    received: { messages: 0 },
    drained: 50,
    latencyMs: null,
  });
  expect(left(all)).toMatchObject({ bytes: 0 });
});

test('--rate and --duration hold, by the clock', async () => {
  const all = await scene();
  const clock = new ManualClock();
  const running = all.start(['bench', '--rate', '10', '--duration', '2s', '--json'], { clock });
  while (all.broker.stats().connections < 2) await clock.advance(0);
  await clock.advance(1_000);
  await clock.advance(5_000);
  const { code, out } = await running.ended;
  expect(code).toBe(EXIT.done);
  expect(JSON.parse(out)).toMatchObject({
    complete: true,
    rate: 10,
    sent: { messages: 20 },
    received: { messages: 20 },
  });
});

test('Ctrl-C ends it with what was measured until then, and nothing is left (M-162)', async () => {
  const all = await scene();
  const running = all.start(['bench', '--duration', '1h', '--json']);
  await busy(all);
  running.interrupt();
  const { code, out, err } = await running.ended;
  expect({ code, err }).toEqual({ code: EXIT.interrupted, err: '' });
  const report = JSON.parse(out);
  expect(report).toMatchObject({ complete: false, received: { messages: report.sent.messages } });
  expect(left(all)).toEqual({ connections: 0, bytes: 0 });
});

test('a broker that goes away ends it with what was measured, why, and the exit code of that', async () => {
  const all = await scene();
  const running = all.start(['bench', '--duration', '1h', '--timeout', '10ms']);
  await busy(all);
  await all.broker.close({ timeoutMs: 0 });
  const { code, out, err } = await running.ended;
  expect([EXIT.connection, EXIT.refused]).toContain(code);
  expect(out).toContain('received');
  expect(err).toContain('stompbox:');
});

test.for([
  [['--client-id', 'x'], '--client-id is for one connection'],
  [['/queue/mine'], 'the destination is made by bench itself'],
  [['--size', 'large'], 'a whole number from 0'],
  [['--producers', '0'], 'a whole number from 1'],
] as const)('%j is wrong usage', async ([args, why]) => {
  const all = await scene();
  const { code, err } = await all.run(['bench', ...args]);
  expect(code).toBe(EXIT.usage);
  expect(err).toContain(why);
});

test('on a terminal it shows how far it is', async () => {
  const all = await scene();
  const clock = new ManualClock();
  const running = all.start(['bench', '--rate', '10', '--count', '20'], { clock, terminals: ['stderr'] });
  while (all.broker.stats().connections < 2) await clock.advance(0);
  await clock.advance(1_500);
  await clock.advance(5_000);
  const { code, err } = await running.ended;
  expect(code).toBe(EXIT.done);
  expect(err).toContain(' of 20 messages, 10/s');
});
