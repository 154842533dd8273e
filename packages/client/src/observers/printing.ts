// One line for each thing that happens, for people who read along.
//
//   >>> SEND destination:/queue/a receipt:r-1, 5 bytes
//   <<< RECEIPT receipt-id:r-1
//   --- closed: lost: the broker fell silent
//
// What a peer wrote is shown so that it cannot speak to the terminal (M-160): control, format
// and bidirectional characters are escaped, and nothing is longer than its bound.

import { type Frame, quote } from '@stompbox/protocol';
import { type Observer, redactedText } from './observer.ts';

export interface PrintingOptions {
  /** Takes a line, without its end. */
  readonly write: (line: string) => void;
  /** All headers, the beginning of bodies and every heart-beat. False unless given: the telling headers, and sizes. */
  readonly verbose?: boolean | undefined;
  /** At most this many characters of a body, where bodies are shown. 200 unless given. */
  readonly maxBodyChars?: number | undefined;
}

const MAX_VALUE_CHARS = 200;
/** Looked at behind the excerpt, so that a secret which the cut would split is still known as one. */
const BEYOND_CHARS = 1_000;
const MAX_BYTES_PER_CHAR = 4;

const TELLING: ReadonlySet<string> = new Set([
  'destination',
  'id',
  'subscription',
  'message-id',
  'ack',
  'receipt',
  'receipt-id',
  'transaction',
  'message',
  'version',
  'server',
]);

/** An observer that writes a line for all it sees. Secrets are masked, in headers, URLs and the excerpts of bodies. */
export function printing({ write, verbose = false, maxBodyChars = 200 }: PrintingOptions): Observer {
  const say = (what: string): void => write(`--- ${what}`);
  const line = (arrow: string, frame: Frame): void =>
    write(`${arrow} ${frame.command}${headersOf(frame, verbose)}${bodyOf(frame, verbose ? maxBodyChars : 0)}`);
  return {
    dialling: (url) => say(`dialling ${shown(url)}`),
    dialFailed: (url, error) => say(`dialling ${shown(url)} failed: ${sentence(error)}`),
    connecting: (remote) => say(`connecting to ${shown(remote)}`),
    frameSent: (frame) => line('>>>', frame),
    frameReceived: (frame) => line('<<<', frame),
    heartBeat: verbose ? (direction) => write(`${direction === 'sent' ? '>>>' : '<<<'} heart-beat`) : undefined,
    heartBeatLost: (error) => say(`heart-beat lost: ${sentence(error)}`),
    unexpectedReceipt: () => say('nobody waited for that RECEIPT'),
    paused: ({ frames, bytes }) => say(`reading is paused: ${frames} frames of ${bytes} bytes wait for their readers`),
    resumed: () => say('reading goes on'),
    disconnecting: () => say('disconnecting'),
    closed: ({ kind, error }) => say(`closed: ${kind}${error === undefined ? '' : `: ${sentence(error)}`}`),
  };
}

function headersOf({ headers }: Frame, all: boolean): string {
  let text = '';
  let others = 0;
  for (const [name, value] of headers) {
    if (all || TELLING.has(name)) text += ` ${shown(name)}:${shown(value)}`;
    else others++;
  }
  return others === 0 ? text : `${text} (+${others})`;
}

function bodyOf({ body }: Frame, maxChars: number): string {
  if (body.length === 0) return '';
  const size = `, ${body.length} bytes`;
  if (maxChars <= 0) return size;
  const enough = body.subarray(0, (maxChars + BEYOND_CHARS) * MAX_BYTES_PER_CHAR);
  return `${size} ${quote(redactedText(new TextDecoder().decode(enough)), maxChars)}`;
}

/** Plain where it is plain, otherwise quoted. */
function shown(text: string): string {
  return text.length <= MAX_VALUE_CHARS && /^[\x21\x23-\x7e]+$/.test(text) ? text : quote(text, MAX_VALUE_CHARS);
}

function sentence(error: unknown): string {
  const text = redactedText(error instanceof Error ? error.message : String(error));
  return quote(text, MAX_VALUE_CHARS).slice(1, -1);
}
