// A clock by hand: time passes when a test says so, and a silent hour takes no time.

interface Alarm {
  readonly at: number;
  readonly fn: () => void;
}

/** Time that stands still between calls of `advance`. Fits wherever a clock is handed in. */
export class ManualClock {
  #now: number;
  readonly #alarms = new Set<Alarm>();

  /** `start` is what it shows first; not 0, so that nobody takes "never" for "now". */
  constructor(start = 1_000) {
    this.#now = start;
  }

  readonly now = (): number => this.#now;

  /** Calls `fn` when `ms` milliseconds have been let pass. Answers how to call it off. */
  readonly schedule = (ms: number, fn: () => void): (() => void) => {
    const alarm: Alarm = { at: this.#now + ms, fn };
    this.#alarms.add(alarm);
    return () => {
      this.#alarms.delete(alarm);
    };
  };

  /** Alarms that are set: what a close must not leave behind. */
  get alarms(): number {
    return this.#alarms.size;
  }

  /** Lets time pass. Whatever is under way in the process gets its turn before, between and after the alarms. */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    for (;;) {
      await settled();
      const next = this.#earliest(until);
      if (next === undefined) break;
      this.#alarms.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.fn();
    }
    this.#now = until;
    await settled();
  }

  /** The clock jumps without an alarm ringing on its way, as on a laptop that slept; all that are due ring together then. */
  async leap(ms: number): Promise<void> {
    this.#now += ms;
    await this.advance(0);
  }

  #earliest(until: number): Alarm | undefined {
    let earliest: Alarm | undefined;
    for (const alarm of this.#alarms) {
      if (alarm.at <= until && (earliest === undefined || alarm.at < earliest.at)) earliest = alarm;
    }
    return earliest;
  }
}

/** When everything that runs in microtasks has run: promises, and channels in memory. */
export async function settled(): Promise<void> {
  await new Promise<void>((resolve) => {
    setImmediate(resolve);
  });
}
