// The configuration file: what it gives, what is refused, where, and whether its documentation says the same.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { createBroker } from '../src/broker.ts';
import { parseConfig, readConfig, readTls } from '../src/config.ts';
import { FileError } from '../src/file-error.ts';
import { LIMITS, resolveLimits } from '../src/limits.ts';
import { nearest } from '../src/nearest.ts';
import { SECTIONS, type Section } from '../src/settings.ts';
import { writeUser } from '../src/users.ts';

const folder = mkdtempSync(join(tmpdir(), 'stompbox-config-'));
afterAll(() => rmSync(folder, { recursive: true }));

const parsed = (text: string) => parseConfig(text, '/etc/stompbox/c.yaml');

function complaints(text: string): readonly string[] {
  try {
    parsed(text);
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    return error.message.split('\n').map((line) => line.replace('/etc/stompbox/c.yaml:', ''));
  }
  return [];
}

describe('what it gives', () => {
  test.each(['', '# nothing\n', '---\n', '{}', 'tls:\nlimits:\n', '\ufefflog: {}'])('%j is all defaults', (text) => {
    const configuration = parsed(text);
    expect(configuration).toMatchObject({
      listen: ['tcp://127.0.0.1:61613'],
      open: false,
      tls: { requestClientCertificate: false },
      webSocket: { path: '/stomp', origins: 'same' },
      data: '/etc/stompbox/stompbox-data',
      whenFull: 'refuse',
      deadLetters: { prefix: 'dlq.' },
      log: { level: 'info' },
    });
    expect(configuration.limits).toEqual(resolveLimits());
    expect(configuration.users).toBeUndefined();
    expect(Object.isFrozen(configuration) && Object.isFrozen(configuration.limits)).toBe(true);
  });
  test('everything at once', () => {
    const configuration = parsed(`
listen:
  - tcp://0.0.0.0:61613
  - stomp+ssl://0.0.0.0:61614
open: true
server: ''
tls: { cert: a.pem, key: /k.pem, ca: ../ca.pem, requestClientCertificate: optional }
webSocket: { path: /ws, origins: [https://app.example], compress: true }
users: users
certificates: { worker.example: app }
rules:
  - { who: app, may: send, destination: /queue/a }
  - who: ['@ops', ann]
    may: [subscribe, manage]
    mayNot: [send]
    destination: ['>']
data: false
whenFull: drop-oldest
deadLetters: { prefix: dead. }
log: { level: debug }
limits:
  maxConnections: 5
  maxBodyBytes: 16 MiB
  connectTimeoutMs: 5s
  frameTimeoutMs: 1 min
`);
    expect(configuration).toEqual({
      listen: ['tcp://0.0.0.0:61613', 'stomp+ssl://0.0.0.0:61614'],
      open: true,
      server: '',
      requireHost: false,
      tls: { cert: '/etc/stompbox/a.pem', key: '/k.pem', ca: '/etc/ca.pem', requestClientCertificate: 'optional' },
      webSocket: { path: '/ws', origins: ['https://app.example'], compress: true },
      users: '/etc/stompbox/users',
      certificates: { 'worker.example': 'app' },
      rules: [
        { who: ['app'], may: ['send'], mayNot: [], destination: ['/queue/a'] },
        { who: ['@ops', 'ann'], may: ['subscribe', 'manage'], mayNot: ['send'], destination: ['>'] },
      ],
      data: false,
      whenFull: 'drop-oldest',
      deadLetters: { prefix: 'dead.' },
      log: { level: 'debug' },
      limits: resolveLimits({
        maxConnections: 5,
        maxBodyBytes: 16_777_216,
        connectTimeoutMs: 5_000,
        frameTimeoutMs: 60_000,
      }),
    });
  });
  test('every limit is a key, and takes what the limit takes', () => {
    for (const [name, { min }] of Object.entries(LIMITS)) {
      expect(parsed(`limits: { ${name}: ${min} }`).limits).toMatchObject({ [name]: min });
      expect(complaints(`limits: { ${name}: ${min - 1} }`)).toHaveLength(1);
    }
  });
});

describe('what is refused, with its line', () => {
  const rows: readonly (readonly [text: string, ...complaints: string[]])[] = [
    ['lisen: []', '1: there is no "lisen"; did you mean "listen"?'],
    ['\n\nlimits:\n  maxConections: 5', '4: there is no "limits.maxConections"; did you mean "limits.maxConnections"?'],
    ['max-connections: 5', '1: there is no "max-connections"; did you mean "limits.maxConnections"?'],
    ['maxBodyBytes: 5', '1: there is no "maxBodyBytes"; did you mean "limits.maxBodyBytes"?'],
    ['tls: { prefix: x }', '1: there is no "tls.prefix"; did you mean "deadLetters.prefix"?'],
    ['xyzzy: 5', '1: there is no "xyzzy"'],
    ['__proto__: 5', '1: there is no "__proto__"'],
    ['open: yes', '1: open takes true or false'],
    ['open:', '1: open has no value'],
    ['open: [true]', '1: open takes true or false'],
    ['limits: { maxQueues: 1.5 }', '1: limits.maxQueues takes an integer from 1 on'],
    ['limits: { maxQueues: 5s }', '1: limits.maxQueues takes an integer from 1 on'],
    ["deadLetters: { prefix: '' }", '1: deadLetters.prefix is empty'],
    [
      'open: false\nlisten:\n  - tcp://127.0.0.1:0\n  - tcp://0.0.0.0:61613',
      '4: listen: tcp://0.0.0.0:61613 can be reached from outside and anybody could come in: give users or certificates, listen on 127.0.0.1, or say open: true',
    ],
    [
      'limits:\n  lingerMs: 5 parsecs',
      '2: limits.lingerMs takes an integer from 0 on (milliseconds, or with one of the units ms, s, min, h, d)',
    ],
    [
      'limits: { maxBodyBytes: 99999999999TiB }',
      '1: limits.maxBodyBytes takes an integer from 1 on (bytes, or with one of the units B, KiB, MiB, GiB, TiB)',
    ],
    ['whenFull: drop-oldset', '1: whenFull takes one of refuse, wait, drop-oldest; did you mean "drop-oldest"?'],
    ['log: { level: 5 }', '1: log.level takes one of debug, info, warn, error'],
    ['users: 5', '1: users takes the path of a file; put it in quotes'],
    ['data: true', '1: data takes the path of a directory, or false; put it in quotes'],
    ['log: debug', '1: log takes keys with values, `key: value`'],
    ['- a', '1: the configuration takes keys with values, `key: value`'],
    [
      'webSocket: { origins: [app.example] }',
      '1: webSocket.origins takes same, any, or a list of origins such as https://app.example',
    ],
    ['open: true\nopen: true', '2: this is no YAML: Map keys must be unique'],
    ['a: &x 1\nb: *x', '2: aliases (*name) have no place in a configuration'],
    ['open: !env X', '1: the tag "!env" has no place in a configuration'],
    ['tls: { cert: a.pem }', '1: tls.cert and tls.key need each other'],
    [
      'open: true\nlisten:\n  - tcp://0.0.0.0:1\n  - wss://0.0.0.0:2',
      '4: listen: wss://0.0.0.0:2 needs tls.cert and tls.key',
    ],
    [
      'tls:\n  cert: a\n  key: b\n  requestClientCertificate: true',
      '4: tls.requestClientCertificate needs tls.ca, to tell whose to believe',
    ],
    ['certificates: { a: b }', '1: certificates needs tls.requestClientCertificate: true, or optional'],
    ['rules: 5', '1: rules takes a list of rules, `- { who: …, may: …, destination: … }`'],
    ['rules:\n- { who: a, may: send }', '2: rules: a rule needs a `destination`'],
    ['rules:\n- { who: a, may: sned, destination: x }', '2: rules: "sned" is nothing one may do; did you mean "send"?'],
    [
      'rules:\n- { who: a, may: send, destinations: x }',
      '2: a rule has no "destinations"; did you mean "destination"?',
    ],
    [
      "rules:\n- { who: a, may: send, destination: '/queue/>.a' }",
      '2: rules: "/queue/>.a" is no pattern: > may only stand at the end',
    ],
    [
      'rules:\n- { who: 5, may: send, destination: x }',
      '2: rules: who takes a text or a list of texts; put it in quotes',
    ],
    [
      'open: 1\n\nxyzzy: 2\nlimits:\n  maxQueues: -1',
      '1: open takes true or false',
      '3: there is no "xyzzy"',
      '5: limits.maxQueues takes an integer from 1 on',
    ],
  ];
  test.each(rows)('%j', (text, ...expected) => expect(complaints(text).map((line) => line.trim())).toEqual(expected));

  test('a URL nobody can listen on', () => {
    expect(complaints('listen:\n- tcp://127.0.0.1:1\n- gopher://x')[0]).toMatch(/^3: listen: .*gopher/);
  });
  test('a file larger than it can be', () => expect(complaints(`# ${'x'.repeat(1024 * 1024)}`)).toHaveLength(1));
  test('fuzz: any text is a configuration or refused with a FileError, never anything else', () => {
    const word = fc.constantFrom('listen', 'tls', 'cert', 'rules', 'who', 'may', 'send', 'limits', 'true', '5', 'null');
    const mark = fc.constantFrom(
      ':',
      ': ',
      '\n',
      '\n  ',
      '- ',
      '[',
      ']',
      '{',
      '}',
      ',',
      '"',
      "'",
      '|',
      '&a',
      '*a',
      '? ',
      '!!map',
      '\t',
      '#',
    );
    const soup = fc.oneof(
      fc.array(fc.oneof(word, mark), { maxLength: 20 }).map((all) => all.join('')),
      fc.string(),
    );
    fc.assert(
      fc.property(soup, (text) => void complaints(text)),
      { numRuns: 1_000 },
    );
    const json = fc.dictionary(fc.constantFrom(...SECTIONS.flatMap(names)), fc.jsonValue());
    fc.assert(
      fc.property(json, (value) => void complaints(JSON.stringify(value))),
      { numRuns: 500 },
    );
  });
});

function names({ name, settings }: Section): string[] {
  return name === '' ? settings.map((one) => one.name) : [name];
}

describe('readConfig', () => {
  test('gives what createBroker takes, users and rules at work', async () => {
    const path = join(folder, 'c.yaml');
    await writeUser(join(folder, 'users'), 'app', 'secret', { cost: { ln: 4, r: 8, p: 1 }, groups: ['staff'] });
    writeFileSync(
      path,
      "listen: tcp://127.0.0.1:0\nusers: users\nrules: [{ who: '@staff', may: send, destination: /queue/a }]\nlimits: { maxQueues: 7 }\ndata: false",
    );
    const { options, users } = await readConfig(path);
    expect(users?.size).toBe(1);
    const shown = {
      login: 'app',
      passcode: 'secret',
      host: undefined,
      peer: { transport: 'tcp', remote: 'x' },
    } as const;
    const identity = await options.authenticate?.(shown);
    expect(identity).toEqual({ name: 'app', groups: ['staff'] });
    if (identity === undefined) throw new Error('unreachable');
    expect(options.authorize?.(identity, 'send', '/queue/a')).toBe(true);
    expect(options.authorize?.(identity, 'subscribe', '/queue/a')).toBe(false);
    expect(options.limits).toMatchObject({ maxQueues: 7 });
    await using broker = await createBroker(options);
    expect(broker.urls[0]).toMatch(/^stomp:\/\/127\.0\.0\.1:\d+$/);
  });
  test('without users everybody may come in, and so beyond loopback nobody may', async () => {
    const path = join(folder, 'open.yaml');
    writeFileSync(path, 'listen: tcp://0.0.0.0:0');
    await expect(readConfig(path)).rejects.toThrow(`${path}:1: listen: tcp://0.0.0.0:0 can be reached`);
    writeFileSync(path, 'listen: tcp://127.0.0.1:0');
    expect((await readConfig(path)).options.authenticate).toBeUndefined();
  });
  test('a file that it names and that is not there is told with the line that names it', async () => {
    const path = join(folder, 'missing.yaml');
    writeFileSync(path, '\ntls:\n  cert: none.pem\n  key: none.key\n');
    await expect(readConfig(path)).rejects.toThrow(`${path}:3: tls.cert: there is no such file`);
    writeFileSync(path, 'users: nobody');
    await expect(readConfig(path)).rejects.toThrow(`${join(folder, 'nobody')}: the users cannot be read`);
    await expect(readConfig(join(folder, 'no.yaml'))).rejects.toThrow(
      'the configuration cannot be read: there is no such file',
    );
  });
  test('PEM files are read, and can be read again', async () => {
    for (const name of ['cert', 'key', 'ca']) writeFileSync(join(folder, name), name);
    const path = join(folder, 'tls.yaml');
    writeFileSync(
      path,
      'tls: { cert: cert, key: key, ca: ca, requestClientCertificate: true }\ncertificates: { w: app }',
    );
    const { configuration, options } = await readConfig(path);
    expect(options.tls).toEqual({ cert: 'cert', key: 'key', ca: 'ca', requestClientCertificate: true });
    expect(options.authenticate).toBeDefined();
    writeFileSync(join(folder, 'cert'), 'renewed');
    expect(await readTls(configuration)).toMatchObject({ cert: 'renewed' });
  });
});

test('nearest: one is meant, or none', () => {
  const known = ['maxConnections', 'maxConnectionsPerAddress', 'listen', 'tls'];
  expect(nearest('maxConnectoins', known)).toBe('maxConnections');
  expect(nearest('MAX_CONNECTIONS', known)).toBe('maxConnections');
  expect(nearest('tsl', known)).toBe('tls');
  expect(nearest('nothing-like-it', known)).toBeUndefined();
  expect(nearest('', known)).toBeUndefined();
  expect(nearest('x'.repeat(1_000_000), known)).toBeUndefined();
});

test('docs/configuration.md says what the table says (node scripts/configuration.mjs)', async () => {
  const script = new URL('../../../scripts/configuration.mjs', import.meta.url);
  const { render } = (await import(/* @vite-ignore */ script.href)) as { render(sections: readonly Section[]): string };
  expect(readFileSync(new URL('../../../docs/configuration.md', import.meta.url), 'utf8')).toBe(render(SECTIONS));
});

test('the example in docs/configuration.md is a configuration', () => {
  const page = readFileSync(new URL('../../../docs/configuration.md', import.meta.url), 'utf8');
  const [, example = ''] = /```yaml\n(.*?)```/s.exec(page) ?? [];
  expect(parsed(example).rules).toHaveLength(3);
});
