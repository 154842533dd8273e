// Garbage and damaged conversations into either role.

import { type ClientSession, frame, ServerSession, UsageError, VERSIONS, type Version } from '@stompbox/protocol';
import fc from 'fast-check';
import { cuts, hear, inPieces, type Listener } from 'testkit';
import { expect, test } from 'vitest';
import { bytes, content, served, serving } from './support.ts';

interface Event {
  readonly type: string;
}

const CLIENT_SAYS: readonly string[] = [
  'CONNECT\naccept-version:1.0,1.1,1.2\nhost:h\nheart-beat:10,10\n\n\0',
  'SUBSCRIBE\nid:1\ndestination:/q\nack:client\nreceipt:r\n\n\0',
  'SUBSCRIBE\nid:2\ndestination:/q\nack:client-individual\n\n\0',
  'SEND\ndestination:/q\ncontent-length:3\nfoo:a\\cb\n\na\0b\0',
  'SEND\r\ndestination:/q\r\n\r\nbody\0\r\n',
  'ACK\nid:0.0\nmessage-id:1@0.0\nsubscription:1\n\n\0',
  'NACK\nid:1.1\nmessage-id:1@1.1\nsubscription:2\n\n\0',
  'BEGIN\ntransaction:t\n\n\0',
  'SEND\ndestination:/q\ntransaction:t\n\nx\0',
  'ACK\nid:0.0\nmessage-id:1@0.0\nsubscription:1\ntransaction:t\n\n\0',
  'COMMIT\ntransaction:t\n\n\0',
  'ABORT\ntransaction:t\n\n\0',
  'UNSUBSCRIBE\nid:1\n\n\0',
  '\n',
  'DISCONNECT\nreceipt:bye\n\n\0',
];

const SERVER_SAYS: readonly string[] = [
  'CONNECTED\nversion:1.2\nheart-beat:10,10\n\n\0',
  'MESSAGE\nsubscription:1\ndestination:/q\nmessage-id:1\nack:a\ncontent-length:2\n\nhi\0',
  'MESSAGE\nsubscription:2\ndestination:/q\nmessage-id:2\n\n\0',
  'MESSAGE\ndestination:/q\nmessage-id:1@0.0\nfoo:a\\nb\n\nlonger than ten bytes\0',
  'RECEIPT\nreceipt-id:r\n\n\0',
  '\n',
  'ERROR\nmessage:no\ncontent-length:4\n\nbody\0',
];

/** A conversation with a few octets changed, lost or planted. */
function damaged(says: readonly string[]): fc.Arbitrary<Uint8Array> {
  const octet = fc.oneof(fc.constantFrom(0, 10, 13, 58, 92, 32, 64, 128, 255), fc.nat(255));
  const change = fc.tuple(fc.nat(), fc.constantFrom('set', 'cut', 'plant'), octet);
  return fc
    .tuple(fc.array(fc.constantFrom(...says), { maxLength: 10 }), fc.array(change, { maxLength: 4 }))
    .map(([frames, changes]) => {
      const stream = [...bytes(frames.join(''))];
      for (const [where, how, value] of changes) {
        const at = stream.length === 0 ? 0 : where % stream.length;
        stream.splice(at, how === 'plant' ? 0 : 1, ...(how === 'cut' ? [] : [value]));
      }
      return Uint8Array.from(stream);
    });
}

const garbage = fc.uint8Array({ maxLength: 120 });
const version = fc.constantFrom(...VERSIONS);

/** Events, of which a fault is the last there ever is. */
function outcome(session: Listener<Event>, chunks: readonly Uint8Array[], answer: (event: Event) => void): string[] {
  const types: string[] = [];
  for (const chunk of chunks) {
    session.receive(chunk, 0);
    for (let event = session.next(0); event !== undefined; event = session.next(0)) {
      types.push(event.type);
      answer(event);
    }
  }
  const fault = types.indexOf('fault');
  expect(fault === -1 || fault === types.length - 1).toBe(true);
  if (fault !== -1) expect(hear(session, CLIENT_SAYS.join('') + SERVER_SAYS.join(''))).toEqual([]);
  return types;
}

function server(of: Version | undefined): [ServerSession<string>, (event: Event) => void] {
  const session = of === undefined ? new ServerSession<string>({}, 0) : serving<string>(of);
  return [
    session,
    (event) => {
      if (event.type === 'connect') session.accept({}, 0);
      for (const subscription of session.subscriptions.values()) {
        if (event.type === 'subscribe')
          session.message(subscription, { id: 1, destination: '/q', content: content(), redeliveries: 0 }, 'item');
      }
      expect(session.tick(0)).toBeUndefined();
    },
  ];
}

function client(of: Version): ClientSession {
  const session = served(of, { streamBodiesOver: 10 });
  for (const [id, ack] of [
    ['1', 'client'],
    ['2', 'auto'],
  ] as const)
    session.send(frame('SUBSCRIBE', { id, destination: '/q', ack }));
  return session;
}

const bothStates = fc.option(version, { nil: undefined });

for (const [what, input] of [
  ['garbage', garbage],
  ['a damaged conversation', damaged(CLIENT_SAYS)],
  ['what a server would say', damaged(SERVER_SAYS)],
] as const) {
  test(`fuzz: ${what} is heard or refused by a server, never anything else, the same however it is cut`, () => {
    fc.assert(
      fc.property(bothStates, input, fc.integer({ min: 1, max: 9 }), (of, stream, size) => {
        const whole = outcome(...withChunks(server(of), [stream]));
        expect(outcome(...withChunks(server(of), inPieces(stream, size)))).toEqual(whole);
      }),
      { numRuns: 4000 },
    );
  });
}

for (const [what, input] of [
  ['garbage', garbage],
  ['a damaged conversation', damaged(SERVER_SAYS)],
  ['what a client would say', damaged(CLIENT_SAYS)],
] as const) {
  test(`fuzz: ${what} is heard or refused by a client, never anything else, the same however it is cut`, () => {
    const quiet = () => {};
    const noPieces = (types: readonly string[]) => types.filter((type) => type !== 'piece');
    fc.assert(
      fc.property(version, input, fc.integer({ min: 1, max: 9 }), (of, stream, size) => {
        const whole = outcome(client(of), [stream.slice()], quiet);
        expect(noPieces(outcome(client(of), inPieces(stream, size), quiet))).toEqual(noPieces(whole));
      }),
      { numRuns: 4000 },
    );
  });
}

test('fuzz: any frame a caller gives a client is written and entered, or refused with a UsageError and nothing happened', () => {
  const name = fc.constantFrom(
    'id',
    'destination',
    'transaction',
    'ack',
    'message-id',
    'subscription',
    'receipt',
    'heart-beat',
  );
  const value = fc.constantFrom('', '1', '2', 'a', 't', 'client', '/q', '5,5', 'x\ny', 'x\0y', 'x\ry', '\ud800');
  const command = fc.constantFrom(
    ...(['CONNECT', 'SEND', 'SUBSCRIBE', 'UNSUBSCRIBE', 'ACK', 'NACK', 'BEGIN', 'COMMIT', 'ABORT', 'RECEIPT'] as const),
  );
  const call = fc.tuple(command, fc.array(fc.tuple(name, value), { maxLength: 5 }));
  const books = (session: ClientSession) => [
    session.state,
    session.pending,
    [...session.receipts],
    [...session.subscriptions.values()].map((one) => [one.id, [...one.owed.values()].map((owed) => owed.transaction)]),
  ];
  fc.assert(
    fc.property(version, fc.array(call, { maxLength: 12 }), (of, calls) => {
      const session = client(of);
      hear(session, 'MESSAGE\nsubscription:1\ndestination:/q\nmessage-id:a\nack:a\n\n\0');
      for (const [said, headers] of calls) {
        const before = books(session);
        try {
          session.send(frame(said, headers));
          expect(session.pending).toBeGreaterThan(Number(before[1]));
        } catch (error) {
          expect(error).toBeInstanceOf(UsageError);
          expect(books(session)).toEqual(before);
        }
      }
      // And a server of ours takes what was written: it is legal, and parses.
      const peer = serving<string>(of, { leniency: { ignoreUnknownAck: true } });
      const heard = hear(peer, session.take(0));
      expect(heard.filter((event) => event.type === 'fault' && !event.error.message.includes('already'))).toEqual([]);
    }),
    { numRuns: 2000 },
  );
});

function withChunks(
  [session, answer]: [ServerSession<string>, (event: Event) => void],
  chunks: readonly Uint8Array[],
): Parameters<typeof outcome> {
  return [session, chunks.map((chunk) => chunk.slice()), answer];
}

test('the conversations that are damaged here are whole ones to begin with', () => {
  for (const cut of cuts(64)) {
    const [session, answer] = server(undefined);
    expect(outcome(session, cut.of(bytes(CLIENT_SAYS.join(''))), answer).slice(0, 4)).toEqual([
      'connect',
      'subscribe',
      'subscribe',
      'send',
    ]);
  }
});
