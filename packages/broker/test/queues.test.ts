// Queues as clients see them: competing consumers, the three ack modes in the three
// versions, and what comes again.

import { describe, expect, test } from 'vitest';
import { ACKED, books, place, VERSIONS } from './support.ts';

const nackable = VERSIONS.filter((version) => version !== '1.0');

describe('a queue', () => {
  test('hands each message to one consumer, in turn', async () => {
    const at = await place();
    const [one, two, producer] = [await at.client(), await at.client(), await at.client()];
    await one.subscribe('1', '/queue/q');
    await two.subscribe('2', '/queue/q');
    for (const body of 'abcd') await producer.send('/queue/q', body);
    expect(await one.bodies(2)).toEqual(['a', 'c']);
    expect(await two.bodies(2)).toEqual(['b', 'd']);
    expect([await one.rest(), await two.rest()]).toEqual([[], []]);
  });

  test('keeps messages until somebody comes, in order (promise 4)', async () => {
    const at = await place();
    const producer = await at.client();
    producer.write([...'abcde'].map((body) => `SEND\ndestination:/queue/q\n\n${body}\0`).join(''));
    await producer.ask('DISCONNECT');
    const consumer = await at.client();
    await consumer.subscribe('1', '/queue/q');
    expect(await consumer.bodies(5)).toEqual([...'abcde']);
  });

  test('serves several subscriptions of one connection, each by its id (F-07, X-42)', async () => {
    const at = await place();
    const client = await at.client('1.0');
    await client.ask('SUBSCRIBE', { destination: '/queue/q' });
    await client.ask('SUBSCRIBE', { destination: '/queue/q' });
    await client.ask('SUBSCRIBE', { destination: '/queue/q', id: 'named' });
    for (const body of 'abc') await client.send('/queue/q', body);
    const came = await client.take(3);
    expect(came.map((message) => [message.get('subscription'), message.text()])).toEqual([
      [undefined, 'a'],
      [undefined, 'b'],
      ['named', 'c'],
    ]);
    expect(new Set(came.map((message) => message.get('message-id'))).size).toBe(3);
  });

  test('any name without a prefix we know is a queue of that whole name', async () => {
    const at = await place();
    const client = await at.client();
    await client.subscribe('1', '/exchange/x');
    await client.send('/exchange/x', 'a');
    expect((await client.next()).get('destination')).toBe('/exchange/x');
    expect(books(at.broker, '/exchange/x')).toEqual({ waiting: 0, unsettled: 0, consumers: 1 });
  });

  test('is gone when it is empty and alone (M-95)', async () => {
    const at = await place();
    const client = await at.client();
    await client.subscribe('1', '/queue/q', 'client');
    await client.send('/queue/q', 'a');
    client.settle('ACK', await client.next());
    await client.ask('UNSUBSCRIBE', { id: '1' });
    expect(at.broker.inspect.queues()).toEqual([]);
    expect(at.broker.inspect.bytes).toBe(0);
  });
});

describe('settling', () => {
  for (const version of VERSIONS) {
    test(`${version}: with ack:auto a message is settled by being delivered (A-01)`, async () => {
      const at = await place();
      const client = await at.client(version);
      await client.subscribe('1', '/queue/q', 'auto');
      await client.send('/queue/q', 'a');
      const message = await client.next();
      expect(message.headers.has('ack')).toBe(false);
      expect(books(at.broker, 'q')).toEqual({ waiting: 0, unsettled: 0, consumers: 1 });
      if (version === '1.2') client.say('ACK', { id: '0.0' });
      else client.settle('ACK', message);
      expect((await client.error()).get('message')).toMatch(/acknowledges by itself/);
    });

    test(`${version}: ack:client is cumulative within its subscription, and only there (A-02, X-46)`, async () => {
      const at = await place();
      const client = await at.client(version);
      await client.subscribe('1', '/queue/a', 'client');
      await client.subscribe('2', '/queue/b', 'client');
      await client.subscribe('3', '/queue/c', 'client-individual');
      for (const name of ['a', 'b', 'c', 'a', 'b', 'c', 'a']) await client.send(`/queue/${name}`, name);
      const came = await client.take(7);
      const second = came[3];
      expect(second?.get('subscription')).toBe('1');
      if (second) client.settle('ACK', second);
      await client.send('/queue/x', 'after'); // in its turn
      expect(books(at.broker, 'a')).toEqual({ waiting: 0, unsettled: 1, consumers: 1 });
      expect(books(at.broker, 'b')).toEqual({ waiting: 0, unsettled: 2, consumers: 1 });
      expect(books(at.broker, 'c')).toEqual({ waiting: 0, unsettled: 2, consumers: 1 });
    });

    test(`${version}: ack:client-individual settles one (A-03)`, async () => {
      const at = await place();
      const client = await at.client(version);
      await client.subscribe('1', '/queue/q', 'client-individual');
      for (const body of 'abc') await client.send('/queue/q', body);
      const [, b] = await client.take(3);
      if (b) client.settle('ACK', b);
      client.say('DISCONNECT', { receipt: 'bye' });
      await client.closed();
      const next = await at.client();
      await next.subscribe('1', '/queue/q');
      expect(await next.bodies(2)).toEqual(['a', 'c']);
    });
  }

  for (const version of nackable) {
    test(`${version}: a nacked message comes again, marked and counted (promise 2, X-77)`, async () => {
      const at = await place();
      const client = await at.client(version);
      await client.subscribe('1', '/queue/q', 'client-individual');
      await client.send('/queue/q', 'a');
      const first = await client.next();
      expect([first.get('redelivered'), first.get('delivery-count')]).toEqual([undefined, undefined]);
      client.settle('NACK', first);
      const second = await client.next();
      expect([second.get('redelivered'), second.get('delivery-count'), second.text()]).toEqual(['true', '2', 'a']);
      client.settle('NACK', second);
      expect((await client.next()).get('delivery-count')).toBe('3');
    });

    test(`${version}: NACK in client mode is cumulative, and what it covers comes again in order (A-04, X-47)`, async () => {
      const at = await place();
      const client = await at.client(version);
      await client.subscribe('1', '/queue/q', 'client', { 'prefetch-count': '3' });
      for (const body of 'abcde') await client.send('/queue/q', body);
      const [, b] = await client.take(3);
      if (b) client.settle('NACK', b);
      const again = await client.take(2);
      expect(again.map((message) => [message.text(), message.get('redelivered')])).toEqual([
        ['a', 'true'],
        ['b', 'true'],
      ]);
    });
  }

  test('what one consumer nacks goes to another that is ready (X-49)', async () => {
    const at = await place();
    const [one, two] = [await at.client(), await at.client()];
    await one.subscribe('1', '/queue/q', 'client-individual');
    await two.subscribe('2', '/queue/q', 'client-individual');
    for (const body of ['a', 'b']) await one.send('/queue/q', body);
    for (let i = 0; i < 3; i++) {
      const [from, other] = i % 2 === 0 ? [one, two] : [two, one];
      const message = await from.next();
      if (i === 0) await other.next();
      from.settle('NACK', message);
      expect(await from.rest()).toEqual([]);
      expect(other.frames.map((frame) => frame.text())).toEqual(['a']);
    }
  });

  test('a poison message is a dead letter after maxDeliveries (X-48, M-94)', async () => {
    const at = await place({ limits: { maxDeliveries: 3 } });
    const client = await at.client();
    await client.subscribe('1', '/queue/q', 'client');
    await client.send('/queue/q', 'poison', { kind: 'order' });
    for (let i = 0; i < 3; i++) client.settle('NACK', await client.next());
    expect(await client.rest()).toEqual([]);
    await client.subscribe('2', '/queue/dlq.q');
    const letter = await client.next();
    const about = [
      'destination',
      'original-destination',
      'dead-letter-reason',
      'delivery-count',
      'kind',
      'redelivered',
    ];
    expect(about.map((name) => letter.get(name))).toEqual([
      '/queue/dlq.q',
      '/queue/q',
      'redeliveries',
      '3',
      'order',
      undefined,
    ]);
    expect(letter.text()).toBe('poison');
  });

  test('NACK with requeue:false is a dead letter at once (X-48)', async () => {
    const at = await place();
    const client = await at.client();
    await client.subscribe('1', '/queue/q', 'client');
    await client.send('/queue/q', 'a');
    client.settle('NACK', await client.next(), { requeue: 'false' });
    await client.subscribe('2', '/queue/dlq.q');
    expect((await client.next()).get('dead-letter-reason')).toBe('rejected');
  });

  test('a connection that goes leaves its messages to others, in order and marked (E-07)', async () => {
    for (const how of ['cut', 'disconnect', 'finish'] as const) {
      const at = await place();
      const [gone, stays] = [await at.client(), await at.client()];
      // Two subscriptions, so that what one gives back must not go to the other.
      await gone.subscribe('1', '/queue/q', 'client');
      await gone.subscribe('2', '/queue/q', 'client-individual');
      for (const body of 'abcdef') await stays.send('/queue/q', body);
      await gone.take(6);
      await stays.subscribe('1', '/queue/q', 'client');
      if (how === 'cut') gone.channel.destroy();
      else if (how === 'finish') gone.channel.end();
      else gone.say('DISCONNECT');
      const came = await stays.take(6);
      expect(came.map((message) => message.text())).toEqual([...'abcdef']);
      expect(came.every((message) => message.get('redelivered') === 'true')).toBe(true);
      expect(books(at.broker, 'q')).toEqual({ waiting: 0, unsettled: 6, consumers: 1 });
    }
  });

  test('what a connection gives back as it goes is not swallowed by an ack:auto subscription of its own', async () => {
    const at = await place();
    const client = await at.client();
    await client.subscribe('1', '/queue/q', 'client');
    for (const body of 'abc') await client.send('/queue/q', body);
    await client.take(3);
    await client.subscribe('2', '/queue/q', 'auto');
    client.channel.destroy();
    const next = await at.client();
    await next.subscribe('1', '/queue/q');
    expect(await next.bodies(3)).toEqual([...'abc']);
  });

  test('UNSUBSCRIBE gives back what was not settled, and a late ACK is an ERROR (X-45, F-10)', async () => {
    for (const ack of ACKED) {
      const at = await place();
      const client = await at.client();
      await client.subscribe('1', '/queue/q', ack);
      for (const body of 'ab') await client.send('/queue/q', body);
      const [a] = await client.take(2);
      await client.ask('UNSUBSCRIBE', { id: '1' });
      expect(books(at.broker, 'q')).toEqual({ waiting: 2, unsettled: 0, consumers: 0 });
      await client.subscribe('1', '/queue/q', ack);
      expect((await client.take(2)).map((message) => message.get('redelivered'))).toEqual(['true', 'true']);
      if (a) client.settle('ACK', a);
      expect((await client.error()).get('message')).toMatch(/A-09/);
    }
  });

  for (const ack of ['auto', 'client', 'client-individual'] as const) {
    test(`what is sent in the same packet, in front of UNSUBSCRIBE, is left to others (${ack})`, async () => {
      const at = await place();
      const client = await at.client();
      await client.subscribe('1', '/queue/q', ack);
      client.write('SEND\ndestination:/queue/q\n\na\0UNSUBSCRIBE\nid:1\n\n\0');
      expect(await client.rest()).toEqual([]);
      expect(books(at.broker, 'q')).toEqual({ waiting: 1, unsettled: 0, consumers: 0 });
      await client.subscribe('2', '/queue/q');
      expect(await client.bodies(1)).toEqual(['a']);
    });
  }

  test('between UNSUBSCRIBE and the next delivery nothing is lost, however close they are', async () => {
    const at = await place();
    const [consumer, producer] = [await at.client(), await at.client()];
    await consumer.subscribe('1', '/queue/q', 'client');
    consumer.say('UNSUBSCRIBE', { id: '1' });
    producer.say('SEND', { destination: '/queue/q' }, 'a'); // both are under way in the same turn
    expect(await consumer.rest()).toEqual([]);
    expect(books(at.broker, 'q')).toEqual({ waiting: 1, unsettled: 0, consumers: 0 });
  });
});

describe('prefetch (M-91)', () => {
  test.each([
    ['prefetch-count', '1.2'],
    ['activemq.prefetchSize', '1.1'],
  ] as const)('%s bounds what is unsettled', async (name, version) => {
    const at = await place();
    const client = await at.client(version);
    await client.subscribe('1', '/queue/q', 'client-individual', { [name]: '2' });
    for (const body of 'abcde') await client.send('/queue/q', body);
    const [a, b] = await client.take(2);
    expect(await client.rest()).toEqual([]);
    if (b) client.settle('ACK', b);
    expect((await client.next()).text()).toBe('c');
    if (a) client.settle('NACK', a);
    expect((await client.next()).text()).toBe('a');
    expect(await client.rest()).toEqual([]);
    expect(books(at.broker, 'q')).toEqual({ waiting: 2, unsettled: 2, consumers: 1 });
  });

  test('is defaultPrefetch unless it is said, and maxPrefetch at most', async () => {
    const at = await place({ limits: { defaultPrefetch: 2, maxPrefetch: 3 } });
    const client = await at.client();
    for (let i = 0; i < 10; i++) await client.send('/queue/q', 'x');
    await client.subscribe('1', '/queue/q', 'client');
    expect((await client.rest()).length).toBe(2);
    await client.subscribe('2', '/queue/q', 'client', { 'prefetch-count': '100' });
    expect((await client.rest()).length).toBe(3);
  });

  test('is no bound for ack:auto, which owes nothing', async () => {
    const at = await place({ limits: { defaultPrefetch: 1 } });
    const client = await at.client();
    await client.subscribe('1', '/queue/q', 'auto');
    for (const body of 'abc') await client.send('/queue/q', body);
    expect(await client.bodies(3)).toEqual([...'abc']);
  });

  test('that is no number is an ERROR', async () => {
    for (const value of ['-1', 'x', '', '1e3', '9999999999']) {
      const at = await place();
      const client = await at.client();
      client.say('SUBSCRIBE', {
        id: '1',
        destination: '/queue/q',
        ack: 'client',
        'prefetch-count': value,
        receipt: 'r',
      });
      const error = await client.error();
      expect([error.get('receipt-id'), error.get('message')]).toEqual(['r', expect.stringMatching(/^prefetch /)]);
    }
  });
});
