// `stompbox shell`: stomp.py's prompt, at a terminal, from a file or from a pipe.

import { SubscriptionRefused } from '@stompbox/client';
import { VERSIONS, type Version } from '@stompbox/protocol';
import { type Command, Option } from 'commander';
import { type ConnectionFlags, connectionOptions, heartBeat, takeUrl, withClient } from '../connecting.ts';
import { PartlyDone, WrongUsage } from '../exit-codes.ts';
import { examples, House } from '../house.ts';
import { number } from '../progress.ts';
import { narrate, unlessTold } from '../reading.ts';
import { execute, runFile } from '../shell/commands.ts';
import { prompt } from '../shell/prompting.ts';
import { Screen } from '../shell/screen.ts';
import { runScript } from '../shell/script.ts';
import { Session } from '../shell/session.ts';
import { fired } from '../time.ts';
import { whole } from '../values.ts';

/** As stomp.py has them. */
interface StompPyFlags {
  readonly broker?: string;
  readonly port?: number;
  readonly user?: string;
  readonly password?: string;
  readonly protocol?: Version;
  readonly heartbeats?: { readonly send: number; readonly expect: number };
  readonly ssl?: boolean;
  readonly sslKeyFile?: string;
  readonly sslCertFile?: string;
  readonly sslCaFile?: string;
}

interface ShellFlags extends ConnectionFlags, StompPyFlags {
  readonly file?: string;
  readonly listen?: string;
  readonly verbose?: boolean;
}

export function shell(program: Command, house: House): void {
  const command = program
    .command('shell')
    .description('a prompt that sends, subscribes and settles; from a pipe or with --file a script')
    .argument('[url]', 'the broker; STOMPBOX_URL unless given')
    .option('-F, --file <script>', 'run the commands in this file, and end; stops at the first that fails')
    .option('-L, --listen <destination>', 'show what comes there, without a prompt')
    .option('-V, --verbose', 'show every header of a message')
    .option('-H, --broker <name>', 'as stomp.py has it: the machine of the broker, localhost unless given')
    .option('-P, --port <number>', 'its port, 61613 unless given', whole(1, 65_535))
    .option('-U, --user <name>', 'the same as --login')
    .option('-W, --password <secret>', 'the same as --passcode, and as little of a secret')
    .addOption(new Option('-S, --protocol <version>', 'the same as --stomp-version').choices(VERSIONS))
    .option('--heartbeats <out,in>', 'the same as --heart-beat', heartBeat)
    .option('--ssl', 'over TLS')
    .option('--ssl-key-file <path>', 'the same as --key')
    .option('--ssl-cert-file <path>', 'the same as --cert')
    .option('--ssl-ca-file <path>', 'the same as --ca');
  connectionOptions(command).action(
    house.run<ShellFlags>((words, flags) => run(words, flags, house, program.version() ?? '')),
  );
  examples(command, [
    ['stompbox shell', 'a prompt at the broker on this machine; help shows its commands'],
    ['stompbox shell -H broker.example -P 61613 -U app', 'with the flags of stomp.py; the passcode is asked for'],
    ['stompbox shell -F setup.stomp', 'the commands in a file; the line that fails is named'],
    ["echo 'send /queue/hello hi' | stompbox shell", 'commands from a pipe'],
    ["stompbox shell -L '/topic/prices.>' -V", 'only listens; every header is shown'],
  ]);
}

async function run(words: readonly string[], given: ShellFlags, outer: House, version: string): Promise<undefined> {
  const { file, listen, verbose = false } = given;
  if (file !== undefined && listen !== undefined) throw new WrongUsage('--file and --listen contradict each other');
  const { world } = outer;
  const isTyped = file === undefined && listen === undefined && world.stdin.isTTY === true && outer.out.isTerminal;
  const screen = new Screen(world.stdout);
  // What anything says while somebody types goes above the line, so nothing below speaks to the terminal itself.
  const house = isTyped ? new House({ ...screen.over(world), interrupted: outer.stop }) : outer;
  const options = {
    reconnects: isTyped || listen !== undefined,
    onError: (error: unknown) => {
      if (!(error instanceof SubscriptionRefused && session?.isSubscribing(error.destination))) house.tell(error);
    },
  };
  let session: Session | undefined;
  await withClient(house, words, inOurWords(words, given), options, async (client, rest) => {
    if (rest.length > 0) throw new WrongUsage(`${rest[0]} is no URL of a broker`);
    session = new Session(client, house, { verbose, receiptTimeoutMs: given.receiptTimeout, version });
    if (options.reconnects) void narrate(client, house);
    try {
      if (listen !== undefined) await hear(session, listen);
      else if (isTyped) {
        house.out.say(house.out.dim('Connected; help shows the commands, Ctrl-D ends it.'));
        await prompt({ session, screen, world });
      } else await script(session, file);
    } finally {
      await session.close();
    }
  });
  return;
}

/** Until told to end, which is no failure of it. Rejects with what ended the client. */
async function hear(session: Session, place: string): Promise<void> {
  const { stop } = session.house;
  await session.subscribe(place, undefined, stop).catch(unlessTold);
  const ended = await Promise.race([fired(stop), session.client.closed]);
  if (ended?.error !== undefined) throw ended.error;
}

/** From the file, or else from standard input. Rejects with PartlyDone, which says what was done before. */
async function script(session: Session, file: string | undefined): Promise<void> {
  const { world, stop } = session.house;
  const given = { signal: stop, depth: 1 };
  try {
    if (file !== undefined) await runFile(session, file, given);
    else {
      const source = { name: 'standard input', source: world.stdin, signal: stop };
      await runScript(source, (line) => execute(line, session, given));
    }
  } catch (error) {
    if (stop.aborted) session.house.out.warn(`cut short: ${tally(session)}`);
    if (!(error instanceof PartlyDone)) throw error;
    throw new PartlyDone(`${error.message} (${tally(session)})`, { cause: error.cause });
  }
}

function tally({ sent, inTransaction }: Session): string {
  return [
    `${number(sent.done)} sent before`,
    ...(sent.undone > 0 ? [`${number(sent.undone)} taken back with their transaction`] : []),
    ...(inTransaction > 0 ? [`${number(inTransaction)} in the open transaction, which is aborted`] : []),
  ].join(', ');
}

// ------------------------------------------------------------------------------------------------------- stomp.py's flags

/** The flags of every verb, from those of stomp.py. Throws WrongUsage where both say something. */
function inOurWords(words: readonly string[], flags: ShellFlags): ConnectionFlags {
  const one = <Value>(ours: string, our: Value | undefined, theirs: string, their: Value | undefined) => {
    if (our !== undefined && their !== undefined) throw new WrongUsage(`${ours} and ${theirs} are the same: give one`);
    return our ?? their;
  };
  const given = takeUrl(words).url ?? flags.url;
  const url = one('a URL', given, '--broker, --port or --ssl', urlOf(flags));
  const login = one('--login', flags.login, '--user', flags.user);
  const passcode = one('--passcode', flags.passcode, '--password', flags.password);
  const stompVersion = one('--stomp-version', flags.stompVersion, '--protocol', flags.protocol);
  const heartBeat = one('--heart-beat', flags.heartBeat, '--heartbeats', flags.heartbeats);
  const key = one('--key', flags.key, '--ssl-key-file', flags.sslKeyFile);
  const cert = one('--cert', flags.cert, '--ssl-cert-file', flags.sslCertFile);
  const ca = one('--ca', flags.ca, '--ssl-ca-file', flags.sslCaFile);
  return {
    ...flags,
    ...(url !== undefined && { url }),
    ...(login !== undefined && { login }),
    ...(passcode !== undefined && { passcode }),
    ...(stompVersion !== undefined && { stompVersion }),
    ...(heartBeat !== undefined && { heartBeat }),
    ...(key !== undefined && { key }),
    ...(cert !== undefined && { cert }),
    ...(ca !== undefined && { ca }),
  };
}

function urlOf({ broker, port, ssl }: StompPyFlags): string | undefined {
  if (broker === undefined && port === undefined && !ssl) return undefined;
  const host = broker ?? 'localhost';
  const name = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host; // an IPv6 address
  return `${ssl ? 'stomp+ssl' : 'stomp'}://${name}:${port ?? 61_613}`;
}
