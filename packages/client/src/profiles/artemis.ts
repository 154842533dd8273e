// ActiveMQ Artemis (conformance 6.3 and 6.6): read in its source and its tests, not run.

import { profile } from './dialect.ts';
import type { Profile } from './profile.ts';

export const artemis: Profile = profile({
  name: 'artemis',
  receipts: 'all',
  transactions: 'sends',
  settles: true,
  nacked: 'dropped',
  queues: 'shared',
  reply: 'shared',
  queue: '',
  topic: '',
  rest: '#',
  typed: { SEND: 'destination-type', SUBSCRIBE: 'subscription-type' },
  never: /::/, // an address and one of its queues
  send: {
    persistent: 'persistent',
    expiresInMs: (ms, now) => ({ expires: String(Math.round(now) + ms) }),
    deliverAfterMs: 'AMQ_SCHEDULED_DELAY',
    priority: 'priority',
    group: 'JMSXGroupID',
    correlationId: 'correlation-id',
    replyTo: 'reply-to',
    type: 'type',
    deduplicationId: '_AMQ_DUPL_ID',
    as: () => ({}), // see textWithoutLength
  },
  subscribe: {
    prefetch: (count) => (count === 1 ? { 'consumer-window-size': '0' } : undefined),
    durable: 'durable-subscription-name',
    selector: 'selector',
    noLocal: (wanted) => (wanted ? { 'no-local': 'true' } : {}),
  },
  needsClientId: true,
  forget: (name) => [{ 'durable-subscription-name': name }],
  requeue: (requeue) => (requeue ? undefined : {}),
  replyAddress: (unique) => ({
    destination: `stompbox.reply.${unique}`,
    subscribe: { 'subscription-type': 'ANYCAST' },
  }),
  textWithoutLength: true,
  instead: {
    prefetch: 'it counts bytes; ask for 1, or write consumer-window-size in headers',
    exclusive: 'configure the address with default-exclusive-queue',
    requeue: 'a NACK drops the message; leave it unsettled and unsubscribe, or send it again',
    name: 'it cannot hold ::',
  },
});
