// Pains of sending and of reading.

import { BrokerError, type ProfileName, UnsupportedByBroker } from '@stompbox/client';
import { settled } from 'testkit';
import { describe, expect, test } from 'vitest';
import { failure, hold, stage } from '../../packages/client/test/stage.ts';
import { backstage, texts } from './support.ts';

describe('send', () => {
  test('resolves when the broker has it, rejects when it refused it, and says when nobody knows (P10)', async () => {
    const { client } = await backstage({ authorize: (_, verb, name) => verb !== 'send' || name !== '/queue/denied' });
    const one = client();
    await one.send('/queue/a', 'kept');
    expect(await texts(client().subscribe('/queue/a'), 1)).toEqual(['kept']);
    const refused = await failure(one.send('/queue/denied', 'x'));
    expect(refused).toBeInstanceOf(BrokerError);
    expect(refused).toMatchObject({ outcome: 'rejected' });

    const { client: other, enter } = stage({}, { peer: { receipts: false } });
    const unsure = failure(other.send('/queue/a', 'x'));
    const scene = await enter();
    await scene.peer.next('send');
    scene.cut();
    expect(await unsure).toMatchObject({ name: 'ConnectionLost', outcome: 'unknown' });
  });

  for (const [profile, headers] of [
    ['rabbitmq', { persistent: 'true', expiration: '60000', priority: '7' }],
    ['activemq', { persistent: 'true', expires: expect.stringMatching(/^\d{13}$/), priority: '7' }],
    ['artemis', { persistent: 'true', expires: expect.stringMatching(/^\d{13}$/), priority: '7' }],
    ['stompbox', { persistent: 'true', expiration: '60000', priority: '7' }],
  ] as [ProfileName, Record<string, string>][]) {
    test(`makes a message outlive ${profile}'s restart unless told otherwise, and says how long in its words (P24)`, async () => {
      const { client, enter } = stage({ profile });
      const sent = client.send('/queue/a', 'x', { expiresInMs: 60_000, priority: 7 });
      const plain = client.send('/queue/a', 'x');
      const loose = client.send('/queue/a', 'x', { persistent: false });
      const { peer } = await enter();
      await Promise.all([sent, plain, loose]);
      const sends = peer.frames.filter(({ command }) => command === 'SEND');
      for (const [name, value] of Object.entries(headers)) expect([name, sends[0]?.get(name)]).toEqual([name, value]);
      expect(sends.map((send) => send.get('persistent') === 'true')).toEqual([true, true, false]);
    });
  }

  test('refuses a delay that RabbitMQ would ignore, before anything is written (P24)', async () => {
    const { client, enter } = stage({ profile: 'rabbitmq' });
    const refused = failure(client.send('/queue/a', 'x', { deliverAfterMs: 1_000 }));
    const { peer } = await enter();
    expect(await refused).toBeInstanceOf(UnsupportedByBroker);
    expect(peer.frames.map(({ command }) => command)).toEqual(['CONNECT']);
  });

  test('and subscribe before there is a connection are no error: both happen when it comes (P26)', async () => {
    const { client } = await backstage();
    const one = client();
    const subscription = one.subscribe('/queue/a');
    const sent = one.send('/queue/a', 'early');
    expect(one.state).not.toBe('connected');
    await sent;
    expect(await texts(subscription, 1)).toEqual(['early']);
  });
});

describe('prefetch', () => {
  for (const [profile, header] of [
    ['rabbitmq', 'prefetch-count'],
    ['activemq', 'activemq.prefetchSize'],
    ['stompbox', 'prefetch-count'],
  ] as [ProfileName, string][]) {
    test(`is one option, which ${profile} knows as ${header} (P7)`, async () => {
      const { client, enter } = stage({ profile });
      client.subscribe('/queue/a', () => {}, { prefetch: 10 });
      const { peer } = await enter();
      const { frame } = await peer.next('subscribe');
      expect(frame.get(header)).toBe('10');
    });
  }

  test('leaves at the broker what a slow handler has no hands for, and handlers do not overlap (P7)', async () => {
    const { broker, client } = await backstage();
    const held = hold();
    let running = 0;
    let most = 0;
    const one = client();
    for (let i = 0; i < 50; i++) void one.send('/queue/a', `${i}`);
    await one.flush();
    const handled: string[] = [];
    let done = (): void => {};
    const all = new Promise<void>((resolve) => {
      done = resolve;
    });
    const slow = client();
    const subscription = slow.subscribe(
      '/queue/a',
      async (message) => {
        most = Math.max(most, ++running);
        await held.wait();
        running--;
        if (handled.push(message.text()) === 50) done();
      },
      { prefetch: 5 },
    );
    await subscription.ready;
    await settled();
    expect(slow.connection?.waiting.frames).toBeLessThanOrEqual(5);
    expect(broker.stats().connections).toBe(2);
    held.release();
    await all;
    expect(most).toBe(1);
    expect(handled).toEqual(Array.from({ length: 50 }, (_, i) => `${i}`));
  });
});

describe('durable subscriptions', () => {
  test('are one option on each broker that has them (P9)', async () => {
    for (const [profile, subscribes, forgets] of [
      ['rabbitmq', 'durable:true', 'durable:true'],
      ['activemq', 'activemq.subscriptionName:billing', 'activemq.subscriptionName:billing'],
      ['artemis', 'durable-subscription-name:billing', 'durable-subscription-name:billing'],
      ['stompbox', 'durable:true', 'durable:true'],
    ] as [ProfileName, string, string][]) {
      const { client, enter } = stage({ profile, clientId: 'billing-1' });
      const subscription = client.subscribe('/topic/orders', { durable: 'billing' });
      const { peer } = await enter();
      await subscription.ready;
      const before = peer.chunks.length;
      void subscription.unsubscribe({ forget: true }).catch(() => {}); // the script knows no such words
      await settled();
      const said = (chunks: readonly Uint8Array[]): string =>
        chunks.map((one) => new TextDecoder().decode(one)).join('');
      expect(said(peer.chunks.slice(0, before))).toContain(`\n${subscribes}\n`);
      expect(said(peer.chunks.slice(before))).toContain(`\n${forgets}\n`);
    }
  });

  test('gather while nobody is there, until they are forgotten (P9)', async () => {
    const { client } = await backstage();
    const [publisher, first] = [client(), client({ clientId: 'me' })];
    await first.subscribe('/topic/t', { durable: 'mine' }).ready;
    await first.close();
    await publisher.send('/topic/t', 'missed you');
    const second = client({ clientId: 'me' });
    const subscription = second.subscribe('/topic/t', { durable: 'mine' });
    expect(await texts(subscription, 1)).toEqual(['missed you']);
    await subscription.unsubscribe({ forget: true });
    await publisher.send('/topic/t', 'nobody');
    const third = second.subscribe('/topic/t', { durable: 'mine' });
    await third.ready;
    await publisher.send('/topic/t', 'again');
    expect(await texts(third, 1)).toEqual(['again']);
  });
});

describe('several readers', () => {
  test('that come and go twice, as effects in StrictMode do, leave one subscription, and each message comes once (P15)', async () => {
    const { client } = await backstage();
    const one = client();
    const got: string[] = [];
    const effect = () => one.subscribe('/topic/t', (message) => void got.push(message.text()));
    void effect().unsubscribe();
    const kept = effect();
    await kept.ready;
    await one.send('/topic/t', 'x');
    const subscription = one.subscribe('/topic/t');
    await subscription.ready;
    await one.send('/topic/t', 'y');
    await texts(subscription, 1);
    expect(got).toEqual(['x', 'y']);
  });
});

describe('a loop that sends for each message', () => {
  for (const ack of ['auto', 'client-individual'] as const) {
    test(`goes on behind more messages than may wait, in ${ack} mode (P32)`, async () => {
      const { client } = await backstage();
      const [producer, one] = [client(), client({ maxBufferedFrames: 50 })];
      const count = 400;
      await Promise.all(Array.from({ length: count }, (_, i) => producer.send('/queue/in', `${i}`)));
      let copied = 0;
      for await (const message of one.subscribe('/queue/in', { ack })) {
        await one.send('/queue/out', message.bytes);
        if (ack !== 'auto') await message.ack();
        if (++copied === count) break;
      }
      expect(await texts(producer.subscribe('/queue/out'), count)).toHaveLength(count);
    });
  }

  test('is not held up by a handler that never returns: receipts and other subscriptions pass it (P32)', async () => {
    const { client } = await backstage();
    const one = client();
    one.subscribe('/queue/stuck', () => new Promise(() => {}));
    const other = one.subscribe('/queue/fine');
    for (let i = 0; i < 10; i++) await one.send('/queue/stuck', 'x');
    await one.send('/queue/fine', 'y');
    expect(await texts(other, 1)).toEqual(['y']);
    expect(await one.roundTrip()).toBeGreaterThanOrEqual(0);
  });
});

describe('a request', () => {
  test('among a hundred gets its own answer, also after the connection was replaced (P33)', async () => {
    const { client, cut } = await backstage();
    const [asker, responder] = [client(), client()];
    const answering = responder.respond<number>('/queue/double', (message) => ({ twice: message.json() * 2 }), {
      concurrency: 4,
    });
    await answering.ready;
    const ask = async (): Promise<void> => {
      const answers = await Promise.all(
        Array.from({ length: 100 }, (_, i) => asker.request<{ twice: number }>('/queue/double', i)),
      );
      expect(answers.map((answer) => answer.json().twice)).toEqual(Array.from({ length: 100 }, (_, i) => i * 2));
    };
    await ask();
    cut();
    await ask();
  });

  test('that nobody answers ends at its deadline, and the client goes on (P33)', async () => {
    const { client } = await backstage();
    const one = client();
    expect(await failure(one.request('/queue/nobody', 'x', { timeoutMs: 20 }))).toMatchObject({ name: 'TimeoutError' });
    await one.send('/queue/a', 'still here');
  });
});

describe('a handler that throws', () => {
  test('is heard of, its message comes again, and the next one is handled (P37)', async () => {
    const { client } = await backstage();
    const errors: unknown[] = [];
    const one = client({ onError: (error) => errors.push(error) });
    const handled: string[] = [];
    let done = (): void => {};
    const all = new Promise<void>((resolve) => {
      done = resolve;
    });
    one.subscribe('/queue/a', (message) => {
      if (message.text() === 'bad' && !message.redelivered) throw new Error('not this time');
      if (handled.push(message.text()) === 2) done();
    });
    await one.send('/queue/a', 'bad');
    await one.send('/queue/a', 'good');
    await all;
    expect(handled.sort()).toEqual(['bad', 'good']);
    expect(errors).toEqual([expect.objectContaining({ message: 'not this time' })]);
  });

  test('for ever is tried as often as it is told, and then its message is a dead letter with the reason (P35)', async () => {
    const { client } = await backstage();
    const one = client({ onError: () => {} });
    one.subscribe(
      '/queue/a',
      () => {
        throw new Error('broken');
      },
      { retry: { attempts: 3, initialMs: 1 }, deadLetter: '/queue/a.dead' },
    );
    await one.send('/queue/a', 'poison', { headers: { tenant: 'acme' } });
    const dead = await one.subscribe('/queue/a.dead').next({ timeoutMs: 10_000 });
    expect(dead.text()).toBe('poison');
    expect(dead.headers.get('dead-letter-reason')).toBe('broken');
    expect(dead.headers.get('dead-letter-attempts')).toBe('3');
    expect(dead.headers.get('tenant')).toBe('acme');
  });
});
