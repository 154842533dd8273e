// What the program has of the process it runs in, handed in: a test hands in streams of its own, a broker in memory and
// a clock by hand, and nothing below main.ts knows the difference.

import type { Clock, Dial } from '@stompbox/client';

/** Where words come from. */
export interface Source extends NodeJS.ReadableStream {
  readonly isTTY?: boolean | undefined;
  setRawMode?(raw: boolean): unknown;
}

/** Where words go. */
export interface Sink extends NodeJS.WritableStream {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

export interface World {
  readonly stdin: Source;
  readonly stdout: Sink;
  readonly stderr: Sink;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Fires at the first Ctrl-C or SIGTERM; the reason is Interrupted. The second ends the process, whatever is under way. */
  readonly interrupted: AbortSignal;
  readonly clock: Clock;
  /** Calls once when the process ends, however it does; synchronously. Answers how to call it off. */
  readonly onExit?: ((run: () => void) => () => void) | undefined;
  /** Calls at every SIGHUP, where there is such a signal. */
  readonly onHangUp?: ((heard: () => void) => void) | undefined;
  /** Opens channels instead of the client's own dialling: for tests. */
  readonly dial?: Dial | undefined;
}
