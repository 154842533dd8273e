// Certificates for a test, made with openssl in a directory of their own.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Identity {
  readonly cert: string;
  readonly key: string;
}

export interface Certificates {
  readonly ca: string;
  /** For localhost, 127.0.0.1 and ::1, from the CA. */
  readonly server: Identity;
  /** For elsewhere.example, from the CA. */
  readonly elsewhere: Identity;
  /** For localhost, from nobody. */
  readonly selfSigned: Identity;
  /** A client called `worker`, from the CA. */
  readonly client: Identity;
  /** The same client with its key encrypted under `sesame`. */
  readonly lockedKey: string;
  /** A client called `stranger`, from nobody. */
  readonly stranger: Identity;
}

export function makeCertificates(): Certificates {
  const dir = mkdtempSync(join(tmpdir(), 'stompbox-tls-'));
  const at = (name: string): string => join(dir, name);
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { stdio: 'pipe', cwd: dir });
  const read = (name: string): string => readFileSync(at(name), 'utf8');
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const selfSigned = (name: string, subject: string, ...more: string[]): Identity => {
    openssl('req', '-x509', ...newKey, '-keyout', `${name}.key`, '-out', `${name}.pem`, '-subj', subject, ...more);
    return { cert: read(`${name}.pem`), key: read(`${name}.key`) };
  };
  const issued = (name: string, subject: string, extensions: string): Identity => {
    writeFileSync(at(`${name}.ext`), extensions);
    openssl('req', '-new', ...newKey.slice(0, 5), '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', subject);
    openssl(
      ...['x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial'],
      ...['-days', '2', '-out', `${name}.pem`, '-extfile', `${name}.ext`],
    );
    return { cert: read(`${name}.pem`), key: read(`${name}.key`) };
  };
  try {
    const { cert: ca } = selfSigned('ca', '/CN=Test Authority');
    const server = issued('server', '/CN=localhost', 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1');
    const elsewhere = issued('elsewhere', '/CN=elsewhere.example', 'subjectAltName=DNS:elsewhere.example');
    const client = issued('client', '/CN=worker', 'extendedKeyUsage=clientAuth');
    openssl('pkcs8', '-topk8', '-in', 'client.key', '-out', 'locked.key', '-passout', 'pass:sesame');
    return {
      ca,
      server,
      elsewhere,
      client,
      lockedKey: read('locked.key'),
      selfSigned: selfSigned('self', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'),
      stranger: selfSigned('stranger', '/CN=stranger'),
    };
  } finally {
    rmSync(dir, { recursive: true });
  }
}
