// A child process that cannot outlive us.
//
//   we ──(pipe, fd 3)──> watcher ─┐
//                        program ─┴─ one process group, led by the program
//
// The watcher only reads the pipe. The system closes the pipe when we end, however we end, `kill -9` included; the
// watcher then kills the group and deletes the folder. The program's output goes to a file, so a busy test that does
// not read cannot hold the program up.

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

// The second between is for a large program to be really gone: it may still write while it dies.
const WATCHER = '(cat <&3 >/dev/null; kill -KILL $$; sleep 1; rm -rf -- "$0"; kill -KILL 0) & exec 3<&-; exec "$@"';

const POLL_MS = 50;
const END_PATIENCE_MS = 30_000;
const TAIL_LINES = 40;

export interface LeashOptions {
  /** Where the program runs, and what is deleted when we end without having ended it. */
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  /** The file that takes the program's output, from its beginning. */
  readonly log: string;
}

export interface LeashedProcess {
  readonly pid: number;
  /** The first match in the output. Rejects with the output's tail when the program ends first or time runs out. */
  logged(pattern: RegExp, deadlineMs: number): Promise<RegExpExecArray>;
  /** Asks the program to end (SIGTERM) and kills it when it does not. */
  end(): Promise<void>;
  kill(): Promise<void>;
}

export function leash(command: string, args: readonly string[], options: LeashOptions): LeashedProcess {
  const log = openSync(options.log, 'w');
  const child = spawn('/bin/sh', ['-c', WATCHER, options.folder, command, ...args], {
    cwd: options.folder,
    env: options.env,
    detached: true, // a group of its own
    stdio: ['ignore', log, log, 'pipe'],
  });
  closeSync(log);
  const { pid } = child;
  if (pid === undefined) throw new Error(`cannot start ${command}: there is no /bin/sh`);

  // Neither may keep our process alive, unless we wait for the end: when we are done, so is the program.
  child.unref();
  const pipe = child.stdio[3];
  if (pipe instanceof Socket) pipe.unref();

  const ended = whenEnded(child, pid);
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  const failure = async (what: string) => new Error(`${command} ${what}; its output ends:\n${await tail(options.log)}`);

  return {
    pid,
    async logged(pattern, deadlineMs) {
      for (const deadline = Date.now() + deadlineMs; ; await sleep(POLL_MS)) {
        const gone = hasEnded(); // asked before reading, so that its last words count
        const match = pattern.exec(await readFile(options.log, 'utf8'));
        if (match) return match;
        if (gone) throw await failure(`ended (${child.signalCode ?? `exit code ${child.exitCode}`})`);
        if (Date.now() > deadline) throw await failure(`did not say ${pattern} within ${deadlineMs} ms`);
      }
    },
    async end() {
      child.ref();
      if (!hasEnded()) child.kill('SIGTERM');
      const patience = new AbortController();
      await Promise.race([ended, sleep(END_PATIENCE_MS, undefined, { signal: patience.signal }).catch(() => {})]);
      patience.abort();
      killGroup(pid);
      await ended;
    },
    async kill() {
      child.ref();
      if (!hasEnded()) killGroup(pid);
      await ended;
    },
  };
}

/** Resolves when the program has ended and the rest of its group was killed. */
function whenEnded(child: ChildProcess, pid: number): Promise<void> {
  return new Promise((resolve) => {
    child.once('exit', () => {
      killGroup(pid);
      resolve();
    });
  });
}

function killGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGKILL');
  } catch {
    // ESRCH: nobody is left, which is what we want
  }
}

async function tail(file: string): Promise<string> {
  const lines = (await readFile(file, 'utf8')).trimEnd().split('\n');
  return lines.slice(-TAIL_LINES).join('\n');
}
