// Our TLS options -> Node's.

import { isIP } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { TransportError } from './channel.ts';
import type { Pem, TlsIdentity, TlsOptions } from './dial-options.ts';

interface NodeIdentity {
  ca?: (string | Buffer)[];
  cert?: (string | Buffer)[];
  key?: (string | Buffer)[];
  passphrase?: string;
}

interface NodeClientSecurity extends NodeIdentity {
  servername: string;
  rejectUnauthorized: boolean;
}

/** What tls.connect wants. `host` is the name to verify unless another is asked for. */
export function clientSecurity(host: string, options: TlsOptions = {}): NodeClientSecurity {
  // SNI carries names only (RFC 6066, 3); Node verifies an address against the certificate's IP entries by `host`.
  const servername = options.servername ?? (isIP(host) === 0 ? host : '');
  return { ...identity(options), servername, rejectUnauthorized: options.verify !== false };
}

/** Why the caller's own check refuses the peer of a socket that has just finished its handshake. */
export function checkPeer(
  socket: TLSSocket,
  host: string,
  check: TlsOptions['check'],
  what: string,
): TransportError | undefined {
  if (check === undefined) return undefined;
  const refused = (words: string, cause?: unknown): TransportError =>
    new TransportError('untrusted', `${what}: its certificate was refused: ${words}`, { cause });
  const shown = socket.getPeerCertificate(); // on Node 20 it is empty once getPeerX509Certificate was called
  if (shown === null || Object.keys(shown).length === 0) return refused('it showed none');
  try {
    const verdict = check({
      host,
      subject: commonName(shown.subject),
      issuer: commonName(shown.issuer),
      subjectAltName: shown.subjectaltname ?? '',
      fingerprint256: shown.fingerprint256,
      validFrom: new Date(shown.valid_from),
      validTo: new Date(shown.valid_to),
      raw: shown.raw,
      distrust: socket.authorized ? undefined : String(socket.authorizationError),
    });
    if (verdict === undefined) return undefined;
    return typeof verdict === 'string' ? refused(verdict) : refused(verdict.message, verdict);
  } catch (cause) {
    return refused(cause instanceof Error ? cause.message : String(cause), cause);
  }
}

/** The common name of a subject or an issuer; several, as a certificate may have, with commas. */
export function commonName(name: { readonly CN?: string | readonly string[] } | undefined): string {
  const { CN = '' } = name ?? {};
  return typeof CN === 'string' ? CN : CN.join(', ');
}

/** Certificates and keys as Node wants them. */
export function identity(options: TlsIdentity): NodeIdentity {
  return {
    ...(options.ca === undefined ? {} : { ca: list(options.ca) }),
    ...(options.cert === undefined ? {} : { cert: list(options.cert) }),
    ...(options.key === undefined ? {} : { key: list(options.key) }),
    ...(options.passphrase === undefined ? {} : { passphrase: options.passphrase }),
  };
}

function list(pem: Pem): (string | Buffer)[] {
  const all = typeof pem === 'string' || pem instanceof Uint8Array ? [pem] : pem;
  return all.map((one) => (typeof one === 'string' ? one : Buffer.from(one)));
}
