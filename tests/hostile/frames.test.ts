// Conformance 8.3 through real sockets: frames that are well-formed and make no sense
// get one ERROR with their receipt-id; what is merely odd works, and harms nobody.

import { type Authorize, type Engine, EngineError, passcodes } from '@stompbox/broker';
import { VERSIONS, type Version } from '@stompbox/protocol';
import { inPieces } from 'testkit';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { EmbeddedEngine } from '../../packages/broker/src/engine/embedded/embedded.ts';
import { resolveLimits } from '../../packages/broker/src/limits.ts';
import { memoryStore } from '../../packages/broker/src/store/memory.ts';
import { ackOf, bye, EVIL, next, type Place, place, queueNames, theError, told, until } from './support.ts';

interface Row {
  readonly id: string;
  readonly says: string;
  /** What leads there; answered before the rest is sent. */
  readonly first?: string;
  readonly bytes: string;
  readonly error: RegExp;
  readonly versions?: readonly Version[];
  /** The ERROR answers it; `r` unless given, `null` where there can be none. */
  readonly receipt?: string | null;
}

const FROM_1_1: readonly Version[] = ['1.1', '1.2'];
const ONLY_1_1: readonly Version[] = ['1.1'];
const ONLY_1_2: readonly Version[] = ['1.2'];
const LONG = 'x'.repeat(64 * 1024);

const send = (headers: string, body = 'x') => `SEND\n${headers}receipt:r\n\n${body}\0`;
const subscribe = (headers: string) => `SUBSCRIBE\n${headers}receipt:r\n\n\0`;
const say = (command: string, headers: string) => `${command}\n${headers}receipt:r\n\n\0`;
const AUTO = 'SUBSCRIBE\nid:1\ndestination:/queue/own\n\n\0';
const BEGIN = 'BEGIN\ntransaction:t\n\n\0';

const rows: readonly Row[] = [
  { id: 'M-60', says: 'SEND without a destination', bytes: send(''), error: /destination.*F-01/ },

  { id: 'M-61', says: 'an empty destination', bytes: send('destination:\n'), error: /destination.*F-01/ },
  ...['/', '/queue', '/queue/', '/queue//', '/topic', '/topic/', '/temp-queue', '/temp-queue/'].flatMap(
    (name): Row[] => [
      { id: 'M-61', says: `SEND to ${name}`, bytes: send(`destination:${name}\n`), error: /names nothing/ },
      {
        id: 'M-61',
        says: `SUBSCRIBE to ${name}`,
        bytes: subscribe(`id:1\ndestination:${name}\n`),
        error: /names nothing/,
        versions: FROM_1_1,
      },
    ],
  ),
  {
    id: 'M-61',
    says: 'a destination of two lines',
    bytes: send('destination:/queue/a\\nb\n'),
    error: /control character/,
    versions: FROM_1_1,
  },
  {
    id: 'M-61',
    says: 'a destination with an escape code',
    bytes: send('destination:/queue/\x1b[2J\n'),
    error: /control character/,
  },
  {
    id: 'M-61',
    says: 'a destination of 64 KiB',
    bytes: send(`destination:/queue/${LONG}\n`),
    error: /C-34/,
    receipt: null,
  },
  {
    id: 'M-61',
    says: 'a destination of 2 KiB',
    bytes: send(`destination:/queue/${'x'.repeat(2_048)}\n`),
    error: /maxDestinationBytes/,
  },
  {
    id: 'M-61',
    says: 'a destination of 2 KiB in few characters',
    bytes: send(`destination:/queue/${'€'.repeat(700)}\n`),
    error: /maxDestinationBytes/,
  },

  ...['/queue/*', '/topic/#', '/topic/a.>', '/topic/a.*.b', '/topic/*'].map((name): Row => {
    return { id: 'M-62', says: `SEND to ${name}`, bytes: send(`destination:${name}\n`), error: /wildcard/ };
  }),
  { id: 'M-62', says: 'SUBSCRIBE to /queue/*', bytes: subscribe('id:1\ndestination:/queue/*\n'), error: /wildcard/ },

  {
    id: 'M-63',
    says: '# in the middle',
    bytes: subscribe('id:1\ndestination:/topic/#.#.#.a\n'),
    error: /only stand at the end/,
  },
  {
    id: 'M-63',
    says: 'a thousand stars',
    bytes: subscribe(`id:1\ndestination:/topic/${'*.'.repeat(300)}*\n`),
    error: /more than 64 words/,
  },

  { id: 'M-64', says: 'SUBSCRIBE without a destination', bytes: subscribe('id:1\n'), error: /destination.*F-01/ },
  {
    id: 'M-64',
    says: 'SUBSCRIBE without an id',
    bytes: subscribe('destination:/queue/own\n'),
    error: /id.*F-05/,
    versions: FROM_1_1,
  },
  { id: 'M-64', says: 'SUBSCRIBE with neither', bytes: subscribe(''), error: /F-0[15]/ },
  {
    id: 'M-64',
    says: 'SUBSCRIBE with an empty id',
    bytes: subscribe('id:\ndestination:/queue/own\n'),
    error: /id.*F-05/,
  },

  {
    id: 'M-65',
    says: 'an id twice',
    first: AUTO,
    bytes: subscribe('id:1\ndestination:/queue/own\n'),
    error: /subscription "1" already.*F-05/,
  },

  ...['bogus', '', 'CLIENT', 'Auto', 'client-individual '].map((ack): Row => {
    return {
      id: 'M-66',
      says: `ack ${JSON.stringify(ack)}`,
      bytes: subscribe(`id:1\ndestination:/queue/own\nack:${ack}\n`),
      error: /ack.*F-06/,
    };
  }),

  ...['a = ', `a = '${'x'.repeat(10_000)}'`, `${'('.repeat(4_000)}a`, `a LIKE '${'%a'.repeat(2_000)}'`].map(
    (selector): Row => {
      return {
        id: 'M-67',
        says: `selector ${selector.slice(0, 12)}… `,
        bytes: subscribe(`id:1\ndestination:/queue/own\nselector:${selector}\n`),
        error: /the selector is wrong at column \d+|maxSelectorBytes/,
      };
    },
  ),
  {
    id: 'M-67',
    says: 'a selector of 64 KiB',
    bytes: subscribe(`id:1\ndestination:/queue/own\nselector:${LONG}\n`),
    error: /C-34/,
    receipt: null,
  },

  {
    id: 'M-68',
    says: 'UNSUBSCRIBE of nothing',
    bytes: say('UNSUBSCRIBE', 'id:9\n'),
    error: /no subscription "9".*F-08/,
  },
  {
    id: 'M-68',
    says: 'UNSUBSCRIBE twice',
    first: `${AUTO}UNSUBSCRIBE\nid:1\n\n\0`,
    bytes: say('UNSUBSCRIBE', 'id:1\n'),
    error: /F-08/,
  },
  { id: 'M-68', says: 'UNSUBSCRIBE without an id', first: AUTO, bytes: say('UNSUBSCRIBE', ''), error: /F-08/ },
  {
    id: 'M-68',
    says: 'UNSUBSCRIBE by destination',
    first: AUTO,
    bytes: say('UNSUBSCRIBE', 'destination:/queue/own\n'),
    error: /F-08/,
    versions: FROM_1_1,
  },
  {
    id: 'M-68',
    says: 'UNSUBSCRIBE of an id of 10 KiB',
    bytes: say('UNSUBSCRIBE', `id:${'x'.repeat(10_000)}\n`),
    error: /F-08/,
  },

  ...['ACK', 'NACK'].flatMap((command): Row[] => [
    {
      id: 'M-69',
      says: `${command} of nothing in particular`,
      bytes: say(command, ''),
      error: /A-1[12]/,
      versions: FROM_1_1,
    },
    {
      id: 'M-69',
      says: `${command} of an unknown id`,
      bytes: say(command, 'id:7.7\n'),
      error: /no delivery.*A-09/,
      versions: ONLY_1_2,
    },
    {
      id: 'M-69',
      says: `${command} by message-id in 1.2`,
      bytes: say(command, 'message-id:1\nsubscription:1\n'),
      error: /id.*A-12/,
      versions: ONLY_1_2,
    },
    {
      id: 'M-69',
      says: `${command} without a subscription in 1.1`,
      first: AUTO,
      bytes: say(command, 'message-id:1\n'),
      error: /subscription.*A-11/,
      versions: ONLY_1_1,
    },
    {
      id: 'M-69',
      says: `${command} on an unknown subscription`,
      bytes: say(command, 'message-id:1@0.0\nsubscription:9\n'),
      error: /A-09/,
      versions: ONLY_1_1,
    },
    {
      id: 'M-69',
      says: `${command} on an auto subscription`,
      first: AUTO,
      bytes: say(command, 'id:0.0\nmessage-id:1@0.0\nsubscription:1\n'),
      error: /acknowledges by itself.*A-01/,
      versions: FROM_1_1,
    },
    ...['NaN', '-1', `${10n ** 30n}`, '__proto__', '0.-1', '0.0x1', '0.', '.', '0.00', ' 0.0', '0.0 ', '1e1.0'].map(
      (id): Row => {
        return {
          id: 'M-70',
          says: `${command} of ${id}`,
          bytes: say(command, `id:${id}\n`),
          error: /no delivery.*A-09/,
          versions: ONLY_1_2,
        };
      },
    ),
    {
      id: 'M-70',
      says: `${command} of 64 KiB`,
      bytes: say(command, `id:${LONG}\n`),
      error: /C-34/,
      versions: ONLY_1_2,
      receipt: null,
    },
    {
      id: 'M-70',
      says: `${command} of control characters`,
      bytes: say(command, `id:${'\x01'.repeat(200)}\n`),
      error: /A-09/,
      versions: ONLY_1_2,
    },
  ]),

  ...['BEGIN', 'COMMIT', 'ABORT'].map((command): Row => {
    return { id: 'M-72', says: `${command} of nothing`, bytes: say(command, ''), error: /transaction.*T-01/ };
  }),
  {
    id: 'M-72',
    says: 'BEGIN twice',
    first: BEGIN,
    bytes: say('BEGIN', 'transaction:t\n'),
    error: /"t" is open already.*T-02/,
  },
  ...['COMMIT', 'ABORT'].flatMap((command): Row[] => [
    {
      id: 'M-72',
      says: `${command} unknown`,
      bytes: say(command, 'transaction:t\n'),
      error: /no open transaction "t".*T-04/,
    },
    {
      id: 'M-72',
      says: `${command} twice`,
      first: `${BEGIN}${command}\ntransaction:t\n\n\0`,
      bytes: say(command, 'transaction:t\n'),
      error: /T-04/,
    },
  ]),
  {
    id: 'M-72',
    says: 'SEND in an unknown transaction',
    bytes: send('destination:/queue/own\ntransaction:t\n'),
    error: /T-04/,
  },
  {
    id: 'M-72',
    says: 'ACK in an unknown transaction',
    first: AUTO,
    bytes: say('ACK', 'id:0.0\ntransaction:t\n'),
    error: /T-04/,
    versions: ONLY_1_2,
  },

  ...['abc', '99', '-1', '', '1.0', '4 '].map((priority): Row => {
    return {
      id: 'M-83',
      says: `priority ${JSON.stringify(priority)}`,
      bytes: send(`destination:/queue/own\npriority:${priority}\n`),
      error: /priority/,
    };
  }),
  ...['expires', 'expiration'].flatMap((name): Row[] =>
    ['abc', '-1', `${10n ** 30n}`, '1e3'].map((value) => {
      return {
        id: 'M-83',
        says: `${name} ${value}`,
        bytes: send(`destination:/queue/own\n${name}:${value}\n`),
        error: new RegExp(name),
      };
    }),
  ),
  ...['-1', `${10n ** 15n}`, 'x'].map((value): Row => {
    return {
      id: 'M-83',
      says: `AMQ_SCHEDULED_DELAY ${value}`,
      bytes: send(`destination:/queue/own\nAMQ_SCHEDULED_DELAY:${value}\n`),
      error: /AMQ_SCHEDULED_DELAY|maxDelayMs/,
    };
  }),

  {
    id: 'M-84',
    says: 'SUBSCRIBE to a temporary queue of another',
    bytes: subscribe('id:1\ndestination:/remote-temp-queue/somebody/q\n'),
    error: /another connection.*M-84/,
  },
  {
    id: 'M-84',
    says: 'SUBSCRIBE to a temporary queue of nobody',
    bytes: subscribe('id:1\ndestination:/remote-temp-queue/\n'),
    error: /M-84/,
  },
];

let at: Place;
beforeAll(async () => {
  at = await place();
});
afterEach(() => at.clear());
afterAll(() => at.close());

describe('8.3: one ERROR with the receipt-id, then the end, however it is cut', () => {
  for (const row of rows) {
    const versions = row.versions ?? VERSIONS;
    test(`${row.id}: ${row.says}, in ${versions.join(', ')}`, async () => {
      const bytes = Buffer.from(row.bytes + EVIL.slice(2));
      for (const version of versions) {
        if (version === '1.0' && /^NACK/.test(row.bytes)) continue;
        for (const [url, size] of [
          [at.tcp, bytes.length],
          [at.tcp, bytes.length > 500 ? 777 : 1],
          [at.ws, bytes.length],
          [at.ws, bytes.length > 500 ? 1_111 : 13],
        ] as const) {
          const client = await at.connected(version, { url });
          if (row.first !== undefined) await client.write(row.first);
          await client.writePieces(inPieces(bytes, size));
          const error = theError(await client.end(), row.error);
          expect(error.headers.get('receipt-id')).toBe(row.receipt === undefined ? 'r' : (row.receipt ?? undefined));
          expect(client.frames.filter(({ command }) => command === 'RECEIPT')).toEqual([]); // X-65
        }
      }
      expect(queueNames(at)).toEqual(['bystander']);
      expect(at.broker.inspect.bytes).toBe(0);
      await at.unharmed();
    });
  }
});

describe('8.3: what is odd works', () => {
  test('M-61: any other name is a queue of that whole name (design.md 5 wins over X-73), and no path and no pattern', async () => {
    for (const name of [
      'queue/a',
      '/nope/x',
      '//',
      '/queue/../x',
      '/queue/%00',
      '/queue/%zz',
      '/queue/(a+)+$',
      'a',
      '../../etc/passwd',
    ]) {
      const client = await at.connected();
      await told(client, 'SEND', `destination:${name}\n`, 'x');
      await client.write(`SUBSCRIBE\nid:1\ndestination:${name}\n\n\0`);
      expect((await next(client, 'MESSAGE')).headers.get('destination')).toBe(name);
      await bye(client);
    }
    expect(queueNames(at)).toEqual(['bystander']);
    await at.unharmed();
  });

  test('M-63: sixty-four words and a thousand patterns are matched in linear time', async () => {
    const client = await at.connected();
    const words = (last: string) => `${'*.'.repeat(62)}${last}`;
    for (let i = 0; i < 500; i++) await client.write(`SUBSCRIBE\nid:${i}\ndestination:/topic/${words(`b.${i}`)}\n\n\0`);
    await told(client, 'SUBSCRIBE', `id:all\ndestination:/topic/${'*.'.repeat(63)}#\n`);
    for (let i = 0; i < 500; i++) await client.write(`SEND\ndestination:/topic/${'a.'.repeat(63)}${i}\n\n\0`);
    await client.write('SEND\ndestination:/topic/none\nreceipt:sent\n\n\0');
    const frames = await client.take(501);
    expect(frames.at(-1)?.command).toBe('RECEIPT');
    expect(new Set(frames.slice(0, 500).map(({ headers }) => headers.get('subscription')))).toEqual(new Set(['all']));
    await bye(client);
    await at.unharmed();
  });

  test('M-65: an id may be used again after UNSUBSCRIBE', async () => {
    const client = await at.connected();
    for (let i = 0; i < 3; i++) {
      await told(client, 'SUBSCRIBE', 'id:again\ndestination:/topic/x\n');
      await told(client, 'UNSUBSCRIBE', 'id:again\n');
    }
    await bye(client);
    await at.unharmed();
  });

  test('M-69: what another connection must settle cannot be settled from here', async () => {
    const owner = await at.connected();
    await told(owner, 'SEND', 'destination:/queue/mine\n', 'x');
    await told(owner, 'SUBSCRIBE', 'id:1\ndestination:/queue/mine\nack:client-individual\n');
    const message = await next(owner, 'MESSAGE');
    for (const command of ['ACK', 'NACK']) {
      const thief = await at.connected();
      await told(thief, 'SUBSCRIBE', 'id:1\ndestination:/queue/mine\nack:client-individual\n');
      await thief.write(`${command}\n${ackOf(message)}receipt:r\n\n\0`);
      expect(theError(await thief.end(), /A-09/).headers.get('receipt-id')).toBe('r');
    }
    expect(at.broker.inspect.queues().find(({ name }) => name === 'mine')).toMatchObject({ unsettled: 1, waiting: 0 });
    await told(owner, 'ACK', ackOf(message));
    await bye(owner);
    expect(queueNames(at)).toEqual(['bystander']);
    await at.unharmed();
  });

  for (const again of ['ACK', 'NACK'] as const) {
    test(`M-69: ${again} of what was settled`, async () => {
      const client = await at.connected();
      await told(client, 'SEND', 'destination:/queue/mine\n', 'x');
      await told(client, 'SUBSCRIBE', 'id:1\ndestination:/queue/mine\nack:client\n');
      const message = await next(client, 'MESSAGE');
      await told(client, 'ACK', ackOf(message));
      await client.write(`${again}\n${ackOf(message)}receipt:twice\n\n\0`);
      expect(theError(await client.end(), /settled before.*A-09/).headers.get('receipt-id')).toBe('twice');
      await until(() => queueNames(at).length === 1, 'the queue to go');
      await at.unharmed();
    });
  }

  test('M-69: a delivery cannot be settled on another subscription of the same connection', async () => {
    const client = await at.connected('1.1');
    await told(client, 'SEND', 'destination:/queue/mine\n', 'x');
    await told(client, 'SUBSCRIBE', 'id:1\ndestination:/queue/mine\nack:client\n');
    const message = await next(client, 'MESSAGE');
    await told(client, 'SUBSCRIBE', 'id:2\ndestination:/queue/other\nack:client\n');
    await client.write(`ACK\nsubscription:2\nmessage-id:${message.headers.get('message-id')}\nreceipt:r\n\n\0`);
    theError(await client.end(), /A-09/);
    const heir = await at.connected();
    await heir.write('SUBSCRIBE\nid:1\ndestination:/queue/mine\n\n\0');
    expect((await next(heir, 'MESSAGE')).headers.get('redelivered')).toBe('true');
    await bye(heir);
    await at.unharmed();
  });

  test('M-71: ACK after UNSUBSCRIBE is too late (X-45), and the message goes to somebody else', async () => {
    const client = await at.connected();
    await told(client, 'SEND', 'destination:/queue/mine\n', 'x');
    await told(client, 'SUBSCRIBE', 'id:1\ndestination:/queue/mine\nack:client\n');
    const message = await next(client, 'MESSAGE');
    await told(client, 'UNSUBSCRIBE', 'id:1\n');
    const heir = await at.connected();
    await heir.write('SUBSCRIBE\nid:1\ndestination:/queue/mine\n\n\0');
    expect((await next(heir, 'MESSAGE')).body).toBe('x');
    await client.write(`ACK\n${ackOf(message)}\n\0`);
    theError(await client.end(), /A-09/);
    await bye(heir);
    await at.unharmed();
  });

  test('M-71: ACK after ABORT works', async () => {
    const client = await at.connected();
    await told(client, 'SEND', 'destination:/queue/mine\n', 'x');
    await told(client, 'SUBSCRIBE', 'id:1\ndestination:/queue/mine\nack:client\n');
    const message = await next(client, 'MESSAGE');
    await told(client, 'BEGIN', 'transaction:t\n');
    await told(client, 'ACK', `${ackOf(message)}transaction:t\n`);
    await told(client, 'ABORT', 'transaction:t\n');
    await told(client, 'ACK', ackOf(message));
    await bye(client);
    expect(queueNames(at)).toEqual(['bystander']);
    await at.unharmed();
  });

  test('M-75: a transaction that holds ACKs is undone by a disconnect, and its messages are delivered again, in order', async () => {
    for (const how of ['reset', 'finish', 'DISCONNECT'] as const) {
      const client = await at.connected();
      for (const body of ['1', '2', '3']) await told(client, 'SEND', 'destination:/queue/tx\n', body);
      await told(client, 'SUBSCRIBE', 'id:1\ndestination:/queue/tx\nack:client-individual\n');
      const messages = await client.take(3);
      await told(client, 'BEGIN', 'transaction:t\n');
      await told(client, 'SEND', 'destination:/queue/never\ntransaction:t\n', 'x');
      for (const message of messages.slice(0, 2)) await told(client, 'ACK', `${ackOf(message)}transaction:t\n`);
      if (how === 'DISCONNECT') await bye(client);
      else client[how]();
      await until(() => at.broker.stats().connections === 1, 'it to be gone');
      expect(queueNames(at).sort()).toEqual(['bystander', 'tx']);
      const heir = await at.connected();
      await heir.write('SUBSCRIBE\nid:1\ndestination:/queue/tx\n\n\0');
      const again = await heir.take(3);
      expect(again.map(({ body }) => body)).toEqual(['1', '2', '3']);
      for (const { headers } of again)
        expect([headers.get('redelivered'), headers.get('delivery-count')]).toEqual(['true', '2']);
      await bye(heir);
    }
    expect(queueNames(at)).toEqual(['bystander']);
    await at.unharmed();
  });

  test('M-76: what follows DISCONNECT is not looked at', async () => {
    for (const url of [at.tcp, at.ws]) {
      const client = await at.connected('1.2', { url });
      await client.write(`DISCONNECT\nreceipt:bye\n\n\0SEND\ndestination:/queue/evil\nreceipt:no\n\n\0NONSENSE\n\n\0`);
      const { frames } = await client.end();
      expect(frames.map(({ command, headers }) => command + (headers.get('receipt-id') ?? ''))).toEqual([
        'CONNECTED',
        'RECEIPTbye',
      ]);
    }
    expect(queueNames(at)).toEqual(['bystander']);
    await at.unharmed();
  });

  test('M-78: transactions of the same name on two connections do not meet', async () => {
    const [one, two] = [await at.connected(), await at.connected()];
    for (const client of [one, two]) await told(client, 'BEGIN', 'transaction:t\n');
    await told(one, 'SEND', 'destination:/queue/tx\ntransaction:t\n', 'one');
    await told(two, 'SEND', 'destination:/queue/tx\ntransaction:t\n', 'two');
    await told(one, 'ABORT', 'transaction:t\n');
    await told(two, 'COMMIT', 'transaction:t\n');
    await two.write('SUBSCRIBE\nid:1\ndestination:/queue/tx\n\n\0');
    expect((await next(two, 'MESSAGE')).body).toBe('two');
    await bye(one, two);
    await at.unharmed();
  });

  for (const version of VERSIONS) {
    test(`M-79: a receipt comes back as it was, in ${version}`, async () => {
      const client = await at.connected(version);
      const odd = version === '1.0' ? 'a:b\\c\\n' : version === '1.1' ? 'a\\cb\\\\c\\n' : 'a\\cb\\\\\\r\\n';
      const wire = version === '1.0' ? 'a:b\\c\\n' : odd;
      for (const receipt of ['', wire, 'x'.repeat(16_000), '__proto__', ' ü\t']) {
        await client.write(`SEND\ndestination:/topic/x\nreceipt:${receipt}\n\n\0`.repeat(2)); // asked twice, answered twice
        for (const frame of await client.take(2)) {
          expect(frame.command).toBe('RECEIPT');
          const expected = version === '1.0' ? receipt.replace(/^[ \t]+/, '') : receipt; // C-29: a leading blank is padding
          expect(frame.lines).toEqual([`receipt-id:${expected}`]);
        }
      }
      await client.write(`SEND\ndestination:/topic/x\nreceipt:${LONG}\n\n\0`);
      theError(await client.end(), /C-34/);
      await at.unharmed();
    });
  }

  test('M-80: a consumer sees only the broker’s own words for what is the broker’s', async () => {
    const planted =
      'subscription:evil\nmessage-id:evil\nack:evil\nredelivered:true\ndelivery-count:9\nreceipt-id:evil\nsession:evil\nserver:evil\n' +
      'version:9\nheart-beat:9,9\ndestination:/queue/evil\ncontent-length:3\ncontent-length:3\nkept:1\nkept:2\n';
    for (const ack of ['auto', 'client']) {
      const client = await at.connected();
      await told(client, 'SUBSCRIBE', `id:1\ndestination:/queue/own\nack:${ack}\n`);
      await client.write(`SEND\ndestination:/queue/own\n${planted}\nabc\0`);
      const { lines, headers } = await next(client, 'MESSAGE');
      expect(lines.join('\n')).not.toContain('evil');
      expect(lines.filter((line) => /^(redelivered|delivery-count|version|heart-beat|receipt)/.test(line))).toEqual([]);
      expect(lines.filter((line) => line.startsWith('content-length:'))).toEqual(['content-length:3']);
      expect(lines.filter((line) => line.startsWith('kept:'))).toEqual(['kept:1', 'kept:2']);
      expect(headers.has('ack')).toBe(ack === 'client');
      if (ack === 'client') await told(client, 'ACK', `id:${headers.get('ack')}\n`);
      await bye(client);
    }
    await at.unharmed();
  });

  test('M-81: what one version can say and another cannot is never a line of its own', async () => {
    const producer = await at.connected('1.2');
    for (const version of VERSIONS) {
      const consumer = await at.connected(version);
      await told(consumer, 'SUBSCRIBE', `id:1\ndestination:/topic/inject\n`);
      await producer.write(
        'SEND\ndestination:/topic/inject\nfoo:a\\ndestination\\c/queue/evil\nna\\cme:v\nna\\nme:w\ncr:a\\rb\ntail:\\\\\n\n\0',
      );
      const { lines } = await next(consumer, 'MESSAGE');
      expect(lines.filter((line) => /^destination/.test(line))).toEqual(['destination:/topic/inject']);
      expect(lines.filter((line) => line.includes('\r'))).toEqual([]);
      if (version === '1.2') expect(lines).toContain('foo:a\\ndestination\\c/queue/evil');
      if (version === '1.1') expect(lines).toEqual(expect.arrayContaining(['na\\cme:v', 'na\\nme:w', 'cr:a b']));
      if (version === '1.0')
        expect(lines).toEqual(expect.arrayContaining(['foo:a destination:/queue/evil', 'cr:a b', 'tail:\\']));
      if (version === '1.0') expect(lines.filter((line) => line.startsWith('na'))).toEqual([]);
      await bye(consumer);
    }
    await bye(producer);
    await at.unharmed();
  });

  test('M-82: header names that JavaScript knows are plain data', async () => {
    const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'then', 'valueOf'];
    const client = await at.connected();
    for (const id of names) await told(client, 'SUBSCRIBE', `id:${id}\ndestination:/topic/${id}\n`);
    for (const name of names) {
      await told(client, 'BEGIN', `transaction:${name}\n`);
      await told(
        client,
        'SEND',
        `destination:/queue/${name}\ntransaction:${name}\n${names.map((one) => `${one}:${one}\n`).join('')}`,
      );
      await told(client, 'COMMIT', `transaction:${name}\n`);
      await client.write(`SUBSCRIBE\nid:q-${name}\ndestination:/queue/${name}\n\n\0`);
      const { headers } = await next(client, 'MESSAGE');
      for (const one of names) expect(headers.get(one)).toBe(one);
    }
    expect(queueNames(at)).toEqual(['bystander', ...names]);
    expect(Object.keys(Object.prototype)).toEqual([]);
    await bye(client);
    await at.unharmed();
  });

  test('M-83: an expiry long past or far ahead is no timer', async () => {
    const client = await at.connected();
    const alarms = at.clock.alarms;
    for (const header of [
      'expires:1',
      `expires:${10n ** 14n}`,
      `expiration:${10n ** 14n}`,
      'expiration:0',
      'priority:9',
    ])
      await told(client, 'SEND', `destination:/topic/x\n${header}\n`);
    expect(at.clock.alarms).toBe(alarms);
    await bye(client);
    await at.unharmed();
  });

  test('M-84: another’s temporary queue may be sent to and not be read; its name dies with its connection', async () => {
    const asker = await at.connected();
    await told(asker, 'SUBSCRIBE', 'id:s\ndestination:/queue/service\n');
    await asker.write('SEND\ndestination:/queue/service\nreply-to:/temp-queue/answers\n\n?\0');
    const request = await next(asker, 'MESSAGE');
    const replyTo = request.headers.get('reply-to') as string;
    expect(replyTo).toMatch(/^\/remote-temp-queue\//);
    const other = await at.connected();
    await told(other, 'SEND', `destination:${replyTo}\n`, 'to you');
    await until(() => asker.frames.some(({ body }) => body === 'to you'), 'the answer');
    await other.write(`SUBSCRIBE\nid:1\ndestination:${replyTo}\nreceipt:r\n\n\0`);
    expect(theError(await other.end(), /another connection.*M-84/).headers.get('receipt-id')).toBe('r');
    asker.reset();
    await until(() => at.broker.stats().connections === 1, 'them to be gone');
    const late = await at.connected();
    await told(late, 'SEND', `destination:${replyTo}\n`, 'too late'); // into nothing
    await bye(late);
    expect(queueNames(at)).toEqual(['bystander']);
    expect(at.broker.inspect.bytes).toBe(0);
    await at.unharmed();
  });
});

describe('8.3: rights, quotas and stores', () => {
  test('M-74: a COMMIT with one SEND too many does nothing at all', async () => {
    for (const [limits, error, sizes] of [
      [{ maxQueueMessages: 3 }, /maxQueueMessages/, [10, 10, 10, 10]],
      [{ maxQueueBytes: 2_000 }, /maxQueueBytes/, [600, 600, 600]],
      [{ maxMemoryBytes: 2_000 }, /maxMemoryBytes/, [600, 600, 600]],
    ] as const) {
      const small = await place({ limits });
      const client = await small.connected();
      await told(client, 'SEND', 'destination:/queue/kept\n', 'before');
      await told(client, 'SUBSCRIBE', 'id:1\ndestination:/queue/kept\nack:client-individual\n');
      const message = await next(client, 'MESSAGE');
      await told(client, 'BEGIN', 'transaction:t\n');
      await told(client, 'ACK', `${ackOf(message)}transaction:t\n`);
      for (const size of sizes)
        await told(client, 'SEND', 'destination:/queue/full\ntransaction:t\n', 'x'.repeat(size));
      await client.write('COMMIT\ntransaction:t\nreceipt:all\n\n\0');
      expect(theError(await client.end(), error).headers.get('receipt-id')).toBe('all');
      await until(() => small.broker.stats().connections === 1, 'it to be gone');
      expect(queueNames(small).sort()).toEqual(['bystander', 'kept']);
      expect(small.broker.inspect.queues().find(({ name }) => name === 'kept')).toMatchObject({
        waiting: 1,
        unsettled: 0,
      });
      await small.unharmed();
      await small.close();
    }
  });

  test('M-74: transactions to many queues end at maxQueues as a whole', async () => {
    const small = await place({ limits: { maxQueues: 10 } });
    const client = await small.connected();
    await told(client, 'BEGIN', 'transaction:t\n');
    for (let i = 0; i < 20; i++) await client.write(`SEND\ndestination:/queue/${i}\ntransaction:t\n\n\0`);
    await client.write('COMMIT\ntransaction:t\nreceipt:all\n\n\0');
    theError(await client.end(), /maxQueues/);
    expect(queueNames(small)).toEqual(['bystander']);
    await small.unharmed();
    await small.close();
  });

  test('M-85: who may not is told so, and not whether it is there; no other spelling gets in', async () => {
    const authorize: Authorize = ({ name }, _verb, destination) =>
      name === 'bystander' || destination.startsWith('/topic/');
    const guarded = await place({ authenticate: passcodes({ bystander: 'b', guest: 'g' }), authorize });
    await guarded.bystander.write('SEND\ndestination:/queue/secret\nreceipt:r\n\n\0');
    await guarded.bystander.next();
    const said = new Set<string | undefined>();
    for (const name of ['/queue/secret', '/queue/nothing', 'secret', 'nothing', '/nothing']) {
      for (const frame of [send(`destination:${name}\n`), subscribe(`id:1\ndestination:${name}\n`)]) {
        const guest = await guarded.connected('1.2', { headers: 'login:guest\npasscode:g\n' });
        await guest.write(frame);
        const error = theError(await guest.end(), /may not/);
        expect(error.headers.get('receipt-id')).toBe('r');
        said.add(error.headers.get('message'));
      }
    }
    expect(said).toEqual(new Set(['you may not send here', 'you may not subscribe here']));
    expect(guarded.broker.inspect.queues().find(({ name }) => name === 'secret')).toMatchObject({ waiting: 1 });
    await guarded.unharmed();
    await guarded.close();
  });

  test('M-86: what the store cannot keep is one ERROR and no RECEIPT, and the receipts before it are true', async () => {
    let full = false;
    const inner = new EmbeddedEngine(
      { ...resolveLimits(), schedule: () => () => {}, time: () => Date.now() },
      memoryStore(),
    );
    const engine: Engine = {
      commit: (work) =>
        full && work.sends.some(({ destination }) => destination.name === 'store')
          ? Promise.reject(new EngineError('store-failed', 'no space is left on the disk'))
          : inner.commit(work),
      open: (request) => inner.open(request),
      discard: (queue) => inner.discard(queue),
      inspect: inner.inspect,
      guarantees: inner.guarantees,
      close: () => inner.close(),
    };
    const small = await place({ engine });
    const client = await small.connected();
    await told(client, 'SEND', 'destination:/queue/store\n', 'kept');
    full = true;
    await client.write(
      'SEND\ndestination:/queue/store\nreceipt:lost\n\nlost\0SEND\ndestination:/queue/store\nreceipt:after\n\nlost\0',
    );
    expect(theError(await client.end(), /no space is left/).headers.get('receipt-id')).toBe('lost');
    expect(client.frames.filter(({ command }) => command === 'RECEIPT').length).toBe(1);
    const transaction = await small.connected();
    await told(transaction, 'BEGIN', 'transaction:t\n');
    await told(transaction, 'SEND', 'destination:/queue/store\ntransaction:t\n', 'lost');
    await transaction.write('COMMIT\ntransaction:t\nreceipt:commit\n\n\0');
    expect(theError(await transaction.end(), /no space/).headers.get('receipt-id')).toBe('commit');
    full = false;
    const reader = await small.connected();
    await reader.write('SUBSCRIBE\nid:1\ndestination:/queue/store\n\n\0');
    expect((await next(reader, 'MESSAGE')).body).toBe('kept');
    await bye(reader);
    expect(reader.frames.filter(({ command }) => command === 'MESSAGE').length).toBe(1);
    await small.unharmed();
    await small.close();
  });
});
