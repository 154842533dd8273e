// The ledger against a model that is as plain as can be: lists, searched from the front.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { AckMode } from '../../src/frame.ts';
import { Ledger, type LedgerFault } from '../../src/ledger.ts';

interface Delivery {
  readonly key: number;
  readonly subscription: string;
  transaction: string | undefined;
}

interface Model {
  readonly subscriptions: Map<string, AckMode>;
  readonly transactions: Set<string>;
  waiting: Delivery[]; // of every subscription, in the order of delivery
  ended: Delivery[]; // enlisted, and their subscription has ended
  next: number;
}

class Refused extends Error {
  readonly fault: LedgerFault;
  constructor(fault: LedgerFault) {
    super(fault);
    this.fault = fault;
  }
}

type Real = Ledger<number, string>;

/** What the call answers, or the fault it is refused with. */
function outcome<Value>(call: () => Value): Value | LedgerFault {
  try {
    return call();
  } catch (error) {
    if (error instanceof Refused) return error.fault;
    throw error;
  }
}

function check(model: Model, real: Real): void {
  expect([...real.subscriptions.keys()]).toEqual([...model.subscriptions.keys()]);
  expect(real.transactions).toBe(model.transactions.size);
  for (const [id, subscription] of real.subscriptions) {
    expect([...subscription.owed.values()].map(({ key, item, transaction }) => [key, item, transaction])).toEqual(
      model.waiting
        .filter((one) => one.subscription === id)
        .map(({ key, transaction }) => [key, `${key}`, transaction]),
    );
  }
}

function command(name: string, run: (model: Model, real: Real) => void): fc.Command<Model, Real> {
  return {
    check: () => true,
    run: (model, real) => {
      run(model, real);
      check(model, real);
    },
    toString: () => name,
  };
}

const id = fc.constantFrom('a', 'b', 'c');
const transaction = fc.constantFrom('t', 'u');
const mode = fc.constantFrom<AckMode>('auto', 'client', 'client-individual');

const subscribe = fc.tuple(id, mode).map(([name, ack]) =>
  command(`subscribe ${name} ${ack}`, (model, real) => {
    const known = model.subscriptions.has(name);
    const got = outcome(() => real.subscribe(name, '/q', ack));
    if (known) expect(got).toBe('duplicate-subscription');
    else model.subscriptions.set(name, ack);
  }),
);

const unsubscribe = id.map((name) =>
  command(`unsubscribe ${name}`, (model, real) => {
    const got = outcome(() => real.unsubscribe(name));
    if (!model.subscriptions.delete(name)) expect(got).toBe('unknown-subscription');
    const of = model.waiting.filter((one) => one.subscription === name);
    model.ended.push(...of.filter((one) => one.transaction !== undefined));
    model.waiting = model.waiting.filter((one) => one.subscription !== name);
  }),
);

const deliver = id.map((name) =>
  command(`deliver on ${name}`, (model, real) => {
    const subscription = real.subscriptions.get(name);
    if (subscription === undefined || subscription.ack === 'auto') return;
    const key = model.next++;
    real.deliver(subscription, key, `${key}`);
    model.waiting.push({ key, subscription: name, transaction: undefined });
  }),
);

const settle = fc.tuple(id, fc.nat(20), fc.option(transaction, { nil: undefined })).map(([name, back, within]) =>
  command(`settle ${back} back on ${name} in ${within}`, (model, real) => {
    const subscription = real.subscriptions.get(name);
    if (subscription === undefined) return;
    const key = model.next - 1 - back;
    const named = model.waiting.find((one) => one.subscription === name && one.key === key);
    const got = outcome(() => real.settle(subscription, key, within));
    if (named === undefined || named.transaction !== undefined) expect(got).toBe('unknown-ack');
    else if (within !== undefined && !model.transactions.has(within)) expect(got).toBe('unknown-transaction');
    else {
      const cumulative = model.subscriptions.get(name) === 'client';
      const covered = model.waiting.filter(
        (one) =>
          one.subscription === name && one.transaction === undefined && (cumulative ? one.key <= key : one.key === key),
      );
      expect(got).toEqual(covered.map((one) => `${one.key}`));
      if (within === undefined) model.waiting = model.waiting.filter((one) => !covered.includes(one));
      else for (const one of covered) one.transaction = within;
    }
  }),
);

const begin = transaction.map((name) =>
  command(`begin ${name}`, (model, real) => {
    const got = outcome(() => real.begin(name));
    if (model.transactions.has(name)) expect(got).toBe('duplicate-transaction');
    else model.transactions.add(name);
    expect(real.isOpen(name)).toBe(true);
  }),
);

const commit = transaction.map((name) =>
  command(`commit ${name}`, (model, real) => {
    const got = outcome(() => real.commit(name));
    if (!model.transactions.delete(name)) expect(got).toBe('unknown-transaction');
    model.waiting = model.waiting.filter((one) => one.transaction !== name);
    model.ended = model.ended.filter((one) => one.transaction !== name);
  }),
);

const abort = transaction.map((name) =>
  command(`abort ${name}`, (model, real) => {
    const got = outcome(() => real.abort(name));
    if (!model.transactions.delete(name)) expect(got).toBe('unknown-transaction');
    else {
      const orphans = model.ended.filter((one) => one.transaction === name).map((one) => one.key);
      expect(Array.isArray(got) ? got.map(Number).sort((x, y) => x - y) : got).toEqual(orphans.sort((x, y) => x - y));
    }
    for (const one of model.waiting) if (one.transaction === name) one.transaction = undefined;
    model.ended = model.ended.filter((one) => one.transaction !== name);
  }),
);

test('A-02, A-03, T-02, T-04, T-08: whatever is asked of it, the ledger owes what a plain list owes', () => {
  const commands = fc.commands([subscribe, unsubscribe, deliver, deliver, settle, settle, begin, commit, abort], {
    maxCommands: 60,
    size: 'max',
  });
  fc.assert(
    fc.property(commands, (all) => {
      fc.modelRun(
        () => ({
          model: { subscriptions: new Map(), transactions: new Set<string>(), waiting: [], ended: [], next: 0 },
          real: new Ledger<number, string>((fault) => {
            throw new Refused(fault);
          }),
        }),
        all,
      );
    }),
    { numRuns: 500 },
  );
});

test('two deliveries that a peer names alike are one, the later, in the later place', () => {
  const ledger = new Ledger<string, string>((fault) => {
    throw new Refused(fault);
  });
  const subscription = ledger.subscribe('1', '/q', 'client');
  ledger.begin('t');
  ledger.deliver(subscription, 'm', 'first');
  ledger.settle(subscription, 'm', 't');
  ledger.deliver(subscription, 'n', 'between');
  ledger.deliver(subscription, 'm', 'again');
  ledger.commit('t');
  expect(ledger.settle(subscription, 'm', undefined)).toEqual(['between', 'again']);
});
