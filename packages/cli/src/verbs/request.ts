// `stompbox request`: a question, and the answers to it.

import type { Client } from '@stompbox/client';
import type { Command } from 'commander';
import { type ConnectionFlags, connectionOptions, talking } from '../connecting.ts';
import { printableLines } from '../escape.ts';
import { WrongUsage } from '../exit-codes.ts';
import { examples, type House } from '../house.ts';
import { textOrOctets } from '../input.ts';
import { shown } from '../output.ts';
import { bodies, type MessageFlags, messageOptions } from '../sending.ts';
import { destination, duration, whole } from '../values.ts';

interface RequestFlags extends ConnectionFlags, Omit<MessageFlags, 'replyTo'> {
  readonly timeout: number;
  readonly answers: number;
  readonly quietFor?: number;
}

export function request(program: Command, house: House): void {
  const command = program
    .command('request')
    .description('send a question, and print the answer')
    .argument('<words...>', '[url] <destination> [text…]; without a text the body comes from --file or standard input')
    .option('--timeout <time>', 'for the answer', duration, 15_000)
    .option('--answers <number>', 'take so many, from whoever answers', whole(1), 1)
    .option('--quiet-for <time>', 'with --answers: end when no more came for so long', duration);
  connectionOptions(messageOptions(command)).action(talking<RequestFlags>(house, ask));
  examples(command, [
    ['stompbox request /queue/quotes AAPL', 'the answer, or exit code 4 after 15 s; 1 where it is a refusal'],
    ['stompbox request /queue/quotes --json \'{"sku":7}\' | jq .body', 'JSON both ways'],
    ['stompbox request /topic/who-is-there "" --answers 10 --quiet-for 2s', 'everybody who answers, ten at most'],
  ]);
}

async function ask(client: Client, words: readonly string[], flags: RequestFlags, house: House): Promise<undefined> {
  const [place, ...text] = words;
  if (place === undefined) throw new WrongUsage('whom? stompbox request [url] <destination> [text…]');
  if ((flags.file?.length ?? 0) > 1) throw new WrongUsage('a question has one --file');
  const { timeout, answers, quietFor } = flags;
  for await (const { body, options } of bodies(text, flags, house)) {
    const heard = client.requestMany(destination(place), body, {
      ...options,
      timeoutMs: timeout,
      max: answers,
      quietMs: quietFor,
      signal: house.stop,
    });
    for await (const answer of heard)
      await house.out.print(flags.json ? shown(answer, 'json', house.out) : bare(answer.bytes, house));
  }
  return;
}

const LINE_END = Buffer.from('\n');

/** As it is; at a terminal escaped. */
function bare(bytes: Uint8Array, { out }: House): string | Uint8Array {
  if (!out.isTerminal) return Buffer.concat([bytes, LINE_END]);
  const text = textOrOctets(bytes);
  return `${typeof text === 'string' ? printableLines(text) : `${bytes.length} octets that are no text`}\n`;
}
