// A Channel in the shape of a WebSocket: for a runtime that has none of its own, and for
// URLs that no WebSocket reaches (stomp:, stomp+ssl:).

import type { Channel, ChannelEnd } from '@stompbox/transport';
import {
  type IStompSocket,
  type IStompSocketMessageEvent,
  type SocketCloseEvent,
  type SocketErrorEvent,
  StompSocketState,
} from './types.ts';

const ENCODER = new TextEncoder();

/** The runtime's own WebSocket where there is one and the URL is for it. */
export function openSocket(url: string, protocols: string[]): IStompSocket {
  if (/^wss?:/i.test(url) && typeof globalThis.WebSocket === 'function')
    return new globalThis.WebSocket(url, protocols);
  return new DialledSocket(url, protocols);
}

class DialledSocket implements IStompSocket {
  readonly url: string;
  onopen: ((event: Event) => unknown) | null = null;
  onmessage: ((event: IStompSocketMessageEvent) => unknown) | null = null;
  onerror: ((event: SocketErrorEvent) => unknown) | null = null;
  onclose: ((event: SocketCloseEvent) => unknown) | null = null;
  readyState: StompSocketState = StompSocketState.CONNECTING;
  #channel: Channel | undefined;
  readonly #dialling = new AbortController();

  constructor(url: string, protocols: readonly string[]) {
    this.url = url;
    void this.#open(this.#dial(protocols));
  }

  send(data: string | Uint8Array<ArrayBuffer>): void {
    this.#channel?.write(typeof data === 'string' ? ENCODER.encode(data) : data);
  }

  close(): void {
    if (this.readyState === StompSocketState.CLOSED) return;
    this.readyState = StompSocketState.CLOSING;
    this.#dialling.abort();
    this.#channel?.end();
  }

  terminate(): void {
    this.close();
    this.#channel?.destroy();
  }

  // Loaded by those who need it, so that browsers do not.
  async #dial(protocols: readonly string[]): Promise<Channel> {
    const { dial } = await import('@stompbox/transport/dial');
    return await dial(this.url, { timeoutMs: 0, signal: this.#dialling.signal, webSocket: { protocols } });
  }

  async #open(dialling: Promise<Channel>): Promise<void> {
    let channel: Channel;
    try {
      channel = await dialling;
    } catch (error) {
      this.#ended({ code: 1006, reason: '', wasClean: false }, error);
      return;
    }
    this.#channel = channel;
    channel.open({
      data: (data) => this.onmessage?.({ data }),
      drain() {},
      ended: () => channel.end(),
      closed: (end) => this.#ended(closeEvent(end), end.error),
    });
    this.readyState = StompSocketState.OPEN;
    this.onopen?.(new Event('open'));
  }

  #ended(event: SocketCloseEvent, error: unknown): void {
    this.readyState = StompSocketState.CLOSED;
    if (error !== undefined) {
      this.onerror?.({ type: 'error', error, message: error instanceof Error ? error.message : String(error) });
    }
    this.onclose?.(event);
  }
}

function closeEvent({ code, reason, error }: ChannelEnd): SocketCloseEvent {
  return { code: code ?? (error === undefined ? 1000 : 1006), reason: reason ?? '', wasClean: error === undefined };
}
