// What holds in every runtime: plain functions over the web's own interfaces, so that the same bytes run on Node, Deno and
// Bun, in Chromium, and over a socket like React Native's. Only types are imported.

import type { Connection, ConnectionOptions, Message } from '@stompbox/client';

type Stompbox = typeof import('@stompbox/client');

/** What one run works with. */
export interface Table {
  readonly stompbox: Stompbox;
  readonly url: string;
  /** For every connection. */
  readonly options: ConnectionOptions;
  readonly control: Control;
}

/** Breaks things: every connection, the door for new ones, the broker. */
export type Control = (verb: 'cut' | 'down' | 'up' | 'restart') => Promise<void>;

export interface Outcome {
  readonly name: string;
  readonly error?: string;
}

type Behaviour = (table: Table) => Promise<void>;

/** For each behaviour. */
export const DEADLINE_MS = 15_000;
const ODD = 'zażółć 🐢 gęślą\u0000jaźń\r\n\\c:\ufeff';

/** Runs all, one after another; each must be done in time. `report` hears of each at once. */
export async function runSuite(table: Table, report: (outcome: Outcome) => void = () => {}): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const [name, behaviour] of Object.entries(BEHAVIOURS)) {
    const error = await inTime(behaviour, table);
    const outcome = error === undefined ? { name } : { name, error };
    if (error !== undefined) await table.control('up'); // whoever failed may have left the door shut
    outcomes.push(outcome);
    report(outcome);
  }
  return outcomes;
}

async function inTime(behaviour: Behaviour, table: Table): Promise<string | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done within ${DEADLINE_MS} ms`)), DEADLINE_MS);
  });
  try {
    await Promise.race([behaviour(table), late]);
    return undefined;
  } catch (error) {
    return error instanceof Error ? `${error.stack ?? error}` : String(error);
  } finally {
    clearTimeout(timer);
  }
}

export const BEHAVIOURS: Readonly<Record<string, Behaviour>> = {
  'connects, and says what was agreed': async (table) => {
    await using connection = await connected(table);
    equal(connection.version, '1.2');
    truly(connection.server?.startsWith('Stompbox'), `server is ${connection.server}`);
    truly(connection.isOpen, 'it is open');
    await connection.disconnect();
    equal((await connection.closed).kind, 'disconnected');
  },

  'speaks every version': async (table) => {
    for (const version of ['1.0', '1.1', '1.2'] as const) {
      await using connection = await connected(table, { versions: [version] });
      equal(connection.version, version);
      await connection.send(unique(), version);
    }
  },

  'text, JSON, octets and nothing come back as they were sent': async (table) => {
    await using connection = await connected(table);
    const queue = unique();
    const octets = Uint8Array.from({ length: 256 }, (_, octet) => octet);
    await connection.send(queue, ODD);
    await connection.send(queue, { odd: ODD, list: [1, null, true] });
    await connection.send(queue, octets);
    await connection.send(queue);
    const [text, json, bytes, nothing] = await take(connection.subscribe(queue), 4);
    equal(text?.text(), ODD);
    equal(json?.json(), { odd: ODD, list: [1, null, true] });
    equal([...(bytes?.bytes ?? [])], [...octets]);
    equal(nothing?.bytes.length, 0);
  },

  'headers with colons, line ends and letters of any kind arrive': async (table) => {
    await using connection = await connected(table);
    const queue = unique();
    const headers = { 'a:b': 'c:d\\e\r\nf', grüße: '🐢', empty: '', blank: ' x ' };
    await connection.send(queue, 'x', { headers });
    const [message] = await take(connection.subscribe(queue), 1);
    for (const [name, value] of Object.entries(headers)) equal(message?.headers.get(name), value);
  },

  'a body of three megabytes arrives whole': async (table) => {
    await using connection = await connected(table);
    const queue = unique();
    const large = Uint8Array.from({ length: 3_000_000 }, (_, at) => (at * 31 + (at >> 8)) & 0xff);
    await connection.send(queue, large);
    const [message] = await take(connection.subscribe(queue), 1);
    equal(message?.bytes.length, large.length);
    truly(
      message?.bytes.every((octet, at) => octet === large[at]),
      'every octet is as it was',
    );
  },

  'a body is sent from a stream and read as one': async (table) => {
    await using connection = await connected(table, { streamBodiesOver: 10_000 });
    const queue = unique();
    const source = new ReadableStream<Uint8Array>({
      start(controller) {
        for (let piece = 0; piece < 50; piece++) controller.enqueue(new Uint8Array(1_000).fill(65 + (piece % 26)));
        controller.close();
      },
    });
    await connection.send(queue, source, { contentLength: 50_000 });
    const subscription = connection.subscribe(queue);
    const message = await subscription.next();
    truly(message.isStreamed, 'it comes in pieces');
    let length = 0;
    for await (const piece of message.stream()) length += piece.length;
    equal(length, 50_000);
  },

  'a handler gets messages in order, and what it has handled is gone': async (table) => {
    await using connection = await connected(table);
    const queue = unique();
    for (let n = 0; n < 20; n++) await connection.send(queue, `${n}`, { confirm: n === 19 });
    const seen: string[] = [];
    const done = new Promise<void>((resolve) => {
      connection.subscribe(
        queue,
        async (message) => {
          if (seen.push(message.text()) === 20) resolve();
        },
        { ack: 'client-individual' },
      );
    });
    await done;
    equal(
      seen,
      Array.from({ length: 20 }, (_, n) => `${n}`),
    );
    await connection.disconnect();
    await isEmpty(table, queue);
  },

  'what is not acknowledged comes again, marked so': async (table) => {
    const queue = unique();
    await using first = await connected(table);
    await first.send(queue, 'acked');
    await first.send(queue, 'refused');
    await first.send(queue, 'forgotten');
    const subscription = first.subscribe(queue, { ack: 'client-individual' });
    const [acked, refused] = [await subscription.next(), await subscription.next(), await subscription.next()];
    await acked.ack({ confirm: true });
    await refused.nack({ confirm: true });
    await first.close();
    await using second = await connected(table);
    const again = await take(second.subscribe(queue), 2);
    equal(again.map((message) => message.text()).sort(), ['forgotten', 'refused']);
    truly(
      again.every(({ redelivered }) => redelivered),
      'both are marked redelivered',
    );
    equal(await nameOf(refused.ack()), 'ConnectionLost'); // it went with its connection
  },

  'a transaction is all or nothing': async (table) => {
    await using connection = await connected(table);
    const queue = unique();
    await connection.transaction(async (transaction) => {
      await transaction.send(queue, 'one');
      await transaction.send(queue, 'two');
    });
    const aborted = connection.transaction(async (transaction) => {
      await transaction.send(queue, 'three');
      throw new RangeError('changed my mind');
    });
    equal(await nameOf(aborted), 'RangeError');
    await connection.send(queue, 'four');
    const got = await take(connection.subscribe(queue), 3);
    equal(
      got.map((message) => message.text()),
      ['one', 'two', 'four'],
    );
  },

  'everybody who listens to a topic hears it': async (table) => {
    const topic = `/topic/${crypto.randomUUID()}`;
    await using speaker = await connected(table);
    await using listener = await connected(table);
    const heard = [speaker.subscribe(topic), listener.subscribe(topic)];
    await Promise.all(heard.map(({ ready }) => ready));
    await speaker.send(topic, 'news');
    const said = await Promise.all(heard.map((subscription) => subscription.next()));
    equal(
      said.map((message) => message.text()),
      ['news', 'news'],
    );
  },

  'a slow reader is waited for, and loses nothing': async (table) => {
    await using writer = await connected(table);
    await using reader = await connected(table, { maxBufferedFrames: 5 });
    const queue = unique();
    const subscription = reader.subscribe(queue, { prefetch: 1_000 });
    await subscription.ready;
    const body = 'x'.repeat(10_000);
    await Promise.all(Array.from({ length: 200 }, (_, n) => writer.send(queue, `${n} ${body}`)));
    const got = await take(subscription, 200);
    equal(
      got.map((message) => Number.parseInt(message.text(), 10)),
      Array.from({ length: 200 }, (_, n) => n),
    );
  },

  'heart-beats go both ways': async (table) => {
    const beats = { sent: 0, received: 0 };
    await using connection = await connected(table, {
      heartBeat: { send: 100, expect: 100 },
      observer: { heartBeat: (direction) => void beats[direction]++ },
    });
    equal(connection.heartBeat, { out: 100, in: 100 });
    await until(() => beats.sent >= 3 && beats.received >= 3);
  },

  'an ERROR is a BrokerError, and ends the connection': async (table) => {
    await using connection = await connected(table);
    equal(await nameOf(connection.send('/queue/', 'nowhere')), 'BrokerError');
    equal((await connection.closed).kind, 'refused');
    equal(await nameOf(connection.send(unique(), 'x')), 'ConnectionLost');
  },

  'a connection that is cut fails whoever waits': async (table) => {
    await using connection = await connected(table);
    const waiting = connection.subscribe(unique());
    await waiting.ready;
    const next = nameOf(waiting.next());
    await table.control('cut');
    equal(await next, 'ConnectionLost');
    equal((await connection.closed).kind, 'lost');
  },

  'waits have deadlines, and can be called off': async (table) => {
    await using connection = await connected(table);
    const subscription = connection.subscribe(unique());
    equal(await nameOf(subscription.next({ timeoutMs: 20 })), 'TimeoutError');
    equal(await nameOf(subscription.next({ signal: AbortSignal.timeout(20) })), 'TimeoutError');
    const controller = new AbortController();
    const called = subscription.next({ signal: controller.signal });
    controller.abort(new RangeError('enough'));
    equal(await nameOf(called), 'RangeError');
    equal(await nameOf(connected(table, { signal: AbortSignal.abort(new RangeError('never')) })), 'RangeError');
  },

  'where nobody listens, connecting fails': async (table) => {
    await table.control('down');
    try {
      equal(await nameOf(connected(table)), 'ConnectionLost');
    } finally {
      await table.control('up');
    }
  },

  'a client connects again after a restart, and its subscriptions are restored': async (table) => {
    await using client = kept(table);
    const queue = unique();
    const subscription = client.subscribe(queue);
    await client.send(queue, 'before');
    equal((await subscription.next()).text(), 'before');
    await again(client, () => table.control('restart'));
    await client.send(queue, 'after');
    equal((await subscription.next()).text(), 'after');
  },

  'what a client sends without a connection goes out with the next one': async (table) => {
    await using client = kept(table);
    const queue = unique();
    await client.connect();
    await table.control('down');
    await until(() => client.state !== 'connected');
    const sends = ['one', 'two', 'three'].map((text) => client.send(queue, text));
    const got = take(client.subscribe(queue), 3);
    await table.control('up');
    await Promise.all(sends);
    equal(
      (await got).map((message) => message.text()),
      ['one', 'two', 'three'],
    );
  },

  'a request is answered, also after the connection was cut': async (table) => {
    await using asker = kept(table);
    await using responder = kept(table);
    const queue = unique();
    await responder.respond<{ n: number }>(queue, (message) => ({ twice: message.json().n * 2 })).ready;
    equal((await asker.request(queue, { n: 21 })).json(), { twice: 42 });
    await again(asker, () => again(responder, () => table.control('cut')));
    equal((await asker.request(queue, { n: 4 })).json(), { twice: 8 });
  },

  'close() settles, twice if asked, with a broker or without': async (table) => {
    const connection = await connected(table);
    await Promise.all([connection.close(), connection.close(), connection.disconnect()]);
    const client = kept(table);
    await client.connect();
    await Promise.all([client.close(), client.close()]);
    equal(client.state, 'closed');
    await table.control('down');
    const lost = kept(table);
    const sending = nameOf(lost.send(unique(), 'never'));
    await lost.close({ timeoutMs: 200 });
    equal(await sending, 'ConnectionLost');
    await table.control('up');
  },
};

// ----------------------------------------------------------------------------------------------------------- what helps

function connected({ stompbox, url, options }: Table, more: ConnectionOptions = {}): Promise<Connection> {
  return stompbox.connect(url, { ...options, ...more });
}

function kept({ stompbox, url, options }: Table) {
  const { login: _, passcode: __, ...rest } = options;
  return new stompbox.Client(url, { ...rest, reconnect: { initialMs: 20, maxMs: 200 } });
}

/** Resolves when the client is connected once more after `breaks`. */
async function again(client: ReturnType<typeof kept>, breaks: () => Promise<void>): Promise<void> {
  let isNew = false;
  const stop = client.observe('again', {
    connected: () => {
      isNew = true;
    },
  });
  await breaks();
  await until(() => isNew && client.state === 'connected');
  stop();
}

function unique(): string {
  return `/queue/${crypto.randomUUID()}`;
}

async function take(messages: AsyncIterable<Message>, count: number): Promise<Message[]> {
  const taken: Message[] = [];
  for await (const message of messages) if (taken.push(message) === count) break;
  return taken;
}

async function isEmpty(table: Table, queue: string): Promise<void> {
  await using connection = await connected(table);
  const subscription = connection.subscribe(queue);
  await connection.send(queue, 'the only one');
  equal((await subscription.next()).text(), 'the only one');
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 10)); // the behaviour has a deadline
}

/** The name of the error that a promise rejects with. */
async function nameOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    return error instanceof Error ? error.name : String(error);
  }
  return 'no error';
}

function truly(holds: boolean | undefined, what: string): void {
  if (!holds) throw new Error(`not so: ${what}`);
}

/** By value, as JSON shows it. */
function equal(actual: unknown, expected: unknown): void {
  const [shown, wanted] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (shown !== wanted) throw new Error(`${shown?.slice(0, 200)} is not ${wanted?.slice(0, 200)}`);
}
