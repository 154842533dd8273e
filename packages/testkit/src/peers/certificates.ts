// A throw-away certificate authority and a server certificate for this machine, made by openssl.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './programs.ts';

export interface Certificates {
  /** PEM of the authority, server certificate and its key. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  readonly files: {
    readonly ca: string;
    readonly cert: string;
    readonly key: string;
    /** Certificate, key and authority as PKCS#12 for Java. */
    readonly pkcs12: string;
  };
  /** Of the PKCS#12 file. */
  readonly password: string;
}

const PASSWORD = 'changeit';
const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']; // 2048-bit RSA takes 20 times as long
const SERVER_EXTENSIONS = 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\nextendedKeyUsage=serverAuth\n';

/** Makes them as files in `folder`. Valid for two days, for `localhost`, `127.0.0.1` and `::1`. */
export async function makeCertificates(folder: string): Promise<Certificates> {
  const file = (name: string) => join(folder, name);
  const openssl = (...args: string[]) => run('openssl', args);
  const [ca, cert, key, pkcs12] = [file('ca.pem'), file('server.pem'), file('server.key'), file('server.p12')];

  await writeFile(file('server.ext'), SERVER_EXTENSIONS);
  await openssl(
    'req',
    '-x509',
    ...NEW_KEY,
    '-keyout',
    file('ca.key'),
    '-out',
    ca,
    '-days',
    '2',
    '-subj',
    '/CN=Stompbox test CA',
  );
  await openssl('req', ...NEW_KEY, '-keyout', key, '-out', file('server.csr'), '-subj', '/CN=localhost');
  await openssl(
    ...['x509', '-req', '-in', file('server.csr'), '-CA', ca, '-CAkey', file('ca.key'), '-CAcreateserial'],
    ...['-out', cert, '-days', '2', '-extfile', file('server.ext')],
  );
  await openssl(
    ...['pkcs12', '-export', '-in', cert, '-inkey', key, '-certfile', ca, '-name', 'server'],
    ...['-out', pkcs12, '-passout', `pass:${PASSWORD}`],
  );
  const read = (path: string) => readFile(path, 'utf8');
  return {
    ca: await read(ca),
    cert: await read(cert),
    key: await read(key),
    files: { ca, cert, key, pkcs12 },
    password: PASSWORD,
  };
}
