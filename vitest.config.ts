import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

// Tests run the sources, not dist: `@stompbox/x` is packages/x/src/index.ts and `@stompbox/x/y` is packages/x/src/y.ts.
const packages = fileURLToPath(new URL('./packages/', import.meta.url));
const REAL_PEERS = 'tests/real-peers/**/*.test.ts';

export default defineConfig({
  resolve: {
    alias: [
      { find: /^@stompbox\/([a-z]+)$/, replacement: `${packages}$1/src/index.ts` },
      { find: /^@stompbox\/([a-z]+)\/([a-z-]+)$/, replacement: `${packages}$1/src/$2.ts` },
      { find: /^testkit$/, replacement: `${packages}testkit/src/index.ts` },
      { find: /^testkit\/([a-z-]+)$/, replacement: `${packages}testkit/src/$1.ts` },
    ],
  },
  test: {
    dangerouslyIgnoreUnhandledErrors: false,
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['packages/*/test/**/*.test.ts', 'tests/**/*.test.ts'],
          exclude: [REAL_PEERS],
          testTimeout: 30_000,
          hookTimeout: 120_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'peers',
          include: [REAL_PEERS],
          globalSetup: 'tests/real-peers/setup.ts',
          testTimeout: 60_000,
          hookTimeout: 180_000,
          maxWorkers: 2, // the brokers need the rest of the machine
          sequence: { groupOrder: 1 }, // after the unit tests
        },
      },
    ],
  },
});
