// Which endpoint, when, how often: keeps one connection there, until told to stop or out
// of hope.
//
//            ┌──────────────────────────── lost, wait ─────────────────────────────┐
//            ▼                                                                     │
//   endpoint ─► credentials ─► dial, CONNECT ─► restored by its owner ─► lives ────┘
//            ▲        │               │                                    │
//            └─ wait ─┴── failed ─────┘              a better endpoint answers: moves there first
//
// Every failure is kept for the error that ends it all.

import { type Endpoint, formatEndpoint } from '@stompbox/transport';
import type { Clock } from '../clock.ts';
import type { CloseReason } from '../connection/close-reason.ts';
import type { Connection } from '../connection/connection.ts';
import { ConnectFailed, type FailedAttempt, UsageError } from '../errors.ts';
import { onAbort } from '../signal.ts';
import { AuthenticationError, isAuthenticationFailure } from './authentication.ts';
import type { AttemptContext } from './client-options.ts';
import type { Endpoints } from './endpoints.ts';
import type { Backoff } from './reconnect.ts';
import type { ClientState, Status } from './status.ts';

/** What a supervisor needs of its client. */
export interface Supervised {
  readonly clock: Clock;
  readonly endpoints: Endpoints;
  readonly backoff: Backoff;
  readonly failBackMs: number;
  /** Credentials may differ the next time they are asked for. */
  readonly refreshes: boolean;
  open(endpoint: Endpoint, context: AttemptContext): Promise<Connection>;
  /** Makes the connection the one that is used. Resolves when everything is restored on it, whatever came of it. */
  established(connection: Connection, endpoint: Endpoint): Promise<void>;
  /** The connection that was used is gone. */
  lost(reason: CloseReason): void;
  /** Another one is used now; this one may finish what it has and go. */
  retire(connection: Connection): void;
  /** When its credentials want to be renewed, in milliseconds from now; undefined for never. */
  renewInMs(connection: Connection): number | undefined;
  tell(status: Status): void;
  /** No more connections; `error` is why, unless it was asked for. */
  over(error: Error | undefined): void;
}

interface Reached {
  readonly connection: Connection;
  readonly endpoint: Endpoint;
}

const KEPT_ATTEMPTS = 100;

export class Supervisor {
  readonly #client: Supervised;
  readonly #stopping = new AbortController();
  #state: ClientState = 'idle';
  #attempts: FailedAttempt[] = [];
  #count = 0;
  #lastError: unknown;

  constructor(client: Supervised) {
    this.#client = client;
  }

  get state(): ClientState {
    return this.#state;
  }
  /** What the last attempt failed with, or how the last connection ended. */
  get lastError(): unknown {
    return this.#lastError;
  }

  /** Begins, unless it has. */
  start(): void {
    if (this.#state !== 'idle') return;
    this.#state = 'connecting';
    void this.#run();
  }

  /** No more attempts. A connection that lives is left to its owner; `ended` follows. */
  stop(): void {
    this.#state = 'closing';
    this.#stopping.abort();
  }

  /** Everything is over. */
  ended(): void {
    this.#state = 'closed';
  }

  async #run(): Promise<void> {
    let failure: unknown;
    try {
      while (!this.#stopping.signal.aborted) await this.#once();
    } catch (error) {
      failure = error;
    }
    if (this.#stopping.signal.aborted) return;
    this.#client.over(failure instanceof Error ? failure : new Error(String(failure)));
  }

  /** One connection, from the first attempt at it to its end, and the wait after it. */
  async #once(): Promise<void> {
    const { clock, endpoints, backoff } = this.#client;
    const first = await this.#reach();
    if (first === undefined) return;
    let { endpoint } = first;
    const began = clock.now();
    this.#begin(first.connection, endpoint);
    const { reason, at } = await this.#live(first.connection, endpoint);
    endpoint = at;
    this.#lastError = reason.error;
    this.#client.lost(reason);
    if (this.#stopping.signal.aborted) return;
    this.#state = 'waiting';
    endpoints.failed(endpoint);
    this.#client.tell({ type: 'disconnected', endpoint: formatEndpoint(endpoint), error: reason.error });
    await this.#backOff(endpoint, reason.error, clock.now() - began, backoff);
  }

  #begin(connection: Connection, endpoint: Endpoint): void {
    this.#state = 'connected';
    this.#attempts = [];
    this.#count = 0;
    // Restoring takes answers from the broker; the end of the connection ends it as well.
    void this.#client.established(connection, endpoint);
  }

  // --------------------------------------------------------------------------------------------------------- connecting

  /** A connection to the first endpoint that lets us in; undefined when told to stop. */
  async #reach(): Promise<Reached | undefined> {
    const { clock, endpoints, backoff, refreshes } = this.#client;
    let refused = 0;
    for (;;) {
      if (this.#stopping.signal.aborted) return undefined;
      this.#state = 'connecting';
      const endpoint = endpoints.next();
      const attempt = ++this.#count;
      this.#client.tell({ type: 'connecting', endpoint: formatEndpoint(endpoint), attempt });
      try {
        const connection = await this.#open(endpoint, attempt, refused > 0);
        if (this.#stopping.signal.aborted) {
          connection.destroy();
          return undefined;
        }
        endpoints.succeeded(endpoint);
        return { connection, endpoint };
      } catch (error) {
        if (this.#stopping.signal.aborted) return undefined;
        if (error instanceof UsageError) throw error;
        this.#failed(endpoint, attempt, error);
        const isRefusal = isAuthenticationFailure(error);
        if (isRefusal && refused++ >= (refreshes ? 1 : 0)) throw new AuthenticationError(endpoint, error);
        if (isRefusal || !endpoints.roundDone) {
          this.#tellFailed(endpoint, attempt, error, 0);
          continue;
        }
        const verdict = backoff.next({ now: clock.now(), error, endpoint: formatEndpoint(endpoint) });
        this.#tellFailed(endpoint, attempt, error, 'delayMs' in verdict ? verdict.delayMs : undefined);
        if ('stop' in verdict) throw this.#gaveUp(verdict);
        this.#state = 'waiting';
        await this.#pause(verdict.delayMs);
      }
    }
  }

  #open(endpoint: Endpoint, attempt: number, refresh: boolean): Promise<Connection> {
    const { signal } = this.#stopping;
    const context = { attempt, endpoint: formatEndpoint(endpoint), lastError: this.#lastError, refresh, signal };
    return this.#client.open(endpoint, context);
  }

  async #backOff(endpoint: Endpoint, error: unknown, livedMs: number, backoff: Backoff): Promise<void> {
    const { clock } = this.#client;
    const verdict = backoff.next({ now: clock.now(), error, endpoint: formatEndpoint(endpoint), livedMs });
    if ('stop' in verdict) {
      this.#failed(endpoint, 0, error);
      throw this.#gaveUp(verdict);
    }
    await this.#pause(verdict.delayMs);
  }

  #failed(endpoint: Endpoint, attempt: number, error: unknown): void {
    this.#lastError = error;
    this.#attempts.push({ attempt, endpoint: formatEndpoint(endpoint), error });
    if (this.#attempts.length > KEPT_ATTEMPTS) this.#attempts.shift();
    this.#client.endpoints.failed(endpoint);
  }

  #tellFailed(endpoint: Endpoint, attempt: number, error: unknown, nextInMs: number | undefined): void {
    this.#client.tell({ type: 'attempt-failed', endpoint: formatEndpoint(endpoint), attempt, error, nextInMs });
  }

  #gaveUp(verdict: { readonly stop: string; readonly cause?: unknown }): ConnectFailed {
    return new ConnectFailed(verdict.stop === 'decided' ? 'stopped' : 'gave-up', this.#attempts, verdict.cause);
  }

  // The timer holds the process: a client that waits for its broker is at work.
  #pause(ms: number, until?: Promise<unknown>): Promise<void> {
    return new Promise((resolve) => {
      const { signal } = this.#stopping;
      if (signal.aborted) return resolve();
      const end = (): void => {
        stopTimer();
        stopSignal?.();
        resolve();
      };
      const stopTimer = this.#client.clock.schedule(ms, end, until === undefined);
      const stopSignal = onAbort(signal, end);
      void until?.then(end);
    });
  }

  // ------------------------------------------------------------------------------------------------------------- living

  /** Until the end of it, or of those it was left for. */
  async #live(first: Connection, endpoint: Endpoint): Promise<{ readonly reason: CloseReason; readonly at: Endpoint }> {
    let [connection, at] = [first, endpoint];
    for (;;) {
      const successor = await this.#successor(connection, at);
      if (successor === undefined) return { reason: await connection.closed, at };
      const left = connection;
      ({ connection, endpoint: at } = successor);
      this.#client.endpoints.succeeded(at);
      this.#begin(connection, at);
      this.#client.retire(left);
    }
  }

  /** A connection to leave this one for: to a better endpoint, or with fresh credentials. Undefined at the end of this one. */
  async #successor(connection: Connection, at: Endpoint): Promise<Reached | undefined> {
    const { failBackMs, endpoints, clock } = this.#client;
    const renewMs = this.#client.renewInMs(connection);
    const renewAt = renewMs === undefined ? Number.POSITIVE_INFINITY : clock.now() + renewMs;
    while (connection.isOpen && !this.#stopping.signal.aborted) {
      const untilBetter = failBackMs > 0 && endpoints.better() !== undefined ? failBackMs : Number.POSITIVE_INFINITY;
      const waitMs = Math.min(untilBetter, renewAt - clock.now());
      if (waitMs === Number.POSITIVE_INFINITY) await connection.closed;
      else await this.#pause(Math.max(0, waitMs), connection.closed);
      if (!connection.isOpen || this.#stopping.signal.aborted) break;
      const renews = clock.now() >= renewAt;
      const endpoint = renews ? at : (endpoints.better() ?? at);
      const found = await this.#open(endpoint, 1, renews).catch((error: unknown) => {
        this.#tellFailed(endpoint, 1, error, undefined); // this connection still lives: no harm was done
        return undefined;
      });
      if (found === undefined && renews) await connection.closed;
      if (found === undefined) continue;
      if (connection.isOpen && !this.#stopping.signal.aborted) return { connection: found, endpoint };
      found.destroy();
    }
    return undefined;
  }
}
