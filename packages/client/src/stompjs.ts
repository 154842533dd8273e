// What `@stomp/stompjs` 7 exports, on top of ours: an application changes one import.
// docs/coming-from/stompjs.md lists where it behaves differently, and why.

export { Client, StompConfig } from './stompjs/client.ts';
export { CompatClient, Stomp, type WebSocketClass } from './stompjs/compat-client.ts';
export { FrameImpl, type FrameParams } from './stompjs/frame-impl.ts';
export { Parser } from './stompjs/parser.ts';
export {
  ActivationState,
  type ClientConfig,
  type closeEventCallbackType,
  type debugFnType,
  type emptyCallbackType,
  type Frame,
  type frameCallbackType,
  type IFrame,
  type IMessage,
  type IPublishParams,
  type IRawFrameType,
  type IStompSocket,
  type IStompSocketMessageEvent,
  type ITransaction,
  type Message,
  type messageCallbackType,
  type publishParams,
  type RawHeaderType,
  ReconnectionTimeMode,
  type SocketCloseEvent,
  type SocketErrorEvent,
  StompHeaders,
  StompSocketState,
  type StompSubscription,
  TickerStrategy,
  type wsErrorCallbackType,
} from './stompjs/types.ts';
export { Versions } from './stompjs/versions.ts';
