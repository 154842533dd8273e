// `stompbox move`: messages from one queue to another, and dead letters back to where they came from. A message is in one of
// the two whatever happens: in a transaction where the broker has them, else it is acknowledged when its copy is confirmed.

import type { Client, Message } from '@stompbox/client';
import type { Command } from 'commander';
import { type BatchFlags, batchOptions, inBatches, subscribeForBatches } from '../batches.ts';
import { talking } from '../connecting.ts';
import { copyOf, originalOf, originOf } from '../copying.ts';
import { json, printable } from '../escape.ts';
import { PartlyDone, WrongUsage } from '../exit-codes.ts';
import { examples, type House } from '../house.ts';
import { number } from '../progress.ts';
import { destination } from '../values.ts';

interface MoveFlags extends BatchFlags {
  readonly deadLetters?: boolean;
}

export function move(program: Command, house: House): void {
  const command = program
    .command('move')
    .description('move messages from one queue to another, or dead letters back to where they came from')
    .argument('<words...>', '[url] <from> <to>, or with --dead-letters [url] <from>')
    .option('--dead-letters', 'each back to where it was sent, as the broker has noted on it');
  batchOptions(command).action(talking<MoveFlags>(house, carry));
  examples(command, [
    ['stompbox move /queue/orders /queue/archive', 'all that waits'],
    ['stompbox move --dead-letters /queue/dlq.orders', 'another try for each of them'],
    ["stompbox move /queue/orders /queue/large --selector 'size > 1000' --count 10", 'ten of a kind'],
  ]);
}

async function carry(client: Client, words: readonly string[], flags: MoveFlags, house: House): Promise<undefined> {
  const [from, to, ...more] = words;
  if (from === undefined || more.length > 0 || (to === undefined) !== (flags.deadLetters ?? false)) {
    throw new WrongUsage('from where to where? stompbox move [url] <from> <to>, or --dead-letters [url] <from>');
  }
  if (from === to) throw new WrongUsage('a queue cannot be moved to itself: it would never end');
  const { out } = house;
  const progress = out.progress('messages', flags.count);
  let left = 0; // without a known origin

  const target = (message: Message): string | undefined => {
    const place = to ?? originOf(message);
    return place === from ? undefined : place;
  };
  const finish = async (batch: readonly Message[]): Promise<void> => {
    const known = batch.filter((message) => target(message) !== undefined);
    left += batch.length - known.length;
    await copy(client, known, (message) => target(message) ?? from, to === undefined);
    progress.add(known.length);
  };

  try {
    const subscription = await subscribeForBatches(client, from, flags);
    await inBatches(subscription, flags, house, finish);
  } finally {
    progress.hide();
    if (flags.json) out.say(json({ from, to: to ?? null, moved: progress.count, left }));
    else
      out.say(
        `Moved ${number(progress.count)} from ${printable(from)}${to === undefined ? '' : ` to ${printable(to)}`}.`,
      );
  }
  if (left > 0) throw new PartlyDone(`${number(left)} were left: nothing on them says where they came from`);
  return;
}

/** All of them or none, where the broker can; else one after the other. */
async function copy(
  client: Client,
  batch: readonly Message[],
  place: (message: Message) => string,
  revive: boolean,
): Promise<void> {
  const { profile } = client;
  if (batch.length === 0 || profile === undefined) return;
  const options = (message: Message) => copyOf(originalOf(message), { profile, now: Date.now(), revive });
  if (profile.transactions === 'all') {
    await client.transaction(async (tx) => {
      for (const message of batch) {
        await tx.send(destination(place(message)), message.bytes, options(message));
        await tx.ack(message);
      }
    });
    return;
  }
  for (const message of batch) {
    await client.send(destination(place(message)), message.bytes, options(message));
    await message.ack();
  }
}
