// What is written, what is refused, and what is replaced (conformance 1.3, 1.4).

import {
  type Command,
  Decoder,
  Encoder,
  type EncoderOptions,
  encode,
  Frame,
  frame,
  type HeaderPairs,
  Headers,
  isHandshake,
  UsageError,
  VERSIONS,
  type Version,
} from '@stompbox/protocol';
import { describe, expect, test } from 'vitest';
import { framesOf, latin1, pairs, utf8 } from './support.ts';

const COMMANDS: readonly Command[] = [
  'SEND',
  'MESSAGE',
  'CONNECT',
  'STOMP',
  'CONNECTED',
  'ERROR',
  'RECEIPT',
  'SUBSCRIBE',
];

function written(command: Command, headers: HeaderPairs, options: EncoderOptions, body = ''): string {
  return latin1(encode(frame(command, headers, body), options));
}

function refusal(command: Command, headers: HeaderPairs, options: EncoderOptions): UsageError {
  const encoder = new Encoder(options);
  encoder.heartBeat();
  try {
    encoder.frame(frame(command, headers));
  } catch (error) {
    expect(latin1(encoder.take()), 'nothing of a refused frame is written').toBe('\n');
    if (error instanceof UsageError) return error;
    throw error;
  }
  throw new Error(`written: ${JSON.stringify(latin1(encoder.take()))}`);
}

describe('C-44, X-12: a header cannot inject another', () => {
  const evil = ['a\nadmin:true', 'a\n', '\n', 'a\n\nbody\0', 'a\0SEND\ndestination:/q\n\n\0', '\0'];
  for (const version of [undefined, ...VERSIONS]) {
    const raw = (command: Command): boolean => version === undefined || version === '1.0' || isHandshake(command);
    for (const command of version === '1.0' ? COMMANDS.filter((c) => c !== 'STOMP') : COMMANDS) {
      test.each(evil)(`${version ?? 'before negotiation'} ${command}: login = %j`, (value) => {
        if (raw(command) || value.includes('\0')) {
          expect(refusal(command, [['foo', value]], { version })).toMatchObject({ code: 'unencodable' });
          expect(refusal(command, [[value, 'foo']], { version })).toMatchObject({ code: 'unencodable' });
        } else {
          const [first] = framesOf(
            encode(
              frame(command, [
                ['foo', value],
                [value, 'foo'],
              ]),
              { version },
            ),
            { version },
          );
          expect(first && pairs(first.headers)).toEqual([
            ['foo', value],
            [value, 'foo'],
          ]);
        }
      });
      test(`${version ?? 'before negotiation'} ${command}: a CR in a value`, () => {
        if (version === '1.2' && !isHandshake(command))
          expect(written(command, [['foo', 'a\rb']], { version })).toContain('foo:a\\rb\n');
        else expect(refusal(command, [['foo', 'a\rb']], { version })).toMatchObject({ code: 'unencodable' });
      });
      test(`${version ?? 'before negotiation'} ${command}: a colon in a name`, () => {
        if (raw(command)) expect(refusal(command, [['a:b', 'c']], { version })).toMatchObject({ code: 'unencodable' });
        else expect(written(command, [['a:b', 'c']], { version })).toContain('\na\\cb:c\n');
      });
    }
  }

  test('the refusal shows the name, and not the value of a secret', () => {
    expect(refusal('CONNECT', [['passcode', 'hunter2\nx']], {}).message).not.toContain('hunter2');
    expect(refusal('CONNECT', [['passcode', 'hunter2\nx']], {}).message).toContain('passcode');
    expect(refusal('SEND', [['x-auth-token', 'hunter2\nx']], { version: '1.0' }).message).not.toContain('hunter2');
  });

  test('a frame behind a refused one is whole', () => {
    const encoder = new Encoder({ version: '1.0' });
    encoder.frame(frame('SEND', { destination: '/q', 'content-length': '99' }, 'x'));
    expect(() => encoder.frame(frame('SEND', { destination: '/q', foo: 'a\nb' }, 'y'))).toThrow(UsageError);
    encoder.frame(frame('SEND', { destination: '/q' }, 'z'));
    expect(framesOf(encoder.take(), { version: '1.0' }).map((sent) => sent.text())).toEqual(['x', 'z']);
  });
});

describe('C-38, C-39, C-26: what is escaped', () => {
  test.each([
    ['1.0', 'a:b\\c', 'a:b\\c'],
    ['1.1', 'a:b\\c\nd', 'a\\cb\\\\c\\nd'],
    ['1.2', 'a:b\\c\nd\re', 'a\\cb\\\\c\\nd\\re'],
    ['1.2', ':\\\n\r', '\\c\\\\\\n\\r'],
    ['1.2', 'é:€\\𝄞\n', 'é\\c€\\\\𝄞\\n'],
    ['1.2', ' padded\t', ' padded\t'],
    ['1.0', '', ''],
  ] as const)('%s writes %j as %j', (version, value, expected) => {
    expect(encode(frame('MESSAGE', [['foo', value]]), { version })).toEqual(utf8(`MESSAGE\nfoo:${expected}\n\n\0`));
  });

  test.each([undefined, ...VERSIONS])(
    'C-36: %s: CONNECT, STOMP and CONNECTED keep colons and backslashes raw',
    (version) => {
      for (const command of ['CONNECT', 'STOMP', 'CONNECTED'] as const)
        expect(written(command, [['passcode', 'a:b\\n\\']], { version })).toBe(`${command}\npasscode:a:b\\n\\\n\n\0`);
    },
  );

  test.each(VERSIONS)('X-11: with escapeConnect, %s CONNECT is escaped as the broker will unescape it', (version) => {
    const options = { version, escapeConnect: true };
    expect(written('CONNECT', [['passcode', 'a\\b:c']], options)).toBe('CONNECT\npasscode:a\\\\b\\cc\n\n\0');
    expect(written('CONNECT', [['passcode', 'a\nb']], options)).toBe('CONNECT\npasscode:a\\nb\n\n\0');
  });

  test('X-11: escapeConnect leaves other frames to their version', () => {
    expect(written('SEND', [['foo', 'a:b']], { version: '1.0', escapeConnect: true })).toBe('SEND\nfoo:a:b\n\n\0');
  });

  test('C-43: a CR in a 1.1 header is refused, or written raw with rawCr11', () => {
    expect(refusal('SEND', [['foo', 'a\rb']], { version: '1.1' })).toMatchObject({ code: 'unencodable' });
    expect(refusal('SEND', [['f\ro', 'b']], { version: '1.1' })).toMatchObject({ code: 'unencodable' });
    expect(written('SEND', [['f\ro', 'a\rb:\n']], { version: '1.1', rawCr11: true })).toBe(
      'SEND\nf\ro:a\rb\\c\\n\n\n\0',
    );
    expect(written('SEND', [['foo', 'a\r']], { version: '1.2', rawCr11: true })).toBe('SEND\nfoo:a\\r\n\n\0');
    expect(refusal('SEND', [['foo', 'a\r']], { version: '1.0', rawCr11: true })).toMatchObject({ code: 'unencodable' });
  });
});

describe('C-45, M-81: what somebody else chose is replaced, never written raw', () => {
  const evil: HeaderPairs = [
    ['a', 'x\ndestination:/queue/evil'],
    ['b\nadmin', 'true'],
    ['c:d', 'colon'],
    ['e', 'cr\rlf'],
    ['f\r', 'cr'],
    ['g', 'nul\0'],
    ['h\0', 'nul'],
    ['i', 'lone \ud800!'],
    ['j\udc00', 'lone'],
    ['k', '𝄞 fine'],
  ];
  test.each([
    [
      '1.0',
      [
        ['a', 'x destination:/queue/evil'],
        ['e', 'cr lf'],
        ['g', 'nul '],
        ['i', 'lone \ufffd!'],
        ['k', '𝄞 fine'],
      ],
    ],
    [
      '1.1',
      [
        ['a', 'x\ndestination:/queue/evil'],
        ['b\nadmin', 'true'],
        ['c:d', 'colon'],
        ['e', 'cr lf'],
        ['g', 'nul '],
        ['i', 'lone \ufffd!'],
        ['k', '𝄞 fine'],
      ],
    ],
    [
      '1.2',
      [
        ['a', 'x\ndestination:/queue/evil'],
        ['b\nadmin', 'true'],
        ['c:d', 'colon'],
        ['e', 'cr\rlf'],
        ['f\r', 'cr'],
        ['g', 'nul '],
        ['i', 'lone \ufffd!'],
        ['k', '𝄞 fine'],
      ],
    ],
  ] as const)('to a %s consumer', (version, expected) => {
    const bytes = encode(frame('MESSAGE', evil, 'body'), { version, unrepresentable: 'replace' });
    const decoder = new Decoder({ version });
    decoder.push(bytes);
    const events = [...decoder];
    expect(events).toHaveLength(1);
    const [first] = events;
    expect(first instanceof Frame && pairs(first.headers)).toEqual([...expected, ['content-length', '4']]);
  });

  test.each([undefined, ...VERSIONS])('%s: a handshake frame too', (version) => {
    const bytes = encode(frame('CONNECTED', evil), { version, unrepresentable: 'replace' });
    const [first] = framesOf(bytes, { version });
    expect(first && pairs(first.headers)).toEqual([
      ['a', 'x destination:/queue/evil'],
      ['e', 'cr lf'],
      ['g', 'nul '],
      ['i', 'lone \ufffd!'],
      ['k', '𝄞 fine'],
    ]);
  });

  test('a value is not touched more than its version demands', () => {
    const both: HeaderPairs = [
      ['foo', 'a\r\0b'],
      ['f\ro', '\0'],
    ];
    expect(written('MESSAGE', both, { version: '1.2', unrepresentable: 'replace' })).toBe(
      'MESSAGE\nfoo:a\\r b\nf\\ro: \n\n\0',
    );
    expect(written('MESSAGE', [['foo', '\r\0']], { version: '1.1', rawCr11: true, unrepresentable: 'replace' })).toBe(
      'MESSAGE\nfoo:\r \n\n\0',
    );
  });
});

describe('C-67: lone surrogates', () => {
  test.each([undefined, ...VERSIONS])('%s: refused in names and values', (version) => {
    for (const lone of ['\ud800', 'a\udfff', '\udc00\ud800', '𝄞\ud834']) {
      expect(refusal('SEND', [['foo', lone]], { version })).toMatchObject({ code: 'unencodable' });
      expect(refusal('SEND', [[lone, 'foo']], { version })).toMatchObject({ code: 'unencodable' });
    }
  });
  test('refused in a body of text', () => {
    expect(() => frame('SEND', { destination: '/q' }, 'a\ud800')).toThrow(
      expect.objectContaining({ code: 'bad-body' }),
    );
  });
  test('a pair is no lone surrogate, wherever the escapes stand', () => {
    const value = '𝄞:𝄞\\😀\n😀';
    const [first] = framesOf(encode(frame('SEND', [['foo', value]]), { version: '1.2' }), { version: '1.2' });
    expect(first?.get('foo')).toBe(value);
  });
});

describe('content-length', () => {
  test('C-55: a body announces its octets', () => {
    expect(written('SEND', [], {}, 'é')).toBe('SEND\ncontent-length:2\n\n\xc3\xa9\0');
  });
  test('an empty body announces nothing', () => {
    expect(written('SEND', [], {})).toBe('SEND\n\n\0');
  });
  test.each([
    ['text', 'SEND\n\ntext\0'],
    ['\ufeffé', 'SEND\n\n\xef\xbb\xbf\xc3\xa9\0'],
    ['a\0b', 'SEND\ncontent-length:3\n\na\0b\0'],
  ])('C-56: whenNeeded, %j', (body, expected) => {
    expect(written('SEND', [], { contentLength: 'whenNeeded' }, body)).toBe(expected);
  });
  test('C-56: whenNeeded can be asked for a single frame', () => {
    const encoder = new Encoder({ version: '1.2' });
    encoder.frame(frame('SEND', [], 'a'), 'whenNeeded');
    encoder.frame(frame('SEND', [], 'b'));
    encoder.frame(frame('SEND', [], '\0'), 'whenNeeded');
    expect(latin1(encoder.take())).toBe('SEND\n\na\0SEND\ncontent-length:1\n\nb\0SEND\ncontent-length:1\n\n\0\0');
  });

  test('C-56: whenNeeded, a body that is no UTF-8', () => {
    const bytes = encode(frame('SEND', [], Uint8Array.of(0xff)), { contentLength: 'whenNeeded' });
    expect(latin1(bytes)).toBe('SEND\ncontent-length:1\n\n\xff\0');
  });
  test.each(['99', '0', '-1', 'abc', 'a\nb'])(
    'C-57: %j from the caller is replaced by the real one, where it stood',
    (lie) => {
      expect(
        written(
          'SEND',
          [
            ['a', '1'],
            ['content-length', lie],
            ['b', '2'],
            ['content-length', lie],
          ],
          {},
          'xyz',
        ),
      ).toBe('SEND\na:1\ncontent-length:3\nb:2\n\nxyz\0');
      expect(written('SEND', [['content-length', lie]], {})).toBe('SEND\ncontent-length:0\n\n\0');
      expect(written('SEND', [['content-length', lie]], { contentLength: 'whenNeeded' }, 'xyz')).toBe('SEND\n\nxyz\0');
    },
  );
  test('C-57, C-61: on a frame without a body it is 0, whatever the caller says', () => {
    for (const command of ['SUBSCRIBE', 'CONNECT', 'DISCONNECT', 'RECEIPT'] as const) {
      const bytes = encode(new Frame(command, Headers.from([['content-length', '5']])), { version: '1.2' });
      expect(latin1(bytes)).toBe(`${command}\ncontent-length:0\n\n\0`);
      expect(framesOf(bytes, { version: '1.2' })).toHaveLength(1);
    }
  });
  test('C-61: a body where none may be is refused, however the frame was made', () => {
    expect(() => frame('BEGIN', { transaction: '1' }, 'x')).toThrow(expect.objectContaining({ code: 'bad-body' }));
    expect(() => encode(new Frame('BEGIN', Headers.none, utf8('x')))).toThrow(
      expect.objectContaining({ code: 'bad-body' }),
    );
  });
  test('M-34: a body that holds a whole frame arrives as one body', () => {
    const body = '\0SEND\ndestination:/queue/evil\n\nx\0';
    for (const contentLength of ['always', 'whenNeeded'] as const) {
      const frames = framesOf(encode(frame('SEND', { destination: '/q' }, body), { contentLength }));
      expect(frames.map((sent) => sent.text())).toEqual([body]);
    }
  });
});

describe('in pieces', () => {
  test('C-15: head, pieces and NUL are the frame', () => {
    const encoder = new Encoder({ version: '1.2' });
    const head = frame('SEND', { destination: '/q' });
    encoder.head(head, 6);
    encoder.bytes(utf8('abc'));
    encoder.slice(utf8('xdefx'), 1, 4);
    encoder.byte(0);
    const whole = encode(frame('SEND', { destination: '/q' }, 'abcdef'), { version: '1.2' });
    expect(encoder.take()).toEqual(whole);
  });
  test('without a length nothing is announced, whatever the headers say', () => {
    const encoder = new Encoder();
    encoder.head(frame('SEND', { destination: '/q', 'content-length': '3' }), undefined);
    encoder.byte(0);
    expect(latin1(encoder.take())).toBe('SEND\ndestination:/q\n\n\0');
  });
  test('a refused head leaves nothing behind', () => {
    const encoder = new Encoder({ version: '1.0' });
    encoder.heartBeat();
    expect(() => encoder.head(frame('SEND', { destination: 'a\nb' }), 3)).toThrow(UsageError);
    expect(latin1(encoder.take())).toBe('\n');
  });
});

describe('take()', () => {
  const COPIED = 16 * 1024; // below this take() copies
  test.each([0, 1, 47, 48, 49, COPIED - 1, COPIED, COPIED + 1, 64 * 1024 - 1, 64 * 1024, 64 * 1024 + 1, 200_000])(
    '%d bytes',
    (length) => {
      const bytes = Uint8Array.from({ length }, (_, at) => at % 251);
      const encoder = new Encoder();
      encoder.bytes(bytes);
      expect(encoder.length).toBe(length);
      const taken = encoder.take();
      expect(Buffer.compare(taken, bytes)).toBe(0);
      expect(encoder.length).toBe(0);
      expect(encoder.take()).toHaveLength(0);
      encoder.bytes(new Uint8Array(length + 100).fill(255));
      encoder.take();
      expect(Buffer.compare(taken, bytes), 'what was taken is the caller’s').toBe(0);
    },
  );

  test.each(VERSIONS)('%s: headers, ASCII and not, at every place where the buffer grows', (version) => {
    const EDGE = 64 * 1024;
    for (const value of ['x'.repeat(100), 'é'.repeat(50), `a:\\${'€'.repeat(30)}`, '𝄞'.repeat(25)]) {
      for (let room = 0; room < 330; room += 1) {
        const encoder = new Encoder({ version });
        for (let left = EDGE - room; left > 0; left -= 8192) encoder.bytes(new Uint8Array(Math.min(8192, left)));
        encoder.header('foo', value);
        encoder.byte(7);
        const alone = new Encoder({ version });
        alone.header('foo', value);
        const line = alone.take();
        const all = encoder.take();
        expect(all.length).toBe(EDGE - room + line.length + 1);
        expect(Buffer.compare(all.subarray(EDGE - room, -1), line)).toBe(0);
      }
    }
  });

  test.each([
    [],
    [3],
    [100],
    [20_000],
    [20_000, 20_000],
    [5, 16_384, 5],
    [16_383, 70_000, 1, 16_385],
    [40_000, 9000, 9000, 9000, 9000, 9000, 9000, 9000, 9000],
  ])('takeAll() is take() in pieces: %j', (...sizes) => {
    const [whole, pieces] = [new Encoder({ version: '1.2' }), new Encoder({ version: '1.2' })];
    for (const encoder of [whole, pieces]) {
      for (const size of sizes) {
        encoder.frame(frame('SEND', { destination: '/q' }, new Uint8Array(size).fill(size & 255)));
        expect(() => encoder.frame(frame('SEND', { destination: '\0' }))).toThrow(UsageError);
        encoder.heartBeat();
      }
    }
    expect(pieces.length).toBe(whole.length);
    expect(Buffer.compare(Buffer.concat(pieces.takeAll()), whole.take())).toBe(0);
    expect(pieces.length).toBe(0);
    expect(pieces.takeAll()).toEqual([]);
  });

  test('many frames between two takes come out in order', () => {
    const encoder = new Encoder({ version: '1.2' });
    const sizes = [0, 1, 100, 20_000, 70_000, 5, 300_000, 0];
    for (const size of sizes)
      encoder.frame(frame('SEND', { destination: '/q', size: String(size) }, new Uint8Array(size).fill(size & 255)));
    const frames = framesOf(encoder.take(), { version: '1.2' });
    expect(frames.map((sent) => [sent.get('size'), sent.body.length])).toEqual(
      sizes.map((size) => [String(size), size]),
    );
  });

  test('the version may change between frames', () => {
    const encoder = new Encoder();
    const hello = frame('SEND', [['foo', 'a:b']]);
    for (const version of [undefined, '1.1', '1.0'] as const satisfies readonly (Version | undefined)[]) {
      encoder.version = version;
      encoder.frame(hello);
    }
    expect(latin1(encoder.take())).toBe('SEND\nfoo:a:b\n\n\0SEND\nfoo:a\\cb\n\n\0SEND\nfoo:a:b\n\n\0');
  });
});

test('integer() writes any count there is', () => {
  const edges = Array.from({ length: 16 }, (_, n) => 10 ** n).flatMap((ten) => [ten - 1, ten, ten + 1]);
  for (const value of [...edges, 7, 42, 2 ** 31, 2 ** 32 - 1, 2 ** 53 - 1]) {
    const encoder = new Encoder();
    encoder.integer(value);
    expect(latin1(encoder.take())).toBe(String(value));
  }
});

test('C-33: headers are written in the order they were given', () => {
  expect(
    written(
      'MESSAGE',
      [
        ['z', '1'],
        ['a', '2'],
        ['z', '3'],
      ],
      { version: '1.2' },
    ),
  ).toBe('MESSAGE\nz:1\na:2\nz:3\n\n\0');
});

test('P-08: no text is no header', () => {
  for (const value of [undefined, null, {}, [], () => 1, Symbol('x'), 1n]) {
    expect(() => Headers.from({ foo: value })).toThrow(expect.objectContaining({ code: 'bad-header' }));
  }
  expect(() => Headers.from([['', 'x']])).toThrow(expect.objectContaining({ code: 'bad-header' }));
});
