// What @stomp/stompjs cannot do: a brokerURL in a runtime without a WebSocket, and one that is none.

import { createBroker } from '@stompbox/broker';
import { Client, StompSocketState } from '@stompbox/client/stompjs';
import { afterAll, expect, test, vi } from 'vitest';
import { within } from '../real-peers/inbox.ts';
import { awaited, connected } from './modules.ts';

vi.stubGlobal('WebSocket', undefined); // as in Node 20
afterAll(() => vi.unstubAllGlobals());

test.each(['ws', 'tcp'])('a brokerURL with %s: connects, carries text and octets, and closes', async (scheme) => {
  await using broker = await createBroker({ listen: [`${scheme}://127.0.0.1:0`] });
  const client = new Client({ brokerURL: broker.urls[0], reconnectDelay: 0 });
  await connected(client);
  expect(client.webSocket?.readyState).toBe(StompSocketState.OPEN);
  const came = awaited<Uint8Array[]>('two messages');
  const got: Uint8Array[] = [];
  client.subscribe('/queue/a', ({ binaryBody }) => {
    if (got.push(binaryBody) === 2) came.resolve(got);
  });
  client.publish({ destination: '/queue/a', body: 'é' });
  client.publish({ destination: '/queue/a', binaryBody: new Uint8Array([0, 255]) });
  expect((await came.promise).map((octets) => [...octets])).toEqual([
    [195, 169],
    [0, 255],
  ]);
  await within(client.deactivate(), 'deactivate');
  expect(client.webSocket).toBe(undefined);
});

test('where nobody listens, onWebSocketError tells why and onWebSocketClose that it is over', async () => {
  const events: unknown[] = [];
  const closed = awaited<void>('the close');
  const client = new Client({
    brokerURL: 'tcp://127.0.0.1:1',
    reconnectDelay: 0,
    onWebSocketError: ({ error }) => events.push(error),
    onWebSocketClose: ({ code }) => {
      events.push(code);
      closed.resolve();
    },
  });
  client.activate();
  await closed.promise;
  expect(events).toMatchObject([{ name: 'TransportError', code: 'refused' }, 1006]);
  await client.deactivate();
});

test('a socket that is still being dialled can be called off', async () => {
  await using broker = await createBroker({ listen: ['tcp://127.0.0.1:0'] });
  const client = new Client({ brokerURL: broker.urls[0], reconnectDelay: 0 });
  client.activate();
  await Promise.resolve();
  await Promise.resolve();
  expect(client.webSocket?.readyState).toBe(StompSocketState.CONNECTING);
  await within(client.deactivate({ force: true }), 'deactivate');
  expect(client.webSocket).toBe(undefined);
});
