// The configuration file: YAML -> checked values -> what `createBroker` takes.
//
// `settings.ts` says which keys there are. Everything that is wrong is told at once, each with its line; a key that does
// not exist is refused with the one that was probably meant. Paths are relative to the file. Anchors, aliases and tags
// have no place in it. No value of the file is quoted except where it names a key, a choice, a URL or a rule.

import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { quote } from '@stompbox/protocol';
import { parseEndpoint } from '@stompbox/transport';
import type { ListenOptions } from '@stompbox/transport/node';
import {
  Document,
  isAlias,
  isCollection,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  visit,
} from 'yaml';
import { type Authenticate, isOpenDoor, VERBS, type Verb } from './access.ts';
import { FileError, type Problem, reasonOf } from './file-error.ts';
import { nearest } from './nearest.ts';
import type { BrokerOptions } from './options.ts';
import { authorizeBy, type Rule, wrongRule } from './rules.ts';
import { type Configuration, SECTIONS, type Section, type Setting, type Unit } from './settings.ts';
import { certificates, either, type UsersFile, usersFile } from './users.ts';

export type { Configuration } from './settings.ts';

/** A configuration, and what follows from it. */
export interface LoadedConfiguration {
  readonly configuration: Configuration;
  /** For `createBroker`, and after a change for `broker.reload`. Whoever owns the output adds `log`. */
  readonly options: BrokerOptions;
  /** For `reload`, where there is a file of users. */
  readonly users: UsersFile | undefined;
}

const MAX_BYTES = 1024 * 1024;

/** A value as it would stand in the file. */
export type GivenValue = string | number | boolean | readonly string[];

export interface ReadConfigOptions {
  /** Hears sentences about what works and should not be so; the broker's log is told of them, too. */
  readonly onWarning?: (sentence: string) => void;
  /** Settings by their names (`tls.cert`), which win over the file; paths in them are relative to the working directory. */
  readonly settings?: Readonly<Record<string, GivenValue>>;
}

const NO_FILE = 'the settings';

/**
 * Reads a configuration file and the files it names; without a path, only the settings given, and the defaults. Rejects with
 * FileError: everything that is wrong, with its line.
 */
export async function readConfig(
  file: string | undefined,
  options: ReadConfigOptions = {},
): Promise<LoadedConfiguration> {
  const path = file ?? NO_FILE;
  const read = file === undefined ? Promise.resolve('') : readFile(file, 'utf8');
  const text = await read.catch((cause: unknown) => {
    const sentence = `the configuration cannot be read: ${reasonOf(cause)}`;
    throw new FileError(path, [{ line: undefined, sentence }], { cause });
  });
  const { configuration, lineOf } = parse(text, path, options.settings);
  const at = (name: string) => (cause: unknown) => {
    if (cause instanceof FileError && cause.path !== path) throw cause; // of the users; it says where
    throw new FileError(path, [{ line: lineOf(name), sentence: `${name}: ${reasonOf(cause)}` }], { cause });
  };
  const tls = await readTls(configuration, at);
  const warnings: string[] = [];
  const onWarning = (sentence: string) => {
    warnings.push(sentence);
    options.onWarning?.(sentence);
  };
  const users =
    configuration.users === undefined
      ? undefined
      : await usersFile(configuration.users, { onWarning }).catch(at('users'));
  return { configuration, options: { ...brokerOptions(configuration, tls, users), warnings }, users };
}

/**
 * Reads a configuration from its text, and no other file. `path` is for messages, and relative paths begin in its folder.
 * Throws FileError.
 */
export function parseConfig(text: string, path: string): Configuration {
  return parse(text, path).configuration;
}

/** Reads the PEM files; undefined where there are none. Call it again when they have changed. Rejects with what reading a file rejects with. */
export async function readTls(
  { tls }: Configuration,
  failed: (name: string) => (cause: unknown) => never = () => (cause) => {
    throw cause;
  },
): Promise<ListenOptions['tls']> {
  const [cert, key, ca] = await Promise.all(
    (['cert', 'key', 'ca'] as const).map((name) => {
      const file = tls[name];
      return file === undefined ? undefined : readFile(file, 'utf8').catch(failed(`tls.${name}`));
    }),
  );
  if (cert === undefined || key === undefined) return undefined;
  const { requestClientCertificate } = tls;
  return { cert, key, ...(ca !== undefined && { ca }), requestClientCertificate };
}

function brokerOptions(
  configuration: Configuration,
  tls: ListenOptions['tls'],
  users: UsersFile | undefined,
): BrokerOptions {
  const { listen, open, server, requireHost, webSocket, rules, limits, data, whenFull, deadLetters, log } =
    configuration;
  const doors: Authenticate[] = [];
  if (configuration.certificates !== undefined) doors.push(certificates(configuration.certificates));
  if (users !== undefined) doors.push(users.authenticate);
  const [door, ...more] = doors;
  return {
    listen,
    open,
    requireHost,
    webSocket,
    limits,
    whenFull,
    deadLetterPrefix: deadLetters.prefix,
    logLevel: log.level,
    ...(data !== false && { data }),
    ...(server !== undefined && { server: server === '' ? false : server }),
    ...(tls && { tls }),
    ...(door && { authenticate: more.length > 0 ? either(door, ...more) : door }),
    ...(rules && { authorize: authorizeBy(rules) }),
  };
}

// ----------------------------------------------------------------------------------------------------- text -> settings

interface Parsed {
  readonly configuration: Configuration;
  /** The line of a setting, or of the section it would be in. */
  lineOf(name: string): number | undefined;
}

function parse(text: string, path: string, given: Readonly<Record<string, GivenValue>> = {}): Parsed {
  const reader = new Reader(text, path, given);
  const configuration = reader.read();
  return { configuration, lineOf: (name) => reader.lineOf(name) };
}

/** The value was not one; the sentence says why, without the name. */
class Unfit extends Error {}

class Reader {
  readonly #path: string;
  readonly #text: string;
  readonly #counter = new LineCounter();
  readonly #problems: Problem[] = [];
  readonly #values = new Map<string, unknown>();
  readonly #lines = new Map<string, number | undefined>();
  readonly #given: Readonly<Record<string, GivenValue>>;
  #isGiven = false; // what is read now stands in no file

  constructor(text: string, path: string, given: Readonly<Record<string, GivenValue>>) {
    this.#text = text;
    this.#path = path;
    this.#given = given;
  }

  lineOf(name: string): number | undefined {
    if (this.#lines.has(name)) return this.#lines.get(name);
    return this.#lines.get(name.replace(/\..*/s, ''));
  }

  read(): Configuration {
    this.#readFile();
    this.#isGiven = true;
    for (const [name, value] of Object.entries(this.#given)) {
      this.#readSetting(name, new Document(value).contents, undefined);
    }
    this.#isGiven = false;
    this.#checkTogether();
    if (this.#problems.length > 0) {
      const inOrder = [...this.#problems].sort((a, b) => (a.line ?? 0) - (b.line ?? 0));
      throw new FileError(this.#path, inOrder);
    }
    const all: Record<string, unknown> = {};
    for (const { name, settings } of SECTIONS) {
      const values = Object.fromEntries(settings.map((one) => [lastWord(one.name), this.#valueOf(one)]));
      if (name === '') Object.assign(all, values);
      else all[name] = Object.freeze(values);
    }
    // The one place that says so: the table has made every value what its type says.
    return Object.freeze(all) as unknown as Configuration;
  }

  #valueOf({ name, type, default: standard }: Setting): unknown {
    if (this.#values.has(name)) return this.#values.get(name);
    return type === 'directory' && typeof standard === 'string' ? this.#absolute(standard) : standard;
  }

  #readFile(): void {
    if (this.#text.length > MAX_BYTES) {
      this.#problem(undefined, 'it is larger than 1 MiB');
      return;
    }
    const options = { lineCounter: this.#counter, prettyErrors: false, stringKeys: false, schema: 'core' } as const;
    const document = parseDocument(this.#text, options);
    for (const { message, pos } of document.errors) this.#problem(this.#lineAt(pos[0]), `this is no YAML: ${message}`);
    if (document.errors.length > 0) return;
    // Before anything is resolved: an alias can stand for a billion of things.
    visit(document, {
      Node: (_, node) => {
        if (isAlias(node)) this.#problem(this.#lineIn(node), 'aliases (*name) have no place in a configuration');
        else if (node.tag !== undefined && !node.tag.startsWith('tag:yaml.org,2002:')) {
          this.#problem(this.#lineIn(node), `the tag ${quote(node.tag)} has no place in a configuration`);
        }
      },
    });
    if (this.#problems.length > 0) return;
    const { contents } = document;
    if (contents === null || (isScalar(contents) && contents.value === null)) return; // all defaults
    this.#readKeys(contents, 'the configuration', (key, value, line) => {
      const section = SECTIONS.find(({ name }) => name === key && name !== '');
      if (section === undefined) this.#readSetting(key, value, line);
      else this.#readSection(section, value, line);
    });
  }

  #readSection(section: Section, node: Node | null, line: number | undefined): void {
    this.#lines.set(section.name, line);
    if (node === null || (isScalar(node) && node.value === null)) return;
    this.#readKeys(node, section.name, (key, value, at) => this.#readSetting(`${section.name}.${key}`, value, at));
  }

  #readSetting(name: string, node: Node | null, line: number | undefined): void {
    const setting = SECTIONS.flatMap(({ settings }) => settings).find((one) => one.name === name);
    if (setting === undefined) {
      this.#problem(line, `there is no ${quote(name)}${suggestion(name)}`);
      return;
    }
    this.#lines.set(name, line);
    try {
      this.#values.set(name, this.#value(setting, node));
    } catch (error) {
      if (!(error instanceof Unfit)) throw error;
      this.#problem(node === null ? line : this.#lineIn(node), `${name} ${error.message}`);
    }
  }

  #readKeys(node: Node, what: string, each: (key: string, value: Node | null, line: number | undefined) => void): void {
    if (!isMap(node)) {
      this.#problem(this.#lineIn(node), `${what} takes keys with values, \`key: value\``);
      return;
    }
    for (const { key, value } of node.items) {
      const line = this.#lineIn(key as Node);
      if (!isScalar(key) || typeof key.value !== 'string') this.#problem(line, 'a key is a plain word');
      else each(key.value, value as Node | null, line);
    }
  }

  // --- values

  #value(setting: Setting, node: Node | null): unknown {
    if (node === null || (isScalar(node) && node.value === null)) throw new Unfit('has no value');
    switch (setting.type) {
      case 'boolean': {
        const value = scalar(node);
        if (typeof value !== 'boolean') throw new Unfit('takes true or false');
        return value;
      }
      case 'integer':
        return integer(setting, scalar(node));
      case 'text':
        return textOf(node, 'takes a text');
      case 'file':
        return this.#absolute(pathOf(node, 'takes the path of a file'));
      case 'directory':
        return scalar(node) === false ? false : this.#absolute(pathOf(node, 'takes the path of a directory, or false'));
      case 'choice':
        return choice(setting.choices ?? [], scalar(node));
      case 'urls':
        return this.#urls(node);
      case 'origins':
        return origins(node);
      case 'logins':
        return this.#logins(node);
      case 'rules':
        return this.#rules(node);
    }
  }

  #urls(node: Node): readonly string[] {
    const urls: string[] = [];
    for (const item of itemsOf(node)) {
      const url = textOf(item, 'takes a URL or a list of URLs');
      try {
        parseEndpoint(url, 'listen');
        urls.push(url);
        this.#lines.set(`listen ${url}`, this.#lineIn(item));
      } catch (error) {
        this.#problem(this.#lineIn(item), `listen: ${reasonOf(error)}`);
      }
    }
    return Object.freeze(urls);
  }

  #logins(node: Node): Readonly<Record<string, string>> {
    if (!isMap(node)) throw new Unfit('takes common names with logins, `name: login`');
    const logins: [string, string][] = [];
    this.#readKeys(node, 'certificates', (key, value, line) => {
      const login = value === null ? undefined : scalar(value);
      if (typeof login === 'string' && login !== '') logins.push([key, login]);
      else this.#problem(line, `certificates: ${quote(key)} stands for no login; it takes a text`);
    });
    return Object.freeze(Object.fromEntries(logins));
  }

  #rules(node: Node): readonly Rule[] {
    if (!isSeq(node)) throw new Unfit('takes a list of rules, `- { who: …, may: …, destination: … }`');
    const rules: Rule[] = [];
    for (const item of node.items as Node[]) {
      const rule = this.#rule(item);
      if (rule === undefined) continue;
      const wrong = wrongRule(rule);
      if (wrong === undefined) rules.push(rule);
      else this.#problem(this.#lineIn(item), `rules: ${wrong}`);
    }
    return Object.freeze(rules);
  }

  #rule(node: Node): Rule | undefined {
    const before = this.#problems.length;
    const parts = { who: [] as string[], may: [] as string[], mayNot: [] as string[], destination: [] as string[] };
    const names = Object.keys(parts);
    this.#readKeys(node, 'a rule', (key, value, line) => {
      const part = key as keyof typeof parts;
      if (!names.includes(key)) this.#problem(line, `a rule has no ${quote(key)}${didYouMean(nearest(key, names))}`);
      else if (value !== null) {
        try {
          parts[part] = itemsOf(value).map((item) => textOf(item, 'takes a text or a list of texts'));
        } catch (error) {
          if (!(error instanceof Unfit)) throw error;
          this.#problem(line, `rules: ${part} ${error.message}`);
        }
      }
    });
    const isVerb = (verb: string): verb is Verb => VERBS.some((known) => known === verb);
    for (const verb of [...parts.may, ...parts.mayNot].filter((each) => !isVerb(each))) {
      const meant = didYouMean(nearest(verb, VERBS)) || `; there are ${VERBS.join(', ')}`;
      this.#problem(this.#lineIn(node), `rules: ${quote(verb)} is nothing one may do${meant}`);
    }
    if (this.#problems.length > before) return undefined;
    const { who, destination } = parts;
    return { who, may: parts.may.filter(isVerb), mayNot: parts.mayNot.filter(isVerb), destination };
  }

  // --- what only shows when one looks at several

  #checkTogether(): void {
    const has = (name: string) => this.#values.get(name) !== undefined;
    const about = (name: string, sentence: string) => this.#problem(this.lineOf(name), sentence);
    if (has('tls.cert') !== has('tls.key')) about('tls', 'tls.cert and tls.key need each other');
    const asks = this.#values.get('tls.requestClientCertificate') ?? false;
    if (asks !== false && !has('tls.ca')) {
      about('tls.requestClientCertificate', 'tls.requestClientCertificate needs tls.ca, to tell whose to believe');
    }
    if (has('certificates') && asks === false) {
      about('certificates', 'certificates needs tls.requestClientCertificate: true, or optional');
    }
    if (this.#values.get('deadLetters.prefix') === '') about('deadLetters.prefix', 'deadLetters.prefix is empty');
    const listen = (this.#values.get('listen') ?? []) as readonly string[];
    const somebodyIsAsked = has('users') || has('certificates') || this.#values.get('open') === true;
    for (const url of listen) {
      const endpoint = parseEndpoint(url, 'listen');
      if (!somebodyIsAsked && isOpenDoor(endpoint)) {
        const what = `listen: ${url} can be reached from outside and anybody could come in`;
        about(`listen ${url}`, `${what}: give users or certificates, listen on 127.0.0.1, or say open: true`);
      }
      const isSecure = endpoint.transport === 'tls' || (endpoint.transport === 'websocket' && endpoint.secure);
      if (isSecure && !has('tls.cert') && !has('tls.key')) {
        about(`listen ${url}`, `listen: ${url} needs tls.cert and tls.key`);
      }
    }
  }

  #absolute(path: string): string {
    return this.#isGiven ? resolve(path) : resolve(dirname(this.#path), path);
  }

  #lineAt(offset: number): number {
    return this.#counter.linePos(offset).line;
  }

  #lineIn(node: Node): number | undefined {
    if (this.#isGiven) return undefined;
    return this.#lineAt(node.range?.[0] ?? 0);
  }

  #problem(line: number | undefined, sentence: string): void {
    this.#problems.push({ line, sentence });
  }
}

function lastWord(name: string): string {
  return name.slice(name.indexOf('.') + 1);
}

function suggestion(name: string): string {
  const names = SECTIONS.flatMap((section) => [section.name, ...section.settings.map((one) => one.name)]);
  const known = names.filter((one) => one !== '');
  // A word in the wrong section, or in none.
  const byWord = new Map(known.map((one) => [lastWord(one), one]));
  const word = nearest(lastWord(name), byWord.keys());
  return didYouMean(nearest(name, known) ?? (word && byWord.get(word)));
}

function didYouMean(name: string | undefined): string {
  return name === undefined ? '' : `; did you mean ${quote(name)}?`;
}

function scalar(node: Node): unknown {
  return isScalar(node) ? node.value : undefined;
}

function textOf(node: Node, takes: string): string {
  const value = scalar(node);
  if (typeof value === 'string') return value;
  const isPlain = typeof value === 'number' || typeof value === 'boolean';
  throw new Unfit(isPlain ? `${takes}; put it in quotes` : takes);
}

function pathOf(node: Node, takes: string): string {
  const path = textOf(node, takes);
  if (path === '' || path.includes('\0')) throw new Unfit(takes);
  return path;
}

/** The items of a list; a value alone is a list of it. */
function itemsOf(node: Node): readonly Node[] {
  if (isSeq(node)) return node.items as Node[];
  if (isCollection(node)) throw new Unfit('takes a text or a list of texts');
  return [node];
}

function choice(choices: readonly (string | boolean)[], value: unknown): string | boolean {
  const found = choices.find((one) => one === value);
  if (found !== undefined) return found;
  const names = choices.filter((one) => typeof one === 'string');
  const meant = typeof value === 'string' ? didYouMean(nearest(value, names)) : '';
  throw new Unfit(`takes one of ${choices.join(', ')}${meant}`);
}

function origins(node: Node): 'same' | 'any' | readonly string[] {
  const value = scalar(node);
  if (value === 'same' || value === 'any') return value;
  const takes = 'takes same, any, or a list of origins such as https://app.example';
  const list = itemsOf(node).map((item) => textOf(item, takes));
  const isOrigin = (text: string) => URL.canParse(text) && new URL(text).origin === text;
  if (list.length === 0 || !list.every(isOrigin)) throw new Unfit(takes);
  return Object.freeze(list);
}

const UNITS: Record<Unit, Readonly<Record<string, number>>> = {
  ms: { ms: 1, s: 1_000, min: 60_000, h: 3_600_000, d: 86_400_000 },
  bytes: { B: 1, KiB: 1_024, MiB: 1_048_576, GiB: 1_073_741_824, TiB: 1_099_511_627_776 },
};

function integer(setting: Setting, given: unknown): number {
  const { unit, min = 0, max } = setting;
  const [, digits, suffix] = typeof given === 'string' ? (/^(\d{1,16}) ?([A-Za-z]+)$/.exec(given) ?? []) : [];
  const factor = unit && suffix !== undefined && Object.hasOwn(UNITS[unit], suffix) ? UNITS[unit][suffix] : undefined;
  const value = digits !== undefined && factor !== undefined ? Number(digits) * factor : given;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= (max ?? value)) return value;
  throw new Unfit(`takes ${range(setting)}`);
}

/** What an integer setting takes, in words. */
function range({ unit, min = 0, max }: Setting): string {
  const bounds = max === undefined ? `an integer from ${min} on` : `an integer from ${min} to ${max}`;
  if (unit === undefined) return bounds;
  const of = unit === 'ms' ? 'milliseconds' : 'bytes';
  return `${bounds} (${of}, or with one of the units ${Object.keys(UNITS[unit]).join(', ')})`;
}
