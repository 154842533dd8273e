// The commands of the shell: what each is called, what it does, and what `help` says of it. stomp.py's, word for word.

import { readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { ACK_MODES, type AckMode } from '@stompbox/protocol';
import { printable, printableLines } from '../escape.ts';
import { SystemFailure, WrongUsage } from '../exit-codes.ts';
import { openFile } from '../input.ts';
import { number } from '../progress.ts';
import { runScript, type Script } from './script.ts';
import type { Session } from './session.ts';

/** What a name stands for, when Tab is pressed. */
export type Kind =
  | 'destination'
  | 'subscribed'
  | 'message-id'
  | 'ack-mode'
  | 'switch'
  | 'command'
  | 'word'
  | 'text'
  | 'path';

interface Given {
  /** Whoever waits for the command may call it off. */
  readonly signal: AbortSignal;
  /** How many scripts run each other. */
  readonly depth: number;
}

interface ShellCommand {
  readonly names: readonly [string, ...string[]];
  readonly usage: string;
  readonly does: string;
  /** How many words there may be; the last one takes the rest of the line as it is. */
  readonly words: readonly [least: number, most: number];
  readonly kinds: readonly Kind[];
  run(session: Session, words: readonly string[], given: Given): Promise<'quit' | undefined>;
}

const MAX_DEPTH = 8;
const MAX_FILE_BYTES = 64 * 1024 * 1024;

/** For a command that never ends the shell. */
function plain(
  run: (session: Session, words: readonly string[], given: Given) => void | Promise<void>,
): ShellCommand['run'] {
  return async (session, words, given) => {
    await run(session, words, given);
    return undefined;
  };
}

function settling(outcome: 'ack' | 'nack'): ShellCommand['run'] {
  return plain(async (session, [id = '', subscription], { signal }) => {
    const settled = await session.settle(outcome, id, subscription, signal);
    const what = `${outcome === 'ack' ? 'Acknowledged' : 'Given back'}: ${number(settled)}`;
    say(session, session.hasTransaction ? `${what}, if the transaction commits` : what);
  });
}

function ending(outcome: 'commit' | 'abort'): ShellCommand['run'] {
  return plain(async (session, _, { signal }) => {
    const { sent, settled } = await session.end(outcome, signal);
    const how = outcome === 'commit' ? 'Committed' : 'Aborted';
    say(session, `${how}: ${number(sent)} sent, ${number(settled)} settled`);
  });
}

export const COMMANDS: readonly ShellCommand[] = [
  {
    names: ['subscribe'],
    usage: 'subscribe <destination> [auto | client | client-individual]',
    does: 'Shows messages as they come. Without a mode each is acknowledged when it has been shown.',
    words: [1, 2],
    kinds: ['destination', 'ack-mode'],
    run: plain(async (session, [place = '', mode], { signal }) => {
      await session.subscribe(place, ackMode(mode), signal);
      say(session, `Subscribed to ${place}`);
    }),
  },
  {
    names: ['unsubscribe'],
    usage: 'unsubscribe <destination>',
    does: 'Shows no more of them. What was not settled goes back to the broker.',
    words: [1, 1],
    kinds: ['subscribed'],
    run: plain(async (session, [place = '']) => {
      await session.unsubscribe(place);
      say(session, `Unsubscribed from ${place}`);
    }),
  },
  {
    names: ['send'],
    usage: 'send <destination> <message>',
    does: 'Sends the rest of the line, in the open transaction if there is one; waits until the broker has it.',
    words: [2, 2],
    kinds: ['destination', 'text'],
    run: plain((session, [place = '', text = ''], { signal }) => session.send(place, text, {}, signal)),
  },
  {
    names: ['sendrec'],
    usage: 'sendrec <destination> <message>',
    does: 'Sends, and says that the broker has answered with a RECEIPT; fails on a broker that answers none.',
    words: [2, 2],
    kinds: ['destination', 'text'],
    run: plain(async (session, [place = '', text = ''], { signal }) => {
      await session.send(place, text, { confirm: true }, signal);
      say(session, session.hasTransaction ? 'Sent: its receipt comes with the commit' : 'Receipt: the broker has it');
    }),
  },
  {
    names: ['sendreply'],
    usage: 'sendreply <destination> <correlation-id> <message>',
    does: 'Sends with a correlation-id, which says what this is an answer to.',
    words: [3, 3],
    kinds: ['destination', 'word', 'text'],
    run: plain((session, [place = '', correlationId = '', text = ''], { signal }) =>
      session.send(place, text, { correlationId }, signal),
    ),
  },
  {
    names: ['sendfile'],
    usage: 'sendfile <destination> <file> [headers.json]',
    does:
      'Sends a file in base64 under the header filename, as stomp.py does and expects. "stompbox send --file" sends ' +
      'the octets themselves, and files of any size.',
    words: [2, 3],
    kinds: ['destination', 'word', 'path'],
    run: plain(async (session, [place = '', path = '', headersPath], { signal }) => {
      const headers = headersPath === undefined ? {} : headersIn(await read(headersPath), headersPath);
      const body = (await read(path)).toString('base64');
      await session.send(place, body, { headers: { filename: basename(path), ...headers } }, signal);
      say(session, `Sent ${path}`);
    }),
  },
  {
    names: ['ack'],
    usage: 'ack <message-id> [subscription]',
    does:
      'Says that a message is done with: one of a subscription in mode client (and all before it) or client-individual. ' +
      'The subscription is its destination or id, needed where two have a message of that id.',
    words: [1, 2],
    kinds: ['message-id', 'subscribed'],
    run: settling('ack'),
  },
  {
    names: ['nack'],
    usage: 'nack <message-id> [subscription]',
    does: 'Gives a message back; what becomes of it is up to the broker.',
    words: [1, 2],
    kinds: ['message-id', 'subscribed'],
    run: settling('nack'),
  },
  {
    names: ['begin'],
    usage: 'begin',
    does: 'Opens a transaction: what is sent, acked and nacked from now on happens at its commit, all of it or nothing.',
    words: [0, 0],
    kinds: [],
    run: plain(async (session, _, { signal }) => {
      await session.begin(signal);
      say(session, 'A transaction is open; commit or abort ends it');
    }),
  },
  {
    names: ['commit'],
    usage: 'commit',
    does: 'Makes everything in the transaction happen.',
    words: [0, 0],
    kinds: [],
    run: ending('commit'),
  },
  {
    names: ['abort', 'rollback'],
    usage: 'abort',
    does: 'Makes nothing in the transaction happen. Messages acked in it wait for their ack again.',
    words: [0, 0],
    kinds: [],
    run: ending('abort'),
  },
  {
    names: ['stats'],
    usage: 'stats [on | off]',
    does: 'Counts frames, messages, receipts and errors from "stats on" until "stats off"; alone it shows the counts.',
    words: [0, 1],
    kinds: ['switch'],
    run: plain((session, [onOrOff]) => {
      if (onOrOff === undefined) {
        if (!session.isCounting && session.counts === '') say(session, 'Nothing is counted: "stats on" begins');
        else for (const line of session.counts.split('\n')) say(session, line === '' ? 'Nothing yet' : line);
        return;
      }
      if (onOrOff !== 'on' && onOrOff !== 'off') throw new WrongUsage('stats is on or off');
      session.count(onOrOff === 'on');
    }),
  },
  {
    names: ['run'],
    usage: 'run <file>',
    does: 'Runs the commands in a file, a line each, and stops at the first that fails. Lines that begin with # say nothing.',
    words: [1, 1],
    kinds: ['path'],
    run: async (session, [path = ''], { signal, depth }) => {
      if (depth >= MAX_DEPTH) throw new WrongUsage(`${MAX_DEPTH} scripts run each other: this one would be too many`);
      return await runFile(session, path, { signal, depth: depth + 1 });
    },
  },
  {
    names: ['version', 'ver'],
    usage: 'version',
    does: 'Shows the version of this program, and what the broker tells of itself.',
    words: [0, 0],
    kinds: [],
    run: plain((session) => {
      const { connection } = session.client;
      say(session, `stompbox ${session.options.version}`);
      if (connection === undefined) return say(session, 'not connected');
      say(
        session,
        `STOMP ${connection.version}, ${printable(connection.server ?? 'a broker that does not say its name')}`,
      );
    }),
  },
  {
    names: ['help'],
    usage: 'help [command]',
    does: 'Shows the commands, or what one of them does.',
    words: [0, 1],
    kinds: ['command'],
    run: plain((session, [topic]) => {
      if (topic !== undefined) return explain(session, find(topic));
      for (const { usage } of COMMANDS) say(session, `  ${usage}`);
      say(session, '"help <command>" says more.');
    }),
  },
  {
    names: ['quit', 'exit'],
    usage: 'quit',
    does: 'Ends the shell, as Ctrl-D does. An open transaction is aborted.',
    words: [0, 0],
    kinds: [],
    run: async () => 'quit',
  },
];

export function find(name: string): ShellCommand {
  const command = COMMANDS.find(({ names }) => names.includes(name));
  if (command === undefined) throw new WrongUsage(`there is no command ${printable(name)}; help shows them all`);
  return command;
}

/** Runs one line. Answers `quit` where that is to be the last. Rejects with what went wrong. */
export async function execute(line: string, session: Session, given: Given): Promise<'quit' | undefined> {
  const [name = '', rest = ''] = cut(line.trimStart());
  if (name === '' || name.startsWith('#')) return undefined;
  const command = find(name);
  const { words, usage } = command;
  const [least, most] = words;
  const last = command.kinds.at(most - 1);
  const found =
    last === 'text' ? split(rest, most) : last === 'path' ? split(rest.trimEnd(), most) : (rest.match(/\S+/g) ?? []);
  if (found.length < least || found.length > most) throw new WrongUsage(`it is written: ${usage}`);
  return await command.run(session, found, given);
}

/** Runs a file of commands. Rejects with PartlyDone that names the line, or SystemFailure. */
export async function runFile(session: Session, path: string, given: Given): Promise<'quit' | undefined> {
  const script: Script = { name: path, source: await openFile(path), signal: given.signal };
  return await runScript(script, (line) => execute(line, session, given));
}

/** The first word, and what stands behind the blanks after it. */
function cut(text: string): readonly [first: string, rest: string] {
  const [, first = '', rest = ''] = /^(\S*)\s*([\s\S]*)$/.exec(text) ?? [];
  return [first, rest];
}

/** The last of `most` words is the rest of the line as it was typed. */
function split(text: string, most: number): string[] {
  const words: string[] = [];
  let left = text;
  while (left !== '' && words.length < most - 1) {
    const [first, rest] = cut(left);
    words.push(first);
    left = rest;
  }
  return left === '' ? words : [...words, left];
}

function ackMode(mode: string | undefined): AckMode | undefined {
  if (mode === undefined) return undefined;
  const known = ACK_MODES.find((one) => one === mode);
  if (known === undefined) throw new WrongUsage(`an ack mode is ${ACK_MODES.join(', ')}`);
  return known;
}

function explain(session: Session, { names, usage, does }: ShellCommand): void {
  say(session, usage);
  if (names.length > 1) say(session, `  also: ${names.slice(1).join(', ')}`);
  say(session, `  ${does}`);
}

function say({ house }: Session, line: string): void {
  house.out.say(house.out.dim(printableLines(line)));
}

async function read(path: string): Promise<Buffer> {
  try {
    const { size } = await stat(path);
    if (size > MAX_FILE_BYTES) {
      throw new WrongUsage(`${path} holds more than ${MAX_FILE_BYTES} bytes; "stompbox send --file" sends it`);
    }
    return await readFile(path);
  } catch (cause) {
    if (cause instanceof WrongUsage || !(cause instanceof Error)) throw cause;
    throw new SystemFailure(`${path} cannot be read: ${cause.message}`, { cause });
  }
}

function headersIn(bytes: Buffer, path: string): Readonly<Record<string, string>> {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString());
  } catch (cause) {
    throw new WrongUsage(`${path} is not JSON`, { cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new WrongUsage(`${path} is not a JSON object of headers`);
  }
  return Object.fromEntries(
    Object.entries(value).map(([name, text]: [string, unknown]) => {
      if (!['string', 'number', 'boolean'].includes(typeof text)) {
        throw new WrongUsage(`${path}: the header ${printable(name)} is no text`);
      }
      return [name, String(text)];
    }),
  );
}
