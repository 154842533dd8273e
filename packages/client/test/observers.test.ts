// Watching: who is told what, in which order, and what never reaches a watcher.

import { Connection, connect, Hooks, type Observer, redacted, redactedText } from '@stompbox/client';
import { frame } from '@stompbox/protocol';
import { memoryPair, TransportError } from '@stompbox/transport';
import { ManualClock, ScriptedPeer, settled } from 'testkit';
import { describe, expect, test } from 'vitest';
import { failure, table } from './support.ts';

/** An observer that writes down the names of all it is told. */
function names(into: string[]): Observer {
  return {
    dialling: (url) => into.push(`dialling ${url}`),
    dialFailed: (url) => into.push(`dialFailed ${url}`),
    connecting: () => into.push('connecting'),
    connected: () => into.push('connected'),
    frameSending: ({ command }) => into.push(`sending ${command}`),
    frameSent: ({ command }) => into.push(`sent ${command}`),
    frameReceived: ({ command }) => into.push(`received ${command}`),
    frameDelivered: ({ command }) => into.push(`delivered ${command}`),
    heartBeatLost: ({ code }) => into.push(`heartBeatLost ${code}`),
    receipt: () => into.push('receipt'),
    error: () => into.push('error'),
    disconnecting: () => into.push('disconnecting'),
    closed: ({ kind }) => into.push(`closed ${kind}`),
  };
}

test('a connection is told from its channel to its end, each frame before and after', async () => {
  const told: string[] = [];
  const { connection, peer } = await table({ observer: names(told) });
  connection.subscribe('/q', { id: 's', confirm: false });
  await peer.next('subscribe');
  peer.deliver('s', 'x');
  await connection.send('/q', 'y');
  await connection.disconnect();
  expect(told).toEqual([
    'connecting',
    ...['sending CONNECT', 'sent CONNECT', 'received CONNECTED', 'connected', 'delivered CONNECTED'],
    ...['sending SUBSCRIBE', 'sent SUBSCRIBE'],
    ...['sending SEND', 'sent SEND'],
    ...['received MESSAGE', 'delivered MESSAGE', 'received RECEIPT', 'receipt', 'delivered RECEIPT'],
    'disconnecting',
    ...['sending DISCONNECT', 'sent DISCONNECT', 'received RECEIPT', 'receipt', 'delivered RECEIPT'],
    'closed disconnected',
  ]);
});

test('an ERROR is told, and a frame that is refused here is seen going and not gone', async () => {
  const told: string[] = [];
  const { connection, peer } = await table({ observer: names(told) });
  told.length = 0;
  await failure(connection.sendFrame(frame('ACK', {})));
  expect(told).toEqual(['sending ACK']);
  peer.say('ERROR\nmessage:no\n\n\0');
  await connection.closed;
  expect(told.slice(1)).toEqual(['received ERROR', 'error', 'delivered ERROR', 'closed refused']);
});

test('silence is told as a lost heart-beat, with the error that ends the connection', async () => {
  const told: string[] = [];
  const { connection, clock } = await table(
    { observer: names(told), heartBeat: { send: 0, expect: 1_000 } },
    { peer: { heartBeat: { send: 1_000, expect: 0 } } },
  );
  told.length = 0;
  await clock.advance(10_000);
  await connection.closed;
  expect(told).toEqual(['heartBeatLost silent', 'closed lost']);
});

test.each(['close', 'destroy'] as const)('%s() is told as this side’s doing, once', async (how) => {
  const told: string[] = [];
  const { connection } = await table({ observer: names(told) });
  told.length = 0;
  connection[how]();
  connection.destroy();
  await connection.closed;
  expect(told).toEqual(['disconnecting', 'closed closed']);
});

test('dialling is told with a URL that holds no secret, and so is its failure', async () => {
  const told: string[] = [];
  const dial = () => Promise.reject(new TransportError('refused', 'nobody listens'));
  await failure(connect('ws://me:s3cret@broker.test/stomp?token=t0ken', { observer: names(told), dial }));
  expect(told).toEqual(['dialling ws://broker.test/stomp', 'dialFailed ws://broker.test/stomp']);
});

describe('P15: many may watch, each under its name', () => {
  test('the same name replaces, at its place; removing twice, or what was replaced, changes nothing', () => {
    const told: string[] = [];
    const hooks = new Hooks();
    const removeFirst = hooks.observe('a', { resumed: () => told.push('first a') });
    hooks.observe('b', { resumed: () => told.push('b') });
    const removeSecond = hooks.observe('a', { resumed: () => told.push('second a') });
    removeFirst();
    hooks.tell('resumed');
    expect(told).toEqual(['second a', 'b']);
    removeSecond();
    removeSecond();
    hooks.tell('resumed');
    expect(told).toEqual(['second a', 'b', 'b']);
  });

  test('what one throws goes to onError, and the others are told all the same', () => {
    const told: string[] = [];
    const errors: unknown[] = [];
    const hooks = new Hooks({ onError: (error) => errors.push(error) });
    const thrown = new Error('bad observer');
    hooks.observe('bad', {
      resumed: () => {
        throw thrown;
      },
    });
    hooks.observe('good', { resumed: () => told.push('good') });
    hooks.tell('resumed');
    expect(told).toEqual(['good']);
    expect(errors).toEqual([thrown]);
  });

  test('one that removes itself while it is told disturbs nobody', () => {
    const told: string[] = [];
    const hooks = new Hooks();
    const remove = hooks.observe('once', {
      resumed: () => {
        told.push('once');
        remove();
      },
    });
    hooks.observe('always', { resumed: () => told.push('always') });
    hooks.tell('resumed');
    hooks.tell('resumed');
    expect(told).toEqual(['once', 'always', 'always']);
  });

  test('nothing is seen where nobody watches, and again nothing once the last one left', () => {
    const hooks = new Hooks();
    expect(hooks.sees('frameSent')).toBe(false);
    const remove = hooks.observe('x', { frameSent: () => {} });
    expect([hooks.sees('frameSent'), hooks.sees('frameReceived')]).toEqual([true, false]);
    remove();
    expect(hooks.sees('frameSent')).toBe(false);
  });

  test('a class may be an observer, its methods not being its own properties', () => {
    const told: string[] = [];
    class Watching implements Observer {
      readonly word = 'resumed';
      resumed(): void {
        told.push(this.word);
      }
    }
    const hooks = new Hooks({ observer: new Watching() });
    hooks.tell('resumed');
    expect(told).toEqual(['resumed']);
  });
});

test('hooks live longer than a connection: one observer watches the next one too', async () => {
  const told: string[] = [];
  const hooks = new Hooks({ observer: names(told) });
  const clock = new ManualClock();
  for (const _ of [1, 2]) {
    const pair = memoryPair();
    const peer = new ScriptedPeer(pair.b, clock);
    const [connection] = await Promise.all([Connection.over(pair.a, { clock, hooks }), peer.accept()]);
    await connection.disconnect();
  }
  expect(told.filter((name) => /^(?:connected|closed)/.test(name))).toEqual([
    'connected',
    'closed disconnected',
    'connected',
    'closed disconnected',
  ]);
});

test('a connection can be watched from the middle of its life', async () => {
  const told: string[] = [];
  const { connection } = await table();
  const remove = connection.observe('late', names(told));
  await connection.send('/q', 'x');
  remove();
  await connection.send('/q', 'y');
  expect(told).toEqual(['sending SEND', 'sent SEND', 'received RECEIPT', 'receipt', 'delivered RECEIPT']);
});

test('hooks and an observer of one’s own contradict each other, and it is said before anything is dialled', async () => {
  let dialled = false;
  const dial = (): Promise<never> => {
    dialled = true;
    return Promise.reject(new Error());
  };
  const error = await failure(connect('stomp://broker.test', { hooks: new Hooks(), observer: {}, dial }));
  expect(error).toMatchObject({ code: 'bad-option' });
  expect(dialled).toBe(false);
});

describe('P31: what is never shown', () => {
  test('any header of any frame that sounds like a secret, and only its value', () => {
    const shown = redacted(
      frame('SEND', { destination: '/q', Authorization: 'Basic eDp5', 'x-api-key': 'k', 'session-token': 't' }, 'body'),
    );
    expect(shown.headers.toObject()).toEqual({
      destination: '/q',
      Authorization: '***',
      'x-api-key': '***',
      'session-token': '***',
    });
    expect(shown.text()).toBe('body');
  });

  test('a frame without secrets is shown as it is, not copied', () => {
    const plain = frame('SEND', { destination: '/q' });
    expect(redacted(plain)).toBe(plain);
  });

  test.each([
    ['stomp://me:s3cret@host:61613', 'stomp://me:***@host:61613'],
    ['stomp://me:p@ss@host', 'stomp://me:***@host'],
    ['failover:(tcp://a:b@h1,tcp://c:d@h2)', 'failover:(tcp://a:***@h1,tcp://c:***@h2)'],
    ['wss://host/stomp?room=1&access_token=abc', 'wss://host/stomp?room=1&access_token=***'],
    ['Authorization: Bearer abc.def', 'Authorization: Bearer ***'],
    ['/queue/orders?consumer.prefetchSize=1', '/queue/orders?consumer.prefetchSize=1'],
    ['no secret: at all', 'no secret: at all'],
  ])('%s is shown as %s', (text, shown) => {
    expect(redactedText(text)).toBe(shown);
  });

  test('an observer of everything gets to see neither passcode nor token, whichever way they go', async () => {
    const seen: string[] = [];
    const observer: Observer = {
      frameSending: (shown) => seen.push(JSON.stringify(shown)),
      frameSent: (shown) => seen.push(JSON.stringify(shown)),
      frameReceived: (shown) => seen.push(JSON.stringify(shown)),
      frameDelivered: (shown) => seen.push(JSON.stringify(shown)),
      connected: (shown) => seen.push(JSON.stringify(shown)),
      error: (shown) => seen.push(JSON.stringify(shown)),
    };
    const { connection, peer } = await table({ passcode: 's3cret', headers: { 'x-auth-token': 's3cret' }, observer });
    await connection.send('/q', 'x', { headers: { authorization: 's3cret', 'reply-to': 'stomp://a:s3cret@b/q' } });
    peer.say('ERROR\nmessage:no\npasscode:s3cret\n\n\0');
    await connection.closed;
    await settled();
    expect(seen.length).toBeGreaterThan(8);
    expect(seen.join('')).not.toContain('s3cret');
  });
});
