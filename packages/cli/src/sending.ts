// What every verb that sends has in common: the options of a message, where bodies come from, and the sending of many.

import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Body, ClientSendOptions, Outcome } from '@stompbox/client';
import { type Command, Option } from 'commander';
import { PartlyDone, SystemFailure, WrongUsage } from './exit-codes.ts';
import type { House } from './house.ts';
import { lines, openFile, readAll, textOrOctets } from './input.ts';
import { number, type Progress } from './progress.ts';
import { sleep } from './time.ts';
import { duration, type HeaderList, header, several, whole } from './values.ts';
import type { Source } from './world.ts';

export interface MessageFlags {
  readonly header?: HeaderList;
  readonly contentType?: string;
  readonly json?: boolean;
  readonly file?: readonly string[];
  readonly persistent?: boolean;
  readonly expires?: number;
  readonly delay?: number;
  readonly priority?: number;
  readonly group?: string;
  readonly correlationId?: string;
  readonly replyTo?: string;
  readonly type?: string;
  readonly duplicateId?: string;
  readonly as?: 'text' | 'bytes';
}

export function messageOptions(command: Command): Command {
  return command
    .option('-f, --file <path>', 'the body is in this file, - is standard input; may be repeated', several)
    .option('--json', 'bodies are JSON, unless --content-type says otherwise, and so is what is reported')
    .option('-H, --header <name:value>', 'a header; may be repeated', header)
    .option('-t, --content-type <type>', 'text/plain, application/octet-stream or application/json unless given')
    .option('--persistent', 'it outlives a restart of the broker; so it is unless told otherwise')
    .option('--no-persistent', 'it need not')
    .option('--expires <time>', 'it is worth nothing after this long', duration)
    .option('--delay <time>', 'deliver it after this long', duration)
    .option('--priority <0-9>', 'higher ones first; 4 is usual', whole(0, 9))
    .option('--group <name>', 'messages of a group go to one consumer')
    .option('--correlation-id <id>', 'what an answer names')
    .option('--reply-to <destination>', 'where an answer goes')
    .option('--type <name>', 'the header type')
    .option('--duplicate-id <id>', 'the broker drops a second message with it')
    .addOption(new Option('--as <kind>', 'what a JMS consumer gets').choices(['text', 'bytes']));
}

/** The options of one message. */
export function sendOptionsOf(flags: MessageFlags): ClientSendOptions {
  const { header: headers, contentType, expires, delay, priority, group, correlationId, replyTo, type } = flags;
  return {
    ...(headers !== undefined && { headers }),
    ...(contentType !== undefined && { contentType }),
    ...(flags.persistent !== undefined && { persistent: flags.persistent }),
    ...(expires !== undefined && { expiresInMs: expires }),
    ...(delay !== undefined && { deliverAfterMs: delay }),
    ...(priority !== undefined && { priority }),
    ...(group !== undefined && { group }),
    ...(correlationId !== undefined && { correlationId }),
    ...(replyTo !== undefined && { replyTo }),
    ...(type !== undefined && { type }),
    ...(flags.duplicateId !== undefined && { deduplicationId: flags.duplicateId }),
    ...(flags.as !== undefined && { as: flags.as }),
  };
}

/** One message to be sent. */
export interface Outgoing {
  /** What it is called when something is wrong with it: `line 7`, `orders.json`, `message 3`. */
  readonly label: string;
  readonly body: Body;
  readonly options: ClientSendOptions;
}

const IN_MEMORY_BYTES = 1024 * 1024;

/** One body from words, a file or standard input. */
export async function* bodies(
  words: readonly string[],
  flags: MessageFlags,
  house: House,
): AsyncGenerator<Outgoing, void, undefined> {
  const options = sendOptionsOf(flags);
  if (words.length > 0) {
    if (flags.file !== undefined) throw new WrongUsage('a text and --file contradict each other');
    yield checked({ label: 'the text', body: words.join(' '), options }, flags);
    return;
  }
  for (const path of flags.file ?? ['-']) {
    if (path === '-') yield checked(await fromStandardInput(options, house), flags);
    else yield checked(await fromFile(path, options, house.stop), flags);
  }
}

async function fromStandardInput(options: ClientSendOptions, house: House): Promise<Outgoing> {
  if (house.world.stdin.isTTY) house.out.complain('The body, please; Ctrl-D ends it.');
  return { label: 'standard input', body: textOrOctets(await readAll(house.world.stdin, house.stop)), options };
}

/** A small file is read, a large one passes piece by piece. Its name goes along, without its folder. */
async function fromFile(path: string, options: ClientSendOptions, signal: AbortSignal): Promise<Outgoing> {
  const { size } = await stat(path).catch((cause: Error) => {
    throw new SystemFailure(`${path} cannot be read: ${cause.message}`, { cause });
  });
  const named = { ...options, headers: { filename: basename(path), ...options.headers } };
  const source = await openFile(path);
  if (size <= IN_MEMORY_BYTES) return { label: path, body: await readAll(source, signal), options: named };
  return { label: path, body: octetsOf(source), options: { ...named, contentLength: size } };
}

async function* octetsOf(source: Source): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of source) yield typeof chunk === 'string' ? new TextEncoder().encode(chunk) : chunk;
}

/** A message for each line of the file, or of standard input. */
export async function* linesOf(flags: MessageFlags, house: House): AsyncGenerator<Outgoing, void, undefined> {
  const options = sendOptionsOf(flags);
  for (const path of flags.file ?? ['-']) {
    const source = path === '-' ? house.world.stdin : await openFile(path);
    const where = path === '-' ? '' : `${path}: `;
    for await (const line of lines(source, house.stop)) {
      yield checked({ label: `${where}line ${line.number}`, body: textOrOctets(line.bytes), options }, flags);
    }
  }
}

/** With --json: it must be JSON, and says that it is. */
function checked(one: Outgoing, { json, contentType }: MessageFlags): Outgoing {
  if (!json || contentType !== undefined) return one;
  const { body } = one;
  if (typeof body !== 'string' && !(body instanceof Uint8Array)) return { ...one, options: asJson(one.options) };
  try {
    JSON.parse(typeof body === 'string' ? body : new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch (cause) {
    throw new WrongUsage(`${one.label} is not JSON; --content-type sends it as something else`, { cause });
  }
  return { ...one, options: asJson(one.options) };
}

function asJson(options: ClientSendOptions): ClientSendOptions {
  return { ...options, contentType: 'application/json' };
}

// ------------------------------------------------------------------------------------------------------------ many of them

/** What became of them. */
export interface Tally {
  /** Taken by the broker, or by the connection where no receipts are asked for. */
  done: number;
  /** May have been taken. */
  unknown: number;
}

export interface ManyOptions {
  readonly house: House;
  readonly progress: Progress;
  /** Messages a second. */
  readonly rate?: number | undefined;
  /** So many may wait for their receipts. */
  readonly window: number;
}

interface Failure {
  readonly label: string;
  readonly error: unknown;
}

/**
 * Sends one after the other, in order, without waiting for each. Ends at the first failure, when every message under way has
 * its outcome: PartlyDone says which it was and what became of the others. Rejects with the signal's reason where it was cut
 * short, with the tally told.
 */
export async function sendMany(
  source: AsyncIterable<Outgoing>,
  send: (one: Outgoing) => Promise<void>,
  { house, progress, rate, window }: ManyOptions,
): Promise<Tally> {
  const { world, stop } = house;
  const tally: Tally = { done: 0, unknown: 0 };
  const underWay = new Set<Promise<void>>();
  const began = world.clock.now();
  let failure: Failure | undefined;
  let taken = 0;

  const track = (one: Outgoing): void => {
    const sent: Promise<void> = send(one).then(
      () => {
        tally.done++;
        progress.add();
        underWay.delete(sent);
      },
      (error: unknown) => {
        if (outcomeOf(error) === 'unknown') tally.unknown++;
        failure ??= { label: one.label, error };
        underWay.delete(sent);
      },
    );
    underWay.add(sent);
  };

  try {
    for await (const one of source) {
      if (failure !== undefined) break;
      if (rate !== undefined) await pace(world.clock, began + (taken * 1_000) / rate, stop);
      stop.throwIfAborted();
      taken++;
      track(one);
      if (underWay.size >= window) await Promise.race(underWay);
    }
  } catch (error) {
    failure ??= { label: '', error }; // the source has named what is wrong
  }
  await Promise.all(underWay);
  progress.hide();
  if (failure === undefined) return tally;
  if (stop.aborted) house.out.warn(`cut short: ${sayTally(tally)}`);
  stop.throwIfAborted();
  const { error, label } = failure;
  if (taken <= 1 && tally.done === 0) throw error;
  const why = error instanceof Error ? error.message : String(error);
  const named = why.startsWith(label) ? why : `${label}: ${why}`;
  throw new PartlyDone(`${named} (${sayTally(tally)})`, { cause: error });
}

function sayTally({ done, unknown }: Tally): string {
  const sent = `${number(done)} sent`;
  return unknown === 0 ? sent : `${sent}, the outcome of ${number(unknown)} is unknown`;
}

function outcomeOf(error: unknown): Outcome | 'rejected' | undefined {
  if (!(error instanceof Error) || !('outcome' in error)) return undefined;
  return error.outcome === 'unknown' ? 'unknown' : error.outcome === 'unsent' ? 'unsent' : 'rejected';
}

/** Resolves when it is `due`; rejects as `sleep` does. */
export async function pace(clock: House['world']['clock'], due: number, signal: AbortSignal): Promise<void> {
  const wait = due - clock.now();
  if (wait > 0) await sleep(clock, wait, signal);
}
