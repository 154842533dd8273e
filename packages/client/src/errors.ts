// Whose fault it was, sorted by what the reader of the stack trace does next.
//
//   UsageError      you asked for something STOMP forbids     -> fix the call; nothing was sent
//   ProtocolError   the broker broke the specification        -> report it; the connection is over
//   BrokerError     the broker sent us an ERROR frame         -> read .frame; the connection is over
//   ConnectionLost  bytes stopped coming, or could not go     -> connect again; .outcome tells whether to send again
//   TimeoutError    an answer did not come in time            -> .outcome tells whether to ask again
//
// An AbortSignal that fires rejects with the signal's own reason, as the platform does.

import { type Frame, quote, StompError } from '@stompbox/protocol';

export { ProtocolError, StompError, UsageError } from '@stompbox/protocol';

/**
 * What became of a frame that was not confirmed. `unsent`: not a byte of it went out, so it may be sent again.
 * `unknown`: it may have been processed, and sending it again may do it twice.
 */
export type Outcome = 'unsent' | 'unknown';

const EXCERPT_BYTES = 512;
const EXCERPT_CHARS = 256;

/** The broker refused: it sent an ERROR, which ends the connection (S-08). `message` is the frame's, with the beginning of its body. */
export class BrokerError extends StompError {
  override readonly name = 'BrokerError';
  readonly code = 'broker-error';
  /** The ERROR as it came. */
  readonly frame: Frame;
  /** The receipt of the frame that was refused, where the broker says so (S-07); not all do. */
  readonly receipt: string | undefined;

  constructor(frame: Frame) {
    super(sentence(frame));
    this.frame = frame;
    this.receipt = frame.headers.get('receipt-id');
  }
}

function sentence(frame: Frame): string {
  const message = frame.headers.get('message')?.trim() ?? '';
  const body = new TextDecoder().decode(frame.body.subarray(0, EXCERPT_BYTES)).trim();
  const parts = ['the broker sent ERROR'];
  if (message !== '') parts.push(quote(message, EXCERPT_CHARS));
  if (body !== '' && body !== message) parts.push(quote(body, EXCERPT_CHARS));
  return parts.join(': ');
}

export type ConnectionLostCode =
  | 'unreachable' // it could not be dialled; `cause` is the TransportError that says why
  | 'reset' // the transport broke; `cause` is the TransportError
  | 'ended' // the broker closed without a word
  | 'silent' // neither a frame nor a heart-beat came for too long (H-05)
  | 'refused' // the broker sent an ERROR that names no receipt of ours; `cause` is the BrokerError
  | 'broken' // the broker broke the specification; `cause` is the ProtocolError
  | 'closed'; // this side closed it

/** The connection is gone, or never was. */
export class ConnectionLost extends StompError {
  override readonly name = 'ConnectionLost';
  readonly code: ConnectionLostCode;
  /** What became of the frame that was waited for. */
  readonly outcome: Outcome;

  constructor(code: ConnectionLostCode, message: string, options: { outcome?: Outcome; cause?: unknown } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.outcome = options.outcome ?? 'unknown';
  }
}

/** An answer did not come in time. The connection may well live on. */
export class TimeoutError extends StompError {
  override readonly name = 'TimeoutError';
  readonly code = 'timeout';
  /** What was waited for, such as `the RECEIPT of SEND to "/queue/a"`. */
  readonly what: string;
  /** How long, in milliseconds. */
  readonly afterMs: number;
  /** `unknown` where a frame had gone out. */
  readonly outcome: Outcome;

  constructor(
    what: string,
    afterMs: number,
    options: { outcome?: Outcome; hint?: string | undefined; cause?: unknown } = {},
  ) {
    const hint = options.hint === undefined ? '' : ` (${options.hint})`;
    super(
      `${what} did not come within ${afterMs} ms${hint}`,
      'cause' in options ? { cause: options.cause } : undefined,
    );
    this.what = what;
    this.afterMs = afterMs;
    this.outcome = options.outcome ?? 'unsent';
  }
}
