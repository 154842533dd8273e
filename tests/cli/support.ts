// The command line in this process: streams of our own, a broker in memory, and what was said.

import { PassThrough } from 'node:stream';
import { type Broker, type BrokerOptions, createBroker } from '@stompbox/broker';
import { Client, type Clock, type Dial, systemClock } from '@stompbox/client';
import { memoryPair } from '@stompbox/transport';
import { Interrupted, type StopSignal } from '../../packages/cli/src/interrupt.ts';
import { run } from '../../packages/cli/src/program.ts';
import type { Sink, Source, World } from '../../packages/cli/src/world.ts';

export interface Scene {
  /** What standard input holds; at its end it ends. Left open where undefined. */
  readonly stdin?: string | Uint8Array | undefined;
  readonly env?: Readonly<Record<string, string>>;
  readonly dial?: Dial | undefined;
  readonly clock?: Clock;
  readonly onHangUp?: World['onHangUp'];
  /** Standard streams that are terminals. */
  readonly terminals?: readonly ('stdin' | 'stdout' | 'stderr')[];
}

export interface Said {
  readonly code: number;
  readonly out: string;
  readonly bytes: Uint8Array;
  readonly err: string;
}

export interface Running {
  readonly ended: Promise<Said>;
  readonly stdin: PassThrough & Source;
  /** Resolves when standard output or standard error holds this. */
  says(what: string): Promise<void>;
  interrupt(signal?: StopSignal): void;
  /** As `| head` does. */
  stopReading(): void;
}

class Heard {
  readonly stream: PassThrough & Sink;
  readonly #parts: Buffer[] = [];
  heard: () => void = () => {};
  constructor(isTerminal: boolean) {
    this.stream = Object.assign(new PassThrough(), isTerminal ? { isTTY: true, columns: 80 } : {});
    this.stream.on('data', (part: Buffer) => {
      this.#parts.push(part);
      this.heard();
    });
  }
  get bytes(): Uint8Array {
    return Buffer.concat(this.#parts);
  }
  get text(): string {
    return Buffer.concat(this.#parts).toString();
  }
}

/** Starts it; the words as a shell would split them. */
export function start(args: readonly string[], scene: Scene = {}): Running {
  const isTerminal = (name: 'stdin' | 'stdout' | 'stderr'): boolean => scene.terminals?.includes(name) ?? false;
  const stdout = new Heard(isTerminal('stdout'));
  const stderr = new Heard(isTerminal('stderr'));
  const stdin = Object.assign(new PassThrough(), isTerminal('stdin') ? { isTTY: true, setRawMode: () => {} } : {});
  if (scene.stdin !== undefined) stdin.end(scene.stdin);
  const controller = new AbortController();
  const waiting = new Set<() => void>();
  const look = (): void => {
    for (const each of waiting) each();
  };
  stdout.heard = look;
  stderr.heard = look;
  const ended = run(args, {
    stdin,
    stdout: stdout.stream,
    stderr: stderr.stream,
    env: scene.env ?? {},
    interrupted: controller.signal,
    clock: scene.clock ?? systemClock,
    dial: scene.dial,
    onHangUp: scene.onHangUp,
  }).then(async (code) => {
    await new Promise((resolve) => setImmediate(resolve)); // what was written last is heard
    return { code, out: stdout.text, bytes: stdout.bytes, err: stderr.text };
  });
  return {
    ended,
    stdin,
    says: (what) =>
      new Promise((resolve, reject) => {
        const listener = (): void => {
          if (!`${stdout.text}\n${stderr.text}`.includes(what)) return;
          waiting.delete(listener);
          resolve();
        };
        waiting.add(listener);
        void ended.then(({ out, err }) => reject(new Error(`ended without saying ${what}: ${out}${err}`)));
        listener();
      }),
    interrupt: (signal = 'SIGINT') => controller.abort(new Interrupted(signal)),
    stopReading: () => stdout.stream.destroy(Object.assign(new Error('broken pipe'), { code: 'EPIPE' })),
  };
}

export function cli(args: readonly string[], scene: Scene = {}): Promise<Said> {
  return start(args, { stdin: '', ...scene }).ended;
}

export interface Stage extends AsyncDisposable {
  readonly broker: Broker;
  readonly dial: Dial;
  readonly client: Client;
  /** One command line against this broker. */
  run(args: readonly string[], scene?: Scene): Promise<Said>;
  start(args: readonly string[], scene?: Scene): Running;
  /** What waits in a queue, by its bare name, as text. */
  bodies(queue: string): Promise<string[]>;
}

/** A broker in memory, and a client of it. */
export async function stage(options: BrokerOptions = {}): Promise<Stage> {
  const broker = await createBroker({ listen: [], ...options });
  const dial: Dial = () => {
    const { a, b } = memoryPair();
    broker.serve(b);
    return Promise.resolve(a);
  };
  const client = new Client('stomp://broker', { dial });
  return {
    broker,
    dial,
    client,
    run: (args, scene = {}) => cli(args, { dial, ...scene }),
    start: (args, scene = {}) => start(args, { dial, ...scene }),
    async bodies(queue) {
      const page = await broker.inspect.browse(queue, { limit: 1_000 });
      return page.map(({ content }) => new TextDecoder().decode(content.body));
    },
    async [Symbol.asyncDispose]() {
      await client.close();
      await broker.close();
    },
  };
}
