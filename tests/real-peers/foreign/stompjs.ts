// @stomp/stompjs over WebSocket. It can ask for a receipt on SEND, SUBSCRIBE, UNSUBSCRIBE, ACK and NACK only.

import { Client as StompJs, Versions } from '@stomp/stompjs';
import type { Broker } from '@stompbox/broker';
import { WebSocket } from 'ws';
import { Inbox, within } from '../inbox.ts';
import type { ForeignClient, ForeignProgram, Message, Subscription, Version } from './client.ts';

export const stompJs: ForeignProgram = {
  versions: ['1.0', '1.1', '1.2'],
  escapes: ['1.0', '1.2'], // in 1.1 it neither escapes nor unescapes
  async connect(broker: Broker, { version, heartBeatMs = 0 }) {
    const url = broker.urls.find((one) => one.startsWith('ws:')) ?? '';
    const client = new StompJs({
      webSocketFactory: () => new WebSocket(url, new Versions([version]).protocolVersions()),
      stompVersions: new Versions([version]),
      connectHeaders: { host: 'localhost' },
      reconnectDelay: 0,
      heartbeatIncoming: heartBeatMs,
      heartbeatOutgoing: heartBeatMs,
    });
    const connected = new Promise<Message['headers']>((resolve, reject) => {
      client.onConnect = ({ headers }) => resolve(headers);
      client.onWebSocketError = reject;
    });
    client.activate();
    return new Connected(client, await within(connected, 'stompjs to connect'), version);
  },
};

class Connected implements ForeignClient {
  readonly connected: Message['headers'];
  readonly errors = new Inbox<string>('an ERROR');
  readonly #client: StompJs;
  readonly #version: Version;
  #last = 0;

  constructor(client: StompJs, connected: Message['headers'], version: Version) {
    this.connected = connected;
    this.#client = client;
    this.#version = version;
    client.onStompError = ({ headers }) => this.errors.put(headers.message ?? '');
  }

  send(
    destination: string,
    body: string | Uint8Array,
    { headers = {}, transaction }: { headers?: Record<string, string>; transaction?: string } = {},
  ): Promise<void> {
    const content = typeof body === 'string' ? { body } : { binaryBody: body };
    const all = transaction === undefined ? headers : { ...headers, transaction };
    return this.#confirmed((receipt) =>
      this.#client.publish({ destination, ...content, headers: { ...all, receipt } }),
    );
  }

  async subscribe(destination: string, ack: string): Promise<Subscription> {
    const messages = new Inbox<Message>(`a message from ${destination}`);
    const id = `subscription-${++this.#last}`;
    const put = (message: { headers: Message['headers']; binaryBody: Uint8Array }) =>
      messages.put({ headers: message.headers, body: message.binaryBody });
    await this.#confirmed((receipt) => void this.#client.subscribe(destination, put, { id, ack, receipt }));
    const settle = (verb: 'ack' | 'nack') => (message: Message, transaction?: string) =>
      this.#confirmed((receipt) => {
        const name = message.headers[this.#version === '1.2' ? 'ack' : 'message-id'] ?? '';
        this.#client[verb](name, id, transaction === undefined ? { receipt } : { receipt, transaction });
      });
    return {
      messages,
      ack: settle('ack'),
      nack: settle('nack'),
      unsubscribe: () => this.#confirmed((receipt) => this.#client.unsubscribe(id, { receipt })),
    };
  }

  async begin(transaction: string): Promise<void> {
    this.#client.begin(transaction);
    await this.#caughtUp();
  }

  async commit(transaction: string): Promise<void> {
    this.#client.commit(transaction);
    await this.#caughtUp();
  }

  async abort(transaction: string): Promise<void> {
    this.#client.abort(transaction);
    await this.#caughtUp();
  }

  disconnect(): Promise<void> {
    const told = new Promise<void>((resolve) => {
      this.#client.onDisconnect = () => resolve();
    });
    return within(Promise.all([told, this.#client.deactivate()]), 'stompjs to disconnect').then(() => {});
  }

  drop(): void {
    this.#client.webSocket?.terminate?.();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.deactivate({ force: true });
  }

  #caughtUp(): Promise<void> {
    return this.send('/topic/nobody-listens', '');
  }

  #confirmed(call: (receipt: string) => void): Promise<void> {
    const receipt = `receipt-${++this.#last}`;
    const confirmed = new Promise<void>((resolve) => this.#client.watchForReceipt(receipt, () => resolve()));
    call(receipt);
    return within(confirmed, receipt);
  }
}
