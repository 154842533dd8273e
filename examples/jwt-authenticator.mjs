// An authenticator of your own: clients show a JSON Web Token as their passcode.
//
//   import { createBroker } from '@stompbox/broker';
//   import { jwt } from './jwt-authenticator.mjs';
//
//   await createBroker({
//     listen: ['stomp+ssl://0.0.0.0:61614'],
//     tls,
//     authenticate: jwt({ secret: process.env.JWT_SECRET, issuer: 'https://login.example', audience: 'stompbox' }),
//   });
//
// HS256 only: the algorithm is ours to choose, never the token's. `sub` becomes the name and `groups` the groups that
// rules know as `@group`. A `login`, where the client says one, must be the `sub`. The token is looked at once, on
// CONNECT; a connection outlives it.

import { createHmac, timingSafeEqual } from 'node:crypto';

/** Seconds that clocks may differ. */
const LEEWAY = 30;

/**
 * @param {{ secret: string | Uint8Array, issuer?: string, audience?: string, now?: () => number }} options
 *   `now` answers milliseconds since 1970
 * @returns {import('@stompbox/broker').Authenticate}
 */
export function jwt({ secret, issuer, audience, now = Date.now }) {
  if (!secret || secret.length < 32) throw new RangeError('the secret needs at least 32 bytes (RFC 7518, 3.2)');
  return ({ login, passcode = '' }) => {
    const claims = verified(passcode, secret);
    if (claims === undefined || typeof claims.sub !== 'string' || claims.sub === '') return undefined;
    const { sub, exp, nbf, groups } = claims;
    const seconds = now() / 1_000;
    if (typeof exp !== 'number' || seconds >= exp + LEEWAY) return undefined; // one that never ends is refused
    if (nbf !== undefined && !(typeof nbf === 'number' && seconds >= nbf - LEEWAY)) return undefined;
    if (issuer !== undefined && claims.iss !== issuer) return undefined;
    if (audience !== undefined && ![claims.aud].flat().includes(audience)) return undefined;
    if (login !== undefined && login !== sub) return undefined;
    const names = Array.isArray(groups) ? groups.filter((group) => typeof group === 'string') : [];
    return { name: sub, groups: names };
  };
}

/** The claims of a token that this secret has signed. */
function verified(token, secret) {
  const [head = '', claims = '', signature = '', ...rest] = token.split('.');
  if (rest.length > 0) return undefined;
  const expected = createHmac('sha256', secret).update(`${head}.${claims}`).digest();
  const shown = Buffer.from(signature, 'base64url');
  if (shown.length !== expected.length || !timingSafeEqual(shown, expected)) return undefined;
  return decoded(head)?.alg === 'HS256' ? decoded(claims) : undefined;
}

function decoded(part) {
  try {
    const value = JSON.parse(Buffer.from(part, 'base64url').toString());
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
