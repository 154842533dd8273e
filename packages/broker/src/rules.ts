// Who may send to, subscribe to and manage which destinations.
//
//   rules:
//     - { who: app,         may: [send, subscribe], destination: '/queue/orders.>' }
//     - { who: '@auditors', may: subscribe,         destination: '/topic/>' }
//     - { who: '*',         mayNot: subscribe,      destination: '/topic/$sys.>' }
//
// Rules grant, and what nobody grants is denied. A `mayNot` takes back, whoever granted it. So the order of rules means
// nothing, and adding one never hides another.
//
// `who` is a login, `@group`, or `*` for everybody. A destination is written as in frames, with the patterns of topics
// for queues as well: `*` is one word between dots, `>` at the end any number of them, and `>` alone is everything. As
// on the wire, a name without a prefix is a queue of that name: `orders` and `/queue/orders` are the same. Who
// subscribes to a pattern needs grants that cover all of it by one rule, and nothing in it may be taken back.

import { quote } from '@stompbox/protocol';
import { type Authorize, type Identity, VERBS, type Verb } from './access.ts';
import { type Pattern, parsePattern, wrongPattern } from './pattern.ts';

type OneOrMore<T> = T | readonly T[];

export interface Rule {
  /** Logins, `@groups`, or `*`. */
  readonly who: OneOrMore<string>;
  readonly may?: OneOrMore<Verb>;
  readonly mayNot?: OneOrMore<Verb>;
  readonly destination: OneOrMore<string>;
}

interface Place {
  /** Undefined: all kinds. */
  readonly kind: string | undefined;
  readonly pattern: Pattern;
}

interface Compiled {
  readonly who: ReadonlySet<string>;
  readonly may: ReadonlySet<Verb>;
  readonly mayNot: ReadonlySet<Verb>;
  readonly places: readonly Place[];
}

/** What one person's rules answer. */
interface Permissions {
  readonly rules: readonly Compiled[];
  readonly answers: Map<string, boolean>;
}

const REMEMBERED = 1_024;

/** Why a rule is none, or undefined. */
export function wrongRule(rule: Rule): string | undefined {
  const [who, may, mayNot, destinations] = [rule.who, rule.may, rule.mayNot, rule.destination].map(list);
  if (!who?.length) return 'a rule needs `who`: a login, @group or *';
  if (who.some((name) => name === '' || name === '@')) return 'a login or group in `who` is empty';
  if (!may?.length && !mayNot?.length) return `a rule needs \`may\` or \`mayNot\`: ${VERBS.join(', ')}`;
  const stranger = [...(may ?? []), ...(mayNot ?? [])].find((verb) => !VERBS.some((known) => known === verb));
  if (stranger !== undefined) return `${quote(stranger)} is nothing one may do; there are ${VERBS.join(', ')}`;
  if (!destinations?.length) return 'a rule needs a `destination`';
  for (const text of destinations) {
    const { kind, name } = split(text);
    const wrong = name === '' || name === '/' ? 'it names nothing' : wrongPattern(name);
    if (wrong !== undefined) return `${quote(text)} is no pattern: ${wrong}`;
    if (kind === undefined)
      return `${quote(text)} is private to a connection; its owner may do everything, others may send`;
  }
  return undefined;
}

/** What these rules say, and which of them. Without any, nothing is allowed. Throws RangeError that names the rule that is none. */
export function authorizeBy(rules: readonly Rule[]): Authorize & Required<Pick<Authorize, 'why'>> {
  const compiled = rules.map(compile);
  const people = new Map<string, Permissions>();
  const authorize: Authorize = (identity, verb, destination) => {
    const permissions = recall(people, keyOf(identity), () => ({
      rules: compiled.filter(({ who }) => concerns(who, identity)),
      answers: new Map<string, boolean>(),
    }));
    return recall(permissions.answers, `${verb} ${destination}`, () => {
      const { granting, denying } = decide(permissions.rules, verb, destination);
      return granting !== undefined && denying === undefined;
    });
  };
  const why: Authorize['why'] = (identity, verb, destination) => {
    const own = compiled.filter(({ who }) => concerns(who, identity));
    const { granting, denying } = decide(own, verb, destination);
    if (denying !== undefined) return `rule ${compiled.indexOf(denying) + 1} takes it back`;
    return granting === undefined ? 'no rule grants it' : `rule ${compiled.indexOf(granting) + 1} grants it`;
  };
  return Object.assign(authorize, { why });
}

/** The first rule that grants it, and the first that takes it back. */
function decide(
  rules: readonly Compiled[],
  verb: Verb,
  destination: string,
): { readonly granting?: Compiled | undefined; readonly denying?: Compiled | undefined } {
  const { kind, name } = split(destination);
  if (kind === undefined) return {};
  const asked = parsePattern(name);
  const here = (place: Place, fits: (pattern: Pattern, asked: Pattern) => boolean) =>
    (place.kind === undefined || place.kind === kind) && fits(place.pattern, asked);
  return {
    granting: rules.find(({ may, places }) => may.has(verb) && places.some((place) => here(place, covers))),
    denying: rules.find(({ mayNot, places }) => mayNot.has(verb) && places.some((place) => here(place, overlaps))),
  };
}

function compile(rule: Rule, at: number): Compiled {
  const wrong = wrongRule(rule);
  if (wrong !== undefined) throw new RangeError(`rule ${at + 1}: ${wrong}`);
  return {
    who: new Set(list(rule.who)),
    may: new Set(list(rule.may)),
    mayNot: new Set(list(rule.mayNot)),
    places: list(rule.destination).map((text) => {
      const { kind, name } = split(text);
      const isEverything = text === '>' || text === '#';
      return { kind: isEverything ? undefined : kind, pattern: parsePattern(name) };
    }),
  };
}

/** As the router reads it: what has no prefix is a queue of that whole name. No kind: temporary. */
function split(destination: string): { kind: 'queue' | 'topic' | undefined; name: string } {
  const [, prefix, rest] = /^\/(queue|topic|temp-queue|remote-temp-queue)(?:\/(.*))?$/s.exec(destination) ?? [];
  if (prefix === undefined) return { kind: 'queue', name: destination };
  return { kind: prefix === 'queue' || prefix === 'topic' ? prefix : undefined, name: rest ?? '' };
}

function concerns(who: ReadonlySet<string>, { name, groups = [] }: Identity): boolean {
  // A login that looks like a group or like everybody is neither.
  const isPlain = name !== '*' && !name.startsWith('@');
  return who.has('*') || (isPlain && who.has(name)) || groups.some((group) => who.has(`@${group}`));
}

/** Every name that `asked` matches, `pattern` matches too. */
function covers(pattern: Pattern, asked: Pattern): boolean {
  const [few, many] = [pattern.words.length, asked.words.length];
  if (pattern.open ? many < few : asked.open || many !== few) return false;
  return pattern.words.every((word, i) => word === '*' || word === asked.words[i]);
}

/** Some name is matched by both. */
function overlaps(a: Pattern, b: Pattern): boolean {
  if (!a.open && b.words.length > a.words.length) return false;
  if (!b.open && a.words.length > b.words.length) return false;
  return a.words.every((word, i) => {
    const other = b.words[i];
    return other === undefined || word === other || word === '*' || other === '*';
  });
}

function keyOf({ name, groups = [] }: Identity): string {
  return JSON.stringify([name, ...groups]);
}

function recall<T>(known: Map<string, T>, key: string, find: () => T): T {
  const before = known.get(key);
  if (before !== undefined) return before;
  if (known.size >= REMEMBERED) known.clear();
  const found = find();
  known.set(key, found);
  return found;
}

function list<T>(some: OneOrMore<T> | undefined): readonly T[] {
  return some === undefined ? [] : Array.isArray(some) ? some : [some as T];
}
