// A process that keeps changes of a history as fast as it can, some at a time, until it
// is killed. On stdout: `<` when the store is open, `=n` when n is confirmed.

import { writeSync } from 'node:fs';
import { argv } from 'node:process';
import { lmdbStore } from '../../src/store/lmdb.ts';
import { changeAt } from './history.ts';

const [dir = '', seed = '', first = '', last = 'Infinity', atATime = '8'] = argv.slice(2);
const store = await lmdbStore({ dir });
writeSync(1, '<\n');
let next = Number(first);

async function keepOn(): Promise<void> {
  while (next < Number(last)) {
    const n = next++;
    await store.commit(changeAt(Number(seed), n));
    writeSync(1, `=${n}\n`);
  }
}

await Promise.all(Array.from({ length: Number(atATime) }, keepOn));
await store.close();
