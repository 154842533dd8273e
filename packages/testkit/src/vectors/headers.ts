// Conformance 1.2 and 1.3: header lines and escaping.

import type { Version } from '@stompbox/protocol';
import { inEach, octets, type Pairs, reads, refuses, type Vector } from './row.ts';
import type { RuleId } from './rules.ts';

const ALL = ['1.0', '1.1', '1.2'] as const;
const ESCAPING = ['1.1', '1.2'] as const;

/** A MESSAGE of one header line that is written as it is read. */
function line(
  id: RuleId | readonly RuleId[],
  versions: readonly (Version | undefined)[],
  name: string,
  wire: string,
  pair: readonly [string, string],
  encode?: false | string,
): Vector[] {
  const row = { id, name, bytes: `MESSAGE\n${wire}\n\n\0`, expect: reads('MESSAGE', [pair]) };
  if (encode === undefined) return inEach(versions, row);
  return inEach(versions, { ...row, encode: encode === false ? false : `MESSAGE\n${encode}\n\n\0` });
}

/** A MESSAGE of one header line that is broken `at` bytes into the line. */
function broken(
  id: RuleId | readonly RuleId[],
  versions: readonly (Version | undefined)[],
  name: string,
  wire: string | Uint8Array,
  error: Parameters<typeof refuses>[0],
  at = 0,
): Vector[] {
  return inEach(versions, { id, name, bytes: octets('MESSAGE\n', wire, '\n\n\0'), expect: refuses(error, 8 + at) });
}

const FIRST_COUNTS: Pairs = [
  ['foo', 'World'],
  ['foo', 'Hello'],
  ['foo', 'World'],
];

export const HEADERS: readonly Vector[] = [
  ...line(['C-20', 'C-38'], ESCAPING, 'an escaped colon in a name does not end it', 'a\\cb:v', ['a:b', 'v']),
  ...line('C-20', ALL, 'a name of one octet and a value of one octet', 'a:b', ['a', 'b']),
  ...line('C-20', ALL, 'names may hold blanks and punctuation', 'a b.c-d/e=f?:v', ['a b.c-d/e=f?', 'v']),
  ...['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'then', '0', '-1'].flatMap((name) =>
    line('C-20', ['1.2'], `${name} is a header name like any other`, `${name}:v`, [name, 'v']),
  ),
  ...broken(['C-21', 'X-04'], [undefined, ...ALL], 'a line without a colon is refused', 'foo', 'header-without-colon'),
  ...broken(['C-21', 'X-06'], [undefined, ...ALL], 'a line of one octet is refused', 'x', 'header-without-colon'),
  ...broken(['C-21', 'X-06'], ALL, 'a line of one blank is refused', ' ', 'header-without-colon'),
  ...broken(
    ['C-21', 'X-04'],
    ALL,
    'a line without a colon is not glued to its neighbours',
    'a:b\nfoo\nc:d',
    'header-without-colon',
    4,
  ),
  ...broken(
    ['C-21', 'X-06'],
    ALL,
    'a line of one octet is not the end of the headers',
    'a:b\nx\nc:d',
    'header-without-colon',
    4,
  ),
  ...broken(
    ['C-21', 'C-38'],
    ESCAPING,
    'an escaped colon is not the colon of the line',
    'foo\\cbar',
    'header-without-colon',
  ),
  ...broken(
    ['C-22', 'X-05'],
    [undefined, ...ALL],
    'a line that begins with a colon is refused',
    ':v',
    'empty-header-name',
  ),
  ...broken(['C-22', 'X-05'], ALL, 'a line of a colon alone is refused', ':', 'empty-header-name'),
  ...broken(['C-22', 'X-05'], ALL, 'a line of two colons is refused', '::', 'empty-header-name'),
  ...line('C-23', ESCAPING, 'a value may be empty', 'foo:', ['foo', '']),
  ...line('C-24', ['1.0'], 'a value may be empty, though the 1.0 grammar says otherwise', 'foo:', ['foo', '']),
  ...line('C-25', ['1.0'], 'a raw colon may stand in a 1.0 value', 'foo:a:b', ['foo', 'a:b']),
  ...line('C-25', ['1.0'], 'a 1.0 value may be colons alone', 'foo:::', ['foo', '::']),
  ...line(
    ['C-26', 'C-27', 'X-07'],
    ESCAPING,
    'a raw colon in a value is understood and written escaped',
    'foo:a:b',
    ['foo', 'a:b'],
    'foo:a\\cb',
  ),
  ...line(
    ['C-26', 'C-27'],
    ESCAPING,
    'a value that begins and ends with a colon',
    'foo::a:',
    ['foo', ':a:'],
    'foo:\\ca\\c',
  ),
  ...line(['C-28', 'X-15'], ESCAPING, 'blanks around a value are kept', 'foo: bar ', ['foo', ' bar ']),
  ...line(['C-28', 'X-15'], ESCAPING, 'blanks around a name are kept', ' baz :bar', [' baz ', 'bar']),
  ...line(['C-28', 'X-15'], ESCAPING, 'tabs, and blanks of Unicode, are kept', '\u00a0a\t:\t\u3000b\u2028', [
    '\u00a0a\t',
    '\t\u3000b\u2028',
  ]),
  ...line(['C-28', 'X-15'], ESCAPING, 'a value may be one blank', 'foo: ', ['foo', ' ']),
  ...line(
    ['C-29', 'C-30', 'X-15'],
    ['1.0'],
    'blanks before a 1.0 value are padding, behind it they are data',
    'foo:  \t bar ',
    ['foo', 'bar '],
    'foo:bar ',
  ),
  ...line(['C-29', 'C-30'], ['1.0'], 'a 1.0 value of blanks is empty', 'foo: \t', ['foo', ''], 'foo:'),
  ...line(['C-29'], ['1.0'], 'blanks around a 1.0 name are kept', ' a : b', [' a ', 'b'], ' a :b'),
  ...line(['C-29'], ['1.0'], 'only SP and TAB are padding in 1.0', 'foo: \u00a0b', ['foo', '\u00a0b'], 'foo:\u00a0b'),
  ...inEach(ALL, {
    id: ['C-31', 'C-33', 'X-14'],
    name: 'repeated headers are all kept, in order',
    bytes: 'MESSAGE\nfoo:World\nfoo:Hello\nfoo:World\n\n\0',
    expect: reads('MESSAGE', FIRST_COUNTS),
  }),
  ...inEach(ALL, {
    id: ['C-31', 'C-33', 'X-14'],
    name: 'repeated protocol headers are kept in order too',
    bytes: 'MESSAGE\nsubscription:real\ndestination:/q\nsubscription:evil\ndestination:/x\n\n\0',
    expect: reads('MESSAGE', [
      ['subscription', 'real'],
      ['destination', '/q'],
      ['subscription', 'evil'],
      ['destination', '/x'],
    ]),
  }),
  ...inEach(ALL, {
    id: ['C-32', 'X-08'],
    name: 'a second content-length with another value is refused',
    bytes: 'SEND\ncontent-length:4\ncontent-length:2\n\nabcd\0',
    expect: refuses('conflicting-content-length', 37),
  }),
  ...inEach(ALL, {
    id: ['C-32', 'X-08'],
    name: 'a second content-length with another value is refused, the smaller first',
    bytes: 'SEND\ncontent-length:2\na:b\ncontent-length:4\n\nabcd\0',
    expect: refuses('conflicting-content-length', 41),
  }),
  ...inEach(ALL, {
    id: ['C-32', 'C-57'],
    name: 'a second content-length with the same value is accepted, and written once',
    bytes: 'SEND\ncontent-length:2\na:b\ncontent-length:02\n\nab\0',
    expect: reads(
      'SEND',
      [
        ['content-length', '2'],
        ['a', 'b'],
        ['content-length', '02'],
      ],
      'ab',
    ),
    encode: 'SEND\ncontent-length:2\na:b\n\nab\0',
  }),
  ...broken(['C-35', 'X-17'], [undefined, ...ALL], 'a NUL in a value is refused', 'foo:a\0b', 'nul-in-header', 5),
  ...broken(['C-35', 'X-17'], [undefined, ...ALL], 'a NUL in a name is refused', 'f\0oo:a', 'nul-in-header', 1),
  ...inEach([undefined, ...ALL], {
    id: 'C-35',
    name: 'a frame that ends before its blank line is refused',
    bytes: 'MESSAGE\nfoo:a\n\0',
    expect: refuses('nul-in-header', 14),
  }),

  // 1.3
  ...[undefined, ...ALL].flatMap((version) =>
    (['CONNECT', 'CONNECTED', ...(version === '1.0' ? [] : ['STOMP' as const])] as const).map(
      (command): Vector => ({
        id: ['C-36', 'X-11', 'N-13'],
        name: `${command} is not unescaped: colons, backslashes and what looks like an escape are data`,
        version,
        bytes: `${command}\npasscode:a:b\\n\\t\\c\\\n\n\0`,
        expect: reads(command, [['passcode', 'a:b\\n\\t\\c\\']]),
      }),
    ),
  ),
  ...line(['C-37', 'X-10'], ['1.0'], 'a backslash in 1.0 is a backslash', 'foo:a\\nb\\c\\\\\\r\\t\\', [
    'foo',
    'a\\nb\\c\\\\\\r\\t\\',
  ]),
  ...line('C-37', ['1.0'], 'a backslash in a 1.0 name is a backslash', 'a\\cb:v', ['a\\cb', 'v']),
  ...line('C-38', ESCAPING, 'LF, colon and backslash travel escaped in a value', 'foo:a\\cb\\nc\\\\d', [
    'foo',
    'a:b\nc\\d',
  ]),
  ...line('C-38', ESCAPING, 'LF, colon and backslash travel escaped in a name', 'a\\cb\\nc\\\\d:v', ['a:b\nc\\d', 'v']),
  ...line('C-38', ESCAPING, 'a value may be escapes alone', '\\n:\\c\\c\\n\\\\', ['\n', '::\n\\']),
  ...line('C-38', ESCAPING, 'escapes stand beside characters of several octets', 'é\\c€:𝄞\\n\\\\é\\c', [
    'é:€',
    '𝄞\n\\é:',
  ]),
  ...line('C-39', ['1.2'], 'CR travels escaped in 1.2', 'foo\\r:a\\rb\\r\\n', ['foo\r', 'a\rb\r\n']),
  ...broken(['C-40', 'X-09b'], ['1.1'], 'backslash r is undefined in 1.1', 'foo:a\\rb', 'bad-escape', 5),
  ...broken(['C-40', 'X-09b'], ['1.1'], 'backslash r is undefined in a 1.1 name', 'f\\roo:a', 'bad-escape', 1),
  ...['\\t', '\\N', '\\C', '\\:', '\\0', '\\x41', '\\ ', '\\"', '\\é'].flatMap((pair) =>
    broken(['C-41', 'X-09'], ESCAPING, `${pair} is no escape`, `foo:a${pair}b`, 'bad-escape', 5),
  ),
  ...broken(['C-41', 'X-09'], ESCAPING, 'an undefined escape in a name is refused', 'f\\too:a', 'bad-escape', 1),
  ...broken(['C-41', 'X-09'], ESCAPING, 'a backslash that ends the line is refused', 'foo:ab\\', 'bad-escape', 6),
  ...broken(['C-41', 'X-09'], ['1.2'], 'a backslash before CR LF is refused', 'foo:ab\\\r', 'bad-escape', 6),
  ...broken(
    ['C-41', 'X-09'],
    ESCAPING,
    'a backslash behind an escaped backslash ends the line all the same',
    'foo:\\\\\\',
    'bad-escape',
    6,
  ),
  ...broken(['C-41', 'X-09'], ESCAPING, 'a backslash before NUL is refused', 'foo:\\\0', 'bad-escape', 4),
  ...line('C-42', ESCAPING, 'an escaped backslash does not escape what follows', 'p:C\\c\\\\new', ['p', 'C:\\new']),
  ...line('C-42', ESCAPING, 'two escaped backslashes before c are two backslashes and c', 'p:\\\\\\\\c', [
    'p',
    '\\\\c',
  ]),
  ...line('C-42', ESCAPING, 'an odd run of backslashes ends in an escape', 'p:\\\\\\n', ['p', '\\\n']),
  ...line('C-42', ESCAPING, 'an escaped backslash before t is no undefined escape', 'p:\\\\t', ['p', '\\t']),
];
