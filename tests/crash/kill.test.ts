// `kill -9` at random moments, and the clients' books against what the broker then says (design.md, section 3).

import { connect } from '@stompbox/client';
import { expect, test } from 'vitest';
import {
  type Actor,
  type Consume,
  consumeAtMostOnce,
  consumeEach,
  consumeMany,
  drain,
  produce,
  work,
} from './actors.ts';
import { AT_MOST_ONCE, Books } from './books.ts';
import { type BrokerProcess, brokers, type Dice, folder, heldBy, opened, random } from './process.ts';

const KILLS = Number(process.env.STOMPBOX_CRASHES ?? 5);
const SEED = Number(process.env.STOMPBOX_SEED ?? Date.now() % 1e6);
const PRODUCERS = 4;
const MOST_EVENTS = 6_000; // in one life
const LIMITS = { windowBytes: 65_536 }; // queues reach the disk and come back

const CONSUMERS: readonly (readonly [queue: string, consume: Consume])[] = [
  ['alone', consumeEach],
  ['shared', consumeEach],
  ['shared', consumeEach],
  ['many', consumeMany],
  ['worked', work],
  ['made', consumeEach],
  ['slow', consumeEach],
  [AT_MOST_ONCE, consumeAtMostOnce],
];

const { start, startAndKill } = brokers();

test(
  `nothing confirmed is lost, repeated or halved by kill -9 (${KILLS} kills, STOMPBOX_SEED=${SEED})`,
  async ({ onTestFinished }) => {
    const dir = folder(onTestFinished);
    const dice = random(SEED);
    const books = new Books();
    let stops = 0;
    for (let kills = 0; kills < KILLS && books.problems.length === 0; ) {
      books.life++;
      books.stopping = false;
      if (dice(6) === 0) {
        await startAndKill(dir, dice(250)); // before it listens, or just after
        kills++;
        continue;
      }
      const broker = opened(await start(dir, { limits: LIMITS }));
      books.compare(await broker.inspect());
      const actors = await cast(broker, books, dice);
      await books.events(1 + dice(dice(3) === 0 ? 50 : MOST_EVENTS));
      if (dice(6) === 0) {
        books.stopping = true;
        stops++;
        await broker.stop();
      } else {
        await broker.kill();
        kills++;
      }
      await Promise.all(actors);
      expect(broker.errors).toBe('');
    }

    books.life++;
    books.stopping = false;
    const broker = opened(await start(dir, { limits: LIMITS }));
    const view = await broker.inspect();
    books.compare(view);
    for (const { name, waiting } of view.queues) {
      const connection = await connect(broker.url);
      await drain({ name: 'drain', connection, books, dice }, name, waiting).catch((error) =>
        books.problem(`${name}: ${error}`),
      );
      await connection.close();
    }
    expect(heldBy(await broker.inspect())).toBe(0);
    const figures = books.close();
    await broker.kill();
    expect(books.problems).toEqual([]);
    expect(figures.confirmed).toBeGreaterThan(KILLS);
    if (process.env.STOMPBOX_CRASHES !== undefined)
      process.stdout.write(`${JSON.stringify({ kills: KILLS, stops, ...figures })}\n`);
  },
  60_000 + KILLS * 10_000,
);

/** Everybody enters, and leaves when the broker does. */
async function cast(broker: BrokerProcess, books: Books, dice: Dice): Promise<Promise<void>[]> {
  const enter = async (name: string): Promise<Actor> => ({
    name,
    books,
    dice: random(dice(1e9)),
    connection: await connect(broker.url),
  });
  const acting: Promise<void>[] = [];
  for (const [i, [queue, consume]] of CONSUMERS.entries()) {
    if (queue === 'slow' && dice(3) > 0) continue; // nobody comes for it, mostly
    acting.push(consume(await enter(`consumer-${i}`), queue, 1 + dice(100)));
  }
  for (let i = 0; i < PRODUCERS; i++) acting.push(produce(await enter(`producer-${i}`)));
  return acting;
}
