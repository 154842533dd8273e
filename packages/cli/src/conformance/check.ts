// A check is a row: which rules it asks, in which versions, and a short conversation.

import type { Version } from '@stompbox/protocol';
import type { Ask } from './ask.ts';
import type { RuleId } from './rule.ts';

export interface Check {
  /** The rules that it decides; the first one names its destinations. */
  readonly ids: readonly [RuleId, ...RuleId[]];
  /** It runs once for each; 1.2 unless given. */
  readonly versions?: readonly Version[];
  /** Only with `--hostile`: it may cost a careless broker dear. */
  readonly hostile?: boolean;
  /** Only over this kind of URL. */
  readonly over?: 'tcp' | 'websocket';
  /** How long it may take in all. Milliseconds, 15,000 unless given. */
  readonly withinMs?: number;
  /** Returns, perhaps with a sentence on what was seen, where the broker keeps the rule. */
  run(ask: Ask, version: Version): Promise<string | undefined> | Promise<void>;
}

export const FROM_11: readonly Version[] = ['1.1', '1.2'];
export const ALL: readonly Version[] = ['1.0', '1.1', '1.2'];
