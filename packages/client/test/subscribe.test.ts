// Subscribing: iteration, handlers, settling, and messages that are nobody's.

import { BrokerError, ConnectionLost, type Message, TimeoutError, UsageError } from '@stompbox/client';
import { settled } from 'testkit';
import { expect, test } from 'vitest';
import { failure, table } from './support.ts';

test('SUBSCRIBE carries id, mode, prefetch and headers, and `ready` waits for its RECEIPT', async () => {
  const { connection, peer } = await table();
  const subscription = connection.subscribe('/queue/a', {
    id: 'mine',
    ack: 'client-individual',
    prefetch: 20,
    headers: { selector: 'a = 1' },
  });
  await subscription.ready;
  const { frame } = await peer.next('subscribe');
  expect(frame.headers.toObject()).toMatchObject({
    destination: '/queue/a',
    id: 'mine',
    ack: 'client-individual',
    'prefetch-count': '20',
    'activemq.prefetchSize': '20',
    selector: 'a = 1',
  });
  expect(subscription).toMatchObject({ id: 'mine', ack: 'client-individual', destination: '/queue/a' });
});

test('F-11, R-09: a first message makes `ready` as good as a RECEIPT does', async () => {
  const { connection, peer, clock } = await table({}, { peer: { receipts: false } });
  const subscription = connection.subscribe('/queue/a');
  await peer.next('subscribe');
  peer.deliver(subscription.id, 'x');
  await subscription.ready;
  await clock.advance(60_000);
  expect((await subscription.next()).text()).toBe('x');
});

test('a subscription that is refused says so to whoever waits for it', async () => {
  const { connection, peer } = await table({}, { peer: { receipts: false } });
  const subscription = connection.subscribe('/queue/secret');
  const next = failure(subscription.next());
  const { receipt } = await peer.next('subscribe');
  peer.say(`ERROR\nmessage:access denied\nreceipt-id:${receipt}\n\n\0`);
  expect(await failure(subscription.ready)).toBeInstanceOf(BrokerError);
  expect(await next).toBeInstanceOf(BrokerError);
});

test('a second subscription with the same id is refused here', async () => {
  const { connection } = await table();
  connection.subscribe('/queue/a', { id: '1' });
  expect(() => connection.subscribe('/queue/b', { id: '1' })).toThrow(UsageError);
});

test('iteration gives messages in order, and leaving the loop unsubscribes', async () => {
  const { connection, peer } = await table();
  const subscription = connection.subscribe('/queue/a');
  await subscription.ready;
  for (const body of ['1', '2', '3']) peer.deliver(subscription.id, body);
  const seen: string[] = [];
  for await (const message of subscription) {
    seen.push(message.text());
    if (seen.length === 3) break;
  }
  expect(seen).toEqual(['1', '2', '3']);
  await peer.next('unsubscribe');
});

test('next() has a deadline and a signal, and loses nothing by either', async () => {
  const { connection, peer, clock } = await table();
  const subscription = connection.subscribe('/queue/a');
  await subscription.ready;
  const late = failure(subscription.next({ timeoutMs: 50 }));
  await clock.advance(50);
  expect(await late).toBeInstanceOf(TimeoutError);
  const controller = new AbortController();
  const called = failure(subscription.next({ signal: controller.signal, timeoutMs: 1_000 }));
  controller.abort(new Error('off'));
  expect(await called).toBe(controller.signal.reason);
  const first = subscription.next();
  peer.deliver(subscription.id, 'kept');
  expect((await first).text()).toBe('kept');
  expect(await failure(subscription.next({ signal: controller.signal }))).toBe(controller.signal.reason);
  await connection.close();
  expect(clock.alarms).toBe(0);
});

test('a message shows its headers, and its body as text, JSON, octets and stream', async () => {
  const { connection, peer } = await table();
  const subscription = connection.subscribe<{ id: number }>('/queue/a');
  await subscription.ready;
  peer.deliver(subscription.id, '{"id":7}', { headers: { 'content-type': 'application/json' }, redeliveries: 1 });
  const message = await subscription.next();
  expect(message.json().id).toBe(7);
  expect(message.text()).toBe('{"id":7}');
  expect(message.bytes.length).toBe(8);
  const pieces: Uint8Array[] = [];
  for await (const piece of message.stream()) pieces.push(piece);
  expect(pieces.length).toBe(1);
  expect(message).toMatchObject({
    destination: '/queue/a',
    redelivered: true,
    contentType: 'application/json',
    ackable: false,
    settled: false,
    isStreamed: false,
  });
  expect(message.id).not.toBe('');
});

test('M-149, M-150: text in a bogus charset or that is no text is a typed error, and nothing is inflated', async () => {
  const { connection, peer } = await table();
  const subscription = connection.subscribe('/queue/a');
  await subscription.ready;
  const octets = new Uint8Array([0x1f, 0x8b, 0xff]);
  peer.deliver(subscription.id, octets, { headers: { 'content-type': 'text/plain;charset=bogus' } });
  peer.deliver(subscription.id, octets, { headers: { 'content-encoding': 'gzip' } });
  peer.deliver(subscription.id, new Uint8Array([0xe9]), {
    headers: { 'content-type': 'text/plain; charset="latin1"' },
  });
  const bogus = await subscription.next();
  expect(() => bogus.text()).toThrow(/charset "bogus" is not known/);
  expect(bogus.bytes).toEqual(octets);
  const zipped = await subscription.next();
  expect(() => zipped.text()).toThrow(UsageError);
  expect(() => zipped.json()).toThrow(UsageError);
  expect(zipped.text({ invalid: 'replace' })).toContain('\ufffd');
  expect(zipped.bytes).toEqual(octets);
  expect((await subscription.next()).text()).toBe('é');
});

for (const version of ['1.0', '1.1', '1.2'] as const) {
  test(`ack and nack settle a message once, in STOMP ${version}`, async () => {
    const { connection, peer } = await table({ versions: [version] });
    const subscription = connection.subscribe('/queue/a', { ack: 'client-individual' });
    await subscription.ready;
    peer.deliver(subscription.id, '1', { item: 'one' });
    peer.deliver(subscription.id, '2', { item: 'two' });
    const [first, second] = [await subscription.next(), await subscription.next()];
    expect(first.ackable).toBe(true);
    await first.ack({ confirm: true });
    expect((await peer.next('settle')).items).toEqual(['one']);
    expect(first.settled).toBe(true);
    expect(await failure(first.ack())).toMatchObject({ code: 'unknown-ack' });
    if (version === '1.0') {
      expect(await failure(second.nack())).toMatchObject({ code: 'unexpected-frame' });
    } else {
      await connection.nack(second, { headers: { requeue: 'false' } });
      const nack = await peer.next('settle');
      expect(nack).toMatchObject({ outcome: 'nack', items: ['two'] });
      expect(nack.frame.headers.get('requeue')).toBe('false');
    }
  });
}

test('A-08: a message is settled on its own connection only, and not after it', async () => {
  const one = await table();
  const other = await table();
  const subscription = one.connection.subscribe('/queue/a', { ack: 'client' });
  await subscription.ready;
  one.peer.deliver(subscription.id, 'x');
  const message = await subscription.next();
  expect(await failure(other.connection.ack(message))).toMatchObject({ code: 'unknown-ack' });
  one.cut();
  await one.connection.closed;
  expect(await failure(message.ack())).toMatchObject({ name: 'ConnectionLost', outcome: 'unsent' });
});

test('X-45: a message whose subscription has ended is not settled behind the broker’s back', async () => {
  const { connection, peer } = await table();
  const subscription = connection.subscribe('/queue/a', { ack: 'client' });
  await subscription.ready;
  peer.deliver(subscription.id, 'x');
  const message = await subscription.next();
  await subscription.unsubscribe();
  expect(await failure(message.ack())).toMatchObject({ code: 'unknown-ack' });
});

test('M-141: an ack header a producer planted makes no message of an auto subscription ackable', async () => {
  const { connection, peer } = await table();
  const subscription = connection.subscribe('/queue/a');
  await subscription.ready;
  peer.say(`MESSAGE\nsubscription:${subscription.id}\nmessage-id:1\ndestination:/q\nack:evil\n\n\0`);
  const message = await subscription.next();
  expect(message.ackable).toBe(false);
  expect(await failure(message.ack())).toMatchObject({ code: 'ack-on-auto' });
});

test('M-140: of a repeated subscription header the first wins', async () => {
  const { connection, peer } = await table();
  const real = connection.subscribe('/queue/a', { id: 'real' });
  const evil = connection.subscribe('/queue/b', { id: 'evil' });
  await Promise.all([real.ready, evil.ready]);
  peer.say('MESSAGE\nsubscription:real\nsubscription:evil\nmessage-id:1\ndestination:/q\n\nx\0');
  expect((await real.next()).text()).toBe('x');
});

test('M-142: a hostile reply-to is data', async () => {
  const { connection, peer } = await table();
  const subscription = connection.subscribe('/queue/a');
  await subscription.ready;
  const sent = peer.frames.length;
  peer.say(`MESSAGE\nsubscription:${subscription.id}\nmessage-id:1\ndestination:/q\nreply-to:/queue/other\\nx\n\n\0`);
  expect((await subscription.next()).headers.get('reply-to')).toBe('/queue/other\nx');
  await settled();
  expect(peer.frames.length).toBe(sent);
});

test('a handler gets messages one at a time, in order, never inside the parser, and its message is acked', async () => {
  const { connection, peer } = await table();
  const seen: string[] = [];
  let inside = 0;
  const subscription = connection.subscribe(
    '/queue/a',
    async (message) => {
      expect(++inside).toBe(1);
      await settled();
      seen.push(message.text());
      inside--;
    },
    { ack: 'client-individual' },
  );
  await subscription.ready;
  for (const body of ['1', '2', '3']) peer.deliver(subscription.id, body, { item: body });
  for (const body of ['1', '2', '3']) expect((await peer.next('settle')).items).toEqual([body]);
  expect(seen).toEqual(['1', '2', '3']);
  expect(await failure(subscription.next())).toBeInstanceOf(UsageError);
});

test('several handlers at a time, where order does not matter', async () => {
  const { connection, peer } = await table();
  let most = 0;
  let inside = 0;
  const subscription = connection.subscribe(
    '/queue/a',
    async () => {
      most = Math.max(most, ++inside);
      await settled();
      inside--;
    },
    { concurrency: 4, ack: 'client-individual' },
  );
  await subscription.ready;
  for (let i = 0; i < 10; i++) peer.deliver(subscription.id, 'x');
  for (let i = 0; i < 10; i++) await peer.next('settle');
  expect(most).toBe(4);
  const cumulative = { concurrency: 2, ack: 'client' } as const;
  expect(() => connection.subscribe('/q', () => {}, cumulative)).toThrow(UsageError);
  expect(() => connection.subscribe('/q', () => {}, { concurrency: 0 })).toThrow(UsageError);
});

test('M-144: a handler that throws or rejects is heard of and nacks; others go on', async () => {
  const errors: [unknown, Message | undefined][] = [];
  const { connection, peer } = await table({ onError: (error, message) => errors.push([error, message]) });
  const handlers = {
    throws: (): void => {
      throw new Error('thrown');
    },
    rejects: async (): Promise<void> => {
      throw new Error('rejected');
    },
    'is fine': (): void => {},
  };
  const outcomes: string[] = [];
  for (const [id, handler] of Object.entries(handlers)) {
    await connection.subscribe('/queue/a', handler, { id, ack: 'client-individual' }).ready;
    peer.deliver(id, id);
    outcomes.push((await peer.next('settle')).outcome);
  }
  expect(outcomes).toEqual(['nack', 'nack', 'ack']);
  expect(errors.map(([error, message]) => [String(error), message?.text()])).toEqual([
    ['Error: thrown', 'throws'],
    ['Error: rejected', 'rejects'],
  ]);
});

test('a handler that settles by itself is left alone, and so is one with autoSettle off', async () => {
  const { connection, peer } = await table();
  const own = connection.subscribe('/queue/a', (message) => message.nack(), { ack: 'client-individual' });
  const off = connection.subscribe('/queue/b', () => {}, { ack: 'client-individual', autoSettle: false });
  await Promise.all([own.ready, off.ready]);
  peer.deliver(own.id, 'x', { item: 'own' });
  peer.deliver(off.id, 'x', { item: 'off' });
  expect(await peer.next('settle')).toMatchObject({ outcome: 'nack', items: ['own'] });
  await connection.disconnect();
  expect(peer.frames.filter(({ command }) => command === 'ACK')).toEqual([]);
});

test('unsubscribe is confirmed, the same twice, and ends the iteration', async () => {
  const { connection, peer } = await table();
  const subscription = connection.subscribe('/queue/a');
  await subscription.ready;
  peer.deliver(subscription.id, 'read me');
  await settled();
  const first = subscription.unsubscribe();
  expect(subscription.unsubscribe()).toBe(first);
  await first;
  const rest: string[] = [];
  for await (const message of subscription) rest.push(message.text());
  expect(rest).toEqual(['read me']); // auto: the broker has forgotten it
  expect(await failure(subscription.next())).toMatchObject({ code: 'closed' });
});

test('what waits unsettled at the end of a subscription is dropped: the broker delivers it again', async () => {
  const { connection, peer } = await table();
  const subscription = connection.subscribe('/queue/a', { ack: 'client' });
  await subscription.ready;
  peer.deliver(subscription.id, 'x');
  await settled();
  expect(connection.waiting.frames).toBe(1);
  await subscription.unsubscribe();
  expect(connection.waiting.frames).toBe(0);
  for await (const message of subscription) expect.unreachable(message.text());
});

test('await using unsubscribes', async () => {
  const { connection, peer } = await table();
  {
    await using subscription = connection.subscribe('/queue/a');
    await subscription.ready;
  }
  await peer.next('unsubscribe');
});

test('M-131: a message for a subscription just ended is shown as unhandled and not nacked; the broker took it back', async () => {
  const unhandled: string[] = [];
  const { connection, peer } = await table({ onUnhandled: (message) => unhandled.push(message.text()) });
  const subscription = connection.subscribe('/queue/a', { id: 'gone', ack: 'client' });
  await subscription.unsubscribe();
  peer.say('MESSAGE\nsubscription:gone\nmessage-id:1\ndestination:/q\nack:1\n\nlate\0');
  await settled();
  expect(unhandled).toEqual(['late']);
  await connection.send('/q', 'x');
  expect(peer.frames.some(({ command }) => command === 'NACK')).toBe(false);
});

test('S-13: a message nobody subscribed to goes to onUnhandled; without it, it is nacked where it can be', async () => {
  const said: string[] = [];
  const { connection, peer } = await table({ observer: { frameSent: ({ command }) => said.push(command) } });
  peer.say('MESSAGE\nsubscription:stranger\nmessage-id:1\ndestination:/q\nack:a\\c1\n\nx\0');
  peer.say('MESSAGE\nsubscription:stranger\nmessage-id:2\ndestination:/q\n\nx\0');
  await settled();
  expect(said.filter((command) => command === 'NACK').length).toBe(1);
  expect(new TextDecoder().decode(peer.chunks.at(-1))).toContain('NACK\nid:a\\c1\n');
  expect(connection.isOpen).toBe(true);
});

test('what onUnhandled throws is heard of', async () => {
  const errors: unknown[] = [];
  const { peer } = await table({
    onUnhandled: () => {
      throw new Error('mine');
    },
    onError: (error) => errors.push(error),
  });
  peer.say('MESSAGE\nsubscription:stranger\nmessage-id:1\ndestination:/q\n\nx\0');
  await settled();
  expect(String(errors)).toBe('Error: mine');
});

test('a lost connection ends the iteration with its reason, after what came before', async () => {
  const { connection, peer, cut } = await table();
  const subscription = connection.subscribe('/queue/a');
  await subscription.ready;
  peer.deliver(subscription.id, '1');
  await settled();
  cut();
  const seen: string[] = [];
  const error = await failure(
    (async () => {
      for await (const message of subscription) seen.push(message.text());
    })(),
  );
  expect(seen).toEqual(['1']);
  expect(error).toBeInstanceOf(ConnectionLost);
  await subscription.unsubscribe(); // there is nothing left to end
});
