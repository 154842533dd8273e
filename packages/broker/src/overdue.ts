// Deliveries that nobody settles, found by marks that are set now and then, so that a
// delivery itself costs nothing:
//
//   12:00  deliveries below 5,000 are made   ──►   12:30  what is owed below 5,000 is overdue

/** What is watched. Deliveries are numbered in the order they are made. */
export interface Debts {
  /** The number of the oldest delivery that is owed; undefined where none is. */
  oldest(): number | undefined;
  /** The number that the next delivery will have. */
  next(): number;
  now(): number;
  schedule(ms: number, run: () => void): () => void;
  /** One has been owed for `timeoutMs`, or up to a quarter longer. */
  overdue(): void;
}

const LOOKS = 4; // within `timeoutMs`

export class Overdue {
  readonly #debts: Debts;
  readonly #timeoutMs: number;
  #marks: { readonly at: number; readonly number: number }[] = [];
  #cancel: (() => void) | undefined;

  /** `timeoutMs` 0: nothing ever is. */
  constructor(debts: Debts, timeoutMs: number) {
    this.#debts = debts;
    this.#timeoutMs = timeoutMs;
  }

  /** Something is owed. */
  watch(): void {
    if (this.#cancel === undefined && this.#timeoutMs > 0) this.#mark();
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#marks = [];
  }

  #mark(): void {
    this.#marks.push({ at: this.#debts.now(), number: this.#debts.next() });
    this.#cancel = this.#debts.schedule(Math.ceil(this.#timeoutMs / LOOKS), () => this.#look());
  }

  #look(): void {
    const oldest = this.#debts.oldest();
    if (oldest === undefined) {
      this.stop(); // and no timer, until something is owed again
      return;
    }
    const then = this.#debts.now() - this.#timeoutMs;
    while (this.#marks.length > 1 && (this.#marks[1]?.at ?? 0) <= then) this.#marks.shift();
    const [mark] = this.#marks;
    const isOverdue = mark !== undefined && mark.at <= then && oldest < mark.number;
    this.#mark();
    if (isOverdue) this.#debts.overdue();
  }
}
