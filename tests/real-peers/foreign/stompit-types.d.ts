// As much of stompit, which has no types, as these tests use.

declare module 'stompit' {
  import type { Readable, Writable } from 'node:stream';

  export interface Headers {
    [name: string]: string | number | undefined;
  }

  /** A frame that comes in: its body is a stream. */
  export interface IncomingFrame extends Readable {
    readonly headers: Record<string, string>;
  }

  export interface SendOptions {
    onReceipt?: () => void;
  }

  export interface Transaction {
    readonly id: string;
    send(headers: Headers, options?: SendOptions): Writable;
    commit(options?: SendOptions): void;
    abort(options?: SendOptions): void;
  }

  export interface Client {
    readonly headers: Record<string, string>;
    on(event: 'error', listener: (error: Error) => void): this;
    send(headers: Headers, options?: SendOptions): Writable;
    begin(transaction: string): Transaction;
    subscribe(
      headers: Headers,
      listener: (error: Error | null, message: IncomingFrame) => void,
    ): { unsubscribe(): void };
    ack(message: IncomingFrame, headers: Headers, options: SendOptions): void;
    nack(message: IncomingFrame, headers: Headers, options: SendOptions): void;
    disconnect(callback: (error: Error | null) => void): void;
    destroy(error?: Error): void;
  }

  const stompit: {
    connect(
      options: { host: string; port: number; connectHeaders: Headers },
      listener: (error: Error | null, client: Client) => void,
    ): Client;
  };
  export default stompit;
}
