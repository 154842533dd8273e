// Section 8.3 and 8.4: frames that are well-formed and make no sense, or too much of it.

import { type Ask, bodiesIn, refusal, same, subscribe, trip, works } from '../ask.ts';
import { type Check, FROM_11 } from '../check.ts';
import type { Line } from '../line.ts';
import { Departure, instead } from '../verdict.ts';

/** Refused with ERROR, or done: but not a connection that ends without a word. */
async function refusedOrDone(line: Line, frame: string): Promise<void> {
  line.say(frame);
  const next = await line.next();
  if (next.is === 'closed') throw new Departure('mute-close', 'the connection was closed without ERROR');
  if (next.is === 'silence') throw new Departure('no-answer', 'neither RECEIPT nor ERROR came');
  if (next.is !== 'frame') throw instead('RECEIPT or ERROR', next);
}

/** Frames until the broker has had enough; answers how many of them were taken. */
async function until(ask: Ask, line: Line, most: number, frame: (n: number) => string): Promise<number> {
  for (let n = 0; n < most; n += 100) {
    ask.site.line.signal?.throwIfAborted();
    line.say(Array.from({ length: 100 }, (_, k) => frame(n + k)).join(''));
    const next = await line.next(n % 1_000 === 0 ? 5 : 1);
    if (next.is === 'closed') throw new Departure('mute-close', 'the connection was closed without ERROR');
    if (next.is === 'frame' && next.frame.is('ERROR')) return n;
  }
  return most;
}

export const HOSTILE_STATE: readonly Check[] = [
  {
    ids: ['M-61'],
    async run(ask) {
      const own = ask.queue();
      const odd = ['', '/', '/queue/', '/queue', '//', `${own}/../x`, `${own}%00`, `${own}%zz`, `${own}\\n`];
      for (const destination of [...odd, `${own}${'x'.repeat(8_192)}`]) {
        await refusedOrDone(await ask.session(), `SEND\ndestination:${destination}\nreceipt:r\n\nx\0`);
      }
      await works(ask, await ask.session());
    },
  },
  {
    ids: ['M-62'],
    async run(ask) {
      for (const wild of [`${ask.queue()}.*`, `${ask.topic()}.#`]) {
        await refusal(ask, await ask.session(), `SEND\ndestination:${wild}\nreceipt:r\n\nx\0`);
      }
    },
  },
  {
    ids: ['M-63'],
    async run(ask) {
      for (const words of ['*.', '#.']) {
        const line = await ask.session();
        await refusedOrDone(line, `SUBSCRIBE\nid:1\ndestination:${ask.topic()}.${words.repeat(100)}x\nreceipt:r\n\n\0`);
      }
      const start = performance.now();
      const line = await ask.session();
      await refusedOrDone(line, `SEND\ndestination:${ask.topic()}${'.a'.repeat(100)}\nreceipt:r\n\nx\0`);
      if (performance.now() - start > 2_000) throw new Departure('otherwise', 'matching took more than two seconds');
    },
  },
  {
    ids: ['M-67'],
    async run(ask) {
      const bad = ['kind =', '((((', `${'('.repeat(2_000)}a = 1${')'.repeat(2_000)}`, `a LIKE '${'%a'.repeat(2_000)}'`];
      for (const selector of bad) {
        const head = `SUBSCRIBE\nid:1\n${ask.to(ask.queue())}receipt:r\n`;
        await refusedOrDone(await ask.session(), `${head}selector:${selector}\n\n\0`);
      }
      await works(ask, await ask.session());
    },
  },
  {
    ids: ['M-77'],
    withinMs: 40_000,
    async run(ask) {
      const line = await ask.session();
      const count = await until(ask, line, 20_000, (n) => `SUBSCRIBE\nid:${n}\ndestination:${ask.topic()}\n\n\0`);
      if (count >= 20_000) throw new Departure('accepted', '20,000 subscriptions were made on one connection');
    },
  },
  {
    ids: ['M-82'],
    versions: FROM_11,
    async run(ask, version) {
      const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'then'];
      const { headers } = await trip(ask, { version, head: names.map((name) => `${name}:x\n`).join('') });
      for (const name of names) same(name, headers.get(name), 'x');
    },
  },
  {
    ids: ['M-83'],
    async run(ask) {
      const odd = ['priority:abc', 'priority:99', 'priority:-1', 'expires:abc', 'expires:1', 'AMQ_SCHEDULED_DELAY:-1'];
      for (const head of odd) {
        const frame = `SEND\n${ask.to(ask.queue())}${head}\nreceipt:r\n\nx\0`;
        try {
          await refusedOrDone(await ask.session(), frame);
        } catch (error) {
          if (!(error instanceof Departure)) throw error;
          throw new Departure(error.way, `${head}: ${error.message}`);
        }
      }
    },
  },
  {
    ids: ['M-90'],
    withinMs: 40_000,
    async run(ask) {
      const topic = ask.topic();
      const slow = await ask.session();
      await subscribe(ask, slow, topic);
      slow.stall();
      const producer = await ask.session();
      const body = 'x'.repeat(16 * 1024);
      for (let n = 0; n < 512; n++) {
        if (!producer.say(`SEND\ndestination:${topic}\n\n${body}\0`))
          await new Promise((resolve) => setTimeout(resolve, 5));
      }
      // Whatever becomes of the two, the others are served.
      same('the body', (await trip(ask, { body: 'served' })).text(), 'served');
    },
  },
  {
    ids: ['M-92'],
    withinMs: 40_000,
    async run(ask) {
      const line = await ask.session();
      const queue = ask.queue();
      await subscribe(ask, line, queue);
      line.stall();
      for (let n = 0; n < 20_000; n++) {
        if (!line.say(`SEND\n${ask.to(queue)}receipt:${n}\n\nx\0`))
          await new Promise((resolve) => setImmediate(resolve));
        if (line.closed) break;
      }
      line.drop();
      same('the body', (await trip(ask, { body: 'served' })).text(), 'served');
      await bodiesIn(ask, queue, 0);
    },
  },
];
