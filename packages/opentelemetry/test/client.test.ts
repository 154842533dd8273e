// The same with a Client, which connects by itself and may have to wait for it.

import { SpanKind, trace } from '@opentelemetry/api';
import { Client, type ClientOptions } from '@stompbox/client';
import { instrument, Telemetry } from '@stompbox/opentelemetry';
import { expect, onTestFinished, test } from 'vitest';
import { broker, deferred, sdk } from './support.ts';

/** A client of that broker; it finds it once `open` is resolved. */
function clientOf(
  channel: Awaited<ReturnType<typeof broker>>['channel'],
  open: Promise<unknown> = Promise.resolve(),
  options: ClientOptions = {},
): Client {
  const client = new Client('stomp://broker.example', {
    ...options,
    dial: async () => {
      await open;
      return channel();
    },
  });
  onTestFinished(() => client.close({ drain: false }));
  return client;
}

test('a send that waits for a connection belongs to what was going on when it was made, and ends with its receipt', async () => {
  const spans = sdk();
  const { channel, connect } = await broker();
  const reader = await connect();
  const subscription = reader.subscribe('/queue/a');
  await subscription.ready;
  const open = deferred<void>();
  const client = instrument(clientOf(channel, open.promise));
  const sent = trace.getTracer('test').startActiveSpan('work', (work) => {
    const sent = client.send('/queue/a', 'x');
    work.end();
    return sent;
  });
  expect(spans().map(({ name }) => name)).toEqual(['work']);
  open.resolve();
  await sent;
  const [work, send] = spans();
  expect(send?.parentSpanContext?.spanId).toBe(work?.spanContext().spanId);
  const { headers } = await subscription.next();
  expect(headers.get('traceparent')).toContain(send?.spanContext().spanId);
});

test('request and respond are one trace; the answer can carry it on', async () => {
  const spans = sdk();
  const { channel } = await broker();
  const telemetry = new Telemetry();
  const client = instrument(clientOf(channel), telemetry);
  await client.respond('/queue/sums', (message) => message.json<number[]>().reduce((a, b) => a + b)).ready;
  await client.subscribe('/queue/echo', (message) => message.reply(message.text(), { headers: telemetry.headers() }))
    .ready;
  expect((await client.request('/queue/sums', [1, 2])).json()).toBe(3);
  const echoed = await client.request('/queue/echo', 'hello');
  await client.close();

  const [first, second] = spans().filter(({ kind }) => kind === SpanKind.PRODUCER);
  const [sum, echo] = spans().filter(({ kind }) => kind === SpanKind.CONSUMER);
  expect([first?.name, sum?.name]).toEqual(['request /queue/sums', 'process /queue/sums']);
  expect(sum?.parentSpanContext?.spanId).toBe(first?.spanContext().spanId);
  expect(echo?.spanContext().traceId).toBe(second?.spanContext().traceId);
  expect(echoed.headers.get('traceparent')).toContain(echo?.spanContext().spanId);
});

test('sendAll and a transaction of a client are traced, each send of them', async () => {
  const spans = sdk();
  const { channel } = await broker();
  const client = instrument(clientOf(channel));
  const results = await client.sendAll([
    { destination: '/queue/a', body: '1' },
    { destination: { kind: 'queue', name: 'b' }, body: '2' },
  ]);
  await client.transaction((transaction) => transaction.send('/queue/c', '3'));
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled']);
  expect(spans().map(({ name }) => name)).toEqual(['send /queue/a', 'send b', 'send /queue/c']);
});

test('a handler that is tried again has a span for each time', async () => {
  const spans = sdk();
  const { channel } = await broker();
  const errors: unknown[] = [];
  const client = instrument(clientOf(channel, undefined, { onError: (error) => errors.push(error) }));
  const done = deferred<void>();
  let times = 0;
  const handler = (): void => {
    if (++times < 3) throw new Error('not yet');
    done.resolve();
  };
  await client.subscribe('/queue/a', handler, { retry: { attempts: 3, initialMs: 1 } }).ready;
  await client.send('/queue/a', 'x');
  await done.promise;
  await client.close();
  const processed = spans().filter(({ kind }) => kind === SpanKind.CONSUMER);
  expect(processed.map(({ events }) => events.length)).toEqual([1, 1, 0]);
  expect(errors.length).toBe(2);
});
