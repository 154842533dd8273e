// The names that stompjs kept from its versions before 5, and tutorials still use.

import { Client } from './client.ts';
import { openSocket } from './dialled-socket.ts';
import type {
  closeEventCallbackType,
  frameCallbackType,
  IStompSocket,
  messageCallbackType,
  StompHeaders,
} from './types.ts';
import { Versions } from './versions.ts';

type ByHeaders = [
  headers: StompHeaders,
  connected: frameCallbackType,
  error?: frameCallbackType | undefined,
  closed?: closeEventCallbackType | undefined,
];
type ByLogin = [
  login: string,
  passcode: string,
  connected?: frameCallbackType | undefined,
  error?: frameCallbackType | undefined,
  closed?: closeEventCallbackType | undefined,
  host?: string | undefined,
];

export class CompatClient extends Client {
  /** Means nothing. */
  maxWebSocketFrameSize: number = 16 * 1024;

  constructor(webSocketFactory: () => IStompSocket) {
    super({ webSocketFactory, reconnectDelay: 0 });
  }

  /** `connect(headers, connected, error?, closed?)` or `connect(login, passcode, connected?, error?, closed?, host?)`. */
  connect(...args: ByHeaders | ByLogin): void {
    if (args.length < 2) throw new Error('Connect requires at least 2 arguments');
    const [headers, connected, error, closed] = hasHeaders(args) ? args : withHeaders(args);
    this.configure({
      connectHeaders: headers,
      onConnect: connected,
      onStompError: error,
      onWebSocketClose: closed,
    });
    this.activate();
  }

  disconnect(disconnected?: () => void, headers: StompHeaders = {}): void {
    if (disconnected) this.onDisconnect = disconnected;
    this.disconnectHeaders = headers;
    void this.deactivate();
  }

  /** A `content-length` of `false` announces none. */
  send(destination: string, headers: Readonly<Record<string, unknown>> = {}, body: string = ''): void {
    const { 'content-length': length, ...rest } = headers;
    const texts = Object.entries(rest).map(([name, value]) => [name, String(value)]);
    this.publish({ destination, headers: Object.fromEntries(texts), body, skipContentLengthHeader: length === false });
  }

  set reconnect_delay(ms: number) {
    this.reconnectDelay = ms;
  }

  get ws(): IStompSocket | undefined {
    return this.webSocket;
  }

  get version(): string | undefined {
    return this.connectedVersion;
  }

  get onreceive(): messageCallbackType {
    return this.onUnhandledMessage;
  }
  set onreceive(callback: messageCallbackType) {
    this.onUnhandledMessage = callback;
  }

  get onreceipt(): frameCallbackType {
    return this.onUnhandledReceipt;
  }
  set onreceipt(callback: frameCallbackType) {
    this.onUnhandledReceipt = callback;
  }

  /** Milliseconds; `client.heartbeat.incoming = 0` counts. */
  get heartbeat(): { incoming: number; outgoing: number } {
    const client = this;
    return {
      get incoming() {
        return client.heartbeatIncoming;
      },
      set incoming(ms) {
        client.heartbeatIncoming = ms;
      },
      get outgoing() {
        return client.heartbeatOutgoing;
      },
      set outgoing(ms) {
        client.heartbeatOutgoing = ms;
      },
    };
  }
  set heartbeat({ incoming, outgoing }: { incoming: number; outgoing: number }) {
    this.heartbeatIncoming = incoming;
    this.heartbeatOutgoing = outgoing;
  }
}

function hasHeaders(args: ByHeaders | ByLogin): args is ByHeaders {
  return typeof args[1] === 'function';
}

function withHeaders([login, passcode, connected = () => {}, error, closed, host]: ByLogin): ByHeaders {
  return [{ login, passcode, ...(host === undefined ? {} : { host }) }, connected, error, closed];
}

/** A WebSocket class. */
export type WebSocketClass = new (url: string, protocols?: string | string[]) => IStompSocket;

/** Makes clients as stompjs did before 5. */
// biome-ignore lint/complexity/noStaticOnlyClass: a class of that name is what applications import
export class Stomp {
  /** What `client` makes its sockets of, where it is not the runtime's own WebSocket. */
  static WebSocketClass: WebSocketClass | null = null;

  /** Without a WebSocket class, of the runtime or given, it dials by itself. */
  static client(url: string, protocols: string[] = Versions.default.protocolVersions()): CompatClient {
    return new CompatClient(() => {
      const given = Stomp.WebSocketClass;
      return given === null ? openSocket(url, protocols) : new given(url, protocols);
    });
  }

  /** A factory, or one socket, with which connecting again is not possible. */
  static over(socket: IStompSocket | (() => IStompSocket)): CompatClient {
    return new CompatClient(typeof socket === 'function' ? socket : () => socket);
  }
}
