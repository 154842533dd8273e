// ActiveMQ Artemis (conformance 6.3 and 6.6): read in its source and its tests, not run.

import { expires, never, nothing, profile } from './dialect.ts';
import type { Profile } from './profile.ts';

export const artemis: Profile = profile({
  name: 'artemis',
  transactions: 'sends',
  nacked: 'dropped',
  reply: 'shared', // its STOMP has no temporary queues
  queue: '',
  topic: '',
  rest: '#',
  typed: { SEND: 'destination-type', SUBSCRIBE: 'subscription-type' },
  never: /::/, // an address and one of its queues
  send: {
    persistent: 'persistent',
    expiresInMs: expires,
    deliverAfterMs: 'AMQ_SCHEDULED_DELAY',
    priority: 'priority',
    group: 'JMSXGroupID',
    deduplicationId: '_AMQ_DUPL_ID',
    as: nothing, // see textWithoutLength
  },
  subscribe: {
    prefetch: (count) => (count === 1 ? { 'consumer-window-size': '0' } : undefined),
    durable: 'durable-subscription-name',
    selector: 'selector',
    noLocal: 'no-local',
  },
  needsClientId: true,
  forget: (name) => [{ 'durable-subscription-name': name }],
  requeue: never,
  replyAddress: (unique) => ({
    destination: `stompbox.reply.${unique}`,
    subscribe: { 'subscription-type': 'ANYCAST' },
  }),
  textWithoutLength: true,
  instead: {
    prefetch: 'it counts bytes; ask for 1, or write consumer-window-size in headers',
    exclusive: 'configure the queue as exclusive',
    requeue: 'a NACK drops the message; send it again',
    name: 'it cannot hold ::',
  },
});
