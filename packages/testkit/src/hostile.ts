// Malformed and hostile streams (conformance 8.1), as data: the decoder's tests feed
// them to a decoder, a broker's tests to a socket. Large ones are made as they are
// read, so that a gigabyte costs nothing until somebody takes it.
//
// What is sent is otherwise what an honest client would send after CONNECTED; where
// `version` is absent it is the first thing on the connection.

import type { Limits, ProtocolErrorCode, Version } from '@stompbox/protocol';
import { octets } from './vectors/row.ts';

/** Conformance 8.1, in a few words each. */
export const HOSTILITIES = {
  'M-01': 'an unknown command',
  'M-02': 'a command in lower case',
  'M-03': 'a command that begins like a known one',
  'M-04': 'a command with blanks around it',
  'M-05': 'a command that is a header',
  'M-06': 'another encoding',
  'M-07': 'a header without a colon',
  'M-08': 'a header line of one octet',
  'M-09': 'a header without a name',
  'M-10': 'a header line without an end',
  'M-11': 'a million headers',
  'M-12': 'a million times the same header',
  'M-13': 'a command line without an end',
  'M-14': 'undefined escapes',
  'M-15': 'a backslash that ends the line',
  'M-16': 'backslash r in 1.1',
  'M-17': 'runs of backslashes',
  'M-18': 'escapes in 1.0',
  'M-19': 'a CR that ends no line',
  'M-20': 'CR LF in 1.1',
  'M-21': 'NUL in the head',
  'M-22': 'a flood of NULs',
  'M-23': 'a flood of LFs',
  'M-24': 'headers that are no UTF-8',
  'M-25': 'bodies that are no UTF-8',
  'M-26': 'a content-length that is no number',
  'M-27': 'a negative content-length',
  'M-28': 'a content-length beyond all bounds',
  'M-29': 'a body longer than announced',
  'M-30': 'a body shorter than announced, then silence',
  'M-31': 'a body shorter than announced, then a frame',
  'M-32': 'two content-lengths',
  'M-33': 'content-length where no body may be',
  'M-34': 'a frame inside a body',
  'M-35': 'a body without an end',
  'M-36': 'a session cut anywhere',
  'M-37': 'an octet a second',
  'M-38': 'an octet a packet',
  'M-39': 'random bytes',
} as const;

export type HostilityId = keyof typeof HOSTILITIES;

/** Hostilities that no list of bytes can show. */
export const NOT_BYTES: Partial<Record<HostilityId, string>> = {
  'M-36': 'every prefix of a session: protocol/test/decoder.test.ts for the codec, the broker for what follows',
  'M-37': 'a matter of clocks: the session and the broker have the timers',
  'M-39': 'protocol/test/fuzz.test.ts',
};

export interface Hostile {
  readonly id: HostilityId;
  /** A sentence. */
  readonly name: string;
  /** Absent: before negotiation. */
  readonly version?: Version | undefined;
  readonly limits?: Partial<Limits>;
  readonly bytes: () => Iterable<Uint8Array>;
  /**
   * Refused with this code; or read, `frames` and `heartBeats` so many; or waited for: nothing is wrong until a timer
   * says so.
   */
  readonly expect:
    | { readonly error: ProtocolErrorCode }
    | {
        readonly frames: number;
        readonly heartBeats: number;
        readonly bodies?: readonly string[];
        readonly header?: string;
      }
    | { readonly waitsIn: 'head' | 'body' };
}

const SEND = 'SEND\ndestination:/queue/hostile\n';
const CHUNK = 64 * 1024;
const MIB = 1024 * 1024;
const FROM_11 = ['1.1', '1.2'] as const;
const ALL = ['1.0', '1.1', '1.2'] as const;

/** `first`, then `pattern` over and over until `length` bytes have come, then `last`. The chunks share memory. */
export function* flood(first: string, pattern: string, length: number, last = ''): Iterable<Uint8Array> {
  yield octets(first);
  const one = octets(pattern);
  const many = new Uint8Array(Math.max(1, Math.floor(CHUNK / one.length)) * one.length);
  for (let at = 0; at < many.length; at += one.length) many.set(one, at);
  let sent = 0;
  for (; sent + many.length <= length; sent += many.length) yield many;
  if (sent < length) yield many.slice(0, length - sent);
  yield octets(last);
}

function* octetByOctet(bytes: Uint8Array): Iterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at++) yield bytes.slice(at, at + 1);
}

type Expect = Hostile['expect'];
type Bytes = string | Uint8Array;

function rows(
  id: HostilityId,
  versions: readonly (Version | undefined)[],
  expect: Expect,
  cases: readonly (readonly [name: string, bytes: Bytes | (() => Iterable<Uint8Array>)])[],
): Hostile[] {
  return cases.flatMap(([name, bytes]) =>
    versions.map((version) => ({
      id,
      name,
      version,
      expect,
      bytes: typeof bytes === 'function' ? bytes : () => [octets(bytes)],
    })),
  );
}

const refused = (error: ProtocolErrorCode): Expect => ({ error });
const body = (...bodies: string[]): Expect => ({ frames: bodies.length, heartBeats: 0, bodies });

export const HOSTILE: readonly Hostile[] = [
  ...rows('M-01', [undefined, ...ALL], refused('unknown-command'), [
    ['FOO', 'FOO\n\n\0'],
    ['a command of 32 letters', `${'Q'.repeat(32)}\n\n\0`],
    ['an HTTP request', 'GET / HTTP/1.1\nHost: h\n\n'],
  ]),
  ...rows('M-02', [undefined, ...ALL], refused('unknown-command'), [
    ['send', 'send\ndestination:/queue/hostile\n\nx\0'],
    ['connect', 'connect\naccept-version:1.2\nhost:h\n\n\0'],
    ['Send', 'Send\ndestination:/queue/hostile\n\nx\0'],
  ]),
  ...rows('M-03', ALL, refused('unknown-command'), [
    ['SENDX', 'SENDX\ndestination:/queue/hostile\n\nx\0'],
    ['SUB', 'SUB\nid:1\ndestination:/queue/hostile\n\n\0'],
    ['UNSUB', 'UNSUB\nid:1\n\n\0'],
    ['BEGINX', 'BEGINX\ntransaction:1\n\n\0'],
  ]),
  ...rows('M-04', ALL, refused('unknown-command'), [
    ['a blank behind SEND', 'SEND \ndestination:/queue/hostile\n\nx\0'],
    ['a blank before SEND', ' SEND\ndestination:/queue/hostile\n\nx\0'],
    ['a tab before SEND', '\tSEND\ndestination:/queue/hostile\n\nx\0'],
  ]),
  ...rows('M-05', [undefined, ...ALL], refused('unknown-command'), [
    ['a colon for a command', ':\n\n\0'],
    ['a header for a command', 'a:b\n\n\0'],
    ['a blank line of a blank for a command', ' \n\n\0'],
  ]),
  ...rows('M-06', [undefined, ...ALL], refused('unknown-command'), [
    ['a byte order mark', octets(0xef, 0xbb, 0xbf, SEND, '\nx\0')],
    ['the mark of UTF-16, big end first, and a line', octets(0xfe, 0xff, 'SEND\n')],
  ]),
  ...rows('M-06', [undefined, ...ALL], refused('nul-in-header'), [
    ['UTF-16, little end first', octets(...[...SEND].flatMap((c) => [c.charCodeAt(0), 0]))],
    ['UTF-16 with its mark, big end first', octets(0xfe, 0xff, ...[...SEND].flatMap((c) => [0, c.charCodeAt(0)]))],
  ]),
  ...rows('M-06', [undefined, ...ALL], refused('nul-between-frames'), [
    ['UTF-16, big end first', octets(...[...SEND].flatMap((c) => [0, c.charCodeAt(0)]))],
  ]),
  ...rows('M-07', [undefined, ...ALL], refused('header-without-colon'), [
    ['a word for a header', `${SEND}foo\n\nx\0`],
    ['a word for the only header', 'SEND\ndestination\n\nx\0'],
  ]),
  ...rows('M-08', [undefined, ...ALL], refused('header-without-colon'), [
    ['one letter for a header', `${SEND}x\n\nx\0`],
    ['one blank for a header', `${SEND} \n\nx\0`],
  ]),
  ...rows('M-09', [undefined, ...ALL], refused('empty-header-name'), [
    ['a value without a name', `${SEND}:v\n\nx\0`],
    ['a colon for a header', `${SEND}:\n\nx\0`],
  ]),
  ...rows('M-10', [undefined, ...ALL], refused('header-line-too-long'), [
    ['a value of 1 GiB', () => flood(`${SEND}foo:`, 'x', 1024 * MIB)],
    ['a name of 1 GiB', () => flood(SEND, 'x', 1024 * MIB)],
  ]),
  ...rows('M-10', FROM_11, refused('header-line-too-long'), [
    ['a value of 1 GiB of escapes', () => flood(`${SEND}foo:`, '\\\\', 1024 * MIB)],
  ]),
  ...rows('M-11', [undefined, ...ALL], refused('too-many-headers'), [
    ['a million headers of three octets', () => manyHeaders((n) => `${n.toString(36)}:\n`)],
  ]),
  ...rows('M-11', [undefined, ...ALL], refused('headers-too-large'), [
    ['a million headers of 4 KiB', () => manyHeaders((n) => `${n}:${'x'.repeat(4096)}\n`)],
  ]),
  ...rows('M-12', [undefined, ...ALL], refused('too-many-headers'), [
    ['a million times foo', () => flood('SEND\n', 'foo:bar\n', 8_000_000)],
    ['a million times the destination', () => flood('SEND\n', 'destination:/queue/hostile\n', 27_000_000)],
  ]),
  ...rows('M-13', [undefined, ...ALL], refused('command-too-long'), [
    ['a command of 1 GiB', () => flood('', 'S', 1024 * MIB)],
    ['a command of 1 GiB that is no text', () => flood('', '\u{1f4a3}', 1024 * MIB)],
  ]),
  ...rows('M-14', FROM_11, refused('bad-escape'), [
    ...['\\t', '\\N', '\\:', '\\0', '\\x41'].flatMap((pair) => [
      [`${pair} in a value`, `${SEND}foo:a${pair}b\n\nx\0`] as const,
      [`${pair} in a name`, `${SEND}f${pair}o:b\n\nx\0`] as const,
    ]),
  ]),
  ...rows('M-15', FROM_11, refused('bad-escape'), [
    ['a backslash before LF', `${SEND}foo:a\\\n\nx\0`],
    ['a backslash before CR LF', `${SEND}foo:a\\\r\n\nx\0`],
    ['a backslash at the end of a packet, then LF', () => [octets(`${SEND}foo:a\\`), octets('\n\nx\0')]],
  ]),
  ...rows('M-16', ['1.1'], refused('bad-escape'), [
    ['in a value', `${SEND}foo:a\\rb\n\nx\0`],
    ['in a name', `${SEND}f\\roo:b\n\nx\0`],
  ]),
  ...rows('M-17', FROM_11, { frames: 1, heartBeats: 0, header: 'a\\nb' }, [
    ['an even run before n', `${SEND}foo:a\\\\nb\n\nx\0`],
  ]),
  ...rows('M-17', FROM_11, { frames: 1, heartBeats: 0, header: '\\\\c' }, [
    ['an even run of four before c', `${SEND}foo:\\\\\\\\c\n\nx\0`],
  ]),
  ...rows('M-17', FROM_11, { frames: 1, heartBeats: 0, header: '\\\n' }, [
    ['an odd run before n', `${SEND}foo:\\\\\\n\n\nx\0`],
  ]),
  ...rows('M-17', FROM_11, refused('bad-escape'), [['an odd run before LF', `${SEND}foo:\\\\\\\n\nx\0`]]),
  ...rows('M-18', ['1.0'], { frames: 1, heartBeats: 0, header: 'a\\nb\\c\\t\\' }, [
    ['backslashes', `${SEND}foo:a\\nb\\c\\t\\\n\nx\0`],
  ]),
  ...rows('M-19', ['1.2'], refused('stray-carriage-return'), [
    ['in a command', 'SE\rND\n\nx\0'],
    ['in a name', `${SEND}f\roo:b\n\nx\0`],
    ['in a value', `${SEND}foo:a\rb\n\nx\0`],
    ['before CR LF', `${SEND}foo:a\r\r\n\nx\0`],
    ['before CR LF on the blank line', `${SEND}\r\r\nx\0`],
    ['at the end of a packet', () => [octets(`${SEND}foo:a\r`), octets('b\n\nx\0')]],
    ['between frames', `${SEND}\nx\0\r${SEND}\nx\0`],
  ]),
  ...rows('M-20', ['1.0', '1.1'], { frames: 1, heartBeats: 0, header: 'bar\r' }, [
    ['behind a value it is data', `${SEND}foo:bar\r\n\nx\0`],
  ]),
  ...rows('M-20', ['1.0', '1.1'], refused('unknown-command'), [
    ['behind the command', 'SEND\r\ndestination:/queue/hostile\r\n\r\nx\0'],
    ['between frames', `${SEND}\nx\0\r\n${SEND}\nx\0`],
  ]),
  ...rows('M-20', ['1.0', '1.1'], refused('header-without-colon'), [['for a blank line', `${SEND}\r\nx\0`]]),
  ...rows('M-21', [undefined, ...ALL], refused('nul-in-header'), [
    ['in a command', 'SE\0ND\n\nx\0'],
    ['in a name', `${SEND}f\0oo:b\n\nx\0`],
    ['in a value', `${SEND}foo:a\0b\n\nx\0`],
    ['instead of the blank line', `${SEND}\0`],
  ]),
  ...rows('M-22', [undefined, ...ALL], refused('nul-between-frames'), [
    ['ten million of them', () => flood('', '\0', 10_000_000)],
  ]),
  ...rows('M-23', [undefined, '1.2'], { frames: 0, heartBeats: 10_000_000 }, [
    ['ten million of them', () => flood('', '\n', 10_000_000)],
  ]),
  ...rows('M-23', [undefined, '1.2'], { frames: 0, heartBeats: 1_000_000 }, [
    ['a million of CR LF', () => flood('', '\r\n', 2_000_000)],
  ]),
  ...rows('M-24', ALL, refused('bad-utf8'), [
    ...(
      [
        ['FF', [0xff]],
        ['an overlong NUL', [0xc0, 0x80]],
        ['a surrogate', [0xed, 0xa0, 0x80]],
        ['more than U+10FFFF', [0xf4, 0x90, 0x80, 0x80]],
        ['a cut sequence', [0xf0, 0x9f, 0x92]],
      ] as const
    ).flatMap(([what, bad]) => [
      [`${what} in a value`, octets(`${SEND}foo:`, ...bad, '\n\nx\0')] as const,
      [`${what} in a name`, octets(`${SEND}foo`, ...bad, ':b\n\nx\0')] as const,
    ]),
  ]),
  ...rows('M-25', ALL, body('\xff\xfe\x80\xc0'), [
    ['with content-length', octets(`${SEND}content-length:4\n\n`, 0xff, 0xfe, 0x80, 0xc0, 0)],
    ['without content-length', octets(`${SEND}\n`, 0xff, 0xfe, 0x80, 0xc0, 0)],
  ]),
  ...['abc', '', '4.0', '0x4', '1e3', '+4', '4 ', '４', '4\t'].flatMap((text) =>
    rows('M-26', ALL, refused('bad-content-length'), [
      [JSON.stringify(text), `${SEND}content-length:${text}\n\nabcd\0`],
    ]),
  ),
  ...rows('M-26', FROM_11, refused('bad-content-length'), [['" 4"', `${SEND}content-length: 4\n\nabcd\0`]]),
  ...['-0', '-1', '-2147483648'].flatMap((text) =>
    rows('M-27', ALL, refused('bad-content-length'), [[text, `${SEND}content-length:${text}\n\nabcd\0`]]),
  ),
  ...['2147483647', '4294967295', '4294967296', '999999999999999'].flatMap((text) =>
    rows('M-28', ALL, refused('body-too-large'), [[text, `${SEND}content-length:${text}\n\nabcd\0`]]),
  ),
  ...[String(2n ** 53n), String(2n ** 64n), String(10n ** 100n)].flatMap((text) =>
    rows('M-28', ALL, refused('bad-content-length'), [[text, `${SEND}content-length:${text}\n\nabcd\0`]]),
  ),
  ...rows('M-29', ALL, refused('missing-nul'), [
    ['by two octets', `${SEND}content-length:2\n\nabcd\0`],
    ['by a whole frame', `${SEND}content-length:2\n\nab\nSEND\ndestination:/queue/evil\n\nx\0`],
    ['by an octet, announced as none', `${SEND}content-length:0\n\nx\0`],
  ]),
  ...rows('M-30', ALL, { waitsIn: 'body' }, [
    ['by an octet', `${SEND}content-length:5\n\nabc\0`],
    ['by all of it', `${SEND}content-length:5\n\n`],
    ['by its NUL', `${SEND}content-length:3\n\nabc`],
  ]),
  ...rows('M-31', ALL, refused('missing-nul'), [
    ['that reaches into the command', `${SEND}content-length:6\n\nabc\0SEND\ndestination:/queue/evil\n\nx\0`],
    ['that reaches into the body', `${SEND}content-length:35\n\nabc\0SEND\ndestination:/queue/evil\n\nxyz\0`],
  ]),
  ...rows('M-32', ALL, refused('conflicting-content-length'), [
    ['the larger first', `${SEND}content-length:4\ncontent-length:2\n\nabcd\0`],
    ['the smaller first', `${SEND}content-length:2\ncontent-length:4\n\nab\0d\0`],
    ['none and some', `${SEND}content-length:0\ncontent-length:4\n\nabcd\0`],
  ]),
  ...rows('M-33', FROM_11, refused('unexpected-body'), [
    ['on SUBSCRIBE', 'SUBSCRIBE\nid:1\ndestination:/queue/hostile\ncontent-length:5\n\na\0b\0x\0'],
    ['on BEGIN', 'BEGIN\ntransaction:1\ncontent-length:5\n\na\0b\0x\0'],
    ['on ACK', 'ACK\nid:1\nmessage-id:1\nsubscription:1\ncontent-length:5\n\na\0b\0x\0'],
    ['on BEGIN, and a body without it', 'BEGIN\ntransaction:1\n\njunk\0'],
  ]),
  ...rows('M-34', ALL, body('', 'x'), [
    ['without content-length it is the next frame', `${SEND}\n\0SEND\ndestination:/queue/evil\n\nx\0`],
  ]),
  ...rows('M-34', ALL, body('\0SEND\ndestination:/queue/evil\n\nx'), [
    ['with content-length it is octets', `${SEND}content-length:32\n\n\0SEND\ndestination:/queue/evil\n\nx\0`],
  ]),
  ...rows('M-35', ALL, refused('body-too-large'), [
    ['of 1 GiB', () => flood(`${SEND}\n`, 'x', 1024 * MIB)],
    ['of 1 GiB of line ends', () => flood(`${SEND}\n`, '\n', 1024 * MIB)],
  ]),
  ...rows('M-35', ['1.0'], refused('body-too-large'), [
    ['of 1 GiB that nobody reads', () => flood('SUBSCRIBE\ndestination:/queue/hostile\n\n', 'x', 1024 * MIB)],
  ]),
  ...rows('M-38', ALL, { frames: 3_000, heartBeats: 3_000 }, [
    ['frames and heart-beats', () => octetByOctet(octets(`${SEND}\nx\0\n`.repeat(3_000)))],
  ]),
  ...rows('M-38', FROM_11, { frames: 1, heartBeats: 0 }, [
    [
      'a body of 1,000,000 octets without its length',
      () => octetByOctet(octets(`${SEND}\n`, 'x'.repeat(1_000_000), 0)),
    ],
    [
      'a body of 1,000,000 octets with its length',
      () => octetByOctet(octets(`${SEND}content-length:1000000\n\n`, 'x'.repeat(1_000_000), 0)),
    ],
    ['a header of 16,000 octets', () => octetByOctet(octets(`${SEND}foo:${'x'.repeat(16_000)}\n\nx\0`))],
  ]),
];

function* manyHeaders(line: (n: number) => string): Iterable<Uint8Array> {
  yield octets('SEND\n');
  for (let n = 0; n < 1_000_000; n += 100) {
    let lines = '';
    for (let k = n; k < n + 100; k++) lines += line(k);
    yield octets(lines);
  }
}
