// A process that opens a store and holds it until it is killed. On stdout: `<`, or the sentence that refuses it.

import { writeSync } from 'node:fs';
import { argv } from 'node:process';
import { lmdbStore } from '../../src/store/lmdb.ts';

try {
  await lmdbStore({ dir: argv[2] ?? '' });
  writeSync(1, '<\n');
  setInterval(() => {}, 1000);
} catch (error) {
  writeSync(1, `${error instanceof Error ? error.message : error}\n`);
}
