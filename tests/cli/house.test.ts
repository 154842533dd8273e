// What holds for every verb: words, flags, help, warnings, exit codes, and how output ends.

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { passcodes } from '@stompbox/broker';
import { AuthenticationError, TimeoutError } from '@stompbox/client';
import { TransportError } from '@stompbox/transport';
import { ManualClock } from 'testkit';
import { afterAll, describe, expect, test } from 'vitest';
import { json, printable, printableLines } from '../../packages/cli/src/escape.ts';
import { EXIT, exitCodeOf, PartlyDone, WrongUsage } from '../../packages/cli/src/exit-codes.ts';
import { interruption, type StopSignal } from '../../packages/cli/src/interrupt.ts';
import { safeName } from '../../packages/cli/src/saving.ts';
import { duration, header, isUrl } from '../../packages/cli/src/values.ts';
import { cli, stage, start } from './support.ts';

const folder = mkdtempSync(join(tmpdir(), 'stompbox-cli-'));
afterAll(() => rmSync(folder, { recursive: true }));

const VERBS = [
  'broker',
  'passwd',
  'send',
  'listen',
  'request',
  'respond',
  'browse',
  'move',
  'drain',
  'replay',
  'completion',
  'man',
  'demo',
];

describe('words and help', () => {
  test('--help lists every verb and every exit code', async () => {
    const { code, out } = await cli(['--help']);
    expect(code).toBe(0);
    for (const verb of VERBS) expect(out).toContain(`  ${verb} `);
    for (const number of Object.values(EXIT)) expect(out).toContain(`\n  ${number} `);
  });

  test.for(VERBS)('%s --help has examples of that verb', async (verb) => {
    const { code, out } = await cli([verb, '--help']);
    expect(code).toBe(0);
    expect(out.slice(out.indexOf('Examples:'))).toContain(`stompbox ${verb}`);
  });

  test.for([
    [['nonsense'], "unknown command 'nonsense'"],
    [['send'], "missing required argument 'words'"],
    [['send', '--colour', '/queue/a', 'hi'], "unknown option '--colour'"],
    [['listen', '--count', 'many', '/queue/a'], 'a whole number from 1 up'],
    [['listen', '--timeout', 'soon', '/queue/a'], 'such as 500ms or 2min'],
    [['send', '-H', 'tenant', '/queue/a', 'hi'], 'written name:value'],
    [['send', '--url', 'http://a', '/queue/a', 'hi'], 'scheme "http:" is none of'],
  ] as const)('%j is wrong usage, and says why', async ([args, why]) => {
    const { code, out, err } = await cli(args);
    expect({ code, out }).toEqual({ code: EXIT.usage, out: '' });
    expect(err).toContain(why);
  });
});

describe('values', () => {
  test('a time without a unit is in seconds', () => {
    expect(['2', '500ms', '1.5s', '2min', '1h'].map(duration)).toEqual([2_000, 500, 1_500, 120_000, 3_600_000]);
  });
  test('a header keeps its colons and blanks, and cannot be given twice', () => {
    expect(header('url: http://a')).toEqual({ url: ' http://a' });
    expect(() => header('a:2', { a: '1' })).toThrow('twice');
  });
  test('a URL is told from a destination', () => {
    expect(['stomp://a', 'failover:(tcp://a)', 'WSS://a/b', 'stmp://a'].every(isUrl)).toBe(true);
    expect(['/queue/a', 'queue:a', 'orders', 'a::b'].some(isUrl)).toBe(false);
  });
});

describe('what others wrote cannot speak to a terminal (M-160)', () => {
  const evil = 'a\u001b[2Jb\rc\u202ed\u009be\ud800f\u200bg';
  test('it is escaped, in one line or several', () => {
    expect(printable(`${evil}\n`)).toBe('a\\e[2Jb\\rc\\u202ed\\u009be\\ud800f\\u200bg\\n');
    expect(printableLines('a\n\tb\u0007')).toBe('a\n\tb\\u0007');
  });
  test('as JSON it stays the same value', () => {
    const line = json({ evil });
    expect(JSON.parse(line)).toEqual({ evil });
    expect(line).toMatch(/^[\x20-\x7e]+$/);
  });
  test('plain text of any script is left alone', () => {
    expect(printableLines('Grüße, 世界 🎉')).toBe('Grüße, 世界 🎉');
  });
});

describe('names of files (M-160)', () => {
  test.for([
    ['../../etc/passwd', 'passwd'],
    ['C:\\windows\\system.ini', 'system.ini'],
    ['/etc/shadow', 'shadow'],
    ['..', 'message'],
    ['.bashrc', 'bashrc'],
    ['-rf', 'rf'],
    ['a\u0000b\u001b[m', 'a_b__m'],
    ['aux.txt', '_aux.txt'],
    ['Grüße 2.txt', 'Grüße 2.txt'],
    ['', 'message'],
  ])('%j becomes %j', ([wish, name]) => {
    expect(safeName(wish ?? '')).toBe(name);
  });
  test('a long one is cut and keeps its ending', () => {
    expect(safeName(`${'x'.repeat(300)}.json`)).toMatch(/^x{95}\.json$/);
  });
});

describe('exit codes', () => {
  test('every error has its number', () => {
    const stack = (error: Error, cause: unknown) => Object.assign(error, { cause });
    expect(exitCodeOf(new WrongUsage('x'))).toBe(2);
    expect(exitCodeOf(new TransportError('bad-url', 'x'))).toBe(2);
    expect(exitCodeOf(new TransportError('refused', 'x'))).toBe(3);
    expect(exitCodeOf(new TimeoutError('x', 1))).toBe(4);
    expect(exitCodeOf(stack(new AuthenticationError({ transport: 'tcp', host: 'h', port: 1 }, 'no'), 'no'))).toBe(5);
    expect(exitCodeOf(Object.assign(new Error('x'), { code: 'ENOENT', syscall: 'open' }))).toBe(6);
    expect(exitCodeOf(new PartlyDone('x'))).toBe(1);
    expect(exitCodeOf(new PartlyDone('x', { cause: new TimeoutError('x', 1) }))).toBe(4);
    expect(exitCodeOf(new TypeError('x'))).toBe(70);
  });

  test('nobody there is 3, with what to do about it', async () => {
    const dial = () => Promise.reject(new TransportError('refused', 'nobody listens on 127.0.0.1:61613'));
    const { code, err } = await cli(['send', '/queue/a', 'hi'], { dial });
    expect(code).toBe(EXIT.connection);
    expect(err).toContain('nobody listens');
    expect(err).toContain('"stompbox broker" starts one');
  });

  test('a broker that does not answer CONNECT is 3', async () => {
    await using here = await stage();
    const { memoryPair } = await import('@stompbox/transport');
    const { code } = await here.run(['send', '--connect-timeout', '20ms', '/queue/a', 'hi'], {
      dial: () => Promise.resolve(memoryPair().a),
    });
    expect(code).toBe(EXIT.connection);
  });
});

describe('logins', () => {
  const closed = { authenticate: passcodes({ app: 's3cret' }) };
  const file = join(folder, 'passcode');
  writeFileSync(file, 's3cret\n');

  test('a refused one is 5, and names the ways to give a better one', async () => {
    await using here = await stage(closed);
    const { code, err } = await here.run(['send', '--login', 'app', '/queue/a', 'hi'], {
      env: { STOMPBOX_PASSCODE: 'wrong-s3cret' },
    });
    expect(code).toBe(EXIT.login);
    expect(err).toContain('--passcode-file');
    expect(err).not.toContain('wrong-s3cret');
  });

  test.for([
    ['the environment', ['--login', 'app'], { STOMPBOX_PASSCODE: 's3cret' }],
    ['the environment, the login too', [], { STOMPBOX_LOGIN: 'app', STOMPBOX_PASSCODE: 's3cret' }],
    ['a file', ['--login', 'app', '--passcode-file', file], {}],
    ['a URL of the environment', [], { STOMPBOX_URL: 'stomp://app:s3cret@broker' }],
  ] as const)('the passcode from %s is not warned about', async ([, args, env]) => {
    await using here = await stage(closed);
    const { code, err } = await here.run(['send', ...args, '/queue/a', 'hi'], { env });
    expect({ code, err }).toEqual({ code: 0, err: '' });
  });

  test.for([
    ['a flag', ['--login', 'app', '--passcode', 's3cret', '/queue/a', 'hi']],
    ['a URL among the words', ['stomp://app:s3cret@broker', '/queue/a', 'hi']],
    ['a URL behind --url', ['--url', 'stomp://app:s3cret@broker', '/queue/a', 'hi']],
  ] as const)('the passcode in %s works and is warned about, without being told (M-163)', async ([, args]) => {
    await using here = await stage(closed);
    const { code, out, err } = await here.run(['send', '--debug', ...args]);
    expect(code).toBe(0);
    expect(err).toContain('can be read by everybody on this machine');
    expect(err).toContain('>>> CONNECT');
    expect(out + err).not.toContain('s3cret');
  });

  test('at a terminal it is asked for, and not shown', async () => {
    await using here = await stage(closed);
    const running = here.start(['send', 'stomp://app@broker', '/queue/a', 'hi'], { terminals: ['stdin', 'stderr'] });
    await running.says('Passcode of app: ');
    running.stdin.write('s3crex\u007ft\r');
    const { code, err } = await running.ended;
    expect({ code, err }).toEqual({ code: 0, err: 'Passcode of app: \n' });
  });

  test('Ctrl-C at the prompt is 130, and nothing was said to the broker', async () => {
    await using here = await stage(closed);
    const running = here.start(['send', 'stomp://app@broker', '/queue/a', 'hi'], { terminals: ['stdin', 'stderr'] });
    await running.says('Passcode of app: ');
    running.stdin.write('\u0003');
    expect((await running.ended).code).toBe(EXIT.interrupted);
    expect(here.broker.stats().connections).toBe(0);
  });
});

describe('signals (M-162)', () => {
  function signals() {
    const heard = new Map<StopSignal, () => void>();
    const clock = new ManualClock();
    const exits: number[] = [];
    const on = (signal: StopSignal, listener: () => void) => heard.set(signal, listener);
    const signal = interruption({ on }, (code) => exits.push(code), clock.now);
    return { signal, exits, clock, send: (name: StopSignal) => heard.get(name)?.() };
  }

  test('the first ends in order, the second at once', async () => {
    const { signal, exits, clock, send } = signals();
    send('SIGINT');
    expect([signal.aborted, exits]).toEqual([true, []]);
    await clock.advance(1_001);
    send('SIGINT');
    expect(exits).toEqual([130]);
  });
  test('two Ctrl-C within a second are one, which npm passed on', () => {
    const { exits, send } = signals();
    send('SIGINT');
    send('SIGINT');
    expect(exits).toEqual([]);
  });
  test('SIGTERM behind a Ctrl-C is at once', () => {
    const { exits, send } = signals();
    send('SIGINT');
    send('SIGTERM');
    expect(exits).toEqual([143]);
  });
});

describe('passwd', () => {
  const file = join(folder, 'users');
  test('adds, changes, lists and removes; the passcode comes from standard input and is kept as a hash', async () => {
    expect((await cli(['passwd', file, 'ann', '--groups', 'ops,staff'], { stdin: 'first\n' })).code).toBe(0);
    expect((await cli(['passwd', file, 'bob'], { stdin: 'second' })).code).toBe(0);
    const before = readFileSync(file, 'utf8');
    expect(before).not.toMatch(/first|second/);
    expect((await cli(['passwd', file, 'ann'], { stdin: 'third\n' })).code).toBe(0);
    expect(readFileSync(file, 'utf8')).not.toBe(before);
    expect((await cli(['passwd', file, '--list'])).out).toBe('ann  ops, staff\nbob\n');
    expect((await cli(['passwd', file, '--list', '--json'])).out).toBe(
      '{"login":"ann","groups":["ops","staff"]}\n{"login":"bob","groups":[]}\n',
    );
    expect((await cli(['passwd', file, '--remove', 'ann'])).code).toBe(0);
    expect((await cli(['passwd', file, '--remove', 'ann'])).code).toBe(EXIT.refused);
    expect((await cli(['passwd', file, '--list'])).out).toBe('bob\n');
  });
  test('at a terminal it asks twice, and two that differ change nothing', async () => {
    const other = join(folder, 'other-users');
    const running = start(['passwd', other, 'ann'], { terminals: ['stdin', 'stderr'] });
    await running.says('New passcode of ann: ');
    running.stdin.write('one\r');
    await running.says('Once more: ');
    running.stdin.write('two\r');
    expect((await running.ended).code).toBe(EXIT.usage);
    expect(existsSync(other)).toBe(false);
  });
  test('an empty passcode, and a login that cannot be written, are refused', async () => {
    expect((await cli(['passwd', file, 'ann'], { stdin: '\n' })).code).toBe(EXIT.usage);
    expect((await cli(['passwd', file, 'a:b'], { stdin: 'x\n' })).code).toBe(EXIT.usage);
  });
});

describe('broker', () => {
  test('listens, says where and how to connect, and ends in order', async () => {
    const running = start(['broker', '--memory', '--listen', 'tcp://127.0.0.1:0']);
    await running.says('Ctrl-C stops it.');
    running.interrupt();
    const { code, out } = await running.ended;
    expect(code).toBe(0);
    expect(out).toMatch(/messages in memory only\n {2}stomp:\/\/127\.0\.0\.1:\d+\n/);
    expect(out).toMatch(/stompbox listen stomp:\/\/127\.0\.0\.1:\d+ \/queue\/hello/);
  });

  test('flags win over the environment, and that over the file', async () => {
    const config = join(folder, 'stompbox.yaml');
    writeFileSync(config, 'listen: tcp://127.0.0.1:1\ndata: kept\nlimits:\n  maxBodyBytes: 1KiB\n');
    const check = (args: readonly string[], env: Record<string, string>) =>
      cli(['broker', '--check', '--json', ...args], { env: { STOMPBOX_CONFIG: config, ...env } });
    const said = async (...all: Parameters<typeof check>) => JSON.parse((await check(...all)).out);
    expect(await said([], {})).toEqual({ ok: true, listen: ['tcp://127.0.0.1:1'], data: join(folder, 'kept') });
    const env = { STOMPBOX_BROKER_LISTEN: 'tcp://127.0.0.1:2, ws://127.0.0.1:3', STOMPBOX_BROKER_DATA: 'false' };
    expect(await said([], env)).toEqual({ ok: true, listen: ['tcp://127.0.0.1:2', 'ws://127.0.0.1:3'], data: false });
    expect(await said(['--listen', 'tcp://127.0.0.1:4', '--data', 'here'], env)).toEqual({
      ok: true,
      listen: ['tcp://127.0.0.1:4'],
      data: join(process.cwd(), 'here'),
    });
  });

  test('--check names every problem, with its line where it has one, and is 2', async () => {
    const config = join(folder, 'wrong.yaml');
    writeFileSync(config, 'lisen: tcp://127.0.0.1:1\n\nopen: perhaps\n');
    const { code, err } = await cli([
      'broker',
      '--check',
      '-c',
      config,
      '--limit',
      'maxBodyByte=1',
      '--when-full',
      'cry',
    ]);
    expect(code).toBe(EXIT.usage);
    expect(err).toContain(`${config}:1: there is no "lisen"; did you mean "listen"?`);
    expect(err).toContain(`${config}:3: open takes true or false`);
    expect(err).toContain('there is no "limits.maxBodyByte"; did you mean "limits.maxBodyBytes"?');
    expect(err).toContain('whenFull takes one of refuse, wait, drop-oldest');
  });

  test('an address that anybody can reach wants users', async () => {
    const { code, err } = await cli(['broker', '--check', '--listen', 'tcp://0.0.0.0:61613']);
    expect(code).toBe(EXIT.usage);
    expect(err).toContain('give users or certificates');
  });

  test('says where it listens as JSON; a port that is taken is 6', async () => {
    const args = ['broker', '--memory', '--json', '--quiet', '--listen'];
    const running = start([...args, 'tcp://127.0.0.1:0']);
    await running.says('"listening"');
    const squatter = createServer();
    await new Promise<void>((resolve) => squatter.listen(0, '127.0.0.1', resolve));
    const address = squatter.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    const second = await cli([...args, `tcp://127.0.0.1:${port}`]);
    squatter.close();
    expect(second).toMatchObject({ code: EXIT.system, out: '' });
    expect(second.err).toContain('takes a free port');
    running.interrupt();
    const { code, out } = await running.ended;
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ event: 'listening', data: false });
  });

  test('SIGHUP reads the configuration again; one that is wrong changes nothing', async () => {
    const config = join(folder, 'reload.yaml');
    const users = join(folder, 'reload-users');
    writeFileSync(config, `listen: tcp://127.0.0.1:0\ndata: false\nusers: ${users}\n`);
    await cli(['passwd', users, 'ann'], { stdin: 'one\n' });
    let hangUp = (): void => {};
    const running = start(['broker', '-c', config], {
      onHangUp: (heard) => {
        hangUp = heard;
      },
    });
    await running.says('Ctrl-C stops it.');
    writeFileSync(config, 'listen: perhaps\n');
    hangUp();
    await running.says('nothing was reloaded');
    writeFileSync(config, `listen: tcp://127.0.0.1:0\ndata: false\nusers: ${users}\n`);
    hangUp();
    await running.says('configuration-reloaded');
    running.interrupt();
    expect((await running.ended).code).toBe(0);
  });
});
