// P1: what happened while our own loop was blocked is not the broker's fault.

import { connect } from '@stompbox/client';
import { expect, test } from 'vitest';
import { brokers, folder, opened } from '../crash/process.ts';

const { start } = brokers();
const PATIENCE_MS = 1_200; // twice the gap, and a second more than it at the least (H-06)

test('P1: bytes that came while the loop was blocked count, before a broker is called silent', async ({
  onTestFinished,
}) => {
  const broker = opened(await start(folder(onTestFinished), { limits: { minHeartBeatMs: 100 } }));
  let beats = 0;
  let lost: unknown;
  const connection = await connect(broker.url, {
    heartBeat: { send: 0, expect: 200 },
    observer: { heartBeat: () => beats++, heartBeatLost: (error) => (lost = error) },
  });
  expect(connection.heartBeat.in).toBe(200);
  await expect.poll(() => beats).toBeGreaterThan(0);
  block(PATIENCE_MS + 1_000);
  const before = beats;
  await connection.send('/queue/a', 'still here');
  await expect.poll(() => beats).toBeGreaterThan(before);
  expect(lost).toBeUndefined();
  await connection.disconnect();
  await broker.stop();
});

function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
