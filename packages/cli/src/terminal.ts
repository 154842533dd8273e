// What the command line says, and how: colour only where somebody can see it.

import pc from 'picocolors';

export interface Terminal {
  /** One line to standard output. */
  say(line?: string): void;
  /** One line to standard error. */
  complain(line: string): void;
  bold(text: string): string;
  dim(text: string): string;
  good(text: string): string;
  bad(text: string): string;
}

// `| head`, or a `| cat` that the same Ctrl-C ended: nobody reads any more, which is no failure of ours.
function unlessNobodyReads(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
}

/** Colours are off unless standard output is a terminal, and with NO_COLOR. */
export function terminal(): Terminal {
  const colours = pc.createColors(process.stdout.isTTY === true && !process.env.NO_COLOR);
  process.stdout.on('error', unlessNobodyReads);
  process.stderr.on('error', unlessNobodyReads);
  return {
    say: (line = '') => void process.stdout.write(`${line}\n`),
    complain: (line) => void process.stderr.write(`${line}\n`),
    bold: colours.bold,
    dim: colours.dim,
    good: colours.green,
    bad: colours.red,
  };
}
