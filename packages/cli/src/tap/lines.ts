// What was overheard -> one line of it, for people or as JSON. No secret keeps its value, and nothing can speak to the
// terminal (M-160, M-163).

import { redacted, redactedText } from '@stompbox/client';
import { type Frame, quote } from '@stompbox/protocol';
import { json, printable } from '../escape.ts';
import type { Terminal } from '../terminal.ts';
import type { Heard } from './ear.ts';

/** Who sent it. */
export type Side = 'client' | 'broker';

/** What is told of connections. */
export interface Note {
  readonly type: 'opened' | 'failed' | 'closed';
  readonly text: string;
}

export interface Told {
  /** Counted from 1. */
  readonly connection: number;
  readonly at: Date;
  /** Absent where it is about the connection. */
  readonly from?: Side | undefined;
  readonly what: Heard | Note;
}

export interface LineOptions {
  readonly json: boolean;
  /** At most so many characters of a body. */
  readonly bodyChars: number;
  readonly out: Pick<Terminal, 'dim' | 'bold' | 'bad'>;
}

const MAX_VALUE_CHARS = 200;
// Looked at behind the excerpt, so that a secret which the cut would split is still known as one.
const BEYOND_CHARS = 1_000;
const MAX_BYTES_PER_CHAR = 4;

/** With its end. */
export function lineOf(told: Told, options: LineOptions): string {
  return options.json ? `${json(objectOf(told, options.bodyChars))}\n` : `${textOf(told, options)}\n`;
}

function objectOf({ connection, at, from, what }: Told, bodyChars: number): object {
  const start = { time: at.toISOString(), connection, ...(from === undefined ? {} : { from }) };
  switch (what.type) {
    case 'frame': {
      const { command, headers, body } = redacted(what.frame);
      return {
        ...start,
        command,
        headers: Object.fromEntries([...headers].reverse()), // the first wins where one repeats
        bytes: what.bodyBytes,
        ...(what.bodyBytes > 0 && bodyChars > 0 ? { body: excerptOf(body, bodyChars).slice(0, bodyChars) } : {}),
      };
    }
    case 'heart-beat':
      return { ...start, event: 'heart-beat' };
    case 'damage':
      return { ...start, event: 'damage', why: redactedText(what.why) };
    case 'mended':
      return { ...start, event: 'mended', bytes: what.bytes };
    default:
      return { ...start, event: what.type, text: redactedText(what.text) };
  }
}

function textOf({ connection, at, from, what }: Told, { bodyChars, out }: LineOptions): string {
  const arrow = from === undefined ? '---' : from === 'client' ? '>>>' : '<<<';
  const start = `${out.dim(`${at.toISOString().slice(11, 23)} #${connection}`)} ${arrow}`;
  switch (what.type) {
    case 'frame':
      return `${start} ${frameText(redacted(what.frame), what.bodyBytes, bodyChars, out)}`;
    case 'heart-beat':
      return `${start} ${out.dim('heart-beat')}`;
    case 'damage':
      return `${start} ${out.bad(`no frame: ${printable(redactedText(what.why))}`)}`;
    case 'mended':
      return `${start} frames again, after ${what.bytes} bytes`;
    default:
      return `${start} ${printable(redactedText(what.text))}`;
  }
}

function frameText(
  { command, headers, body }: Frame,
  bytes: number,
  bodyChars: number,
  out: LineOptions['out'],
): string {
  const all = [...headers].map(([name, value]) => `${shown(name)}:${shown(value)}`);
  const words = [command === 'ERROR' ? out.bad(command) : out.bold(command), ...all].join(' ');
  if (bytes === 0) return words;
  const size = `${words}, ${bytes} bytes`;
  return bodyChars === 0 ? size : `${size} ${quote(excerptOf(body, bodyChars), bodyChars)}`;
}

function excerptOf(body: Uint8Array, chars: number): string {
  const enough = body.subarray(0, (chars + BEYOND_CHARS) * MAX_BYTES_PER_CHAR);
  return redactedText(new TextDecoder().decode(enough));
}

/** Plain where it is plain, otherwise quoted. */
function shown(text: string): string {
  return text.length <= MAX_VALUE_CHARS && /^[\x21\x23-\x7e]+$/.test(text) ? text : quote(text, MAX_VALUE_CHARS);
}
