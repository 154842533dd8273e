// Messages that wait for their time. They are in the store's schedule and in no queue; one
// timer stands at the next of them, and what is due leaves the schedule and enters its
// queue in one change.

import type { Portion, ScheduledMessage, ScheduleKey } from '../../store/store.ts';
import type { Attributes, Send } from '../engine.ts';
import type { Clock } from './options.ts';

/** What the schedule needs of its engine. */
export interface ScheduleOwner {
  /** When `due` will have something. */
  nextDue(): number | undefined;
  /** Oldest first; `drop` hears of one that cannot be read. */
  due(now: number, most: Portion, drop: (key: ScheduleKey) => void): ScheduledMessage[];
  /** Its time has come: it goes where it was sent. */
  arrive(kind: string, name: string, message: ScheduledMessage): void;
}

/** What the schedule has to tell the store. */
export interface ScheduleJournal {
  postpone(message: ScheduledMessage): void;
  unschedule(key: ScheduleKey): void;
  hold(): void;
  letGo(): void;
  tell(): Promise<void>;
}

const RELEASED_AT_ONCE = 1_000;
const AGAIN_AFTER_MS = 1_000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export class Schedule {
  readonly #owner: ScheduleOwner;
  readonly #journal: ScheduleJournal;
  readonly #clock: Clock;
  readonly #most: Portion;
  #releasing = false; // what is due is on its way from the schedule to its queues
  #dueAt = Number.POSITIVE_INFINITY; // when the timer fires
  #cancel: (() => void) | undefined;
  #closed = false;

  /** At most `bytes` of contents are released at once. */
  constructor(owner: ScheduleOwner, journal: ScheduleJournal, clock: Clock, bytes: number) {
    this.#owner = owner;
    this.#journal = journal;
    this.#clock = clock;
    this.#most = { messages: RELEASED_AT_ONCE, bytes };
  }

  postpone({ destination, content }: Send, { dueAt, ...attributes }: Attributes, id: number): void {
    this.#journal.postpone({
      id,
      queue: `${destination.kind}:${destination.name}`,
      destination: destination.text,
      content,
      priority: attributes.priority,
      expiresAt: attributes.expiresAt,
      sentAt: this.#clock.time(),
      redeliveries: 0,
      dueAt,
    });
  }

  /** Looks when it is time. Once the store has it: what is on its way there is not due yet. */
  arm(): void {
    if (this.#releasing) return;
    const next = this.#closed ? undefined : this.#owner.nextDue();
    if (next !== undefined && next < this.#dueAt) this.#armFor(next);
  }

  close(): void {
    this.#closed = true;
    this.#cancel?.();
  }

  #armFor(dueAt: number): void {
    this.#cancel?.();
    this.#dueAt = dueAt;
    const ms = Math.min(Math.max(0, dueAt - this.#clock.time()), LONGEST_TIMER_MS);
    this.#cancel = this.#clock.schedule(ms, () => this.#release());
  }

  #release(): void {
    this.#dueAt = Number.POSITIVE_INFINITY;
    this.#cancel = undefined;
    this.#releasing = true; // until the store shows them no longer
    const due = this.#owner.due(this.#clock.time(), this.#most, (key) => this.#journal.unschedule(key));
    this.#journal.hold();
    for (const message of due) {
      this.#journal.unschedule({ id: message.id, dueAt: message.dueAt });
      const [kind, name] = split(message.queue);
      this.#owner.arrive(kind, name, message);
    }
    this.#journal.letGo();
    this.#journal.tell().then(
      () => {
        this.#releasing = false;
        this.arm();
      },
      () => {
        this.#releasing = false;
        if (!this.#closed) this.#armFor(this.#clock.time() + AGAIN_AFTER_MS); // no room: try again
      },
    );
  }
}

function split(text: string): [kind: string, name: string] {
  const at = text.indexOf(':');
  return [text.slice(0, at), text.slice(at + 1)];
}
