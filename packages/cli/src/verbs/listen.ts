// `stompbox listen`: messages as they come, acknowledged when they have been printed or saved.

import { type Client, TimeoutError } from '@stompbox/client';
import { ACK_MODES, type AckMode } from '@stompbox/protocol';
import { type Command, Option } from 'commander';
import { type ConnectionFlags, connectionOptions, countOption, talking } from '../connecting.ts';
import { WrongUsage } from '../exit-codes.ts';
import { examples, type House } from '../house.ts';
import { type FormatFlags, formatOf, formatOptions, shown } from '../output.ts';
import { acknowledge, narrate, readMessages, unlessTold } from '../reading.ts';
import { makeFolder, saveBody } from '../saving.ts';
import { destination, duration, type HeaderList, header, whole } from '../values.ts';

interface ListenFlags extends ConnectionFlags, FormatFlags {
  readonly ack?: AckMode;
  readonly prefetch?: number;
  readonly selector?: string;
  readonly durable?: string;
  readonly exclusive?: boolean;
  readonly header?: HeaderList;
  readonly count?: number;
  readonly timeout?: number;
  readonly save?: string;
}

export function listen(program: Command, house: House): void {
  const command = program
    .command('listen')
    .description('print messages as they come; each is acknowledged when it has been printed')
    .argument('<words...>', '[url] <destination>…')
    .addOption(new Option('--ack <mode>', 'client-individual unless given').choices(ACK_MODES))
    .option('--prefetch <number>', 'so many may be under way unsettled', whole(1, 65_535))
    .option('--selector <sql>', 'only messages whose headers fulfil it')
    .option('--durable <name>', 'a durable subscription to a topic: it gathers messages while nobody listens')
    .option('--exclusive', 'the only consumer of the queue')
    .option('-H, --header <name:value>', 'a header for SUBSCRIBE; may be repeated', header);
  countOption(command, 'end after so many')
    .option('-t, --timeout <time>', 'end when none came for so long', duration)
    .option('--save <folder>', 'write each body to a file of its own there');
  connectionOptions(formatOptions(command)).action(talking<ListenFlags>(house, hear, { reconnects: true }));
  examples(command, [
    ['stompbox listen /queue/hello', 'until Ctrl-C'],
    ['stompbox listen /queue/orders --count 1 --timeout 5s --raw > order.json', 'one body; exit code 4 if none comes'],
    ["stompbox listen '/topic/prices.>' --json | jq .body", 'a JSON object a line'],
    ['stompbox listen /topic/orders --durable audit --client-id audit', 'misses nothing between two runs'],
    ['stompbox listen /queue/files --save inbox', 'bodies become files, named as the header filename wishes'],
  ]);
}

async function hear(
  client: Client,
  places: readonly string[],
  flags: ListenFlags,
  house: House,
): Promise<number | undefined> {
  if (places.length === 0) throw new WrongUsage('to what? stompbox listen [url] <destination>…');
  const { out } = house;
  const format = formatOf(flags);
  const { save, count, timeout } = flags;
  if (save !== undefined) await makeFolder(save);
  void narrate(client, house);
  const subscriptions = places.map((place) =>
    client.subscribe(destination(place), {
      ack: flags.ack ?? (client.profile?.settles === false ? 'auto' : 'client-individual'),
      prefetch: flags.prefetch ?? usualPrefetch(client, count),
      selector: flags.selector,
      durable: flags.durable,
      exclusive: flags.exclusive,
      headers: flags.header ?? {},
    }),
  );
  await Promise.all(subscriptions.map(({ ready }) => ready));
  if (out.isTerminal && format === 'pretty')
    out.complain(
      out.dim(`Listening to ${places.length === 1 ? places[0] : `${places.length} destinations`}; Ctrl-C ends it.`),
    );
  const reading = readMessages(subscriptions, { count, idleMs: timeout }, house, async (message) => {
    const saved = save === undefined ? undefined : await saveBody(message, save);
    await out.print(shown(message, format, out, saved));
    await acknowledge(message, house);
    return undefined;
  });
  const end = count === undefined ? await reading.catch(unlessTold) : await reading;
  if (end?.ending !== 'idle') return;
  if (count !== undefined) throw new TimeoutError(`message ${end.taken + 1} of ${count}`, timeout ?? 0);
  if (end.taken === 0) throw new TimeoutError('a message', timeout ?? 0);
  return;
}

const MAX_USUAL = 100;

/** No more than are wanted: what is under way at the end goes back marked. Where the broker counts messages. */
function usualPrefetch({ profile }: Client, count: number | undefined): number | undefined {
  if (count === undefined || count > MAX_USUAL || profile === undefined || !profile.supports('prefetch'))
    return undefined;
  return profile.name === 'artemis' && count > 1 ? undefined : count; // Artemis counts bytes
}
