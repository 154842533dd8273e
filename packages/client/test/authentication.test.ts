// Who we are was refused, or something else went wrong (P3). The words are those that brokers were seen to say; of the real
// RabbitMQ and ActiveMQ tests/real-peers/authentication.test.ts asks them again.

import { frame } from '@stompbox/protocol';
import { parseEndpoint, TransportError } from '@stompbox/transport';
import { expect, test } from 'vitest';
import { BrokerError, ConnectionLost, TimeoutError } from '../src/errors.ts';
import { AuthenticationError, isAuthenticationFailure } from '../src/managed/authentication.ts';

function said(message: string, body = ''): BrokerError {
  return new BrokerError(frame('ERROR', { message }, body));
}

for (const [broker, message, body] of [
  ['RabbitMQ', 'Bad CONNECT', "Access refused for user 'guest'\n"],
  ['RabbitMQ', 'Bad CONNECT', "Virtual host '/no-such' access denied"],
  ['ActiveMQ', 'User name [guest] or password is invalid.', 'User name [guest] or password is invalid.'],
  ['Artemis', 'Security Error occurred: User name [app] or password is invalid', ''],
  ['Artemis', 'AMQ229031: Unable to validate user from 10.0.0.9:51234. Username: app', ''],
  [
    'Spring 4',
    'Failed to send message to ExecutorSubscribableChannel[clientInboundChannel]; nested exception is org.springframework.security.access.AccessDeniedException: Access is denied',
    '',
  ],
  ['Spring 6', 'Failed to send message to ExecutorSubscribableChannel[clientInboundChannel]', ''],
  ['Stompbox', 'the login was refused', ''],
  ['Vert.x', 'Authentication failed', 'The connection frame does not contain valid credentials.'],
  ['somebody', 'Unauthorized', ''],
  ['somebody', 'connect failed', 'JWT expired at 2026-11-20T20:00:00Z'],
  ['somebody', 'Invalid token', ''],
] as const) {
  test(`P3: ${broker}: ${JSON.stringify(message)} ${JSON.stringify(body)} is about who we are`, () => {
    expect(isAuthenticationFailure(said(message, body))).toBe(true);
  });
}

for (const [broker, message, body] of [
  ['RabbitMQ', 'Version mismatch', 'Supported versions are 1.0,1.1,1.2'],
  ['ActiveMQ', 'Broker: b - Client: c1 already connected from tcp://127.0.0.1:5', 'java.lang.Exception'],
  [
    'Spring',
    'Failed to send message to ExecutorSubscribableChannel[clientInboundChannel]',
    'MessageDeliveryException: Message broker not active',
  ],
  ['Stompbox', 'limit', 'no more than 100 connections (maxConnections)'],
  ['Stompbox', 'closing', 'the broker is shutting down'],
  ['anybody', '', ''],
] as const) {
  test(`${broker}: ${JSON.stringify(message)} is not`, () => {
    expect(isAuthenticationFailure(said(message, body))).toBe(false);
  });
}

test('P27: what a server answers instead of a WebSocket is told from a network fault, also as a cause', () => {
  const unauthorized = new TransportError('unauthorized', 'ws://a/: the server answered 401', { status: 401 });
  expect(isAuthenticationFailure(unauthorized)).toBe(true);
  expect(isAuthenticationFailure(new ConnectionLost('unreachable', 'so it is', { cause: unauthorized }))).toBe(true);
  const refused = new TransportError('refused', 'nobody listens');
  expect(isAuthenticationFailure(new ConnectionLost('unreachable', 'so it is', { cause: refused }))).toBe(false);
  expect(isAuthenticationFailure(new TransportError('untrusted', 'its certificate has expired'))).toBe(false);
});

test('silence, and what is no error at all, are not about who we are', () => {
  expect(isAuthenticationFailure(new TimeoutError('CONNECTED', 10))).toBe(false);
  expect(isAuthenticationFailure('Unauthorized')).toBe(false);
  expect(isAuthenticationFailure(undefined)).toBe(false);
});

test('errors that cause each other in a circle are an answer like any other', () => {
  const a = new Error('a');
  a.cause = new Error('b', { cause: a });
  expect(isAuthenticationFailure(a)).toBe(false);
});

test('an AuthenticationError names the endpoint without its secrets, and keeps what the broker said', () => {
  const cause = said('Bad CONNECT', "Access refused for user 'app'");
  const error = new AuthenticationError(parseEndpoint('wss://app:s3cret@a/stomp?token=t0p'), cause);
  expect(error).toMatchObject({ code: 'authentication', endpoint: 'wss://a/stomp', cause });
  expect(error.message).toContain("Access refused for user 'app'");
  expect(error.message).not.toMatch(/s3cret|t0p/);
  expect(isAuthenticationFailure(error)).toBe(true);
});
