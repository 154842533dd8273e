// `stompbox drain`: a queue into a file. A message is acknowledged when its line is on the disk, so none is lost whenever it
// ends; run again, it goes on where it was.

import type { Client } from '@stompbox/client';
import type { Command } from 'commander';
import { batchPrefetch, inBatches } from '../batches.ts';
import { type ConnectionFlags, connectionOptions, countOption, withClient } from '../connecting.ts';
import { DrainFile } from '../drain-file.ts';
import { json, printable } from '../escape.ts';
import { WrongUsage } from '../exit-codes.ts';
import { examples, type House } from '../house.ts';
import { number } from '../progress.ts';
import { destination, duration } from '../values.ts';

interface DrainFlags extends ConnectionFlags {
  readonly count?: number;
  readonly selector?: string;
  readonly timeout: number;
  readonly json?: boolean;
}

export function drain(program: Command, house: House): void {
  const command = program
    .command('drain')
    .description('take the messages of a queue into a file, exact to the octet; run again, it goes on')
    .argument('<words...>', '[url] <queue> <file>; a file that drain has written is continued')
    .option('--selector <sql>', 'only messages whose headers fulfil it')
    .option('-t, --timeout <time>', 'the queue is empty when nothing came for so long', duration, 1_000);
  countOption(command, 'no more than so many').option('--json', 'report as JSON');
  connectionOptions(command).action(
    house.run<DrainFlags>((words, flags) =>
      withClient(house, words, flags, {}, (client, rest) => empty(client, rest, flags, house)),
    ),
  );
  examples(command, [
    ['stompbox drain /queue/orders orders.jsonl', 'all that waits; "stompbox replay orders.jsonl" puts it back'],
    ['stompbox drain stomp://old.example /queue/orders orders.jsonl', 'from one broker, to be replayed to another'],
  ]);
}

async function empty(client: Client, words: readonly string[], flags: DrainFlags, house: House): Promise<undefined> {
  const [from, path, ...more] = words;
  if (from === undefined || path === undefined || more.length > 0) {
    throw new WrongUsage('what, and where to? stompbox drain [url] <queue> <file>');
  }
  const { out } = house;
  const file = await DrainFile.open(path, from, house.stop);
  if (file.before > 0) out.complain(`${printable(path)} holds ${number(file.before)} already; going on.`);
  const progress = out.progress('messages', flags.count);
  const subscription = client.subscribe(destination(from), {
    ack: 'client-individual',
    prefetch: batchPrefetch(client),
    selector: flags.selector,
  });
  try {
    await subscription.ready;
    await inBatches(subscription, { count: flags.count, idleMs: flags.timeout }, house, async (batch) => {
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
