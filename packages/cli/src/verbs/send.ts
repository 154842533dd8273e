// `stompbox send`: words, files or lines -> messages, each confirmed by the broker.

import type { Client } from '@stompbox/client';
import type { Command } from 'commander';
import { type ConnectionFlags, connectionOptions, countOption, talking } from '../connecting.ts';
import { json, printable } from '../escape.ts';
import { PartlyDone, WrongUsage } from '../exit-codes.ts';
import { examples, type House } from '../house.ts';
import { number } from '../progress.ts';
import { bodies, linesOf, type MessageFlags, messageOptions, type Outgoing, sendMany } from '../sending.ts';
import { destination, rate } from '../values.ts';

interface SendFlags extends ConnectionFlags, MessageFlags {
  readonly lines?: boolean;
  readonly count?: number;
  readonly rate?: number;
  readonly transaction?: boolean;
  readonly confirm: boolean;
  readonly quiet?: boolean;
}

const WINDOW = 256;

export function send(program: Command, house: House): void {
  const command = program
    .command('send')
    .description('send messages, and wait until the broker has them')
    .argument('<words...>', '[url] <destination> [text…]; without a text the body comes from --file or standard input')
    .option('-n, --lines', 'a message for each line of --file or standard input');
  countOption(command, 'send each body so many times')
    .option('-r, --rate <number>', 'at most so many a second', rate)
    .option('--transaction', 'all of them or none')
    .option('--no-confirm', 'do not wait for receipts')
    .option('-q, --quiet', 'say nothing when all went well');
  connectionOptions(messageOptions(command)).action(talking<SendFlags>(house, deliver));
  examples(command, [
    ['stompbox send /queue/hello hi', 'one message to the broker on this machine'],
    [
      'stompbox send stomp://app@broker.example /queue/orders --file order.json --json',
      'a file; the passcode is asked for',
    ],
    ['journalctl -f | stompbox send /topic/logs --lines --no-persistent', 'a message a line, as they come'],
    ['stompbox send /queue/load hi --count 10000 --rate 500', 'ten thousand, five hundred a second'],
    [
      'stompbox send /queue/orders -H tenant:a --expires 1h --priority 9 hi',
      'with headers and what the broker makes of them',
    ],
    ['stompbox send topic:prices.eur 1.07', 'queue:name and topic:name are right on every broker'],
  ]);
}

async function deliver(client: Client, words: readonly string[], flags: SendFlags, house: House): Promise<undefined> {
  const [place, ...text] = words;
  if (place === undefined) throw new WrongUsage('where to? stompbox send [url] <destination> [text…]');
  if (flags.lines && text.length > 0)
    throw new WrongUsage('--lines takes no text: lines come from --file or standard input');
  if (flags.transaction && !flags.confirm)
    throw new WrongUsage('--transaction is confirmed by its COMMIT: leave --no-confirm out');
  const to = destination(place);
  const source = repeated(flags.lines ? linesOf(flags, house) : bodies(text, flags, house), flags.count ?? 1);
  const isCounted = flags.count !== undefined && !flags.lines;
  const total = isCounted ? (flags.count ?? 1) * (flags.file?.length ?? 1) : undefined;
  const progress = house.out.progress('messages', total);
  const many = { house, progress, rate: flags.rate, window: WINDOW };

  let refusal: string | undefined;
  if (flags.transaction) {
    await client.transaction((tx) => sendMany(source, ({ body, options }) => tx.send(to, body, options), many), {
      timeoutMs: flags.receiptTimeout,
    });
  } else if (flags.confirm) {
    await sendMany(source, ({ body, options }) => client.send(to, body, options), many);
  } else {
    client.observe('refusals', {
      error: (frame) => {
        refusal = frame.headers.get('message') ?? 'it gave no reason';
      },
    });
    await sendMany(source, ({ body, options }) => client.send(to, body, { ...options, confirm: false }), many);
    await client.close({ timeoutMs: flags.receiptTimeout }); // what was refused is heard of before the end
    if (refusal !== undefined) throw new PartlyDone(`the broker refused one of them: ${refusal}`);
  }
  progress.hide();
  if (!flags.quiet) report(place, progress.count, progress.elapsedMs, isConfirmed(client, flags), flags, house);
  return;
}

function isConfirmed(client: Client, flags: SendFlags): boolean {
  return flags.confirm && client.profile?.receipts === 'all';
}

function report(
  place: string,
  sent: number,
  elapsedMs: number,
  confirmed: boolean,
  flags: SendFlags,
  { out }: House,
): void {
  if (flags.json) {
    out.say(json({ destination: place, sent, confirmed, ms: Math.round(elapsedMs) }));
    return;
  }
  const what = sent === 1 ? '1 message' : `${number(sent)} messages`;
  const how = flags.transaction ? ', committed' : confirmed ? ', confirmed' : ', not confirmed';
  out.say(`Sent ${what} to ${printable(place)}${how}.`);
}

/** Each so many times. A body that passes piece by piece passes once. */
async function* repeated(source: AsyncIterable<Outgoing>, count: number): AsyncGenerator<Outgoing, void, undefined> {
  for await (const one of source) {
    if (count > 1 && one.options.contentLength !== undefined) {
      throw new WrongUsage(`${one.label} is too large to be sent several times: leave --count out`);
    }
    for (let nth = 1; nth <= count; nth++) yield count === 1 ? one : { ...one, label: `message ${nth}` };
  }
}
