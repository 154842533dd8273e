// Our TLS options -> Node's.

import { isIP } from 'node:net';
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
