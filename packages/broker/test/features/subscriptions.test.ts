// What a consumer can ask for: durable subscriptions, selectors, exclusivity, groups, browsing.

import { describe, expect, test } from 'vitest';
import { onBothEngines, onDisk } from './support.ts';

const DIALECTS = [
  ['ActiveMQ', { 'client-id': 'me' }, { 'activemq.subscriptionName': 'news' }],
  ['Artemis', { 'client-id': 'me' }, { 'durable-subscription-name': 'news' }],
  ['RabbitMQ', {}, { durable: 'true', 'auto-delete': 'false' }],
] as const;

onBothEngines((open) => {
  describe.each(DIALECTS)('a durable subscription in the words of %s', (_, login, headers) => {
    test('gathers messages while nobody is there, is listed, and is deleted', async () => {
      const at = await open();
      const before = await at.client(login);
      await before.subscribe('1', '/topic/a.*', 'auto', headers);
      await before.ask('DISCONNECT');
      const producer = await at.client();
      await producer.send('/topic/a.b', 'x');
      await producer.send('/topic/c', 'not for it');
      expect(at.broker.inspect.durables()).toMatchObject([{ pattern: '/topic/a.*', waiting: 1, connected: false }]);
      const after = await at.client(login);
      await after.subscribe('1', '/topic/a.*', 'auto', headers);
      expect(await after.bodies(1)).toEqual(['x']);
      await after.ask('UNSUBSCRIBE', { id: '1', ...headers });
      expect(at.broker.inspect.durables()).toEqual([]);
    });
  });

  test.each(DIALECTS)(
    'a plain UNSUBSCRIBE in the words of %s leaves it, and who resumes it gets what came meanwhile',
    async (_, login, headers) => {
      const at = await open();
      const client = await at.client(login);
      const producer = await at.client();
      await client.subscribe('1', '/topic/t', 'client-individual', headers);
      for (const body of ['a', 'b']) await producer.send('/topic/t', body);
      const [a] = await client.take(2);
      if (a) client.settle('ACK', a);
      await client.ask('UNSUBSCRIBE', { id: '1' });
      await producer.send('/topic/t', 'c');
      expect(await client.rest()).toEqual([]);
      expect(at.broker.inspect.durables()).toMatchObject([{ pattern: '/topic/t', waiting: 2, connected: false }]);
      await client.subscribe('1', '/topic/t', 'client-individual', headers); // on the same connection
      const [b, c] = await client.take(2);
      expect([b, c].map((message) => [message?.text(), message?.get('redelivered')])).toEqual([
        ['b', 'true'],
        ['c', undefined],
      ]);
      await producer.send('/topic/t', 'd');
      expect(await client.bodies(1)).toEqual(['d']);
      expect(at.faults).toEqual([]);
    },
  );

  test('a durable subscription gathers only what it selects, and another selector begins anew', async () => {
    const at = await open();
    const headers = { 'activemq.subscriptionName': 'n', selector: "kind = 'a'" };
    const before = await at.client({ 'client-id': 'me' });
    await before.subscribe('1', '/topic/t', 'auto', headers);
    await before.ask('DISCONNECT');
    const producer = await at.client();
    await producer.send('/topic/t', '1', { kind: 'a' });
    await producer.send('/topic/t', '2', { kind: 'b' });
    expect(at.broker.inspect.durables()[0]?.waiting).toBe(1);
    const after = await at.client({ 'client-id': 'me' });
    await after.subscribe('1', '/topic/t', 'auto', { ...headers, selector: "kind = 'b'" });
    expect(await after.rest()).toEqual([]);
  });

  test('the same id for two topics is two durable subscriptions, as RabbitMQ has it', async () => {
    const at = await open();
    for (const topic of ['/topic/a', '/topic/b']) {
      const client = await at.client();
      await client.subscribe('0', topic, 'auto', { durable: 'true' });
    }
    expect(at.broker.inspect.durables()).toHaveLength(2);
  });

  test.each(DIALECTS.slice(0, 2))('in the words of %s it ends in two steps, too', async (_, login, headers) => {
    const at = await open();
    const client = await at.client(login);
    await client.subscribe('1', '/topic/t', 'auto', headers);
    client.say('UNSUBSCRIBE', { id: '1' });
    await client.send('/topic/t', 'gathered');
    expect(at.broker.inspect.durables()).toMatchObject([{ waiting: 1, connected: false }]);
    client.say('UNSUBSCRIBE', { id: '1', ...headers });
    client.say('UNSUBSCRIBE', { id: '1', ...headers, receipt: 'again' });
    const error = await client.error();
    expect([error.get('message'), error.get('receipt-id')]).toEqual([
      'there is no durable subscription of that name (F-08)',
      'again',
    ]);
    expect(at.broker.inspect.durables()).toEqual([]);
    expect(at.broker.inspect.bytes).toBe(0);
  });

  test('a durable subscription that somebody else has is not ended, nor one of another user', async () => {
    const at = await open({ authenticate: ({ login = '' }) => ({ name: login }) });
    const headers = { 'activemq.subscriptionName': 'news' };
    const owner = await at.client({ login: 'ann', 'client-id': 'me' });
    await owner.subscribe('1', '/topic/t', 'auto', headers);
    for (const [login, says] of [
      ['ann', /has its subscriber/],
      ['bob', /there is no durable subscription/],
    ] as const) {
      const other = await at.client({ login, 'client-id': 'me' });
      other.say('UNSUBSCRIBE', { id: 'x', ...headers });
      expect((await other.error()).get('message')).toMatch(says);
    }
    await owner.send('/topic/t', 'still there');
    expect(await owner.bodies(1)).toEqual(['still there']);
  });

  test('a subscription made and deleted in one breath is gone', async () => {
    const at = await open();
    const client = await at.client();
    client.say('SUBSCRIBE', { id: '1', destination: '/topic/t', durable: 'true' });
    await client.ask('UNSUBSCRIBE', { id: '1', durable: 'true' });
    expect(at.broker.inspect.durables()).toEqual([]);
  });

  test('selectors choose from queues and topics, and leave the rest', async () => {
    const at = await open();
    const client = await at.client();
    await client.subscribe('q', '/queue/q', 'auto', { selector: 'size > 2' });
    await client.subscribe('t', '/topic/t', 'auto', { selector: 'size > 2' });
    for (const size of [1, 3, 2, 5])
      for (const to of ['/queue/q', '/topic/t']) await client.send(to, String(size), { size });
    expect((await client.bodies(4)).sort()).toEqual(['3', '3', '5', '5']);
    expect(at.broker.inspect.browse('q').map(({ content }) => Buffer.from(content.body).toString())).toEqual([
      '1',
      '2',
    ]);
  });

  test.each(['exclusive', 'activemq.exclusive'])('%s: one consumer has the queue until it leaves', async (name) => {
    const at = await open();
    const [one, two] = [await at.client(), await at.client()];
    await two.subscribe('1', '/queue/q');
    await one.subscribe('1', '/queue/q', 'auto', { [name]: 'true' });
    for (const body of ['a', 'b']) await one.send('/queue/q', body);
    expect(await one.bodies(2)).toEqual(['a', 'b']);
    await one.ask('UNSUBSCRIBE', { id: '1' });
    await one.send('/queue/q', 'c');
    expect(await two.bodies(1)).toEqual(['c']);
  });

  test('a group stays with one consumer, in order', async () => {
    const at = await open();
    const [one, two] = [await at.client(), await at.client()];
    for (const client of [one, two]) await client.subscribe('1', '/queue/q');
    const producer = await at.client();
    for (let i = 0; i < 8; i++) await producer.send('/queue/q', `${i % 2}:${i}`, { JMSXGroupID: `g${i % 2}` });
    const bodies = [await one.bodies(4), await two.bodies(4)].sort();
    expect(bodies).toEqual([
      ['0:0', '0:2', '0:4', '0:6'],
      ['1:1', '1:3', '1:5', '1:7'],
    ]);
  });

  test('browsing shows all that waits, in order, consumes nothing, and says when it is over', async () => {
    const at = await open({ limits: { windowBytes: 2_048 } });
    const client = await at.client();
    for (let i = 0; i < 300; i++) client.say('SEND', { destination: '/queue/q' }, String(i));
    await client.send('/queue/q', 'last', { priority: 0 });
    await client.subscribe('b', '/queue/q', 'client', { browser: 'true' });
    const messages = await client.take(302);
    const bodies = messages.slice(0, 301).map((message) => message.text());
    expect(bodies).toEqual([...Array.from({ length: 300 }, (_, i) => String(i)), 'last']);
    expect(messages.at(-1)?.get('browser')).toBe('end');
    expect(at.broker.inspect.queues()).toMatchObject([{ name: 'q', waiting: 301, unsettled: 0 }]);
  });

  test.each([
    [{ 'prefetch-count': 2 }, 2],
    [{ 'activemq.prefetchSize': 2 }, 2],
    [{ 'consumer-window-size': 0 }, 1],
    [{ 'prefetch-count': 0 }, 20],
  ] as const)('%j lets through %i', async (headers, n) => {
    const at = await open({ limits: { defaultPrefetch: 5 } });
    const client = await at.client();
    for (let i = 0; i < 20; i++) await client.send('/queue/q', String(i));
    await client.subscribe('1', '/queue/q', 'client', headers);
    expect(await client.rest()).toHaveLength(n);
  });
});

test('a durable subscription, what it selects and what it gathered survive a restart', async () => {
  const at = await onDisk();
  const headers = { 'durable-subscription-name': 'n', selector: "kind = 'a'" };
  const before = await at.client({ 'client-id': 'me' });
  await before.subscribe('1', '/topic/t', 'auto', headers);
  await before.ask('DISCONNECT');
  await (await at.client()).send('/topic/t', '1', { kind: 'a' });
  await at.restart();
  const producer = await at.client();
  await producer.send('/topic/t', 'no', { kind: 'b' });
  await producer.send('/topic/t', '2', { kind: 'a' });
  const after = await at.client({ 'client-id': 'me' });
  await after.subscribe('1', '/topic/t', 'auto', headers);
  expect(await after.bodies(2)).toEqual(['1', '2']);
});

test('groups are honoured for messages from before a restart', async () => {
  const at = await onDisk();
  const producer = await at.client();
  for (let i = 0; i < 6; i++) await producer.send('/queue/q', String(i), { JMSXGroupID: 'g' });
  await at.restart();
  const [one, two] = [await at.client(), await at.client()];
  await one.subscribe('1', '/queue/q', 'client', { 'prefetch-count': 2 });
  await two.subscribe('1', '/queue/q', 'client');
  expect(await one.rest()).toHaveLength(2);
  expect(await two.rest()).toHaveLength(0);
});
