// Files that are not what was written, through the whole broker: it either says so, or has every confirmed message.
// (packages/broker/test/store/damage.test.ts does the same to the store alone, many more times.)

import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BrokerError, ConnectionLost, connect, TimeoutError } from '@stompbox/client';
import { expect, type TestContext, test } from 'vitest';
import { brokers, type Dice, folder, heldBy, opened, random } from './process.ts';

const TIMES = Number(process.env.STOMPBOX_DAMAGES ?? 6);
const SEED = Number(process.env.STOMPBOX_SEED ?? Date.now() % 1e6);
const PAGE = 4096;
const MESSAGES = 60;
const QUEUES = ['left', 'right'];

const { start } = brokers();

const DAMAGES: { readonly [name: string]: (bytes: Buffer, dice: Dice) => Buffer } = {
  'cut short anywhere': (bytes, dice) => bytes.subarray(0, dice(bytes.length)),
  'a page of zeros': (bytes, dice) => {
    const at = PAGE * dice(bytes.length / PAGE);
    return bytes.fill(0, at, at + PAGE);
  },
  'a wrong bit': (bytes, dice) => {
    const at = dice(bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << dice(8));
    return bytes;
  },
};

/** A directory that a broker was killed over, and what it had confirmed, by queue. */
async function used({ onTestFinished }: TestContext): Promise<{ dir: string; books: Map<string, string[]> }> {
  const dir = join(folder(onTestFinished), 'used');
  const books = new Map(QUEUES.map((queue) => [queue, [] as string[]]));
  const broker = opened(await start(dir));
  const connection = await connect(broker.url);
  const sends = Array.from({ length: MESSAGES }, async (_, n) => {
    const queue = QUEUES[n % QUEUES.length] ?? '';
    await connection.send(`/queue/${queue}`, bodyOf(n), { headers: { 'book-id': String(n) } });
    books.get(queue)?.push(String(n));
  });
  await Promise.all(sends);
  await broker.kill();
  await connection.closed;
  return { dir, books };
}

function bodyOf(n: number): string {
  return `${n} `.repeat(1 + ((n * n * 7) % 2_000));
}

/** What a broker says that has this directory: why it refuses, or the messages of each queue until it refuses one. */
async function reading(
  dir: string,
): Promise<{ refused: string } | { found: Map<string, string[]>; complaint: string }> {
  const broker = await start(dir);
  if (!('url' in broker)) return { refused: `${broker.name}: ${broker.message}` };
  const found = new Map<string, string[]>();
  let complaint = '';
  for (const { name, waiting } of (await broker.inspect()).queues) {
    const ids: string[] = [];
    found.set(name, ids);
    try {
      const connection = await connect(broker.url);
      const subscription = connection.subscribe(`/queue/${name}`, { ack: 'client-individual' });
      for (let n = 0; n < waiting; n++) {
        const message = await subscription.next({ timeoutMs: 2_000 });
        const id = message.headers.get('book-id') ?? '';
        if (message.text() === bodyOf(Number(id))) ids.push(id);
        await message.ack({ confirm: true });
      }
      await connection.close();
    } catch (error) {
      // What it cannot read it sets aside, and says so.
      const isTold = error instanceof TimeoutError && broker.errors.includes('damaged');
      if (!(isTold || error instanceof BrokerError || error instanceof ConnectionLost)) throw error;
      complaint += String(error);
    }
  }
  await broker.kill();
  return { found, complaint: complaint + broker.errors };
}

for (const [name, damage] of Object.entries(DAMAGES))
  test(`${name}: the broker refuses with a sentence, names what it sets aside, or has all it confirmed (STOMPBOX_SEED=${SEED})`, async (context) => {
    const { dir, books } = await used(context);
    const dice = random(SEED);
    for (let i = 0; i < TIMES; i++) {
      const copy = join(dir, '..', String(i));
      mkdirSync(copy);
      writeFileSync(join(copy, 'data.mdb'), damage(readFileSync(join(dir, 'data.mdb')), dice));
      const result = await reading(copy);
      if ('refused' in result) expect(result.refused).toMatch(/^StoreError: \/.* is damaged/);
      else if (result.complaint === '') expect(result.found, `damage ${i}`).toEqual(books);
      else expect(result.complaint).toMatch(/damaged/);
    }
  }, 120_000);

test('locks that the dead left behind are no hindrance', async (context) => {
  const { dir, books } = await used(context);
  const stale = readdirSync(dir).filter((file) => file.startsWith('lock'));
  expect(stale.length).toBeGreaterThan(0);
  const copy = join(dir, '..', 'copy');
  mkdirSync(copy);
  cpSync(join(dir, 'data.mdb'), join(copy, 'data.mdb'));
  for (const file of [...stale, 'lock.mdb']) writeFileSync(join(copy, file), 'of somebody who is gone');
  expect(await reading(copy)).toEqual({ found: books, complaint: '' });
  expect(await reading(dir)).toEqual({ found: books, complaint: '' });
  const broker = opened(await start(dir));
  expect(heldBy(await broker.inspect())).toBe(0);
  const second = await start(dir);
  expect(second).toMatchObject({ name: 'StoreError', code: 'locked' });
  await broker.stop();
});
