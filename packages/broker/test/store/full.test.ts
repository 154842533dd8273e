import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { checkDataFile } from '../../src/store/data-file.ts';
import { lmdbStore } from '../../src/store/lmdb.ts';
import { ALL, content, folder, ids, message } from './support.ts';

/** A small disk; undefined where we may not make one. */
function smallDisk(parent: string): { dir: string; remove(): void } | undefined {
  const dir = join(parent, 'disk');
  mkdirSync(dir);
  const { status, error } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', dir]);
  if (error !== undefined || status !== 0) return undefined;
  return { dir, remove: () => spawnSync('umount', [dir]) };
}

test('on a full disk a commit is refused whole, settling goes on, and when space returns so does the store', async ({
  onTestFinished,
  skip,
}) => {
  const parent = folder(onTestFinished);
  const disk = smallDisk(parent);
  if (disk === undefined) return skip('needs root, to mount a small disk');
  onTestFinished(disk.remove);
  vi.spyOn(console, 'error').mockImplementation(() => {}); // lmdb says it there as well
  onTestFinished(() => void vi.restoreAllMocks());

  const dir = join(disk.dir, 'data');
  let store = await lmdbStore({ dir });
  const kept: number[] = [];
  const refused: unknown[] = [];
  let id = 0;
  const some = Array.from({ length: 20 });
  const body = content(Buffer.alloc(3_000));
  while (refused.length === 0) {
    const commits = some.map(async () => {
      const mine = ++id;
      const facts = [{ key: `fact of ${mine}`, value: 'kept' }];
      await store.commit({ append: [message(mine, { content: body })], facts }).then(
        () => kept.push(mine),
        (error) => refused.push(error),
      );
    });
    await Promise.all(commits);
  }
  const read = () => ids(store.read('orders', undefined, ALL));
  expect(kept.length).toBeGreaterThan(1_000);
  expect(refused).toEqual(refused.map(() => expect.objectContaining({ code: 'full', name: 'StoreError' })));
  expect(read()).toEqual(kept);
  expect([...store.facts('')].length).toBe(kept.length);
  expect(store.lastId).toBe(kept.length);

  // Those who only settle are not refused with those who share their flush.
  const gone = kept.splice(0, 3);
  const [large, settled] = await Promise.allSettled([
    store.commit({ append: [message(++id, { content: content(Buffer.alloc(6_000_000)) })] }),
    store.commit({ settle: gone.map((each) => message(each)) }),
  ]);
  expect(large).toMatchObject({ status: 'rejected', reason: { code: 'full' } });
  expect(settled).toMatchObject({ status: 'fulfilled' });
  expect(read()).toEqual(kept);

  while (kept.length > 100) await store.commit({ settle: kept.splice(0, 50).map((each) => message(each)) });
  await store.commit({ append: some.map(() => message(kept[kept.push(++id) - 1] as number, { content: body })) });
  expect(read()).toEqual(kept);

  await store.close();
  checkDataFile(join(dir, 'data.mdb'));
  store = await lmdbStore({ dir });
  expect(read()).toEqual(kept);
  expect([...store.queues()]).toEqual([
    { queue: 'orders', messages: kept.length, bytes: kept.length * body.bytes.length },
  ]);
  await store.close();
});

test('space that somebody else took comes back when he goes', async ({ onTestFinished, skip }) => {
  const parent = folder(onTestFinished);
  const disk = smallDisk(parent);
  if (disk === undefined) return skip('needs root, to mount a small disk');
  onTestFinished(disk.remove);
  vi.spyOn(console, 'error').mockImplementation(() => {});
  onTestFinished(() => void vi.restoreAllMocks());

  const store = await lmdbStore({ dir: join(disk.dir, 'data') });
  const large = (id: number) => store.commit({ append: [message(id, { content: content(Buffer.alloc(2_400_000)) })] });
  await large(1);
  const film = join(disk.dir, 'film');
  try {
    writeFileSync(film, Buffer.alloc(8_000_000));
  } catch {} // as much as there was room for
  await expect(large(2)).rejects.toMatchObject({ code: 'full' });
  rmSync(film);
  await large(3);
  expect(ids(store.read('orders', undefined, ALL))).toEqual([1, 3]);
  await store.close();
});
