// What has happened, kept, for tests and for looking back: the last events, and a way to wait
// for one.
//
//   oldest ─ … ─ [ answered by next() ] ─ [ next() looks from here on, then waits ]

import { type Command, type Frame, UsageError } from '@stompbox/protocol';
import { type Clock, systemClock } from '../clock.ts';
import type { WaitOptions } from '../connection/inbox.ts';
import { TimeoutError } from '../errors.ts';
import { onAbort } from '../signal.ts';
import type { EventName, Events, Observer } from './observer.ts';

/** What is kept: every event but those that show a frame again. */
export type RecordedEvent = Exclude<EventName, 'frameSending' | 'frameDelivered' | 'connected' | 'receipt' | 'error'>;

/** One event, and what was told with it. */
export interface Recorded {
  readonly event: RecordedEvent;
  readonly told: Readonly<Events[RecordedEvent]>;
  /** The frame, where it is about one; secrets are masked. */
  readonly frame: Frame | undefined;
}

/** A command means a frame of it that came or went; the name of an event, that event; a function answers for itself. */
export type Wanted = Command | RecordedEvent | ((recorded: Recorded) => boolean);

export interface RecordingOptions {
  /** Events that are kept; then the oldest go. 1 000 unless given. */
  readonly max?: number | undefined;
  /** Bytes of bodies that are kept; then the oldest events go, but never the last. 8 MiB unless given. */
  readonly maxBytes?: number | undefined;
  /** Where deadlines come from; for tests. */
  readonly clock?: Clock | undefined;
}

/** Hang it up like any observer. */
export interface Recording extends Pick<Observer, RecordedEvent> {
  /** Oldest first. */
  readonly events: readonly Recorded[];
  /** How many were kept once and had to go. */
  readonly dropped: number;
  /** Frames that went, oldest first; of one command where it is given. */
  sent(command?: Command): Frame[];
  /** Frames that came, likewise. */
  received(command?: Command): Frame[];
  /**
   * The first one wanted behind the one that was answered last, if it was not dropped meanwhile; waits for it where there is
   * none. `timeoutMs` is 15 000 unless given, 0 for ever. Rejects with TimeoutError, or the signal's reason.
   */
  next(wanted: Wanted, options?: WaitOptions): Promise<Recorded>;
  /** Forgets everything kept. */
  clear(): void;
}

const PATIENCE_MS = 15_000;

interface Waiter {
  readonly isMeant: (recorded: Recorded) => boolean;
  readonly answer: (recorded: Recorded) => void;
}

/** An observer that remembers. Throws UsageError `bad-option` where a bound is no whole number from 1 up. */
export function recording(options: RecordingOptions = {}): Recording {
  const recorder = new Recorder(options);
  const one = <Event extends RecordedEvent>(event: Event): ((...told: Events[Event]) => void) => {
    return (...told) => recorder.keep({ event, told, frame: undefined });
  };
  const withFrame = (event: RecordedEvent) => (frame: Frame) => recorder.keep({ event, told: [frame], frame });
  return {
    dialling: one('dialling'),
    dialFailed: one('dialFailed'),
    connecting: one('connecting'),
    frameSent: withFrame('frameSent'),
    frameReceived: withFrame('frameReceived'),
    heartBeat: one('heartBeat'),
    heartBeatLost: one('heartBeatLost'),
    unexpectedReceipt: withFrame('unexpectedReceipt'),
    paused: one('paused'),
    resumed: one('resumed'),
    disconnecting: one('disconnecting'),
    closed: one('closed'),
    get events() {
      return recorder.events;
    },
    get dropped() {
      return recorder.dropped;
    },
    sent: (command) => recorder.frames('frameSent', command),
    received: (command) => recorder.frames('frameReceived', command),
    next: (wanted, waiting) => recorder.next(wanted, waiting),
    clear: () => recorder.clear(),
  };
}

class Recorder {
  events: Recorded[] = [];
  dropped = 0;
  readonly #max: number;
  readonly #maxBytes: number;
  readonly #clock: Clock;
  readonly #waiters = new Set<Waiter>();
  #bytes = 0;
  #cursor = 0; // the place in `events` that next() looks from

  constructor({ max = 1_000, maxBytes = 8 * 1024 * 1024, clock = systemClock }: RecordingOptions) {
    for (const [name, bound] of Object.entries({ max, maxBytes })) {
      if (!(bound >= 1)) throw new UsageError('bad-option', `${name} must be a number from 1 up`);
    }
    this.#max = max;
    this.#maxBytes = maxBytes;
    this.#clock = clock;
  }

  keep(recorded: Recorded): void {
    this.events.push(recorded);
    this.#bytes += sizeOf(recorded);
    while (this.events.length > 1 && (this.events.length > this.#max || this.#bytes > this.#maxBytes)) this.#drop();
    for (const waiter of this.#waiters) {
      if (!waiter.isMeant(recorded)) continue;
      this.#cursor = this.events.length;
      waiter.answer(recorded);
      return; // one event answers one
    }
  }

  frames(event: RecordedEvent, command: Command | undefined): Frame[] {
    return this.events.flatMap((recorded) => {
      const { frame } = recorded;
      const isMeant = recorded.event === event && (command === undefined || frame?.command === command);
      return isMeant && frame !== undefined ? [frame] : [];
    });
  }

  next(wanted: Wanted, { timeoutMs = PATIENCE_MS, signal }: WaitOptions = {}): Promise<Recorded> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    const isMeant = typeof wanted === 'function' ? wanted : (recorded: Recorded) => isNamed(recorded, wanted);
    const at = this.events.findIndex((recorded, place) => place >= this.#cursor && isMeant(recorded));
    const found = this.events[at];
    if (found !== undefined) {
      this.#cursor = at + 1;
      return Promise.resolve(found);
    }
    return new Promise<Recorded>((resolve, reject) => {
      const leave = (): void => {
        this.#waiters.delete(waiter);
        stopSignal?.();
        stopTimer?.();
      };
      const fail = (error: unknown): void => {
        leave();
        reject(error);
      };
      const answer = (recorded: Recorded): void => {
        leave();
        resolve(recorded);
      };
      const waiter: Waiter = { isMeant, answer };
      this.#waiters.add(waiter);
      const stopSignal = onAbort(signal, fail);
      const what = typeof wanted === 'function' ? 'the event' : wanted;
      const late = (): void => fail(new TimeoutError(what, timeoutMs));
      const stopTimer = timeoutMs > 0 ? this.#clock.schedule(timeoutMs, late, true) : undefined;
    });
  }

  clear(): void {
    this.events = [];
    this.#bytes = 0;
    this.#cursor = 0;
  }

  #drop(): void {
    const gone = this.events.shift();
    if (gone === undefined) return;
    this.#bytes -= sizeOf(gone);
    this.#cursor = Math.max(0, this.#cursor - 1);
    this.dropped++;
  }
}

function sizeOf({ frame }: Recorded): number {
  return frame?.body.length ?? 0;
}

function isNamed({ event, frame }: Recorded, wanted: Command | RecordedEvent): boolean {
  return event === wanted || ((event === 'frameSent' || event === 'frameReceived') && frame?.command === wanted);
}
