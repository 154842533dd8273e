// How a test of this folder gets at the brokers that setup.ts started, and at other people's programs.

import { isSkipped, type Skipped } from 'testkit/peers';
import { describe, inject, test } from 'vitest';

export const rabbitMq = inject('rabbitMq');
export const activeMq = inject('activeMq');
/** The Python that can `import stomp`. */
export const stompPy = inject('stompPy');
export const chromium = inject('chromium');

/**
 * The tests that need `peer`. Where it cannot run they are one skipped test whose name tells the reason; the summary of
 * `npm test` is made from such names, so keep their form: "X is skipped: reason".
 */
export function withPeer<T extends object>(name: string, peer: T | Skipped, tests: (peer: T) => void): void {
  if (isSkipped(peer)) test.skip(`${name} is skipped: ${peer.skipped}`, () => {});
  else describe(name, () => tests(peer));
}
