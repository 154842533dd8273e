// The operators' door for a user: the rules for `manage` are asked, verb by verb.

import { describe, expect, test } from 'vitest';
import { AccessError, authorizeBy, type Identity } from '../../src/index.ts';
import { books, place } from '../support.ts';
import { remembering } from './support.ts';

const ann: Identity = { name: 'ann', groups: ['ops'] };
const bob: Identity = { name: 'bob' };

const RULES = [
  { who: '*', may: ['send', 'subscribe'], destination: '>' },
  { who: '@ops', may: 'manage', destination: ['/queue/orders.>', '/topic/news.>', '/queue/dlq.orders.>'] },
  { who: '*', mayNot: 'manage', destination: '/queue/orders.secret' },
] as const;

async function managed() {
  const log = remembering();
  const authenticate = () => ({ name: 'app' });
  const at = await place({ authenticate, authorize: authorizeBy(RULES), log });
  const client = await at.client('1.2', { 'client-id': 'c' });
  for (const queue of ['orders.new', 'orders.secret', 'other']) await client.send(`/queue/${queue}`, queue);
  for (const topic of ['news.eu', 'private'])
    await client.subscribe(topic, `/topic/${topic}`, 'auto', { 'activemq.subscriptionName': topic });
  await client.ask('UNSUBSCRIBE', { id: 'news.eu' });
  await client.ask('UNSUBSCRIBE', { id: 'private' });
  return { at, client, log };
}

describe('a user with rules for some', () => {
  test('sees what these cover, and nothing else', async () => {
    const { at } = await managed();
    const names = (who: Identity) => [
      at.broker
        .manageAs(who)
        .queues()
        .map(({ name }) => name),
      at.broker
        .manageAs(who)
        .durables()
        .map(({ pattern }) => pattern),
    ];
    expect(names(ann)).toEqual([['orders.new'], ['/topic/news.eu']]);
    expect(names(bob)).toEqual([[], []]);
    expect(at.broker.inspect.queues()).toHaveLength(3);
    expect(at.broker.inspect.durables()).toHaveLength(2);
  });

  test('may browse, move and purge there, and forget durable subscriptions', async () => {
    const { at } = await managed();
    const door = at.broker.manageAs(ann);
    expect(door.browse('orders.new').map(({ destination }) => destination)).toEqual(['/queue/orders.new']);
    expect(await door.move('orders.new', 'orders.old')).toBe(1);
    expect(await door.purge('orders.old')).toBe(1);
    const [durable] = door.durables();
    expect(await door.forgetDurable(durable?.name ?? '')).toBe(true);
    expect(await door.forgetDurable(durable?.name ?? '')).toBe(false);
    expect(at.broker.inspect.durables().map(({ pattern }) => pattern)).toEqual(['/topic/private']);
  });

  test('moves dead letters back with the right for their queue', async () => {
    const { at, client } = await managed();
    await client.subscribe('1', '/queue/orders.new', 'client');
    client.settle('NACK', await client.next(), { requeue: 'false' });
    await client.ask('UNSUBSCRIBE', { id: '1' });
    await expect(at.broker.manageAs(bob).move('dlq.orders.new', undefined)).rejects.toThrow(AccessError);
    expect(await at.broker.manageAs(ann).move('dlq.orders.new', undefined)).toBe(1);
    expect(books(at.broker, 'orders.new')).toMatchObject({ waiting: 1 });
  });

  test.each([
    ['browse', 'other', '/queue/other', 'no rule grants it'],
    ['browse', 'is-not-there', '/queue/is-not-there', 'no rule grants it'],
    ['browse', 'orders.secret', '/queue/orders.secret', 'rule 3 takes it back'],
    ['purge', 'other', '/queue/other', 'no rule grants it'],
    ['move', 'other', '/queue/other', 'no rule grants it'],
    ['moveTo', 'other', '/queue/other', 'no rule grants it'],
    ['forgetDurable', 'app/c/private', '/topic/private', 'no rule grants it'],
  ] as const)('is refused to %s %s, hears why, and nothing happens', async (verb, name, destination, rule) => {
    const { at, log } = await managed();
    const before = [at.broker.inspect.queues(), at.broker.inspect.durables()];
    const door = at.broker.manageAs(ann);
    const tried = {
      browse: async () => door.browse(name),
      purge: () => door.purge(name),
      move: () => door.move(name, 'orders.new'),
      moveTo: () => door.move('orders.new', name),
      forgetDurable: () => door.forgetDurable(name),
    }[verb]();
    const error = await tried.catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(AccessError);
    expect(error).toMatchObject({
      user: 'ann',
      verb: 'manage',
      destination,
      rule,
      message: `"ann" may not manage "${destination}": ${rule}`,
    });
    expect([at.broker.inspect.queues(), at.broker.inspect.durables()]).toEqual(before);
    expect(log.of('access-refused')).toEqual([{ identity: 'ann', verb: 'manage', destination }]);
  });

  test('has other rights in the same door after a reload', async () => {
    const { at } = await managed();
    const door = at.broker.manageAs(bob);
    await expect(door.purge('other')).rejects.toThrow(AccessError);
    at.broker.reload({ authorize: authorizeBy([{ who: 'bob', may: 'manage', destination: '>' }]) });
    expect(await door.purge('other')).toBe(1);
  });
});

test('a hook of one’s own is asked as well, and where it throws the verb does', async () => {
  const at = await place({ authorize: (_, verb, destination) => verb !== 'manage' || destination === '/queue/mine' });
  const client = await at.client();
  for (const queue of ['mine', 'yours']) await client.send(`/queue/${queue}`);
  const door = at.broker.manageAs(ann);
  expect(door.queues().map(({ name }) => name)).toEqual(['mine']);
  expect(() => door.browse('yours')).toThrow('"ann" may not manage "/queue/yours": `authorize` says no');
  at.broker.reload({
    authorize() {
      throw new Error('the directory is down');
    },
  });
  await expect(door.purge('mine')).rejects.toThrow('the directory is down');
});

test('without rules everybody may everything, except with what is private to a connection', async () => {
  const at = await place();
  const client = await at.client();
  await client.subscribe('1', '/temp-queue/mine');
  await client.send('/queue/q');
  const door = at.broker.manageAs(bob);
  expect(door.queues().map(({ name }) => name)).toEqual(['q']);
  const temporary = at.broker.inspect.queues().find(({ name }) => name !== 'q')?.name ?? '';
  await expect(door.purge(temporary)).rejects.toThrow(AccessError);
  await expect(door.move('q', temporary)).rejects.toThrow('private to its connection');
  expect(await door.purge('q')).toBe(1);
});

test.each([
  ['subscribe', true],
  ['manage', false],
] as const)('a SUBSCRIBE that browses, with the right to %s alone: %s', async (may, isTaken) => {
  const authorize = authorizeBy([{ who: '*', may: ['send', may], destination: '/queue/q' }]);
  const at = await place({ authorize });
  const client = await at.client();
  await client.send('/queue/q', 'x');
  client.say('SUBSCRIBE', { id: '1', destination: '/queue/q', browser: 'true' });
  if (isTaken) expect((await client.next()).text()).toBe('x');
  else expect((await client.error()).get('message')).toBe('you may not subscribe here');
});
