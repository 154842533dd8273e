// Rules: who may do what where.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Identity, VERBS, type Verb } from '../src/access.ts';
import { matches, parsePattern } from '../src/pattern.ts';
import { authorizeBy, type Rule, wrongRule } from '../src/rules.ts';

const app: Identity = { name: 'app' };
const ann: Identity = { name: 'ann', groups: ['auditors', 'staff'] };

const RULES: readonly Rule[] = [
  { who: 'app', may: ['send', 'subscribe'], destination: '/queue/orders.>' },
  { who: 'app', may: 'send', destination: ['/topic/news.*', 'plain'] },
  { who: '@auditors', may: 'subscribe', destination: '/topic/>' },
  { who: '@staff', may: ['manage'], destination: '/queue/*.done' },
  { who: 'root', may: VERBS, destination: '>' },
  { who: '*', may: 'subscribe', destination: '/topic/public' },
  { who: ['*'], mayNot: 'subscribe', destination: '/topic/$sys.>' },
];

describe('rules', () => {
  const may = authorizeBy(RULES);
  const rows: readonly (readonly [who: Identity, verb: Verb, destination: string, allowed: boolean])[] = [
    [app, 'send', '/queue/orders', true], // `>` stands for no word as well, as in topics
    [app, 'send', '/queue/orders.eu', true],
    [app, 'subscribe', '/queue/orders.eu.late', true],
    [app, 'manage', '/queue/orders.eu', false],
    [app, 'send', '/queue/orders-eu', false],
    [app, 'send', '/queue/ordersx', false],
    [app, 'send', '/topic/orders.eu', false], // another kind
    [app, 'send', 'orders.eu', true], // the same queue without its prefix
    [app, 'send', '/queue/plain', true],
    [app, 'send', 'plain', true],
    [app, 'send', '/plain', false],
    [app, 'send', '/topic/news.eu', true],
    [app, 'send', '/topic/news', false],
    [app, 'send', '/topic/news.eu.late', false],
    [app, 'subscribe', '/topic/news.eu', false],
    [app, 'subscribe', '/topic/public', true],
    [app, 'subscribe', '/topic/*', false],
    [app, 'subscribe', '/topic/>', false],
    [ann, 'subscribe', '/topic/news.eu', true],
    [ann, 'subscribe', '/topic/news.*', true],
    [ann, 'subscribe', '/topic/news.#', true],
    [ann, 'subscribe', '/topic/$sys.load', false],
    [ann, 'subscribe', '/topic/>', false], // it would let $sys in
    [ann, 'subscribe', '/topic/*.load', false],
    [ann, 'subscribe', '/topic/*', false], // `$sys` itself
    [ann, 'manage', '/queue/orders.done', true],
    [ann, 'manage', '/queue/orders.eu.done', false],
    [{ name: 'auditors' }, 'subscribe', '/topic/news', false], // a login is no group
    [{ name: '@auditors' }, 'subscribe', '/topic/news', false],
    [{ name: 'x', groups: ['app'] }, 'send', '/queue/orders', false], // and a group no login
    [{ name: 'root' }, 'manage', '/queue/anything.at.all', true],
    [{ name: 'root' }, 'send', '/topic/anything', true],
    [{ name: 'root' }, 'subscribe', '/topic/$sys.load', false], // what is taken back is taken from everybody
    [{ name: 'nobody' }, 'send', '/queue/orders', false],
    [{ name: '*' }, 'send', '/queue/orders', false],
    [{ name: 'root' }, 'manage', '/temp-queue/x', false],
  ];
  test.each(rows)('%o %s %s: %s', (who, verb, destination, allowed) => {
    expect(may(who, verb, destination)).toBe(allowed);
    expect(may(who, verb, destination)).toBe(allowed); // and as remembered
  });

  test('no rules allow nothing', () => expect(authorizeBy([])(app, 'send', '/queue/a')).toBe(false));

  test('the order of rules means nothing', () => {
    const backwards = authorizeBy([...RULES].reverse());
    for (const [who, verb, destination, allowed] of rows) expect(backwards(who, verb, destination)).toBe(allowed);
  });

  test('what is remembered does not outgrow its bound, and stays right', () => {
    for (let i = 0; i < 5_000; i++) {
      expect(may(app, 'send', `/queue/orders.${i}`)).toBe(true);
      expect(may({ name: `u${i}` }, 'send', '/queue/orders')).toBe(false);
    }
  });
});

test('property: a subscription is granted if every topic it matches is, and taken back if any of them is', () => {
  const word = fc.constantFrom('a', 'b', '*');
  const pattern = fc
    .tuple(fc.array(word, { minLength: 1, maxLength: 3 }), fc.constantFrom('', '.>', '.#'))
    .map(([words, end]) => words.join('.') + end);
  const names: string[] = [];
  const grow = (words: readonly string[]) => {
    if (words.length > 0) names.push(words.join('.'));
    if (words.length < 5) for (const one of ['a', 'b', 'c']) grow([...words, one]); // `c` is in no pattern
  };
  grow([]);
  const matched = (text: string) => names.filter((name) => matches(parsePattern(text), name.split('.')));
  fc.assert(
    fc.property(pattern, pattern, (rule, asked) => {
      const inRule = new Set(matched(rule));
      const inAsked = matched(asked);
      const who = { name: 'app' };
      const granted = authorizeBy([{ who: 'app', may: 'subscribe', destination: `/topic/${rule}` }]);
      expect(granted(who, 'subscribe', `/topic/${asked}`)).toBe(inAsked.every((name) => inRule.has(name)));
      const taken = authorizeBy([
        { who: '*', may: 'subscribe', destination: '>' },
        { who: '*', mayNot: 'subscribe', destination: `/topic/${rule}` },
      ]);
      expect(taken(who, 'subscribe', `/topic/${asked}`)).toBe(!inAsked.some((name) => inRule.has(name)));
    }),
    { numRuns: 500 },
  );
});

describe('what is no rule is refused', () => {
  const rows: readonly (readonly [rule: Rule, why: string])[] = [
    [{ who: '', may: 'send', destination: '/queue/a' }, 'a login or group in `who` is empty'],
    [{ who: [], may: 'send', destination: '/queue/a' }, 'a rule needs `who`: a login, @group or *'],
    [{ who: 'a', destination: '/queue/a' }, 'a rule needs `may` or `mayNot`: send, subscribe, manage'],
    [
      { who: 'a', may: 'sned' as Verb, destination: '/queue/a' },
      '"sned" is nothing one may do; there are send, subscribe, manage',
    ],
    [{ who: 'a', may: 'send', destination: [] }, 'a rule needs a `destination`'],
    [{ who: 'a', may: 'send', destination: '/queue/' }, '"/queue/" is no pattern: it names nothing'],
    [{ who: 'a', may: 'send', destination: '/queue/>.a' }, '"/queue/>.a" is no pattern: > may only stand at the end'],
    [
      { who: 'a', may: 'send', destination: '/temp-queue/a' },
      '"/temp-queue/a" is private to a connection; its owner may do everything, others may send',
    ],
  ];
  test.each(rows)('%o: %s', (rule, why) => {
    expect(wrongRule(rule)).toBe(why);
    expect(() => authorizeBy([{ who: '*', may: 'send', destination: '>' }, rule])).toThrow(
      new RangeError(`rule 2: ${why}`),
    );
  });
});
