// The clients that are compared, each behind the same few verbs, and each used as its own documentation does.
//
//   publish(body)      fire and forget; answers a promise where the client should be let breathe
//   confirmed(body)    resolves on the RECEIPT
//   listen(on)         subscribes to `destination`, and settles each message where `ack` is not auto; `on(text)` gets the body
//   close()

import { once } from 'node:events';
import { Client as StompJs } from '@stomp/stompjs';
import { connect, Client as Managed } from '@stompbox/client';
import { Client as Compat } from '@stompbox/client/stompjs';
import stompit from 'stompit';
import { WebSocket } from 'ws';
import { openBareSocket, openBareWebSocket } from './client-floor.mjs';

/** Above this a client that cannot say "enough" is waited for. Bytes. */
const ENOUGH = 1024 * 1024;

/** `over` is what they speak, `only` what they can do; all of it unless said. */
export const CONTESTANTS = {
  'Client, TCP': { over: 'tcp', open: openClient },
  'Connection, TCP': { over: 'tcp', open: openConnection },
  'stompit, TCP': { over: 'tcp', open: openStompit },
  'Client, WebSocket': { over: 'ws', open: openClient },
  'Connection, WebSocket': { over: 'ws', open: openConnection },
  'stompjs, WebSocket': { over: 'ws', open: (url) => openStompJs(StompJs, url) },
  'client/stompjs, WebSocket': { over: 'ws', open: (url) => openStompJs(Compat, url) },
  'bare socket, TCP': { over: 'tcp', open: openBareSocket, only: 'publish' },
  'bare socket, WebSocket': { over: 'ws', open: openBareWebSocket, only: 'publish' },
};

const NO_HEART_BEATS = { heartBeat: { send: 0, expect: 0 } };

async function openClient(url) {
  const client = new Managed(url, NO_HEART_BEATS);
  await client.connect();
  return { ...verbs(client), close: () => client.close() };
}

async function openConnection(url) {
  const connection = await connect(url, NO_HEART_BEATS);
  return { ...verbs(connection), close: () => connection.disconnect() };
}

/** The two are used alike. */
function verbs(connection) {
  return {
    publish: (destination, body) => connection.send(destination, body, { confirm: false }),
    confirmed: (destination, body) => connection.send(destination, body),
    async listen(destination, ack, on) {
      const subscription = connection.subscribe(destination, { ack });
      void (async () => {
        for await (const message of subscription) {
          on(message.text());
          if (ack !== 'auto') void message.ack();
        }
      })();
      return () => subscription.unsubscribe();
    },
  };
}

async function openStompJs(Client, url) {
  const client = new Client({
    webSocketFactory: () => new WebSocket(url, ['v12.stomp'], { perMessageDeflate: false }),
    reconnectDelay: 0,
    heartbeatIncoming: 0,
    heartbeatOutgoing: 0,
  });
  await new Promise((resolve, reject) => {
    client.onConnect = resolve;
    client.onWebSocketError = reject;
    client.activate();
  });
  let receipts = 0;
  const { webSocket } = client;
  const confirmed = (say) =>
    new Promise((resolve) => {
      const receipt = `r-${++receipts}`;
      client.watchForReceipt(receipt, resolve);
      say({ receipt });
    });
  return {
    publish(destination, body) {
      client.publish({ destination, body });
      return webSocket.bufferedAmount > ENOUGH ? below(webSocket) : undefined;
    },
    confirmed: (destination, body) => confirmed((headers) => client.publish({ destination, body, headers })),
    async listen(destination, ack, on) {
      const hear = (message) => {
        on(message.body);
        if (ack !== 'auto') message.ack();
      };
      const subscription = client.subscribe(destination, hear, { ack });
      return () => confirmed((headers) => subscription.unsubscribe(headers));
    },
    close: () => client.deactivate(),
  };
}

async function below(socket) {
  while (socket.bufferedAmount > ENOUGH / 2) await new Promise(setImmediate);
}

async function openStompit(url) {
  const { hostname: host, port } = new URL(url);
  const client = await new Promise((resolve, reject) => {
    const options = { host, port: Number(port), connectHeaders: { host: '/', 'heart-beat': '0,0' } };
    stompit.connect(options, (error, connected) => (error ? reject(error) : resolve(connected)));
  });
  const socket = client.getTransportSocket();
  const send = (destination, body, options) =>
    client.send({ destination, 'content-type': 'text/plain', 'content-length': body.length }, options).end(body);
  return {
    publish(destination, body) {
      send(destination, body);
      return socket.writableLength > ENOUGH ? once(socket, 'drain') : undefined;
    },
    confirmed: (destination, body) => new Promise((resolve) => send(destination, body, { onReceipt: resolve })),
    async listen(destination, ack, on) {
      const subscription = client.subscribe({ destination, ack }, (error, message) => {
        if (error) throw error;
        message.readString('utf-8', (failure, text) => {
          if (failure) throw failure;
          on(text);
          if (ack !== 'auto') client.ack(message);
        });
      });
      return () => subscription.unsubscribe();
    },
    close: () => new Promise((resolve) => client.disconnect(resolve)),
  };
}
