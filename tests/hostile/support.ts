// A broker to be hostile to: real sockets, time by hand, and a bystander who must not
// notice anything.

import { type Broker, type BrokerOptions, createBroker } from '@stompbox/broker';
import type { Version } from '@stompbox/protocol';
import { ManualClock, type RawClient, type RawEnd, type RawFrame, type RawOptions, rawClient, turn } from 'testkit';
import { expect } from 'vitest';

export interface Place {
  readonly broker: Broker;
  readonly clock: ManualClock;
  readonly tcp: string;
  readonly ws: string;
  /** What the broker said had gone wrong inside it. */
  readonly faults: unknown[];
  readonly bystander: RawClient;
  dial(url?: string, options?: RawOptions): Promise<RawClient>;
  /** A client that has been let in. */
  connected(version?: Version, options?: { url?: string; headers?: string }): Promise<RawClient>;
  /** Drops every connection but the bystander's, so that a test that failed does not fail the next one. */
  clear(): Promise<void>;
  /** The bystander's message still goes round. */
  greets(): Promise<void>;
  /** The same, and nothing is left of anybody else (I-2, I-6). */
  unharmed(): Promise<void>;
  close(): Promise<void>;
}

/** What everything runs against: a broker, and somebody who minds his own business on it. */
export async function place(options: Omit<BrokerOptions, 'listen' | 'clock' | 'onFault'> = {}): Promise<Place> {
  const clock = new ManualClock();
  const faults: unknown[] = [];
  const listen = ['tcp://127.0.0.1:0', 'ws://127.0.0.1:0'];
  const broker = await createBroker({ ...options, listen, clock, onFault: (error) => faults.push(error) });
  const [tcp = '', ws = ''] = broker.urls;
  const clients: RawClient[] = [];
  const dial = async (url = tcp, raw: RawOptions = {}) => {
    const client = await rawClient(url, raw);
    clients.push(client);
    return client;
  };
  const credentials = options.authenticate ? 'login:bystander\npasscode:b\n' : '';
  const bystander = await dial();
  await bystander.connect('1.2', credentials);
  await bystander.write('SUBSCRIBE\nid:b\ndestination:/queue/bystander\nreceipt:s\n\n\0');
  await bystander.next();
  const timers = clock.alarms;
  let round = 0;
  const greets = async () => {
    const name = `round-${round++}`;
    await bystander.write(`SEND\ndestination:/queue/bystander\nreceipt:${name}\n\n${name}\0`);
    const [message, receipt] = (await bystander.take(2)).sort((a, b) => a.command.localeCompare(b.command));
    expect([message?.command, message?.body]).toEqual(['MESSAGE', name]);
    expect([receipt?.command, receipt?.headers.get('receipt-id')]).toEqual(['RECEIPT', name]);
    bystander.forget();
  };
  return {
    broker,
    clock,
    tcp,
    ws,
    faults,
    bystander,
    dial,
    async connected(version = '1.2', { url, headers = credentials } = {}) {
      const client = await dial(url);
      await client.connect(version, headers);
      return client;
    },
    async clear() {
      for (const client of clients.splice(1)) client.socket.destroy();
      await clock.advance(1_000); // lingerMs
    },
    greets,
    async unharmed() {
      await greets();
      const left = () => `${broker.stats().connections - 1} connections and ${clock.alarms - timers} timers`;
      await until(
        () => broker.stats().connections === 1 && clock.alarms <= timers,
        () => `${left()} to go`,
      );
      expect(faults.filter((fault) => !(fault instanceof Error && fault.name === 'TransportError'))).toEqual([]);
    },
    async close() {
      for (const client of clients) client.socket.destroy();
      await broker.close({ timeoutMs: 1 });
    },
  };
}

/** Turns of the event loop until it is so. */
export async function until(done: () => boolean, what: string | (() => string), deadlineMs = 10_000): Promise<void> {
  const by = Date.now() + deadlineMs;
  while (!done()) {
    if (Date.now() > by) throw new Error(`waited ${deadlineMs} ms for ${typeof what === 'string' ? what : what()}`);
    await turn();
  }
}

/** Time passes in steps, and sockets are read between them, until it is so. Answers how long it took, in the broker's time. */
export async function passing(at: Place, done: () => boolean, most: number, step = 1_000): Promise<number> {
  const start = at.clock.now();
  while (!done()) {
    if (at.clock.now() - start > most) throw new Error(`nothing happened in ${most} ms of the broker's time`);
    await at.clock.advance(step);
    await turn();
  }
  return at.clock.now() - start;
}

/** Exactly one ERROR, last of all, that says `message`; answers it. */
export function theError(end: RawEnd, message: RegExp | string): RawFrame {
  const errors = end.frames.filter(({ command }) => command === 'ERROR');
  expect(errors.length, `of ${end.frames.map(({ command }) => command).join(', ')}`).toBe(1);
  const error = end.frames.at(-1) as RawFrame;
  expect(error.command).toBe('ERROR');
  expect(end.rest).toBe('');
  expect(error.headers.get('message')).toMatch(message);
  // I-5: at most 256 escaped bytes of the input, beside our own sentence.
  expect(Buffer.byteLength(error.headers.get('message') ?? '')).toBeLessThan(256 + 160);
  return error;
}

export const queueNames = (at: Place): string[] => at.broker.inspect.queues().map(({ name }) => name);

/** A legal frame behind hostile bytes, which nobody may act on (I-1). */
export const EVIL = '\0\nSEND\ndestination:/queue/evil\n\nx\0';

/** Whether the broker has had enough; otherwise it gets a little more. */
export function dripped(client: RawClient, drop: Uint8Array | string): boolean {
  if (!client.over) void client.write(drop);
  return client.over;
}

/** The next frame, which must be that command. */
export async function next(client: RawClient, command: string): Promise<RawFrame> {
  const frame = await client.next();
  expect(frame.command, frame.headers.get('message')).toBe(command);
  return frame;
}

/** Says it and waits for its RECEIPT. */
export async function told(client: RawClient, command: string, headers: string, body = ''): Promise<void> {
  await client.write(`${command}\n${headers}receipt:told\n\n${body}\0`);
  expect((await next(client, 'RECEIPT')).headers.get('receipt-id')).toBe('told');
}

/** Says goodbye, and is answered. */
export async function bye(...clients: RawClient[]): Promise<void> {
  for (const client of clients) {
    await client.write('DISCONNECT\nreceipt:bye\n\n\0');
    const { frames } = await client.end();
    expect(frames.at(-1)?.headers.get('receipt-id'), frames.at(-1)?.headers.get('message')).toBe('bye');
  }
}

export const ackOf = (message: RawFrame): string => `id:${message.headers.get('ack')}\n`;

/** Writes as long as somebody reads: until the sockets' own buffers are full too. Answers how many frames went. */
export async function fill(client: RawClient, frame: (i: number) => string, most: number, batch = 64): Promise<number> {
  let sent = 0;
  for (let stuck = 0; sent < most && stuck < 40 && !client.over; ) {
    if (client.socket.writableLength === 0) {
      stuck = 0;
      let bytes = '';
      for (let i = 0; i < batch; i++) bytes += frame(sent++);
      void client.write(bytes);
    } else stuck++;
    await turn();
  }
  return sent;
}
