// How a connection ended.

import type { ProtocolError } from '@stompbox/protocol';
import type { BrokerError, ConnectionLost, TimeoutError } from './errors.ts';

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
