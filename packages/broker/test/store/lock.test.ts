import { once } from 'node:events';
import { mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { lmdbStore } from '../../src/store/lmdb.ts';
import { type DirectoryLock, lockDirectory } from '../../src/store/lock.ts';
import { type Program, program } from './process.ts';
import { folder, message } from './support.ts';

let holder: Program;
beforeAll(async () => {
  holder = await program('holder');
});
afterAll(() => holder.remove());

/** What it says first, and how to kill it. */
async function hold(dir: string): Promise<{ said: string; pid: number; kill(): Promise<unknown> }> {
  const child = holder.start(dir);
  const ended = once(child, 'exit');
  const [said] = await once(createInterface({ input: child.stdout }), 'line');
  const kill = () => {
    child.kill('SIGKILL');
    return ended;
  };
  return { said, pid: child.pid as number, kill };
}

test('a directory in use by another process is refused by its number, and free once that is killed', async ({
  onTestFinished,
}) => {
  const dir = folder(onTestFinished);
  const other = await hold(dir);
  expect(other.said).toBe('<');
  await expect(lmdbStore({ dir })).rejects.toMatchObject({
    code: 'locked',
    message: `${dir} is in use by process ${other.pid}; a data directory serves one broker at a time`,
  });
  await other.kill();
  const store = await lmdbStore({ dir });
  expect((await hold(dir)).said).toContain(`is in use by process ${process.pid}`);
  await store.close();
  expect(readdirSync(dir).sort()).toEqual(['data.mdb', 'lock.mdb']);
});

test('a directory in use by this process is refused, by another path, too', async ({ onTestFinished }) => {
  const parent = folder(onTestFinished);
  const dir = join(parent, 'data');
  mkdirSync(dir);
  symlinkSync(dir, join(parent, 'link'));
  const store = await lmdbStore({ dir });
  await expect(lmdbStore({ dir })).rejects.toThrow(`${dir} is in use by this process`);
  await expect(lmdbStore({ dir: join(parent, 'link') })).rejects.toMatchObject({ code: 'locked' });
  await store.commit({ append: [message(1)] });
  await store.close();
  const again = await lmdbStore({ dir });
  expect(again.lastId).toBe(1);
  await again.close();
});

test('of many that come at once, never two get in, and somebody does in the end', async ({ onTestFinished }) => {
  const dir = folder(onTestFinished);
  let inside = 0;
  let most = 0;
  let entries = 0;
  const visit = async () => {
    for (let tries = 0; tries < 20; tries++) {
      let lock: DirectoryLock;
      try {
        lock = await lockDirectory(dir);
      } catch (error) {
        expect(error).toMatchObject({ code: 'locked' });
        continue;
      }
      most = Math.max(most, ++inside);
      entries++;
      await new Promise((resolve) => setImmediate(resolve));
      inside--;
      await lock.release();
    }
  };
  await Promise.all(Array.from({ length: 6 }, visit));
  await visit();
  expect(most).toBe(1);
  expect(entries).toBeGreaterThan(19);
  expect(readdirSync(dir)).toEqual([]);
});

test.skipIf(process.platform !== 'linux')(
  'a path too long for a socket can be locked, too',
  async ({ onTestFinished }) => {
    const dir = join(folder(onTestFinished), 'x'.repeat(200));
    const store = await lmdbStore({ dir });
    await expect(lmdbStore({ dir })).rejects.toMatchObject({ code: 'locked' });
    await store.close();
    expect(readdirSync(dir).sort()).toEqual(['data.mdb', 'lock.mdb']);
  },
);
