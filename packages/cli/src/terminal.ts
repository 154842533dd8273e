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

/** Colours are off unless standard output is a terminal, and with NO_COLOR. */
export function terminal(): Terminal {
  const colours = pc.createColors(process.stdout.isTTY === true && !process.env.NO_COLOR);
  return {
    say: (line = '') => void process.stdout.write(`${line}\n`),
    complain: (line) => void process.stderr.write(`${line}\n`),
    bold: colours.bold,
    dim: colours.dim,
    good: colours.green,
    bad: colours.red,
  };
}
