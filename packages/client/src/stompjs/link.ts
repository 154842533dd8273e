// One socket, from CONNECT to its end, in stompjs's manners: synchronous verbs, callbacks
// in the order of the wire. Connecting again is the client's business.
//
//   socket.onmessage ─► ClientSession ─► callbacks, one event after the other
//   verbs ─► ClientSession ─► socket.send, one message a frame (W-05)
//
// The session keeps the books, so an ack can only go where its message came from.
// Whatever is waited for has a deadline: what a socket does not tell in time, is told for it.

import { ClientSession, type Frame, frame, type OwedMessage, UsageError, VERSIONS } from '@stompbox/protocol';
import { type Clock, systemClock } from '../clock.ts';
import { Timer } from '../connection/timer.ts';
import { redacted } from '../observers/observer.ts';
import { workerClock } from '../worker-clock.ts';
import { type FrameImpl, headersOf, headText, received } from './frame-impl.ts';
import { LENIENT } from './leniency.ts';
import { octetsOf } from './octets.ts';
import {
  type frameCallbackType,
  type IMessage,
  type IPublishParams,
  type IStompSocket,
  type IStompSocketMessageEvent,
  type ITransaction,
  type messageCallbackType,
  type SocketCloseEvent,
  type SocketErrorEvent,
  type StompHeaders,
  StompSocketState,
  type StompSubscription,
  TickerStrategy,
} from './types.ts';
import type { Versions } from './versions.ts';

/** How long a broker may take to answer DISCONNECT, to close after its ERROR, and a socket to close at all. */
const DISCONNECT_MS = 5_000;
const GRACE_MS = 1_000;
const CLOSE_MS = 2_000;

const DECODER = new TextDecoder('utf-8', { ignoreBOM: true });

/** What a link reads of its client; settings count when the link is made, `debug` at all times. */
export interface LinkSettings {
  readonly clock: Clock;
  readonly stompVersions: Versions;
  readonly connectHeaders: StompHeaders;
  readonly heartbeatIncoming: number;
  readonly heartbeatOutgoing: number;
  readonly heartbeatToleranceMultiplier: number;
  readonly heartbeatStrategy: TickerStrategy;
  readonly splitLargeFrames: boolean;
  readonly maxWebSocketChunkSize: number;
  readonly forceBinaryWSFrames: boolean;
  readonly appendMissingNULLonIncoming: boolean;
  readonly logRawCommunication: boolean;
  readonly discardWebsocketOnCommFailure: boolean;
}

/** Who hears what happens. None of them throws. */
export interface LinkListener {
  connected(frame: FrameImpl): void;
  disconnected(frame: FrameImpl): void;
  refused(frame: FrameImpl): void;
  unhandledMessage(message: IMessage): void;
  unhandledReceipt(frame: FrameImpl): void;
  heartBeat(): void;
  heartBeatLost(): void;
  failed(event: SocketErrorEvent): void;
  /** The last one, exactly once. */
  closed(event: SocketCloseEvent): void;
  /** Runs a callback of the application, which may throw. */
  run(callback: () => void): void;
  /** Undefined where nobody listens, and the text need not be made. */
  readonly debug: ((line: string) => void) | undefined;
}

export class Link {
  readonly socket: IStompSocket;
  readonly #settings: LinkSettings;
  readonly #heard: LinkListener;
  readonly #session: ClientSession;
  readonly #timer: Timer;
  readonly #callbacks = new Map<string, messageCallbackType>();
  readonly #watchers = new Map<string, frameCallbackType>();
  #ids = 0;
  #connected = false;
  #closed = false;
  #stopWaiting: (() => void) | undefined;

  constructor(socket: IStompSocket, settings: LinkSettings, heard: LinkListener) {
    this.socket = socket;
    this.#settings = settings;
    this.#heard = heard;
    const { clock, heartbeatOutgoing: send, heartbeatIncoming: expect } = settings;
    this.#session = new ClientSession(
      {
        versions: VERSIONS.filter((version) => settings.stompVersions.versions.includes(version)),
        heartBeat: { send, expect },
        heartBeatTolerance: settings.heartbeatToleranceMultiplier,
        leniency: LENIENT,
        connectTimeoutMs: 0, // the client's connectionTimeout covers the socket too
        frameTimeoutMs: 0,
        errorPolicy: 'profile',
      },
      clock.now(),
    );
    const isPunctual = settings.heartbeatStrategy === TickerStrategy.Worker && clock === systemClock;
    this.#timer = new Timer(isPunctual ? workerClock : clock, {
      deadline: () => this.#session.deadline,
      due: (now) => this.#due(now),
    });
  }

  get connected(): boolean {
    return this.#connected;
  }
  get version(): string | undefined {
    return this.#session.version;
  }

  start(): void {
    const { socket } = this;
    socket.binaryType = 'arraybuffer';
    socket.onmessage = (event: IStompSocketMessageEvent) => this.#receive(event);
    socket.onerror = (event: SocketErrorEvent) => this.#heard.failed(event);
    socket.onclose = (event: SocketCloseEvent) => this.#end(event);
    if (socket.readyState === StompSocketState.OPEN) this.#shakeHands();
    else socket.onopen = () => this.#shakeHands();
  }

  // -------------------------------------------------------------------------------------------------------- the verbs

  publish({ destination, headers, body = '', binaryBody, skipContentLengthHeader }: IPublishParams): void {
    const content = binaryBody ?? body;
    const send = frame('SEND', headersOf({ destination }, headers), content);
    const isBinary = binaryBody !== undefined;
    const announces = skipContentLengthHeader !== true || isBinary || send.body.includes(0);
    this.#say(send, isBinary, announces);
  }

  watchForReceipt(id: string, callback: frameCallbackType): void {
    this.#watchers.set(id, callback);
  }

  subscribe(destination: string, callback: messageCallbackType, headers: StompHeaders): StompSubscription {
    const id = headers.id || `sub-${this.#ids++}`;
    this.#say(frame('SUBSCRIBE', headersOf(headers, { id, destination })));
    this.#callbacks.set(id, callback);
    return { id, unsubscribe: (more) => this.unsubscribe(id, more) };
  }

  unsubscribe(id: string, headers: StompHeaders | undefined): void {
    this.#callbacks.delete(id);
    this.#settled(() => this.#say(frame('UNSUBSCRIBE', headersOf(headers, { id }))), 'UNSUBSCRIBE');
  }

  begin(id: string | undefined): ITransaction {
    const transaction = id || `tx-${this.#ids++}`;
    this.#say(frame('BEGIN', { transaction }));
    return {
      id: transaction,
      commit: () => this.demarcate('COMMIT', transaction),
      abort: () => this.demarcate('ABORT', transaction),
    };
  }

  demarcate(command: 'COMMIT' | 'ABORT', transaction: string): void {
    this.#say(frame(command, { transaction }));
  }

  /** Settles by the id that the MESSAGE had in its `ack` header, or before 1.2 in `message-id`. */
  settle(command: 'ACK' | 'NACK', id: string, subscription: string, headers: StompHeaders): void {
    const name = this.#session.version === '1.2' ? 'id' : 'message-id';
    this.#settled(() => this.#say(frame(command, headersOf(headers, { [name]: id, subscription }))), command);
  }

  /** DISCONNECT, its RECEIPT, and the end of the socket; each within its time. */
  leave(headers: StompHeaders): void {
    if (!this.#connected) {
      this.close();
      return;
    }
    const receipt = headers.receipt || `close-${this.#ids++}`;
    this.#watchers.set(receipt, (answer) => {
      this.close();
      this.#heard.disconnected(received(frame('RECEIPT', Object.entries(answer.headers))));
    });
    this.#say(frame('DISCONNECT', headersOf(headers, { receipt })));
    this.#wait(DISCONNECT_MS, () => {
      this.#heard.debug?.('the broker does not answer DISCONNECT; closing without its RECEIPT');
      this.close();
    });
  }

  /** Closes the socket without a word; nothing that still comes is heard. */
  close(): void {
    this.#stop();
    if (this.#closed) return;
    this.#wait(CLOSE_MS, () => this.#abandon('it did not close in time'));
    this.socket.close();
  }

  /** As a failed connection is closed: with `discardWebsocketOnCommFailure` nobody waits for it. */
  drop(): void {
    if (this.#settings.discardWebsocketOnCommFailure) this.discard();
    else this.close();
  }

  /** Ends it now, whatever becomes of the socket. */
  discard(): void {
    this.#stop();
    if (this.#closed) return;
    if (typeof this.socket.terminate === 'function') {
      this.#wait(CLOSE_MS, () => this.#abandon('it did not terminate in time'));
      this.socket.terminate();
    } else {
      this.socket.close();
      this.#abandon('the application discards it');
    }
  }

  // --------------------------------------------------------------------------------------------------------- speaking

  #shakeHands(): void {
    if (this.#closed || this.#session.state !== 'opening') return;
    const { 'accept-version': _, 'heart-beat': __, ...headers } = this.#settings.connectHeaders;
    this.#heard.debug?.('Web Socket Opened...');
    try {
      const connect = this.#session.connect(Object.fromEntries(headersOf(headers)));
      this.#sent(connect, false, false);
    } catch (error) {
      this.#broken(error);
    }
  }

  // Throws UsageError, and then nothing was written.
  #say(said: Frame, isBinary = false, announces = true): void {
    if (announces || !said.is('SEND')) this.#session.send(said);
    else {
      this.#session.sendHead(said, undefined);
      this.#session.sendPiece(said.body, true);
    }
    // Ids may be used again, and some brokers never answer (Spring): our watchers are the only book of receipts.
    const receipt = said.headers.get('receipt');
    if (receipt !== undefined) this.#session.forget(receipt);
    this.#sent(said, isBinary, announces);
  }

  #sent(said: Frame, isBinary: boolean, announces: boolean): void {
    const bytes = this.#session.take(this.#settings.clock.now());
    const { debug } = this.#heard;
    if (debug !== undefined) {
      const shown = redacted(said);
      const head = headText(shown, this.#session.version, announces && shown.body.length > 0);
      debug(`>>> ${head}${this.#settings.logRawCommunication ? DECODER.decode(shown.body) : ''}`);
    }
    this.#write(bytes, isBinary);
  }

  #write(bytes: Uint8Array, isBinary: boolean): void {
    const { forceBinaryWSFrames, splitLargeFrames, maxWebSocketChunkSize } = this.#settings;
    if (isBinary || forceBinaryWSFrames) {
      this.socket.send(new Uint8Array(bytes));
      return;
    }
    const text = DECODER.decode(bytes);
    if (!splitLargeFrames || text.length <= maxWebSocketChunkSize) this.socket.send(text);
    else for (const chunk of chunks(text, maxWebSocketChunkSize)) this.socket.send(chunk);
  }

  // What the broker has settled already, or forgotten, is nothing to send and nothing to fail over.
  #settled(say: () => void, command: string): void {
    try {
      say();
    } catch (error) {
      if (!(error instanceof UsageError) || !NOTHING_TO_SETTLE.has(error.code)) throw error;
      this.#heard.debug?.(`${command} is not sent: ${error.message}`);
    }
  }

  // -------------------------------------------------------------------------------------------------------- listening

  #receive({ data }: IStompSocketMessageEvent): void {
    if (data === undefined || this.#closed) return;
    const { clock, appendMissingNULLonIncoming, logRawCommunication } = this.#settings;
    const now = clock.now();
    const octets = octetsOf(data, appendMissingNULLonIncoming);
    if (logRawCommunication) this.#heard.debug?.(`<<< ${DECODER.decode(octets)}`);
    this.#session.receive(octets, now);
    for (let event = this.#session.next(now); event !== undefined; event = this.#session.next(now)) {
      if (event.type === 'heart-beat') {
        this.#heard.debug?.('<<< PONG');
        this.#heard.heartBeat();
      } else if (event.type === 'fault') {
        this.#broken(event.error);
      } else if (event.type !== 'piece') {
        if (!logRawCommunication) this.#heard.debug?.(`<<< ${headText(event.frame, this.#session.version, false)}`);
        if (event.type === 'message') this.#message(event.frame, event.owed);
        else if (event.type === 'receipt') this.#receipt(event.frame, event.id);
        else if (event.type === 'error') this.#refused(event.frame, event.cancelled?.id);
        else {
          this.#connected = true;
          this.#timer.arm();
          this.#heard.connected(received(event.frame));
        }
      }
    }
  }

  #message(came: Frame, owed: OwedMessage | undefined): void {
    const settle = (command: 'ACK' | 'NACK', headers: StompHeaders | undefined): void => {
      if (this.#closed || !this.#connected) {
        this.#heard.debug?.(`${command} is not sent: the connection that delivered the message is gone`);
      } else if (owed === undefined) {
        this.#heard.debug?.(`${command} is not sent: the broker waits for none`);
      } else {
        const own = this.#session.version === '1.2' ? { id: owed.key } : { 'message-id': owed.key };
        const subscription = owed.subscription.id;
        this.#settled(() => this.#say(frame(command, headersOf(headers, own, { subscription }))), command);
      }
    };
    const message: IMessage = Object.assign(received(came), {
      ack: (headers?: StompHeaders) => settle('ACK', headers),
      nack: (headers?: StompHeaders) => settle('NACK', headers),
    });
    const callback = this.#callbacks.get(came.headers.get('subscription') ?? owed?.subscription.id ?? '');
    if (callback === undefined) this.#heard.unhandledMessage(message);
    else this.#heard.run(() => callback(message));
  }

  #receipt(came: Frame, id: string | undefined): void {
    const watcher = this.#watchers.get(id ?? '');
    if (id === undefined || watcher === undefined) {
      this.#heard.unhandledReceipt(received(came));
      return;
    }
    this.#watchers.delete(id);
    this.#heard.run(() => watcher(received(came)));
  }

  // An ERROR that only cancels a subscription leaves the connection as it is; after any other the broker closes (E-06).
  #refused(came: Frame, cancelled: string | undefined): void {
    if (cancelled !== undefined) this.#callbacks.delete(cancelled);
    this.#heard.refused(received(came));
    if (cancelled !== undefined || this.#closed) return;
    this.#connected = false;
    this.#timer.stop();
    this.#wait(GRACE_MS, () => this.close());
  }

  #broken(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    this.#heard.debug?.(`closing: ${message}`);
    this.#heard.failed({ type: 'error', error, message });
    this.drop();
  }

  #due(now: number): void {
    const error = this.#session.tick(now);
    if (error !== undefined) {
      this.#heard.debug?.(error.message);
      this.#heard.heartBeatLost();
      this.drop();
      return;
    }
    if (this.#session.pending > 0) {
      this.#write(this.#session.take(now), false);
      this.#heard.debug?.('>>> PING');
    }
    this.#timer.arm();
  }

  // ----------------------------------------------------------------------------------------------------------- ending

  #wait(ms: number, tooLate: () => void): void {
    this.#stopWaiting?.();
    this.#stopWaiting = this.#settings.clock.schedule(ms, tooLate, true);
  }

  #stop(): void {
    this.#connected = false;
    this.#session.close();
    this.#timer.stop();
    this.socket.onmessage = () => {};
  }

  #abandon(why: string): void {
    this.#heard.debug?.(`not waiting for the socket: ${why}`);
    this.#end({ code: 4001, reason: `Not waiting for the socket to close: ${why}.`, wasClean: false });
  }

  #end(event: SocketCloseEvent): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stop();
    this.#stopWaiting?.();
    this.socket.onopen = this.socket.onclose = () => {};
    this.socket.onerror = () => {}; // `ws` throws what nobody hears
    this.#heard.closed(event);
  }
}

const NOTHING_TO_SETTLE: ReadonlySet<string> = new Set(['unknown-ack', 'ack-on-auto', 'unknown-subscription']);

// Pieces of at most `size` UTF-16 units, none of which ends inside a character: a socket would garble it.
function* chunks(text: string, size: number): Iterable<string> {
  for (let at = 0; at < text.length; ) {
    let end = Math.min(text.length, at + Math.max(2, size));
    const last = text.charCodeAt(end - 1);
    if (end < text.length && last >= 0xd800 && last <= 0xdbff) end--;
    yield text.slice(at, end);
    at = end;
  }
}
