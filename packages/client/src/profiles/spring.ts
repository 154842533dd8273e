// Spring's simple broker (conformance 6.4 and 6.6): read in its source, not run. Spring in front of a real broker speaks that
// broker's words, and names it in CONNECTED.

import { profile } from './dialect.ts';
import type { Profile } from './profile.ts';

export const spring: Profile = profile({
  name: 'spring',
  receipts: 'disconnect',
  transactions: 'none',
  settles: false,
  queues: 'broadcast',
  reply: 'shared',
  rest: '**',
  replyAddress: () => ({ destination: '/user/queue/replies', subscribe: {} }),
  instead: {
    persistent: 'it keeps nothing; put a real broker behind it',
    selector: 'where the server enables them, write SpEL in headers',
    nack: 'it knows no ack modes',
  },
});
