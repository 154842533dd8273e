// Waiting, on the clock that was handed in.

import type { Clock } from '@stompbox/client';

/** Resolves after `ms`; rejects with the signal's reason when it fires before. */
export function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const stop = (): void => {
      cancel();
      reject(signal.reason);
    };
    const cancel = clock.schedule(
      ms,
      () => {
        signal.removeEventListener('abort', stop);
        resolve();
      },
      true,
    );
    signal.addEventListener('abort', stop, { once: true });
  });
}

/** Resolves when the signal fires. */
export function fired(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
