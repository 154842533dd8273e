// stomp.py of Debian, driven over pipes by stomp-py.py. One Python serves all connections of a test file.

import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Broker } from '@stompbox/broker';
import { Inbox, within } from '../inbox.ts';
import type { ForeignClient, ForeignProgram, Message, Subscription, Version } from './client.ts';

const SCRIPT = fileURLToPath(new URL('./stomp-py.py', import.meta.url));

type Arguments = Readonly<Record<string, unknown>>;

interface Frame extends Message {
  readonly command: string;
}

/** A running stomp-py.py. */
export class StompPy implements ForeignProgram {
  readonly versions: readonly Version[] = ['1.0', '1.1', '1.2'];
  readonly escapes: readonly Version[] = this.versions; // 1.0 has no escapes
  readonly #python: () => string;
  #process: ChildProcess | undefined;
  readonly #commands = new Map<number, (failed: string | undefined) => void>();
  readonly #clients = new Map<number, (frame: Frame) => void>();
  #last = 0;
  #complaints = '';

  /** Starts `python` with the first connection. */
  constructor(python: string) {
    this.#python = () => python;
  }

  async connect(
    broker: Broker,
    { version, heartBeatMs = 0 }: { version: Version; heartBeatMs?: number },
  ): Promise<ForeignClient> {
    const port = Number(new URL(broker.urls[0] ?? '').port);
    const number = ++this.#last;
    const client = new Client(this, number, version);
    this.#clients.set(number, (frame) => client.heard(frame));
    await this.command(number, { open: { version, port, heartbeats: [heartBeatMs, heartBeatMs] } });
    return client;
  }

  /** Settles when the command has returned; rejects with what Python says. */
  command(client: number, command: object): Promise<void> {
    this.#process ??= this.#start();
    const nr = ++this.#last;
    const answer = new Promise<string | undefined>((resolve) => this.#commands.set(nr, resolve));
    this.#process.stdin?.write(`${JSON.stringify({ nr, client, ...command })}\n`);
    return within(answer, `stomp.py to do ${JSON.stringify(command).slice(0, 200)}`).then((failed) => {
      if (failed !== undefined) throw new Error(`stomp.py: ${failed}`);
    });
  }

  /** What is still under way then is called off. */
  stop(): void {
    for (const resolve of this.#commands.values()) resolve(undefined);
    this.#commands.clear();
    this.#process?.kill('SIGKILL');
  }

  #start(): ChildProcess {
    const child = spawn(this.#python(), ['-u', SCRIPT], { stdio: ['pipe', 'pipe', 'pipe'] });
    createInterface(child.stdout).on('line', (line) => this.#said(line));
    child.stderr.on('data', (chunk: Buffer) => {
      this.#complaints += chunk;
    });
    child.once('close', () => {
      for (const resolve of this.#commands.values()) resolve(`has ended: ${this.#complaints}`);
    });
    return child;
  }

  #said(line: string): void {
    const { nr, failed, client, frame: command, headers, body } = JSON.parse(line);
    if (nr !== undefined) {
      this.#commands.get(nr)?.(failed);
      this.#commands.delete(nr);
    } else this.#clients.get(client)?.({ command, headers, body: Buffer.from(body, 'base64') });
  }
}

class Client implements ForeignClient {
  connected: Message['headers'] = {};
  readonly errors = new Inbox<string>('an ERROR');
  readonly #program: StompPy;
  readonly #number: number;
  readonly #version: Version;
  readonly #subscriptions = new Map<string, Inbox<Message>>();
  readonly #receipts = new Map<string, () => void>();
  #last = 0;
  #open = true;

  constructor(program: StompPy, number: number, version: Version) {
    this.#program = program;
    this.#number = number;
    this.#version = version;
  }

  heard(frame: Frame): void {
    const { command, headers } = frame;
    if (command === 'CONNECTED') this.connected = headers;
    if (command === 'ERROR') this.errors.put(headers.message ?? '');
    if (command === 'RECEIPT') this.#receipts.get(headers['receipt-id'] ?? '')?.();
    if (command === 'MESSAGE') this.#subscriptions.get(headers.subscription ?? '')?.put(frame);
  }

  send(
    destination: string,
    body: string | Uint8Array,
    { headers = {}, transaction }: { headers?: Record<string, string>; transaction?: string } = {},
  ): Promise<void> {
    const enlisted = transaction === undefined ? {} : { transaction };
    return this.#confirmed((receipt) => this.#call('send', { destination, headers, receipt, ...enlisted }, body));
  }

  async subscribe(destination: string, ack: string): Promise<Subscription> {
    const id = `subscription-${++this.#last}`;
    const messages = new Inbox<Message>(`a message from ${destination}`);
    this.#subscriptions.set(id, messages);
    await this.#confirmed((receipt) => this.#call('subscribe', { destination, id, ack, receipt }));
    const settle = (verb: 'ack' | 'nack') => (message: Message, transaction?: string) =>
      this.#confirmed((receipt) => this.#call(verb, { ...this.#settled(message), receipt, transaction }));
    return {
      messages,
      ack: settle('ack'),
      nack: settle('nack'),
      unsubscribe: () => this.#confirmed((receipt) => this.#call('unsubscribe', { id, receipt })),
    };
  }

  begin(transaction: string): Promise<void> {
    return this.#confirmed((receipt) => this.#call('begin', { transaction, receipt }));
  }

  commit(transaction: string): Promise<void> {
    return this.#confirmed((receipt) => this.#call('commit', { transaction, receipt }));
  }

  abort(transaction: string): Promise<void> {
    return this.#confirmed((receipt) => this.#call('abort', { transaction, receipt }));
  }

  disconnect(): Promise<void> {
    this.#open = false;
    return this.#confirmed((receipt) => this.#call('disconnect', { receipt }));
  }

  drop(): void {
    if (!this.#open) return;
    this.#open = false;
    void this.#program.command(this.#number, { drop: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.drop();
  }

  /** What names a message in ACK and NACK. */
  #settled({ headers }: Message): Arguments {
    if (this.#version === '1.2') return { id: headers.ack };
    if (this.#version === '1.1') return { id: headers['message-id'], subscription: headers.subscription };
    return { id: headers['message-id'] };
  }

  #call(method: string, args: Arguments, body?: string | Uint8Array): Promise<void> {
    const encoded = body === undefined ? {} : { body: Buffer.from(body).toString('base64') };
    return this.#program.command(this.#number, { call: method, args, ...encoded });
  }

  async #confirmed(call: (receipt: string) => Promise<void>): Promise<void> {
    const receipt = `receipt-${++this.#last}`;
    const confirmed = new Promise<void>((resolve) => this.#receipts.set(receipt, resolve));
    await call(receipt);
    await within(confirmed, receipt);
  }
}
