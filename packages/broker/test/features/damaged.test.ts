// A message that cannot be read is told and set aside; the queue goes on behind it.

import { Content, Encoder, frame, NameSet } from '@stompbox/protocol';
import { expect, test } from 'vitest';
import { EmbeddedEngine } from '../../src/engine/embedded/embedded.ts';
import type { Delivery } from '../../src/engine/engine.ts';
import { resolveLimits } from '../../src/limits.ts';
import { memoryStore } from '../../src/store/memory.ts';
import { type MessageKey, type Store, type StoredMessage, StoreError } from '../../src/store/store.ts';

const content = (body: string): Content =>
  Content.of(frame('SEND', [], body), new NameSet([]), new Encoder({ version: '1.2', unrepresentable: 'replace' }));

test('a damaged message blocks nobody behind it, is told once, and stays in the store', async () => {
  const inner = memoryStore();
  const stored = [1, 2, 3].map(
    (id): StoredMessage => ({
      id,
      queue: 'q',
      priority: 4,
      destination: '/queue/q',
      content: content(`message ${id}`),
      sentAt: 1,
      expiresAt: 0,
      redeliveries: 0,
    }),
  );
  await inner.commit({ append: stored });
  const damaged: MessageKey = { queue: 'q', priority: 4, id: 2 };
  const settled: number[] = [];
  const store: Store = new Proxy(inner, {
    get(target, name) {
      if (name === 'survives') return 'power-cut';
      if (name === 'commit') {
        return (change: Parameters<Store['commit']>[0]) => {
          settled.push(...(change.settle ?? []).map(({ id }) => id));
          return target.commit(change);
        };
      }
      if (name === 'read') {
        return (...[queue, after, most]: Parameters<Store['read']>) => {
          const page = target.read(queue, after, most);
          const at = page.findIndex(({ id }) => id === damaged.id);
          if (at === 0) throw new StoreError('damaged', 'message 2 of queue q is damaged', { key: damaged });
          return at < 0 ? page : page.slice(0, at);
        };
      }
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const told: string[] = [];
  const engine = new EmbeddedEngine(
    {
      ...resolveLimits(),
      schedule: () => () => {},
      time: () => 1,
      observer: { storeDamaged: ({ message }) => told.push(message) },
    },
    store,
  );
  const got: Delivery[] = [];
  const feed = await engine.open({
    destination: { kind: 'queue', name: 'q', text: '/queue/q' },
    acknowledged: true,
    deliver: (delivery) => void got.push(delivery),
    ended: () => {},
  });
  feed.request(10);
  expect(got.map(({ id }) => id)).toEqual([1, 3]);
  expect(told).toEqual(['message 2 of queue q is damaged']);
  await engine.commit({
    sends: [],
    settlements: got.map((delivery) => ({ delivery, outcome: 'ack' as const })),
    atomic: false,
  });
  expect(settled.sort()).toEqual([1, 3]);
  await engine.close();
});
