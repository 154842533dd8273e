// Section 1.1: how frames begin, end and follow each other.

import { type Ask, heard, octetsOf, quiet, refusal, same, send, subscribe, trip, works } from '../ask.ts';
import { ALL, type Check, FROM_11 } from '../check.ts';
import { Departure, instead } from '../verdict.ts';

const BOM = new Uint8Array([0xef, 0xbb, 0xbf]);

export const FRAMES: readonly Check[] = [
  {
    ids: ['C-01', 'E-08'],
    versions: ALL,
    async run(ask, version) {
      const message = await trip(ask, { version, body: 'hi' });
      same('the body', octetsOf(message), 'hi');
      const line = await ask.session(version);
      line.say('DISCONNECT\n\n\0');
      const end = await line.next();
      if (end.is !== 'closed') throw instead('the end of the connection', end);
    },
  },
  {
    ids: ['C-02', 'M-20'],
    versions: ['1.1'],
    async run(ask, version) {
      same('foo', (await trip(ask, { version, reader: '1.2', head: 'foo:b\r\n' })).get('foo'), 'b\r');
    },
  },
  {
    ids: ['C-03'],
    async run(ask) {
      const line = await ask.session();
      const queue = ask.queue();
      await subscribe(ask, line, queue);
      line.say(`SEND\r\n${ask.to(queue)}foo:a\r\nbar:b\n\r\nhi\0\n\r\n`);
      const message = await heard(line, 'MESSAGE');
      same('foo', message.get('foo'), 'a');
      same('the body', octetsOf(message), 'hi');
      await works(ask, line);
    },
  },
  {
    ids: ['C-04'],
    versions: ALL,
    async run(ask, version) {
      const line = await ask.line();
      line.say(`CONNECT\naccept-version:${version}\n${ask.hello}\n\0`.replaceAll('\n', '\r\n'));
      same('version', (await heard(line, 'CONNECTED')).get('version') ?? '1.0', version);
    },
  },
  {
    ids: ['C-05', 'M-19'],
    async run(ask) {
      await refusal(ask, await ask.session(), `SEND\n${ask.to(ask.queue())}foo:a\rb\n\n\0`);
    },
  },
  {
    ids: ['C-06'],
    versions: ALL,
    async run(ask, version) {
      const line = await ask.session(version);
      await works(ask, line);
      if (line.raw.includes('\r')) throw new Departure('otherwise', 'CONNECTED or RECEIPT holds a CR');
    },
  },
  {
    ids: ['C-07'],
    versions: ALL,
    async run(ask, version) {
      same('the body', octetsOf(await trip(ask, { version, body: '\r\nx\r\n' })), '\r\nx\r\n');
    },
  },
  {
    ids: ['C-08'],
    versions: ALL,
    async run(ask, version) {
      const line = await ask.line();
      line.say(`\n\n\nCONNECT\naccept-version:${version}\n${ask.hello}\n\0`);
      await heard(line, 'CONNECTED');
      line.say(version === '1.2' ? '\n\r\n\n' : '\n\n\n');
      await works(ask, line);
    },
  },
  {
    ids: ['C-09'],
    versions: ALL,
    async run(ask, version) {
      await refusal(ask, await ask.session(version), '\0\0');
    },
  },
  {
    ids: ['C-10', 'M-02'],
    versions: ALL,
    async run(ask, version) {
      await refusal(ask, await ask.session(version), `send\n${ask.to(ask.queue())}\nx\0`);
    },
  },
  {
    ids: ['C-11', 'M-04'],
    versions: ALL,
    async run(ask, version) {
      await refusal(ask, await ask.session(version), ` SEND\n${ask.to(ask.queue())}\nx\0`);
      await refusal(ask, await ask.session(version), `SEND \n${ask.to(ask.queue())}\nx\0`);
    },
  },
  {
    ids: ['C-12'],
    versions: ['1.0'],
    async run(ask, version) {
      const line = await ask.session(version);
      const queue = ask.queue();
      await send(ask, line, queue, 'x');
      await subscribe(ask, line, queue, 'ack:client\n');
      const next = await line.next();
      if (next.is !== 'frame' || !next.frame.is('MESSAGE')) throw instead('MESSAGE', next);
      await refusal(ask, line, `NACK\nmessage-id:${next.frame.get('message-id')}\nsubscription:1\n\n\0`);
    },
  },
  {
    ids: ['C-13', 'M-01'],
    versions: ALL,
    async run(ask, version) {
      await refusal(ask, await ask.session(version), 'FOO\n\n\0');
    },
  },
  {
    ids: ['C-14'],
    versions: FROM_11,
    async run(ask, version) {
      const line = await ask.line();
      await octetByOctet(ask, line, `CONNECT\naccept-version:${version}\n${ask.hello}\n\0`);
      await heard(line, 'CONNECTED');
      const queue = ask.queue();
      await octetByOctet(ask, line, `SUBSCRIBE\nid:1\n${ask.to(queue)}receipt:r\n\n\0`);
      await heard(line, 'RECEIPT');
      await octetByOctet(ask, line, `SEND\n${ask.to(queue)}f\\coo:gr\u00fc\\\\n\n\n\u00e9\0\n`);
      const message = await heard(line, 'MESSAGE');
      same('f:oo', message.get('f:oo'), 'gr\u00fc\\n');
      same('the body', message.text(), '\u00e9');
    },
  },
  {
    ids: ['C-16'],
    versions: ALL,
    async run(ask, version) {
      const line = await ask.session(version);
      await works(ask, line);
      await quiet(line, 'behind RECEIPT', 100);
      if (line.beats > 0) throw new Departure('otherwise', 'an EOL follows each frame');
    },
  },
  {
    ids: ['C-17', 'M-06'],
    versions: FROM_11,
    async run(ask, version) {
      await refusal(ask, await ask.session(version), BOM, `SEND\n${ask.to(ask.queue())}\nx\0`);
    },
  },
  {
    ids: ['C-73'],
    versions: ALL,
    async run(ask, version) {
      const line = await ask.session(version);
      const queue = ask.queue();
      const evil = `SEND\n${ask.to(queue)}receipt:evil\n\nevil\0`;
      await refusal(ask, line, `SEND\n${ask.to(queue)}content-length:2\n\nabcd\0${evil}`);
      const [first] = await leftIn(ask, queue);
      if (first !== 'last') throw new Departure('accepted', 'the frame behind the broken one was carried out');
    },
  },
];

/** What is first in a queue once a text of ours was put behind it. */
async function leftIn(ask: Ask, queue: string): Promise<string[]> {
  const line = await ask.session();
  await send(ask, line, queue, 'last');
  await subscribe(ask, line, queue);
  return [(await heard(line, 'MESSAGE')).text()];
}

/** Each octet in a write, and so most of them in a packet, of its own. */
async function octetByOctet(ask: Ask, line: Awaited<ReturnType<Ask['line']>>, text: string): Promise<void> {
  for (const octet of Buffer.from(text)) {
    line.say(new Uint8Array([octet]));
    await new Promise((resolve) => setImmediate(resolve));
  }
  ask.site.line.signal?.throwIfAborted();
}
