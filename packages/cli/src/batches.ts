// Messages of one queue, in batches that are finished before they are acknowledged: for work that must not lose any.

import { type Client, type ClientSubscription, type Message, TimeoutError } from '@stompbox/client';
import type { Command } from 'commander';
import { type ConnectionFlags, connectionOptions, countOption } from './connecting.ts';
import type { House } from './house.ts';
import { destination, duration } from './values.ts';

const BATCH = 50;
/** What is in hand is finished when nothing more comes for so long. */
const PAUSE_MS = 50;

export interface BatchFlags extends ConnectionFlags {
  readonly count?: number;
  readonly selector?: string;
  readonly timeout: number;
  readonly json?: boolean;
}

/** The options of a verb that empties a queue. */
export function batchOptions(command: Command): Command {
  command
    .option('--selector <sql>', 'only messages whose headers fulfil it')
    .option('-t, --timeout <time>', 'the queue is empty when nothing came for so long', duration, 1_000);
  return connectionOptions(countOption(command, 'no more than so many').option('--json', 'report as JSON'));
}

/** Resolves when the broker has confirmed it. Enough is under way for the next batch to come while one is finished. */
export async function subscribeForBatches(
  client: Client,
  from: string,
  { selector }: BatchFlags,
): Promise<ClientSubscription> {
  const { profile } = client;
  const isCounted = profile?.supports('prefetch') && profile.name !== 'artemis'; // Artemis counts bytes
  const subscription = client.subscribe(destination(from), {
    ack: 'client-individual',
    prefetch: isCounted ? 2 * BATCH : undefined,
    selector,
  });
  await subscription.ready;
  return subscription;
}

/**
 * Hands batches to `finish`, in order, until the queue is empty or `count` is reached. A batch under way is finished before a
 * signal ends it. Rejects with what `finish` throws, with Interrupted or NobodyReads, and with what ended the client.
 */
export async function inBatches(
  subscription: ClientSubscription,
  { count = Number.POSITIVE_INFINITY, timeout: idleMs }: BatchFlags,
  { stop }: House,
  finish: (batch: readonly Message[]) => Promise<void>,
): Promise<void> {
  let taken = 0;
  let batch: Message[] = [];
  const settle = async (): Promise<void> => {
    const whole = batch;
    batch = [];
    if (whole.length > 0) await finish(whole);
  };
  while (taken < count) {
    try {
      const timeoutMs = batch.length > 0 ? Math.min(PAUSE_MS, idleMs) : idleMs;
      batch.push(await subscription.next({ timeoutMs, signal: stop }));
      taken++;
    } catch (error) {
      if (!(error instanceof TimeoutError) && !stop.aborted) throw error;
      if (stop.aborted) {
        await settle();
        throw error;
      }
      if (batch.length === 0) return;
      await settle();
    }
    if (batch.length >= BATCH) await settle();
  }
  await settle();
}
