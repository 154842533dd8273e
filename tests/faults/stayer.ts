// What is put to the test: something that stays connected, however often the line breaks.

import { Client, type Connection, type ConnectionOptions, connect, type Message } from '@stompbox/client';

export interface Sending {
  send(destination: string, body: Uint8Array, headers: Readonly<Record<string, string>>): Promise<void>;
}

export interface Stayer extends Sending {
  /** COMMITs when `work` returns. */
  transaction(work: (sending: Sending) => Promise<void>): Promise<void>;
  /** Gives every message to `take`, over however many connections, until the end. Each is to be acknowledged. */
  consume(destination: string, prefetch: number, take: (message: Message) => void): void;
  /** Settles when nothing is left of it. */
  close(): Promise<void>;
}

export type MakeStayer = (url: string, options: ConnectionOptions) => Stayer;

const AGAIN_MS = 20;
const NOT_LATER_MS = 200;
const GOODBYE_MS = 2_000;

/** What we would have them write. */
export const managed: MakeStayer = (url, options) => keptBy('fail', url, options);

/** The same, and a send that is unknown goes out once more under the same de-duplication id. */
export const resending: MakeStayer = (url, options) => keptBy('resend', url, options);

function keptBy(
  onUnknown: 'fail' | 'resend',
  url: string,
  { login = '', passcode = '', ...options }: ConnectionOptions,
): Stayer {
  const client = new Client(url, {
    ...options,
    outbox: { onUnknown },
    credentials: { login, passcode },
    reconnect: { initialMs: AGAIN_MS, maxMs: NOT_LATER_MS },
  });
  const work: Promise<void>[] = [];

  async function consume(destination: string, prefetch: number, take: (message: Message) => void): Promise<void> {
    for await (const message of client.subscribe(destination, { ack: 'client-individual', prefetch })) take(message);
  }

  return {
    send: (destination, body, headers) => client.send(destination, body, { headers }),
    transaction: (work) =>
      client.transaction((transaction) =>
        work({ send: (destination, body, headers) => transaction.send(destination, body, { headers }) }),
      ),
    consume: (destination, prefetch, take) => void work.push(consume(destination, prefetch, take)),
    async close() {
      await client.close({ timeoutMs: GOODBYE_MS });
      await Promise.all(work);
    },
  };
}

/** What everybody writes first: a plain connection, and a new one when it is lost. Nothing is sent twice. */
export const naive: MakeStayer = (url, options) => {
  const closing = new AbortController();
  const { signal } = closing;
  const work: Promise<void>[] = [];
  let current: Promise<Connection> | undefined;

  async function reach(): Promise<Connection> {
    for (;;) {
      try {
        return await connect(url, { ...options, signal });
      } catch (error) {
        if (signal.aborted) throw error;
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      }
    }
  }

  async function connection(): Promise<Connection> {
    current ??= reach();
    const reached = current;
    const open = await reached;
    if (open.isOpen) return open;
    if (current === reached) current = undefined;
    return connection();
  }

  async function consume(destination: string, prefetch: number, take: (message: Message) => void): Promise<void> {
    while (!signal.aborted) {
      try {
        const subscription = (await connection()).subscribe(destination, { ack: 'client-individual', prefetch });
        for await (const message of subscription) take(message);
      } catch {
        // the line broke, and the books are kept elsewhere
      }
    }
  }

  return {
    async send(destination, body, headers) {
      await (await connection()).send(destination, body, { headers });
    },
    async transaction(work) {
      await (await connection()).transaction((transaction) =>
        work({ send: (destination, body, headers) => transaction.send(destination, body, { headers }) }),
      );
    },
    consume(destination, prefetch, take) {
      work.push(consume(destination, prefetch, take));
    },
    async close() {
      closing.abort();
      await current?.then(
        (open) => open.disconnect({ timeoutMs: GOODBYE_MS }),
        () => {},
      );
      await Promise.all(work);
    },
  };
};
