// What docs/coming-from shows, runs: each program as it stands there, in a process of its own, against a broker of ours;
// and those of stompjs a second time with one import changed.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createBroker } from '@stompbox/broker';
import { build } from 'esbuild';
import { describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const docs = join(root, 'docs/coming-from');
const COMPATIBLE = '@stompbox/client/stompjs';

interface Chapter {
  readonly title: string;
  readonly ours: string;
  readonly theirs: string;
  readonly whose: string;
  readonly prints: string;
}

for (const page of readdirSync(docs)) {
  const chapters = chaptersOf(readFileSync(join(docs, page), 'utf8'));

  describe(page, () => {
    test('every chapter with a program has both, and says what they print', () => {
      expect(chapters.length).toBeGreaterThan(3);
      for (const { title, ours, theirs, prints } of chapters) {
        expect([title, ours !== '', theirs !== '', prints !== '']).toEqual([title, true, true, true]);
      }
    });

    test.for(chapters)('$title: theirs', async ({ theirs, prints }) => {
      expect(await run(theirs)).toEqual({ code: 0, stdout: prints, stderr: '' });
    });

    test.for(chapters.filter(({ whose }) => whose === 'stompjs'))('$title: one import changed', async (chapter) => {
      const changed = chapter.theirs.replace("'@stomp/stompjs'", `'${COMPATIBLE}'`);
      expect(changed).toContain(COMPATIBLE);
      expect(await run(changed)).toEqual({ code: 0, stdout: chapter.prints, stderr: '' });
    });

    test.for(chapters.filter(({ whose }) => whose === 'rx-stomp'))(
      '$title: rx-stomp on top of ours',
      async (chapter) => {
        expect(await run(chapter.theirs, { underRxStomp: true })).toEqual({
          code: 0,
          stdout: chapter.prints,
          stderr: '',
        });
      },
    );

    test.for(chapters)('$title: ours, which is shorter', async ({ theirs, ours, prints }) => {
      expect(await run(ours)).toEqual({ code: 0, stdout: prints, stderr: '' });
      expect(ours.length).toBeLessThan(theirs.length);
    });
  });
}

function chaptersOf(page: string): Chapter[] {
  return page
    .split(/^## /m)
    .slice(1)
    .map((text): Chapter => {
      const block = (info: string): string[] =>
        new RegExp(`^\`\`\`${info}\\n(.*?)^\`\`\``, 'ms').exec(text)?.slice(1) ?? [];
      const [whose = '', theirs = ''] = block('js (stompjs|rx-stomp|stompit)');
      const [ours = ''] = block('js stompbox');
      const [prints = ''] = block('text');
      return { title: text.slice(0, text.indexOf('\n')), ours, theirs, whose, prints };
    })
    .filter(({ ours, theirs }) => ours !== '' || theirs !== '');
}

interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program as its reader would, but for the addresses in it; `underRxStomp` puts our entry where rx-stomp has stompjs. */
async function run(program: string, { underRxStomp = false } = {}): Promise<Ran> {
  await using broker = await createBroker({ listen: ['tcp://127.0.0.1:0', 'ws://127.0.0.1:0'] });
  const [tcp = '', ws = ''] = broker.urls;
  const { port } = new URL(tcp);
  const addressed = program
    .replaceAll('ws://localhost:15674/ws', ws)
    .replaceAll('localhost:61613', `127.0.0.1:${port}`)
    .replaceAll(/host: 'localhost', port: 61613/g, `host: '127.0.0.1', port: ${port}`);
  const folder = mkdtempSync(join(root, 'node_modules/.coming-from-')); // so that packages are found
  try {
    const file = join(folder, 'program.mjs');
    // Node 20 has no WebSocket, which stompjs asks its users to provide.
    writeFileSync(file, `import { WebSocket } from 'ws';\nglobalThis.WebSocket ??= WebSocket;\n${addressed}`);
    await build({
      entryPoints: [file],
      outfile: file,
      allowOverwrite: true,
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node20', // `await using` is younger
      plugins: [
        {
          name: 'the sources of ours, the packages of others',
          setup(build) {
            build.onResolve({ filter: /^[^./]/ }, ({ path, kind }) => {
              if (underRxStomp && path === '@stomp/rx-stomp') return undefined; // bundled, with what it imports
              const own = underRxStomp && path === '@stomp/stompjs' ? COMPATIBLE : path;
              const [, name, door = 'index'] = /^@stompbox\/([a-z]+)(?:\/([a-z-]+))?$/.exec(own) ?? [];
              if (name !== undefined) return { path: join(root, 'packages', name, `src/${door}.ts`) };
              return kind === 'entry-point' ? undefined : { path, external: true };
            });
          },
        },
      ],
    });
    if (underRxStomp) expect(readFileSync(file, 'utf8')).not.toMatch(/from ['"]@stomp/);
    return await output(spawn(process.execPath, [file], { timeout: 20_000, cwd: dirname(file) }));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function output(child: ChildProcess): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const out = { stdout: '', stderr: '' };
    child.stdout?.on('data', (text) => {
      out.stdout += text;
    });
    child.stderr?.on('data', (text) => {
      out.stderr += text;
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, ...out }));
  });
}
