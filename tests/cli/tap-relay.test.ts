// What passes between two channels, and what is heard of it.

import { encode, type Frame, frame } from '@stompbox/protocol';
import { type Channel, type ChannelEnd, memoryPair } from '@stompbox/transport';
import { ManualClock } from 'testkit';
import { expect, test } from 'vitest';
import { Ear, type Heard, KEPT_BODY } from '../../packages/cli/src/tap/ear.ts';
import { Relay } from '../../packages/cli/src/tap/relay.ts';

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

interface Ends {
  readonly client: Peer;
  readonly broker: Peer;
  readonly relay: Relay;
  readonly clock: ManualClock;
  /** `client SEND`, `broker heart-beat` … */
  readonly heard: string[];
  readonly closed: string[];
  isBehind: boolean;
}

class Peer {
  readonly channel: Channel;
  readonly parts: Uint8Array[] = [];
  hasEnded = false;
  end: ChannelEnd | undefined;
  constructor(channel: Channel) {
    this.channel = channel;
    channel.open({
      data: (bytes) => this.parts.push(bytes),
      drain: () => {},
      ended: () => {
        this.hasEnded = true;
      },
      closed: (end) => {
        this.end = end;
      },
    });
  }
  get text(): string {
    return Buffer.concat(this.parts).toString();
  }
}

function ends({ framed = false, highWaterMark = 64 * 1024 } = {}): Ends {
  const left = memoryPair({ highWaterMark });
  const right = memoryPair({ framed, highWaterMark });
  const clock = new ManualClock();
  const all: Omit<Ends, 'relay'> = {
    client: new Peer(left.a),
    broker: new Peer(right.b),
    clock,
    heard: [],
    closed: [],
    isBehind: false,
  };
  const relay = new Relay(left.b, right.a, {
    clock,
    hear: (from, what) => {
      all.heard.push(`${from} ${what.type === 'frame' ? what.frame.command : what.type}`);
      return all.isBehind;
    },
    closed: (how) => all.closed.push(how),
  });
  return Object.assign(all, { relay });
}

test('bytes pass as they came, both ways, and frames are told in order', async () => {
  const { client, broker, heard } = ends();
  const connect = 'CONNECT\r\naccept-version:1.2\r\nodd : header\n\n\0\n\n';
  client.channel.write(bytesOf(connect.slice(0, 11)));
  await turn();
  expect(broker.text).toBe(connect.slice(0, 11));
  client.channel.write(bytesOf(connect.slice(11)));
  broker.channel.write(bytesOf('CONNECTED\nversion:1.2\n\n\0'));
  await turn();
  expect(broker.text).toBe(connect);
  expect(client.text).toBe('CONNECTED\nversion:1.2\n\n\0');
  expect(heard).toEqual(['client CONNECT', 'client heart-beat', 'client heart-beat', 'broker CONNECTED']);
});

test('bytes that make no frame are told at once and pass all the same; frames are told again behind them', async () => {
  const { client, broker, heard } = ends();
  client.channel.write(bytesOf('GET / HTTP/1.1\r\n'));
  await turn();
  expect(heard).toEqual(['client damage']);
  client.channel.write(bytesOf('\0SEND\ndestination:/queue/a\n\nx\0'));
  await turn();
  expect(heard).toEqual(['client damage', 'client mended', 'client SEND']);
  expect(broker.text).toBe('GET / HTTP/1.1\r\n\0SEND\ndestination:/queue/a\n\nx\0');
});

test('towards a WebSocket every frame is a message of its own, however it came (W-05)', async () => {
  const { client, broker } = ends({ framed: true });
  const both = 'SEND\ndestination:/queue/a\n\none\0SEND\ndestination:/queue/a\n\ntwo\0';
  client.channel.write(bytesOf(both.slice(0, 5)));
  await turn();
  expect(broker.parts).toEqual([]);
  client.channel.write(bytesOf(both.slice(5)));
  await turn();
  expect(broker.parts.map((part) => Buffer.from(part).toString())).toEqual([
    'SEND\ndestination:/queue/a\n\none\0',
    'SEND\ndestination:/queue/a\n\ntwo\0',
  ]);
});

test('towards a WebSocket what makes no frame passes as it comes', async () => {
  const { client, broker } = ends({ framed: true });
  client.channel.write(bytesOf('NONSENSE\n'));
  await turn();
  client.channel.write(bytesOf('more of it'));
  await turn();
  expect(broker.text).toBe('NONSENSE\nmore of it');
});

test('a broker that takes no more keeps the client waiting, and nothing is held in between', async () => {
  const { client, broker } = ends({ highWaterMark: 1_000 });
  broker.channel.pause();
  const message = encode(frame('SEND', { destination: '/queue/a' }, 'x'.repeat(900)));
  const taken: boolean[] = [];
  for (let nth = 0; nth < 8; nth++) {
    taken.push(client.channel.write(message.slice()));
    await turn();
  }
  expect(taken.at(-1)).toBe(false);
  expect(client.channel.buffered).toBeGreaterThan(1_000);
  broker.channel.resume();
  await turn();
  await turn();
  expect(Buffer.concat(broker.parts).length).toBe(8 * message.length);
  expect(client.channel.buffered).toBe(0);
});

test('whoever reads the lines and is behind pauses both sides until it has caught up', async () => {
  const all = ends();
  all.isBehind = true;
  all.client.channel.write(bytesOf('SEND\ndestination:/a\n\n1\0'));
  await turn();
  all.client.channel.write(bytesOf('SEND\ndestination:/a\n\n2\0'));
  all.broker.channel.write(bytesOf('RECEIPT\nreceipt-id:1\n\n\0'));
  await turn();
  expect(all.heard).toEqual(['client SEND']);
  all.isBehind = false;
  all.relay.resume();
  await turn();
  expect(all.heard.toSorted()).toEqual(['broker RECEIPT', 'client SEND', 'client SEND']);
});

test('one side says no more: the other hears so, and may still speak', async () => {
  const { client, broker, closed } = ends();
  client.channel.write(bytesOf('DISCONNECT\nreceipt:1\n\n\0'));
  client.channel.end();
  await turn();
  expect(broker.hasEnded).toBe(true);
  broker.channel.write(bytesOf('RECEIPT\nreceipt-id:1\n\n\0'));
  broker.channel.end();
  await turn();
  expect(client.text).toBe('RECEIPT\nreceipt-id:1\n\n\0');
  expect(closed).toHaveLength(1);
});

test('where a side breaks off inside a frame, that is told', async () => {
  const { client, broker, closed } = ends();
  client.channel.write(bytesOf('SEND\ndestination:/a\n\nhalf'));
  await turn();
  client.channel.destroy();
  await turn();
  expect(broker.end).toBeDefined();
  expect(closed).toEqual([expect.stringContaining('closed by the client')]);
  expect(closed[0]).toContain('it ended in the body of a frame');
});

test('a side that does not follow the other is ended after five seconds; no alarm is left behind', async () => {
  const { client, broker, closed, clock } = ends({ framed: true });
  broker.channel.pause();
  client.channel.destroy();
  await turn();
  await clock.advance(5_000);
  await turn();
  expect(closed).toHaveLength(1);
  expect(clock.alarms).toBe(0);
});

const bodies = (ear: Ear, text: string, cut: number): Heard[] => {
  const all: Heard[] = [];
  for (let at = 0; at < text.length; at += cut) all.push(...ear.hear(bytesOf(text.slice(at, at + cut))));
  return all;
};

test.for([1, 7, 4_096, 1_000_000])('a large body is told once, with its size and its beginning, cut at %i', (cut) => {
  const size = KEPT_BODY * 3;
  const text = `MESSAGE\ndestination:/a\ncontent-length:${size}\n\n${'y'.repeat(size)}\0\n`;
  const [message, beat, ...more] = bodies(new Ear(), text, cut);
  expect(message).toMatchObject({ type: 'frame', bodyBytes: size });
  const { body } = (message as { readonly frame: Frame }).frame;
  expect([body.length, new Set(body)]).toEqual([KEPT_BODY, new Set([0x79])]);
  expect([beat, more]).toEqual([{ type: 'heart-beat' }, []]);
});
