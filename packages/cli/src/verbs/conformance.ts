// `stompbox conformance`: the matrix of STOMP's rules, put to any broker.

import type { Command } from 'commander';
import { junitOf, tableOf } from '../conformance/render.ts';
import { namesRules, runConformance } from '../conformance/run.ts';
import { type ConnectionFlags, connectionOptions, targetOf } from '../connecting.ts';
import { json } from '../escape.ts';
import { EXIT, WrongUsage } from '../exit-codes.ts';
import { examples, type House } from '../house.ts';
import { duration } from '../values.ts';

interface ConformanceFlags extends ConnectionFlags {
  readonly only?: readonly string[];
  readonly hostile?: boolean;
  readonly all?: boolean;
  readonly patience: number;
  readonly json?: boolean;
  readonly junit?: boolean;
}

export function conformance(program: Command, house: House): void {
  const command = program
    .command('conformance')
    .description('put the rules of STOMP to a broker, and tell which it keeps')
    .argument('[url]', 'the broker')
    .option('--only <ids...>', 'these rules alone: C-41, or C for all that begin with it')
    .option('--hostile', 'broken and endless input too; never against a broker that others use')
    .option('--all', 'list the rules that were not tested as well, and why not')
    .option('--patience <time>', 'how long one answer may take', duration, 2_000)
    .option('--json', 'the report as JSON')
    .option('--junit', 'the report as JUnit XML');
  connectionOptions(command).action(house.run<ConformanceFlags>((words, flags) => put(words, flags, house)));
  examples(command, [
    ['stompbox conformance stomp://localhost', 'all that can be asked without harm; nothing is left behind'],
    ['stompbox conformance wss://broker.example/ws --login app --only C-41 H', 'one rule, and all about heart-beats'],
    ['stompbox conformance stomp://localhost --junit > conformance.xml', 'for a build server'],
    ['stompbox conformance stomp://localhost --hostile', 'a broker of your own: what it makes of an attack'],
  ]);
}

async function put(words: readonly string[], flags: ConformanceFlags, house: House): Promise<number> {
  const { only, hostile, all, patience, json: asJson, junit } = flags;
  if (asJson && junit) throw new WrongUsage('--json and --junit are two forms of one report: choose one');
  const unknown = only?.find((wanted) => !namesRules(wanted));
  if (unknown !== undefined)
    throw new WrongUsage(`no rule is called ${unknown}; --all lists them, and the URL comes first`);
  const { out } = house;
  let progress: ReturnType<typeof out.progress> | undefined;
  const report = await runConformance({
    ...(await targetOf(house, words, flags)),
    patienceMs: patience,
    only,
    hostile,
    progress: (_done, total) => {
      progress ??= out.progress('checks', total);
      progress.add();
    },
  });
  if (asJson) await out.print(`${json(report)}\n`);
  else if (junit) await out.print(junitOf(report));
  else for (const line of tableOf(report, out, all)) out.say(line);
  return report.score.fail === 0 ? EXIT.done : EXIT.refused;
}
