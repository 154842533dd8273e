import { cpSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { LAYOUT, type Layout } from '../../src/store/layout.ts';
import { lmdbStore } from '../../src/store/lmdb.ts';
import { changeAt } from './history.ts';
import { Model, stateOf } from './model.ts';
import { folder, message } from './support.ts';

// One directory for each layout there ever was, made once and kept:
//
//   STOMPBOX_MAKE_FIXTURE=1 npx vitest run packages/broker/test/store/layout.test.ts
//
// makes that of the current layout, if there is none yet.
const FIXTURES = fileURLToPath(new URL('./fixtures/', import.meta.url));
const CHANGES = 60;
const SEED = 1;

if (process.env.STOMPBOX_MAKE_FIXTURE !== undefined && !existsSync(join(FIXTURES, `layout-${LAYOUT.version}`))) {
  const dir = join(FIXTURES, `layout-${LAYOUT.version}`);
  mkdirSync(dir, { recursive: true });
  const store = await lmdbStore({ dir });
  for (let n = 0; n < CHANGES; n++) await store.commit(changeAt(SEED, n));
  await store.close();
  rmSync(join(dir, 'lock.mdb')); // of no use on another machine
}

for (let version = 1; version <= LAYOUT.version; version++)
  test(`a directory of layout ${version} opens with all that is in it`, async ({ onTestFinished }) => {
    const dir = folder(onTestFinished);
    cpSync(join(FIXTURES, `layout-${version}`), dir, { recursive: true });
    const model = new Model();
    for (let n = 0; n < CHANGES; n++) model.apply(changeAt(SEED, n));
    for (let opening = 0; opening < 2; opening++) {
      const store = await lmdbStore({ dir });
      expect(stateOf(store)).toEqual(model.state);
      await store.close();
    }
  });

/** A layout of the future, in which facts of old are found under another name. */
const LATER: Layout = {
  version: LAYOUT.version + 2,
  upgrades: new Map([
    [LAYOUT.version + 1, (open) => open('extra').putSync(Buffer.from('made'), Buffer.from('yes'))],
    [LAYOUT.version + 2, (open) => open('facts').removeSync(Buffer.from('fact'))],
  ]),
};

test('an older directory is upgraded step by step, once; the older Stompbox then refuses it and says what to do', async ({
  onTestFinished,
}) => {
  const dir = folder(onTestFinished);
  const old = await lmdbStore({ dir });
  await old.commit({ append: [message(1)], facts: [{ key: 'fact', value: 'old' }] });
  await old.close();

  for (let opening = 0; opening < 2; opening++) {
    const store = await lmdbStore({ dir }, LATER);
    expect([...store.facts('')]).toEqual([]);
    expect(store.lastId).toBe(1);
    await store.close();
  }
  await expect(lmdbStore({ dir })).rejects.toMatchObject({
    code: 'newer',
    message: `${dir} was written by a later Stompbox (layout ${LATER.version}; this one knows ${LAYOUT.version}): use that one, or another directory`,
  });
  const untouched = await lmdbStore({ dir }, LATER);
  await untouched.close();
});

test('an upgrade that fails half way leaves the directory as it was', async ({ onTestFinished }) => {
  const dir = folder(onTestFinished);
  const old = await lmdbStore({ dir });
  await old.commit({ facts: [{ key: 'fact', value: 'old' }] });
  await old.close();
  const broken: Layout = {
    version: LAYOUT.version + 1,
    upgrades: new Map([
      [
        LAYOUT.version + 1,
        (open) => {
          open('facts').removeSync(Buffer.from('fact'));
          throw new Error('the lights went out');
        },
      ],
    ]),
  };
  await expect(lmdbStore({ dir }, broken)).rejects.toThrow('the lights went out');
  const store = await lmdbStore({ dir });
  expect([...store.facts('')]).toEqual([['fact', 'old']]);
  await store.close();
});

test('a directory is made where there is none, with those above it', async ({ onTestFinished }) => {
  const dir = join(folder(onTestFinished), 'a', 'b.c', 'data');
  const store = await lmdbStore({ dir });
  expect(store.size).toBeGreaterThan(0);
  await store.close();
  expect(existsSync(join(dir, 'data.mdb'))).toBe(true);
});

test('a directory from which no upgrade leads here is refused', async ({ onTestFinished }) => {
  const dir = folder(onTestFinished);
  await (await lmdbStore({ dir })).close();
  const layout = { version: LAYOUT.version + 1, upgrades: new Map() };
  await expect(lmdbStore({ dir }, layout)).rejects.toThrow('no way leads from there');
});
