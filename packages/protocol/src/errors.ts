// Whose fault it was, and which rule says so.
//
//   UsageError      you asked for something STOMP forbids     -> fix the call; nothing was sent
//   ProtocolError   the peer broke the specification          -> say ERROR, then close
//
// The client adds the two that need a connection: BrokerError and ConnectionLost.

/** The root of every error Stompbox throws on purpose. */
export abstract class StompError extends Error {
  abstract readonly code: string;
}

/**
 * What a peer can get wrong, and the conformance rule that says so. A code is stable: a `switch` over it is
 * checked by the compiler.
 */
export const PROTOCOL_RULES = {
  // the codec
  'unknown-command': 'C-13',
  'command-too-long': 'C-34',
  'stray-carriage-return': 'C-05',
  'header-without-colon': 'C-21',
  'empty-header-name': 'C-22',
  'raw-colon': 'C-27',
  'bad-escape': 'C-41',
  'bad-utf8': 'C-66',
  'nul-in-header': 'C-35',
  'nul-between-frames': 'C-09',
  'bad-content-length': 'C-58',
  'conflicting-content-length': 'C-32',
  'missing-nul': 'C-51',
  'unexpected-body': 'C-61',
  'header-line-too-long': 'C-34',
  'too-many-headers': 'C-34',
  'headers-too-large': 'C-34',
  'body-too-large': 'C-60',
  // the session
  'unexpected-frame': 'N-18',
  'version-mismatch': 'N-10',
  'bad-heart-beat': 'H-09',
  'missing-header': 'F-01',
  'bad-header': 'F-06',
  'duplicate-subscription': 'F-05',
  'unknown-subscription': 'F-08',
  'unknown-ack': 'A-09',
  'ack-on-auto': 'A-01',
  'duplicate-transaction': 'T-02',
  'unknown-transaction': 'T-04',
  'too-many-subscriptions': 'M-77',
  'too-many-transactions': 'T-07',
  'silent-peer': 'H-05',
  'connect-timeout': 'M-42',
  'frame-timeout': 'M-30',
} as const;

export type ProtocolErrorCode = keyof typeof PROTOCOL_RULES;

/** The peer broke the specification. The stream is beyond repair: say ERROR (a server), then close. */
export class ProtocolError extends StompError {
  override readonly name = 'ProtocolError';
  readonly code: ProtocolErrorCode;
  /** The conformance rule that was broken, such as `C-41`. */
  readonly rule: string;
  /** Where in the stream, in bytes since it began; absent where no single byte is at fault. */
  readonly offset: number | undefined;

  /** `detail` names the value and the expectation; `rule` is needed only where the code stands for several. */
  constructor(
    code: ProtocolErrorCode,
    detail: string,
    options: { offset?: number | undefined; rule?: string | undefined; cause?: unknown } = {},
  ) {
    const rule = options.rule ?? PROTOCOL_RULES[code];
    const where = options.offset === undefined ? '' : `, byte ${options.offset}`;
    super(`${detail} [${rule}${where}]`, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.rule = rule;
    this.offset = options.offset;
  }
}

export type UsageErrorCode =
  | 'not-connected' // the session has not begun, or has ended
  | 'unexpected-frame' // this side may not send that, or not now
  | 'missing-header'
  | 'bad-header' // a value or name that this frame cannot carry
  | 'bad-body' // a body where none may be, or one that breaks its announcement
  | 'unencodable' // the negotiated version has no way to write it
  | 'duplicate-subscription'
  | 'unknown-subscription'
  | 'unknown-ack' // never delivered here, or settled before
  | 'ack-on-auto'
  | 'duplicate-transaction'
  | 'unknown-transaction'
  | 'duplicate-receipt'
  | 'bad-option'
  | 'bad-json'; // a body that was asked for as JSON and is none, or a value JSON cannot write

/** You asked for something STOMP forbids. Nothing was sent; fix the call. */
export class UsageError extends StompError {
  override readonly name = 'UsageError';
  readonly code: UsageErrorCode;
  constructor(code: UsageErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** At most `max` characters of a peer's text, printable: for messages about it. 40 are at most 240 escaped bytes (S-09). */
export function quote(text: string, max = 40): string {
  const shown = JSON.stringify(text.length > max ? text.slice(0, max) : text).replace(
    /[\u007f-\u009f\p{Cf}\u2028\u2029\ud800-\udfff]/gu,
    (character) => character.replace(/[\s\S]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`),
  );
  return text.length > max ? `${shown.slice(0, -1)}…"` : shown;
}
