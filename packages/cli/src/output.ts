// A message -> what is shown of it: for people, as its bare body, or as a line of JSON.

import type { Message } from '@stompbox/client';
import { type Command, Option } from 'commander';
import { json, printable, printableLines } from './escape.ts';
import { WrongUsage } from './exit-codes.ts';
import { textOrOctets } from './input.ts';
import type { Terminal } from './terminal.ts';

export const FORMATS = ['pretty', 'raw', 'json'] as const;
export type Format = (typeof FORMATS)[number];

export interface FormatFlags {
  readonly format?: Format;
  readonly raw?: boolean;
  readonly json?: boolean;
}

export function formatOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--format <name>', 'pretty for people, raw for bare bodies, json for one object a line').choices(
        FORMATS,
      ),
    )
    .option('--raw', 'the same as --format raw: octets as they came, a line end behind each, nothing escaped')
    .option('--json', 'the same as --format json');
}

/** Throws WrongUsage where the flags contradict each other. */
export function formatOf({ format, raw, json: isJson }: FormatFlags): Format {
  const said = new Set<Format>();
  if (format !== undefined) said.add(format);
  if (raw) said.add('raw');
  if (isJson) said.add('json');
  const [one = 'pretty', ...more] = said;
  if (more.length > 0)
    throw new WrongUsage(`${[...said].map((name) => `--${name}`).join(' and ')} contradict each other`);
  return one;
}

/** As it is printed, its end included. `saved` is where its body went instead. */
export function shown(message: Message, format: Format, out: Terminal, saved?: string): string | Uint8Array {
  if (format === 'json') return `${json(asJson(message, saved))}\n`;
  if (format === 'raw') return saved === undefined ? Buffer.concat([message.bytes, LINE_END]) : `${saved}\n`;
  return pretty(message, out, saved);
}

const LINE_END = Buffer.from('\n');

/** Headers as an object: the first wins where one repeats, as the specification has it. */
function headersOf(message: Message): Readonly<Record<string, string>> {
  return Object.fromEntries([...message.headers].reverse());
}

function asJson(message: Message, saved: string | undefined): object {
  const { destination, id, bytes } = message;
  const body = saved === undefined ? textOrOctets(bytes) : undefined;
  return {
    destination,
    id,
    redelivered: message.redelivered,
    headers: headersOf(message),
    ...(typeof body === 'string' ? { body } : {}),
    ...(body instanceof Uint8Array ? { base64: Buffer.from(body).toString('base64') } : {}),
    ...(saved === undefined ? {} : { saved, bytes: bytes.length }),
  };
}

// Said in the first line, or only of interest to the protocol.
const TOLD: ReadonlySet<string> = new Set([
  'destination',
  'message-id',
  'subscription',
  'ack',
  'content-type',
  'content-length',
  'redelivered',
]);

function pretty(message: Message, out: Terminal, saved: string | undefined): string {
  const { destination, id, bytes, contentType, redelivered } = message;
  const facts = [
    ...(id === '' ? [] : [printable(id)]),
    ...(contentType === undefined ? [] : [printable(contentType)]),
    `${bytes.length} bytes`,
    ...(redelivered ? ['redelivered'] : []),
  ];
  const rest = Object.entries(headersOf(message)).filter(([name]) => !TOLD.has(name));
  return [
    `${out.bold(printable(destination))} ${out.dim(facts.join(', '))}`,
    ...rest.reverse().map(([name, value]) => out.dim(`  ${printable(name)}: ${printable(value)}`)),
    saved === undefined ? bodyOf(bytes) : `saved as ${printable(saved)}`,
    '',
  ].join('\n');
}

const SHOWN_OCTETS = 64;

/** As text where it is text, else the beginning of its octets. */
function bodyOf(bytes: Uint8Array): string {
  const text = textOrOctets(bytes);
  if (typeof text === 'string' && !text.includes('\0')) return printableLines(text);
  const start = Buffer.from(bytes.subarray(0, SHOWN_OCTETS))
    .toString('hex')
    .replace(/(..)(?=.)/g, '$1 ');
  return bytes.length > SHOWN_OCTETS ? `${start} …` : start;
}
