// Starts brokers as processes, and ends them the hard way.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { BrokerLimits } from '@stompbox/broker';
import { build } from 'esbuild';
import { afterAll, beforeAll } from 'vitest';

const DEADLINE_MS = 20_000;

export interface Refused {
  readonly name: string;
  readonly code: string | undefined;
  readonly message: string;
}

export interface View {
  readonly queues: readonly { readonly name: string; readonly waiting: number; readonly unsettled: number }[];
  readonly bytes: number;
}

export interface BrokerProcess {
  readonly url: string;
  readonly pid: number;
  /** What it complained about; nothing is expected. */
  readonly errors: string;
  inspect(): Promise<View>;
  /** `kill -9`; resolves when it is gone. */
  kill(): Promise<void>;
  /** Closes it in order. */
  stop(): Promise<void>;
}

export interface StartOptions {
  readonly limits?: Partial<BrokerLimits>;
  /** Comes before `node`: a tracer. */
  readonly under?: readonly string[];
}

/** What starts brokers in a test file: the sources as one bundle, made before the first test. */
export function brokers(): {
  start(data: string, options?: StartOptions): Promise<BrokerProcess | Refused>;
  /** Kills it after so many milliseconds, however far it has come. */
  startAndKill(data: string, afterMs: number): Promise<void>;
} {
  const here = fileURLToPath(new URL('.', import.meta.url));
  const packages = join(here, '../../packages');
  const file = join(here, '.cache', `broker-${process.pid}-${Math.random().toString(36).slice(2)}.mjs`); // below node_modules, so that lmdb is found
  const running = new Set<ChildProcess>();

  beforeAll(async () => {
    await build({
      entryPoints: [join(here, 'broker.ts')],
      outfile: file,
      bundle: true,
      platform: 'node',
      format: 'esm',
      external: ['lmdb', 'ws'],
      alias: {
        '@stompbox/broker': join(packages, 'broker/src/index.ts'),
        '@stompbox/protocol': join(packages, 'protocol/src/index.ts'),
        '@stompbox/transport': join(packages, 'transport/src/index.ts'),
        '@stompbox/transport/node': join(packages, 'transport/src/node.ts'),
      },
      logLevel: 'error',
    });
  });
  afterAll(() => {
    for (const child of running) child.kill('SIGKILL');
    rmSync(file, { force: true });
  });

  function spawned(data: string, { limits = {}, under = [] }: StartOptions = {}): ChildProcess {
    const [command = '', ...args] = [
      ...under,
      process.execPath,
      file,
      data,
      'tcp://127.0.0.1:0',
      JSON.stringify(limits),
    ];
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    child.stdin?.on('error', () => {}); // it was killed
    running.add(child);
    child.once('exit', () => running.delete(child));
    return child;
  }

  return {
    async start(data, options) {
      const child = spawned(data, options);
      const exited = once(child, 'close');
      let errors = '';
      child.stderr?.on('data', (text) => {
        errors += text;
      });
      const answers: ((line: string) => void)[] = [];
      const answer = () =>
        within(new Promise<string>((resolve) => answers.push(resolve)), exited, 'an answer', () => errors);
      if (child.stdout) createInterface({ input: child.stdout }).on('line', (line) => answers.shift()?.(line));
      const first = JSON.parse(await answer()) as { readonly url: string } | { readonly refused: Refused };
      if ('refused' in first) {
        await exited;
        return first.refused;
      }
      return {
        url: first.url,
        pid: child.pid ?? 0,
        get errors() {
          return errors;
        },
        async inspect() {
          child.stdin?.write('inspect\n');
          return JSON.parse(await answer());
        },
        async kill() {
          child.kill('SIGKILL');
          await exited;
        },
        async stop() {
          child.stdin?.write('stop\n');
          await within(exited, new Promise(() => {}), 'the end', () => errors);
        },
      };
    },
    async startAndKill(data, afterMs) {
      const child = spawned(data);
      const exited = once(child, 'close');
      const timer = setTimeout(() => child.kill('SIGKILL'), afterMs);
      await exited;
      clearTimeout(timer);
    },
  };
}

async function within<T>(wanted: Promise<T>, exited: Promise<unknown>, what: string, errors: () => string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} of the broker did not come: ${errors()}`)), DEADLINE_MS);
  });
  const gone = exited.then(() => {
    throw new Error(`the broker went without ${what}: ${errors()}`);
  });
  gone.catch(() => {});
  try {
    return await Promise.race([wanted, late, gone]);
  } finally {
    clearTimeout(timer);
  }
}

/** Throws where it was refused. */
export function opened(broker: BrokerProcess | Refused): BrokerProcess {
  if ('url' in broker) return broker;
  throw new Error(`${broker.name} ${broker.code}: ${broker.message}`);
}

/** Messages and bytes. */
export function heldBy({ queues, bytes }: View): number {
  return queues.reduce((sum, { waiting, unsettled }) => sum + waiting + unsettled, bytes);
}

/** A folder that is gone at the end of the test. */
export function folder(onTestFinished: (clear: () => void) => void): string {
  const dir = mkdtempSync(join(tmpdir(), 'stompbox-crash-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

export type Dice = (below: number) => number;

/** The same numbers for the same seed. */
export function random(seed: number): Dice {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}
