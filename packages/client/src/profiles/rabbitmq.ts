// RabbitMQ (conformance 6.1 and 6.6).

import { profile } from './dialect.ts';
import type { Profile } from './profile.ts';

export const rabbitmq: Profile = profile({
  name: 'rabbitmq',
  receipts: 'all',
  transactions: 'all',
  settles: true,
  nacked: 'redelivered',
  queues: 'shared',
  reply: 'broker',
  queue: '/queue/',
  topic: '/topic/',
  rest: '#',
  never: /%2F/, // the only escape it knows, and which itself cannot be escaped
  escaped: (name) => name.replaceAll('/', '%2F'),
  send: {
    persistent: 'persistent',
    expiresInMs: 'expiration',
    priority: 'priority',
    correlationId: 'correlation-id',
    replyTo: 'reply-to',
    type: 'type',
  },
  subscribe: {
    prefetch: 'prefetch-count',
    durable: () => ({ durable: 'true', 'auto-delete': 'false' }),
  },
  namedById: true,
  forget: () => [{ durable: 'true', 'auto-delete': 'false' }],
  requeue: (requeue) => ({ requeue: String(requeue) }),
  replyAddress: (unique) => ({ destination: `/temp-queue/${unique}`, subscribe: undefined }),
  instead: {
    deliverAfterMs: 'expire it in a queue that dead-letters to the real one, or use its delayed-message exchange',
    group: 'declare the queue with x-single-active-consumer by a policy',
    deduplicationId: 'let the consumer remember ids',
    selector: 'it would be ignored; bind by routing key or filter what comes',
    exclusive: 'declare the queue with x-single-active-consumer by a policy',
    noLocal: 'mark what you send and skip it',
    name: 'it cannot write %2F',
  },
});
