// packages/client as a browser gets it: one minified script, resolved with the `browser` condition.

import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';

const PACKAGES = fileURLToPath(new URL('../../../packages/', import.meta.url));

export interface Bundle {
  /** Makes the client the global `stompbox`. */
  readonly script: string;
  /** The files in it. */
  readonly files: readonly string[];
}

/** `contents` is what is bundled, as a module in `packages`. */
export async function bundleClient(contents = `export * from '@stompbox/client';`): Promise<Bundle> {
  const { outputFiles, metafile } = await build({
    stdin: { contents, resolveDir: PACKAGES },
    absWorkingDir: PACKAGES,
    bundle: true,
    metafile: true,
    write: false,
    minify: true,
    platform: 'browser',
    conditions: ['browser'],
    format: 'iife',
    globalName: 'stompbox',
    target: 'es2022',
    plugins: [sources],
  });
  const script = outputFiles.map(({ text }) => text).join('');
  return { script, files: Object.keys(metafile.inputs).filter((name) => name !== '<stdin>') };
}

/** What the packages' `exports` say, but their sources: the tests need no build. */
const sources: Plugin = {
  name: 'sources',
  setup({ onResolve }) {
    onResolve({ filter: /^@stompbox\// }, async ({ path }) => {
      const [, folder, ...door] = path.split('/');
      const manifest = JSON.parse(await readFile(`${PACKAGES}${folder}/package.json`, 'utf8'));
      const target = underConditions(manifest.exports[['.', ...door].join('/')]);
      if (target === undefined) return { errors: [{ text: `${path} is not exported to browsers` }] };
      return { path: `${PACKAGES}${folder}/${target.replace(/^\.\/dist\/(.*)\.js$/, 'src/$1.ts')}` };
    });
  },
};

/** The file that a bundler for browsers takes: the first condition that holds, depth first. */
function underConditions(target: unknown): string | undefined {
  if (typeof target === 'string') return target;
  for (const [condition, inner] of Object.entries(target ?? {})) {
    if (['browser', 'import', 'default'].includes(condition)) return underConditions(inner);
  }
  return undefined;
}
