// What every verb that reads messages has in common: the end of the work, by count, by silence or from outside, and the
// account of connections that come and go.

import { type Client, type ClientSubscription, ConnectionLost, type Message, TimeoutError } from '@stompbox/client';
import type { House } from './house.ts';
import { Interrupted } from './interrupt.ts';

export interface ReadLimits {
  /** So many messages, and it is done. */
  readonly count?: number | undefined;
  /** Nothing came for so long, in milliseconds, and it ends. */
  readonly idleMs?: number | undefined;
}

export type Ending =
  | 'count' // all that were wanted
  | 'idle' // nothing came for too long
  | 'taken'; // `take` answered that there is no more

class Over extends Error {
  readonly ending: Ending;
  constructor(ending: Ending) {
    super(ending);
    this.ending = ending;
  }
}

/**
 * Hands messages of all subscriptions to `take`, one at a time for each, until a limit is reached or `take` answers `'end'`.
 * A message beyond the limit is not given. Rejects with what `take` throws, with Interrupted or NobodyReads, and with what
 * ended the client.
 */
export async function readMessages(
  subscriptions: readonly ClientSubscription[],
  { count = Number.POSITIVE_INFINITY, idleMs }: ReadLimits,
  house: House,
  take: (message: Message) => Promise<'end' | undefined>,
): Promise<{ readonly ending: Ending; readonly taken: number }> {
  const over = new AbortController();
  const signal = AbortSignal.any([house.stop, over.signal]);
  let given = 0;
  let taken = 0;
  let stopIdle: (() => void) | undefined;
  const heard = (): void => {
    stopIdle?.();
    if (idleMs === undefined) return;
    stopIdle = house.world.clock.schedule(idleMs, () => over.abort(new Over('idle')), true);
  };

  const read = async (subscription: ClientSubscription): Promise<void> => {
    for (;;) {
      const message = await subscription.next({ timeoutMs: 0, signal });
      if (given >= count) return;
      given++;
      stopIdle?.();
      const verdict = await take(message);
      if (verdict === 'end') return over.abort(new Over('taken'));
      taken++;
      if (taken >= count) return over.abort(new Over('count'));
      heard();
    }
  };

  heard();
  const readers = subscriptions.map((subscription) =>
    read(subscription).catch((error: unknown) => {
      over.abort(error); // the others end with it; the first reason counts
    }),
  );
  try {
    await Promise.all(readers);
  } finally {
    stopIdle?.();
    await leave(subscriptions);
  }
  const { reason } = over.signal;
  if (reason instanceof Over) return { ending: reason.ending, taken };
  throw reason;
}

/** What was not settled goes back to the broker. */
export async function leave(subscriptions: readonly ClientSubscription[]): Promise<void> {
  const left = await Promise.allSettled(subscriptions.map((subscription) => subscription.unsubscribe()));
  for (const one of left) {
    const isGone =
      one.status === 'rejected' && (one.reason instanceof ConnectionLost || one.reason instanceof TimeoutError);
    if (one.status === 'rejected' && !isGone) throw one.reason;
  }
}

/** Settles what has been done. Where its connection has gone, says that it comes again. */
export async function acknowledge(message: Message, house: House): Promise<void> {
  if (!message.ackable) return;
  try {
    await message.ack();
  } catch (error) {
    if (!(error instanceof ConnectionLost)) throw error;
    house.out.warn(`the connection of message ${message.id} has gone before its ACK: it comes again`);
  }
}

/** For a verb that only ever ends by being told to: that is no failure of it. */
export function unlessTold(error: unknown): undefined {
  if (error instanceof Interrupted) return undefined;
  throw error;
}

/** Says when the connection goes and when it is back. Ends with the client. */
export async function narrate(client: Client, house: House): Promise<void> {
  for await (const status of client.status()) {
    if (status.type === 'disconnected' && status.error !== undefined) {
      house.out.warn(`${status.error.message}; connecting again`);
    } else if (status.type === 'connected' && status.again) house.out.warn(`connected again to ${status.endpoint}`);
  }
}
