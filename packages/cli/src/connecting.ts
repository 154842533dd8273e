// Which broker, as whom, over what: flags and environment -> a Client.

import { readFile } from 'node:fs/promises';
import {
  Client,
  type ClientOptions,
  type Credentials,
  PROFILES,
  type ProfileName,
  printing,
  type TlsOptions,
} from '@stompbox/client';
import { VERSIONS, type Version } from '@stompbox/protocol';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Target } from './conformance/meet.ts';
import { SystemFailure, WrongUsage } from './exit-codes.ts';
import type { House } from './house.ts';
import { askSecret, canAsk, firstLine } from './prompt.ts';
import { duration, type HeaderList, header, isUrl, whole } from './values.ts';

export const DEFAULT_URL = 'stomp://127.0.0.1:61613';

/** What `reachOptions` makes. */
export interface ReachFlags {
  readonly connectTimeout: number;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly keyPassphraseFile?: string;
  readonly serverName?: string;
  readonly insecure?: boolean;
}

export interface ConnectionFlags extends ReachFlags {
  readonly url?: string;
  readonly login?: string;
  readonly passcode?: string;
  readonly passcodeFile?: string;
  readonly host?: string;
  readonly clientId?: string;
  readonly connectHeader?: HeaderList;
  readonly dialect?: ProfileName;
  readonly stompVersion?: Version;
  readonly heartBeat?: { readonly send: number; readonly expect: number };
  readonly receiptTimeout: number;
  readonly debug?: boolean;
}

/** Two times in milliseconds. */
export function heartBeat(text: string): { send: number; expect: number } {
  const [, send, expect] = /^(\d{1,9}),(\d{1,9})$/.exec(text) ?? [];
  if (send === undefined || expect === undefined) {
    throw new InvalidArgumentError('Heart-beats are two times in milliseconds, such as 10000,10000.');
  }
  return { send: Number(send), expect: Number(expect) };
}

/** The options that every verb has which talks to a broker. */
export function connectionOptions(command: Command): Command {
  command
    .option(
      '-u, --url <url>',
      'the broker: stomp://, stomp+ssl://, ws://, wss://, stomp+unix:// or failover:(…); ' +
        `STOMPBOX_URL, or else ${DEFAULT_URL}, unless given`,
    )
    .option('-l, --login <name>', 'log in under this name; STOMPBOX_LOGIN unless given')
    .option('-p, --passcode <secret>', 'its passcode; seen by everybody who lists processes: prefer STOMPBOX_PASSCODE')
    .option('--passcode-file <path>', 'a file whose first line is the passcode')
    .option('--host <name>', 'the virtual host to ask for; RabbitMQ calls its first one /')
    .option('--client-id <name>', 'the name durable subscriptions are kept under')
    .option('--connect-header <name:value>', 'one more header for CONNECT; may be repeated', header)
    .addOption(
      new Option('--dialect <name>', "whose words to use; found out from the broker's answer unless given").choices(
        Object.keys(PROFILES),
      ),
    )
    .addOption(new Option('--stomp-version <version>', 'offer only this one').choices(VERSIONS))
    .option('--heart-beat <out,in>', 'heart-beats to offer and to ask for, in milliseconds', heartBeat)
    .option('--receipt-timeout <time>', 'for each RECEIPT', duration, 15_000);
  return reachOptions(command).option('-d, --debug', 'show every frame on standard error, secrets masked');
}

/** How a broker is reached, whoever is to log in. */
export function reachOptions(command: Command): Command {
  return command
    .option('--connect-timeout <time>', 'for DNS, TCP, TLS and CONNECTED together', duration, 10_000)
    .option('--ca <path>', 'PEM file of the authorities to believe, instead of those of the system')
    .option('--cert <path>', 'PEM file of our certificate')
    .option('--key <path>', 'PEM file of its key')
    .option('--key-passphrase-file <path>', 'a file whose first line opens the key')
    .option('--server-name <name>', 'the name that the certificate of the broker must be for')
    .option('--insecure', 'believe any certificate');
}

/** Splits words into the URL of a broker, if the first is one, and the rest. */
export function takeUrl(words: readonly string[]): {
  readonly url: string | undefined;
  readonly rest: readonly string[];
} {
  const [first, ...rest] = words;
  return first !== undefined && isUrl(first) ? { url: first, rest } : { url: undefined, rest: words };
}

export async function readText(path: string, what: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new SystemFailure(`${what} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
}

const SECRET_IN_URL = /\/\/[^/?#@]*:[^/?#@]+@/;

/** The warning that a secret on the command line deserves (M-163). */
export function warnOfSecrets(
  house: House,
  flags: Pick<ConnectionFlags, 'passcode'>,
  isUrlTyped: boolean,
  url: string,
): void {
  const isShown = flags.passcode !== undefined || (isUrlTyped && SECRET_IN_URL.test(url));
  if (!isShown) return;
  house.out.warn(
    'a passcode on the command line can be read by everybody on this machine; ' +
      'STOMPBOX_PASSCODE, --passcode-file or the prompt keep it',
  );
}

async function credentialsOf(house: House, flags: ConnectionFlags, url: string): Promise<Credentials> {
  const { passcode, passcodeFile } = flags;
  const { env } = house.world;
  const login = flags.login ?? env.STOMPBOX_LOGIN;
  if (passcode !== undefined && passcodeFile !== undefined) {
    throw new WrongUsage('--passcode and --passcode-file contradict each other');
  }
  if (passcode !== undefined) return { login, passcode };
  if (passcodeFile !== undefined)
    return { login, passcode: firstLine(await readText(passcodeFile, 'the passcode file')) };
  if (env.STOMPBOX_PASSCODE !== undefined) return { login, passcode: env.STOMPBOX_PASSCODE };
  const who = login ?? /\/\/([^/?#:@]+)@/.exec(url)?.[1]; // a user without a password
  if (who !== undefined && !SECRET_IN_URL.test(url) && canAsk(house.world)) {
    return { login, passcode: await askSecret(`Passcode of ${who}: `, house.world) };
  }
  return { login };
}

/** Reads the files that the flags name; undefined where no flag speaks of TLS. */
export async function tlsOf(flags: ReachFlags): Promise<TlsOptions | undefined> {
  const { ca, cert, key, keyPassphraseFile, serverName, insecure } = flags;
  if ([ca, cert, key, keyPassphraseFile, serverName, insecure].every((one) => one === undefined)) return undefined;
  if ((cert === undefined) !== (key === undefined)) throw new WrongUsage('--cert and --key go together');
  const read = async (path: string | undefined, what: string): Promise<string | undefined> =>
    path === undefined ? undefined : await readText(path, what);
  const [caText, certText, keyText, passphrase] = await Promise.all([
    read(ca, '--ca'),
    read(cert, '--cert'),
    read(key, '--key'),
    read(keyPassphraseFile, '--key-passphrase-file'),
  ]);
  return {
    ...(caText !== undefined && { ca: caText }),
    ...(certText !== undefined && { cert: certText }),
    ...(keyText !== undefined && { key: keyText }),
    ...(passphrase !== undefined && { passphrase: firstLine(passphrase) }),
    ...(serverName !== undefined && { servername: serverName }),
    ...(insecure && { verify: false }),
  };
}

export interface OpenOptions extends Pick<ClientOptions, 'outbox'> {
  /** Connect again when the connection is lost; false unless given. Connecting at first is tried once in any case. */
  readonly reconnects?: boolean;
  /** Hears what handlers throw, and of refusals; a warning unless given. */
  readonly onError?: (error: unknown) => void;
}

/** What a verb does with its client: closed in the end, in order if it can be. */
export async function withClient<Result>(
  house: House,
  words: readonly string[],
  flags: ConnectionFlags,
  options: OpenOptions,
  work: (client: Client, rest: readonly string[]) => Promise<Result>,
): Promise<Result> {
  return await withClients(house, words, flags, options, async (open, rest) => await work(await open(), rest));
}

/** A verb as commander runs it, given a client that is connected, and the words behind the URL. */
export function talking<Flags extends ConnectionFlags>(
  house: House,
  work: (client: Client, words: readonly string[], flags: Flags, house: House) => Promise<number | undefined>,
  options: OpenOptions = {},
): (this: Command) => Promise<void> {
  return house.run<Flags>((words, flags) =>
    withClient(house, words, flags, options, (client, rest) => work(client, rest, flags, house)),
  );
}

/** The same for a verb with several connections: each `open` makes one more, as the same user. */
export async function withClients<Result>(
  house: House,
  words: readonly string[],
  flags: ConnectionFlags,
  options: OpenOptions,
  work: (open: () => Promise<Client>, rest: readonly string[]) => Promise<Result>,
): Promise<Result> {
  const { url: word, rest } = takeUrl(words);
  const typed = word ?? flags.url;
  const url = typed ?? house.world.env.STOMPBOX_URL ?? DEFAULT_URL;
  const settings = await clientOptions(house, url, flags, options, typed !== undefined);
  const clients: Client[] = [];
  const open = async (): Promise<Client> => {
    const client = new Client(url, settings);
    clients.push(client);
    if (flags.debug) client.observe('debug', printing({ write: (line) => house.out.complain(line), verbose: true }));
    await client.connect({ timeoutMs: 0, signal: house.stop });
    return client;
  };
  try {
    return await work(open, rest);
  } finally {
    await Promise.all(clients.map((client) => client.close({ timeoutMs: flags.receiptTimeout })));
  }
}

/** The one broker of a verb that speaks in bytes of its own and without a client. */
export async function targetOf(house: House, words: readonly string[], flags: ConnectionFlags): Promise<Target> {
  const { url: word, rest } = takeUrl(words);
  if (rest.length > 0) throw new WrongUsage(`${rest[0]} is no URL of a broker`);
  const { clientId, connectHeader, dialect, stompVersion, heartBeat, debug } = flags;
  const idle = Object.entries({ clientId, connectHeader, dialect, stompVersion, heartBeat, debug });
  const meaningless = idle.find(([, value]) => value !== undefined);
  if (meaningless !== undefined) {
    const flag = meaningless[0].replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    throw new WrongUsage(`--${flag} means nothing here: every frame is written by the verb itself`);
  }
  const typed = word ?? flags.url;
  const url = typed ?? house.world.env.STOMPBOX_URL ?? DEFAULT_URL;
  warnOfSecrets(house, flags, typed !== undefined, url);
  const { login, passcode } = await credentialsOf(house, flags, url);
  const tls = await tlsOf(flags);
  return {
    url,
    ...(login !== undefined && { login }),
    ...(passcode !== undefined && { passcode }),
    ...(flags.host !== undefined && { host: flags.host }),
    dial: { timeoutMs: flags.connectTimeout, ...(tls !== undefined && { tls }) },
    open: house.world.dial,
    signal: house.stop,
  };
}

async function clientOptions(
  house: House,
  url: string,
  flags: ConnectionFlags,
  options: OpenOptions,
  isUrlTyped: boolean,
): Promise<ClientOptions> {
  const { reconnects = false, onError = (error) => house.tell(error) } = options;
  warnOfSecrets(house, flags, isUrlTyped, url);
  const credentials = await credentialsOf(house, flags, url);
  const tls = await tlsOf(flags);
  const { host, clientId, connectHeader, dialect, stompVersion, heartBeat, connectTimeout, receiptTimeout } = flags;
  const { dial, clock } = house.world;
  return {
    credentials,
    onError,
    clock,
    reconnect: reconnects ? { startAttempts: 1 } : { attempts: 1 },
    connectTimeoutMs: connectTimeout,
    receiptTimeoutMs: receiptTimeout,
    ...(options.outbox !== undefined && { outbox: options.outbox }),
    ...(tls !== undefined && { tls }),
    ...(host !== undefined && { host }),
    ...(clientId !== undefined && { clientId }),
    ...(connectHeader !== undefined && { connectHeaders: connectHeader }),
    ...(dialect !== undefined && { profile: dialect }),
    ...(stompVersion !== undefined && { versions: [stompVersion] }),
    ...(heartBeat !== undefined && { heartBeat }),
    ...(dial !== undefined && { dial }),
  };
}

/** The option --count of many verbs. */
export function countOption(command: Command, what: string): Command {
  return command.option('-c, --count <number>', what, whole(1));
}
