import { X509Certificate } from 'node:crypto';
import { connect as connectTcp } from 'node:net';
import { connect } from 'node:tls';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { Channel, TransportError } from '../src/channel.ts';
import { dial } from '../src/dial.ts';
import type { PeerCertificate, TlsOptions } from '../src/dial-options.ts';
import { type Listener, listen } from '../src/listen.ts';
import type { ServerTlsOptions } from '../src/tls.ts';
import { makeCertificates } from './certificates.ts';
import { Owner, utf8 } from './support.ts';

const { ca, server, elsewhere, selfSigned, client, lockedKey, stranger } = makeCertificates();

let listener: Listener | undefined;
const accepted: Owner[] = [];
const faults: TransportError[] = [];

afterEach(async () => {
  for (const owner of accepted.splice(0)) owner.channel.destroy();
  faults.length = 0;
  await listener?.close();
});

async function serve(scheme: string, tls: ServerTlsOptions, host = '127.0.0.1'): Promise<string> {
  const options = { tls, onFault: (error: TransportError): void => void faults.push(error) };
  listener = await listen(`${scheme}://${host}:0`, options, (channel) => {
    const owner = new Owner(channel);
    owner.onData = (bytes) => void channel.write(bytes);
    accepted.push(owner);
  });
  return listener.url.replace('127.0.0.1', 'localhost');
}

async function talk(url: string, tls?: TlsOptions): Promise<Channel> {
  const channel = await dial(url, tls === undefined ? {} : { tls });
  const owner = new Owner(channel);
  channel.write(utf8('hello'));
  await owner.until(() => owner.text === 'hello' || owner.end !== undefined);
  channel.end();
  const end = await owner.whenClosed();
  if (end.error) throw end.error;
  expect(owner.text).toBe('hello');
  return channel;
}

const raise = (error: Error): never => {
  throw error;
};
const code = (expected: string) => expect.objectContaining({ name: 'TransportError', code: expected });

describe.each(['stomp+ssl', 'wss'])('%s', (scheme) => {
  test('a self-signed certificate is refused unless somebody says otherwise', async () => {
    const url = await serve(scheme, selfSigned);
    await expect(talk(url)).rejects.toEqual(code('untrusted'));
    await expect(talk(url, { ca })).rejects.toEqual(code('untrusted'));
    const channel = await talk(url, { verify: false });
    expect(channel.peer.transport).toBe(scheme === 'wss' ? 'websocket' : 'tls');
    if (scheme !== 'wss') expect(channel.peer.certificate).toEqual({ authorized: false, subject: 'localhost' });
  });

  test('a certificate from a known authority is accepted, by name and by address', async () => {
    const url = await serve(scheme, server);
    await talk(url, { ca });
    await talk(url.replace('localhost', '127.0.0.1'), { ca: [Buffer.from(ca)] });
  });

  test('renewed: open connections stay, the next one sees the new certificate, a useless one changes nothing', async () => {
    const url = await serve(scheme, server);
    const channel = await dial(url, { tls: { ca } });
    const owner = new Owner(channel);
    channel.write(utf8('one'));
    await owner.until(() => owner.text === 'one');
    expect(() => listener?.renew?.({ cert: server.cert, key: elsewhere.key })).toThrow(code('handshake'));
    expect(() => listener?.renew?.({})).toThrow(code('untrusted'));
    await talk(url, { ca });
    listener?.renew?.(elsewhere);
    await expect(talk(url, { ca })).rejects.toEqual(code('untrusted'));
    await talk(url, { ca, servername: 'elsewhere.example' });
    channel.write(utf8(' two'));
    await owner.until(() => owner.text === 'one two');
    channel.end();
    await owner.whenClosed();
  });

  test('a certificate for another name is refused, and servername says which name is meant', async () => {
    const url = await serve(scheme, elsewhere);
    await expect(talk(url, { ca })).rejects.toEqual(code('untrusted'));
    await expect(talk(url.replace('localhost', '127.0.0.1'), { ca })).rejects.toEqual(code('untrusted'));
    await talk(url, { ca, servername: 'elsewhere.example' });
  });

  test("a check of one's own sees the certificate, and lets it pass or not, before a byte is sent", async () => {
    const url = await serve(scheme, server);
    const seen: PeerCertificate[] = [];
    const pass = { ca, check: (certificate: PeerCertificate) => void seen.push(certificate) };
    await talk(url, pass);
    const { raw, fingerprint256, validFrom, validTo } = new X509Certificate(server.cert);
    expect(seen).toEqual([
      {
        host: 'localhost',
        subject: 'localhost',
        issuer: 'Test Authority',
        subjectAltName: 'DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1',
        fingerprint256,
        validFrom: new Date(validFrom),
        validTo: new Date(validTo),
        raw,
        distrust: undefined,
      },
    ]);
    accepted.splice(0);
    const cause = new Error('not on the list');
    for (const check of [() => 'not on the list', () => cause, () => raise(cause)]) {
      const refused = talk(url, { ca, check });
      await expect(refused).rejects.toEqual(code('untrusted'));
      await expect(refused).rejects.toThrow('its certificate was refused: not on the list');
    }
    await expect(talk(url, { ca, check: () => cause })).rejects.toMatchObject({ cause });
    if (scheme === 'wss') expect(accepted).toHaveLength(0); // not even the upgrade, which may hold a token
    for (const owner of accepted) expect(owner.received).toBe(0);
  });

  test('a check comes after the others unless they are off; then it can pin a certificate', async () => {
    const url = await serve(scheme, selfSigned);
    const pinned = new X509Certificate(selfSigned.cert).fingerprint256;
    const heard: (string | undefined)[] = [];
    const check = ({ fingerprint256, distrust }: PeerCertificate) => {
      heard.push(distrust);
      return fingerprint256 === pinned ? undefined : 'another certificate';
    };
    await expect(talk(url, { check })).rejects.toEqual(code('untrusted'));
    expect(heard).toEqual([]);
    await talk(url, { verify: false, check });
    expect(heard).toEqual(['DEPTH_ZERO_SELF_SIGNED_CERT']);
    await listener?.close();
    const other = await serve(scheme, server);
    await expect(talk(other, { verify: false, check })).rejects.toThrow('another certificate');
  });

  test('nothing but verify: false, written out, lets an unverified peer pass', async () => {
    const url = await serve(scheme, selfSigned);
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
    try {
      const values = [undefined, null, 0, '', 'false'] as unknown as boolean[];
      for (const verify of values) await expect(talk(url, { verify })).rejects.toEqual(code('untrusted'));
      await expect(talk(url, { check: () => undefined })).rejects.toEqual(code('untrusted'));
    } finally {
      vi.unstubAllEnvs();
    }
  });

  test('a required client certificate: none and a stranger are refused, ours is named to the server', async () => {
    const url = await serve(scheme, { ...server, ca, requestClientCertificate: true });
    await expect(talk(url, { ca })).rejects.toThrow();
    await expect(talk(url, { ca, ...stranger })).rejects.toThrow();
    expect(accepted).toHaveLength(0);
    expect(faults.length).toBeGreaterThan(0);
    await talk(url, { ca, ...client });
    expect(accepted[0]?.channel.peer.certificate).toEqual({ authorized: true, subject: 'worker' });
  });

  test('an optional client certificate: none is fine, a stranger is still refused', async () => {
    const url = await serve(scheme, { ...server, ca, requestClientCertificate: 'optional' });
    await talk(url, { ca });
    expect(accepted[0]?.channel.peer.certificate).toBeUndefined();
    await expect(talk(url, { ca, ...stranger })).rejects.toThrow();
    expect(accepted).toHaveLength(1);
    expect(faults.map((fault) => fault.code)).toEqual([scheme === 'wss' ? 'denied' : 'untrusted']);
    await talk(url, { ca, ...client });
    expect(accepted[1]?.channel.peer.certificate?.authorized).toBe(true);
  });

  test('an encrypted key opens with its passphrase, and a wrong one is a handshake error', async () => {
    const url = await serve(scheme, { ...server, ca, requestClientCertificate: true });
    await talk(url, { ca, cert: client.cert, key: lockedKey, passphrase: 'sesame' });
    const wrong = { ca, cert: client.cert, key: lockedKey, passphrase: 'wrong' };
    await expect(talk(url, wrong)).rejects.toEqual(code('handshake'));
    await expect(talk(url, { ...wrong, check: () => undefined })).rejects.toEqual(code('handshake'));
  });

  test('a peer that does not speak TLS is a handshake error', async () => {
    const plain = await listen('tcp://127.0.0.1:0', {}, (channel) => {
      channel.open(new Owner(channel, { opened: false }));
      channel.write(utf8('STOMP here\n\n'));
    });
    const url = `${scheme}://${plain.url.slice('stomp://'.length)}`;
    await expect(talk(url, { ca })).rejects.toEqual(code('handshake'));
    await plain.close();
  });

  test('a listener without a certificate, or asking for clients without an authority, is refused at once', async () => {
    await expect(listen(`${scheme}://127.0.0.1:0`, {}, () => {})).rejects.toEqual(code('untrusted'));
    const blind = { ...server, requestClientCertificate: true };
    await expect(listen(`${scheme}://127.0.0.1:0`, { tls: blind }, () => {})).rejects.toThrow('needs tls.ca');
    const broken = { cert: 'not a certificate', key: 'not a key' };
    await expect(listen(`${scheme}://127.0.0.1:0`, { tls: broken }, () => {})).rejects.toEqual(code('handshake'));
  });
});

test("a refused client certificate is called unauthorized on the client's channel", async () => {
  const url = await serve('stomp+ssl', { ...server, ca, requestClientCertificate: true });
  const owner = new Owner(await dial(url, { tls: { ca } })); // TLS 1.3: the verdict comes after the handshake
  expect((await owner.whenClosed()).error?.code).toBe('unauthorized');
});

test('a handshake that does not end in time is dropped', async () => {
  let told: (fault: TransportError) => void = () => {};
  const fault = new Promise<TransportError>((resolve) => {
    told = resolve;
  });
  const options = { tls: server, handshakeTimeoutMs: 50, onFault: (error: TransportError): void => told(error) };
  listener = await listen('stomp+ssl://127.0.0.1:0', options, () => {});
  const mute = connectTcp(Number(new URL(listener.url).port), '127.0.0.1');
  mute.on('error', () => {});
  expect((await fault).code).toBe('handshake');
  mute.destroy();
});

test('TLS half-close is told as ended, and the answer still goes out', async () => {
  const url = await serve('stomp+ssl', server);
  const port = Number(new URL(url).port);
  const options = { port, host: 'localhost', ca, allowHalfOpen: true };
  const socket = connect(options);
  let heard = '';
  const finished = new Promise((resolve) => socket.on('end', resolve));
  socket.on('data', (bytes) => {
    heard += String(bytes);
  });
  socket.end('ask');
  await finished;
  expect(heard).toBe('ask');
});
