// What the program says, and how: colour and progress only where somebody can see them, nothing of others unescaped, and
// an honest answer to "was it printed?".

import pc from 'picocolors';
import { printableLines } from './escape.ts';
import { NobodyReads } from './exit-codes.ts';
import { Progress } from './progress.ts';
import type { World } from './world.ts';

type Paint = (text: string) => string;

export interface Terminal {
  /** Standard output is a terminal. */
  readonly isTerminal: boolean;
  /** One line of ours to standard output. */
  say(line?: string): void;
  /** To standard output, as it is. Resolves when the system has taken it; rejects with NobodyReads where nobody reads. */
  print(text: string | Uint8Array): Promise<void>;
  /** One line of ours to standard error. */
  complain(line: string): void;
  /** What went wrong or should be known, in words that may hold those of others: escaped, to standard error. */
  warn(sentence: string): void;
  /** Shows how far it is on standard error, if that is a terminal. `total` where it is known. */
  progress(what: string, total?: number): Progress;
  /** Fires when nobody reads standard output any more (M-161); the reason is NobodyReads. */
  readonly gone: AbortSignal;
  readonly bold: Paint;
  readonly dim: Paint;
  readonly good: Paint;
  readonly bad: Paint;
  readonly name: Paint;
}

/** Colours are off unless standard output is a terminal, with NO_COLOR, and on a dumb terminal. */
export function terminal({ stdout, stderr, env, clock }: Pick<World, 'stdout' | 'stderr' | 'env' | 'clock'>): Terminal {
  const isColourful = (sink: World['stdout']): boolean => sink.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb';
  const colours = pc.createColors(isColourful(stdout));
  const errorColours = pc.createColors(isColourful(stderr));
  const gone = new AbortController();
  const failed = (error: NodeJS.ErrnoException): void => {
    if (error.code !== 'EPIPE' && error.code !== 'ERR_STREAM_DESTROYED') throw error;
    gone.abort(new NobodyReads('nobody reads standard output any more'));
  };
  stdout.on('error', failed);
  stderr.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error; // whoever read along has gone
  });
  let shown: Progress | undefined;
  const complain = (line: string): void => {
    shown?.hide();
    stderr.write(`${line}\n`);
  };
  return {
    isTerminal: stdout.isTTY === true,
    say: (line = '') => {
      shown?.hide();
      stdout.write(`${line}\n`);
    },
    print: (text) =>
      new Promise((resolve, reject) => {
        if (gone.signal.aborted) return reject(gone.signal.reason);
        if (stdout.isTTY) shown?.hide();
        stdout.write(text, (error) => {
          if (error === undefined || error === null) return resolve();
          failed(error);
          reject(gone.signal.reason);
        });
      }),
    complain,
    warn: (sentence) => complain(`${errorColours.yellow('stompbox:')} ${printableLines(sentence)}`),
    progress: (what, total) => {
      shown = new Progress(what, total, stderr.isTTY === true ? stderr : undefined, clock);
      return shown;
    },
    gone: gone.signal,
    bold: colours.bold,
    dim: colours.dim,
    good: colours.green,
    bad: colours.red,
    name: colours.cyan,
  };
}
