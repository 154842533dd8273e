// Starts the real brokers once for all tests of this folder, side by side, and stops them at the end; looks other
// people's programs up. Vitest calls this only when a test of this folder is to run. SKIP_PEERS=1 in the environment
// leaves the brokers out.

import {
  findChromium,
  findStompPy,
  isSkipped,
  type Peer,
  type PeerAddress,
  type Program,
  type Skipped,
  startActiveMq,
  startRabbitMq,
} from 'testkit/peers';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    rabbitMq: PeerAddress | Skipped;
    activeMq: PeerAddress | Skipped;
    stompPy: Program | Skipped;
    chromium: Program | Skipped;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const started = await Promise.allSettled([start(startRabbitMq), start(startActiveMq)]);
  const peers = started.map((result) => (result.status === 'fulfilled' ? result.value : undefined));
  const stop = async () => {
    await Promise.all(peers.map((peer) => peer && !isSkipped(peer) && peer.stop()));
  };

  const [rabbitMq, activeMq] = peers;
  if (!rabbitMq || !activeMq) {
    await stop();
    throw new AggregateError(started.flatMap((result) => (result.status === 'rejected' ? [result.reason] : [])));
  }
  project.provide('rabbitMq', address(rabbitMq));
  project.provide('activeMq', address(activeMq));
  project.provide('stompPy', await findStompPy());
  project.provide('chromium', await findChromium());
  return stop;
}

async function start(peer: () => Promise<Peer | Skipped>): Promise<Peer | Skipped> {
  return process.env.SKIP_PEERS ? { skipped: 'SKIP_PEERS is set' } : peer();
}

/** Without the verbs, which cannot cross to the test's process. */
function address(peer: Peer | Skipped): PeerAddress | Skipped {
  if (isSkipped(peer)) return peer;
  const { name, version, urls, login, passcode, ca } = peer;
  return { name, version, urls, login, passcode, ca };
}
