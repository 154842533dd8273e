// Pains of staying connected, with a broker of ours at the other end.

import { AuthenticationError, type Status } from '@stompbox/client';
import { settled } from 'testkit';
import { describe, expect, test } from 'vitest';
import { failure, stage } from '../../packages/client/test/stage.ts';
import { backstage, texts } from './support.ts';

describe('a connection that breaks', () => {
  test('is no business of the program: a plain loop and a plain send go on over five of them (P12)', async () => {
    const { client, cut } = await backstage();
    const [producer, consumer] = [client({ outbox: { onUnknown: 'resend' } }), client()];
    const numbers = Array.from({ length: 50 }, (_, i) => `${i}`);
    const sending = (async () => {
      for (const number of numbers) {
        await producer.send('/queue/a', number);
        if (Number(number) % 10 === 9) cut();
      }
    })();
    const seen = new Set<string>();
    for await (const message of consumer.subscribe('/queue/a', { ack: 'client-individual' })) {
      seen.add(message.text());
      await message.ack(); // one that comes too late changes nothing: the message comes again
      if (seen.size === numbers.length) break;
    }
    await sending;
    expect([...seen].sort((a, b) => Number(a) - Number(b))).toEqual(numbers);
  });

  test('leaves every subscription as it was: same handle, same loop, nothing to do again (P2)', async () => {
    const { client, cut } = await backstage();
    const one = client();
    const statuses = one.status();
    const queues = ['/queue/a', '/queue/b', '/topic/c'].map((name) => one.subscribe(name));
    await one.connect();
    cut();
    const restored: string[] = [];
    for await (const status of statuses) {
      if (status.type === 'subscription-restored') restored.push(status.destination);
      if (status.type === 'connected' && status.again) break;
    }
    expect(restored.sort()).toEqual(['/queue/a', '/queue/b', '/topic/c']);
    for (const subscription of queues) {
      await one.send(subscription.destination, 'after');
      expect(await texts(subscription, 1)).toEqual(['after']);
    }
  });

  test('costs no message that was being handled: its ACK stays at home and it comes again, marked (P14)', async () => {
    const { client, cut } = await backstage();
    const one = client();
    const stale: Status[] = [];
    void (async () => {
      for await (const status of one.status()) if (status.type === 'stale-settle') stale.push(status);
    })();
    const deliveries: boolean[] = [];
    let done = (): void => {};
    const twice = new Promise<void>((resolve) => {
      done = resolve;
    });
    one.subscribe('/queue/a', async (message) => {
      deliveries.push(message.redelivered);
      if (deliveries.length === 1) {
        cut();
        await one.connection?.closed;
      } else done();
    });
    await one.send('/queue/a', 'x');
    await twice;
    await one.close();
    expect(deliveries).toEqual([false, true]);
    expect(stale).toHaveLength(1);
  });
});

describe('a connection that is dead and does not say so', () => {
  test('is found by its heart-beats, left behind, and replaced; what waited for its answer is unknown (P5)', async () => {
    const { client, clock, enter, types } = stage(
      { heartBeat: { send: 0, expect: 10_000 } },
      { peer: { heartBeat: { send: 10_000, expect: 0 }, receipts: false } },
    );
    const sent = failure(client.send('/queue/a', 'x', { timeoutMs: 60_000 }));
    const first = await enter();
    await first.peer.next('send');
    first.cut('silent');
    await clock.advance(25_000);
    expect(await sent).toMatchObject({ name: 'ConnectionLost', code: 'silent', outcome: 'unknown' });
    expect(types()).toContain('disconnected');
    await enter();
    expect(client.state).toBe('connected');
  });

  test('does not hold close(), which settles within its deadline (P5)', async () => {
    const { client, clock, enter } = stage({ heartBeat: { send: 0, expect: 0 } });
    void client.connect();
    const scene = await enter();
    scene.cut('silent');
    const closing = client.close({ timeoutMs: 3_000 });
    await clock.advance(5_000);
    await closing;
    expect(client.state).toBe('closed');
    expect(clock.alarms).toBe(0);
  });

  test('cannot be one whose heart-beats a hidden tab or a busy loop had delayed: any bytes count (P1)', async () => {
    const { client, clock, enter, types } = stage(
      { heartBeat: { send: 0, expect: 10_000 } },
      { peer: { heartBeat: { send: 10_000, expect: 0 } } },
    );
    void client.connect();
    const { peer } = await enter();
    peer.say('\n');
    await clock.leap(600_000); // our timers stood still, the broker's did not
    expect(types()).not.toContain('disconnected');
  });
});

describe('credentials', () => {
  test('whose function fails are a failed attempt like any other, not a client that hangs (P3)', async () => {
    let asked = 0;
    const { client, clock, enter, types } = stage({
      credentials: async () => {
        if (++asked === 1) throw new Error('the token server is down');
        return { login: 'app', passcode: 'fresh' };
      },
    });
    const connected = client.connect();
    await settled();
    expect(types()).toContain('attempt-failed');
    await clock.advance(1_000);
    await enter();
    await connected;
    expect(asked).toBe(2);
  });

  test('that the broker refuses end a client, instead of a login every few seconds (P3)', async () => {
    let logins = 0;
    const { client } = await backstage({
      authenticate: () => {
        logins++;
        return undefined;
      },
    });
    const one = client({ credentials: () => ({ login: 'app', passcode: 'expired' }) });
    expect(await failure(one.send('/queue/a', 'x'))).toBeInstanceOf(AuthenticationError);
    expect((await one.closed).error).toBeInstanceOf(AuthenticationError);
    expect(logins).toBe(2); // as they were, and refreshed once
  });
});

describe('a subscription', () => {
  test('that is ready misses nothing that is published from then on (P17)', async () => {
    const { client } = await backstage();
    const [publisher, reader] = [client(), client()];
    await publisher.connect();
    for (let i = 0; i < 20; i++) {
      const subscription = reader.subscribe(`/topic/t${i}`);
      await subscription.ready;
      await publisher.send(`/topic/t${i}`, `${i}`);
      expect(await texts(subscription, 1)).toEqual([`${i}`]);
    }
  });

  test('that is denied is put aside for a while, and the others are served (P13)', async () => {
    const { client } = await backstage({
      authorize: (_, verb, name) => verb !== 'subscribe' || !name.includes('secret'),
    });
    const errors: unknown[] = [];
    const one = client({ onError: (error) => errors.push(error), quarantineMs: 60_000 });
    const allowed = one.subscribe('/queue/open');
    const denied = one.subscribe('/queue/secret');
    expect(await failure(denied.ready)).toMatchObject({ name: 'SubscriptionRefused', destination: '/queue/secret' });
    await one.send('/queue/open', 'served');
    expect(await texts(allowed, 1)).toEqual(['served']);
    expect(errors).toEqual([expect.objectContaining({ retryInMs: 60_000 })]);
  });
});

describe('a quiet line', () => {
  test('to a broker that wants no heart-beats carries something every half minute all the same (P20)', async () => {
    const { client, clock, enter } = stage({ probeMs: 30_000 });
    void client.connect();
    const { peer } = await enter();
    await clock.advance(300_000);
    expect(peer.chunks.length).toBeGreaterThanOrEqual(10);
    expect(client.state).toBe('connected');
  });
});
