// A broker nobody has told us of: headers of the specification, and those that only travel from client to client (P-01).

import { profile } from './dialect.ts';
import type { Profile } from './profile.ts';

export const generic: Profile = profile({
  name: 'generic',
  receipts: 'all',
  transactions: 'all',
  settles: true,
  nacked: 'unknown',
  queues: 'shared',
  reply: 'shared',
  queue: '/queue/',
  topic: '/topic/',
  send: { correlationId: 'correlation-id', replyTo: 'reply-to', type: 'type' },
  subscribe: {},
  replyAddress: (unique) => ({ destination: `/queue/stompbox.reply.${unique}`, subscribe: {} }),
  instead: {},
});
