// Where to connect, as it may be written (P18).

import { UsageError } from '@stompbox/protocol';
import { formatEndpoint, parseEndpoint } from '@stompbox/transport';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readEndpoints, type Where } from '../src/managed/read-endpoints.ts';

function read(where: Where): object {
  const { endpoints, ...rest } = readEndpoints(where);
  return { endpoints: endpoints.map(formatEndpoint).join(' '), ...rest };
}

const AB = 'stomp://a:61613 stomp://b:61613';
const random = { order: 'random' };

test('a URL, an endpoint and a list of both are what they say', () => {
  const a = parseEndpoint('stomp://a');
  expect(read('stomp://a')).toEqual({ endpoints: 'stomp://a:61613', options: {}, reconnect: {} });
  expect(readEndpoints(a).endpoints).toEqual([a]);
  expect(read([a, 'stomp://b'])).toEqual({ endpoints: AB, options: {}, reconnect: {} });
});

for (const url of [
  'failover:(tcp://a:61613,tcp://b:61613)',
  'failover://(tcp://a:61613,tcp://b:61613)',
  'failover:tcp://a,tcp://b',
  'failover://tcp://a,tcp://b',
  ' FAILOVER:( tcp://a , tcp://b )?',
]) {
  test(`${url} is a list of two, tried at random as ActiveMQ does`, () => {
    expect(read(url)).toEqual({ endpoints: AB, options: random, reconnect: {} });
  });
}

for (const [query, expected] of [
  ['randomize=false', { options: { order: 'listed' } }],
  ['initialReconnectDelay=10&maxReconnectDelay=5000', { reconnect: { initialMs: 10, maxMs: 5_000 } }],
  ['useExponentialBackOff=false&backOffMultiplier=3', { reconnect: { factor: 1 } }],
  ['backOffMultiplier=3', { reconnect: { factor: 3 } }],
  ['reconnectDelayExponent=1.5', { reconnect: { factor: 1.5 } }],
  ['maxReconnectAttempts=-1&startupMaxReconnectAttempts=-1&timeout=-1', {}],
  ['maxReconnectAttempts=0', { reconnect: { attempts: 0 } }],
  ['maxReconnectAttempts=7&startupMaxReconnectAttempts=2', { reconnect: { attempts: 7, startAttempts: 2 } }],
  ['timeout=3000', { sendTimeoutMs: 3_000 }],
  ['priorityBackup=true', { options: { order: 'random', preferred: 1, failBackMs: 30_000 } }],
  [
    'priorityBackup=true&maxReconnectDelay=500&randomize=false',
    { options: { order: 'listed', preferred: 1, failBackMs: 500 }, reconnect: { maxMs: 500 } },
  ],
  ['priorityURIs=tcp://b', {}],
  ['backup=false&trackMessages=false&updateURIsSupported=false&reconnectSupported=true', {}],
] as const) {
  test(`failover:(…)?${query} means what ActiveMQ says`, () => {
    expect(read(`failover:(tcp://a,tcp://b)?${query}`)).toEqual({
      endpoints: AB,
      options: random,
      reconnect: {},
      ...expected,
    });
  });
}

test('priorityURIs go first, whatever their scheme and escapes', () => {
  const url = 'failover:(tcp://a,tcp://b,stomp+ssl://c,wss://d/x)?priorityBackup=true&priorityURIs=';
  const expected = {
    endpoints: 'stomp+ssl://c:61614 wss://d/x stomp://a:61613 stomp://b:61613',
    options: { order: 'random', preferred: 2, failBackMs: 30_000 },
    reconnect: {},
  };
  expect(read(`${url}wss://d/x,stomp+ssl://c`)).toEqual(expected);
  expect(read(`${url}stomps%3A%2F%2Fc,wss%3A%2F%2Fd%2Fx`)).toEqual(expected);
});

test('each endpoint of a list keeps its own login', () => {
  const { endpoints } = readEndpoints('failover:(tcp://u:p@a,tcp://v:q%2C%29@b)');
  expect(endpoints).toMatchObject([
    { login: 'u', passcode: 'p' },
    { login: 'v', passcode: 'q,)' },
  ]);
});

for (const [where, sentence] of [
  ['failover:(tcp://a)?randomise=false', 'no option randomise that means something here; is it randomize?'],
  ['failover:(tcp://a)?jms.useAsyncSend=true', 'no option jms.useAsyncSend'],
  ['failover:(tcp://a)?constructor=1', 'no option constructor'],
  ['failover:(tcp://a)?backup=true', 'backup must be false: Stompbox has nothing like it'],
  ['failover:(tcp://a)?randomize=yes', 'randomize must be true or false'],
  ['failover:(tcp://a)?maxReconnectDelay=soon', 'maxReconnectDelay must be a number from 0 up'],
  ['failover:(tcp://a)?backOffMultiplier=0.5', 'backOffMultiplier must be a number from 1 up'],
  ['failover:(tcp://a)?timeout=%E0%A4%A', 'timeout holds a %'],
  ['failover:(tcp://a)?priorityBackup=true&priorityURIs=tcp://c', 'stomp://c:61613, which is not in the list'],
  ['failover:(tcp://a', 'is written failover:(URL,URL)?option=value'],
  ['failover:(tcp://a)randomize=false', 'is written failover:(URL,URL)?option=value'],
  ['failover:()', 'holds no endpoint'],
  ['failover:', 'holds no endpoint'],
  ['failover:(http://a)', 'scheme "http:" is none of'],
  [[], 'there is no endpoint in the list'],
  ['tcp//a', 'begins with its scheme'],
] as const) {
  test(`${JSON.stringify(where)} is refused: ${sentence}`, () => {
    expect(() => readEndpoints(where)).toThrow(UsageError);
    expect(() => readEndpoints(where)).toThrow(sentence);
  });
}

test('a refusal never repeats a password', () => {
  for (const url of ['failover:(tcp://u:s3cret@a:x)', 'tcp://u:s3cret@a:x', 'failover:tcp://u:s3cret@a:x?y=1']) {
    expect(() => readEndpoints(url)).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining('s3cret') }),
    );
  }
});

test('fuzz: whatever is written is read or refused with a UsageError, never anything else', () => {
  const part = fc.constantFrom(
    'failover:',
    '//',
    '(',
    ')',
    ',',
    '?',
    '&',
    '=',
    '%',
    'tcp://a',
    'wss://b:1/x?y',
    '[::1]',
    'randomize',
    'timeout',
    '-1',
    'true',
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(part, fc.string({ maxLength: 3 })), { maxLength: 12 }), (parts) => {
      try {
        expect(readEndpoints(`failover:${parts.join('')}`).endpoints.length).toBeGreaterThan(0);
      } catch (error) {
        expect(error).toBeInstanceOf(UsageError);
      }
    }),
    { numRuns: 2_000 },
  );
});
