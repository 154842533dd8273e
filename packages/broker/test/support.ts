// What the broker's tests share: a broker in memory, time by hand, and clients that
// leave with the test.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Version } from '@stompbox/protocol';
import { type MemoryOptions, memoryPair } from '@stompbox/transport';
import { ManualClock, MemoryClient } from 'testkit';
import { onTestFinished } from 'vitest';
import { type Broker, type BrokerOptions, createBroker } from '../src/index.ts';

export const VERSIONS: readonly Version[] = ['1.0', '1.1', '1.2'];
export const ACKED = ['client', 'client-individual'] as const;

export interface Place {
  readonly broker: Broker;
  readonly clock: ManualClock;
  /** What the broker said had gone wrong inside it. */
  readonly faults: unknown[];
  /** A client that nobody has let in yet. */
  dial(version?: Version, options?: MemoryOptions): MemoryClient;
  /** A client that has been let in. */
  client(version?: Version, headers?: Readonly<Record<string, string>>, options?: MemoryOptions): Promise<MemoryClient>;
}

/** A broker in memory, closed with the test. */
export async function place(options: BrokerOptions = {}): Promise<Place> {
  const clock = new ManualClock();
  const faults: unknown[] = [];
  const broker = await createBroker({ clock, onFault: (error) => faults.push(error), ...options });
  onTestFinished(async () => {
    const closing = broker.close({ timeoutMs: 0 });
    await clock.advance(0);
    await closing;
  });
  const dial = (version: Version = '1.2', memory: MemoryOptions = {}) => {
    const { a, b } = memoryPair(memory);
    broker.serve(b);
    return new MemoryClient(a, version);
  };
  return {
    broker,
    clock,
    faults,
    dial,
    async client(version = '1.2', headers = {}, memory = {}) {
      const client = dial(version, memory);
      await client.connect(headers);
      return client;
    },
  };
}

/** The books of a queue; undefined where there is no such queue. */
export function books(
  broker: Broker,
  name: string,
): { waiting: number; unsettled: number; consumers: number } | undefined {
  const view = broker.inspect.queues().find((queue) => queue.name === name);
  return view && { waiting: view.waiting, unsettled: view.unsettled, consumers: view.consumers };
}

/** A directory that goes with the test. */
export function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'stompbox-'));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}
