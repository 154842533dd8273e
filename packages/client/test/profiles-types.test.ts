// A wrong header for a known broker does not compile. The compiler is the test (`npm run check`); at run time there is nothing to see.

import type { Client, ClientSendOptions, HeaderCommand, HeadersFor, ProfileName } from '@stompbox/client';
import { expect, expectTypeOf, test } from 'vitest';
import type { SendHeaders } from '../src/connection/send.ts';

type Send<P extends ProfileName, Own extends string = never> = (headers: HeadersFor<P, 'SEND', Own>) => void;
const take = (): void => {};

test('a misspelt header of a known broker is a compile error, and a right one is none', () => {
  const rabbitmq: Send<'rabbitmq'> = take;
  rabbitmq({ persistent: 'true', expiration: 5000, 'x-max-priority': '9', 'correlation-id': 'c' });
  // @ts-expect-error persistent
  rabbitmq({ persistant: 'true' });
  // @ts-expect-error x-queue-type
  rabbitmq({ 'x-queue-typ': 'quorum' });
  // @ts-expect-error that is ActiveMQ's
  rabbitmq({ AMQ_SCHEDULED_DELAY: 5 });

  const activemq: Send<'activemq'> = take;
  activemq({ AMQ_SCHEDULED_DELAY: 5, JMSXGroupID: 'g', expires: 0 });
  // @ts-expect-error that is RabbitMQ's
  activemq({ expiration: 5 });

  const artemis: Send<'artemis'> = take;
  artemis({ 'destination-type': 'ANYCAST', _AMQ_DUPL_ID: 'd' });
  // @ts-expect-error destination-type
  artemis({ 'routing-type': 'ANYCAST' });

  const spring: Send<'spring'> = take;
  spring({ 'content-type': 'text/plain' });
  // @ts-expect-error it keeps nothing
  spring({ persistent: true });

  const stompbox: Send<'stompbox'> = take;
  stompbox({ 'duplicate-id': 'd', expiration: 1, expires: 1 });
  // @ts-expect-error duplicate-id
  stompbox({ 'duplicate-ids': 'd' });
  expect(take).toBeTypeOf('function');
});

test('so is a value that the broker does not know', () => {
  const artemis: Send<'artemis'> = take;
  // @ts-expect-error ANYCAST or MULTICAST, in capitals
  artemis({ 'destination-type': 'anycast' });
  const activemq: Send<'activemq'> = take;
  // @ts-expect-error a number: ActiveMQ closes the connection otherwise (P-07)
  activemq({ priority: 'high' });
  const subscribe = (_: HeadersFor<'rabbitmq', 'SUBSCRIBE'>): void => {};
  subscribe({ 'x-stream-offset': 'offset=12', 'prefetch-count': '1' });
  // @ts-expect-error first, last, next, offset=N, timestamp=N
  subscribe({ 'x-stream-offset': 'begin' });
  expect(take).toBeTypeOf('function');
});

test('an application names headers of its own, or a pattern of them, or allows all', () => {
  const named: Send<'rabbitmq', 'tenant'> = take;
  named({ tenant: 'a', persistent: true });
  // @ts-expect-error tenant
  named({ tenent: 'a' });
  const patterned: Send<'activemq', `app-${string}`> = take;
  patterned({ 'app-tenant': 'a', priority: 4 });
  // @ts-expect-error begins otherwise
  patterned({ 'ap-tenant': 'a' });
  const open: Send<'rabbitmq', string> = take;
  open({ whatever: 'a' });
  const generic: Send<'generic'> = take;
  generic({ whatever: 'a', computed: () => 7 });
  expect(take).toBeTypeOf('function');
});

test('every command has its own names', () => {
  const subscribe = (_: HeadersFor<'activemq', 'SUBSCRIBE'>): void => {};
  subscribe({ 'activemq.prefetchSize': '1', selector: 'a = 1' });
  // @ts-expect-error activemq.prefetchSize
  subscribe({ 'activemq.prefetch': '1' });
  // @ts-expect-error RabbitMQ's
  subscribe({ 'prefetch-count': '1' });
  const nack = (_: HeadersFor<'rabbitmq', 'NACK'>): void => {};
  nack({ requeue: 'false' });
  // @ts-expect-error requeue
  nack({ requeued: 'false' });
  const unsubscribe = (_: HeadersFor<'activemq', 'UNSUBSCRIBE'>): void => {};
  // @ts-expect-error activemq.subscriptionName
  unsubscribe({ durable: 'true' });
  const connect = (_: HeadersFor<'activemq', 'CONNECT'>): void => {};
  connect({ 'client-id': 'me' });
  // @ts-expect-error client-id
  connect({ clientId: 'me' });
  expect(take).toBeTypeOf('function');
});

test('what is typed can be given to a plain connection', () => {
  expectTypeOf<HeadersFor<'rabbitmq', 'SEND', 'tenant'>>().toExtend<SendHeaders>();
  expectTypeOf<HeadersFor<'stompbox', 'SEND'>>().toExtend<SendHeaders>();
  expectTypeOf<HeadersFor<'activemq', Exclude<HeaderCommand, 'SEND'>>>().toExtend<Readonly<Record<string, string>>>();
  expectTypeOf<HeadersFor<'generic', 'SEND'>>().toEqualTypeOf<SendHeaders>();
});

test('a client of a known broker takes its headers, in every verb', () => {
  const verbs = (client: Client<'rabbitmq', 'tenant'>): void => {
    void client.send('/queue/a', 'body', {
      persistent: true,
      headers: { expiration: 5, tenant: 'a', 'app-id': () => 'me' },
    });
    // @ts-expect-error persistent
    void client.send('/queue/a', 'body', { headers: { persistant: true } });
    // @ts-expect-error that is an option of ActiveMQ
    void client.sendAll([{ destination: '/queue/a', options: { headers: { JMSXGroupID: 'g' } } }]);
    client.subscribe('/queue/a', { prefetch: 1, headers: { 'x-queue-type': 'quorum' } });
    // @ts-expect-error RabbitMQ ignores selectors (6.1)
    client.subscribe('/queue/a', { headers: { selector: 'a = 1' } });
    // @ts-expect-error x-queue-type, also when it is computed
    client.subscribe('/queue/a', () => {}, { headers: () => ({ 'x-queue-typ': 'quorum' }) });
    // @ts-expect-error tenant
    void client.request('/queue/a', 'body', { headers: { tenent: 'a' } });
  };
  expect(verbs).toBeTypeOf('function');
});

test('a client of no known broker takes any header', () => {
  const verbs = (client: Client): void => {
    void client.send('/queue/a', 'body', { headers: { whatever: 1, computed: () => 'now' } });
    client.subscribe('/queue/a', { headers: { whatever: 'a' } });
    void client.request('/queue/a', 'body', { headers: { whatever: true } });
  };
  expect(verbs).toBeTypeOf('function');
  expectTypeOf<Client<'rabbitmq', 'tenant'>>().toExtend<Client>();
  expectTypeOf<ClientSendOptions['headers']>().toEqualTypeOf<SendHeaders | undefined>();
});
