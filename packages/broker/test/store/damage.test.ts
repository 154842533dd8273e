import { once } from 'node:events';
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { lmdbStore } from '../../src/store/lmdb.ts';
import type { MessageKey, Store } from '../../src/store/store.ts';
import { changeAt } from './history.ts';
import { digestOf, stateOf } from './model.ts';
import { type Program, program } from './process.ts';
import { ALL, content, folder, ids, message, random } from './support.ts';

const TIMES = Number(process.env.STOMPBOX_DAMAGES ?? 150);
const SEED = Number(process.env.STOMPBOX_SEED ?? Date.now() % 1e6);
const PAGE = 4096;

let reader: Program;
beforeAll(async () => {
  reader = await program('reader');
});
afterAll(() => reader.remove());

const DAMAGES: { readonly [name: string]: (bytes: Buffer, dice: (below: number) => number) => Buffer } = {
  'cut short anywhere': (bytes, dice) => bytes.subarray(0, dice(bytes.length)),
  'a page of zeros': (bytes, dice) => bytes.fill(0, ...pageOf(bytes, dice)),
  'a page of noise': (bytes, dice) => {
    const [start, end] = pageOf(bytes, dice);
    for (let i = start; i < end; i++) bytes[i] = dice(256);
    return bytes;
  },
  'a page in the place of another': (bytes, dice) => {
    const [from, end] = pageOf(bytes, dice);
    bytes.copy(bytes, pageOf(bytes, dice)[0], from, end);
    return bytes;
  },
  'a wrong bit': (bytes, dice) => wrongBit(bytes, dice(bytes.length), dice),
  'a wrong bit in the first pages': (bytes, dice) => wrongBit(bytes, PAGE * dice(2) + dice(160), dice),
  'a wrong bit in the head of a page': (bytes, dice) => wrongBit(bytes, pageOf(bytes, dice)[0] + dice(64), dice),
};

function pageOf(bytes: Buffer, dice: (below: number) => number): [start: number, end: number] {
  const start = PAGE * dice(bytes.length / PAGE);
  return [start, start + PAGE];
}

function wrongBit(bytes: Buffer, at: number, dice: (below: number) => number): Buffer {
  bytes[at] = (bytes[at] as number) ^ (1 << dice(8));
  return bytes;
}

for (const [name, damage] of Object.entries(DAMAGES))
  test(`${name}: refused with a sentence, found when it is read, or no harm (STOMPBOX_SEED=${SEED})`, async ({
    onTestFinished,
  }) => {
    const parent = folder(onTestFinished);
    const whole = join(parent, 'whole');
    const store = await lmdbStore({ dir: whole });
    for (let n = 0; n < 150; n++) await store.commit(changeAt(SEED, n));
    const { digest, expiring } = digestOf(stateOf(store));
    await store.close();

    const dice = random(SEED);
    const dirs = Array.from({ length: TIMES }, (_, i) => {
      const dir = join(parent, String(i));
      mkdirSync(dir);
      writeFileSync(join(dir, 'data.mdb'), damage(readFileSync(join(whole, 'data.mdb')), dice));
      return dir;
    });
    const report = join(parent, 'report');
    const child = reader.start(report, ...dirs);
    const [errors, [code, signal]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
    const out = readFileSync(report, 'utf8');
    const lines = out.trim().split('\n');
    expect({ code, signal, errors, of: dirs[lines.length] }).toEqual({
      code: 0,
      signal: null,
      errors: '',
      of: undefined,
    });
    for (const [i, line] of lines.entries()) {
      const found = JSON.parse(line);
      if (found.refused !== undefined) expect(found.refused).toMatch(/^\/.* is damaged/s);
      else if (found.damaged !== undefined) expect(found.damaged).toMatch(/ is damaged$/);
      else {
        expect(found.digest, `damage ${i}`).toBe(digest);
        expect(expiring, `damage ${i}`).toEqual(expect.arrayContaining(found.expiring));
      }
    }
  });

test('a store that was cut short says so and is left as it is', async ({ onTestFinished }) => {
  const dir = folder(onTestFinished);
  const file = join(dir, 'data.mdb');
  const store = await lmdbStore({ dir });
  await store.commit({ append: [message(1, { content: content(Buffer.alloc(100_000)) })] });
  await store.close();
  truncateSync(file, 3 * PAGE);
  await expect(lmdbStore({ dir })).rejects.toMatchObject({
    code: 'damaged',
    message: expect.stringMatching(/data\.mdb is damaged \(it is cut short.*restore it from a backup/),
  });
  expect(readFileSync(file).length).toBe(3 * PAGE);
});

test.each([
  ['the older of the first two pages that would pass for the newer', 1n],
  ['the newer that would pass for one before the older', -2n],
])('%s is found: nothing that was kept goes back by a transaction', async (_, by) => {
  const parent = folder(onTestFinished);
  const dir = join(parent, 'whole');
  const store = await lmdbStore({ dir });
  for (let id = 1; id <= 9; id++) await store.commit({ append: [message(id)] });
  await store.close();
  const bytes = readFileSync(join(dir, 'data.mdb'));
  const newer = bytes.readBigUInt64LE(152) > bytes.readBigUInt64LE(PAGE + 152) ? 0 : PAGE;
  const changed = by > 0n ? PAGE - newer : newer;
  bytes.writeBigUInt64LE(bytes.readBigUInt64LE(newer + 152) + by, changed + 152);
  const damaged = join(parent, 'damaged');
  mkdirSync(damaged);
  writeFileSync(join(damaged, 'data.mdb'), bytes);
  await expect(lmdbStore({ dir: damaged })).rejects.toMatchObject({ code: 'damaged' });
});

test('a file that is something else is refused', async ({ onTestFinished }) => {
  const dir = folder(onTestFinished);
  writeFileSync(join(dir, 'data.mdb'), 'dear diary,\n'.repeat(1000));
  await expect(lmdbStore({ dir })).rejects.toMatchObject({ code: 'damaged' });
});

test('a damaged message is named, and the others are read once it is settled', async ({ onTestFinished }) => {
  const dir = folder(onTestFinished);
  const file = join(dir, 'data.mdb');
  let store: Store = await lmdbStore({ dir });
  await store.commit({
    append: [1, 2, 3].map((id) => message(id, { content: content(`the body of number ${id}`), expiresAt: id })),
    schedule: [{ ...message(4, { content: content('scheduled body') }), dueAt: 1 }],
  });
  await store.close();
  const bytes = readFileSync(file);
  for (const body of ['the body of number 2', 'scheduled body'])
    for (let at = bytes.indexOf(body); at >= 0; at = bytes.indexOf(body, at + 1)) bytes[at] = 0x20;
  writeFileSync(file, bytes);

  store = await lmdbStore({ dir });
  const [first] = store.read('orders', undefined, ALL);
  expect(ids(store.read('orders', undefined, ALL))).toEqual([1]);
  const key = { queue: 'orders', priority: 4, id: 2 };
  const sentence = `message 2 of queue orders in ${dir} is damaged`;
  expect(() => store.read('orders', first, ALL)).toThrow(
    expect.objectContaining({ code: 'damaged', key, message: sentence }),
  );
  expect(() => store.due(1, ALL)).toThrow(expect.objectContaining({ code: 'damaged', key: { dueAt: 1, id: 4 } }));
  await store.commit({ settle: [key as MessageKey], unschedule: [{ dueAt: 1, id: 4 }] });
  expect(ids(store.read('orders', undefined, ALL))).toEqual([1, 3]);
  expect(ids(store.expired(9, 9))).toEqual([1, 3]);
  expect(store.due(1, ALL)).toEqual([]);
  expect([...store.queues()].map(({ messages }) => messages)).toEqual([2]);
  await store.close();
});
