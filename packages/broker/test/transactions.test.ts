// Transactions: all or nothing, and gone with their connection (promise 3, T-01 to T-10).

import { describe, expect, test } from 'vitest';
import { books, place, VERSIONS } from './support.ts';

describe('a transaction', () => {
  for (const version of VERSIONS) {
    test(`${version}: takes effect at COMMIT, in order (T-03)`, async () => {
      const at = await place();
      const client = await at.client(version);
      await client.subscribe('1', '/queue/q');
      await client.ask('BEGIN', { transaction: 't' });
      await client.send('/queue/q', 'a', { transaction: 't' });
      await client.send('/queue/q', 'outside');
      await client.send('/queue/q', 'b', { transaction: 't' });
      expect(await client.bodies(1)).toEqual(['outside']);
      expect(await client.rest()).toEqual([]);
      client.say('COMMIT', { transaction: 't', receipt: 'done' });
      const came = await client.rest();
      expect(came.filter((frame) => frame.command === 'MESSAGE').map((message) => message.text())).toEqual(['a', 'b']);
      expect(came.some((frame) => frame.get('receipt-id') === 'done')).toBe(true);
      expect(came.some((frame) => frame.headers.has('transaction'))).toBe(false);
    });

    test(`${version}: has no effect after ABORT, and its name is free again (T-02)`, async () => {
      const at = await place();
      const client = await at.client(version);
      await client.subscribe('1', '/queue/q');
      await client.ask('BEGIN', { transaction: 't' });
      await client.send('/queue/q', 'a', { transaction: 't' });
      await client.ask('ABORT', { transaction: 't' });
      await client.ask('BEGIN', { transaction: 't' });
      await client.send('/queue/q', 'b', { transaction: 't' });
      await client.ask('COMMIT', { transaction: 't' });
      expect(await client.bodies(1)).toEqual(['b']);
      expect(await client.rest()).toEqual([]);
    });
  }

  test('ACKs in it count at COMMIT; after ABORT they are owed again (T-08, X-63)', async () => {
    const at = await place();
    const client = await at.client();
    await client.subscribe('1', '/queue/q', 'client-individual', { 'prefetch-count': '1' });
    for (const body of 'ab') await client.send('/queue/q', body);
    const a = await client.next();
    await client.ask('BEGIN', { transaction: 't' });
    client.settle('ACK', a, { transaction: 't' });
    expect(await client.rest()).toEqual([]); // it still counts against the prefetch
    expect(books(at.broker, 'q')).toEqual({ waiting: 1, unsettled: 1, consumers: 1 });
    await client.ask('ABORT', { transaction: 't' });
    expect(books(at.broker, 'q')).toEqual({ waiting: 1, unsettled: 1, consumers: 1 });
    await client.ask('BEGIN', { transaction: 'u' });
    client.settle('ACK', a, { transaction: 'u' });
    await client.ask('COMMIT', { transaction: 'u' });
    expect(await client.bodies(1)).toEqual(['b']);
    expect(books(at.broker, 'q')).toEqual({ waiting: 0, unsettled: 1, consumers: 1 });
  });

  test('NACKs in it count at COMMIT', async () => {
    const at = await place();
    const client = await at.client();
    await client.subscribe('1', '/queue/q', 'client');
    await client.send('/queue/q', 'a');
    await client.ask('BEGIN', { transaction: 't' });
    client.settle('NACK', await client.next(), { transaction: 't' });
    expect(await client.rest()).toEqual([]);
    client.say('COMMIT', { transaction: 't' });
    expect((await client.next()).get('redelivered')).toBe('true');
  });

  for (const how of ['disconnect', 'cut'] as const) {
    test(`is void after ${how}: nothing sent, nothing settled (T-05, E-07, M-75)`, async () => {
      const at = await place();
      const client = await at.client();
      await client.subscribe('1', '/queue/q', 'client');
      await client.send('/queue/q', 'a');
      await client.ask('BEGIN', { transaction: 't' });
      client.settle('ACK', await client.next(), { transaction: 't' });
      await client.send('/queue/q', 'never', { transaction: 't' });
      if (how === 'cut') client.channel.destroy();
      else client.say('DISCONNECT');
      const next = await at.client();
      await next.subscribe('1', '/queue/q');
      const [a] = await next.take(1);
      expect([a?.text(), a?.get('redelivered')]).toEqual(['a', 'true']);
      expect(await next.rest()).toEqual([]);
      expect(at.broker.inspect.bytes).toBe(0);
    });
  }

  test('that ends after the subscription it settles for: COMMIT settles, ABORT gives back', async () => {
    const at = await place();
    const client = await at.client();
    await client.subscribe('1', '/queue/q', 'client-individual');
    for (const body of 'ab') await client.send('/queue/q', body);
    const [a, b] = await client.take(2);
    await client.ask('BEGIN', { transaction: 't' });
    await client.ask('BEGIN', { transaction: 'u' });
    if (a) client.settle('ACK', a, { transaction: 't' });
    if (b) client.settle('ACK', b, { transaction: 'u' });
    await client.ask('UNSUBSCRIBE', { id: '1' });
    expect(books(at.broker, 'q')).toEqual({ waiting: 0, unsettled: 2, consumers: 0 });
    await client.ask('COMMIT', { transaction: 't' });
    await client.ask('ABORT', { transaction: 'u' });
    expect(books(at.broker, 'q')).toEqual({ waiting: 1, unsettled: 0, consumers: 0 });
    await client.subscribe('2', '/queue/q');
    expect(await client.bodies(1)).toEqual(['b']);
  });

  test('that fails does so as a whole, with the receipt of COMMIT, and settles nothing (T-06, X-62, M-74)', async () => {
    const at = await place({ limits: { maxQueueMessages: 1 } });
    const [client, other] = [await at.client(), await at.client()];
    await client.subscribe('1', '/queue/in', 'client');
    await other.send('/queue/in', 'work');
    await client.ask('BEGIN', { transaction: 't' });
    client.settle('ACK', await client.next(), { transaction: 't' });
    await client.send('/queue/ok', 'a', { transaction: 't' });
    await client.send('/queue/full', 'b', { transaction: 't' });
    await client.send('/queue/full', 'c', { transaction: 't' });
    client.say('COMMIT', { transaction: 't', receipt: 'commit' });
    const error = await client.error();
    expect([error.get('receipt-id'), error.get('message')]).toEqual([
      'commit',
      expect.stringMatching(/maxQueueMessages/),
    ]);
    expect(books(at.broker, 'ok')).toBeUndefined();
    expect(books(at.broker, 'full')).toBeUndefined();
    await other.subscribe('1', '/queue/in');
    expect((await other.next()).get('redelivered')).toBe('true');
    expect(at.broker.inspect.bytes).toBe(0);
  });

  test('is checked frame by frame as it fills (T-06)', async () => {
    for (const [headers, message] of [
      [{ destination: '/queue/*' }, /wildcard/],
      [{ destination: '/queue/q', priority: 'x' }, /priority/],
    ] as const) {
      const at = await place();
      const client = await at.client();
      await client.ask('BEGIN', { transaction: 't' });
      client.say('SEND', { ...headers, transaction: 't', receipt: 'r' });
      const error = await client.error();
      expect([error.get('receipt-id'), error.get('message')]).toEqual(['r', expect.stringMatching(message)]);
    }
  });

  test('of the same name on two connections are two (M-78)', async () => {
    const at = await place();
    const [one, two] = [await at.client(), await at.client()];
    for (const client of [one, two]) {
      await client.ask('BEGIN', { transaction: 't' });
      await client.send('/queue/q', client === one ? 'one' : 'two', { transaction: 't' });
    }
    await one.ask('ABORT', { transaction: 't' });
    await two.ask('COMMIT', { transaction: 't' });
    await one.subscribe('1', '/queue/q');
    expect(await one.bodies(1)).toEqual(['two']);
  });

  test.each([
    ['BEGIN of an open one (T-02)', ['BEGIN'], /open already/],
    ['COMMIT of an unknown one (T-04)', ['COMMIT', 'COMMIT'], /no open transaction/],
    ['ABORT of an unknown one (T-04)', ['ABORT', 'ABORT'], /no open transaction/],
  ] as const)('%s is an ERROR with its receipt', async (_, verbs, message) => {
    const at = await place();
    const client = await at.client();
    await client.ask('BEGIN', { transaction: 't' });
    for (const verb of verbs) client.say(verb, { transaction: 't', receipt: 'r' });
    const error = await client.error();
    expect([error.get('receipt-id'), error.get('message')]).toEqual(['r', expect.stringMatching(message)]);
  });

  test('a receipt inside it says that the frame is enlisted (R-05, X-64)', async () => {
    const at = await place();
    const client = await at.client();
    await client.ask('BEGIN', { transaction: 't' });
    await client.send('/queue/q', 'a', { transaction: 't' }); // does not wait for COMMIT
    expect(books(at.broker, 'q')).toBeUndefined();
  });

  test('`transaction` on frames that have none means nothing (T-09)', async () => {
    const at = await place();
    const client = await at.client();
    await client.ask('SUBSCRIBE', { id: '1', destination: '/queue/q', transaction: 'none' });
    await client.ask('DISCONNECT', { transaction: 'none' });
  });
});
