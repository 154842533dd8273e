// The line to one broker: channel and session, what hangs on them, and the end of them.
//
//   channel ─bytes─► session ─events─┬─► Deliveries ─► Subscription, raw inbox, onUnhandled
//                                    └─► Receipts       what verbs wait for
//   channel ◄─bytes─ Writer ◄─ session ◄─ Speaker ◄─ verbs of the connection
//                                    ▲
//                                    └─ StreamedSends: while a body is sent, other frames wait
//
// One Timer serves heart-beats and receipts; Goodbye leaves in order. Whatever ends the line
// goes through #finish, which settles every promise there is, once.

import {
  type ClientEvent,
  ClientSession,
  Frame,
  frame,
  type HeartBeatPeriods,
  type ProtocolError,
  type Version,
} from '@stompbox/protocol';
import type { Channel, ChannelEnd, PeerInfo } from '@stompbox/transport';
import { BrokerError, ConnectionLost, type Outcome, TimeoutError } from '../errors.ts';
import { Hooks } from '../observers/hooks.ts';
import { onAbort } from '../signal.ts';
import { type CloseReason, lostBy, withoutWord } from './close-reason.ts';
import { Deliveries } from './deliveries.ts';
import { Goodbye } from './goodbye.ts';
import { Gauge } from './inbox.ts';
import type { Settler } from './message.ts';
import type { ConnectionSettings } from './options.ts';
import { RawInbox } from './raw-inbox.ts';
import { Receipts } from './receipts.ts';
import { Speaker } from './speaker.ts';
import { StreamedSends } from './streamed-send.ts';
import { Timer } from './timer.ts';
import { Writer } from './writer.ts';

/** How long a broker may take to close after its ERROR, or after we closed our side (M-137). */
const GRACE_MS = 1000;
/** While a RECEIPT is awaited, so many times more may wait for readers. */
const AWAITED_SHARE = 16;
const NOTHING = new Uint8Array(0);
const BEAT = Uint8Array.of(10);

/** What brings a frame. */
type FrameEvent = Extract<ClientEvent, { readonly frame: Frame }>;

export class Line {
  readonly speaker: Speaker;
  readonly deliveries: Deliveries;
  readonly raw: RawInbox;
  readonly goodbye: Goodbye;
  readonly hooks: Hooks;
  readonly gauge: Gauge;
  /** How it ended, once its channel is closed. Never rejects. */
  readonly closed: Promise<CloseReason>;

  readonly #settings: ConnectionSettings;
  readonly #channel: Channel;
  readonly #session: ClientSession;
  readonly #writer: Writer;
  readonly #receipts: Receipts;
  readonly #timer: Timer;
  readonly #streams: StreamedSends;

  #connected: Frame = new Frame('CONNECTED', frame('CONNECTED', []).headers);
  #open: () => void = () => {};
  #failOpen: (error: unknown) => void = () => {};
  #stopSignal: (() => void) | undefined;
  #stopGrace: (() => void) | undefined;
  #isParting = false; // observers were told
  #isPaused = false; // we do not read
  #reason: CloseReason | undefined; // set by #finish, and only there
  #tellClosed: (reason: CloseReason) => void = () => {};

  constructor(channel: Channel, settings: ConnectionSettings, settler: Settler) {
    const { clock, heartBeat } = settings;
    this.#settings = settings;
    this.#channel = channel;
    this.closed = new Promise((resolve) => {
      this.#tellClosed = resolve;
    });
    this.#session = new ClientSession(
      {
        versions: settings.versions,
        heartBeat: { send: heartBeat.send ?? 10_000, expect: heartBeat.expect ?? 10_000 },
        heartBeatTolerance: settings.heartBeatTolerance,
        limits: settings.limits,
        leniency: settings.leniency,
        streamBodiesOver: settings.streamBodiesOver,
        onePiece: channel.framed,
        connectTimeoutMs: settings.connectTimeoutMs,
        frameTimeoutMs: 0, // we may be the slow one; a broker that stops in a frame stops its heart-beats too
      },
      clock.now(),
    );
    this.hooks = settings.hooks ?? new Hooks(settings);
    this.gauge = new Gauge(settings.maxBufferedFrames, settings.maxBufferedBytes, (full) => this.#pause(full));
    this.#writer = new Writer(this.#session, channel, clock);
    this.#receipts = new Receipts(
      (id) => {
        this.#session.forget(id);
        this.goodbye.recheck();
      },
      () => this.#regulate(),
    );
    this.#timer = new Timer(clock, {
      deadline: () => Math.min(this.#session.deadline, this.#receipts.deadline),
      due: (now) => this.#due(now),
    });
    this.#streams = this.#streamedSends();
    this.speaker = new Speaker({
      session: this.#session,
      writer: this.#writer,
      receipts: this.#receipts,
      streams: this.#streams,
      timer: this.#timer,
      hooks: this.hooks,
      clock,
      receiptTimeoutMs: settings.receiptTimeoutMs,
    });
    this.raw = new RawInbox({ gauge: this.gauge, clock }, settings.limits?.maxBodyBytes ?? settings.maxBufferedBytes);
    this.deliveries = new Deliveries({
      gauge: this.gauge,
      raw: this.raw,
      hooks: this.hooks,
      settler,
      onUnhandled: settings.onUnhandled,
      giveBack: (came) => this.#giveBack(came),
    });
    this.goodbye = this.#farewell();
  }

  /** Opens the channel and logs in. Resolves on CONNECTED; rejects as `Connection.over` does, the channel then being closed. */
  open(): Promise<void> {
    const { login, passcode, headers, host = 'localhost', signal } = this.#settings;
    return new Promise<void>((resolve, reject) => {
      this.#open = resolve;
      this.#failOpen = reject;
      this.#channel.open({
        data: (bytes) => this.#receive(bytes),
        drain: () => this.#writer.drained(),
        ended: () => this.#ended(),
        closed: (end) => this.#closed(end),
      });
      this.#stopSignal = onAbort(signal, (reason) => {
        reject(reason);
        this.destroy();
      });
      this.hooks.tell('connecting', this.peer.remote);
      try {
        const connect = this.#session.connect(
          {
            host,
            ...(login === undefined ? {} : { login }),
            ...(passcode === undefined ? {} : { passcode }),
            ...headers,
          },
          (frame) => this.hooks.leaving(frame),
        );
        this.#writer.flush();
        this.hooks.show('frameSent', connect);
        this.#timer.arm();
      } catch (error) {
        reject(error);
        this.destroy();
      }
    });
  }

  /** The CONNECTED frame. */
  get connected(): Frame {
    return this.#connected;
  }
  get version(): Version {
    return this.#session.version ?? '1.0';
  }
  get heartBeat(): HeartBeatPeriods {
    return this.#session.heartBeat;
  }
  get peer(): PeerInfo {
    return this.#channel.peer;
  }
  /** It has ended, by whomever; `closed` follows. */
  get isOver(): boolean {
    return this.#reason !== undefined;
  }
  /** What has come and waits for its reader. */
  get waiting(): { readonly frames: number; readonly bytes: number } {
    return { frames: this.gauge.frames, bytes: this.gauge.bytes };
  }

  /** Throws where nothing may be said; `settles` is for what ends something already begun, which a goodbye lets pass. */
  mayTalk(settles: boolean): void {
    if (this.#reason !== undefined) throw this.#lost('unsent');
    if (this.#session.state !== 'connected' || (this.goodbye.lastWords && !settles)) {
      throw new ConnectionLost('closed', 'the connection is saying goodbye; nothing was sent', { outcome: 'unsent' });
    }
  }

  #streamedSends(): StreamedSends {
    return new StreamedSends({
      head: (head, contentLength) => {
        const written = this.hooks.leaving(head, true);
        this.#session.sendHead(written, contentLength);
        this.hooks.show('frameSent', written);
      },
      piece: (bytes, last) => {
        this.#session.sendPiece(bytes, last);
        this.#writer.flush();
      },
      ready: () => this.#writer.ready(),
      breakOff: (error) => this.destroy(error),
      lost: (outcome) => (this.#reason === undefined ? undefined : this.#lost(outcome)),
      idle: () => this.goodbye.recheck(),
    });
  }

  // -------------------------------------------------------------------------------------------------------- listening

  #receive(bytes: Uint8Array): void {
    if (this.#reason !== undefined) return; // S-12: what follows an ERROR, or our own end, is of no interest
    const session = this.#session;
    const now = this.#settings.clock.now();
    session.receive(bytes, now);
    for (let event = session.next(now); event !== undefined; event = session.next(now)) this.#hear(event);
    if (this.gauge.isFull) this.#regulate();
  }

  #hear(event: ClientEvent): void {
    if (!('frame' in event)) {
      this.#hearBytes(event);
      return;
    }
    const { hooks } = this;
    hooks.show('frameReceived', event.frame);
    const heard = hooks.rewritesIncoming ? rewritten(event, hooks) : event;
    this.#hearFrame(heard);
    hooks.show('frameDelivered', heard.frame);
  }

  #hearFrame(event: FrameEvent): void {
    switch (event.type) {
      case 'message':
        this.deliveries.message(event);
        return;
      case 'receipt': {
        const isOurs = event.id !== undefined && this.#receipts.confirm(event.id);
        if (!isOurs && event.expected) this.raw.put(event.frame, false);
        this.hooks.show(isOurs || event.expected ? 'receipt' : 'unexpectedReceipt', event.frame);
        this.goodbye.recheck();
        return;
      }
      case 'connected':
        this.#connected = event.frame;
        this.#stopSignal?.();
        this.#timer.arm();
        this.hooks.show('connected', event.frame);
        this.#open();
        return;
      case 'error':
        this.hooks.show('error', event.frame);
        this.#refused(new BrokerError(event.frame));
    }
  }

  #hearBytes(event: Exclude<ClientEvent, FrameEvent>): void {
    switch (event.type) {
      case 'heart-beat':
        this.hooks.tell('heartBeat', 'received');
        return;
      case 'piece': {
        const error = this.deliveries.piece(event.bytes, event.last);
        if (error !== undefined) this.#broken(error);
        return;
      }
      case 'fault':
        this.#broken(event.error);
    }
  }

  // Of an ended subscription the broker takes everything back by itself (F-10), and a NACK would be an error.
  #giveBack(came: Frame): void {
    const nack = this.#session.refuse(came);
    if (nack === undefined) return;
    this.hooks.show('frameSending', nack);
    this.#writer.flush();
    this.hooks.show('frameSent', nack);
  }

  /** Writes a line end, which may stand between any two frames. */
  beat(): void {
    if (this.#reason !== undefined || this.#streams.underWay || this.#session.state !== 'connected') return;
    this.#writer.flush();
    this.#channel.write(BEAT);
    this.hooks.tell('heartBeat', 'sent');
  }

  #pause(full: boolean): void {
    if (this.#reason !== undefined || this.goodbye.hasBegun) return;
    this.#regulate();
    if (full) this.hooks.tell('paused', this.waiting);
    else this.hooks.tell('resumed');
  }

  // An answer stands behind what nobody reads yet, so while one is awaited more of that is taken in (P32).
  #regulate(): void {
    if (this.#reason !== undefined || this.goodbye.hasBegun) return;
    const stops = this.gauge.isFull && (this.#receipts.size === 0 || this.gauge.isBeyond(AWAITED_SHARE));
    if (stops === this.#isPaused) return;
    if (stops) {
      this.#isPaused = true;
      this.#channel.pause();
    } else {
      this.#session.receive(NOTHING, this.#settings.clock.now()); // the silence was ours: patience begins anew
      this.#readOn();
    }
  }

  #readOn(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#channel.resume();
  }

  // --------------------------------------------------------------------------------------------------------- the timer

  #due(now: number): void {
    const paused = this.#isPaused;
    if (paused) this.#session.receive(NOTHING, now); // nobody reads, so silence proves nothing
    const before = this.#session.pending;
    const error = this.#session.tick(now);
    if (error !== undefined) {
      const late = this.#tooLate(error);
      if (late instanceof ConnectionLost) this.hooks.tell('heartBeatLost', late);
      this.#finish({ kind: 'lost', error: late });
      this.#channel.destroy();
      return;
    }
    if (this.#session.pending > before) {
      this.#writer.flush();
      this.hooks.tell('heartBeat', 'sent');
    }
    this.#receipts.expire(now, paused ? this.#pausedHint() : undefined);
    if (this.gauge.isFull) this.#regulate();
    this.goodbye.recheck();
    this.#timer.arm();
  }

  #tooLate(error: ProtocolError): ConnectionLost | TimeoutError {
    if (error.code === 'connect-timeout') return new TimeoutError('CONNECTED', this.#settings.connectTimeoutMs);
    return new ConnectionLost('silent', `the broker fell silent: ${error.message}`, { cause: error });
  }

  #pausedHint(): string {
    const { frames, bytes } = this.waiting;
    return `reading is paused: ${frames} frames of ${bytes} bytes wait for their readers; a prefetch would bound them`;
  }

  // ------------------------------------------------------------------------------------------------------------ ending

  #farewell(): Goodbye {
    return new Goodbye({
      clock: this.#settings.clock,
      closed: this.closed,
      isOver: () => this.#reason !== undefined,
      stopListening: () => {
        this.#parting();
        this.deliveries.drop();
        this.#readOn(); // receipts stand behind what we did not read
        const subscriptions = [...this.deliveries.subscriptions];
        for (const subscription of subscriptions) subscription.end(undefined);
        return subscriptions;
      },
      isQuiet: () => !this.#streams.underWay && this.#session.receipts.size === 0,
      part: async () => {
        if (this.#session.state === 'connected') {
          await this.speaker.confirmed('DISCONNECT', {}, '', { timeoutMs: 0 });
        }
        this.#finish({ kind: 'disconnected' });
        this.#hangUp();
      },
      destroy: () => this.destroy(),
    });
  }

  /** What was written goes out. Resolves when the channel is closed. */
  async close(): Promise<void> {
    if (this.#reason === undefined) {
      this.#parting();
      this.#writer.flush();
      this.#finish({ kind: 'closed' });
      this.#hangUp();
    }
    await this.closed;
  }

  /** Ends it at once; what was not on the wire is dropped. */
  destroy(error?: Error): void {
    this.#parting();
    this.#finish(error === undefined ? { kind: 'closed' } : { kind: 'closed', error });
    this.#channel.destroy();
  }

  #parting(): void {
    if (this.#isParting || this.#reason !== undefined) return;
    this.#isParting = true;
    this.hooks.tell('disconnecting');
  }

  #refused(error: BrokerError): void {
    if (error.receipt !== undefined) this.#receipts.refuse(error.receipt, error);
    this.raw.put(error.frame, false);
    this.#finish({ kind: 'refused', error });
    this.#hangUp();
  }

  #broken(error: ProtocolError): void {
    this.#finish({ kind: 'broken', error });
    this.#channel.destroy();
  }

  /** The broker will send no more. */
  #ended(): void {
    this.#finish(this.#lastWord(undefined));
    this.#hangUp();
  }

  #closed(end: ChannelEnd): void {
    this.#finish(this.#lastWord(end));
    this.#stopGrace?.();
    const reason = this.#reason ?? this.#lastWord(end);
    this.hooks.tell('closed', reason);
    this.#tellClosed(reason);
  }

  #lastWord(end: ChannelEnd | undefined): CloseReason {
    if (this.#session.state === 'disconnecting') return { kind: 'disconnected' }; // E-04
    return withoutWord(this.#channel.peer.remote, end);
  }

  // We write no more, and the other side has a moment to do the same.
  #hangUp(): void {
    this.#channel.end();
    this.#stopGrace ??= this.#settings.clock.schedule(GRACE_MS, () => this.#channel.destroy());
  }

  #finish(reason: CloseReason): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#session.close();
    this.#timer.stop();
    this.#stopSignal?.();
    this.#readOn(); // its end stands behind what we did not read
    const unknown = this.#lost('unknown');
    const forReaders = reason.kind === 'closed' && reason.error !== undefined ? unknown : reason.error;
    this.#failOpen(reason.error ?? unknown);
    this.#receipts.fail(unknown);
    this.#writer.fail(unknown);
    this.#streams.fail(() => this.#lost('unsent'), unknown);
    this.deliveries.end(reason.error ?? unknown, forReaders);
    this.goodbye.recheck();
  }

  #lost(outcome: Outcome): ConnectionLost {
    return lostBy(this.#reason, outcome);
  }
}

function rewritten(event: FrameEvent, hooks: Hooks): FrameEvent {
  return { ...event, frame: hooks.entering(event.frame, event.type === 'message' && event.streaming) };
}
