// Section 2.3: how a conversation ends, and what is left of it.

import { type Ask, bodiesIn, confirmed, heard, refusal, same, send, subscribe } from '../ask.ts';
import { ALL, type Check, FROM_11 } from '../check.ts';
import type { Line } from '../line.ts';
import { Departure, instead } from '../verdict.ts';

async function closes(line: Line): Promise<void> {
  const next = await line.next();
  if (next.is !== 'closed') throw instead('the end of the connection', next);
}

/** A message taken and not acked, in a queue. */
async function taken(ask: Ask, line: Line, queue: string): Promise<void> {
  await send(ask, line, queue, 'kept');
  await subscribe(ask, line, queue, 'ack:client-individual\n');
  await heard(line, 'MESSAGE');
}

export const ENDINGS: readonly Check[] = [
  {
    ids: ['E-01', 'W-10'],
    versions: ALL,
    async run(ask, version) {
      const line = await ask.session(version);
      await confirmed(line, 'bye', 'DISCONNECT\nreceipt:bye\n\n\0');
      await closes(line);
    },
  },
  {
    ids: ['E-03'],
    async run(ask) {
      const line = await ask.session();
      const queue = ask.queue();
      const sends = Array.from(
        { length: 50 },
        (_, n) => `SEND\n${ask.to(queue)}persistent:true\nreceipt:${n}\n\n${n}\0`,
      );
      line.say(`${sends.join('')}DISCONNECT\nreceipt:bye\n\n\0`);
      let count = 0;
      for (let next = await line.next(); next.is !== 'closed'; next = await line.next()) {
        if (next.is !== 'frame' || !next.frame.is('RECEIPT')) throw instead('RECEIPT', next);
        if (next.frame.get('receipt-id') !== 'bye') count++;
      }
      if (count < 50) throw new Departure('no-answer', 'some receipts asked for before DISCONNECT did not come');
    },
  },
  {
    ids: ['E-05'],
    async run(ask) {
      const line = await ask.session();
      const queue = ask.queue();
      line.say('COMMIT\ntransaction:none\n\n\0');
      for (let n = 0; n < 60; n++) line.say(`SEND\n${ask.to(queue)}\n${'x'.repeat(1024)}\0`);
      const next = await line.next();
      if (next.is === 'closed') throw new Departure('mute-close', 'the ERROR did not arrive');
      if (next.is !== 'frame' || !next.frame.is('ERROR')) throw instead('ERROR', next);
    },
  },
  {
    ids: ['E-06'],
    versions: ALL,
    async run(ask, version) {
      await refusal(ask, await ask.session(version), 'COMMIT\ntransaction:none\n\n\0');
    },
  },
  {
    ids: ['E-07', 'M-75'],
    versions: FROM_11,
    async run(ask, version) {
      const queue = ask.queue();
      const line = await ask.session(version);
      await taken(ask, line, queue);
      await confirmed(line, 'b', 'BEGIN\ntransaction:t\nreceipt:b\n\n\0');
      line.say(`SEND\n${ask.to(queue)}transaction:t\n\nnever\0`);
      line.say('DISCONNECT\n\n\0');
      await closes(line);
      same('what is in the queue', (await bodiesIn(ask, queue)).join(), 'kept');
    },
  },
  {
    ids: ['T-05'],
    versions: FROM_11,
    async run(ask, version) {
      const queue = ask.queue();
      const line = await ask.session(version);
      await taken(ask, line, queue);
      await confirmed(line, 'b', 'BEGIN\ntransaction:t\nreceipt:b\n\n\0');
      line.say(`SEND\n${ask.to(queue)}transaction:t\n\nnever\0`);
      line.drop();
      same('what is in the queue', (await bodiesIn(ask, queue)).join(), 'kept');
    },
  },
  {
    ids: ['E-09'],
    async run(ask) {
      const queue = ask.queue();
      const line = await ask.session();
      line.say(`SEND\n${ask.to(queue)}\nlast words\0`);
      line.end();
      await line.next();
      same('what is in the queue', (await bodiesIn(ask, queue)).join(), 'last words');
    },
  },
  {
    ids: ['E-10'],
    over: 'tcp',
    async run(ask) {
      const line = await ask.session();
      line.say(`SEND\n${ask.to(ask.queue())}receipt:r\n\nx\0`);
      line.end();
      const next = await line.next();
      if (next.is === 'closed') throw new Departure('no-answer', 'the RECEIPT did not come');
      if (next.is !== 'frame' || !next.frame.is('RECEIPT')) throw instead('RECEIPT', next);
    },
  },
  {
    ids: ['M-76'],
    versions: ALL,
    async run(ask, version) {
      const queue = ask.queue();
      const line = await ask.session(version);
      line.say(`DISCONNECT\n\n\0SEND\n${ask.to(queue)}\nevil\0`);
      await line.next();
      const reader = await ask.session();
      await send(ask, reader, queue, 'last');
      await subscribe(ask, reader, queue);
      same('what is in the queue', (await heard(reader, 'MESSAGE')).text(), 'last');
    },
  },
];
