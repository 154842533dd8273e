// A queue to a file and back, against a broker in memory.

import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { EXIT } from '../../packages/cli/src/exit-codes.ts';
import { stage } from './support.ts';

const folder = mkdtempSync(join(tmpdir(), 'stompbox-cli-'));
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
function newFile(): string {
  return join(folder, `drained-${++files}.jsonl`);
}

const QUICK = ['--timeout', '20ms'];

test('octets, headers and order come back as they were', async () => {
  await using here = await stage();
  const file = newFile();
  const octets = Uint8Array.from({ length: 256 }, (_, at) => at);
  const texts = ['plain', '', 'line\r\nends\0and NUL', '\ufeffBOM', '\u2028\u202e', 'Grüße 🎉'];
  await here.client.send('/queue/a', octets, { contentType: 'image/x', headers: { 'a:b\nc': 'd\\e', tenant: 'x' } });
  for (const text of texts)
    await here.client.send('/queue/a', text, { priority: 4, correlationId: text.slice(0, 1) || '-' });
  const drained = await here.run(['drain', '/queue/a', file, ...QUICK]);
  expect(drained).toMatchObject({ code: 0, err: '' });
  expect(drained.out).toBe(`Drained 7 from /queue/a; ${file} holds 7.\n`);
  expect(await here.bodies('a')).toEqual([]);

  expect(await here.run(['replay', file])).toMatchObject({ code: 0, out: `Replayed 7 from ${file}.\n`, err: '' });
  const back = here.broker.inspect.browse('a').map(({ content }) => content.body);
  expect([...(back[0] ?? [])]).toEqual([...octets]);
  expect(back.slice(1).map((body) => new TextDecoder('utf-8', { ignoreBOM: true }).decode(body))).toEqual(texts);
  const { out } = await here.run(['browse', '/queue/a', '--json', '--count', '1']);
  expect(JSON.parse(out).headers).toMatchObject({ 'content-type': 'image/x', 'a:b\nc': 'd\\e', tenant: 'x' });
});

test('drain goes on where it was, and cuts off what a crash has torn', async () => {
  await using here = await stage();
  const file = newFile();
  for (const body of ['1', '2', '3']) await here.client.send('/queue/a', body);
  expect((await here.run(['drain', '/queue/a', file, '--count', '2', ...QUICK])).code).toBe(0);
  appendFileSync(file, '{"headers":[["destination","/queue/a"]],"bo');
  const { code, out, err } = await here.run(['drain', '/queue/a', file, '--json', ...QUICK]);
  expect(code).toBe(0);
  expect(err).toContain('holds 2 already');
  expect(JSON.parse(out)).toEqual({ from: '/queue/a', file, drained: 1, held: 3 });
  await here.run(['replay', file, '/queue/b']);
  expect(await here.bodies('b')).toEqual(['1', '2', '3']);
});

test('what cannot be written is not acknowledged', async () => {
  await using here = await stage();
  await here.client.send('/queue/a', 'x');
  const { code } = await here.run(['drain', '/queue/a', '/dev/full', ...QUICK]);
  expect([EXIT.system, EXIT.usage]).toContain(code);
  expect((await here.run(['drain', '/queue/a', join(folder, 'no', 'such', 'folder'), ...QUICK])).code).toBe(
    EXIT.system,
  );
  expect(await here.bodies('a')).toEqual(['x']);
});

test('drain touches no other file', async () => {
  await using here = await stage();
  const mine = join(folder, 'mine.txt');
  writeFileSync(mine, 'my diary\n');
  await here.client.send('/queue/a', 'x');
  const { code, err } = await here.run(['drain', '/queue/a', mine, ...QUICK]);
  expect(code).toBe(EXIT.usage);
  expect(err).toContain('was not written by stompbox drain');
  expect(readFileSync(mine, 'utf8')).toBe('my diary\n');
  const other = newFile();
  await here.run(['drain', '/queue/other', other, ...QUICK]);
  expect((await here.run(['drain', '/queue/a', other, ...QUICK])).err).toContain('another queue');
});

test('a replay that was refused in the middle says where, and goes on from there', async () => {
  await using here = await stage({ limits: { maxQueueMessages: 150 } });
  const file = newFile();
  for (let nth = 0; nth < 200; nth++) {
    await here.client.send('/queue/a', `${nth}`);
    if (nth === 99 || nth === 199) await here.run(['drain', '/queue/a', file, ...QUICK]);
  }
  const first = await here.run(['replay', file, '/queue/b']);
  expect(first.code).toBe(EXIT.refused);
  expect(first.err).toMatch(/line \d+: .*maxQueueMessages.* \(\d+ sent\)/s);
  const before = await here.bodies('b');
  expect(before.length).toBe(150);
  await here.broker.inspect.purge('b');
  const second = await here.run(['replay', file, '/queue/b']);
  expect(second.code).toBe(0);
  const all = [...before, ...(await here.bodies('b'))].map(Number);
  expect([...new Set(all)]).toEqual(Array.from({ length: 200 }, (_, nth) => nth));
  expect(all.length).toBeLessThanOrEqual(250); // what was under way may be there twice
});

test('a file that was replayed is not replayed again, unless asked', async () => {
  await using here = await stage();
  const file = newFile();
  await here.client.send('/queue/a', 'x');
  await here.run(['drain', '/queue/a', file, ...QUICK]);
  await here.run(['replay', file]);
  const { out, err } = await here.run(['replay', file]);
  expect(err).toContain('1 were replayed before');
  expect(out).toBe(`Replayed 0 from ${file}.\n`);
  await here.run(['replay', file, '--again']);
  expect(await here.bodies('a')).toEqual(['x', 'x']);
});

test('a bad line in the middle is named, and what was sent before is told (M-164)', async () => {
  await using here = await stage();
  const file = newFile();
  for (const body of ['1', '2']) await here.client.send('/queue/a', body);
  await here.run(['drain', '/queue/a', file, ...QUICK]);
  appendFileSync(file, '{"headers":"none"}\n');
  const { code, out, err } = await here.run(['replay', file]);
  expect(code).toBe(EXIT.usage);
  expect(err).toContain('line 4 of');
  expect(out).toBe(`Replayed 2 from ${file}.\n`);
  expect(existsSync(`${file}.replayed.new`)).toBe(false);
});
