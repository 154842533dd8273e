// The broker as a whole: listeners, connections, one engine; how it starts, what it
// tells about itself, and how it stops.

import { randomUUID } from 'node:crypto';
import { Encoder, type Frame, ServerSession, type ServerSessionOptions } from '@stompbox/protocol';
import { type Channel, type ChannelEnd, parseEndpoint } from '@stompbox/transport';
import { type Listener, type ListenOptions, listen } from '@stompbox/transport/node';
import { ANONYMOUS, type Authenticate, type Authorize, type Identity, isOpenDoor, LoginPenalty } from './access.ts';
import type { EngineObserver } from './engine/embedded/books.ts';
import { EmbeddedEngine } from './engine/embedded/embedded.ts';
import { WHEN_FULL, type WhenFull } from './engine/embedded/options.ts';
import { type Delivery, type Engine, EngineError, type Inspection } from './engine/engine.ts';
import { type BrokerLimits, type LimitName, limitNamedIn, resolveLimits } from './limits.ts';
import { type Log, type Logger, type LogLevel, logTo, reasons, SILENT } from './log.ts';
import type { MetricsSnapshot } from './metrics.ts';
import { Peer, type PeerOwner } from './peer.ts';
import { Refusal } from './refusal.ts';
import { DURABLE_NAMES } from './router.ts';
import { lmdbStore } from './store/lmdb.ts';
import { memoryStore } from './store/memory.ts';
import type { Store } from './store/store.ts';
import { type Counted, type FrameKind, Tally } from './tally.ts';
import { ownerOf } from './temporary.ts';

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

/** Counts since the start, and what is there now. */
export interface BrokerStats extends Readonly<Record<Counted, number>> {
  readonly errors: number;
  readonly connections: number;
  /** Held now by queues and topics: contents, and an estimate of what goes with them. */
  readonly bytes: number;
}

/** What `reload` takes; what is not given stays as it is. */
export type Reloaded = Pick<BrokerOptions, 'tls' | 'authenticate' | 'authorize' | 'warnings'>;

/** What `close` left behind. */
export interface Leftover {
  /** Connections that were cut at the deadline. */
  readonly cut: number;
  /** Deliveries that nobody settled: they come again, marked. */
  readonly unsettled: number;
  /** Messages that were not flushed by the deadline: nobody has a RECEIPT for them. */
  readonly unflushed: number;
}

export interface Broker {
  /** Where it listens, with real ports, in the order of `listen`. */
  readonly urls: readonly string[];
  /** What is in the queues now. */
  readonly inspect: Inspection;
  stats(): BrokerStats;
  /** All figures, for `renderMetrics`. Costs a pass over connections and queues. */
  metrics(): MetricsSnapshot;
  /**
   * Takes other certificates, users and rules. Certificates and users are for the next connections; rules for the next SEND
   * and SUBSCRIBE of those there too. Throws what cannot be used, and nothing has changed.
   */
  reload(changed: Reloaded): void;
  /** Serves a channel that something else has opened: a memory channel of a test. */
  serve(channel: Channel): void;
  /**
   * Stops: no new connections, no new frames; what was under way is answered, clients get an ERROR and a close (M-98).
   * Settles within `timeoutMs` (default 5 000): connections that are still there then are cut. Twice gives the same promise.
   */
  close(options?: { timeoutMs?: number }): Promise<Leftover>;
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
// A flood of connections is not to become a flood in the log.
const REFUSALS_TOLD_EVERY_MS = 1_000;

/**
 * Starts a broker. Resolves when every listener is bound.
 * Rejects with TransportError (`bad-url`, `address-in-use`, …), RangeError (an option out of range) or StoreError (the data
 * directory is locked, damaged or newer); nothing is left open.
 */
export async function createBroker(options: BrokerOptions = {}): Promise<Broker> {
  const limits = resolveLimits(options.limits);
  const { log: logger, logLevel, onFault, whenFull = 'refuse', deadLetterPrefix } = options;
  if (deadLetterPrefix === '') throw new RangeError('deadLetterPrefix is empty');
  if (!WHEN_FULL.includes(whenFull)) throw new RangeError(`whenFull takes ${WHEN_FULL.join(', ')}, not ${whenFull}`);
  const log =
    logger === undefined
      ? SILENT
      : logTo(logger, { ...(logLevel && { level: logLevel }), ...(onFault && { onFault }) });
  const own = options.engine === undefined ? await openEngine(options, limits, log) : undefined;
  const broker = new EmbeddedBroker(options, limits, log, options.engine ?? (own as OwnEngine).engine, own);
  await broker.listen();
  return broker;
}

/** The engine that is ours, and what it stands on. */
interface OwnEngine {
  readonly engine: EmbeddedEngine;
  readonly store: Store;
  /** Undefined: in memory. */
  readonly data: string | undefined;
}

function timeOf(clock: Clock): number {
  return clock.time?.() ?? Date.now();
}

async function openEngine(options: BrokerOptions, limits: BrokerLimits, log: Log): Promise<OwnEngine> {
  const { data, clock = realClock, whenFull, deadLetterPrefix, onFault } = options;
  const start = clock.now();
  const store = data === undefined ? memoryStore() : await lmdbStore({ dir: data });
  const schedule = (ms: number, run: () => void) => clock.schedule(ms, run);
  try {
    const engine = new EmbeddedEngine(
      {
        ...limits,
        ...(whenFull && { whenFull }),
        ...(deadLetterPrefix !== undefined && { deadLetterPrefix }),
        observer: observing(log, onFault),
        schedule,
        time: () => timeOf(clock),
      },
      store,
    );
    if (data !== undefined) {
      let messages = store.scheduled.messages;
      for (const queue of store.queues()) messages += queue.messages;
      log('store-opened', { path: data, messages, bytes: store.size, ms: Math.round(clock.now() - start) });
    }
    return { engine, store, data };
  } catch (error) {
    await store.close();
    throw error;
  }
}

function observing(log: Log, onFault: BrokerOptions['onFault']): EngineObserver {
  return {
    deadLetter: (destination, message, reason, deliveries) =>
      log('dead-letter', { destination, message, reason, deliveries }),
    storeFailed: (error) => log('store-failed', { error }),
    storeDamaged: (error) => {
      log('store-damaged', { error });
      onFault?.(error);
    },
    storeRecovered: (ms) => log('store-recovered', { ms }),
    durableDeleted: (subscription, destination) => log('subscription-deleted', { subscription, destination }),
  };
}

class EmbeddedBroker implements Broker, PeerOwner {
  readonly limits: BrokerLimits;
  readonly engine: Engine;
  readonly server: string | undefined;
  readonly #options: BrokerOptions;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #own: OwnEngine | undefined;
  readonly #startedAt: number;
  readonly #penalty = new LoginPenalty();
  readonly #penances = new Set<() => void>();
  readonly #peers = new Map<string, Peer>();
  readonly #perAddress = new Map<string, number>();
  readonly #scratch = new Encoder({ version: '1.2', unrepresentable: 'replace' });
  readonly #tally = new Tally();
  #authenticate: Authenticate | undefined;
  #authorize: Authorize | undefined;
  #listeners: Listener[] = [];
  #dirty: Peer[] = [];
  #flushing = false;
  #refusalToldAt = Number.NEGATIVE_INFINITY;
  #refusalsUntold = 0;
  #closing: Promise<Leftover> | undefined;

  constructor(options: BrokerOptions, limits: BrokerLimits, log: Log, engine: Engine, own: OwnEngine | undefined) {
    this.#options = options;
    this.limits = limits;
    this.#log = log;
    this.#own = own;
    this.#clock = options.clock ?? realClock;
    this.#startedAt = this.now();
    this.#authenticate = options.authenticate;
    this.#authorize = options.authorize;
    this.server = options.server === false ? undefined : (options.server ?? `Stompbox/${VERSION}`);
    this.engine = engine;
  }

  async listen(): Promise<void> {
    const { tls, webSocket } = this.#options;
    const { maxConnections, connectTimeoutMs, maxHeadBytes, maxBodyBytes } = this.limits;
    const maxMessageBytes = maxHeadBytes + maxBodyBytes + WEBSOCKET_SLACK_BYTES;
    try {
      for (const url of this.#options.listen ?? []) {
        const endpoint = parseEndpoint(url, 'listen');
        if (!this.#authenticate && !this.#options.open && isOpenDoor(endpoint)) {
          throw new RangeError(
            `${url} can be reached from outside and anybody could come in: give \`authenticate\`, listen on 127.0.0.1, or say \`open: true\``,
          );
        }
        const listening = {
          maxConnections,
          handshakeTimeoutMs: connectTimeoutMs,
          ...(tls && { tls }),
          webSocket: { maxMessageBytes, ...webSocket },
          onFault: (error: unknown) => this.#neverOpened(error),
          onDrop: (address: string | undefined) => this.#turnedAway('maxConnections', address ?? ''),
        };
        this.#listeners.push(await listen(endpoint, listening, (channel) => this.serve(channel)));
      }
    } catch (error) {
      await this.close();
      throw error;
    }
    this.#warn(this.#options.warnings);
    this.#log('broker-started', { urls: this.urls, server: this.server });
  }

  #warn(warnings: readonly string[] = []): void {
    for (const warning of warnings) this.#log('configuration-warning', { warning });
  }

  get urls(): readonly string[] {
    return this.#listeners.map(({ url }) => url);
  }

  get inspect(): Inspection {
    return this.engine.inspect;
  }

  stats(): BrokerStats {
    const { counts, errors } = this.#tally;
    return { ...counts, errors, connections: this.#peers.size, bytes: this.engine.inspect.bytes };
  }

  metrics(): MetricsSnapshot {
    const own = this.#own;
    return this.#tally.snapshot({
      version: VERSION,
      engine: own === undefined ? 'custom' : own.data === undefined ? 'memory' : 'lmdb',
      uptimeMs: this.now() - this.#startedAt,
      peers: this.#peers.values(),
      limits: this.limits,
      inspect: this.engine.inspect,
      ...(own && {
        engineCounts: own.engine.counts,
        memoryBytes: own.engine.memoryBytes,
        ...(own.data !== undefined && { store: { size: own.store.size, dir: own.data } }),
      }),
    });
  }

  reload({ tls, authenticate, authorize, warnings }: Reloaded): void {
    try {
      if (tls) for (const { renew } of this.#listeners) renew?.(tls); // the first one throws if any does
    } catch (error) {
      this.#log('reload-failed', { what: ['tls'], error });
      throw error;
    }
    if (authenticate) this.#authenticate = authenticate;
    if (authorize) {
      this.#authorize = authorize;
      for (const peer of this.#peers.values()) peer.forgetPermissions();
    }
    this.#warn(warnings);
    const changed = Object.entries({ tls, authenticate, authorize }).filter(([, value]) => value !== undefined);
    this.#log('configuration-reloaded', { what: changed.map(([name]) => name) });
  }

  serve(channel: Channel): void {
    const { address, transport, remote } = channel.peer;
    const { maxConnections, maxConnectionsPerAddress } = this.limits;
    const sameAddress = address === undefined ? 0 : (this.#perAddress.get(address) ?? 0);
    const full = this.#peers.size >= maxConnections;
    if (this.#closing || full || sameAddress >= maxConnectionsPerAddress) {
      channel.open({ data() {}, drain() {}, ended() {}, closed() {} });
      channel.destroy();
      if (!this.#closing) this.#turnedAway(full ? 'maxConnections' : 'maxConnectionsPerAddress', remote);
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
        durableNames: DURABLE_NAMES,
      },
      this.now(),
    );
    const id = randomUUID();
    this.#tally.opened(transport);
    this.#log('connection-opened', { connection: id, transport, remote });
    this.#peers.set(id, new Peer(id, channel, this, session, this.#scratch));
  }

  #turnedAway(limit: 'maxConnections' | 'maxConnectionsPerAddress', remote: string): void {
    this.#tally.turnedAway(limit);
    const now = this.now();
    if (now - this.#refusalToldAt < REFUSALS_TOLD_EVERY_MS) {
      this.#refusalsUntold++;
      return;
    }
    this.#log('connection-refused', { remote, limit, suppressed: this.#refusalsUntold });
    this.#refusalToldAt = now;
    this.#refusalsUntold = 0;
  }

  #neverOpened(error: unknown): void {
    this.#log('connection-failed', { error });
    this.#options.onFault?.(error);
  }

  close(options: { timeoutMs?: number } = {}): Promise<Leftover> {
    this.#closing ??= this.#close(options.timeoutMs ?? 5_000);
    return this.#closing;
  }

  async #close(timeoutMs: number): Promise<Leftover> {
    const start = this.now();
    const { counts } = this.#tally;
    const returned = counts.returned;
    let cut = 0;
    this.#log('broker-stopping', { connections: this.#peers.size });
    const peers = [...this.#peers.values()];
    let expire = () => {};
    const expired = new Promise<'expired'>((resolve) => {
      expire = () => resolve('expired');
    });
    const cancel = this.#clock.schedule(timeoutMs, () => {
      cut = this.#peers.size;
      for (const peer of peers) peer.channel.destroy();
      expire();
    });
    await Promise.all(this.#listeners.map((listener) => listener.close()));
    await Promise.all(peers.map((peer) => peer.stop('the broker is shutting down')));
    for (const penance of this.#penances) penance();
    const closed = this.engine.close();
    await Promise.race([closed, expired]);
    cancel();
    closed.catch((error: unknown) => this.unexpected(error));
    const engineCounts = this.#own?.engine.counts;
    const unflushed = engineCounts === undefined ? 0 : engineCounts.told - engineCounts.heard;
    const leftover = { cut, unsettled: counts.returned - returned, unflushed };
    this.#log('broker-stopped', { ms: Math.round(this.now() - start), ...leftover });
    return leftover;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  // --- what peers ask of their broker

  now(): number {
    return this.#clock.now();
  }

  time(): number {
    return timeOf(this.#clock);
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
    const authenticate = this.#authenticate;
    if (authenticate === undefined) return ANONYMOUS;
    const { remote } = peer.channel.peer;
    const address = peer.channel.peer.address ?? remote;
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
      this.#penalty.failed(address, this.now()); // M-54: guesses that make it throw are guesses
      this.#tally.logins.failed++;
      this.#log('login-failed', { connection: peer.id, remote, error: redacted(cause, shown.passcode) });
      this.#options.onFault?.(cause);
      throw refusal(cause);
    }
    if (identity === undefined) {
      this.#penalty.failed(address, this.now());
      this.#tally.logins.refused++;
      const delayMs = this.#penalty.delay(address, this.now());
      this.#log('login-refused', { connection: peer.id, remote, delayMs });
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

  admitted(peer: Peer, version: string): void {
    this.#tally.logins.accepted++;
    const { remote } = peer.channel.peer;
    this.#log('login-accepted', { connection: peer.id, remote, identity: peer.identity?.name, version });
  }

  allows(peer: Peer, identity: Identity, verb: 'send' | 'subscribe', destination: string): boolean {
    const allowed = this.#authorize?.(identity, verb, destination) ?? true;
    if (!allowed) this.#log('access-refused', { connection: peer.id, identity: identity.name, verb, destination });
    return allowed;
  }

  refused(peer: Peer, error: unknown, code: string, message: string): void {
    const limit = limitNamedIn(message);
    this.#tally.refused(code, limit);
    const about = { connection: peer.id, identity: peer.identity?.name };
    // What the session or the router say may quote the client, and a client may say its passcode anywhere.
    const said = error instanceof EngineError || limit !== undefined ? { error: message } : {};
    if (code === 'slow-consumer') this.#log('slow-consumer', { ...about, ...said });
    else if (limit !== undefined) this.#log('limit-reached', { limit, ...about, ...said });
    if (code !== 'closing') this.#log('client-error', { ...about, remote: peer.channel.peer.remote, code, ...said });
  }

  reached(limit: LimitName): void {
    this.#tally.reached(limit);
  }

  hasTemporary(queue: string): boolean {
    return this.#peers.get(ownerOf(queue))?.owns(queue) ?? false;
  }

  discard(queue: string): void {
    this.engine.discard(queue).catch((error: unknown) => this.unexpected(error));
  }

  count(what: Counted, n: number): void {
    this.#tally.counts[what] += n;
  }

  heard(kind: FrameKind): void {
    this.#tally.frames[kind]++;
  }

  unexpected(error: unknown): void {
    this.#log('fault', { error });
    this.#options.onFault?.(error);
  }

  closed(peer: Peer, { error }: ChannelEnd): void {
    this.#peers.delete(peer.id);
    const { address, remote } = peer.channel.peer;
    const { id: connection, received, delivered } = peer;
    const about = { connection, remote, identity: peer.identity?.name, received, delivered };
    this.#log('connection-closed', { ...about, ms: Math.round(this.now() - peer.since), ...(error && { error }) });
    if (address === undefined) return;
    const left = (this.#perAddress.get(address) ?? 1) - 1;
    if (left === 0) this.#perAddress.delete(address);
    else this.#perAddress.set(address, left);
  }
}

// What an authenticator throws may quote what it was shown.
function redacted(error: unknown, passcode: string | undefined): string {
  const text = reasons(error);
  return passcode ? text.replaceAll(passcode, '***') : text;
}
