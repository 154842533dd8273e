// `@stompbox/client/stompjs` and what it stands in for, against a broker that applications of stompjs talk to.

import * as ours from '@stompbox/client/stompjs';
import { afterEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { awaited, type Client, confirmed, connected, MODULES } from '../stompjs/modules.ts';
import { within } from './inbox.ts';
import { rabbitMq, withPeer } from './peers.ts';

withPeer('RabbitMQ', rabbitMq, ({ urls, login, passcode }) => {
  describe.each(MODULES)('%s', (_, stomp) => {
    const { Versions } = stomp;
    const clients: Client[] = [];

    afterEach(async () => {
      for (const client of clients.splice(0)) await client.deactivate({ force: true });
    });

    function made(version: string): Client {
      const versions = new Versions([version]);
      const client = new stomp.Client({
        webSocketFactory: () => new WebSocket(urls.ws ?? '', versions.protocolVersions()),
        stompVersions: versions,
        connectHeaders: { login, passcode }, // and no host, which RabbitMQ would take for a virtual host
        reconnectDelay: 0,
      });
      clients.push(client);
      return client;
    }

    test.each(['1.1', '1.2'])('sends, receives, acknowledges and says goodbye in STOMP %s', async (version) => {
      const client = made(version);
      await connected(client);
      expect(client.connectedVersion).toBe(version);
      const queue = `/queue/stompjs-entry-${Math.random()}`;
      const came = awaited<[body: string, kind: string | undefined]>('a message');
      client.subscribe(
        queue,
        (message) => {
          came.resolve([message.body, message.headers.kind]);
          message.ack();
        },
        { ack: 'client-individual' },
      );
      await confirmed(client, (headers) =>
        client.publish({ destination: queue, body: 'grüße', headers: { ...headers, kind: 'greeting' } }),
      );
      expect(await came.promise).toEqual(['grüße', 'greeting']);
      await within(client.deactivate(), 'deactivate');
    });

    test('a wrong passcode comes to onStompError', async () => {
      const client = made('1.2');
      client.connectHeaders = { login, passcode: 'wrong' };
      const refused = awaited<string>('an ERROR');
      client.onStompError = ({ command }) => refused.resolve(command);
      client.activate();
      expect(await refused.promise).toBe('ERROR');
    });
  });

  test('after an ERROR that RabbitMQ does not close after, ours does', async () => {
    const closed = awaited<void>('the close');
    const client = new ours.Client({
      brokerURL: urls.ws,
      connectHeaders: { login, passcode: 'wrong' },
      reconnectDelay: 0,
      onWebSocketClose: () => closed.resolve(),
    });
    client.activate();
    await closed.promise;
    await client.deactivate();
  });
});
