// The embedded engine keeps the contract of all engines.

import { engineContract } from 'testkit';
import { describe, test } from 'vitest';
import { EmbeddedEngine } from '../../src/engine/embedded/embedded.ts';
import { resolveLimits } from '../../src/limits.ts';

describe('the engine in memory', () => {
  const cases = engineContract(
    (settings, schedule) => new EmbeddedEngine({ ...resolveLimits(), ...settings, schedule }),
  );
  for (const { name, skip, run } of cases) test.skipIf(skip)(name, run);
});
