// A broker nobody has told us of: headers of the specification, and those that only travel from client to client (P-01).

import { profile } from './dialect.ts';
import type { Profile } from './profile.ts';

export const generic: Profile = profile({
  name: 'generic',
  reply: 'shared',
  replyAddress: (unique) => ({ destination: `/queue/stompbox.reply.${unique}`, subscribe: {} }),
});
