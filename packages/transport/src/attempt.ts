// One attempt to connect that ends exactly once: it succeeds, fails, runs out
// of time, or is called off by the caller's AbortSignal. In the last two cases
// `abandon` drops whatever was half open, so nothing outlives the promise.

import { TransportError } from './channel.ts';

/** How long to try, and how to call it off. */
export interface AttemptOptions {
  /** Calls the attempt off: it rejects with `aborted`, whose cause is the signal's reason. */
  readonly signal?: AbortSignal;
  /** One deadline over everything (DNS, TCP, TLS, WebSocket). Milliseconds, 10,000 unless given; 0 waits for ever. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 10_000;

/** Starts an attempt. Answers how to abandon it. */
type Start<T> = (done: (result: T) => void, fail: (error: TransportError) => void) => () => void;

/** Runs `start` until one of its callbacks, the deadline or the signal ends it; what comes later is ignored. */
export function attempt<T>(what: string, options: AttemptOptions, start: Start<T>): Promise<T> {
  const { signal, timeoutMs = TIMEOUT_MS } = options;
  return new Promise<T>((resolve, reject) => {
    if (signal?.aborted) {
      reject(aborted(what, signal));
      return;
    }
    let timer: ReturnType<typeof setTimeout> | undefined;
    let over = false;
    let abandon = (): void => {};
    const onAbort = (): void => giveUp(aborted(what, signal));
    const giveUp = (error: TransportError): void => {
      if (!finish()) return;
      abandon();
      reject(error);
    };
    const finish = (): boolean => {
      if (over) return false;
      over = true;
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      return true;
    };
    abandon = start(
      (result) => finish() && resolve(result),
      (error) => finish() && reject(error),
    );
    if (over) return;
    signal?.addEventListener('abort', onAbort);
    if (timeoutMs > 0) {
      timer = setTimeout(() => {
        giveUp(new TransportError('timeout', `${what} did not answer within ${timeoutMs} ms`));
      }, timeoutMs);
    }
  });
}

function aborted(what: string, signal: AbortSignal | undefined): TransportError {
  return new TransportError('aborted', `connecting to ${what} was called off`, { cause: signal?.reason });
}
