// Words of the command line -> values. Each throws a sentence that says what is wanted.

import { queue, type To, topic } from '@stompbox/client';
import { InvalidArgumentError } from 'commander';

const DURATION = /^(\d+(?:\.\d+)?)(ms|s|min|m|h|d)?$/;
const MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
const MAX_MS = 366 * 86_400_000;

/** Milliseconds; seconds are meant where no unit is written. */
export function duration(text: string): number {
  const [, figure, unit = 's'] = DURATION.exec(text) ?? [];
  const ms = Math.round(Number(figure) * (MS[unit] ?? Number.NaN));
  if (figure === undefined || !(ms <= MAX_MS)) {
    throw new InvalidArgumentError('A time is a number with ms, s, min, h or d behind it, such as 500ms or 2min.');
  }
  return ms;
}

/** A whole number from `least` to `most`. */
export function whole(least: number, most: number = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && value <= most) return value;
    const range = most === Number.MAX_SAFE_INTEGER ? `from ${least} up` : `from ${least} to ${most}`;
    throw new InvalidArgumentError(`It is a whole number ${range}.`);
  };
}

export function rate(text: string): number {
  const value = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && value > 0) return value;
  throw new InvalidArgumentError('It is a number of messages a second, more than 0.');
}

export type HeaderList = Readonly<Record<string, string>>;

/** `name:value`, once for each header; blanks around the colon belong to them, as in a frame. */
export function header(text: string, before: HeaderList = {}): HeaderList {
  const colon = text.indexOf(':');
  if (colon < 1) throw new InvalidArgumentError('A header is written name:value.');
  const name = text.slice(0, colon);
  if (Object.hasOwn(before, name)) throw new InvalidArgumentError(`The header ${name} is given twice.`);
  return { ...before, [name]: text.slice(colon + 1) };
}

/** The option may be repeated. */
export function several(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}

const PORTABLE = /^(queue|topic):(?=.)(?!\/)/;

/** A destination in the broker's own words, or `queue:name` and `topic:name` in everybody's. Throws UsageError. */
export function destination(text: string): To {
  const kind = PORTABLE.exec(text)?.[1];
  if (kind === undefined) return text;
  const name = text.slice(kind.length + 1);
  return kind === 'queue' ? queue(name) : topic(name);
}

// Any scheme with two slashes: a mistyped one is to be refused, and not to become the name of a queue.
const URL_WORD = /^(?:[a-z][a-z0-9+.-]*:\/\/|failover:|stomp\+unix:)/i;

/** Whether a word names a broker and not a destination. */
export function isUrl(word: string): boolean {
  return URL_WORD.test(word);
}
