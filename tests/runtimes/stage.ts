// Our broker behind doors that can be shut and lines that can be cut, and a desk where the suite asks for that: `POST /cut`,
// `/down`, `/up`, `/restart` over HTTP, which every runtime speaks.

import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Broker, createBroker } from '@stompbox/broker';
import { FaultProxy } from 'testkit/fault-proxy';

export interface Stage extends AsyncDisposable {
  readonly tcp: string;
  readonly webSocket: string;
  readonly control: string;
}

/** `origins` are the pages that may come. */
export async function openStage(origins: readonly string[] = []): Promise<Stage> {
  const start = (): Promise<Broker> =>
    createBroker({
      listen: ['tcp://127.0.0.1:0', 'ws://127.0.0.1:0'],
      webSocket: { origins },
      limits: { minHeartBeatMs: 100 },
    });
  let broker = await start();
  const proxies = await Promise.all(broker.urls.map((url) => FaultProxy.open(url)));
  const [tcp, webSocket] = proxies;

  const verbs: Readonly<Record<string, () => Promise<void>>> = {
    async '/cut'() {
      for (const proxy of proxies) proxy.reset();
    },
    async '/down'() {
      for (const proxy of proxies) proxy.refuse();
      for (const proxy of proxies) proxy.reset();
    },
    async '/up'() {
      await Promise.all(proxies.map((proxy) => proxy.accept()));
    },
    async '/restart'() {
      await verbs['/down']?.();
      await broker.close();
      broker = await start();
      for (const [i, proxy] of proxies.entries()) proxy.forwardTo(broker.urls[i] ?? '');
      await verbs['/up']?.();
    },
  };
  const desk = createServer((request, response) => {
    const headers = { 'Access-Control-Allow-Origin': '*', Connection: 'close' };
    const verb = verbs[request.url ?? ''];
    if (verb === undefined) response.writeHead(404, headers).end();
    else
      verb().then(
        () => response.writeHead(204, headers).end(),
        (error) => response.writeHead(500, headers).end(String(error)),
      );
  });
  desk.listen(0, '127.0.0.1');
  await once(desk, 'listening');

  return {
    tcp: tcp?.url ?? '',
    webSocket: webSocket?.url ?? '',
    control: `http://127.0.0.1:${(desk.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      desk.closeAllConnections();
      await Promise.all([...proxies, broker].map((one) => one.close()));
      await new Promise((resolve) => desk.close(resolve));
    },
  };
}
