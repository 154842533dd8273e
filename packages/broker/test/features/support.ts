// Each feature is asked of both engines: in memory, and on disk in a directory of its own. Wall time is by hand too.

import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { memoryPair } from '@stompbox/transport';
import { ManualClock, MemoryClient } from 'testkit';
import { describe, onTestFinished } from 'vitest';
import { type Broker, type BrokerOptions, createBroker, type Leftover } from '../../src/index.ts';

/** When the tests begin, in milliseconds since 1970. */
export const START = 1_700_000_000_000;

export interface Site {
  readonly clock: ManualClock;
  readonly faults: unknown[];
  broker: Broker;
  time(): number;
  client(headers?: Readonly<Record<string, string>>): Promise<MemoryClient>;
  /** Orderly. */
  stop(): Promise<Leftover>;
  /** Orderly: closed, and opened again. */
  restart(): Promise<void>;
  /** As after `kill -9`: goes on with the files as they were a moment ago. */
  crash(): Promise<void>;
}

const ENGINES = ['memory', 'LMDB'] as const;

export function onBothEngines(tests: (open: (options?: BrokerOptions) => Promise<Site>) => void): void {
  describe.each(ENGINES)('the engine: %s', (engine) => {
    tests((options = {}) => siteOf(options, engine === 'LMDB'));
  });
}

export async function onDisk(options: BrokerOptions = {}): Promise<Site> {
  return siteOf(options, true);
}

async function siteOf(options: BrokerOptions, durable: boolean): Promise<Site> {
  const root = durable ? mkdtempSync(join(tmpdir(), 'stompbox-features-')) : undefined;
  let generation = 0;
  const dir = (): string => join(root ?? '', String(generation));
  const manual = new ManualClock();
  const time = (): number => START + manual.now() - 1_000;
  const clock = { now: manual.now, schedule: manual.schedule, time };
  const faults: unknown[] = [];
  const open = (): Promise<Broker> =>
    createBroker({ clock, onFault: (error) => faults.push(error), ...options, ...(root && { data: dir() }) });
  const brokers: Broker[] = [await open()];
  const close = async (broker: Broker): Promise<Leftover> => {
    let isClosed = false;
    const closing = broker.close().finally(() => {
      isClosed = true;
    });
    while (!isClosed) await manual.advance(0);
    return closing;
  };
  onTestFinished(async () => {
    for (const broker of brokers) await close(broker);
    if (root !== undefined) rmSync(root, { recursive: true, force: true });
  });
  const site: Site = {
    clock: manual,
    faults,
    broker: brokers[0] as Broker,
    time,
    async client(headers = {}) {
      const { a, b } = memoryPair();
      site.broker.serve(b);
      const client = new MemoryClient(a);
      await client.connect(headers);
      return client;
    },
    stop: () => close(site.broker),
    async restart() {
      await close(site.broker);
      site.broker = await open();
      brokers.push(site.broker);
    },
    async crash() {
      const before = dir();
      generation++;
      cpSync(before, dir(), { recursive: true, filter: (from) => !from.includes('lock') });
      await close(site.broker);
      site.broker = await open();
      brokers.push(site.broker);
    },
  };
  return site;
}
