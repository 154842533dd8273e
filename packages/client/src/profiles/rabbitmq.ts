// RabbitMQ (conformance 6.1 and 6.6).

import { profile, requeue } from './dialect.ts';
import type { HeaderRecord, Profile } from './profile.ts';

const DURABLE: HeaderRecord = { durable: 'true', 'auto-delete': 'false' };
/** Left out it is transient. `persistent:false` would make the queue exclusive to this connection, or clash with the one there is. */
const persistent = (wanted: boolean): HeaderRecord => (wanted ? { persistent: 'true' } : {});
const SINGLE = 'declare the queue beforehand, with x-single-active-consumer';

export const rabbitmq: Profile = profile({
  name: 'rabbitmq',
  nacked: 'redelivered',
  reply: 'broker',
  rest: '#',
  never: /%2F/, // the only escape it knows, and which itself cannot be escaped
  escaped: (name) => name.replaceAll('/', '%2F'),
  send: { persistent, expiresInMs: 'expiration', priority: 'priority' },
  subscribe: { prefetch: 'prefetch-count', durable: () => DURABLE },
  namedById: true,
  forget: () => [DURABLE],
  requeue,
  replyAddress: (unique) => ({ destination: `/temp-queue/${unique}`, subscribe: undefined }),
  instead: {
    deliverAfterMs: 'let it expire in a queue that dead-letters to the real one',
    group: SINGLE,
    exclusive: SINGLE,
    selector: 'it would be ignored; filter in the consumer',
    name: 'it cannot write %2F',
  },
});
