// ActiveMQ Classic (conformance 6.2 and 6.6), Amazon MQ's too.

import { expires, never, nothing, profile } from './dialect.ts';
import type { Profile } from './profile.ts';

export const activemq: Profile = profile({
  name: 'activemq',
  nacked: 'dead-lettered',
  rest: '>',
  never: /[,?]/, // several destinations, and options of one
  send: {
    persistent: 'persistent',
    expiresInMs: expires,
    deliverAfterMs: 'AMQ_SCHEDULED_DELAY',
    priority: 'priority',
    group: 'JMSXGroupID',
    as: nothing, // see textWithoutLength; amq-msg-type would reach the consumer
  },
  subscribe: {
    prefetch: 'activemq.prefetchSize',
    durable: 'activemq.subscriptionName',
    selector: 'selector',
    exclusive: 'activemq.exclusive',
    noLocal: 'activemq.noLocal',
  },
  needsClientId: true,
  forget: (name) => [{}, { 'activemq.subscriptionName': name }],
  requeue: never,
  textWithoutLength: true,
  instead: {
    requeue: 'a NACK is final; send it again',
    name: 'it cannot hold , or ?',
  },
});
