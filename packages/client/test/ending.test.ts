// Endings: a goodbye, a close, a cut, an ERROR, a broken frame. Every promise is settled, once, and nothing is left.

import { BrokerError, ConnectionLost, type Observer, ProtocolError } from '@stompbox/client';
import { settled } from 'testkit';
import { expect, test } from 'vitest';
import { failure, table } from './support.ts';

test('disconnect() says DISCONNECT, waits for its RECEIPT, and closes; twice is the same promise', async () => {
  const { connection, peer, clock } = await table();
  const first = connection.disconnect();
  expect(connection.disconnect()).toBe(first);
  expect(connection.isOpen).toBe(false);
  await first;
  expect(await connection.closed).toEqual({ kind: 'disconnected' });
  expect(peer.frames.at(-1)?.command).toBe('DISCONNECT');
  expect(clock.alarms).toBe(0);
  await connection.disconnect();
  await connection.close();
});

test('E-03: disconnect() waits for outstanding receipts before it says DISCONNECT', async () => {
  const { connection, peer } = await table({}, { peer: { receipts: false } });
  const sent = connection.send('/q', 'x');
  const { receipt } = await peer.next('send');
  const gone = connection.disconnect();
  expect(await failure(connection.send('/q', 'late'))).toMatchObject({ code: 'closed', outcome: 'unsent' });
  await settled();
  expect(peer.frames.at(-1)?.command).toBe('SEND');
  peer.receipt(receipt ?? '');
  await sent;
  const goodbye = await peer.next('disconnect');
  peer.receipt(goodbye.receipt ?? '');
  peer.hangUp();
  await gone;
});

test('M-139: a broker that closes instead of the DISCONNECT receipt ends it normally, orderly or not', async () => {
  for (const how of ['orderly', 'reset'] as const) {
    const { connection, peer, cut } = await table({}, { peer: { receipts: false } });
    const gone = connection.disconnect();
    await peer.next('disconnect');
    if (how === 'orderly') peer.hangUp();
    else cut();
    await gone;
    expect(await connection.closed).toEqual({ kind: 'disconnected' });
  }
});

test('M-133: disconnect() settles within its deadline when the receipt never comes', async () => {
  const { connection, clock, cut } = await table({}, { peer: { receipts: false } });
  const sent = failure(connection.send('/q', 'x'));
  cut('silent');
  let over = false;
  const gone = connection.disconnect({ timeoutMs: 2_000 }).then(() => {
    over = true;
  });
  await clock.advance(1_999);
  expect(over).toBe(false);
  await clock.advance(1);
  await gone;
  expect(await sent).toMatchObject({ code: 'closed', outcome: 'unknown' });
  expect(await connection.closed).toEqual({ kind: 'closed' });
  expect(clock.alarms).toBe(0);
});

test('a broker that gives the RECEIPT and never closes is closed after a second', async () => {
  const { connection, peer, clock } = await table({}, { peer: { receipts: false, lingers: true } });
  const gone = connection.disconnect();
  peer.receipt((await peer.next('disconnect')).receipt ?? '');
  await clock.advance(1_000);
  await gone;
  expect(await connection.closed).toEqual({ kind: 'disconnected' });
  expect(clock.alarms).toBe(0);
});

test('M-144: disconnect() lets a handler finish and its ACK go out, but not for ever', async () => {
  const { connection, peer } = await table();
  let finish = (): void => {};
  const subscription = connection.subscribe('/queue/a', () => new Promise<void>((resolve) => (finish = resolve)), {
    ack: 'client-individual',
  });
  await subscription.ready;
  peer.deliver(subscription.id, '1');
  peer.deliver(subscription.id, '2');
  await settled();
  const gone = connection.disconnect();
  await settled();
  finish();
  await gone;
  expect(peer.frames.slice(2).map(({ command }) => command)).toEqual(['ACK', 'DISCONNECT']);

  const stuck = await table();
  const never = stuck.connection.subscribe('/queue/a', () => new Promise(() => {}), { ack: 'client-individual' });
  await never.ready;
  stuck.peer.deliver(never.id, '1');
  await settled();
  const leaving = stuck.connection.disconnect({ timeoutMs: 100 });
  await stuck.clock.advance(100);
  await leaving;
  expect(stuck.clock.alarms).toBe(0);
});

test('close() lets out what was written, also while a streamed body waits for its first piece', async () => {
  const { connection, peer } = await table(
    {},
    { memory: { delayMs: 5, schedule: (ms, fn) => void setTimeout(fn, ms) } },
  );
  const before = connection.send('/q', 'written before', { confirm: false });
  async function* slow(): AsyncGenerator<string> {
    await new Promise(() => {});
    yield 'never';
  }
  const streamed = failure(connection.send('/q', slow()));
  const closed = connection.close();
  expect(await streamed).toMatchObject({ code: 'closed', outcome: 'unsent' });
  await before.catch(() => {});
  expect(new TextDecoder().decode((await peer.next('send')).frame.body)).toBe('written before');
  peer.hangUp();
  await closed;
});

test('close() leaves nothing running: every promise, iterator and timer ends', async () => {
  const { connection, peer, clock } = await table(
    { heartBeat: { send: 1_000, expect: 1_000 } },
    { peer: { receipts: false, heartBeat: { send: 1_000, expect: 1_000 } } },
  );
  const subscription = connection.subscribe('/queue/a');
  const tx = connection.begin();
  const pending = [
    failure(connection.send('/q', 'x')),
    failure(subscription.ready),
    failure(subscription.next()),
    failure(connection.receive({ timeoutMs: 1_000 })),
    failure(tx.commit()),
    failure(
      connection
        .subscribe('/queue/b')
        .unsubscribe()
        .then(() => Promise.reject(new Error('ended'))),
    ),
  ];
  const iterating = (async () => {
    for await (const message of subscription) expect.unreachable(message.text());
  })();
  const closing = connection.close();
  await Promise.all([...pending, iterating, closing, connection.close()]);
  expect(await connection.closed).toEqual({ kind: 'closed' });
  expect(clock.alarms).toBe(0);
  await settled();
  expect(peer.end).toBeDefined();
});

test('await using says goodbye', async () => {
  const { connection, peer } = await table();
  {
    await using used = connection;
    await used.send('/q', 'x');
  }
  expect(peer.frames.at(-1)?.command).toBe('DISCONNECT');
});

test('destroy(error) ends at once, with the error as the reason and the cause', async () => {
  const { connection, clock } = await table({}, { peer: { receipts: false } });
  const sent = failure(connection.send('/q', 'x'));
  const error = new Error('had enough');
  connection.destroy(error);
  connection.destroy(new Error('a second one means nothing'));
  expect(await sent).toMatchObject({ code: 'closed', cause: error });
  expect(await connection.closed).toEqual({ kind: 'closed', error });
  expect(clock.alarms).toBe(0);
});

test('M-138, R-06: a reset in the middle of a MESSAGE settles everything once, and the half frame is nobody’s', async () => {
  const { connection, peer, clock, cut } = await table({}, { peer: { receipts: false } });
  const subscription = connection.subscribe('/queue/a');
  const outcomes: unknown[] = [];
  const sent = connection.send('/q', 'x').then(
    () => outcomes.push('sent'),
    (error: unknown) => outcomes.push(error),
  );
  const next = failure(subscription.next());
  await peer.next('send');
  peer.say(`MESSAGE\nsubscription:${subscription.id}\nmessage-id:1\ndesti`);
  await settled();
  cut();
  await sent;
  expect(outcomes).toMatchObject([{ name: 'ConnectionLost', code: 'reset', outcome: 'unknown' }]);
  expect(await next).toBeInstanceOf(ConnectionLost);
  expect(await connection.closed).toMatchObject({ kind: 'lost', error: { code: 'reset' } });
  expect(clock.alarms).toBe(0);
});

test('M-138: a broker that closes without a word is ConnectionLost `ended`', async () => {
  const { connection, peer } = await table();
  const receiving = failure(connection.receive());
  peer.hangUp();
  expect(await receiving).toMatchObject({ code: 'ended' });
  expect(await connection.closed).toMatchObject({ kind: 'lost' });
});

test('M-137: of many ERRORs the first counts, and a broker that keeps the connection is left after a second', async () => {
  const { connection, peer, clock } = await table({}, { peer: { lingers: true } });
  peer.say('ERROR\nmessage:first\n\n\0ERROR\nmessage:second\n\n\0');
  expect((await connection.receive()).headers.get('message')).toBe('first');
  expect(await failure(connection.receive())).toBeInstanceOf(BrokerError);
  let reason: unknown;
  void connection.closed.then((given) => {
    reason = given;
  });
  await clock.advance(999);
  expect(reason).toBeUndefined();
  await clock.advance(1);
  expect(reason).toMatchObject({ kind: 'refused', error: { message: 'the broker sent ERROR: "first"' } });
  expect(clock.alarms).toBe(0);
});

test('M-136: an ERROR without message, without body, or for an unknown receipt is still a BrokerError', async () => {
  for (const words of ['ERROR\n\n\0', 'ERROR\nreceipt-id:who\n\n\0', 'ERROR\nmessage:\n\n\xff\0']) {
    const { connection, peer } = await table({}, { peer: { receipts: false } });
    const sent = failure(connection.send('/q', 'x'));
    peer.say(words);
    peer.hangUp();
    expect(await sent).toMatchObject({ code: 'refused', outcome: 'unknown' });
    const reason = await connection.closed;
    expect(reason.error).toBeInstanceOf(BrokerError);
  }
});

test('M-136, M-128: an ERROR with an endless body is bounded by the limits', async () => {
  const { connection, peer } = await table({ limits: { maxBodyBytes: 1_000 } });
  peer.say(`ERROR\nmessage:much\n\n${'x'.repeat(2_000)}`);
  expect(await connection.closed).toMatchObject({ kind: 'broken', error: { code: 'body-too-large' } });
});

test('the excerpt of an ERROR is bounded and printable', async () => {
  const { connection, peer } = await table();
  peer.say(`ERROR\nmessage:${'m'.repeat(5_000)}\n\n\u001b[31m${'b'.repeat(5_000)}\0`);
  peer.hangUp();
  const { error } = await connection.closed;
  expect(error?.message.length).toBeLessThan(700);
  expect(error?.message).not.toContain('\u001b');
});

const MESSAGE = 'MESSAGE\nsubscription:1\nmessage-id:1\ndestination:/q\n';
for (const [id, what, words, code] of [
  ['M-124', 'CONNECTED twice', 'CONNECTED\nversion:1.2\n\n\0', 'unexpected-frame'],
  ['M-126', 'a client command', 'SEND\ndestination:/q\n\n\0', 'unexpected-frame'],
  ['M-126', 'an unknown command', 'HELLO\n\n\0', 'unknown-command'],
  ['M-128', 'an endless command', 'X'.repeat(1_000), 'command-too-long'],
  ['M-128', 'an endless header', `MESSAGE\na:${'b'.repeat(20_000)}`, 'header-line-too-long'],
  ['M-128', 'endless headers', `MESSAGE\n${'a:b\n'.repeat(200)}`, 'too-many-headers'],
  ['M-128', 'a content-length of 10^15', `${MESSAGE}content-length:999999999999999\n\n`, 'body-too-large'],
  ['M-129', 'a content-length that is none', `${MESSAGE}content-length:-1\n\n\0`, 'bad-content-length'],
  ['M-129', 'a body without its NUL', `${MESSAGE}content-length:1\n\nxx`, 'missing-nul'],
  ['M-129', 'an undefined escape', 'MESSAGE\na:\\t\n\n\0', 'bad-escape'],
  ['M-129', 'a header without a colon', 'MESSAGE\nabc\n\n\0', 'header-without-colon'],
  [
    'M-129',
    'bytes that are no UTF-8',
    new Uint8Array([...new TextEncoder().encode('MESSAGE\na:'), 0xff, 10, 10, 0]),
    'bad-utf8',
  ],
  ['M-130', 'a MESSAGE without message-id', 'MESSAGE\nsubscription:1\ndestination:/q\n\n\0', 'missing-header'],
  ['M-130', 'a MESSAGE without destination', 'MESSAGE\nsubscription:1\nmessage-id:1\n\n\0', 'missing-header'],
  ['M-130', 'a MESSAGE without ack in a client mode', `${MESSAGE}\n\0`, 'missing-header'],
] as const) {
  test(`${id}: ${what} ends the connection, and the error names the rule`, async () => {
    const { connection, peer, clock } = await table();
    const subscription = connection.subscribe('/queue/a', { id: '1', ack: 'client' });
    await subscription.ready;
    const next = failure(subscription.next());
    const sent = failure(connection.send('/q', 'x'));
    peer.say(words);
    const reason = await connection.closed;
    expect(reason).toMatchObject({ kind: 'broken', error: { code } });
    expect(reason.error?.message).toMatch(/\[[A-Z]-\d+/);
    expect(await next).toBeInstanceOf(ProtocolError);
    expect(await Promise.race([sent, connection.closed])).toBeDefined();
    expect(clock.alarms).toBe(0);
  });
}

test('M-130: a MESSAGE without subscription is a stranger’s and goes to the hook', async () => {
  const unhandled: string[] = [];
  const { peer } = await table({ onUnhandled: (message) => unhandled.push(message.id) });
  peer.say('MESSAGE\nmessage-id:7\ndestination:/q\n\n\0');
  await settled();
  expect(unhandled).toEqual(['7']);
});

test('an observer sees frames in order with secrets masked, and what it throws goes to onError', async () => {
  const seen: string[] = [];
  const errors: unknown[] = [];
  const observer: Observer = {
    connected: () => seen.push('connected'),
    frameSent: (frame) => {
      seen.push(`> ${frame.command}`);
      expect(JSON.stringify(frame.headers)).not.toMatch(/s3cret|t0ken/);
    },
    frameReceived: (frame) => {
      seen.push(`< ${frame.command}`);
      throw new Error('bad observer');
    },
    closed: ({ kind }) => seen.push(kind),
  };
  const { connection } = await table({
    passcode: 's3cret',
    headers: { 'x-auth-token': 't0ken' },
    observer,
    onError: (error) => errors.push(error),
  });
  await connection.send('/q', 'x');
  await connection.disconnect();
  expect(seen).toEqual([
    '> CONNECT',
    '< CONNECTED',
    'connected',
    '> SEND',
    '< RECEIPT',
    '> DISCONNECT',
    '< RECEIPT',
    'disconnected',
  ]);
  expect(errors.length).toBe(3);
});
