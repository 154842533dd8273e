// Whose fault it was, sorted by what the reader of the stack trace does next.
//
//   UsageError      you asked for something STOMP forbids     -> fix the call; nothing was sent
//   ProtocolError   the broker broke the specification        -> report it; the connection is over
//   BrokerError     the broker sent us an ERROR frame         -> read .frame; the connection is over
//   ConnectionLost  bytes stopped coming, or could not go     -> connect again; .outcome tells whether to send again
//   TimeoutError    an answer did not come in time            -> .outcome tells whether to ask again
//
// and of a Client, which lives longer than a connection:
//
//   ConnectFailed        no endpoint could be reached          -> read .attempts; the client is over
//   OutboxError          a send waited and could not stay      -> nothing was sent
//   SubscriptionRefused  the broker refused one SUBSCRIBE      -> read .cause; it is tried again, the others live on
//   RequestRefused       whoever was asked failed              -> read .message
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
  /** What became of the frame it answers: the broker did not take it. */
  readonly outcome = 'rejected';
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

/** Why one attempt to connect came to nothing. */
export interface FailedAttempt {
  /** Counted from 1 since the client was last connected. */
  readonly attempt: number;
  /** As a URL, without its secrets. */
  readonly endpoint: string;
  readonly error: unknown;
}

const NAMED_ATTEMPTS = 3;

/** The client gave up connecting and is over. */
export class ConnectFailed extends StompError {
  override readonly name = 'ConnectFailed';
  /** `gave-up`: attempts or time ran out. `stopped`: `decide` said so. */
  readonly code: 'gave-up' | 'stopped';
  /** The last hundred, oldest first. */
  readonly attempts: readonly FailedAttempt[];
  readonly outcome: Outcome = 'unsent';

  /** `cause` is the last attempt's error, unless given. */
  constructor(code: 'gave-up' | 'stopped', attempts: readonly FailedAttempt[], cause?: unknown) {
    const last = attempts.at(-1);
    const named = attempts.slice(-NAMED_ATTEMPTS).map(({ endpoint, error }) => `${endpoint}: ${sayError(error)}`);
    super(`no connection after ${last?.attempt ?? 0} attempts; the last: ${named.join('; ')}`, {
      cause: cause ?? last?.error,
    });
    this.code = code;
    this.attempts = attempts;
  }
}

export type OutboxErrorCode =
  | 'full' // more waits for an answer than `outbox` allows
  | 'expired' // it waited longer for a connection than `outbox.maxAgeMs`, or than its own `expiresInMs`
  | 'dropped' // newer ones took its place, or there was no connection and it asked for `offline: 'drop'`
  | 'offline'; // there was no connection, and it asked for `offline: 'fail'`

/** A send could not wait until there is a connection. Nothing was sent. */
export class OutboxError extends StompError {
  override readonly name = 'OutboxError';
  readonly code: OutboxErrorCode;
  readonly outcome: Outcome = 'unsent';

  constructor(code: OutboxErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** The broker refused one subscription of a client. `cause` is what it said. */
export class SubscriptionRefused extends StompError {
  override readonly name = 'SubscriptionRefused';
  readonly code = 'subscription-refused';
  readonly destination: string;
  /** When it is tried again, in milliseconds from now. */
  readonly retryInMs: number;

  constructor(destination: string, retryInMs: number, cause: Error) {
    super(`${quote(destination)} was refused, next try in ${retryInMs} ms: ${cause.message}`, { cause });
    this.destination = destination;
    this.retryInMs = retryInMs;
  }
}

/** A responder answered that it failed. `message` is why; the answer's body may say more. */
export class RequestRefused extends StompError {
  override readonly name = 'RequestRefused';
  readonly code = 'request-refused';
  /** The answer. */
  readonly frame: Frame;

  constructor(why: string, frame: Frame) {
    super(why);
    this.frame = frame;
  }
}

export function sayError(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
