// What is said of an error when a connection ends: the one ERROR, and the close code of a WebSocket.

import { ProtocolError } from '@stompbox/protocol';
import { EngineError } from './engine/engine.ts';
import { LIMIT_BEHIND } from './limits.ts';
import { Refusal } from './refusal.ts';

export interface LastWords {
  readonly code: string;
  readonly message: string;
  /** W-09. */
  readonly closeCode: number;
  /** It is ours, and not one that clients bring about. */
  readonly isUnexpected: boolean;
}

export function lastWords(error: unknown, isLoggedIn: boolean): LastWords {
  if (error instanceof ProtocolError) {
    const closeCode = error.code.includes('too-') ? 1009 : 1002;
    return {
      code: error.code,
      message: error.message + limitBehind(error, isLoggedIn),
      closeCode,
      isUnexpected: false,
    };
  }
  if (error instanceof Refusal) {
    const { code, message } = error;
    return { code, message, closeCode: code === 'limit' ? 1009 : 1008, isUnexpected: false };
  }
  if (error instanceof EngineError)
    return { code: error.code, message: error.message, closeCode: 1011, isUnexpected: false };
  return { code: 'internal', message: 'the broker failed; its log says how', closeCode: 1011, isUnexpected: true };
}

// The name of the limit that the session has kept for us. Before login stricter sizes than ours hold (C-70).
function limitBehind({ code }: ProtocolError, isLoggedIn: boolean): string {
  const limit = LIMIT_BEHIND[code];
  return limit === undefined || (!isLoggedIn && !limit.endsWith('Ms')) ? '' : ` (${limit})`;
}
