// `stompbox respond`: a command answers requests. Body on standard input, answer on standard output; another exit code than
// 0 refuses.

import type { Body, Client, Message } from '@stompbox/client';
import type { Command } from 'commander';
import { CommandFailed, runCommand } from '../command.ts';
import { type ConnectionFlags, connectionOptions, countOption, talking } from '../connecting.ts';
import { json, printable } from '../escape.ts';
import { SystemFailure, WrongUsage } from '../exit-codes.ts';
import { examples, type House } from '../house.ts';
import { textOrOctets } from '../input.ts';
import { narrate } from '../reading.ts';
import { fired } from '../time.ts';
import { destination, duration, whole } from '../values.ts';

interface RespondFlags extends ConnectionFlags {
  readonly timeout: number;
  readonly concurrency: number;
  readonly selector?: string;
  readonly count?: number;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

export function respond(program: Command, house: House): void {
  const command = program
    .command('respond')
    .description('answer requests with what a command says: body on its standard input, answer on its standard output')
    .argument('<words...>', '[url] <destination> -- <command> [argument…]; another exit code than 0 refuses')
    .option('--timeout <time>', 'for one answer; the command is killed then, and the request refused', duration, 30_000)
    .option('--concurrency <number>', 'so many commands at a time', whole(1, 1_000), 1)
    .option('--selector <sql>', 'only requests whose headers fulfil it');
  countOption(command, 'end after so many; those under way are finished')
    .option('--json', 'the answer is JSON, and so is what is reported')
    .option('-q, --quiet', 'do not report each request');
  const onError = (error: unknown): void =>
    error instanceof CommandFailed ? house.out.warn(`refused: ${error.message}`) : house.tell(error);
  connectionOptions(command).action(talking<RespondFlags>(house, answer, { reconnects: true, onError }));
  examples(command, [
    ['stompbox respond /queue/shout -- tr a-z A-Z', 'until Ctrl-C; requests under way are finished'],
    ['stompbox respond /queue/quotes --json --concurrency 4 -- ./quote.sh', 'four at a time, answers are JSON'],
    [
      "stompbox respond /queue/where -- sh -c 'echo $STOMP_DESTINATION'",
      'the command finds the message in its environment',
    ],
  ]);
}

async function answer(client: Client, words: readonly string[], flags: RespondFlags, house: House): Promise<undefined> {
  const [place, ...command] = words;
  if (place === undefined || command.length === 0) {
    throw new WrongUsage('with what? stompbox respond [url] <destination> -- <command> [argument…]');
  }
  const { concurrency, count = Number.POSITIVE_INFINITY, timeout } = flags;
  const done = new AbortController();
  let fatal: SystemFailure | undefined;
  let answered = 0;
  void narrate(client, house);
  const subscription = client.respond(
    destination(place),
    async (message) => {
      try {
        const env = environment(message, house);
        const said = await runCommand(command, { input: message.bytes, env, timeoutMs: timeout }, house);
        const body = bodyOf(said, flags);
        report(message, said.length, flags, house);
        return body;
      } catch (error) {
        if (error instanceof SystemFailure) {
          fatal = error;
          done.abort();
          throw new CommandFailed('the command cannot be run', { cause: error });
        }
        throw error;
      } finally {
        if (++answered >= count) done.abort();
      }
    },
    {
      concurrency,
      ...(flags.selector !== undefined && { selector: flags.selector }),
      ...(client.profile?.supports('prefetch') && client.profile.name !== 'artemis' && { prefetch: concurrency }),
    },
  );
  await subscription.ready;
  if (!flags.json && house.out.isTerminal)
    house.out.complain(house.out.dim(`Answering ${printable(place)}; Ctrl-C ends it.`));
  await Promise.race([fired(AbortSignal.any([house.stop, done.signal])), failed(client)]);
  await subscription.drain({ timeoutMs: timeout });
  if (fatal !== undefined) throw fatal;
  return;
}

/** Rejects with what ended the client, if anything did. */
async function failed(client: Client): Promise<void> {
  const { error } = await client.closed;
  if (error !== undefined) throw error;
}

/** What the command may know; no secret of ours. */
function environment(message: Message, { world }: House): Record<string, string | undefined> {
  const { STOMPBOX_PASSCODE: _, ...env } = world.env;
  return {
    ...env,
    STOMP_DESTINATION: message.destination,
    STOMP_MESSAGE_ID: message.id,
    STOMP_CONTENT_TYPE: message.contentType ?? '',
    STOMP_CORRELATION_ID: message.correlationId ?? '',
    STOMP_REDELIVERED: String(message.redelivered),
  };
}

function bodyOf(said: Uint8Array, flags: RespondFlags): Body {
  const body = textOrOctets(said);
  if (!flags.json) return body;
  if (typeof body !== 'string') throw new CommandFailed('the answer of the command is not JSON');
  try {
    return JSON.parse(body);
  } catch (cause) {
    throw new CommandFailed('the answer of the command is not JSON', { cause });
  }
}

function report({ id, destination, bytes }: Message, answerBytes: number, flags: RespondFlags, { out }: House): void {
  if (flags.quiet) return;
  if (flags.json) out.say(json({ destination, id, bytes: bytes.length, answerBytes }));
  else out.say(`Answered ${printable(id)} of ${printable(destination)}: ${bytes.length} bytes in, ${answerBytes} out.`);
}
