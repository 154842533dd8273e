// The wire vectors: one table for conformance sections 1 to 4 and 7.1, as far as they
// bind the codec. A row is a sentence, bytes and a meaning; tests cut, decode, encode,
// stream and repeat every row by themselves.

import { BODY } from './vectors/body.ts';
import { CONVERSATION } from './vectors/conversation.ts';
import { FRAMING } from './vectors/framing.ts';
import { HEADERS } from './vectors/headers.ts';
import { LENIENCY } from './vectors/leniency.ts';
import type { Vector } from './vectors/row.ts';
import type { RuleId } from './vectors/rules.ts';

export { isRefusal, type Meaning, octets, type Pairs, type Reading, type Refusal, type Vector } from './vectors/row.ts';
export { CODEC_RULES, RULES, type RuleId } from './vectors/rules.ts';

export const VECTORS: readonly Vector[] = [...FRAMING, ...HEADERS, ...BODY, ...CONVERSATION, ...LENIENCY];

/** Rules of section 1 that no row can show, and where they are kept instead. */
export const NOT_VECTORS: Partial<Record<RuleId, string>> = {
  'C-43': 'what the encoder refuses has no bytes: protocol/test/encoder.test.ts',
  'C-44': 'what the encoder refuses has no bytes: protocol/test/encoder.test.ts',
  'C-45': 'what is replaced reads as something else: protocol/test/encoder.test.ts',
  'C-67': 'a lone surrogate has no bytes: protocol/test/encoder.test.ts',
};
