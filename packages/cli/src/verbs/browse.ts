// `stompbox browse`: what waits in a queue, without taking it.

import type { Client, Message } from '@stompbox/client';
import type { Command } from 'commander';
import { type ConnectionFlags, connectionOptions, countOption, talking } from '../connecting.ts';
import { WrongUsage } from '../exit-codes.ts';
import { examples, type House } from '../house.ts';
import { type FormatFlags, formatOf, formatOptions, shown } from '../output.ts';
import { readMessages } from '../reading.ts';
import { destination, duration } from '../values.ts';

interface BrowseFlags extends ConnectionFlags, FormatFlags {
  readonly count?: number;
  readonly timeout: number;
  readonly selector?: string;
  readonly hold?: boolean;
}

/** Those whose `browser:true` is known to take nothing. Others would ignore it and hand out the messages for good. */
const BROWSERS: ReadonlySet<string> = new Set(['stompbox', 'activemq']);
const HELD = 1_000;

export function browse(program: Command, house: House): void {
  const command = program
    .command('browse')
    .description('print what waits in a queue, without taking it')
    .argument('<words...>', '[url] <queue>')
    .option('--selector <sql>', 'only messages whose headers fulfil it')
    .option('--hold', `where the broker cannot browse: take up to ${HELD}, and give them back marked as redelivered`)
    .option('-t, --timeout <time>', 'there are no more when none came for so long', duration, 2_000);
  countOption(command, 'no more than so many');
  connectionOptions(formatOptions(command)).action(talking<BrowseFlags>(house, look));
  examples(command, [
    ['stompbox browse /queue/orders', 'all that waits'],
    ['stompbox browse /queue/dlq.orders --count 1 --json', 'the first dead letter, with its reason'],
    [
      'stompbox browse stomp://rabbit /queue/orders --hold --count 10',
      'RabbitMQ cannot browse: ten are held for a moment',
    ],
  ]);
}

async function look(client: Client, words: readonly string[], flags: BrowseFlags, house: House): Promise<undefined> {
  const [place, ...more] = words;
  if (place === undefined || more.length > 0) throw new WrongUsage('what? stompbox browse [url] <queue>');
  const { count, timeout, selector, hold } = flags;
  const format = formatOf(flags);
  const dialect = client.profile?.name ?? 'generic';
  if (!hold && !BROWSERS.has(dialect)) {
    throw new WrongUsage(`${dialect} cannot browse: --hold takes messages and gives them back, marked as redelivered`);
  }
  const held = Math.min(count ?? HELD, HELD);
  const subscription = client.subscribe(destination(place), {
    selector,
    ...(hold
      ? { ack: 'client-individual', ...(client.profile?.supports('prefetch') && { prefetch: held }) }
      : { ack: 'auto', headers: { browser: 'true' } }),
  });
  await subscription.ready;
  const limit = hold ? held : count;
  await readMessages([subscription], { count: limit, idleMs: timeout }, house, async (message) => {
    if (isEnd(message)) return 'end';
    await house.out.print(shown(message, format, house.out));
    return undefined;
  });
  return;
}

/** The MESSAGE behind the last one. */
function isEnd({ headers }: Message): boolean {
  return headers.get('browser') === 'end';
}
