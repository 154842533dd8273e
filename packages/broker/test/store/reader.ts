// A process that opens store after store and writes what it finds to a file, as one line
// of JSON each: damage may end a process, and the test must live to tell.

import { appendFileSync } from 'node:fs';
import { argv } from 'node:process';
import { lmdbStore } from '../../src/store/lmdb.ts';
import { digestOf, stateOf } from './model.ts';

const [report = '', ...dirs] = argv.slice(2);
for (const dir of dirs) appendFileSync(report, `${JSON.stringify(await look(dir))}\n`);

async function look(dir: string): Promise<{ refused?: string; damaged?: string; digest?: string; expiring?: unknown }> {
  let store: Awaited<ReturnType<typeof lmdbStore>>;
  try {
    store = await lmdbStore({ dir });
  } catch (error) {
    return { refused: error instanceof Error ? error.message : String(error) };
  }
  try {
    return digestOf(stateOf(store));
  } catch (error) {
    return { damaged: error instanceof Error ? error.message : String(error) };
  } finally {
    await store.close();
  }
}
