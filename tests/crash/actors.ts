// Clients that keep books: producers and consumers of one connection each, until it is lost.

import { type Connection, ConnectionLost, type Message, type Subscription, type Transaction } from '@stompbox/client';
import { AT_MOST_ONCE, type Books, type Deal, type Sent } from './books.ts';
import type { Dice } from './process.ts';

export const QUEUES = ['alone', 'shared', 'many', 'worked', 'slow', AT_MOST_ONCE] as const;
const ACKNOWLEDGED = QUEUES.filter((queue) => queue !== AT_MOST_ONCE);
const WINDOW = 8; // SENDs of a producer that wait for their RECEIPT

export interface Actor {
  readonly name: string;
  readonly connection: Connection;
  readonly books: Books;
  readonly dice: Dice;
}

/** Sends until the connection is lost. */
export async function produce({ name, connection, books, dice }: Actor): Promise<void> {
  const open = new Set<Promise<void>>();
  while (connection.isOpen) {
    const kind = dice(10);
    if (kind < 7) {
      const sent = books.sends(name, pick(QUEUES, dice), sizeOf(dice));
      const sending = send(connection, books, sent).finally(() => open.delete(sending));
      open.add(sending);
      if (open.size >= WINDOW) await Promise.race(open);
    } else {
      const deal = books.deal();
      const transaction = connection.begin();
      const members: Promise<void>[] = [];
      for (let n = 2 + dice(5); n > 0; n--) {
        const sent = books.sends(name, pick(ACKNOWLEDGED, dice), sizeOf(dice));
        deal.sends.push(sent);
        members.push(transaction.send(`/queue/${sent.queue}`, books.bodyOf(sent), { headers: { 'book-id': sent.id } }));
      }
      await end(books, deal, transaction, members, kind === 9);
    }
  }
  await Promise.all(open);
}

async function send(connection: Connection, books: Books, sent: Sent): Promise<void> {
  try {
    await connection.send(`/queue/${sent.queue}`, books.bodyOf(sent), { headers: { 'book-id': sent.id } });
    sent.fate = 'confirmed';
    books.happened();
  } catch (error) {
    sent.fate = lostOutcome(books, error);
  }
}

// Whoever aborts does not care whether the ABORT arrived: without a COMMIT nothing happens.
async function end(
  books: Books,
  deal: Deal,
  transaction: Transaction,
  members: Promise<void>[],
  abort: boolean,
): Promise<void> {
  const failed = (await Promise.allSettled(members)).some(({ status }) => status === 'rejected');
  try {
    if (abort) {
      books.ends(deal, 'never');
      await transaction.abort();
    } else {
      await transaction.commit();
      books.ends(deal, 'confirmed');
    }
  } catch (error) {
    const outcome = lostOutcome(books, error);
    if (!abort) books.ends(deal, failed ? 'never' : outcome);
  }
}

export type Consume = (actor: Actor, queue: string, prefetch: number) => Promise<void>;

/** Acknowledges one by one, some late, gives some back, and leaves some to the crash. */
export const consumeEach: Consume = async ({ name, connection, books, dice }, queue, prefetch) => {
  const subscription = connection.subscribe(`/queue/${queue}`, { ack: 'client-individual', prefetch });
  const late: [message: Message, sent: Sent][] = [];
  const open: Promise<void>[] = [];
  const ack = (message: Message, sent: Sent) => open.push(settle(books, [sent], message.ack({ confirm: true })));
  await eachOf(books, subscription, name, (message, sent) => {
    const kind = dice(20);
    if (kind === 0) {
      sent.nacked = true;
      open.push(message.nack({ confirm: true }).catch((error) => void lostOutcome(books, error)));
    } else if (kind < 4 && late.length < prefetch / 2) late.push([message, sent]);
    else ack(message, sent);
    const one = kind === 19 ? late.shift() : undefined;
    if (one !== undefined) ack(...one);
  });
  await Promise.all(open);
};

/** Acknowledges several with one ACK. */
export const consumeMany: Consume = async ({ name, connection, books, dice }, queue, prefetch) => {
  const subscription = connection.subscribe(`/queue/${queue}`, { ack: 'client', prefetch });
  let covered: Sent[] = [];
  const open: Promise<void>[] = [];
  await eachOf(books, subscription, name, (message, sent) => {
    covered.push(sent);
    if (covered.length < prefetch && dice(8) > 0) return;
    open.push(settle(books, covered, message.ack({ confirm: true })));
    covered = [];
  });
  await Promise.all(open);
};

/** What is delivered is gone. */
export const consumeAtMostOnce: Consume = async ({ name, connection, books }, queue, prefetch) => {
  await eachOf(books, connection.subscribe(`/queue/${queue}`, { prefetch }), name, () => {});
};

/** Acknowledges what it got and sends what it made of it, in one transaction. */
export const work: Consume = async ({ name, connection, books, dice }, queue, prefetch) => {
  const subscription = connection.subscribe(`/queue/${queue}`, { ack: 'client-individual', prefetch });
  let taken: [message: Message, sent: Sent][] = [];
  await eachOf(books, subscription, name, async (message, sent) => {
    taken.push([message, sent]);
    if (taken.length < prefetch && dice(3) > 0) return;
    const deal = books.deal();
    const transaction = connection.begin();
    const members: Promise<void>[] = [];
    for (const [one, from] of taken) {
      const made = books.sends(`made-by-${name}`, 'made', from.size);
      deal.sends.push(made);
      deal.acks.push(from);
      books.settles(from);
      members.push(transaction.ack(one));
      members.push(transaction.send('/queue/made', books.bodyOf(made), { headers: { 'book-id': made.id } }));
    }
    const aborts = dice(4) === 0;
    await end(books, deal, transaction, members, aborts);
    // After an ABORT they wait for their ACK again (T-08).
    if (aborts) await Promise.all(taken.map(([one, from]) => settle(books, [from], one.ack({ confirm: true }))));
    taken = [];
  });
};

/** Takes `count` messages out of a queue; rejects when they do not come. */
export async function drain({ name, connection, books }: Actor, queue: string, count: number): Promise<void> {
  const subscription = connection.subscribe(`/queue/${queue}`, { ack: 'client-individual', prefetch: 100 });
  const open: Promise<void>[] = [];
  for (let n = 0; n < count; n++) {
    const message = await subscription.next({ timeoutMs: 10_000 });
    const sent = books.delivered(message, name);
    if (sent !== undefined) open.push(settle(books, [sent], message.ack({ confirm: true })));
  }
  await Promise.all(open);
}

async function eachOf(
  books: Books,
  subscription: Subscription,
  reader: string,
  take: (message: Message, sent: Sent) => unknown,
): Promise<void> {
  try {
    for await (const message of subscription) {
      const sent = books.delivered(message, `${reader} in ${books.life}`);
      if (sent !== undefined) await take(message, sent);
    }
  } catch (error) {
    lostOutcome(books, error);
  }
}

async function settle(books: Books, covered: readonly Sent[], confirmed: Promise<void>): Promise<void> {
  for (const sent of covered) books.settles(sent);
  try {
    await confirmed;
    for (const sent of covered) books.settled(sent);
  } catch (error) {
    if (lostOutcome(books, error) === 'never') for (const sent of covered) sent.settled = 'no';
  }
}

/** What became of a frame whose connection was lost; any other failure is a problem. */
function lostOutcome(books: Books, error: unknown): 'never' | 'unknown' {
  if (error instanceof ConnectionLost && (error.code !== 'refused' || books.stopping))
    return error.outcome === 'unsent' ? 'never' : 'unknown';
  if (!books.stopping) books.problem(`${error}`);
  return 'unknown';
}

function pick<T>(from: readonly T[], dice: Dice): T {
  return from[dice(from.length)] as T;
}

/** 128 B to 64 KiB, small ones mostly. */
function sizeOf(dice: Dice): number {
  return 128 << dice(1 + dice(10));
}
