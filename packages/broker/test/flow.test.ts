// Flow control: who does not read is not fed, who floods is slowed, nobody is stuck
// (promise 5, M-90, M-92).

import { quiet, rawClient } from 'testkit';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createBroker } from '../src/index.ts';
import { books, place } from './support.ts';

const KIB = 1024;
const BODY = 'x'.repeat(1_000);
// What one message costs on its way, at most.
const ON_THE_WIRE = 1_200;

describe('a subscriber that does not read', () => {
  for (const ack of ['auto', 'client'] as const) {
    test(`ack:${ack}: gets no more than maxOutputBytes, and everything in order when it reads again`, async () => {
      const at = await place({ limits: { maxOutputBytes: 32 * KIB, defaultPrefetch: 65_535 } });
      const slow = await at.client('1.2', {}, { highWaterMark: 8 * KIB });
      const [fast, producer] = [await at.client(), await at.client()];
      await slow.subscribe('1', '/queue/slow', ack);
      await fast.subscribe('1', '/queue/fast', 'auto');
      slow.channel.pause();
      for (let i = 0; i < 200; i++) {
        await producer.send('/queue/slow', `${i} ${BODY}`);
        await producer.send('/queue/fast', 'x');
      }
      expect(fast.frames.length).toBe(200); // nobody else waits
      const delivered = at.broker.stats().delivered - 200;
      expect(delivered).toBeGreaterThan(20);
      expect(delivered * 1_000).toBeLessThan(32 * KIB + 3 * ON_THE_WIRE);
      slow.channel.resume();
      const came = await slow.bodies(200);
      expect(came.map((body) => Number.parseInt(body, 10))).toEqual(Array.from({ length: 200 }, (_, i) => i));
    });
  }

  test('is fed again although its channel never was full', async () => {
    const at = await place({ limits: { maxOutputBytes: KIB } }); // less than any channel takes at once
    const [slow, producer] = [await at.client(), await at.client()];
    await slow.subscribe('1', '/queue/q', 'auto');
    slow.channel.pause();
    for (let i = 0; i < 50; i++) await producer.send('/queue/q', BODY);
    slow.channel.resume();
    expect((await slow.bodies(50)).length).toBe(50);
  });

  test('of a topic slows its producer, then is given up, and costs the others nothing but that', async () => {
    const at = await place({ limits: { maxOutputBytes: 8 * KIB, producersWaitAboveBytes: 16 * KIB } });
    const slow = await at.client('1.2', {}, { highWaterMark: KIB });
    const [fast, producer] = [await at.client(), await at.client()];
    for (const client of [slow, fast]) await client.subscribe('1', '/topic/t');
    slow.channel.pause();
    const wanted = Array.from({ length: 100 }, (_, i) => `r${i}`);
    for (const receipt of wanted) producer.say('SEND', { destination: '/topic/t', receipt }, BODY);
    await fast.until(() => fast.frames.length === 100, 'all of it');
    expect(producer.frames.length).toBeLessThan(100);
    await at.clock.advance(5_000); // slowConsumerGraceMs
    expect((await producer.take(100)).map((frame) => frame.get('receipt-id'))).toEqual(wanted);
    expect(fast.end).toBeUndefined();
    slow.channel.resume();
    expect((await slow.error()).get('message')).toMatch(/slowConsumerGraceMs/);
    expect(at.broker.inspect.bytes).toBe(0);
  });

  test('its receipts are held as well: it is not read until it reads (M-92)', async () => {
    const at = await place({ limits: { maxOutputBytes: 4 * KIB } });
    const client = await at.client('1.2', {}, { highWaterMark: KIB });
    client.channel.pause();
    for (let i = 0; i < 1_000; i++) {
      client.say('SEND', { destination: '/queue/q', receipt: `${i}` });
      if (i % 20 === 0) await quiet();
    }
    const { received } = at.broker.stats();
    expect(received).toBeLessThan(400);
    client.channel.resume();
    expect((await client.take(1_000)).map((frame) => Number(frame.get('receipt-id')))).toEqual(
      Array.from({ length: 1_000 }, (_, i) => i),
    );
  });

  test('over TCP: what the broker holds stays flat, the producer is slowed, and nothing is lost', async () => {
    const limits = { maxOutputBytes: 256 * KIB, producersWaitAboveBytes: 512 * KIB };
    const broker = await createBroker({ listen: ['tcp://127.0.0.1:0'], limits });
    onTestFinished(async () => {
      await broker.close({ timeoutMs: 1 });
    });
    const [url = ''] = broker.urls;
    const [slow, producer] = [await rawClient(url), await rawClient(url)];
    await slow.connect('1.2');
    await producer.connect('1.2');
    await slow.write('SUBSCRIBE\nid:1\ndestination:/queue/q\nreceipt:s\n\n\0');
    await slow.next();
    slow.pause();
    const total = 3_000;
    const body = 'x'.repeat(10_000);
    const sending = (async () => {
      for (let i = 0; i < total; i++)
        await producer.write(`SEND\ndestination:/queue/q\nreceipt:${i}\n\n${i} ${body}\0`);
    })();
    // The kernel takes some; then the producer is not answered any more.
    let before = -1;
    for (let still = 0; still < 50; still = broker.stats().received === before ? still + 1 : 0) {
      before = broker.stats().received;
      await quiet();
    }
    expect(broker.stats().received).toBeLessThan(total);
    expect(broker.inspect.bytes).toBeLessThan(512 * KIB + 2 * 256 * KIB);
    slow.resume();
    const came = await slow.take(total);
    expect(came.map((message) => Number.parseInt(message.body, 10))).toEqual(
      Array.from({ length: total }, (_, i) => i),
    );
    await sending;
    await producer.take(total);
    expect(broker.inspect.bytes).toBe(0);
    slow.socket.destroy();
    producer.socket.destroy();
  });
});

describe('a producer', () => {
  test('that floods a queue with a slow consumer is answered as this one settles', async () => {
    const at = await place({ limits: { producersWaitAboveBytes: 4 * KIB } });
    const [producer, consumer] = [await at.client(), await at.client()];
    await consumer.subscribe('1', '/queue/q', 'client-individual', { 'prefetch-count': 1 });
    for (let i = 0; i < 10; i++) producer.say('SEND', { destination: '/queue/q', receipt: `${i}` }, BODY);
    const answered = (await producer.rest()).length;
    expect(answered).toBeLessThan(5);
    for (let i = 0; i < 10; i++) consumer.settle('ACK', await consumer.next());
    await producer.take(10 - answered);
  });

  test('of a queue without consumers is not slowed: the limits of the queue answer it (M-93)', async () => {
    const at = await place({ limits: { producersWaitAboveBytes: 4 * KIB, maxQueueBytes: 64 * KIB } });
    const producer = await at.client();
    for (let i = 0; i < 100; i++) producer.say('SEND', { destination: '/queue/q' }, BODY);
    expect((await producer.error()).get('message')).toMatch(/maxQueueBytes/);
    expect(at.broker.inspect.bytes).toBeLessThanOrEqual(64 * KIB);
  });

  test('that leaves while it waits leaves its messages', async () => {
    const at = await place({ limits: { producersWaitAboveBytes: 4 * KIB } });
    const [producer, consumer] = [await at.client(), await at.client()];
    await consumer.subscribe('1', '/queue/q', 'client-individual', { 'prefetch-count': 1 });
    for (let i = 0; i < 10; i++) producer.say('SEND', { destination: '/queue/q' }, BODY);
    await quiet();
    producer.channel.destroy();
    for (let i = 0; i < 10; i++) consumer.settle('ACK', await consumer.next());
    await consumer.rest();
    expect(books(at.broker, 'q')).toEqual({ waiting: 0, unsettled: 0, consumers: 1 });
    expect(at.broker.stats().connections).toBe(1);
  });
});

describe('a connection that produces and consumes', () => {
  for (const ack of ['auto', 'client', 'client-individual'] as const) {
    test(`ack:${ack}: does not wait for itself`, async () => {
      const at = await place({
        limits: { producersWaitAboveBytes: 16 * KIB, maxOutputBytes: 16 * KIB, defaultPrefetch: 5 },
      });
      const client = await at.client('1.2', {}, { highWaterMark: 4 * KIB });
      await client.subscribe('1', '/queue/q', ack);
      const total = 1_000;
      for (let i = 0; i < total; i++) client.say('SEND', { destination: '/queue/q', receipt: `${i}` }, BODY);
      let [messages, receipts] = [0, 0];
      while (messages < total || receipts < total) {
        const frame = await client.next();
        if (frame.command === 'RECEIPT') receipts++;
        else {
          messages++;
          if (ack !== 'auto') client.settle('ACK', frame);
        }
      }
      await client.rest();
      expect(at.broker.inspect.bytes).toBe(0);
    });
  }

  test('two that feed each other go on, although each waits for the other', async () => {
    const at = await place({ limits: { producersWaitAboveBytes: 4 * KIB, defaultPrefetch: 3 } });
    const [one, two] = [await at.client(), await at.client()];
    await one.subscribe('1', '/queue/to-one', 'client-individual');
    await two.subscribe('2', '/queue/to-two', 'client-individual');
    const total = 300;
    for (let i = 0; i < total; i++) {
      one.say('SEND', { destination: '/queue/to-two' }, BODY);
      two.say('SEND', { destination: '/queue/to-one' }, BODY);
    }
    const drain = async (client: typeof one) => {
      for (let i = 0; i < total; i++) client.settle('ACK', await client.next());
    };
    await Promise.all([drain(one), drain(two)]);
    await quiet();
    expect(at.broker.inspect.bytes).toBe(0);
  });

  test('is read as soon as it owes something, also where it was stopped before', async () => {
    const at = await place({ limits: { producersWaitAboveBytes: 4 * KIB } });
    const [client, slow, other] = [await at.client(), await at.client(), await at.client()];
    await slow.subscribe('1', '/queue/slow', 'client', { 'prefetch-count': 1 });
    await client.subscribe('1', '/queue/in', 'client');
    for (let i = 0; i < 8; i++) client.say('SEND', { destination: '/queue/slow' }, 'x'.repeat(100_000));
    await quiet();
    client.say('SEND', { destination: '/queue/slow' });
    await quiet();
    expect(client.channel.buffered).toBeGreaterThan(0); // not read
    await other.send('/queue/in', 'work');
    client.settle('ACK', await client.next());
    await quiet();
    expect(books(at.broker, 'in')).toEqual({ waiting: 0, unsettled: 0, consumers: 1 });
  });
});
