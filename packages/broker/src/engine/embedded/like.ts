// LIKE: `%` is any text, `_` any one character, everything else itself.
//
// No regular expression and no going back: the parts between the `%` are looked for one behind the other, each by
// shift-and (a bit per character of the part, in as many words as that takes). So the time is the length of the text
// times a constant that the length of the pattern bounds, whatever stands in either (M-67).

/** A character of a pattern: a code point, or -1 for any. */
type Char = number;

const ANY = -1;

/**
 * Compiles a pattern. `escapeChar` makes the `%`, `_` or escape behind it stand for itself.
 * Throws a RangeError where the escape stands before anything else.
 */
export function compileLike(pattern: string, escapeChar?: string): (text: string) => boolean {
  const parts: Char[][] = [[]];
  const chars = [...pattern];
  for (let i = 0; i < chars.length; i++) {
    const char = chars[i] as string;
    if (char === escapeChar) {
      const next = chars[++i];
      if (next !== '%' && next !== '_' && next !== escapeChar) {
        throw new RangeError(`the escape ${escapeChar} must stand before %, _ or itself`);
      }
      parts.at(-1)?.push(codeOf(next));
    } else if (char === '%') parts.push([]);
    else parts.at(-1)?.push(char === '_' ? ANY : codeOf(char));
  }

  const [first = [], ...rest] = parts;
  const last = rest.pop();
  if (last === undefined) return (text) => text.length >= first.length && isAll(codes(text), first);
  const middle = rest.filter((part) => part.length > 0).map(finder);
  if (middle.length === 0 && first.length === 0 && last.length === 0) return () => true;
  if (middle.length === 0 && !first.includes(ANY) && !last.includes(ANY)) {
    const [start, end] = [String.fromCodePoint(...first), String.fromCodePoint(...last)];
    const length = start.length + end.length;
    return (text) => text.length >= length && text.startsWith(start) && text.endsWith(end);
  }
  return (text) => {
    const found = codes(text);
    const end = found.length - last.length;
    if (end < first.length || !isAt(found, first, 0) || !isAt(found, last, end)) return false;
    let at = first.length;
    for (const find of middle) {
      at = find(found, at, end);
      if (at < 0) return false;
    }
    return true;
  };
}

function codeOf(char: string): number {
  return char.codePointAt(0) ?? 0;
}

function codes(text: string): readonly number[] {
  const found: number[] = [];
  for (let i = 0; i < text.length; i++) {
    const code = text.codePointAt(i) ?? 0;
    if (code > 0xffff) i++;
    found.push(code);
  }
  return found;
}

function isAt(text: readonly number[], part: readonly Char[], at: number): boolean {
  return part.every((char, i) => char === ANY || char === text[at + i]);
}

function isAll(text: readonly number[], part: readonly Char[]): boolean {
  return text.length === part.length && isAt(text, part, 0);
}

/** Where the first occurrence at or after `from` ends, no later than `to`; -1 if there is none. */
type Find = (text: readonly number[], from: number, to: number) => number;

function finder(part: readonly Char[]): Find {
  const words = Math.ceil(part.length / 32);
  const always = new Int32Array(words);
  const masks = new Map<number, Int32Array>();
  for (const char of part) if (char !== ANY && !masks.has(char)) masks.set(char, new Int32Array(words));
  part.forEach((char, i) => {
    const bit = 1 << (i & 31);
    for (const mask of char === ANY ? [always, ...masks.values()] : [masks.get(char) ?? always]) {
      mask[i >> 5] = (mask[i >> 5] ?? 0) | bit;
    }
  });
  const lastWord = words - 1;
  const lastBit = 1 << ((part.length - 1) & 31);

  return (text, from, to) => {
    // Bit i of `state`: the first i + 1 characters of the part end here.
    const state = new Int32Array(words);
    for (let at = from; at < to; at++) {
      const mask = masks.get(text[at] as number) ?? always;
      let carry = 1;
      for (let word = 0; word < words; word++) {
        const before = state[word] as number;
        state[word] = ((before << 1) | carry) & (mask[word] as number);
        carry = before >>> 31;
      }
      if (((state[lastWord] as number) & lastBit) !== 0) return at + 1;
    }
    return -1;
  };
}
