// `stompbox broker`: a broker from flags, environment or a configuration file, until it is told to end.

import {
  type Broker,
  createBroker,
  FileError,
  jsonLines,
  type LoadedConfiguration,
  type Logger,
  readConfig,
} from '@stompbox/broker';
import { TransportError } from '@stompbox/transport';
import type { Command } from 'commander';
import { givenSettings, type SettingFlags, settingOptions } from '../broker-settings.ts';
import { json, printable } from '../escape.ts';
import { SystemFailure } from '../exit-codes.ts';
import { examples, type House } from '../house.ts';
import { fired } from '../time.ts';
import { duration } from '../values.ts';

interface BrokerFlags extends SettingFlags {
  readonly config?: string;
  readonly check?: boolean;
  readonly quiet?: boolean;
  readonly json?: boolean;
  readonly drainTimeout: number;
}

export function broker(program: Command, house: House): void {
  const command = program
    .command('broker')
    .description('run a broker: loopback only and durable in ./stompbox-data unless told otherwise')
    .option('-c, --config <path>', 'a configuration file (docs/configuration.md); STOMPBOX_CONFIG names one, too')
    .option('--check', 'say whether the configuration can be used, and end')
    .option('-q, --quiet', 'no log')
    .option('--drain-timeout <time>', 'for clients to take their last words when it ends', duration, 5_000);
  settingOptions(command)
    .option('--json', 'say where it listens, and the log, as JSON lines')
    .action(house.run<BrokerFlags>((_, flags) => serve(flags, house)));
  examples(command, [
    ['stompbox broker', 'on stomp://127.0.0.1:61613, messages in ./stompbox-data'],
    ['stompbox broker --memory --listen tcp://127.0.0.1:0', 'for a test: nothing is kept, any free port'],
    ['stompbox broker --config stompbox.yaml --check', 'is this file right? every problem with its line'],
    [
      'stompbox broker --users users --listen stomp+ssl://0.0.0.0:61614 --tls-cert cert.pem --tls-key key.pem',
      'for others, with logins ("stompbox passwd users ann" adds one) and TLS',
    ],
  ]);
}

async function serve(flags: BrokerFlags, house: House): Promise<undefined> {
  const { out, world } = house;
  const load = (): Promise<LoadedConfiguration> =>
    readConfig(flags.config ?? world.env.STOMPBOX_CONFIG, { settings: givenSettings(flags, world.env) });
  const { options, configuration } = await load();
  for (const warning of options.warnings ?? []) out.warn(warning);
  if (flags.check) {
    const { listen, data } = configuration;
    if (flags.json) out.say(json({ ok: true, listen, data }));
    else {
      out.say(`The configuration can be used: ${listen.map(printable).join(', ')}; ${keeping(data)}.`);
    }
    return;
  }
  const running = await start({ ...options, ...(flags.quiet ? {} : { log: logger(house, flags.json ?? false) }) });
  try {
    introduce(running, configuration.data, flags, house);
    world.onHangUp?.(() => void reload(running, load, house));
    await fired(world.interrupted);
    const { connections } = running.stats();
    if (!flags.json)
      out.say(`Stopping${connections === 0 ? '' : `: ${connections} connected; each is told, then closed`}.`);
  } finally {
    const { cut, unsettled, unflushed } = await running.close({ timeoutMs: flags.drainTimeout });
    if (cut + unflushed > 0) {
      out.warn(
        `${cut} connections were cut, ${unflushed} messages were not on disk yet: their producers have no receipt`,
      );
    }
    if (unsettled > 0 && !flags.json) out.complain(`${unsettled} deliveries were not settled; they come again.`);
  }
}

async function start(options: Parameters<typeof createBroker>[0]): Promise<Broker> {
  try {
    return await createBroker(options);
  } catch (error) {
    if (!(error instanceof TransportError)) throw error;
    const hint = error.code === 'address-in-use' ? '; --listen tcp://127.0.0.1:0 takes a free port' : '';
    throw new SystemFailure(`cannot start: ${error.message}${hint}`, { cause: error });
  }
}

async function reload(broker: Broker, load: () => Promise<LoadedConfiguration>, { out }: House): Promise<void> {
  try {
    broker.reload((await load()).options);
  } catch (error) {
    const what = error instanceof FileError ? error.message : String(error);
    out.warn(`nothing was reloaded: ${what}`);
  }
}

function keeping(data: string | false): string {
  return data === false ? 'messages in memory only' : `messages in ${printable(data)}`;
}

function introduce({ urls }: Broker, data: string | false, flags: BrokerFlags, { out }: House): void {
  if (flags.json) {
    out.say(json({ event: 'listening', urls, data }));
    return;
  }
  out.say(out.bold(`A STOMP broker, ${keeping(data)}`));
  for (const url of urls) out.say(`  ${out.name(url)}`);
  const [first = ''] = urls;
  const named = first === 'stomp://127.0.0.1:61613' ? '' : `${first} `;
  out.say('From another terminal:');
  out.say(`  stompbox listen ${named}/queue/hello`);
  out.say(`  stompbox send ${named}/queue/hello hi`);
  out.say(out.dim('Ctrl-C stops it.'));
}

/** For people unless told otherwise: one line an event, on standard error. */
function logger({ out }: House, isJson: boolean): Logger {
  if (isJson) return jsonLines((line) => out.complain(line.trimEnd()));
  return {
    log(level, event, fields) {
      if (event === 'broker-started' || event === 'configuration-warning') return; // told already
      out.complain(`${new Date().toISOString()} ${level.padEnd(5)} ${event} ${printable(fieldsOf(fields))}`);
    },
  };
}

function fieldsOf(fields: Readonly<Record<string, unknown>>): string {
  return Object.entries(fields)
    .map(
      ([name, value]) =>
        `${name}=${typeof value === 'string' && !/[\s="]/.test(value) ? value : JSON.stringify(value)}`,
    )
    .join(' ');
}
