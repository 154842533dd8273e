// What a broker is made with.

import type { ServerSessionOptions } from '@stompbox/protocol';
import type { ListenOptions } from '@stompbox/transport/node';
import type { Authenticate, Authorize } from './access.ts';
import type { WhenFull } from './engine/embedded/options.ts';
import type { Engine } from './engine/engine.ts';
import type { BrokerLimits } from './limits.ts';
import type { Logger, LogLevel } from './log.ts';

/** Time, passed in so that tests own it. */
export interface Clock {
  /** Milliseconds that never go back. */
  now(): number;
  /** Milliseconds since 1970; the system's clock unless given. */
  time?(): number;
  /** Calls `run` after `ms`; the answer cancels. */
  schedule(ms: number, run: () => void): () => void;
}

export interface BrokerOptions {
  /**
   * URLs to listen on: `tcp://`, `stomp+ssl://`, `stomp+unix://`, `ws://`, `wss://`; port 0 takes a free one. Without
   * `authenticate` only loopback addresses and Unix sockets are taken, unless `open` says otherwise.
   */
  readonly listen?: readonly string[];
  /** For the TLS listeners, which need `cert` and `key`. */
  readonly tls?: ListenOptions['tls'];
  /** For the WebSocket listeners: path, origins, compression. A message may be as large as a frame unless it says otherwise. */
  readonly webSocket?: ListenOptions['webSocket'];
  /** Who may come in; everybody unless given. `passcodes()` makes one. */
  readonly authenticate?: Authenticate;
  /** Who may do what; everything unless given. A throw ends that connection, and `onFault` hears of it. */
  readonly authorize?: Authorize;
  /** Listen beyond loopback although anybody may come in. */
  readonly open?: boolean;
  /** What each bounds, its unit, default and range: `LIMITS`. */
  readonly limits?: Partial<BrokerLimits>;
  /** What becomes of a message for which its queue has no room; `refuse` unless given. Of the embedded engine. */
  readonly whenFull?: WhenFull;
  /** Stands before a queue's name in the name of its dead letter queue; `dlq.` unless given. Of the embedded engine. */
  readonly deadLetterPrefix?: string;
  /** Deviations from the strict protocol, each by its name, for clients that need them (conformance 7). None unless given. */
  readonly leniency?: ServerSessionOptions['leniency'];
  /** CONNECT in 1.1 and 1.2 must name a host. False unless given. */
  readonly requireHost?: boolean;
  /**
   * A directory in which messages survive the process and a power cut (docs/storage.md); made where it is not there. In
   * memory unless given.
   */
  readonly data?: string;
  /** Another engine than the embedded one. */
  readonly engine?: Engine;
  /** What `CONNECTED` says in `server`; `false` says nothing. `Stompbox/` and the version unless given. */
  readonly server?: string | false;
  /** Hears what the broker tells about itself (docs/operating.md). Nothing is printed. */
  readonly log?: Logger;
  /** The least important that `log` hears; `info` unless given. */
  readonly logLevel?: LogLevel;
  /** Sentences about the configuration for the log: `readConfig` has found them. */
  readonly warnings?: readonly string[];
  /** Hears of failures inside the broker, and of connections that never became one, as errors. */
  readonly onFault?: (error: unknown) => void;
  /** The system's unless given. */
  readonly clock?: Clock;
}

/** What `reload` takes; what is not given stays as it is. */
export type Reloaded = Pick<BrokerOptions, 'tls' | 'authenticate' | 'authorize' | 'warnings'>;

export const realClock: Clock = {
  now: () => performance.now(),
  schedule(ms, run) {
    const timer = setTimeout(run, Math.min(ms, 2 ** 31 - 1));
    return () => clearTimeout(timer);
  },
};

/** Milliseconds since 1970. */
export function timeOf(clock: Clock): number {
  return clock.time?.() ?? Date.now();
}
