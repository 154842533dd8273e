// An outbox in a directory.

import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StoredSend } from '@stompbox/client';
import { fileOutbox } from '@stompbox/client/outbox-file';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { failure, stage } from './stage.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'stompbox-outbox-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
});

const send = (key: string, body: string | Uint8Array): StoredSend => ({
  key,
  destination: { kind: 'queue', name: 'a' },
  body,
  options: { headers: { n: 1 }, expiresInMs: 5 },
});

test('what was put and not removed is there for the next one, in order, byte for byte', async () => {
  const first = fileOutbox(directory);
  const octets = new Uint8Array([0, 10, 13, 255]);
  await first.put(send('one/../1', 'häß\nlich'));
  await first.put(send('two', octets));
  await first.put(send('three', ''));
  await first.remove('two');
  await first.put(send('four', octets));
  await first.close();
  const second = fileOutbox(directory);
  expect(await second.load()).toEqual([send('one/../1', 'häß\nlich'), send('three', ''), send('four', octets)]);
  await second.put(send('five', ''));
  await second.remove('one/../1');
  await second.close();
  const third = fileOutbox(directory);
  expect((await third.load()).map(({ key }) => key)).toEqual(['three', 'four', 'five']);
  await third.close();
});

test('one process at a time, and the lock of a dead one is taken over', async () => {
  const first = fileOutbox(directory);
  await first.load();
  expect(await failure(fileOutbox(directory).load())).toMatchObject({
    code: 'bad-option',
    message: expect.stringContaining(String(process.pid)),
  });
  await first.close();
  const { pid } = spawnSync(process.execPath, ['-e', '']);
  await writeFile(join(directory, 'lock'), String(pid));
  const next = fileOutbox(directory);
  expect(await next.load()).toEqual([]);
  await next.close();
  expect(await readdir(directory)).toEqual([]);
});

test('what was never finished is thrown away, and what is none of ours is refused', async () => {
  await writeFile(join(directory, '000000000001-x.tmp'), '{"key":');
  const store = fileOutbox(directory);
  expect(await store.load()).toEqual([]);
  await store.close();
  await writeFile(join(directory, '000000000001-x.send'), 'rubbish');
  expect(await failure(fileOutbox(directory).load())).toMatchObject({
    code: 'bad-option',
    message: expect.stringContaining('000000000001-x.send'),
  });
});

test('a client sends what another one left, and clears it away', async () => {
  const earlier = stage({ outbox: { store: fileOutbox(directory) } });
  earlier.deaf(99);
  void earlier.client.send('/queue/a', 'left behind', { headers: { n: 1 } }).catch(() => {});
  await expect.poll(() => readdir(directory)).toHaveLength(2);
  await rm(join(directory, 'lock')); // as if its process were gone

  const later = stage({ outbox: { store: fileOutbox(directory) } });
  const connected = later.client.connect();
  const { peer } = await later.enter();
  await connected;
  await peer.next('send');
  await later.client.flush();
  expect(new TextDecoder().decode(peer.frames[1]?.body)).toBe('left behind');
  expect(peer.frames[1]?.headers.get('n')).toBe('1');
  await expect.poll(() => readdir(directory)).toEqual(['lock']);
});
