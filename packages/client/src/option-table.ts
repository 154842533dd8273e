// What the option tables have in common: how a value is checked, and how what was given becomes settings.
//
// A table names each option once, with its default, its check and its sentence. The type, the frozen settings, the
// command line and the documentation follow from those lines.

import { UsageError } from '@stompbox/protocol';

/** Answers what a value must be, where it is not. */
export type Check = (value: unknown) => string | undefined;

/** One line of a table. */
export interface Option {
  readonly default: unknown;
  readonly check: Check;
  readonly say: string;
}

/** What a table lets be given. */
export type Given<Table> = { readonly [Name in keyof Table]?: DefaultOf<Table[Name]> | undefined };

/** Every option of a table with its value. */
export type Settings<Table> = { readonly [Name in keyof Table]: DefaultOf<Table[Name]> };

type DefaultOf<Line> = Line extends { readonly default: infer Default } ? Default : never;

export const text: Check = (value) => (typeof value === 'string' ? undefined : 'a string');
export const boolean: Check = (value) => (typeof value === 'boolean' ? undefined : 'true or false');
export const object: Check = (value) => (typeof value === 'object' && value !== null ? undefined : 'an object');
export const callable: Check = (value) => (typeof value === 'function' ? undefined : 'a function');
export const number = (least: number): Check => {
  return (value) =>
    typeof value === 'number' && !Number.isNaN(value) && value >= least ? undefined : `a number from ${least} up`;
};
export const oneOf = (...values: readonly string[]): Check => {
  return (value) => (values.some((one) => one === value) ? undefined : values.map((one) => `'${one}'`).join(' or '));
};

/**
 * Checks what was given and fills in the defaults; frozen. Throws UsageError `bad-option` for a value that fails its check
 * and for a name that is none, with the nearest one. Values are not quoted: one may be a secret. `within` is the option
 * that the table stands in, such as `reconnect`, for the sentences.
 */
export function resolve<Table extends Readonly<Record<string, Option>>>(
  table: Table,
  given: Given<Table>,
  within?: string,
): Settings<Table> {
  const prefix = within === undefined ? '' : `${within}.`;
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(table, name)) continue;
    const meant = `${prefix}${nearest(name, Object.keys(table))}`;
    throw new UsageError('bad-option', `there is no option ${prefix}${name}; did you mean ${meant}?`);
  }
  const settings: Record<string, unknown> = {};
  for (const [name, { default: fallback, check }] of Object.entries(table)) {
    const value = given[name];
    const wanted = value === undefined ? undefined : check(value);
    if (wanted !== undefined) throw new UsageError('bad-option', `${prefix}${name} must be ${wanted}`);
    settings[name] = value ?? fallback;
  }
  return Object.freeze(settings) as Settings<Table>;
}

/** The name with the fewest letters to change. */
export function nearest(name: string, names: readonly string[]): string {
  let best = names[0] ?? '';
  let fewest = Number.POSITIVE_INFINITY;
  for (const candidate of names) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance >= fewest) continue;
    fewest = distance;
    best = candidate;
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
