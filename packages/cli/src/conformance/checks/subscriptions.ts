// Sections 3.2 and 4: SEND, SUBSCRIBE, UNSUBSCRIBE, and what the broker says.

import { confirmed, heard, refusal, same, send, subscribe, trip } from '../ask.ts';
import { ALL, type Check, FROM_11 } from '../check.ts';
import { Departure, instead } from '../verdict.ts';

export const SUBSCRIPTIONS: readonly Check[] = [
  {
    // It has killed a broker (6.5), so it is not asked of one that others use.
    ids: ['F-01', 'M-60'],
    versions: ALL,
    hostile: true,
    async run(ask, version) {
      await refusal(ask, await ask.session(version), 'SEND\n\nx\0');
    },
  },
  {
    ids: ['F-02'],
    versions: FROM_11,
    async run(ask, version) {
      await refusal(ask, await ask.session(version), `SEND\n${ask.to(ask.queue())}transaction:none\n\nx\0`);
    },
  },
  {
    ids: ['F-04', 'M-64'],
    versions: ALL,
    async run(ask, version) {
      await refusal(ask, await ask.session(version), 'SUBSCRIBE\nid:1\n\n\0');
    },
  },
  {
    ids: ['F-05', 'M-65'],
    versions: FROM_11,
    async run(ask, version) {
      const reused = await ask.session(version);
      await subscribe(ask, reused, ask.queue());
      await confirmed(reused, 'u', 'UNSUBSCRIBE\nid:1\nreceipt:u\n\n\0');
      await subscribe(ask, reused, ask.queue());
      await refusal(ask, reused, `SUBSCRIBE\nid:1\n${ask.to(ask.queue())}\n\0`);
      await refusal(ask, await ask.session(version), `SUBSCRIBE\n${ask.to(ask.queue())}\n\0`);
    },
  },
  {
    ids: ['F-06', 'M-66'],
    versions: FROM_11,
    async run(ask, version) {
      for (const mode of ['bogus', 'CLIENT']) {
        await refusal(ask, await ask.session(version), `SUBSCRIBE\nid:1\n${ask.to(ask.queue())}ack:${mode}\n\n\0`);
      }
    },
  },
  {
    ids: ['F-08', 'M-68'],
    versions: FROM_11,
    async run(ask, version) {
      await refusal(ask, await ask.session(version), 'UNSUBSCRIBE\nid:none\n\n\0');
    },
  },
  {
    ids: ['F-10'],
    async run(ask) {
      const queue = ask.queue();
      const line = await ask.session();
      await send(ask, line, queue, 'kept');
      await subscribe(ask, line, queue, 'ack:client-individual\n');
      await heard(line, 'MESSAGE');
      await confirmed(line, 'u', 'UNSUBSCRIBE\nid:1\nreceipt:u\n\n\0');
      await subscribe(ask, line, queue, '', '2');
      same('the body', (await heard(line, 'MESSAGE')).text(), 'kept');
    },
  },
  {
    ids: ['F-11'],
    async run(ask) {
      const queue = ask.queue();
      const line = await ask.session();
      await send(ask, line, queue, 'waiting');
      line.say(`SUBSCRIBE\nid:1\n${ask.to(queue)}receipt:s\n\n\0`);
      await heard(line, 'RECEIPT');
      await heard(line, 'MESSAGE');
    },
  },
  {
    ids: ['F-12'],
    async run(ask) {
      const queue = ask.queue();
      const line = await ask.session();
      await send(ask, line, queue, 'a', 'kind:a\n');
      await send(ask, line, queue, 'b', 'kind:b\n');
      line.say(`SUBSCRIBE\nid:1\n${ask.to(queue)}selector:kind = 'b'\n\n\0`);
      const next = await line.next();
      if (next.is === 'frame' && next.frame.is('ERROR')) return 'refused: the broker has no selectors';
      if (next.is !== 'frame' || !next.frame.is('MESSAGE')) throw instead('MESSAGE', next);
      if (next.frame.text() !== 'b') throw new Departure('accepted', 'the selector is ignored without a word');
      return undefined;
    },
  },
  {
    ids: ['S-02'],
    versions: ['1.1'],
    async run(ask, version) {
      const { headers } = await trip(ask, { version });
      same('subscription', headers.get('subscription'), '1');
      if (!headers.get('message-id')) throw new Departure('otherwise', 'MESSAGE has no message-id');
      if (!headers.get('destination')) throw new Departure('otherwise', 'MESSAGE has no destination');
    },
  },
  {
    ids: ['S-03'],
    async run(ask) {
      const queue = ask.queue();
      const line = await ask.session();
      await subscribe(ask, line, queue);
      const ids = new Set<string>();
      for (const body of ['a', 'b', 'c']) {
        line.say(`SEND\n${ask.to(queue)}\n${body}\0`);
        const { headers } = await heard(line, 'MESSAGE');
        same('subscription', headers.get('subscription'), '1');
        ids.add(headers.get('message-id') ?? '');
      }
      if (ids.size < 3 || ids.has('')) throw new Departure('otherwise', 'message-id is absent or not unique');
    },
  },
  {
    ids: ['S-04'],
    versions: ALL,
    async run(ask, version) {
      const queue = ask.queue();
      const line = await ask.session(version);
      await subscribe(ask, line, queue);
      line.say(`SEND\n${ask.to(queue)}\nx\0`);
      if ((await heard(line, 'MESSAGE')).get('destination') !== queue) {
        throw new Departure('otherwise', 'the destination of MESSAGE is written otherwise');
      }
    },
  },
  {
    ids: ['S-05'],
    versions: FROM_11,
    async run(ask, version) {
      const head = 'content-type:text/plain\ncontent-length:1\n';
      const message = await trip(ask, { version, head });
      same('content-length', message.get('content-length'), '1');
      same('content-type', message.get('content-type'), 'text/plain');
      const bare = await trip(ask, { version, head: 'content-type:text/plain\n' });
      same('content-length of a text sent without', bare.get('content-length'), '1');
    },
  },
  {
    ids: ['S-06'],
    versions: ALL,
    async run(ask, version) {
      const receipt = await confirmed(await ask.session(version), 'r', `SEND\n${ask.to(ask.queue())}receipt:r\n\nx\0`);
      if (receipt.body.length > 0) throw new Departure('otherwise', 'RECEIPT has a body');
    },
  },
  {
    ids: ['S-07'],
    versions: FROM_11,
    async run(ask, version) {
      const line = await ask.session(version);
      line.say('COMMIT\ntransaction:none\nreceipt:culprit\n\n\0');
      const error = await heard(line, 'ERROR');
      if (!error.get('message')) throw new Departure('otherwise', 'ERROR has no message');
      same('receipt-id', error.get('receipt-id'), 'culprit');
    },
  },
  {
    ids: ['S-08'],
    async run(ask) {
      await refusal(ask, await ask.session(), `ACK\nid:none\n\n\0`);
    },
  },
  {
    ids: ['S-09'],
    async run(ask) {
      const line = await ask.session();
      line.say(`COMMIT\ntransaction:${'x'.repeat(2_000)}\n\n\0`);
      const error = await heard(line, 'ERROR');
      const said = [...error.headers].join('\n') + Buffer.from(error.body).toString('utf8');
      if (/^\s+at \S+\(.*\)/m.test(said)) throw new Departure('otherwise', 'ERROR holds a stack trace');
      if (said.includes('x'.repeat(1_500))) throw new Departure('otherwise', 'ERROR repeats all of a long input');
      const { passcode } = ask.site;
      if (passcode && passcode.length > 3 && passcode !== ask.site.login && said.includes(passcode)) {
        throw new Departure('otherwise', 'ERROR holds the passcode');
      }
    },
  },
];
