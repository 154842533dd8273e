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
import { WEBSOCKET } from './checks/websocket.ts';
import { HOSTILE_INPUT } from './hostile/input.ts';
import { HOSTILE_STATE } from './hostile/state.ts';

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
  ...WEBSOCKET,
  ...HOSTILE_INPUT,
  ...HOSTILE_STATE,
];
