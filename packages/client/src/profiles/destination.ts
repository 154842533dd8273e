// `queue('a')` and `topic('a.b')` -> what a broker calls them.

import { UsageError } from '@stompbox/protocol';
import type { PortableDestination, PortableOption, Resolved, To } from './profile.ts';

/** How a broker spells destinations. */
export interface Spelling {
  readonly queue: string; // what stands before the name of a queue
  readonly topic: string;
  /** Its wildcard for all further words; that for one word is `*` wherever there is one. */
  readonly rest?: string;
  /** What in a name would mean something else there. */
  readonly never?: RegExp;
  readonly escaped?: (name: string) => string;
  /** It is told in a header whether the name is that of a queue: the one of SEND, the one of SUBSCRIBE. */
  readonly typed?: Readonly<Record<'SEND' | 'SUBSCRIBE', string>>;
}

/** A queue by its bare name, the same on every broker. Throws UsageError `bad-option` for an empty word or a wildcard. */
export function queue(name: string): PortableDestination {
  return named('queue', name);
}

/** A topic, or with the wildcards `*` (one word) and a last `#` (all the rest) a pattern of topics to subscribe to. Throws as `queue()` does. */
export function topic(name: string): PortableDestination {
  return named('topic', name);
}

function named(kind: 'queue' | 'topic', name: string): PortableDestination {
  const words = name.split('.');
  const isWrong = (word: string, at: number): boolean =>
    word === '' ||
    word === '>' ||
    word === '**' ||
    (isWildcard(word) && kind === 'queue') ||
    (word === '#' && at + 1 < words.length);
  if (words.some(isWrong)) {
    const may = kind === 'queue' ? 'no wildcard' : '* for one word and # for the last';
    throw new UsageError('bad-option', `${kind} ${JSON.stringify(name)}: words with dots between them, ${may}`);
  }
  return { kind, name };
}

function isWildcard(word: string): boolean {
  return word === '*' || word === '#';
}

export function resolve(
  { queue, topic, rest, never, escaped, typed }: Spelling,
  to: To,
  verb: 'SEND' | 'SUBSCRIBE',
  refuse: (option: PortableOption) => never,
): Resolved {
  if (typeof to === 'string') {
    if (to === '') throw new UsageError('missing-header', 'the destination is empty (P-08)');
    return { destination: to, headers: {} };
  }
  const { kind } = to;
  let { name } = to;
  if (never?.test(name)) refuse('name');
  const words = name.split('.');
  if (words.some(isWildcard)) {
    if (verb === 'SEND') throw new UsageError('bad-option', `a message cannot be sent to the pattern ${name}`);
    if (rest === undefined) refuse('wildcard');
    name = words.map((word) => (word === '#' ? rest : word)).join('.');
  }
  return {
    destination: (kind === 'queue' ? queue : topic) + (escaped?.(name) ?? name),
    headers: typed ? { [typed[verb]]: kind === 'queue' ? 'ANYCAST' : 'MULTICAST' } : {},
  };
}
