// Conformance sections 2 to 4, as far as they bind a session, version by version.

import {
  agree,
  ClientSession,
  frame,
  keepAlive,
  negotiate,
  parseHeartBeat,
  ServerSession,
  VERSIONS,
  type Version,
} from '@stompbox/protocol';
import { connected, events, hear, only } from 'testkit';
import { describe, expect, test } from 'vitest';
import { SESSION_RULES, SESSION_RULES_ELSEWHERE } from './rules.ts';
import {
  ackOf,
  bytes,
  content,
  deliver,
  faultOf,
  RESERVED,
  refused,
  served,
  serving,
  subscribe,
  text,
} from './support.ts';

const ALL = VERSIONS;
const FROM_1_1: readonly Version[] = ['1.1', '1.2'];
const shown = new Set<string>();

/** A test that these rules hold, for each of these versions. */
function rule(rules: string, sentence: string, versions: readonly Version[], body: (version: Version) => void): void {
  for (const id of rules.split(' ')) shown.add(id);
  for (const version of versions)
    test(`${rules.replaceAll(' ', ', ')} in ${version}: ${sentence}`, () => body(version));
}

function once(rules: string, sentence: string, body: () => void): void {
  for (const id of rules.split(' ')) shown.add(id);
  test(`${rules.replaceAll(' ', ', ')}: ${sentence}`, body);
}

/** What a server answers to CONNECT with these headers: CONNECTED or ERROR as text. */
function answerTo(headers: string, command = 'CONNECT', options = {}): string {
  const server = new ServerSession(options, 0);
  const [event] = hear(server, `${command}\n${headers}\n\0`);
  if (event?.type === 'connect') server.accept({ session: 's-1', server: 'stompbox/1 (test)' }, 0);
  else if (event?.type === 'fault') server.error(event.error, event.receipt);
  return text(server.take(0));
}

describe('section 2.1: the handshake', () => {
  rule('N-01', 'CONNECT is answered with CONNECTED', ALL, (version) => {
    expect(answerTo(`accept-version:${version}\nhost:h\n`)).toMatch(/^CONNECTED\n/);
  });

  rule('N-02', 'STOMP is handled like CONNECT', FROM_1_1, (version) => {
    const headers = `accept-version:${version}\nhost:h\nheart-beat:7,8\n`;
    expect(answerTo(headers, 'STOMP')).toBe(answerTo(headers, 'CONNECT'));
  });

  rule('N-03 N-05', 'a client says CONNECT, not STOMP, and offers its version', FROM_1_1, (version) => {
    const client = new ClientSession({ versions: [version] }, 0);
    client.connect({ host: 'h' });
    expect(text(client.take(0))).toMatch(new RegExp(`^CONNECT\naccept-version:${version}\n`));
  });

  once('N-04', 'STOMP without accept-version is refused', () => {
    expect(faultOf(hear(new ServerSession({}, 0), 'STOMP\nhost:h\n\n\0'))).toBe('missing-header N-04');
  });

  once('N-05', 'versions are offered ascending and without blanks, however the option lists them', () => {
    const client = new ClientSession({ versions: ['1.2', '1.0', '1.1'] }, 0);
    client.connect({ host: 'h' });
    expect(text(client.take(0))).toContain('\naccept-version:1.0,1.1,1.2\n');
  });

  once('N-05', 'a client of 1.0 alone offers no version, and CONNECT without one means 1.0', () => {
    const client = new ClientSession({ versions: ['1.0'] }, 0);
    client.connect({});
    const said = text(client.take(0));
    expect(said).toBe('CONNECT\n\n\0');
    expect(only(hear(new ServerSession({}, 0), said), 'connect').version).toBe('1.0');
  });

  for (const [accept, chosen] of [
    ['1.0,1.1,2.0', '1.1'],
    ['1.2,1.1', '1.2'],
    ['1.1,1.1', '1.1'],
    ['1.10', undefined],
    ['1.2.3', undefined],
    ['1', undefined],
  ] as const) {
    once('N-06', `${accept} meets 1.0, 1.1 and 1.2 in ${chosen ?? 'nothing'}`, () => {
      expect(negotiate(accept)).toBe(chosen);
    });
  }

  once('N-06', 'the highest version in common is one that the server was told to speak', () => {
    const server = new ServerSession({ versions: ['1.0', '1.1'] }, 0);
    expect(only(hear(server, 'CONNECT\naccept-version:1.0,1.1,1.2\nhost:h\n\n\0'), 'connect').version).toBe('1.1');
  });

  rule('N-07', 'CONNECTED names the version', ALL, (version) => {
    expect(answerTo(`accept-version:${version}\nhost:h\n`)).toContain(`\nversion:${version}\n`);
  });

  once('N-07', 'CONNECTED without a version means 1.0', () => {
    const client = new ClientSession({}, 0);
    client.connect({ host: 'h' });
    expect(only(hear(client, 'CONNECTED\n\n\0'), 'connected').version).toBe('1.0');
  });

  once('N-08', 'a version that was not offered ends the session', () => {
    const client = new ClientSession({ versions: ['1.1'] }, 0);
    client.connect({ host: 'h' });
    expect(faultOf(hear(client, 'CONNECTED\nversion:1.2\n\n\0'))).toBe('version-mismatch N-08');
  });

  once('N-08', 'what counts as offered is what CONNECT said, whoever wrote it', () => {
    const client = new ClientSession({}, 0);
    client.send(frame('CONNECT', { 'accept-version': '1.1', host: 'h' }));
    expect(faultOf(hear(client, 'CONNECTED\nversion:1.2\n\n\0'))).toBe('version-mismatch N-08');
  });

  once('N-09', 'blanks around the items are forgiven', () => {
    expect(answerTo('accept-version:1.1, 1.2 \nhost:h\n')).toContain('\nversion:1.2\n');
  });

  once('N-10', 'no common version is one ERROR that lists ours, with a text body', () => {
    const answer = answerTo('accept-version:9.9\nhost:h\n');
    expect(answer).toMatch(/^ERROR\n/);
    expect(answer).toContain('\nversion:1.0,1.1,1.2\n');
    expect(answer).toContain('\ncontent-type:text/plain;charset=utf-8\n');
    expect(answer.split('\n\n')[1]).toMatch(/9\.9.*\n\0$/s);
  });

  rule('N-11 N-13', 'host, login and passcode are written raw, never escaped', FROM_1_1, (version) => {
    const client = new ClientSession({ versions: [version] }, 0);
    client.connect({ host: '/', login: 'a:b', passcode: 'c\\d: é ' });
    const said = client.take(0);
    expect(text(said)).toContain('\nhost:/\nlogin:a:b\npasscode:c\\d: é \n');
    const heard = only(hear(new ServerSession({}, 0), said), 'connect').frame;
    expect([heard.get('login'), heard.get('passcode')]).toEqual(['a:b', 'c\\d: é ']);
  });

  once('N-13', 'a passcode that CONNECT cannot carry is refused without being named', () => {
    const client = new ClientSession({}, 0);
    let said = '';
    try {
      client.connect({ host: 'h', passcode: 'hunter2\nadmin:true' });
    } catch (error) {
      said = String(error);
    }
    expect(said).toContain('UsageError');
    expect(said).not.toContain('hunter2');
    expect([client.pending, client.state]).toEqual([0, 'opening']);
  });

  rule('N-12', 'CONNECT without a host is let in unless `requireHost` is on', FROM_1_1, (version) => {
    const said = `CONNECT\naccept-version:${version}\n\n\0`;
    only(hear(new ServerSession({}, 0), said), 'connect');
    expect(faultOf(hear(new ServerSession({ requireHost: true }, 0), said))).toBe('missing-header N-11');
  });

  once('N-12', 'STOMP 1.0 knows no host, so none is required', () => {
    only(hear(new ServerSession({ requireHost: true }, 0), 'CONNECT\n\n\0'), 'connect');
  });

  rule('N-14 N-15', 'CONNECTED carries the session and the server, as they are', ALL, (version) => {
    const server = new ServerSession({}, 0);
    hear(server, `CONNECT\naccept-version:${version}\nhost:h\n\n\0`);
    server.accept({ session: 'ID:a:1', server: 'stompbox/1 (x)' }, 0);
    expect(text(server.take(0))).toContain('\nsession:ID:a:1\nserver:stompbox/1 (x)\n');
  });

  rule('N-16', 'a receipt asked for on CONNECT is ignored', ALL, (version) => {
    const answer = answerTo(`accept-version:${version}\nhost:h\nreceipt:r\n`);
    expect(answer).toMatch(/^CONNECTED\n/);
    expect(answer).not.toMatch(/RECEIPT|receipt/);
    expect(answerTo('accept-version:9\nreceipt:r\n')).not.toContain('receipt-id');
  });

  once('N-16', 'a client does not ask for a receipt on CONNECT', () => {
    const client = new ClientSession({}, 0);
    expect(refused(client, () => client.connect({ host: 'h', receipt: 'r' }))).toBe('bad-header');
  });

  rule('N-17', 'a login that is refused is one ERROR and the end', ALL, (version) => {
    const server = new ServerSession({}, 0);
    hear(server, `CONNECT\naccept-version:${version}\nhost:h\n\n\0SEND\ndestination:/q\n\n\0`);
    server.error({ code: 'denied', message: 'login refused' });
    expect(text(server.take(0)).match(/ERROR\n/g)).toHaveLength(1);
    expect([server.state, events(server)]).toEqual(['closed', []]);
  });

  once('N-18', 'a frame before CONNECT is refused, and a second CONNECT too', () => {
    expect(faultOf(hear(new ServerSession({}, 0), 'SEND\ndestination:/q\n\nx\0'))).toBe('unexpected-frame N-18');
    expect(faultOf(hear(serving('1.2'), 'CONNECT\naccept-version:1.2\nhost:h\n\n\0'))).toBe('unexpected-frame M-45');
  });

  once('N-19 N-22', 'a client says nothing between CONNECT and CONNECTED, and no second CONNECT ever', () => {
    const client = new ClientSession({}, 0);
    client.connect({ host: 'h' });
    for (const said of [frame('SEND', { destination: '/q' }), frame('DISCONNECT', {}), frame('CONNECT', {})])
      expect(refused(client, () => client.send(said))).toBe('not-connected');
    hear(client, 'ERROR\nmessage:no\n\n\0');
    expect(refused(client, () => client.connect({ host: 'h' }))).toBe('not-connected');
  });

  once('N-20', 'whatever comes first and is neither CONNECTED nor ERROR nor EOL ends the session', () => {
    for (const said of ['RECEIPT\nreceipt-id:r\n\n\0', 'MESSAGE\ndestination:/q\nmessage-id:1\n\n\0']) {
      const client = new ClientSession({}, 0);
      client.connect({ host: 'h' });
      expect(faultOf(hear(client, `\n\n${said}`))).toBe('unexpected-frame N-20');
    }
    expect(faultOf(hear(served('1.2'), 'CONNECTED\nversion:1.2\n\n\0'))).toBe('unexpected-frame N-20');
  });

  once('N-20', 'ERROR and then CONNECTED is an ERROR, and what follows is dropped', () => {
    const client = new ClientSession({}, 0);
    client.connect({ host: 'h' });
    const heard = hear(client, 'ERROR\nmessage:no\n\n\0CONNECTED\nversion:1.2\n\n\0');
    expect(heard.map(({ type }) => type)).toEqual(['error']);
    expect(client.state).toBe('closed');
  });
});

describe('section 2.2: heart-beats', () => {
  for (const [client, server, out, into] of [
    ['0,5000', '4000,0', 0, 5000],
    ['0,0', '4000,4000', 0, 0],
    ['1000,1000', '0,0', 0, 0],
    ['100,200', '300,50', 100, 300],
    ['100,200', '10,500', 500, 200],
  ] as const) {
    once('H-01 H-02', `${client} against ${server} is a beat out every ${out} and in every ${into} ms`, () => {
      const mine = parseHeartBeat(client);
      const theirs = parseHeartBeat(server);
      expect(agree(mine, theirs)).toEqual({ out, in: into });
      expect(agree(theirs, mine)).toEqual({ out: into, in: out });
    });
  }

  once('H-01', 'a missing header is 0,0', () => {
    expect(parseHeartBeat(undefined)).toEqual({ send: 0, expect: 0 });
    const client = new ClientSession({ heartBeat: { send: 10, expect: 10 } }, 0);
    client.send(frame('CONNECT', { 'accept-version': '1.2', host: 'h' })); // offers none, whatever the option says
    expect(only(hear(client, 'CONNECTED\nversion:1.2\nheart-beat:10,10\n\n\0'), 'connected').heartBeat).toEqual({
      out: 0,
      in: 0,
    });
  });

  rule('H-01 H-02', 'both ends agree on the same two gaps', FROM_1_1, (version) => {
    const pair = connected(version, {
      client: { heartBeat: { send: 100, expect: 2000 } },
      server: { heartBeat: { send: 500, expect: 700 } },
    });
    expect([pair.client.heartBeat, pair.server.heartBeat]).toEqual([
      { out: 700, in: 2000 },
      { out: 2000, in: 700 },
    ]);
  });

  rule('H-03', 'a beat is a single LF', FROM_1_1, (version) => {
    const pair = connected(version, {
      client: { heartBeat: { send: 100, expect: 0 } },
      server: { heartBeat: { send: 0, expect: 100 } },
    });
    pair.client.tick(100);
    expect([...pair.client.take(100)]).toEqual([10]);
  });

  rule('H-04', 'a body that drips keeps both sides alive', FROM_1_1, (version) => {
    const pair = connected(version, {
      client: { heartBeat: { send: 1000, expect: 0 } },
      server: { heartBeat: { send: 0, expect: 1000 } },
    });
    const drops = bytes('SEND\ndestination:/q\ncontent-length:50\n\n');
    let now = 0;
    for (const drop of [...drops, ...new Array<number>(50).fill(120)]) {
      now += 1500; // later than the gap, within the tolerance
      pair.server.receive(Uint8Array.of(drop), now);
      events(pair.server, now);
      expect(now < 60_000 ? pair.server.tick(now) : undefined).toBeUndefined();
    }
    expect(pair.server.tick(now + 2001)?.code).toBe('silent-peer');
  });

  once('H-04', 'any octet written puts the next beat off', () => {
    const beats = keepAlive({ out: 1000, in: 0 }, 0);
    beats.sent(700);
    expect([beats.check(1449), beats.check(1450), beats.deadline]).toEqual(['fine', 'beat', 1450]);
  });

  rule(
    'H-05 H-06',
    'a silent peer is given up after twice its gap, one second more at the least',
    FROM_1_1,
    (version) => {
      for (const [gap, patience] of [
        [5000, 10_000],
        [200, 1200],
      ] as const) {
        const pair = connected(version, {
          client: { heartBeat: { send: gap, expect: 0 } },
          server: { heartBeat: { send: 0, expect: gap } },
        });
        expect(pair.server.deadline).toBe(patience);
        expect(pair.server.tick(patience - 1)).toBeUndefined();
        expect(pair.server.tick(patience)?.rule).toBe('H-05');
      }
    },
  );

  once('H-06', 'a beat is due after three quarters of its gap, and the tolerance is an option', () => {
    expect(keepAlive({ out: 1000, in: 0 }, 0).deadline).toBe(750);
    expect(keepAlive({ out: 0, in: 1000 }, 0, { tolerance: 5 }).deadline).toBe(5000);
  });

  rule('H-07', 'the clocks start at CONNECTED', FROM_1_1, (version) => {
    const server = new ServerSession({ heartBeat: { send: 1000, expect: 1000 }, connectTimeoutMs: 0 }, 0);
    hear(server, `CONNECT\naccept-version:${version}\nhost:h\nheart-beat:1000,1000\n\n\0`, 500);
    expect(server.deadline).toBe(Number.POSITIVE_INFINITY);
    server.accept({}, 90_000);
    expect([server.deadline, server.tick(90_000)]).toEqual([90_750, undefined]);
  });

  once('H-08', 'no deadline is further away than a timer can be set, nor ever at once', () => {
    const far = agree(parseHeartBeat('99999999999,999999999999999'), { send: 1, expect: 1 });
    expect(far).toEqual({ out: 2 ** 31 - 1, in: 2 ** 31 - 1 });
    for (const periods of [far, { out: 0, in: far.in }]) {
      expect(keepAlive(periods, 0).deadline).toBeLessThan(2 ** 31);
      expect(keepAlive(periods, 0).deadline).toBeGreaterThan(2 ** 30);
    }
  });

  for (const value of [
    '1000',
    'a,b',
    '-1,0',
    '1.5,1',
    '',
    '1,2,3',
    '0x1,1',
    '1, 1',
    '1'.repeat(21).concat(',0'),
    '١,٢',
  ])
    rule('H-09', `heart-beat ${JSON.stringify(value)} is refused`, FROM_1_1, (version) => {
      const said = `CONNECT\naccept-version:${version}\nhost:h\nheart-beat:${value}\n\n\0`;
      expect(faultOf(hear(new ServerSession({}, 0), said))).toBe('bad-heart-beat H-09');
    });

  once('H-09', 'a client does not write a heart-beat that is none', () => {
    const client = new ClientSession({}, 0);
    expect(refused(client, () => client.connect({ host: 'h', 'heart-beat': '1000' }))).toBe('bad-header');
  });

  rule('H-10', 'a server ignores the header, and does not send it', ['1.0'], () => {
    const server = new ServerSession({}, 0);
    only(hear(server, 'CONNECT\naccept-version:1.0\nheart-beat:nonsense\n\n\0'), 'connect');
    server.accept({}, 0);
    expect(text(server.take(0))).not.toContain('heart-beat');
    expect(server.deadline).toBe(Number.POSITIVE_INFINITY);
  });

  rule('H-10', 'a client honours what it offered and CONNECTED carries, unless told not to', ['1.0'], () => {
    for (const [heartBeatIn10, expected] of [
      [undefined, { out: 100, in: 100 }],
      [false, { out: 0, in: 0 }],
    ] as const) {
      const client = new ClientSession({ heartBeat: { send: 100, expect: 100 }, heartBeatIn10 }, 0);
      client.connect({ host: 'h' });
      const heard = hear(client, 'CONNECTED\nversion:1.0\nheart-beat:100,100\n\n\0');
      expect(only(heard, 'connected').heartBeat).toEqual(expected);
    }
  });

  rule('H-12', 'missed beats are an error to the owner of the clock, and no frame is written', FROM_1_1, (version) => {
    const pair = connected(version, {
      client: { heartBeat: { send: 0, expect: 100 } },
      server: { heartBeat: { send: 100, expect: 0 } },
    });
    expect(pair.client.tick(5000)?.code).toBe('silent-peer');
    expect(pair.client.pending).toBe(0);
  });
});

describe('section 2.3: ending', () => {
  rule('E-01', 'DISCONNECT asks for a receipt, and it comes back', ALL, (version) => {
    const pair = connected(version);
    pair.client.send(frame('DISCONNECT', { receipt: 'bye' }));
    const bye = only(pair.toServer(), 'disconnect');
    expect(bye.receipt).toBe('bye');
    pair.server.receipt('bye');
    expect(only(pair.toClient(), 'receipt')).toMatchObject({ id: 'bye', expected: true });
  });

  rule('E-02', 'nothing is written after DISCONNECT, heart-beats included', ALL, (version) => {
    const client = new ClientSession({ heartBeat: { send: 100, expect: 0 } }, 0);
    client.connect({ host: 'h' });
    hear(client, `CONNECTED\nversion:${version}\nheart-beat:0,100\n\n\0`);
    client.send(frame('DISCONNECT', {}));
    client.take(0);
    for (const command of ['SEND', 'DISCONNECT', 'BEGIN'] as const)
      expect(refused(client, () => client.send(frame(command, { destination: '/q', transaction: 't' })))).toBe(
        'not-connected',
      );
    for (let now = 75; now < 1000; now += 75) expect([client.tick(now), client.pending]).toEqual([undefined, 0]);
    expect(client.deadline).toBeGreaterThan(900); // and no busy timer either
  });

  rule('E-06 S-08', 'ERROR is the last thing a server says or hears', ALL, (version) => {
    const server = serving(version);
    const subscription = subscribe(server, 'id:1\ndestination:/q');
    server.error({ code: 'denied', message: 'no' });
    expect(text(server.take(0))).toMatch(/^ERROR\n[^\0]*\0$/);
    server.message(subscription, { id: 1, destination: '/q', content: content(), redeliveries: 0 }, 'item');
    server.receipt('r');
    server.error({ code: 'denied', message: 'again' });
    expect([server.pending, hear(server, 'SEND\ndestination:/q\n\n\0'), server.deadline]).toEqual([
      0,
      [],
      Number.POSITIVE_INFINITY,
    ]);
  });

  rule('E-07 T-05', 'a transaction that is open at DISCONNECT has settled nothing', ALL, (version) => {
    const server = serving(version);
    const subscription = subscribe(server, 'id:1\ndestination:/q\nack:client');
    const message = deliver(server, subscription, 'one');
    hear(server, `BEGIN\ntransaction:t\n\n\0${ackOf(version, message, 'ACK', 'transaction:t\n')}`);
    only(hear(server, 'DISCONNECT\n\n\0'), 'disconnect');
    expect([...subscription.owed.values()].map(({ item }) => item)).toEqual(['one']);
  });
});

describe('section 3.2: SEND, SUBSCRIBE, UNSUBSCRIBE', () => {
  rule('F-01', 'SEND needs a destination on either side', ALL, (version) => {
    expect(faultOf(hear(serving(version), 'SEND\nfoo:bar\n\nx\0'))).toBe('missing-header F-01');
    expect(faultOf(hear(serving(version), 'SEND\ndestination:\n\nx\0'))).toBe('missing-header F-01');
    const client = served(version);
    expect(refused(client, () => client.send(frame('SEND', [['foo', 'bar']])))).toBe('missing-header');
    expect(only(hear(serving(version), 'SEND\ndestination:any thing/*\n\nx\0'), 'send').destination).toBe(
      'any thing/*',
    );
  });

  rule('F-03', 'the headers of SEND appear in MESSAGE, and what it may not say does not', ALL, (version) => {
    const pair = connected<string>(version);
    pair.client.send(frame('SUBSCRIBE', { id: 'real', destination: '/q' }));
    const { subscription } = only(pair.toServer(), 'subscribe');
    const said = {
      destination: '/q',
      foo: 'bar',
      subscription: 'evil',
      'message-id': 'evil',
      receipt: 'r',
      ack: 'evil',
    };
    pair.client.send(frame('SEND', said, 'x'));
    const sent = only(pair.toServer(), 'send').frame;
    const passed = content('x', Object.fromEntries([...sent.headers].filter(([name]) => !RESERVED.has(name))));
    pair.server.message(subscription, { id: 1, destination: '/q', content: passed, redeliveries: 0 }, 'item');
    const { frame: got } = only(pair.toClient(), 'message');
    expect(got.get('foo')).toBe('bar');
    expect([...got.headers].filter(([, value]) => value === 'evil')).toEqual([]);
    expect([got.get('receipt'), got.get('subscription')]).toEqual([undefined, 'real']);
  });

  rule('F-05', 'SUBSCRIBE without an id, with an empty or a used one is refused', FROM_1_1, (version) => {
    expect(faultOf(hear(serving(version), 'SUBSCRIBE\ndestination:/q\n\n\0'))).toBe('missing-header F-05');
    expect(faultOf(hear(serving(version), 'SUBSCRIBE\nid:\ndestination:/q\n\n\0'))).toBe('missing-header F-05');
    const twice = 'SUBSCRIBE\nid:1\ndestination:/q\n\n\0SUBSCRIBE\nid:1\ndestination:/other\n\n\0';
    expect(faultOf(hear(serving(version), twice))).toBe('duplicate-subscription F-05');
    const client = served(version);
    expect(refused(client, () => client.send(frame('SUBSCRIBE', { destination: '/q' })))).toBe('missing-header');
    client.send(frame('SUBSCRIBE', { destination: '/q', id: '1' }));
    expect(refused(client, () => client.send(frame('SUBSCRIBE', { destination: '/q', id: '1' })))).toBe(
      'duplicate-subscription',
    );
  });

  for (const ack of ['bogus', '', 'CLIENT', 'auto '])
    rule('F-06', `ack:${ack} is refused`, ALL, (version) => {
      const server = serving(version, { leniency: { trim10: 'none' } });
      expect(faultOf(hear(server, `SUBSCRIBE\nid:1\ndestination:/q\nack:${ack}\n\n\0`))).toBe('bad-header F-06');
      const client = served(version);
      const call = () =>
        client.send(
          frame('SUBSCRIBE', [
            ['id', '1'],
            ['destination', '/q'],
            ['ack', ack],
          ]),
        );
      expect(refused(client, call)).toBe('bad-header');
    });

  rule('F-06', 'ack is auto unless said; client and client-individual are modes of every version', ALL, (version) => {
    const server = serving(version);
    expect(subscribe(server, 'id:1\ndestination:/q').ack).toBe('auto');
    for (const ack of ['auto', 'client', 'client-individual'])
      expect(subscribe(server, `id:${ack}\ndestination:/q\nack:${ack}`).ack).toBe(ack);
  });

  rule(
    'F-07',
    'MESSAGE names the subscription if SUBSCRIBE did; several to one destination are legal',
    ALL,
    (version) => {
      const server = serving(version);
      const one = subscribe(server, 'id:1\ndestination:/q');
      const two = subscribe(server, 'id:2\ndestination:/q');
      expect([deliver(server, one, 'a').get('subscription'), deliver(server, two, 'a').get('subscription')]).toEqual([
        '1',
        '2',
      ]);
    },
  );

  rule('F-07', 'a subscription without an id is not named', ['1.0'], (version) => {
    const server = serving(version);
    expect(deliver(server, subscribe(server, 'destination:/q'), 'a').wire).not.toContain('subscription');
  });

  rule('F-08', 'UNSUBSCRIBE of what is not there is refused on either side', ALL, (version) => {
    expect(faultOf(hear(serving(version), 'UNSUBSCRIBE\nid:1\n\n\0'))).toBe('unknown-subscription F-08');
    const server = serving(version);
    subscribe(server, 'id:1\ndestination:/q');
    expect(faultOf(hear(server, 'UNSUBSCRIBE\nid:1\n\n\0UNSUBSCRIBE\nid:1\n\n\0'))).toBe('unknown-subscription F-08');
    expect(faultOf(hear(serving(version), 'UNSUBSCRIBE\n\n\0'))).toBe('missing-header F-08');
    const client = served(version);
    expect(refused(client, () => client.send(frame('UNSUBSCRIBE', { id: '1' })))).toBe('unknown-subscription');
  });

  rule(
    'F-08',
    'a client may UNSUBSCRIBE from the durable subscription it has left, as ActiveMQ wants it',
    ALL,
    (version) => {
      const client = served(version);
      client.send(frame('SUBSCRIBE', { id: '1', destination: '/topic/a' }));
      client.send(frame('UNSUBSCRIBE', { id: '1' }));
      client.send(frame('UNSUBSCRIBE', { id: '1', 'activemq.subscriptionName': 'a' }));
      expect(client.subscriptions.size).toBe(0);
    },
  );

  rule('F-08', 'UNSUBSCRIBE may name the destination instead of an id', ['1.0'], (version) => {
    const server = serving(version);
    const subscription = subscribe(server, 'destination:/q');
    expect(only(hear(server, 'UNSUBSCRIBE\ndestination:/q\n\n\0'), 'unsubscribe').subscription).toBe(subscription);
    expect(faultOf(hear(server, 'UNSUBSCRIBE\ndestination:/q\n\n\0'))).toBe('unknown-subscription F-08');
  });

  rule('F-09', 'a MESSAGE that crosses UNSUBSCRIBE belongs to nobody and harms nothing', FROM_1_1, (version) => {
    const pair = connected<string>(version);
    pair.client.send(frame('SUBSCRIBE', { id: '1', destination: '/q', ack: 'client' }));
    const { subscription } = only(pair.toServer(), 'subscribe');
    pair.server.message(subscription, { id: 1, destination: '/q', content: content(), redeliveries: 0 }, 'item');
    pair.client.send(frame('UNSUBSCRIBE', { id: '1' }));
    const late = only(pair.toClient(), 'message');
    expect([late.subscription, late.owed, pair.client.state]).toEqual([undefined, undefined, 'connected']);
  });

  rule('F-10', 'UNSUBSCRIBE hands back what was owed, and a later ACK is refused on either side', ALL, (version) => {
    const pair = connected<string>(version);
    pair.client.send(frame('SUBSCRIBE', { id: '1', destination: '/q', ack: 'client' }));
    const { subscription } = only(pair.toServer(), 'subscribe');
    for (const item of ['a', 'b', 'c'])
      pair.server.message(subscription, { id: 1, destination: '/q', content: content(), redeliveries: 0 }, item);
    const [first, second] = pair.toClient();
    if (first?.type !== 'message' || first.owed === undefined) throw new Error('nothing is owed');
    if (second?.type !== 'message' || second.owed === undefined) throw new Error('nothing is owed');
    pair.client.settle(first.owed, 'ACK');
    pair.toServer();
    pair.client.send(frame('UNSUBSCRIBE', { id: '1' }));
    expect(only(pair.toServer(), 'unsubscribe').owed).toEqual(['b', 'c']);
    const { owed } = second;
    expect(refused(pair.client, () => pair.client.settle(owed, 'ACK'))).toBe('unknown-ack');
    const late = ackOf(version, { get: (name) => second.frame.get(name) });
    expect(faultOf(hear(pair.server, late))).toBe('unknown-ack A-09');
  });

  rule('F-11', 'a client takes MESSAGE and the RECEIPT of SUBSCRIBE in either order', ALL, (version) => {
    const message = 'MESSAGE\nsubscription:1\ndestination:/q\nmessage-id:1\n\n\0';
    const receipt = 'RECEIPT\nreceipt-id:r\n\n\0';
    for (const said of [message + receipt, receipt + message]) {
      const client = served(version);
      client.send(frame('SUBSCRIBE', { id: '1', destination: '/q', receipt: 'r' }));
      const heard = hear(client, said);
      expect(only(heard, 'message').subscription?.id).toBe('1');
      expect(only(heard, 'receipt').expected).toBe(true);
    }
  });
});

describe('section 3.3: ACK and NACK', () => {
  rule('A-01', 'an ACK on an auto subscription is refused on either side', ALL, (version) => {
    const server = serving(version);
    const message = deliver(server, subscribe(server, 'id:1\ndestination:/q'), 'a');
    const ack = version === '1.2' ? 'ACK\nid:0.0\n\n\0' : ackOf(version, message);
    expect(faultOf(hear(server, ack))).toBe('ack-on-auto A-01');
    const client = served(version);
    client.send(frame('SUBSCRIBE', { id: '1', destination: '/q' }));
    const heard = only(hear(client, 'MESSAGE\nsubscription:1\ndestination:/q\nmessage-id:m\nack:m\n\n\0'), 'message');
    expect(heard.owed).toBeUndefined();
    const ids = { id: 'm', 'message-id': 'm', subscription: '1' };
    expect(refused(client, () => client.send(frame('ACK', ids)))).toMatch(/^(ack-on-auto|unknown-ack)$/);
  });

  rule('A-02', 'in client mode ACK covers the earlier ones of that subscription, and of no other', ALL, (version) => {
    const server = serving(version);
    const one = subscribe(server, 'id:1\ndestination:/q\nack:client');
    const two = subscribe(server, 'id:2\ndestination:/q\nack:client');
    deliver(server, one, 'a');
    deliver(server, two, 'x');
    const middle = deliver(server, one, 'b');
    deliver(server, one, 'c');
    expect(only(hear(server, ackOf(version, middle)), 'settle')).toMatchObject({ outcome: 'ack', items: ['a', 'b'] });
    expect([one.owed.size, two.owed.size]).toEqual([1, 1]);
  });

  rule('A-03', 'in client-individual mode ACK and NACK touch one message', FROM_1_1, (version) => {
    const server = serving(version);
    const subscription = subscribe(server, 'id:1\ndestination:/q\nack:client-individual');
    const [a, b] = [deliver(server, subscription, 'a'), deliver(server, subscription, 'b')];
    expect(only(hear(server, ackOf(version, b, 'NACK')), 'settle')).toMatchObject({ outcome: 'nack', items: ['b'] });
    expect(only(hear(server, ackOf(version, a)), 'settle')).toMatchObject({ outcome: 'ack', items: ['a'] });
  });

  rule('A-04', 'in client mode NACK covers the earlier ones too', FROM_1_1, (version) => {
    const server = serving(version);
    const subscription = subscribe(server, 'id:1\ndestination:/q\nack:client');
    deliver(server, subscription, 'a');
    const heard = hear(server, ackOf(version, deliver(server, subscription, 'b'), 'NACK'));
    expect(only(heard, 'settle')).toMatchObject({ outcome: 'nack', items: ['a', 'b'] });
  });

  rule('A-04', 'NACK does not exist', ['1.0'], (version) => {
    expect(faultOf(hear(serving(version), 'NACK\nmessage-id:1\n\n\0'))).toBe('unknown-command C-12');
    const client = served(version);
    expect(refused(client, () => client.send(frame('NACK', { 'message-id': '1' })))).toBe('unexpected-frame');
  });

  rule(
    'A-06',
    'MESSAGE has `ack` if the client must acknowledge, and a new one for each delivery',
    ['1.2'],
    (version) => {
      const server = serving(version);
      expect(deliver(server, subscribe(server, 'id:a\ndestination:/q'), 'x').get('ack')).toBeUndefined();
      const names = new Set<string | undefined>();
      for (const ack of ['client', 'client-individual']) {
        const subscription = subscribe(server, `id:${ack}\ndestination:/q\nack:${ack}`);
        for (let round = 0; round < 3; round++) names.add(deliver(server, subscription, 'the same', 5).get('ack'));
      }
      expect([names.size, names.has(undefined)]).toEqual([6, false]);
    },
  );

  rule('A-06', 'MESSAGE has no `ack`', ['1.0', '1.1'], (version) => {
    const server = serving(version);
    const subscription = subscribe(server, 'id:1\ndestination:/q\nack:client');
    expect(deliver(server, subscription, 'x').get('ack')).toBeUndefined();
  });

  rule('A-07', 'a planted `ack` in auto mode is nothing to settle', ALL, (version) => {
    const client = served(version);
    client.send(frame('SUBSCRIBE', { id: '1', destination: '/q' }));
    const heard = hear(client, 'MESSAGE\nsubscription:1\ndestination:/q\nmessage-id:m\nack:evil\n\n\0');
    expect(only(heard, 'message').owed).toBeUndefined();
  });

  rule('A-08', 'a delivery of an earlier connection is not acknowledged on this one', ALL, (version) => {
    const [earlier, later] = [served(version), served(version)];
    for (const client of [earlier, later])
      client.send(frame('SUBSCRIBE', { id: '1', destination: '/q', ack: 'client' }));
    const message = 'MESSAGE\nsubscription:1\ndestination:/q\nmessage-id:m\nack:m\n\n\0';
    const { owed } = only(hear(earlier, message), 'message');
    hear(later, message);
    if (owed === undefined) throw new Error('nothing is owed');
    expect(refused(later, () => later.settle(owed, 'ACK'))).toBe('unknown-ack');
    earlier.settle(owed, 'ACK');
  });

  rule('A-09', 'what was settled or never delivered cannot be acknowledged, on either side', ALL, (version) => {
    const server = serving(version);
    const subscription = subscribe(server, 'id:1\ndestination:/q\nack:client-individual');
    const message = deliver(server, subscription, 'a');
    expect(faultOf(hear(server, ackOf(version, message) + ackOf(version, message)))).toBe('unknown-ack A-09');
    const client = served(version);
    client.send(frame('SUBSCRIBE', { id: '1', destination: '/q', ack: 'client' }));
    const ids = { id: 'm', 'message-id': 'm', subscription: '1' };
    expect(refused(client, () => client.send(frame('ACK', ids)))).toBe('unknown-ack');
    const { owed } = only(
      hear(client, 'MESSAGE\nsubscription:1\ndestination:/q\nmessage-id:m\nack:m\n\n\0'),
      'message',
    );
    if (owed === undefined) throw new Error('nothing is owed');
    client.send(frame('ACK', ids));
    expect(refused(client, () => client.settle(owed, 'ACK'))).toBe('unknown-ack');
    expect(refused(client, () => client.send(frame('ACK', ids)))).toBe('unknown-ack');
  });

  rule('A-10', 'message-id is unique per delivery, whatever the mode and the subscription', ['1.0'], (version) => {
    const server = serving(version);
    const ids = new Set<string | undefined>();
    for (const ack of ['auto', 'auto', 'client', 'client', 'client-individual']) {
      const subscription = subscribe(server, `destination:/q\nack:${ack}`);
      ids.add(deliver(server, subscription, 'the same', 5).get('message-id'));
    }
    expect([ids.size, ids.has(undefined)]).toEqual([5, false]);
  });

  rule('A-10', 'ACK needs a message-id', ['1.0'], (version) => {
    expect(faultOf(hear(serving(version), 'ACK\nid:0.0\n\n\0'))).toBe('missing-header A-10');
  });

  rule('A-11', 'ACK needs message-id and subscription', ['1.1'], (version) => {
    const server = serving(version);
    const message = deliver(server, subscribe(server, 'id:1\ndestination:/q\nack:client'), 'a');
    const said = `ACK\nmessage-id:${message.get('message-id')}\n\n\0`;
    expect(faultOf(hear(server, said))).toBe('missing-header A-11');
    expect(faultOf(hear(serving(version), 'ACK\nsubscription:1\n\n\0'))).toBe('missing-header A-11');
  });

  rule('A-12', 'neither `ack` nor `message-id` stands in for `id`', ['1.2'], (version) => {
    const server = serving(version);
    const message = deliver(server, subscribe(server, 'id:1\ndestination:/q\nack:client'), 'a');
    const said = `ACK\nack:${message.get('ack')}\nmessage-id:${message.get('message-id')}\nsubscription:1\n\n\0`;
    expect(faultOf(hear(server, said))).toBe('missing-header A-12');
    const client = served(version);
    expect(refused(client, () => client.send(frame('ACK', { 'message-id': 'm' })))).toBe('missing-header');
  });

  rule('A-13', 'a message is owed until ACK or NACK', FROM_1_1, (version) => {
    for (const command of ['ACK', 'NACK'] as const) {
      const server = serving(version);
      const subscription = subscribe(server, 'id:1\ndestination:/q\nack:client');
      const message = deliver(server, subscription, 'a');
      expect(subscription.owed.size).toBe(1);
      hear(server, ackOf(version, message, command));
      expect(subscription.owed.size).toBe(0);
    }
  });
});

describe('section 3.4: transactions', () => {
  for (const command of ['BEGIN', 'COMMIT', 'ABORT'] as const)
    rule('T-01', `${command} needs a transaction on either side`, ALL, (version) => {
      expect(faultOf(hear(serving(version), `${command}\n\n\0`))).toBe('missing-header T-01');
      expect(faultOf(hear(serving(version), `${command}\ntransaction:\n\n\0`))).toBe('missing-header T-01');
      const client = served(version);
      expect(refused(client, () => client.send(frame(command, { transaction: '' })))).toBe('missing-header');
    });

  rule('T-01', 'a transaction is open on its own connection only', ALL, (version) => {
    only(hear(serving(version), 'BEGIN\ntransaction:t\n\n\0'), 'begin');
    expect(faultOf(hear(serving(version), 'COMMIT\ntransaction:t\n\n\0'))).toBe('unknown-transaction T-04');
  });

  rule('T-02', 'BEGIN of an open id is refused on either side; after its end the id is free', ALL, (version) => {
    const begin = 'BEGIN\ntransaction:t\n\n\0';
    expect(faultOf(hear(serving(version), begin + begin))).toBe('duplicate-transaction T-02');
    for (const end of ['COMMIT', 'ABORT'] as const) {
      const heard = hear(serving(version), `${begin}${end}\ntransaction:t\n\n\0${begin}`);
      expect(heard.map(({ type }) => type)).toEqual(['begin', end.toLowerCase(), 'begin']);
      const client = served(version);
      client.send(frame('BEGIN', { transaction: 't' }));
      expect(refused(client, () => client.send(frame('BEGIN', { transaction: 't' })))).toBe('duplicate-transaction');
      client.send(frame(end, { transaction: 't' }));
      client.send(frame('BEGIN', { transaction: 't' }));
    }
  });

  rule(
    'T-03',
    'SEND and ACK in a transaction come in order with its name, and nothing is settled before',
    ALL,
    (version) => {
      const server = serving(version);
      const subscription = subscribe(server, 'id:1\ndestination:/q\nack:client');
      const message = deliver(server, subscription, 'a');
      const heard = hear(
        server,
        `BEGIN\ntransaction:t\n\n\0SEND\ndestination:/q\ntransaction:t\n\nx\0${ackOf(version, message, 'ACK', 'transaction:t\n')}`,
      );
      expect(heard.map((event) => [event.type, 'transaction' in event ? event.transaction : ''])).toEqual([
        ['begin', 't'],
        ['send', 't'],
        ['settle', 't'],
      ]);
      expect(subscription.owed.size).toBe(1);
      hear(server, 'COMMIT\ntransaction:t\n\n\0');
      expect(subscription.owed.size).toBe(0);
    },
  );

  rule('T-04', 'what names a transaction that is not open is refused on either side', ALL, (version) => {
    for (const said of ['COMMIT\n', 'ABORT\n', 'SEND\ndestination:/q\n', 'ACK\nid:0.0\nmessage-id:1\nsubscription:1\n'])
      expect(faultOf(hear(serving(version), `${said}transaction:t\n\n\0`))).toBe('unknown-transaction T-04');
    const client = served(version);
    for (const said of [
      frame('COMMIT', { transaction: 't' }),
      frame('ABORT', { transaction: 't' }),
      frame('SEND', { destination: '/q', transaction: 't' }),
      frame('ACK', { id: 'm', 'message-id': 'm', subscription: '1', transaction: 't' }),
    ])
      expect(refused(client, () => client.send(said))).toBe('unknown-transaction');
  });

  rule('T-07', 'no more than `maxTransactions` are open at a time', ALL, (version) => {
    const server = serving(version, { maxTransactions: 2 });
    const begin = (id: string) => `BEGIN\ntransaction:${id}\n\n\0`;
    hear(server, `${begin('a')}${begin('b')}ABORT\ntransaction:a\n\n\0${begin('c')}`);
    expect(faultOf(hear(server, begin('d')))).toBe('too-many-transactions T-07');
  });

  rule('T-08', 'after ABORT its messages wait again, in their old places', ALL, (version) => {
    const server = serving(version);
    const subscription = subscribe(server, 'id:1\ndestination:/q\nack:client');
    const [, b, c] = ['a', 'b', 'c'].map((item) => deliver(server, subscription, item));
    if (b === undefined || c === undefined) throw new Error('nothing came');
    hear(server, `BEGIN\ntransaction:t\n\n\0${ackOf(version, b, 'ACK', 'transaction:t\n')}`);
    expect(only(hear(server, 'ABORT\ntransaction:t\n\n\0'), 'abort').orphans).toEqual([]);
    expect(only(hear(server, ackOf(version, c)), 'settle').items).toEqual(['a', 'b', 'c']);
  });

  rule('T-08', 'after UNSUBSCRIBE nobody waits for them: ABORT hands them back', ALL, (version) => {
    const server = serving(version);
    const subscription = subscribe(server, 'id:1\ndestination:/q\nack:client');
    const message = deliver(server, subscription, 'a');
    hear(server, `BEGIN\ntransaction:t\n\n\0${ackOf(version, message, 'ACK', 'transaction:t\n')}`);
    expect(only(hear(server, 'UNSUBSCRIBE\nid:1\n\n\0'), 'unsubscribe').owed).toEqual([]);
    expect(only(hear(server, 'ABORT\ntransaction:t\n\n\0'), 'abort').orphans).toEqual(['a']);
  });

  rule('T-09', '`transaction` on SUBSCRIBE and DISCONNECT has no meaning', ALL, (version) => {
    const server = serving(version);
    only(hear(server, 'SUBSCRIBE\nid:1\ndestination:/q\ntransaction:none\n\n\0'), 'subscribe');
    only(hear(server, 'DISCONNECT\ntransaction:none\n\n\0'), 'disconnect');
  });

  rule('T-10', 'a SEND in a transaction may ask for a receipt like any other', ALL, (version) => {
    const heard = hear(
      serving(version),
      'BEGIN\ntransaction:t\n\n\0SEND\ndestination:/q\ntransaction:t\nreceipt:r\n\nx\0',
    );
    expect(only(heard, 'send').receipt).toBe('r');
  });
});

describe('section 3.5: receipts', () => {
  const ASKED = [
    'SEND\ndestination:/q',
    'SUBSCRIBE\nid:fresh\ndestination:/q',
    'UNSUBSCRIBE\nid:1',
    'BEGIN\ntransaction:fresh',
    'COMMIT\ntransaction:t',
    'ABORT\ntransaction:t',
    'DISCONNECT',
  ];
  for (const asked of ASKED)
    rule('R-01 R-09', `${asked.split('\n')[0]} may ask for a receipt`, ALL, (version) => {
      const server = serving(version);
      hear(server, 'SUBSCRIBE\nid:1\ndestination:/q\n\n\0BEGIN\ntransaction:t\n\n\0');
      const [event] = hear(server, `${asked}\nreceipt:r-1\n\n\0`);
      expect(event !== undefined && 'receipt' in event ? event.receipt : 'none').toBe('r-1');
    });

  rule('R-01 R-09', 'ACK may ask for a receipt', ALL, (version) => {
    const server = serving(version);
    const message = deliver(server, subscribe(server, 'id:1\ndestination:/q\nack:client'), 'a');
    expect(only(hear(server, ackOf(version, message, 'ACK', 'receipt:r\n')), 'settle').receipt).toBe('r');
  });

  for (const id of ['', 'r', ' r ', 'a:b', 'a\\b', 'é€😀', 'x'.repeat(10_000), '__proto__'])
    rule('R-01 S-06', `receipt ${JSON.stringify(id.slice(0, 12))} comes back as it was`, ALL, (version) => {
      const pair = connected(version, {
        client: { leniency: { trim10: 'none' } },
        server: { leniency: { trim10: 'none' } },
      });
      pair.client.send(frame('SEND', { destination: '/q', receipt: id }));
      const { receipt } = only(pair.toServer(), 'send');
      expect(receipt).toBe(id);
      pair.server.receipt(id);
      const came = only(pair.toClient(), 'receipt');
      expect([came.id, came.expected, came.frame.body.length]).toEqual([id, true, 0]);
    });

  rule('R-01', 'LF in a receipt is escaped, and CR where there is an escape for it', FROM_1_1, (version) => {
    const server = serving(version);
    server.receipt(version === '1.2' ? 'a\nb\rc' : 'a\nb');
    expect(text(server.take(0))).toContain(version === '1.2' ? 'receipt-id:a\\nb\\rc\n' : 'receipt-id:a\\nb\n');
  });

  rule('R-02', 'the session writes no receipt by itself: it is given after the effect', ALL, (version) => {
    const server = serving(version);
    hear(server, 'SEND\ndestination:/q\nreceipt:r\n\nx\0');
    expect(server.pending).toBe(0);
  });

  rule('R-03', 'receipts are matched by id, whatever their order', ALL, (version) => {
    const client = served(version);
    for (const receipt of ['a', 'b', 'c']) client.send(frame('SEND', { destination: '/q', receipt }));
    expect([...client.receipts]).toEqual(['a', 'b', 'c']);
    for (const id of ['c', 'a', 'b'])
      expect(only(hear(client, `RECEIPT\nreceipt-id:${id}\n\n\0`), 'receipt')).toMatchObject({ id, expected: true });
    expect(client.receipts.size).toBe(0);
  });

  rule('R-06', 'an id that is waited for is not used again; one that is not is told apart', ALL, (version) => {
    const client = served(version);
    client.send(frame('SEND', { destination: '/q', receipt: 'r' }));
    expect(refused(client, () => client.send(frame('SEND', { destination: '/q', receipt: 'r' })))).toBe(
      'duplicate-receipt',
    );
    const heard = hear(client, 'RECEIPT\nreceipt-id:r\n\n\0RECEIPT\nreceipt-id:r\n\n\0RECEIPT\nreceipt-id:other\n\n\0');
    expect(heard.map((event) => event.type === 'receipt' && event.expected)).toEqual([true, false, false]);
    client.send(frame('SEND', { destination: '/q', receipt: 'r' }));
    expect(client.state).toBe('connected');
  });

  rule('R-06', 'a receipt that nobody waits for any more is not expected, and its id is free', ALL, (version) => {
    const client = served(version);
    client.send(frame('SEND', { destination: '/q', receipt: 'r' }));
    client.forget('r');
    expect(only(hear(client, 'RECEIPT\nreceipt-id:r\n\n\0'), 'receipt').expected).toBe(false);
    client.send(frame('SEND', { destination: '/q', receipt: 'r' }));
  });

  rule('R-07', 'a frame at fault gets ERROR with its receipt-id, and no RECEIPT', ALL, (version) => {
    const server = serving(version);
    const fault = only(hear(server, 'SEND\nreceipt:r:1\n\nx\0'), 'fault');
    server.error(fault.error, fault.receipt);
    server.receipt('r:1');
    const said = text(server.take(0));
    expect(said).toMatch(version === '1.0' ? /^ERROR\n.*\nreceipt-id:r:1\n/s : /^ERROR\n.*\nreceipt-id:r\\c1\n/s);
    expect(said).not.toContain('RECEIPT');
  });

  rule('R-07', 'ERROR after RECEIPT still ends the session', ALL, (version) => {
    const client = served(version);
    client.send(frame('SEND', { destination: '/q', receipt: 'r' }));
    const heard = hear(client, 'RECEIPT\nreceipt-id:r\n\n\0ERROR\nreceipt-id:r\nmessage:no\n\n\0');
    expect(heard.map(({ type }) => type)).toEqual(['receipt', 'error']);
    expect(client.state).toBe('closed');
  });
});

describe('section 4: server frames', () => {
  const heads: Readonly<Record<Version, RegExp>> = {
    '1.0': /^MESSAGE\nsubscription:1\ndestination:\/q\nmessage-id:7@0\.0\ncontent-length:5\n\nhello\0$/,
    '1.1': /^MESSAGE\nsubscription:1\ndestination:\/q\nmessage-id:7@0\.0\ncontent-length:5\n\nhello\0$/,
    '1.2': /^MESSAGE\nsubscription:1\ndestination:\/q\nmessage-id:7\nack:0\.0\ncontent-length:5\n\nhello\0$/,
  };
  rule('S-01 S-02 S-03 S-05', 'MESSAGE has what its version asks for, broker headers first', ALL, (version) => {
    const server = serving(version);
    const subscription = subscribe(server, 'id:1\ndestination:/q\nack:client');
    expect(deliver(server, subscription, 'a').wire).toMatch(heads[version]);
  });

  rule('S-04', 'MESSAGE has the destination of the SEND, escaped as the version has it', ALL, (version) => {
    const pair = connected<string>(version);
    pair.client.send(frame('SUBSCRIBE', { id: '1', destination: '/topic/>' }));
    const { subscription } = only(pair.toServer(), 'subscribe');
    const destination = '/topic/a:b\\c%20é';
    pair.server.message(subscription, { id: 1, destination, content: content(), redeliveries: 0 }, 'a');
    expect(only(pair.toClient(), 'message').frame.get('destination')).toBe(destination);
  });

  rule('S-05', 'content-type passes; no body, no content-length', ALL, (version) => {
    const server = serving(version);
    const subscription = subscribe(server, 'id:1\ndestination:/q');
    const say = (body: string, headers: Readonly<Record<string, string>>) => {
      server.message(subscription, { id: 1, destination: '/q', content: content(body, headers), redeliveries: 0 }, 'a');
      return text(server.take(0));
    };
    expect(say('hi', { 'content-type': 'text/plain' })).toContain(
      '\ncontent-length:2\ncontent-type:text/plain\n\nhi\0',
    );
    expect(say('', {})).not.toContain('content-length');
  });

  rule(
    'S-07 S-10',
    'ERROR has a short message, the receipt-id and a body, escaped as the version has it',
    ALL,
    (version) => {
      const server = serving(version);
      server.error({ code: 'denied', message: 'no: not\nyou' }, 'r');
      const escaped = version === '1.0' ? 'no: not you' : 'no\\c not\\nyou';
      expect(text(server.take(0))).toBe(
        `ERROR\nmessage:${escaped}\nreceipt-id:r\ncontent-type:text/plain;charset=utf-8\ncontent-length:12\n\nno: not\nyou\n\0`,
      );
    },
  );

  once('S-09', 'ERROR quotes little of the input, printable, and no passcode', () => {
    const said = `CONNECT\naccept-version:9\npasscode:hunter2\n${'x'.repeat(3000)}:\u001b[31m\n\n\0`;
    const server = new ServerSession({}, 0);
    const fault = only(hear(server, said), 'fault');
    server.error(fault.error);
    const answer = text(server.take(0));
    expect(answer.length).toBeLessThan(600);
    expect(answer).not.toMatch(/hunter2|\u001b/);
    const long = serving('1.2');
    const [event] = hear(long, `SUBSCRIBE\nid:1\ndestination:/q\nack:${'y'.repeat(9000)}\n\n\0`);
    expect(event?.type === 'fault' && event.error.message.length < 300).toBe(true);
  });

  once('S-10', 'before a version is agreed on ERROR takes the form of 1.0, with no raw line end', () => {
    const server = new ServerSession({}, 0);
    hear(server, 'CONNECT\naccept-version:1.2\nhost:h\n\n\0');
    server.error({ code: 'denied', message: 'a\r\nversion:9\0' });
    expect(text(server.take(0)).split('\n\n')[0]).toBe(
      'ERROR\nmessage:a  version:9 \ncontent-type:text/plain;charset=utf-8\ncontent-length:14',
    );
  });

  rule('S-11', 'ERROR ends the session unless the profile knows that it cancels a subscription', ALL, (version) => {
    const said = 'ERROR\nmessage:gone\nsubscription:1\n\n\0';
    const strict = served(version);
    strict.send(frame('SUBSCRIBE', { id: '1', destination: '/q' }));
    expect(only(hear(strict, said), 'error').cancelled).toBeUndefined();
    expect(strict.state).toBe('closed');

    const rabbit = served(version, { errorPolicy: 'profile' });
    rabbit.send(frame('SUBSCRIBE', { id: '1', destination: '/q' }));
    expect(only(hear(rabbit, said), 'error').cancelled?.id).toBe('1');
    expect([rabbit.state, rabbit.subscriptions.size]).toEqual(['connected', 0]);
    only(hear(rabbit, said), 'error'); // it names no subscription of ours any more
    expect(rabbit.state).toBe('closed');
  });

  rule('S-12', 'what follows an ERROR is dropped, more ERRORs included', ALL, (version) => {
    const client = served(version);
    const heard = hear(client, 'ERROR\nmessage:1\n\n\0ERROR\nmessage:2\n\n\0garbage that is no frame');
    expect(heard.map(({ type }) => type)).toEqual(['error']);
    expect([hear(client, 'more'), client.deadline]).toEqual([[], Number.POSITIVE_INFINITY]);
  });

  rule('S-13 S-14', 'a MESSAGE for nobody is handed out as such', ALL, (version) => {
    const client = served(version);
    client.send(frame('SUBSCRIBE', { id: '1', destination: '/q', ack: 'client' }));
    const other = only(hear(client, 'MESSAGE\nsubscription:2\ndestination:/q\nmessage-id:1\nack:a\n\n\0'), 'message');
    expect([other.subscription, other.owed]).toEqual([undefined, undefined]);
    const unnamed = only(hear(client, 'MESSAGE\ndestination:/q\nmessage-id:2\nack:b\n\n\0'), 'message');
    expect(unnamed.subscription?.id).toBe(version === '1.0' ? '1' : undefined);
  });

  rule('S-15', 'a MESSAGE that must be acknowledged and has no `ack` ends the session', ['1.2'], (version) => {
    const client = served(version);
    client.send(frame('SUBSCRIBE', { id: '1', destination: '/q', ack: 'client' }));
    const said = 'MESSAGE\nsubscription:1\ndestination:/q\nmessage-id:1\n\n\0';
    expect(faultOf(hear(client, said))).toBe('missing-header S-15');
  });
});

test('every rule of sections 2 to 4 is shown here or binds somebody else, never both', () => {
  expect(SESSION_RULES.filter((id) => !shown.has(id) && !(id in SESSION_RULES_ELSEWHERE))).toEqual([]);
  expect(Object.keys(SESSION_RULES_ELSEWHERE).filter((id) => shown.has(id))).toEqual([]);
  expect([...shown].filter((id) => !SESSION_RULES.includes(id))).toEqual([]);
});
