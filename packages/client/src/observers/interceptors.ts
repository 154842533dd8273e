// Frames rewritten on their way, by user code that may be wrong.
//
//   verb ─► a ─► b ─► session checks, books ─► wire
//   user ◄─ a ◄─ b ◄─ session checks, books ◄─ wire        what went in first comes out last
//
// What the books are kept by stays what it was, or an answer would find nobody; and a frame
// can be refused, loudly, but never dropped.

import { type ClientCommand, type Command, Frame, mayHaveBody, quote, UsageError } from '@stompbox/protocol';

/**
 * Sees every frame of a connection and may answer another one in its place; undefined leaves it as it is. Synchronous, and
 * shown the real thing: secrets are not masked. Only the NACK that gives back what nobody here asked for (S-13) passes by.
 *
 * Command and the headers in KEPT must stay; destination, body and all else may change. A UsageError says what was wrong with
 * an answer, and counts like a throw.
 */
export interface Interceptor {
  /**
   * Before the frame is checked and written. What it throws rejects the verb that wanted to send, and nothing is sent. But
   * UNSUBSCRIBE, COMMIT, ABORT and DISCONNECT end something already begun: they go out as if this interceptor were not
   * there, and `onError` hears of it. The body of a streamed SEND is not in its frame and stays.
   */
  outgoing?(frame: Frame): Frame | undefined;
  /**
   * After the frame was read and entered in the books, before anybody gets it. What it throws goes to `onError`, and the frame
   * is delivered as if this interceptor were not there.
   */
  incoming?(frame: Frame): Frame | undefined;
}

/** What no interceptor may add, change or take away: who is answered, and what was agreed. */
export const KEPT: readonly string[] = [
  'id',
  'receipt',
  'receipt-id',
  'ack',
  'subscription',
  'message-id',
  'transaction',
  'accept-version',
  'version',
  'heart-beat',
];

const ENDINGS: ReadonlySet<Command> = new Set<ClientCommand>(['UNSUBSCRIBE', 'COMMIT', 'ABORT', 'DISCONNECT']);

type Direction = 'outgoing' | 'incoming';

export class Interceptors {
  readonly #named = new Map<string, Interceptor>();
  readonly #failed: (error: unknown) => void;
  // Undefined while there is none, which costs a frame one comparison.
  #outgoing: readonly [string, Interceptor][] | undefined;
  #incoming: readonly [string, Interceptor][] | undefined;

  constructor(failed: (error: unknown) => void) {
    this.#failed = failed;
  }

  /** The same name replaces, at the same place in the order. Answers how to remove it. */
  use(name: string, interceptor: Interceptor): () => void {
    this.#named.set(name, interceptor);
    this.#sort();
    return () => {
      if (this.#named.get(name) !== interceptor) return; // another one has taken the name
      this.#named.delete(name);
      this.#sort();
    };
  }

  /** `streamed`: the body is not in the frame. Throws what an interceptor threw. */
  outgoing<C extends Command>(said: Frame<C>, streamed: boolean): Frame<C> {
    if (this.#outgoing === undefined) return said;
    let written = said;
    for (const [name, interceptor] of this.#outgoing) {
      try {
        written = rewritten(written, name, interceptor, 'outgoing', streamed);
      } catch (error) {
        if (!ENDINGS.has(said.command)) throw error;
        this.#failed(error);
      }
    }
    return written;
  }

  get hasOutgoing(): boolean {
    return this.#outgoing !== undefined;
  }

  get hasIncoming(): boolean {
    return this.#incoming !== undefined;
  }

  incoming(came: Frame, streamed: boolean): Frame {
    let given = came;
    for (const [name, interceptor] of this.#incoming ?? []) {
      try {
        given = rewritten(given, name, interceptor, 'incoming', streamed);
      } catch (error) {
        this.#failed(error);
      }
    }
    return given;
  }

  #sort(): void {
    const all = [...this.#named];
    const outgoing = all.filter(([, { outgoing }]) => outgoing !== undefined);
    const incoming = all.filter(([, { incoming }]) => incoming !== undefined).reverse();
    this.#outgoing = outgoing.length > 0 ? outgoing : undefined;
    this.#incoming = incoming.length > 0 ? incoming : undefined;
  }
}

function rewritten<C extends Command>(
  given: Frame<C>,
  name: string,
  interceptor: Interceptor,
  direction: Direction,
  streamed: boolean,
): Frame<C> {
  const answer: unknown = interceptor[direction]?.(given);
  if (answer === undefined || answer === given) return given;
  const whose = `interceptor ${quote(name)}, ${direction}`;
  if (!(answer instanceof Frame)) {
    throw new UsageError('bad-option', `${whose}, must answer a frame or undefined, at once`);
  }
  const frame: Frame = answer;
  if (!frame.is(given.command)) {
    throw new UsageError('unexpected-frame', `${whose}, may not make ${frame.command} of ${given.command}`);
  }
  for (const kept of KEPT) {
    if (frame.headers.get(kept) === given.headers.get(kept)) continue;
    throw new UsageError(
      'bad-header',
      `${whose}, may not change ${kept} of ${given.command}: the books are kept by it`,
    );
  }
  if (frame.body.length > 0 && (streamed || !mayHaveBody(frame.command))) {
    const why = streamed ? 'its own is streamed' : 'it has none (C-61)';
    throw new UsageError('bad-body', `${whose}, may not give a body to ${frame.command}: ${why}`);
  }
  return frame;
}
