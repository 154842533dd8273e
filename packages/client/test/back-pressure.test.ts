// Slow readers: reading stops, memory stays bounded, and nothing is lost.

import type { Message } from '@stompbox/client';
import { settled } from 'testkit';
import { expect, test } from 'vitest';
import { failure, table } from './support.ts';

const text = new TextDecoder();

test('M-143: a flood for a slow handler stops the channel; every message arrives in the end', async () => {
  const events: string[] = [];
  const observer = { paused: () => events.push('paused'), resumed: () => events.push('resumed') };
  const { connection, peer } = await table({ maxBufferedFrames: 50, observer }, { memory: { split: 500 } });
  const seen: string[] = [];
  let most = 0;
  const subscription = connection.subscribe('/queue/a', async (message) => {
    most = Math.max(most, connection.waiting.frames);
    await settled();
    seen.push(message.text());
  });
  await subscription.ready;
  for (let i = 0; i < 1_000; i++) peer.deliver(subscription.id, `${i}`);
  while (seen.length < 1_000) await settled();
  expect(seen).toEqual(Array.from({ length: 1_000 }, (_, i) => `${i}`));
  expect(most).toBeLessThan(60); // the bound, and what one chunk holds
  expect(events.slice(0, 3)).toEqual(['paused', 'resumed', 'paused']);
  expect(peer.channel.buffered).toBe(0);
});

test('the bound in bytes counts too', async () => {
  const { connection, peer } = await table({ maxBufferedBytes: 1_000 });
  const subscription = connection.subscribe('/queue/a');
  await subscription.ready;
  for (let i = 0; i < 10; i++) peer.deliver(subscription.id, new Uint8Array(600));
  await settled();
  expect(connection.waiting).toEqual({ frames: 2, bytes: 1_200 });
  for (let i = 0; i < 10; i++) await subscription.next();
  expect(connection.waiting).toEqual({ frames: 0, bytes: 0 });
});

test('a RECEIPT behind messages that wait for their reader comes all the same, and reading stops again (P32)', async () => {
  const events: string[] = [];
  const observer = { paused: () => events.push('paused'), resumed: () => events.push('resumed') };
  const { connection, peer } = await table({ maxBufferedFrames: 2, observer }, { memory: { split: 100 } });
  const subscription = connection.subscribe('/queue/a');
  await subscription.ready;
  for (let i = 0; i < 10; i++) peer.deliver(subscription.id, 'x');
  await settled();
  expect(connection.waiting.frames).toBeLessThan(5);
  await connection.send('/q', 'x');
  const { frames } = connection.waiting;
  expect(frames).toBe(10);
  for (let i = 0; i < 10; i++) peer.deliver(subscription.id, 'y');
  await settled();
  expect(connection.waiting.frames).toBeLessThan(frames + 3);
  expect(events).toEqual(['paused']);
});

test('a RECEIPT behind more messages than that is late, and its error says why', async () => {
  const { connection, peer, clock } = await table({ maxBufferedFrames: 2 }, { memory: { split: 100 } });
  const subscription = connection.subscribe('/queue/a');
  await subscription.ready;
  for (let i = 0; i < 50; i++) peer.deliver(subscription.id, 'x');
  await settled();
  const sent = failure(connection.send('/q', 'x', { timeoutMs: 100 }));
  await clock.advance(100);
  expect(await sent).toMatchObject({
    message: expect.stringMatching(/reading is paused: 3\d frames of 3\d bytes wait .*prefetch/),
  });
});

test('disconnect() and the end get through to a connection that nobody reads', async () => {
  const { connection, peer, clock } = await table({ maxBufferedFrames: 2 });
  const subscription = connection.subscribe('/queue/a', { ack: 'client' });
  await subscription.ready;
  for (let i = 0; i < 10; i++) peer.deliver(subscription.id, 'x');
  await settled();
  await connection.disconnect();
  expect(await connection.closed).toEqual({ kind: 'disconnected' });
  expect(connection.waiting.frames).toBe(0);
  expect(clock.alarms).toBe(0);

  const cut = await table({ maxBufferedFrames: 2 });
  const unread = cut.connection.subscribe('/queue/a');
  await unread.ready;
  for (let i = 0; i < 10; i++) cut.peer.deliver(unread.id, 'x');
  await settled();
  cut.connection.destroy();
  expect(await cut.connection.closed).toEqual({ kind: 'closed' });
});

async function all(message: Message): Promise<string> {
  let whole = '';
  for await (const piece of message.stream()) whole += text.decode(piece);
  return whole;
}

test('a streamed body many times the bound passes at the reader’s speed', async () => {
  const { connection, peer } = await table(
    { streamBodiesOver: 1_000, maxBufferedBytes: 10_000 },
    { memory: { split: 1_000 } },
  );
  const subscription = connection.subscribe('/queue/a');
  await subscription.ready;
  peer.deliver(subscription.id, 'x'.repeat(1_000_000));
  peer.deliver(subscription.id, 'behind');
  const message = await subscription.next();
  expect(message.isStreamed).toBe(true);
  expect(() => message.bytes).toThrow(/stream\(\)/);
  let bytes = 0;
  let most = 0;
  for await (const piece of message.stream()) {
    bytes += piece.length;
    most = Math.max(most, connection.waiting.bytes);
    await settled();
  }
  expect(bytes).toBe(1_000_000);
  expect(most).toBeLessThan(12_000);
  expect(() => message.stream()).toThrow(/taken before/);
  expect((await subscription.next()).text()).toBe('behind');
});

test('a streamed body that nobody takes is dropped when the reader goes on, cancels, or its handler returns', async () => {
  const { connection, peer } = await table({ streamBodiesOver: 10, maxBufferedBytes: 100 }, { memory: { split: 50 } });
  const subscription = connection.subscribe('/queue/a');
  await subscription.ready;
  for (let i = 0; i < 3; i++) peer.deliver(subscription.id, `${i}`.repeat(1_000));
  await subscription.next();
  const second = await subscription.next();
  await second.stream().cancel();
  expect(await all(await subscription.next())).toBe('2'.repeat(1_000));
  const handled: string[] = [];
  const other = connection.subscribe('/queue/b', (message) => {
    handled.push(message.id);
  });
  await other.ready;
  for (let i = 0; i < 3; i++) peer.deliver(other.id, 'x'.repeat(1_000));
  while (handled.length < 3) await settled();
  await connection.send('/q', 'x');
  expect(connection.waiting.bytes).toBe(0);
});

test('a connection that is lost in the middle of a body errors its stream', async () => {
  const { connection, peer, cut } = await table({ streamBodiesOver: 10 });
  const subscription = connection.subscribe('/queue/a');
  await subscription.ready;
  peer.say(
    `MESSAGE\nsubscription:${subscription.id}\nmessage-id:1\ndestination:/q\ncontent-length:100\n\nonly this much`,
  );
  const reading = failure(all(await subscription.next()));
  await settled();
  cut();
  expect(await reading).toMatchObject({ code: 'reset' });
});

test('a body without content-length is streamed too', async () => {
  const { connection, peer } = await table({ streamBodiesOver: 10 }, { memory: { split: 7 } });
  const subscription = connection.subscribe('/queue/a');
  await subscription.ready;
  peer.say(`MESSAGE\nsubscription:${subscription.id}\nmessage-id:1\ndestination:/q\n\n${'y'.repeat(100)}\0`);
  expect(await all(await subscription.next())).toBe('y'.repeat(100));
});
