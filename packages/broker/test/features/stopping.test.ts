// Who leaves with work in flight: what was not settled comes again, once, in its order, marked (promises 2 and 4). In an
// orderly stop all leave, so nobody is given anything any more.

import { type MemoryClient, quiet } from 'testkit';
import { describe, expect, test } from 'vitest';
import { EmbeddedEngine } from '../../src/engine/embedded/embedded.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { resolveLimits } from '../../src/limits.ts';
import { memoryStore } from '../../src/store/memory.ts';
import { place } from '../support.ts';
import { onBothEngines, onDisk, type Site, START } from './support.ts';

const QUEUE = '/queue/q';
const LETTERS = ['a', 'b', 'c', 'd', 'e', 'f'];

/** Two clients at a queue with six messages, in their turn. */
async function twoAt(at: Site, headers: Readonly<Record<string, string>> = {}): Promise<[MemoryClient, MemoryClient]> {
  const [one, two] = [await at.client(), await at.client()];
  for (const client of [one, two]) await client.subscribe('1', QUEUE, 'client-individual', headers);
  const producer = await at.client();
  for (const letter of LETTERS) await producer.send(QUEUE, letter);
  return [one, two];
}

/** What a client has got and nobody has asked for: bodies, and other commands. */
const heard = ({ frames }: MemoryClient): string[] =>
  frames.map((frame) => (frame.command === 'MESSAGE' ? frame.text() : frame.command));

const ROOM_FOR_ALL = { 'prefetch-count': '100' };

onBothEngines((open) => {
  describe('an orderly stop', () => {
    test('gives what one consumer had to no other that is still there', async () => {
      const at = await open();
      const [one, two] = await twoAt(at, ROOM_FOR_ALL);
      expect(await at.stop()).toEqual({ cut: 0, unsettled: 6, unflushed: 0 });
      expect([heard(one), heard(two)]).toEqual([
        ['a', 'c', 'e', 'ERROR'],
        ['b', 'd', 'f', 'ERROR'],
      ]);
      expect(at.faults).toEqual([]);
    });

    test('gives what only an exclusive consumer could have to none behind it', async () => {
      const at = await open();
      const [one, two] = await twoAt(at, { 'prefetch-count': '2', exclusive: 'true' });
      expect(await at.stop()).toMatchObject({ unsettled: 2 });
      expect([heard(one), heard(two)]).toEqual([['a', 'b', 'ERROR'], ['ERROR']]);
    });
  });

  test('an exclusive consumer that is lost leaves all that it had to the next one, before what comes behind', async () => {
    const at = await open();
    const [one, two] = await twoAt(at, { 'prefetch-count': '3', exclusive: 'true' });
    await one.take(3);
    one.channel.destroy();
    const again = await two.take(3);
    expect(again.map((message) => [message.text(), message.get('redelivered')])).toEqual([
      ['a', 'true'],
      ['b', 'true'],
      ['c', 'true'],
    ]);
    for (const message of again) two.settle('ACK', message);
    expect(await two.bodies(3)).toEqual(['d', 'e', 'f']);
  });

  test('and so with the groups of a consumer', async () => {
    const at = await open();
    const [one, two] = [await at.client(), await at.client()];
    for (const client of [one, two]) await client.subscribe('1', QUEUE, 'client-individual', { 'prefetch-count': '2' });
    const producer = await at.client();
    for (const letter of LETTERS) await producer.send(QUEUE, letter, { JMSXGroupID: 'g' });
    expect(await one.bodies(2)).toEqual(['a', 'b']);
    one.channel.destroy();
    const again = await two.take(2);
    expect(again.map((message) => message.text())).toEqual(['a', 'b']);
  });
});

test('after an orderly stop, what was delivered comes in its order, counted and marked once; what was not, unmarked', async () => {
  const at = await onDisk();
  const [one] = await twoAt(at, ROOM_FOR_ALL);
  const [, c] = await one.take(2);
  if (c) await one.ask('ACK', { id: c.get('ack') ?? '' });
  await one.send('/queue/nobody', 'x');
  await at.restart();
  const after = await at.client();
  const about = async (n: number): Promise<unknown[]> =>
    (await after.take(n)).map((m) => [m.text(), m.get('redelivered'), m.get('delivery-count')]);
  await after.subscribe('1', QUEUE, 'client-individual', ROOM_FOR_ALL);
  expect(await about(5)).toEqual(['a', 'b', 'd', 'e', 'f'].map((letter) => [letter, 'true', '2']));
  await after.subscribe('2', '/queue/nobody', 'client-individual');
  expect(await about(1)).toEqual([['x', undefined, undefined]]);
  expect(at.faults).toEqual([]);
});

test('a SUBSCRIBE that is under way when the broker stops is answered, and given nothing', async () => {
  const inner = new EmbeddedEngine({ ...resolveLimits(), schedule: () => () => {}, time: () => START }, memoryStore());
  let letGo = (): void => {};
  const engine: Engine = {
    commit: (work) => inner.commit(work),
    open: (subscription) =>
      new Promise((resolve) => {
        letGo = () => resolve(inner.open(subscription));
      }),
    discard: (queue) => inner.discard(queue),
    inspect: inner.inspect,
    guarantees: inner.guarantees,
    close: () => inner.close(),
  };
  const at = await place({ engine });
  const client = await at.client();
  await client.send(QUEUE, 'a');
  client.say('SUBSCRIBE', { id: '1', destination: QUEUE, receipt: 'there' });
  await quiet();
  const closing = at.broker.close();
  await quiet();
  letGo();
  expect(await closing).toEqual({ cut: 0, unsettled: 0, unflushed: 0 });
  expect(heard(client)).toEqual(['RECEIPT', 'ERROR']);
});
