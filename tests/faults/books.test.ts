// The books themselves: each lie that a client or a broker could tell is found out.

import { ConnectionLost } from '@stompbox/client';
import { frame } from '@stompbox/protocol';
import { expect, test } from 'vitest';
import { Books, type Sent } from './books.ts';

const STRICT = { marksRedelivered: 'always', atomic: true } as const;
const lost = (outcome: 'unknown' | 'unsent') => new ConnectionLost('reset', 'it broke', { outcome });

function opened() {
  const books = new Books(STRICT);
  const line = books.line();
  const come = (sent: Sent, { redelivered = false, on = line, body = books.bodyOf(sent) } = {}) =>
    books.delivered({ headers: new Map([['book-id', sent.id]]), bytes: body, redelivered }, on);
  return { books, line, come, send: () => books.sends('p', 100) };
}

test('what went well is no problem', async () => {
  const { books, line, come, send } = opened();
  const [one, two, three] = [send(), send(), send()];
  books.confirmed(one);
  books.failed(lost('unknown'), two);
  books.failed(lost('unsent'), three);
  expect(books.missing).toBe(1);
  come(one);
  expect(books.missing).toBe(0);
  await books.acks(one, line, Promise.resolve());
  await books.acksLate(two, Promise.reject(lost('unsent')));
  expect(books.close()).toMatchObject({
    sends: 3,
    confirmed: 1,
    unknown: 1,
    unsent: 1,
    delivered: 1,
    acks: 1,
    stale: 1,
  });
  expect(books.problems).toEqual([]);
});

const LIES: readonly [found: RegExp, lie: (table: ReturnType<typeof opened>) => unknown][] = [
  [/was confirmed, and is lost/, ({ books, send }) => books.confirmed(send())],
  [/has no outcome/, ({ send }) => send()],
  [
    /confirmed and then unknown/,
    ({ books, send, come }) => {
      const sent = send();
      books.confirmed(sent);
      come(sent);
      books.failed(lost('unknown'), sent);
    },
  ],
  [
    /is unsent, and comes/,
    ({ books, send, come }) => {
      const sent = send();
      books.failed(lost('unsent'), sent);
      come(sent);
    },
  ],
  [
    /was seen, and is unsent/,
    ({ books, send, come }) => {
      const sent = send();
      come(sent);
      books.failed(lost('unsent'), sent);
    },
  ],
  [/failed with something else/, ({ books, send }) => books.failed(new TypeError('x'), send())],
  [/that nobody sent/, ({ come }) => come({ ...new Books(STRICT).sends('stranger', 1) })],
  [/with another body/, ({ send, come }) => come(send(), { body: Buffer.from('no') })],
  [
    /comes again, and is not marked/,
    ({ send, come }) => {
      const sent = send();
      come(sent);
      come(sent);
    },
  ],
  [
    /comes back after its ACK/,
    async ({ books, line, send, come }) => {
      const sent = send();
      come(sent);
      await books.acks(sent, line, Promise.resolve());
      come(sent, { redelivered: true, on: books.line() });
    },
  ],
  [/acked after its connection/, ({ books, send }) => books.acksLate(send(), Promise.resolve())],
  [/late ACK of .* failed with/, ({ books, send }) => books.acksLate(send(), Promise.reject(new Error('x')))],
  [/the ACK of .* failed with/, ({ books, line, send }) => books.acks(send(), line, Promise.reject(new Error('x')))],
  [
    /half a transaction: p\.0 happened, p\.1 not/,
    ({ books, send, come }) => {
      const members = [send(), send()];
      books.deal(members);
      books.failed(lost('unknown'), ...members);
      books.life++;
      if (members[0]) come(members[0], { redelivered: true });
    },
  ],
  [
    /did not come on this connection/,
    ({ books }) => {
      const { observer } = books.watch('c');
      observer.frameReceived?.(
        frame('MESSAGE', { destination: '/queue/a', subscription: '1', 'message-id': '1', ack: '7' }),
      );
      observer.connected?.(frame('CONNECTED', {}));
      observer.frameSent?.(frame('ACK', { id: '7' }));
    },
  ],
];

test.each(LIES)('%s is found out', async (found, lie) => {
  const table = opened();
  await lie(table);
  table.books.close();
  expect(table.books.problems.join('\n')).toMatch(found);
});
