// Which endpoint next (P18).

import { type Endpoint, formatEndpoint, parseEndpoint } from '@stompbox/transport';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Endpoints, type EndpointsOptions } from '../src/managed/endpoints.ts';

function among(names: string, options: EndpointsOptions = {}, seed = 1): Table {
  return new Table(new Endpoints(names.split(' ').map(read), options, chance(seed)));
}

/** Park and Miller's numbers: the same each time. */
function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

/** Endpoints by their hosts' names. */
class Table {
  readonly endpoints: Endpoints;
  constructor(endpoints: Endpoints) {
    this.endpoints = endpoints;
  }
  /** Tries one round in which nobody answers. */
  round(): string {
    const tried: string[] = [];
    do {
      const endpoint = this.endpoints.next();
      tried.push(nameOf(endpoint));
      this.endpoints.failed(endpoint);
    } while (!this.endpoints.roundDone);
    return tried.join(' ');
  }
  /** Tries until `name` answers. */
  connect(name: string): this {
    for (;;) {
      const endpoint = this.endpoints.next();
      if (nameOf(endpoint) === name) {
        this.endpoints.succeeded(endpoint);
        return this;
      }
      this.endpoints.failed(endpoint);
    }
  }
  lose(name: string): this {
    const lost = this.endpoints.all.find((endpoint) => nameOf(endpoint) === name);
    if (lost) this.endpoints.failed(lost);
    return this;
  }
  better(): string | undefined {
    const endpoint = this.endpoints.better();
    return endpoint && nameOf(endpoint);
  }
}

const read = (name: string) => parseEndpoint(name.includes(':') ? name : `stomp://${name}`);
const nameOf = (endpoint: ReturnType<typeof read>) =>
  formatEndpoint(endpoint)
    .replace(/^stomp:\/\//, '')
    .replace(/:61613$/, '');

test('P18: a round walks every endpoint once, and the next one begins behind the last', () => {
  const table = among('a b c');
  expect(table.endpoints.roundDone).toBe(true);
  expect(table.round()).toBe('a b c');
  expect(table.round()).toBe('a b c');
});

test('P18: the endpoint that was lost is tried last', () => {
  expect(among('a b c').connect('a').lose('a').round()).toBe('b c a');
  expect(among('a b c').connect('b').lose('b').round()).toBe('c a b');
});

test('one endpoint is tried again and again', () => {
  const table = among('a');
  expect(table.round()).toBe('a');
  expect(table.connect('a').lose('a').round()).toBe('a');
});

test('P18: a random order is another one each round, and never begins with what just failed', () => {
  const table = among('a b c', { order: 'random' });
  const rounds = Array.from({ length: 20 }, () => table.round());
  expect(new Set(rounds).size).toBeGreaterThan(2);
  for (const [i, round] of rounds.entries()) {
    expect(round.split(' ').sort().join(' ')).toBe('a b c');
    if (i > 0) expect(round[0]).not.toBe(rounds[i - 1]?.at(-1));
  }
});

test('P18: clients that choose at random spread over the endpoints', () => {
  const first = new Map<string, number>();
  for (let client = 1; client <= 300; client++) {
    const { endpoints } = among('a b c', { order: 'random' }, client * 7_919_993);
    const name = nameOf(endpoints.next());
    first.set(name, (first.get(name) ?? 0) + 1);
  }
  for (const name of ['a', 'b', 'c']) expect(first.get(name)).toBeGreaterThan(50);
});

test('P18: by priority each round begins at the top, but for the one that was just lost', () => {
  const table = among('a b c', { order: 'priority' });
  expect(table.round()).toBe('a b c');
  expect(table.round()).toBe('a b c');
  expect(table.connect('b').lose('b').round()).toBe('a c b');
  expect(table.connect('a').lose('a').round()).toBe('b c a');
  expect(table.round()).toBe('a b c');
});

test('P18: preferred endpoints go first, in the order of the others', () => {
  expect(among('a b c d', { preferred: 2 }).round()).toBe('a b c d');
  const table = among('a b c d', { preferred: 2, order: 'random' });
  expect(table.round().slice(0, 3).split(' ').sort()).toEqual(['a', 'b']);
  expect(table.connect('a').lose('a').round().split(' ')[0]).toBe('b');
});

test('P18: connected to a lesser endpoint, the better ones are what to fail back to, the best first', () => {
  const table = among('a b c', { order: 'priority' }).connect('c');
  expect([table.better(), table.better(), table.better()]).toEqual(['a', 'b', 'a']);
  table.endpoints.succeeded(table.endpoints.all[0] ?? read('a'));
  expect(table.better()).toBeUndefined();
});

test('P18: a better endpoint that did not answer is no reason to try the one we lose later again first', () => {
  const table = among('a b', { order: 'priority' }).connect('b');
  expect(table.better()).toBe('a');
  table.lose('a');
  expect(table.lose('b').round()).toBe('a b');
});

test('there is nothing to fail back to among equals, or before there is a connection', () => {
  expect(among('a b').connect('b').better()).toBeUndefined();
  expect(among('a b', { order: 'random' }).connect('a').better()).toBeUndefined();
  expect(among('a b', { order: 'priority' }).better()).toBeUndefined();
  expect(among('a b', { preferred: 1 }).connect('b').better()).toBe('a');
});

test('preferLocalhost: endpoints on this host go first (stomp.py prefer_localhost)', () => {
  const list = 'far localhost other 127.0.0.1';
  expect(among(list, { preferLocalhost: true }).round()).toBe('localhost 127.0.0.1 far other');
  expect(among(list).round()).toBe(list);
  expect(among(list, { preferLocalhost: true, localNames: ['OTHER'] }).round()).toBe('localhost other 127.0.0.1 far');
  expect(among('far stomp+unix:///run/s', { preferLocalhost: true }).round()).toBe('stomp+unix:///run/s far');
});

test('tryLoopback: 127.0.0.1 is tried before a name of this host (stomp.py try_loopback_connect)', () => {
  expect(among('far me', { tryLoopback: true, localNames: ['me'] }).round()).toBe('far 127.0.0.1 me');
  expect(among('me other', { tryLoopback: true, localNames: ['me', 'other'] }).round()).toBe('127.0.0.1 me other');
  expect(among('127.0.0.1 localhost', { tryLoopback: true }).round()).toBe('127.0.0.1 localhost');
  expect(among('ws://me/stomp', { tryLoopback: true, localNames: ['me'] }).round()).toBe(
    'ws://127.0.0.1/stomp ws://me/stomp',
  );
});

test('tryLoopback leaves TLS alone, where the name must be proven', () => {
  const list = 'stomp+ssl://localhost:61614 wss://localhost/stomp';
  expect(among(list, { tryLoopback: true }).round()).toBe(list);
});

test('P18: whatever happened before, a round tries every endpoint exactly once', () => {
  const options = fc.record({
    order: fc.constantFrom('listed' as const, 'random' as const, 'priority' as const),
    preferred: fc.nat(5),
    preferLocalhost: fc.boolean(),
    tryLoopback: fc.boolean(),
  });
  const events = fc.array(fc.record({ refused: fc.nat(6), isLost: fc.boolean() }), { maxLength: 8 });
  fc.assert(
    fc.property(options, fc.integer({ min: 1, max: 1_000_000 }), events, (given, seed, history) => {
      const { endpoints } = among('a localhost b ws://localhost/x c', given, seed);
      let lost: Endpoint | undefined;
      for (const { refused, isLost } of history) {
        for (let i = 0; i < refused; i++) endpoints.failed(endpoints.next());
        const endpoint = endpoints.next();
        endpoints.succeeded(endpoint);
        expect(endpoints.roundDone).toBe(true);
        if (isLost) endpoints.failed(endpoint);
        lost = isLost ? endpoint : undefined;
      }
      const round = endpoints.all.map(() => endpoints.next());
      expect(endpoints.roundDone).toBe(true);
      expect(new Set(round)).toEqual(new Set(endpoints.all));
      if (lost !== undefined) expect(round.at(-1)).toBe(lost);
    }),
  );
});

test('an unknown order is refused by name', () => {
  expect(() => among('a', { order: 'best' as 'random' })).toThrow("order must be 'listed' or 'random' or 'priority'");
});
