// Receipts: after the effect, in the order they were asked for; and the two ways out.

import { describe, expect, test } from 'vitest';
import { EmbeddedEngine } from '../src/engine/embedded/embedded.ts';
import type { Engine, Work } from '../src/engine/engine.ts';
import { EngineError } from '../src/index.ts';
import { resolveLimits } from '../src/limits.ts';
import { memoryStore } from '../src/store/memory.ts';
import { books, place, VERSIONS } from './support.ts';

const receiptsOf = (frames: readonly { command: string; get(name: string): string | undefined }[]) =>
  frames.map((frame) => (frame.command === 'RECEIPT' ? frame.get('receipt-id') : frame.command));

/** An engine whose commits are late, until they are let go one by one. */
function lateEngine(): { engine: Engine; commits: Work[]; letGo: ((error?: Error) => void)[] } {
  const inner = new EmbeddedEngine(
    { ...resolveLimits(), schedule: () => () => {}, time: () => Date.now() },
    memoryStore(),
  );
  const commits: Work[] = [];
  const letGo: ((error?: Error) => void)[] = [];
  const engine: Engine = {
    commit(work) {
      commits.push(work);
      return new Promise((resolve, reject) => {
        letGo.push((error) => (error ? reject(error) : inner.commit(work).then(resolve, reject)));
      });
    },
    open: (subscription) => inner.open(subscription),
    discard: (queue) => inner.discard(queue),
    inspect: inner.inspect,
    guarantees: inner.guarantees,
    close: () => inner.close(),
  };
  return { engine, commits, letGo };
}

describe('receipts', () => {
  for (const version of VERSIONS) {
    test(`${version}: every frame but CONNECT may ask for one (R-01, R-09)`, async () => {
      const at = await place();
      const client = await at.client(version);
      await client.subscribe('1', '/queue/q', 'client');
      await client.send('/queue/q', 'a');
      const message = await client.next();
      await client.ask('BEGIN', { transaction: 't' });
      client.settle('ACK', message, { transaction: 't', receipt: 'ack' });
      expect((await client.next()).get('receipt-id')).toBe('ack');
      await client.ask('ABORT', { transaction: 't' });
      if (version !== '1.0') {
        client.settle('NACK', message, { receipt: 'nack' });
        expect(receiptsOf(await client.rest())).toContain('nack');
      }
      await client.ask('BEGIN', { transaction: 't' });
      await client.ask('COMMIT', { transaction: 't' });
      await client.ask('UNSUBSCRIBE', { id: '1' });
      await client.ask('DISCONNECT');
    });
  }

  test('come in the order they were asked for, whatever they are for (R-04, X-68)', async () => {
    const at = await place();
    const client = await at.client();
    const frames = [
      'SEND\ndestination:/queue/q\nreceipt:0\n\na\0',
      'BEGIN\ntransaction:t\nreceipt:1\n\n\0',
      'SEND\ndestination:/queue/q\ntransaction:t\nreceipt:2\n\nb\0',
      'SUBSCRIBE\nid:1\ndestination:/topic/none\nreceipt:3\n\n\0',
      'SEND\ndestination:/queue/q\nreceipt:4\n\nc\0',
      'COMMIT\ntransaction:t\nreceipt:5\n\n\0',
      'UNSUBSCRIBE\nid:1\nreceipt:6\n\n\0',
      'SEND\ndestination:/queue/q\nreceipt:7\n\nd\0',
      'DISCONNECT\nreceipt:8\n\n\0',
    ];
    client.write(frames.join(''));
    await client.closed();
    expect(receiptsOf(client.frames)).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', '8']);
    expect(books(at.broker, 'q')?.waiting).toBe(4);
  });

  test('are written after the effect, not before (promise 1, R-02)', async () => {
    const { engine, letGo } = lateEngine();
    const at = await place({ engine });
    const client = await at.client();
    client.say('SEND', { destination: '/queue/q', receipt: '1' }, 'a');
    client.say('SEND', { destination: '/queue/q', receipt: '2' }, 'b');
    expect(await client.rest()).toEqual([]);
    letGo[1]?.();
    expect(await client.rest()).toEqual([]); // in its turn
    letGo[0]?.();
    expect(receiptsOf(await client.rest())).toEqual(['1', '2']);
  });

  test('are echoed exactly, also when empty or full of odd characters (M-79)', async () => {
    const at = await place();
    const client = await at.client();
    const ids = ['', 'a:b\\c\nd\re', 'é😀', ' x ', 'same', 'same'];
    for (const receipt of ids) client.say('SEND', { destination: '/queue/q', receipt });
    expect(receiptsOf(await client.take(ids.length))).toEqual(ids);
  });

  test('a frame that fails has its receipt in the ERROR, those before it have theirs (R-07, X-65, X-66)', async () => {
    const at = await place({ limits: { maxQueueMessages: 2 } });
    const client = await at.client();
    client.write([0, 1, 2, 3].map((n) => `SEND\ndestination:/queue/q\nreceipt:${n}\n\n\0`).join(''));
    await client.error();
    expect(receiptsOf(client.frames)).toEqual(['0', '1', 'ERROR']);
    expect(client.frames.at(-1)?.get('receipt-id')).toBe('2');
    expect(client.frames.at(-1)?.get('message')).toMatch(/maxQueueMessages/);
  });

  test('an ERROR does not take the receipt of the next frame for that of the one that failed (R-07)', async () => {
    const at = await place({ limits: { maxQueueMessages: 1 } });
    const client = await at.client();
    await client.subscribe('1', '/topic/t', 'client');
    await client.send('/topic/t', 'm');
    const ack = (await client.next()).get('ack');
    const send = 'SEND\ndestination:/queue/q\n\n\0';
    client.write(`${send}${send}ACK\nid:${ack}\nreceipt:ack\n\n\0`);
    expect((await client.error()).get('receipt-id')).toBeUndefined();
    expect(receiptsOf(client.frames)).toEqual(['ERROR']);
  });

  test('when the engine kept nothing, nobody gets a receipt, and what was to be settled is not lost (M-86)', async () => {
    const { engine, letGo, commits } = lateEngine();
    const at = await place({ engine });
    const [client, other] = [await at.client(), await at.client()];
    await client.ask('SUBSCRIBE', { id: '1', destination: '/queue/q', ack: 'client' });
    other.say('SEND', { destination: '/queue/q' }, 'a');
    await client.rest();
    letGo[0]?.();
    const message = await client.next();
    client.write(`ACK\nid:${message.get('ack')}\nreceipt:1\n\n\0SEND\ndestination:/queue/x\nreceipt:2\n\n\0`);
    await client.rest();
    letGo[1]?.(new EngineError('store-failed', 'the disk is full'));
    const error = await client.error();
    expect([error.get('receipt-id'), error.get('message')]).toEqual(['1', 'the disk is full']);
    expect(receiptsOf(client.frames)).toEqual(['ERROR']);
    expect(commits[2]?.settlements.map(({ outcome }) => outcome)).toEqual(['return']);
  });

  test('a refusal that overtakes earlier work waits for its turn, and is nobody’s unhandled rejection', async () => {
    const { engine, letGo } = lateEngine();
    const at = await place({ engine });
    const client = await at.client();
    client.say('SEND', { destination: '/queue/q', receipt: '1' }, 'a');
    client.say('SEND', { destination: '/queue/q', receipt: '2' }, 'b');
    await client.rest();
    letGo[1]?.(new EngineError('store-failed', 'no'));
    expect(await client.rest()).toEqual([]); // Node would have ended the process by now
    letGo[0]?.();
    await client.error();
    expect(receiptsOf(client.frames)).toEqual(['1', 'ERROR']);
  });

  test('a failure of ours is told without its words, and reported (S-09)', async () => {
    const { engine, letGo } = lateEngine();
    const at = await place({ engine });
    const client = await at.client();
    client.say('SEND', { destination: '/queue/q', receipt: '1' }, 'a');
    await client.rest();
    const bug = new TypeError('secret.path is undefined');
    letGo[0]?.(bug);
    const error = await client.error();
    expect(error.get('message')).toBe('the broker failed; its log says how');
    expect(error.get('receipt-id')).toBe('1');
    expect(at.faults).toEqual([bug]);
  });
});

describe('SUBSCRIBE', () => {
  for (const version of VERSIONS) {
    test(`${version}: its RECEIPT comes before its first MESSAGE (F-11, X-54)`, async () => {
      const at = await place();
      const client = await at.client(version);
      for (const body of 'ab') await client.send('/queue/q', body);
      client.say('SUBSCRIBE', { id: '1', destination: '/queue/q', receipt: 's' });
      expect((await client.take(3)).map((frame) => frame.command)).toEqual(['RECEIPT', 'MESSAGE', 'MESSAGE']);
    });
  }

  test('whose UNSUBSCRIBE is in the same packet gets nothing, and loses nothing', async () => {
    const at = await place();
    const client = await at.client();
    await client.send('/queue/q', 'a');
    client.write('SUBSCRIBE\nid:1\ndestination:/queue/q\nreceipt:s\n\n\0UNSUBSCRIBE\nid:1\nreceipt:u\n\n\0');
    expect(receiptsOf(await client.rest())).toEqual(['s', 'u']);
    expect(books(at.broker, 'q')).toEqual({ waiting: 1, unsettled: 0, consumers: 0 });
  });

  test('with a selector that is wrong is refused, and the column named (X-78, M-67)', async () => {
    const at = await place();
    const client = await at.client();
    client.say('SUBSCRIBE', { id: '1', destination: '/queue/q', selector: 'a = ', receipt: 's' });
    const error = await client.error();
    expect([error.get('receipt-id'), error.get('message')]).toEqual([
      's',
      expect.stringMatching(/selector is wrong at column/),
    ]);
  });
});

describe('DISCONNECT', () => {
  test('answers everything before it, then itself, then closes (X-30, X-31)', async () => {
    const at = await place();
    const client = await at.client();
    const sends = Array.from({ length: 500 }, (_, n) => `SEND\ndestination:/queue/q\nreceipt:${n}\n\n\0`);
    client.write(`${sends.join('')}DISCONNECT\nreceipt:bye\n\n\0`);
    await client.closed();
    expect(receiptsOf(client.frames)).toEqual([...sends.keys()].map(String).concat('bye'));
    expect(books(at.broker, 'q')?.waiting).toBe(500);
  });

  test('without a receipt closes at once (E-08), and what comes behind it is ignored (M-76)', async () => {
    const at = await place();
    const client = await at.client();
    client.write('DISCONNECT\n\n\0SEND\ndestination:/queue/q\nreceipt:late\n\n\0');
    await client.closed();
    expect(client.frames).toEqual([]);
    expect(at.broker.inspect.queues()).toEqual([]);
    expect(at.broker.stats().connections).toBe(0);
  });

  test('gets its receipt although messages wait for the client, and these are not lost', async () => {
    const at = await place({ limits: { maxOutputBytes: 1024 } });
    const client = await at.client('1.2', {}, { highWaterMark: 512 });
    const other = await at.client();
    await client.subscribe('1', '/queue/q', 'auto');
    client.channel.pause();
    for (let i = 0; i < 20; i++) await other.send('/queue/q', `${i} ${'x'.repeat(500)}`);
    client.say('DISCONNECT', { receipt: 'bye' });
    await other.rest();
    client.channel.resume();
    await client.closed();
    const last = client.frames.at(-1);
    expect([last?.command, last?.get('receipt-id')]).toEqual(['RECEIPT', 'bye']);
    await other.subscribe('1', '/queue/q');
    const got = client.frames.length - 1;
    const left = await other.rest();
    expect(left.map((message) => Number.parseInt(message.text(), 10))).toEqual(
      Array.from({ length: 20 - got }, (_, i) => got + i),
    );
  });

  test('a client that closes its side has what it sent before answered (E-09, E-10)', async () => {
    const at = await place();
    const client = await at.client();
    client.write('SEND\ndestination:/queue/q\nreceipt:1\n\na\0SEND\ndestination:/queue/q\nreceipt:2\n\nb\0SEND\ndest');
    client.channel.end();
    await client.closed();
    expect(receiptsOf(client.frames)).toEqual(['1', '2']);
    expect(books(at.broker, 'q')?.waiting).toBe(2);
  });
});
