// The broker as a whole: listeners, connections, one engine; how it starts, what it
// tells about itself, and how it stops.

import { randomUUID } from 'node:crypto';
import { Encoder, type Frame, ServerSession } from '@stompbox/protocol';
import { type Channel, type ChannelEnd, parseEndpoint } from '@stompbox/transport';
import { type Listener, listen } from '@stompbox/transport/node';
import { type Authenticate, type Authorize, type Identity, isOpenDoor } from './access.ts';
import { Doorkeeper, type DoorkeeperOwner, type DoorLimit, MAX_TURNED_AWAY, shut } from './doorkeeper.ts';
import { WHEN_FULL } from './engine/embedded/options.ts';
import { type Delivery, type Engine, EngineError, type Inspection } from './engine/engine.ts';
import { type BrokerLimits, type LimitName, limitNamedIn, resolveLimits } from './limits.ts';
import { type Log, logTo, SILENT } from './log.ts';
import { Logins } from './logins.ts';
import { type Management, type ManageOwner, managementOf } from './manage.ts';
import type { MetricsSnapshot } from './metrics.ts';
import { type BrokerOptions, type Clock, type Reloaded, realClock, timeOf } from './options.ts';
import { type OwnEngine, openOwnEngine } from './own-engine.ts';
import { Peer, type PeerOwner } from './peer.ts';
import { DURABLE_NAMES } from './router.ts';
import { type Counted, type FrameKind, Tally } from './tally.ts';
import { ownerOf } from './temporary.ts';

/** Counts since the start, and what is there now. */
export interface BrokerStats extends Readonly<Record<Counted, number>> {
  readonly errors: number;
  readonly connections: number;
  /** Held now by queues and topics: contents, and an estimate of what goes with them. */
  readonly bytes: number;
}

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
  /** What is in the queues now: the door of whoever runs this process, who may everything. */
  readonly inspect: Inspection;
  /**
   * The same for somebody: `manage` is asked of `authorize` for each verb and destination, and what may not be managed is not
   * listed. Throws AccessError, or rejects with it, where that user may not.
   */
  manageAs(identity: Identity): Management;
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

const VERSION = '0.1.0';
// A WebSocket message may hold several frames (W-04); a frame that is too large gets its ERROR before the message is.
const WEBSOCKET_SLACK_BYTES = 65_536;

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
  const { engine, own } = await engineOf(options, limits, log);
  const broker = new EmbeddedBroker(options, limits, log, engine, own);
  await broker.listen();
  return broker;
}

async function engineOf(
  options: BrokerOptions,
  limits: BrokerLimits,
  log: Log,
): Promise<{ readonly engine: Engine; readonly own: OwnEngine | undefined }> {
  if (options.engine !== undefined) return { engine: options.engine, own: undefined };
  const { clock = realClock, data, whenFull, deadLetterPrefix } = options;
  const own = await openOwnEngine({
    data,
    limits,
    log,
    ...(whenFull && { whenFull }),
    ...(deadLetterPrefix !== undefined && { deadLetterPrefix }),
    now: () => clock.now(),
    time: () => timeOf(clock),
    schedule: (ms, run) => clock.schedule(ms, run),
    fault: (error) => options.onFault?.(error),
  });
  return { engine: own.engine, own };
}

class EmbeddedBroker implements Broker, PeerOwner, DoorkeeperOwner, ManageOwner {
  readonly limits: BrokerLimits;
  readonly engine: Engine;
  readonly server: string | undefined;
  readonly #options: BrokerOptions;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #own: OwnEngine | undefined;
  readonly #startedAt: number;
  readonly #peers = new Map<string, Peer>();
  readonly #doorkeeper: Doorkeeper;
  readonly #logins: Logins;
  readonly #scratch = new Encoder({ version: '1.2', unrepresentable: 'replace' });
  readonly #tally = new Tally();
  #authenticate: Authenticate | undefined;
  #authorize: Authorize | undefined;
  #listeners: Listener[] = [];
  #dirty: Peer[] = [];
  #flushing = false;
  #closing: Promise<Leftover> | undefined;

  constructor(options: BrokerOptions, limits: BrokerLimits, log: Log, engine: Engine, own: OwnEngine | undefined) {
    this.#options = options;
    this.limits = limits;
    this.#log = log;
    this.#own = own;
    this.engine = engine;
    this.#clock = options.clock ?? realClock;
    this.#startedAt = this.now();
    this.#authenticate = options.authenticate;
    this.#authorize = options.authorize;
    this.#doorkeeper = new Doorkeeper(this);
    this.#logins = new Logins({
      counts: this.#tally.logins,
      log,
      now: () => this.now(),
      schedule: (ms, run) => this.schedule(ms, run),
      fault: (error) => options.onFault?.(error),
    });
    this.server = options.server === false ? undefined : (options.server ?? `Stompbox/${VERSION}`);
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
          maxConnections: maxConnections + MAX_TURNED_AWAY,
          handshakeTimeoutMs: connectTimeoutMs,
          ...(tls && { tls }),
          webSocket: { maxMessageBytes, ...webSocket },
          onFault: (error: unknown) => this.#neverOpened(error),
          onDrop: (address: string | undefined) => this.#doorkeeper.dropped(address),
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

  manageAs(identity: Identity): Management {
    return managementOf(this, identity);
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
    if (this.#closing) {
      shut(channel);
      return;
    }
    if (!this.#doorkeeper.admits(channel)) return;
    const { transport, remote } = channel.peer;
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
    // All at once, and then one by one: what comes back from one is not for those who are to leave next.
    for (const peer of peers) peer.hush();
    await Promise.all(peers.map((peer) => peer.stop('the broker is shutting down')));
    this.#doorkeeper.close();
    this.#logins.close();
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

  authenticate(peer: Peer, frame: Frame): Promise<Identity> {
    return this.#logins.ask(this.#authenticate, frame, peer.id, peer.channel.peer, () => this.#peers.has(peer.id));
  }

  turnedAway(limit: DoorLimit, told: boolean): void {
    this.#tally.turnedAway(limit, told);
  }

  tell(limit: DoorLimit, remote: string, suppressed: number): void {
    this.#log('connection-refused', { remote, limit, suppressed });
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

  mayManage(identity: Identity, destination: string): boolean {
    return this.#authorize?.(identity, 'manage', destination) ?? true;
  }

  refusesToManage(identity: Identity, destination: string): string {
    this.#log('access-refused', { identity: identity.name, verb: 'manage', destination });
    return this.#authorize?.why?.(identity, 'manage', destination) ?? '`authorize` says no';
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
    const { remote } = peer.channel.peer;
    const { id: connection, received, delivered } = peer;
    const about = { connection, remote, identity: peer.identity?.name, received, delivered };
    this.#log('connection-closed', { ...about, ms: Math.round(this.now() - peer.since), ...(error && { error }) });
    this.#doorkeeper.left(peer.channel);
  }
}
