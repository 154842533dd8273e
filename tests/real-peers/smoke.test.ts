// The brokers that the other tests of this folder rely on are there: seen without any code of ours.

import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { activeMq, rabbitMq, withPeer } from './peers.ts';
import { at, connectFrame, converse } from './raw.ts';

for (const [name, peer] of [
  ['RabbitMQ', rabbitMq],
  ['ActiveMQ', activeMq],
] as const) {
  withPeer(name, peer, (broker) => {
    test('answers CONNECT over TCP', async () => {
      expect(await converse(connectTcp(at(broker.urls.tcp)), [connectFrame(broker)])).toMatch(/^CONNECTED\n/);
    });

    test('answers CONNECT over TLS, with a certificate that verifies', async () => {
      const { host, port } = at(broker.urls.tls);
      const socket = connectTls({ host, port, servername: host, ca: broker.ca });
      expect(await converse(socket, [connectFrame(broker)])).toMatch(/^CONNECTED\n/);
    });

    test('refuses a wrong passcode', async () => {
      const frame = connectFrame({ ...broker, passcode: 'wrong' });
      expect(await converse(connectTcp(at(broker.urls.tcp)), [frame])).toMatch(/^ERROR\n/);
    });
  });
}

withPeer('Web-STOMP of RabbitMQ', rabbitMq, (broker) => {
  test('answers CONNECT in a binary frame', async () => {
    const socket = new WebSocket(broker.urls.ws ?? '', ['v12.stomp']);
    const answer = new Promise<[Buffer, boolean]>((resolve, reject) => {
      socket.once('open', () => socket.send(connectFrame(broker)));
      socket.once('message', (data: Buffer, isBinary) => resolve([data, isBinary]));
      socket.once('error', reject);
    });
    const [data, isBinary] = await answer.finally(() => socket.terminate());
    expect(`${data}`).toMatch(/^CONNECTED\n/);
    expect(isBinary).toBe(true);
  });
});
