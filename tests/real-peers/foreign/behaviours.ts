// What every foreign client can do against our broker, in every version of STOMP that it speaks.

import { type Broker, createBroker } from '@stompbox/broker';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ForeignProgram, Message, Subscription } from './client.ts';

const EVERY_OCTET = Uint8Array.from({ length: 256 }, (_, octet) => octet);
const TEXT = 'zażółć gęślą jaźń — 日本語 🐢\nand a second line';
const HEART_BEAT_MS = 100;
// Longer than either end waits for a heart-beat that does not come: twice the period here, a second more at the broker.
const QUIET_MS = 1_600;

/** Tests `program` against a broker of its own; call it where tests are declared. */
export function talksToOurBroker(program: ForeignProgram): void {
  let broker: Broker;
  beforeAll(async () => {
    broker = await createBroker({
      listen: ['tcp://127.0.0.1:0', 'ws://127.0.0.1:0'],
      limits: { minHeartBeatMs: HEART_BEAT_MS },
    });
  });
  afterAll(() => broker.close());

  describe.each(program.versions)('in STOMP %s', (version) => {
    const open = () => program.connect(broker, { version });
    const queued = (text: string) => broker.inspect.queues().find(({ name }) => `/queue/${name}` === text);

    test('connects, and is told the version', async () => {
      await using client = await open();
      expect(client.connected).toMatchObject({ version, server: expect.stringMatching(/^Stompbox\//) });
    });

    for (const [what, sent] of [
      ['text beyond ASCII', TEXT],
      ['every octet, NUL among them', EVERY_OCTET],
      ['nothing', ''],
      ['a mebibyte', new Uint8Array(1 << 20).fill(7)],
    ] as const) {
      test(`sends a body of ${what} and gets it back`, async () => {
        const queue = uniqueQueue();
        await using client = await open();
        await client.send(queue, sent);
        const { messages } = await client.subscribe(queue, 'auto');
        const message = await messages.take();
        expect(message.headers).toMatchObject({ destination: queue, 'message-id': expect.any(String) });
        expect(Buffer.compare(message.body, Buffer.from(sent))).toBe(0);
      });
    }

    const odd = {
      colon: 'a:b::c',
      backslash: String.raw`C:\dir\data`,
      'non-ascii': 'zażółć 🐢',
      ...(version !== '1.0' && { newline: 'two\nlines' }),
    };
    if (program.escapes.includes(version)) {
      test('gets odd headers back as they were', async () => {
        const queue = uniqueQueue();
        await using client = await open();
        await client.send(queue, 'odd', { headers: odd });
        const { messages } = await client.subscribe(queue, 'auto');
        expect((await messages.take()).headers).toMatchObject(odd);
      });
    }

    for (const { ack, what, left } of [
      { ack: 'auto', what: 'of three messages, delivery in mode auto settles all', left: [] },
      {
        ack: 'client',
        what: 'of three messages, an ACK of the second in mode client leaves the third',
        left: ['three'],
      },
      {
        ack: 'client-individual',
        what: 'of three messages, an ACK of the second in mode client-individual leaves the first and the third',
        left: ['one', 'three'],
      },
    ] as const) {
      test(what, async () => {
        const queue = uniqueQueue();
        await using first = await open();
        for (const body of ['one', 'two', 'three']) await first.send(queue, body);
        const subscription = await first.subscribe(queue, ack);
        const [, second] = await takeThree(subscription);
        if (ack !== 'auto') await subscription.ack(second);
        await first.disconnect();

        await using next = await open();
        const { messages } = await next.subscribe(queue, 'auto');
        for (const body of left) {
          const message = await messages.take();
          expect(text(message)).toBe(body);
          expect(message.headers).toMatchObject({ redelivered: 'true' });
        }
        expect(queued(queue)?.waiting ?? 0).toBe(0);
      });
    }

    test('a committed transaction sends and acks, and not before', async () => {
      const [from, to] = [uniqueQueue(), uniqueQueue()];
      await using client = await open();
      await client.send(from, 'order');
      const subscription = await client.subscribe(from, 'client-individual');
      const order = await subscription.messages.take();
      await client.begin('tx');
      await client.send(to, 'bill', { transaction: 'tx' });
      await subscription.ack(order, 'tx');
      expect(queued(to)?.waiting ?? 0).toBe(0);
      await client.commit('tx');
      expect(queued(to)).toMatchObject({ waiting: 1 });
      await client.disconnect();

      await using next = await open();
      const { messages } = await next.subscribe(to, 'auto');
      expect(text(await messages.take())).toBe('bill');
      expect(queued(from)?.waiting ?? 0).toBe(0);
    });

    test('an aborted transaction sends nothing, and what it acked is not settled', async () => {
      const [from, to] = [uniqueQueue(), uniqueQueue()];
      await using client = await open();
      await client.send(from, 'order');
      const subscription = await client.subscribe(from, 'client-individual');
      const order = await subscription.messages.take();
      await client.begin('tx');
      await client.send(to, 'bill', { transaction: 'tx' });
      await subscription.ack(order, 'tx');
      await client.abort('tx');
      expect(queued(to)?.waiting ?? 0).toBe(0);
      await client.disconnect();

      await using next = await open();
      const { messages } = await next.subscribe(from, 'auto');
      expect(text(await messages.take())).toBe('order');
    });

    test('every subscriber of a topic gets a message', async () => {
      const topic = `/topic/${crypto.randomUUID()}`;
      await using one = await open();
      await using other = await open();
      const subscriptions = await Promise.all([one, other].map((client) => client.subscribe(topic, 'auto')));
      await one.send(topic, 'news');
      for (const { messages } of subscriptions) expect(text(await messages.take())).toBe('news');
    });

    test('hears no more after UNSUBSCRIBE', async () => {
      const queue = uniqueQueue();
      await using client = await open();
      const subscription = await client.subscribe(queue, 'auto');
      await client.send(queue, 'heard');
      expect(text(await subscription.messages.take())).toBe('heard');
      await subscription.unsubscribe();
      await client.send(queue, 'not heard');
      expect(queued(queue)).toMatchObject({ waiting: 1, consumers: 0 });
    });

    test('what a lost connection had not acked goes to the next consumer', async () => {
      const queue = uniqueQueue();
      await using client = await open();
      await client.send(queue, 'unfinished');
      const subscription = await client.subscribe(queue, 'client');
      await subscription.messages.take();
      client.drop();

      await using next = await open();
      const { messages } = await next.subscribe(queue, 'auto');
      const message = await messages.take();
      expect(text(message)).toBe('unfinished');
      expect(message.headers).toMatchObject({ redelivered: 'true' });
    });

    test('learns from an ERROR what it did wrong', async () => {
      await using client = await open();
      client.send('/queue/', 'nowhere').catch(() => {}); // its receipt never comes
      expect(await client.errors.take()).toContain('names nothing');
    });

    test('disconnects with a receipt, and our broker forgets it', async () => {
      const client = await open();
      await client.disconnect();
      await expect.poll(() => broker.stats().connections).toBe(0);
    });

    if (version === '1.0') return; // it has neither NACK nor heart-beats

    test('a nacked message comes back, marked as redelivered', async () => {
      const queue = uniqueQueue();
      await using client = await open();
      await client.send(queue, 'again');
      const subscription = await client.subscribe(queue, 'client-individual');
      const message = await subscription.messages.take();
      expect(message.headers).not.toHaveProperty('redelivered');
      await subscription.nack(message);
      const again = await subscription.messages.take();
      expect(text(again)).toBe('again');
      expect(again.headers).toMatchObject({ redelivered: 'true' });
      await subscription.ack(again);
    });

    test('is kept alive by heart-beats, and keeps us alive', async () => {
      await using client = await program.connect(broker, { version, heartBeatMs: HEART_BEAT_MS });
      expect(client.connected['heart-beat']).toBe(`${HEART_BEAT_MS},${HEART_BEAT_MS}`);
      await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
      await client.send(uniqueQueue(), 'still here');
      expect(client.errors.length).toBe(0);
    });
  });
}

function uniqueQueue(): string {
  return `/queue/${crypto.randomUUID()}`;
}

function text({ body }: Message): string {
  return new TextDecoder().decode(body);
}

async function takeThree({ messages }: Subscription): Promise<[Message, Message, Message]> {
  return [await messages.take(), await messages.take(), await messages.take()];
}
