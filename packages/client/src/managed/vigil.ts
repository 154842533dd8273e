// Whether a connection that says nothing still lives: asked after sleep, and now and then
// where no heart-beats were agreed, which also keeps proxies from cutting an idle line (P20).

import type { Clock } from '../clock.ts';
import { ConnectionLost, TimeoutError } from '../errors.ts';
import type { Session } from './session.ts';
import { watchForSleep } from './wake.ts';

/** What a vigil needs of its client. */
export interface Watched {
  readonly clock: Clock;
  /** How often to ask where the broker sends no heart-beats; 0 is never. */
  readonly probeMs: number;
  /** How long the answer may take. */
  readonly patienceMs: number;
  woke(afterMs: number): void;
}

export class Vigil {
  readonly #watched: Watched;
  #session: Session | undefined;
  #stopProbing: (() => void) | undefined;
  #stopWatching: (() => void) | undefined;

  constructor(watched: Watched) {
    this.#watched = watched;
  }

  /** From now on that one; undefined for none. */
  keep(session: Session | undefined): void {
    this.#session = session;
    this.#stopProbing?.();
    this.#stopProbing = undefined;
    if (session === undefined) return;
    const { clock, woke } = this.#watched;
    this.#stopWatching ??= watchForSleep(clock, (afterMs) => {
      woke(afterMs);
      void this.#probe();
    });
    if (session.connection.heartBeat.in === 0) this.#probeLater();
  }

  end(): void {
    this.keep(undefined);
    this.#stopWatching?.();
  }

  #probeLater(): void {
    const { clock, probeMs } = this.#watched;
    if (probeMs === 0) return;
    this.#stopProbing = clock.schedule(probeMs, () => {
      void this.#probe();
      this.#probeLater();
    });
  }

  async #probe(): Promise<void> {
    const session = this.#session;
    if (session === undefined) return;
    if (session.profile.receipts !== 'all' || session.profile.transactions === 'none') {
      session.connection.beat(); // it answers nothing, and a proxy sees traffic all the same
      return;
    }
    const { patienceMs } = this.#watched;
    try {
      await session.connection.ping({ timeoutMs: patienceMs });
    } catch (cause) {
      if (!(cause instanceof TimeoutError)) return; // it went by itself, and says so itself
      session.connection.destroy(new ConnectionLost('silent', 'the broker does not answer any more', { cause }));
    }
  }
}
