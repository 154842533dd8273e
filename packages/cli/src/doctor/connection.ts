// Why there is no connection, and what the certificate of the broker is worth.

import { type PeerCertificate, TransportError, type TransportErrorCode } from '@stompbox/transport';
import type { NotLetIn } from '../conformance/meet.ts';
import type { Finding } from './finding.ts';

const ADVICE: Readonly<Record<TransportErrorCode, string>> = {
  'bad-url': 'write it as scheme://host:port',
  unsupported: 'use another scheme: this runtime cannot open such a connection',
  refused: 'nobody listens there: is the broker up, is its STOMP listener on, is it this port (61613, TLS 61614)?',
  unreachable: 'the name or the route is wrong: try it with ping, and ask who looks after the firewall',
  'address-in-use': 'the port is taken on this machine',
  denied: 'this machine does not permit it: permissions of the socket, or a sandbox',
  unauthorized: 'the HTTP server wants to know who we are, or the broker our certificate: --cert and --key',
  timeout:
    'something swallows the packets, mostly a firewall; or a TLS port is talked to in plain text, or the other way round',
  aborted: 'it was called off',
  untrusted: 'give the authority that signed it with --ca, and dial the name that the certificate is for',
  handshake: 'is this a TLS port, and is there a WebSocket at this path? RabbitMQ has it at /ws, port 15674',
  reset: 'it hung up: a TLS port talked to in plain text, a limit of connections, or a proxy',
  'too-large': 'raise the limit for WebSocket messages',
  protocol: 'it is no WebSocket server, or a proxy in between breaks it',
};

export function connectionProblem(error: TransportError | NotLetIn): Finding {
  if (!(error instanceof TransportError)) {
    if (!error.isRefusal) {
      return {
        topic: 'connection',
        level: 'problem',
        saw: error.message,
        advice:
          'is it a STOMP port, and not one for AMQP (5672) or OpenWire (61616)? A TLS port wants stomp+ssl://; a broker that is stuck has to be restarted',
      };
    }
    return {
      topic: 'login',
      level: 'problem',
      saw: error.message,
      advice: 'check login and passcode, and host: RabbitMQ wants the name of a virtual host there, mostly /',
    };
  }
  return {
    topic: error.code === 'untrusted' ? 'certificate' : 'connection',
    level: 'problem',
    saw: error.message,
    advice: ADVICE[error.code],
    data: { code: error.code },
  };
}

const DAY_MS = 86_400_000;
const SOON_DAYS = 30;

/** What there is to say about a certificate at `now`. */
export function certificateFindings(certificate: PeerCertificate, isUnchecked: boolean, now: Date): readonly Finding[] {
  const { subject, issuer, subjectAltName, validTo, distrust, fingerprint256 } = certificate;
  const days = Math.floor((validTo.getTime() - now.getTime()) / DAY_MS);
  const until = validTo.toISOString().slice(0, 10);
  const names = subjectAltName === '' ? '' : ` for ${subjectAltName}`;
  const findings: Finding[] = [
    {
      topic: 'certificate',
      level: days < 0 ? 'problem' : days < SOON_DAYS ? 'warning' : 'good',
      saw: `${subject || 'a certificate without a name'}${names}, signed by ${issuer || subject}, valid until ${until}`,
      advice:
        days < 0
          ? `it ran out ${-days} days ago: renew it`
          : days < SOON_DAYS
            ? `renew it: ${days} days are left`
            : 'nothing to do',
      data: { subject, issuer, subjectAltName, validTo: validTo.toISOString(), days, fingerprint256 },
    },
  ];
  if (isUnchecked) {
    findings.push({
      topic: 'certificate',
      level: 'warning',
      saw: distrust === undefined ? 'it was not checked' : `it was not checked, and would not be believed: ${distrust}`,
      advice: 'give its authority with --ca instead of --insecure',
    });
  }
  return findings;
}
