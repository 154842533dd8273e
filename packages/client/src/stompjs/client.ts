// The `Client` of @stomp/stompjs 7: connects, connects again, and calls back. Subscriptions
// are those of one connection: `onConnect` makes them each time.
//
//   activate ─► beforeConnect ─► socket ─► Link ─► onConnect
//      ▲                                    │ closed
//      └────── reconnectDelay ◄─────────────┘ unless deactivated

import { type Clock, systemClock } from '../clock.ts';
import { openSocket } from './dialled-socket.ts';
import { Link } from './link.ts';
import {
  ActivationState,
  ClientConfig,
  type closeEventCallbackType,
  type debugFnType,
  type emptyCallbackType,
  type frameCallbackType,
  type IPublishParams,
  type IStompSocket,
  type ITransaction,
  type messageCallbackType,
  ReconnectionTimeMode,
  type StompHeaders,
  StompSocketState,
  type StompSubscription,
  TickerStrategy,
  type wsErrorCallbackType,
} from './types.ts';
import { Versions } from './versions.ts';

/** A class, since `@stomp/stompjs` exports one. */
export class StompConfig extends ClientConfig<Client> {}

const nothing = (): void => {};

/** Each field has its sentence in `StompConfig`. */
export class Client {
  brokerURL: string | undefined;
  stompVersions: Versions = Versions.default;
  webSocketFactory: (() => IStompSocket) | undefined;
  connectionTimeout: number = 0;
  reconnectDelay: number = 5_000;
  maxReconnectDelay: number = 15 * 60 * 1_000;
  reconnectTimeMode: ReconnectionTimeMode = ReconnectionTimeMode.LINEAR;
  heartbeatIncoming: number = 10_000;
  heartbeatToleranceMultiplier: number = 2;
  heartbeatOutgoing: number = 10_000;
  heartbeatStrategy: TickerStrategy = TickerStrategy.Interval;
  splitLargeFrames: boolean = false;
  maxWebSocketChunkSize: number = 8 * 1024;
  forceBinaryWSFrames: boolean = false;
  appendMissingNULLonIncoming: boolean = false;
  discardWebsocketOnCommFailure: boolean = false;
  logRawCommunication: boolean = false;
  connectHeaders: StompHeaders = {};
  disconnectHeaders: StompHeaders = {};
  debug: debugFnType = nothing;
  beforeConnect: (client: Client) => void | Promise<void> = nothing;
  onConnect: frameCallbackType = nothing;
  onDisconnect: frameCallbackType = nothing;
  onUnhandledMessage: messageCallbackType = nothing;
  onUnhandledReceipt: frameCallbackType = nothing;
  onUnhandledFrame: frameCallbackType = nothing;
  onHeartbeatReceived: emptyCallbackType = nothing;
  onHeartbeatLost: emptyCallbackType = nothing;
  onStompError: frameCallbackType = nothing;
  onWebSocketClose: closeEventCallbackType = nothing;
  onWebSocketError: wsErrorCallbackType = nothing;
  onChangeState: (state: ActivationState) => void = nothing;
  onCallbackError: ((error: unknown) => void) | undefined;
  clock: Clock = systemClock;
  state: ActivationState = ActivationState.INACTIVE;

  #link: Link | undefined;
  #attempt = 0; // the one under way; what an earlier one still awaits is of no interest
  #nextDelay = 0;
  #stopReconnecting: (() => void) | undefined;
  #stopWatching: (() => void) | undefined;
  #leaving: Promise<void> | undefined;
  #tellLeft: () => void = nothing;
  #activateAgain = false;

  constructor(conf: StompConfig = {}) {
    this.configure(conf);
  }

  /** The socket of the connection, while there is one. */
  get webSocket(): IStompSocket | undefined {
    return this.#link?.socket;
  }
  get connected(): boolean {
    return this.#link?.connected ?? false;
  }
  get connectedVersion(): string | undefined {
    return this.#link?.version;
  }
  /** Connected, or on the way to it. */
  get active(): boolean {
    return this.state === ActivationState.ACTIVE;
  }

  configure(conf: StompConfig): void {
    Object.assign(this, Object.fromEntries(Object.entries(conf).filter(([, value]) => value !== undefined)));
    if (this.maxReconnectDelay > 0 && this.maxReconnectDelay < this.reconnectDelay) {
      this.#say(`maxReconnectDelay ${this.maxReconnectDelay} is less than reconnectDelay, which is taken instead`);
      this.maxReconnectDelay = this.reconnectDelay;
    }
  }

  /** Starts to connect. During `deactivate()`: once that is done. */
  activate(): void {
    if (this.state === ActivationState.DEACTIVATING) {
      this.#activateAgain = true;
    } else if (this.active) {
      this.#say('Already ACTIVE, ignoring request to activate');
    } else {
      this.#nextDelay = this.reconnectDelay;
      this.#change(ActivationState.ACTIVE);
      void this.#connect();
    }
  }

  /**
   * Says DISCONNECT, waits for the RECEIPT and the end of the socket, each for a bounded time, and connects no more. `force`
   * does none of this and ends it now. Always resolves.
   */
  deactivate(options: { force?: boolean } = {}): Promise<void> {
    this.#activateAgain = false;
    if (this.state === ActivationState.INACTIVE) {
      this.#say('Already INACTIVE, nothing more to do');
      return Promise.resolve();
    }
    const isFirst = this.active;
    if (isFirst) this.#change(ActivationState.DEACTIVATING);
    this.#stopReconnecting?.();
    this.#attempt++;
    const link = this.#link;
    if (link === undefined || link.socket.readyState === StompSocketState.CLOSED) {
      this.#change(ActivationState.INACTIVE);
      return Promise.resolve();
    }
    this.#leaving ??= new Promise((resolve) => {
      this.#tellLeft = resolve;
    });
    const left = this.#leaving;
    if (options.force === true) link.discard();
    else if (isFirst) this.#leave(link);
    return left;
  }

  /** Closes the socket without a goodbye; the client connects again as after any loss. */
  forceDisconnect(): void {
    const state = this.#link?.socket.readyState;
    if (state === StompSocketState.CONNECTING || state === StompSocketState.OPEN) this.#link?.drop();
  }

  /** Throws TypeError without a connection, UsageError where STOMP cannot say it; then nothing was sent. */
  publish(params: IPublishParams): void {
    this.#connection().publish(params);
  }

  /** `callback` gets the RECEIPT of this id, if it comes on this connection. */
  watchForReceipt(receiptId: string, callback: frameCallbackType): void {
    this.#connection().watchForReceipt(receiptId, callback);
  }

  /** For this connection: after a reconnect it is for `onConnect` to subscribe again. Throws as `publish` does. */
  subscribe(destination: string, callback: messageCallbackType, headers: StompHeaders = {}): StompSubscription {
    return this.#connection().subscribe(destination, callback, headers);
  }

  unsubscribe(id: string, headers: StompHeaders = {}): void {
    this.#connection().unsubscribe(id, headers);
  }

  begin(transactionId?: string): ITransaction {
    return this.#connection().begin(transactionId);
  }

  commit(transactionId: string): void {
    this.#connection().demarcate('COMMIT', transactionId);
  }

  abort(transactionId: string): void {
    this.#connection().demarcate('ABORT', transactionId);
  }

  /** What is no delivery that waits on this connection is not sent; `debug` hears of it. */
  ack(messageId: string, subscriptionId: string, headers: StompHeaders = {}): void {
    this.#connection().settle('ACK', messageId, subscriptionId, headers);
  }

  nack(messageId: string, subscriptionId: string, headers: StompHeaders = {}): void {
    this.#connection().settle('NACK', messageId, subscriptionId, headers);
  }

  #connection(): Link {
    if (this.#link?.connected !== true) throw new TypeError('There is no underlying STOMP connection');
    return this.#link;
  }

  async #connect(): Promise<void> {
    const attempt = ++this.#attempt;
    try {
      await this.beforeConnect(this);
      if (attempt !== this.#attempt || !this.active) return;
      this.#say('Opening Web Socket...');
      this.#link = new Link(this.#socket(), this, this.#listener());
    } catch (error) {
      if (attempt !== this.#attempt) return;
      const message = error instanceof Error ? error.message : String(error);
      this.#run(() => this.onWebSocketError({ type: 'error', error, message }));
      if (attempt === this.#attempt) this.#reconnect();
      return;
    }
    if (this.connectionTimeout > 0) {
      this.#stopWatching = this.clock.schedule(this.connectionTimeout, () => {
        this.#say(`Connection not established in ${this.connectionTimeout}ms, closing socket`);
        this.forceDisconnect();
      });
    }
    this.#link.start();
  }

  #socket(): IStompSocket {
    if (this.webSocketFactory !== undefined) return this.webSocketFactory();
    if (!this.brokerURL) throw new Error('Either brokerURL or webSocketFactory must be provided');
    return openSocket(this.brokerURL, this.stompVersions.protocolVersions());
  }

  #listener(): ConstructorParameters<typeof Link>[2] {
    const client = this;
    return {
      connected(frame) {
        client.#stopWatching?.();
        client.#nextDelay = client.reconnectDelay;
        client.#run(() => client.onConnect(frame));
      },
      disconnected: (frame) => this.#run(() => this.onDisconnect(frame)),
      refused: (frame) => this.#run(() => this.onStompError(frame)),
      unhandledMessage: (message) => this.#run(() => this.onUnhandledMessage(message)),
      unhandledReceipt: (frame) => this.#run(() => this.onUnhandledReceipt(frame)),
      heartBeat: () => this.#run(() => this.onHeartbeatReceived()),
      heartBeatLost: () => this.#run(() => this.onHeartbeatLost()),
      failed: (event) => this.#run(() => this.onWebSocketError(event)),
      closed: (event) => this.#closed(event),
      run: (callback) => this.#run(callback),
      get debug() {
        return client.#debug;
      },
    };
  }

  #leave(link: Link): void {
    try {
      link.leave(this.disconnectHeaders);
    } catch (error) {
      this.#say(`closing without a goodbye: ${error}`);
      link.close();
    }
  }

  #closed(event: Parameters<closeEventCallbackType>[0]): void {
    this.#link = undefined;
    this.#stopWatching?.();
    if (this.state === ActivationState.DEACTIVATING) this.#change(ActivationState.INACTIVE);
    const attempt = this.#attempt;
    this.#run(() => this.onWebSocketClose(event)); // before the next attempt, so that it may deactivate
    this.#leaving = undefined;
    this.#tellLeft();
    if (this.active && attempt === this.#attempt) this.#reconnect();
    else if (this.#activateAgain) {
      this.#activateAgain = false;
      this.activate();
    }
  }

  #reconnect(): void {
    const delay = this.#nextDelay;
    if (delay <= 0) return;
    this.#say(`STOMP: scheduling reconnection in ${delay}ms`);
    this.#stopReconnecting = this.clock.schedule(
      delay,
      () => {
        if (this.reconnectTimeMode === ReconnectionTimeMode.EXPONENTIAL) {
          this.#nextDelay = Math.min(delay * 2, this.maxReconnectDelay || Number.POSITIVE_INFINITY);
        }
        void this.#connect();
      },
      true,
    );
  }

  #change(state: ActivationState): void {
    this.state = state;
    this.#run(() => this.onChangeState(state));
  }

  #say(line: string): void {
    this.#debug?.(line);
  }

  // Undefined where nobody listens; tutorials set it to null.
  get #debug(): debugFnType | undefined {
    const { debug } = this;
    if (debug === nothing || typeof debug !== 'function') return undefined;
    return (line) => this.#run(() => debug(line));
  }

  // The application's code: what it throws is heard of, and never by the connection.
  #run(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      if (this.onCallbackError === undefined) void Promise.reject(error);
      else this.onCallbackError(error);
    }
  }
}
