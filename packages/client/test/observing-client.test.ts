// Watching and rewriting on a client, whose connections come and go.

import { Client, printing, recording, statistics } from '@stompbox/client';
import { frame } from '@stompbox/protocol';
import { settled } from 'testkit';
import { expect, test } from 'vitest';
import { failure, stage } from './stage.ts';

test('what is hung on a client before it connects sees its CONNECT, and outlives its connections', async () => {
  const { client, clock, enter } = stage();
  const recorded = recording({ clock });
  const counted = statistics();
  client.observe('record', recorded);
  client.observe('count', counted);
  client.use('mark', {
    outgoing: (given) => frame(given.command, [...given.headers, ['mark', '1']], given.body),
  });

  const first = client.send('/queue/a', '1');
  const one = await enter();
  await first;
  one.cut();
  await settled();
  const second = client.send('/queue/a', '2');
  await clock.advance(5_000);
  const two = await enter();
  await second;

  for (const { peer } of [one, two]) {
    expect(peer.frames.map(({ command, headers }) => [command, headers.get('mark')])).toEqual([
      ['CONNECT', '1'],
      ['SEND', '1'],
    ]);
  }
  const life = recorded.events.map(({ event }) => event).filter((event) => /dialling|connecting|closed/.test(event));
  expect(life).toEqual(['dialling', 'connecting', 'closed', 'dialling', 'connecting']);
  expect(counted.snapshot()).toMatchObject({ connections: 2, disconnects: 1, messagesSent: 2 });
});

test('what an interceptor throws rejects the send of a client, and the client goes on', async () => {
  const { client, enter } = stage();
  const thrown = new Error('not to be sent');
  client.use('guard', {
    outgoing: (given) => {
      if (given.is('SEND') && given.text() === 'bad') throw thrown;
      return undefined;
    },
  });
  const bad = failure(client.send('/queue/a', 'bad'));
  const good = client.send('/queue/a', 'good');
  const { peer } = await enter();
  expect(await bad).toBe(thrown);
  await good;
  expect(peer.frames.slice(1).map((came) => came.text())).toEqual(['good']);
});

test('P31: whatever is printed of a client, secrets of its URL, credentials and headers are not', async () => {
  const lines: string[] = [];
  const { client, enter, deaf, clock, statuses } = stage(
    { connectHeaders: { 'x-token': 's3cret' } },
    {
      where: 'wss://me:s3cret@broker.example/stomp?access_token=s3cret',
      make: (where, options) => new Client(where, { ...options, tls: {} }),
    },
  );
  client.observe('print', printing({ write: (line) => lines.push(line), verbose: true }));
  deaf(1);
  const sent = client.send('/queue/a', 'x', { headers: { authorization: 'Bearer s3cret' } });
  await clock.advance(5_000);
  const { peer } = await enter();
  await sent;
  expect(JSON.stringify(statuses)).not.toContain('s3cret');
  peer.say('ERROR\nmessage:bad passcode\nlog:stomp://me:s3cret@broker.example\n\n\0');
  await settled();
  expect(lines.some((line) => line.includes('failed'))).toBe(true);
  expect(lines.some((line) => line.startsWith('<<< ERROR'))).toBe(true);
  expect(lines.join('\n')).not.toContain('s3cret');
});
