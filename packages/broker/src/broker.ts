// The broker as a whole: listeners, connections, one engine; how it starts and how it
// stops.

import { randomUUID } from 'node:crypto';
import { Encoder, type Frame, ServerSession, type ServerSessionOptions } from '@stompbox/protocol';
import { type Channel, parseEndpoint } from '@stompbox/transport';
import { type Listener, type ListenOptions, listen } from '@stompbox/transport/node';
import { ANONYMOUS, type Authenticate, type Authorize, type Identity, LoginPenalty } from './access.ts';
import { EmbeddedEngine } from './engine/embedded/embedded.ts';
import type { Delivery, Engine, Inspection } from './engine/engine.ts';
import { type BrokerLimits, resolveLimits } from './limits.ts';
import { type Counts, Peer, type PeerOwner } from './peer.ts';
import { Refusal } from './refusal.ts';
import { ownerOf } from './temporary.ts';

/** Time, passed in so that tests own it. */
export interface Clock {
  /** Milliseconds that never go back. */
  now(): number;
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
  /** Deviations from the strict protocol, each by its name, for clients that need them (conformance 7). None unless given. */
  readonly leniency?: ServerSessionOptions['leniency'];
  /** CONNECT in 1.1 and 1.2 must name a host. False unless given. */
  readonly requireHost?: boolean;
  /** Where messages live; memory unless given. The broker closes it. */
  readonly engine?: Engine;
  /** What `CONNECTED` says in `server`; `false` says nothing. `Stompbox/` and the version unless given. */
  readonly server?: string | false;
  /** Hears of failures inside the broker, and of connections that never became one. Nothing is printed. */
  readonly onFault?: (error: unknown) => void;
  /** The system's unless given. */
  readonly clock?: Clock;
}

/** Counts since the start, and what is there now. A copy: it does not change. */
export interface BrokerStats extends Counts {
  /** Open now, logged in or not. */
  readonly connections: number;
  /** Held now by queues and topics: contents, and an estimate of what goes with them. */
  readonly bytes: number;
}

export interface Broker {
  /** Where it listens, with real ports, in the order of `listen`. */
  readonly urls: readonly string[];
  /** What is in the queues now. */
  readonly inspect: Inspection;
  stats(): BrokerStats;
  /** Serves a channel that came another way, such as the memory channel of a test; from now on it is the broker's. */
  serve(channel: Channel): void;
  /**
   * Stops: no new connections, no new frames; what was under way is answered, clients get an ERROR and a close (M-98).
   * Settles within `timeoutMs` (default 5 000): connections that are still there then are cut. Twice gives the same promise.
   */
  close(options?: { timeoutMs?: number }): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const realClock: Clock = {
  now: () => performance.now(),
  schedule(ms, run) {
    const timer = setTimeout(run, Math.min(ms, 2 ** 31 - 1));
    return () => clearTimeout(timer);
  },
};

const VERSION = '0.1.0';
// A WebSocket message may hold several frames (W-04); a frame that is too large gets its ERROR before the message is.
const WEBSOCKET_SLACK_BYTES = 65_536;

/**
 * Starts a broker. Resolves when every listener is bound.
 * Rejects with TransportError (`bad-url`, `address-in-use`, …), or RangeError (a limit out of range, an address that
 * needs `authenticate`); nothing is left open.
 */
export async function createBroker(options: BrokerOptions = {}): Promise<Broker> {
  const broker = new EmbeddedBroker(options);
  await broker.listen();
  return broker;
}

class EmbeddedBroker implements Broker, PeerOwner {
  readonly limits: BrokerLimits;
  readonly engine: Engine;
  readonly server: string | undefined;
  readonly #options: BrokerOptions;
  readonly #clock: Clock;
  readonly #penalty = new LoginPenalty();
  readonly #penances = new Set<() => void>();
  readonly #peers = new Map<string, Peer>();
  readonly #perAddress = new Map<string, number>();
  readonly #scratch = new Encoder({ version: '1.2', unrepresentable: 'replace' });
  readonly #counts: { -readonly [what in keyof Counts]: number } = {
    received: 0,
    delivered: 0,
    acked: 0,
    nacked: 0,
    errors: 0,
    droppedReplies: 0,
  };
  #listeners: Listener[] = [];
  #dirty: Peer[] = [];
  #flushing = false;
  #closing: Promise<void> | undefined;

  constructor(options: BrokerOptions) {
    this.#options = options;
    this.limits = resolveLimits(options.limits);
    this.#clock = options.clock ?? realClock;
    this.server = options.server === false ? undefined : (options.server ?? `Stompbox/${VERSION}`);
    const schedule = (ms: number, run: () => void) => this.#clock.schedule(ms, run);
    this.engine = options.engine ?? new EmbeddedEngine({ ...this.limits, schedule });
  }

  async listen(): Promise<void> {
    const { tls, webSocket, onFault } = this.#options;
    const { maxConnections, connectTimeoutMs, maxHeadBytes, maxBodyBytes } = this.limits;
    const maxMessageBytes = maxHeadBytes + maxBodyBytes + WEBSOCKET_SLACK_BYTES;
    try {
      for (const url of this.#options.listen ?? []) {
        const endpoint = parseEndpoint(url, 'listen');
        if (
          !this.#options.authenticate &&
          !this.#options.open &&
          endpoint.transport !== 'unix' &&
          !isLoopback(endpoint.host)
        ) {
          throw new RangeError(
            `${url} can be reached from outside and anybody could come in: give \`authenticate\`, listen on 127.0.0.1, or say \`open: true\``,
          );
        }
        const listening = {
          maxConnections,
          handshakeTimeoutMs: connectTimeoutMs,
          ...(tls && { tls }),
          webSocket: { maxMessageBytes, ...webSocket },
          ...(onFault && { onFault }),
        };
        this.#listeners.push(await listen(endpoint, listening, (channel) => this.serve(channel)));
      }
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  get urls(): readonly string[] {
    return this.#listeners.map(({ url }) => url);
  }

  get inspect(): Inspection {
    return this.engine.inspect;
  }

  stats(): BrokerStats {
    return { ...this.#counts, connections: this.#peers.size, bytes: this.engine.inspect.bytes };
  }

  serve(channel: Channel): void {
    const { address } = channel.peer;
    const { maxConnections, maxConnectionsPerAddress } = this.limits;
    const sameAddress = address === undefined ? 0 : (this.#perAddress.get(address) ?? 0);
    if (this.#closing || this.#peers.size >= maxConnections || sameAddress >= maxConnectionsPerAddress) {
      channel.open({ data() {}, drain() {}, ended() {}, closed() {} });
      channel.destroy();
      return;
    }
    if (address !== undefined) this.#perAddress.set(address, sameAddress + 1);
    const { limits } = this;
    const session = new ServerSession<Delivery>(
      {
        limits,
        connectTimeoutMs: limits.connectTimeoutMs,
        frameTimeoutMs: limits.frameTimeoutMs,
        maxSubscriptions: limits.maxSubscriptions,
        maxTransactions: limits.maxTransactions,
        heartBeat: { send: limits.minHeartBeatMs, expect: limits.minHeartBeatMs },
        leniency: this.#options.leniency,
        requireHost: this.#options.requireHost,
      },
      this.now(),
    );
    const id = randomUUID();
    this.#peers.set(id, new Peer(id, channel, this, session, this.#scratch));
  }

  close(options: { timeoutMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(options.timeoutMs ?? 5_000);
    return this.#closing;
  }

  async #close(timeoutMs: number): Promise<void> {
    await Promise.all(this.#listeners.map((listener) => listener.close()));
    const peers = [...this.#peers.values()];
    const cancel = this.#clock.schedule(timeoutMs, () => {
      for (const peer of peers) peer.channel.destroy();
    });
    await Promise.all(peers.map((peer) => peer.stop('the broker is shutting down')));
    cancel();
    for (const cut of this.#penances) cut();
    await this.engine.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // --- what peers ask of their broker

  now(): number {
    return this.#clock.now();
  }

  schedule(ms: number, run: () => void): () => void {
    return this.#clock.schedule(ms, run);
  }

  flushLater(peer: Peer): void {
    this.#dirty.push(peer);
    if (this.#flushing) return;
    this.#flushing = true;
    // After all sockets that are readable in this turn of the loop have been read: few large writes instead of many small.
    setImmediate(() => {
      this.#flushing = false;
      const dirty = this.#dirty;
      this.#dirty = [];
      for (const one of dirty) one.flush();
    });
  }

  async authenticate(peer: Peer, frame: Frame): Promise<Identity> {
    const { authenticate } = this.#options;
    if (authenticate === undefined) return ANONYMOUS;
    const address = peer.channel.peer.address ?? peer.channel.peer.remote;
    const delay = this.#penalty.delay(address, this.now());
    const shown = {
      login: frame.get('login'),
      passcode: frame.get('passcode'),
      host: frame.get('host'),
      peer: peer.channel.peer,
    };
    const refusal = (cause?: unknown) => new Refusal('access-refused', 'the login was refused', { cause }); // N-17: no hint why
    if (delay > 0) await this.#penance(delay);
    if (!this.#peers.has(peer.id)) throw refusal(); // left meanwhile
    let identity: Identity | undefined;
    try {
      identity = await authenticate(shown);
    } catch (cause) {
      this.unexpected(cause);
      throw refusal(cause);
    }
    if (identity === undefined) {
      this.#penalty.failed(address, this.now());
      throw refusal();
    }
    this.#penalty.succeeded(address);
    return identity;
  }

  // Over at the latest when the broker closes.
  async #penance(ms: number): Promise<void> {
    let cut = () => {};
    await new Promise<void>((resolve) => {
      const cancel = this.schedule(ms, resolve);
      cut = () => {
        cancel();
        resolve();
      };
      this.#penances.add(cut);
    });
    this.#penances.delete(cut);
  }

  allows(identity: Identity, verb: 'send' | 'subscribe', destination: string): boolean {
    return this.#options.authorize?.(identity, verb, destination) ?? true;
  }

  hasTemporary(queue: string): boolean {
    return this.#peers.get(ownerOf(queue))?.owns(queue) ?? false;
  }

  discard(queue: string): void {
    this.engine.discard(queue).catch((error: unknown) => this.unexpected(error));
  }

  count(what: keyof Counts, n: number): void {
    this.#counts[what] += n;
  }

  unexpected(error: unknown): void {
    this.#options.onFault?.(error);
  }

  closed(peer: Peer): void {
    this.#peers.delete(peer.id);
    const { address } = peer.channel.peer;
    if (address === undefined) return;
    const left = (this.#perAddress.get(address) ?? 1) - 1;
    if (left === 0) this.#perAddress.delete(address);
    else this.#perAddress.set(address, left);
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}
