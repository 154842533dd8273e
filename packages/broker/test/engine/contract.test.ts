// The embedded engine keeps the contract of all engines, in memory and on disk.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { engineContract } from 'testkit';
import { afterAll, describe, test } from 'vitest';
import { EmbeddedEngine } from '../../src/engine/embedded/embedded.ts';
import { resolveLimits } from '../../src/limits.ts';
import { lmdbStore } from '../../src/store/lmdb.ts';
import { memoryStore } from '../../src/store/memory.ts';

const time = (): number => Date.now();

describe('the engine in memory', () => {
  const cases = engineContract(
    (settings, schedule) => new EmbeddedEngine({ ...resolveLimits(), ...settings, schedule, time }, memoryStore()),
  );
  for (const { name, skip, run } of cases) test.skipIf(skip)(name, run);
});

describe('the engine on LMDB', () => {
  const root = mkdtempSync(join(tmpdir(), 'stompbox-engine-'));
  afterAll(() => rmSync(root, { recursive: true, force: true }));
  let made = 0;
  const cases = engineContract(
    async (settings, schedule) => {
      const store = await lmdbStore({ dir: join(root, String(++made)) });
      const { maxMemoryBytes: maxStoreBytes = Number.MAX_SAFE_INTEGER } = settings;
      return new EmbeddedEngine({ ...resolveLimits(), ...settings, maxStoreBytes, schedule, time }, store);
    },
    {
      skips: {
        'a queue, all queues and their number have limits that are named (promise 5, M-93)':
          'maxMemoryBytes is about memory, and these queues are on disk: maxStoreBytes is tested in durable.test.ts',
        'producers of a queue wait while its consumers are behind, and go on when these have caught up (promise 5, M-90)':
          'a durable queue spills to disk instead',
      },
    },
  );
  for (const { name, skip, run } of cases) test.skipIf(skip)(name, run);
});
