// connect() through real sockets: what only a dialled connection has.

import { Connection, connect, type Dial, TimeoutError } from '@stompbox/client';
import { type Channel, type DialOptions, TransportError } from '@stompbox/transport';
import { listen } from '@stompbox/transport/node';
import { ScriptedPeer } from 'testkit';
import { expect, onTestFinished, test } from 'vitest';
import { failure } from './support.ts';

const clock = { now: () => performance.now() };

/** A listener, and the broker's end of the first connection to it. */
async function listening(
  url: string,
): Promise<{ url: string; peer: Promise<ScriptedPeer>; channel: Promise<Channel> }> {
  let come = (_: Channel): void => {};
  const channel = new Promise<Channel>((resolve) => {
    come = resolve;
  });
  const listener = await listen(url, {}, (accepted) => come(accepted));
  onTestFinished(() => listener.close());
  return { url: listener.url, channel, peer: channel.then((accepted) => new ScriptedPeer(accepted, clock)) };
}

test('the host header is the name dialled, and the URL’s credentials are used unless options say otherwise', async () => {
  const { url, peer } = await listening('tcp://127.0.0.1:0');
  const connecting = connect(url.replace('//', '//app:s3cret@'), { login: 'other' });
  const said = await (await peer).accept();
  expect(said.headers.toObject()).toMatchObject({ host: '127.0.0.1', login: 'other', passcode: 's3cret' });
  const connection = await connecting;
  await connection.send('/queue/a', 'x');
  await connection.disconnect();
  expect(await connection.closed).toEqual({ kind: 'disconnected' });
});

test('W-01: over WebSocket the subprotocols offered are those of the versions offered', async () => {
  const { url, peer } = await listening('ws://127.0.0.1:0/stomp');
  const connecting = connect(url, { versions: ['1.0', '1.1'] });
  await (await peer).accept();
  const connection = await connecting;
  expect(connection.peer.subprotocol).toBe('v11.stomp');
  await connection.send('/queue/a', { by: 'web socket' });
  await connection.disconnect();
});

test('the local address and the keep-alive are handed to the dialler, for those who ask for them only', async () => {
  const dialled: DialOptions[] = [];
  const dial: Dial = (_endpoint, options) => {
    dialled.push(options);
    return Promise.reject(new TransportError('refused', 'not today'));
  };
  await failure(connect('stomp://broker', { localAddress: '127.0.0.9', keepAliveMs: 5_000, dial }));
  await failure(connect('stomp://broker', { dial }));
  expect(dialled).toEqual([
    { timeoutMs: 10_000, localAddress: '127.0.0.9', keepAliveMs: 5_000 },
    { timeoutMs: 10_000 },
  ]);
});

test('a connection leaves from the local address', async () => {
  const { url, channel } = await listening('tcp://127.0.0.1:0');
  const connecting = connect(url, { localAddress: '127.0.0.9' });
  const arrived = await channel;
  expect(arrived.peer.address).toBe('127.0.0.9');
  arrived.destroy();
  await failure(connecting);
});

test('M-120: one deadline covers dialling and CONNECTED, and its error names the endpoint', async () => {
  const { url } = await listening('tcp://127.0.0.1:0');
  const error = await failure(connect(url, { connectTimeoutMs: 30 }));
  expect(error).toBeInstanceOf(TimeoutError);
  expect(error).toMatchObject({ afterMs: 30, message: expect.stringContaining(url) });
});

test('a half-close by the broker, with a slow reader, still ends the connection', async () => {
  const { url, peer } = await listening('tcp://127.0.0.1:0');
  const connecting = connect(url, { maxBufferedFrames: 2 });
  const broker = await peer;
  await broker.accept();
  const connection = await connecting;
  expect(connection).toBeInstanceOf(Connection);
  const subscription = connection.subscribe('/queue/a');
  await subscription.ready;
  for (let i = 0; i < 100; i++) broker.deliver(subscription.id, `${i}`);
  broker.hangUp();
  const seen: string[] = [];
  await failure(
    (async () => {
      for await (const message of subscription) seen.push(message.text());
    })(),
  );
  expect(seen.length).toBe(100);
  expect(await connection.closed).toMatchObject({ kind: 'lost', error: { code: 'ended' } });
});
