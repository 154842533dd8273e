// Our Connection against the brokers that people run: each behaviour, over each transport, in each version of STOMP.

import { BrokerError, type Connection, ConnectionLost, type ConnectionOptions, connect } from '@stompbox/client';
import { frame, VERSIONS } from '@stompbox/protocol';
import { TransportError } from '@stompbox/transport';
import { describe, expect, test } from 'vitest';
import { DIALECTS } from './brokers/dialects.ts';
import { Inbox, rejection, within } from './inbox.ts';
import { withPeer } from './peers.ts';

const EVERY_OCTET = Uint8Array.from({ length: 256 }, (_, octet) => octet);
const TEXT = 'zażółć gęślą jaźń — 日本語 🐢\nand a second line';
const NAMES = { tcp: 'TCP', tls: 'TLS', ws: 'WebSocket', nio: 'TCP of the nio kind' };
const DEADLINE = { timeoutMs: 10_000 };
const NOTHING_MORE = 'nothing more';

for (const dialect of DIALECTS) {
  withPeer(dialect.name, dialect.peer, (broker) => {
    const { login, passcode, ca } = broker;
    const as = { login, passcode, host: dialect.host };

    for (const transport of dialect.transports)
      describe(`over ${NAMES[transport]}`, () => {
        const url = broker.urls[transport] ?? '';

        describe.each(VERSIONS)('in STOMP %s', (version) => {
          const open = (more: ConnectionOptions = {}) =>
            connect(url, { ...as, tls: { ca }, versions: [version], leniency: dialect.leniency(version), ...more });

          /** What is left in a queue, in order, up to a message that is sent behind it. */
          const left = async (queue: string): Promise<readonly { text: string; redelivered: boolean }[]> => {
            await using connection = await open();
            await connection.send(queue, NOTHING_MORE);
            const found = [];
            for await (const message of connection.subscribe(queue)) {
              if (message.text() === NOTHING_MORE) break;
              found.push({ text: message.text(), redelivered: message.redelivered });
            }
            return found;
          };
          const again = (text: string) => ({ text, redelivered: true });

          test('connects, and is told who answers in which version', async () => {
            await using connection = await open();
            expect(connection.version).toBe(version);
            expect(connection.server).toMatch(dialect.server);
          });

          test('a wrong passcode is a BrokerError', async () => {
            const error = await rejection(open({ passcode: 'wrong' }));
            if (dialect.mayCloseMute.includes(transport) && error instanceof ConnectionLost)
              expect(error.code).toBe('ended');
            else expect(error).toBeInstanceOf(BrokerError);
          });

          for (const [what, body] of [
            ['text beyond ASCII', TEXT],
            ['every octet, NUL among them', EVERY_OCTET],
            ['octets that are no UTF-8', new Uint8Array([0xff, 0xfe, 0x80])],
            ['nothing', ''],
            ['a mebibyte', new Uint8Array(1 << 20).fill(7)],
          ] as const) {
            test(`sends a body of ${what} and gets it back`, async () => {
              const queue = uniqueQueue();
              await using connection = await open();
              await connection.send(queue, body);
              const message = await connection.subscribe(queue).next(DEADLINE);
              expect(message.destination).toBe(queue);
              expect(Buffer.compare(message.bytes, Buffer.from(body))).toBe(0);
            });
          }

          test('gets odd headers back as they were', async () => {
            const queue = uniqueQueue();
            await using connection = await open();
            const odd = dialect.oddHeaders(version);
            await connection.send(queue, 'odd', { headers: odd });
            const message = await connection.subscribe(queue).next(DEADLINE);
            expect(Object.fromEntries(message.headers)).toMatchObject(odd);
          });

          test('hands messages to a callback in order, and settles them when it returns', async () => {
            const queue = uniqueQueue();
            const handled = new Inbox<string>('a handled message');
            {
              await using connection = await open();
              for (const body of ['one', 'two', 'three']) await connection.send(queue, body);
              connection.subscribe(queue, async (message) => handled.put(message.text()), { ack: 'client-individual' });
              for (const body of ['one', 'two', 'three']) expect(await handled.take()).toBe(body);
              await connection.disconnect();
            }
            expect(await left(queue)).toEqual([]);
          });

          test('iterates, and leaving the loop unsubscribes', async () => {
            const queue = uniqueQueue();
            await using connection = await open();
            for (const body of ['one', 'two', 'three']) await connection.send(queue, body);
            const seen = [];
            for await (const message of connection.subscribe(queue, { ack: 'client-individual', prefetch: 1 })) {
              seen.push(message.text());
              await message.ack({ confirm: true });
              if (seen.length === 2) break;
            }
            expect(seen).toEqual(['one', 'two']);
            await connection.disconnect();
            expect((await left(queue)).map(({ text }) => text)).toEqual(['three']);
          });

          test('every subscriber of a topic gets a message', async () => {
            const topic = `/topic/${crypto.randomUUID()}`;
            await using one = await open();
            await using other = await open();
            const subscriptions = [one, other].map((connection) => connection.subscribe(`${topic}.*`));
            await Promise.all(subscriptions.map(({ ready }) => ready));
            await one.send(`${topic}.news`, 'news');
            for (const subscription of subscriptions) expect((await subscription.next(DEADLINE)).text()).toBe('news');
          });

          for (const [ack, expected] of [
            ['auto', []],
            ['client', [again('three')]],
            ['client-individual', [again('one'), again('three')]],
          ] as const) {
            test(`of three messages in mode ${ack}, an ACK of the second leaves ${listed(expected)}`, async () => {
              const queue = uniqueQueue();
              {
                await using connection = await open();
                const [, second] = await threeFrom(connection, queue, ack);
                if (ack !== 'auto') await second.ack({ confirm: true });
                await connection.disconnect();
              }
              expect(await left(queue)).toEqual(expected);
            });
          }

          test('what a lost connection had not acked goes to the next consumer', async () => {
            const queue = uniqueQueue();
            {
              await using connection = await open();
              await connection.send(queue, 'unfinished');
              await connection.subscribe(queue, { ack: 'client' }).next(DEADLINE);
              connection.destroy();
            }
            expect(await left(queue)).toEqual([again('unfinished')]);
          });

          test('a committed transaction sends and acks', async () => {
            const [from, to] = [uniqueQueue(), uniqueQueue()];
            {
              await using connection = await open();
              await connection.send(from, 'order');
              const order = await connection.subscribe(from, { ack: 'client-individual' }).next(DEADLINE);
              await connection.transaction(async (transaction) => {
                await transaction.send(to, 'bill');
                await transaction.ack(order);
              });
              await connection.disconnect();
            }
            await using next = await open();
            expect((await next.subscribe(to).next(DEADLINE)).text()).toBe('bill'); // RabbitMQ answers COMMIT before it is there
            expect(await left(from)).toEqual([]);
          });

          test('an aborted transaction does neither, and the message can still be acked', async () => {
            const [from, to] = [uniqueQueue(), uniqueQueue()];
            {
              await using connection = await open();
              await connection.send(from, 'order');
              const order = await connection.subscribe(from, { ack: 'client-individual' }).next(DEADLINE);
              const transaction = connection.begin();
              await transaction.send(to, 'bill');
              await transaction.ack(order);
              await transaction.abort();
              await order.ack({ confirm: true });
              await connection.disconnect();
            }
            expect(await left(to)).toEqual([]);
            expect(await left(from)).toEqual([]);
          });

          test(`answers a SEND in a transaction ${dialect.receiptInTransaction}`, async () => {
            await using connection = await open();
            const transaction = connection.begin();
            const headers = { destination: uniqueQueue(), transaction: transaction.id, receipt: 'member' };
            await connection.sendFrame(frame('SEND', headers, 'bill'));
            let committed = false;
            const answered = connection
              .receive(DEADLINE)
              .then(({ headers }) => ({ id: headers.get('receipt-id'), committed }));
            await pong(connection);
            committed = true;
            await transaction.commit();
            expect(await answered).toEqual({
              id: 'member',
              committed: dialect.receiptInTransaction === 'after COMMIT',
            });
          });

          test('answers what was asked for before the goodbye', async () => {
            const queue = uniqueQueue();
            const connection = await open();
            const sends = Array.from({ length: 50 }, (_, n) =>
              connection.send(queue, `${n}`, { headers: { persistent: 'true' } }),
            );
            const goodbye = connection.disconnect();
            await within(Promise.all([...sends, goodbye]), 'the receipts');
            expect(await connection.closed).toMatchObject({ kind: 'disconnected' });
            expect(await left(queue)).toHaveLength(50);
          });

          test('an ERROR rejects what it refused, and all that waits behind it', async () => {
            const { destination, headers } = dialect.refused;
            const connection = await open();
            const { ready } = connection.subscribe(destination, { headers });
            const behind = connection.send(uniqueQueue(), 'behind it');
            const error = await within(rejection(ready), 'an answer');
            expect(error).toBeInstanceOf(BrokerError);
            expect((error as BrokerError).receipt !== undefined).toBe(dialect.namesTheReceipt);
            const lost = { code: 'refused', outcome: 'unknown', cause: expect.any(BrokerError) };
            expect(await within(rejection(behind), 'the other answer')).toMatchObject(lost);
            expect(await connection.closed).toMatchObject({ kind: 'refused', error });
          });

          if (version === '1.0') return; // it has neither NACK nor heart-beats

          test('is kept alive by heart-beats, and keeps the broker alive', async () => {
            const period = dialect.shortestHeartBeatMs;
            const beats = { sent: new Inbox<true>('a heart-beat of ours'), received: new Inbox<true>('a heart-beat') };
            await using connection = await open({
              heartBeat: { send: period, expect: period },
              observer: { heartBeat: (direction) => beats[direction].put(true) },
            });
            expect(connection.heartBeat).toEqual({ out: period, in: period });
            for (const direction of ['sent', 'received'] as const) {
              for (let n = 0; n < 2; n++) await beats[direction].take();
            }
            await connection.send(uniqueQueue(), 'still here');
          });

          test(`a nacked message is a ${dialect.nacked} one`, async () => {
            const queue = uniqueQueue();
            await using connection = await open();
            await connection.send(queue, `again ${queue}`, { headers: { persistent: 'true' } });
            const subscription = connection.subscribe(queue, { ack: 'client-individual' });
            const message = await subscription.next(DEADLINE);
            await message.nack({ confirm: true });
            if (dialect.nacked === 'redelivered') {
              const second = await subscription.next(DEADLINE);
              expect(second).toMatchObject({ redelivered: true });
              await second.ack({ confirm: true });
            } else {
              const dead = connection.subscribe('/queue/ActiveMQ.DLQ'); // others' letters are there too
              while ((await dead.next(DEADLINE)).text() !== `again ${queue}`);
            }
          });

          for (const [ack, expected] of [
            ['client', dialect.leftByNackInClientMode],
            ['client-individual', ['one', 'three']],
          ] as const) {
            test(`of three messages in mode ${ack}, a NACK of the second for good leaves ${expected.join(', ')}`, async () => {
              const queue = uniqueQueue();
              {
                await using connection = await open();
                const [, second] = await threeFrom(connection, queue, ack);
                await second.nack({ confirm: true, headers: dialect.forGood });
                await connection.disconnect();
              }
              expect(await left(queue)).toEqual(expected.map(again));
            });
          }
        });
      });

    describe('over TLS, without its authority', () => {
      test('the broker is not believed', async () => {
        const refused = await rejection(connect(broker.urls.tls, as));
        expect(refused).toBeInstanceOf(ConnectionLost);
        expect(refused).toMatchObject({ code: 'unreachable', cause: { code: 'untrusted' } });
        expect((refused as ConnectionLost).cause).toBeInstanceOf(TransportError);
      });

      test('it is, when told not to look', async () => {
        await using connection = await connect(broker.urls.tls, { ...as, tls: { verify: false } });
        expect(connection.server).toMatch(dialect.server);
      });
    });
  });
}

function uniqueQueue(): string {
  return `/queue/${crypto.randomUUID()}`;
}

function listed(messages: readonly { text: string }[]): string {
  return messages.map(({ text }) => text).join(' and ') || 'none';
}

async function threeFrom(connection: Connection, queue: string, ack: 'auto' | 'client' | 'client-individual') {
  for (const body of ['one', 'two', 'three']) await connection.send(queue, body);
  const subscription = connection.subscribe(queue, { ack });
  const next = () => subscription.next(DEADLINE);
  return [await next(), await next(), await next()] as const;
}

/** Settles when the broker has read all that was said so far. */
async function pong(connection: Connection): Promise<void> {
  await connection.send(uniqueQueue(), 'ping');
}
