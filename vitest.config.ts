import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

// Tests run the sources, not dist: `@stompbox/x` is packages/x/src/index.ts and `@stompbox/x/y` is packages/x/src/y.ts.
const packages = fileURLToPath(new URL('./packages/', import.meta.url));

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
    include: ['packages/*/test/**/*.test.ts', 'tests/**/*.test.ts'],
    testTimeout: 30_000,
    hookTimeout: 120_000,
    dangerouslyIgnoreUnhandledErrors: false,
  },
});
