// The door that every runtime may use; Node's sockets are behind ./dial and ./node.

export type { AttemptOptions } from './attempt.ts';
export type { Channel, ChannelEnd, ChannelHandlers, PeerInfo, TransportErrorCode } from './channel.ts'; // bytes both ways
export { TransportError } from './channel.ts'; // and when it fails
export type { DialOptions, PeerCertificate, Pem, TlsIdentity, TlsOptions } from './dial-options.ts';
export type { Endpoint, Purpose, SocketEndpoint, UnixEndpoint, WebSocketEndpoint } from './endpoint.ts';
export { formatEndpoint, parseEndpoint } from './endpoint.ts'; // URL <-> data
export { type MemoryOptions, type MemoryPair, memoryPair, type Side } from './memory.ts'; // two ends in one process
export type {
  BinaryMode,
  WebSocketDialOptions,
  WebSocketFactory,
  WebSocketLike,
  WebSocketLikeEvent,
  WebSocketOptions,
} from './websocket.ts';
export { dialWebSocket, SUBPROTOCOLS } from './websocket.ts'; // WHATWG WebSocket
