// Where the real brokers depart from the specification, what our client makes of it, and which leniency it takes
// (conformance sections 6 and 7). When one of these fails after an upgrade, the broker has changed its mind.

import { type ConnectionOptions, connect, type Message, ProtocolError } from '@stompbox/client';
import type { Version } from '@stompbox/protocol';
import { expect, test } from 'vitest';
import { DIALECTS } from './brokers/dialects.ts';
import { Inbox, rejection } from './inbox.ts';
import { activeMq, rabbitMq, withPeer } from './peers.ts';

const DEADLINE = { timeoutMs: 10_000 };

withPeer('RabbitMQ', rabbitMq, ({ urls, login, passcode }) => {
  const open = (version: Version, more: ConnectionOptions = {}) =>
    connect(urls.tcp, { login, passcode, host: '/', versions: [version], ...more });

  /** A 1.2 client sends `headers`, and a client of `version` gets the message, or what ended it. */
  const crossing = async (
    version: Version,
    headers: Record<string, string>,
    leniency: ConnectionOptions['leniency'],
  ) => {
    const queue = uniqueQueue();
    await using producer = await open('1.2');
    await producer.send(queue, 'crossing', { headers });
    await using consumer = await open(version, { leniency });
    return await consumer
      .subscribe(queue)
      .next(DEADLINE)
      .then(({ headers }) => Object.fromEntries(headers))
      .catch((error: unknown) => error);
  };

  test('writes a carriage return to a 1.1 consumer as \\r: an error to a strict one, and right with escapeR11 (X-09b)', async () => {
    const odd = { odd: 'a\rb' };
    expect(await crossing('1.1', odd, undefined)).toMatchObject({ code: 'bad-escape' });
    expect(await crossing('1.1', odd, undefined)).toBeInstanceOf(ProtocolError);
    expect(await crossing('1.1', odd, { escapeR11: 'accept' })).toMatchObject(odd);
  });

  test('escapes towards a 1.0 consumer, which escape10 undoes (X-10)', async () => {
    const odd = { odd: 'a:b\\c\r\nd' };
    expect(await crossing('1.0', odd, undefined)).toMatchObject({ odd: String.raw`a\cb\\c\r\nd` });
    expect(await crossing('1.0', odd, { escape10: true })).toMatchObject(odd);
  });

  test('unescapes CONNECT: a backslash in it closes the connection without a word, unless escapeConnect doubles it (X-11)', async () => {
    const headers = { 'client-id': String.raw`C:\dir` };
    expect(await rejection(open('1.2', { headers }))).toMatchObject({ code: 'ended' });
    await using connection = await open('1.2', { headers, leniency: { escapeConnect: true } });
    expect(connection.version).toBe('1.2');
  });

  test('an ACK in mode client reaches into the other subscriptions of the connection (X-46)', async () => {
    const [first, second] = [uniqueQueue(), uniqueQueue()];
    {
      await using connection = await open('1.2');
      await connection.send(first, 'of the first');
      await connection.subscribe(first, { ack: 'client' }).next(DEADLINE);
      await connection.send(second, 'of the second');
      const later = await connection.subscribe(second, { ack: 'client' }).next(DEADLINE);
      await later.ack({ confirm: true });
      await connection.disconnect();
    }
    await using next = await open('1.2');
    await next.send(first, 'nothing was left');
    expect((await next.subscribe(first).next(DEADLINE)).text()).toBe('nothing was left');
  });

  test('reads %2F in a destination as a slash and %25 as it stands, but writes every percent sign as %25 (S-04, 6.1)', async () => {
    const queue = `${uniqueQueue()}%2Fa`;
    await using connection = await open('1.2');
    await connection.send(`${queue}%25`, 'not the destination it was sent to');
    expect((await connection.subscribe(`${queue}%25`).next(DEADLINE)).destination).toBe(`${queue}%2525`);
  });
});

withPeer('ActiveMQ', activeMq, ({ urls, login, passcode }) => {
  const open = (version: Version, more: ConnectionOptions = {}) =>
    connect(urls.tcp, { login, passcode, versions: [version], ...more });

  test('writes a line feed raw to a 1.0 consumer, so that a 1.2 producer can say what its headers are (X-12)', async () => {
    const queue = uniqueQueue();
    await using producer = await open('1.2');
    await producer.send(queue, 'crossing', { headers: { odd: 'a\nplanted:true' } });
    await using consumer = await open('1.0');
    const { headers } = await consumer.subscribe(queue).next(DEADLINE);
    expect(Object.fromEntries(headers)).toMatchObject({ odd: 'a', planted: 'true' });
  });

  test('writes a carriage return raw to a 1.1 consumer, where it is data (C-02, X-09b)', async () => {
    const queue = uniqueQueue();
    await using producer = await open('1.2');
    await producer.send(queue, 'crossing', { headers: { odd: 'a\rb' } });
    await using consumer = await open('1.1');
    expect((await consumer.subscribe(queue).next(DEADLINE)).headers.get('odd')).toBe('a\rb');
  });

  test('takes a body without content-length for text, and gives it back without (C-56, X-75)', async () => {
    const queue = uniqueQueue();
    await using connection = await open('1.2', { leniency: { contentLength: 'whenNeeded' } });
    await connection.send(queue, 'text');
    await connection.send(queue, new Uint8Array([0xff, 0x00]));
    const subscription = connection.subscribe(queue);
    const [text, octets] = [await subscription.next(DEADLINE), await subscription.next(DEADLINE)];
    expect([text.text(), text.headers.get('content-length')]).toEqual(['text', undefined]);
    expect([[...octets.bytes], octets.headers.get('content-length')]).toEqual([[0xff, 0x00], '2']);
  });

  test('lets a producer plant an ack in mode auto, which makes nothing ackable here (X-13, A-07)', async () => {
    const queue = uniqueQueue();
    await using connection = await open('1.2');
    await connection.send(queue, 'planted', { headers: { ack: 'evil' } });
    const message = await connection.subscribe(queue).next(DEADLINE);
    expect(message.headers.get('ack')).toBe('evil');
    expect(message.ackable).toBe(false);
  });

  test('a nacked message that is not persistent is gone (6.2)', async () => {
    const queue = uniqueQueue();
    {
      await using connection = await open('1.2');
      await connection.send(queue, 'gone');
      const message = await connection.subscribe(queue, { ack: 'client-individual' }).next(DEADLINE);
      await message.nack({ confirm: true });
      await connection.disconnect();
    }
    await using next = await open('1.2');
    await next.send(queue, 'nothing was left');
    expect((await next.subscribe(queue).next(DEADLINE)).text()).toBe('nothing was left');
  });

  test('an ACK in mode client stays in its subscription (X-46)', async () => {
    const [first, second] = [uniqueQueue(), uniqueQueue()];
    {
      await using connection = await open('1.2');
      await connection.send(first, 'of the first');
      await connection.subscribe(first, { ack: 'client' }).next(DEADLINE);
      await connection.send(second, 'of the second');
      const later = await connection.subscribe(second, { ack: 'client' }).next(DEADLINE);
      await later.ack({ confirm: true });
      await connection.disconnect();
    }
    await using next = await open('1.2');
    expect((await next.subscribe(first).next(DEADLINE)).text()).toBe('of the first');
  });
});

for (const { peer, name, host, subscribesToTemporaryQueues } of DIALECTS) {
  withPeer(name, peer, ({ urls, login, passcode }) => {
    test('carries a question to a responder and the answer to a temporary queue (6.6, S-13)', async () => {
      const questions = uniqueQueue();
      const answers = new Inbox<Message>('an answer');
      await using asking = await connect(urls.tcp, { login, passcode, host, onUnhandled: (one) => answers.put(one) });
      await using answering = await connect(urls.tcp, { login, passcode, host });
      answering.subscribe(questions, async (message) => {
        await answering.send(message.headers.get('reply-to') ?? '', `${message.text()}!`);
      });
      if (subscribesToTemporaryQueues) {
        await asking.subscribe('/temp-queue/answers', (answer) => answers.put(answer)).ready;
      }
      await asking.send(questions, 'well', { headers: { 'reply-to': '/temp-queue/answers' } });
      expect((await answers.take()).text()).toBe('well!');
    });
  });
}

function uniqueQueue(): string {
  return `/queue/${crypto.randomUUID()}`;
}
