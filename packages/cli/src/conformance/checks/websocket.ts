// Sections 5 and 8.5: STOMP over WebSocket.

import { type Ask, heard, same, subscribe, trip, works } from '../ask.ts';
import type { Check } from '../check.ts';
import { opened, RawWebSocket, type WebSocketFrame } from '../raw-websocket.ts';
import { Departure, NotAsked } from '../verdict.ts';

const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;

/** A WebSocket by hand that is past CONNECTED. */
async function session(ask: Ask): Promise<RawWebSocket> {
  const { socket, upgrade } = await RawWebSocket.open(ask.site);
  ask.also(() => socket.drop());
  if (!opened(upgrade)) throw new Departure('refused', `the upgrade was answered ${upgrade.status}`);
  socket.say(TEXT, `CONNECT\naccept-version:1.2\n${ask.hello}\n\0`);
  await stomp(ask, socket, 'CONNECTED');
  return socket;
}

/** The next frame with something in it; the answer to a ping is none. */
async function next(ask: Ask, socket: RawWebSocket): Promise<WebSocketFrame | undefined> {
  for (;;) {
    const frame = await socket.next(ask.site.line.patienceMs);
    const isNothing =
      frame && (frame.opcode > CLOSE || (frame.opcode !== CLOSE && /^\s*$/.test(frame.payload.toString())));
    if (!isNothing) return frame;
  }
}

async function stomp(ask: Ask, socket: RawWebSocket, command: string): Promise<WebSocketFrame> {
  const frame = await next(ask, socket);
  if (frame === undefined) throw new Departure('no-answer', `${command} did not come`);
  if (frame.opcode === CLOSE) throw new Departure('refused', `instead of ${command}: close ${codeOf(frame)}`);
  if (!frame.payload.toString('latin1').startsWith(`${command}\n`)) {
    throw new Departure('otherwise', `instead of ${command}: another frame`);
  }
  return frame;
}

function codeOf({ payload }: WebSocketFrame): number {
  return payload.length < 2 ? 1005 : payload.readUInt16BE(0); // 1005: none was given
}

/** The close frame comes, with this code. */
async function closes(ask: Ask, socket: RawWebSocket, code: number): Promise<void> {
  const frame = await next(ask, socket);
  if (frame === undefined && !socket.ended) throw new Departure('accepted', 'the connection goes on');
  if (frame === undefined) throw new Departure('mute-close', 'the connection was closed without a close frame');
  if (frame.opcode !== CLOSE) throw new Departure('otherwise', 'instead of a close frame: another frame');
  same('the close code', String(codeOf(frame)), String(code));
}

/** The subprotocol chosen out of these. */
async function chosen(ask: Ask, offer: readonly string[]): Promise<string | undefined> {
  const header = offer.length === 0 ? [] : [`Sec-WebSocket-Protocol: ${offer.join(', ')}`];
  const { socket, upgrade } = await RawWebSocket.open(ask.site, header);
  ask.also(() => socket.drop());
  if (!opened(upgrade)) throw new Departure('refused', `the upgrade was answered ${upgrade.status}`);
  return upgrade.subprotocol;
}

export const WEBSOCKET: readonly Check[] = [
  {
    ids: ['W-01'],
    over: 'websocket',
    async run(ask) {
      same('the subprotocol', await chosen(ask, ['v10.stomp', 'v11.stomp', 'v12.stomp']), 'v12.stomp');
      same('the subprotocol', await chosen(ask, ['v10.stomp']), 'v10.stomp');
    },
  },
  {
    ids: ['W-02', 'M-107'],
    over: 'websocket',
    async run(ask) {
      for (const offer of [[], ['foo'], ['V12.STOMP'], Array.from({ length: 200 }, (_, n) => `x${n}`)]) {
        same('the subprotocol', await chosen(ask, offer), undefined);
      }
    },
  },
  {
    ids: ['W-03'],
    over: 'websocket',
    async run(ask) {
      const { socket, upgrade } = await RawWebSocket.open(ask.site, ['Sec-WebSocket-Protocol: v10.stomp']);
      ask.also(() => socket.drop());
      if (upgrade.subprotocol !== 'v10.stomp') throw new NotAsked('v10.stomp is not spoken here');
      socket.say(TEXT, `CONNECT\naccept-version:1.2\n${ask.hello}\n\0`);
      const answer = (await next(ask, socket))?.payload.toString() ?? '';
      if (/^CONNECTED\n(.*\n)*version:1\.[12]\n/.test(answer)) {
        throw new Departure('accepted', '1.2 is agreed on over the subprotocol v10.stomp');
      }
    },
  },
  {
    ids: ['W-04', 'M-100'],
    over: 'websocket',
    async run(ask) {
      const line = await ask.session();
      const queue = ask.queue();
      await subscribe(ask, line, queue);
      const [one, two] = [`SEND\n${ask.to(queue)}\none\0`, `SEND\n${ask.to(queue)}\ntwo\0`];
      line.say(`${one}\n${two}`); // two frames and an EOL in one message
      same('the body', (await heard(line, 'MESSAGE')).text(), 'one');
      same('the body', (await heard(line, 'MESSAGE')).text(), 'two');
      line.say(one.slice(0, 10));
      line.say(one.slice(10, -1));
      line.say('\0');
      same('the body', (await heard(line, 'MESSAGE')).text(), 'one');
      line.say('\n');
      await works(ask, line);
    },
  },
  {
    ids: ['W-06', 'M-104'],
    over: 'websocket',
    async run(ask) {
      const socket = await session(ask);
      socket.say(BINARY, `SEND\n${ask.to(ask.queue())}receipt:r\n\nx\0`);
      await stomp(ask, socket, 'RECEIPT');
    },
  },
  {
    ids: ['W-07'],
    over: 'websocket',
    async run(ask) {
      const queue = ask.queue();
      const socket = await session(ask);
      socket.say(TEXT, `SUBSCRIBE\nid:1\n${ask.to(queue)}receipt:s\n\n\0`);
      await stomp(ask, socket, 'RECEIPT');
      const head = Buffer.from(`SEND\n${ask.to(queue)}\n`);
      socket.say(BINARY, Buffer.concat([head, Buffer.from([0xff, 0xfe, 0])]));
      const message = await stomp(ask, socket, 'MESSAGE');
      if (message.opcode === TEXT) throw new Departure('otherwise', 'a text message holds what is no UTF-8');
    },
  },
  {
    ids: ['W-09'],
    over: 'websocket',
    async run(ask) {
      const socket = await session(ask);
      socket.say(TEXT, 'DISCONNECT\n\n\0');
      await closes(ask, socket, 1000);
      const broken = await session(ask);
      broken.say(TEXT, `SEND\n${ask.to(ask.queue())}no colon\n\nx\0`);
      await stomp(ask, broken, 'ERROR');
      await closes(ask, broken, 1002);
    },
  },
  {
    ids: ['M-111'],
    over: 'websocket',
    async run(ask) {
      for (const bytes of ['FOO\n\n\0', 'SEND\nfoo\n\n\0', 'ACK\nid:none\n\n\0']) {
        const socket = await session(ask);
        socket.say(TEXT, bytes);
        await stomp(ask, socket, 'ERROR');
        await closes(ask, socket, 1002);
      }
    },
  },
  {
    ids: ['W-12', 'M-108'],
    over: 'websocket',
    async run(ask) {
      for (const origin of ['https://elsewhere.example', 'null']) {
        const { socket, upgrade } = await RawWebSocket.open(ask.site, [`Origin: ${origin}`]);
        ask.also(() => socket.drop());
        if (opened(upgrade)) throw new Departure('accepted', `a page of ${origin} gets in`);
      }
    },
  },
  {
    ids: ['M-101'],
    over: 'websocket',
    async run(ask) {
      const socket = await session(ask);
      const text = `SEND\n${ask.to(ask.queue())}receipt:r\n\ngr\u00fc\u00df\0`;
      const bytes = Buffer.from(text);
      const cut = bytes.indexOf(0xc3) + 1; // inside a letter
      socket.say(TEXT, bytes.subarray(0, cut), { fin: false });
      socket.say(9, 'are you there');
      for (let n = 0; n < 100; n++) socket.say(0, '', { fin: false });
      socket.say(0, bytes.subarray(cut));
      await stomp(ask, socket, 'RECEIPT');
      socket.say(TEXT, '');
      socket.say(BINARY, '');
      socket.say(TEXT, text);
      await stomp(ask, socket, 'RECEIPT');
    },
  },
  {
    ids: ['M-102'],
    over: 'websocket',
    async run(ask) {
      const spoilt: readonly ((socket: RawWebSocket) => void)[] = [
        (socket) => socket.say(TEXT, '\n', { masked: false }),
        (socket) => socket.say(TEXT, '\n', { reserved: 0x20 }),
        (socket) => socket.say(3, '\n'),
        (socket) => socket.say(9, 'x'.repeat(126)),
        (socket) => socket.say(0, 'x'),
      ];
      for (const spoil of spoilt) {
        const socket = await session(ask);
        spoil(socket);
        await closes(ask, socket, 1002);
      }
    },
  },
  {
    ids: ['M-103'],
    over: 'websocket',
    async run(ask) {
      const socket = await session(ask);
      const head = Buffer.from(`SEND\n${ask.to(ask.queue())}\n`);
      socket.say(TEXT, Buffer.concat([head, Buffer.from([0xff, 0xfe, 0])]));
      await closes(ask, socket, 1007);
    },
  },
  {
    ids: ['M-106'],
    over: 'websocket',
    async run(ask) {
      const socket = await session(ask);
      const mask = [0, 0, 0, 0];
      socket.write(Buffer.from([0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, ...mask])); // 2^63 - 1 octets follow
      const frame = await next(ask, socket);
      if (frame === undefined && !socket.ended) throw new Departure('accepted', '2^63 octets are waited for');
      if (frame?.opcode === CLOSE && ![1002, 1009].includes(codeOf(frame))) {
        throw new Departure('otherwise', `the close code is ${codeOf(frame)}`);
      }
    },
  },
  {
    ids: ['M-109'],
    over: 'websocket',
    async run(ask) {
      const queue = ask.queue();
      const half = `SEND\n${ask.to(queue)}\nhalf`;
      const closing = await session(ask);
      closing.say(TEXT, half);
      closing.say(CLOSE, '');
      await next(ask, closing);
      const cut = await session(ask);
      cut.say(TEXT, half);
      cut.drop();
      same('the body', (await trip(ask, { body: 'whole' })).text(), 'whole');
    },
  },
];
