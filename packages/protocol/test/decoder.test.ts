// The decoder as its callers see it: push, next, iterate, length, offset, idle, clear,
// streaming, resync. What the bytes mean is in vectors.test.ts.

import {
  type Decoded,
  Decoder,
  type DecoderOptions,
  Frame,
  Headers,
  ProtocolError,
  UsageError,
} from '@stompbox/protocol';
import { cuts, inPieces, octets, random } from 'testkit';
import { describe, expect, test } from 'vitest';
import { decode, framesOf, latin1, pairs, utf8 } from './support.ts';

const SESSION =
  'CONNECTED\nversion:1.2\n\n\0\nMESSAGE\nsubscription:0\nfoo:é\\c\ncontent-length:5\n\na\0b\nc\0\n\nMESSAGE\na:b\n\nhello\0RECEIPT\nreceipt-id:1\n\n\0\n';

function pushed(bytes: string | Uint8Array, options: DecoderOptions = { version: '1.2' }): Decoder {
  const decoder = new Decoder(options);
  decoder.push(typeof bytes === 'string' ? utf8(bytes) : bytes);
  return decoder;
}

describe('push, next, iterate', () => {
  test('nothing pushed is nothing to read', () => {
    const decoder = new Decoder();
    expect(decoder.next()).toBeUndefined();
    expect([...decoder]).toEqual([]);
    decoder.push(new Uint8Array(0));
    expect(decoder.next()).toBeUndefined();
    expect({ idle: decoder.idle, length: decoder.length, offset: decoder.offset }).toEqual({
      idle: true,
      length: 0,
      offset: 0,
    });
  });

  test('iteration ends where more is needed, and goes on with the next push', () => {
    const decoder = pushed('BEGIN\ntransaction:1\n\n\0\nSEND\ndestination:/q\n\nhal');
    expect([...decoder].map((event) => event.type)).toEqual(['frame', 'heart-beat']);
    expect([...decoder]).toEqual([]);
    decoder.push(utf8('f\0COMMIT\ntransaction:1\n\n\0'));
    expect([...decoder].map((event) => event instanceof Frame && event.command)).toEqual(['SEND', 'COMMIT']);
  });

  test('iteration may be left and taken up again', () => {
    const decoder = pushed('\n\nBEGIN\ntransaction:1\n\n\0');
    for (const event of decoder) {
      expect(event.type).toBe('heart-beat');
      break;
    }
    expect([...decoder].map((event) => event.type)).toEqual(['heart-beat', 'frame']);
  });

  test('length is what has come and was not handed out, offset what was', () => {
    const decoder = new Decoder({ version: '1.2' });
    const bytes = utf8(SESSION);
    let out = 0;
    for (const [at, octet] of inPieces(bytes, 1).entries()) {
      decoder.push(octet);
      for (const _event of decoder) out = at + 1;
      expect(decoder.offset + decoder.length).toBe(at + 1);
      expect(decoder.offset).toBeGreaterThanOrEqual(out);
    }
    expect(decoder.offset).toBe(bytes.length);
  });

  test('M-36: every prefix of a valid session waits for more, and is idle between frames only', () => {
    const bytes = utf8(SESSION);
    const whole = decode([bytes], { version: '1.2' }).seen;
    for (let length = 0; length <= bytes.length; length++) {
      const decoder = new Decoder({ version: '1.2' });
      decoder.push(bytes.slice(0, length));
      const events = [...decoder];
      expect(decode([bytes.slice(0, length)], { version: '1.2' }).seen).toEqual(whole.slice(0, events.length));
      const between = length === 0 || bytes[length - 1] === 10 || bytes[length - 1] === 0;
      if (decoder.idle) expect(between).toBe(true);
      expect(decoder.progress === 'idle').toBe(decoder.idle);
    }
  });

  test.each([
    ['', 'idle'],
    ['\n', 'idle'],
    ['\r', 'head'],
    ['S', 'head'],
    ['SEND\na:b\n', 'head'],
    ['SEND\na:b\n\n', 'body'],
    ['SEND\na:b\n\nxyz', 'body'],
    ['SEND\ncontent-length:2\n\nab', 'body'],
    ['SEND\ncontent-length:2\n\nab\0', 'idle'],
    ['DISCONNECT\n\n', 'body'],
  ] as const)('a stream that ends behind %j was cut in: %s', (bytes, progress) => {
    const decoder = pushed(bytes);
    for (const _event of decoder);
    expect(decoder.progress).toBe(progress);
  });

  test('the version may be set between two frames, and counts from the next one on', () => {
    const decoder = pushed('CONNECTED\nsession:a\\b:c\n\n\0MESSAGE\nfoo:a\\cb\n\n\0MESSAGE\nfoo:a\\cb\n\n\0', {});
    const next = (): string | undefined => {
      const event = decoder.next();
      return event instanceof Frame ? (event.get('foo') ?? event.get('session')) : undefined;
    };
    expect(next()).toBe('a\\b:c');
    decoder.version = '1.2';
    expect(next()).toBe('a:b');
    decoder.version = '1.0';
    expect(next()).toBe('a\\cb');
    expect(decoder.version).toBe('1.0');
  });

  test('C-70: limits may be tightened and widened between frames', () => {
    const decoder = new Decoder({ limits: { maxBodyBytes: 4 } });
    decoder.push(utf8('SEND\n\n1234\0'));
    expect(decoder.next()).toBeInstanceOf(Frame);
    decoder.limits = { maxBodyBytes: 8 };
    decoder.push(utf8('SEND\n\n12345678\0'));
    expect(decoder.next()).toBeInstanceOf(Frame);
    decoder.limits = { maxHeaders: 1 };
    decoder.push(utf8('SEND\na:b\n\n12345678\0'));
    expect(decoder.next()).toBeInstanceOf(Frame);
    decoder.push(utf8('SEND\na:b\na:b\n\n'));
    expect(() => decoder.next()).toThrow(expect.objectContaining({ code: 'too-many-headers' }));
  });
});

describe('C-73: an error is the end', () => {
  test('the same error is thrown ever after, and nothing more is kept or read', () => {
    const decoder = pushed('BEGIN\ntransaction:1\n\n\0FOO\n\n\0SEND\n\n\0');
    expect(decoder.next()).toBeInstanceOf(Frame);
    const thrown: unknown[] = [];
    for (let i = 0; i < 3; i++) {
      try {
        decoder.next();
      } catch (error) {
        thrown.push(error);
      }
      decoder.push(utf8('SEND\ndestination:/q\n\nx\0'));
      expect(decoder.length).toBe(0);
    }
    expect(thrown).toHaveLength(3);
    expect(new Set(thrown).size).toBe(1);
    expect(thrown[0]).toBeInstanceOf(ProtocolError);
    expect(() => [...decoder]).toThrow(ProtocolError);
    expect(decoder.idle).toBe(false);
  });

  test('the offset counts from the beginning of the stream, over every push', () => {
    const decoder = new Decoder({ version: '1.2' });
    for (const chunk of inPieces(utf8(SESSION), 7)) {
      decoder.push(chunk);
      for (const _event of decoder);
    }
    decoder.push(utf8('MESSAGE\nfoo\n\n\0'));
    expect(() => decoder.next()).toThrow(expect.objectContaining({ offset: utf8(SESSION).length + 8, rule: 'C-21' }));
  });

  test('the message names what was found, the rule and the byte', () => {
    expect(() => pushed('SEND\nfoo\n\n\0').next()).toThrow(/"foo" has no colon \[C-21, byte 5\]/);
    expect(() => pushed('SEND\nfoo:\\t\n\n\0').next()).toThrow(/\\t.*1\.2 \[C-41, byte 9\]/);
  });

  test('clear() forgets the error and the bytes, and counts on', () => {
    const decoder = pushed('FOO\n\n\0rest');
    expect(() => decoder.next()).toThrow(ProtocolError);
    decoder.clear();
    expect({ idle: decoder.idle, length: decoder.length, offset: decoder.offset }).toEqual({
      idle: true,
      length: 0,
      offset: 10,
    });
    decoder.push(utf8('DISCONNECT\nfoo:a\\cb\n\n\0'));
    const event = decoder.next();
    expect(event instanceof Frame && event.headers.get('foo')).toBe('a:b');
  });

  test.each(['SEN', 'SEND\nfo', 'SEND\nfoo:b\\', 'SEND\nfoo:bar\n\nbod', 'SEND\ncontent-length:9\n\nbod'])(
    'clear() in the middle of %j',
    (begun) => {
      const decoder = pushed(begun);
      expect(decoder.next()).toBeUndefined();
      decoder.clear();
      expect(decoder.next()).toBeUndefined();
      expect(decoder.offset).toBe(begun.length);
      for (const octet of inPieces(utf8('SEND\na:b\nc:d\n\nx\0'), 1)) {
        expect(decoder.next()).toBeUndefined();
        decoder.push(octet);
      }
      const event = decoder.next();
      expect(event instanceof Frame && [pairs(event.headers), event.text()]).toEqual([
        [
          ['a', 'b'],
          ['c', 'd'],
        ],
        'x',
      ]);
    },
  );
});

describe('views, not copies', () => {
  test('a body inside one chunk is a view of it', () => {
    const chunk = utf8('SEND\na:b\n\nhello\0SEND\ncontent-length:2\n\nhi\0');
    for (const event of pushed(chunk)) {
      expect(event instanceof Frame && event.body.buffer).toBe(chunk.buffer);
    }
  });

  test('a chunk is never written to, nor a body once it is handed out', () => {
    const chunks = inPieces(utf8(SESSION.repeat(20)), 11);
    const copies = chunks.map((chunk) => chunk.slice());
    const decoder = new Decoder({ version: '1.2' });
    const bodies: { body: Uint8Array; copy: Uint8Array }[] = [];
    for (const chunk of chunks) {
      decoder.push(chunk);
      for (const event of decoder)
        if (event instanceof Frame) bodies.push({ body: event.body, copy: event.body.slice() });
    }
    expect(chunks).toEqual(copies);
    for (const { body, copy } of bodies) expect(body).toEqual(copy);
    expect(bodies).toHaveLength(80);
  });

  test('headers read late say what headers read early said', () => {
    const source = utf8(SESSION.repeat(50));
    for (const size of [1, 13, 100, source.length]) {
      const decoder = new Decoder({ version: '1.2' });
      const frames: Frame[] = [];
      const early: [string, string][][] = [];
      for (const chunk of inPieces(source, size)) {
        decoder.push(chunk);
        for (const event of decoder) if (event instanceof Frame) frames.push(event);
      }
      const again = new Decoder({ version: '1.2' });
      for (const chunk of inPieces(source, size)) {
        again.push(chunk);
        for (const event of again) if (event instanceof Frame) early.push(pairs(event.headers));
      }
      expect(frames.map((frame) => pairs(frame.headers))).toEqual(early);
    }
  });

  test('a thousand headers, where they are allowed, are all there', () => {
    const lines = Array.from({ length: 1500 }, (_, n) => [`h${n}`, `v${n}`] as const);
    const one = `SEND\n${lines.map(([name, value]) => `${name}:${value}\n`).join('')}\n\0`;
    const options = { version: '1.2', limits: { maxHeaders: 2000, maxHeadBytes: 1e6 } } as const;
    for (const frame of framesOf(utf8(one.repeat(7)), options)) expect(pairs(frame.headers)).toEqual(lines);
    expect(decode(inPieces(utf8(one.repeat(2)), 50), options).seen).toEqual(
      decode([utf8(one.repeat(2))], options).seen,
    );
  });
});

describe('streaming', () => {
  const events = (decoder: Decoder): string[] =>
    [...decoder].map((event: Decoded) => {
      if (event.type === 'head') return `head ${event.frame.command} ${event.length} ${event.frame.body.length}`;
      if (event.type === 'piece') return `piece ${latin1(event.bytes)}${event.last ? ' last' : ''}`;
      return event.type;
    });

  test('a body of known length is head, pieces as they come, last piece', () => {
    const decoder = pushed('MESSAGE\ncontent-length:6\n\nab', { version: '1.2', streamBodiesOver: 5 });
    expect(events(decoder)).toEqual(['head MESSAGE 6 0', 'piece ab']);
    decoder.push(utf8('cd'));
    expect(events(decoder)).toEqual(['piece cd']);
    decoder.push(utf8('ef'));
    expect(events(decoder)).toEqual(['piece ef']);
    expect(decoder.idle).toBe(false);
    decoder.push(utf8('\0\n'));
    expect(events(decoder)).toEqual(['piece  last', 'heart-beat']);
    expect(decoder.idle).toBe(true);
  });

  test('a body without length is streamed from where it is too long on', () => {
    const decoder = pushed('SEND\n\nabc', { version: '1.2', streamBodiesOver: 3 });
    expect(events(decoder)).toEqual([]);
    decoder.push(utf8('d'));
    expect(events(decoder)).toEqual(['head SEND undefined 0', 'piece abcd']);
    decoder.push(utf8('e\0DISCONNECT\n\n\0'));
    expect(events(decoder)).toEqual(['piece e last', 'frame']);
  });

  test.each([
    ['SEND\n\nabc\0', ['frame']],
    ['SEND\ncontent-length:3\n\nabc\0', ['frame']],
    ['SEND\n\nabcd\0', ['head SEND undefined 0', 'piece abcd last']],
    ['SEND\ncontent-length:4\n\nabcd\0', ['head SEND 4 0', 'piece abcd last']],
    ['SEND\ncontent-length:0\n\n\0', ['frame']],
  ])('with streamBodiesOver: 3, %j', (bytes, expected) => {
    expect(events(pushed(bytes, { version: '1.2', streamBodiesOver: 3 }))).toEqual(expected);
  });

  test('M-33: frames without a body are never streamed', () => {
    expect(events(pushed('BEGIN\ntransaction:1\n\n\0', { version: '1.2', streamBodiesOver: 0 }))).toEqual(['frame']);
    const discarding = { version: '1.2', streamBodiesOver: 0, discardStrayBody: true } as const;
    expect(events(pushed('BEGIN\ntransaction:1\n\njunk\0', discarding))).toEqual(['frame']);
  });

  test('C-60: a streamed body may be longer than the limit of one that is kept', () => {
    const decoder = pushed('SEND\ncontent-length:20\n\n', {
      version: '1.2',
      streamBodiesOver: 5,
      limits: { maxBodyBytes: 10 },
    });
    expect(events(decoder)).toEqual(['head SEND 20 0']);
    const kept = pushed('SEND\ncontent-length:20\n\n', {
      version: '1.2',
      streamBodiesOver: 20,
      limits: { maxBodyBytes: 10 },
    });
    expect(() => kept.next()).toThrow(expect.objectContaining({ code: 'body-too-large' }));
  });

  test('C-51: a streamed body longer than announced is refused, and its last piece is not handed out', () => {
    const decoder = pushed('SEND\ncontent-length:3\n\nabcd\0', { version: '1.2', streamBodiesOver: 0 });
    expect(decoder.next()).toMatchObject({ type: 'head', length: 3 });
    expect(() => decoder.next()).toThrow(expect.objectContaining({ code: 'missing-nul', offset: 26 }));
  });

  test('a piece is a view of its chunk', () => {
    const decoder = pushed('SEND\ncontent-length:6\n\n', { version: '1.2', streamBodiesOver: 0 });
    for (const _event of decoder);
    const chunk = utf8('abc');
    decoder.push(chunk);
    const piece = decoder.next();
    expect(piece?.type === 'piece' && piece.bytes.buffer).toBe(chunk.buffer);
  });
});

describe('resync', () => {
  const INTACT = 'SEND\ndestination:/q\n\nintact\0';
  const damaged: readonly (readonly [name: string, bytes: string])[] = [
    ['an unknown command', 'FOO\na:b\n\nx\0'],
    ['a header without a colon', 'SEND\na\n\nx\0'],
    ['a NUL between frames', '\0'],
    ['many NULs', '\0\0\0\0'],
    ['a body longer than announced', 'SEND\ncontent-length:2\n\nabcdef\0'],
    ['a body where none may be', 'BEGIN\ntransaction:1\n\njunk\0'],
    ['a cut head', 'SEND\ndestina\0'],
    ['a bad escape', 'SEND\nfoo:\\t\n\nx\0'],
    ['a command too long', `${'X'.repeat(100)}\n\n\0`],
    ['a header too long', `SEND\na:${'x'.repeat(20_000)}\n\n\0`],
    ['a stray CR', 'SEND\na:b\rc\n\nx\0'],
    ['the end of a frame', 'stination:/q\n\nhello\0'],
    ['a known command inside junk', 'FOO\nxSEND\nSENDX\n\nSEN\0'],
  ];

  test.each(damaged)('%s is one or more stretches of damage, and the next intact frame is found', (_, bytes) => {
    const stream = utf8(`${INTACT}${bytes}${INTACT}${INTACT}`);
    const options = { version: '1.2', resync: true } as const;
    const whole = decode([stream], options);
    expect(whole.error).toBeUndefined();
    const seen = whole.seen.filter((event) => typeof event === 'object' && 'command' in event);
    expect(seen.filter((event) => 'body' in event && event.body === 'intact')).toHaveLength(3);
    expect(whole.seen.at(0)).toMatchObject({ command: 'SEND', body: 'intact' });
    expect(whole.seen.at(-1)).toMatchObject({ command: 'SEND', body: 'intact' });
    const damage = whole.seen.filter((event) => typeof event === 'object' && 'skipped' in event);
    expect(
      damage.reduce((sum, event) => sum + (typeof event === 'object' && 'skipped' in event ? event.skipped : 0), 0),
    ).toBe(bytes.length);
    for (const cut of stream.length < 400 ? cuts(stream.length) : cuts(3))
      expect(decode(cut.of(stream), options), cut.name).toEqual(whole);
  });

  test('frames that a false content-length swallowed are found again', () => {
    const swallowed = decode([utf8(`SEND\ncontent-length:30\n\n${INTACT}${INTACT}`)], { version: '1.2', resync: true });
    expect(swallowed.seen).toEqual([
      { skipped: 24, code: 'missing-nul' },
      expect.objectContaining({ body: 'intact' }),
      expect.objectContaining({ body: 'intact' }),
    ]);
  });

  test('without it nothing is skipped', () => {
    expect(decode([utf8(`FOO\n\n\0${INTACT}`)], { version: '1.2' })).toMatchObject({
      seen: [],
      error: { code: 'unknown-command' },
    });
  });
});

describe('headers', () => {
  const wire = (lines: string | Uint8Array, options: DecoderOptions = { version: '1.2' }): Headers => {
    const event = pushed(octets('MESSAGE\n', lines, '\n\0'), options).next();
    return event instanceof Frame ? event.headers : Headers.none;
  };

  test('C-31, M-140: get is the first of a name, getAll are all of them', () => {
    const headers = wire('subscription:real\nfoo:1\nsubscription:evil\n');
    expect(headers.get('subscription')).toBe('real');
    expect(headers.getAll('subscription')).toEqual(['real', 'evil']);
    expect(headers.size).toBe(3);
    expect(headers.has('foo')).toBe(true);
    expect(headers.get('bar')).toBeUndefined();
    expect(headers.getAll('bar')).toEqual([]);
  });

  test('M-82: __proto__ and its like are headers like any other', () => {
    const headers = wire('__proto__:1\nconstructor:2\nhasOwnProperty:3\nthen:4\ntoString:5\n__proto__:6\n');
    const object = headers.toObject();
    expect(Object.keys(object)).toEqual(['__proto__', 'constructor', 'hasOwnProperty', 'then', 'toString']);
    expect(Object.getPrototypeOf(object)).toBeNull();
    expect(headers.get('__proto__')).toBe('1');
    expect(wire('a:b\n').get('__proto__')).toBeUndefined();
    expect(wire('a:b\n').toObject()).not.toHaveProperty('constructor');
    expect(JSON.parse(JSON.stringify(headers))).toHaveLength(6);
  });

  test('a name is not found in the octets of another', () => {
    const headers = wire('é:1\n');
    expect(headers.get('é')).toBe('1');
    expect(headers.get('Ã©'), 'C3 A9 as Latin-1').toBeUndefined();
    const latin = wire(octets(0xe9, ':1\n'), { version: '1.2', headerUtf8: 'latin1' });
    expect(latin.get('é')).toBe('1');
  });

  test('C-17: a byte order mark is part of a name, even of the first', () => {
    const headers = wire('\ufefffoo:1\nfoo:2\n');
    expect(headers.get('foo')).toBe('2');
    expect(headers.get('\ufefffoo')).toBe('1');
  });

  test('headers are the same lazily, eagerly, by name and in order', () => {
    const next = random(7);
    const names = ['a', 'ab', 'é', 'Ã©', 'a:b', 'a\\b', 'x\n', ' a', '__proto__', 'a'.repeat(60)];
    for (let round = 0; round < 300; round++) {
      const list = Array.from(
        { length: 6 },
        (_, n) => [names[Math.floor(next() * names.length)] ?? 'a', `${n}`] as const,
      );
      const eager = Headers.from(list);
      const lines = list.map(
        ([name, value]) => `${name.replaceAll('\\', '\\\\').replaceAll(':', '\\c').replaceAll('\n', '\\n')}:${value}\n`,
      );
      for (const name of names) {
        const lazy = wire(lines.join(''));
        expect(lazy.get(name)).toBe(eager.get(name));
        expect(lazy.has(name)).toBe(eager.has(name));
        expect(lazy.getAll(name)).toEqual(eager.getAll(name));
        expect(lazy.get(name), 'once read').toBe(eager.get(name));
        expect(pairs(lazy)).toEqual(pairs(eager));
        expect(lazy.size).toBe(eager.size);
      }
    }
  });

  test('an empty name is refused', () => {
    expect(() => Headers.from([['', 'x']])).toThrow(UsageError);
  });
});
