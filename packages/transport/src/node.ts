// The door for Node, Deno and Bun: everything that listens, and the diallers one by one.

export { type Listener, type ListenOptions, listen } from './listen.ts'; // any endpoint
export type { Accept, ListenerOptions, NodeListener } from './listener.ts';
export { dialTcp, listenTcp, listenUnix, type TcpOptions } from './tcp.ts';
export { dialTls, listenTls, type ServerTlsOptions } from './tls.ts';
export { dialNodeWebSocket } from './websocket-node.ts';
export {
  type Attachment,
  attachWebSocket, // STOMP on somebody's http server
  chooseSubprotocol,
  listenWebSocket,
  type Origins,
  originAllowed,
  type WebSocketServerOptions,
} from './websocket-server.ts';
