// Spans as the real SDK exports them, of a connection to a broker in memory.

import { context, propagation, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { Hooks } from '@stompbox/client';
import { instrument, Telemetry } from '@stompbox/opentelemetry';
import { describe, expect, test } from 'vitest';
import { broker, deferred, failure, sdk } from './support.ts';

test('a message is one trace: the handler’s span is a child of the sender’s, across the broker', async () => {
  const spans = sdk();
  const { connect } = await broker();
  const sender = instrument(await connect());
  const receiver = instrument(await connect());
  const handled = deferred<string | undefined>();
  await receiver.subscribe('/queue/orders', () => {
    handled.resolve(trace.getActiveSpan()?.spanContext().traceId);
  }).ready;
  await sender.send('/queue/orders', 'hello', { headers: { 'correlation-id': 'c-1' } });
  const traceInside = await handled.promise;
  await receiver.disconnect();

  const [sent, processed] = [...spans()].sort((a, b) => a.kind - b.kind);
  expect(spans().length).toBe(2);
  expect(sent).toMatchObject({
    name: 'send /queue/orders',
    kind: SpanKind.PRODUCER,
    attributes: {
      'messaging.system': 'stomp',
      'messaging.operation.name': 'send',
      'messaging.operation.type': 'send',
      'messaging.destination.name': '/queue/orders',
      'messaging.message.body.size': 5,
      'messaging.message.conversation_id': 'c-1',
    },
  });
  expect(processed).toMatchObject({
    name: 'process /queue/orders',
    kind: SpanKind.CONSUMER,
    parentSpanContext: { spanId: sent?.spanContext().spanId, isRemote: true },
    attributes: {
      'messaging.operation.type': 'process',
      'messaging.message.id': expect.stringMatching(/./),
      'messaging.message.body.size': 5,
    },
  });
  expect(processed?.spanContext().traceId).toBe(sent?.spanContext().traceId);
  expect(traceInside).toBe(sent?.spanContext().traceId);
});

test('the span of a send is a child of what was going on, and ends with the receipt, not before', async () => {
  const spans = sdk();
  const { connect } = await broker();
  const connection = instrument(await connect());
  const tracer = trace.getTracer('test');
  const before = await tracer.startActiveSpan('work', async (work) => {
    const sent = connection.send('/queue/a', 'x');
    const before = spans().length;
    await sent;
    work.end();
    return before;
  });
  const [send, work] = spans();
  expect(before).toBe(0);
  expect(send?.parentSpanContext?.spanId).toBe(work?.spanContext().spanId);
});

test('with relation link the consumer has a trace of its own, linked to the sender’s span', async () => {
  const spans = sdk();
  const { connect } = await broker();
  const connection = instrument(await connect(), { relation: 'link', attributes: { 'server.address': 'memory' } });
  const handled = deferred<void>();
  await connection.subscribe('/queue/a', () => handled.resolve()).ready;
  await connection.send('/queue/a', 'x');
  await handled.promise;
  await connection.disconnect();
  const sent = spans().find(({ kind }) => kind === SpanKind.PRODUCER);
  const processed = spans().find(({ kind }) => kind === SpanKind.CONSUMER);
  expect(processed?.spanContext().traceId).not.toBe(sent?.spanContext().traceId);
  expect(processed?.links.map((link) => link.context.spanId)).toEqual([sent?.spanContext().spanId]);
  expect(processed?.attributes['server.address']).toBe('memory');
});

test('a message without a context, or with a broken one, is processed in a trace of its own', async () => {
  const spans = sdk();
  const { connect } = await broker();
  const plain = await connect();
  const connection = instrument(await connect());
  const handled = deferred<void>();
  let count = 0;
  await connection.subscribe('/queue/a', () => {
    if (++count === 2) handled.resolve();
  }).ready;
  await plain.send('/queue/a', 'x');
  await plain.send('/queue/a', 'y', { headers: { traceparent: '00-nonsense-01' } });
  await handled.promise;
  await connection.disconnect();
  expect(spans().map(({ parentSpanContext }) => parentSpanContext)).toEqual([undefined, undefined]);
});

describe('failures', () => {
  test('what a handler throws is recorded, and onError hears it as ever', async () => {
    const spans = sdk();
    const { connect } = await broker();
    const heard = deferred<unknown>();
    const connection = instrument(await connect({ onError: heard.resolve }));
    const thrown = new RangeError('cannot');
    await connection.subscribe('/queue/a', () => Promise.reject(thrown)).ready;
    await connection.send('/queue/a', 'x');
    expect(await heard.promise).toBe(thrown);
    await connection.disconnect();
    const processed = spans().find(({ kind }) => kind === SpanKind.CONSUMER);
    expect(processed?.status).toEqual({ code: SpanStatusCode.ERROR, message: 'cannot' });
    expect(processed?.attributes['error.type']).toBe('RangeError');
    expect(processed?.events.map(({ name }) => name)).toEqual(['exception']);
  });

  test('a send that is refused has the code of its error and its outcome on the span, and rejects with the same error', async () => {
    const spans = sdk();
    const { connect } = await broker();
    const connection = instrument(await connect());
    connection.destroy();
    const error = await failure(connection.send('/queue/a', 'x'));
    expect(error).toMatchObject({ name: 'ConnectionLost', outcome: 'unsent' });
    expect(spans().map(({ attributes, status }) => [attributes, status.code])).toEqual([
      [expect.objectContaining({ 'error.type': 'closed', 'stompbox.outcome': 'unsent' }), SpanStatusCode.ERROR],
    ]);
  });
});

test('sends of a transaction have their spans, and what the work answers is answered', async () => {
  const spans = sdk();
  const { connect } = await broker();
  const connection = instrument(await connect());
  const answer = await connection.transaction(async (transaction) => {
    await transaction.send('/queue/a', '1');
    return 'done';
  });
  const transaction = connection.begin();
  await transaction.send('/queue/a', '2');
  await transaction.commit();
  expect(answer).toBe('done');
  expect(spans().map(({ name }) => name)).toEqual(['send /queue/a', 'send /queue/a']);
});

test('each of sendAll has a span of its own, which ends as its message did', async () => {
  const spans = sdk();
  const wanted: object[] = [];
  const refused = new Error('no room');
  const client = instrument({
    sendAll(messages: Iterable<{ destination: string; body: string; options?: { headers: Record<string, string> } }>) {
      wanted.push(...messages);
      return Promise.allSettled(wanted.map((_, place) => (place === 1 ? Promise.reject(refused) : Promise.resolve())));
    },
  });
  const results = await client.sendAll([
    { destination: '/queue/a', body: '1', options: { headers: { mine: 'kept' } } },
    { destination: '/queue/b', body: '2' },
  ]);
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
  expect(wanted).toEqual([
    expect.objectContaining({ options: { headers: { mine: 'kept', traceparent: expect.stringMatching(/^00-/) } } }),
    expect.objectContaining({ options: { headers: { traceparent: expect.stringMatching(/^00-/) } } }),
  ]);
  expect(spans().map(({ name, status }) => [name, status.code])).toEqual([
    ['send /queue/a', SpanStatusCode.UNSET],
    ['send /queue/b', SpanStatusCode.ERROR],
  ]);
});

test('a loop over messages is traced by hand', async () => {
  const spans = sdk();
  const { connect } = await broker();
  const telemetry = new Telemetry();
  const connection = instrument(await connect(), telemetry);
  const subscription = connection.subscribe('/queue/a');
  await connection.send('/queue/a', 'x');
  const message = await subscription.next();
  const answer = await telemetry.process(message, async () => message.text());
  expect(answer).toBe('x');
  expect(spans().map(({ name }) => name)).toEqual(['send /queue/a', 'process /queue/a']);
});

test('a context the caller wrote into the headers himself is left alone', async () => {
  sdk();
  const { connect } = await broker();
  const sent: (string | undefined)[] = [];
  const hooks = new Hooks({
    observer: { frameSent: (frame) => frame.is('SEND') && sent.push(frame.get('traceparent')) },
  });
  const connection = instrument(await connect({ hooks }));
  const own = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  await connection.send('/queue/a', 'x', { headers: { traceparent: own } });
  expect(sent).toEqual([own]);
});

test('temporary destinations do not make a name each', async () => {
  const spans = sdk();
  const { connect } = await broker();
  const connection = instrument(await connect());
  const subscription = connection.subscribe('/temp-queue/mine');
  await subscription.ready;
  await connection.send('/temp-queue/mine', 'x');
  expect(spans()[0]).toMatchObject({
    name: 'send (temporary)',
    attributes: { 'messaging.destination.name': '/temp-queue/mine', 'messaging.destination.temporary': true },
  });
});

test('the rest of a client is what it was: getters, private state, the same method each time', async () => {
  sdk();
  const { connect } = await broker();
  const plain = await connect();
  const connection = instrument(plain);
  expect(connection.version).toBe(plain.version);
  expect(connection.isOpen).toBe(true);
  expect(connection.send).toBe(connection.send);
  expect(connection).toBeInstanceOf(plain.constructor);
  await connection.disconnect();
  expect(await connection.closed).toEqual({ kind: 'disconnected' });
});

test('without a provider nothing is traced, nothing is added, and everything works', async () => {
  const { connect } = await broker();
  const connection = instrument(await connect());
  const subscription = connection.subscribe('/queue/a');
  await connection.send('/queue/a', 'x');
  const { headers } = await subscription.next();
  expect(headers.has('traceparent')).toBe(false);
  expect([trace.getActiveSpan(), propagation.fields(), context.active()]).toEqual([undefined, [], expect.anything()]);
});
