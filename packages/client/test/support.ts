// A connection and the broker's end of it, in memory, on a clock by hand.

import { Connection, type ConnectionOptions } from '@stompbox/client';
import { type MemoryOptions, memoryPair } from '@stompbox/transport';
import { ManualClock, ScriptedPeer, type ScriptedPeerOptions } from 'testkit';

export interface Table {
  readonly clock: ManualClock;
  readonly connection: Connection;
  readonly peer: ScriptedPeer;
  cut(how?: 'reset' | 'silent'): void;
}

/** Both ends, not connected yet. */
export function laid(
  options: { options?: ConnectionOptions; memory?: MemoryOptions; peer?: ScriptedPeerOptions } = {},
): {
  readonly clock: ManualClock;
  readonly connecting: Promise<Connection>;
  readonly peer: ScriptedPeer;
  cut(how?: 'reset' | 'silent'): void;
} {
  const clock = new ManualClock();
  const pair = memoryPair(options.memory);
  const peer = new ScriptedPeer(pair.b, clock, { heartBeat: { send: 0, expect: 0 }, ...options.peer });
  const connecting = Connection.over(pair.a, { clock, ...options.options });
  return { clock, connecting, peer, cut: (how) => pair.cut(how) };
}

/** Both ends, connected; `connected` is what the broker says instead of its usual CONNECTED. */
export async function table(
  options: ConnectionOptions = {},
  more: { memory?: MemoryOptions; peer?: ScriptedPeerOptions; connected?: string } = {},
): Promise<Table> {
  const { connecting, ...rest } = laid({ ...more, options });
  const [connection] = await Promise.all([connecting, rest.peer.accept(more.connected)]);
  return { ...rest, connection };
}

/** The error a promise rejects with. */
export async function failure(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('it did not fail');
}
