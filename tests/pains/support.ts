// A broker and its clients in one process, without a socket; each connection can be cut.

import { type Broker, type BrokerOptions, createBroker } from '@stompbox/broker';
import { Client, type ClientOptions } from '@stompbox/client';
import { type Channel, memoryPair } from '@stompbox/transport';
import { onTestFinished } from 'vitest';

export interface Backstage {
  readonly broker: Broker;
  /** A client of it, closed when the test is over. */
  client(options?: ClientOptions): Client;
  /** Every connection there is: broken, or gone without a word. */
  cut(how?: 'reset' | 'silent'): void;
  /** How many connections were made. */
  readonly dialled: number;
}

export async function backstage(options: BrokerOptions = {}): Promise<Backstage> {
  const broker = await createBroker(options);
  const clients: Client[] = [];
  const cuts: ((how?: 'reset' | 'silent') => void)[] = [];
  let dialled = 0;
  onTestFinished(async () => {
    await Promise.all(clients.map((client) => client.close({ drain: false })));
    await broker.close({ timeoutMs: 0 });
  });
  const dial = async (): Promise<Channel> => {
    dialled++;
    const pair = memoryPair();
    cuts.push((how) => pair.cut(how));
    broker.serve(pair.b);
    return pair.a;
  };
  return {
    broker,
    client: (more = {}) => {
      const client = new Client('stomp://in.memory', { dial, ...more, reconnect: { initialMs: 1, ...more.reconnect } });
      clients.push(client);
      return client;
    },
    cut: (how) => {
      for (const cut of cuts.splice(0)) cut(how);
    },
    get dialled() {
      return dialled;
    },
  };
}

/** The next `count` texts. */
export async function texts(
  subscription: { next(options: { timeoutMs: number }): Promise<{ text(): string }> },
  count: number,
): Promise<string[]> {
  const got: string[] = [];
  while (got.length < count) got.push((await subscription.next({ timeoutMs: 10_000 })).text());
  return got;
}
