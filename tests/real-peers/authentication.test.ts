// What real brokers say to a wrong login, and that the client tells it from a fault of the network (P3).

import { BrokerError, ConnectionLost, connect, isAuthenticationFailure } from '@stompbox/client';
import type { PeerAddress } from 'testkit/peers';
import { describe, expect, test } from 'vitest';
import { activeMq, rabbitMq, withPeer } from './peers.ts';

type Login = { readonly login?: string; readonly passcode?: string; readonly host?: string };

/** What connecting rejects with. */
async function refusal({ ca }: PeerAddress, url: string, options: Login & { version: string }): Promise<unknown> {
  const { version, ...login } = options;
  try {
    const connection = await connect(url, { host: '/', ...login, versions: [version as '1.2'], tls: { ca } });
    await connection.disconnect();
  } catch (error) {
    return error;
  }
  throw new Error(`${url} let ${JSON.stringify(login)} in`);
}

function wrongLogins(
  peer: PeerAddress,
  transports: readonly string[],
  words: RegExp,
  more: readonly Login[] = [],
): void {
  const { login } = peer;
  for (const transport of transports) {
    describe.each(['1.0', '1.1', '1.2'])(`over ${transport}, STOMP %s`, (version) => {
      test.each([{ login, passcode: 'wrong' }, { login: 'nobody', passcode: 'x' }, ...more])(
        'P3: %j',
        async (wrong) => {
          const url = peer.urls[transport as 'tcp'];
          const error = await refusal(peer, url, { ...wrong, version });
          expect(isAuthenticationFailure(error)).toBe(true);
          expect(error).toBeInstanceOf(BrokerError);
          expect((error as BrokerError).message).toMatch(words);
        },
      );
    });
  }
}

withPeer('RabbitMQ', rabbitMq, (peer) => {
  wrongLogins(peer, ['tcp', 'tls', 'ws'], /Bad CONNECT.*(Access refused for user|access denied)/, [
    { login: peer.login, passcode: '' },
    { login: peer.login, passcode: peer.passcode, host: '/no-such-host' },
  ]);

  test('a version it does not speak, or a port where nobody listens, is no matter of who we are', async () => {
    const { url, wait } = { url: 'stomp://127.0.0.1:1', wait: { connectTimeoutMs: 5_000 } };
    const nobody = await connect(url, wait).catch((error: unknown) => error);
    expect(nobody).toBeInstanceOf(ConnectionLost);
    expect(isAuthenticationFailure(nobody)).toBe(false);
  });

  test('P19: its WebSocket is not where SockJS had it, and the error says where it is', async () => {
    const url = (peer.urls.ws ?? '').replace(/\/ws$/, '/stomp/websocket');
    const error = await refusal(peer, url, { version: '1.2' });
    expect(error).toMatchObject({
      code: 'unreachable',
      message: expect.stringContaining('404 Not Found; RabbitMQ has its WebSocket at /ws'),
      cause: { status: 404 },
    });
    expect(isAuthenticationFailure(error)).toBe(false);
  });

  test('P6: a frame in several messages arrives whole', async () => {
    const connection = await connect(peer.urls.ws ?? '', {
      ...{ login: peer.login, passcode: peer.passcode, host: '/' },
      webSocket: { splitOver: 1_000 },
    });
    const subscription = connection.subscribe('/queue/split');
    await subscription.ready;
    const body = 'aπ€😀'.repeat(10_000);
    await connection.send('/queue/split', body);
    for await (const message of subscription) {
      expect(message.text()).toBe(body);
      break;
    }
    await connection.disconnect();
  });
});

withPeer('ActiveMQ', activeMq, (peer) => {
  wrongLogins(peer, ['tcp', 'tls'], /User name \[\w+\] or password is invalid/, [{}]);

  test('P3: over stomp+nio it may close without a word; what it says is understood', async () => {
    const wrong = { login: peer.login, passcode: 'wrong', version: '1.2' };
    const error = await refusal(peer, peer.urls.nio ?? '', wrong);
    const isMute = error instanceof ConnectionLost;
    expect(isAuthenticationFailure(error)).toBe(!isMute);
  });
});
