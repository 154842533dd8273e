// Frames rewritten on their way, and what an interceptor cannot break.

import { Hooks, type Interceptor, KEPT } from '@stompbox/client';
import { Frame, frame, Headers } from '@stompbox/protocol';
import { settled } from 'testkit';
import { describe, expect, test } from 'vitest';
import { failure, laid, table } from './support.ts';

/** The frame with one more header, or another value for it. */
function having(given: Frame, name: string, value: string, body = given.body): Frame {
  return new Frame(given.command, Headers.from({ ...given.headers.toObject(), [name]: value }), body);
}

const utf8 = new TextEncoder();

test('what goes out is rewritten in order, and the wire and frameSent have what came of it', async () => {
  const seen: (string | undefined)[] = [];
  const hooks = new Hooks({ observer: { frameSent: (sent) => seen.push(sent.headers.get('trail')) } });
  const { connection, peer } = await table({ hooks });
  seen.length = 0;
  const signing = (mark: string): Interceptor => ({
    outgoing: (given) => having(given, 'trail', `${given.headers.get('trail') ?? ''}${mark}`),
  });
  connection.use('a', signing('a'));
  connection.use('b', signing('b'));
  await connection.send('/q', 'x');
  const { frame: sent } = await peer.next('send');
  expect(sent.headers.get('trail')).toBe('ab');
  expect(seen).toEqual(['ab']);
});

test('a pair that wraps on the way out unwraps on the way in, the last one first', async () => {
  const { connection, peer } = await table();
  const wrapping = (mark: string): Interceptor => ({
    outgoing: (given) => (given.is('SEND') ? frame('SEND', given.headers, `${mark}(${given.text()})`) : undefined),
    incoming: (given) => {
      if (!given.is('MESSAGE')) return undefined;
      const [, inner] = new RegExp(`^${mark}\\((.*)\\)$`).exec(given.text()) ?? [];
      if (inner === undefined) throw new Error(`not wrapped by ${mark}`);
      return frame('MESSAGE', given.headers, inner);
    },
  });
  connection.use('a', wrapping('a'));
  connection.use('b', wrapping('b'));
  const subscription = connection.subscribe('/q', { id: 's' });
  await connection.send('/q', 'x');
  const { frame: sent } = await peer.next('send');
  expect(sent.text()).toBe('b(a(x))');
  peer.deliver('s', sent.body);
  expect((await subscription.next()).text()).toBe('x');
});

test('CONNECT, ACK, NACK, a streamed SEND and raw frames pass through as well', async () => {
  const passed: string[] = [];
  const hooks = new Hooks();
  hooks.use('mark', {
    outgoing: (given) => {
      passed.push(given.command);
      return having(given, 'mark', '1');
    },
  });
  const { connection, peer } = await table({ hooks });
  const subscription = connection.subscribe('/q', { id: 's', ack: 'client-individual' });
  await subscription.ready;
  peer.deliver('s', 'one');
  peer.deliver('s', 'two');
  await (await subscription.next()).ack();
  await (await subscription.next()).nack();
  const source = (async function* () {
    yield utf8.encode('piece');
  })();
  await connection.send('/q', source);
  await connection.sendFrame(frame('SEND', { destination: '/q' }), { confirm: true });
  await connection.disconnect();
  expect(passed).toEqual(['CONNECT', 'SUBSCRIBE', 'ACK', 'NACK', 'SEND', 'SEND', 'DISCONNECT']);
  expect(peer.frames.map((came) => came.headers.get('mark'))).toEqual(Array(7).fill('1'));
  expect(peer.frames[4]?.text()).toBe('piece');
});

test('an ACK that was rewritten settles its message, and the books know', async () => {
  const { connection, peer } = await table();
  connection.use('mark', { outgoing: (given) => having(given, 'mark', '1') });
  const subscription = connection.subscribe('/q', { id: 's', ack: 'client-individual' });
  await subscription.ready;
  peer.deliver('s', 'x', { item: 'the one' });
  const message = await subscription.next();
  await message.ack();
  expect((await peer.next('settle')).items).toEqual(['the one']);
  expect(await failure(message.ack())).toMatchObject({ code: 'unknown-ack' });
});

test('what an interceptor makes is checked like any frame: 1.0 cannot carry what it cannot write', async () => {
  const { connection, peer } = await table({ versions: ['1.0'] });
  connection.use('bad', { outgoing: (given) => (given.is('SEND') ? having(given, 'x', 'a\nb') : undefined) });
  expect(await failure(connection.send('/q', 'x'))).toMatchObject({ code: 'unencodable' });
  expect(peer.frames.map(({ command }) => command)).toEqual(['CONNECT']);
});

describe('thrown in outgoing', () => {
  const thrown = new Error('not today');
  const refusing = (command: string): Interceptor => ({
    outgoing: (given) => {
      if (given.command === command) throw thrown;
      return undefined;
    },
  });

  test('rejects the send it was for, and nothing goes out', async () => {
    const { connection, peer } = await table();
    const remove = connection.use('no', refusing('SEND'));
    expect(await failure(connection.send('/q', 'x'))).toBe(thrown);
    expect(await failure(connection.send('/q', 'x', { confirm: false }))).toBe(thrown);
    remove();
    await connection.send('/q', 'y');
    expect(peer.frames.slice(1).map((came) => came.text())).toEqual(['y']);
  });

  test('rejects a streamed send before its first byte, and the connection lives', async () => {
    const { connection } = await table();
    const remove = connection.use('no', refusing('SEND'));
    const source = (async function* () {
      yield utf8.encode('piece');
    })();
    expect(await failure(connection.send('/q', source))).toBe(thrown);
    remove();
    await connection.send('/q', 'still here');
  });

  test('is thrown by subscribe(), which leaves no subscription behind', async () => {
    const { connection } = await table();
    const remove = connection.use('no', refusing('SUBSCRIBE'));
    expect(() => connection.subscribe('/q', { id: 's' })).toThrow(thrown);
    remove();
    await connection.subscribe('/q', { id: 's' }).ready;
  });

  test('rejects the ack it was for, and the message can still be settled', async () => {
    const { connection, peer } = await table();
    const subscription = connection.subscribe('/q', { id: 's', ack: 'client-individual' });
    await subscription.ready;
    peer.deliver('s', 'x');
    const message = await subscription.next();
    const remove = connection.use('no', refusing('ACK'));
    expect(await failure(message.ack())).toBe(thrown);
    remove();
    await message.ack();
    expect((await peer.next('settle')).frame.command).toBe('ACK');
  });

  test('fails connecting with what was thrown', async () => {
    const hooks = new Hooks();
    hooks.use('no', refusing('CONNECT'));
    expect(await failure(laid({ options: { hooks } }).connecting)).toBe(thrown);
  });

  test.each(['UNSUBSCRIBE', 'ABORT', 'COMMIT', 'DISCONNECT'])(
    '%s ends something: it goes out unchanged, and onError hears of it',
    async (command) => {
      const errors: unknown[] = [];
      const hooks = new Hooks({ onError: (error) => errors.push(error) });
      hooks.use('no', refusing(command));
      hooks.use('mark', { outgoing: (given) => having(given, 'mark', '1') });
      const { connection, peer } = await table({ hooks });
      await connection.subscribe('/q').unsubscribe();
      await connection.begin().abort();
      await connection.begin().commit();
      await connection.disconnect();
      expect(errors).toEqual([thrown]);
      const went = peer.frames.find((came) => came.command === command);
      expect(went?.headers.get('mark')).toBe('1'); // the others still had their say
    },
  );
});

describe('what may not be', () => {
  const wrong: readonly [what: string, code: string, outgoing: (given: Frame) => unknown][] = [
    ['another command', 'unexpected-frame', () => frame('BEGIN', { transaction: 't' })],
    [
      'a body where there can be none',
      'bad-body',
      (given) => new Frame(given.command, given.headers, utf8.encode('x')),
    ],
    ['a promise', 'bad-option', (given) => Promise.resolve(given)],
    ['null', 'bad-option', () => null],
    ...KEPT.map((name): [string, string, (given: Frame) => unknown] => [
      `another ${name}`,
      'bad-header',
      (given) => having(given, name, 'planted'),
    ]),
    [
      'the id taken away',
      'bad-header',
      (given) =>
        frame(
          given.command,
          [...given.headers].filter(([name]) => name !== 'id'),
        ),
    ],
  ];

  test.each(wrong)('%s for a SUBSCRIBE is a UsageError %s that names the interceptor', async (_, code, outgoing) => {
    const { connection, peer } = await table();
    const untyped: unknown = { outgoing };
    connection.use('wrong', untyped as Interceptor);
    expect(() => connection.subscribe('/q', { id: 's' })).toThrow(
      expect.objectContaining({ name: 'UsageError', code, message: expect.stringContaining('"wrong"') }),
    );
    await settled();
    expect(peer.frames.map(({ command }) => command)).toEqual(['CONNECT']);
  });

  test('a body for a streamed SEND is refused; its headers may change', async () => {
    const { connection, peer } = await table();
    connection.use('body', { outgoing: (given) => having(given, 'mark', '1', utf8.encode('mine')) });
    const source = (): AsyncIterable<Uint8Array> =>
      (async function* () {
        yield utf8.encode('theirs');
      })();
    expect(await failure(connection.send('/q', source()))).toMatchObject({ code: 'bad-body' });
    connection.use('body', { outgoing: (given) => having(given, 'mark', '1') });
    await connection.send('/q', source());
    const { frame: sent } = await peer.next('send');
    expect([sent.text(), sent.headers.get('mark')]).toEqual(['theirs', '1']);
  });

  test('incoming, what was thrown or answered wrongly goes to onError, and the message comes as it was', async () => {
    const errors: unknown[] = [];
    const { connection, peer } = await table({ onError: (error) => errors.push(error) });
    const thrown = new Error('cannot read that');
    connection.use('throws', {
      incoming: (given) => {
        if (given.is('MESSAGE')) throw thrown;
        return undefined;
      },
    });
    connection.use('plants', { incoming: (given) => (given.is('MESSAGE') ? having(given, 'ack', 'x') : undefined) });
    connection.use('marks', { incoming: (given) => (given.is('MESSAGE') ? having(given, 'mark', '1') : undefined) });
    const subscription = connection.subscribe('/q', { id: 's' });
    await subscription.ready;
    peer.deliver('s', 'x');
    const message = await subscription.next();
    expect([message.text(), message.headers.get('mark'), message.headers.get('ack')]).toEqual(['x', '1', undefined]);
    expect(errors).toEqual([expect.objectContaining({ code: 'bad-header' }), thrown]);
  });
});

test('raw frames and messages of nobody are rewritten as well', async () => {
  const unhandled: (string | undefined)[] = [];
  const { connection, peer } = await table({ onUnhandled: ({ headers }) => unhandled.push(headers.get('mark')) });
  connection.use('mark', { incoming: (given) => having(given, 'mark', '1') });
  await connection.sendFrame(frame('SUBSCRIBE', { destination: '/q', id: 'raw' }), { confirm: true });
  peer.deliver('raw', 'x');
  peer.say('MESSAGE\nmessage-id:7\ndestination:/q\nsubscription:nobody\n\n\0');
  expect((await connection.receive()).get('mark')).toBe('1');
  await settled();
  expect(unhandled).toEqual(['1']);
});

test('of a streamed MESSAGE the headers may change, and its body may not be replaced', async () => {
  const errors: unknown[] = [];
  const { connection, peer } = await table({ streamBodiesOver: 3, onError: (error) => errors.push(error) });
  connection.use('mark', { incoming: (given) => having(given, 'mark', '1') });
  const remove = connection.use('body', { incoming: (given) => having(given, 'mark', '2', utf8.encode('mine')) });
  const subscription = connection.subscribe('/q', { id: 's', confirm: false });
  await peer.next('subscribe');
  peer.deliver('s', 'theirs');
  const message = await subscription.next();
  expect([await new Response(message.stream()).text(), message.headers.get('mark')]).toEqual(['theirs', '1']);
  expect(errors).toEqual([expect.objectContaining({ code: 'bad-body' })]);
  remove();
});

test('one that sends while it is asked sends first, and is asked about that too', async () => {
  const { connection, peer } = await table();
  let nested: Promise<void> | undefined;
  connection.use('audit', {
    outgoing: (given) => {
      if (given.get('destination') === '/q') nested = connection.send('/audit', 'seen');
      return undefined;
    },
  });
  await connection.send('/q', 'x');
  await nested;
  expect(peer.frames.slice(1).map((came) => came.get('destination'))).toEqual(['/audit', '/q']);
});

test('observers see what came before, and what was delivered after', async () => {
  const seen: (string | undefined)[] = [];
  const { connection, peer } = await table({
    observer: {
      frameReceived: (came) => came.is('MESSAGE') && seen.push(came.text()),
      frameDelivered: (came) => came.is('MESSAGE') && seen.push(came.text()),
    },
  });
  connection.use('louder', {
    incoming: (given) =>
      given.is('MESSAGE') ? frame('MESSAGE', given.headers, given.text().toUpperCase()) : undefined,
  });
  const subscription = connection.subscribe('/q', { id: 's' });
  await subscription.ready;
  peer.deliver('s', 'hello');
  await subscription.next();
  expect(seen).toEqual(['hello', 'HELLO']);
});

test('the same name replaces, and a removed one is not asked again', async () => {
  const asked: string[] = [];
  const asking = (name: string): Interceptor => ({
    outgoing: () => {
      asked.push(name);
      return undefined;
    },
  });
  const { connection } = await table();
  const removeOld = connection.use('x', asking('old'));
  const removeNew = connection.use('x', asking('new'));
  removeOld();
  await connection.send('/q', '1');
  removeNew();
  await connection.send('/q', '2');
  expect(asked).toEqual(['new']);
});
