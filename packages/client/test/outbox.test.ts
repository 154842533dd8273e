// What becomes of sends: each ends in one of three outcomes.

import { BrokerError, ConnectionLost, OutboxError, type OutboxStore, type StoredSend } from '@stompbox/client';
import { settled } from 'testkit';
import { describe, expect, test } from 'vitest';
import { failure, hold, stage } from './stage.ts';

describe('an outcome', () => {
  test('is rejected where an ERROR names the send', async () => {
    const { client, enter } = stage({}, { peer: { receipts: false } });
    const sent = failure(client.send('/queue/a', 'x'));
    const { peer } = await enter();
    const { receipt } = await peer.next('send');
    peer.say(`ERROR\nreceipt-id:${receipt}\nmessage:full\n\n\0`);
    expect(await sent).toBeInstanceOf(BrokerError);
    expect(await sent).toMatchObject({ outcome: 'rejected' });
  });

  test('is unknown where an ERROR names nothing: it may have meant something else', async () => {
    const { client, enter } = stage({}, { peer: { receipts: false } });
    const sent = failure(client.send('/queue/a', 'x'));
    const { peer } = await enter();
    await peer.next('send');
    peer.say('ERROR\nmessage:full\n\n\0');
    expect(await sent).toMatchObject({ name: 'ConnectionLost', code: 'refused', outcome: 'unknown' });
  });

  test('is unknown where the connection went after it was written', async () => {
    const { client, enter } = stage({}, { peer: { receipts: false } });
    const sent = failure(client.send('/queue/a', 'x'));
    const { peer, cut } = await enter();
    await peer.next('send');
    cut('reset');
    expect(await sent).toBeInstanceOf(ConnectionLost);
    expect(await sent).toMatchObject({ outcome: 'unknown' });
  });

  test('is unknown where the RECEIPT did not come in time', async () => {
    const { client, clock, enter } = stage({}, { peer: { receipts: false } });
    const sent = failure(client.send('/queue/a', 'x', { timeoutMs: 500 }));
    const { peer } = await enter();
    await peer.next('send');
    await clock.advance(500);
    expect(await sent).toMatchObject({ name: 'TimeoutError', outcome: 'unknown' });
  });

  test('comes with the next connection for what was not written, in the order of the calls (P26)', async () => {
    const { client, clock, enter } = stage();
    const before = client.connect();
    const first = await enter();
    await before;
    first.cut('reset');
    await settled();
    const sent = ['1', '2', '3'].map((body) => client.send('/queue/a', body));
    await clock.advance(1_000);
    const second = await enter();
    await Promise.all(sent);
    const bodies = second.peer.frames.slice(1).map(({ body }) => new TextDecoder().decode(body));
    expect(bodies).toEqual(['1', '2', '3']);
  });

  test('is asked for once more where the send says so, under one de-duplication id', async () => {
    const { client, clock, enter, statuses } = stage({ profile: 'stompbox' }, { peer: { receipts: false } });
    const sent = client.send('/queue/a', 'x', { onUnknown: 'resend' });
    const first = await enter();
    const one = await first.peer.next('send');
    first.cut('reset');
    await clock.advance(1_000);
    const second = await enter();
    const two = await second.peer.next('send');
    second.peer.receipt(two.receipt ?? '');
    await sent;
    const id = one.frame.headers.get('duplicate-id');
    expect(id).toBeTruthy();
    expect(two.frame.headers.get('duplicate-id')).toBe(id);
    expect(statuses).toContainEqual({ type: 'resent', destination: '/queue/a', attempt: 2 });
  });

  test('is what it was for an object that changed after the call', async () => {
    const { client, enter } = stage();
    const order = { id: 1 };
    const sent = client.send('/queue/a', order);
    const bytes = new TextEncoder().encode('one');
    const raw = client.send('/queue/a', bytes);
    order.id = 2;
    bytes.fill(0);
    const { peer } = await enter();
    await Promise.all([sent, raw]);
    const [, json, octets] = peer.frames;
    expect(new TextDecoder().decode(json?.body)).toBe('{"id":1}');
    expect(json?.headers.get('content-type')).toBe('application/json');
    expect(new TextDecoder().decode(octets?.body)).toBe('one');
  });

  test('computes headers when the frame is written', async () => {
    const { client, enter } = stage();
    let now = 'called';
    const sent = client.send('/queue/a', 'x', { headers: { when: () => now } });
    now = 'written';
    const { peer } = await enter();
    await sent;
    expect(peer.frames[1]?.headers.get('when')).toBe('written');
  });
});

describe('the bounds', () => {
  test('reject a send that is too much, and say what to do', async () => {
    const { client, deaf } = stage({ outbox: { maxMessages: 2 } });
    deaf(99);
    void client.send('/queue/a', '1').catch(() => {});
    void client.send('/queue/a', '2').catch(() => {});
    const error = await failure(client.send('/queue/a', '3'));
    expect(error).toBeInstanceOf(OutboxError);
    expect(error).toMatchObject({ code: 'full', outcome: 'unsent', message: expect.stringContaining('maxMessages') });
    expect(client.pending.messages).toBe(2);
  });

  test('count bytes as well, but let one large body pass', async () => {
    const { client, deaf } = stage({ outbox: { maxBytes: 10 } });
    deaf(99);
    void client.send('/queue/a', 'x'.repeat(100)).catch(() => {});
    expect(await failure(client.send('/queue/a', 'y'))).toMatchObject({ code: 'full' });
  });

  test('drop the one that waits longest, where they are told to, and say so', async () => {
    const { client, enter, statuses } = stage({ outbox: { maxMessages: 2, whenFull: 'drop-oldest' } });
    const oldest = failure(client.send('/queue/a', '1'));
    const rest = [client.send('/queue/a', '2'), client.send('/queue/a', '3')];
    expect(await oldest).toMatchObject({ code: 'dropped', outcome: 'unsent' });
    const { peer } = await enter();
    await Promise.all(rest);
    expect(peer.frames).toHaveLength(3);
    expect(statuses).toContainEqual(expect.objectContaining({ type: 'dropped', destination: '/queue/a' }));
  });

  test('end a wait for a connection that takes too long', async () => {
    const { client, clock, deaf } = stage({ outbox: { maxAgeMs: 5_000 } });
    deaf(99);
    const sent = failure(client.send('/queue/a', 'x'));
    await clock.advance(4_999);
    expect(client.pending.messages).toBe(1);
    await clock.advance(1);
    expect(await sent).toMatchObject({ code: 'expired', outcome: 'unsent' });
  });

  test('count what a message may live, waiting included', async () => {
    const { client, clock, deaf, enter } = stage({ profile: 'stompbox', reconnect: { initialMs: 1_000 } });
    deaf(1);
    const short = failure(client.send('/queue/a', 'x', { expiresInMs: 500 }));
    const long = client.send('/queue/a', 'y', { expiresInMs: 10_000 });
    await clock.advance(1_000);
    const { peer } = await enter();
    expect(await short).toMatchObject({ code: 'expired' });
    await long;
    expect(peer.frames[1]?.headers.get('expiration')).toBe('9000');
  });
});

describe('without a connection', () => {
  test('a send fails or is dropped where it says so (P26)', async () => {
    const { client, deaf, statuses } = stage();
    deaf(99);
    expect(await failure(client.send('/queue/a', 'x', { offline: 'fail' }))).toMatchObject({ code: 'offline' });
    void client.send('/queue/a', 'x', { offline: 'drop' }); // nobody listens, and nothing is unhandled
    await settled();
    expect(statuses).toContainEqual(expect.objectContaining({ type: 'dropped' }));
  });

  test('a send can be called off', async () => {
    const { client, deaf } = stage();
    deaf(99);
    const caller = new AbortController();
    const sent = failure(client.send('/queue/a', 'x', { signal: caller.signal }));
    caller.abort(new Error('never mind'));
    expect(await sent).toMatchObject({ message: 'never mind' });
    expect(client.pending).toEqual({ messages: 0, bytes: 0 });
  });
});

describe('flush, sendAll and transaction', () => {
  test('flush waits for every send made before it, however it ends', async () => {
    const { client, enter } = stage({}, { peer: { receipts: false } });
    void client.send('/queue/a', '1');
    const failing = failure(client.send('/queue/a', '2'));
    const { peer } = await enter();
    let flushed = false;
    const flush = client.flush().then(() => {
      flushed = true;
    });
    const one = await peer.next('send');
    const two = await peer.next('send');
    peer.receipt(one.receipt ?? '');
    await settled();
    expect(flushed).toBe(false);
    peer.say(`ERROR\nreceipt-id:${two.receipt}\nmessage:no\n\n\0`);
    await flush;
    await failing;
  });

  test('sendAll answers what became of each', async () => {
    const { client, enter } = stage();
    const all = client.sendAll([
      { destination: '/queue/a', body: '1' },
      { destination: '', body: '2' },
    ]);
    await enter();
    expect((await all).map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
  });

  test('a transaction waits for a connection, commits on return and aborts on throw', async () => {
    const { client, enter } = stage();
    const done = client.transaction((tx) => {
      void tx.send('/queue/a', 'x', { persistent: false });
      return 7;
    });
    const { peer } = await enter();
    expect(await done).toBe(7);
    expect(
      await failure(
        client.transaction(() => {
          throw new Error('no');
        }),
      ),
    ).toMatchObject({ message: 'no' });
    expect(peer.frames.map(({ command }) => command)).toEqual(['CONNECT', 'BEGIN', 'SEND', 'COMMIT', 'BEGIN', 'ABORT']);
  });

  test('a transaction fails clearly when its connection goes', async () => {
    const { client, enter } = stage();
    const held: { resolve?: () => void } = {};
    const done = failure(
      client.transaction(async (tx) => {
        await new Promise<void>((resolve) => {
          held.resolve = resolve;
        });
        await tx.send('/queue/a', 'x');
      }),
    );
    const { peer, cut } = await enter();
    await peer.next('begin');
    cut('reset');
    await settled();
    held.resolve?.();
    expect(await done).toMatchObject({ name: 'ConnectionLost', outcome: 'unsent' });
  });
});

describe('a store', () => {
  /** Keeps what a process would leave behind. */
  class Shelf implements OutboxStore {
    readonly kept = new Map<string, StoredSend>();
    closed = false;
    load = async (): Promise<StoredSend[]> => [...this.kept.values()];
    put = async (send: StoredSend): Promise<void> => void this.kept.set(send.key, send);
    remove = async (key: string): Promise<void> => void this.kept.delete(key);
    close = async (): Promise<void> => {
      this.closed = true;
    };
  }

  test('keeps a send from the call to its outcome', async () => {
    const store = new Shelf();
    const { client, enter } = stage({ outbox: { store } }, { peer: { receipts: false } });
    const sent = client.send('/queue/a', { x: 1 }, { headers: { n: () => 1 } });
    await settled();
    expect([...store.kept.values()]).toMatchObject([
      { destination: '/queue/a', body: '{"x":1}', options: { contentType: 'application/json', headers: { n: 1 } } },
    ]);
    const { peer } = await enter();
    const { receipt } = await peer.next('send');
    peer.receipt(receipt ?? '');
    await sent;
    expect(store.kept.size).toBe(0);
  });

  test('hands what an earlier client left to the next one, which sends it first', async () => {
    const store = new Shelf();
    const earlier = stage({ outbox: { store } });
    earlier.deaf(99);
    const left = failure(earlier.client.send('/queue/a', 'left'));
    await settled();
    await earlier.client.close();
    expect(await left).toMatchObject({ outcome: 'unsent' });
    expect(store.closed).toBe(true);
    expect(store.kept.size).toBe(1);

    const { client, enter } = stage({ outbox: { store }, profile: 'stompbox' });
    const sent = client.send('/queue/a', 'new');
    const { peer } = await enter();
    await sent;
    await client.flush();
    expect(peer.frames.slice(1).map(({ body }) => new TextDecoder().decode(body))).toEqual(['left', 'new']);
    expect(store.kept.size).toBe(0);
  });

  test('is closed after what it was asked for before, also while it is being opened', async () => {
    const store = new Shelf();
    const opening = hold();
    store.load = async () => {
      await opening.wait();
      return [];
    };
    const { client } = stage({ outbox: { store } });
    const sent = failure(client.send('/queue/a', 'x'));
    const closing = client.close();
    await settled();
    expect(store.closed).toBe(false);
    opening.release();
    await closing;
    expect(store.closed).toBe(true);
    expect([...store.kept.values()].map(({ body }) => body)).toEqual(['x']);
    expect(await sent).toMatchObject({ outcome: 'unsent' });
  });

  test('that never answers does not hold close() longer than it is told', async () => {
    const store = new Shelf();
    store.close = () => new Promise(() => {});
    const { client, clock, errors } = stage({ outbox: { store } });
    const closing = client.close({ timeoutMs: 1_000 });
    await clock.advance(1_000);
    await closing;
    expect(errors).toEqual([expect.objectContaining({ name: 'TimeoutError' })]);
  });

  test('that fails fails the send', async () => {
    const store = new Shelf();
    store.put = () => Promise.reject(new Error('disk full'));
    const { client } = stage({ outbox: { store } });
    expect(await failure(client.send('/queue/a', 'x'))).toMatchObject({ message: 'disk full' });
    expect(client.pending.messages).toBe(0);
  });
});
