// The words of @stomp/stompjs 7: its types and its constants, under its names.

import type { Clock } from '../clock.ts';
import type { Versions } from './versions.ts';

/** Headers by name. A class, since `@stomp/stompjs` exports one. */
export class StompHeaders {
  [key: string]: string;
}

export interface IFrame {
  command: string;
  headers: StompHeaders;
  /** It was made of octets, as every received frame is. */
  isBinaryBody: boolean;
  /** The body as UTF-8 text; octets that are none become U+FFFD. */
  readonly body: string;
  readonly binaryBody: Uint8Array;
}
export type Frame = IFrame;

export interface IMessage extends IFrame {
  /** Says the message is done with, to the connection that delivered it; nothing where that is gone. */
  ack: (headers?: StompHeaders) => void;
  /** Gives the message back, on the same terms. */
  nack: (headers?: StompHeaders) => void;
}
export type Message = IMessage;

export interface StompSubscription {
  id: string;
  unsubscribe: (headers?: StompHeaders) => void;
}

export interface ITransaction {
  id: string;
  commit: () => void;
  abort: () => void;
}

export interface IPublishParams {
  destination: string;
  headers?: StompHeaders | undefined;
  /** Text. */
  body?: string | undefined;
  /** Octets; wins over `body`. */
  binaryBody?: Uint8Array | undefined;
  /** Announce no length, which ActiveMQ takes as "text, not bytes". A body that holds NUL announces it all the same. */
  skipContentLengthHeader?: boolean | undefined;
}
export type publishParams = IPublishParams;

export type RawHeaderType = [string, string];

/** A frame as `Parser` gives it: headers in order, as they stood on the wire. */
export interface IRawFrameType {
  command: string | undefined;
  headers: RawHeaderType[];
  binaryBody: Uint8Array | undefined;
}

/** What is looked at of the event that ends a WebSocket. */
export interface SocketCloseEvent {
  readonly code?: number | undefined;
  readonly reason?: string | undefined;
  readonly wasClean?: boolean | undefined;
}

/** What is looked at of an `error` event; `error` is set where the failure is ours to tell, and not the socket's. */
export interface SocketErrorEvent {
  readonly type?: string | undefined;
  readonly message?: string | undefined;
  readonly error?: unknown;
}

export interface IStompSocketMessageEvent {
  data?: string | ArrayBuffer | Uint8Array | undefined;
}

/** What is used of a WebSocket, or of anything in its shape: SockJS, `ws`, tcp-wrapper. */
export interface IStompSocket {
  url: string;
  onclose: ((event: never) => unknown) | undefined | null;
  onerror: ((event: never) => unknown) | undefined | null;
  onmessage: ((event: never) => unknown) | undefined | null;
  onopen: ((event: never) => unknown) | undefined | null;
  terminate?: (() => unknown) | undefined | null;
  binaryType?: string;
  readonly readyState: number;
  close(): void;
  send(data: string | Uint8Array<ArrayBuffer>): void;
}

export type debugFnType = (message: string) => void;
export type emptyCallbackType = () => void;
export type frameCallbackType = (frame: IFrame) => void;
export type messageCallbackType = (message: IMessage) => void;
// Methods compare both ways, so that a callback written for the DOM's CloseEvent fits.
export type closeEventCallbackType<T = SocketCloseEvent> = { call(event: T): void }['call'];
export type wsErrorCallbackType<T = SocketErrorEvent> = { call(event: T): void }['call'];

// Constants with names both ways, as a TypeScript enum has them.
export const StompSocketState = {
  CONNECTING: 0,
  OPEN: 1,
  CLOSING: 2,
  CLOSED: 3,
  0: 'CONNECTING',
  1: 'OPEN',
  2: 'CLOSING',
  3: 'CLOSED',
} as const;
export type StompSocketState = 0 | 1 | 2 | 3;

export const ActivationState = {
  ACTIVE: 0,
  DEACTIVATING: 1,
  INACTIVE: 2,
  0: 'ACTIVE',
  1: 'DEACTIVATING',
  2: 'INACTIVE',
} as const;
export type ActivationState = 0 | 1 | 2;

export const ReconnectionTimeMode = { LINEAR: 0, EXPONENTIAL: 1, 0: 'LINEAR', 1: 'EXPONENTIAL' } as const;
export type ReconnectionTimeMode = 0 | 1;

export const TickerStrategy = { Interval: 'interval', Worker: 'worker' } as const;
export type TickerStrategy = 'interval' | 'worker';

/** The fields of a `Client`; `Owner` is what `beforeConnect` gets. What is undefined counts as not given. */
export class ClientConfig<Owner> {
  /** `ws:` or `wss:`; on Node, Deno and Bun any URL that `connect()` takes. */
  brokerURL?: string | undefined;
  stompVersions?: Versions | undefined;
  /** Makes a socket that is connecting; wins over `brokerURL`. */
  webSocketFactory?: (() => IStompSocket) | undefined;
  /** Milliseconds for the socket and CONNECTED together; 0 for ever. */
  connectionTimeout?: number | undefined;
  /** Milliseconds; 0 is never. 5,000 unless given. */
  reconnectDelay?: number | undefined;
  /** Milliseconds; 0 is no bound. 15 minutes unless given. */
  maxReconnectDelay?: number | undefined;
  reconnectTimeMode?: ReconnectionTimeMode | undefined;
  /** Milliseconds; 0 is none. 10,000 unless given. */
  heartbeatIncoming?: number | undefined;
  /** How many times its agreed gap a silent broker is given. 2 unless given. */
  heartbeatToleranceMultiplier?: number | undefined;
  /** Milliseconds; 0 is none. 10,000 unless given. */
  heartbeatOutgoing?: number | undefined;
  heartbeatStrategy?: TickerStrategy | undefined;
  /** Cut text frames into messages of `maxWebSocketChunkSize`, as Spring wants them. */
  splitLargeFrames?: boolean | undefined;
  /** UTF-16 units; 8,192 unless given. */
  maxWebSocketChunkSize?: number | undefined;
  forceBinaryWSFrames?: boolean | undefined;
  /** End incoming messages with the NUL that React Native cuts off. */
  appendMissingNULLonIncoming?: boolean | undefined;
  connectHeaders?: StompHeaders | undefined;
  disconnectHeaders?: StompHeaders | undefined;
  onUnhandledMessage?: messageCallbackType | undefined;
  onUnhandledReceipt?: frameCallbackType | undefined;
  /** Accepted, never called: a frame that no server may send ends the connection, and `onWebSocketError` hears why. */
  onUnhandledFrame?: frameCallbackType | undefined;
  /** Awaited before each attempt. What it throws is a failed attempt: `onWebSocketError` hears it, the next one follows. */
  beforeConnect?: ((client: Owner) => void | Promise<void>) | undefined;
  onConnect?: frameCallbackType | undefined;
  onDisconnect?: frameCallbackType | undefined;
  onStompError?: frameCallbackType | undefined;
  onWebSocketClose?: closeEventCallbackType | undefined;
  onWebSocketError?: wsErrorCallbackType | undefined;
  onHeartbeatReceived?: emptyCallbackType | undefined;
  onHeartbeatLost?: emptyCallbackType | undefined;
  logRawCommunication?: boolean | undefined;
  /** Hears what happens, frames included; secrets are masked. */
  debug?: debugFnType | null | undefined;
  /** Do not wait for a socket to close that has failed. */
  discardWebsocketOnCommFailure?: boolean | undefined;
  onChangeState?: ((state: ActivationState) => void) | undefined;
  /** Ours: hears what a callback of yours throws. Unless given it becomes an unhandled rejection. */
  onCallbackError?: ((error: unknown) => void) | undefined;
  /** Ours: where time comes from; for tests. */
  clock?: Clock | undefined;
}
