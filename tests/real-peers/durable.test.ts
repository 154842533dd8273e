// Ending a durable subscription in the two steps of ActiveMQ's clients, frame by frame: our client says it in one.

import { createBroker } from '@stompbox/broker';
import { dial } from '@stompbox/transport/dial';
import { MemoryClient } from 'testkit';
import { afterAll, expect, test } from 'vitest';
import { activeMq, withPeer } from './peers.ts';

interface Place {
  readonly urls: { readonly tcp: string };
  readonly login?: string | undefined;
  readonly passcode?: string | undefined;
}

function endsInTwoSteps({ urls, login, passcode }: Place): void {
  const HEADERS = { 'activemq.subscriptionName': 'news' };
  let places = 0;

  async function subscriber(id: string): Promise<MemoryClient> {
    const client = new MemoryClient(await dial(urls.tcp));
    await client.connect({ 'client-id': id, ...(login && passcode && { login, passcode }) });
    return client;
  }

  async function place(): Promise<{ topic: string; id: string; client: MemoryClient }> {
    const id = `two-steps-${process.pid}-${places++}`;
    return { topic: `/topic/${id}`, id, client: await subscriber(id) };
  }

  test('UNSUBSCRIBE closes it and it goes on gathering; UNSUBSCRIBE again with its name deletes it', async () => {
    const { topic, client } = await place();
    await client.subscribe('1', topic, 'auto', HEADERS);
    await client.ask('UNSUBSCRIBE', { id: '1' });
    await client.send(topic, 'gathered');
    await client.subscribe('1', topic, 'auto', HEADERS);
    expect(await client.bodies(1)).toEqual(['gathered']);
    await client.ask('UNSUBSCRIBE', { id: '1' });
    await client.send(topic, 'gathered in vain');
    await client.ask('UNSUBSCRIBE', { id: '1', ...HEADERS });
    await client.subscribe('1', topic, 'auto', HEADERS);
    await client.send(topic, 'after');
    expect(await client.bodies(1)).toEqual(['after']);
    client.channel.destroy();
  });

  test('the second step may come from the next connection', async () => {
    const { topic, id, client } = await place();
    await client.subscribe('1', topic, 'auto', HEADERS);
    await client.ask('DISCONNECT');
    await client.closed();
    const next = await subscriber(id);
    await next.ask('UNSUBSCRIBE', { id: '1', ...HEADERS });
    await next.send(topic, 'for nobody');
    await next.subscribe('1', topic, 'auto', HEADERS);
    await next.send(topic, 'after');
    expect(await next.bodies(1)).toEqual(['after']);
    next.channel.destroy();
  });

  test('a name that there is not is an ERROR', async () => {
    const { client } = await place();
    client.say('UNSUBSCRIBE', { id: '1', ...HEADERS, receipt: 'r' });
    const error = await client.next();
    expect(error.command).toBe('ERROR');
    client.channel.destroy();
  });
}

withPeer('ActiveMQ', activeMq, endsInTwoSteps);

const broker = await createBroker({ listen: ['tcp://127.0.0.1:0'] });
afterAll(() => broker.close({ timeoutMs: 100 }).then(() => {}));
withPeer('Stompbox', { urls: { tcp: broker.urls[0] ?? '' } }, endsInTwoSteps);
