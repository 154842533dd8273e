// How messages reach loops and handlers, and how they are settled.

import { type ClientSubscribeOptions, type Message, UnsupportedByBroker, UsageError } from '@stompbox/client';
import { settled } from 'testkit';
import { describe, expect, test } from 'vitest';
import { failure, hold, type Scene, type Stage, stage } from './stage.ts';

interface Table extends Stage, Scene {}

/** A client with one subscription `s` on `/queue/a`, connected. */
async function table(
  handler: ((message: Message) => unknown) | undefined,
  options: ClientSubscribeOptions = {},
  connected?: string,
): Promise<Table & { subscription: ReturnType<Stage['client']['subscribe']> }> {
  const staged = stage();
  const { client } = staged;
  const asked = { id: 's', ...options };
  const subscription =
    handler === undefined ? client.subscribe('/queue/a', asked) : client.subscribe('/queue/a', handler, asked);
  const scene = await staged.enter(connected);
  await settled();
  return { ...staged, ...scene, subscription };
}

const after = (scene: Scene, command: string): string[] =>
  scene.peer.frames
    .slice(scene.peer.frames.findLastIndex((frame) => frame.command === command) + 1)
    .map((frame) => frame.command);

describe('a handler', () => {
  test('acknowledges when it returns, in client-individual mode (P-06)', async () => {
    const scene = await table(() => {});
    expect(scene.peer.frames[1]?.headers.get('ack')).toBe('client-individual');
    scene.peer.deliver('s', 'x');
    await settled();
    expect(after(scene, 'SUBSCRIBE')).toEqual(['ACK']);
  });

  test('decides by what it returns', async () => {
    const scene = await table((message) => message.text());
    for (const verdict of ['ack', 'nack', 'anything else']) scene.peer.deliver('s', verdict);
    await settled();
    expect(after(scene, 'SUBSCRIBE')).toEqual(['ACK', 'NACK', 'ACK']);
  });

  test('asks for a message again in the words of the broker', async () => {
    const scene = await table(() => 'requeue', {}, 'CONNECTED\nversion:1.2\nserver:RabbitMQ/3.10.8\n\n\0');
    scene.peer.deliver('s', 'x');
    await settled();
    expect(scene.peer.frames.at(-1)?.headers.get('requeue')).toBe('true');
  });

  test('settles with a plain NACK where the broker has no such words, and says so', async () => {
    const scene = await table(() => 'requeue', {}, 'CONNECTED\nversion:1.2\nserver:ActiveMQ/5.17.2\n\n\0');
    scene.peer.deliver('s', 'x');
    await settled();
    expect(after(scene, 'SUBSCRIBE')).toEqual(['NACK']);
    expect(scene.errors).toEqual([expect.any(UnsupportedByBroker)]);
  });

  test('may choose by hand whether a message comes again (P35)', async () => {
    const scene = await table(
      (message) => message.nack({ requeue: false }),
      {},
      'CONNECTED\nversion:1.2\nserver:RabbitMQ/3.10.8\n\n\0',
    );
    scene.peer.deliver('s', 'x');
    await settled();
    expect(scene.peer.frames.at(-1)?.headers.get('requeue')).toBe('false');
    expect(after(scene, 'SUBSCRIBE')).toEqual(['NACK']);
  });

  test('that throws nacks, and is heard of (P37)', async () => {
    const scene = await table(() => {
      throw new Error('no');
    });
    scene.peer.deliver('s', 'x');
    await settled();
    expect(after(scene, 'SUBSCRIBE')).toEqual(['NACK']);
    expect(scene.errors).toEqual([expect.objectContaining({ message: 'no' })]);
  });

  test('handles one message at a time, in order, or as many as it is told (P7)', async () => {
    for (const concurrency of [1, 3]) {
      const held = hold();
      let running = 0;
      const scene = await table(
        () => {
          running++;
          return held.wait();
        },
        { concurrency },
      );
      for (let i = 0; i < 5; i++) scene.peer.deliver('s', String(i));
      await settled();
      expect(running).toBe(concurrency);
      held.release();
      await settled();
      expect(running).toBe(5);
      expect(after(scene, 'SUBSCRIBE')).toHaveLength(5);
    }
  });

  test('is tried again with back-off, holding the message, and then gives it up (P35)', async () => {
    let tries = 0;
    const scene = await table(
      () => {
        tries++;
        throw new Error(`try ${tries}`);
      },
      { retry: { attempts: 3, initialMs: 100 } },
    );
    scene.peer.deliver('s', 'x');
    await settled();
    await scene.clock.advance(99);
    expect(tries).toBe(1);
    await scene.clock.advance(1);
    expect(tries).toBe(2);
    await scene.clock.advance(199);
    expect(tries).toBe(2);
    expect(after(scene, 'SUBSCRIBE')).toEqual([]);
    await scene.clock.advance(1);
    expect(tries).toBe(3);
    expect(after(scene, 'SUBSCRIBE')).toEqual(['NACK']);
    expect(scene.errors).toHaveLength(3);
  });

  test('sends what it cannot handle to a dead-letter destination, and acknowledges once that has it (P35)', async () => {
    const scene = await table(
      () => {
        throw new Error('broken');
      },
      { deadLetter: '/queue/dead' },
    );
    scene.peer.deliver('s', 'body', { headers: { colour: 'red', 'content-type': 'text/x' } });
    await settled();
    await settled();
    const [send, ack] = scene.peer.frames.slice(2);
    expect(send?.headers.get('destination')).toBe('/queue/dead');
    expect(send?.headers.get('colour')).toBe('red');
    expect(send?.headers.get('content-type')).toBe('text/x');
    expect(send?.headers.get('original-destination')).toBe('/queue/a');
    expect(send?.headers.get('dead-letter-reason')).toBe('broken');
    expect(new TextDecoder().decode(send?.body)).toBe('body');
    expect(ack?.command).toBe('ACK');
  });

  test('ends its subscription on its first failure where it is told to stop', async () => {
    const scene = await table(
      () => {
        throw new Error('no');
      },
      { onFailure: 'stop' },
    );
    scene.peer.deliver('s', 'x');
    await settled();
    expect(after(scene, 'SUBSCRIBE')).toEqual(['NACK', 'UNSUBSCRIBE']);
    expect(scene.subscription.ended).toBe(true);
  });

  test('settles nothing by itself where it is told not to', async () => {
    const scene = await table(() => {}, { autoSettle: false });
    scene.peer.deliver('s', 'x');
    await settled();
    expect(after(scene, 'SUBSCRIBE')).toEqual([]);
  });

  test('runs outside of the parser: what it throws ends nobody', async () => {
    const scene = await table(
      () => {
        throw new Error('no');
      },
      { ack: 'auto' },
    );
    scene.peer.deliver('s', 'x');
    scene.peer.deliver('s', 'y');
    await settled();
    expect(scene.errors).toHaveLength(2);
    expect(scene.client.state).toBe('connected');
  });

  test('may not share its messages with a loop', async () => {
    const { subscription } = await table(() => {});
    expect(await failure(subscription.next())).toBeInstanceOf(UsageError);
    expect(() => subscription.tryNext()).toThrow(UsageError);
  });
});

describe('a loop', () => {
  test('takes messages as it wants them, and leaves them to the connection meanwhile', async () => {
    const scene = await table(undefined);
    for (let i = 0; i < 3; i++) scene.peer.deliver('s', String(i));
    await settled();
    expect(scene.client.connection?.waiting.frames).toBe(3);
    expect((await scene.subscription.next()).text()).toBe('0');
    expect(scene.subscription.tryNext()?.text()).toBe('1');
    expect(scene.client.connection?.waiting.frames).toBe(1);
  });

  test('waits no longer than it is told', async () => {
    const { subscription, clock } = await table(undefined);
    const late = failure(subscription.next({ timeoutMs: 100 }));
    const called = new AbortController();
    const off = failure(subscription.next({ signal: called.signal }));
    await clock.advance(100);
    called.abort(new Error('never mind'));
    expect(await late).toMatchObject({ name: 'TimeoutError' });
    expect(await off).toMatchObject({ message: 'never mind' });
  });

  test('that is left unsubscribes', async () => {
    const scene = await table(undefined);
    scene.peer.deliver('s', 'x');
    for await (const _ of scene.subscription) break;
    await settled();
    expect(after(scene, 'SUBSCRIBE')).toEqual(['UNSUBSCRIBE']);
  });

  test('is told at the end what it had not read, in auto mode', async () => {
    const scene = await table(undefined);
    scene.peer.deliver('s', 'x');
    await settled();
    await scene.subscription.drain();
    expect((await scene.subscription.next()).text()).toBe('x');
    expect(await failure(scene.subscription.next())).toMatchObject({ name: 'ConnectionLost', code: 'closed' });
  });
});

describe('pause and drain', () => {
  test('a paused subscription gives nothing, and the socket is paused when too much waits (P7)', async () => {
    const got: string[] = [];
    const scene = await table((message) => void got.push(message.text()), { ack: 'auto' });
    scene.subscription.pause();
    for (let i = 0; i < 1_200; i++) scene.peer.deliver('s', String(i));
    await settled();
    expect(got).toEqual([]);
    expect(scene.types()).toContain('slow-consumer');
    scene.subscription.resume();
    await settled();
    expect(got).toHaveLength(1_200);
    expect(scene.types().at(-1)).toBe('flowing');
  });

  test('drain finishes what was given, gives nothing more, and then leaves', async () => {
    const held = hold();
    const got: string[] = [];
    const scene = await table((message) => {
      got.push(message.text());
      return held.wait();
    });
    scene.peer.deliver('s', 'one');
    scene.peer.deliver('s', 'two');
    await settled();
    const drained = scene.subscription.drain();
    held.release();
    await drained;
    expect(got).toEqual(['one']);
    expect(after(scene, 'SUBSCRIBE')).toEqual(['ACK', 'UNSUBSCRIBE']);
  });

  test('drain waits no longer than it is told', async () => {
    const scene = await table(() => hold().wait());
    scene.peer.deliver('s', 'x');
    await settled();
    const drained = scene.subscription.drain({ timeoutMs: 1_000 });
    await scene.clock.advance(1_000);
    await drained;
    expect(after(scene, 'SUBSCRIBE')).toEqual(['UNSUBSCRIBE']);
  });

  test('drain does not wait for who took one message, settled it, and wants no other', async () => {
    const scene = await table(undefined, { ack: 'client-individual' });
    scene.peer.deliver('s', 'x');
    await (await scene.subscription.next()).ack();
    await scene.subscription.drain();
    expect(after(scene, 'SUBSCRIBE')).toEqual(['ACK', 'UNSUBSCRIBE']);
  });

  test('a loop is drained when it asks for the next message', async () => {
    const scene = await table(undefined, { ack: 'client-individual' });
    scene.peer.deliver('s', 'x');
    const message = await scene.subscription.next();
    const drained = scene.subscription.drain();
    await settled();
    expect(after(scene, 'SUBSCRIBE')).toEqual([]);
    await message.ack();
    expect(await failure(scene.subscription.next())).toMatchObject({ code: 'closed' });
    await drained;
    expect(after(scene, 'SUBSCRIBE')).toEqual(['ACK', 'UNSUBSCRIBE']);
  });
});

describe('sharing (P15)', () => {
  test('two subscriptions to one destination are one at the broker, and each gets every message', async () => {
    const { client, enter } = stage();
    const one: string[] = [];
    const first = client.subscribe('/topic/t', (message) => void one.push(message.text()), { share: true });
    const second = client.subscribe('/topic/t', { share: true });
    const { peer } = await enter();
    await Promise.all([first.ready, second.ready]);
    const id = peer.frames[1]?.headers.get('id') ?? '';
    expect(peer.frames.filter(({ command }) => command === 'SUBSCRIBE')).toHaveLength(1);
    peer.deliver(id, 'x');
    expect((await second.next()).text()).toBe('x');
    expect(one).toEqual(['x']);
    await first.unsubscribe();
    expect(peer.frames.at(-1)?.command).toBe('SUBSCRIBE');
    peer.deliver(id, 'y');
    expect((await second.next()).text()).toBe('y');
    await second.unsubscribe();
    expect(peer.frames.at(-1)?.command).toBe('UNSUBSCRIBE');
  });

  test('the slowest reader decides how fast it goes', async () => {
    const { client, enter } = stage();
    const quick: string[] = [];
    client.subscribe('/topic/t', (message) => void quick.push(message.text()), { share: true });
    const slow = client.subscribe('/topic/t', { share: true });
    const { peer } = await enter();
    await slow.ready;
    const id = peer.frames[1]?.headers.get('id') ?? '';
    for (let i = 0; i < 500; i++) peer.deliver(id, String(i));
    await settled();
    expect(quick).toHaveLength(100);
    for (let i = 0; i < 500; i++) expect((await slow.next()).text()).toBe(String(i));
    await settled();
    expect(quick).toHaveLength(500);
  });

  test('is for auto mode', () => {
    const { client } = stage();
    expect(() => client.subscribe('/topic/t', { share: true, ack: 'client' })).toThrow(UsageError);
  });
});

describe('what a broker cannot do', () => {
  test('ends that subscription with a typed error, before anything is sent (P9)', async () => {
    const { client, enter, errors } = stage({ profile: 'rabbitmq' });
    const subscription = client.subscribe('/queue/a', { selector: "colour = 'red'" });
    const refused = failure(subscription.ready);
    const { peer } = await enter();
    expect(await refused).toBeInstanceOf(UnsupportedByBroker);
    expect(await failure(subscription.next())).toBeInstanceOf(UnsupportedByBroker);
    expect(peer.frames.map(({ command }) => command)).toEqual(['CONNECT']);
    expect(errors).toEqual([expect.any(UnsupportedByBroker)]);
  });

  test('is not asked for: Spring answers no receipts and takes no ACK (P10, P17)', async () => {
    const { client, enter } = stage({ profile: 'spring' }, { peer: { receipts: false } });
    const subscription = client.subscribe('/topic/a', () => {}, { id: 's' });
    const { peer } = await enter();
    await subscription.ready;
    await client.send('/app/b', { x: 1 });
    expect(await failure(client.send('/app/b', 'x', { confirm: true }))).toBeInstanceOf(UnsupportedByBroker);
    peer.deliver('s', 'x');
    await settled();
    const [, subscribe, ...more] = peer.frames;
    expect([subscribe?.headers.get('ack'), subscribe?.headers.get('receipt')]).toEqual(['auto', undefined]);
    expect(more.map(({ command, headers }) => [command, headers.get('receipt')])).toEqual([['SEND', undefined]]);
  });
});
