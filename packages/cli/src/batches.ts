// Messages of one queue, in batches that are finished before they are acknowledged: for work that must not lose any.

import { type Client, type ClientSubscription, type Message, TimeoutError } from '@stompbox/client';
import type { House } from './house.ts';

const BATCH = 50;
/** What is in hand is finished when nothing more comes for so long. */
const PAUSE_MS = 50;

export interface BatchOptions {
  readonly count?: number | undefined;
  /** The queue is empty when nothing came for so long, in milliseconds. */
  readonly idleMs: number;
}

/** Enough for the next batch to come while one is finished; where the broker counts messages. */
export function batchPrefetch({ profile }: Client): number | undefined {
  return profile?.supports('prefetch') && profile.name !== 'artemis' ? 2 * BATCH : undefined;
}

/**
 * Hands batches to `finish`, in order, until the queue is empty or `count` is reached. A batch under way is finished before a
 * signal ends it. Rejects with what `finish` throws, with Interrupted or NobodyReads, and with what ended the client.
 */
export async function inBatches(
  subscription: ClientSubscription,
  { count = Number.POSITIVE_INFINITY, idleMs }: BatchOptions,
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
