// Where the brokers are known to depart from the rules (conformance 6 and 7), so that a score tells news from old
// acquaintances. An entry names the ways in which the broker does it: departing in another way is a failure.

import type { ProfileName } from '@stompbox/client';
import type { RuleId } from './rule.ts';
import type { Way } from './verdict.ts';

export interface Known {
  readonly ways: readonly Way[];
  /** What it does, and the row of the matrix that says so. */
  readonly says: string;
}

type Table = Partial<Record<RuleId, Known>>;

/** Several rules that one habit breaks. */
function habit(ids: readonly RuleId[], ways: readonly Way[], says: string): Table {
  return Object.fromEntries(ids.map((id) => [id, { ways, says }]));
}

const RABBITMQ: Table = {
  ...habit(
    ['C-05', 'C-21', 'C-32', 'C-40', 'C-41', 'C-51', 'C-58', 'C-59', 'C-66', 'M-07', 'M-14', 'M-15', 'M-19', 'M-26', 'M-27', 'M-29', 'M-31'],
    ['mute-close', 'accepted'],
    'framing errors close TCP without ERROR, or pass (X-04, X-08, X-09, X-29)',
  ),
};
void RABBITMQ;

export const DOCUMENTED: Partial<Record<ProfileName, Table>> = {};
