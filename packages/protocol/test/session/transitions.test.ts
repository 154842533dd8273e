// Every (state, role, command): a move, or the refusal of a real session in that state.

import {
  CLIENT_COMMANDS,
  ClientSession,
  type Command,
  Frame,
  frame,
  Headers,
  move,
  type Role,
  SERVER_COMMANDS,
  ServerSession,
  type State,
  TRANSITIONS,
  UsageError,
} from '@stompbox/protocol';
import { hear } from 'testkit';
import { describe, expect, test } from 'vitest';
import { deliver, faultOf, NO_BEATS } from './support.ts';

const STATES: readonly State[] = ['opening', 'connecting', 'connected', 'disconnecting', 'closed'];
const COMMANDS: readonly Command[] = [...CLIENT_COMMANDS, ...SERVER_COMMANDS];

// One whole and legal frame of each command, as it is said after `prepared`.
const SAID: Readonly<Record<Command, string>> = {
  CONNECT: 'accept-version:1.2\nhost:h\n',
  STOMP: 'accept-version:1.2\nhost:h\n',
  SEND: 'destination:/q\n',
  SUBSCRIBE: 'id:fresh\ndestination:/q\n',
  UNSUBSCRIBE: 'id:spare\n',
  ACK: 'id:0.0\n',
  NACK: 'id:0.0\n',
  BEGIN: 'transaction:fresh\n',
  COMMIT: 'transaction:open\n',
  ABORT: 'transaction:open\n',
  DISCONNECT: '',
  CONNECTED: 'version:1.2\n',
  MESSAGE: 'destination:/q\nmessage-id:1\nsubscription:s\nack:a\n',
  RECEIPT: 'receipt-id:r\n',
  ERROR: 'message:no\n',
};

/** A server in that state, with a delivery to settle, a subscription to end and a transaction open where it can have them. */
function serverIn(state: State): ServerSession<string> {
  const server = new ServerSession<string>({ heartBeat: NO_BEATS }, 0);
  if (state === 'opening') return server;
  hear(server, 'CONNECT\naccept-version:1.2\nhost:h\n\n\0');
  if (state === 'connecting') return server;
  server.accept({}, 0);
  hear(server, 'SUBSCRIBE\nid:s\ndestination:/q\nack:client\n\n\0SUBSCRIBE\nid:spare\ndestination:/q\n\n\0');
  hear(server, 'BEGIN\ntransaction:open\n\n\0');
  const subscription = server.subscriptions.get('s');
  if (subscription === undefined) throw new Error('no subscription');
  deliver(server, subscription, 'item');
  if (state === 'disconnecting') hear(server, 'DISCONNECT\n\n\0');
  if (state === 'closed') server.close();
  return server;
}

function clientIn(state: State): ClientSession {
  const client = new ClientSession({ heartBeat: NO_BEATS, versions: ['1.2'] }, 0);
  if (state === 'opening') return client;
  client.connect({ host: 'h' });
  if (state === 'connecting') return client;
  hear(client, 'CONNECTED\nversion:1.2\n\n\0');
  client.send(frame('SUBSCRIBE', { id: 's', destination: '/q', ack: 'client' }));
  client.send(frame('SUBSCRIBE', { id: 'spare', destination: '/q' }));
  client.send(frame('BEGIN', { transaction: 'open' }));
  hear(client, 'MESSAGE\ndestination:/q\nmessage-id:0\nsubscription:s\nack:0.0\n\n\0');
  if (state === 'disconnecting') client.send(frame('DISCONNECT', {}));
  if (state === 'closed') client.close();
  return client;
}

function headersOf(command: Command): Headers {
  const lines = SAID[command].split('\n').filter((line) => line !== '');
  return Headers.from(
    lines.map((line): [string, string] => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon), line.slice(colon + 1)];
    }),
  );
}

describe('transitions: every (state, speaker, command) is a move, a refusal, or silence', () => {
  for (const state of STATES) {
    for (const command of COMMANDS) {
      const said = `${command}\n${SAID[command]}\n\0`;
      const byClient = move(state, 'client', command);
      const byServer = move(state, 'server', command);

      // A server reads on after CONNECT only when it has answered, and never after DISCONNECT (M-76, C-73).
      const deaf = state === 'connecting' || state === 'disconnecting' || state === 'closed';
      test(`a server that is ${state} hears ${command}: ${deaf ? 'nothing' : (byClient ?? 'unexpected-frame')}`, () => {
        const server = serverIn(state);
        const heard = hear(server, said);
        if (deaf) expect([heard, server.state]).toEqual([[], state]);
        else if (byClient === undefined) expect(faultOf(heard)).toMatch(/^unexpected-frame (N-18|M-44|M-45)$/);
        else expect([heard.length, heard[0]?.type === 'fault', server.state]).toEqual([1, false, byClient]);
        expect(hear(server, 'SEND\ndestination:/q\n\n\0').length, 'more').toBe(
          byClient !== undefined && server.state === 'connected' ? 1 : 0,
        );
      });

      test(`a client that is ${state} hears ${command}: ${state === 'closed' ? 'nothing' : (byServer ?? 'unexpected-frame')}`, () => {
        const client = clientIn(state);
        const heard = hear(client, said);
        if (state === 'closed') expect(heard).toEqual([]);
        else if (byServer === undefined) {
          expect([faultOf(heard), client.state]).toEqual(['unexpected-frame N-20', 'closed']);
          expect(hear(client, said)).toEqual([]);
        } else expect([heard.length, heard[0]?.type === 'fault', client.state]).toEqual([1, false, byServer]);
      });

      test(`a client that is ${state} says ${command}: ${byClient ?? 'UsageError'}`, () => {
        const client = clientIn(state);
        client.take(0);
        const say = () => client.send(new Frame(command, headersOf(command)));
        if (byClient === undefined) {
          expect(say).toThrow(UsageError);
          expect([client.pending, client.state]).toEqual([0, state]);
        } else {
          say();
          expect(client.pending).toBeGreaterThan(0);
          expect(client.state).toBe(byClient);
        }
      });
    }
  }

  test('a server says nothing that its column of the table forbids once the session has ended (C-73)', () => {
    const server = serverIn('connected');
    const subscription = server.subscriptions.get('s');
    if (subscription === undefined) throw new Error('no subscription');
    server.error({ code: 'bad-header', message: 'no' });
    server.take(0);
    server.receipt('r');
    server.error({ code: 'bad-header', message: 'again' });
    server.accept({}, 0);
    expect([server.pending, server.state]).toEqual([0, 'closed']);
  });

  test('no move leads out of closed, and ERROR leads there from everywhere', () => {
    const roles: readonly Role[] = ['client', 'server'];
    for (const role of roles) expect(Object.keys(TRANSITIONS.closed[role])).toEqual([]);
    for (const state of STATES) expect(move(state, 'server', 'ERROR')).toBe(state === 'closed' ? undefined : 'closed');
  });
});
