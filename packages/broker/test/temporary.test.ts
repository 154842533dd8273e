// Temporary queues: private to a connection, answered to through `reply-to` in the two
// dialects there are, and gone with their owner (conformance 6.6, M-84, M-95).

import { describe, expect, test } from 'vitest';
import { books, place, VERSIONS } from './support.ts';

describe('request and reply', () => {
  for (const version of VERSIONS) {
    test(`${version}: as ActiveMQ has it, SUBSCRIBE /temp-queue/x first`, async () => {
      const at = await place();
      const [asker, answerer] = [await at.client(version), await at.client()];
      await answerer.subscribe('1', '/queue/quotes');
      await asker.subscribe('mine', '/temp-queue/x');
      await asker.send('/queue/quotes', '?', { 'reply-to': '/temp-queue/x' });
      const replyTo = (await answerer.next()).get('reply-to') ?? '';
      expect(replyTo).toMatch(/^\/remote-temp-queue\/[^/]+\/x$/);
      await answerer.send(replyTo, 'three');
      const reply = await asker.next();
      expect(['subscription', 'destination'].map((name) => reply.get(name))).toEqual(['mine', '/temp-queue/x']);
      expect(reply.text()).toBe('three');
      expect(await asker.rest()).toEqual([]);
    });

    test(`${version}: as RabbitMQ has it, without SUBSCRIBE; the reply says subscription:/temp-queue/x`, async () => {
      const at = await place();
      const [asker, answerer] = [await at.client(version), await at.client()];
      await answerer.subscribe('1', '/queue/quotes');
      for (const question of ['1', '2']) await asker.send('/queue/quotes', question, { 'reply-to': '/temp-queue/x' });
      for (const request of await answerer.take(2))
        await answerer.send(request.get('reply-to') ?? '', `re ${request.text()}`);
      const replies = await asker.take(2);
      expect(replies.map((reply) => [reply.get('subscription'), reply.text(), reply.headers.has('ack')])).toEqual([
        ['/temp-queue/x', 're 1', false],
        ['/temp-queue/x', 're 2', false],
      ]);
    });
  }

  test('in a transaction too', async () => {
    const at = await place();
    const [asker, answerer] = [await at.client(), await at.client()];
    await answerer.subscribe('1', '/queue/quotes');
    await asker.ask('BEGIN', { transaction: 't' });
    await asker.send('/queue/quotes', '?', { 'reply-to': '/temp-queue/x', transaction: 't' });
    await asker.ask('COMMIT', { transaction: 't' });
    await answerer.send((await answerer.next()).get('reply-to') ?? '', '!');
    expect(await asker.bodies(1)).toEqual(['!']);
  });

  test('any other reply-to is data', async () => {
    const at = await place();
    const client = await at.client();
    await client.subscribe('1', '/queue/q');
    for (const replyTo of ['/queue/answers', '/temp-queue/', '/temp-queue', 'x']) {
      await client.send('/queue/q', '', { 'reply-to': replyTo });
      expect((await client.next()).get('reply-to')).toBe(replyTo);
    }
    expect(at.broker.inspect.queues().length).toBe(1);
  });
});

describe('a temporary queue', () => {
  test('of the same name is another one on every connection', async () => {
    const at = await place();
    const [one, two] = [await at.client(), await at.client()];
    await one.subscribe('1', '/temp-queue/x');
    await two.subscribe('2', '/temp-queue/x');
    await one.send('/temp-queue/x', 'for one');
    expect(await one.bodies(1)).toEqual(['for one']);
    expect(await two.rest()).toEqual([]);
  });

  test('of somebody else can be sent to and not subscribed to (M-84)', async () => {
    const at = await place();
    const [owner, other] = [await at.client(), await at.client()];
    await other.subscribe('1', '/queue/q');
    await owner.send('/queue/q', '', { 'reply-to': '/temp-queue/x' });
    const replyTo = (await other.next()).get('reply-to') ?? '';
    other.say('SUBSCRIBE', { id: '2', destination: replyTo, receipt: 'r' });
    const error = await other.error();
    expect([error.get('receipt-id'), error.get('message')]).toEqual(['r', expect.stringMatching(/M-84/)]);
  });

  test('is gone with its owner, and answers to it are dropped and counted (M-95)', async () => {
    const at = await place();
    const [owner, other] = [await at.client(), await at.client()];
    await other.subscribe('1', '/queue/q');
    await owner.subscribe('mine', '/temp-queue/x', 'client');
    await owner.send('/queue/q', '', { 'reply-to': '/temp-queue/x' });
    const replyTo = (await other.next()).get('reply-to') ?? '';
    await other.send(replyTo, 'unsettled');
    await owner.next();
    owner.channel.destroy();
    await other.send(replyTo, 'late'); // its receipt comes all the same
    expect(at.broker.stats().droppedReplies).toBe(1);
    expect(at.broker.inspect.queues().map(({ name }) => name)).toEqual(['q']);
    expect(at.broker.inspect.bytes).toBe(0);
  });

  test('of an owner whose last words are out, and who has not closed yet, is gone as well', async () => {
    const at = await place();
    const [owner, other] = [await at.client(), await at.client()];
    await other.subscribe('1', '/queue/q');
    await owner.send('/queue/q', '', { 'reply-to': '/temp-queue/x' });
    const replyTo = (await other.next()).get('reply-to') ?? '';
    owner.channel.pause(); // does not see the end
    owner.write('BOO\n\n\0');
    await other.rest();
    await other.send(replyTo, 'late');
    expect(at.broker.stats().droppedReplies).toBe(1);
    expect(at.broker.inspect.bytes).toBe(0);
  });

  test('that leaves before a COMMIT is not made again by it', async () => {
    const at = await place();
    const [owner, other] = [await at.client(), await at.client()];
    await other.subscribe('1', '/queue/q');
    await owner.send('/queue/q', '', { 'reply-to': '/temp-queue/x' });
    const replyTo = (await other.next()).get('reply-to') ?? '';
    await other.ask('BEGIN', { transaction: 't' });
    await other.send(replyTo, 'reply', { transaction: 't' });
    await other.send('/queue/log', 'replied', { transaction: 't' });
    owner.channel.destroy();
    await other.ask('COMMIT', { transaction: 't' });
    expect(at.broker.inspect.queues().map(({ name }) => name)).toEqual(['q', 'log']);
    expect(at.broker.stats().droppedReplies).toBe(1);
  });

  test('is made by its owner alone: others cannot fill a connection with queues it never had (M-95)', async () => {
    const at = await place();
    const [owner, other] = [await at.client(), await at.client()];
    await other.subscribe('1', '/queue/q');
    await owner.send('/queue/q', '', { 'reply-to': '/temp-queue/x' });
    const replyTo = (await other.next()).get('reply-to') ?? '';
    for (const invented of [`${replyTo}/y`, replyTo.replace(/x$/, 'z'), '/remote-temp-queue/nobody/x'])
      await other.send(invented, 'x');
    expect(at.broker.stats().droppedReplies).toBe(3);
    expect(at.broker.inspect.queues().length).toBe(2);
  });

  test('releases the producers that wait for it when its owner leaves', async () => {
    const at = await place({ limits: { producersWaitAboveBytes: 1024 } });
    const [owner, other] = [await at.client(), await at.client()];
    await other.subscribe('1', '/queue/q');
    await owner.subscribe('mine', '/temp-queue/x', 'client', { 'prefetch-count': '1' });
    await owner.send('/queue/q', '', { 'reply-to': '/temp-queue/x' });
    const replyTo = (await other.next()).get('reply-to') ?? '';
    other.say('SEND', { destination: replyTo, receipt: 'r' }, 'x'.repeat(2000));
    expect(await other.rest()).toEqual([]);
    owner.channel.destroy();
    expect((await other.next()).get('receipt-id')).toBe('r');
  });

  test('may be consumed and settled like any other', async () => {
    const at = await place();
    const client = await at.client();
    await client.subscribe('1', '/temp-queue/x', 'client-individual');
    await client.send('/temp-queue/x', 'a');
    client.settle('NACK', await client.next());
    const again = await client.next();
    expect(again.get('redelivered')).toBe('true');
    client.settle('ACK', again);
    await client.ask('UNSUBSCRIBE', { id: '1' });
    expect(books(at.broker, 'x')).toBeUndefined();
    expect(at.broker.inspect.bytes).toBe(0);
  });
});
