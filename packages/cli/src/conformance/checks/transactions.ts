// Sections 3.4 and 3.5: transactions and receipts.

import { type Ask, confirmed, heard, quiet, refusal, same, send, subscribe } from '../ask.ts';
import { ALL, type Check, FROM_11 } from '../check.ts';
import type { Line } from '../line.ts';
import { Departure, instead } from '../verdict.ts';

const begin = (line: Line, id: string) => confirmed(line, `b-${id}`, `BEGIN\ntransaction:${id}\nreceipt:b-${id}\n\n\0`);
const commit = (line: Line, id: string) =>
  confirmed(line, `c-${id}`, `COMMIT\ntransaction:${id}\nreceipt:c-${id}\n\n\0`);
const abort = (line: Line, id: string) => confirmed(line, `a-${id}`, `ABORT\ntransaction:${id}\nreceipt:a-${id}\n\n\0`);

async function takenAck(ask: Ask, line: Line, queue: string): Promise<string> {
  await send(ask, line, queue, 'm');
  await subscribe(ask, line, queue, 'ack:client-individual\n');
  const ack = (await heard(line, 'MESSAGE')).get('ack') ?? '';
  return ack.replaceAll('\\', '\\\\').replaceAll(':', '\\c');
}

export const TRANSACTIONS: readonly Check[] = [
  {
    ids: ['T-01'],
    versions: ALL,
    async run(ask, version) {
      await refusal(ask, await ask.session(version), 'BEGIN\n\n\0');
    },
  },
  {
    ids: ['T-02', 'M-72'],
    versions: ALL,
    async run(ask, version) {
      const line = await ask.session(version);
      await begin(line, 't');
      await commit(line, 't');
      await begin(line, 't');
      await refusal(ask, line, 'BEGIN\ntransaction:t\n\n\0');
    },
  },
  {
    ids: ['T-03'],
    versions: ALL,
    async run(ask, version) {
      const queue = ask.queue();
      const line = await ask.session(version);
      await subscribe(ask, line, queue);
      await begin(line, 't');
      for (const body of ['a', 'b', 'c']) line.say(`SEND\n${ask.to(queue)}transaction:t\n\n${body}\0`);
      await quiet(line, 'before COMMIT');
      line.say('COMMIT\ntransaction:t\n\n\0');
      for (const body of ['a', 'b', 'c']) same('the body', (await heard(line, 'MESSAGE')).text(), body);
      await begin(line, 'u');
      line.say(`SEND\n${ask.to(queue)}transaction:u\n\nnever\0`);
      await abort(line, 'u');
      await quiet(line, 'after ABORT');
    },
  },
  {
    ids: ['T-04', 'M-72'],
    versions: FROM_11,
    async run(ask, version) {
      for (const frame of ['COMMIT', 'ABORT']) {
        await refusal(ask, await ask.session(version), `${frame}\ntransaction:none\n\n\0`);
      }
      await refusal(ask, await ask.session(version), `SEND\n${ask.to(ask.queue())}transaction:none\n\nx\0`);
    },
  },
  {
    ids: ['T-06'],
    async run(ask) {
      const queue = ask.queue();
      const line = await ask.session();
      await begin(line, 't');
      line.say(`SEND\n${ask.to(queue)}transaction:t\n\nhalf\0`);
      line.say('ACK\nid:none\ntransaction:t\n\n\0');
      line.say('COMMIT\ntransaction:t\nreceipt:c\n\n\0');
      // To the end, or until nothing more comes: a broker may refuse the ACK and carry out the COMMIT all the same.
      const first = await line.next();
      let last = first;
      while (last.is === 'frame') last = await line.next(1_000);
      const reader = await ask.session();
      await send(ask, reader, queue, 'last');
      await subscribe(ask, reader, queue);
      if ((await heard(reader, 'MESSAGE')).text() === 'half') {
        throw new Departure('accepted', 'half of the transaction was carried out');
      }
      if (first.is === 'closed') throw new Departure('mute-close', 'the connection was closed without ERROR');
      if (first.is !== 'frame' || !first.frame.is('ERROR')) throw instead('ERROR', first);
    },
  },
  {
    ids: ['T-07', 'M-73'],
    hostile: true,
    async run(ask) {
      const line = await ask.session();
      for (let n = 0; n < 20_000; n++) {
        if (!line.say(`BEGIN\ntransaction:t${n}\n\n\0`)) await new Promise((resolve) => setImmediate(resolve));
      }
      const next = await line.next(500);
      if (next.is === 'silence') throw new Departure('accepted', '20,000 transactions were opened on one connection');
      if (next.is === 'closed') throw new Departure('mute-close', 'the connection was closed without ERROR');
    },
  },
  {
    ids: ['T-08'],
    async run(ask) {
      const queue = ask.queue();
      const line = await ask.session();
      const id = await takenAck(ask, line, queue);
      await begin(line, 't');
      line.say(`ACK\nid:${id}\ntransaction:t\n\n\0`);
      await abort(line, 't');
      await confirmed(line, 'ack', `ACK\nid:${id}\nreceipt:ack\n\n\0`);
    },
  },
  {
    ids: ['M-78'],
    async run(ask) {
      const queue = ask.queue();
      const [one, two] = [await ask.session(), await ask.session()];
      await begin(one, 't');
      await begin(two, 't');
      one.say(`SEND\n${ask.to(queue)}transaction:t\n\none\0`);
      await abort(two, 't');
      await commit(one, 't');
      await subscribe(ask, two, queue);
      same('the body', (await heard(two, 'MESSAGE')).text(), 'one');
    },
  },
];

export const RECEIPTS: readonly Check[] = [
  {
    ids: ['R-01', 'R-09'],
    versions: FROM_11,
    async run(ask, version) {
      const queue = ask.queue();
      const line = await ask.session(version);
      await confirmed(line, 'a:b\\c gr\u00fc', `SEND\n${ask.to(queue)}receipt:a\\cb\\\\c gr\u00fc\n\nx\0`);
      await subscribe(ask, line, queue, 'ack:client-individual\n');
      await heard(line, 'MESSAGE');
      for (const end of ['COMMIT', 'ABORT']) {
        await begin(line, end);
        await confirmed(line, end, `${end}\ntransaction:${end}\nreceipt:${end}\n\n\0`);
      }
      await confirmed(line, 'u', 'UNSUBSCRIBE\nid:1\nreceipt:u\n\n\0');
      await confirmed(line, 'bye', 'DISCONNECT\nreceipt:bye\n\n\0');
    },
  },
  {
    ids: ['R-02'],
    versions: FROM_11,
    async run(ask, version) {
      const queue = ask.queue();
      await send(ask, await ask.session(version), queue, 'done');
      const reader = await ask.session(version);
      await subscribe(ask, reader, queue);
      same('the body', (await heard(reader, 'MESSAGE')).text(), 'done');
    },
  },
  {
    ids: ['R-04'],
    async run(ask) {
      const line = await ask.session();
      const queue = ask.queue();
      const names = Array.from({ length: 40 }, (_, n) => String(n));
      const sends = names.map((n) => `SEND\n${ask.to(queue)}persistent:true\nreceipt:${n}\n\n${n}\0`);
      line.say(`${sends.join('')}BEGIN\ntransaction:t\nreceipt:last\n\n\0`);
      const order: string[] = [];
      while (order.length < 41) order.push((await heard(line, 'RECEIPT')).get('receipt-id') ?? '');
      if (order.join() !== [...names, 'last'].join()) {
        throw new Departure('otherwise', 'a later receipt overtook an earlier one');
      }
    },
  },
  {
    ids: ['R-05'],
    async run(ask) {
      const line = await ask.session();
      await begin(line, 't');
      line.say(`SEND\n${ask.to(ask.queue())}transaction:t\nreceipt:s\n\nx\0`);
      const next = await line.next(1_000);
      if (next.is === 'silence') throw new Departure('no-answer', 'the RECEIPT does not come before COMMIT');
      if (next.is !== 'frame' || !next.frame.is('RECEIPT')) throw instead('RECEIPT', next);
    },
  },
  {
    ids: ['R-07'],
    versions: FROM_11,
    async run(ask, version) {
      const line = await ask.session(version);
      await subscribe(ask, line, ask.queue());
      line.say(`SUBSCRIBE\nid:1\n${ask.to(ask.queue())}receipt:twice\n\n\0`);
      const next = await line.next();
      if (next.is === 'frame' && next.frame.is('RECEIPT')) {
        throw new Departure('accepted', 'a second SUBSCRIBE with the same id is confirmed');
      }
      if (next.is !== 'frame' || !next.frame.is('ERROR')) throw instead('ERROR', next);
      const after = await line.next(300);
      if (after.is === 'frame' && after.frame.is('RECEIPT')) {
        throw new Departure('otherwise', 'ERROR and RECEIPT came for one frame');
      }
      same('receipt-id of ERROR', next.frame.get('receipt-id'), 'twice');
    },
  },
  {
    ids: ['R-08'],
    async run(ask) {
      const line = await ask.session();
      await confirmed(line, 'r', `SEND\ndestination:${ask.topic('nobody')}\nreceipt:r\n\nx\0`);
    },
  },
  {
    ids: ['M-79'],
    versions: FROM_11,
    async run(ask, version) {
      const line = await ask.session(version);
      await confirmed(line, '', `SEND\n${ask.to(ask.queue())}receipt:\n\nx\0`);
      await confirmed(line, 'a\nb', `SEND\n${ask.to(ask.queue())}receipt:a\\nb\n\nx\0`);
      line.say(`SEND\n${ask.to(ask.queue())}receipt:x\n\n1\0SEND\n${ask.to(ask.queue())}receipt:x\n\n2\0`);
      await heard(line, 'RECEIPT');
      await heard(line, 'RECEIPT');
    },
  },
];
