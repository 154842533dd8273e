// Ctrl-C and SIGTERM: the first ends what is under way in order, the second ends the process at once (M-162).

import { constants } from 'node:os';

export type StopSignal = 'SIGINT' | 'SIGTERM';

/** Why work was cut short. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
  readonly signal: StopSignal;

  constructor(signal: StopSignal) {
    super(signal === 'SIGINT' ? 'interrupted' : 'told to end (SIGTERM)');
    this.signal = signal;
  }
}

/** What a shell reports of a process that a signal ended. */
export function exitCodeOfSignal(signal: StopSignal): number {
  return 128 + constants.signals[signal];
}

// One Ctrl-C arrives twice under npm: from the terminal, and passed on by npm.
const ECHO_MS = 1_000;

interface Signals {
  on(signal: StopSignal, heard: () => void): unknown;
}

/** Listens from now on. `exit` ends the process at once with a code. */
export function interruption(signals: Signals, exit: (code: number) => void, now: () => number): AbortSignal {
  const controller = new AbortController();
  let first: { readonly signal: StopSignal; readonly at: number } | undefined;
  const heard = (signal: StopSignal): void => {
    if (first === undefined) {
      first = { signal, at: now() };
      controller.abort(new Interrupted(signal));
      return;
    }
    const isEcho = signal === 'SIGINT' && first.signal === 'SIGINT' && now() - first.at <= ECHO_MS;
    if (!isEcho) exit(exitCodeOfSignal(signal));
  };
  signals.on('SIGINT', () => heard('SIGINT'));
  signals.on('SIGTERM', () => heard('SIGTERM'));
  return controller.signal;
}
