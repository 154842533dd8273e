// AbortSignals, listened to for as long as something waits and not longer.

/** Calls `fn` with the reason when the signal fires. Answers how to stop listening; undefined where there is no signal. */
export function onAbort(signal: AbortSignal | undefined, fn: (reason: unknown) => void): (() => void) | undefined {
  if (signal === undefined) return undefined;
  const listener = (): void => fn(signal.reason);
  signal.addEventListener('abort', listener, { once: true });
  return () => signal.removeEventListener('abort', listener);
}
