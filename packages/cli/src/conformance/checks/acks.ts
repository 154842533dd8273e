// Section 3.3: ACK and NACK.

import type { Frame, Version } from '@stompbox/protocol';
import { type Ask, bodiesIn, confirmed, heard, refusal, same, send, subscribe } from '../ask.ts';
import { type Check, FROM_11 } from '../check.ts';
import type { Line } from '../line.ts';
import { Departure, instead, NotAsked } from '../verdict.ts';

/** The header lines that name a delivery to ACK and NACK. */
function named(message: Frame<'MESSAGE'>, version: Version): string {
  if (version === '1.2') return `id:${escaped(message.get('ack') ?? '')}\n`;
  return `subscription:1\nmessage-id:${escaped(message.get('message-id') ?? '')}\n`;
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll(':', '\\c');
}

/** As many messages as there are names, taken in this mode. */
async function taken(ask: Ask, line: Line, queue: string, mode: string, names: string): Promise<Frame<'MESSAGE'>[]> {
  for (const name of names) await send(ask, line, queue, name);
  await subscribe(ask, line, queue, `ack:${mode}\n`);
  const messages: Frame<'MESSAGE'>[] = [];
  for (const name of names) {
    const message = await heard(line, 'MESSAGE');
    same('the body', message.text(), name);
    messages.push(message);
  }
  return messages;
}

async function one(ask: Ask, line: Line, mode = 'client-individual'): Promise<Frame<'MESSAGE'>> {
  const [message] = await taken(ask, line, ask.queue(), mode, 'm');
  if (!message) throw new NotAsked('no message came');
  return message;
}

/** What is left of `abc` after the second one was acked in this mode, and the connection ended. */
async function leftAfterAck(ask: Ask, version: Version, mode: string): Promise<string> {
  const queue = ask.queue();
  const line = await ask.session(version);
  const [, second] = await taken(ask, line, queue, mode, 'abc');
  if (second) await confirmed(line, 'ack', `ACK\n${named(second, version)}receipt:ack\n\n\0`);
  await confirmed(line, 'bye', 'DISCONNECT\nreceipt:bye\n\n\0').catch((error: unknown) => {
    if (!line.closed) throw error; // E-04
  });
  return (await bodiesIn(ask, queue)).join('');
}

export const ACKS: readonly Check[] = [
  {
    ids: ['A-01'],
    versions: FROM_11,
    async run(ask, version) {
      const line = await ask.session(version);
      const message = await one(ask, line, 'auto');
      const id = version === '1.2' ? `id:${escaped(message.get('message-id') ?? '')}\n` : named(message, version);
      await refusal(ask, line, `ACK\n${id}\n\0`);
    },
  },
  {
    ids: ['A-02'],
    versions: FROM_11,
    async run(ask, version) {
      same('what is left of a, b, c', await leftAfterAck(ask, version, 'client'), 'c');
      // Only within one subscription.
      const line = await ask.session(version);
      const other = ask.queue('other');
      await send(ask, line, other, 'other');
      await subscribe(ask, line, other, 'ack:client\n', '9');
      await heard(line, 'MESSAGE');
      const message = await one(ask, line, 'client');
      await confirmed(line, 'ack', `ACK\n${named(message, version)}receipt:ack\n\n\0`);
      line.drop();
      const reader = await ask.session();
      await subscribe(ask, reader, other);
      const next = await reader.next(1_000);
      if (next.is === 'silence') throw new Departure('otherwise', 'an ACK reaches into the other subscriptions');
    },
  },
  {
    ids: ['A-03'],
    versions: FROM_11,
    async run(ask, version) {
      const left = await leftAfterAck(ask, version, 'client-individual');
      same('what is left of a, b, c', [...left].sort().join(''), 'ac');
    },
  },
  {
    ids: ['A-04'],
    versions: FROM_11,
    async run(ask, version) {
      const line = await ask.session(version);
      const [first, second] = await taken(ask, line, ask.queue(), 'client', 'ab');
      if (!first || !second) throw new NotAsked('no message came');
      line.say(`NACK\n${named(second, version)}receipt:nack\n\n\0`);
      line.say(`ACK\n${named(first, version)}receipt:ack\n\n\0`);
      for (;;) {
        const next = await line.next();
        if (next.is !== 'frame' || next.frame.is('ERROR')) {
          if (next.is === 'silence') throw new Departure('no-answer', 'neither RECEIPT nor ERROR came for the ACK');
          return;
        }
        if (next.frame.get('receipt-id') !== 'ack') continue;
        // RabbitMQ 3 confirms first and refuses then.
        if ((await line.next(500)).is === 'silence') throw new Departure('otherwise', 'a NACK covers one message only');
        return;
      }
    },
  },
  {
    ids: ['A-05'],
    versions: FROM_11,
    async run(ask, version) {
      const line = await ask.session(version);
      const message = await one(ask, line);
      line.say(`NACK\n${named(message, version)}receipt:nack\n\n\0`);
      let confirmedYet = false;
      for (;;) {
        const next = await line.next(confirmedYet ? 500 : undefined);
        if (next.is === 'silence' && confirmedYet) return 'the message does not come again';
        if (next.is !== 'frame') throw instead('RECEIPT', next);
        if (next.frame.is('MESSAGE')) return 'the message comes again';
        if (!next.frame.is('RECEIPT')) throw instead('RECEIPT', next);
        confirmedYet = true;
      }
    },
  },
  {
    ids: ['A-06'],
    async run(ask) {
      for (const mode of ['client', 'client-individual']) {
        const message = await one(ask, await ask.session(), mode);
        if (!message.get('ack')) throw new Departure('otherwise', `MESSAGE has no ack in mode ${mode}`);
      }
      const auto = await one(ask, await ask.session(), 'auto');
      if (auto.headers.has('ack')) throw new Departure('otherwise', 'MESSAGE has an ack in mode auto');
    },
  },
  {
    ids: ['A-08'],
    async run(ask) {
      const line = await ask.session();
      const message = await one(ask, line);
      await refusal(ask, await ask.session(), `ACK\n${named(message, '1.2')}\n\0`);
    },
  },
  {
    ids: ['A-09', 'M-69'],
    versions: FROM_11,
    async run(ask, version) {
      await refusal(ask, await ask.session(version), 'ACK\nid:none\nsubscription:1\nmessage-id:none\n\n\0');
      const line = await ask.session(version);
      const message = await one(ask, line);
      await confirmed(line, 'ack', `ACK\n${named(message, version)}receipt:ack\n\n\0`);
      await refusal(ask, line, `ACK\n${named(message, version)}\n\0`);
    },
  },
  {
    ids: ['A-10'],
    versions: ['1.0'],
    async run(ask, version) {
      const line = await ask.session(version);
      const topic = ask.topic();
      await subscribe(ask, line, topic, 'ack:client\n', '1');
      await subscribe(ask, line, topic, 'ack:client\n', '2');
      line.say(`SEND\ndestination:${topic}\n\nx\0`);
      const [first, second] = [await heard(line, 'MESSAGE'), await heard(line, 'MESSAGE')];
      if (first.get('message-id') === second.get('message-id')) {
        throw new Departure('otherwise', 'two deliveries have one message-id');
      }
    },
  },
  {
    ids: ['A-11'],
    versions: ['1.1'],
    async run(ask, version) {
      const line = await ask.session(version);
      const message = await one(ask, line);
      await refusal(ask, line, `ACK\nmessage-id:${escaped(message.get('message-id') ?? '')}\n\n\0`);
    },
  },
  {
    ids: ['A-12'],
    async run(ask) {
      const line = await ask.session();
      const message = await one(ask, line);
      const id = escaped(message.get('message-id') ?? '');
      await refusal(ask, line, `ACK\nsubscription:1\nmessage-id:${id}\n\n\0`);
    },
  },
  {
    ids: ['M-70'],
    versions: ['1.2'],
    hostile: true,
    async run(ask) {
      for (const id of ['NaN', '-1', '1e30', '__proto__', 'x'.repeat(4_096)]) {
        await refusal(ask, await ask.session(), `ACK\nid:${id}\n\n\0`);
      }
    },
  },
  {
    ids: ['M-71'],
    versions: ['1.2'],
    async run(ask) {
      const line = await ask.session();
      const message = await one(ask, line);
      await confirmed(line, 'u', 'UNSUBSCRIBE\nid:1\nreceipt:u\n\n\0');
      await refusal(ask, line, `ACK\n${named(message, '1.2')}\n\0`);
    },
  },
  {
    ids: ['M-91'],
    async run(ask) {
      const queue = ask.queue();
      const line = await ask.session();
      for (let n = 0; n < 5; n++) await send(ask, line, queue, `m${n}`);
      const prefetch = 'prefetch-count:2\nactivemq.prefetchSize:2\n';
      line.say(`SUBSCRIBE\nid:1\n${ask.to(queue)}ack:client-individual\n${prefetch}\n\0`);
      let count = 0;
      for (let next = await line.next(); next.is !== 'silence'; next = await line.next(500)) {
        if (next.is !== 'frame' || !next.frame.is('MESSAGE')) throw instead('MESSAGE', next);
        count++;
      }
      if (count > 2) throw new Departure('accepted', 'more messages are under way than were asked for');
    },
  },
  {
    ids: ['M-94'],
    versions: ['1.2'],
    hostile: true,
    async run(ask) {
      const line = await ask.session();
      let message = await one(ask, line);
      for (let n = 0; n < 200; n++) {
        line.say(`NACK\n${named(message, '1.2')}\n\0`);
        const next = await line.next(1_000);
        if (next.is === 'silence') return n === 0 ? 'it does not come again' : 'it is given up after some tries';
        if (next.is !== 'frame' || !next.frame.is('MESSAGE')) throw instead('MESSAGE', next);
        message = next.frame;
      }
      throw new Departure('accepted', 'it came 200 times, and would go on');
    },
  },
];
