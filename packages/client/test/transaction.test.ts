// Transactions: together or not at all.

import { ConnectionLost } from '@stompbox/client';
import { expect, test } from 'vitest';
import { failure, table } from './support.ts';

test('a transaction says BEGIN, its members without receipts, and COMMIT with one', async () => {
  const { connection, peer } = await table();
  const subscription = connection.subscribe('/queue/a', { ack: 'client-individual' });
  await subscription.ready;
  peer.deliver(subscription.id, 'x', { item: 'one' });
  peer.deliver(subscription.id, 'y', { item: 'two' });
  const [one, two] = [await subscription.next(), await subscription.next()];
  const answer = await connection.transaction(async (tx) => {
    tx.send('/queue/b', { bill: 1 });
    tx.ack(one);
    await tx.nack(two);
    return 42;
  });
  expect(answer).toBe(42);
  const said = peer.frames.slice(2).map(({ command, headers }) => [command, headers.has('receipt')]);
  expect(said).toEqual([
    ['BEGIN', false],
    ['SEND', false],
    ['ACK', false],
    ['NACK', false],
    ['COMMIT', true],
  ]);
  expect(new Set(peer.frames.slice(2).map(({ headers }) => headers.get('transaction'))).size).toBe(1);
});

test('what throws inside aborts, and is what the caller gets', async () => {
  const { connection, peer } = await table();
  const error = new Error('no money');
  const failed = connection.transaction((tx) => {
    tx.send('/queue/b', 'bill');
    throw error;
  });
  expect(await failure(failed)).toBe(error);
  await peer.next('abort');
  expect(peer.frames.some(({ command }) => command === 'COMMIT')).toBe(false);
});

test('T-08: after ABORT a message waits for its ACK again', async () => {
  const { connection, peer } = await table();
  const subscription = connection.subscribe('/queue/a', { ack: 'client-individual' });
  await subscription.ready;
  peer.deliver(subscription.id, 'x', { item: 'one' });
  const message = await subscription.next();
  const tx = connection.begin('mine');
  await tx.ack(message);
  await tx.abort();
  await message.ack({ confirm: true });
  await peer.next('settle');
  expect((await peer.next('settle')).items).toEqual(['one']);
});

test('a member that could not be sent makes commit() abort and say so, awaited or not', async () => {
  const { connection, peer } = await table();
  const failed = connection.transaction((tx) => {
    void tx.send('', 'to nowhere');
  });
  expect(await failure(failed)).toMatchObject({ code: 'missing-header' });
  await peer.next('abort');
});

test('a transaction ends once', async () => {
  const { connection } = await table();
  const tx = connection.begin();
  const first = tx.commit();
  expect(tx.ended).toBe(true);
  await Promise.all([first, tx.commit()]);
  expect(await failure(tx.abort())).toMatchObject({ code: 'unknown-transaction' });
  expect(await failure(tx.send('/q', 'x'))).toMatchObject({ code: 'unknown-transaction' });
  await connection.transaction((own) => own.abort()); // work may end it itself
});

test('T-02: an open id cannot be opened again, and may be after its end', async () => {
  const { connection } = await table();
  const tx = connection.begin('t');
  expect(() => connection.begin('t')).toThrow(/open already/);
  await tx.commit();
  await connection.begin('t').abort();
});

test('a COMMIT that is not answered is an unknown outcome', async () => {
  const { connection, peer, cut } = await table({}, { peer: { receipts: false } });
  const committing = failure(connection.begin().commit());
  await peer.next('commit');
  cut();
  const error = await committing;
  expect(error).toBeInstanceOf(ConnectionLost);
  expect(error).toMatchObject({ outcome: 'unknown' });
  expect(() => connection.begin()).toThrow(ConnectionLost);
});

test('a transaction may stream, and begin behind a stream', async () => {
  const { connection, peer } = await table();
  async function* words(): AsyncGenerator<string> {
    yield 'a';
    yield 'b';
  }
  const streamed = connection.send('/q', words());
  await connection.transaction((tx) => {
    void tx.send('/q', words());
  });
  await streamed;
  expect(peer.frames.map(({ command }) => command)).toEqual(['CONNECT', 'SEND', 'BEGIN', 'SEND', 'COMMIT']);
});
