// Section 1.4: bodies and their length.

import type { Version } from '@stompbox/protocol';
import { type Ask, confirmed, heard, octetsOf, refusal, same, subscribe, trip, works } from '../ask.ts';
import { ALL, type Check, FROM_11 } from '../check.ts';
import { Departure, instead } from '../verdict.ts';

async function refused(ask: Ask, version: Version, head: string, body: string): Promise<void> {
  await refusal(ask, await ask.session(version), `SEND\n${ask.to(ask.queue())}${head}\n${body}\0`);
}

export const BODIES: readonly Check[] = [
  {
    ids: ['C-50'],
    versions: ALL,
    async run(ask, version) {
      same('the body', octetsOf(await trip(ask, { version, head: 'content-length:3\n', body: 'a\0b' })), 'a\0b');
    },
  },
  {
    ids: ['C-51', 'M-29'],
    versions: ALL,
    run: (ask, version) => refused(ask, version, 'content-length:2\n', 'abcd'),
  },
  {
    ids: ['C-52'],
    versions: ALL,
    async run(ask, version) {
      const queue = ask.queue();
      const consumer = await ask.session(version);
      await subscribe(ask, consumer, queue);
      await refusal(ask, await ask.session(version), `SEND\n${ask.to(queue)}\nab\0cd\0`);
      same('the body', octetsOf(await heard(consumer, 'MESSAGE')), 'ab');
    },
  },
  {
    ids: ['C-53'],
    async run(ask) {
      const line = await ask.session();
      await confirmed(line, 'b', 'BEGIN\ntransaction:t\nreceipt:b\ncontent-length:0\n\n\0');
      await confirmed(line, 's', `SUBSCRIBE\nid:1\n${ask.to(ask.queue())}receipt:s\ncontent-length:0\n\n\0`);
      await works(ask, line);
    },
  },
  {
    ids: ['C-54'],
    versions: ALL,
    async run(ask, version) {
      const message = await trip(ask, { version, head: 'content-length:3\n', body: 'a\0b' });
      same('content-length', message.get('content-length'), '3');
    },
  },
  {
    ids: ['C-55'],
    versions: ALL,
    async run(ask, version) {
      same('content-length', (await trip(ask, { version, body: '\u00e9' })).get('content-length'), '2');
    },
  },
  {
    ids: ['C-58', 'M-26'],
    versions: FROM_11,
    async run(ask, version) {
      for (const length of ['abc', '', '4.0', '0x4', '+4', ' 4']) {
        try {
          await refused(ask, version, `content-length:${length}\n`, 'abcd');
        } catch (error) {
          if (!(error instanceof Departure)) throw error;
          throw new Departure(error.way, `content-length:${length}: ${error.message}`);
        }
      }
    },
  },
  {
    ids: ['C-59', 'M-27'],
    versions: ALL,
    run: (ask, version) => refused(ask, version, 'content-length:-1\n', 'abcd'),
  },
  {
    ids: ['C-61'],
    versions: FROM_11,
    async run(ask, version) {
      await refusal(ask, await ask.session(version), 'BEGIN\ntransaction:t\n\njunk\0');
    },
  },
  {
    ids: ['C-62'],
    versions: ['1.0'],
    async run(ask, version) {
      const line = await ask.session(version);
      const receipt = await confirmed(line, 'r', `SUBSCRIBE\n${ask.to(ask.queue())}receipt:r\n\njunk\0`);
      same('the body of RECEIPT', octetsOf(receipt), '');
    },
  },
  {
    ids: ['C-63'],
    versions: FROM_11,
    async run(ask, version) {
      const head = 'content-type:application/x-odd;a=b\n';
      same('content-type', (await trip(ask, { version, head })).get('content-type'), 'application/x-odd;a=b');
    },
  },
  {
    ids: ['C-64'],
    versions: FROM_11,
    async run(ask, version) {
      same('content-type', (await trip(ask, { version })).get('content-type'), undefined);
    },
  },
  {
    ids: ['C-65'],
    versions: FROM_11,
    async run(ask, version) {
      const head = 'content-type:text/plain;charset=utf-8\n';
      const message = await trip(ask, { version, head, body: 'gr\u00fc\u00df \u{1f4e8}' });
      same('the body', Buffer.from(message.body).toString('utf8'), 'gr\u00fc\u00df \u{1f4e8}');
    },
  },
  {
    ids: ['C-68', 'M-25'],
    versions: ALL,
    async run(ask, version) {
      const body = Buffer.from('\xff\xfe\x80', 'latin1');
      same('the body', octetsOf(await trip(ask, { version, body })), '\xff\xfe\x80');
      const head = 'content-length:3\n';
      same('the body with content-length', octetsOf(await trip(ask, { version, head, body })), '\xff\xfe\x80');
    },
  },
  {
    ids: ['M-33'],
    versions: FROM_11,
    async run(ask, version) {
      const head = `SUBSCRIBE\nid:1\n${ask.to(ask.queue())}receipt:s\ncontent-length:5\n`;
      const line = await ask.session(version);
      line.say(`${head}\na\0b\0x\0`);
      // Refused (C-61), or skipped to the octet: both are right.
      const next = await line.next();
      if (next.is === 'frame' && next.frame.is('RECEIPT')) await works(ask, line);
      else if (next.is !== 'frame' || !next.frame.is('ERROR')) throw instead('ERROR', next);
    },
  },
  {
    ids: ['M-34'],
    versions: ALL,
    async run(ask, version) {
      const inner = `SEND\n${ask.to(ask.queue('evil'))}\nx`;
      const body = `a\0${inner}`;
      const head = `content-length:${Buffer.byteLength(body)}\n`;
      same('the body', octetsOf(await trip(ask, { version, head, body })), body);
    },
  },
];
