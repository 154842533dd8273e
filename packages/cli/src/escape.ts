// Text of others -> text that cannot speak to a terminal (M-160): no escape sequences, no carriage return that writes over
// what stands there, no characters that turn the direction of writing.

// Controls, format and bidirectional characters, line separators of Unicode, halves of surrogate pairs.
const TELLING = /[\u0000-\u001f\u007f-\u009f\p{Cf}\u2028\u2029\ud800-\udfff]/gu;
const TELLING_IN_JSON = /[\u007f-\u009f\p{Cf}\u2028\u2029\ud800-\udfff]/gu;
const NAMED: Readonly<Record<string, string>> = { '\r': '\\r', '\n': '\\n', '\t': '\\t', '\u001b': '\\e' };

function spelled(character: string): string {
  return character.replace(/[\s\S]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** One line of it: line ends and tabs are written as `\n` and `\t`. */
export function printable(text: string): string {
  return text.replace(TELLING, (character) => NAMED[character] ?? spelled(character));
}

/** Several lines of it: LF and tabs stay. */
export function printableLines(text: string): string {
  return text.replace(TELLING, (character) =>
    character === '\n' || character === '\t' ? character : (NAMED[character] ?? spelled(character)),
  );
}

/** One line of JSON that any parser reads as the same value. */
export function json(value: unknown): string {
  return JSON.stringify(value).replace(TELLING_IN_JSON, spelled);
}
