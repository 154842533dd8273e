// What docs/coming-from shows, runs: each program as it stands there, in a process of its own, against a broker of ours;
// and those of stompjs a second time with one import changed.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createBroker } from '@stompbox/broker';
import { describe, expect, test } from 'vitest';
import { type Output, ROOT, runProgram } from './programs.ts';

const docs = join(ROOT, 'docs/coming-from');
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

/** Runs a program as its reader would, but for the addresses in it; `underRxStomp` puts our entry where rx-stomp has stompjs. */
async function run(program: string, { underRxStomp = false } = {}): Promise<Output> {
  await using broker = await createBroker({ listen: ['tcp://127.0.0.1:0', 'ws://127.0.0.1:0'] });
  const [tcp = '', ws = ''] = broker.urls;
  const { port } = new URL(tcp);
  const addressed = program
    .replaceAll('ws://localhost:15674/ws', ws)
    .replaceAll('localhost:61613', `127.0.0.1:${port}`)
    .replaceAll(/host: 'localhost', port: 61613/g, `host: '127.0.0.1', port: ${port}`);
  return await runProgram(
    addressed,
    underRxStomp
      ? {
          bundled: ['@stomp/rx-stomp'],
          instead: { '@stomp/stompjs': COMPATIBLE },
          inspect: (text) => expect(text).not.toMatch(/from ['"]@stomp\//),
        }
      : {},
  );
}
