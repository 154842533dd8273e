// Raw frames: what sendFrame causes comes back through receive(), and nothing else does.

import { BrokerError, ConnectionLost, TimeoutError } from '@stompbox/client';
import { frame } from '@stompbox/protocol';
import { settled } from 'testkit';
import { expect, test } from 'vitest';
import { failure, table } from './support.ts';

test('sendFrame sends the frame as it is, and receive() gives what it caused', async () => {
  const { connection, peer } = await table();
  await connection.sendFrame(frame('SUBSCRIBE', { destination: '/q', id: '1', receipt: 'mine' }));
  const receipt = await connection.receive();
  expect([receipt.command, receipt.headers.get('receipt-id')]).toEqual(['RECEIPT', 'mine']);
  peer.deliver('1', 'hello');
  expect((await connection.receive({ timeoutMs: 1 })).text()).toBe('hello');
});

test('with confirm a raw frame is awaited like any other', async () => {
  const { connection, peer } = await table();
  await connection.sendFrame(frame('SEND', { destination: '/q' }, 'a'), { confirm: true });
  await connection.sendFrame(frame('SEND', { destination: '/q', receipt: 'own' }, 'b'), { confirm: true });
  expect((await peer.next('send')).receipt).toBe('r-1');
  expect((await peer.next('send')).receipt).toBe('own');
});

test('messages of subscribe() go to their subscription and not to receive()', async () => {
  const { connection, peer, clock } = await table();
  const subscription = connection.subscribe('/queue/a');
  await subscription.ready;
  const raw = failure(connection.receive({ timeoutMs: 10 }));
  peer.deliver(subscription.id, 'x');
  expect((await subscription.next()).text()).toBe('x');
  await clock.advance(10);
  expect(await raw).toBeInstanceOf(TimeoutError);
});

test('once a connection is read raw, messages of strangers come there too', async () => {
  const { connection, peer } = await table();
  const next = connection.receive();
  peer.say('MESSAGE\nsubscription:/temp-queue/x\nmessage-id:1\ndestination:/q\n\nreply\0');
  expect((await next).text()).toBe('reply');
});

test('iteration gives all frames, then the ERROR, then throws it', async () => {
  const { connection, peer } = await table();
  await connection.sendFrame(frame('SUBSCRIBE', { destination: '/q', id: '1' }));
  await settled();
  peer.deliver('1', 'a');
  peer.say('ERROR\nmessage:over\n\n\0');
  const seen: string[] = [];
  const error = await failure(
    (async () => {
      for await (const { command } of connection) seen.push(command);
    })(),
  );
  expect(seen).toEqual(['MESSAGE', 'ERROR']);
  expect(error).toBeInstanceOf(BrokerError);
});

test('iteration ends with the connection; receive() says it was closed here', async () => {
  const { connection } = await table();
  const reading = (async () => {
    for await (const { command } of connection) expect.unreachable(command);
  })();
  const receiving = failure(connection.receive());
  await connection.disconnect();
  await reading;
  expect(await receiving).toMatchObject({ name: 'ConnectionLost', code: 'closed' });
  expect(await failure(connection.sendFrame(frame('SEND', { destination: '/q' })))).toBeInstanceOf(ConnectionLost);
});

test('leaving the iteration leaves the connection open', async () => {
  const { connection, peer } = await table();
  await connection.sendFrame(frame('SUBSCRIBE', { destination: '/q', id: '1' }));
  await settled();
  peer.deliver('1', 'a');
  for await (const _ of connection) break;
  await connection.send('/q', 'b');
});

test('a raw DISCONNECT that the broker answers by closing is a normal end', async () => {
  const { connection, peer } = await table();
  await connection.sendFrame(frame('DISCONNECT', {}));
  await peer.next('disconnect');
  expect(await connection.closed).toEqual({ kind: 'disconnected' });
});

test('a raw UNSUBSCRIBE ends the subscription it names', async () => {
  const { connection } = await table();
  const subscription = connection.subscribe('/queue/a');
  await connection.sendFrame(frame('UNSUBSCRIBE', { id: subscription.id }), { confirm: true });
  for await (const message of subscription) expect.unreachable(message.text());
});

test('bodies over streamBodiesOver are put together for receive(), up to the limit', async () => {
  const { connection, peer } = await table(
    { streamBodiesOver: 4, limits: { maxBodyBytes: 100 } },
    { memory: { split: 7 } },
  );
  await connection.sendFrame(frame('SUBSCRIBE', { destination: '/q', id: '1' }));
  await settled();
  peer.deliver('1', 'a body in pieces');
  expect((await connection.receive()).text()).toBe('a body in pieces');
  peer.deliver('1', 'x'.repeat(200));
  expect(await failure(connection.receive())).toMatchObject({ code: 'body-too-large' });
});
