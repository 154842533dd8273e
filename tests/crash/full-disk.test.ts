// A disk that is full, through the whole broker.

import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BrokerError, type Connection, connect } from '@stompbox/client';
import { expect, type TestContext, test } from 'vitest';
import { type BrokerProcess, brokers, folder, heldBy, opened } from './process.ts';

const BODY = Buffer.alloc(4_096, 'x');
const DISK = '24m'; // the store wants room for a probe of 32 MiB where there is plenty, and says full where there is not
const FILM_BYTES = 64 * 1024 * 1024;

const { start } = brokers();

interface Disk {
  readonly data: string;
  /** Takes what there is left. */
  fill(): void;
  free(): void;
}

/** Undefined where we may not mount one. */
function smallDisk({ onTestFinished }: TestContext): Disk | undefined {
  const parent = folder(onTestFinished);
  const dir = join(parent, 'disk');
  mkdirSync(dir);
  const { status, error } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK}`, 'tmpfs', dir]);
  if (error !== undefined || status !== 0) return undefined;
  onTestFinished(() => void spawnSync('umount', ['-l', dir]));
  const film = join(dir, 'film');
  return {
    data: join(dir, 'data'),
    fill() {
      try {
        writeFileSync(film, Buffer.alloc(FILM_BYTES));
      } catch {} // as much as there was room for
    },
    free: () => rmSync(film),
  };
}

function send(connection: Connection, id: string, headers: Record<string, string> = {}, body = BODY): Promise<void> {
  return connection.send('/queue/full', body, { headers: { 'book-id': id, ...headers } });
}

/** Sends until it is refused; answers the ids that were confirmed and the one that was not. */
async function sendUntilRefused(
  broker: BrokerProcess,
  name: string,
  body = BODY,
): Promise<{ kept: string[]; refused: string }> {
  const connection = await connect(broker.url);
  const kept: string[] = [];
  for (let n = 0; ; n++) {
    const id = `${name}.${n}`;
    try {
      await send(connection, id, { 'duplicate-id': id }, body);
      kept.push(id);
    } catch (error) {
      expect(error).toBeInstanceOf(BrokerError);
      expect(String(error)).toMatch(/there is no space left for .*data/);
      return { kept, refused: id };
    }
  }
}

async function drained(broker: BrokerProcess): Promise<string[]> {
  const [queue] = (await broker.inspect()).queues;
  const connection = await connect(broker.url);
  const subscription = connection.subscribe('/queue/full', { ack: 'client-individual', prefetch: 5 });
  const ids: string[] = [];
  for (let n = queue?.waiting ?? 0; n > 0; n--) {
    const message = await subscription.next({ timeoutMs: 10_000 });
    ids.push(message.headers.get('book-id') ?? '');
    await message.ack({ confirm: true });
  }
  await connection.close();
  return ids;
}

test('a full disk: ERROR to the producer, nothing confirmed that is not stored, and on it goes when space returns', async (context) => {
  const disk = smallDisk(context);
  if (disk === undefined) return context.skip('needs root, to mount a small disk');
  let broker = opened(await start(disk.data));
  const first = await connect(broker.url);
  await send(first, 'first');
  await first.close();
  disk.fill();
  const { kept, refused } = await sendUntilRefused(broker, 'a');
  const again = await sendUntilRefused(broker, 'b'); // the broker lives, and says so again
  disk.free();
  const producer = await connect(broker.url);
  await send(producer, refused, { 'duplicate-id': refused }); // what was refused is no duplicate
  await send(producer, 'last');
  await producer.close();
  const confirmed = ['first', ...kept, ...again.kept, refused, 'last'];
  await broker.kill();

  broker = opened(await start(disk.data));
  expect(await drained(broker)).toEqual(confirmed);
  expect(heldBy(await broker.inspect())).toBe(0);
  await broker.stop();
});

test('on a full disk an ACK holds or the message comes back, a COMMIT is refused whole, and what need not be kept harms nobody', async (context) => {
  const disk = smallDisk(context);
  if (disk === undefined) return context.skip('needs root, to mount a small disk');
  let broker = opened(await start(disk.data));
  const producer = await connect(broker.url);
  const ids = Array.from({ length: 100 }, (_, n) => `a.${n}`);
  for (const id of ids) await send(producer, id);
  disk.fill();
  ids.push(...(await sendUntilRefused(broker, 'b')).kept);
  await send(producer, 'fleeting', { persistent: 'false' });

  const worker = await connect(broker.url);
  const message = await worker.subscribe('/queue/full', { ack: 'client-individual', prefetch: 1 }).next();
  expect(message.headers.get('book-id')).toBe('a.0');
  const transaction = worker.begin();
  await transaction.ack(message);
  await transaction.send('/queue/full', Buffer.alloc(40_000), { headers: { 'book-id': 'made' } });
  await expect(transaction.commit()).rejects.toThrow('there is no space left');

  const consumer = await connect(broker.url);
  const subscription = consumer.subscribe('/queue/full', { ack: 'client-individual', prefetch: 1 });
  const settled = new Set<string | undefined>();
  try {
    while (settled.size < 20) {
      const next = await subscription.next({ timeoutMs: 10_000 });
      await next.ack({ confirm: true });
      settled.add(next.headers.get('book-id'));
    }
  } catch (error) {
    expect(String(error)).toMatch(/there is no space left/);
  }
  disk.free();
  await broker.kill();
  broker = opened(await start(disk.data));
  const found = (await drained(broker)).filter((id) => id !== 'fleeting');
  expect(found).toEqual(ids.filter((id) => !settled.has(id)));
  await broker.stop();
});

// LMDB writes its complaint of ENOSPC into 100 bytes (mdb.c, mdb_page_flush). Eight digits into the file it does not fit,
// and the process aborts. So it is we who must find out; stderr would show that it was LMDB.
test.for([
  ['4 KiB', 4_096, 2_000],
  ['1 MB', 1_000_000, 10],
] as const)(
  'a disk full to its last byte does not take the broker along: messages of %s',
  async ([, bytes, count], context) => {
    const disk = smallDisk(context);
    if (disk === undefined) return context.skip('needs root, to mount a small disk');
    const body = Buffer.alloc(bytes, 'x');
    let broker = opened(await start(disk.data));
    const producer = await connect(broker.url);
    const ids = Array.from({ length: count }, (_, n) => `a.${n}`);
    await Promise.all(ids.map((id) => send(producer, id, {}, body)));
    await producer.close();
    disk.fill();
    ids.push(...(await sendUntilRefused(broker, 'b', body)).kept);
    ids.push(...(await sendUntilRefused(broker, 'c', body)).kept); // it lives, and says so again
    expect(broker.errors).not.toContain('Write error');
    disk.free();
    await broker.kill();
    broker = opened(await start(disk.data));
    expect(await drained(broker)).toEqual(ids);
    await broker.stop();
  },
);
