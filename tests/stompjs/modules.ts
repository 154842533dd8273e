// The two modules that must behave alike, and how a test waits for what calls back.

import * as theirs from '@stomp/stompjs';
import * as ours from '@stompbox/client/stompjs';
import { WebSocket } from 'ws';
import { within } from '../real-peers/inbox.ts';

export type StompJs = typeof ours;
export type Client = ours.Client;

/** Both, seen through our types: classes with private members are never assignable, whatever they do. */
export const MODULES: readonly (readonly [name: string, module: StompJs])[] = [
  ['@stomp/stompjs', theirs as unknown as StompJs],
  ['@stompbox/client/stompjs', ours],
];

/** A `WebSocket` of the runtime for all of the file, as Node 22 and browsers have it; Node 20 has none. */
export function installWebSocket(): void {
  if (!('WebSocket' in globalThis)) Object.assign(globalThis, { WebSocket });
}

/** A promise and the callback that resolves it. */
export function awaited<T>(what: string): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve = (_: T): void => {};
  const promise = new Promise<T>((tell) => {
    resolve = tell;
  });
  return { promise: within(promise, what), resolve };
}

/** Activates and waits for CONNECTED. */
export async function connected(client: Client): Promise<ours.IFrame> {
  const came = awaited<ours.IFrame>('CONNECTED');
  const { onConnect } = client;
  client.onConnect = (frame) => {
    client.onConnect = onConnect;
    onConnect(frame);
    came.resolve(frame);
  };
  client.activate();
  return await came.promise;
}

/** Waits for the RECEIPT of what `say` sends. */
export async function confirmed(client: Client, say: (headers: { receipt: string }) => void): Promise<ours.IFrame> {
  const receipt = `receipt-${Math.random()}`;
  const came = awaited<ours.IFrame>('a RECEIPT');
  client.watchForReceipt(receipt, came.resolve);
  say({ receipt });
  return await came.promise;
}
