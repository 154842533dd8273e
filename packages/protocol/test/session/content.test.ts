// What a MESSAGE carries over from its SEND, to consumers of every version.

import {
  Content,
  Decoder,
  Encoder,
  encode,
  Frame,
  frame,
  Headers,
  NameSet,
  VERSIONS,
  type Version,
} from '@stompbox/protocol';
import fc from 'fast-check';
import { connected, hear, inPieces, only } from 'testkit';
import { describe, expect, test } from 'vitest';
import { bytes, RESERVED, scratch, served, serving, subscribe, text } from './support.ts';

type Lines = readonly (readonly [name: string, value: string])[];

/** The headers of the MESSAGE that a strict consumer of that version reads, the broker's own left out. */
function delivered(content: Content, version: Version): { lines: Lines; body: Uint8Array } {
  const server = serving<string>(version);
  const subscription = subscribe(server, 'id:real\ndestination:/q');
  server.message(subscription, { id: 1, destination: '/q', content, redeliveries: 0 }, 'item');
  const decoder = new Decoder({ version, trim10: 'none' });
  decoder.push(server.take(0));
  const message = decoder.next();
  if (!(message instanceof Frame)) throw new Error('no MESSAGE');
  expect(decoder.next()).toBeUndefined(); // one frame and nothing behind it
  expect([...message.headers].slice(0, 2)).toEqual([
    ['subscription', 'real'],
    ['destination', '/q'],
  ]);
  return { lines: [...message.headers].slice(3).filter(([name]) => name !== 'content-length'), body: message.body };
}

function sent(wire: string | Uint8Array, version: Version): Frame {
  const decoder = new Decoder({ version });
  decoder.push(typeof wire === 'string' ? bytes(wire) : wire);
  const send = decoder.next();
  if (!(send instanceof Frame)) throw new Error('no SEND');
  return send;
}

function of(send: Frame): Content {
  return Content.of(send, RESERVED, scratch());
}

describe('what a producer says reaches every consumer', () => {
  for (const from of VERSIONS) {
    for (const to of VERSIONS) {
      test(`F-03 from ${from} to ${to}: headers in order, repeats kept, body untouched`, () => {
        const lines = [
          ['foo', 'bar'],
          ['empty', ''],
          ['foo', 'again'],
          ['content-type', 'text/plain'],
          ['path', 'C:\\dir'],
          ['time', '12:30'],
          ['é', '€ 😀'],
        ] as const;
        const body = Uint8Array.of(0xff, 0, 13, 10, 0xfe, 0x80);
        const wire = encode(frame('SEND', [['destination', '/q'], ...lines], body), { version: from });
        const got = delivered(of(sent(wire, from)), to);
        expect(got.lines).toEqual(lines);
        expect([...got.body]).toEqual([...body]); // C-68
      });
    }
  }

  for (const [row, line, at10, at11, at12] of [
    [
      'M-81, X-12: an LF in a value',
      'foo:a\\ndestination\\c/queue/evil',
      'a destination:/queue/evil',
      'a\ndestination:/queue/evil',
      'a\ndestination:/queue/evil',
    ],
    ['C-45: a CR in a value', 'foo:a\\rb', 'a b', 'a b', 'a\rb'],
    ['C-45: CR LF in a value', 'foo:a\\r\\nb', 'a  b', 'a \nb', 'a\r\nb'],
    ['C-45: a colon in a name', 'f\\coo:v', undefined, 'f:oo', 'f:oo'],
    ['C-45: an LF in a name', 'f\\noo:v', undefined, 'f\noo', 'f\noo'],
    ['C-45: a CR in a name', 'f\\roo:v', undefined, undefined, 'f\roo'],
  ] as const) {
    test(`${row} is written raw to nobody`, () => {
      const content = of(sent(`SEND\ndestination:/q\n${line}\n\nx\0`, '1.2'));
      const value = line.startsWith('foo');
      for (const [version, expected] of [
        ['1.0', at10],
        ['1.1', at11],
        ['1.2', at12],
      ] as const) {
        const { lines } = delivered(content, version);
        const wanted = value ? [['foo', expected]] : expected === undefined ? [] : [[expected, 'v']];
        expect([version, lines]).toEqual([version, wanted]);
      }
    });
  }

  test('C-37, C-45: what 1.0 and 1.1 mean by a backslash and a CR is what 1.2 reads', () => {
    expect(delivered(of(sent('SEND\ndestination:/q\na:x\\ny:z\r\n\nx\0', '1.0')), '1.2').lines).toEqual([
      ['a', 'x\\ny:z\r'],
    ]);
    expect(delivered(of(sent('SEND\ndestination:/q\na:x\\\\y:z\r\n\nx\0', '1.1')), '1.2').lines).toEqual([
      ['a', 'x\\y:z\r'],
    ]);
    expect(delivered(of(sent('SEND\r\ndestination:/q\r\na:b\r\n\r\nx\0', '1.2')), '1.1').lines).toEqual([['a', 'b']]);
  });

  for (const from of VERSIONS)
    test(`M-80, X-13 from ${from}: reserved headers are dropped, lookalikes pass`, () => {
      const reserved =
        'subscription message-id ack redelivered destination receipt receipt-id transaction session server version heart-beat';
      const lines = reserved.split(' ').map((name) => `${name}:evil\n`);
      const alike = 'Ack:1\nacks:2\nack2:3\nx-ack:4\n';
      const wire = `SEND\ndestination:/q\n${lines.join('')}${alike}content-length:1\ncontent-length:1\n\nx\0`;
      for (const to of VERSIONS)
        expect(delivered(of(sent(wire, from)), to).lines).toEqual([
          ['Ack', '1'],
          ['acks', '2'],
          ['ack2', '3'],
          ['x-ack', '4'],
        ]);
    });

  for (const from of VERSIONS)
    test(`M-80, X-13 from ${from}: content-length is the real one and alone, whatever is kept`, () => {
      for (const [said, body] of [
        ['content-length:3\ncontent-length:3\n', 'a\0b'],
        ['content-length:0\n', ''],
        ['', 'é'],
        ['a:b:c\ncontent-length:1\n', 'x'], // not canonical: the other way through
      ] as const) {
        const content = Content.of(sent(`SEND\ndestination:/q\n${said}\n${body}\0`, from), new NameSet([]), scratch());
        const head = text(content.bytes.subarray(0, content.bodyAt));
        const length = bytes(body).length;
        expect(head.match(/content-length:\d+/g)).toEqual(length === 0 ? null : [`content-length:${length}`]);
        expect(text(content.body)).toBe(body);
        expect(content.headers.getAll('content-length')).toEqual(length === 0 ? [] : [String(length)]);
      }
    });

  test('a body larger than any limit of a decoder keeps its headers readable', () => {
    const content = of(frame('SEND', { destination: '/q', foo: 'a:b' }, new Uint8Array(65 * 1024 * 1024)));
    expect(content.headers.get('foo')).toBe('a:b');
    expect(content.in('1.0').length).toBe(content.bytes.length - 1); // `\c` became `:`
  });

  test('a Content made again from its bytes, as a store does, is the same', () => {
    const content = of(sent('SEND\ndestination:/q\nfoo:a\\nb\n\nbody\0', '1.2'));
    const again = new Content(content.bytes.slice(), content.bodyAt);
    for (const version of VERSIONS) expect(delivered(again, version)).toEqual(delivered(content, version));
    expect([...again.headers]).toEqual([...content.headers]);
  });
});

const piece = fc.constantFrom(
  'a',
  'B',
  '-',
  ' ',
  ':',
  '\\',
  '\n',
  '\r',
  'n',
  'é',
  '€',
  '😀',
  '\ufeff',
  'content-length',
  'ack',
);
const word = fc.array(piece, { maxLength: 6 }).map((pieces) => pieces.join(''));
const pair = fc.tuple(
  word.filter((name) => name !== '' && name !== 'content-length'),
  word,
);

test('what is copied from canonical wire headers equals what is made again from texts, for any headers', () => {
  fc.assert(
    fc.property(fc.array(pair, { maxLength: 8 }), fc.uint8Array({ maxLength: 20 }), (lines, body) => {
      const wire = encode(frame('SEND', [['destination', '/q'], ...lines], body), { version: '1.2' });
      const send = sent(wire, '1.2');
      const remade = new Frame('SEND', Headers.from([...send.headers]), send.body);
      expect(of(send).bytes).toEqual(of(remade).bytes);
      for (const version of VERSIONS) expect(of(send).in(version)).toEqual(of(remade).in(version));
    }),
    { numRuns: 1000 },
  );
});

test('C-45, M-81: for any headers, a consumer of any version reads one MESSAGE, none of it the producer’s making', () => {
  fc.assert(
    fc.property(fc.array(pair, { maxLength: 8 }), fc.constantFrom(...VERSIONS), (lines, version) => {
      const send = sent(encode(frame('SEND', [['destination', '/q'], ...lines], 'x'), { version: '1.2' }), '1.2');
      const kept = lines.filter(([name]) => !RESERVED.has(name));
      const blank = version === '1.0' ? /[\n\r]/g : version === '1.1' ? /\r/g : /(?!)/g;
      const lost = version === '1.0' ? /[\n\r:]/ : version === '1.1' ? /\r/ : /(?!)/;
      const expected = kept
        .filter(([name]) => !lost.test(name))
        .map(([name, value]) => [name, value.replace(blank, ' ')]);
      expect(delivered(of(send), version).lines).toEqual(expected);
    }),
    { numRuns: 1000 },
  );
});

describe('a conversation between both ends', () => {
  for (const version of VERSIONS) {
    for (const size of [undefined, 1, 7]) {
      test(`in ${version}, ${size === undefined ? 'whole' : `${size} bytes at a time`}: subscribe, deliver, settle, commit, abort, part`, () => {
        const cut = size === undefined ? undefined : { name: `${size}`, of: (all: Uint8Array) => inPieces(all, size) };
        const pair = connected<string>(version, { cut });
        const { client, server } = pair;
        for (const ack of ['auto', 'client', 'client-individual'] as const)
          client.send(frame('SUBSCRIBE', { id: ack, destination: `/queue/${ack}`, ack, receipt: ack }));
        for (const event of pair.toServer()) {
          if (event.type !== 'subscribe' || event.receipt === undefined) throw new Error(event.type);
          server.receipt(event.receipt);
          for (let id = 1; id <= 3; id++)
            server.message(
              event.subscription,
              {
                id,
                destination: event.subscription.destination,
                content: of(frame('SEND', { destination: '/q', n: id }, `${id}`)),
                redeliveries: id - 1,
              },
              `${event.subscription.id} ${id}`,
            );
        }
        const heard = pair.toClient();
        expect(heard.map(({ type }) => type)).toEqual(
          ['auto', 'client', 'single'].flatMap(() => ['receipt', 'message', 'message', 'message']),
        );
        const owed = heard.flatMap((event) =>
          event.type === 'message' && event.owed !== undefined ? [event.owed] : [],
        );
        expect(owed.map((one) => [one.item.get('n'), one.item.get('redelivered'), one.item.text()])).toEqual(
          [1, 2, 3, 1, 2, 3].map((n) => [`${n}`, n > 1 ? 'true' : undefined, `${n}`]),
        );
        const [, second, third, , one, two] = owed;
        if (!second || !third || !one || !two) throw new Error('too little is owed');

        client.send(frame('BEGIN', { transaction: 't' }));
        client.settle(second, 'ACK', { transaction: 't' });
        client.send(frame('SEND', { destination: '/q', transaction: 't' }, 'in t'));
        client.send(frame('ABORT', { transaction: 't' }));
        client.settle(third, 'ACK', { receipt: 'r' });
        if (version !== '1.0') client.settle(one, 'NACK');
        client.send(frame('BEGIN', { transaction: 't' }));
        client.settle(two, 'ACK', { transaction: 't' });
        client.send(frame('COMMIT', { transaction: 't' }));
        client.send(frame('UNSUBSCRIBE', { id: 'auto' }));
        client.send(frame('UNSUBSCRIBE', { id: 'client-individual' }));
        client.send(frame('DISCONNECT', { receipt: 'bye' }));
        const told = pair
          .toServer()
          .map((event) => [
            event.type,
            ...('items' in event ? [event.outcome, ...event.items] : []),
            ...('owed' in event ? event.owed : []),
          ]);
        expect(told).toEqual([
          ['begin'],
          ['settle', 'ack', 'client 1', 'client 2'],
          ['send'],
          ['abort'],
          ['settle', 'ack', 'client 1', 'client 2', 'client 3'],
          ...(version === '1.0' ? [] : [['settle', 'nack', 'client-individual 2']]),
          ['begin'],
          ['settle', 'ack', 'client-individual 3'],
          ['commit'],
          ['unsubscribe'],
          ['unsubscribe', 'client-individual 1', ...(version === '1.0' ? ['client-individual 2'] : [])],
          ['disconnect'],
        ]);
        server.receipt('bye');
        expect(only(pair.toClient(), 'receipt')).toMatchObject({ id: 'bye', expected: true });
        expect([client.state, server.state, [...client.receipts]]).toEqual(['disconnecting', 'disconnecting', ['r']]);
      });
    }

    test(`in ${version}: a body sent in pieces and received in pieces is the same body`, () => {
      const pair = connected<string>(version, { client: { streamBodiesOver: 10 } });
      pair.client.send(frame('SUBSCRIBE', { id: '1', destination: '/q' }));
      const { subscription } = only(pair.toServer(), 'subscribe');
      const body = Uint8Array.from({ length: 1000 }, (_, at) => at & 255);
      pair.client.sendHead(frame('SEND', { destination: '/q' }), body.length);
      for (let at = 0; at < body.length; at += 100) pair.client.sendPiece(body.subarray(at, at + 100), at === 900);
      const send = only(pair.toServer(), 'send');
      expect(send.frame.body).toEqual(body);
      pair.server.message(subscription, { id: 1, destination: '/q', content: of(send.frame), redeliveries: 0 }, 'item');
      const [message, ...pieces] = pair.toClient();
      expect(message).toMatchObject({ type: 'message', streaming: true, length: 1000 });
      const got = pieces.flatMap((event) => (event.type === 'piece' ? [...event.bytes] : []));
      expect(Uint8Array.from(got)).toEqual(body);
      expect(pieces.at(-1)).toMatchObject({ type: 'piece', last: true });
    });
  }

  test('C-54: a body in pieces keeps to its announcement, and ends with the session', () => {
    const { client } = connected('1.2');
    client.sendHead(frame('SEND', { destination: '/q' }), 2);
    expect(() => client.send(frame('SEND', { destination: '/q' }))).toThrow(/interrupt/);
    expect(() => client.sendPiece(bytes('abc'), true)).toThrow(/announced as 2/);
    const other = connected('1.2').client;
    other.sendHead(frame('SEND', { destination: '/q' }), undefined);
    expect(() => other.sendPiece(Uint8Array.of(0), false)).toThrow(/C-54/);
    const ended = connected('1.2').client;
    ended.sendHead(frame('SEND', { destination: '/q' }), 2);
    hear(ended, 'ERROR\nmessage:no\n\n\0');
    expect(() => ended.sendPiece(bytes('ab'), true)).toThrow(/session is closed/);
  });
});

test('the encoder that Content.of borrows is empty afterwards', () => {
  const encoder = new Encoder({ version: '1.2', unrepresentable: 'replace' });
  Content.of(sent('SEND\ndestination:/q\na:\\n\n\nx\0', '1.2'), RESERVED, encoder);
  expect(encoder.length).toBe(0);
});

test('hasAny says of any headers what has() says of each name, whether they are bytes or texts', () => {
  const names = ['a', 'bb', 'b:', 'é', 'expires'];
  const asked = names.filter((name) => name !== 'é'); // a NameSet is ASCII
  const name = fc.oneof(fc.constantFrom(...names, 'A', 'b', 'expired'), fc.string({ minLength: 1, maxLength: 3 }));
  fc.assert(
    fc.property(fc.array(fc.tuple(name, fc.string({ maxLength: 3 })), { maxLength: 6 }), (pairs) => {
      const made = frame('SEND', [['destination', '/q'], ...pairs]);
      const encoder = scratch();
      encoder.frame(made);
      const decoder = new Decoder({ version: '1.2' });
      decoder.push(encoder.take());
      const read = decoder.next() as Frame;
      const expected = asked.some((one) => made.headers.has(one));
      expect(made.headers.hasAny(new NameSet(asked))).toBe(expected);
      expect(read.headers.hasAny(new NameSet(asked))).toBe(expected);
      expect(read.headers.hasAny(new NameSet([]))).toBe(false);
    }),
  );
});

test('S-13: a message of no open subscription is refused with a NACK where it can be named, and otherwise not at all', () => {
  const message = frame('MESSAGE', { 'message-id': '1', destination: '/q', subscription: 'x', ack: 'a:1' });
  const client = served('1.2');
  expect(client.refuse(message)?.command).toBe('NACK');
  expect(text(client.take(0))).toBe('NACK\nid:a\\c1\n\n\0');
  expect(client.refuse(frame('MESSAGE', { 'message-id': '1', destination: '/q', subscription: 'x' }))).toBeUndefined();
  client.sendHead(frame('SEND', { destination: '/q' }), 3);
  expect(client.refuse(message)).toBeUndefined(); // a body is being sent
  const older = served('1.1');
  expect(older.refuse(message)).toBeUndefined();
  client.close();
  expect(client.refuse(message)).toBeUndefined();
  expect(older.pending).toBe(0);
});
