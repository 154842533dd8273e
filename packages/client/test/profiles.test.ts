// Portable options in the words of each broker: conformance 6.6, row by row, and P-01 to P-08.

import { UsageError } from '@stompbox/protocol';
import { describe, expect, test } from 'vitest';
import {
  detectProfile,
  messageAttributes,
  nameOf,
  type PortableSend,
  type PortableSubscribe,
  PROFILES,
  type Profile,
  type ProfileName,
  queue,
  topic,
  UnsupportedByBroker,
} from '../src/profiles/index.ts';

const NOW = 1_794_000_000_000.4; // clocks have fractions
const NAMES = Object.keys(PROFILES) as ProfileName[];
const CONTEXT = { id: 'sub-1', destination: '/topic/a', clientId: 'me' };

/** What `ask` answers, or the name of the option that this broker refuses. */
function answer<T>(ask: () => T): T | string {
  try {
    return ask();
  } catch (error) {
    if (error instanceof UnsupportedByBroker) return `no ${error.option}`;
    throw error;
  }
}

type Row<Answer> = readonly [
  what: string,
  ask: (profile: Profile) => Answer,
  expected: Record<ProfileName, Answer | string>,
];

function sends(portable: PortableSend): (profile: Profile) => unknown {
  return (profile) => profile.send(portable, NOW);
}

function subscribes(portable: PortableSubscribe): (profile: Profile) => unknown {
  return (profile) => profile.subscribe(portable, CONTEXT);
}

const P = { persistent: 'true' };
const same = <T>(value: T): Record<ProfileName, T> => ({
  rabbitmq: value,
  activemq: value,
  artemis: value,
  spring: value,
  stompbox: value,
  generic: value,
});
const plain = { id: 'sub-1', headers: {} };

const ROWS: readonly Row<unknown>[] = [
  [
    "queue('a/b')",
    (profile) => profile.resolve(queue('a/b'), 'SEND'),
    {
      ...same({ destination: '/queue/a/b', headers: {} }),
      rabbitmq: { destination: '/queue/a%2Fb', headers: {} },
      artemis: { destination: 'a/b', headers: { 'destination-type': 'ANYCAST' } },
    },
  ],
  [
    "topic('a.b')",
    (profile) => profile.resolve(topic('a.b'), 'SEND'),
    {
      ...same({ destination: '/topic/a.b', headers: {} }),
      artemis: { destination: 'a.b', headers: { 'destination-type': 'MULTICAST' } },
    },
  ],
  [
    'wildcard one and rest',
    (profile) => profile.resolve(topic('a.*.#'), 'SUBSCRIBE'),
    {
      rabbitmq: { destination: '/topic/a.*.#', headers: {} },
      activemq: { destination: '/topic/a.*.>', headers: {} },
      artemis: { destination: 'a.*.#', headers: { 'subscription-type': 'MULTICAST' } },
      spring: { destination: '/topic/a.*.**', headers: {} },
      stompbox: { destination: '/topic/a.*.#', headers: {} },
      generic: 'no wildcard',
    },
  ],
  ['persistent, unless said otherwise (P-02)', sends({}), { ...same<unknown>(P), spring: {}, generic: {} }],
  [
    'persistent: true',
    sends({ persistent: true }),
    { ...same<unknown>(P), spring: 'no persistent', generic: 'no persistent' },
  ],
  [
    'persistent: false, which asks for nothing where nothing is kept',
    sends({ persistent: false }),
    { ...same<unknown>({ persistent: 'false' }), rabbitmq: {}, spring: {}, generic: {} },
  ],
  [
    'ttl',
    sends({ expiresInMs: 5000 }),
    {
      rabbitmq: { ...P, expiration: '5000' },
      activemq: { ...P, expires: '1794000005000' },
      artemis: { ...P, expires: '1794000005000' },
      spring: 'no expiresInMs',
      stompbox: { ...P, expiration: '5000' },
      generic: 'no expiresInMs',
    },
  ],
  [
    'priority, 0 too',
    sends({ priority: 0 }),
    { ...same<unknown>({ ...P, priority: '0' }), spring: 'no priority', generic: 'no priority' },
  ],
  [
    'delay',
    sends({ deliverAfterMs: 250 }),
    {
      ...same<unknown>({ ...P, AMQ_SCHEDULED_DELAY: '250' }),
      rabbitmq: 'no deliverAfterMs',
      spring: 'no deliverAfterMs',
      generic: 'no deliverAfterMs',
    },
  ],
  [
    'group',
    sends({ group: 'g' }),
    { ...same<unknown>({ ...P, JMSXGroupID: 'g' }), rabbitmq: 'no group', spring: 'no group', generic: 'no group' },
  ],
  [
    'what travels from client to client',
    sends({ correlationId: 'c', replyTo: '/queue/r', type: 't', persistent: false }),
    {
      ...same<unknown>({ persistent: 'false', 'correlation-id': 'c', 'reply-to': '/queue/r', type: 't' }),
      rabbitmq: { 'correlation-id': 'c', 'reply-to': '/queue/r', type: 't' },
      spring: { 'correlation-id': 'c', 'reply-to': '/queue/r', type: 't' },
      generic: { 'correlation-id': 'c', 'reply-to': '/queue/r', type: 't' },
    },
  ],
  [
    'an id against duplicates',
    sends({ deduplicationId: 'd' }),
    {
      ...same<unknown>('no deduplicationId'),
      artemis: { ...P, _AMQ_DUPL_ID: 'd' },
      stompbox: { ...P, 'duplicate-id': 'd' },
    },
  ],
  [
    'binary or text for JMS peers, by no header of its own',
    sends({ as: 'text' }),
    { ...same<unknown>(P), spring: {}, generic: {} },
  ],
  [
    'binary or text for JMS peers, by content-length',
    (profile) => [
      profile.omitsContentLength('text'),
      profile.omitsContentLength('bytes'),
      profile.omitsContentLength(undefined),
    ],
    { ...same<unknown>([false, false, false]), activemq: [true, false, false], artemis: [true, false, false] },
  ],
  [
    'prefetch',
    subscribes({ prefetch: 7 }),
    {
      rabbitmq: { id: 'sub-1', headers: { 'prefetch-count': '7' } },
      activemq: { id: 'sub-1', headers: { 'activemq.prefetchSize': '7' } },
      artemis: 'no prefetch',
      spring: 'no prefetch',
      stompbox: { id: 'sub-1', headers: { 'prefetch-count': '7' } },
      generic: 'no prefetch',
    },
  ],
  [
    'prefetch 1',
    subscribes({ prefetch: 1 }),
    {
      rabbitmq: { id: 'sub-1', headers: { 'prefetch-count': '1' } },
      activemq: { id: 'sub-1', headers: { 'activemq.prefetchSize': '1' } },
      artemis: { id: 'sub-1', headers: { 'consumer-window-size': '0' } },
      spring: 'no prefetch',
      stompbox: { id: 'sub-1', headers: { 'prefetch-count': '1' } },
      generic: 'no prefetch',
    },
  ],
  [
    'durable',
    subscribes({ durable: 'name' }),
    {
      rabbitmq: { id: 'name', headers: { durable: 'true', 'auto-delete': 'false' } },
      activemq: { id: 'sub-1', headers: { 'activemq.subscriptionName': 'name' } },
      artemis: { id: 'sub-1', headers: { 'durable-subscription-name': 'name' } },
      spring: 'no durable',
      stompbox: { id: 'name', headers: { durable: 'true' } },
      generic: 'no durable',
    },
  ],
  ['leave durable', (profile) => profile.unsubscribe({ durable: 'name' }), same([{}])],
  [
    'delete durable',
    (profile) => profile.unsubscribe({ durable: 'name', forget: true }),
    {
      rabbitmq: [{ durable: 'true', 'auto-delete': 'false' }],
      activemq: [{}, { 'activemq.subscriptionName': 'name' }],
      artemis: [{ 'durable-subscription-name': 'name' }],
      spring: 'no durable',
      stompbox: [{ durable: 'true' }],
      generic: 'no durable',
    },
  ],
  [
    'selector',
    subscribes({ selector: "a = 'b'" }),
    {
      ...same<unknown>({ id: 'sub-1', headers: { selector: "a = 'b'" } }),
      rabbitmq: 'no selector',
      spring: 'no selector',
      generic: 'no selector',
    },
  ],
  [
    'exclusive',
    subscribes({ exclusive: true }),
    {
      ...same<unknown>('no exclusive'),
      activemq: { id: 'sub-1', headers: { 'activemq.exclusive': 'true' } },
      stompbox: { id: 'sub-1', headers: { exclusive: 'true' } },
    },
  ],
  [
    'no local messages',
    subscribes({ noLocal: true }),
    {
      ...same<unknown>('no noLocal'),
      activemq: { id: 'sub-1', headers: { 'activemq.noLocal': 'true' } },
      artemis: { id: 'sub-1', headers: { 'no-local': 'true' } },
    },
  ],
  ['a subscription that asks for nothing', subscribes({}), same(plain)],
  [
    'nack({ requeue: true })',
    (profile) => profile.nack({ requeue: true }),
    {
      ...same<unknown>('no requeue'),
      rabbitmq: { requeue: 'true' },
      spring: 'no nack',
      stompbox: { requeue: 'true' },
    },
  ],
  [
    'nack({ requeue: false }), which is all that a NACK is on ActiveMQ and Artemis',
    (profile) => profile.nack({ requeue: false }),
    {
      rabbitmq: { requeue: 'false' },
      activemq: {},
      artemis: {},
      spring: 'no nack',
      stompbox: { requeue: 'false' },
      generic: 'no requeue',
    },
  ],
  ['nack()', (profile) => profile.nack({}), { ...same<unknown>({}), spring: 'no nack' }],
  [
    'what becomes of a nacked message (P-05)',
    ({ nacked }) => nacked,
    {
      ...same<unknown>('redelivered'),
      activemq: 'dead-lettered',
      artemis: 'dropped',
      spring: 'unknown',
      generic: 'unknown',
    },
  ],
  [
    'request() reply address',
    (profile) => [profile.reply, profile.replyAddress('x')],
    {
      rabbitmq: ['broker', { destination: '/temp-queue/x', subscribe: undefined }],
      activemq: ['temporary', { destination: '/temp-queue/x', subscribe: {} }],
      artemis: ['shared', { destination: 'stompbox.reply.x', subscribe: { 'subscription-type': 'ANYCAST' } }],
      spring: ['shared', { destination: '/user/queue/replies', subscribe: {} }],
      stompbox: ['temporary', { destination: '/temp-queue/x', subscribe: {} }],
      generic: ['shared', { destination: '/queue/stompbox.reply.x', subscribe: {} }],
    },
  ],
  [
    'receipts, transactions, ack modes, queues',
    ({ receipts, transactions, settles, queues }) => [receipts, transactions, settles, queues],
    {
      ...same<unknown>(['all', 'all', true, 'shared']),
      artemis: ['all', 'sends', true, 'shared'],
      spring: ['disconnect', 'none', false, 'broadcast'],
    },
  ],
  [
    'client-id',
    (profile) => [profile.connect({ clientId: 'me' }), profile.connect({})],
    same([{ 'client-id': 'me' }, {}]),
  ],
];

for (const [what, ask, expected] of ROWS) {
  describe(`6.6: ${what}`, () => {
    test.each(NAMES)('%s', (name) => {
      expect(answer(() => ask(PROFILES[name]))).toEqual(expected[name]);
    });
  });
}

describe('a profile is found by the server that CONNECTED names (P-01)', () => {
  test.each([
    ['RabbitMQ/3.10.8', 'rabbitmq'],
    ['RabbitMQ/4.1.0', 'rabbitmq'],
    ['ActiveMQ/5.17.2', 'activemq'],
    ['ActiveMQ/6.1.0', 'activemq'],
    ['ActiveMQ-Artemis/2.40.0 ActiveMQ Artemis Messaging Engine', 'artemis'],
    ['Stompbox/0.1.0', 'stompbox'],
    ['stompbox', 'stompbox'],
    ['apache-apollo/1.7', 'generic'],
    ['NotRabbitMQ/1', 'generic'],
    ['constructor/1', 'generic'],
    ['', 'generic'],
    [undefined, 'generic'],
  ])('%s is %s', (server, name) => {
    expect(detectProfile(server)).toBe(PROFILES[name as ProfileName]);
  });
});

describe('what can be had at all', () => {
  test.each(NAMES)('%s: `supports` says what is not refused', (name) => {
    const profile = PROFILES[name];
    const all = {
      persistent: true,
      expiresInMs: 1,
      deliverAfterMs: 1,
      priority: 1,
      group: 'g',
      correlationId: 'c',
      replyTo: 'r',
      type: 't',
      deduplicationId: 'd',
    } satisfies PortableSend;
    for (const option of Object.keys(all) as (keyof typeof all)[]) {
      const refused = answer(() => profile.send({ [option]: all[option] }, NOW)) === `no ${option}`;
      expect([option, profile.supports(option)]).toEqual([option, !refused]);
    }
  });

  test('a refusal names the option and the broker, says what to do instead, and that nothing was sent', () => {
    const refusal = expect.objectContaining({
      name: 'UnsupportedByBroker',
      code: 'unsupported-by-broker',
      option: 'deliverAfterMs',
      profile: 'rabbitmq',
      outcome: 'unsent',
      message: 'deliverAfterMs is not for rabbitmq: let it expire in a queue that dead-letters to the real one',
    });
    expect(() => PROFILES.rabbitmq.send({ deliverAfterMs: 1 }, NOW)).toThrow(refusal);
  });

  test.each(NAMES)('%s: no wait is no delay', (name) => {
    expect(() => PROFILES[name].send({ deliverAfterMs: 0 }, NOW)).not.toThrow();
  });
});

describe('values that no broker takes are refused by every profile before anything is sent (P-07)', () => {
  const wrongSends: Record<string, unknown>[] = [
    { priority: 10 },
    { priority: -1 },
    { priority: 1.5 },
    { priority: '4' },
    { expiresInMs: 0 },
    { expiresInMs: 0.5 },
    { expiresInMs: Number.NaN },
    { expiresInMs: Number.POSITIVE_INFINITY },
    { deliverAfterMs: -1 },
    { persistent: 'true' },
    { group: '' },
    { correlationId: 7 },
  ];
  const wrongSubscribes: Record<string, unknown>[] = [
    { prefetch: 0 },
    { prefetch: 65_536 },
    { prefetch: '1' },
    { durable: '' },
    { selector: '' },
    { exclusive: 'true' },
  ];

  test.each(NAMES)('%s', (name) => {
    const profile = PROFILES[name];
    for (const wrong of wrongSends) expect(() => profile.send(wrong, NOW), JSON.stringify(wrong)).toThrow(UsageError);
    for (const wrong of wrongSubscribes) {
      expect(() => profile.subscribe(wrong, CONTEXT), JSON.stringify(wrong)).toThrow(UsageError);
    }
  });

  test('the sentence says what would be right', () => {
    expect(() => PROFILES.generic.send({ priority: 10 }, NOW)).toThrow('priority must be a whole number from 0 to 9');
  });

  test.each(NAMES)('%s: an empty destination (P-08)', (name) => {
    expect(() => PROFILES[name].resolve('', 'SEND')).toThrow(expect.objectContaining({ code: 'missing-header' }));
  });
});

describe('subscriptions', () => {
  test.each(NAMES)('%s: an id does not begin with /temp-queue/, which RabbitMQ keeps for itself (P-03)', (name) => {
    expect(() => PROFILES[name].subscribe({}, { ...CONTEXT, id: '/temp-queue/x' })).toThrow(UsageError);
  });

  test('a durable one of RabbitMQ is known by its id, so its name may not begin so either', () => {
    expect(() => PROFILES.rabbitmq.subscribe({ durable: '/temp-queue/x' }, CONTEXT)).toThrow(UsageError);
  });

  test.each(['activemq', 'artemis'] as const)('%s: a durable one needs a client-id', (name) => {
    expect(() => PROFILES[name].subscribe({ durable: 'a' }, { ...CONTEXT, clientId: undefined })).toThrow(/clientId/);
  });

  test.each(['rabbitmq', 'activemq', 'stompbox'] as const)('%s: a durable one is of a topic', (name) => {
    expect(() => PROFILES[name].subscribe({ durable: 'a' }, { ...CONTEXT, destination: '/queue/a' })).toThrow(/topics/);
  });
});

describe('destinations', () => {
  test.each(NAMES)('%s: a text is the broker’s own name, and stays as it is', (name) => {
    const own = '/exchange/x/a%2F*.>';
    expect(PROFILES[name].resolve(own, 'SEND')).toEqual({ destination: own, headers: {} });
  });

  test.each(['', '.a', 'a..b', 'a.', '*', 'a.#', 'a.>'])('%j is no name of a queue', (name) => {
    expect(() => queue(name)).toThrow(UsageError);
  });

  test.each(['', 'a..b', 'a.#.b', '#.a', 'a.>', '**'])('%j is no name of a topic', (name) => {
    expect(() => topic(name)).toThrow(UsageError);
  });

  test('a pattern can be subscribed to, not sent to', () => {
    for (const name of NAMES) expect(() => PROFILES[name].resolve(topic('a.*'), 'SEND')).toThrow(UsageError);
  });

  test.each([
    ['rabbitmq', 'a%2Fb'],
    ['activemq', 'a,b'],
    ['activemq', 'a?consumer.exclusive=true'],
    ['artemis', 'a::b'],
  ] as const)('%s cannot have a queue %s: it would be another', (name, other) => {
    expect(() => PROFILES[name].resolve(queue(other), 'SEND')).toThrow(UnsupportedByBroker);
  });

  test('RabbitMQ decodes %2F and nothing else, so a per cent sign stays', () => {
    expect(PROFILES.rabbitmq.resolve(queue('100%'), 'SEND').destination).toBe('/queue/100%');
  });

  test('have a name for sentences', () => {
    expect([nameOf('/queue/a'), nameOf(queue('a')), nameOf(topic('a.*'))]).toEqual([
      '/queue/a',
      'queue a',
      'topic a.*',
    ]);
  });
});

describe('what a message says about itself (P-07)', () => {
  const read = (headers: Record<string, string>) => messageAttributes(new Map(Object.entries(headers)));
  const nothing = {
    redelivered: false,
    deliveryCount: undefined,
    persistent: undefined,
    priority: undefined,
    timestamp: undefined,
    expires: undefined,
    correlationId: undefined,
    replyTo: undefined,
    type: undefined,
    group: undefined,
    originalDestination: undefined,
  };

  test.each([
    ['nothing', {}, {}],
    [
      'ActiveMQ',
      { expires: '0', priority: '4', timestamp: '1794000000000' },
      { priority: 4, timestamp: 1_794_000_000_000 },
    ],
    [
      'RabbitMQ, whose timestamps are seconds',
      { timestamp: '1794000000', redelivered: 'false' },
      { timestamp: 1_794_000_000_000 },
    ],
    ['a quorum queue', { 'x-delivery-count': '2', redelivered: 'true' }, { deliveryCount: 3, redelivered: true }],
    ['Stompbox', { 'delivery-count': '3', redelivered: 'true' }, { deliveryCount: 3, redelivered: true }],
    [
      'everything',
      {
        persistent: 'True',
        expires: ' 1794000000001 ',
        'correlation-id': 'c',
        'reply-to': 'r',
        type: 't',
        JMSXGroupID: 'g',
        'original-destination': '/queue/o',
      },
      {
        persistent: true,
        expires: 1_794_000_000_001,
        correlationId: 'c',
        replyTo: 'r',
        type: 't',
        group: 'g',
        originalDestination: '/queue/o',
      },
    ],
    [
      'nonsense',
      {
        priority: 'high',
        expires: 'never',
        timestamp: '-1',
        'delivery-count': '1e3',
        redelivered: 'yes',
        persistent: '1',
      },
      {},
    ],
  ])('%s', (_, headers, expected) => {
    expect(read(headers as Record<string, string>)).toEqual({ ...nothing, ...expected });
  });
});
