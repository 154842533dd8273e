// ActiveMQ Classic (conformance 6.2 and 6.6), Amazon MQ's too.

import { profile } from './dialect.ts';
import type { Profile } from './profile.ts';

export const activemq: Profile = profile({
  name: 'activemq',
  receipts: 'all',
  transactions: 'all',
  settles: true,
  nacked: 'dead-lettered',
  queues: 'shared',
  reply: 'temporary',
  queue: '/queue/',
  topic: '/topic/',
  rest: '>',
  never: /[,?]/, // several destinations, and options of one
  send: {
    persistent: 'persistent',
    expiresInMs: (ms, now) => ({ expires: String(Math.round(now) + ms) }),
    deliverAfterMs: 'AMQ_SCHEDULED_DELAY',
    priority: 'priority',
    group: 'JMSXGroupID',
    correlationId: 'correlation-id',
    replyTo: 'reply-to',
    type: 'type',
    as: 'amq-msg-type',
  },
  subscribe: {
    prefetch: 'activemq.prefetchSize',
    durable: 'activemq.subscriptionName',
    selector: 'selector',
    exclusive: (wanted) => (wanted ? { 'activemq.exclusive': 'true' } : {}),
    noLocal: (wanted) => (wanted ? { 'activemq.noLocal': 'true' } : {}),
  },
  needsClientId: true,
  forget: (name) => [{}, { 'activemq.subscriptionName': name }],
  requeue: (requeue) => (requeue ? undefined : {}),
  replyAddress: (unique) => ({ destination: `/temp-queue/${unique}`, subscribe: {} }),
  instead: {
    deduplicationId: 'let the consumer remember ids',
    requeue: 'a NACK is final; leave it unsettled and unsubscribe, or send it again',
    name: 'a comma would make several destinations of it, a question mark options',
  },
});
