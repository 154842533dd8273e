// `stompbox bench`: how many messages a broker takes and gives, and how long each is on its way.

import { randomUUID } from 'node:crypto';
import { ACK_MODES, type AckMode } from '@stompbox/protocol';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { linesOf, reportOf } from '../bench/render.ts';
import { type BenchPlan, runBench } from '../bench/run.ts';
import { type ConnectionFlags, connectionOptions, countOption, withClients } from '../connecting.ts';
import { json } from '../escape.ts';
import { PartlyDone, WrongUsage } from '../exit-codes.ts';
import { examples, type House } from '../house.ts';
import { number } from '../progress.ts';
import { duration, rate, whole } from '../values.ts';

interface BenchFlags extends ConnectionFlags {
  readonly producers: number;
  readonly consumers: number;
  readonly size: readonly number[];
  readonly topic?: boolean;
  readonly count?: number;
  readonly duration?: number;
  readonly rate?: number;
  readonly confirm: boolean;
  readonly window: number;
  readonly ack: AckMode;
  readonly prefetch?: number;
  readonly timeout: number;
  readonly json?: boolean;
}

const COUNT = 10_000;
const MAX_CONNECTIONS = 1_000;
const MAX_BYTES = 64 * 1024 * 1024;

function sizes(text: string): readonly number[] {
  const one = whole(0, MAX_BYTES);
  const all = text.split(',').map(one);
  if (all.length > 16) throw new InvalidArgumentError('Sixteen sizes are enough.');
  return all;
}

export function bench(program: Command, house: House): void {
  const command = program
    .command('bench')
    .description('measure a broker: throughput, and latency percentiles')
    .argument('[url]', 'the broker')
    .option('--producers <number>', 'connections that send', whole(1, MAX_CONNECTIONS), 1)
    .option('--consumers <number>', 'connections that receive; 0 measures sending only', whole(0, MAX_CONNECTIONS), 1)
    .option('--size <bytes>', 'of a body; several, with commas between them, take turns', sizes, [100])
    .option('--topic', 'a topic, of which every consumer gets all messages, instead of a queue')
    .option('--duration <time>', 'send for so long', duration);
  countOption(command, `so many messages by all producers together; ${COUNT} unless a duration is given`)
    .option('--rate <number>', 'no more messages a second than this, by all producers together', rate)
    .option('--no-confirm', 'ask for no receipts')
    .option('--window <number>', 'so many messages of a producer may wait for their receipts', whole(1, 100_000), 100)
    .addOption(new Option('--ack <mode>', 'how consumers acknowledge').choices(ACK_MODES).default('auto'))
    .option('--prefetch <number>', 'so many may be under way unsettled to a consumer', whole(1, 65_535))
    .option('-t, --timeout <time>', 'what has not come when nothing came for so long is missing', duration, 2_000)
    .option('--json', 'the figures as JSON');
  connectionOptions(command).action(
    house.run<BenchFlags>((words, flags) => {
      if (flags.clientId !== undefined) throw new WrongUsage('--client-id is for one connection; these are several');
      return withClients(house, words, flags, {}, (open, rest) => measure(planOf(rest, flags), open, flags, house));
    }),
  );
  examples(command, [
    ['stompbox bench stomp://localhost', 'ten thousand messages through a queue of its own, each with its receipt'],
    ['stompbox bench --duration 30s --producers 4 --consumers 4 --ack client-individual', 'half a minute of full load'],
    ['stompbox bench --rate 500 --duration 1min', 'latencies at a load you know, instead of the length of the queue'],
    ['stompbox bench --topic --consumers 10 --size 100,10000 --json', 'small and large in turn, to ten consumers'],
  ]);
}

function planOf(rest: readonly string[], flags: BenchFlags): BenchPlan {
  if (rest.length > 0)
    throw new WrongUsage(`${rest[0]} is no URL of a broker; the destination is made by bench itself`);
  return {
    name: `stompbox-bench-${randomUUID()}`,
    kind: flags.topic ? 'topic' : 'queue',
    producers: flags.producers,
    consumers: flags.consumers,
    sizes: flags.size,
    count: flags.count ?? (flags.duration === undefined ? COUNT : undefined),
    durationMs: flags.duration,
    rate: flags.rate,
    confirm: flags.confirm,
    window: flags.window,
    ack: flags.ack,
    prefetch: flags.prefetch,
    idleMs: flags.timeout,
  };
}

async function measure(
  plan: BenchPlan,
  open: Parameters<typeof runBench>[1],
  flags: BenchFlags,
  house: House,
): Promise<undefined> {
  const { out } = house;
  const copies = plan.kind === 'topic' ? Math.max(plan.consumers, 1) : 1;
  const progress = out.progress('messages', plan.durationMs === undefined ? (plan.count ?? 0) * copies : undefined);
  const measured = await runBench(plan, open, house, progress).finally(() => progress.hide());
  const { failure, received, expected } = measured;
  if (flags.json) out.say(json(reportOf(plan, measured)));
  else for (const line of linesOf(plan, measured)) out.say(line);
  if (failure !== undefined) throw failure;
  const missing = expected - received.messages;
  if (missing > 0) throw new PartlyDone(`${number(missing)} of ${number(expected)} messages did not come`);
  return;
}
