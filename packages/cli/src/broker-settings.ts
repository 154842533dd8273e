// Flags and environment -> settings of the configuration file, from the broker's own table of them: each flag is there
// because a key is.

import { type GivenValue, SECTIONS, type Setting } from '@stompbox/broker';
import { type Command, InvalidArgumentError } from 'commander';
import { WrongUsage } from './exit-codes.ts';
import { several } from './values.ts';

const SETTINGS: readonly Setting[] = SECTIONS.flatMap(({ settings }) => settings);
/** Tables of their own; they belong in a file. */
const IN_FILE_ONLY: ReadonlySet<Setting['type']> = new Set(['rules', 'logins']);
const GIVEN: readonly Setting[] = SETTINGS.filter(({ type }) => !IN_FILE_ONLY.has(type));
const FLAGS: readonly Setting[] = GIVEN.filter(({ name }) => !name.startsWith('limits.'));
const LIMIT = 'limits.';

function words(name: string): readonly string[] {
  return name.split(/\.|(?=[A-Z])/).map((word) => word.toLowerCase());
}

/** `tls.cert` -> `tls-cert` */
function flagName(name: string): string {
  return words(name).join('-');
}

/** `limits.maxBodyBytes` -> `STOMPBOX_BROKER_LIMITS_MAX_BODY_BYTES` */
export function variableOf(name: string): string {
  return `STOMPBOX_BROKER_${words(name).join('_').toUpperCase()}`;
}

/** As commander names what a flag has given. */
function propertyOf(name: string): string {
  return flagName(name).replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
}

function limit(text: string, before: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const [, name, value] = /^([A-Za-z]+)=(.+)$/.exec(text) ?? [];
  if (name === undefined || value === undefined) {
    throw new InvalidArgumentError('A limit is written name=value, such as maxBodyBytes=16MiB.');
  }
  return { ...before, [name]: value };
}

export interface SettingFlags extends Readonly<Record<string, unknown>> {
  readonly memory?: boolean;
  readonly limit?: Readonly<Record<string, string>>;
}

export function settingOptions(command: Command): Command {
  for (const { name, type, say, default: standard } of FLAGS) {
    const flag = `--${flagName(name)}`;
    const shown = standard === undefined || standard === false ? '' : ` (default: ${String(standard)})`;
    const sentence = `${say.replaceAll('`', '').replace(/\.$/, '')}${shown}`;
    if (type === 'boolean') command.option(flag, sentence);
    else if (type === 'urls' || type === 'origins') command.option(`${flag} <${type}>`, sentence, several);
    else command.option(`${flag} <${type === 'directory' ? 'folder' : type === 'choice' ? 'choice' : type}>`, sentence);
  }
  return command
    .option('-m, --memory', 'keep messages in memory only; the same as --data false')
    .option('--limit <name=value>', 'a limit of docs/configuration.md; may be repeated', limit);
}

/** What flags say, and where they say nothing, the environment. Throws WrongUsage. */
export function givenSettings(
  flags: SettingFlags,
  env: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, GivenValue>> {
  if (flags.memory && flags.data !== undefined) throw new WrongUsage('--memory and --data contradict each other');
  const all: Record<string, GivenValue> = {};
  for (const setting of GIVEN) {
    const text = env[variableOf(setting.name)];
    if (text !== undefined) all[setting.name] = asGiven(setting, text);
    const flag = flags[propertyOf(setting.name)];
    if (typeof flag === 'boolean') all[setting.name] = flag;
    else if (typeof flag === 'string') all[setting.name] = asGiven(setting, flag);
    else if (Array.isArray(flag)) all[setting.name] = listOf(flag.map(String));
  }
  for (const [name, value] of Object.entries(flags.limit ?? {})) {
    const setting = SETTINGS.find((one) => one.name === LIMIT + name);
    all[LIMIT + name] = setting === undefined ? value : asGiven(setting, value);
  }
  if (flags.memory) all.data = false;
  return all;
}

function listOf(texts: readonly string[]): GivenValue {
  const [only, ...more] = texts;
  return only !== undefined && more.length === 0 ? only : texts;
}

/** The text as the value it would be in the file. What does not fit is the broker's to refuse, in its words. */
function asGiven({ type }: Setting, text: string): GivenValue {
  switch (type) {
    case 'integer':
      return /^\d+$/.test(text) ? Number(text) : text;
    case 'boolean':
    case 'choice':
    case 'directory':
      return text === 'true' ? true : text === 'false' ? false : text;
    case 'urls':
    case 'origins':
      return listOf(text.split(/[\s,]+/).filter((one) => one !== ''));
    default:
      return text;
  }
}
