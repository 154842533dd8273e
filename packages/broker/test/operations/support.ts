// What the tests of running a broker share: a logger that remembers, and certificates.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeCertificates } from 'testkit/peers';
import type { LogEvent, LogFields, Logger } from '../../src/index.ts';

export interface Told {
  readonly level: string;
  readonly event: LogEvent;
  readonly fields: LogFields;
}

export interface Memory extends Logger {
  readonly told: Told[];
  of(event: LogEvent): LogFields[];
  /** Everything, as one text. */
  readonly text: string;
}

export function remembering(): Memory {
  const told: Told[] = [];
  return {
    told,
    log: (level, event, fields) => void told.push({ level, event, fields }),
    of: (event) => told.filter((one) => one.event === event).map(({ fields }) => fields),
    get text() {
      return JSON.stringify(told);
    },
  };
}

interface Proof {
  readonly cert: string;
  readonly key: string;
}

export interface Certificates {
  readonly ca: string;
  /** For localhost. */
  readonly server: Proof;
  /** For elsewhere.example. */
  readonly elsewhere: Proof;
  /** A client called `worker`. */
  readonly client: Proof;
}

/** All of one authority. */
export async function certificatesOfAll(): Promise<Certificates> {
  const folder = mkdtempSync(join(tmpdir(), 'stompbox-operations-tls-'));
  try {
    const { ca, cert, key } = await makeCertificates(folder);
    const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe', cwd: folder });
    const issued = (name: string, subject: string, extension: string): Proof => {
      writeFileSync(join(folder, `${name}.ext`), extension);
      const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
      openssl('req', '-new', ...newKey, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', subject);
      const by = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2'];
      openssl('x509', '-req', '-in', `${name}.csr`, ...by, '-out', `${name}.pem`, '-extfile', `${name}.ext`);
      const read = (ending: string) => readFileSync(join(folder, `${name}.${ending}`), 'utf8');
      return { cert: read('pem'), key: read('key') };
    };
    return {
      ca,
      server: { cert, key },
      elsewhere: issued('elsewhere', '/CN=elsewhere.example', 'subjectAltName=DNS:elsewhere.example'),
      client: issued('client', '/CN=worker', 'extendedKeyUsage=clientAuth'),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
