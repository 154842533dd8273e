// Conformance 7.1: every leniency of the decoder, on and off, on the same bytes.

import type { DecoderLeniency, Version } from '@stompbox/protocol';
import { meaning, octets, type Reading, type Refusal, reads, readsAll, refuses, type Vector } from './row.ts';
import type { RuleId } from './rules.ts';

/** The same bytes, strictly and with one option. */
function eitherWay(row: {
  readonly id: RuleId | readonly RuleId[];
  readonly name: string;
  readonly versions: readonly (Version | undefined)[];
  readonly bytes: string | Uint8Array;
  readonly off: Reading | Refusal;
  readonly options: DecoderLeniency;
  readonly on: Reading | Refusal;
}): Vector[] {
  const { id, name, versions, bytes, off, options, on } = row;
  const [option] = Object.entries(options).map(([key, value]) => `${key}: ${value}`);
  return versions.flatMap((version): Vector[] => [
    { id, name: `${name}, strictly`, version, bytes, expect: off, encode: false },
    { id, name: `${name}, with ${option}`, version, options, bytes, expect: on, encode: false },
  ]);
}

const ALL = ['1.0', '1.1', '1.2'] as const;
const BEFORE_12 = ['1.0', '1.1'] as const;
const ESCAPING = ['1.1', '1.2'] as const;

export const LENIENCY: readonly Vector[] = [
  ...eitherWay({
    id: ['X-02', 'C-02', 'C-13'],
    name: 'CR LF everywhere before 1.2',
    versions: BEFORE_12,
    bytes: 'SEND\r\nfoo:b\r\n\r\nhi\r\n\0\r\n',
    off: refuses('unknown-command', 0),
    options: { crlf: 'all' },
    on: readsAll([meaning('SEND', [['foo', 'b']], 'hi\r\n')], 1),
  }),
  ...eitherWay({
    id: ['X-02', 'C-02'],
    name: 'CR LF behind a value before 1.2',
    versions: BEFORE_12,
    bytes: 'SEND\nfoo:b\r\n\n\0',
    off: reads('SEND', [['foo', 'b\r']]),
    options: { crlf: 'all' },
    on: reads('SEND', [['foo', 'b']]),
  }),
  ...eitherWay({
    id: ['X-02', 'C-02'],
    name: 'a CR that ends no line stays data before 1.2',
    versions: BEFORE_12,
    bytes: 'SEND\nfoo:a\rb\r\r\n\n\0',
    off: reads('SEND', [['foo', 'a\rb\r\r']]),
    options: { crlf: 'all' },
    on: reads('SEND', [['foo', 'a\rb\r']]),
  }),
  ...eitherWay({
    id: ['X-02', 'C-05'],
    name: 'a CR that ends no line is refused in 1.2',
    versions: ['1.2'],
    bytes: 'SEND\nfoo:a\rb\n\n\0',
    off: refuses('stray-carriage-return', 10),
    options: { crlf: 'all' },
    on: refuses('stray-carriage-return', 10),
  }),
  ...eitherWay({
    id: ['X-03', 'C-09'],
    name: 'NULs before, between and behind frames',
    versions: [undefined, ...ALL],
    bytes: '\0\0CONNECT\n\n\0\0\n\0CONNECT\n\n\0\0',
    off: refuses('nul-between-frames', 0),
    options: { skipInterFrameNul: true },
    on: readsAll([meaning('CONNECT'), meaning('CONNECT')], 1),
  }),
  ...eitherWay({
    id: ['X-07', 'C-27'],
    name: 'a raw colon in a value',
    versions: ESCAPING,
    bytes: 'SEND\na:b\nfoo:x:y\n\n\0',
    off: reads('SEND', [
      ['a', 'b'],
      ['foo', 'x:y'],
    ]),
    options: { rejectRawColon: true },
    on: refuses('raw-colon', 14),
  }),
  ...eitherWay({
    id: ['X-07', 'C-25'],
    name: 'a raw colon in a 1.0 value',
    versions: ['1.0'],
    bytes: 'SEND\nfoo:x:y\n\n\0',
    off: reads('SEND', [['foo', 'x:y']]),
    options: { rejectRawColon: true },
    on: reads('SEND', [['foo', 'x:y']]),
  }),
  ...eitherWay({
    id: ['X-07', 'C-36'],
    name: 'a raw colon in CONNECT, which cannot escape it',
    versions: [undefined, ...ALL],
    bytes: 'CONNECT\npasscode:x:y\n\n\0',
    off: reads('CONNECT', [['passcode', 'x:y']]),
    options: { rejectRawColon: true },
    on: reads('CONNECT', [['passcode', 'x:y']]),
  }),
  ...eitherWay({
    id: ['X-07', 'C-38'],
    name: 'an escaped colon in a value',
    versions: ESCAPING,
    bytes: 'SEND\nfoo:x\\cy\n\n\0',
    off: reads('SEND', [['foo', 'x:y']]),
    options: { rejectRawColon: true },
    on: reads('SEND', [['foo', 'x:y']]),
  }),
  ...['+4', ' 4', '4 ', '\t +4 \t'].flatMap((text) =>
    eitherWay({
      id: ['X-08', 'C-58'],
      name: `content-length ${JSON.stringify(text)}`,
      versions: ESCAPING,
      bytes: `SEND\ncontent-length:${text}\n\na\0b\0\0`,
      off: refuses('bad-content-length', 20),
      options: { lenientContentLength: true },
      on: reads('SEND', [['content-length', text]], 'a\0b\0'),
    }),
  ),
  ...['', ' ', '+', '++4', '+ 4', '-4', '+-4', '4.0', '4 4', '1e3', '4294967296294967296'].flatMap((text) =>
    eitherWay({
      id: ['X-08', 'C-58', 'C-59'],
      name: `content-length ${JSON.stringify(text)} in any mood`,
      versions: ESCAPING,
      bytes: `SEND\ncontent-length:${text}\n\nabcd\0`,
      off: refuses('bad-content-length', 20),
      options: { lenientContentLength: true },
      on: refuses('bad-content-length', 20),
    }),
  ),
  ...eitherWay({
    id: ['X-08', 'C-51'],
    name: 'a body longer than announced in any mood',
    versions: ALL,
    bytes: 'SEND\ncontent-length:2\n\nabcd\0',
    off: refuses('missing-nul', 25),
    options: { lenientContentLength: true },
    on: refuses('missing-nul', 25),
  }),
  ...eitherWay({
    id: ['X-09', 'C-41'],
    name: 'undefined escapes among defined ones',
    versions: ESCAPING,
    bytes: 'SEND\na\\tb:\\n\\t\\\\t\\N\\x41\\c\n\n\0',
    off: refuses('bad-escape', 6),
    options: { undefinedEscape: 'keep' },
    on: reads('SEND', [['a\\tb', '\n\\t\\t\\N\\x41:']]),
  }),
  ...eitherWay({
    id: ['X-09', 'C-41'],
    name: 'a backslash that ends the line',
    versions: ESCAPING,
    bytes: 'SEND\nfoo:a\\\nbar:b\n\n\0',
    off: refuses('bad-escape', 10),
    options: { undefinedEscape: 'keep' },
    on: reads('SEND', [
      ['foo', 'a\\'],
      ['bar', 'b'],
    ]),
  }),
  ...eitherWay({
    id: ['X-09', 'C-41', 'C-20'],
    name: 'a backslash before the colon of the line',
    versions: ESCAPING,
    bytes: 'SEND\nfoo\\:bar\n\n\0',
    off: refuses('bad-escape', 8),
    options: { undefinedEscape: 'keep' },
    on: reads('SEND', [['foo\\', 'bar']]),
  }),
  ...eitherWay({
    id: ['X-09b', 'C-40'],
    name: 'backslash r in 1.1',
    versions: ['1.1'],
    bytes: 'SEND\na\\rb:c\\r\\n\\\\r\n\n\0',
    off: refuses('bad-escape', 6),
    options: { escapeR11: 'accept' },
    on: reads('SEND', [['a\rb', 'c\r\n\\r']]),
  }),
  ...eitherWay({
    id: ['X-09b', 'X-09', 'C-40'],
    name: 'backslash r in 1.1, merely kept',
    versions: ['1.1'],
    bytes: 'SEND\nfoo:c\\r\\n\n\n\0',
    off: refuses('bad-escape', 10),
    options: { undefinedEscape: 'keep' },
    on: reads('SEND', [['foo', 'c\\r\n']]),
  }),
  ...eitherWay({
    id: ['X-10', 'C-37'],
    name: 'escapes in 1.0',
    versions: ['1.0'],
    bytes: 'SEND\na\\cb:c\\nd\\r\\\\e\n\n\0',
    off: reads('SEND', [['a\\cb', 'c\\nd\\r\\\\e']]),
    options: { escape10: true },
    on: reads('SEND', [['a:b', 'c\nd\r\\e']]),
  }),
  ...eitherWay({
    id: ['X-10', 'C-41'],
    name: 'an undefined escape in 1.0',
    versions: ['1.0'],
    bytes: 'SEND\nfoo:a\\tb\n\n\0',
    off: reads('SEND', [['foo', 'a\\tb']]),
    options: { escape10: true },
    on: refuses('bad-escape', 10),
  }),
  ...eitherWay({
    id: ['X-10', 'C-36'],
    name: 'what looks like an escape in CONNECT',
    versions: [undefined, '1.0'],
    bytes: 'CONNECT\npasscode:a\\tb\\n\n\n\0',
    off: reads('CONNECT', [['passcode', 'a\\tb\\n']]),
    options: { escape10: true },
    on: reads('CONNECT', [['passcode', 'a\\tb\\n']]),
  }),
  ...eitherWay({
    id: ['X-15', 'C-29'],
    name: 'blanks around a 1.0 value',
    versions: ['1.0'],
    bytes: 'SEND\nfoo: \ta b\t \nbar: \t\n\n\0',
    off: reads('SEND', [
      ['foo', 'a b\t '],
      ['bar', ''],
    ]),
    options: { trim10: 'both' },
    on: reads('SEND', [
      ['foo', 'a b'],
      ['bar', ''],
    ]),
  }),
  ...eitherWay({
    id: ['X-15', 'C-29'],
    name: 'blanks before a 1.0 value',
    versions: ['1.0'],
    bytes: 'SEND\nfoo: \ta \n\n\0',
    off: reads('SEND', [['foo', 'a ']]),
    options: { trim10: 'none' },
    on: reads('SEND', [['foo', ' \ta ']]),
  }),
  ...eitherWay({
    id: ['X-15', 'C-29'],
    name: 'blanks before a 1.0 value, said out loud',
    versions: ['1.0'],
    bytes: 'SEND\nfoo: \ta \n\n\0',
    off: reads('SEND', [['foo', 'a ']]),
    options: { trim10: 'leading' },
    on: reads('SEND', [['foo', 'a ']]),
  }),
  ...eitherWay({
    id: ['X-15', 'C-28'],
    name: 'blanks around a later value',
    versions: ESCAPING,
    bytes: 'SEND\nfoo: \ta \n\n\0',
    off: reads('SEND', [['foo', ' \ta ']]),
    options: { trim10: 'both' },
    on: reads('SEND', [['foo', ' \ta ']]),
  }),
  ...eitherWay({
    id: ['X-16', 'C-66'],
    name: 'headers that are no UTF-8',
    versions: ALL,
    bytes: octets('SEND\nfo', 0xff, ':a', 0xc0, 0x80, 'é\n\n\0'),
    off: refuses('bad-utf8', 5),
    options: { headerUtf8: 'replace' },
    on: reads('SEND', [['fo\ufffd', 'a\ufffd\ufffdé']]),
  }),
  ...eitherWay({
    id: ['X-16', 'C-66'],
    name: 'headers that are Latin-1',
    versions: ALL,
    bytes: octets('SEND\nfo', 0xe9, ':a', 0xff, 0x80, '\n\n\0'),
    off: refuses('bad-utf8', 5),
    options: { headerUtf8: 'latin1' },
    on: reads('SEND', [['fo\u00e9', 'a\u00ff\u0080']]),
  }),
  ...eitherWay({
    id: ['X-16', 'C-38', 'C-66'],
    name: 'Latin-1 among escapes',
    versions: ESCAPING,
    bytes: octets('SEND\na\\c', 0xe9, ':', 0xe9, '\\n\\\\', 0xe9, '\n\n\0'),
    off: refuses('bad-utf8', 5),
    options: { headerUtf8: 'latin1' },
    on: reads('SEND', [['a:é', 'é\n\\é']]),
  }),
  ...eitherWay({
    id: ['X-17', 'C-35'],
    name: 'NUL inside a value',
    versions: ALL,
    bytes: 'SEND\nfoo:a\0b\0\n\nhi\0',
    off: refuses('nul-in-header', 10),
    options: { allowNulInHeader: true },
    on: reads('SEND', [['foo', 'a\0b\0']], 'hi'),
  }),
  ...eitherWay({
    id: ['X-17', 'C-35'],
    name: 'NUL inside a command',
    versions: ALL,
    bytes: 'SE\0ND\n\nhi\0',
    off: refuses('nul-in-header', 2),
    options: { allowNulInHeader: true },
    on: refuses('nul-in-header', 2),
  }),
  ...eitherWay({
    id: ['X-18', 'C-61'],
    name: 'a body on BEGIN',
    versions: ALL,
    bytes: 'BEGIN\ntransaction:t\n\njunk\nSEND\n\0DISCONNECT\n\n\0',
    off: refuses('unexpected-body', 21),
    options: { discardStrayBody: true },
    on: readsAll([meaning('BEGIN', [['transaction', 't']]), meaning('DISCONNECT')]),
  }),
  ...eitherWay({
    id: ['X-18', 'C-61', 'C-53'],
    name: 'an announced body on SUBSCRIBE that holds NUL',
    versions: ESCAPING,
    bytes: 'SUBSCRIBE\ncontent-length:5\n\na\0b\0x\0DISCONNECT\n\n\0',
    off: refuses('unexpected-body', 28),
    options: { discardStrayBody: true },
    on: readsAll([meaning('SUBSCRIBE', [['content-length', '5']]), meaning('DISCONNECT')]),
  }),
  ...eitherWay({
    id: ['X-18', 'C-61', 'C-51'],
    name: 'an announced body on ACK that is longer',
    versions: ALL,
    bytes: 'ACK\ncontent-length:2\n\nabc\0',
    off: refuses('unexpected-body', 22),
    options: { discardStrayBody: true },
    on: refuses('missing-nul', 24),
  }),
  // No option makes sense of these.
  ...(
    [
      { crlf: 'all' },
      { skipInterFrameNul: true },
      { lenientContentLength: true },
      { undefinedEscape: 'keep' },
      { escapeR11: 'accept' },
      { escape10: true },
      { trim10: 'both' },
      { headerUtf8: 'replace' },
      { headerUtf8: 'latin1' },
      { allowNulInHeader: true },
      { discardStrayBody: true },
    ] as const satisfies readonly DecoderLeniency[]
  ).flatMap((options): Vector[] => {
    const [option] = Object.entries(options).map(([key, value]) => `${key}: ${value}`);
    return ALL.flatMap((version): Vector[] => [
      {
        id: ['X-04', 'C-21'],
        name: `a line without a colon, with ${option}`,
        version,
        options,
        bytes: 'SEND\nfoo\n\n\0',
        expect: refuses('header-without-colon', 5),
      },
      {
        id: ['X-05', 'C-22'],
        name: `a line that begins with a colon, with ${option}`,
        version,
        options,
        bytes: 'SEND\n:v\n\n\0',
        expect: refuses('empty-header-name', 5),
      },
      {
        id: ['X-06', 'C-21'],
        name: `a line of one octet, with ${option}`,
        version,
        options,
        bytes: 'SEND\nx\n\n\0',
        expect: refuses('header-without-colon', 5),
      },
      {
        id: ['X-19', 'C-13'],
        name: `SENDX is no command, with ${option}`,
        version,
        options,
        bytes: 'SENDX\n\n\0',
        expect: refuses('unknown-command', 0),
      },
    ]);
  }),
];
