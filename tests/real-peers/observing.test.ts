// Watching and rewriting with real brokers in between: what is printed and counted, and the context of a trace in headers.

import { Client, printing, recording, statistics } from '@stompbox/client';
import { frame } from '@stompbox/protocol';
import type { PeerAddress } from 'testkit/peers';
import { expect, test } from 'vitest';
import { activeMq, rabbitMq, withPeer } from './peers.ts';

// As OpenTelemetry's propagator writes them.
const CONTEXT = {
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  tracestate: 'congo=t61rcWkgMzE,rojo=00f067aa0ba902b7',
};

function clientOf({ urls, login, passcode }: PeerAddress): Client {
  return new Client(urls.tcp ?? '', { credentials: { login, passcode } });
}

for (const [name, peer] of [
  ['RabbitMQ', rabbitMq],
  ['ActiveMQ', activeMq],
] as const) {
  withPeer(name, peer, (broker) => {
    test('the context of a trace comes out as it went in', async () => {
      await using client = clientOf(broker);
      const subscription = client.subscribe('/queue/observing.context');
      await subscription.ready;
      await client.send('/queue/observing.context', 'x', { headers: CONTEXT });
      const { headers } = await subscription.next({ timeoutMs: 10_000 });
      expect({ traceparent: headers.get('traceparent'), tracestate: headers.get('tracestate') }).toEqual(CONTEXT);
    });

    test('a pair of interceptors wraps and unwraps, acks find their messages, and nothing secret is printed', async () => {
      const client = clientOf(broker);
      const lines: string[] = [];
      const counted = statistics();
      const recorded = recording();
      client.observe('print', printing({ write: (line) => lines.push(line), verbose: true }));
      client.observe('count', counted);
      client.observe('record', recorded);
      client.use('wrap', {
        outgoing: (given) => (given.is('SEND') ? frame('SEND', given.headers, `<${given.text()}>`) : undefined),
        incoming: (given) =>
          given.is('MESSAGE') ? frame('MESSAGE', given.headers, given.text().slice(1, -1)) : undefined,
      });
      client.use('mark', {
        outgoing: (given) => frame(given.command, [...given.headers, ['x-mark', '1']], given.body),
      });
      const read: string[] = [];
      const handler = (message: { text(): string }): void => void read.push(message.text());
      await client.subscribe('/queue/observing.wrapped', handler).ready;
      for (const text of ['one', 'two']) await client.send('/queue/observing.wrapped', text);
      for (let acks = 0; acks < 2; acks++) await recorded.next('ACK', { timeoutMs: 10_000 });
      await client.close();
      expect(recorded.received('MESSAGE').map((came) => came.text())).toEqual(['<one>', '<two>']);
      expect(read).toEqual(['one', 'two']);
      expect(counted.snapshot()).toMatchObject({ connections: 1, messages: 2, messagesSent: 2, acks: 2, errors: 0 });
      expect(lines.join('\n')).toContain('passcode:***');
    });
  });
}
