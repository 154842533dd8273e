// Topics as clients see them.

import { describe, expect, test } from 'vitest';
import { matches, parsePattern, wrongPattern } from '../src/pattern.ts';
import { place, VERSIONS } from './support.ts';

describe('a topic', () => {
  for (const version of VERSIONS) {
    test(`${version}: every subscriber gets every message, those who come later get the later ones`, async () => {
      const at = await place();
      const [one, two] = [await at.client(version), await at.client()];
      await one.subscribe('1', '/topic/t');
      await two.send('/topic/t', 'a');
      await two.subscribe('2', '/topic/t');
      await two.send('/topic/t', 'b');
      expect(await one.bodies(2)).toEqual(['a', 'b']);
      expect(await two.bodies(1)).toEqual(['b']);
    });
  }

  test('* is one word, > and # the rest, none included (X-74)', async () => {
    const at = await place();
    const client = await at.client();
    const patterns = ['a.b', 'a.*', 'a.>', 'a.#', '*.b', '>', '*'];
    for (const pattern of patterns) await client.subscribe(pattern, `/topic/${pattern}`);
    const seen: Record<string, string[]> = {};
    for (const name of ['a', 'a.b', 'a.b.c', 'x.b']) {
      await client.send(`/topic/${name}`, name);
      for (const message of await client.rest()) {
        const id = message.get('subscription') ?? '';
        seen[id] = [...(seen[id] ?? []), message.text()];
        expect(message.get('destination')).toBe(`/topic/${name}`); // as sent (S-04)
      }
    }
    expect(seen).toEqual({
      'a.b': ['a.b'],
      'a.*': ['a.b'],
      'a.>': ['a', 'a.b', 'a.b.c'],
      'a.#': ['a', 'a.b', 'a.b.c'],
      '*.b': ['a.b', 'x.b'],
      '>': ['a', 'a.b', 'a.b.c', 'x.b'],
      '*': ['a'],
    });
  });

  test('overlapping subscriptions of one client are settled each for itself', async () => {
    const at = await place();
    const client = await at.client();
    await client.subscribe('1', '/topic/a.*', 'client');
    await client.subscribe('2', '/topic/>', 'client-individual');
    await client.subscribe('3', '/topic/a.b', 'auto');
    await client.send('/topic/a.b', 'x');
    const came = await client.take(3);
    expect(came.map((message) => message.get('subscription')).sort()).toEqual(['1', '2', '3']);
    expect(new Set(came.map((message) => message.get('ack'))).size).toBe(3);
    const one = came.find((message) => message.get('subscription') === '1');
    const two = came.find((message) => message.get('subscription') === '2');
    if (one) client.settle('ACK', one);
    if (two) client.settle('NACK', two);
    const again = await client.next();
    expect([again.get('subscription'), again.get('redelivered')]).toEqual(['2', 'true']);
    expect(await client.rest()).toEqual([]);
  });

  test('nobody there is no failure, and nothing is kept (X-67)', async () => {
    const at = await place();
    const client = await at.client();
    await client.send('/topic/t', 'a');
    await client.subscribe('1', '/topic/t');
    expect(await client.rest()).toEqual([]);
    expect(at.broker.inspect.bytes).toBe(0);
  });

  test('prefetch bounds what is unsettled here too', async () => {
    const at = await place();
    const client = await at.client();
    await client.subscribe('1', '/topic/t', 'client', { 'prefetch-count': '2' });
    for (const body of 'abc') await client.send('/topic/t', body);
    const [, b] = await client.take(2);
    expect(await client.rest()).toEqual([]);
    if (b) client.settle('ACK', b);
    expect(await client.bodies(1)).toEqual(['c']);
  });

  test('UNSUBSCRIBE of one leaves the others', async () => {
    const at = await place();
    const client = await at.client();
    await client.subscribe('1', '/topic/t');
    await client.subscribe('2', '/topic/*');
    await client.send('/topic/t', 'a');
    await client.ask('UNSUBSCRIBE', { id: '1' });
    await client.rest();
    await client.send('/topic/t', 'b');
    expect((await client.next()).get('subscription')).toBe('2');
    expect(await client.rest()).toEqual([]);
  });
});

describe('a pattern', () => {
  test('with > or # before the end, or more than 64 words, is none (M-63)', () => {
    expect(wrongPattern('a.>.b')).toMatch(/> may only stand at the end/);
    expect(wrongPattern('#.#')).toMatch(/# may only stand at the end/);
    expect(wrongPattern(Array.from({ length: 65 }, () => '*').join('.'))).toMatch(/64 words/);
    expect(wrongPattern('a.*.>')).toBeUndefined();
  });

  test('wildcards are whole words', () => {
    expect(matches(parsePattern('a*'), ['ab'])).toBe(false);
    expect(matches(parsePattern('a*'), ['a*'])).toBe(true);
    expect(matches(parsePattern('*'), [''])).toBe(true);
  });
});

test('an address as Artemis names it is a topic where its type says MULTICAST, and a queue otherwise (6.3)', async () => {
  const at = await place();
  const client = await at.client();
  await client.ask('SUBSCRIBE', { id: '1', destination: 'a.b', 'subscription-type': 'MULTICAST' });
  client.say('SEND', { destination: 'a.b', 'destination-type': 'ANYCAST' }, 'for the queue');
  client.say('SEND', { destination: 'a.b', 'destination-type': 'MULTICAST' }, 'for the topic');
  const message = await client.next();
  expect([message.text(), message.get('destination')]).toEqual(['for the topic', '/topic/a.b']);
  expect(at.broker.inspect.queues().map(({ name, waiting }) => [name, waiting])).toEqual([['a.b', 1]]);
});
