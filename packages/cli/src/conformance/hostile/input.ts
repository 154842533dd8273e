// Section 8.1 and 8.2: input that no client in its right mind sends. Never against a broker that others use.

import type { Version } from '@stompbox/protocol';
import { type Ask, bodiesIn, heard, refusal, same, send, trip, works } from '../ask.ts';
import { ALL, type Check, FROM_11 } from '../check.ts';
import type { Line } from '../line.ts';
import { Departure, instead, NotAsked } from '../verdict.ts';

const MIB = 1024 * 1024;
/** Where a limit is not found up to here, it is not looked for further. */
const FLOOD_BYTES = 8 * MIB;

async function refused(ask: Ask, version: Version, bytes: string | Uint8Array): Promise<void> {
  await refusal(ask, await ask.session(version), bytes);
}

/** Says `pattern` over and over, and stops when the broker has had enough: ERROR, or the end. */
async function flooded(ask: Ask, line: Line, first: string, pattern: string, bytes = FLOOD_BYTES): Promise<void> {
  const many = pattern.repeat(Math.ceil((64 * 1024) / pattern.length));
  line.say(first);
  for (let sent = 0; sent < bytes; sent += many.length) {
    ask.site.line.signal?.throwIfAborted();
    line.say(many);
    const next = await line.next(2);
    if (next.is === 'silence') continue;
    if (next.is === 'closed') throw new Departure('mute-close', 'the connection was closed without ERROR');
    if (next.is !== 'frame' || !next.frame.is('ERROR')) throw instead('ERROR', next);
    return;
  }
  const next = await line.next(1_000);
  if (next.is === 'silence') throw new Departure('accepted', `${Math.round(bytes / MIB)} MiB were taken`);
  if (next.is === 'closed') throw new Departure('mute-close', 'the connection was closed without ERROR');
}

/** A broker that has gone down, or is busy with what it was sent, does not let the next one in. */
async function alive(ask: Ask): Promise<void> {
  await works(ask, await ask.session());
}

/** The line must end, with or without ERROR. */
async function ends(line: Line, withinMs?: number): Promise<void> {
  for (let next = await line.next(withinMs); next.is !== 'closed'; next = await line.next(withinMs)) {
    if (next.is === 'silence') throw new Departure('accepted', 'the connection is held open');
    if (next.is === 'unreadable') return;
    if (!next.frame.is('ERROR')) throw instead('the end', next);
  }
}

/** As in any test of this kind: the same octets at every run. */
function pseudoRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

export const HOSTILE_INPUT: readonly Check[] = [
  {
    ids: ['M-03'],
    versions: ALL,
    async run(ask, version) {
      await refused(ask, version, `SENDX\n${ask.to(ask.queue())}\nx\0`);
      await refused(ask, version, 'BEGINX\ntransaction:t\n\n\0');
    },
  },
  {
    ids: ['M-05'],
    versions: ALL,
    async run(ask, version) {
      for (const bytes of [':\n\n\0', 'a:b\n\n\0', ' \n\n\0']) await refused(ask, version, bytes);
    },
  },
  {
    ids: ['M-06'],
    async run(ask) {
      const text = `SEND\n${ask.to(ask.queue())}\nx\0`;
      await refused(ask, '1.2', Buffer.from(text, 'utf16le'));
      await refused(ask, '1.2', Buffer.from(text, 'utf16le').swap16());
    },
  },
  {
    ids: ['M-08'],
    versions: ALL,
    async run(ask, version) {
      await refused(ask, version, `SEND\n${ask.to(ask.queue())}x\n\nx\0`);
    },
  },
  {
    ids: ['M-10'],
    withinMs: 40_000,
    async run(ask) {
      await flooded(ask, await ask.session(), `SEND\n${ask.to(ask.queue())}foo:`, 'x');
      await alive(ask);
    },
  },
  {
    ids: ['C-70'],
    hostile: true,
    withinMs: 40_000,
    async run(ask) {
      await flooded(ask, await ask.line(), 'CONNECT\nfoo:', 'x', MIB);
      await alive(ask);
    },
  },
  {
    ids: ['C-34', 'M-11'],
    hostile: true,
    async run(ask) {
      const lines = Array.from({ length: 20_000 }, (_, n) => `h${n}:x\n`).join('');
      await refused(ask, '1.2', `SEND\n${ask.to(ask.queue())}${lines}\nx\0`);
    },
  },
  {
    ids: ['M-12'],
    async run(ask) {
      await refused(ask, '1.2', `SEND\n${ask.to(ask.queue())}${'foo:bar\n'.repeat(20_000)}\nx\0`);
    },
  },
  {
    ids: ['M-13'],
    withinMs: 40_000,
    async run(ask) {
      await flooded(ask, await ask.session(), '', 'S');
      await alive(ask);
    },
  },
  {
    ids: ['M-19'],
    async run(ask) {
      for (const head of ['f\roo:b', 'foo:a\r\r'])
        await refused(ask, '1.2', `SEND\n${ask.to(ask.queue())}${head}\n\nx\0`);
      await refused(ask, '1.2', `SE\rND\n${ask.to(ask.queue())}\nx\0`);
    },
  },
  {
    ids: ['M-20'],
    versions: ['1.1'],
    async run(ask, version) {
      await refused(ask, version, `SEND\r\n${ask.to(ask.queue())}\nx\0`);
    },
  },
  {
    ids: ['M-22'],
    async run(ask) {
      await flooded(ask, await ask.session(), '', '\0', MIB);
    },
  },
  {
    ids: ['M-23'],
    withinMs: 30_000,
    async run(ask) {
      const line = await ask.session();
      for (let n = 0; n < 32; n++) line.say('\n'.repeat(256 * 1024));
      await send(ask, line, ask.queue(), 'behind the flood');
    },
  },
  {
    ids: ['C-60', 'M-28'],
    hostile: true,
    versions: ALL,
    async run(ask, version) {
      for (const length of ['2147483647', '4294967296', '9007199254740992', '1'.padEnd(101, '0')]) {
        await refused(ask, version, `SEND\n${ask.to(ask.queue())}content-length:${length}\n\nabcd\0`);
      }
    },
  },
  {
    ids: ['M-31'],
    versions: ALL,
    async run(ask, version) {
      const head = `SEND\n${ask.to(ask.queue())}content-length:6\n\n`;
      await refused(ask, version, `${head}abc\0SEND\n${ask.to(ask.queue())}\nx\0`);
    },
  },
  {
    ids: ['M-35'],
    withinMs: 40_000,
    async run(ask) {
      try {
        await flooded(ask, await ask.session(), `SEND\n${ask.to(ask.queue())}\n`, 'x');
      } catch (error) {
        if (error instanceof Departure && error.way === 'accepted') throw new NotAsked('no limit was met up to 8 MiB');
        throw error;
      }
      await alive(ask);
    },
  },
  {
    ids: ['M-36'],
    async run(ask) {
      const queue = ask.queue();
      const talk = `BEGIN\ntransaction:t\n\n\0SEND\n${ask.to(queue)}transaction:t\n\nnever\0COMMIT\ntransaction:t`;
      for (let cut = 1; cut < talk.length; cut += 17) {
        const line = await ask.session();
        line.say(talk.slice(0, cut));
        if (cut % 2) line.end();
        else line.drop();
      }
      await send(ask, await ask.session(), queue, 'last');
      same('what is in the queue', (await bodiesIn(ask, queue)).join(), 'last');
    },
  },
  {
    ids: ['M-38'],
    withinMs: 30_000,
    async run(ask) {
      const line = await ask.session();
      const bytes = Buffer.from(`SEND\n${ask.to(ask.queue())}\nx\0\n`.repeat(100));
      for (const [at, octet] of bytes.entries()) {
        line.say(new Uint8Array([octet]));
        if (at % 64 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      await works(ask, line);
    },
  },
  {
    ids: ['M-39'],
    withinMs: 40_000,
    async run(ask) {
      const random = pseudoRandom(39);
      for (let n = 0; n < 40; n++) {
        const line = await (n % 2 ? ask.session() : ask.line());
        line.say(Uint8Array.from({ length: 512 }, () => Math.floor(random() * 256)));
        line.end();
      }
      await alive(ask);
    },
  },
  {
    ids: ['M-40'],
    over: 'tcp',
    async run(ask) {
      const line = await ask.line();
      const queue = ask.queue();
      const body = `CONNECT\naccept-version:1.2\n${ask.hello}\n\0SEND\n${ask.to(queue)}\nevil\0`;
      line.say(`POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
      const next = await line.next();
      if (next.is === 'frame' && next.frame.is('CONNECTED'))
        throw new Departure('accepted', 'the body was carried out');
      if (next.is === 'silence') throw new Departure('no-answer', 'the connection is held open');
    },
  },
  {
    ids: ['M-41'],
    over: 'tcp',
    async run(ask) {
      const line = await ask.line();
      line.say(new Uint8Array([0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3, ...Array.from({ length: 194 }, (_, n) => n)]));
      await ends(line);
    },
  },
  {
    ids: ['M-42'],
    withinMs: 45_000,
    async run(ask) {
      const [mute, half] = [await ask.line(), await ask.line()];
      half.say('CONNECT\naccept-ver');
      await Promise.all([ends(mute, 35_000), ends(half, 35_000)]);
    },
  },
  {
    ids: ['M-44'],
    versions: FROM_11,
    async run(ask, version) {
      await refused(ask, version, 'RECEIPT\nreceipt-id:x\n\n\0');
      await refused(ask, version, `MESSAGE\n${ask.to(ask.queue())}message-id:1\nsubscription:1\n\nx\0`);
      await refusal(ask, await ask.line(), `CONNECTED\nversion:1.2\n${ask.hello}\n\0`);
    },
  },
  {
    ids: ['M-47'],
    async run(ask) {
      await refusal(ask, await ask.line(), `CONNECT\naccept-version:1.2${',1.2'.repeat(100_000)}\n${ask.hello}\n\0`);
    },
  },
  {
    ids: ['M-51'],
    async run(ask) {
      const { login = 'somebody', host } = ask.site;
      const line = await ask.line();
      const sends = `SEND\n${ask.to(ask.queue())}\nx\0`.repeat(5);
      line.say(`CONNECT\naccept-version:1.2\nhost:${host}\nlogin:${login}\npasscode:wrong-7f3a\n\n\0${sends}`);
      const next = await line.next();
      if (next.is === 'frame' && next.frame.is('CONNECTED')) throw new NotAsked('the broker lets anybody in');
      if (next.is !== 'frame' || !next.frame.is('ERROR')) throw instead('ERROR', next);
      const after = await line.next();
      if (after.is === 'frame') throw new Departure('several-errors', 'more than one ERROR');
      if (after.is !== 'closed') throw new Departure('error-open', 'ERROR, but the connection is not closed');
    },
  },
  {
    ids: ['M-52'],
    versions: FROM_11,
    async run(ask, version) {
      if (ask.site.passcode === undefined) throw new NotAsked('there is no passcode to spoil');
      const line = await ask.line();
      line.say(`CONNECT\naccept-version:${version}\n${ask.hello}login:other\npasscode:other\n\n\0`);
      await heard(line, 'CONNECTED');
    },
  },
  {
    ids: ['M-53'],
    async run(ask) {
      const { login = 'somebody', host } = ask.site;
      const head = `CONNECT\naccept-version:1.2\nhost:${host}\nlogin:${login}\n`;
      for (const passcode of ['a:b\\n c\u00fc', 'x\\', 'x'.repeat(4_096)]) {
        const line = await ask.line();
        line.say(`${head}passcode:${passcode}\n\n\0`);
        const next = await line.next();
        if (next.is === 'frame' && next.frame.is('CONNECTED')) throw new NotAsked('the broker lets anybody in');
        if (next.is === 'closed') throw new Departure('mute-close', 'the connection was closed without ERROR');
        if (next.is !== 'frame' || !next.frame.is('ERROR')) throw instead('ERROR', next);
      }
    },
  },
  {
    ids: ['M-55'],
    async run(ask) {
      await refusal(ask, await ask.line(), `CONNECT\naccept-version:1.2\n${ask.hello}\njunk\0`);
    },
  },
  {
    ids: ['M-56'],
    async run(ask) {
      for (let n = 0; n < 100; n++) await ask.line();
      await alive(ask);
    },
  },
  {
    ids: ['M-96'],
    async run(ask) {
      for (let n = 0; n < 100; n++) (await ask.session()).drop();
      same('the body', (await trip(ask, { body: 'still there' })).text(), 'still there');
    },
  },
];
