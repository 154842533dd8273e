// Topic names and patterns: words between dots; `*` is any one word, and `>` or `#`
// at the end is any number of words, none included. Matching is linear (M-63).

export interface Pattern {
  readonly words: readonly string[];
  /** Ends in `>` or `#`. */
  readonly open: boolean;
}

/** Whether a word stands for others. */
export function isWildcard(word: string): boolean {
  return word === '*' || word === '>' || word === '#';
}

/** Callers have refused what is no pattern: see `wrongPattern`. */
export function parsePattern(name: string): Pattern {
  const words = name.split('.');
  const last = words.at(-1);
  const open = last === '>' || last === '#';
  return { words: open ? words.slice(0, -1) : words, open };
}

/** Why this is no pattern, or undefined. */
export function wrongPattern(name: string): string | undefined {
  const words = name.split('.');
  if (words.length > 64) return 'it has more than 64 words';
  const early = words.slice(0, -1).find((word) => word === '>' || word === '#');
  return early === undefined ? undefined : `${early} may only stand at the end`;
}

export function matches(pattern: Pattern, words: readonly string[]): boolean {
  if (pattern.open ? words.length < pattern.words.length : words.length !== pattern.words.length) return false;
  return pattern.words.every((word, i) => word === '*' || word === words[i]);
}
