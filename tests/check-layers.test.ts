// scripts/check-layers, run on small trees that break one rule each.

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { run } from '../packages/testkit/src/peers/programs.ts';

const script = fileURLToPath(new URL('../scripts/check-layers', import.meta.url));

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'stompbox-layers-'));
});

afterEach(() => rm(root, { recursive: true, force: true }));

const main = { types: './dist/index.d.ts', default: './dist/index.js' };
const MANIFESTS = {
  protocol: { name: '@stompbox/protocol', exports: { '.': main } },
  transport: {
    name: '@stompbox/transport',
    exports: {
      '.': main,
      './dial': { browser: { default: './dist/dial-browser.js' }, default: './dist/dial.js' },
      './node': { default: './dist/node.js' },
    },
  },
  client: { name: '@stompbox/client', exports: { '.': main } },
  broker: { name: '@stompbox/broker', exports: { '.': main } },
  console: { name: '@stompbox/console', exports: { '.': main } },
  cli: { name: 'stompbox', exports: {} },
  testkit: { name: 'testkit', exports: { '.': main } },
};

/** What the script says about a tree of these files: a line each, nothing when all is well. */
async function problems(files: Record<string, string>): Promise<string[]> {
  const manifests = Object.entries(MANIFESTS).map(([folder, manifest]) => [
    `packages/${folder}/package.json`,
    JSON.stringify(manifest),
  ]);
  for (const [path, text] of [...Object.entries(files), ...manifests] as [string, string][]) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  return run(script, [root]).then(
    () => [],
    (error: Error) => error.message.replace(/^.*? failed: /, '').split('\n'),
  );
}

test('arrows that the table allows pass, in every form of import', async () => {
  const found = await problems({
    'packages/protocol/src/index.ts': "export * from './frame.ts';\nexport type { Frame } from './frame.ts';\n",
    'packages/protocol/src/frame.ts': 'export interface Frame {}\n',
    'packages/transport/src/index.ts': 'export {};\n',
    'packages/transport/src/dial.ts': "import { connect } from 'node:net';\nimport { WebSocket } from 'ws';\n",
    'packages/transport/src/dial-browser.ts': "import './index.ts';\n",
    'packages/client/src/index.ts':
      "import {\n  a,\n  b,\n} from '@stompbox/protocol';\nimport '@stompbox/transport/dial';\n",
    'packages/client/test/a.test.ts':
      "import { test } from 'vitest';\nimport 'testkit';\nimport 'node:fs';\nimport '../src/index.ts';\n",
    'packages/console/src/index.ts':
      "import type { Broker } from '@stompbox/broker';\nawait import('@stompbox/client');\n",
    'packages/cli/src/main.ts': "import { Command } from 'commander';\nconsole.log(process.argv);\n",
    'tests/all.test.ts': "import '../packages/client/src/index.ts';\nimport 'playwright-core';\n",
  });
  expect(found).toEqual([]);
});

test('a forbidden arrow fails, and is named with its place', async () => {
  const found = await problems({
    'packages/transport/src/index.ts': "// what for?\nimport { Frame } from '@stompbox/protocol';\n",
    'packages/console/src/index.ts': "import { createBroker } from '@stompbox/broker';\n",
    'packages/protocol/src/index.ts': "const later = () => import('@stompbox/client');\n",
  });
  expect(found).toEqual([
    'packages/console/src/index.ts:1: console -> broker is forbidden: console may import client',
    'packages/protocol/src/index.ts:1: protocol -> client is forbidden: protocol may import nothing',
    'packages/transport/src/index.ts:2: transport -> protocol is forbidden: transport may import nothing',
  ]);
});

test('the inside of another package fails, by its name or by its path', async () => {
  const found = await problems({
    'packages/client/src/index.ts': "export { a } from '@stompbox/protocol/escape';\n",
    'packages/broker/src/index.ts': "import type { b } from '../../protocol/src/escape.ts';\n",
    'packages/protocol/src/escape.ts': 'export const a = 1;\n',
  });
  expect(found).toEqual(
    [
      "packages/client/src/index.ts:1: client -> protocol: '@stompbox/protocol/escape' is an inside; package.json does not export it",
      'packages/broker/src/index.ts:1: broker -> packages/protocol/src/escape.ts: import another package by its name',
    ].sort(),
  );
});

test('a package of others that is not on the list fails', async () => {
  const found = await problems({
    'packages/broker/src/index.ts': "import ws from 'ws';\n",
    'packages/broker/test/a.test.ts': "import { x } from '@scope/thing/deep';\n",
  });
  expect(found).toEqual([
    'packages/broker/src/index.ts:1: broker -> ws is forbidden: broker may use lmdb, yaml',
    'packages/broker/test/a.test.ts:1: broker -> @scope/thing is forbidden: broker may use lmdb, yaml, fast-check, vitest, esbuild',
  ]);
});

test('node: fails in protocol, and in whatever browsers reach', async () => {
  const found = await problems({
    'packages/protocol/src/index.ts': "import { Buffer } from 'node:buffer';\n",
    'packages/transport/src/index.ts': "export * from './tcp.ts';\n",
    'packages/transport/src/tcp.ts': "import type { Socket } from 'node:net';\n",
    'packages/transport/src/node.ts': "import 'node:tls';\n",
    'packages/client/src/index.ts': "import '@stompbox/transport/node';\n",
  });
  expect(found).toEqual([
    'packages/protocol/src/index.ts:1: runs in browsers and must not reach node:buffer (packages/protocol/src/index.ts)',
    'packages/transport/src/tcp.ts:1: runs in browsers and must not reach node:net (packages/transport/src/index.ts -> packages/transport/src/tcp.ts)',
    'packages/transport/src/node.ts:1: runs in browsers and must not reach node:tls (packages/client/src/index.ts -> packages/transport/src/node.ts)',
  ]);
});

test('a cycle fails, within a package and across two', async () => {
  const found = await problems({
    'packages/protocol/src/a.ts': "import './b.ts';\n",
    'packages/protocol/src/b.ts': "\nimport type { C } from './c.ts';\n",
    'packages/protocol/src/c.ts': "export * from './a.ts';\n",
    'packages/transport/src/own.ts': "import './own.ts';\n",
  });
  const [a, b, c, own] = ['protocol/src/a', 'protocol/src/b', 'protocol/src/c', 'transport/src/own'].map(
    (name) => `packages/${name}.ts`,
  );
  expect(found).toEqual([
    `${a}:1: import cycle: ${a} -> ${b} -> ${c} -> ${a}`,
    `${own}:1: import cycle: ${own} -> ${own}`,
  ]);
});

test('a library that prints, exits or reads the environment fails', async () => {
  const found = await problems({
    'packages/broker/src/index.ts': 'if (process.env.DEBUG) {\n  console.log(process\n.argv);\n}\nprocess.hrtime();\n',
  });
  expect(found).toEqual([
    'packages/broker/src/index.ts:1: broker is a library and may not touch process.env',
    'packages/broker/src/index.ts:2: broker is a library and may not touch console',
    'packages/broker/src/index.ts:2: broker is a library and may not touch process.argv',
  ]);
});

test('what stands in comments, strings and regular expressions is no import', async () => {
  const found = await problems({
    'packages/protocol/src/index.ts': [
      "// import 'node:fs';",
      "/* import 'node:fs';\n   process.env */",
      'const text = "import \'node:fs\'; process.env";',
      `const code = \`import 'node:fs'; \${text + \`process.exit\`} console.log\`;`,
      "const quote = /['\"`/*]/; const half = 4 / 2; // '",
      "const from = Array.from('node:fs');",
      '',
    ].join('\n'),
  });
  expect(found).toEqual([]);
});

test('a package that the table does not know fails', async () => {
  const found = await problems({ 'packages/extra/src/index.ts': '' });
  expect(found).toEqual(['packages/extra:1: the table in scripts/layers.mjs does not know this package']);
});
