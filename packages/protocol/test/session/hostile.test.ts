// Conformance 8.2, 8.3 and 8.6, as far as they need no broker: bytes in, the fault and
// its rule out, the same for every chunking (I-4), and nothing heard afterwards (C-73).

import {
  ClientSession,
  type ClientSessionOptions,
  frame,
  ServerSession,
  type ServerSessionOptions,
  VERSIONS,
  type Version,
} from '@stompbox/protocol';
import { type Cut, cuts, events, hear, type Listener, only } from 'testkit';
import { describe, expect, test } from 'vitest';
import { ackOf, bytes, deliver, faultOf, served, serving, subscribe, text } from './support.ts';

const FROM_1_1: readonly Version[] = ['1.1', '1.2'];

interface Event {
  readonly type: string;
}

/** The same bytes in every chunking, a legal frame behind them each time. Long input is cut in fewer ways. */
function everyCut(said: string | Uint8Array, make: () => Listener<Event>, after: string): Set<string> {
  const whole = typeof said === 'string' ? bytes(said) : said;
  const all: Cut[] =
    whole.length > 4000 ? cuts(8).filter(({ name }) => !name.startsWith('cut at')) : cuts(whole.length);
  const outcomes = new Set<string>();
  for (const cut of all) {
    const session = make();
    const heard = hear(session, cut.of(whole));
    const more = hear(session, after);
    const before = heard.slice(0, -1).map(({ type }) => type);
    const outcome = `${[...before, faultOf(heard)].join(', ')}${more.length > 0 ? ', and then more' : ''}`;
    outcomes.add(outcome);
  }
  return outcomes;
}

const LEGAL = '\n\nCONNECT\naccept-version:1.2\nhost:h\n\n\0SEND\ndestination:/q\n\nx\0';

function handshake(
  rows: string,
  sentence: string,
  said: string | Uint8Array,
  fault: string,
  options: ServerSessionOptions = {},
): void {
  test(`${rows}: ${sentence} is ${fault}, however it is cut`, () => {
    expect([...everyCut(said, () => new ServerSession(options, 0), LEGAL)]).toEqual([fault]);
  });
}

/** On a connection that is open: these bytes are this fault, after these events. */
function onServer(
  rows: string,
  sentence: string,
  versions: readonly Version[],
  said: string | ((version: Version) => string),
  fault: string,
  options: ServerSessionOptions = {},
): void {
  for (const version of versions) {
    const whole = typeof said === 'string' ? said : said(version);
    test(`${rows} in ${version}: ${sentence} is ${fault}, however it is cut`, () => {
      expect([...everyCut(whole, () => serving(version, options), 'SEND\ndestination:/q\n\nx\0')]).toEqual([fault]);
    });
  }
}

function onClient(
  rows: string,
  sentence: string,
  versions: readonly Version[],
  said: string | ((version: Version) => string),
  outcome: string,
  options: ClientSessionOptions = {},
): void {
  for (const version of versions) {
    const whole = typeof said === 'string' ? said : said(version);
    test(`${rows} in ${version}: ${sentence} is ${outcome}, however it is cut`, () => {
      const make = () => served(version, options);
      expect([...everyCut(whole, make, 'RECEIPT\nreceipt-id:late\n\n\0')]).toEqual([outcome]);
    });
  }
}

function beforeConnected(rows: string, sentence: string, said: string, fault: string, versions = VERSIONS): void {
  test(`${rows}: ${sentence} is ${fault}, however it is cut`, () => {
    const make = () => {
      const client = new ClientSession({ versions }, 0);
      client.connect({ host: 'h' });
      return client;
    };
    expect([...everyCut(said, make, 'CONNECTED\nversion:1.2\n\n\0')]).toEqual([fault]);
  });
}

describe('8.2: the handshake', () => {
  const http = 'POST / HTTP/1.1\r\nHost: x\r\n\r\nCONNECT\naccept-version:1.2\nhost:h\n\n\0';
  handshake('M-40', 'HTTP', http, 'unknown-command C-13');
  handshake('M-40', 'GET with a long path', `GET /${'a'.repeat(100)} HTTP/1.1\r\n\r\n`, 'command-too-long C-34');
  const hello = Uint8Array.of(0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 0x55, 0xaa, 0, 10, 13, 10, 0, 0);
  handshake('M-41', 'a TLS ClientHello', hello, 'nul-in-header C-35');

  for (const [said, rule] of [
    ['SEND\ndestination:/q\n\nx\0', 'N-18'],
    ['SUBSCRIBE\nid:1\ndestination:/q\n\n\0', 'N-18'],
    ['ACK\nid:1\n\n\0', 'N-18'],
    ['NACK\nid:1\n\n\0', 'N-18'],
    ['DISCONNECT\n\n\0', 'N-18'],
    ['CONNECTED\nversion:1.2\n\n\0', 'M-44'],
    ['MESSAGE\ndestination:/q\nmessage-id:1\n\nx\0', 'M-44'],
    ['RECEIPT\nreceipt-id:r\n\n\0', 'M-44'],
    ['ERROR\nmessage:no\n\n\0', 'M-44'],
  ] as const)
    handshake('M-43 M-44', `${said.split('\n')[0]} before CONNECT`, said, `unexpected-frame ${rule}`);

  test('M-43 C-70: before login no large body is kept, announced or not', () => {
    for (const head of ['SEND\ndestination:/q\n\n', 'SEND\ndestination:/q\ncontent-length:1000000\n\n']) {
      const server = new ServerSession({ limits: { maxBodyBytes: 1 << 30 } }, 0);
      expect(faultOf(hear(server, head + 'x'.repeat(20_000)))).toBe('body-too-large C-60');
      expect(server.buffered).toBeLessThan(20_001);
    }
  });

  for (const said of ['CONNECTED\nversion:1.2\n', 'MESSAGE\ndestination:/q\nmessage-id:1\n', 'RECEIPT\nreceipt-id:r\n'])
    onServer('M-44', said.split('\n')[0] ?? '', VERSIONS, `${said}\n\0`, 'unexpected-frame M-44');
  for (const passcode of ['p', 'other'])
    onServer(
      'M-45',
      `a second CONNECT with passcode ${passcode}`,
      VERSIONS,
      `CONNECT\naccept-version:1.2\nhost:h\nlogin:l\npasscode:${passcode}\n\n\0`,
      'unexpected-frame M-45',
    );

  for (const accept of ['2.0', '1.3', '1.10', '', 'foo', '1.2;1.1', '1.2\r1.1', '01.2', '1.2.0'])
    handshake(
      'M-46',
      `accept-version ${JSON.stringify(accept)}`,
      `CONNECT\naccept-version:${accept}\nhost:h\n\n\0`,
      accept.includes('\r') ? 'stray-carriage-return C-05' : 'version-mismatch N-10',
    );
  handshake(
    'M-47',
    'accept-version with 100 000 entries',
    `CONNECT\naccept-version:${'1.3,'.repeat(100_000)}\n\n\0`,
    'headers-too-large C-34',
  );
  for (const host of ['', 'host:\n'])
    handshake(
      'M-48',
      `host ${host === '' ? 'missing' : 'empty'} where one is required`,
      `CONNECT\naccept-version:1.2\n${host}\n\0`,
      'missing-header N-11',
      { requireHost: true },
    );
  for (const value of ['a,b', '1', '1,2,3', '-1,0', '1.5,1', '', `1${'0'.repeat(20)},0`, '0x1,1'])
    handshake(
      'M-49',
      `heart-beat ${JSON.stringify(value)}`,
      `CONNECT\naccept-version:1.2\nhost:h\nheart-beat:${value}\n\n\0`,
      'bad-heart-beat H-09',
    );

  test('M-50: heart-beat 1,1 is raised to what the server offers', () => {
    const server = new ServerSession({ heartBeat: { send: 500, expect: 800 } }, 0);
    hear(server, 'CONNECT\naccept-version:1.2\nhost:h\nheart-beat:1,1\n\n\0');
    server.accept({}, 0);
    expect(server.heartBeat).toEqual({ out: 500, in: 800 });
    expect(server.deadline).toBe(375);
  });

  test('M-51: SENDs behind a CONNECT that is refused are never heard', () => {
    for (const cut of cuts(LEGAL.length)) {
      const server = new ServerSession({}, 0);
      expect(
        only(
          hear(server, cut.of(bytes(LEGAL))).filter(({ type }) => type !== 'heart-beat'),
          'connect',
        ),
      ).toBeDefined();
      server.error({ code: 'denied', message: 'login refused' });
      expect(hear(server, 'SEND\ndestination:/q\n\nx\0')).toEqual([]);
      expect(text(server.take(0)).match(/ERROR/g)).toHaveLength(1);
    }
  });

  test('M-51: SENDs behind a CONNECT that is accepted are read in the version it got', () => {
    const server = new ServerSession({}, 0);
    hear(server, 'CONNECT\naccept-version:1.1\nhost:h\n\n\0SEND\ndestination:/q\na:b\\c\r\n\nx\0');
    server.accept({}, 0);
    expect(only(events(server), 'send').frame.get('a')).toBe('b:\r');
  });

  test('M-52: of two logins the first counts, either way round', () => {
    for (const [first, second] of [
      ['good', 'bad'],
      ['bad', 'good'],
    ]) {
      const said = `CONNECT\naccept-version:1.2\nhost:h\npasscode:${first}\npasscode:${second}\n\n\0`;
      expect(only(hear(new ServerSession({}, 0), said), 'connect').frame.get('passcode')).toBe(first);
    }
  });

  for (const passcode of ['a:b', 'a\\b', 'a\\nb', ' a ', 'pässwörd', '😀'])
    test(`M-53: the passcode ${JSON.stringify(passcode)} arrives octet by octet`, () => {
      const said = `CONNECT\naccept-version:1.2\nhost:h\npasscode:${passcode}\n\n\0`;
      for (const cut of cuts(bytes(said).length)) {
        const connect = only(hear(new ServerSession({}, 0), cut.of(bytes(said))), 'connect');
        expect(connect.frame.get('passcode')).toBe(passcode);
      }
    });
  handshake('M-53', 'a passcode of 64 KiB', `CONNECT\npasscode:${'x'.repeat(65_536)}\n\n\0`, 'headers-too-large C-34');

  handshake('M-55', 'CONNECT with a body', 'CONNECT\naccept-version:1.2\nhost:h\n\nx\0', 'unexpected-body C-61');
  handshake('M-55', 'CONNECT that announces a body', 'CONNECT\ncontent-length:1\n\nx\0', 'unexpected-body C-61');
  test('M-55: CONNECT with content-length:0 and a receipt is CONNECT', () => {
    only(hear(new ServerSession({}, 0), 'CONNECT\ncontent-length:0\nreceipt:r\n\n\0'), 'connect');
  });
});

describe('8.3: frames and state', () => {
  onServer('M-60', 'SEND without a destination', VERSIONS, 'SEND\nreceipt:r\n\nx\0', 'missing-header F-01');
  test('M-60: the fault knows the receipt', () => {
    expect(only(hear(serving('1.2'), 'SEND\nreceipt:r\n\nx\0'), 'fault').receipt).toBe('r');
  });
  onServer('M-61', 'an empty destination', VERSIONS, 'SEND\ndestination:\n\nx\0', 'missing-header F-01');
  for (const destination of ['/', '/queue/../x', '%00', '%zz', 'queue/a', '//'])
    test(`M-61: the destination ${destination} is a text like any other to the session`, () => {
      const heard = hear(serving('1.2'), `SEND\ndestination:${destination}\n\nx\0`);
      expect(only(heard, 'send').destination).toBe(destination);
    });

  onServer('M-64', 'SUBSCRIBE without a destination', VERSIONS, 'SUBSCRIBE\nid:1\n\n\0', 'missing-header F-01');
  onServer('M-64', 'SUBSCRIBE without an id', FROM_1_1, 'SUBSCRIBE\ndestination:/q\n\n\0', 'missing-header F-05');
  onServer(
    'M-64',
    'SUBSCRIBE with an empty id',
    VERSIONS,
    'SUBSCRIBE\nid:\ndestination:/q\n\n\0',
    'missing-header F-05',
  );
  onServer('M-64', 'SUBSCRIBE without either', VERSIONS, 'SUBSCRIBE\n\n\0', 'missing-header F-01');
  const sub = 'SUBSCRIBE\nid:1\ndestination:/q\n\n\0';
  onServer('M-65', 'an id used twice', VERSIONS, sub + sub, 'subscribe, duplicate-subscription F-05');
  for (const version of VERSIONS)
    test(`M-65 in ${version}: an id may be used again after UNSUBSCRIBE`, () => {
      const heard = hear(serving(version), `${sub}UNSUBSCRIBE\nid:1\n\n\0${sub}`);
      expect(heard.map(({ type }) => type)).toEqual(['subscribe', 'unsubscribe', 'subscribe']);
    });
  for (const ack of ['bogus', '', 'CLIENT'])
    onServer('M-66', `ack:${ack}`, VERSIONS, `SUBSCRIBE\nid:1\ndestination:/q\nack:${ack}\n\n\0`, 'bad-header F-06');

  const unsub = 'UNSUBSCRIBE\nid:1\n\n\0';
  onServer('M-68', 'UNSUBSCRIBE of nothing', VERSIONS, unsub, 'unknown-subscription F-08');
  onServer(
    'M-68',
    'UNSUBSCRIBE twice',
    VERSIONS,
    sub + unsub + unsub,
    'subscribe, unsubscribe, unknown-subscription F-08',
  );
  onServer('M-68', 'UNSUBSCRIBE without an id', VERSIONS, 'UNSUBSCRIBE\n\n\0', 'missing-header F-08');

  const missing = { '1.0': 'A-10', '1.1': 'A-11', '1.2': 'A-12' } as const;
  for (const version of VERSIONS) {
    onServer('M-69', 'ACK without an id', [version], 'ACK\nfoo:bar\n\n\0', `missing-header ${missing[version]}`);
    if (version !== '1.0')
      onServer('M-69', 'NACK without an id', [version], 'NACK\n\n\0', `missing-header ${missing[version]}`);
  }
  for (const id of [
    'NaN',
    '-1',
    `1${'0'.repeat(30)}`,
    '__proto__',
    '0.0',
    '0.0 ',
    '00.0',
    '0.00',
    '1@0.0',
    '0@0.0',
    '@',
    '.',
    '0.0.0',
  ])
    onServer(
      'M-69 M-70',
      `ACK of ${id}, which was never delivered`,
      VERSIONS,
      `SUBSCRIBE\nid:1\ndestination:/q\nack:client\n\n\0ACK\nid:${id}\nmessage-id:${id}\nsubscription:1\n\n\0`,
      'subscribe, unknown-ack A-09',
    );
  onServer(
    'M-70',
    'an id of 15 KiB',
    VERSIONS,
    `ACK\nid:${'9'.repeat(15_000)}\nmessage-id:${'9'.repeat(15_000)}\nsubscription:1\n\n\0`,
    'unknown-ack A-09',
  );

  for (const version of VERSIONS) {
    for (const [change, to] of [
      ['one digit more', (id: string) => `${id}1`],
      ['a nought before the ordinal', (id: string) => id.replace(/\d+\.\d+$/, '0$&')],
      ['a blank behind', (id: string) => `${id} `],
      ['a word before', (id: string) => `x@${id}`],
      ['another number', (id: string) => id.replace(/\d+$/, '99')],
      ['no number', (id: string) => id.replace(/\.\d+$/, '')],
    ] as const)
      test(`M-69 in ${version}: the id of a delivery with ${change} is no delivery`, () => {
        const server = serving(version, { leniency: { trim10: 'none' } });
        const message = deliver(server, subscribe(server, 'id:1\ndestination:/q\nack:client'), 'a');
        const changed = { get: (name: string) => (name === 'subscription' ? '1' : to(message.get(name) ?? '')) };
        expect(faultOf(hear(server, ackOf(version, changed)))).toBe('unknown-ack A-09');
      });

    test(`M-69 in ${version}: an ACK that names a delivery of one subscription and the id of another is refused`, () => {
      const server = serving(version);
      const one = deliver(server, subscribe(server, 'id:1\ndestination:/q\nack:client'), 'a');
      subscribe(server, 'id:2\ndestination:/q\nack:client');
      const crossed = { get: (name: string) => (name === 'subscription' ? '2' : one.get(name)) };
      const heard = hear(server, ackOf(version, crossed));
      if (version === '1.1') expect(faultOf(heard)).toBe('unknown-ack A-09');
      else expect(only(heard, 'settle').items).toEqual(['a']); // the other versions do not read the header
    });

    test(`M-71 in ${version}: ACK works after ABORT, and is refused after UNSUBSCRIBE`, () => {
      const server = serving(version);
      const message = deliver(server, subscribe(server, 'id:1\ndestination:/q\nack:client'), 'a');
      hear(
        server,
        `BEGIN\ntransaction:t\n\n\0${ackOf(version, message, 'ACK', 'transaction:t\n')}ABORT\ntransaction:t\n\n\0`,
      );
      expect(only(hear(server, ackOf(version, message)), 'settle').items).toEqual(['a']);
      const other = deliver(server, subscribe(server, 'id:2\ndestination:/q\nack:client'), 'b');
      hear(server, 'UNSUBSCRIBE\nid:2\n\n\0');
      expect(faultOf(hear(server, ackOf(version, other)))).toBe('unknown-ack A-09');
    });

    test(`M-71 in ${version}: an ACK enlisted in a transaction cannot be given again outside it`, () => {
      const server = serving(version);
      const message = deliver(server, subscribe(server, 'id:1\ndestination:/q\nack:client'), 'a');
      hear(server, `BEGIN\ntransaction:t\n\n\0${ackOf(version, message, 'ACK', 'transaction:t\n')}`);
      expect(faultOf(hear(server, ackOf(version, message)))).toBe('unknown-ack A-09');
    });
  }

  const begin = 'BEGIN\ntransaction:t\n\n\0';
  const commit = 'COMMIT\ntransaction:t\n\n\0';
  onServer('M-72', 'BEGIN without an id', VERSIONS, 'BEGIN\n\n\0', 'missing-header T-01');
  onServer('M-72', 'BEGIN twice', VERSIONS, begin + begin, 'begin, duplicate-transaction T-02');
  onServer('M-72', 'COMMIT of nothing', VERSIONS, commit, 'unknown-transaction T-04');
  onServer('M-72', 'ABORT of nothing', VERSIONS, 'ABORT\ntransaction:t\n\n\0', 'unknown-transaction T-04');
  onServer('M-72', 'COMMIT twice', VERSIONS, begin + commit + commit, 'begin, commit, unknown-transaction T-04');
  onServer(
    'M-72',
    'SEND into a transaction that is not open',
    VERSIONS,
    'SEND\ndestination:/q\ntransaction:t\n\nx\0',
    'unknown-transaction T-04',
  );
  test('M-73: a million BEGINs end at the seventeenth', () => {
    const server = serving('1.2');
    const said = Array.from({ length: 100 }, (_, at) => `BEGIN\ntransaction:${at}\n\n\0`).join('');
    const heard = hear(server, said);
    expect([heard.length, faultOf(heard)]).toEqual([17, 'too-many-transactions T-07']);
  });
  test('M-77: a million SUBSCRIBEs end one behind the limit', () => {
    const server = serving('1.2', { maxSubscriptions: 50 });
    const said = Array.from({ length: 100 }, (_, at) => `SUBSCRIBE\nid:${at}\ndestination:/q\n\n\0`).join('');
    const heard = hear(server, said);
    expect([heard.length, faultOf(heard)]).toEqual([51, 'too-many-subscriptions M-77']);
  });
  for (const version of VERSIONS) {
    test(`M-76 in ${version}: frames behind DISCONNECT are not heard, nor kept`, () => {
      const said = 'DISCONNECT\nreceipt:bye\n\n\0SEND\ndestination:/q\n\nx\0CONNECT\n\n\0';
      for (const cut of cuts(said.length)) {
        const server = serving(version);
        expect(hear(server, cut.of(bytes(said))).map(({ type }) => type)).toEqual(['disconnect']);
        hear(server, 'x'.repeat(100_000));
        expect(server.buffered).toBeLessThan(said.length);
      }
    });
    test(`M-78 in ${version}: the same transaction id is open on two connections`, () => {
      const [one, two] = [serving(version), serving(version)];
      hear(one, begin);
      hear(two, begin);
      only(hear(one, commit), 'commit');
      only(hear(two, commit), 'commit');
    });
    test(`M-82 in ${version}: names that mean something to JavaScript are plain data`, () => {
      const server = serving<string>(version);
      for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'then']) {
        const heard = only(hear(server, `SEND\ndestination:/q\n${name}:evil\n\nx\0`), 'send');
        expect(heard.frame.headers.toObject()[name]).toBe('evil');
        only(hear(server, `SUBSCRIBE\nid:${name}\ndestination:${name}\n\n\0`), 'subscribe');
        only(hear(server, `BEGIN\ntransaction:${name}\n\n\0`), 'begin');
        only(hear(server, `COMMIT\ntransaction:${name}\n\n\0`), 'commit');
      }
      expect(server.subscriptions.size).toBe(5);
    });
  }

  test('C-73: a session that ended keeps nothing of what still comes', () => {
    const server = serving('1.2');
    expect(faultOf(hear(server, 'ACK\nid:1\n\n\0'))).toBe('unknown-ack A-09');
    for (let round = 0; round < 100; round++) hear(server, 'x'.repeat(10_000));
    expect(server.buffered).toBeLessThan(10_001);
    server.error({ code: 'unknown-ack', message: 'no' });
    expect(text(server.take(0))).toMatch(/^ERROR\n/); // the fault may still be told
  });
});

describe('8.6: a hostile or broken server', () => {
  test('M-120 M-121: neither silence nor LFs put the connect timeout off', () => {
    const client = new ClientSession({ connectTimeoutMs: 5000 }, 1000);
    client.connect({ host: 'h' });
    for (let now = 1000; now < 6000; now += 500) {
      hear(client, '\n', now);
      expect([client.deadline, client.tick(now)]).toEqual([6000, undefined]);
    }
    expect(client.tick(6000)).toMatchObject({ code: 'connect-timeout', rule: 'M-42' });
  });

  beforeConnected('M-122', 'an HTTP page', 'HTTP/1.1 400 Bad Request\r\n\r\n<html>', 'unknown-command C-13');
  beforeConnected('M-122', 'an SSH banner', 'SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n', 'command-too-long C-34');
  beforeConnected('M-122', 'a TLS alert', '\u0015\u0003\u0003\u0000\u0002\u0002', 'nul-in-header C-35');
  beforeConnected('M-123', 'version:9', 'CONNECTED\nversion:9\n\n\0', 'version-mismatch N-08');
  beforeConnected('M-123', 'a version not offered', 'CONNECTED\nversion:1.1\n\n\0', 'version-mismatch N-08', ['1.2']);
  beforeConnected('M-123', 'no version, where 1.0 was not offered', 'CONNECTED\n\n\0', 'version-mismatch N-08', [
    '1.1',
    '1.2',
  ]);
  onClient('M-124', 'CONNECTED twice', VERSIONS, 'CONNECTED\nversion:1.2\n\n\0', 'unexpected-frame N-20');
  beforeConnected('M-125', 'MESSAGE first', 'MESSAGE\ndestination:/q\nmessage-id:1\n\n\0', 'unexpected-frame N-20');
  beforeConnected('M-125', 'RECEIPT first', 'RECEIPT\nreceipt-id:1\n\n\0', 'unexpected-frame N-20');
  onClient('M-126', 'SEND from a server', VERSIONS, 'SEND\ndestination:/q\n\nx\0', 'unexpected-frame N-20');
  onClient('M-126', 'an unknown command', VERSIONS, 'HELLO\n\n\0', 'unknown-command C-13');
  for (const value of ['x', '-1,-1', `1${'0'.repeat(20)},1`, '1', ''])
    beforeConnected(
      'M-127',
      `heart-beat ${JSON.stringify(value)}`,
      `CONNECTED\nversion:1.2\nheart-beat:${value}\n\n\0`,
      'bad-heart-beat H-09',
    );
  for (const value of ['1,1', '999999999999999,999999999999999'])
    test(`M-127: heart-beat ${value} makes no busy timer`, () => {
      const client = new ClientSession({}, 0);
      client.connect({ host: 'h' });
      hear(client, `CONNECTED\nversion:1.2\nheart-beat:${value}\n\n\0`);
      expect(client.deadline).toBeGreaterThanOrEqual(7500);
      expect(client.deadline).toBeLessThan(2 ** 31);
    });

  const head = 'MESSAGE\nsubscription:1\ndestination:/q\nmessage-id:1\n';
  onClient('M-128', 'an endless header', VERSIONS, `${head}a:${'x'.repeat(20_000)}`, 'header-line-too-long C-34');
  onClient('M-128', 'endless headers', VERSIONS, head + 'a:b\n'.repeat(200), 'too-many-headers C-34');
  onClient('M-128', 'an endless body', VERSIONS, `${head}\n${'x'.repeat(2000)}`, 'body-too-large C-60', {
    limits: { maxBodyBytes: 1000 },
  });
  onClient(
    'M-128',
    'content-length 10^15',
    VERSIONS,
    `${head}content-length:999999999999999\n\n`,
    'body-too-large C-60',
  );
  onClient('M-129', 'a bad content-length', VERSIONS, `${head}content-length:x\n\n`, 'bad-content-length C-58');
  onClient('M-129', 'a missing NUL', VERSIONS, `${head}content-length:2\n\nabcd\0`, 'missing-nul C-51');
  onClient('M-129', 'an undefined escape', FROM_1_1, `${head}a:\\t\n\n\0`, 'bad-escape C-41');
  onClient('M-129', 'no colon', VERSIONS, `${head}abc\n\n\0`, 'header-without-colon C-21');

  test('M-129: the message names the rule and the offset', () => {
    const heard = hear(served('1.2'), 'RECEIPT\nabc\n\n\0');
    expect(only(heard, 'fault').error.message).toMatch(/\[C-21, byte \d+\]$/);
  });

  onClient(
    'M-130',
    'MESSAGE without message-id',
    VERSIONS,
    'MESSAGE\nsubscription:1\ndestination:/q\n\n\0',
    'missing-header S-03',
  );
  onClient(
    'M-130',
    'MESSAGE without destination',
    VERSIONS,
    'MESSAGE\nsubscription:1\nmessage-id:1\n\n\0',
    'missing-header S-03',
  );

  for (const version of VERSIONS) {
    test(`M-131 in ${version}: a MESSAGE for a subscription just removed is handed out as nobody's`, () => {
      const client = served(version);
      expect(only(hear(client, `${head}ack:a\n\n\0`), 'message')).toMatchObject({
        subscription: undefined,
        owed: undefined,
      });
    });
    test(`M-132 in ${version}: a RECEIPT unknown, twice, or without an id is told apart, and harms nothing`, () => {
      const client = served(version);
      const heard = hear(client, 'RECEIPT\nreceipt-id:?\n\n\0RECEIPT\nreceipt-id:?\n\n\0RECEIPT\n\n\0');
      expect(heard.map((event) => event.type === 'receipt' && event.expected)).toEqual([false, false, false]);
      expect(client.state).toBe('connected');
    });
    test(`M-136 in ${version}: an ERROR without message and body, or with an unknown receipt-id, is an error`, () => {
      for (const said of ['ERROR\n\n\0', 'ERROR\nreceipt-id:?\n\n\0', 'ERROR\nmessage:m\n\n\0'])
        only(hear(served(version), said), 'error');
    });
    test(`M-138 in ${version}: a stream that breaks off inside a MESSAGE has said nothing`, () => {
      const client = served(version);
      expect([hear(client, `${head}\nhal`), client.idle, client.buffered > 0]).toEqual([[], false, true]);
    });
    test(`M-140 in ${version}: of two subscription headers the first counts`, () => {
      const client = served(version);
      for (const id of ['evil', 'real']) client.send(frame('SUBSCRIBE', { id, destination: '/q' }));
      const heard = hear(client, 'MESSAGE\nsubscription:real\nsubscription:evil\ndestination:/q\nmessage-id:1\n\n\0');
      expect(only(heard, 'message').subscription?.id).toBe('real');
    });
    test(`M-149 in ${version}: a body that is no text keeps its bytes, and text() says so`, () => {
      const said = new Uint8Array([...bytes(`${head}content-type:text/plain;charset=bogus\n\n`), 0xff, 0xfe, 0]);
      const message = only(hear(served(version), said), 'message').frame;
      expect([...message.body]).toEqual([0xff, 0xfe]);
      expect(() => message.text()).toThrow(TypeError);
    });
  }

  onClient('M-136', 'an ERROR body beyond the limit', VERSIONS, `ERROR\n\n${'x'.repeat(2000)}`, 'body-too-large C-60', {
    limits: { maxBodyBytes: 1000 },
  });

  test('M-148: a laptop that slept for hours says so once', () => {
    const client = new ClientSession({ heartBeat: { send: 1000, expect: 1000 } }, 0);
    client.connect({ host: 'h' });
    hear(client, 'CONNECTED\nversion:1.2\nheart-beat:1000,1000\n\n\0');
    client.take(0);
    expect(client.tick(7_200_000)?.code).toBe('silent-peer');
    client.close();
    expect([client.tick(7_200_001), client.deadline, client.pending]).toEqual([undefined, Number.POSITIVE_INFINITY, 0]);
  });
});
