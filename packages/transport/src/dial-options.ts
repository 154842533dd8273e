// What a dialler can be told, in every runtime.

import type { AttemptOptions } from './attempt.ts';
import type { WebSocketDialOptions } from './websocket.ts';

/** PEM text or DER bytes; several where a list makes sense. */
export type Pem = string | Uint8Array | readonly (string | Uint8Array)[];

/** The identity this end shows, and whom it believes. Both sides of TLS. */
export interface TlsIdentity {
  /** Authorities to believe instead of the runtime's own list. */
  readonly ca?: Pem;
  /** Certificate chain of this end. */
  readonly cert?: Pem;
  /** Private key of `cert`. */
  readonly key?: Pem;
  /** Opens `key`, where it is encrypted. */
  readonly passphrase?: string;
}

/** What a TLS peer showed, for a check of one's own. */
export interface PeerCertificate {
  /** The host that was dialled. */
  readonly host: string;
  /** Common names of the certificate and of who signed it; empty where there is none. */
  readonly subject: string;
  readonly issuer: string;
  /** As OpenSSL prints it: `DNS:broker.example, IP Address:10.0.0.1`. */
  readonly subjectAltName: string;
  /** SHA-256 of the certificate, in upper case with colons: `AB:CD:…`. For pinning. */
  readonly fingerprint256: string;
  readonly validFrom: Date;
  readonly validTo: Date;
  /** The certificate itself, DER. */
  readonly raw: Uint8Array;
  /** Why the runtime does not believe it; undefined where it does. Only with `verify: false` can there be a reason. */
  readonly distrust: string | undefined;
}

/** TLS as a client. The peer is verified unless `verify: false`. */
export interface TlsOptions extends TlsIdentity {
  /** The name the peer must prove, and SNI. The endpoint's host unless given. */
  readonly servername?: string;
  /** False believes anybody, which makes TLS no protection. True unless given. */
  readonly verify?: boolean;
  /**
   * One more condition, after the others: answer a sentence or an Error, or throw, to refuse the peer (`untrusted`) before a
   * byte is sent to it; undefined lets it pass. With `verify: false` it is the only one, such as a pinned fingerprint.
   */
  readonly check?: (certificate: PeerCertificate) => string | Error | undefined;
}

/** How to dial. Only `signal`, `timeoutMs` and part of `webSocket` mean something in a browser. */
export interface DialOptions extends AttemptOptions {
  /** For `stomp+ssl:` and `wss:`. Node only. */
  readonly tls?: TlsOptions;
  /** For `ws:` and `wss:`. */
  readonly webSocket?: WebSocketDialOptions;
  /** The local IP address to leave from. Node only. */
  readonly localAddress?: string;
  /** TCP keep-alive: the first probe after this much silence. Milliseconds, 60,000 unless given; 0 sends none. Node only. */
  readonly keepAliveMs?: number;
}

/** The first option given that a WebSocket of the WHATWG interface has no way to honour. */
export function beyondStandard({ tls, localAddress, keepAliveMs, webSocket = {} }: DialOptions): string | undefined {
  const { headers, compress, maxMessageBytes } = webSocket;
  const beyond = { tls, localAddress, keepAliveMs, headers, compress, maxMessageBytes };
  return Object.entries(beyond).find(([, value]) => value !== undefined)?.[0];
}
