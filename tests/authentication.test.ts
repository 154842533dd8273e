// Our own broker and our own client: a refused login is told from a fault of the network (P3, P27).

import { createBroker, passcodes } from '@stompbox/broker';
import { type ConnectionOptions, connect, isAuthenticationFailure } from '@stompbox/client';
import { expect, onTestFinished, test } from 'vitest';
import { makeCertificates } from '../packages/transport/test/certificates.ts';

async function refusal(url: string, options: ConnectionOptions): Promise<unknown> {
  return connect(url, options).then(
    () => {
      throw new Error('it was let in');
    },
    (error: unknown) => error,
  );
}

for (const scheme of ['tcp', 'ws']) {
  test(`P3: a wrong passcode over ${scheme}, whatever the version`, async () => {
    const broker = await createBroker({
      listen: [`${scheme}://127.0.0.1:0`],
      authenticate: passcodes({ app: 'right' }),
    });
    onTestFinished(async () => void (await broker.close()));
    const [url = ''] = broker.urls;
    const wrongs: ConnectionOptions[] = [
      { login: 'app', passcode: 'wrong', versions: ['1.0'] },
      { login: 'nobody', passcode: 'x', versions: ['1.1'] },
      { versions: ['1.2'] },
    ];
    for (const wrong of wrongs) {
      const error = await refusal(url, wrong);
      expect(error).toMatchObject({
        code: 'broker-error',
        message: expect.stringContaining('the login was refused'),
      });
      expect(isAuthenticationFailure(error)).toBe(true);
    }
  });
}

test('P27: a page of a foreign origin is told so before STOMP begins', async () => {
  const broker = await createBroker({ listen: ['ws://127.0.0.1:0'] });
  onTestFinished(async () => void (await broker.close()));
  const [url = ''] = broker.urls;
  const error = await refusal(url, { webSocket: { headers: { Origin: 'http://evil.example' } } });
  expect(error).toMatchObject({ code: 'unreachable', cause: { code: 'unauthorized', status: 403 } });
  expect(isAuthenticationFailure(error)).toBe(true);
});

for (const scheme of ['stomp+ssl', 'wss']) {
  test(`P3: over ${scheme}, no certificate where the broker wants one`, async () => {
    const { ca, server } = makeCertificates();
    const tls = { ...server, ca, requestClientCertificate: true };
    const broker = await createBroker({
      listen: [`${scheme}://127.0.0.1:0`],
      tls,
      authenticate: passcodes({}),
    });
    onTestFinished(async () => void (await broker.close()));
    const [url = ''] = broker.urls;
    const error = await refusal(url, { tls: { ca } });
    expect(error).toMatchObject({ name: 'ConnectionLost', cause: { code: 'unauthorized' } });
    expect(isAuthenticationFailure(error)).toBe(true);
    const foreign = await refusal(url, {});
    expect(foreign).toMatchObject({ name: 'ConnectionLost', cause: { code: 'untrusted' } });
    expect(isAuthenticationFailure(foreign)).toBe(false);
  });
}
