// The broker of this project: docs/messages.md.

import { profile } from './dialect.ts';
import type { Profile } from './profile.ts';

export const stompbox: Profile = profile({
  name: 'stompbox',
  receipts: 'all',
  transactions: 'all',
  settles: true,
  nacked: 'redelivered',
  queues: 'shared',
  reply: 'temporary',
  queue: '/queue/',
  topic: '/topic/',
  rest: '#',
  send: {
    persistent: 'persistent',
    expiresInMs: 'expiration',
    deliverAfterMs: 'AMQ_SCHEDULED_DELAY',
    priority: 'priority',
    group: 'JMSXGroupID',
    correlationId: 'correlation-id',
    replyTo: 'reply-to',
    type: 'type',
    deduplicationId: 'duplicate-id',
    as: () => ({}), // it has no JMS consumers
  },
  subscribe: {
    prefetch: 'prefetch-count',
    durable: () => ({ durable: 'true' }),
    selector: 'selector',
    exclusive: 'exclusive',
  },
  namedById: true,
  forget: () => [{ durable: 'true' }],
  requeue: (requeue) => ({ requeue: String(requeue) }),
  replyAddress: (unique) => ({ destination: `/temp-queue/${unique}`, subscribe: {} }),
  instead: { noLocal: 'mark what you send and skip it' },
});
