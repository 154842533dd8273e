// What a MESSAGE carries over from its SEND, and what it does not.

import { Encoder, type Frame, frame as newFrame } from '@stompbox/protocol';
import { describe, expect, test } from 'vitest';
import { place, VERSIONS } from './support.ts';

const names = (message: Frame): string[] => [...message.headers].map(([name]) => name);

describe('a message', () => {
  for (const from of VERSIONS) {
    for (const to of VERSIONS) {
      test(`${from} to ${to}: headers and body arrive as they were sent (F-03, C-68)`, async () => {
        const at = await place();
        const [producer, consumer] = [await at.client(from), await at.client(to)];
        await consumer.subscribe('1', '/queue/q');
        const body = Uint8Array.from({ length: 1024 }, (_, i) => i);
        await producer.send('/queue/q', body, {
          'content-type': 'application/octet-stream',
          kind: 'order',
          persistent: 'true',
          priority: '4',
          expires: '0',
          'correlation-id': 'é😀',
          __proto__x: 'plain',
          constructor: 'data', // M-82
          hasOwnProperty: 'data',
        });
        const message = await consumer.next();
        const carried = ['content-type', 'kind', 'persistent', 'priority', 'expires', 'correlation-id', 'constructor'];
        expect(carried.map((name) => message.get(name))).toEqual([
          'application/octet-stream',
          'order',
          'true',
          '4',
          '0',
          'é😀',
          'data',
        ]);
        expect(message.body).toEqual(body);
        expect(message.get('destination')).toBe('/queue/q');
        expect(message.get('content-length')).toBe('1024');
      });
    }
  }

  test('has only the broker’s word for what is the broker’s to say (X-13, M-80, M-141)', async () => {
    const at = await place();
    const client = await at.client();
    await client.subscribe('real', '/queue/q', 'auto');
    const reserved = ['subscription', 'message-id', 'ack', 'redelivered', 'delivery-count', 'receipt-id', 'session'];
    const planted = Object.fromEntries([...reserved, 'version', 'server', 'heart-beat'].map((name) => [name, 'evil']));
    await client.send('/queue/q', 'x', planted);
    const message = await client.next();
    expect(names(message)).toEqual(['subscription', 'destination', 'message-id', 'content-length']);
    expect(message.get('subscription')).toBe('real');
  });

  test('has the broker’s headers first, then the producer’s in their order (X-83, C-33)', async () => {
    const at = await place();
    const client = await at.client();
    await client.subscribe('1', '/queue/q', 'client');
    await client.send('/queue/q', 'x', { zebra: '1', apple: '2', Mango: '3' });
    client.settle('NACK', await client.next());
    expect(names(await client.next())).toEqual([
      'subscription',
      'destination',
      'message-id',
      'ack',
      'redelivered',
      'delivery-count',
      'content-length',
      'zebra',
      'apple',
      'Mango',
    ]);
  });

  test('without a body has no content-length', async () => {
    const at = await place();
    const client = await at.client();
    await client.subscribe('1', '/queue/q');
    client.write('SEND\ndestination:/queue/q\ncontent-length:0\nreceipt:r\n\n\0');
    const message = (await client.take(2)).find((one) => one.command === 'MESSAGE');
    expect([message?.body.length, message?.headers.has('content-length')]).toEqual([0, false]);
  });

  test('of a repeated header keeps every line, the first first (C-31)', async () => {
    const at = await place();
    const client = await at.client();
    await client.subscribe('1', '/queue/q');
    client.write('SEND\ndestination:/queue/q\nfoo:World\nfoo:Hello\ndestination:/queue/evil\n\n\0');
    const message = await client.next();
    expect(message.get('foo')).toBe('World');
    expect(message.get('destination')).toBe('/queue/q');
  });

  for (const to of VERSIONS) {
    test(`no header can break out of its line on the way to ${to} (X-12, C-45, M-81)`, async () => {
      const at = await place();
      const [producer, consumer] = [await at.client('1.2'), await at.client(to)];
      await consumer.subscribe('1', '/queue/q');
      const evil = 'a\ndestination:/queue/evil\n\nbody\r\n';
      await producer.send('/queue/q', 'good', { value: evil, 'na:me\n': 'x', plain: 'p' });
      const message = await consumer.next();
      expect([message.get('destination'), message.get('plain'), message.text()]).toEqual(['/queue/q', 'p', 'good']);
      if (to === '1.2') expect(message.get('value')).toBe(evil);
      else expect(message.get('value')).not.toBe(undefined);
      expect([...message.headers].filter(([, value]) => value.startsWith('/queue/evil'))).toEqual([]);
      expect(await consumer.rest()).toEqual([]);
    });
  }

  test('is shared by subscribers of all versions, each in its own words (C-37 to C-39)', async () => {
    const at = await place();
    const clients = await Promise.all(VERSIONS.map((version) => at.client(version)));
    for (const client of clients) await client.subscribe('1', '/topic/t');
    const producer = await at.client('1.2');
    await producer.send('/topic/t', 'x', { path: 'c:\\dir', lines: 'a\nb' });
    const came = await Promise.all(clients.map((client) => client.next()));
    expect(came.map((message) => message.get('path'))).toEqual(['c:\\dir', 'c:\\dir', 'c:\\dir']);
    expect(came[2]?.get('lines')).toBe('a\nb');
    expect(came[1]?.get('lines')).toBe('a\nb');
    expect(came[0]?.get('lines')).not.toContain('\n');
  });

  test('says the destination as it was sent, escapes and all (S-04, X-72)', async () => {
    const at = await place();
    const client = await at.client();
    const odd = '/queue/a b:c\\d%2Fé';
    await client.subscribe('1', odd);
    await client.send(odd, 'x');
    expect((await client.next()).get('destination')).toBe(odd);
  });

  test('may be larger than a chunk, and larger than one buffer', async () => {
    const at = await place();
    const producer = await at.client('1.2', {}, { split: [1, 7, 64_000, 3] });
    const consumer = await at.client('1.1', {}, { split: 1_000 });
    await consumer.subscribe('1', '/queue/q');
    const body = Uint8Array.from({ length: 3_000_000 }, (_, i) => i % 251);
    const encoder = new Encoder({ version: '1.2' });
    encoder.frame(newFrame('SEND', { destination: '/queue/q' }, body));
    producer.write(encoder.take());
    expect(Buffer.compare((await consumer.next()).body, body)).toBe(0);
  });
});

describe('a header that would mean something here', () => {
  test.each([
    ['priority', ['', 'x', '10', '-1', '1.5'], /priority .* is not 0 to 9/],
    ['expires', ['x', '-1', '1e9', '9'.repeat(20)], /expires .* is no number/],
    ['expiration', ['x', '-1'], /expiration .* is no number/],
    ['AMQ_SCHEDULED_DELAY', ['-1', 'abc', '1.5', ''], /no number/],
    ['AMQ_SCHEDULED_CRON', ['* * * * *'], /does not repeat/],
  ] as const)('%s is refused where it is nonsense, or would be ignored (M-83, X-69)', async (name, values, message) => {
    for (const value of values) {
      const at = await place();
      const client = await at.client();
      client.say('SEND', { destination: '/queue/q', [name]: value, receipt: 'r' });
      const error = await client.error();
      expect([error.get('receipt-id'), error.get('message')]).toEqual(['r', expect.stringMatching(message)]);
    }
  });

  test.each([
    ['/queue/', /names nothing/],
    ['/topic', /names nothing/],
    ['/', /names nothing/],
    ['/queue/a\nb', /control character/],
    ['/queue/*', /wildcard/],
    ['/topic/a.#', /wildcard/],
    ['/topic/a.>.b', /wildcard/],
  ])('SEND to %j is refused (M-61, M-62)', async (destination, message) => {
    const at = await place();
    const client = await at.client();
    client.say('SEND', { destination, receipt: 'r' });
    expect((await client.error()).get('message')).toMatch(message);
  });
});
