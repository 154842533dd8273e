// The command line of stomp.py, `python3 -m stomp`, against our broker: as a person uses it, and with a file of commands.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Broker, createBroker, passcodes } from '@stompbox/broker';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { within } from './inbox.ts';
import { stompPy, withPeer } from './peers.ts';

const VERSIONS = ['1.0', '1.1', '1.2'] as const;

withPeer('the command line of stomp.py', stompPy, ({ path }) => {
  let broker: Broker;
  beforeAll(async () => {
    broker = await createBroker({ listen: ['tcp://127.0.0.1:0'], authenticate: passcodes({ guest: 'guest' }) });
  });
  afterAll(() => broker.close());

  const start = (...more: string[]) => new CommandLine(path, Number(new URL(broker.urls[0] ?? '').port), more);
  const queued = (text: string) => broker.inspect.queues().find(({ name }) => `/queue/${name}` === text);

  describe.each(VERSIONS)('in STOMP %s', (version) => {
    test('subscribes, sends, sends with a receipt, and quits', async () => {
      const queue = `/queue/${crypto.randomUUID()}`;
      await using shell = start('-S', version, '-V');
      await shell.shows(/CONNECTED/);
      shell.type(`subscribe ${queue}`);
      await shell.shows(/acknowledge set to 'auto'/);
      shell.type(`send ${queue} hello world`);
      await shell.shows(/MESSAGE[\s\S]*hello world/);
      shell.type(`sendrec ${queue} with a receipt`);
      await shell.shows(/RECEIPT[\s\S]*receipt-id/);
      shell.type('quit');
      expect(await shell.exit()).toBe(0);
      await expect.poll(() => broker.stats().connections).toBe(0);
    });

    test('acks what it was sent', async () => {
      const queue = `/queue/${crypto.randomUUID()}`;
      await using shell = start('-S', version, '-V');
      await shell.shows(/CONNECTED/);
      shell.type(`subscribe ${queue} client-individual`);
      shell.type(`send ${queue} to be acked`);
      const [shown] = await shell.shows(/\nMESSAGE[\s\S]*to be acked/);
      expect(queued(queue)).toMatchObject({ waiting: 0, unsettled: 1 });
      shell.type(`ack ${nameOf(shown, version)}`);
      await expect.poll(() => queued(queue)?.unsettled ?? 0).toBe(0);
      shell.type('quit');
      await shell.exit();
      expect(queued(queue)?.waiting ?? 0).toBe(0);
    });

    test('commits a transaction and aborts another', async () => {
      const queue = `/queue/${crypto.randomUUID()}`;
      await using shell = start('-S', version, '-V');
      await shell.shows(/CONNECTED/);
      shell.type('begin');
      shell.type(`sendrec ${queue} committed`);
      await shell.shows(/RECEIPT/);
      expect(queued(queue)?.waiting ?? 0).toBe(0);
      shell.type('commit');
      await expect.poll(() => queued(queue)?.waiting).toBe(1);
      shell.type('begin');
      shell.type(`send ${queue} aborted`);
      shell.type('abort');
      shell.type(`sendrec ${queue} the end`);
      await shell.shows(/Aborted transaction[\s\S]*RECEIPT/);
      expect(queued(queue)).toMatchObject({ waiting: 2 });
      shell.type('quit');
      expect(await shell.exit()).toBe(0);
    });

    test('runs a file of commands', async () => {
      const queue = `/queue/${crypto.randomUUID()}`;
      const folder = await mkdtemp(join(tmpdir(), 'stompbox-stomp-py-'));
      try {
        const file = join(folder, 'commands');
        await writeFile(file, [`send ${queue} one`, 'begin', `send ${queue} two`, 'commit', 'version'].join('\n'));
        await using shell = start('-S', version, '-F', file);
        await shell.shows(new RegExp(`Protocol version ${version.replace('.', '\\.')}`));
        await shell.exit();
        await expect.poll(() => queued(queue)?.waiting).toBe(2);
      } finally {
        await rm(folder, { recursive: true });
      }
    });

    test('listens', async () => {
      const queue = `/queue/${crypto.randomUUID()}`;
      await using listener = start('-S', version, '-L', queue);
      await listener.shows(/acknowledge set to 'auto'/);
      await using shell = start('-S', version);
      shell.type(`send ${queue} do you hear me`);
      await listener.shows(/do you hear me/);
    });
  });

  test.each(['1.1', '1.2'] as const)('nacks in STOMP %s, and the message comes back', async (version) => {
    const queue = `/queue/${crypto.randomUUID()}`;
    await using shell = start('-S', version, '-V');
    await shell.shows(/CONNECTED/);
    shell.type(`subscribe ${queue} client-individual`);
    shell.type(`send ${queue} to be nacked`);
    const [shown] = await shell.shows(/\nMESSAGE[\s\S]*to be nacked/);
    shell.type(`nack ${nameOf(shown, version)}`);
    await shell.shows(/\nMESSAGE[\s\S]*redelivered: true/);
    shell.type('quit');
    await shell.exit();
  });

  test('gives up when the passcode is wrong', async () => {
    const { errors } = broker.stats();
    await using shell = start('-W', 'wrong', '-V');
    await shell.exit(); // often before it has shown the ERROR
    expect(shell.said).not.toContain('CONNECTED');
    expect(broker.stats().errors).toBe(errors + 1);
  });
});

/** What a shown MESSAGE is called in `ack` and `nack`. */
function nameOf(shown: string, version: (typeof VERSIONS)[number]): string {
  const value = (header: string) => new RegExp(`^${header}: (.*)$`, 'm').exec(shown)?.[1];
  if (version === '1.2') return `${value('ack')}`;
  return version === '1.1' ? `${value('message-id')} ${value('subscription')}` : `${value('message-id')}`;
}

/** A running `python3 -m stomp`. */
class CommandLine {
  readonly #process: ChildProcess;
  readonly #exit: Promise<unknown[]>;
  #said = '';
  #seen = 0; // what an earlier `shows` has used up

  constructor(python: string, port: number, more: readonly string[]) {
    const login = more.includes('-W') ? ['-U', 'guest'] : ['-U', 'guest', '-W', 'guest'];
    this.#process = spawn(python, ['-u', '-m', 'stomp', '-H', '127.0.0.1', '-P', `${port}`, ...login, ...more]);
    this.#exit = once(this.#process, 'exit');
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#said += text;
      });
    }
  }

  type(line: string): void {
    this.#process.stdin?.write(`${line}\n`);
  }

  /** What it shows next, once it matches. */
  async shows(pattern: RegExp): Promise<RegExpExecArray> {
    const deadline = performance.now() + 10_000;
    for (;;) {
      const match = pattern.exec(this.#said.slice(this.#seen));
      if (match) {
        this.#seen += match.index + match[0].length;
        return match;
      }
      if (performance.now() > deadline) throw new Error(`waited in vain for ${pattern} in ${this.#said}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  get said(): string {
    return this.#said;
  }

  async exit(): Promise<unknown> {
    const [code] = await within(this.#exit, 'stomp.py to exit');
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.exit();
  }
}
