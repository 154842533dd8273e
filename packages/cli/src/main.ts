#!/usr/bin/env node
// The process: its streams, its signals, its exit code. Everything else is handed in from here.

import { systemClock } from '@stompbox/client';
import { interruption } from './interrupt.ts';
import { run } from './program.ts';

process.exitCode = await run(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  interrupted: interruption(process, (code) => process.exit(code), systemClock.now),
  clock: systemClock,
  onExit: (run) => {
    process.once('exit', run);
    return () => void process.off('exit', run);
  },
  onHangUp: (heard) => void process.on('SIGHUP', heard),
});
