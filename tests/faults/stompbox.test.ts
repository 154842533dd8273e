// Our broker, durable and in a process of its own, behind a line that breaks at random; it is killed meanwhile, too.

import { test } from 'vitest';
import { brokers, folder, opened } from '../crash/process.ts';
import { expectGoodBooks, FAULTS, faultRuns, RUN_MS, SEED, type Settings } from './run.ts';

/** The loop around `connect()` is for long runs: it shows what is the connection's part in what the Client does. */
const STAYERS: readonly Settings['stayer'][] = ['managed', 'resending', ...(FAULTS > 100 ? (['naive'] as const) : [])];

const { start } = brokers();
const run = faultRuns();

for (const stayer of STAYERS) {
  test(
    `${stayer}: every send has one outcome and nothing confirmed is lost (${FAULTS} faults, STOMPBOX_SEED=${SEED})`,
    async ({ onTestFinished }) => {
      const data = folder(onTestFinished);
      let broker = opened(await start(data));
      const settings: Settings = {
        url: broker.url,
        login: '',
        passcode: '',
        seed: SEED,
        faults: FAULTS,
        restarts: Math.ceil(FAULTS / 10),
        actors: 3,
        stayer,
        rules: { marksRedelivered: stayer === 'resending' ? 'in-one-life' : 'always', atomic: true },
      };
      const report = await run(settings, async () => {
        await broker.kill();
        broker = opened(await start(data));
        return broker.url;
      });
      await broker.stop();
      expectGoodBooks(report, settings);
    },
    RUN_MS,
  );
}
