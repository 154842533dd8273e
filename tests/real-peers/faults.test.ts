// The real brokers behind a line that breaks at random, each one of its own, since it is started again under load.

import { isSkipped, type Peer, type Skipped, startActiveMq, startRabbitMq } from 'testkit/peers';
import { test } from 'vitest';
import { expectGoodBooks, FAULTS, faultRuns, RUN_MS, SEED, type Settings } from '../faults/run.ts';
import { activeMq, rabbitMq, withPeer } from './peers.ts';

const run = faultRuns();

// RabbitMQ gathers a transaction and does its frames one by one; ActiveMQ marks nothing that was only prefetched.
const PEERS = [
  { name: 'RabbitMQ', shared: rabbitMq, startOne: startRabbitMq, rules: { marksRedelivered: 'always', atomic: false } },
  { name: 'ActiveMQ', shared: activeMq, startOne: startActiveMq, rules: { marksRedelivered: 'never', atomic: true } },
] as const;

for (const { name, shared, startOne, rules } of PEERS) {
  withPeer(name, shared, () => {
    test(
      `every send has one outcome and nothing confirmed is lost (${FAULTS} faults, STOMPBOX_SEED=${SEED})`,
      async () => {
        await using peer = started(await startOne());
        const settings: Settings = {
          url: peer.urls.tcp,
          login: peer.login,
          passcode: peer.passcode,
          host: '/',
          seed: SEED,
          faults: FAULTS,
          restarts: 1,
          actors: 3,
          stayer: 'managed',
          rules,
        };
        const report = await run(settings, async () => {
          await peer.restart();
          return peer.urls.tcp;
        });
        expectGoodBooks(report, settings);
      },
      RUN_MS,
    );
  });
}

function started(peer: Peer | Skipped): Peer {
  if (isSkipped(peer)) throw new Error(peer.skipped);
  return peer;
}
