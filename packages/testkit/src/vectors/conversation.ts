// Conformance 2 to 4 as the codec sees them: every frame of every version as it
// stands on the wire. What the frames mean to a session is tested beside the session.

import type { ClientCommand, ServerCommand, Version } from '@stompbox/protocol';
import { inEach, meaning, type Pairs, reads, readsAll, type Vector } from './row.ts';
import type { RuleId } from './rules.ts';

const ALL = ['1.0', '1.1', '1.2'] as const;

function said(
  id: RuleId | readonly RuleId[],
  versions: readonly (Version | undefined)[],
  name: string,
  command: ClientCommand | ServerCommand,
  headers: Pairs,
  body = '',
): Vector[] {
  const lines = headers.map(([header, value]) => `${header}:${value}\n`).join('');
  return inEach(versions, {
    id,
    name,
    bytes: `${command}\n${lines}\n${body}\0`,
    expect: reads(command, headers, body),
  });
}

export const CONVERSATION: readonly Vector[] = [
  // 2.1
  ...said(['N-01', 'N-05', 'N-11', 'N-13', 'H-01'], [undefined, ...ALL], 'CONNECT as clients write it', 'CONNECT', [
    ['accept-version', '1.0,1.1,1.2'],
    ['host', 'broker.example'],
    ['login', 'app'],
    ['passcode', 'a b:c\\d é'],
    ['heart-beat', '10000,10000'],
  ]),
  ...said(['N-02', 'N-04'], [undefined, '1.1', '1.2'], 'STOMP says what CONNECT says', 'STOMP', [
    ['accept-version', '1.2'],
    ['host', 'h'],
  ]),
  ...said(
    ['N-09', 'X-15'],
    [undefined, '1.1', '1.2'],
    'blanks in accept-version are for negotiation to judge',
    'CONNECT',
    [
      ['accept-version', '1.1, 1.2'],
      ['host', ''],
    ],
  ),
  ...said(['N-16', 'C-31'], [undefined], 'a receipt on CONNECT is a header like any other', 'CONNECT', [
    ['receipt', '1'],
  ]),
  ...said(
    ['N-07', 'N-14', 'N-15', 'C-36'],
    [undefined, ...ALL],
    'a session id and a server name keep their colons',
    'CONNECTED',
    [
      ['version', '1.2'],
      ['session', 'ID:host-37489-1:2:3'],
      ['server', 'ActiveMQ/5.17.2 (a: b; c)'],
      ['heart-beat', '0,0'],
    ],
  ),
  ...said(
    ['N-10', 'S-07', 'S-10'],
    [undefined],
    'a refused version lists the supported ones',
    'ERROR',
    [
      ['message', 'no common version'],
      ['version', '1.0,1.1,1.2'],
      ['content-type', 'text/plain'],
    ],
    'Supported protocol versions are 1.0 1.1 1.2\n',
  ),
  // 2.2
  ...inEach(['1.1', '1.2'], {
    id: ['H-03', 'H-04', 'C-15'],
    name: 'a heart-beat is one LF between frames, and an LF inside a body is none',
    bytes: '\nSEND\ndestination:/q\n\n\n\n\0\n',
    expect: readsAll([meaning('SEND', [['destination', '/q']], '\n\n')], 2),
    encode: 'SEND\ndestination:/q\n\n\n\n\0',
  }),
  // 3
  ...said(
    ['F-01', 'R-01', 'T-03'],
    ALL,
    'SEND with all it may say',
    'SEND',
    [
      ['destination', '/queue/a'],
      ['transaction', 'tx1'],
      ['receipt', 'r1'],
      ['content-type', 'application/json'],
      ['priority', '4'],
      ['content-length', '2'],
    ],
    '{}',
  ),
  ...said('F-01', ALL, 'a destination is opaque', 'SEND', [['destination', '../..//%00?#ü']]),
  ...said('F-01', ALL, 'whether a SEND has a destination is for the session to judge', 'SEND', []),
  ...said(['F-03', 'X-13'], ALL, 'reserved headers planted by a producer are headers on the wire', 'SEND', [
    ['destination', '/q'],
    ['subscription', 'evil'],
    ['message-id', 'evil'],
    ['ack', 'evil'],
    ['redelivered', 'true'],
  ]),
  ...said(['F-05', 'F-06'], ALL, 'SUBSCRIBE with all it may say', 'SUBSCRIBE', [
    ['id', '0'],
    ['destination', '/queue/a'],
    ['ack', 'client-individual'],
    ['receipt', 'r2'],
  ]),
  ...said(['F-07', 'F-12'], ['1.0'], 'a 1.0 SUBSCRIBE without id, with a selector', 'SUBSCRIBE', [
    ['destination', '/queue/a'],
    ['selector', "price > 3 AND name LIKE 'a:%'"],
  ]),
  ...said('F-08', ALL, 'UNSUBSCRIBE by id', 'UNSUBSCRIBE', [['id', '0']]),
  ...said('F-08', ['1.0'], 'UNSUBSCRIBE by destination', 'UNSUBSCRIBE', [['destination', '/queue/a']]),
  ...said('A-10', ['1.0'], 'a 1.0 ACK names the message', 'ACK', [
    ['message-id', 'ID:host-1:2'],
    ['transaction', 'tx1'],
  ]),
  ...(['ACK', 'NACK'] as const).flatMap((command) => [
    ...said(['A-11', 'C-38'], ['1.1'], `a 1.1 ${command} names message and subscription`, command, [
      ['subscription', '0'],
      ['message-id', '007'],
      ['transaction', 'tx1'],
    ]),
    ...said('A-12', ['1.2'], `a 1.2 ${command} names the delivery`, command, [
      ['id', 'T_0@@session-abc@@1'],
      ['transaction', 'tx1'],
    ]),
  ]),
  ...inEach(['1.1', '1.2'], {
    id: ['A-12', 'C-38'],
    name: 'an ack id with colons travels escaped',
    bytes: 'ACK\nid:ID\\chost-1\\c2\n\n\0',
    expect: reads('ACK', [['id', 'ID:host-1:2']]),
  }),
  ...(['BEGIN', 'COMMIT', 'ABORT'] as const).flatMap((command) =>
    said(['T-01', 'R-01'], ALL, `${command} names its transaction`, command, [
      ['transaction', 'tx 1'],
      ['receipt', 'r3'],
    ]),
  ),
  ...said(['E-01', 'R-01'], ALL, 'DISCONNECT with a receipt', 'DISCONNECT', [['receipt', '77']]),
  ...said('R-01', ALL, 'a receipt may be empty', 'DISCONNECT', [['receipt', '']]),
  ...inEach(['1.1', '1.2'], {
    id: ['R-01', 'S-06', 'C-38'],
    name: 'a receipt id of any text comes back escaped',
    bytes: 'RECEIPT\nreceipt-id:a\\cb\\nc\\\\d é\n\n\0',
    expect: reads('RECEIPT', [['receipt-id', 'a:b\nc\\d é']]),
  }),
  // 4
  ...said(
    'S-01',
    ['1.0'],
    'a 1.0 MESSAGE',
    'MESSAGE',
    [
      ['destination', '/queue/a'],
      ['message-id', '007'],
    ],
    'hello queue a',
  ),
  ...said(
    'S-02',
    ['1.1'],
    'a 1.1 MESSAGE',
    'MESSAGE',
    [
      ['destination', '/queue/a'],
      ['message-id', '007'],
      ['subscription', '0'],
    ],
    'hello queue a',
  ),
  ...said(
    ['S-03', 'S-05', 'A-06'],
    ['1.2'],
    'a 1.2 MESSAGE',
    'MESSAGE',
    [
      ['subscription', '0'],
      ['message-id', '007'],
      ['destination', '/queue/a'],
      ['ack', '0-7'],
      ['content-type', 'text/plain'],
      ['content-length', '13'],
    ],
    'hello queue a',
  ),
  ...said(['S-14', 'S-15'], ALL, 'a MESSAGE that lacks everything is still a frame', 'MESSAGE', []),
  ...said('S-06', ALL, 'RECEIPT', 'RECEIPT', [['receipt-id', 'r1']]),
  ...said(
    ['S-07', 'S-05'],
    ALL,
    'ERROR with all it may say',
    'ERROR',
    [
      ['message', 'malformed frame received'],
      ['receipt-id', 'r1'],
      ['content-type', 'text/plain'],
      ['content-length', '9'],
    ],
    'why\n\nso\0\n',
  ),
  ...said(['S-07', 'S-14'], ALL, 'ERROR without anything', 'ERROR', []),
  ...inEach(['1.1', '1.2'], {
    id: ['S-10', 'C-38'],
    name: 'the message of an ERROR is escaped once a version is agreed on',
    bytes: 'ERROR\nmessage:no\\cwhy\\nso\n\n\0',
    expect: reads('ERROR', [['message', 'no:why\nso']]),
  }),
];
