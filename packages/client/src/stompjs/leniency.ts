// What stompjs forgives brokers, and we for its sake: an application that changes one
// import should not meet a broker that it can no longer read.

import type { DecoderLeniency } from '@stompbox/protocol';

export const LENIENT: DecoderLeniency = {
  crlf: 'all',
  skipInterFrameNul: true, // and what a NUL that was appended for React Native leaves
  lenientContentLength: true,
  undefinedEscape: 'keep',
  escapeR11: 'accept',
  headerUtf8: 'replace',
  discardStrayBody: true,
};
