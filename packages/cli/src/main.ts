#!/usr/bin/env node
// The command line: words in, one command run, an exit code out. Everything else is
// in the command's own file.

import { Command, InvalidArgumentError } from 'commander';
import { demo } from './demo.ts';
import { terminal } from './terminal.ts';

const out = terminal();

function port(text: string): number {
  const value = Number(text);
  if (!/^\d{1,5}$/.test(text) || value > 65_535)
    throw new InvalidArgumentError('a port is a number from 0 to 65535; 0 takes a free one.');
  return value;
}

const program = new Command('stompbox').description('STOMP for the terminal.').version('0.1.0');

program
  .command('demo')
  .description('a broker on this machine, and a small workload against it')
  .option('-p, --port <port>', 'TCP port of the broker; 0 takes a free one', port, 61_613)
  .option('-w, --ws-port <port>', 'WebSocket port of the broker; 0 takes a free one', port, 61_680)
  .action(async ({ port, wsPort }: { port: number; wsPort: number }) => {
    process.exitCode = await demo({ port, wsPort }, out, interrupted());
  });

/** Resolves at the first Ctrl-C or SIGTERM. A later Ctrl-C, from somebody who does not want to wait, ends the process. */
function interrupted(): Promise<void> {
  return new Promise((resolve) => {
    process.once('SIGINT', () => resolve());
    process.once('SIGTERM', () => resolve());
  });
}

await program.parseAsync();
