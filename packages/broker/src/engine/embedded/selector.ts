// Selectors: SQL-92 as JMS defines it. A text is parsed once into a closure that is asked for every message.
//
//   price BETWEEN 10 AND 20 AND (region IN ('eu', 'uk') OR "content-type" LIKE 'text/%')
//
// Names. An identifier is a letter, `_` or `$` and then letters, digits, `_`, `$` and dots; upper and lower case differ.
// `-` is always minus, as in JMS; a header with any other character in its name stands in double quotes: "content-type".
// The JMS names mean the headers that carry them here (`JMS_HEADERS`); in double quotes they mean themselves.
//
// Values. Headers are texts. A text becomes a number where the other side of a comparison is one, or where it takes part
// in arithmetic, and a boolean where the other side is one or a condition is wanted; ActiveMQ calls this
// convert_string_expressions. Where it looks like no number, the comparison is false, whatever the operator (JMS: values
// of unlike types); arithmetic is unknown. Two texts are equal when their characters are; `<` and its kin compare
// them as numbers where both look like one, and by their UTF-16 units otherwise. Numbers are doubles; an integer in a
// selector that a double does not hold exactly is refused.
//
// Unknown. A header that is not there is NULL, and so is a division by zero. What is computed from NULL is unknown, with
// SQL's three values: `FALSE AND unknown` is false, `TRUE OR unknown` is true. A message is taken when the whole is true.
//
// Cost: bounded by the limits at parsing; matching walks the nodes once, and LIKE is linear in the text.

import { quote } from '@stompbox/protocol';
import { compileLike } from './like.ts';

/** Where a selector looks headers up. */
export interface SelectorHeaders {
  get(name: string): string | undefined;
}

export interface Selector {
  /** As it was written. */
  readonly text: string;
  /** The headers it looks at. */
  readonly names: readonly string[];
  /** Whether it is true of these headers; false and unknown are both no. */
  matches(headers: SelectorHeaders): boolean;
}

export interface SelectorLimits {
  /** Characters. */
  readonly maxLength: number;
  /** Parentheses, NOTs and signs within each other. */
  readonly maxDepth: number;
  /** Names, literals and operators. */
  readonly maxNodes: number;
  /** Characters of one LIKE pattern. */
  readonly maxPatternLength: number;
}

export const SELECTOR_LIMITS: SelectorLimits = Object.freeze({
  maxLength: 4_096,
  maxDepth: 64,
  maxNodes: 1_024,
  maxPatternLength: 256,
});

/** What JMS calls headers that have another name in STOMP, and what they are when they are not there. */
export const JMS_HEADERS: Readonly<Record<string, { readonly header: string; readonly absent?: string }>> = {
  JMSMessageID: { header: 'message-id' },
  JMSCorrelationID: { header: 'correlation-id' },
  JMSDestination: { header: 'destination' },
  JMSReplyTo: { header: 'reply-to' },
  JMSType: { header: 'type' },
  JMSTimestamp: { header: 'timestamp' },
  JMSPriority: { header: 'priority', absent: '4' },
  JMSExpiration: { header: 'expires', absent: '0' },
  JMSRedelivered: { header: 'redelivered', absent: 'false' },
};
/** Read from `persistent`: `NON_PERSISTENT` where that says false. */
const DELIVERY_MODE = 'JMSDeliveryMode';

/** The selector is wrong, at a column that counts from 1. */
export class SelectorError extends Error {
  override readonly name = 'SelectorError';
  readonly column: number;
  constructor(column: number, problem: string) {
    super(`the selector is wrong at column ${column}: ${problem}`);
    this.column = column;
  }
}

/** Undefined is NULL. */
type Value = string | number | boolean | undefined;
/** Undefined is unknown. */
type Truth = boolean | undefined;

type Evaluate = (headers: SelectorHeaders) => Value;
type Test = (headers: SelectorHeaders) => Truth;

/** `any`: a header's text, or NULL. */
type Kind = 'text' | 'number' | 'condition' | 'any';

/** A part of a selector, parsed. */
interface Part {
  readonly kind: Kind;
  readonly column: number;
  readonly evaluate: Evaluate;
}

/**
 * Parses a selector. One of blanks alone takes every message, as in JMS.
 * Throws SelectorError and nothing else.
 */
export function parseSelector(text: string, limits: Partial<SelectorLimits> = {}): Selector {
  return new Parser(text, { ...SELECTOR_LIMITS, ...limits }).selector();
}

// ---------------------------------------------------------------------------------------------------------------- words

type TokenType = 'name' | 'keyword' | 'number' | 'text' | 'symbol' | 'end';

interface Token {
  readonly type: TokenType;
  /** Upper case for keywords; what was meant for names and texts in quotes. */
  readonly value: string;
  readonly column: number;
  /** A name that stood in double quotes. */
  readonly quoted?: boolean;
}

const KEYWORDS = new Set(['AND', 'BETWEEN', 'ESCAPE', 'FALSE', 'IN', 'IS', 'LIKE', 'NOT', 'NULL', 'OR', 'TRUE']);
// Sticky, and each alternative begins with another character or is linear: no going back over the text.
const BLANK = /[ \t\r\n\f]*/y;
const NAME = /[\p{L}_$][\p{L}\p{Nd}_$]*(?:\.[\p{L}\p{Nd}_$]+)*/uy;
const NUMBER = /(?:0[xX][\da-fA-F]+|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)([lLdDfF]?)/y;
const SYMBOL = /<>|<=|>=|!=|[-+*/=<>(),]/y;
const NUMERIC = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,4})?$/;

class Words {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  next(): Token {
    this.#take(BLANK);
    const column = this.#at + 1;
    const char = this.#text[this.#at];
    if (char === undefined) return { type: 'end', value: '', column };
    if (char === "'") return { type: 'text', value: this.#quoted("'", column), column };
    if (char === '"') return { type: 'name', value: this.#quoted('"', column), column, quoted: true };
    const name = this.#take(NAME);
    if (name !== undefined) {
      const upper = name.toUpperCase();
      return KEYWORDS.has(upper) ? { type: 'keyword', value: upper, column } : { type: 'name', value: name, column };
    }
    const number = this.#take(NUMBER);
    if (number !== undefined) {
      const behind = this.#take(NAME);
      if (behind !== undefined) throw new SelectorError(column, `${quote(number + behind)} is no number`);
      return { type: 'number', value: number, column };
    }
    const symbol = this.#take(SYMBOL);
    if (symbol !== undefined) return { type: 'symbol', value: symbol, column };
    const shown = String.fromCodePoint(this.#text.codePointAt(this.#at) ?? 0);
    throw new SelectorError(column, `${quote(shown)} means nothing here`);
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found === undefined) return undefined;
    this.#at += found.length;
    return found;
  }

  // The quote is written twice to stand in the text.
  #quoted(mark: string, column: number): string {
    let text = '';
    for (let from = column; ; ) {
      const end = this.#text.indexOf(mark, from);
      if (end < 0) throw new SelectorError(column, `the ${mark} that opens here is never closed`);
      text += this.#text.slice(from, end);
      this.#at = end + 1;
      if (this.#text[end + 1] !== mark) return text;
      text += mark;
      from = end + 2;
    }
  }
}

// -------------------------------------------------------------------------------------------------------------- grammar

const COMPARISONS = new Set(['=', '<>', '!=', '<', '<=', '>', '>=']);

class Parser {
  readonly #text: string;
  readonly #limits: SelectorLimits;
  readonly #words: Words;
  readonly #names = new Set<string>();
  #token: Token = { type: 'end', value: '', column: 1 };
  #depth = 0;
  #nodes = 0;

  constructor(text: string, limits: SelectorLimits) {
    this.#text = text;
    this.#limits = limits;
    this.#words = new Words(text);
  }

  selector(): Selector {
    const { maxLength } = this.#limits;
    if (this.#text.length > maxLength) {
      throw new SelectorError(maxLength + 1, `it is longer than ${maxLength} characters`);
    }
    this.#advance();
    const test = this.#token.type === 'end' ? () => true : this.#condition(this.#disjunction());
    if (this.#token.type !== 'end') throw this.#expected('AND, OR or the end');
    return { text: this.#text, names: [...this.#names], matches: (headers) => test(headers) === true };
  }

  // a OR b OR c
  #disjunction(): Part {
    return this.#chain('OR', () => this.#conjunction(), anyOf);
  }

  // a AND b AND c
  #conjunction(): Part {
    return this.#chain('AND', () => this.#negation(), allOf);
  }

  #chain(keyword: 'AND' | 'OR', operand: () => Part, join: (tests: readonly Test[]) => Test): Part {
    const first = operand();
    if (!this.#isKeyword(keyword)) return first;
    const tests = [this.#condition(first)];
    while (this.#takeKeyword(keyword)) {
      this.#count();
      tests.push(this.#condition(operand()));
    }
    return condition(first.column, join(tests));
  }

  // NOT a
  #negation(): Part {
    const { column } = this.#token;
    if (!this.#takeKeyword('NOT')) return this.#predicate();
    return this.#deeper(column, () => {
      const test = this.#condition(this.#negation());
      return condition(column, (headers) => not(test(headers)));
    });
  }

  // a < b, a BETWEEN b AND c, a IN (…), a LIKE '…', a IS NULL
  #predicate(): Part {
    const left = this.#sum();
    const { value } = this.#token;
    if (this.#token.type === 'symbol' && COMPARISONS.has(value)) {
      this.#advance();
      const right = this.#sum();
      this.#count();
      const test = comparison(value, left, right);
      if (this.#token.type === 'symbol' && COMPARISONS.has(this.#token.value)) {
        throw new SelectorError(this.#token.column, 'comparisons do not follow each other; use AND or parentheses');
      }
      return condition(left.column, test);
    }
    if (this.#takeKeyword('IS')) {
      const negated = this.#takeKeyword('NOT');
      this.#expectKeyword('NULL');
      this.#count();
      const { evaluate } = left;
      return condition(left.column, (headers) => (evaluate(headers) === undefined) !== negated);
    }
    const negated = this.#takeKeyword('NOT');
    const test = this.#takeKeyword('BETWEEN')
      ? this.#between(left, negated)
      : this.#takeKeyword('IN')
        ? this.#in(left)
        : this.#takeKeyword('LIKE')
          ? this.#like(left)
          : undefined;
    if (test === undefined) {
      if (negated) throw this.#expected('BETWEEN, IN or LIKE');
      return left;
    }
    this.#count();
    if (left.kind === 'condition') throw new SelectorError(left.column, 'a condition is no value to compare');
    return condition(left.column, negated ? (headers) => not(test(headers)) : test);
  }

  // JMS: `a NOT BETWEEN b AND c` is `a < b OR a > c`, which is not the same where the types are unlike. The caller
  // negates, so the answer here is the negation of that.
  #between(left: Part, negated: boolean): Test {
    const low = this.#sum();
    this.#expectKeyword('AND');
    const high = this.#sum();
    if (!negated) return allOf([comparison('>=', left, low), comparison('<=', left, high)]);
    const outside = anyOf([comparison('<', left, low), comparison('>', left, high)]);
    return (headers) => not(outside(headers));
  }

  #in({ evaluate }: Part): Test {
    this.#expectSymbol('(');
    const texts = new Set<string>();
    const numbers = new Set<number>();
    const numbersInTexts = new Set<number>();
    do {
      this.#count();
      if (this.#token.type === 'text') {
        texts.add(this.#token.value);
        const number = toNumber(this.#token.value);
        if (number !== undefined) numbersInTexts.add(number);
        this.#advance();
      } else {
        const negative = this.#takeSymbol('-');
        if (!negative) this.#takeSymbol('+');
        if (this.#token.type !== 'number') throw this.#expected('a text or a number');
        const number = this.#number();
        numbers.add(negative ? -number : number);
      }
    } while (this.#takeSymbol(','));
    this.#expectSymbol(')');
    return (headers) => {
      const value = evaluate(headers);
      if (value === undefined) return undefined;
      if (typeof value === 'number') return numbers.has(value) || numbersInTexts.has(value);
      if (typeof value === 'boolean') return false;
      if (texts.has(value)) return true;
      const number = numbers.size === 0 ? undefined : toNumber(value);
      return number !== undefined && numbers.has(number);
    };
  }

  #like(left: Part): Test {
    if (left.kind === 'number') throw new SelectorError(left.column, 'LIKE compares texts, not numbers');
    const { column, value: pattern } = this.#expectText('a pattern in single quotes');
    const { maxPatternLength } = this.#limits;
    if (pattern.length > maxPatternLength) {
      throw new SelectorError(column, `the pattern is longer than ${maxPatternLength} characters`);
    }
    let escapeChar: string | undefined;
    if (this.#takeKeyword('ESCAPE')) {
      const token = this.#expectText('one character in single quotes');
      escapeChar = token.value;
      if ([...escapeChar].length !== 1) throw new SelectorError(token.column, 'ESCAPE takes one character');
    }
    const like = compiled(column, pattern, escapeChar);
    const { evaluate } = left;
    return (headers) => {
      const value = evaluate(headers);
      if (value === undefined) return undefined;
      return typeof value === 'string' && like(value);
    };
  }

  // a + b - c
  #sum(): Part {
    return this.#arithmetic(['+', '-'], () => this.#product());
  }

  // a * b / c
  #product(): Part {
    return this.#arithmetic(['*', '/'], () => this.#sign());
  }

  #arithmetic(symbols: readonly string[], operand: () => Part): Part {
    let left = operand();
    while (this.#token.type === 'symbol' && symbols.includes(this.#token.value)) {
      const { value: symbol } = this.#token;
      this.#advance();
      this.#count();
      const right = operand();
      left = calculation(symbol, left, right);
    }
    return left;
  }

  // -a, +a
  #sign(): Part {
    const { column } = this.#token;
    const negative = this.#takeSymbol('-');
    if (!negative && !this.#takeSymbol('+')) return this.#primary();
    return this.#deeper(column, () => {
      const number = numeric(this.#sign());
      return {
        kind: 'number',
        column,
        evaluate: (headers) => {
          const value = number(headers);
          return value === undefined || !negative ? value : -value;
        },
      };
    });
  }

  #primary(): Part {
    const { type, value, column } = this.#token;
    if (type === 'symbol' && value === '(') {
      this.#advance();
      const inner = this.#deeper(column, () => this.#disjunction());
      this.#expectSymbol(')');
      return inner;
    }
    this.#count();
    if (type === 'name') return this.#name();
    if (type === 'number') {
      const number = this.#number();
      return { kind: 'number', column, evaluate: () => number };
    }
    if (type === 'text') {
      this.#advance();
      return { kind: 'text', column, evaluate: () => value };
    }
    if (this.#takeKeyword('NULL')) return { kind: 'any', column, evaluate: () => undefined };
    if (this.#takeKeyword('TRUE')) return condition(column, () => true);
    if (this.#takeKeyword('FALSE')) return condition(column, () => false);
    throw this.#expected('a value');
  }

  #name(): Part {
    const { value: name, column, quoted } = this.#token;
    if (name === '') throw new SelectorError(column, 'a header name is not empty');
    this.#advance();
    const part = (header: string, evaluate: Evaluate): Part => {
      this.#names.add(header);
      return { kind: 'any', column, evaluate };
    };
    if (!quoted && name === DELIVERY_MODE) {
      return part('persistent', (headers) => {
        return headers.get('persistent')?.toLowerCase() === 'false' ? 'NON_PERSISTENT' : 'PERSISTENT';
      });
    }
    if (!quoted && Object.hasOwn(JMS_HEADERS, name)) {
      const { header = name, absent } = JMS_HEADERS[name] ?? {};
      return part(header, (headers) => headers.get(header) ?? absent);
    }
    return part(name, (headers) => headers.get(name));
  }

  #number(): number {
    const { value, column } = this.#token;
    const isHex = /^0x/i.test(value);
    const number = Number(isHex ? value.replace(/l$/i, '') : value.replace(/[ldf]$/i, ''));
    if (!Number.isFinite(number)) throw new SelectorError(column, `${quote(value)} is larger than any number`);
    if (/^(?:0x[\da-f]+|\d+)l?$/i.test(value) && !Number.isSafeInteger(number)) {
      throw new SelectorError(column, `${quote(value)} is not held exactly; compare it as a text, in single quotes`);
    }
    if (/[.e].*l$/i.test(value) && !isHex) throw new SelectorError(column, `${quote(value)} is no number`);
    this.#advance();
    return number;
  }

  // --- words

  #advance(): void {
    this.#token = this.#words.next();
  }

  #isKeyword(keyword: string): boolean {
    return this.#token.type === 'keyword' && this.#token.value === keyword;
  }

  #takeKeyword(keyword: string): boolean {
    if (!this.#isKeyword(keyword)) return false;
    this.#advance();
    return true;
  }

  #expectKeyword(keyword: string): void {
    if (!this.#takeKeyword(keyword)) throw this.#expected(keyword);
  }

  #takeSymbol(symbol: string): boolean {
    if (this.#token.type !== 'symbol' || this.#token.value !== symbol) return false;
    this.#advance();
    return true;
  }

  #expectSymbol(symbol: string): void {
    if (!this.#takeSymbol(symbol)) throw this.#expected(symbol);
  }

  #expectText(what: string): Token {
    const token = this.#token;
    if (token.type !== 'text') throw this.#expected(what);
    this.#advance();
    return token;
  }

  #expected(what: string): SelectorError {
    const { type, value, column } = this.#token;
    if (type === 'end') return new SelectorError(column, `expected ${what}, but it ends here`);
    const found = type === 'keyword' || type === 'symbol' ? value : quote(value);
    return new SelectorError(column, `expected ${what}, not ${found}`);
  }

  #condition(part: Part): Test {
    const { kind, column, evaluate } = part;
    if (kind === 'text' || kind === 'number') {
      throw new SelectorError(column, `expected a condition, and this is a ${kind}`);
    }
    return (headers) => toBoolean(evaluate(headers));
  }

  #count(): void {
    const { maxNodes } = this.#limits;
    if (++this.#nodes > maxNodes) {
      throw new SelectorError(this.#token.column, `it has more than ${maxNodes} names, values and operators`);
    }
  }

  #deeper<T>(column: number, parse: () => T): T {
    const { maxDepth } = this.#limits;
    if (++this.#depth > maxDepth) throw new SelectorError(column, `it is nested deeper than ${maxDepth}`);
    this.#count();
    const parsed = parse();
    this.#depth--;
    return parsed;
  }
}

function condition(column: number, test: Test): Part {
  return { kind: 'condition', column, evaluate: test };
}

function compiled(column: number, pattern: string, escapeChar: string | undefined): (text: string) => boolean {
  try {
    return compileLike(pattern, escapeChar);
  } catch (error) {
    if (error instanceof RangeError) throw new SelectorError(column, error.message);
    throw error;
  }
}

// -------------------------------------------------------------------------------------------------------------- meaning

function not(truth: Truth): Truth {
  return truth === undefined ? undefined : !truth;
}

function allOf(tests: readonly Test[]): Test {
  return (headers) => {
    let all: Truth = true;
    for (const test of tests) {
      const truth = test(headers);
      if (truth === false) return false;
      if (truth === undefined) all = undefined;
    }
    return all;
  };
}

function anyOf(tests: readonly Test[]): Test {
  return (headers) => {
    let any: Truth = false;
    for (const test of tests) {
      const truth = test(headers);
      if (truth === true) return true;
      if (truth === undefined) any = undefined;
    }
    return any;
  };
}

function toNumber(text: string): number | undefined {
  return NUMERIC.test(text) ? Number(text) : undefined;
}

/** A header as a condition: neither `true` nor `false` is unknown. */
function toBoolean(value: Value): Truth {
  if (typeof value === 'boolean') return value;
  if (typeof value !== 'string' || value.length > 5) return undefined;
  const lower = value.toLowerCase();
  return lower === 'true' ? true : lower === 'false' ? false : undefined;
}

function comparison(symbol: string, left: Part, right: Part): Test {
  const isOrder = symbol !== '=' && symbol !== '<>' && symbol !== '!=';
  const unordered = [left, right].find(({ kind }) => kind === 'condition');
  if (isOrder && unordered !== undefined) {
    throw new SelectorError(unordered.column, `a condition is neither less nor more; ${symbol} compares values`);
  }
  const [a, b] = [left.evaluate, right.evaluate];
  return (headers) => {
    const one = a(headers);
    if (one === undefined) return undefined;
    const other = b(headers);
    return other === undefined ? undefined : compare(symbol, one, other);
  };
}

// Values of unlike types: false (JMS 1.1, 3.8.1.1).
function compare(symbol: string, a: string | number | boolean, b: string | number | boolean): boolean {
  if (typeof a === 'boolean' || typeof b === 'boolean') {
    if (typeof a === 'number' || typeof b === 'number') return false;
    const [one, other] = [toBoolean(a), toBoolean(b)];
    return one !== undefined && other !== undefined && holds(symbol, one, other);
  }
  if (typeof a === 'number' || typeof b === 'number') {
    const one = typeof a === 'number' ? a : toNumber(a);
    const other = typeof b === 'number' ? b : toNumber(b);
    return one !== undefined && other !== undefined && holds(symbol, one, other);
  }
  if (symbol === '=' || symbol === '<>' || symbol === '!=') return holds(symbol, a, b);
  const [one, other] = [toNumber(a), toNumber(b)];
  return one !== undefined && other !== undefined ? holds(symbol, one, other) : holds(symbol, a, b);
}

function holds<T extends string | number | boolean>(symbol: string, a: T, b: T): boolean {
  switch (symbol) {
    case '=':
      return a === b;
    case '<':
      return a < b;
    case '<=':
      return a <= b;
    case '>':
      return a > b;
    case '>=':
      return a >= b;
    default:
      return a !== b;
  }
}

function calculation(symbol: string, left: Part, right: Part): Part {
  const [a, b] = [numeric(left), numeric(right)];
  return {
    kind: 'number',
    column: left.column,
    evaluate: (headers) => {
      const one = a(headers);
      const other = b(headers);
      if (one === undefined || other === undefined) return undefined;
      const result = calculate(symbol, one, other);
      return Number.isFinite(result) ? result : undefined;
    },
  };
}

function calculate(symbol: string, a: number, b: number): number {
  switch (symbol) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    default:
      return a / b;
  }
}

function numeric({ kind, column, evaluate }: Part): (headers: SelectorHeaders) => number | undefined {
  if (kind === 'text' || kind === 'condition') {
    throw new SelectorError(column, `expected a number, and this is a ${kind}`);
  }
  return (headers) => {
    const value = evaluate(headers);
    return typeof value === 'string' ? toNumber(value) : typeof value === 'number' ? value : undefined;
  };
}
