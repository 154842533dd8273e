// stompit over TCP. It writes no content-length of its own, and cannot ask for a receipt on SUBSCRIBE and BEGIN.
//
// It throws out of everybody's reach on an ERROR that is `text/plain` and nothing more, as RabbitMQ's are
// (lib/Client.js destroys the frame where it means the client): ours say their charset.

import type { Broker } from '@stompbox/broker';
import stompit, { type Client, type Headers, type IncomingFrame, type SendOptions, type Transaction } from 'stompit';
import { Inbox, within } from '../inbox.ts';
import type { ForeignClient, ForeignProgram, Message, Subscription } from './client.ts';

export const stompIt: ForeignProgram = {
  versions: ['1.0', '1.1', '1.2'],
  escapes: ['1.0', '1.1', '1.2'],
  async connect(broker: Broker, { version, heartBeatMs = 0 }) {
    const { hostname: host, port } = new URL(broker.urls[0] ?? '');
    const connectHeaders = { 'accept-version': version, host, 'heart-beat': `${heartBeatMs},${heartBeatMs}` };
    const connected = new Promise<Client>((resolve, reject) => {
      stompit.connect({ host, port: Number(port), connectHeaders }, (error, client) =>
        error ? reject(error) : resolve(client),
      );
    });
    return new Connected(await within(connected, 'stompit to connect'));
  },
};

class Connected implements ForeignClient {
  readonly connected: Message['headers'];
  readonly errors = new Inbox<string>('an ERROR');
  readonly #client: Client;
  readonly #transactions = new Map<string, Transaction>();
  readonly #frames = new Map<Message, IncomingFrame>(); // which ACK and NACK are about

  constructor(client: Client) {
    this.connected = client.headers;
    this.#client = client;
    client.on('error', ({ message }) => this.errors.put(message));
  }

  send(
    destination: string,
    body: string | Uint8Array,
    { headers = {}, transaction }: { headers?: Record<string, string>; transaction?: string } = {},
  ): Promise<void> {
    const bytes = Buffer.from(body);
    const all = { destination, 'content-length': bytes.length, ...headers };
    const from = transaction === undefined ? this.#client : this.#transaction(transaction);
    return confirmed('SEND', (options) => from.send(all, options).end(bytes));
  }

  async subscribe(destination: string, ack: string): Promise<Subscription> {
    const messages = new Inbox<Message>(`a message from ${destination}`);
    const subscription = this.#client.subscribe({ destination, ack }, (error, frame) => {
      if (!error) void this.#read(frame).then((message) => messages.put(message));
    });
    await this.#caughtUp();
    const settle = (verb: 'ack' | 'nack') => (message: Message, transaction?: string) => {
      const frame = this.#frames.get(message);
      if (!frame) throw new Error('not a message of this client');
      const headers: Headers = transaction === undefined ? {} : { transaction };
      return confirmed(verb, (options) => this.#client[verb](frame, headers, options));
    };
    return {
      messages,
      ack: settle('ack'),
      nack: settle('nack'),
      unsubscribe: () => {
        subscription.unsubscribe();
        return this.#caughtUp();
      },
    };
  }

  async begin(transaction: string): Promise<void> {
    this.#transactions.set(transaction, this.#client.begin(transaction));
    await this.#caughtUp();
  }

  commit(transaction: string): Promise<void> {
    return confirmed('COMMIT', (options) => this.#transaction(transaction).commit(options));
  }

  abort(transaction: string): Promise<void> {
    return confirmed('ABORT', (options) => this.#transaction(transaction).abort(options));
  }

  disconnect(): Promise<void> {
    const ended = new Promise<void>((resolve, reject) => {
      this.#client.disconnect((error) => (error ? reject(error) : resolve()));
    });
    return within(ended, 'stompit to disconnect');
  }

  drop(): void {
    this.#client.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.drop();
  }

  async #read(frame: IncomingFrame): Promise<Message> {
    const chunks: Buffer[] = [];
    for await (const chunk of frame) chunks.push(chunk);
    const message = { headers: frame.headers, body: Buffer.concat(chunks) };
    this.#frames.set(message, frame);
    return message;
  }

  #transaction(name: string): Transaction {
    const transaction = this.#transactions.get(name);
    if (!transaction) throw new Error(`${name} was not begun`);
    return transaction;
  }

  #caughtUp(): Promise<void> {
    return this.send('/topic/nobody-listens', '');
  }
}

function confirmed(what: string, call: (options: SendOptions) => void): Promise<void> {
  const receipt = new Promise<void>((resolve) => call({ onReceipt: resolve }));
  return within(receipt, `the receipt of ${what}`);
}
