// `stompbox drain`: a queue into a file. A message is acknowledged when its line is on the disk, so none is lost whenever it
// ends; run again, it goes on where it was.

import type { Client } from '@stompbox/client';
import type { Command } from 'commander';
import { type BatchFlags, batchOptions, inBatches, subscribeForBatches } from '../batches.ts';
import { talking } from '../connecting.ts';
import { DrainFile } from '../drain-file.ts';
import { json, printable } from '../escape.ts';
import { WrongUsage } from '../exit-codes.ts';
import { examples, type House } from '../house.ts';
import { number } from '../progress.ts';

export function drain(program: Command, house: House): void {
  const command = program
    .command('drain')
    .description('take the messages of a queue into a file, exact to the octet; run again, it goes on')
    .argument('<words...>', '[url] <queue> <file>; a file that drain has written is continued');
  batchOptions(command).action(talking<BatchFlags>(house, empty));
  examples(command, [
    ['stompbox drain /queue/orders orders.jsonl', 'all that waits; "stompbox replay orders.jsonl" puts it back'],
    ['stompbox drain stomp://old.example /queue/orders orders.jsonl', 'from one broker, to be replayed to another'],
  ]);
}

async function empty(client: Client, words: readonly string[], flags: BatchFlags, house: House): Promise<undefined> {
  const [from, path, ...more] = words;
  if (from === undefined || path === undefined || more.length > 0) {
    throw new WrongUsage('what, and where to? stompbox drain [url] <queue> <file>');
  }
  const { out } = house;
  const file = await DrainFile.open(path, from, house.stop);
  if (file.before > 0) out.complain(`${printable(path)} holds ${number(file.before)} already; going on.`);
  const progress = out.progress('messages', flags.count);
  try {
    const subscription = await subscribeForBatches(client, from, flags);
    await inBatches(subscription, flags, house, async (batch) => {
      await file.append(batch);
      for (const message of batch) await message.ack();
      progress.add(batch.length);
    });
  } finally {
    await file.close();
    progress.hide();
    const all = file.before + progress.count;
    if (flags.json) out.say(json({ from, file: path, drained: progress.count, held: all }));
    else out.say(`Drained ${number(progress.count)} from ${printable(from)}; ${printable(path)} holds ${number(all)}.`);
  }
  return;
}
