import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lmdbStore } from '../../src/store/lmdb.ts';
import { memoryStore } from '../../src/store/memory.ts';
import { storeContract } from './contract.ts';

storeContract('the store in memory', { make: async () => memoryStore(), clear: () => {} });

let dir: string | undefined;
storeContract(
  'the store on LMDB',
  {
    make: () => {
      dir ??= mkdtempSync(join(tmpdir(), 'stompbox-store-'));
      return lmdbStore({ dir });
    },
    clear: () => {
      if (dir !== undefined) rmSync(dir, { recursive: true });
      dir = undefined;
    },
  },
  { survives: 'restart' },
);
