// What a client keeps over the end of its connections.

import {
  AuthenticationError,
  BrokerError,
  ConnectFailed,
  ConnectionLost,
  type Message,
  SubscriptionRefused,
} from '@stompbox/client';
import { settled } from 'testkit';
import { describe, expect, test } from 'vitest';
import { failure, hold, stage } from './stage.ts';

const commands = (peer: { frames: readonly { command: string }[] }): string[] => peer.frames.map((f) => f.command);

describe('a client', () => {
  test('does nothing until it is asked to (P38)', async () => {
    const { clock, client, dialled } = stage();
    await clock.advance(60_000);
    expect(client.state).toBe('idle');
    expect(dialled).toEqual([]);
    expect(clock.alarms).toBe(0);
  });

  test('connects with its first verb, and confirms a send with the RECEIPT (P10)', async () => {
    const { client, enter } = stage();
    const sent = client.send('/queue/a', 'hello');
    const { peer } = await enter();
    await sent;
    expect(commands(peer)).toEqual(['CONNECT', 'SEND']);
    expect(client.state).toBe('connected');
  });

  test('restores subscriptions with fresh headers, and before what waits to be sent (P2, P-10)', async () => {
    const { client, clock, enter, types } = stage();
    let round = 0;
    const got: string[] = [];
    const read = (message: Message): void => void got.push(message.text());
    client.subscribe('/queue/a', read, { id: 'a', headers: () => ({ round: String(++round) }) });
    const first = await enter();
    await first.peer.next('subscribe');
    first.cut('reset');
    await settled();
    const sent = client.send('/queue/b', 'waits');
    await clock.advance(1_000);
    const second = await enter();
    await sent;
    expect(commands(second.peer)).toEqual(['CONNECT', 'SUBSCRIBE', 'SEND']);
    const subscribe = second.peer.frames[1]?.headers;
    expect([subscribe?.get('id'), subscribe?.get('round')]).toEqual(['a', '2']);
    second.peer.deliver('a', 'after');
    await settled();
    expect(got).toEqual(['after']);
    expect(types()).toContain('subscription-restored');
  });

  test('does not send before a restored subscription is confirmed, so that answers find their reader', async () => {
    const { client, enter } = stage({}, { peer: { receipts: false } });
    client.subscribe('/queue/a');
    const sent = client.send('/queue/b', 'x');
    const { peer } = await enter();
    const { receipt } = await peer.next('subscribe');
    await settled();
    expect(commands(peer)).toEqual(['CONNECT', 'SUBSCRIBE']);
    peer.receipt(receipt ?? '');
    const send = await peer.next('send');
    peer.receipt(send.receipt ?? '');
    await sent;
  });

  test('keeps a loop waiting while the connection is away, and goes on with the next one (P2)', async () => {
    const { client, clock, enter } = stage();
    const loop = client.subscribe('/topic/t', { id: 't' })[Symbol.asyncIterator]();
    const first = await enter();
    const one = loop.next();
    first.peer.deliver('t', 'one');
    expect((await one).value?.text()).toBe('one');
    const two = loop.next();
    first.cut('reset');
    await clock.advance(1_000);
    const second = await enter();
    second.peer.deliver('t', 'two');
    expect((await two).value?.text()).toBe('two');
  });

  test('never takes an ACK to another connection, and reports it as stale (P14, A-08)', async () => {
    const { client, clock, enter, statuses } = stage();
    const held = hold();
    client.subscribe('/queue/a', () => held.wait(), { id: 'a' });
    const first = await enter();
    first.peer.deliver('a', 'slow');
    await settled();
    first.cut('reset');
    await clock.advance(1_000);
    const second = await enter();
    held.release();
    await settled();
    expect(commands(second.peer)).toEqual(['CONNECT', 'SUBSCRIBE']);
    expect(statuses).toContainEqual(expect.objectContaining({ type: 'stale-settle', destination: '/queue/a' }));
  });

  test('lets a loop go on whose ACK comes too late; one that wants a RECEIPT is told (P14)', async () => {
    const { client, clock, enter, statuses } = stage();
    const subscription = client.subscribe('/queue/a', { id: 'a', ack: 'client-individual' });
    const first = await enter();
    first.peer.deliver('a', 'one');
    first.peer.deliver('a', 'two');
    const [one, two] = [await subscription.next(), await subscription.next()];
    first.cut('reset');
    await settled();
    await one.ack();
    expect(await failure(two.ack({ confirm: true }))).toMatchObject({ name: 'ConnectionLost', outcome: 'unsent' });
    await clock.advance(1_000);
    const second = await enter();
    expect(commands(second.peer)).toEqual(['CONNECT', 'SUBSCRIBE']);
    expect(statuses.filter(({ type }) => type === 'stale-settle')).toHaveLength(1);
  });

  test('quarantines a refused subscription, tries it again later, and keeps the others (P13)', async () => {
    const { client, clock, enter, errors, statuses } = stage(
      { reconnect: { initialMs: 500 } },
      { peer: { receipts: false } },
    );
    const bad = client.subscribe('/queue/forbidden', { id: 'bad' });
    const good = client.subscribe('/queue/good', { id: 'good' });
    const refused = failure(bad.ready);
    const first = await enter();
    const { receipt } = await first.peer.next('subscribe');
    first.peer.say(`ERROR\nmessage:denied\nreceipt-id:${receipt}\n\n\0`);
    first.peer.hangUp();
    expect(await refused).toBeInstanceOf(SubscriptionRefused);
    expect(errors).toEqual([expect.any(SubscriptionRefused)]);
    await clock.advance(499);
    expect(statuses).toContainEqual(expect.objectContaining({ type: 'subscription-refused' }));
    await clock.advance(1);
    const second = await enter();
    const only = await second.peer.next('subscribe');
    expect(only.frame.headers.get('id')).toBe('good');
    second.peer.receipt(only.receipt ?? '');
    await good.ready;
    await clock.advance(500);
    const again = await second.peer.next('subscribe');
    expect(again.frame.headers.get('id')).toBe('bad');
    second.peer.receipt(again.receipt ?? '');
    await settled();
    second.peer.deliver('bad', 'at last');
    expect((await bad.next()).text()).toBe('at last');
  });

  test('finds out whom an ERROR without a receipt-id means, by asking one by one the next time (P13)', async () => {
    const { client, clock, enter, errors } = stage({}, { peer: { receipts: false } });
    client.subscribe('/queue/x', { id: 'x' });
    client.subscribe('/queue/y', { id: 'y' });
    const first = await enter();
    await first.peer.next('subscribe');
    first.peer.say('ERROR\nmessage:access refused\n\n\0');
    first.peer.hangUp();
    await clock.advance(1_000);
    expect(errors).toEqual([]);
    const second = await enter();
    const x = await second.peer.next('subscribe');
    second.peer.receipt(x.receipt ?? '');
    const y = await second.peer.next('subscribe');
    expect(commands(second.peer)).toEqual(['CONNECT', 'SUBSCRIBE', 'SUBSCRIBE']);
    second.peer.say('ERROR\nmessage:access refused\n\n\0');
    second.peer.hangUp();
    await settled();
    expect(y.frame.headers.get('id')).toBe('y');
    expect(errors).toEqual([expect.objectContaining({ name: 'SubscriptionRefused', destination: '/queue/y' })]);
  });

  test('quarantines the subscription that an ERROR names when it comes later', async () => {
    const { client, enter, errors } = stage();
    client.subscribe('/queue/x', { id: 'x' });
    const { peer } = await enter();
    await settled();
    peer.say('ERROR\nmessage:Server cancelled subscription\nsubscription:x\n\n\0');
    peer.hangUp();
    await settled();
    expect(errors).toEqual([expect.objectContaining({ name: 'SubscriptionRefused', destination: '/queue/x' })]);
  });
});

describe('connecting', () => {
  test('backs off, and keeps the reason of every failed attempt for the end (P11)', async () => {
    const { client, clock, deaf, dialled } = stage({ reconnect: { attempts: 3, initialMs: 100 } });
    deaf(9);
    const failed = failure(client.connect());
    await clock.advance(99);
    expect(dialled).toHaveLength(1);
    await clock.advance(1 + 200);
    const error = await failed;
    expect(error).toBeInstanceOf(ConnectFailed);
    expect((error as ConnectFailed).attempts.map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
    expect(await client.closed).toEqual({ error });
    expect(client.state).toBe('closed');
    expect(clock.alarms).toBe(0);
  });

  test('goes through a list without waiting between its members (P18)', async () => {
    const where = ['stomp://a.example', 'stomp://b.example', 'stomp://c.example'];
    const { deaf, client, enter, dialled } = stage({}, { where });
    deaf(2);
    const connected = client.connect();
    await enter();
    await connected;
    expect(dialled.map((url) => new URL(url).hostname)).toEqual(['a.example', 'b.example', 'c.example']);
  });

  test('asks for credentials anew at each attempt, and is told why (P3)', async () => {
    const asked: unknown[] = [];
    const { client, clock, deaf, scene } = stage({
      credentials: async ({ attempt, refresh, lastError }) => {
        asked.push([attempt, refresh, lastError === undefined]);
        return { login: 'app', passcode: `token-${attempt}` };
      },
    });
    deaf(1);
    const connected = client.connect();
    await clock.advance(1_000);
    const { peer } = await scene();
    const connect = await peer.accept();
    await connected;
    expect(connect.headers.get('passcode')).toBe('token-2');
    expect(asked).toEqual([
      [1, false, true],
      [2, false, false],
    ]);
  });

  test('refreshes refused credentials once and then stops with AuthenticationError (P3)', async () => {
    const refreshes: boolean[] = [];
    const { client, scene, dialled } = stage({
      credentials: ({ refresh }) => {
        refreshes.push(refresh);
        return { login: 'app', passcode: 'stale' };
      },
    });
    const failed = failure(client.connect());
    for (let i = 0; i < 2; i++) {
      const { peer } = await scene();
      await peer.accept("ERROR\nmessage:Bad CONNECT\n\nAccess refused for user 'app'\n\0");
      peer.hangUp();
    }
    const error = await failed;
    expect(error).toBeInstanceOf(AuthenticationError);
    expect((error as AuthenticationError).cause).toBeInstanceOf(BrokerError);
    expect(refreshes).toEqual([false, true]);
    expect(dialled).toHaveLength(2);
  });

  test('stops at once where credentials are fixed and refused', async () => {
    const { client, scene, dialled } = stage({ credentials: { login: 'app', passcode: 'wrong' } });
    const failed = failure(client.connect());
    const { peer } = await scene();
    await peer.accept('ERROR\nmessage:the login was refused\n\n\0');
    peer.hangUp();
    expect(await failed).toBeInstanceOf(AuthenticationError);
    expect(dialled).toHaveLength(1);
  });

  test('counts credentials that never come as a failed attempt, and says so to their function', async () => {
    let signal: AbortSignal | undefined;
    const { client, clock, types } = stage({
      credentials: (context) => {
        signal = context.signal;
        return new Promise(() => {});
      },
    });
    const late = failure(client.connect({ timeoutMs: 15_000 }));
    await clock.advance(10_000);
    expect(signal?.aborted).toBe(true);
    expect(types()).toContain('attempt-failed');
    await clock.advance(5_000);
    expect(await late).toMatchObject({ name: 'TimeoutError', what: 'a connection' });
  });

  test('moves to a better endpoint when that answers again, without losing what is under way (P18)', async () => {
    const { client, clock, deaf, enter, types } = stage(
      { order: 'priority', failBackMs: 5_000 },
      { where: ['stomp://best.example', 'stomp://second.example'] },
    );
    const got: string[] = [];
    client.subscribe('/queue/a', (message) => void got.push(message.text()), { id: 'a' });
    deaf(1);
    const lesser = await enter();
    expect(lesser.endpoint).toContain('second');
    await clock.advance(5_000);
    const better = await enter();
    expect(better.endpoint).toContain('best');
    better.peer.deliver('a', 'here');
    await settled();
    await client.send('/queue/b', 'there');
    expect(commands(better.peer)).toContain('SEND');
    expect(commands(lesser.peer).at(-1)).toBe('DISCONNECT');
    expect(got).toEqual(['here']);
    expect(types()).not.toContain('disconnected');
  });

  test('logs in anew before its credentials expire, on a second connection that takes over (P39)', async () => {
    let tokens = 0;
    const { client, clock, enter } = stage({
      credentials: () => ({ login: 'app', passcode: `t${++tokens}`, expiresInMs: 100_000 }),
    });
    const held = hold();
    client.subscribe('/queue/a', () => held.wait(), { id: 'a' });
    const first = await enter();
    first.peer.deliver('a', 'in hand');
    await clock.advance(80_000);
    const second = await enter();
    expect(second.peer.frames[0]?.headers.get('passcode')).toBe('t2');
    expect(commands(first.peer)).not.toContain('DISCONNECT');
    held.release();
    await settled();
    await settled();
    expect(commands(first.peer)).toEqual(['CONNECT', 'SUBSCRIBE', 'ACK', 'DISCONNECT']);
  });
});

describe('close', () => {
  test('always settles, twice if asked, and leaves no timer behind (P5, P30)', async () => {
    const { client, clock, enter } = stage({}, { peer: { receipts: false } });
    void client.send('/queue/a', 'x').catch(() => {});
    await enter();
    const closing = client.close({ timeoutMs: 2_000 });
    expect(client.close()).toBe(closing);
    await clock.advance(5_000);
    await closing;
    expect(await client.closed).toEqual({});
    expect(clock.alarms).toBe(0);
  });

  test('tells what waited for a connection that nothing was sent', async () => {
    const { client, deaf } = stage();
    deaf(99);
    const waiting = failure(client.send('/queue/a', 'x'));
    await settled();
    await client.close();
    expect(await waiting).toMatchObject({ name: 'ConnectionLost', code: 'closed', outcome: 'unsent' });
  });

  test('lets handlers finish and settle first, then says DISCONNECT (P-09)', async () => {
    const { client, enter } = stage();
    const held = hold();
    client.subscribe('/queue/a', () => held.wait(), { id: 'a' });
    const { peer } = await enter();
    peer.deliver('a', 'x');
    await settled();
    const closing = client.close();
    await settled();
    expect(commands(peer)).toEqual(['CONNECT', 'SUBSCRIBE']);
    held.release();
    await closing;
    expect(commands(peer)).toEqual(['CONNECT', 'SUBSCRIBE', 'ACK', 'UNSUBSCRIBE', 'DISCONNECT']);
  });

  test('ends loops in order, and refuses what comes after', async () => {
    const { client, enter } = stage();
    const subscription = client.subscribe('/topic/t');
    await enter();
    const next = subscription[Symbol.asyncIterator]().next();
    await client.close();
    expect(await next).toEqual({ done: true, value: undefined });
    expect(() => client.subscribe('/topic/u')).toThrow(ConnectionLost);
    expect(await failure(client.send('/queue/a'))).toBeInstanceOf(ConnectionLost);
  });
});

describe('quiet connections', () => {
  test('to a broker that answers nothing carry a line end now and then, for the proxies between (P20)', async () => {
    const { client, clock, enter } = stage({ probeMs: 30_000, profile: 'spring' }, { peer: { receipts: false } });
    void client.connect();
    const { peer } = await enter();
    await clock.advance(90_000);
    expect(peer.beats).toBe(3);
    expect(commands(peer)).toEqual(['CONNECT']);
    expect(client.state).toBe('connected');
  });

  test('are asked whether they live where no heart-beats were agreed (P5, P20)', async () => {
    const { client, clock, enter } = stage({ probeMs: 30_000 }, { peer: { receipts: false } });
    void client.connect();
    const first = await enter();
    await clock.advance(30_000);
    expect(commands(first.peer)).toEqual(['CONNECT', 'BEGIN']);
    await clock.advance(15_000);
    expect(client.state).toBe('waiting');
    await clock.advance(1_000);
    await enter();
    expect(client.state).toBe('connected');
  });
});
