// The words of each profile, spoken to the broker they are for: what a portable option was asked for is what happens
// (conformance 6.6). Artemis and Spring are not here: neither can be run.

import { setTimeout as delay } from 'node:timers/promises';
import { type Broker, createBroker } from '@stompbox/broker';
import {
  Client,
  type Connection,
  type ConnectionOptions,
  connect,
  detectProfile,
  type Message,
  messageAttributes,
  type PortableSend,
  type PortableSubscribe,
  PROFILES,
  type Profile,
  queue,
  type SubscribeOptions,
  type Subscription,
  type To,
  topic,
} from '@stompbox/client';
import { frame } from '@stompbox/protocol';
import type { PeerAddress, Skipped } from 'testkit/peers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Inbox } from './inbox.ts';
import { activeMq, rabbitMq, withPeer } from './peers.ts';

type Address = Pick<PeerAddress, 'login' | 'passcode'> & { readonly urls: { readonly tcp: string } };

const DEADLINE = { timeoutMs: 10_000 };
const INDIVIDUALLY = { ack: 'client-individual' } as const;

const word = () => crypto.randomUUID();

const BROKERS: readonly [name: string, profile: Profile, peer: Address | Skipped][] = [
  ['RabbitMQ', PROFILES.rabbitmq, rabbitMq],
  ['ActiveMQ', PROFILES.activemq, activeMq],
];

for (const [name, profile, peer] of BROKERS) withPeer(name, peer, (broker) => speaks(profile, () => broker));

describe('Stompbox', () => {
  let broker: Broker;
  beforeAll(async () => {
    broker = await createBroker({ listen: ['tcp://127.0.0.1:0'] });
  });
  afterAll(() => broker.close());
  speaks(PROFILES.stompbox, () => ({
    urls: { tcp: (broker.urls[0] ?? '').replace('tcp:', 'stomp:') },
    login: 'guest',
    passcode: 'guest',
  }));
});

function speaks(profile: Profile, peer: () => Address): void {
  const is = (...names: Profile['name'][]) => names.includes(profile.name);

  const open = ({ clientId, ...more }: ConnectionOptions & { clientId?: string } = {}) => {
    const { urls, login, passcode } = peer();
    return connect(urls.tcp, { login, passcode, host: '/', headers: profile.connect({ clientId }), ...more });
  };
  const send = (connection: Connection, to: To, body: string | Uint8Array, portable: PortableSend = {}, own = {}) => {
    const { destination, headers } = profile.resolve(to, 'SEND');
    return connection.send(destination, body, {
      ...(profile.omitsContentLength(portable.as) && { announceLength: 'whenNeeded' }),
      headers: { ...profile.send(portable, Date.now()), ...headers, ...own },
    });
  };
  const subscribe = async (
    connection: Connection,
    to: To,
    { clientId, ...portable }: PortableSubscribe & { clientId?: string } = {},
    options: SubscribeOptions = {},
  ) => {
    const { destination, headers } = profile.resolve(to, 'SUBSCRIBE');
    const wanted = profile.subscribe(portable, { id: word(), destination, clientId });
    const subscription = connection.subscribe(destination, {
      ...options,
      id: wanted.id,
      headers: { ...wanted.headers, ...headers, ...options.headers },
    });
    await subscription.ready;
    return subscription;
  };
  const texts = async (from: { next(options: typeof DEADLINE): Promise<Message> }, count: number) => {
    const found: string[] = [];
    while (found.length < count) found.push((await from.next(DEADLINE)).text());
    return found;
  };

  test('is known by what it says in CONNECTED (P-01)', async () => {
    await using connection = await open();
    expect(detectProfile(connection.server)).toBe(profile);
  });

  for (const odd of ['a/b', '100%', 'zażółć gęślą']) {
    test(`queue(${JSON.stringify(odd)}) is one queue for who sends and who subscribes`, async () => {
      const to = queue(`${word()} ${odd}`);
      await using connection = await open();
      await send(connection, to, 'here');
      expect(await texts(await subscribe(connection, to), 1)).toEqual(['here']);
    });
  }

  test('* is one word of a topic, # all the rest', async () => {
    const root = word();
    await using connection = await open();
    const one = await subscribe(connection, topic(`${root}.*`));
    const rest = await subscribe(connection, topic(`${root}.#`));
    for (const name of ['a.b', 'a', '']) await send(connection, topic(name ? `${root}.${name}` : root), `.${name}`);
    await send(connection, topic(`${root}.last`), '.last');
    expect(await texts(one, 2)).toEqual(['.a', '.last']);
    expect(await texts(rest, 4)).toEqual(['.a.b', '.a', '.', '.last']);
  });

  test('a message is persistent unless that was not wanted (P-02)', async () => {
    const to = queue(word());
    await using connection = await open();
    await send(connection, to, 'kept');
    await send(connection, to, 'may be lost', { persistent: false });
    const subscription = await subscribe(connection, to);
    const persistent = async () => messageAttributes((await subscription.next(DEADLINE)).headers).persistent ?? false;
    expect([await persistent(), await persistent()]).toEqual([true, false]);
  });

  test('what has expired is not delivered', async () => {
    const to = queue(word());
    await using connection = await open();
    await send(connection, to, 'too late', { expiresInMs: 1 });
    await send(connection, to, 'in time', { expiresInMs: 60_000 });
    await send(connection, to, 'for ever');
    await delay(50); // the broker's clock is not ours to turn
    expect(await texts(await subscribe(connection, to), 2)).toEqual(['in time', 'for ever']);
  });

  if (profile.supports('deliverAfterMs'))
    test('what is delayed comes after what is not', async () => {
      const to = queue(word());
      await using connection = await open();
      const subscription = await subscribe(connection, to);
      await send(connection, to, 'later', { deliverAfterMs: 500 });
      await send(connection, to, 'now', { deliverAfterMs: 0 });
      expect(await texts(subscription, 2)).toEqual(['now', 'later']);
    });

  test('a priority comes with the message', async () => {
    const to = queue(word());
    await using connection = await open();
    await send(connection, to, 'urgent', { priority: 9 });
    const message = await (await subscribe(connection, to)).next(DEADLINE);
    expect(messageAttributes(message.headers).priority).toBe(9);
  });

  if (!is('activemq'))
    test('what has a higher priority is delivered first', async () => {
      // ActiveMQ heeds it where its configuration says prioritizedMessages; RabbitMQ in such queues.
      const own = is('rabbitmq') ? { 'x-max-priority': '9' } : {};
      const to = queue(word());
      await using connection = await open();
      await send(connection, to, 'low', { priority: 1 }, own);
      await send(connection, to, 'high', { priority: 8 }, own);
      expect(await texts(await subscribe(connection, to, {}, { headers: own }), 2)).toEqual(['high', 'low']);
    });

  if (profile.supports('group'))
    test('a group stays with one consumer', async () => {
      const to = queue(word());
      await using connection = await open();
      const consumers = [await subscribe(connection, to), await subscribe(connection, to)];
      const got = new Inbox<number>('a message');
      for (const [at, consumer] of consumers.entries()) {
        void (async () => {
          for await (const _ of consumer) got.put(at);
        })().catch(() => {});
      }
      for (let n = 0; n < 10; n++) await send(connection, to, `${n}`, { group: 'g' });
      const takers = new Set<number>();
      for (let n = 0; n < 10; n++) takers.add(await got.take());
      expect(takers.size).toBe(1);
    });

  if (profile.supports('deduplicationId'))
    test('a second message of the same id is dropped', async () => {
      const to = queue(word());
      await using connection = await open();
      for (const id of ['a', 'a', 'b']) await send(connection, to, id, { deduplicationId: id });
      expect(await texts(await subscribe(connection, to), 2)).toEqual(['a', 'b']);
    });

  test('what travels from client to client does', async () => {
    const to = queue(word());
    await using connection = await open();
    await send(connection, to, '', { correlationId: 'c', replyTo: '/queue/answers', type: 't' });
    const message = await (await subscribe(connection, to)).next(DEADLINE);
    expect(messageAttributes(message.headers)).toMatchObject({
      correlationId: 'c',
      replyTo: '/queue/answers',
      type: 't',
      redelivered: false,
    });
  });

  test('a consumer holds no more than its prefetch', async () => {
    const to = queue(word());
    await using connection = await open();
    for (const body of ['one', 'two', 'three']) await send(connection, to, body);
    const first = await subscribe(connection, to, { prefetch: 2 }, INDIVIDUALLY);
    expect(await texts(first, 2)).toEqual(['one', 'two']);
    const second = await subscribe(connection, to, { prefetch: 2 }, INDIVIDUALLY);
    expect(await texts(second, 1)).toEqual(['three']);
  });

  if (profile.supports('selector'))
    test('a selector picks', async () => {
      const to = queue(word());
      await using connection = await open();
      const picky = await subscribe(connection, to, { selector: "colour = 'red'" });
      for (const colour of ['blue', 'red', 'green', 'red']) await send(connection, to, colour, {}, { colour });
      expect(await texts(picky, 2)).toEqual(['red', 'red']);
      await picky.unsubscribe();
      expect(await texts(await subscribe(connection, to), 2)).toEqual(['blue', 'green']);
    });

  if (!profile.supports('selector'))
    test('would ignore a selector, which is why it is refused', async () => {
      const to = queue(word());
      await using connection = await open();
      const picky = await subscribe(connection, to, {}, { headers: { selector: "colour = 'red'" } });
      await send(connection, to, 'blue', {}, { colour: 'blue' });
      expect(await texts(picky, 1)).toEqual(['blue']);
    });

  if (profile.supports('exclusive'))
    test('an exclusive consumer gets everything', async () => {
      const to = queue(word());
      await using connection = await open();
      const first = await subscribe(connection, to, { exclusive: true });
      await subscribe(connection, to, { exclusive: true });
      for (const body of ['one', 'two', 'three', 'four']) await send(connection, to, body);
      expect(await texts(first, 4)).toEqual(['one', 'two', 'three', 'four']);
    });

  if (profile.supports('noLocal'))
    test('what this connection sends can be left out', async () => {
      const to = topic(word());
      await using connection = await open();
      await using other = await open();
      const deaf = await subscribe(connection, to, { noLocal: true });
      await send(connection, to, 'mine');
      await send(other, to, 'theirs');
      expect(await texts(deaf, 1)).toEqual(['theirs']);
    });

  describe('a durable subscription', () => {
    test('gathers messages while nobody is there, and ends when it is forgotten', async () => {
      const to = topic(word());
      const durable = word();
      const clientId = word();
      const asMe = { durable, clientId };
      const end = async (connection: Connection, subscription: Subscription, forget: boolean) => {
        const [headers, ...more] = profile.unsubscribe({ durable, forget });
        await subscription.unsubscribe({ headers });
        for (const headers of more) {
          await connection.sendFrame(frame('UNSUBSCRIBE', { id: subscription.id, ...headers }), { confirm: true });
        }
      };
      await using producer = await open();
      {
        await using connection = await open({ clientId });
        await end(connection, await subscribe(connection, to, asMe), false);
        await connection.disconnect();
      }
      await send(producer, to, 'after UNSUBSCRIBE');
      {
        await using connection = await open({ clientId });
        expect(await texts(await subscribe(connection, to, asMe), 1)).toEqual(['after UNSUBSCRIBE']);
        await connection.disconnect();
      }
      await send(producer, to, 'after DISCONNECT');
      {
        await using connection = await open({ clientId });
        const subscription = await subscribe(connection, to, asMe);
        expect(await texts(subscription, 1)).toEqual(['after DISCONNECT']);
        await end(connection, subscription, true);
        await send(producer, to, 'after it was forgotten');
        const anew = await subscribe(connection, to, asMe);
        await send(producer, to, 'anew');
        expect(await texts(anew, 1)).toEqual(['anew']);
        await end(connection, anew, true);
        await connection.disconnect();
      }
    });
  });

  if (profile.nacked === 'redelivered')
    test('a NACK that wants it back gets it back', async () => {
      const to = queue(word());
      await using connection = await open();
      await send(connection, to, 'again');
      const subscription = await subscribe(connection, to, {}, INDIVIDUALLY);
      await (await subscription.next(DEADLINE)).nack({ headers: profile.nack({ requeue: true }) });
      const second = await subscription.next(DEADLINE);
      expect(messageAttributes(second.headers)).toMatchObject({ redelivered: true });
      await second.ack({ confirm: true });
    });

  if (profile.nacked === 'redelivered')
    test('a message says which delivery of it this is, where the broker counts', async () => {
      const headers = is('rabbitmq') ? { 'x-queue-type': 'quorum', durable: 'true', 'auto-delete': 'false' } : {};
      const to = queue(word());
      await using connection = await open();
      await send(connection, to, 'again and again', {}, headers);
      const subscription = await subscribe(connection, to, {}, { ...INDIVIDUALLY, headers });
      const counts = [];
      for (let n = 0; n < 3; n++) {
        const message = await subscription.next(DEADLINE);
        counts.push(messageAttributes(message.headers).deliveryCount);
        await message.nack({ headers: profile.nack({ requeue: true }), confirm: true });
      }
      expect(counts).toEqual([undefined, 2, 3]);
    });

  test('a NACK that wants it no more does not get it back', async () => {
    const to = queue(word());
    await using connection = await open();
    await send(connection, to, 'no more');
    const subscription = await subscribe(connection, to, {}, INDIVIDUALLY);
    await (await subscription.next(DEADLINE)).nack({ headers: profile.nack({ requeue: false }), confirm: true });
    await send(connection, to, 'the next');
    expect(await texts(subscription, 1)).toEqual(['the next']);
  });

  test(`an answer finds its way by the ${profile.reply} address`, async () => {
    const questions = queue(word());
    const answers = new Inbox<Message>('an answer');
    await using asking = await open({ onUnhandled: (message) => answers.put(message) });
    await using answering = await open();
    const responder = await subscribe(answering, questions);
    const { destination, subscribe: headers } = profile.replyAddress(word());
    if (headers !== undefined) {
      await asking.subscribe(destination, async (message) => answers.put(message), { headers }).ready;
    }
    await send(asking, questions, 'well?', { replyTo: destination, correlationId: 'c' });
    const question = messageAttributes((await responder.next(DEADLINE)).headers);
    const { replyTo = '', correlationId } = question;
    await send(answering, replyTo, 'well.', { persistent: false, correlationId });
    const answer = await answers.take();
    expect([answer.text(), messageAttributes(answer.headers).correlationId]).toEqual(['well.', 'c']);
    if (headers === undefined) expect(answer.headers.get('subscription')).toBe(destination);
  });

  if (is('activemq'))
    test('what is sent as text is a TextMessage, and what is sent as bytes a BytesMessage (P8, C-56)', async () => {
      // ActiveMQ announces the length of a BytesMessage, and of no TextMessage.
      const to = queue(word());
      await using connection = await open();
      await send(connection, to, 'text', { as: 'text' });
      await send(connection, to, 'bytes', { as: 'bytes' });
      await send(connection, to, 'with \0', { as: 'text' }); // which a TextMessage could not bring back
      const subscription = await subscribe(connection, to);
      const seen = [];
      for (let n = 0; n < 3; n++) {
        const message = await subscription.next(DEADLINE);
        seen.push([message.text(), message.headers.get('content-length')]);
      }
      expect(seen).toEqual([
        ['text', undefined],
        ['bytes', '5'],
        ['with \0', '6'],
      ]);
    });

  describe('a client', () => {
    const client = (clientId: string = word()) => {
      const { urls, login, passcode } = peer();
      return new Client(urls.tcp, { credentials: { login, passcode }, host: '/', clientId });
    };

    test('finds the profile by itself, and speaks it', async () => {
      const to = queue(word());
      await using one = client();
      await one.send(to, 'text', { expiresInMs: 60_000, priority: 7 });
      await one.send(to, new Uint8Array([1, 2]));
      expect(one.profile).toBe(profile);
      const subscription = one.subscribe(to, { prefetch: 10 });
      const [text, octets] = [await subscription.next(DEADLINE), await subscription.next(DEADLINE)];
      expect(messageAttributes(text.headers)).toMatchObject({ persistent: true, priority: 7 });
      expect([text.text(), text.headers.has('content-length')]).toEqual(['text', !is('activemq')]); // P8
      expect([octets.bytes.length, octets.headers.get('content-length')]).toEqual([2, '2']);
    });

    test('refuses what the broker cannot do, and goes on', async () => {
      const to = queue(word());
      await using one = client();
      const wrong: PortableSend = { priority: 10 };
      await expect(one.send(to, '', wrong)).rejects.toMatchObject({ code: 'bad-option' });
      const impossible = { deduplicationId: 'd', group: 'g', deliverAfterMs: 1 } satisfies PortableSend;
      for (const option of ['deduplicationId', 'group', 'deliverAfterMs'] as const) {
        if (profile.supports(option)) continue;
        const refusal = { code: 'unsupported-by-broker', option, profile: profile.name, outcome: 'unsent' };
        await expect(one.send(to, '', { [option]: impossible[option] })).rejects.toMatchObject(refusal);
      }
      await one.send(to, 'nothing else came');
      expect(await texts(one.subscribe(to), 1)).toEqual(['nothing else came']);
    });

    test('keeps a durable subscription, and forgets it when told to', async () => {
      const to = topic(word());
      const durable = word();
      const me = word();
      await using producer = client();
      {
        await using one = client(me);
        await one.subscribe(to, { durable }).ready;
      }
      await producer.send(to, 'while it was away');
      {
        await using one = client(me);
        const subscription = one.subscribe(to, { durable });
        expect(await texts(subscription, 1)).toEqual(['while it was away']);
        await subscription.unsubscribe({ forget: true });
        await producer.send(to, 'while it was forgotten');
        const anew = one.subscribe(to, { durable });
        await anew.ready;
        await producer.send(to, 'anew');
        expect(await texts(anew, 1)).toEqual(['anew']);
        await anew.unsubscribe({ forget: true });
      }
    });
  });
}
