// Whether it is who we are that was refused, so that trying again with the same credentials is of no use.
//
// STOMP has no code for it (N-17), so the words of an ERROR decide. They are those of
//
//   RabbitMQ 3.10    "Bad CONNECT", "Access refused for user 'x'" or "Virtual host '/x' access denied"
//   ActiveMQ 5.17    "User name [x] or password is invalid."; over stomp+nio now and then nothing, which is no telling
//   Artemis          "Security Error occurred: User name [x] or password is invalid", "Unable to validate user from …"
//   Spring           "Access is denied", or what its channel interceptor threw: "Failed to send message to Executor…"
//   ours             "the login was refused"
//
// and what others say in English about tokens and passwords.

import { type Endpoint, formatEndpoint, TransportError } from '@stompbox/transport';
import { BrokerError, StompError } from '../errors.ts';

const WORDS = [
  /access (is )?(refused|denied)/,
  /authenticat|unauthori[sz]ed|not authori[sz]ed|unable to validate user/,
  /\b(user ?name|login|pass(code|word)|credentials?|token|jwt)\b.{0,300}\b(invalid|refused|wrong|incorrect|expired|failed|not valid)/s,
  /\b(invalid|bad|wrong|incorrect|expired|missing|no) (user ?name|login|pass(code|word)|credentials?|token|jwt)\b/,
  /failed to send message to executorsubscribablechannel/,
];
const ANOTHER_FAULT = /broker (is )?not (available|active)/; // Spring's relay has lost its broker

const EXCERPT_BYTES = 1_024;
const MAX_CAUSES = 8;

/** The broker refused who we are, also with fresh credentials. `cause` is what it said. The client stops. */
export class AuthenticationError extends StompError {
  override readonly name = 'AuthenticationError';
  readonly code = 'authentication';
  /** Where, as a URL without its secrets. */
  readonly endpoint: string;

  constructor(endpoint: Endpoint, cause: unknown) {
    const where = formatEndpoint(endpoint);
    const words = cause instanceof Error ? cause.message : String(cause);
    super(`${where} refused the credentials: ${words}`, { cause });
    this.endpoint = where;
  }
}

/**
 * Tells, of what connecting failed with, whether the broker refused who we are: an ERROR in the words above, HTTP 401 or 403
 * instead of a WebSocket, or a TLS peer that does not take our certificate. Only for failures to connect: later the same
 * words speak of one destination.
 */
export function isAuthenticationFailure(error: unknown): boolean {
  let one = error;
  for (let depth = 0; depth < MAX_CAUSES && one instanceof Error; depth++) {
    if (one instanceof AuthenticationError) return true;
    if (one instanceof TransportError) return one.code === 'unauthorized';
    if (one instanceof BrokerError) return refusesLogin(one);
    one = one.cause;
  }
  return false;
}

function refusesLogin({ frame }: BrokerError): boolean {
  const body = new TextDecoder().decode(frame.body.subarray(0, EXCERPT_BYTES));
  const words = `${frame.headers.get('message') ?? ''}\n${body}`.toLowerCase();
  return WORDS.some((pattern) => pattern.test(words)) && !ANOTHER_FAULT.test(words);
}
