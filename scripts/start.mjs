// npm start: a broker and a small live workload, on a fresh clone too.
//
// The command line runs in this very process, so the terminal, the signals and the exit code are its own.

import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ensure, Failure, root } from './ensure.mjs';

try {
  ensure();
  const main = join(root, 'packages/cli/dist/main.js');
  process.argv = [process.execPath, main, 'demo', ...process.argv.slice(2)];
  await import(pathToFileURL(main));
} catch (error) {
  if (!(error instanceof Failure)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
