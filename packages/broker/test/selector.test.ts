// Selectors: the grammar, SQL's three values, what texts are taken for, and what is refused where.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compileLike } from '../src/engine/embedded/like.ts';
import { parseSelector, SELECTOR_LIMITS, SelectorError } from '../src/engine/embedded/selector.ts';

type Given = Readonly<Record<string, string>>;

const headers = (given: Given) => new Map(Object.entries(given));
const matches = (selector: string, given: Given = {}) => parseSelector(selector).matches(headers(given));

function refusal(selector: string, limits = {}): SelectorError {
  try {
    parseSelector(selector, limits);
  } catch (error) {
    expect(error).toBeInstanceOf(SelectorError);
    return error as SelectorError;
  }
  throw new Error(`${selector} was not refused`);
}

const MESSAGE: Given = {
  color: 'red',
  price: '12.50',
  count: '7',
  limit: '8',
  flag: 'TRUE',
  off: 'false',
  empty: '',
  negative: '-3',
  'content-type': 'text/plain',
  'message-id': 'm-1',
  'app.kind': 'x',
  quote: "it's",
  größe: 'XL',
  $x_1: 'y',
  JMSPriority: 'verbatim',
};

describe('grammar: each of these is', () => {
  const rows: readonly (readonly [selector: string, taken: boolean])[] = [
    ['', true],
    [' \t\r\n ', true],
    ["color = 'red'", true],
    ["color='red'", true],
    ["color <> 'red'", false],
    ["color != 'blue'", true],
    ["Color = 'red'", false], // names keep their case
    ["color = 'red' and price > 12", true],
    ["color = 'blue' OR price > 12 AND count = 0", false], // AND binds tighter
    ["(color = 'red' OR price > 100) AND count = 0", false],
    ["color = 'red' OR price > 100 AND count = 0", true],
    ["NOT color = 'blue'", true],
    ["NOT NOT color = 'red'", true],
    ["NOT (color = 'red' AND TRUE)", false],
    ["not color = 'red' or true", true], // NOT binds tighter than OR
    ['TRUE', true],
    ['false', false],
    ['NULL IS NULL', true],
    ['flag', true],
    ['NOT off', true],
    ['flag = TRUE', true],
    ['flag <> FALSE', true],
    ['(count = 7) = TRUE', true],
    ['(count = 7) = (limit = 7)', false],
    ['price = 12.5', true],
    ['price = 1250e-2', true],
    ['price = 12.5D AND count = 7L AND count = 7. AND count = 0x7 AND limit > .5f', true],
    ['count = 007', true],
    ['-negative = 3', true],
    ['negative = -3', true],
    ['- - negative = - - -3', true],
    ['negative + 3 = +0', true],
    ['count + 1 = limit', true],
    ['count * 2 + 1 = 15 AND 1 + count * 2 = 15', true],
    ['(count + 1) * 2 = 16', true],
    ['10 - 4 - 3 = 3', true], // from the left
    ['16 / 4 / 2 = 2', true],
    ['limit-count = 1', true], // always minus
    ['2 - -1 = 3', true],
    ['count BETWEEN 7 AND 8', true],
    ['count NOT BETWEEN 7 AND 8', false],
    ['count BETWEEN 6 + 1 AND limit AND TRUE', true],
    ['count NOT BETWEEN 8 AND 9 AND NOT FALSE', true],
    ["color BETWEEN 'a' AND 's'", true],
    ["color IN ('blue', 'red')", true],
    ["color NOT IN ('blue', 'red')", false],
    ["color NOT IN ('blue')", true],
    ['count IN (1, -3, 7)', true],
    ["count + 0 IN ('7.0')", true],
    ["negative IN (-3, +4, 'x')", true],
    ["negative NOT IN ('-3.0')", true], // two texts
    ["color LIKE 'r%'", true],
    ["color LIKE 'r_d'", true],
    ["color LIKE '_'", false],
    ["color NOT LIKE 'r%'", false],
    ['"content-type" LIKE \'text/%\'', true],
    ["empty LIKE ''", true],
    ["empty LIKE '%'", true],
    ["empty LIKE '_'", false],
    ["quote = 'it''s'", true],
    ["quote LIKE 'it''%'", true],
    ['missing IS NULL', true],
    ['color IS NOT NULL', true],
    ['empty IS NULL', false],
    ['count + missing IS NULL', true],
    ['count / 0 IS NULL', true],
    ['color + 1 IS NULL', true],
    ["app.kind = 'x'", true],
    ["größe = 'XL'", true],
    ["$x_1 = 'y'", true],
    ["JMSMessageID = 'm-1'", true],
    ['"JMSPriority" = \'verbatim\'', true],
    ['JMSPriority = 4', true],
    ['JMSExpiration = 0 AND NOT JMSRedelivered', true],
    ["JMSDeliveryMode = 'PERSISTENT'", true],
    ['JMSTimestamp IS NULL', true],
    ["andy = 'x' OR notes = 'y' OR color = 'red'", true], // keywords are whole words
  ];
  test.each(rows)('%s -> %s', (selector, taken) => {
    expect(matches(selector, MESSAGE)).toBe(taken);
  });
});

test('the JMS names mean the headers that carry them', () => {
  expect(matches('JMSPriority > 6', { priority: '7' })).toBe(true);
  expect(matches("JMSDeliveryMode = 'NON_PERSISTENT'", { persistent: 'false' })).toBe(true);
  expect(matches("JMSDeliveryMode = 'PERSISTENT'", { persistent: 'true' })).toBe(true);
  expect(matches("JMSType = 'order' AND JMSCorrelationID = 'c'", { type: 'order', 'correlation-id': 'c' })).toBe(true);
  expect(matches('JMSRedelivered', { redelivered: 'true' })).toBe(true);
});

test('a selector names the headers it looks at', () => {
  expect(parseSelector('JMSPriority > 3 AND "a-b" = c AND c > 1').names).toEqual(['priority', 'a-b', 'c']);
});

describe('three values', () => {
  const operands = { T: true, F: false, U: undefined } as const;
  type Operand = keyof typeof operands;
  const given: Given = { T: 'true', F: 'false' }; // U is not there
  const AND: Record<Operand, string> = { T: 'TFU', F: 'FFF', U: 'UFU' };
  const OR: Record<Operand, string> = { T: 'TTT', F: 'TFU', U: 'TUU' };
  const NOT: Record<Operand, string> = { T: 'F', F: 'T', U: 'U' };
  const names = Object.keys(operands) as Operand[];

  // Only `true` is a match, so each value is asked for by two selectors.
  function truth(selector: string): string {
    const isTrue = matches(selector, given);
    const isFalse = matches(`NOT (${selector})`, given);
    expect(isTrue && isFalse).toBe(false);
    return isTrue ? 'T' : isFalse ? 'F' : 'U';
  }

  for (const a of names) {
    test(`NOT ${a} is ${NOT[a]}`, () => expect(truth(`NOT ${a}`)).toBe(NOT[a]));
    names.forEach((b, i) => {
      test(`${a} AND ${b} is ${AND[a][i]}`, () => expect(truth(`${a} AND ${b}`)).toBe(AND[a][i]));
      test(`${a} OR ${b} is ${OR[a][i]}`, () => expect(truth(`${a} OR ${b}`)).toBe(OR[a][i]));
    });
  }
  test.each([
    'missing = 1',
    'missing <> 1',
    'missing < T',
    'missing = missing',
    'NULL = NULL',
    'missing BETWEEN 1 AND 2',
    'missing NOT BETWEEN 1 AND 2',
    "missing IN ('a')",
    "missing NOT IN ('a')",
    "missing LIKE '%'",
    "missing NOT LIKE '%'",
    '1 / 0 = 1',
    'T + 1 = 2',
    '-missing = 1',
  ])('%s is unknown', (selector) => expect(truth(selector)).toBe('U'));
  test('one bound can decide a BETWEEN whose other bound is unknown', () => {
    expect(truth('1 BETWEEN 2 AND missing')).toBe('F');
    expect(truth('1 BETWEEN 0 AND missing')).toBe('U');
    expect(truth('1 NOT BETWEEN 2 AND missing')).toBe('T');
  });
});

describe('types', () => {
  const rows: readonly (readonly [selector: string, given: Given, taken: boolean])[] = [
    ['n = 10', { n: '10' }, true],
    ['n = 10', { n: '10.0' }, true],
    ['n = 10', { n: '1e1' }, true],
    ['n = 10', { n: '+10' }, true],
    ['n = 10', { n: ' 10' }, false], // blanks are part of the text
    ['n = 10', { n: '0xA' }, false],
    ['n <> 10', { n: 'ten' }, false], // unlike types: false whatever the operator
    ['NOT n = 10', { n: 'ten' }, true],
    ['n < 10', { n: 'ten' }, false],
    ['n >= 10', { n: 'ten' }, false],
    ['n NOT BETWEEN 1 AND 2', { n: 'ten' }, false],
    ['n < 10', { n: '9' }, true],
    ["n = '10.0'", { n: '10' }, false], // two texts: the same characters
    ["n < '10'", { n: '9' }, true], // two texts that look like numbers are ordered as such
    ["n < '10'", { n: '9a' }, false],
    ["day >= '2026-01-31'", { day: '2026-02-01' }, true],
    ['a < b', { a: '9', b: '10' }, true],
    ['b = TRUE', { b: 'True' }, true],
    ['b = TRUE', { b: 'yes' }, false],
    ['b <> TRUE', { b: 'yes' }, false],
    ['b = TRUE', { b: '1' }, false],
    ['TRUE = 1', {}, false],
    ['TRUE <> 1', {}, false],
    ['n = 9007199254740991', { n: '9007199254740992' }, false],
    ['n > 9007199254740991', { n: '9007199254740992' }, true],
    ["n = '9007199254740993'", { n: '9007199254740992' }, false],
    ['n = 0', { n: '-0' }, true],
    ['n > 1', { n: '1e999' }, true],
    ['n IN (10)', { n: '10.0' }, true],
    ["n IN ('10')", { n: '10.0' }, false],
    ['"__proto__" IS NULL AND constructor IS NULL', {}, true],
    ['toString IS NULL', {}, true],
  ];
  test.each(rows)('%s with %o -> %s', (selector, given, taken) => {
    expect(matches(selector, given)).toBe(taken);
  });
});

describe('a wrong selector is refused with its column', () => {
  const rows: readonly (readonly [selector: string, column: number, problem: string])[] = [
    ["color = 'red' AND", 18, 'expected a value, but it ends here'],
    ['color = AND', 9, 'expected a value, not AND'],
    ['a =', 4, 'expected a value, but it ends here'],
    ['= 1', 1, 'expected a value, not ='],
    ['a = 1 b', 7, 'expected AND, OR or the end, not "b"'],
    ['a = 1)', 6, 'expected AND, OR or the end, not )'],
    ['(a = 1', 7, 'expected ), but it ends here'],
    ['a = 1 = b', 7, 'comparisons do not follow each other; use AND or parentheses'],
    ['a BETWEEN 1 OR 2', 13, 'expected AND, not OR'],
    ['a NOT 5', 7, 'expected BETWEEN, IN or LIKE, not "5"'],
    ['a IS 5', 6, 'expected NULL, not "5"'],
    ['a IN ()', 7, 'expected a text or a number, not )'],
    ["a IN ('x' 'y')", 11, 'expected ), not "y"'],
    ['a IN (b)', 7, 'expected a text or a number, not "b"'],
    ['a LIKE b', 8, 'expected a pattern in single quotes, not "b"'],
    ["1 + a LIKE 'x'", 1, 'LIKE compares texts, not numbers'],
    ["a LIKE 'x' ESCAPE 'ab'", 19, 'ESCAPE takes one character'],
    ["a LIKE 'x!y' ESCAPE '!'", 8, 'the escape ! must stand before %, _ or itself'],
    ["a LIKE 'x!' ESCAPE '!'", 8, 'the escape ! must stand before %, _ or itself'],
    ["a = 'red", 5, "the ' that opens here is never closed"],
    ['"a = 1', 1, 'the " that opens here is never closed'],
    ['"" = 1', 1, 'a header name is not empty'],
    ['a = 1 ; b', 7, '";" means nothing here'],
    ['a = 1 \u0000', 7, '"\\u0000" means nothing here'],
    ['a = 12x', 5, '"12x" is no number'],
    ['a = 1.5L', 5, '"1.5L" is no number'],
    ['a = 9007199254740993', 5, '"9007199254740993" is not held exactly; compare it as a text, in single quotes'],
    ['a = 1e999', 5, '"1e999" is larger than any number'],
    ['5', 1, 'expected a condition, and this is a number'],
    ["'x' OR TRUE", 1, 'expected a condition, and this is a text'],
    ['TRUE AND a + 1', 10, 'expected a condition, and this is a number'],
    ["'5' + 1 = 6", 1, 'expected a number, and this is a text'],
    ['1 + (a = 1) = 2', 6, 'expected a number, and this is a condition'],
    ['a < TRUE', 5, 'a condition is neither less nor more; < compares values'],
    ["(a = 1) LIKE 'x'", 2, 'a condition is no value to compare'],
  ];
  test.each(rows)('%s', (selector, column, problem) => {
    const error = refusal(selector);
    expect(error.message).toBe(`the selector is wrong at column ${column}: ${problem}`);
    expect(error.column).toBe(column);
  });
});

describe('limits (M-67)', () => {
  test('64 KiB are refused before they are read', () => {
    expect(refusal(`a = '${'x'.repeat(65_536)}'`).message).toContain('column 4097: it is longer than 4096 characters');
    expect(matches(`a = 'b'${' '.repeat(SELECTOR_LIMITS.maxLength - 7)}`, { a: 'b' })).toBe(true);
  });
  test.each(['(', 'NOT ', '-', '- +'])('10,000 times %s is refused for its depth', (opening) => {
    const error = refusal(`${opening.repeat(10_000)}a`, { maxLength: 1_000_000 });
    expect(error.message).toContain('it is nested deeper than 64');
    expect(refusal(`${opening.repeat(1_000)}a`).message).toContain('it is nested deeper than 64');
  });
  test('64 parentheses are not too deep, and neither are 65 that stand beside each other', () => {
    expect(matches(`${'('.repeat(64)}a${')'.repeat(64)}`, { a: 'true' })).toBe(true);
    expect(matches(Array(65).fill('(a)').join(' AND '), { a: 'true' })).toBe(true);
  });
  test('what has too many parts is refused', () => {
    expect(refusal(Array(600).fill('a').join(' OR ')).message).toContain('more than 1024 names, values and operators');
    expect(refusal(`a IN (${Array(1_030).fill(1).join()})`).message).toContain('more than 1024');
    expect(matches(`a = ${Array(500).fill(1).join('+')}`, { a: '500' })).toBe(true);
  });
  test('a long pattern is refused', () => {
    expect(refusal(`a LIKE '${'%'.repeat(257)}'`).message).toContain('the pattern is longer than 256 characters');
  });
  test('LIKE is linear whatever the pattern', () => {
    const text = 'a'.repeat(16_384);
    const evil = ['%a'.repeat(127), `${'%a_'.repeat(80)}b`, `%${'a'.repeat(250)}b%`, `%${'_a'.repeat(120)}b%`];
    for (const pattern of evil) {
      const selector = parseSelector(`h LIKE '${pattern}'`);
      const start = performance.now();
      selector.matches({ get: () => text });
      expect(performance.now() - start).toBeLessThan(250);
    }
  });
  test('a header that nearly looks like a number costs no more than its length', () => {
    const text = `${'1'.repeat(100_000)}x`;
    const start = performance.now();
    expect(parseSelector('h > 1').matches({ get: () => text })).toBe(false);
    expect(performance.now() - start).toBeLessThan(250);
  });
});

describe('LIKE', () => {
  const rows: readonly (readonly [pattern: string, escape: string | undefined, text: string, like: boolean])[] = [
    ['12%3', undefined, '123', true],
    ['12%3', undefined, '12993', true],
    ['12%3', undefined, '1234', false],
    ['l_se', undefined, 'lose', true],
    ['l_se', undefined, 'loose', false],
    ['\\_%', '\\', '_foo', true],
    ['\\_%', '\\', 'bar', false],
    ['100!%', '!', '100%', true],
    ['a!!b', '!', 'a!b', true],
    ['%%', '%', '%', true], // the escape wins over the wildcard
    ['a%a', undefined, 'a', false], // both ends need their own
    ['aa%aa', undefined, 'aaa', false],
    ['aa%aa', undefined, 'aaaa', true],
    ['%ab%ab%', undefined, 'xabxb', false],
    ['%ab%ab%', undefined, 'xababx', true],
    ['%', undefined, '', true],
    ['_', undefined, '😀', true], // a character, not half of one
    ['__', undefined, '😀', false],
    ['%_😀%', undefined, 'a😀', true],
    ['.*', undefined, 'ab', false],
    ['%\n%', undefined, 'a\nb', true],
  ];
  test.each(rows)('%s (escape %s) and %s: %s', (pattern, escapeChar, text, like) => {
    expect(compileLike(pattern, escapeChar)(text)).toBe(like);
  });

  function naive(pattern: readonly string[], text: readonly string[]): boolean {
    const [first, ...rest] = pattern;
    if (first === undefined) return text.length === 0;
    if (first === '%') return naive(rest, text) || (text.length > 0 && naive(pattern, text.slice(1)));
    return text.length > 0 && (first === '_' || first === text[0]) && naive(rest, text.slice(1));
  }
  test('property: it does what the obvious way does', () => {
    const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '😀', '_', '%'), maxLength: 10 });
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '😀'), maxLength: 14 });
    fc.assert(
      fc.property(pattern, text, (p, t) => {
        expect(compileLike(p)(t)).toBe(naive([...p], [...t]));
      }),
      { numRuns: 3_000 },
    );
  });
  test('property: long parts, across words of bits', () => {
    const part = fc.string({ unit: fc.constantFrom('a', '_'), minLength: 28, maxLength: 70 });
    fc.assert(
      fc.property(part, fc.nat(5), fc.nat(5), (p, before, after) => {
        const text = `${'b'.repeat(before)}${p.replaceAll('_', 'c')}${'b'.repeat(after)}`;
        expect(compileLike(`%${p}%`)(text)).toBe(true);
        expect(compileLike(`%${p}a%`)(p.replaceAll('_', 'c'))).toBe(false);
      }),
    );
  });
});

// --- the property: a tree, printed and parsed, means what a naive reading of the tree means

type Tree =
  | { readonly is: 'header'; readonly name: string }
  | { readonly is: 'number'; readonly value: number }
  | { readonly is: 'text'; readonly value: string }
  | { readonly is: 'truth'; readonly value: boolean | null }
  | { readonly is: 'sum'; readonly op: '+' | '-' | '*' | '/'; readonly a: Tree; readonly b: Tree }
  | { readonly is: 'compare'; readonly op: '=' | '<>' | '<' | '<=' | '>' | '>='; readonly a: Tree; readonly b: Tree }
  | { readonly is: 'and' | 'or'; readonly a: Tree; readonly b: Tree }
  | { readonly is: 'not'; readonly a: Tree }
  | { readonly is: 'null'; readonly negated: boolean; readonly a: Tree }
  | { readonly is: 'between'; readonly negated: boolean; readonly a: Tree; readonly b: Tree; readonly c: Tree }
  | { readonly is: 'in'; readonly negated: boolean; readonly a: Tree; readonly items: readonly (string | number)[] };

type Naive = string | number | boolean | null;

const quoted = (text: string) => `'${text.replaceAll("'", "''")}'`;

function print(tree: Tree): string {
  const negated = 'negated' in tree && tree.negated ? 'NOT ' : '';
  switch (tree.is) {
    case 'header':
      return `"${tree.name}"`;
    case 'number':
      return String(tree.value);
    case 'text':
      return quoted(tree.value);
    case 'truth':
      return String(tree.value);
    case 'sum':
    case 'compare':
      return `(${print(tree.a)} ${tree.op} ${print(tree.b)})`;
    case 'and':
    case 'or':
      return `(${print(tree.a)} ${tree.is} ${print(tree.b)})`;
    case 'not':
      return `(NOT ${print(tree.a)})`;
    case 'null':
      return `(${print(tree.a)} IS ${negated}NULL)`;
    case 'between':
      return `(${print(tree.a)} ${negated}BETWEEN ${print(tree.b)} AND ${print(tree.c)})`;
    case 'in':
      return `(${print(tree.a)} ${negated}IN (${tree.items.map((x) => (typeof x === 'string' ? quoted(x) : x)).join(', ')}))`;
  }
}

function asNumber(value: Naive): number | null {
  if (typeof value === 'number') return value;
  return typeof value === 'string' && value !== '' && /^[-+.\deE]+$/.test(value) && !Number.isNaN(Number(value))
    ? Number(value)
    : null;
}
function asTruth(value: Naive): boolean | null {
  if (typeof value === 'boolean') return value;
  const text = String(value).toLowerCase();
  return typeof value === 'string' && (text === 'true' || text === 'false') ? text === 'true' : null;
}
function naiveCompare(op: string, a: Naive, b: Naive): boolean | null {
  if (a === null || b === null) return null;
  let [x, y]: [Naive, Naive] = [a, b];
  if (typeof a === 'boolean' || typeof b === 'boolean') {
    if (typeof a === 'number' || typeof b === 'number') return false;
    [x, y] = [asTruth(a), asTruth(b)];
  } else if (typeof a === 'number' || typeof b === 'number') [x, y] = [asNumber(a), asNumber(b)];
  else if (op.length === 1 ? op !== '=' : op !== '<>') {
    if (asNumber(a) !== null && asNumber(b) !== null) [x, y] = [asNumber(a), asNumber(b)];
  }
  if (x === null || y === null) return false;
  const order = x === y ? 0 : x < y ? -1 : 1;
  return (
    { '=': order === 0, '<>': order !== 0, '<': order < 0, '<=': order <= 0, '>': order > 0, '>=': order >= 0 }[op] ??
    null
  );
}
const naiveNot = (a: boolean | null) => (a === null ? null : !a);
function naiveOr(a: boolean | null, b: boolean | null): boolean | null {
  if (a === true || b === true) return true;
  return a === null || b === null ? null : false;
}
const naiveAnd = (a: boolean | null, b: boolean | null) => naiveNot(naiveOr(naiveNot(a), naiveNot(b)));

function read(tree: Tree, given: ReadonlyMap<string, string>): Naive {
  const value = (of: Tree) => read(of, given);
  const truth = (of: Tree) => asTruth(value(of));
  switch (tree.is) {
    case 'header':
      return given.get(tree.name) ?? null;
    case 'number':
    case 'text':
    case 'truth':
      return tree.value;
    case 'sum': {
      const [a, b] = [asNumber(value(tree.a)), asNumber(value(tree.b))];
      if (a === null || b === null) return null;
      const result = { '+': a + b, '-': a - b, '*': a * b, '/': a / b }[tree.op];
      return Number.isFinite(result) ? result : null;
    }
    case 'compare':
      return naiveCompare(tree.op, value(tree.a), value(tree.b));
    case 'and':
      return naiveAnd(truth(tree.a), truth(tree.b));
    case 'or':
      return naiveOr(truth(tree.a), truth(tree.b));
    case 'not':
      return naiveNot(truth(tree.a));
    case 'null':
      return (value(tree.a) === null) !== tree.negated;
    case 'between': {
      const [a, b, c] = [value(tree.a), value(tree.b), value(tree.c)];
      return tree.negated
        ? naiveOr(naiveCompare('<', a, b), naiveCompare('>', a, c))
        : naiveAnd(naiveCompare('>=', a, b), naiveCompare('<=', a, c));
    }
    case 'in': {
      const a = value(tree.a);
      const any = tree.items.map((item) => naiveCompare('=', a, item)).reduce(naiveOr, false);
      return tree.negated ? naiveNot(any) : any;
    }
  }
}

const words = fc.constantFrom('', 'a', 'B', "o'k", 'true', 'FALSE', '0', '1', '-2', '1.0', '2e0', '1e', '.', 'é');
const { condition } = fc.letrec<{ condition: Tree; value: Tree; number: Tree }>((tie) => {
  const header = fc.record({ is: fc.constant('header' as const), name: fc.constantFrom('a', 'b', 'c-d', 'none') });
  const number = fc.record({ is: fc.constant('number' as const), value: fc.constantFrom(0, 1, 2, 1.5, 100) });
  const of = <T extends string>(...names: T[]) => fc.constantFrom(...names);
  const bool = fc.boolean();
  return {
    number: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      header,
      number,
      fc.record({ is: of('sum'), op: of('+', '-', '*', '/'), a: tie('number'), b: tie('number') }),
    ),
    value: fc.oneof({ maxDepth: 4 }, tie('number'), fc.record({ is: of('text'), value: words })),
    condition: fc.oneof(
      { maxDepth: 5, withCrossShrink: true },
      fc.record({ is: of('truth'), value: fc.constantFrom(true, false, null) }),
      header,
      fc.record({ is: of('compare'), op: of('=', '<>', '<', '<=', '>', '>='), a: tie('value'), b: tie('value') }),
      fc.record({ is: of('compare'), op: of('=', '<>'), a: tie('condition'), b: tie('value') }),
      fc.record({ is: of('and', 'or'), a: tie('condition'), b: tie('condition') }),
      fc.record({ is: of('not'), a: tie('condition') }),
      fc.record({ is: of('null'), negated: bool, a: tie('value') }),
      fc.record({ is: of('between'), negated: bool, a: tie('value'), b: tie('value'), c: tie('value') }),
      fc.record({
        is: of('in'),
        negated: bool,
        a: tie('value'),
        items: fc.array(fc.oneof(words, fc.constantFrom(0, 1, -2, 1.5)), { minLength: 1, maxLength: 4 }),
      }),
    ),
  };
});

test('property: a selector means what a naive reading of its tree means', () => {
  const given = fc.dictionary(fc.constantFrom('a', 'b', 'c-d'), words);
  fc.assert(
    fc.property(condition, given, (tree, values) => {
      const map = headers(values);
      const text = print(tree);
      expect(parseSelector(text).matches(map), text).toBe(asTruth(read(tree, map)) === true);
      expect(parseSelector(`NOT (${text})`).matches(map), text).toBe(asTruth(read(tree, map)) === false);
    }),
    { numRuns: 5_000 },
  );
});

test('fuzz: garbage is parsed or refused with a SelectorError that points into it, never anything else', () => {
  const piece = fc.constantFrom(
    ...'a b1 "c-d" AND OR NOT BETWEEN IN LIKE ESCAPE IS NULL TRUE FALSE ( ) , = <> < <= > >= != + - * /'.split(' '),
    ...["'x'", "'%_!'", "'!'", "'", '"', '1', '2.5e3', '0x', '.', '\0', '\ud800', '😀', ' ', '1L', '--', '/*', '\\'],
  );
  const soup = fc.oneof(
    fc.array(piece, { maxLength: 24 }).map((pieces) => pieces.join(' ')),
    fc.array(piece, { maxLength: 24 }).map((pieces) => pieces.join('')),
    fc.string({ unit: 'binary', maxLength: 60 }),
  );
  fc.assert(
    fc.property(soup, (text) => {
      try {
        expect(typeof parseSelector(text).matches(headers({ a: '1', b1: 'x' }))).toBe('boolean');
      } catch (error) {
        if (!(error instanceof SelectorError)) throw error;
        expect(error.column).toBeGreaterThanOrEqual(1);
        expect(error.column).toBeLessThanOrEqual(text.length + 1);
      }
    }),
    { numRuns: 10_000 },
  );
});
