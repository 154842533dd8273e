// A queue far larger than its window, and a store that has no room for a moment.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Content, Encoder, frame, NameSet } from '@stompbox/protocol';
import { ManualClock } from 'testkit';
import { expect, onTestFinished, test } from 'vitest';
import { EmbeddedEngine } from '../../src/engine/embedded/embedded.ts';
import { type Delivery, type Feed, PLAIN, type Send } from '../../src/engine/engine.ts';
import { resolveLimits } from '../../src/limits.ts';
import { lmdbStore } from '../../src/store/lmdb.ts';
import { Moody } from './moody.ts';

const scratch = new Encoder({ version: '1.2', unrepresentable: 'replace' });
const NONE = new NameSet([]);
const Q = { kind: 'queue', name: 'q', text: '/queue/q' } as const;

async function engineOf(limits: Parameters<typeof resolveLimits>[0] = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'stompbox-full-'));
  const store = new Moody(await lmdbStore({ dir }));
  const clock = new ManualClock();
  const { now: time, schedule } = clock;
  const engine = new EmbeddedEngine({ ...resolveLimits(limits), schedule, time }, store);
  onTestFinished(async () => {
    await engine.close();
    rmSync(dir, { recursive: true, force: true });
  });
  return { engine, store, clock };
}

function sendOf(body: string, priority = 4): Send {
  const attributes = priority === 4 ? PLAIN : { ...PLAIN, priority };
  return { destination: Q, content: Content.of(frame('SEND', [], body), NONE, scratch), attributes };
}

const send = (engine: EmbeddedEngine, ...sends: Send[]) => engine.commit({ sends, settlements: [], atomic: false });

async function consume(engine: EmbeddedEngine): Promise<{ feed: Feed; got: Delivery[] }> {
  const got: Delivery[] = [];
  const feed = await engine.open({
    destination: Q,
    acknowledged: true,
    deliver: (delivery) => got.push(delivery),
    ended() {},
  });
  return { feed, got };
}

const textOf = ({ content }: Delivery): string => Buffer.from(content.body).toString();

test('200,000 messages over a small window come once each, in order, with nacks, leavers and priorities among them', async () => {
  const { engine } = await engineOf({ windowBytes: 65_536, maxDeliveries: 100 });
  const total = 200_000;
  let sent = 0;
  const more = async (n: number): Promise<void> => {
    const sends: Send[] = [];
    for (const end = Math.min(total, sent + n); sent < end; sent++)
      sends.push(sendOf(String(sent), sent % 1_000 === 0 ? 9 : 4));
    await send(engine, ...sends);
  };
  while (sent < total * 0.9) await more(10_000);
  const last = { 4: -1, 9: -1 };
  const done = new Set<string>();
  let { feed, got } = await consume(engine);
  for (let round = 0; done.size < total; round++) {
    feed.request(1_000);
    expect(got.length).toBeGreaterThan(0);
    const batch = got.splice(0);
    if (round % 7 === 3) {
      feed.close();
      await engine.commit({
        sends: [],
        settlements: batch.map((delivery) => ({ delivery, outcome: 'return' })),
        atomic: false,
      });
      ({ feed, got } = await consume(engine));
      continue;
    }
    const refused = round % 5 === 1 ? batch.splice(500) : [];
    for (const delivery of batch) {
      const text = textOf(delivery);
      expect(done.has(text)).toBe(false);
      done.add(text);
      const lane = Number(text) % 1_000 === 0 ? 9 : 4;
      expect(Number(text)).toBeGreaterThan(last[lane]);
      last[lane] = Number(text);
    }
    void more(1_500);
    const settlements = [
      ...batch.map((delivery) => ({ delivery, outcome: 'ack' as const })),
      ...refused.map((delivery) => ({ delivery, outcome: 'nack' as const })),
    ];
    await engine.commit({ sends: [], settlements, atomic: false });
  }
  feed.request(1);
  expect(got).toEqual([]);
  expect(engine.inspect.queues()).toMatchObject([{ waiting: 0, unsettled: 0, bytes: 0 }]);
}, 60_000);

test('a producer hears of a full store, its message is not kept, and the next one is', async () => {
  const { engine, store } = await engineOf();
  await send(engine, sendOf('a'));
  store.isFull = true;
  await expect(send(engine, sendOf('lost'))).rejects.toMatchObject({ code: 'store-failed' });
  expect(engine.inspect.queues()).toMatchObject([{ waiting: 1 }]);
  store.isFull = false;
  await send(engine, sendOf('b'));
  const { feed, got } = await consume(engine);
  feed.request(5);
  expect(got.map(textOf)).toEqual(['a', 'b']);
});

test('a transaction that the store refuses undoes its acknowledgements too', async () => {
  const { engine, store, clock } = await engineOf();
  await send(engine, sendOf('a'));
  const { feed, got } = await consume(engine);
  feed.request(5);
  const [delivery] = got.splice(0) as [Delivery];
  store.isFull = true;
  const work = { sends: [sendOf('b')], settlements: [{ delivery, outcome: 'ack' as const }], atomic: true };
  feed.close();
  await expect(engine.commit(work)).rejects.toMatchObject({ code: 'store-failed' });
  store.isFull = false;
  await clock.advance(1_000);
  const after = await consume(engine);
  after.feed.request(5);
  expect(after.got.map((one) => [textOf(one), one.redelivered])).toEqual([['a', true]]);
});
