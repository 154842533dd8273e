// All checks, in the order they are asked.

import type { Check } from './check.ts';
import { ACKS } from './checks/acks.ts';
import { BODIES } from './checks/bodies.ts';
import { ENDINGS } from './checks/endings.ts';
import { FRAMES } from './checks/frames.ts';
import { HANDSHAKE } from './checks/handshake.ts';
import { HEADERS } from './checks/headers.ts';
import { HEART_BEATS } from './checks/heart-beats.ts';
import { SUBSCRIPTIONS } from './checks/subscriptions.ts';
import { RECEIPTS, TRANSACTIONS } from './checks/transactions.ts';

// The slow ones first, so that the others run beside them.
export const CHECKS: readonly Check[] = [
  ...HEART_BEATS,
  ...FRAMES,
  ...HEADERS,
  ...BODIES,
  ...HANDSHAKE,
  ...ENDINGS,
  ...SUBSCRIPTIONS,
  ...ACKS,
  ...TRANSACTIONS,
  ...RECEIPTS,
];
