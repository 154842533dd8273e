// What the broker counts while it works, and the snapshot for `/metrics` that is made of it. On the hot path plain
// integers; everything else is counted when it is asked for.

import { statfsSync } from 'node:fs';
import type { ServerEvent } from '@stompbox/protocol';
import type { Channel } from '@stompbox/transport';
import type { EngineCounts } from './engine/embedded/books.ts';
import type { Inspection } from './engine/engine.ts';
import { type BrokerLimits, LIMITS, type LimitName } from './limits.ts';
import type { MetricsSnapshot } from './metrics.ts';
import { isTemporary } from './temporary.ts';

/** What a broker counts. */
export type Counted =
  | 'received'
  | 'delivered'
  | 'redelivered'
  | 'acked'
  | 'nacked'
  | 'returned'
  | 'droppedReplies'
  | 'bytesReceived'
  | 'bytesSent';

/** Frames by what they do. */
export type FrameKind =
  | Exclude<ServerEvent<unknown>['type'], 'settle' | 'forget' | 'heart-beat' | 'fault'>
  | 'ack'
  | 'nack';

/** What a connection holds now. */
export interface Holdings {
  readonly queueSubscriptions: number;
  readonly topicSubscriptions: number;
  readonly transactions: number;
  readonly unsettled: number;
  readonly isSlowed: boolean;
}

/** What the snapshot needs besides what was counted. */
interface Present {
  readonly version: string;
  readonly engine: string;
  readonly uptimeMs: number;
  readonly peers: Iterable<{ readonly channel: Channel; readonly holdings: Holdings }>;
  readonly limits: BrokerLimits;
  readonly inspect: Inspection;
  readonly engineCounts?: EngineCounts;
  readonly memoryBytes?: number;
  readonly store?: { readonly size: number; readonly dir: string };
}

export class Tally {
  readonly counts: Record<Counted, number> = {
    received: 0,
    delivered: 0,
    redelivered: 0,
    acked: 0,
    nacked: 0,
    returned: 0,
    droppedReplies: 0,
    bytesReceived: 0,
    bytesSent: 0,
  };
  readonly frames: Record<FrameKind, number> = {
    connect: 0,
    send: 0,
    ack: 0,
    nack: 0,
    subscribe: 0,
    unsubscribe: 0,
    begin: 0,
    commit: 0,
    abort: 0,
    disconnect: 0,
  };
  readonly logins = { accepted: 0, refused: 0, failed: 0 };
  errors = 0;
  readonly #opened = new Map<string, number>();
  readonly #turnedAway = { maxConnections: 0, maxConnectionsPerAddress: 0 };
  readonly #errorsByCode = new Map<string, number>();
  readonly #reached = new Map<LimitName, number>();

  opened(transport: string): void {
    increment(this.#opened, transport);
  }

  /** `told`: with an ERROR. */
  turnedAway(limit: 'maxConnections' | 'maxConnectionsPerAddress', told: boolean): void {
    this.#turnedAway[limit]++;
    if (told) this.refused('limit', limit);
    else this.reached(limit);
  }

  refused(code: string, limit: LimitName | undefined): void {
    this.errors++;
    increment(this.#errorsByCode, code);
    if (limit !== undefined) this.reached(limit);
  }

  reached(limit: LimitName): void {
    increment(this.#reached, limit);
  }

  snapshot({
    version,
    engine,
    uptimeMs,
    limits,
    inspect,
    engineCounts,
    memoryBytes,
    store,
    ...now
  }: Present): MetricsSnapshot {
    const { counts } = this;
    const open = new Map<string, number>();
    const sums = { queue: 0, topic: 0, transactions: 0, unsettled: 0, slowed: 0 };
    for (const peer of now.peers) {
      increment(open, peer.channel.peer.transport);
      const { queueSubscriptions, topicSubscriptions, transactions, unsettled, isSlowed } = peer.holdings;
      sums.queue += queueSubscriptions;
      sums.topic += topicSubscriptions;
      sums.transactions += transactions;
      sums.unsettled += unsettled;
      if (isSlowed) sums.slowed++;
    }
    const queues = inspect.queues();
    const named = queues.filter(({ name }) => !isTemporary(name)); // the others come and go with their connections
    const names = Object.keys(LIMITS) as LimitName[];
    return {
      stompbox_info: [{ labels: { version, engine }, value: 1 }],
      stompbox_uptime_seconds: uptimeMs / 1_000,
      stompbox_connections: samples('transport', open),
      stompbox_connections_opened_total: samples('transport', this.#opened),
      stompbox_connections_refused_total: samples('limit', Object.entries(this.#turnedAway)),
      stompbox_logins_total: samples('outcome', Object.entries(this.logins)),
      stompbox_errors_total: samples('code', this.#errorsByCode),
      stompbox_frames_received_total: samples(
        'command',
        Object.entries({ ...this.frames, send: counts.received }).map(([kind, n]) => [kind.toUpperCase(), n]),
      ),
      stompbox_bytes_received_total: counts.bytesReceived,
      stompbox_bytes_sent_total: counts.bytesSent,
      stompbox_messages_received_total: counts.received,
      stompbox_messages_delivered_total: counts.delivered,
      stompbox_messages_redelivered_total: counts.redelivered,
      stompbox_messages_acked_total: counts.acked,
      stompbox_messages_nacked_total: counts.nacked,
      stompbox_messages_returned_total: counts.returned,
      stompbox_messages_scheduled: inspect.scheduled,
      stompbox_messages_dropped_total: samples('reason', [
        ['no-reply-queue', counts.droppedReplies],
        ...(engineCounts ? [['queue-full', engineCounts.droppedOldest] as const] : []),
        ...(engineCounts ? [['dead-letters-full', engineCounts.droppedDead] as const] : []),
      ]),
      ...(engineCounts && {
        stompbox_messages_expired_total: engineCounts.expired,
        stompbox_messages_dead_total: samples('reason', Object.entries(engineCounts.dead)),
        stompbox_messages_duplicate_total: engineCounts.duplicates,
        stompbox_store_commits_total: engineCounts.commits,
        stompbox_store_commit_seconds_total: engineCounts.commitMs / 1_000,
        stompbox_store_failures_total: engineCounts.commitFailures,
      }),
      stompbox_subscriptions: samples('kind', [
        ['queue', sums.queue],
        ['topic', sums.topic],
        ['durable', inspect.durables().length],
      ]),
      stompbox_transactions: sums.transactions,
      stompbox_producers_waiting: sums.slowed,
      stompbox_unsettled: sums.unsettled,
      stompbox_queues: queues.length,
      stompbox_queue_messages: named.flatMap(({ name: queue, waiting, unsettled }) => [
        { labels: { queue, state: 'waiting' }, value: waiting },
        { labels: { queue, state: 'unsettled' }, value: unsettled },
      ]),
      stompbox_queue_bytes: named.map(({ name: queue, bytes: value }) => ({ labels: { queue }, value })),
      stompbox_queue_consumers: named.map(({ name: queue, consumers: value }) => ({ labels: { queue }, value })),
      stompbox_message_bytes: inspect.bytes,
      ...(memoryBytes !== undefined && { stompbox_memory_bytes: memoryBytes }),
      ...(store && { stompbox_store_bytes: store.size, ...freeBytes(store.dir) }),
      stompbox_limit: names.map((limit) => ({ labels: { limit }, value: limits[limit] })),
      stompbox_limit_reached_total: names.map((limit) => ({ labels: { limit }, value: this.#reached.get(limit) ?? 0 })),
    };
  }
}

function freeBytes(dir: string): Pick<MetricsSnapshot, 'stompbox_store_free_bytes'> {
  try {
    const { bavail, bsize } = statfsSync(dir);
    return { stompbox_store_free_bytes: bavail * bsize };
  } catch {
    return {}; // what is not there is not told
  }
}

function increment<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function samples<L extends string>(
  label: L,
  counts: Iterable<readonly [name: string, n: number]>,
): readonly { labels: Record<L, string>; value: number }[] {
  return [...counts].map(([name, value]) => ({ labels: { [label]: name } as Record<L, string>, value }));
}
