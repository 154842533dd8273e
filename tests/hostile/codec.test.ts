// Conformance 8.1 through real sockets: what breaks the grammar gets one ERROR that
// names the rule, and a close; in every version it concerns, and however it is cut.

import { VERSIONS, type Version } from '@stompbox/protocol';
import { inPieces, type RawClient, random, turn } from 'testkit';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { dripped, EVIL, type Place, passing, place, queueNames, theError, until } from './support.ts';

type Bytes = string | Uint8Array;

interface Row {
  readonly id: string;
  readonly says: string;
  readonly bytes: Bytes;
  /** What the ERROR says: the rule, or the limit. */
  readonly error: RegExp;
  readonly versions?: readonly Version[];
  /** Instead of after CONNECTED. */
  readonly beforeConnect?: true;
  readonly receipt?: string;
}

const MIB = 1 << 20;
const FROM_1_1: readonly Version[] = ['1.1', '1.2'];
const ONLY_1_1: readonly Version[] = ['1.1'];
const ONLY_1_2: readonly Version[] = ['1.2'];

const head = 'SEND\ndestination:/queue/a\n';
const joined = (...parts: Bytes[]) => Buffer.concat(parts.map((part) => Buffer.from(part as Uint8Array)));
const utf16 = (text: string, order: 'LE' | 'BE') => {
  const bytes = Buffer.from(text, 'utf16le');
  return order === 'LE' ? bytes : bytes.swap16();
};

const rows: readonly Row[] = [
  { id: 'M-01', says: 'an unknown command', bytes: 'FOO\n\n\0', error: /"FOO".*C-13/ },
  { id: 'M-01', says: 'an unknown command first of all', bytes: 'FOO\n\n\0', error: /C-13/, beforeConnect: true },
  { id: 'M-01', says: 'STOMP in a 1.0 session', bytes: 'STOMP\n\n\0', error: /C-12/, versions: ['1.0'] },
  { id: 'M-02', says: 'a lower-case command', bytes: 'send\ndestination:/queue/a\n\n\0', error: /C-13/ },
  { id: 'M-02', says: 'a lower-case CONNECT', bytes: 'connect\n\n\0', error: /C-13/, beforeConnect: true },
  { id: 'M-03', says: 'a command that begins like one', bytes: 'SENDX\ndestination:/queue/a\n\n\0', error: /C-13/ },
  { id: 'M-03', says: 'a command cut short', bytes: 'SEN\ndestination:/queue/a\n\n\0', error: /C-13/ },
  { id: 'M-04', says: 'a blank behind the command', bytes: 'SEND \ndestination:/queue/a\n\n\0', error: /C-13/ },
  { id: 'M-04', says: 'a blank before the command', bytes: ' SEND\ndestination:/queue/a\n\n\0', error: /C-13/ },
  { id: 'M-04', says: 'a tab before the command', bytes: '\tSEND\ndestination:/queue/a\n\n\0', error: /C-13/ },
  { id: 'M-05', says: 'a colon for a command', bytes: ':\n\n\0', error: /C-13/ },
  { id: 'M-05', says: 'a header for a command', bytes: 'a:b\n\n\0', error: /C-13/ },
  {
    id: 'M-06',
    says: 'a byte order mark',
    bytes: joined(Uint8Array.of(0xef, 0xbb, 0xbf), head, '\n\0'),
    error: /C-13/,
  },
  { id: 'M-06', says: 'UTF-16, little end first', bytes: utf16(`${head}\n\0`, 'LE'), error: /C-35/ },
  { id: 'M-06', says: 'UTF-16, big end first', bytes: utf16(`${head}\n\0`, 'BE'), error: /C-09/ },
  { id: 'M-06', says: 'CONNECT in UTF-16', bytes: utf16('CONNECT\n\n\0', 'LE'), error: /C-35/, beforeConnect: true },
  { id: 'M-07', says: 'a header without a colon', bytes: 'SEND\ndestination\n\n\0', error: /"destination".*C-21/ },
  { id: 'M-08', says: 'a header line of one octet', bytes: `${head}x\n\nbody\0`, error: /"x".*C-21/ },
  { id: 'M-09', says: 'a header without a name', bytes: `${head}:v\n\nbody\0`, error: /C-22/ },
  ...['\\t', '\\N', '\\:', '\\0', '\\x41'].flatMap((pair): Row[] => [
    {
      id: 'M-14',
      says: `${pair} in a value`,
      bytes: `${head}k:a${pair}b\n\n\0`,
      error: /C-41/,
      versions: FROM_1_1,
    },
    { id: 'M-14', says: `${pair} in a name`, bytes: `${head}a${pair}b:v\n\n\0`, error: /C-41/, versions: FROM_1_1 },
  ]),
  {
    id: 'M-15',
    says: 'a backslash at the end of a line',
    bytes: `${head}k:a\\\n\n\0`,
    error: /C-41/,
    versions: FROM_1_1,
  },
  { id: 'M-15', says: 'a backslash before CR LF', bytes: `${head}k:a\\\r\n\n\0`, error: /C-41/, versions: FROM_1_1 },
  { id: 'M-16', says: '\\r in 1.1', bytes: `${head}k:a\\rb\n\n\0`, error: /C-40/, versions: ONLY_1_1 },
  { id: 'M-19', says: 'a CR in a value', bytes: `${head}k:a\rb\n\n\0`, error: /C-05/, versions: ONLY_1_2 },
  { id: 'M-19', says: 'a CR in a name', bytes: `${head}a\rb:v\n\n\0`, error: /C-05/, versions: ONLY_1_2 },
  { id: 'M-19', says: 'a CR in a command', bytes: 'SE\rND\n\n\0', error: /C-05/, versions: ONLY_1_2 },
  { id: 'M-19', says: 'CR CR LF', bytes: `${head}k:v\r\r\n\n\0`, error: /C-05/, versions: ONLY_1_2 },
  { id: 'M-19', says: 'a CR between frames', bytes: '\rSEND\n\n\0', error: /C-05/, versions: ONLY_1_2 },
  { id: 'M-19', says: 'a CR in CONNECT', bytes: 'CONNECT\nhost:a\rb\n\n\0', error: /C-05/, beforeConnect: true },
  { id: 'M-20', says: 'CR LF behind a command of 1.1', bytes: 'SEND\r\n\r\n\0', error: /C-13/, versions: ONLY_1_1 },
  { id: 'M-20', says: 'CR LF for a blank line of 1.1', bytes: `${head}\r\n\0`, error: /C-21/, versions: ONLY_1_1 },
  { id: 'M-21', says: 'a NUL in a command', bytes: 'SE\0ND\n\n\0', error: /C-35/ },
  { id: 'M-21', says: 'a NUL in a header name', bytes: `${head}a\0b:v\n\n\0`, error: /C-35/ },
  { id: 'M-21', says: 'a NUL in a header value', bytes: `${head}k:a\0b\n\n\0`, error: /C-35/ },
  { id: 'M-22', says: 'a NUL between frames', bytes: 'SEND\ndestination:/topic/a\n\n\0\0', error: /C-09/ },
  { id: 'M-22', says: 'a NUL first of all', bytes: '\0', error: /C-09/, beforeConnect: true },
  ...[[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82]].map((octets): Row => {
    const says = `${octets.map((octet) => octet.toString(16)).join(' ')} in a header`;
    return { id: 'M-24', says, bytes: joined(`${head}k:`, Uint8Array.from(octets), '\n\n\0'), error: /C-66/ };
  }),
  ...['abc', '', '4.0', '0x4', '1e3', '+4', '-0', '４', '4\t', '4 4'].map((length): Row => {
    const says = `content-length ${JSON.stringify(length)}`;
    return { id: 'M-26', says, bytes: `${head}content-length:${length}\n\nabcd\0`, error: /C-58/ };
  }),
  // In 1.0 a leading blank of a value is padding (C-29).
  {
    id: 'M-26',
    says: 'content-length " 4"',
    bytes: `${head}content-length: 4\n\nabcd\0`,
    error: /C-58/,
    versions: FROM_1_1,
  },
  ...['-1', '-2147483648'].map((length): Row => {
    return {
      id: 'M-27',
      says: `content-length ${length}`,
      bytes: `${head}content-length:${length}\n\nab\0`,
      error: /C-58/,
    };
  }),
  ...[2n ** 31n - 1n, 2n ** 32n - 1n, 2n ** 32n].map((length): Row => {
    return {
      id: 'M-28',
      says: `content-length ${length}`,
      bytes: `${head}content-length:${length}\n\n`,
      error: /C-60/,
    };
  }),
  ...[2n ** 53n, 2n ** 64n, 10n ** 100n].map((length): Row => {
    return {
      id: 'M-28',
      says: `content-length ${length}`,
      bytes: `${head}content-length:${length}\n\n`,
      error: /C-58/,
    };
  }),
  { id: 'M-29', says: 'a body longer than announced', bytes: `${head}content-length:2\n\nabSEND\n\n\0`, error: /C-51/ },
  {
    id: 'M-31',
    says: 'a body that swallows a frame',
    bytes: `${head}content-length:9\n\nab\0SEND\ndestination:/queue/b\n\n\0`,
    error: /C-51/,
  },
  {
    id: 'M-32',
    says: 'content-length 4, then 2',
    bytes: `${head}content-length:4\ncontent-length:2\n\nabcd\0`,
    error: /C-32/,
  },
  {
    id: 'M-32',
    says: 'content-length 2, then 4',
    bytes: `${head}content-length:2\ncontent-length:4\n\nabcd\0`,
    error: /C-32/,
  },
  ...['SUBSCRIBE', 'BEGIN', 'ACK', 'UNSUBSCRIBE', 'DISCONNECT'].flatMap((command): Row[] => {
    const versions = command === 'SUBSCRIBE' ? FROM_1_1 : VERSIONS; // C-62: 1.0 has bodies on SUBSCRIBE
    const start = `${command}\nid:1\ntransaction:t\nmessage-id:1\nsubscription:1\ndestination:/queue/a\n`;
    return [
      {
        id: 'M-33',
        says: `${command} with a body of NULs`,
        bytes: `${start}content-length:5\n\na\0b\0x\0`,
        error: /C-61/,
        versions,
      },
      { id: 'M-33', says: `${command} with a body`, bytes: `${start}\nabc\0`, error: /C-61/, versions },
    ];
  }),
];

let at: Place;
beforeAll(async () => {
  at = await place();
});
afterEach(() => at.clear());
afterAll(() => at.close());

describe('8.1: one ERROR names the rule, then the end, however it is cut', () => {
  for (const row of rows) {
    const versions = row.beforeConnect ? [undefined] : (row.versions ?? VERSIONS);
    const where = row.beforeConnect ? 'before CONNECT' : `in ${versions.join(', ')}`;
    test(`${row.id}: ${row.says}, ${where}`, async () => {
      const bytes = joined(row.bytes, EVIL);
      const refused = async (client: RawClient, pieces: readonly Uint8Array[]) => {
        await client.writePieces(pieces);
        theError(await client.end(), row.error);
      };
      for (const version of versions) {
        const open = (url: string) => (version === undefined ? at.dial(url) : at.connected(version, { url }));
        await refused(await open(at.tcp), [bytes]);
        await refused(await open(at.tcp), inPieces(bytes, 1));
        // A WebSocket message is a chunk: these cuts are exact.
        const hostile = Buffer.byteLength(row.bytes as Uint8Array);
        const spread = Math.max(1, Math.ceil(hostile / (version === '1.2' ? 40 : 5)));
        for (let cut = 1; cut <= hostile; cut += spread)
          await refused(await open(at.ws), [bytes.subarray(0, cut), bytes.subarray(cut)]);
      }
      expect(queueNames(at)).toEqual(['bystander']);
      await at.unharmed();
    });
  }
});

/** Sends until there is an answer; never nearly all of it. */
async function flooded(client: RawClient, start: string, chunk: Bytes, error: RegExp, keeps: number): Promise<void> {
  const before = process.memoryUsage().arrayBuffers;
  await client.write(start);
  const sent = await client.flood(chunk, 64 * MIB);
  theError(await client.end(), error);
  // What is on its way in kernel buffers is not kept by anybody; what the broker keeps is its limit.
  expect(sent).toBeLessThan(keeps + 16 * MIB);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(keeps * 4 + 64 * MIB);
  await at.clock.advance(1_000); // lingerMs: who goes on sending is left alone until then (E-05)
}

describe('8.1: floods end at a limit', () => {
  const line = 'x'.repeat(64 * 1024);
  const numbered = Array.from({ length: 6_000 }, (_, i) => `k${i}:v\n`).join('');

  for (const transport of ['tcp', 'ws'] as const) {
    const open = () => at.connected('1.2', { url: at[transport] });

    test(`M-10: a header line that never ends (${transport})`, async () => {
      await flooded(await open(), `${head}k:`, line, /longer than 16384 bytes.*C-34/, 64 * 1024);
      await at.unharmed();
    });
    test(`M-11: headers without end, all different (${transport})`, async () => {
      await flooded(await open(), head, numbered, /more than 128 header lines.*C-34/, 64 * 1024);
      await at.unharmed();
    });
    test(`M-12: one header without end (${transport})`, async () => {
      await flooded(await open(), head, 'k:v\n'.repeat(16_000), /more than 128 header lines.*C-34/, 64 * 1024);
      await at.unharmed();
    });
    test(`M-13: a command line that never ends (${transport})`, async () => {
      await flooded(await open(), 'SEND', line, /command line is longer than 32 bytes.*C-34/, 64 * 1024);
      await flooded(await at.dial(at[transport]), 'CONNECT', line, /C-34/, 64 * 1024);
      await at.unharmed();
    });
    test(`M-22: 10^7 NULs between frames end at the first (${transport})`, async () => {
      await flooded(await open(), '\n', new Uint8Array(64 * 1024), /NUL stands between frames.*C-09/, 64 * 1024);
      await at.unharmed();
    });
    test(`M-35: a body that never ends (${transport})`, async () => {
      await flooded(await open(), `${head}\n`, line, /body is longer than 4194304 bytes.*C-60/, 4 * MIB);
      await at.unharmed();
    });
  }

  test('M-23: 10^7 LFs are ten million heart-beats and no memory', async () => {
    const client = await at.connected();
    const before = process.memoryUsage();
    const beats = '\n'.repeat(100_000);
    for (let i = 0; i < 100; i++) await client.write(beats);
    await client.write(`SEND\ndestination:/topic/a\nreceipt:alive\n\n\0`);
    expect((await client.next()).headers.get('receipt-id')).toBe('alive');
    expect(process.memoryUsage().arrayBuffers - before.arrayBuffers).toBeLessThan(64 * MIB);
    client.finish();
    await at.unharmed();
  });

  test('M-23: LFs instead of CONNECT do not move its deadline', async () => {
    const client = await at.dial();
    const took = await passing(at, () => dripped(client, '\n'.repeat(1_000)), 20_000);
    expect(took).toBeGreaterThanOrEqual(10_000);
    theError(await client.end(), /too long to connect.*M-42/);
    await at.unharmed();
  });
});

describe('8.1: what is legal is read as it is meant', () => {
  /** Sends to a queue of its own and answers the MESSAGE a consumer of `version` gets. */
  async function relayed(frame: Bytes, from: Version, to: Version = from, size?: number) {
    const consumer = await at.connected(to);
    await consumer.write('SUBSCRIBE\nid:1\ndestination:/topic/legal\nreceipt:r\n\n\0');
    await consumer.next();
    const producer = await at.connected(from);
    const bytes = joined(frame);
    await producer.writePieces(size === undefined ? [bytes] : inPieces(bytes, size));
    const message = await consumer.next();
    for (const client of [consumer, producer]) client.finish();
    return { message, consumer, producer };
  }
  const legal = 'SEND\ndestination:/topic/legal\n';

  for (const version of FROM_1_1) {
    for (const size of [undefined, 1]) {
      test(`M-17: runs of backslashes are read once, from left to right, in ${version}${size ? ', octet by octet' : ''}`, async () => {
        for (const [wire, value] of [
          ['a\\\\nb', 'a\\nb'],
          ['\\\\\\\\c', '\\\\c'],
          ['\\\\\\n', '\\\n'],
          ['\\\\\\\\\\n', '\\\\\n'],
          ['\\c\\\\c', ':\\c'],
        ]) {
          const { message } = await relayed(`${legal}k:${wire}\n\n\0`, version, version, size);
          expect(message.headers.get('k')).toBe(value);
        }
        await at.unharmed();
      });
    }
  }

  test('M-18: 1.0 has no escapes: a backslash is a backslash', async () => {
    const { message } = await relayed(`${legal}k:a\\nb\\t\\\n\n\0`, '1.0');
    expect(message.lines).toContain('k:a\\nb\\t\\');
    const newer = await relayed(`${legal}k:a\\nb\n\n\0`, '1.0', '1.2');
    expect(newer.message.headers.get('k')).toBe('a\\nb');
    await at.unharmed();
  });

  test('M-20: a CR at the end of a value is data in 1.1 (X-02), and a blank for who gets it (C-45)', async () => {
    const { message } = await relayed(`${legal}k:v\r\n\n\0`, '1.1');
    expect(message.lines).toContain('k:v ');
    await at.unharmed();
  });

  for (const version of VERSIONS) {
    test(`M-25: a body is octets, with and without content-length, in ${version}`, async () => {
      const octets = Uint8Array.of(0xff, 0xc0, 0x80, 0xed, 0xa0, 0x80, 0x0d, 0x0a, 0x1b);
      for (const length of ['', `content-length:${octets.length}\n`]) {
        for (const url of [at.tcp, at.ws]) {
          const consumer = await at.connected(version, { url });
          await consumer.write('SUBSCRIBE\nid:1\ndestination:/topic/legal\nreceipt:r\n\n\0');
          await consumer.next();
          const producer = await at.connected(version, { url });
          await producer.write(joined(`${legal}${length}\n`, octets, '\0'));
          expect(Buffer.from((await consumer.next()).bytes)).toEqual(Buffer.from(octets));
          for (const client of [consumer, producer]) client.finish();
        }
      }
      await at.unharmed();
    });
  }

  test('M-33: a body of a 1.0 SUBSCRIBE is skipped exactly (C-62)', async () => {
    const client = await at.connected('1.0');
    await client.write('SUBSCRIBE\ndestination:/topic/skip\nreceipt:1\ncontent-length:5\n\na\0b\0x\0');
    await client.write('SUBSCRIBE\ndestination:/topic/skip\nreceipt:2\n\nabc\0SEND\ndestination:/topic/skip\n\nx\0');
    const frames = await client.take(4);
    const heard = frames.map(({ command, body }) => command + body).sort();
    expect(heard).toEqual(['MESSAGEx', 'MESSAGEx', 'RECEIPT', 'RECEIPT']);
    client.finish();
    await at.unharmed();
  });

  test('M-34: a frame inside a body stays inside where content-length says so', async () => {
    const smuggled = 'a\0SEND\ndestination:/queue/evil\n\nx';
    const announced = `${legal}content-length:${smuggled.length}\n\n${smuggled}\0`;
    const { message } = await relayed(announced, '1.2');
    expect(message.body).toBe(smuggled);
    expect(message.headers.get('content-length')).toBe(String(smuggled.length));
    expect(queueNames(at)).not.toContain('evil');
    const plain = await relayed(`${legal}\n${smuggled}\0`, '1.2'); // by the letter: two frames
    expect(plain.message.body).toBe('a');
    await until(() => queueNames(at).includes('evil'), 'the second frame');
    const reader = await at.connected();
    await reader.write('SUBSCRIBE\nid:1\ndestination:/queue/evil\n\n\0');
    await reader.next();
    reader.finish();
    await at.unharmed();
  });
});

describe('8.1: time', () => {
  test('M-30: a body that stops coming is given up after the frame time-out', async () => {
    const client = await at.connected();
    await client.write(`${head}content-length:1000\n\nabc`);
    expect(await passing(at, () => client.over, 130_000)).toBeGreaterThanOrEqual(60_000);
    theError(await client.end(), /begun and not finished.*M-30/);
    await at.unharmed();
  });

  test('M-37: one octet a second is no CONNECT', async () => {
    const client = await at.dial();
    const drip = inPieces(joined(`CONNECT\naccept-version:1.2\nhost:${'h'.repeat(50)}\n\n\0`), 1);
    let next = 0;
    const took = await passing(at, () => dripped(client, drip[next++] ?? ''), 60_000);
    expect(took).toBeGreaterThanOrEqual(10_000);
    theError(await client.end(), /M-42/);
    await at.unharmed();
  });

  test('M-37: a head that drips is given up, a body that drips is not', async () => {
    const slow = await at.connected();
    const large = await at.connected();
    await large.write(`${head.replace('queue', 'topic')}receipt:whole\ncontent-length:200\n\n`);
    await slow.write('SEND\nk:');
    let drops = 0;
    const drip = (): boolean => {
      if (!slow.over) void slow.write('v');
      if (drops++ < 200) void large.write('b');
      return slow.over && drops > 200;
    };
    expect(await passing(at, drip, 1_000_000, 5_000)).toBeGreaterThanOrEqual(200 * 5_000);
    theError(await slow.end(), /begun and not finished.*M-30/);
    await large.write('\0');
    expect((await large.next()).headers.get('receipt-id')).toBe('whole');
    large.finish();
    await at.unharmed();
  });
});

describe('8.1: any cut, any garbage', () => {
  const session =
    'CONNECT\naccept-version:1.2\nhost:h\n\n\0SUBSCRIBE\nid:1\ndestination:/queue/p\nack:client\n\n\0' +
    'BEGIN\ntransaction:t\n\n\0SEND\ndestination:/queue/tx\ntransaction:t\n\nno\0' +
    'SEND\ndestination:/topic/p\ncontent-length:3\n\na\0b\0';

  for (const how of ['finish', 'reset'] as const) {
    test(`M-36: every prefix of a session, then ${how === 'finish' ? 'FIN' : 'RST'}: closed, and its transaction void`, async () => {
      for (let cut = 0; cut <= session.length; cut++) {
        const client = await at.dial(cut % 4 === 0 ? at.ws : at.tcp);
        await client.write(session.slice(0, cut));
        if (cut % 3 === 0) await turn();
        client[how]();
        if (how === 'finish') {
          const { frames } = await client.end();
          expect(frames.filter(({ command }) => command === 'ERROR')).toEqual([]);
        }
      }
      await until(() => at.broker.stats().connections === 1, 'all to be gone');
      expect(queueNames(at)).toEqual(['bystander']);
      await at.unharmed();
    });
  }

  test('M-38: thousands of frames in packets of one octet, and 10^5 in one go, are the same frames', async () => {
    const client = await at.connected();
    const one = 'SEND\ndestination:/topic/x\n\n.\0';
    const before = at.broker.stats().received;
    const last = 'SEND\ndestination:/topic/x\nreceipt:last\n\n.\0';
    for (const octet of inPieces(joined(one.repeat(1_000), last), 1)) void client.write(octet);
    await client.next();
    expect(at.broker.stats().received - before).toBe(1_001);
    await client.write(one.repeat(100_000) + last);
    await client.next();
    expect(at.broker.stats().received - before).toBe(101_002);
    client.finish();
    await at.unharmed();
  });

  test('M-39: garbage and damaged sessions are read or refused with at most one ERROR, never anything else', async () => {
    const next = random(39);
    const whole = joined(session.repeat(3));
    for (let round = 0; round < 400; round++) {
      const bytes = whole.slice();
      if (round % 2 === 0)
        for (let i = 0; i < 3; i++) bytes[Math.floor(next() * bytes.length)] = Math.floor(next() * 256);
      else for (let i = 0; i < bytes.length; i++) bytes[i] = Math.floor(next() * 256);
      const client = await at.dial(round % 5 === 0 ? at.ws : at.tcp);
      await client.write(bytes);
      client.finish();
      const { frames } = await client.end();
      const errors = frames.filter(({ command }) => command === 'ERROR');
      expect(errors.length).toBeLessThanOrEqual(1);
      if (errors.length === 1) expect(frames.at(-1)).toBe(errors[0]);
    }
    await until(() => at.broker.stats().connections === 1, 'all to be gone');
    await at.unharmed();
  });
});
