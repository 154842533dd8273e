// Our own broker and our own client: a refused login is told from a fault of the network (P3, P27).

import { createBroker, passcodes } from '@stompbox/broker';
import { type ConnectionOptions, connect, isAuthenticationFailure } from '@stompbox/client';
import { expect, onTestFinished, test } from 'vitest';

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
    for (const version of ['1.0', '1.1', '1.2'] as const) {
      for (const wrong of [{ login: 'app', passcode: 'wrong' }, { login: 'nobody', passcode: 'x' }, {}]) {
        const error = await refusal(url, { ...wrong, versions: [version] });
        expect(error).toMatchObject({
          code: 'broker-error',
          message: expect.stringContaining('the login was refused'),
        });
        expect(isAuthenticationFailure(error)).toBe(true);
      }
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
