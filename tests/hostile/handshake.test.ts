// Conformance 8.2 through real sockets: who does not come in properly is told once why,
// learns nothing else, and reaches nothing behind the door.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createBroker, passcodes } from '@stompbox/broker';
import { VERSIONS, type Version } from '@stompbox/protocol';
import { inPieces, type RawClient, rawClient, turn } from 'testkit';
import { makeCertificates } from 'testkit/peers';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { dripped, type Place, passing, place, queueNames, theError, until } from './support.ts';

interface Row {
  readonly id: string;
  readonly says: string;
  readonly bytes: string | Uint8Array;
  readonly error: RegExp;
  /** After CONNECTED in each of these, instead of first of all. */
  readonly versions?: readonly Version[];
}

// What a browser can be made to send to any port: a STOMP session in the body of a form.
const FORM = 'CONNECT\naccept-version:1.2\nhost:h\n\n\0SEND\ndestination:/queue/evil\n\nx\0';
const CLIENT_HELLO = Uint8Array.of(0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 0x55, 0xaa, 0, 10, 13, 10, 0, 0);
const OTHER = 'accept-version:1.2\nhost:h\nlogin:other\npasscode:o\n';

const rows: readonly Row[] = [
  { id: 'M-40', says: 'GET', bytes: `GET / HTTP/1.1\r\nHost: h\r\n\r\n${FORM}`, error: /C-13/ },
  { id: 'M-40', says: 'GET of a long path', bytes: `GET /${'a'.repeat(99)} HTTP/1.1\r\n\r\n${FORM}`, error: /C-34/ },
  { id: 'M-40', says: 'POST of a session', bytes: `POST / HTTP/1.1\r\nHost: h\r\n\r\n${FORM}`, error: /C-13/ },
  { id: 'M-41', says: 'a TLS ClientHello', bytes: CLIENT_HELLO, error: /C-35/ },
  ...[
    'SEND\ndestination:/queue/evil\n\nx\0',
    'SUBSCRIBE\nid:1\ndestination:/queue/evil\n\n\0',
    'UNSUBSCRIBE\nid:1\n\n\0',
    'ACK\nid:1\n\n\0',
    'NACK\nid:1\n\n\0',
    'BEGIN\ntransaction:t\n\n\0',
    'DISCONNECT\nreceipt:r\n\n\0',
  ].map(
    (bytes): Row => ({ id: 'M-43', says: bytes.slice(0, bytes.indexOf('\n')), bytes, error: /before CONNECT.*N-18/ }),
  ),
  ...[
    'CONNECTED\nversion:1.2\n\n\0',
    'MESSAGE\ndestination:/queue/a\nmessage-id:1\nsubscription:1\n\nx\0',
    'RECEIPT\nreceipt-id:r\n\n\0',
    'ERROR\nmessage:no\n\nno\0',
  ].flatMap((bytes): Row[] => {
    const row = { id: 'M-44', says: bytes.slice(0, bytes.indexOf('\n')), bytes, error: /for servers to send.*M-44/ };
    return [row, { ...row, versions: VERSIONS }];
  }),
  { id: 'M-45', says: 'CONNECT again', bytes: FORM, error: /connected already.*M-45/, versions: VERSIONS },
  { id: 'M-45', says: 'CONNECT as another', bytes: `CONNECT\n${OTHER}\n\0`, error: /M-45/, versions: VERSIONS },
  { id: 'M-45', says: 'STOMP again', bytes: `STOMP\n${OTHER}\n\0`, error: /M-45/, versions: ['1.1', '1.2'] },
  ...['2.0', '1.3', '1.10', '', 'foo', '1.2;1.1', '01.2', '1.2.0'].map((accept): Row => {
    const bytes = `CONNECT\naccept-version:${accept}\nhost:h\n\n\0`;
    return { id: 'M-46', says: `accept-version ${JSON.stringify(accept)}`, bytes, error: /N-10/ };
  }),
  {
    id: 'M-47',
    says: 'accept-version with 10^5 entries',
    bytes: `CONNECT\naccept-version:${'1.3,'.repeat(100_000)}\n\n\0`,
    error: /longer than \d+ bytes.*C-34/,
  },
  ...['a,b', '1', '1,2,3', '-1,0', '1.5,1', '', '1e20,1', `${10n ** 20n},0`, '0x1,1', '1,', '1000, 1000'].map(
    (heartBeat): Row => {
      const bytes = `CONNECT\naccept-version:1.2\nhost:h\nheart-beat:${heartBeat}\n\n\0`;
      return { id: 'M-49', says: `heart-beat ${JSON.stringify(heartBeat)}`, bytes, error: /H-09/ };
    },
  ),
  { id: 'M-55', says: 'a body', bytes: 'CONNECT\naccept-version:1.2\nhost:h\n\nbody\0', error: /C-61/ },
  {
    id: 'M-55',
    says: 'a body as long as it says',
    bytes: 'CONNECT\naccept-version:1.2\nhost:h\nreceipt:r\ncontent-length:4\n\nbody\0',
    error: /C-61/,
  },
];

let at: Place;
beforeAll(async () => {
  at = await place();
});
afterEach(() => at.clear());
afterAll(() => at.close());

describe('8.2: one ERROR, then the end, and nothing behind it is read', () => {
  for (const row of rows) {
    test(`${row.id}: ${row.says}${row.versions ? `, in ${row.versions.join(', ')}` : ''}`, async () => {
      const bytes = Buffer.concat([Buffer.from(row.bytes as Uint8Array), Buffer.from(FORM)]);
      for (const version of row.versions ?? [undefined]) {
        for (const url of [at.tcp, at.ws]) {
          for (const size of [bytes.length, ...(bytes.length < 1_000 ? [1, 7] : [1_000])]) {
            const client = version === undefined ? await at.dial(url) : await at.connected(version, { url });
            await client.writePieces(inPieces(bytes, size));
            const error = theError(await client.end(), row.error);
            if (row.id === 'M-46') expect(error.headers.get('version')).toBe('1.0,1.1,1.2');
            const asked = row.id === 'M-43' && row.says === 'DISCONNECT';
            expect(error.headers.get('receipt-id')).toBe(asked ? 'r' : undefined); // N-16: CONNECT asks for none
          }
        }
      }
      expect(queueNames(at)).toEqual(['bystander']);
      if (bytes.length > 64 * 1024) await at.clock.advance(1_000); // lingerMs: who goes on sending is left alone until then
      await at.unharmed();
    });
  }

  test('M-41: STOMP on the TLS port ends, and TLS goes on', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'hostile-'));
    const tls = await makeCertificates(folder);
    await rm(folder, { recursive: true });
    const broker = await createBroker({ listen: ['stomp+ssl://127.0.0.1:0'], tls });
    const port = new URL(broker.urls[0] ?? '').port;
    for (let i = 0; i < 3; i++) {
      const client = await rawClient(`tcp://127.0.0.1:${port}`);
      await client.write(FORM);
      expect((await client.end()).frames).toEqual([]);
    }
    expect(broker.stats()).toMatchObject({ connections: 0, received: 0 });
    await broker.close();
  });
});

describe('8.2: time', () => {
  for (const [says, bytes] of [
    ['nothing at all', ''],
    ['half a CONNECT', 'CONNECT\naccept-ver'],
    ['a CONNECT without its NUL', 'CONNECT\naccept-version:1.2\nhost:h\n\n'],
  ] as const) {
    for (const transport of ['tcp', 'ws'] as const) {
      test(`M-42: ${says} over ${transport} ends after connectTimeoutMs`, async () => {
        const client = await at.dial(at[transport]);
        await client.write(bytes);
        expect(await passing(at, () => client.over, 30_000)).toBeGreaterThanOrEqual(10_000);
        theError(await client.end(), /too long to connect.*M-42/);
        await at.unharmed();
      });
    }
  }

  test('M-42: an authenticator that never answers does not keep a connection', async () => {
    const slow = await place({
      authenticate: ({ login }) => (login === 'bystander' ? { name: 'b' } : new Promise(() => {})),
    });
    const client = await slow.dial();
    await client.write(FORM);
    await passing(slow, () => client.over, 30_000);
    theError(await client.end(), /M-42/);
    await slow.unharmed();
    await slow.close();
  });

  test('M-50: a heart-beat of 1 ms is raised to minHeartBeatMs', async () => {
    const client = await at.dial();
    const connected = await client.connect('1.2', 'heart-beat:1,1\n');
    expect(connected.headers.get('heart-beat')).toBe('1000,1000');
    const alarms = at.clock.alarms;
    expect(await passing(at, () => client.over, 10_000, 100)).toBeGreaterThanOrEqual(2_000); // twice 1 000, and not twice 1
    expect(at.clock.alarms).toBeLessThanOrEqual(alarms);
    theError(await client.end(), /H-05/);
    await at.unharmed();
  });

  test('M-49: a heart-beat of 15 digits is no busy timer', async () => {
    const client = await at.dial();
    await client.connect('1.2', 'heart-beat:999999999999999,999999999999999\n');
    await at.clock.advance(3_600_000);
    await client.write('SEND\ndestination:/topic/a\nreceipt:r\n\n\0');
    expect((await client.next()).command).toBe('RECEIPT');
    client.finish();
    await at.unharmed();
  });
});

describe('8.2: logins', () => {
  const users = { bystander: 'b', odd: 'a:b\\c\\n d ü', plain: 'secret', empty: '' };
  let guarded: Place;
  beforeAll(async () => {
    guarded = await place({ authenticate: passcodes(users) });
  });
  afterEach(() => guarded.clear());
  afterAll(() => guarded.close());

  /** What the broker answers, with as much time as it wants. */
  async function login(headers: string, behind = ''): Promise<RawClient> {
    const client = await guarded.dial();
    await client.write(`CONNECT\naccept-version:1.2\nhost:h\n${headers}\n\0${behind}`);
    await passing(guarded, () => client.frames.length > 0 || client.over, 20_000, 500);
    return client;
  }
  const refused = async (headers: string, behind?: string) =>
    theError(await (await login(headers, behind)).end(), /refused/);
  const accepted = async (headers: string) => {
    const client = await login(headers);
    expect(client.frames.map(({ command }) => command)).toEqual(['CONNECTED']);
    client.finish();
    await client.end();
  };

  test('M-51: a wrong passcode is one ERROR, and what is behind it is dropped', async () => {
    const error = await refused('login:plain\npasscode:wrong\n', FORM.slice(FORM.indexOf('SEND')).repeat(100));
    expect(error.headers.get('message')).toBe('the login was refused'); // N-17
    expect(error.body).not.toContain('wrong');
    expect(queueNames(guarded)).toEqual(['bystander']);
    expect(guarded.broker.stats().received).toBeLessThanOrEqual(guarded.broker.stats().delivered); // the bystander's own
    await guarded.unharmed();
  });

  test('M-51: what comes while a login takes its time is not kept without bound', async () => {
    let decide: (identity: { name: string }) => void = () => {};
    const slow = await place({
      authenticate: ({ login: name }) =>
        name === 'bystander'
          ? { name }
          : new Promise<{ name: string }>((resolve) => {
              decide = resolve;
            }),
    });
    const client = await slow.dial();
    await client.write(`CONNECT\naccept-version:1.2\nhost:h\n\n\0`);
    const send = 'SEND\ndestination:/topic/x\n\nx\0'.repeat(4_000);
    let taken = 0;
    // As much as the sockets take: the broker must stop reading long before 64 MiB.
    for (; taken < 64 << 20 && client.socket.writableLength === 0; taken += send.length) {
      client.socket.write(send);
      for (let i = 0; i < 5; i++) await turn();
    }
    expect(taken).toBeLessThan(32 << 20);
    decide({ name: 'late' });
    await client.write('SEND\ndestination:/topic/x\nreceipt:all\n\n\0');
    const frames = await client.take(2);
    expect(frames.map(({ command }) => command)).toEqual(['CONNECTED', 'RECEIPT']);
    client.finish();
    await slow.unharmed();
    await slow.close();
  });

  test('M-52: of repeated login and passcode headers the first counts', async () => {
    await accepted('login:plain\nlogin:nobody\npasscode:secret\npasscode:wrong\n');
    await refused('login:nobody\nlogin:plain\npasscode:secret\n');
    await refused('login:plain\npasscode:wrong\npasscode:secret\n');
    await guarded.unharmed();
  });

  test('M-53: a passcode is compared octet by octet', async () => {
    await accepted(`login:odd\npasscode:${users.odd}\n`);
    await accepted('login:empty\npasscode:\n');
    await refused('login:odd\npasscode:a:b\\\\c\\n d ü\n');
    await refused(`login:odd\npasscode: ${users.odd}\n`);
    await refused(`login:odd\npasscode:${users.odd} \n`);
    await refused('login:odd\npasscode:a\n');
    await refused('login:plain\n');
    await refused('passcode:secret\n');
    await refused('');
    await guarded.unharmed();
  });

  test('M-53 I-5: a passcode is in no ERROR, also where it breaks the grammar', async () => {
    for (const [headers, message] of [
      [`login:plain\npasscode:${'hunter2'.repeat(10_000)}\n`, /C-34/],
      ['login:plain\npasscode hunter2\n', /C-21/],
      ['login:plain\npasscode:two\nhunter2\n', /C-21/],
      ['login:plain\npasscode:hunter2\rx\n', /C-05/],
      ['login:plain\npasscode:hunter2\0\n', /C-61|C-35/],
      ['login:plain\npasscode:hunter2\nheart-beat:x\n', /H-09/],
      ['login:plain\npasscode:hunter2\n', /refused/],
    ] as const) {
      const error = theError(await (await login(headers)).end(), message);
      expect(JSON.stringify([...error.headers]) + error.body).not.toContain('hunter2');
    }
    await guarded.unharmed();
  });

  test('M-54: each failed login makes the next from that address wait longer', async () => {
    const strict = await place({ authenticate: passcodes(users) });
    for (const wait of [0, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]) {
      const alarms = strict.clock.alarms + 1; // and that of CONNECT
      const client = await strict.dial();
      await client.write('CONNECT\naccept-version:1.2\nhost:h\nlogin:plain\npasscode:guess\n\n\0');
      if (wait > 0) {
        await until(() => strict.clock.alarms > alarms, 'the penalty to begin');
        await strict.clock.advance(wait - 1);
        await turn();
        expect(client.frames).toEqual([]);
        await strict.clock.advance(1);
      }
      theError(await client.end(), /refused/);
      await strict.unharmed();
    }
    await strict.close();
  });
});

describe('8.2: hosts, receipts and numbers', () => {
  for (const host of ['', 'host:\n', 'host:nowhere.example\n']) {
    test(`M-48: ${host === '' ? 'no host' : JSON.stringify(host)} is let in (X-27), unless requireHost says otherwise`, async () => {
      const client = await at.dial();
      await client.write(`CONNECT\naccept-version:1.2\n${host}\n\0`);
      expect((await client.next()).command).toBe('CONNECTED');
      client.finish();
      await at.unharmed();
      const strict = await place({ requireHost: true });
      const second = await strict.dial();
      await second.write(`CONNECT\naccept-version:1.2\n${host}\n\0`);
      if (host.includes('nowhere')) expect((await second.next()).command).toBe('CONNECTED');
      else theError(await second.end(), /host.*N-11/);
      second.finish();
      await strict.unharmed();
      await strict.close();
    });
  }

  test('M-55: a receipt on CONNECT is ignored', async () => {
    const client = await at.dial();
    const connected = await client.connect('1.2', 'receipt:r\ncontent-length:0\n');
    expect(connected.headers.has('receipt-id')).toBe(false);
    await client.write('DISCONNECT\nreceipt:bye\n\n\0');
    expect((await client.end()).frames.map(({ headers }) => headers.get('receipt-id'))).toEqual([undefined, 'bye']);
    await at.unharmed();
  });

  for (const limit of ['maxConnections', 'maxConnectionsPerAddress'] as const) {
    test(`M-56: one connection beyond ${limit} hears so, over TCP and in a WebSocket, whether it says CONNECT or nothing`, async () => {
      const small = await place({ limits: { [limit]: 2 } });
      const second = await small.connected();
      for (const url of [small.tcp, small.ws]) {
        const silent = await small.dial(url);
        theError(await silent.end(), new RegExp(`there are 2 connections.*\\(${limit}\\)$`));
        const loud = await small.dial(url);
        await loud.write('CONNECT\naccept-version:1.2\nhost:h\n\n\0');
        theError(await loud.end(), new RegExp(`\\(${limit}\\)$`));
      }
      second.finish();
      await small.unharmed();
      await small.close();
    });

    test(`M-56: connections that never say CONNECT end at ${limit}, and who comes later gets in`, async () => {
      const small = await place({ limits: { [limit]: 40 } });
      const crowd = await Promise.all(Array.from({ length: 1_000 }, () => small.dial(small.tcp)));
      await until(() => crowd.filter(({ over }) => !over).length < 40, 'those beyond the limit to be closed');
      expect(small.broker.stats().connections).toBe(40);
      for (const client of crowd) client.reset();
      await until(() => small.broker.stats().connections === 1, 'the crowd to leave');
      const late = await small.connected();
      late.finish();
      await small.unharmed();
      const silent = await small.dial();
      expect(await passing(small, () => dripped(silent, ''), 20_000)).toBeGreaterThanOrEqual(10_000);
      await small.unharmed();
      await small.close();
    });
  }
});
