// Questions and answers, by the three ways an answer can come back.

import { type ProfileName, RequestRefused } from '@stompbox/client';
import { settled } from 'testkit';
import { describe, expect, test } from 'vitest';
import { failure, type Scene, stage } from './stage.ts';

/** Answers a SEND the way its broker would: on the subscription to its reply-to. */
function answer(scene: Scene, send: { get(name: string): string | undefined }, body: string, more = ''): void {
  const to = send.get('reply-to') ?? '';
  const subscribed = scene.peer.frames.find(
    ({ command, headers }) => command === 'SUBSCRIBE' && headers.get('destination') === to,
  );
  const subscription = subscribed?.headers.get('id') ?? to;
  const id = send.get('correlation-id');
  const correlation = id === undefined ? '' : `correlation-id:${id}\n`;
  scene.peer.say(
    `MESSAGE\nsubscription:${subscription}\nmessage-id:1\ndestination:${to}\n${correlation}${more}\n${body}\0`,
  );
}

const asked = async (scene: Scene) => (await scene.peer.next('send')).frame.headers;

describe('request', () => {
  for (const [profile, place, subscribes] of [
    ['activemq', /^\/temp-queue\//, true], // temporary
    ['rabbitmq', /^\/temp-queue\//, false], // broker
    ['generic', /^\/queue\//, true], // shared
    ['stompbox', /^\/temp-queue\//, true],
  ] as [ProfileName, RegExp, boolean][]) {
    test(`gets its answer on ${profile} (P33)`, async () => {
      const { client, enter } = stage({ profile });
      const asking = client.request<{ price: number }>('/queue/quotes', { sku: 1 });
      const scene = await enter();
      const headers = await asked(scene);
      expect(headers.get('reply-to')).toMatch(place);
      expect(scene.peer.frames.some(({ command }) => command === 'SUBSCRIBE')).toBe(subscribes);
      answer(scene, headers, '{"price":3}');
      expect((await asking).json()).toEqual({ price: 3 });
    });
  }

  test('takes no id from the subscriptions to come', async () => {
    const { client, enter, errors } = stage({ profile: 'stompbox' });
    const first = client.subscribe('/queue/a');
    const asking = client.request('/queue/quotes', 'x');
    const scene = await enter();
    answer(scene, await asked(scene), 'y');
    await asking;
    const later = Array.from({ length: 3 }, (_, i) => client.subscribe(`/queue/${i}`));
    await Promise.all([first, ...later].map(({ ready }) => ready));
    expect(errors).toEqual([]);
  });

  test('tells several answers apart, and drops one that comes too late', async () => {
    const { client, clock, enter, errors } = stage({ profile: 'rabbitmq' });
    const late = failure(client.request('/queue/a', '', { timeoutMs: 1_000 }));
    const scene = await enter();
    const first = await asked(scene);
    await clock.advance(1_000);
    expect(await late).toMatchObject({ name: 'TimeoutError', afterMs: 1_000 });
    const asking = [client.request('/queue/a', 'b'), client.request('/queue/a', 'c')];
    const [b, c] = [await asked(scene), await asked(scene)];
    answer(scene, first, 'too late');
    answer(scene, c, 'to c');
    answer(scene, b, 'to b');
    expect((await Promise.all(asking)).map((message) => message.text())).toEqual(['to b', 'to c']);
    expect(errors).toEqual([]);
  });

  test('takes an answer without a correlation-id where it asks alone', async () => {
    const { client, enter } = stage({ profile: 'activemq' });
    const asking = client.request('/queue/a');
    const scene = await enter();
    const headers = await asked(scene);
    answer(scene, { get: (name) => (name === 'correlation-id' ? undefined : headers.get(name)) }, 'anonymous');
    expect((await asking).text()).toBe('anonymous');
  });

  test('is worth nothing after its time, and says so to the broker (P24)', async () => {
    const { client, enter } = stage({ profile: 'stompbox' });
    void client.request('/queue/a', '', { timeoutMs: 2_000 }).catch(() => {});
    const headers = await asked(await enter());
    expect([headers.get('expiration'), headers.get('persistent')]).toEqual(['2000', 'false']);
  });

  test('fails with what the responder says of its failure', async () => {
    const { client, enter } = stage({ profile: 'stompbox' });
    const asking = failure(client.request('/queue/a'));
    const scene = await enter();
    answer(scene, await asked(scene), '', 'stompbox-error:no such thing\n');
    const error = await asking;
    expect(error).toBeInstanceOf(RequestRefused);
    expect(error).toMatchObject({ message: 'no such thing' });
  });

  test('ends with its connection where answers do, and not where they do not', async () => {
    for (const [profile, survives] of [
      ['stompbox', false],
      ['generic', true],
    ] as [ProfileName, boolean][]) {
      const { client, clock, enter } = stage({ profile });
      const asking = client.request('/queue/a').then(
        (message) => message.text(),
        (error: { name: string; outcome: string }) => [error.name, error.outcome],
      );
      const first = await enter();
      const headers = await asked(first);
      first.cut('reset');
      await clock.advance(1_000);
      const second = await enter();
      if (survives) answer(second, headers, 'after all');
      expect(await asking).toEqual(survives ? 'after all' : ['ConnectionLost', 'unknown']);
    }
  });

  test('ends with the client', async () => {
    const { client, enter } = stage({ profile: 'stompbox' });
    const asking = failure(client.request('/queue/a'));
    await asked(await enter());
    await client.close();
    expect(await asking).toMatchObject({ name: 'ConnectionLost', code: 'closed' });
  });

  test('can be called off', async () => {
    const { client, enter } = stage({ profile: 'stompbox' });
    const caller = new AbortController();
    const asking = failure(client.request('/queue/a', '', { signal: caller.signal }));
    await asked(await enter());
    caller.abort(new Error('never mind'));
    expect(await asking).toMatchObject({ message: 'never mind' });
  });
});

describe('requestMany', () => {
  test('gives answers as they come, until there are enough', async () => {
    const { client, enter } = stage({ profile: 'stompbox' });
    const answers: string[] = [];
    const asking = (async () => {
      for await (const message of client.requestMany('/topic/who', '', { max: 2 })) answers.push(message.text());
    })();
    const scene = await enter();
    const headers = await asked(scene);
    for (const body of ['a', 'b', 'c']) answer(scene, headers, body);
    await asking;
    expect(answers).toEqual(['a', 'b']);
  });

  test('stops when it has been quiet for long enough, and fails only where nobody answered', async () => {
    const { client, clock, enter } = stage({ profile: 'stompbox' });
    const answers: string[] = [];
    const asking = (async () => {
      for await (const message of client.requestMany('/topic/who', '', { quietMs: 300, timeoutMs: 2_000 })) {
        answers.push(message.text());
      }
    })();
    const scene = await enter();
    answer(scene, await asked(scene), 'a');
    await settled();
    await clock.advance(300);
    await asking;
    expect(answers).toEqual(['a']);
    const nobody = failure(client.requestMany('/topic/who', '', { timeoutMs: 2_000 }).next());
    await asked(scene);
    await clock.advance(2_000);
    expect(await nobody).toMatchObject({ name: 'TimeoutError' });
  });
});

describe('respond', () => {
  test('sends what it returns to where the request says, and then acknowledges', async () => {
    const { client, enter } = stage();
    client.respond('/queue/quotes', (message) => ({ echo: message.text() }), { id: 'q' });
    const scene = await enter();
    await scene.peer.next('subscribe');
    scene.peer.deliver('q', 'x', { headers: { 'reply-to': '/temp-queue/r', 'correlation-id': '7' } });
    await settled();
    const [reply, ack] = scene.peer.frames.slice(2);
    expect(reply?.headers.get('destination')).toBe('/temp-queue/r');
    expect(reply?.headers.get('correlation-id')).toBe('7');
    expect(new TextDecoder().decode(reply?.body)).toBe('{"echo":"x"}');
    expect(ack?.command).toBe('ACK');
  });

  test('says to the one who asked that it failed, and to onError', async () => {
    const { client, enter, errors } = stage();
    client.respond(
      '/queue/quotes',
      () => {
        throw new Error('no such thing');
      },
      { id: 'q' },
    );
    const scene = await enter();
    await scene.peer.next('subscribe');
    scene.peer.deliver('q', 'x', { headers: { 'reply-to': '/temp-queue/r' } });
    await settled();
    expect(scene.peer.frames[2]?.headers.get('stompbox-error')).toBe('no such thing');
    expect(errors).toHaveLength(1);
  });

  test('handles a message that wants no answer', async () => {
    const { client, enter, errors } = stage();
    client.respond('/queue/quotes', () => 'nobody hears', { id: 'q' });
    const scene = await enter();
    await scene.peer.next('subscribe');
    scene.peer.deliver('q', 'x');
    await settled();
    expect(scene.peer.frames.slice(2).map(({ command }) => command)).toEqual(['ACK']);
    expect(errors).toEqual([]);
  });

  test('a message can be answered by hand, where it asks for an answer', async () => {
    const { client, enter } = stage();
    const subscription = client.subscribe('/queue/a', { id: 'a' });
    const scene = await enter();
    await scene.peer.next('subscribe');
    scene.peer.deliver('a', 'x');
    scene.peer.deliver('a', 'y', { headers: { 'reply-to': '/temp-queue/r' } });
    expect(await failure((await subscription.next()).reply('z'))).toMatchObject({ code: 'missing-header' });
    await (await subscription.next()).reply('z');
    expect(scene.peer.frames.at(-1)?.headers.get('destination')).toBe('/temp-queue/r');
  });
});
