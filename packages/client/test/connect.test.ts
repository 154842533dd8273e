// Connecting: what is said, what is believed, how it fails, and that nothing is left behind.

import {
  BrokerError,
  Connection,
  ConnectionLost,
  connect,
  ProtocolError,
  TimeoutError,
  UsageError,
} from '@stompbox/client';
import { memoryPair } from '@stompbox/transport';
import { expect, test } from 'vitest';
import { failure, laid, table } from './support.ts';

test('CONNECT offers every version, asks for heart-beats and carries the credentials', async () => {
  const { connecting, peer } = laid({
    options: { login: 'app', passcode: 's3cret', host: '/', headers: { 'client-id': 'c1' } },
  });
  const connectFrame = await peer.accept();
  const connection = await connecting;
  expect(connectFrame.headers.toObject()).toEqual({
    'accept-version': '1.0,1.1,1.2',
    'heart-beat': '10000,10000',
    host: '/',
    login: 'app',
    passcode: 's3cret',
    'client-id': 'c1',
  });
  expect(connection.version).toBe('1.2');
  expect(connection.server).toBe('scripted/1');
  expect(connection.peer.transport).toBe('memory');
  expect(connection.isOpen).toBe(true);
});

test('a version the broker picks from those offered is the one spoken', async () => {
  const { connection } = await table({ versions: ['1.0', '1.1'] });
  expect(connection.version).toBe('1.1');
});

test('a refused login is a BrokerError that keeps the frame, and the channel is closed', async () => {
  const { connecting, peer, clock } = laid();
  await peer.next('connect');
  peer.say('ERROR\nmessage:Bad CONNECT\ncontent-type:text/plain\n\nAccess refused\n\0');
  const error = await failure(connecting);
  expect(error).toBeInstanceOf(BrokerError);
  expect(error).toMatchObject({ code: 'broker-error', message: expect.stringContaining('Access refused') });
  peer.hangUp();
  await clock.advance(0);
  expect(peer.end).toBeDefined();
  expect(clock.alarms).toBe(0);
});

test('M-120: a peer that says nothing is given up after connectTimeoutMs', async () => {
  const { connecting, peer, clock } = laid({ options: { connectTimeoutMs: 3_000 } });
  const failed = failure(connecting);
  await clock.advance(2_999);
  expect(peer.end).toBeUndefined();
  await clock.advance(1);
  const error = await failed;
  expect(error).toBeInstanceOf(TimeoutError);
  expect(error).toMatchObject({ afterMs: 3_000 });
  expect(peer.end).toBeDefined();
  expect(clock.alarms).toBe(0);
});

test('M-121: line feeds do not put the connect timeout off', async () => {
  const { connecting, peer, clock } = laid({ options: { connectTimeoutMs: 3_000 } });
  const failed = failure(connecting);
  for (let i = 0; i < 30; i++) {
    peer.say('\n');
    await clock.advance(100);
  }
  expect(await failed).toBeInstanceOf(TimeoutError);
});

for (const [name, words] of [
  ['an HTTP answer', 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n'],
  ['an SSH banner', 'SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n'],
  ['a TLS alert', new Uint8Array([0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x46])],
] as const) {
  test(`M-122: ${name} instead of CONNECTED is a ProtocolError, not a wait`, async () => {
    const { connecting, peer, clock } = laid();
    peer.say(words);
    const error = await failure(connecting);
    expect(error).toBeInstanceOf(ProtocolError);
    await clock.advance(0);
    expect(peer.end).toBeDefined();
    expect(clock.alarms).toBe(0);
  });
}

for (const version of ['9', '1.0', '1.3', '']) {
  test(`M-123: CONNECTED with version ${JSON.stringify(version)}, which was not offered, is refused`, async () => {
    const { connecting, peer } = laid({ options: { versions: ['1.1', '1.2'] } });
    peer.say(`CONNECTED\nversion:${version}\n\n\0`);
    expect(await failure(connecting)).toMatchObject({ code: 'version-mismatch', rule: 'N-08' });
  });
}

test('M-123: CONNECTED without a version is STOMP 1.0 where that was offered, and refused where not', async () => {
  const willing = laid();
  willing.peer.say('CONNECTED\nsession:1\n\n\0');
  expect((await willing.connecting).version).toBe('1.0');
  const unwilling = laid({ options: { versions: ['1.2'] } });
  unwilling.peer.say('CONNECTED\nsession:1\n\n\0');
  expect(await failure(unwilling.connecting)).toBeInstanceOf(ProtocolError);
});

test('M-124: ERROR then CONNECTED is a refusal', async () => {
  const { connecting, peer } = laid();
  peer.say('ERROR\nmessage:no such version\n\n\0CONNECTED\nversion:1.2\n\n\0');
  expect(await failure(connecting)).toBeInstanceOf(BrokerError);
});

for (const early of ['MESSAGE\ndestination:/q\nmessage-id:1\nsubscription:1\n\n\0', 'RECEIPT\nreceipt-id:1\n\n\0']) {
  test(`M-125: ${early.split('\n')[0]} before CONNECTED is refused`, async () => {
    const { connecting, peer } = laid();
    peer.say(early);
    expect(await failure(connecting)).toMatchObject({ code: 'unexpected-frame' });
  });
}

for (const value of ['x', '-1,-1', '100000000000000000000,0', '1', '']) {
  test(`M-127: CONNECTED with heart-beat ${JSON.stringify(value)} is refused`, async () => {
    const { connecting, peer, clock } = laid();
    peer.say(`CONNECTED\nversion:1.2\nheart-beat:${value}\n\n\0`);
    expect(await failure(connecting)).toMatchObject({ code: 'bad-heart-beat' });
    expect(clock.alarms).toBe(0);
  });
}

test('M-127: heart-beats of one millisecond make no busy timer, and huge ones are clamped', async () => {
  const { connection } = await table({}, { connected: 'CONNECTED\nversion:1.2\nheart-beat:1,1\n\n\0' });
  expect(connection.heartBeat).toEqual({ out: 10_000, in: 10_000 });
  const huge = await table(
    {},
    { connected: 'CONNECTED\nversion:1.2\nheart-beat:999999999999999,999999999999999\n\n\0' },
  );
  expect(huge.connection.heartBeat).toEqual({ out: 2 ** 31 - 1, in: 2 ** 31 - 1 });
});

test('a signal that fires while connecting rejects with its reason and closes the channel', async () => {
  const controller = new AbortController();
  const { connecting, peer, clock } = laid({ options: { signal: controller.signal } });
  const reason = new Error('changed my mind');
  controller.abort(reason);
  expect(await failure(connecting)).toBe(reason);
  await clock.advance(0);
  expect(peer.end).toBeDefined();
  expect(clock.alarms).toBe(0);
});

test('a signal that fired before is not even dialled for, and one that fires later means nothing', async () => {
  const fired = AbortSignal.abort(new Error('no'));
  expect(await failure(laid({ options: { signal: fired } }).connecting)).toBe(fired.reason);
  expect(await failure(connect('tcp://127.0.0.1:1', { signal: fired }))).toBe(fired.reason);
  const controller = new AbortController();
  const { connection } = await table({ signal: controller.signal });
  controller.abort();
  expect(connection.isOpen).toBe(true);
});

test('M-138: a peer that closes before CONNECTED is ConnectionLost, with what broke as the cause', async () => {
  const orderly = laid();
  orderly.peer.hangUp();
  expect(await failure(orderly.connecting)).toMatchObject({ name: 'ConnectionLost', code: 'ended' });
  const rough = laid();
  rough.cut();
  expect(await failure(rough.connecting)).toMatchObject({ code: 'reset', cause: { name: 'TransportError' } });
});

test('credentials that STOMP cannot write are a UsageError and the channel is closed', async () => {
  const { connecting, peer, clock } = laid({ options: { passcode: 'a\nb' } });
  const error = await failure(connecting);
  expect(error).toBeInstanceOf(UsageError);
  expect(String(error)).not.toContain('a\\nb');
  await clock.advance(0);
  expect(peer.end).toBeDefined();
});

test('nobody listening is ConnectionLost `unreachable`, and nothing was sent', async () => {
  const error = await failure(connect('tcp://127.0.0.1:1'));
  expect(error).toBeInstanceOf(ConnectionLost);
  expect(error).toMatchObject({ code: 'unreachable', outcome: 'unsent', cause: { code: 'refused' } });
});

test('a URL that cannot be used is a UsageError that names the part', async () => {
  expect(await failure(connect('http://localhost'))).toMatchObject({
    name: 'UsageError',
    code: 'bad-option',
    message: expect.stringContaining('http:'),
  });
});

test('an option that is none is refused with the nearest one', async () => {
  const misspelt: object = { connectTimeout: 3 };
  expect(await failure(Connection.over(memoryPair().a, misspelt))).toMatchObject({
    code: 'bad-option',
    message: 'there is no option connectTimeout; did you mean connectTimeoutMs?',
  });
});

test('an option with a value it cannot have is refused without quoting the value', async () => {
  const wrong: object = { passcode: 12345 };
  const error = await failure(Connection.over(memoryPair().a, wrong));
  expect(error).toMatchObject({ message: 'passcode must be a string' });
  for (const options of [
    { connectTimeoutMs: -1 },
    { heartBeat: { send: 1.5 } },
    { versions: [] },
    { maxBufferedFrames: 0 },
    { tls: {} },
  ]) {
    expect(await failure(Connection.over(memoryPair().a, options))).toMatchObject({ code: 'bad-option' });
  }
});
