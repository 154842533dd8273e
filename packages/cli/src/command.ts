// A command that computes an answer: octets in, octets out.

import { type ChildProcess, spawn } from 'node:child_process';
import { printableLines } from './escape.ts';
import { SystemFailure } from './exit-codes.ts';
import type { House } from './house.ts';

const MAX_ANSWER_BYTES = 16 * 1024 * 1024;

/** The command did not answer as it should; the message says how, and quotes nothing of it. */
export class CommandFailed extends Error {
  override readonly name = 'CommandFailed';
}

export interface CommandOptions {
  readonly input: Uint8Array;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly timeoutMs: number;
}

// Its own group: the Ctrl-C that tells us to end in order is not for it, and what it has started ends with it.
const OWN_GROUP = process.platform !== 'win32';

function kill(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    if (OWN_GROUP) process.kill(-child.pid, 'SIGKILL');
    else child.kill('SIGKILL');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error; // it has just ended
  }
}

/**
 * Runs it to its end; answers its standard output. Its standard error goes to ours, escaped. Rejects with CommandFailed at
 * another exit code than 0, after `timeoutMs`, or when it says more than 16 MiB; with SystemFailure where it cannot be run.
 */
export function runCommand(words: readonly string[], options: CommandOptions, house: House): Promise<Uint8Array> {
  const [program = '', ...args] = words;
  const { clock, onExit } = house.world;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: 'pipe', detached: OWN_GROUP, env: { ...options.env } });
    const parts: Buffer[] = [];
    let size = 0;
    let failure: Error | undefined;
    const giveUp = (why: Error): void => {
      failure ??= why;
      kill(child);
    };
    const stopTimer = clock.schedule(
      options.timeoutMs,
      () => giveUp(new CommandFailed(`the command did not end within ${options.timeoutMs} ms`)),
      true,
    );
    const forget = onExit?.(() => kill(child));
    const finish = (settle: () => void): void => {
      stopTimer();
      forget?.();
      settle();
    };
    child.stdout.on('data', (part: Buffer) => {
      size += part.length;
      if (size > MAX_ANSWER_BYTES) giveUp(new CommandFailed(`the command said more than ${MAX_ANSWER_BYTES} bytes`));
      else parts.push(part);
    });
    child.stderr.on('data', (part: Buffer) => house.out.complain(printableLines(part.toString().replace(/\n$/, ''))));
    child.stdin.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE' && error.code !== 'ECONNRESET') giveUp(error); // it need not read what it was given
    });
    child.on('error', (cause) => {
      const why = `${program} cannot be run: ${cause.message}`;
      finish(() => reject(new SystemFailure(why, { cause })));
    });
    child.on('close', (code, signal) => {
      if (code !== 0) failure ??= new CommandFailed(`the command ended with ${signal ?? `exit code ${code}`}`);
      const ended = failure;
      finish(() => (ended === undefined ? resolve(Buffer.concat(parts)) : reject(ended)));
    });
    child.stdin.end(options.input);
  });
}
