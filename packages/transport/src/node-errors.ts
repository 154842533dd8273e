// What Node says when a socket fails -> TransportError.
//
// Codes are Node's and OpenSSL's own; the sentence says what failed and where.

import { TransportError, type TransportErrorCode } from './channel.ts';

const CODES: Readonly<Record<string, TransportErrorCode>> = {
  ECONNREFUSED: 'refused',
  ENOTFOUND: 'unreachable',
  EAI_AGAIN: 'unreachable',
  EAI_NODATA: 'unreachable',
  EAI_NONAME: 'unreachable',
  EHOSTUNREACH: 'unreachable',
  EHOSTDOWN: 'unreachable',
  ENETUNREACH: 'unreachable',
  ENETDOWN: 'unreachable',
  EADDRNOTAVAIL: 'unreachable',
  ENOENT: 'unreachable',
  ENOTDIR: 'unreachable',
  ENAMETOOLONG: 'bad-url',
  EINVAL: 'bad-url',
  EADDRINUSE: 'address-in-use',
  EACCES: 'denied',
  EPERM: 'denied',
  ECONNRESET: 'reset',
  ECONNABORTED: 'reset',
  EPIPE: 'reset',
  EPROTO: 'handshake',
  // OpenSSL's verdicts on a certificate, as Node spells them
  CERT_CHAIN_TOO_LONG: 'untrusted',
  CERT_HAS_EXPIRED: 'untrusted',
  CERT_NOT_YET_VALID: 'untrusted',
  CERT_REJECTED: 'untrusted',
  CERT_REVOKED: 'untrusted',
  CERT_SIGNATURE_FAILURE: 'untrusted',
  CERT_UNTRUSTED: 'untrusted',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'untrusted',
  ERR_TLS_CERT_ALTNAME_INVALID: 'untrusted',
  ERR_TLS_CERT_ALTNAME_FORMAT: 'untrusted',
  HOSTNAME_MISMATCH: 'untrusted',
  INVALID_CA: 'untrusted',
  INVALID_PURPOSE: 'untrusted',
  PATH_LENGTH_EXCEEDED: 'untrusted',
  SELF_SIGNED_CERT_IN_CHAIN: 'untrusted',
  UNABLE_TO_GET_ISSUER_CERT: 'untrusted',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'untrusted',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'untrusted',
};

/** Node's `code` of an error, where it has one. */
export function codeOf(cause: unknown): string {
  if (typeof cause === 'object' && cause !== null && 'code' in cause && typeof cause.code === 'string') {
    return cause.code;
  }
  return '';
}

/** What Node said, in one line. A failed happy-eyeballs race is an AggregateError without words of its own. */
function wordsOf(cause: unknown): string {
  if (cause instanceof AggregateError && cause.message === '') return cause.errors.map(wordsOf).join('; ');
  return cause instanceof Error ? cause.message : String(cause);
}

/**
 * `cause` as a TransportError about `what`. `otherwise` is the code for what the table does not know. Of OpenSSL's own
 * (`ERR_SSL_…`) those that speak of certificates are `unauthorized` where the peer alerts us, for it refused ours, and
 * `untrusted` where we refused its; the others are `handshake`.
 */
export function toTransportError(cause: unknown, what: string, otherwise: TransportErrorCode): TransportError {
  if (cause instanceof TransportError) return cause;
  const code = codeOf(cause);
  let ours = CODES[code] ?? otherwise;
  if (code.startsWith('ERR_SSL_')) {
    const isAlert = code.includes('_ALERT_');
    ours = /CERT|UNKNOWN_CA|ACCESS_DENIED/.test(code) ? (isAlert ? 'unauthorized' : 'untrusted') : 'handshake';
  }
  return new TransportError(ours, `${what}: ${wordsOf(cause)}`, { cause });
}
