// How a connection ended, and what that means to whoever still waited for something.

import type { ProtocolError } from '@stompbox/protocol';
import type { ChannelEnd } from '@stompbox/transport';
import { type BrokerError, ConnectionLost, type Outcome, type TimeoutError } from '../errors.ts';

export type CloseReason =
  /** We said DISCONNECT, and the broker answered, or answered by closing (E-04). */
  | { readonly kind: 'disconnected'; readonly error?: undefined }
  /** This side ended it without a goodbye: `close()`, `destroy(error)`, or a `disconnect()` that ran out of time. */
  | { readonly kind: 'closed'; readonly error?: Error }
  /** The broker sent ERROR. */
  | { readonly kind: 'refused'; readonly error: BrokerError }
  /** The broker broke the specification. */
  | { readonly kind: 'broken'; readonly error: ProtocolError }
  /** Bytes stopped coming; TimeoutError where CONNECTED never came. */
  | { readonly kind: 'lost'; readonly error: ConnectionLost | TimeoutError };

/** The channel to `remote` ended and nobody had said anything before; `end` is absent where only their side is closed. */
export function withoutWord(remote: string, end: ChannelEnd | undefined): CloseReason {
  const error =
    end?.error === undefined
      ? new ConnectionLost('ended', `${remote} closed the connection without a word`)
      : new ConnectionLost('reset', `the connection to ${remote} broke: ${end.error.message}`, { cause: end.error });
  return { kind: 'lost', error };
}

/** The error for one whose frame went out (`unknown`), or did not (`unsent`). */
export function lostBy(reason: CloseReason | undefined, outcome: Outcome): ConnectionLost {
  const what = outcome === 'unsent' ? 'nothing was sent' : 'whether the broker took it is unknown';
  switch (reason?.kind) {
    case 'lost': {
      const { error } = reason;
      const code = error instanceof ConnectionLost ? error.code : 'ended';
      return new ConnectionLost(code, `${error.message}; ${what}`, { outcome, cause: error.cause ?? error });
    }
    case 'refused':
      return new ConnectionLost('refused', `${reason.error.message}, which ended the connection; ${what}`, {
        outcome,
        cause: reason.error,
      });
    case 'broken':
      return new ConnectionLost('broken', `${reason.error.message}; ${what}`, { outcome, cause: reason.error });
    default: {
      const why = reason?.error === undefined ? '' : `: ${reason.error.message}`;
      return new ConnectionLost('closed', `the connection was closed here${why}; ${what}`, {
        outcome,
        ...(reason?.error === undefined ? {} : { cause: reason.error }),
      });
    }
  }
}
