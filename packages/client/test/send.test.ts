// Sending: bodies, receipts, refusals, deadlines, signals, streams and back-pressure.

import { BrokerError, ConnectionLost, TimeoutError, UsageError } from '@stompbox/client';
import { expect, test } from 'vitest';
import { failure, table } from './support.ts';

const text = new TextDecoder();

for (const [name, body, type, written] of [
  ['text', 'é', 'text/plain', 'é'],
  ['octets', new Uint8Array([104, 105]), 'application/octet-stream', 'hi'],
  ['an object', { id: 7 }, 'application/json', '{"id":7}'],
  ['an array', [1, 2], 'application/json', '[1,2]'],
  ['a number', 7, 'application/json', '7'],
  ['a boolean', false, 'application/json', 'false'],
  ['null', null, 'application/json', 'null'],
  ['nothing', undefined, undefined, ''],
  ['empty text', '', undefined, ''],
] as const) {
  test(`C-63: ${name} is sent as ${type ?? 'no body'}`, async () => {
    const { connection, peer } = await table();
    await connection.send('/queue/a', body);
    const { frame } = await peer.next('send');
    expect(frame.get('content-type')).toBe(type);
    expect(text.decode(frame.body)).toBe(written);
  });
}

test('user headers and a content-type of one’s own go out; destination and receipt stay ours', async () => {
  const { connection, peer } = await table();
  await connection.send('/queue/a', 'x', { contentType: 'text/csv', headers: { priority: 4, destination: '/evil' } });
  const { frame } = await peer.next('send');
  expect(frame.headers.getAll('destination')).toEqual(['/queue/a']);
  expect(frame.get('content-type')).toBe('text/csv');
  expect(frame.get('priority')).toBe('4');
});

test('what cannot be sent is a UsageError and nothing goes out', async () => {
  const { connection, peer, clock } = await table();
  const circle: { self?: unknown } = {};
  circle.self = circle;
  expect(await failure(connection.send('/q', circle))).toMatchObject({ code: 'bad-json' });
  expect(await failure(connection.send('/q', () => 1))).toMatchObject({ code: 'bad-json' });
  expect(await failure(connection.send('/q', new ArrayBuffer(3)))).toMatchObject({ code: 'bad-body' });
  expect(await failure(connection.send('/q', '\ud800'))).toMatchObject({ code: 'bad-body' });
  expect(await failure(connection.send('', 'x'))).toMatchObject({ code: 'missing-header' });
  expect(await failure(connection.send('/q', 'x', { transaction: 'nope' }))).toMatchObject({
    code: 'unknown-transaction',
  });
  await clock.advance(0);
  expect(peer.frames.map(({ command }) => command)).toEqual(['CONNECT']);
});

test('many sends of one turn are one write', async () => {
  const { connection, peer } = await table();
  const before = peer.chunks.length;
  await Promise.all(Array.from({ length: 100 }, (_, i) => connection.send('/queue/a', `${i}`)));
  expect(peer.frames.length).toBe(101);
  expect(peer.chunks.length - before).toBe(1);
});

test('W-05: on a framed channel each frame is a write of its own', async () => {
  const { connection, peer } = await table({}, { memory: { framed: true } });
  const before = peer.chunks.length;
  await Promise.all(Array.from({ length: 10 }, (_, i) => connection.send('/queue/a', `${i}`)));
  expect(peer.chunks.length - before).toBe(10);
});

test('M-134: receipts are matched by id, not by order', async () => {
  const { connection, peer } = await table({}, { peer: { receipts: false } });
  const order: string[] = [];
  const first = connection.send('/q', 'a').then(() => order.push('a'));
  const second = connection.send('/q', 'b').then(() => order.push('b'));
  const receipts = [(await peer.next('send')).receipt, (await peer.next('send')).receipt];
  for (const receipt of receipts.reverse()) peer.receipt(receipt ?? '');
  await Promise.all([first, second]);
  expect(order).toEqual(['b', 'a']);
});

test('M-132: receipts that are unknown, doubled or without an id are ignored and shown to the observer', async () => {
  const odd: (string | undefined)[] = [];
  const observer = {
    unexpectedReceipt: (frame: { get(name: string): string | undefined }) => odd.push(frame.get('receipt-id')),
  };
  const { connection, peer } = await table({ observer });
  await connection.send('/q', 'a');
  const { receipt } = await peer.next('send');
  peer.say(`RECEIPT\nreceipt-id:nobody\n\n\0RECEIPT\nreceipt-id:${receipt}\n\n\0RECEIPT\n\n\0`);
  await connection.send('/q', 'b');
  expect(odd).toEqual(['nobody', receipt, undefined]);
});

test('M-133: a RECEIPT that never comes is a TimeoutError with an unknown outcome, and the connection lives on', async () => {
  const late: unknown[] = [];
  const observer = { unexpectedReceipt: (frame: unknown) => late.push(frame) };
  const { connection, peer, clock } = await table({ receiptTimeoutMs: 5_000, observer }, { peer: { receipts: false } });
  const failed = failure(connection.send('/queue/a', 'x'));
  const soon = failure(connection.send('/queue/a', 'y', { timeoutMs: 10 }));
  const { receipt } = await peer.next('send');
  await clock.advance(10);
  expect(await soon).toMatchObject({ afterMs: 10 });
  await clock.advance(4_990);
  const error = await failed;
  expect(error).toBeInstanceOf(TimeoutError);
  expect(error).toMatchObject({ outcome: 'unknown', what: 'the RECEIPT of SEND /queue/a', afterMs: 5_000 });
  expect(connection.isOpen).toBe(true);
  peer.receipt(receipt ?? '');
  await clock.advance(0);
  expect(late.length).toBe(1);
});

test('an ERROR that names the receipt rejects that send with BrokerError, the others with an unknown outcome', async () => {
  const { connection, peer } = await table({}, { peer: { receipts: false } });
  const [bad, other] = [failure(connection.send('/q', 'a')), failure(connection.send('/q', 'b'))];
  const { receipt } = await peer.next('send');
  peer.say(`ERROR\nmessage:denied\nreceipt-id:${receipt}\n\nbody\n\0`);
  const error = await bad;
  expect(error).toBeInstanceOf(BrokerError);
  expect(error).toMatchObject({ receipt, message: 'the broker sent ERROR: "denied": "body"' });
  expect(await other).toMatchObject({ name: 'ConnectionLost', code: 'refused', outcome: 'unknown', cause: error });
  expect(await failure(connection.send('/q', 'c'))).toMatchObject({ code: 'refused', outcome: 'unsent' });
});

test('M-135: of RECEIPT and ERROR for one id the first counts, and an ERROR ends the connection either way', async () => {
  const first = await table({}, { peer: { receipts: false } });
  const sent = first.connection.send('/q', 'a');
  const { receipt } = await first.peer.next('send');
  first.peer.say(`RECEIPT\nreceipt-id:${receipt}\n\n\0ERROR\nreceipt-id:${receipt}\nmessage:no\n\n\0`);
  await sent;
  first.peer.hangUp();
  expect(await first.connection.closed).toMatchObject({ kind: 'refused' });

  const second = await table({}, { peer: { receipts: false } });
  const refused = failure(second.connection.send('/q', 'a'));
  const asked = await second.peer.next('send');
  second.peer.say(`ERROR\nreceipt-id:${asked.receipt}\nmessage:no\n\n\0RECEIPT\nreceipt-id:${asked.receipt}\n\n\0`);
  expect(await refused).toBeInstanceOf(BrokerError);
});

test('a signal ends the wait for a RECEIPT with its reason, before sending or after', async () => {
  const { connection, peer, clock } = await table({}, { peer: { receipts: false } });
  const controller = new AbortController();
  const reason = new Error('enough');
  const failed = failure(connection.send('/q', 'a', { signal: controller.signal }));
  await peer.next('send');
  controller.abort(reason);
  expect(await failed).toBe(reason);
  expect(await failure(connection.send('/q', 'b', { signal: controller.signal }))).toBe(reason);
  await clock.advance(0);
  expect(peer.frames.length).toBe(2);
});

test('fire and forget asks for no RECEIPT and resolves at once', async () => {
  const { connection, peer } = await table({}, { peer: { receipts: false } });
  await connection.send('/q', 'a', { confirm: false });
  expect((await peer.next('send')).receipt).toBeUndefined();
});

test('fire and forget waits while the channel says enough: the producer’s back-pressure', async () => {
  const { connection, peer, clock } = await table({}, { memory: { highWaterMark: 1_000 } });
  peer.channel.pause();
  await connection.send('/q', new Uint8Array(2_000), { confirm: false });
  let went = false;
  const waits = connection.send('/q', 'more', { confirm: false }).then(() => {
    went = true;
  });
  await clock.advance(1_000);
  expect(went).toBe(false);
  peer.channel.resume();
  await waits;
});

test('a producer that waits for room hears of a lost connection; one that does not makes no unhandled rejection', async () => {
  const { connection, peer, cut } = await table({}, { memory: { highWaterMark: 1_000 } });
  peer.channel.pause();
  await connection.send('/q', new Uint8Array(2_000), { confirm: false });
  void connection.send('/q', 'ignored', { confirm: false });
  const waits = failure(connection.send('/q', 'awaited', { confirm: false }));
  cut();
  expect(await waits).toBeInstanceOf(ConnectionLost);
  void connection.send('/q', 'too late', { confirm: false });
});

async function* source(...parts: (string | Uint8Array | Error)[]): AsyncGenerator<string | Uint8Array> {
  for (const part of parts) {
    if (part instanceof Error) throw part;
    yield part;
  }
}

test('a stream is sent piece by piece, and other frames wait for its end', async () => {
  const { connection, peer } = await table();
  const streamed = connection.send('/q', source('one ', new TextEncoder().encode('two '), 'three'));
  const behind = connection.send('/q', 'behind');
  await Promise.all([streamed, behind]);
  const bodies = peer.frames.slice(1).map(({ body }) => text.decode(body));
  expect(bodies).toEqual(['one two three', 'behind']);
  expect(peer.frames[1]?.headers.get('content-type')).toBe('application/octet-stream');
});

test('a ReadableStream with a length may hold NUL, and several streams take turns', async () => {
  const { connection, peer } = await table();
  const bytes = new Uint8Array([1, 0, 2]);
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(bytes);
      controller.close();
    },
  });
  await Promise.all([
    connection.send('/q', stream, { contentLength: 3 }),
    connection.send('/q', source('b'), { confirm: false }),
    connection.send('/q', source('c')),
  ]);
  expect(peer.frames.slice(1).map(({ body }) => [...body])).toEqual([[1, 0, 2], [98], [99]]);
});

test('a streamed body much larger than the channel’s buffer goes at the reader’s speed', async () => {
  const { connection, peer } = await table({}, { memory: { highWaterMark: 10_000 } });
  const piece = new Uint8Array(5_000).fill(65);
  let made = 0;
  let most = 0;
  async function* large(): AsyncGenerator<Uint8Array> {
    for (; made < 200; made++) {
      most = Math.max(most, 200 - made);
      yield piece;
    }
  }
  peer.channel.pause();
  const sent = connection.send('/q', large(), { contentLength: 1_000_000 });
  for (let i = 0; i < 50; i++) await Promise.resolve();
  expect(made).toBeLessThan(5);
  peer.channel.resume();
  await sent;
  expect((await peer.next('send')).frame.body.length).toBe(1_000_000);
});

test('a source that throws before its first piece costs nothing', async () => {
  const { connection, peer } = await table();
  const error = new Error('no such file');
  expect(await failure(connection.send('/q', source(error)))).toBe(error);
  await connection.send('/q', 'still here');
  expect(text.decode((await peer.next('send')).frame.body)).toBe('still here');
});

for (const [name, send] of [
  ['throws midway', (c: Parameters<typeof failing>[0]) => c.send('/q', source('half', new Error('disk')))],
  ['is longer than announced', (c) => c.send('/q', source('long'), { contentLength: 3 })],
  ['is shorter than announced', (c) => c.send('/q', source('l'), { contentLength: 3 })],
  ['holds NUL and announced nothing', (c) => c.send('/q', source('a', 'b\0'))],
] as [string, (c: Parameters<typeof failing>[0]) => Promise<void>][]) {
  test(`a source that ${name} destroys the connection, which says why`, async () => {
    const { connection, clock } = await table();
    await failing(connection, send);
    expect(clock.alarms).toBe(0);
  });
}

async function failing(
  connection: Awaited<ReturnType<typeof table>>['connection'],
  send: (c: typeof connection) => Promise<void>,
): Promise<void> {
  const waiting = failure(send(connection));
  const behind = failure(connection.send('/q', 'behind'));
  const error = await waiting;
  expect(error).toMatchObject({ name: 'ConnectionLost', code: 'closed', outcome: 'unknown', cause: expect.any(Error) });
  expect(await behind).toMatchObject({ outcome: 'unsent' });
  expect(await connection.closed).toMatchObject({
    kind: 'closed',
    error: { message: expect.stringContaining('midway') },
  });
}

test('a signal or a lost connection frees a send whose source is stuck', async () => {
  async function* stuck(): AsyncGenerator<string> {
    await new Promise(() => {});
    yield '';
  }
  const { connection, cut } = await table();
  const controller = new AbortController();
  const failed = failure(connection.send('/q', stuck(), { signal: controller.signal }));
  controller.abort(new Error('bored'));
  expect(await failed).toBe(controller.signal.reason);
  await connection.send('/q', 'free again');
  const lost = failure(connection.send('/q', stuck()));
  cut();
  expect(await lost).toMatchObject({ name: 'ConnectionLost', outcome: 'unsent' });
});

test('R-05: in a transaction a receipt cannot be asked for', async () => {
  const { connection } = await table();
  const tx = connection.begin();
  expect(await failure(connection.send('/q', 'x', { transaction: tx.id, confirm: true }))).toBeInstanceOf(UsageError);
});
