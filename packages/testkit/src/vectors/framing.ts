// Conformance 1.1: lines and framing.

import { inEach, meaning, octets, reads, readsAll, refuses, type Vector } from './row.ts';

const ALL = ['1.0', '1.1', '1.2'] as const;
const TO_Q = [['destination', '/q']] as const;

export const FRAMING: readonly Vector[] = [
  ...inEach(ALL, {
    id: ['C-01', 'C-06', 'C-16'],
    name: 'a frame is command, headers, blank line, body and NUL, and nothing need follow',
    bytes: 'SEND\ndestination:/q\n\nhi\0',
    expect: reads('SEND', TO_Q, 'hi'),
  }),
  ...inEach(ALL, {
    id: 'C-01',
    name: 'a frame may have no headers and no body',
    bytes: 'DISCONNECT\n\n\0',
    expect: reads('DISCONNECT'),
  }),
  ...inEach(ALL, {
    id: ['C-01', 'C-14'],
    name: 'frames follow each other without a gap',
    bytes: 'BEGIN\ntransaction:1\n\n\0SEND\ndestination:/q\n\nhi\0COMMIT\ntransaction:1\n\n\0',
    expect: readsAll([
      meaning('BEGIN', [['transaction', '1']]),
      meaning('SEND', TO_Q, 'hi'),
      meaning('COMMIT', [['transaction', '1']]),
    ]),
  }),

  {
    id: 'C-02',
    name: 'a CR at the end of a 1.1 value is data',
    version: '1.1',
    bytes: 'SEND\ndestination:/q\nfoo:b\r\n\n\0',
    expect: reads('SEND', [...TO_Q, ['foo', 'b\r']]),
    encode: false, // C-43: we do not write it
  },
  {
    id: 'C-02',
    name: 'a CR in the middle of a 1.1 name and value is data',
    version: '1.1',
    bytes: 'SEND\na\rb:c\rd\n\n\0',
    expect: reads('SEND', [['a\rb', 'c\rd']]),
    encode: false,
  },
  {
    id: 'C-02',
    name: 'a CR in a 1.0 value is data',
    version: '1.0',
    bytes: 'SEND\nfoo:\rb\r\n\n\0',
    expect: reads('SEND', [['foo', '\rb\r']]),
    encode: false,
  },
  ...inEach(['1.0', '1.1'], {
    id: ['C-02', 'C-21', 'X-02'],
    name: 'a line of CR alone is no blank line before 1.2',
    bytes: 'SEND\nfoo:b\n\r\n\0',
    expect: refuses('header-without-colon', 11),
  }),
  ...inEach(['1.0', '1.1'], {
    id: ['C-02', 'C-13', 'X-02'],
    name: 'a CR behind the command belongs to it before 1.2',
    bytes: 'SEND\r\nfoo:b\n\n\0',
    expect: refuses('unknown-command', 0),
  }),

  {
    id: 'C-03',
    name: 'CR LF ends any line in 1.2',
    version: '1.2',
    bytes: 'SEND\r\ndestination:/q\r\n\r\nhi\0\r\n\r\n',
    expect: readsAll([meaning('SEND', TO_Q, 'hi')], 2),
    encode: 'SEND\ndestination:/q\n\nhi\0',
  },
  {
    id: 'C-03',
    name: 'LF and CR LF may be mixed in one frame',
    version: '1.2',
    bytes: 'SEND\ndestination:/q\r\nfoo:\r\n\nhi\0',
    expect: reads('SEND', [...TO_Q, ['foo', '']], 'hi'),
    encode: 'SEND\ndestination:/q\nfoo:\n\nhi\0',
  },
  {
    id: ['C-03', 'C-08'],
    name: 'LF and CR LF may be mixed behind a frame',
    version: '1.2',
    bytes: 'DISCONNECT\n\r\n\0\n\r\n\r\n\n',
    expect: readsAll([meaning('DISCONNECT')], 4),
    encode: 'DISCONNECT\n\n\0',
  },
  {
    id: 'C-04',
    name: 'CR LF is welcome in the first frame, whatever version it asks for',
    bytes: 'CONNECT\r\naccept-version:1.1\r\nhost:h\r\n\r\n\0',
    expect: reads('CONNECT', [
      ['accept-version', '1.1'],
      ['host', 'h'],
    ]),
    encode: 'CONNECT\naccept-version:1.1\nhost:h\n\n\0',
  },
  ...inEach([undefined, '1.2'], {
    id: 'C-05',
    name: 'a CR inside a value is refused',
    bytes: 'SEND\nfoo:a\rb\n\n\0',
    expect: refuses('stray-carriage-return', 10),
  }),
  ...inEach([undefined, '1.2'], {
    id: 'C-05',
    name: 'a CR inside a name is refused',
    bytes: 'SEND\nfo\ro:a\n\n\0',
    expect: refuses('stray-carriage-return', 7),
  }),
  ...inEach([undefined, '1.2'], {
    id: 'C-05',
    name: 'two CRs before LF are refused',
    bytes: 'SEND\nfoo:a\r\r\n\n\0',
    expect: refuses('stray-carriage-return', 10),
  }),
  ...inEach([undefined, '1.2'], {
    id: 'C-05',
    name: 'a CR inside a command is refused',
    bytes: 'SE\rND\nfoo:a\n\n\0',
    expect: refuses('stray-carriage-return', 2),
  }),
  ...inEach([undefined, '1.2'], {
    id: 'C-05',
    name: 'a CR that ends no line between frames is refused',
    bytes: 'DISCONNECT\n\n\0\rSEND\n\n\0',
    expect: refuses('stray-carriage-return', 13, reads('DISCONNECT')),
  }),

  ...inEach(ALL, {
    id: ['C-07', 'C-52'],
    name: 'line ends around a body belong to it',
    bytes: 'SEND\ndestination:/q\n\n\r\nx\r\n\0',
    expect: reads('SEND', TO_Q, '\r\nx\r\n'),
  }),
  ...inEach(ALL, {
    id: ['C-07', 'C-50'],
    name: 'line ends around a body of known length belong to it',
    bytes: 'SEND\ncontent-length:6\n\n\n\r\nx\r\n\0',
    expect: reads('SEND', [['content-length', '6']], '\n\r\nx\r\n'),
  }),
  ...inEach(ALL, {
    id: 'C-07',
    name: 'a body that looks like a frame is a body',
    bytes: 'SEND\ncontent-length:14\n\nBEGIN\n\n\0ABORT\n\0',
    expect: reads('SEND', [['content-length', '14']], 'BEGIN\n\n\0ABORT\n'),
  }),

  ...inEach(ALL, {
    id: ['C-08', 'H-03', 'X-01'],
    name: 'line ends before, between and behind frames are heart-beats',
    bytes: '\n\nBEGIN\ntransaction:1\n\n\0\nCOMMIT\ntransaction:1\n\n\0\n\n\n',
    expect: readsAll([meaning('BEGIN', [['transaction', '1']]), meaning('COMMIT', [['transaction', '1']])], 6),
    encode: 'BEGIN\ntransaction:1\n\n\0COMMIT\ntransaction:1\n\n\0',
  }),
  ...inEach([undefined, '1.2'], {
    id: ['C-08', 'X-01'],
    name: 'CR LF before the first frame is one heart-beat',
    bytes: '\n\n\r\nCONNECT\n\n\0',
    expect: readsAll([meaning('CONNECT')], 3),
    encode: 'CONNECT\n\n\0',
  }),
  ...inEach(['1.0', '1.1'], {
    id: ['C-02', 'C-13', 'X-02'],
    name: 'a CR between frames begins an unknown command before 1.2',
    bytes: 'DISCONNECT\n\n\0\r\nSEND\n\n\0',
    expect: refuses('unknown-command', 13, reads('DISCONNECT')),
  }),
  ...inEach([undefined, ...ALL], {
    id: 'C-08',
    name: 'a stream of nothing but line ends is no frame',
    bytes: '\n\n\n\n\n',
    expect: readsAll([], 5),
    encode: '',
  }),
  ...inEach([undefined, ...ALL], {
    id: ['C-09', 'X-03'],
    name: 'a NUL before the first frame is refused',
    bytes: '\0\0SEND\n\n\0',
    expect: refuses('nul-between-frames', 0),
  }),
  ...inEach(ALL, {
    id: ['C-09', 'X-03'],
    name: 'a second NUL behind a frame is refused',
    bytes: 'DISCONNECT\n\n\0\n\0DISCONNECT\n\n\0',
    expect: refuses('nul-between-frames', 14, readsAll([meaning('DISCONNECT')], 1)),
  }),

  ...inEach(ALL, {
    id: ['C-10', 'C-13'],
    name: 'a command in lower case is unknown',
    bytes: 'send\ndestination:/q\n\n\0',
    expect: refuses('unknown-command', 0),
  }),
  ...inEach(ALL, {
    id: 'C-10',
    name: 'header names that differ in case are different headers',
    bytes: 'SEND\nDestination:/a\ndestination:/q\nDESTINATION:/b\n\n\0',
    expect: reads('SEND', [
      ['Destination', '/a'],
      ['destination', '/q'],
      ['DESTINATION', '/b'],
    ]),
  }),
  ...inEach(ALL, {
    id: 'C-10',
    name: 'Content-Length is not content-length',
    bytes: 'SEND\nContent-Length:99\n\nhi\0',
    expect: reads('SEND', [['Content-Length', '99']], 'hi'),
  }),
  ...[' SEND', 'SEND ', '\tSEND', 'SEND\t'].flatMap((command) =>
    inEach([undefined, ...ALL], {
      id: ['C-11', 'C-13', 'X-19'],
      name: `${JSON.stringify(command)} is no command: blanks are not trimmed`,
      bytes: `${command}\ndestination:/q\n\n\0`,
      expect: refuses('unknown-command', 0),
    }),
  ),

  {
    id: 'C-12',
    name: 'there is no NACK in 1.0',
    version: '1.0',
    bytes: 'NACK\nmessage-id:1\n\n\0',
    expect: refuses('unknown-command', 0),
  },
  {
    id: ['C-12', 'N-02'],
    name: 'there is no STOMP in 1.0',
    version: '1.0',
    bytes: 'STOMP\n\n\0',
    expect: refuses('unknown-command', 0),
  },
  {
    id: 'C-12',
    name: 'CONNECT is a 1.0 command, though its grammar forgot it',
    version: '1.0',
    bytes: 'CONNECT\nlogin:x\npasscode:y\n\n\0',
    expect: reads('CONNECT', [
      ['login', 'x'],
      ['passcode', 'y'],
    ]),
  },
  ...inEach([undefined, ...ALL], {
    id: 'C-13',
    name: 'an unknown command is refused',
    bytes: 'FOO\n\n\0',
    expect: refuses('unknown-command', 0),
  }),
  ...['SENDX', 'SEN', 'CONNECTE', 'MESSAGES', 'a:b', ':', 'SEND:', '__proto__', 'é'].map(
    (command): Vector => ({
      id: ['C-13', 'X-19'],
      name: `${JSON.stringify(command)} is no command`,
      version: '1.2',
      bytes: `DISCONNECT\n\n\0${command}\n\n\0`,
      expect: refuses('unknown-command', 13, reads('DISCONNECT')),
    }),
  ),
  ...inEach([undefined, ...ALL], {
    id: ['C-13', 'C-35'],
    name: 'a NUL in a command is refused',
    bytes: 'SE\0ND\n\n\0',
    expect: refuses('nul-in-header', 2),
  }),

  ...inEach(ALL, {
    id: 'C-14',
    name: 'a name, a value and a body of two, three and four octets a character survive any cut',
    bytes: 'SEND\né€𝄞:𝄞é€\ncontent-length:9\n\n€é𝄞\0',
    expect: reads(
      'SEND',
      [
        ['é€𝄞', '𝄞é€'],
        ['content-length', '9'],
      ],
      '€é𝄞',
    ),
  }),

  ...inEach([undefined, ...ALL], {
    id: ['C-17', 'C-13'],
    name: 'a byte order mark before the command makes it unknown',
    bytes: octets(0xef, 0xbb, 0xbf, 'CONNECT\n\n\0'),
    expect: refuses('unknown-command', 0),
  }),
  ...inEach(ALL, {
    id: 'C-17',
    name: 'a byte order mark in a name, a value and a body is kept',
    bytes: 'SEND\n\ufeffa:\ufeffb\ufeff\n\n\ufeffc\0',
    expect: reads('SEND', [['\ufeffa', '\ufeffb\ufeff']], '\ufeffc'),
  }),
  {
    id: ['C-17', 'C-35'],
    name: 'UTF-16 is not STOMP',
    version: '1.2',
    bytes: octets(...[...'CONNECT\n\n\0'].flatMap((c) => [c.charCodeAt(0), 0])),
    expect: refuses('nul-in-header', 1),
  },
];
