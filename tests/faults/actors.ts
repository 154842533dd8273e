// Producers and consumers that keep books, each with a client of its own.

import type { Message } from '@stompbox/client';
import type { Books, Line, Sent } from './books.ts';
import type { Stayer } from './stayer.ts';

const WINDOW = 8; // sends of a producer under way
const MOST_AHEAD = 300; // confirmed messages that nobody has seen

export interface Actor {
  readonly name: string;
  readonly stayer: Stayer;
  readonly books: Books;
  readonly queues: readonly string[];
  readonly dice: (below: number) => number;
}

/** Sends until the signal fires; resolves when every send has its outcome. */
export async function produce({ name, stayer, books, queues, dice }: Actor, signal: AbortSignal): Promise<void> {
  const open = new Set<Promise<void>>();
  while (!signal.aborted) {
    const doing = dice(8) === 0 ? deal() : single();
    const done = doing.finally(() => open.delete(done));
    open.add(done);
    if (open.size >= WINDOW) await Promise.race(open);
    while (books.missing > MOST_AHEAD && !signal.aborted) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await Promise.all(open);

  async function single(): Promise<void> {
    const sent = books.sends(name, sizeOf(dice));
    try {
      await stayer.send(pick(), books.bodyOf(sent), headersOf(sent));
      books.confirmed(sent);
    } catch (error) {
      books.failed(error, sent);
    }
  }

  async function deal(): Promise<void> {
    const members: Sent[] = Array.from({ length: 2 + dice(4) }, () => books.sends(name, sizeOf(dice)));
    books.deal(members);
    try {
      await stayer.transaction(async ({ send }) => {
        await Promise.all(members.map((sent) => send(pick(), books.bodyOf(sent), headersOf(sent))));
      });
      books.confirmed(...members);
    } catch (error) {
      books.failed(error, ...members);
    }
  }

  function pick(): string {
    return queues[dice(queues.length)] ?? '';
  }
}

/** Acknowledges what comes; some of it so late that its connection is long gone. Answers how to wait for the last ACK. */
export function consume({ stayer, books, queues, dice }: Actor, line: () => Line): () => Promise<void> {
  const open = new Set<Promise<void>>();
  let late: [message: Message, sent: Sent, came: Line][] = [];
  const track = (doing: Promise<void>): void => {
    const done = doing.finally(() => open.delete(done));
    open.add(done);
  };
  for (const queue of queues) {
    stayer.consume(queue, 10, (message) => {
      const now = line();
      const sent = books.delivered(message, now);
      if (sent === undefined) return;
      if (dice(20) === 0 && late.length < 5) late.push([message, sent, now]);
      else track(books.acks(sent, now, message.ack({ confirm: true })));
      for (const [held, of, came] of late) {
        if (came !== now) track(books.acksLate(of, held.ack({ confirm: true })));
        else if (dice(3) === 0) track(books.acks(of, came, held.ack({ confirm: true })));
        else continue;
        late = late.filter(([one]) => one !== held);
      }
    });
  }
  return async () => {
    for (const [held, of, came] of late) if (came === line()) track(books.acks(of, came, held.ack({ confirm: true })));
    late = [];
    await Promise.all(open);
  };
}

// `persistent` is for RabbitMQ, which forgets the others when it is started again.
function headersOf({ id }: Sent): Record<string, string> {
  return { 'book-id': id, persistent: 'true' };
}

/** 64 B to 32 KiB, small ones mostly. */
function sizeOf(dice: (below: number) => number): number {
  return 64 << dice(1 + dice(10));
}
