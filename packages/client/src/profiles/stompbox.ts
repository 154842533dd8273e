// The broker of this project: docs/messages.md.

import { nothing, profile, requeue } from './dialect.ts';
import type { HeaderRecord, Profile } from './profile.ts';

const DURABLE: HeaderRecord = { durable: 'true' };

export const stompbox: Profile = profile({
  name: 'stompbox',
  nacked: 'redelivered',
  rest: '#',
  send: {
    persistent: 'persistent',
    expiresInMs: 'expiration',
    deliverAfterMs: 'AMQ_SCHEDULED_DELAY',
    priority: 'priority',
    group: 'JMSXGroupID',
    deduplicationId: 'duplicate-id',
    as: nothing, // it has no JMS consumers
  },
  subscribe: {
    prefetch: 'prefetch-count',
    durable: () => DURABLE,
    selector: 'selector',
    exclusive: 'exclusive',
  },
  namedById: true,
  forget: () => [DURABLE],
  requeue,
});
