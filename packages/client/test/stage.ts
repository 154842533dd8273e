// A client, and the broker's end of each connection it makes, in memory, on a clock by hand.

import { Client, type ClientOptions, type Status, type Where } from '@stompbox/client';
import { type Endpoint, formatEndpoint, type MemoryPair, memoryPair, TransportError } from '@stompbox/transport';
import { ManualClock, ScriptedPeer, type ScriptedPeerOptions, settled } from 'testkit';
import { onTestFinished } from 'vitest';

export { failure } from './support.ts';

/** One connection the client has made, or tries to. */
export interface Scene {
  readonly endpoint: string;
  readonly peer: ScriptedPeer;
  cut(how?: 'reset' | 'silent'): void;
}

export interface Stage {
  readonly clock: ManualClock;
  readonly client: Client;
  /** What `onError` heard. */
  readonly errors: unknown[];
  /** What `status()` said, so far. */
  readonly statuses: Status[];
  /** Endpoints dialled, in order. */
  readonly dialled: string[];
  /** The next connection, which the peer has not let in yet. */
  scene(): Promise<Scene>;
  /** The next connection, let in. */
  enter(connected?: string): Promise<Scene>;
  /** So many dials from now on find nobody. */
  deaf(dials: number): void;
  types(): string[];
}

export function stage(
  options: ClientOptions = {},
  more: { where?: Where; peer?: ScriptedPeerOptions; make?: (where: Where, options: ClientOptions) => Client } = {},
): Stage {
  const clock = new ManualClock();
  const errors: unknown[] = [];
  const statuses: Status[] = [];
  const dialled: string[] = [];
  const scenes: Scene[] = [];
  let deafDials = 0;
  let wake = (): void => {};
  const dial = async (endpoint: Endpoint) => {
    dialled.push(formatEndpoint(endpoint));
    if (deafDials > 0) {
      deafDials--;
      throw new TransportError('refused', `${formatEndpoint(endpoint)}: nobody listens`);
    }
    const pair: MemoryPair = memoryPair();
    const peer = new ScriptedPeer(pair.b, clock, { heartBeat: { send: 0, expect: 0 }, ...more.peer });
    scenes.push({ endpoint: formatEndpoint(endpoint), peer, cut: (how) => pair.cut(how) });
    wake();
    return pair.a;
  };
  const { where = 'stomp://broker.example', make = (at, with_) => new Client(at, with_) } = more;
  const client = make(where, {
    clock,
    dial,
    probeMs: 0,
    onError: (error) => errors.push(error),
    ...options,
    reconnect: { jitter: 'none', ...options.reconnect },
  });
  void (async () => {
    for await (const status of client.status()) statuses.push(status);
  })();
  onTestFinished(async () => {
    const closing = client.close({ drain: false });
    await clock.advance(60_000);
    await closing;
  });
  const scene = async (): Promise<Scene> => {
    while (scenes.length === 0) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    return scenes.shift() as Scene;
  };
  return {
    clock,
    client,
    errors,
    statuses,
    dialled,
    scene,
    enter: async (connected) => {
      const next = await scene();
      await next.peer.accept(connected);
      await settled();
      return next;
    },
    deaf: (dials) => {
      deafDials = dials;
    },
    types: () => statuses.map(({ type }) => type),
  };
}

/** Something to wait for that ends when the test says so. */
export function hold(): { wait(): Promise<void>; release(): void } {
  let release = (): void => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  return { wait: () => held, release };
}
