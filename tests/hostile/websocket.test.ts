// Conformance 8.5: WebSocket from below. Legal framing is a byte stream like TCP; what
// breaks RFC 6455 or a limit ends with the close code that says so (W-09).

import { connect } from 'node:net';
import { deflateRawSync, constants as zlib } from 'node:zlib';
import { passcodes } from '@stompbox/broker';
import { inPieces, type RawClient, turn, webSocketFrame } from 'testkit';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { bye, EVIL, next, type Place, place, queueNames, theError, told, until } from './support.ts';

const CONTINUATION = 0;
const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const MIB = 1 << 20;
const send = (body: string) => `SEND\ndestination:/topic/w\ncontent-length:${Buffer.byteLength(body)}\n\n${body}\0`;
const utf8 = (text: string) => Buffer.from(text);

let at: Place;
beforeAll(async () => {
  at = await place();
});
afterEach(() => at.clear());
afterAll(() => at.close());

/** A consumer of /topic/w and a client, both over WebSocket. */
async function pair(): Promise<[client: RawClient, consumer: RawClient]> {
  const consumer = await at.connected('1.2', { url: at.ws });
  await told(consumer, 'SUBSCRIBE', 'id:1\ndestination:/topic/w\n');
  return [await at.connected('1.2', { url: at.ws }), consumer];
}

describe('8.5: what is legal is a byte stream', () => {
  const body = 'ü€😀\0SEND\n\n\0';

  test('M-100: a frame over many messages, and many frames in one', async () => {
    const [client, consumer] = await pair();
    const whole = utf8(send(body) + send('second'));
    for (const size of [1, 2, 3, 7, whole.length]) {
      await client.writePieces(inPieces(whole, size));
      expect([(await next(consumer, 'MESSAGE')).body, (await next(consumer, 'MESSAGE')).body]).toEqual([
        body,
        'second',
      ]);
    }
    for (let cut = 1; cut < whole.length; cut++) {
      await client.writePieces([whole.subarray(0, cut), whole.subarray(cut)]);
      expect([(await next(consumer, 'MESSAGE')).body, (await next(consumer, 'MESSAGE')).body]).toEqual([
        body,
        'second',
      ]);
    }
    await client.write(send('x').repeat(1_000));
    expect((await consumer.take(1_000)).length).toBe(1_000);
    await bye(client, consumer);
    await at.unharmed();
  });

  test('M-101: fragments, pings between them, and empty messages', async () => {
    const [client, consumer] = await pair();
    const whole = utf8(send(body));
    const fragments = [...inPieces(whole, 5), new Uint8Array()].map((part, i, all) =>
      webSocketFrame(part, {
        opcode: i === 0 ? TEXT : CONTINUATION,
        flags: i === all.length - 1 ? 0x80 : 0,
      }),
    );
    const ping = webSocketFrame(utf8('hello'), { opcode: PING });
    await client.writeRaw(Buffer.concat(fragments.flatMap((fragment) => [fragment, ping])));
    expect((await next(consumer, 'MESSAGE')).body).toBe(body);
    const empty = webSocketFrame(new Uint8Array(), { opcode: TEXT });
    for (let i = 0; i < 20; i++) await client.writeRaw(Buffer.concat(Array.from({ length: 5_000 }, () => empty)));
    await client.write(send('still here'));
    expect((await next(consumer, 'MESSAGE')).body).toBe('still here');
    await bye(client, consumer);
    await at.unharmed();
  });

  test('M-101: a million empty fragments of one message are not kept', async () => {
    const client = await at.connected('1.2', { url: at.ws });
    await client.writeRaw(webSocketFrame(utf8('SEND\n'), { flags: 0 }));
    const empty = webSocketFrame(new Uint8Array(), { opcode: CONTINUATION, flags: 0 });
    const many = Buffer.concat(Array.from({ length: 10_000 }, () => empty));
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < 100 && !client.over; i++) {
      await client.writeRaw(many);
      await turn();
    }
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(256 * MIB);
    client.reset();
    await at.unharmed();
  });

  test('M-104: text and binary messages are the same', async () => {
    const [client, consumer] = await pair();
    for (const opcode of [TEXT, BINARY]) {
      await client.writeRaw(webSocketFrame(utf8(send(body)), { opcode }));
      expect((await next(consumer, 'MESSAGE')).body).toBe(body);
    }
    await bye(client, consumer);
    await at.unharmed();
  });
});

describe('8.5: what is not ends with the code that says so', () => {
  interface Row {
    readonly id: string;
    readonly says: string;
    readonly bytes: Uint8Array;
    readonly code: number;
    readonly deflate?: true;
  }
  const bomb = (bytes: number) =>
    deflateRawSync(Buffer.alloc(bytes), { finishFlush: zlib.Z_SYNC_FLUSH }).subarray(0, -4);
  const large = webSocketFrame(Buffer.alloc(70 * 1024));
  const half = (flags: number, opcode: number) => webSocketFrame(Buffer.alloc(40 * 1024), { flags, opcode });

  const rows: readonly Row[] = [
    { id: 'M-102', says: 'an unmasked frame', bytes: webSocketFrame(utf8('\n'), { masked: false }), code: 1002 },
    ...[0xc0, 0xa0, 0x90].map((flags): Row => {
      return {
        id: 'M-102',
        says: `reserved bit ${flags.toString(16)}`,
        bytes: webSocketFrame(utf8('\n'), { flags }),
        code: 1002,
      };
    }),
    ...[3, 7, 11, 15].map((opcode): Row => {
      return {
        id: 'M-102',
        says: `reserved opcode ${opcode}`,
        bytes: webSocketFrame(utf8('\n'), { opcode }),
        code: 1002,
      };
    }),
    {
      id: 'M-102',
      says: 'a ping of 126 bytes',
      bytes: webSocketFrame(Buffer.alloc(126), { opcode: PING }),
      code: 1002,
    },
    {
      id: 'M-102',
      says: 'a ping in fragments',
      bytes: webSocketFrame(utf8('x'), { opcode: PING, flags: 0 }),
      code: 1002,
    },
    {
      id: 'M-102',
      says: 'a continuation of nothing',
      bytes: webSocketFrame(utf8('x'), { opcode: CONTINUATION }),
      code: 1002,
    },
    {
      id: 'M-102',
      says: 'a message inside a message',
      bytes: Buffer.concat([webSocketFrame(utf8('\n'), { flags: 0 }), webSocketFrame(utf8('\n'))]),
      code: 1002,
    },
    {
      id: 'M-102',
      says: 'a close frame of one byte',
      bytes: webSocketFrame(Uint8Array.of(3), { opcode: CLOSE }),
      code: 1002,
    },
    {
      id: 'M-102',
      says: 'a close code that is none',
      bytes: webSocketFrame(Uint8Array.of(0, 1), { opcode: CLOSE }),
      code: 1002,
    },
    ...[[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80]].map((octets): Row => {
      const bytes = webSocketFrame(Uint8Array.from(octets), { opcode: TEXT });
      return { id: 'M-103', says: `text of ${octets.map((octet) => octet.toString(16)).join(' ')}`, bytes, code: 1007 };
    }),
    {
      id: 'M-105',
      says: 'a deflate bomb of 64 MiB',
      bytes: webSocketFrame(bomb(64 * MIB), { flags: 0xc0 }),
      code: 1009,
      deflate: true,
    },
    { id: 'M-106', says: 'a message over maxMessageBytes', bytes: large, code: 1009 },
    {
      id: 'M-106',
      says: 'fragments over maxMessageBytes',
      bytes: Buffer.concat([half(0, BINARY), half(0x80, CONTINUATION)]),
      code: 1009,
    },
    ...[2n ** 63n, 2n ** 63n - 1n, 2n ** 53n, 2n ** 40n, 2n ** 31n].map((length): Row => {
      return {
        id: 'M-106',
        says: `a message that says ${length} bytes`,
        bytes: webSocketFrame(utf8('x'), { length }),
        code: 1009,
      };
    }),
  ];

  let narrow: Place;
  beforeAll(async () => {
    narrow = await place({ webSocket: { maxMessageBytes: 64 * 1024, compress: true } });
  });
  afterEach(() => narrow.clear());
  afterAll(() => narrow.close());

  for (const row of rows) {
    test(`${row.id}: ${row.says} is ${row.code}, however it is cut`, async () => {
      const before = process.memoryUsage().arrayBuffers;
      for (const size of [row.bytes.length, row.bytes.length > 300 ? 1_000 : 1]) {
        // Without context takeover `ws` leaves short messages as they are, so that we can read CONNECTED.
        const upgrade = row.deflate ? ['Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover'] : [];
        const client = await narrow.dial(narrow.ws, { upgrade });
        if (row.deflate) expect(client.answer).toMatch(/permessage-deflate/);
        await client.connect('1.2');
        for (const piece of [...inPieces(row.bytes, size), webSocketFrame(utf8(EVIL.slice(2)))]) {
          await client.writeRaw(piece);
          await turn();
        }
        const { code, frames } = await client.end();
        expect(code).toBe(row.code);
        expect(frames.length).toBe(1); // CONNECTED: nothing of STOMP was wrong
      }
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(128 * MIB);
      expect(queueNames(narrow)).toEqual(['bystander']);
      await narrow.unharmed();
    });
  }

  for (const [id, says, bytes, error, code] of [
    ['M-111', 'an unknown command', 'FOO\n\n\0', /C-13/, 1002],
    ['M-111', 'an undefined escape', 'SEND\na:\\t\n\n\0', /C-41/, 1002],
    ['M-111', 'SEND without a destination', 'SEND\n\nx\0', /F-01/, 1002],
    ['M-111', 'a destination nobody may name', 'SEND\ndestination:/queue/\n\nx\0', /names nothing/, 1008],
    ['M-111', 'a header line over its limit', `SEND\na:${'x'.repeat(20_000)}\n\n\0`, /C-34/, 1009],
    [
      'M-111',
      'too many subscriptions',
      'SUBSCRIBE\nid:1\ndestination:/topic/a\n\n\0SUBSCRIBE\nid:2\ndestination:/topic/a\n\n\0',
      /maxSubscriptions/,
      1009,
    ],
  ] as const) {
    test(`${id}: ${says} is an ERROR, then a close with ${code}`, async () => {
      const small = await place({ limits: { maxSubscriptions: 1 } });
      const client = await small.connected('1.2', { url: small.ws });
      await client.write(bytes + EVIL.slice(2));
      const end = await client.end();
      theError(end, error);
      expect(end.code).toBe(code);
      await small.unharmed();
      await small.close();
    });
  }

  test('M-111: a refused login is an ERROR, then a close with 1008; a goodbye is 1000', async () => {
    const guarded = await place({ authenticate: passcodes({ bystander: 'b' }) });
    const client = await guarded.dial(guarded.ws);
    await client.write('CONNECT\naccept-version:1.2\nhost:h\nlogin:x\npasscode:y\n\n\0');
    const end = await client.end();
    theError(end, /refused/);
    expect(end.code).toBe(1008);
    const polite = await at.connected('1.2', { url: at.ws });
    await bye(polite);
    expect((await polite.end()).code).toBe(1000);
    await guarded.unharmed();
    await guarded.close();
    await at.unharmed();
  });
});

describe('8.5: upgrades and ends', () => {
  for (const [says, offered, chosen] of [
    ['none', [], undefined],
    ['an unknown one', ['Sec-WebSocket-Protocol: soap'], undefined],
    ['upper case', ['Sec-WebSocket-Protocol: V12.STOMP'], undefined],
    ['one of ours among others', ['Sec-WebSocket-Protocol: soap, v10.stomp, v11.stomp'], 'v11.stomp'],
    ['the same twice', ['Sec-WebSocket-Protocol: v12.stomp, v12.stomp'], 'v12.stomp'],
    ['two header lines', ['Sec-WebSocket-Protocol: v10.stomp', 'Sec-WebSocket-Protocol: v12.stomp'], 'v12.stomp'],
    [
      'a thousand',
      [`Sec-WebSocket-Protocol: ${Array.from({ length: 1_000 }, (_, i) => `p${i}`).join(',')},v12.stomp`],
      'v12.stomp',
    ],
  ] as const) {
    test(`M-107: subprotocols: ${says}`, async () => {
      const client = await at.dial(at.ws, { upgrade: offered });
      expect(/^sec-websocket-protocol: (.*)$/im.exec(client.answer)?.[1]).toBe(chosen);
      await client.connect('1.2');
      await bye(client);
      await at.unharmed();
    });
  }

  test('M-108: a foreign Origin and null are 403; none, and our own, are let in', async () => {
    const faults = at.faults.length;
    for (const origin of [
      'http://evil.example',
      'https://127.0.0.1.evil.example',
      'null',
      'file://',
      'http://127.0.0.1:1',
    ])
      await expect(at.dial(at.ws, { upgrade: [`Origin: ${origin}`] }), origin).rejects.toThrow('403');
    expect(at.faults.length).toBe(faults + 5);
    const own = new URL(at.ws).host;
    for (const upgrade of [[], [`Origin: http://${own}`]]) {
      const client = await at.dial(at.ws, { upgrade });
      await client.connect('1.2');
      await bye(client);
    }
    await at.unharmed();
  });

  test('M-109: a close in the middle of a frame voids the transaction, as a cut does', async () => {
    const half =
      'CONNECT\naccept-version:1.2\nhost:h\n\n\0BEGIN\ntransaction:t\n\n\0' +
      'SEND\ndestination:/queue/tx\ntransaction:t\n\nx\0SEND\ndestination:/queue/half\n\nhal';
    const closed = await at.dial(at.ws);
    await closed.write(half);
    await closed.writeRaw(webSocketFrame(Uint8Array.of(3, 232), { opcode: CLOSE }));
    const { frames, code } = await closed.end();
    expect([frames.some(({ command }) => command === 'ERROR'), code]).toEqual([false, 1000]);
    for (const how of ['finish', 'reset'] as const) {
      const cut = await at.dial(at.ws);
      await cut.write(half);
      await cut.writeRaw(webSocketFrame(utf8('f\0'), { flags: 0 }).subarray(0, 5));
      await turn();
      cut[how]();
    }
    await until(() => at.broker.stats().connections === 1, 'all to be gone');
    expect(queueNames(at)).toEqual(['bystander']);
    await at.unharmed();
  });

  test('M-110: who does not answer pings is gone, who does stays', async () => {
    const watched = await place({ webSocket: { pingIntervalMs: 20, pongTimeoutMs: 40 } });
    const alive = await watched.connected('1.2', { url: watched.ws });
    const dead = await watched.dial(watched.ws, { pong: false });
    await dead.connect('1.2');
    await told(dead, 'SUBSCRIBE', 'id:1\ndestination:/queue/dead\n');
    await dead.end();
    await until(() => watched.broker.stats().connections === 2, 'it to be forgotten');
    await bye(alive);
    await watched.unharmed();
    expect(queueNames(watched)).toEqual(['bystander']);
    await watched.close();
  });

  test('M-40: a page that is no WebSocket is no session', async () => {
    const { hostname, port } = new URL(at.ws);
    const session = 'CONNECT\naccept-version:1.2\nhost:h\n\n\0SEND\ndestination:/queue/evil\n\nx\0';
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect(Number(port), hostname);
      let text = '';
      socket.on('data', (bytes) => {
        text += bytes;
      });
      socket.on('error', reject);
      socket.on('close', () => resolve(text));
      socket.end(`POST /stomp HTTP/1.1\r\nHost: h\r\nContent-Length: ${session.length}\r\n\r\n${session}`);
    });
    expect(answer).toMatch(/^HTTP\/1\.1 426 /);
    expect(queueNames(at)).toEqual(['bystander']);
    await at.unharmed();
  });
});
