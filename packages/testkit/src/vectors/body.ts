// Conformance 1.4 and 1.5: bodies, content-length and limits.

import { inEach, meaning, octets, reads, readsAll, refuses, type Vector } from './row.ts';

const ALL = ['1.0', '1.1', '1.2'] as const;
const BODILESS = [
  'CONNECT',
  'SUBSCRIBE',
  'UNSUBSCRIBE',
  'ACK',
  'BEGIN',
  'COMMIT',
  'ABORT',
  'DISCONNECT',
  'CONNECTED',
  'RECEIPT',
] as const;

/** A 1.2 SEND whose content-length is written like this and is refused. */
function badLength(id: 'C-58' | 'C-59', text: string): Vector[] {
  return inEach(ALL, {
    id: id === 'C-58' ? ['C-58', 'X-08'] : ['C-59', 'C-58', 'X-08'],
    name: `${JSON.stringify(text)} is no content-length`,
    bytes: `SEND\ncontent-length:${text}\n\nabcd\0`,
    expect: refuses('bad-content-length', 20),
  });
}

export const BODY: readonly Vector[] = [
  ...inEach(ALL, {
    id: ['C-50', 'C-54'],
    name: 'content-length octets are the body, NUL among them or not',
    bytes: 'SEND\ndestination:/q\ncontent-length:3\n\na\0b\0',
    expect: reads(
      'SEND',
      [
        ['destination', '/q'],
        ['content-length', '3'],
      ],
      'a\0b',
    ),
  }),
  ...inEach(ALL, {
    id: ['C-50', 'C-54'],
    name: 'a body of NULs alone',
    bytes: 'SEND\ncontent-length:3\n\n\0\0\0\0',
    expect: reads('SEND', [['content-length', '3']], '\0\0\0'),
  }),
  ...inEach(ALL, {
    id: ['C-50', 'C-52'],
    name: 'a content-length of 0 is an empty body',
    bytes: 'SEND\ncontent-length:0\n\n\0',
    expect: reads('SEND', [['content-length', '0']]),
  }),
  ...inEach(ALL, {
    id: ['C-51', 'X-08'],
    name: 'a body longer than announced is refused',
    bytes: 'SEND\ndestination:/q\ncontent-length:2\n\nabcd\0',
    expect: refuses('missing-nul', 40),
  }),
  ...inEach(ALL, {
    id: ['C-51', 'C-73', 'X-08'],
    name: 'what follows a body longer than announced is never a frame',
    bytes: 'SEND\ncontent-length:2\n\nab\nSEND\ndestination:/queue/evil\n\n\0',
    expect: refuses('missing-nul', 25),
  }),
  ...inEach(ALL, {
    id: ['C-51', 'X-08'],
    name: 'a content-length of 0 before a body is refused',
    bytes: 'SEND\ncontent-length:0\n\nab\0',
    expect: refuses('missing-nul', 23),
  }),
  ...inEach(ALL, {
    id: ['C-52', 'C-35', 'C-73'],
    name: 'without content-length the first NUL ends the body, and the rest is a broken frame',
    bytes: 'SEND\ndestination:/q\n\nab\0cd\0',
    expect: refuses('nul-in-header', 26, reads('SEND', [['destination', '/q']], 'ab')),
  }),
  ...inEach(ALL, {
    id: ['C-52', 'C-54'],
    name: 'a body that holds NUL and a whole frame, sent without content-length, is two frames',
    bytes: 'SEND\ndestination:/q\n\nab\0SEND\ndestination:/x\n\ncd\0',
    expect: readsAll([meaning('SEND', [['destination', '/q']], 'ab'), meaning('SEND', [['destination', '/x']], 'cd')]),
  }),
  ...BODILESS.flatMap((command) =>
    inEach(ALL, {
      id: ['C-53', 'C-61'],
      name: `content-length:0 is honoured on ${command}`,
      bytes: `${command}\nid:1\ncontent-length:0\n\n\0\nDISCONNECT\n\n\0`,
      expect: readsAll(
        [
          meaning(command, [
            ['id', '1'],
            ['content-length', '0'],
          ]),
          meaning('DISCONNECT'),
        ],
        1,
      ),
      encode: `${command}\nid:1\ncontent-length:0\n\n\0DISCONNECT\n\n\0`,
    }),
  ),
  ...(['SEND', 'MESSAGE', 'ERROR'] as const).flatMap((command) =>
    inEach(ALL, {
      id: ['C-53', 'C-61'],
      name: `content-length is honoured on ${command}`,
      bytes: `${command}\ncontent-length:2\n\n\0\0\0`,
      expect: reads(command, [['content-length', '2']], '\0\0'),
    }),
  ),
  {
    id: ['C-54', 'C-57'],
    name: 'content-length is written where the caller wanted it to stand',
    version: '1.2',
    bytes: 'SEND\na:1\ncontent-length:3\nb:2\n\na\0b\0',
    expect: reads(
      'SEND',
      [
        ['a', '1'],
        ['content-length', '3'],
        ['b', '2'],
      ],
      'a\0b',
    ),
  },
  ...inEach(ALL, {
    id: ['C-55', 'C-66'],
    name: 'content-length counts octets, not characters',
    bytes: 'SEND\ncontent-length:9\n\né€𝄞\0',
    expect: reads('SEND', [['content-length', '9']], 'é€𝄞'),
  }),
  ...inEach(ALL, {
    id: ['C-55', 'C-51'],
    name: 'a content-length that counted characters is refused',
    bytes: 'SEND\ncontent-length:1\n\né\0',
    expect: refuses('missing-nul', 24),
  }),
  ...inEach(ALL, {
    id: ['C-58', 'C-57'],
    name: 'a content-length of 15 digits is read, and written as the number it is',
    bytes: 'SEND\ncontent-length:000000000000002\n\nab\0',
    expect: reads('SEND', [['content-length', '000000000000002']], 'ab'),
    encode: 'SEND\ncontent-length:2\n\nab\0',
  }),
  ...[
    '',
    '+4',
    '4 ',
    '4\t',
    '4.0',
    '4x',
    '0x4',
    '1e3',
    'abc',
    'NaN',
    '4,4',
    '4:4',
    '４',
    '1_0',
    '9007199254740992',
    '99999999999999999999',
    '0000000000000002',
  ].flatMap((text) => badLength('C-58', text)),
  ...inEach(['1.1', '1.2'], {
    id: ['C-58', 'X-08', 'C-28'],
    name: 'a blank before a content-length is refused',
    bytes: 'SEND\ncontent-length: 4\n\nabcd\0',
    expect: refuses('bad-content-length', 20),
  }),
  {
    id: ['C-58', 'C-29', 'X-15'],
    name: 'a blank before a 1.0 content-length is padding',
    version: '1.0',
    bytes: 'SEND\ncontent-length: 4\n\nab\0d\0',
    expect: reads('SEND', [['content-length', '4']], 'ab\0d'),
    encode: 'SEND\ncontent-length:4\n\nab\0d\0',
  },
  ...['-1', '-0', '-2147483648'].flatMap((text) => badLength('C-59', text)),
  ...inEach(ALL, {
    id: 'C-60',
    name: 'a body of exactly the limit is read',
    limits: { maxBodyBytes: 8 },
    bytes: 'SEND\ncontent-length:8\n\n12345678\0',
    expect: reads('SEND', [['content-length', '8']], '12345678'),
  }),
  ...inEach(ALL, {
    id: 'C-60',
    name: 'one octet more is refused as soon as it is announced',
    limits: { maxBodyBytes: 8 },
    bytes: 'SEND\ncontent-length:9\n\n',
    expect: refuses('body-too-large', 23),
  }),
  ...inEach(ALL, {
    id: ['C-60', 'C-52'],
    name: 'a body without content-length of exactly the limit is read',
    limits: { maxBodyBytes: 8 },
    bytes: 'SEND\n\n12345678\0',
    expect: reads('SEND', [], '12345678'),
  }),
  ...inEach(ALL, {
    id: ['C-60', 'C-52'],
    name: 'one octet more without content-length is refused when it comes',
    limits: { maxBodyBytes: 8 },
    bytes: 'SEND\n\n123456789',
    expect: refuses('body-too-large', 14),
  }),
  ...inEach(ALL, {
    id: ['C-60', 'C-52'],
    name: 'one octet more and its NUL in one go are refused all the same',
    limits: { maxBodyBytes: 8 },
    bytes: 'SEND\n\n123456789\0',
    expect: refuses('body-too-large', 14),
  }),
  ...['4294967295', '4294967296', '999999999999999'].map(
    (text): Vector => ({
      id: ['C-60', 'C-72'],
      name: `a body of ${text} octets is refused on its announcement`,
      version: '1.2',
      bytes: `SEND\ncontent-length:${text}\n\n`,
      expect: refuses('body-too-large', 22 + text.length),
    }),
  ),

  ...BODILESS.flatMap((command) =>
    inEach(command === 'SUBSCRIBE' ? ['1.1', '1.2'] : ALL, {
      id: ['C-61', 'X-18'],
      name: `${command} has no body`,
      bytes: `${command}\n\njunk\0`,
      expect: refuses('unexpected-body', command.length + 2),
    }),
  ),
  ...BODILESS.flatMap((command) =>
    inEach(command === 'SUBSCRIBE' ? ['1.1', '1.2'] : ALL, {
      id: ['C-61', 'C-53', 'X-18'],
      name: `${command} announces no body`,
      bytes: `${command}\ncontent-length:4\n\n\0\0\0\0\0`,
      expect: refuses('unexpected-body', command.length + 19),
    }),
  ),
  ...inEach(['1.1', '1.2'], {
    id: ['C-61', 'X-18'],
    name: 'NACK has no body',
    bytes: 'NACK\n\njunk\0',
    expect: refuses('unexpected-body', 6),
  }),
  ...inEach([undefined, '1.1', '1.2'], {
    id: ['C-61', 'X-18', 'N-02'],
    name: 'STOMP has no body',
    bytes: 'STOMP\n\njunk\0',
    expect: refuses('unexpected-body', 7),
  }),
  {
    id: 'C-62',
    name: 'the body of a 1.0 SUBSCRIBE is ignored',
    version: '1.0',
    bytes: 'SUBSCRIBE\ndestination:/q\n\njunk\0',
    expect: reads('SUBSCRIBE', [['destination', '/q']]),
    encode: 'SUBSCRIBE\ndestination:/q\n\n\0',
  },
  {
    id: ['C-62', 'C-53', 'C-57'],
    name: 'the announced body of a 1.0 SUBSCRIBE is skipped whole, NUL and all',
    version: '1.0',
    bytes: 'SUBSCRIBE\ndestination:/q\ncontent-length:4\n\n\0\n\0\n\0DISCONNECT\n\n\0',
    expect: readsAll([
      meaning('SUBSCRIBE', [
        ['destination', '/q'],
        ['content-length', '4'],
      ]),
      meaning('DISCONNECT'),
    ]),
    encode: 'SUBSCRIBE\ndestination:/q\ncontent-length:0\n\n\0DISCONNECT\n\n\0',
  },
  {
    id: ['C-62', 'C-51'],
    name: 'the announced body of a 1.0 SUBSCRIBE ends in NUL too',
    version: '1.0',
    bytes: 'SUBSCRIBE\ncontent-length:2\n\nabcd\0',
    expect: refuses('missing-nul', 30),
  },
  {
    id: ['C-62', 'C-60'],
    name: 'the body of a 1.0 SUBSCRIBE may be as long as another',
    version: '1.0',
    limits: { maxBodyBytes: 8 },
    bytes: 'SUBSCRIBE\n\n12345678\0',
    expect: reads('SUBSCRIBE'),
    encode: 'SUBSCRIBE\n\n\0',
  },
  {
    id: ['C-62', 'C-60'],
    name: 'the body of a 1.0 SUBSCRIBE has a limit, though nobody keeps it',
    version: '1.0',
    limits: { maxBodyBytes: 8 },
    bytes: 'SUBSCRIBE\n\n1234567890\0',
    expect: refuses('body-too-large', 19),
  },
  ...inEach(ALL, {
    id: ['C-63', 'C-64', 'C-65'],
    name: 'content-type is a header like any other, and the body is octets whatever it says',
    bytes: octets('SEND\ncontent-type:text/plain;charset=utf-8\ncontent-length:2\n\n', 0xc3, 0x28, 0),
    expect: reads(
      'SEND',
      [
        ['content-type', 'text/plain;charset=utf-8'],
        ['content-length', '2'],
      ],
      octets(0xc3, 0x28),
    ),
  }),
  ...inEach(ALL, {
    id: ['C-64', 'C-68'],
    name: 'a body that is no UTF-8 passes untouched, with content-length',
    bytes: octets('MESSAGE\ncontent-length:7\n\n', 0xff, 0xfe, 0x80, 0, 0xed, 0xa0, 0x80, 0),
    expect: reads('MESSAGE', [['content-length', '7']], octets(0xff, 0xfe, 0x80, 0, 0xed, 0xa0, 0x80)),
  }),
  ...inEach(ALL, {
    id: ['C-64', 'C-68', 'C-56'],
    name: 'a body that is no UTF-8 passes untouched without content-length, and is written with it',
    bytes: octets('MESSAGE\n\n', 0xff, 0xfe, 0x80, 0),
    expect: reads('MESSAGE', [], octets(0xff, 0xfe, 0x80)),
    encode: octets('MESSAGE\ncontent-length:3\n\n', 0xff, 0xfe, 0x80, 0),
  }),

  ...inEach(ALL, {
    id: 'C-66',
    name: 'names and values may be any UTF-8',
    bytes: 'MESSAGE\nключ:значение\n名前:値\n😀:\u0301\u200b\u0085\u007f\u0001\n\n\0',
    expect: reads('MESSAGE', [
      ['ключ', 'значение'],
      ['名前', '値'],
      ['😀', '\u0301\u200b\u0085\u007f\u0001'],
    ]),
  }),
  ...inEach(ALL, {
    id: 'C-66',
    name: 'a header in the two octets of another stays another',
    bytes: 'MESSAGE\né:1\nÃ©:2\n\n\0',
    expect: reads('MESSAGE', [
      ['é', '1'],
      ['Ã©', '2'],
    ]),
  }),
  ...(
    [
      ['no UTF-8 at all', [0xff, 0xfe]],
      ['an overlong form', [0xc0, 0x80]],
      ['an overlong colon', [0xc0, 0xba]],
      ['a surrogate', [0xed, 0xa0, 0x80]],
      ['more than U+10FFFF', [0xf4, 0x90, 0x80, 0x80]],
      ['a continuation without a beginning', [0x80]],
      ['a sequence cut by the end of the line', [0xe2, 0x82]],
    ] as const
  ).flatMap(([what, bad]) =>
    inEach(ALL, {
      id: ['C-66', 'X-16'],
      name: `${what} in a value is refused`,
      bytes: octets('MESSAGE\na:b\nfoo:', ...bad, '\nc:d\n\n\0'),
      expect: refuses('bad-utf8', 12),
    }),
  ),
  ...inEach([undefined, ...ALL], {
    id: ['C-66', 'X-16'],
    name: 'a sequence cut by the colon is refused',
    bytes: octets('MESSAGE\nfoo', 0xe2, 0x82, ':', 0xac, '\n\n\0'),
    expect: refuses('bad-utf8', 8),
  }),

  // 1.5
  ...inEach([undefined, ...ALL], {
    id: ['C-34', 'C-70', 'C-13'],
    name: 'a command line of exactly the limit is judged as a command',
    bytes: `${'X'.repeat(32)}\n\n\0`,
    expect: refuses('unknown-command', 0),
  }),
  ...inEach([undefined, ...ALL], {
    id: ['C-34', 'C-70', 'C-71'],
    name: 'a command line of one octet more is refused before its end has come',
    bytes: 'X'.repeat(34),
    expect: refuses('command-too-long', 32 + 1),
  }),
  ...inEach(ALL, {
    id: ['C-34', 'C-72'],
    name: 'a header line of exactly the limit is read',
    limits: { maxHeaderLineBytes: 12 },
    bytes: 'MESSAGE\nfoo:12345678\n\n\0',
    expect: reads('MESSAGE', [['foo', '12345678']]),
  }),
  {
    id: ['C-34', 'C-03'],
    name: 'the CR before LF does not count as part of the line',
    version: '1.2',
    limits: { maxHeaderLineBytes: 12 },
    bytes: 'MESSAGE\r\nfoo:12345678\r\n\r\n\0',
    expect: reads('MESSAGE', [['foo', '12345678']]),
    encode: 'MESSAGE\nfoo:12345678\n\n\0',
  },
  ...inEach(ALL, {
    id: ['C-34', 'C-72'],
    name: 'a header line of one octet more is refused',
    limits: { maxHeaderLineBytes: 12 },
    bytes: 'MESSAGE\nfoo:123456789\n\n\0',
    expect: refuses('header-line-too-long', 21),
  }),
  ...inEach(ALL, {
    id: ['C-34', 'C-71'],
    name: 'a header line without an end is refused at the limit',
    limits: { maxHeaderLineBytes: 12 },
    bytes: 'MESSAGE\nfoo:12345678999999',
    expect: refuses('header-line-too-long', 21),
  }),
  ...inEach(['1.1', '1.2'], {
    id: 'C-34',
    name: 'the limit of a line counts octets on the wire, escapes and all',
    limits: { maxHeaderLineBytes: 12 },
    bytes: 'MESSAGE\nfoo:\\c\\c\\c\\c\nbar:\\c\\c\\c\\c\\c\n\n\0',
    expect: refuses('header-line-too-long', 35),
  }),
  ...inEach(ALL, {
    id: 'C-34',
    name: 'header lines of exactly the limit in number are read',
    limits: { maxHeaders: 3 },
    bytes: 'MESSAGE\na:1\nb:2\nc:3\n\n\0',
    expect: reads('MESSAGE', [
      ['a', '1'],
      ['b', '2'],
      ['c', '3'],
    ]),
  }),
  ...inEach(ALL, {
    id: 'C-34',
    name: 'one header line more is refused, and repeats count',
    limits: { maxHeaders: 3 },
    bytes: 'MESSAGE\na:1\na:1\na:1\na:1\n\n\0',
    expect: refuses('too-many-headers', 20),
  }),
  ...inEach(ALL, {
    id: 'C-34',
    name: 'a head of exactly the limit is read',
    limits: { maxHeadBytes: 20 },
    bytes: 'MESSAGE\na:1234\nb:12\n\n\0',
    expect: reads('MESSAGE', [
      ['a', '1234'],
      ['b', '12'],
    ]),
  }),
  ...inEach(ALL, {
    id: 'C-34',
    name: 'a head of one octet more is refused',
    limits: { maxHeadBytes: 20 },
    bytes: 'MESSAGE\na:1234\nb:1234\n\n\0',
    expect: refuses('headers-too-large', 20),
  }),
  ...inEach(ALL, {
    id: ['C-73', 'C-21'],
    name: 'nothing behind an error is read',
    bytes: 'DISCONNECT\n\n\0MESSAGE\nfoo\n\n\0MESSAGE\na:b\n\n\0',
    expect: refuses('header-without-colon', 21, reads('DISCONNECT')),
  }),
];
