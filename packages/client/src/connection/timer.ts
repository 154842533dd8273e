// The one timer of a connection. It is set to the earliest deadline known and left alone
// while deadlines only move away; when it rings too early it is set again.

import type { Clock } from '../clock.ts';

/** What a timer needs of the one it rings for. */
export interface TimerOwner {
  /** When something is due; Infinity for never. */
  deadline(): number;
  /** It is due. The timer is set again with `arm()`. */
  due(now: number): void;
}

export class Timer {
  readonly #clock: Clock;
  readonly #owner: TimerOwner;
  #at = Number.POSITIVE_INFINITY;
  #stop: (() => void) | undefined;

  constructor(clock: Clock, owner: TimerOwner) {
    this.#clock = clock;
    this.#owner = owner;
  }

  /** Call when a deadline may have come nearer. */
  arm(): void {
    const at = this.#owner.deadline();
    if (at >= this.#at) return;
    this.#stop?.();
    this.#at = at;
    this.#stop = this.#clock.schedule(Math.max(0, at - this.#clock.now()), this.#ring);
  }

  /** `arm()` for the hot path, which knows the one deadline that may have come nearer. */
  armFor(deadline: number): void {
    if (deadline < this.#at) this.arm();
  }

  stop(): void {
    this.#stop?.();
  }

  readonly #ring = (): void => {
    const now = this.#clock.now();
    this.#at = Number.POSITIVE_INFINITY;
    if (now < this.#owner.deadline()) {
      this.arm();
      return;
    }
    // We may be late and not the broker: look again when what has come meanwhile is read.
    this.#at = now;
    this.#stop = this.#clock.schedule(0, this.#due);
  };

  readonly #due = (): void => {
    this.#at = Number.POSITIVE_INFINITY;
    this.#owner.due(this.#clock.now());
  };
}
