// The program: its verbs, and what its words mean before one of them runs.

import { Command, CommanderError } from 'commander';
import { EXIT } from './exit-codes.ts';
import { exitCodeHelp, House, type Verb } from './house.ts';
import { bench } from './verbs/bench.ts';
import { broker } from './verbs/broker.ts';
import { browse } from './verbs/browse.ts';
import { completion } from './verbs/completion.ts';
import { conformance } from './verbs/conformance.ts';
import { demo } from './verbs/demo.ts';
import { doctor } from './verbs/doctor.ts';
import { drain } from './verbs/drain.ts';
import { listen } from './verbs/listen.ts';
import { man } from './verbs/man.ts';
import { move } from './verbs/move.ts';
import { passwd } from './verbs/passwd.ts';
import { replay } from './verbs/replay.ts';
import { request } from './verbs/request.ts';
import { respond } from './verbs/respond.ts';
import { send } from './verbs/send.ts';
import { shell } from './verbs/shell.ts';
import { tap } from './verbs/tap.ts';
import type { World } from './world.ts';

const VERSION = '0.1.0';

/** In the order in which `--help` lists them. */
const VERBS: readonly Verb[] = [
  broker,
  passwd,
  send,
  listen,
  request,
  respond,
  browse,
  move,
  drain,
  replay,
  shell,
  doctor,
  conformance,
  tap,
  bench,
  completion,
  man,
  demo,
];

/** The whole tree of commands, for running, for completion and for documentation. */
export function program(house: House): Command {
  const { stdout, stderr } = house.world;
  const root = new Command('stompbox')
    .description('One command line for any STOMP broker.')
    .version(VERSION)
    .helpCommand('help [verb]', 'what a verb does, with examples')
    .enablePositionalOptions() // -V means something else behind shell
    .showHelpAfterError('(--help says more)')
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void stdout.write(text),
      writeErr: (text) => void stderr.write(text),
      getOutHelpWidth: () => stdout.columns ?? 100,
      getErrHelpWidth: () => stderr.columns ?? 100,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .addHelpText('after', exitCodeHelp());
  for (const verb of VERBS) verb(root, house);
  return root;
}

/** Runs one command line; answers the exit code. `args` are the words behind the name of the program. */
export async function run(args: readonly string[], world: World): Promise<number> {
  const house = new House(world);
  try {
    await program(house).parseAsync([...args], { from: 'user' });
    return house.exitCode;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    const isAnswer = error.exitCode === 0; // --help, --version
    return isAnswer ? EXIT.done : EXIT.usage;
  }
}
