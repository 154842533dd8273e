import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LmdbStoreOptions, lmdbStore } from '../../src/store/lmdb.ts';
import { memoryStore } from '../../src/store/memory.ts';
import { storeContract } from './contract.ts';

storeContract('the store in memory', { make: async () => memoryStore(), clear: () => {} });

function onLmdb(name: string, options: Omit<LmdbStoreOptions, 'dir'>): void {
  let dir: string | undefined;
  const make = () => {
    dir ??= mkdtempSync(join(tmpdir(), 'stompbox-store-'));
    return lmdbStore({ dir, ...options });
  };
  const clear = () => {
    if (dir !== undefined) rmSync(dir, { recursive: true });
    dir = undefined;
  };
  storeContract(name, { make, clear }, { survives: 'restart' });
}

onLmdb('the store on LMDB', {});
onLmdb('the store on LMDB that lets go of its file after each transaction', { mostMapped: 0 });
