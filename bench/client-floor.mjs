// What is left when a client does nothing: frames that were encoded before, written to a bare socket. Nobody who sends
// over that socket can send more.

import { once } from 'node:events';
import { connect } from 'node:net';
import { WebSocket } from 'ws';

const CONNECT = 'CONNECT\naccept-version:1.2\nhost:/\nheart-beat:0,0\n\n\0';
const CHUNK = 64 * 1024;

export async function openBareSocket(url) {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname).setNoDelay(true);
  await once(socket, 'connect');
  socket.write(CONNECT);
  await once(socket, 'data');
  let chunk;
  let waiting = 0; // frames that the next chunk stands for
  return {
    publish(destination, body) {
      chunk ??= chunkOf(frameOf(destination, body));
      if (++waiting < chunk.frames) return undefined;
      waiting = 0;
      return socket.write(chunk.bytes) ? undefined : once(socket, 'drain');
    },
    async confirmed(destination, body) {
      if (waiting > 0) socket.write(chunk.bytes.subarray(0, (chunk.bytes.length / chunk.frames) * waiting));
      chunk = undefined;
      waiting = 0;
      socket.write(frameOf(destination, body, 'receipt:r\n'));
      await once(socket, 'data');
    },
    close: () => socket.end(),
  };
}

export async function openBareWebSocket(url) {
  const socket = new WebSocket(url, ['v12.stomp'], { perMessageDeflate: false });
  await once(socket, 'open');
  socket.send(CONNECT);
  await once(socket, 'message');
  let frame;
  return {
    publish(destination, body) {
      frame ??= frameOf(destination, body);
      socket.send(frame, { binary: false });
      return socket.bufferedAmount > 1024 * 1024 ? drained(socket) : undefined;
    },
    async confirmed(destination, body) {
      frame = undefined;
      socket.send(frameOf(destination, body, 'receipt:r\n'), { binary: false });
      await once(socket, 'message');
    },
    close: () => socket.close(),
  };
}

async function drained(socket) {
  while (socket.bufferedAmount > 512 * 1024) await new Promise(setImmediate);
}

function frameOf(destination, body, more = '') {
  const headers = `destination:${destination}\ncontent-type:text/plain\n${more}content-length:${body.length}\n`;
  return Buffer.from(`SEND\n${headers}\n${body}\0`);
}

function chunkOf(frame) {
  const frames = Math.max(1, Math.floor(CHUNK / frame.length));
  return { frames, bytes: Buffer.concat(Array.from({ length: frames }, () => frame)) };
}
