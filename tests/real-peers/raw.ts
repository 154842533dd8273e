// STOMP by hand, for tests that must not rely on our own code.

import type { Socket } from 'node:net';
import type { PeerAddress } from 'testkit/peers';

export function connectFrame({ login, passcode }: Pick<PeerAddress, 'login' | 'passcode'>): string {
  return `CONNECT\naccept-version:1.2\nhost:localhost\nlogin:${login}\npasscode:${passcode}\n\n\0`;
}

/** Sends each frame when the one before was answered, ends the connection, and gives all that the broker said. */
export async function converse(socket: Socket, frames: readonly string[]): Promise<string> {
  let said = '';
  for (const frame of frames) said += await answer(socket, frame);
  socket.destroy();
  return said;
}

/** What the broker says up to a NUL. */
function answer(socket: Socket, frame: string): Promise<string> {
  return new Promise<string>((resolve, reject) => {
    let text = '';
    const read = (chunk: Buffer) => {
      text += chunk;
      if (text.includes('\0')) settle(() => resolve(text));
    };
    const fail = (cause: Error) => settle(() => reject(cause));
    const closed = () => fail(new Error(`closed after ${JSON.stringify(text)}`));
    const settle = (outcome: () => void) => {
      socket.off('data', read).off('error', fail).off('close', closed);
      outcome();
    };
    socket.on('data', read).once('error', fail).once('close', closed);
    socket.write(frame);
  });
}

export function at(url: string): { host: string; port: number } {
  const { hostname, port } = new URL(url);
  return { host: hostname, port: Number(port) };
}
