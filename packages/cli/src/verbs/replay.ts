// `stompbox replay`: what `drain` has put into a file, sent again. How far it has come is noted beside the file when the
// broker has confirmed it, so that it can be cut short and run again.

import type { Client } from '@stompbox/client';
import type { Command } from 'commander';
import { type ConnectionFlags, connectionOptions, talking } from '../connecting.ts';
import { copyOf } from '../copying.ts';
import {
  forgetReplayed,
  noteReplayed,
  type Replayed,
  readReplayed,
  type Stored,
  storedMessages,
} from '../drain-file.ts';
import { json, printable } from '../escape.ts';
import { PartlyDone, WrongUsage } from '../exit-codes.ts';
import { examples, type House } from '../house.ts';
import { number } from '../progress.ts';
import { destination } from '../values.ts';

interface ReplayFlags extends ConnectionFlags {
  readonly again?: boolean;
  readonly json?: boolean;
}

const BATCH = 100;
const BATCH_BYTES = 4 * 1024 * 1024;

export function replay(program: Command, house: House): void {
  const command = program
    .command('replay')
    .description('send what is in a file of drain; cut short and run again, it goes on')
    .argument('<words...>', '[url] <file> [to]; to where each came from unless given')
    .option('--again', 'from the beginning, though it was replayed before')
    .option('--json', 'report as JSON');
  connectionOptions(command).action(talking<ReplayFlags>(house, play));
  examples(command, [
    ['stompbox replay orders.jsonl', 'back to where they came from'],
    ['stompbox replay stomp://new.example orders.jsonl /queue/orders', 'to a queue of another broker'],
  ]);
}

async function play(client: Client, words: readonly string[], flags: ReplayFlags, house: House): Promise<undefined> {
  const [path, to, ...more] = words;
  if (path === undefined || more.length > 0) throw new WrongUsage('what? stompbox replay [url] <file> [to]');
  const { out, stop } = house;
  if (flags.again) await forgetReplayed(path);
  const start = await readReplayed(path);
  if (start.messages > 0) out.complain(`${number(start.messages)} were replayed before; going on behind them.`);
  const progress = out.progress('messages');
  let batch: Stored[] = [];
  let size = 0;
  let replayed: Replayed = start;
  const finish = async (): Promise<void> => {
    const whole = batch;
    batch = [];
    size = 0;
    if (whole.length === 0) return;
    const confirmed = await sendAll(client, whole, to);
    const last = whole[confirmed.count - 1];
    if (last !== undefined) {
      replayed = { end: last.end, messages: replayed.messages + confirmed.count };
      await noteReplayed(path, replayed);
      progress.add(confirmed.count);
    }
    if (confirmed.error === undefined) return;
    const why = confirmed.error instanceof Error ? confirmed.error.message : String(confirmed.error);
    const line = whole[confirmed.count]?.line;
    throw new PartlyDone(`line ${line}: ${why} (${number(progress.count)} sent)`, { cause: confirmed.error });
  };
  const readOn = async (): Promise<void> => {
    for await (const message of storedMessages(path, start, stop)) {
      batch.push(message);
      size += message.bytes.length;
      if (batch.length < BATCH && size < BATCH_BYTES) continue;
      await finish();
      stop.throwIfAborted();
    }
  };
  try {
    await readOn().finally(finish); // before a bad line stand good ones
  } finally {
    progress.hide();
    if (flags.json) out.say(json({ file: path, to: to ?? null, replayed: progress.count, before: start.messages }));
    else
      out.say(
        `Replayed ${number(progress.count)} from ${printable(path)}${to === undefined ? '' : ` to ${printable(to)}`}.`,
      );
  }
  return;
}

/** In order; how many from the first on were confirmed, and why the next was not. */
async function sendAll(
  client: Client,
  batch: readonly Stored[],
  to: string | undefined,
): Promise<{ readonly count: number; readonly error?: unknown }> {
  const { profile } = client;
  if (profile === undefined) return { count: 0 };
  const answers = await Promise.allSettled(
    batch.map(async (message) => {
      const place = to ?? message.headers.find(([name]) => name === 'destination')?.[1];
      if (place === undefined) throw new WrongUsage('it names no destination: say where to');
      await client.send(destination(place), message.bytes, copyOf(message, { profile, now: Date.now() }));
    }),
  );
  const failed = answers.findIndex(({ status }) => status === 'rejected');
  const failure = answers[failed];
  return failure?.status === 'rejected' ? { count: failed, error: failure.reason } : { count: batch.length };
}
