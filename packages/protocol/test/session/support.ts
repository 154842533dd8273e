// What the tests of sessions share: ways to connect, ways to say things, and what came of it.

import {
  ClientSession,
  type ClientSessionOptions,
  Content,
  Encoder,
  frame,
  NameSet,
  type ServerEvent,
  ServerSession,
  type ServerSessionOptions,
  StompError,
  type Version,
} from '@stompbox/protocol';
import { hear, only } from 'testkit';

export const NO_BEATS = { send: 0, expect: 0 } as const;

/** what a producer may not say to a consumer. */
export const RESERVED: NameSet = new NameSet([
  'subscription',
  'message-id',
  'ack',
  'redelivered',
  'destination',
  'receipt',
  'receipt-id',
  'transaction',
  'session',
  'server',
  'version',
  'heart-beat',
]);

export function scratch(): Encoder {
  return new Encoder({ version: '1.2', unrepresentable: 'replace' });
}

export function text(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
}

export function bytes(content: string): Uint8Array {
  return new TextEncoder().encode(content);
}

/** A server that has let a client in. */
export function serving<Item = string>(version: Version, options: ServerSessionOptions = {}): ServerSession<Item> {
  const server = new ServerSession<Item>({ heartBeat: NO_BEATS, ...options }, 0);
  only(hear(server, `CONNECT\naccept-version:${version}\nhost:h\n\n\0`), 'connect');
  server.accept({}, 0);
  server.take(0);
  return server;
}

/** A client that a server has let in. */
export function served(version: Version, options: ClientSessionOptions = {}): ClientSession {
  const client = new ClientSession({ heartBeat: NO_BEATS, ...options, versions: options.versions ?? [version] }, 0);
  client.connect({ host: 'h' });
  client.take(0);
  only(hear(client, `CONNECTED\nversion:${version}\n\n\0`), 'connected');
  return client;
}

/** The one SUBSCRIBE, carried out; the subscription it opened. */
export function subscribe<Item>(
  server: ServerSession<Item>,
  headers: string,
): Extract<ServerEvent<Item>, { type: 'subscribe' }>['subscription'] {
  return only(hear(server, `SUBSCRIBE\n${headers}\n\n\0`), 'subscribe').subscription;
}

export function content(body = 'hello', headers: Readonly<Record<string, string>> = {}): Content {
  return Content.of(frame('SEND', { destination: '/q', ...headers }, body), RESERVED, scratch());
}

/** Delivers one message and answers the MESSAGE as a client reads it. */
export function deliver(
  server: ServerSession<string>,
  subscription: Parameters<ServerSession<string>['message']>[0],
  item: string,
  id = 7,
): { readonly wire: string; get(name: string): string | undefined } {
  server.take(0);
  server.message(subscription, { id, destination: '/q', content: content(), redeliveries: 0 }, item);
  const wire = text(server.take(0));
  return {
    wire,
    get: (name) => new RegExp(`^${name}:(.*)$`, 'm').exec(wire)?.[1]?.replaceAll('\\c', ':'),
  };
}

/** How a client of that version acknowledges that MESSAGE. */
export function ackOf(
  version: Version,
  message: { get(name: string): string | undefined },
  command: 'ACK' | 'NACK' = 'ACK',
  more = '',
): string {
  const id = version === '1.2' ? `id:${message.get('ack')}` : `message-id:${message.get('message-id')}`;
  const subscription = version === '1.1' ? `subscription:${message.get('subscription')}\n` : '';
  return `${command}\n${id}\n${subscription}${more}\n\0`;
}

/** `code rule` of the fault these bytes are, which must be the last event. */
export function faultOf(heard: readonly { readonly type: string }[]): string {
  const last = heard.at(-1);
  if (last?.type !== 'fault' || !('error' in last)) return `no fault: [${heard.map(({ type }) => type).join(', ')}]`;
  const { error } = last;
  return error instanceof StompError && 'rule' in error ? `${error.code} ${String(error.rule)}` : String(error);
}

/** The code of the UsageError that the call throws, and that nothing was written by it. */
export function refused(client: ClientSession, call: () => void): string {
  const before = client.pending;
  try {
    call();
  } catch (error) {
    if (!(error instanceof StompError)) throw error;
    return client.pending === before ? error.code : `${error.code}, and ${client.pending - before} bytes were written`;
  }
  return 'nothing was thrown';
}
