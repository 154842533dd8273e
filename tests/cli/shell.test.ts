// The shell against a broker in memory: its commands from a pipe and a file, its flags, and its prompt.

import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Dial } from '@stompbox/client';
import { type Channel, TransportError } from '@stompbox/transport';
import { afterAll, describe, expect, test } from 'vitest';
import { EXIT } from '../../packages/cli/src/exit-codes.ts';
import { complete } from '../../packages/cli/src/shell/completion.ts';
import { History, historyPath, mayKeep } from '../../packages/cli/src/shell/history.ts';
import { type Running, type Stage, stage } from './support.ts';

const folder = mkdtempSync(join(tmpdir(), 'stompbox-shell-'));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const script = (here: Stage, ...lines: string[]) => here.run(['shell'], { stdin: `${lines.join('\n')}\n` });

interface Typing {
  /** Return is pressed behind the line. */
  type(line: string): void;
  /** Tab, then what is typed behind it, then Return. */
  typeWithTab(line: string, rest?: string): Promise<void>;
}

/** The shell at a terminal. */
function atTerminal(here: Stage, env: Readonly<Record<string, string>> = {}, dial: Dial = here.dial): Running & Typing {
  const running = here.start(['shell'], {
    dial,
    terminals: ['stdin', 'stdout', 'stderr'],
    env: { NO_COLOR: '1', STOMPBOX_HISTORY: '', ...env },
  });
  const type = (line: string): void => void running.stdin.write(`${line}\r`);
  return Object.assign(running, {
    type,
    typeWithTab: async (line: string, rest = '') => {
      running.stdin.write(`${line}\t`);
      await new Promise((resolve) => setImmediate(resolve)); // what comes in one piece was pasted: a Tab in it is a tab
      type(rest);
    },
  });
}

describe('commands from a pipe', () => {
  test('send takes the rest of the line as it is; blank lines and those that begin with # say nothing', async () => {
    await using here = await stage();
    expect(await script(here, '# first', '', 'send /queue/a two  blanks', 'send queue:a three')).toMatchObject({
      code: 0,
      out: '',
      err: '',
    });
    expect(await here.bodies('a')).toEqual(['two  blanks', 'three']);
  });

  test('sendrec says that the broker has it', async () => {
    await using here = await stage();
    expect((await script(here, 'sendrec /queue/a x')).out).toBe('Receipt: the broker has it\n');
    expect(await here.bodies('a')).toEqual(['x']);
  });

  test('sendreply names what it answers', async () => {
    await using here = await stage();
    await script(here, 'sendreply /queue/a 42 the answer');
    const { out } = await here.run(['listen', '/queue/a', '--count', '1', '--json']);
    expect(JSON.parse(out)).toMatchObject({ body: 'the answer', headers: { 'correlation-id': '42' } });
  });

  test('sendfile sends base64 under its name without its folder, with headers from a file', async () => {
    await using here = await stage();
    const body = file('note.txt', 'hello');
    const headers = file('headers.json', '{"tenant":"a","attempt":1}');
    expect((await script(here, `sendfile /queue/a ${body} ${headers}`)).code).toBe(0);
    const { out } = await here.run(['listen', '/queue/a', '--count', '1', '--json']);
    expect(JSON.parse(out)).toMatchObject({
      body: 'aGVsbG8=',
      headers: { filename: 'note.txt', tenant: 'a', attempt: '1' },
    });
  });

  test('a committed transaction happens, an aborted one does not', async () => {
    await using here = await stage();
    const { code, out } = await script(
      here,
      'begin',
      'send /queue/a one',
      'send /queue/a two',
      'commit',
      'begin',
      'send /queue/a three',
      'rollback',
    );
    expect(code).toBe(0);
    expect(out).toContain('Committed: 2 sent, 0 settled');
    expect(out).toContain('Aborted: 1 sent, 0 settled');
    expect(await here.bodies('a')).toEqual(['one', 'two']);
  });

  test('stats counts between on and off', async () => {
    await using here = await stage();
    const { out } = await script(here, 'stats', 'stats on', 'send /queue/a x', 'stats', 'stats off');
    expect(out).toContain('Nothing is counted');
    expect(out).toContain('messages sent: 1\n');
  });

  test('version tells ours and what the broker tells of itself', async () => {
    await using here = await stage();
    const { out } = await script(here, 'ver');
    expect(out).toMatch(/^stompbox \d+\.\d+\.\d+\nSTOMP 1\.2, \S+/);
  });

  test('help shows every command, and what one of them does', async () => {
    await using here = await stage();
    const { out } = await script(here, 'help', 'help rollback');
    for (const name of ['subscribe', 'unsubscribe', 'send', 'sendrec', 'sendreply', 'sendfile', 'ack', 'nack', 'run'])
      expect(out).toContain(`  ${name} <`);
    expect(out).toContain('abort\n  also: rollback\n  Makes nothing');
  });

  test('quit and exit end it; what stands behind is not run', async () => {
    await using here = await stage();
    expect((await script(here, 'quit', 'send /queue/a x')).code).toBe(0);
    expect((await script(here, 'exit', 'send /queue/a x')).code).toBe(0);
    expect(await here.bodies('a')).toEqual([]);
  });
});

describe('a line that fails (M-164)', () => {
  test('is named, ends the script, and what was sent before is told', async () => {
    await using here = await stage();
    const path = file('bad.stomp', 'send /queue/a one\nsend /queue/a two\nsent /queue/a three\nsend /queue/a four\n');
    const { code, err } = await here.run(['shell', '-F', path]);
    expect(code).toBe(EXIT.usage);
    expect(err).toContain(`${path}, line 3: there is no command sent`);
    expect(err).toContain('(2 sent before)');
    expect(await here.bodies('a')).toEqual(['one', 'two']);
  });

  test('on a pipe as well; an open transaction is taken back, and that is told', async () => {
    await using here = await stage();
    const { code, err } = await script(here, 'begin', 'send /queue/a one', 'ack nothing', 'commit');
    expect(code).toBe(EXIT.usage);
    expect(err).toContain('standard input, line 3: no message nothing waits for an ack or nack');
    expect(err).toContain('0 sent before, 1 in the open transaction, which is aborted');
    expect(await here.bodies('a')).toEqual([]);
  });

  test('in a script that a script runs: both lines are named', async () => {
    await using here = await stage();
    const inner = file('inner.stomp', 'send /queue/a one\nunsubscribe /queue/a\n');
    const { code, err } = await script(here, `run ${inner}`, 'send /queue/a two');
    expect(code).toBe(EXIT.usage);
    expect(err).toContain(`standard input, line 1: ${inner}, line 2: /queue/a is not subscribed to`);
    expect(await here.bodies('a')).toEqual(['one']);
  });

  test('a script that runs itself ends', async () => {
    await using here = await stage();
    const path = join(folder, 'self.stomp');
    writeFileSync(path, `run ${path}\n`);
    const { code, err } = await here.run(['shell', '-F', path]);
    expect(code).toBe(EXIT.usage);
    expect(err).toContain('scripts run each other');
  });

  test('a file that is not there is told as such', async () => {
    await using here = await stage();
    expect((await here.run(['shell', '-F', join(folder, 'nowhere')])).code).toBe(EXIT.system);
    const { code, err } = await script(here, 'send /queue/a x', `sendfile /queue/a ${join(folder, 'nowhere')}`);
    expect(code).toBe(EXIT.system);
    expect(err).toContain('line 2');
  });

  test.for([
    'send /queue/a',
    'subscribe',
    'subscribe /queue/a sometimes',
    'commit',
    'stats maybe',
    'unsubscribe /queue/a',
    'help nothing',
    'begin now',
  ])('%j fails and says why', async (line) => {
    await using here = await stage();
    const { code, err } = await script(here, line);
    expect({ code, named: err.includes('standard input, line 1: ') }).toEqual({ code: EXIT.usage, named: true });
  });
});

test('a script that is told to end says how far it was (M-162)', async () => {
  await using here = await stage();
  const running = here.start(['shell']);
  running.stdin.write('sendrec /queue/a one\n');
  await running.says('Receipt');
  running.interrupt('SIGTERM');
  const { code, err } = await running.ended;
  expect(code).toBe(EXIT.terminated);
  expect(err).toContain('cut short: 1 sent before');
});

describe('what the broker refuses', () => {
  test('a subscription is told of, and not tried again', async () => {
    await using here = await stage({ authorize: (_, verb) => verb !== 'subscribe' });
    const shell = atTerminal(here);
    await shell.says('stompbox> ');
    shell.type('subscribe /queue/a');
    shell.type('unsubscribe /queue/a');
    await shell.says('/queue/a is not subscribed to');
    shell.type('quit');
    const { err, code } = await shell.ended;
    expect(code).toBe(0);
    expect(err).toContain('you may not subscribe here');
    expect(err).not.toContain('next try');
  });

  test('a message ends a script, by the line that sent it', async () => {
    await using here = await stage({ authorize: (_, verb) => verb !== 'send' });
    const { code, err } = await script(here, 'version', 'send /queue/a x', 'send /queue/a y');
    expect(code).toBe(EXIT.refused);
    expect(err).toContain('standard input, line 2: ');
    expect(err).toContain('(0 sent before)');
  });
});

test('with a thousand messages that wait for an ack no more are read until some are settled', async () => {
  await using here = await stage();
  const shell = atTerminal(here);
  await shell.says('stompbox> ');
  shell.type('subscribe /queue/a client');
  await shell.says('Subscribed');
  await here.client.sendAll(
    Array.from({ length: 1_001 }, (_, at) => ({ destination: '/queue/a', body: `body ${at}` })),
  );
  await shell.says('1000 messages wait for an ack or nack');
  shell.type('ack 1000');
  await shell.says('Acknowledged: 1,000');
  await shell.says('body 1000');
  shell.type('quit');
  expect((await shell.ended).code).toBe(0);
});

describe("stomp.py's flags", () => {
  test('a password on the command line is taken and warned of, and not shown (M-163)', async () => {
    await using here = await stage({
      authenticate: ({ login, passcode }) => (login === 'ann' && passcode === 's3cret' ? { name: 'ann' } : undefined),
    });
    const words = ['shell', '-H', 'localhost', '-P', '61613', '-U', 'ann', '-W', 's3cret', '-S', '1.1', '--debug'];
    const { code, err, out } = await here.run([...words, '--heartbeats', '0,0'], { stdin: 'version\n' });
    expect(code).toBe(0);
    expect(out).toContain('STOMP 1.1');
    expect(err).toContain('can be read by everybody');
    expect(err).not.toContain('s3cret');
  });

  test.for([
    [['-U', 'a', '-l', 'b'], '--login and --user are the same'],
    [['stomp://a', '-H', 'b'], 'a URL and --broker'],
    [['-F', 'a', '-L', '/queue/a'], '--file and --listen contradict'],
    [['nonsense'], 'nonsense is no URL'],
    [['--ssl', '--ssl-key-file', 'k'], '--cert and --key go together'],
  ] as const)('%j is wrong usage', async ([words, why]) => {
    await using here = await stage();
    const { code, err } = await here.run(['shell', ...words]);
    expect(code).toBe(EXIT.usage);
    expect(err).toContain(why);
  });

  test('-L only shows what comes, -V with every header, until it is told to end', async () => {
    await using here = await stage();
    const running = here.start(['shell', '-L', '/queue/a', '-V']);
    await here.client.send('/queue/a', 'bell \u0007', { headers: { tenant: 'a\u001b[2J' } });
    await running.says('bell \\u0007');
    running.interrupt();
    const { code, out } = await running.ended;
    expect(code).toBe(0);
    expect(out).toContain('  message-id: ');
    expect(out).toContain('  tenant: a\\e[2J');
    expect(out).not.toContain('\u001b');
  });
});

describe('at a terminal', () => {
  test('messages go above the line that is being typed, which stays', async () => {
    await using here = await stage();
    const shell = atTerminal(here);
    await shell.says('stompbox> ');
    shell.type('subscribe /queue/a');
    await shell.says('Subscribed to /queue/a');
    shell.stdin.write('send /queue/b half');
    await shell.says('half');
    await here.client.send('/queue/a', 'from \u001b[31mothers');
    await shell.says('from \\e[31mothers');
    shell.stdin.write(' done\r');
    shell.type('quit');
    const { code, out } = await shell.ended;
    expect(code).toBe(0);
    expect(out.slice(out.indexOf('from \\e'))).toContain('stompbox> send /queue/b half');
    expect(await here.bodies('b')).toEqual(['half done']);
    expect(await here.bodies('a')).toEqual([]); // acknowledged when it had been shown
  });

  test('a message is settled by its id, which Tab finds; when a transaction is aborted it waits again', async () => {
    await using here = await stage();
    const shell = atTerminal(here);
    await shell.says('stompbox> ');
    shell.type('subscribe /queue/a client-individual');
    await shell.says('Subscribed');
    await here.client.send('/queue/a', 'first body');
    await shell.says('first body');
    shell.type('begin');
    await shell.typeWithTab('ack ');
    await shell.says('Acknowledged: 1, if the transaction commits');
    shell.type('abort');
    await shell.says('Aborted: 0 sent, 1 settled');
    await shell.typeWithTab('ack ', '/queue/a');
    await shell.says('Acknowledged: 1\n');
    await here.client.send('/queue/a', 'second body');
    await shell.says('second body');
    shell.type('quit');
    expect((await shell.ended).code).toBe(0);
    expect(await here.bodies('a')).toEqual(['second body']); // what was not settled is the broker's again
  });

  test('nack gives a message back; Tab knows what is subscribed to', async () => {
    await using here = await stage();
    const shell = atTerminal(here);
    await shell.says('stompbox> ');
    shell.type('subscribe /queue/a client');
    await shell.says('Subscribed');
    await here.client.send('/queue/a', 'first body');
    await shell.says('first body');
    await shell.typeWithTab('nack ');
    await shell.says('Given back: 1');
    await shell.typeWithTab('unsubscribe ');
    await shell.says('Unsubscribed from /queue/a');
    shell.type('quit');
    expect((await shell.ended).code).toBe(0);
  });

  test('what came on a connection goes with it: the transaction, and messages to be settled', async () => {
    await using here = await stage();
    const channels: Channel[] = [];
    const dial: Dial = async (...where) => {
      const channel = await here.dial(...where);
      channels.push(channel);
      return channel;
    };
    const shell = atTerminal(here, {}, dial);
    await shell.says('stompbox> ');
    shell.type('subscribe /queue/a client');
    await shell.says('Subscribed');
    await here.client.send('/queue/a', 'first body');
    await shell.says('first body');
    shell.type('begin');
    shell.type('send /queue/b never');
    await shell.typeWithTab('ack ');
    await shell.says('if the transaction commits');
    channels[0]?.destroy();
    await shell.says('the open transaction went with its connection');
    await shell.says('connected again');
    await shell.says('redelivered');
    shell.type('commit');
    await shell.says('no transaction is open');
    await shell.typeWithTab('ack ');
    await shell.says('Acknowledged: 1\n');
    shell.type('quit');
    expect((await shell.ended).code).toBe(0);
    expect([await here.bodies('a'), await here.bodies('b')]).toEqual([[], []]);
  });

  test('Ctrl-C calls off a command that waits, and the next one is asked for', async () => {
    await using here = await stage();
    const channels: Channel[] = [];
    const dial: Dial = async (...where) => {
      if (channels.length > 0) throw new TransportError('refused', 'nobody is there');
      const channel = await here.dial(...where);
      channels.push(channel);
      return channel;
    };
    const shell = atTerminal(here, {}, dial);
    await shell.says('stompbox> ');
    channels[0]?.destroy();
    await shell.says('connecting again');
    shell.type('send /queue/a waits');
    await new Promise((resolve) => setImmediate(resolve));
    shell.stdin.write('\u0003');
    await shell.says('called off');
    shell.type('version');
    await shell.says('not connected');
    shell.stdin.write('\u0003');
    expect((await shell.ended).code).toBe(0);
  });

  test('a failing command is told, and the next one asked for', async () => {
    await using here = await stage();
    const shell = atTerminal(here);
    await shell.says('stompbox> ');
    shell.type('nonsense');
    await shell.says('there is no command nonsense');
    shell.type('begin');
    await shell.says('stompbox (transaction)> ');
    shell.type('send /queue/a x');
    shell.type('commit');
    await shell.says('Committed: 1 sent');
    shell.stdin.write('\u0004'); // Ctrl-D
    expect((await shell.ended).code).toBe(0);
    expect(await here.bodies('a')).toEqual(['x']);
  });

  test('Ctrl-C empties a line that was begun, and ends it at an empty one', async () => {
    await using here = await stage();
    const shell = atTerminal(here);
    await shell.says('stompbox> ');
    shell.stdin.write('send /queue/a no');
    await shell.says('/queue/a no');
    shell.stdin.write('\u0003');
    shell.type('send /queue/a yes');
    shell.type('version');
    await shell.says('STOMP 1.2');
    shell.stdin.write('\u0003');
    expect((await shell.ended).code).toBe(0);
    expect(await here.bodies('a')).toEqual(['yes']);
  });

  test('an open transaction is aborted at the end, and that is told', async () => {
    await using here = await stage();
    const shell = atTerminal(here);
    await shell.says('stompbox> ');
    shell.type('begin');
    shell.type('send /queue/a x');
    shell.type('quit');
    expect((await shell.ended).err).toContain('the open transaction is aborted');
    expect(await here.bodies('a')).toEqual([]);
  });

  test('what was typed is there the next time, but nothing that looks like a secret', async () => {
    await using here = await stage();
    const path = join(folder, 'kept', 'history');
    const first = atTerminal(here, { STOMPBOX_HISTORY: path });
    await first.says('stompbox> ');
    first.type('send /queue/a remembered');
    first.type('send /queue/a passcode=x');
    first.type(' send /queue/a unseen');
    first.type('quit');
    await first.ended;
    expect(readFileSync(path, 'utf8')).toBe('send /queue/a remembered\nquit\n');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const second = atTerminal(here, { STOMPBOX_HISTORY: path });
    await second.says('stompbox> ');
    second.stdin.write('\u001b[A\u001b[A\r'); // arrow up, twice
    second.type('quit');
    expect((await second.ended).code).toBe(0);
    expect((await here.bodies('a')).filter((body) => body === 'remembered').length).toBe(2);
  });
});

describe('history', () => {
  test('is kept where the system keeps such things', () => {
    expect(historyPath({ env: { HOME: '/home/ann' } })).toBe('/home/ann/.local/state/stompbox/history');
    expect(historyPath({ env: { HOME: '/home/ann', XDG_STATE_HOME: '/state' } })).toBe('/state/stompbox/history');
    expect(historyPath({ env: { HOME: '/home/ann', STOMPBOX_HISTORY: '' } })).toBeUndefined();
    expect(historyPath({ env: {} })).toBeUndefined();
  });

  test.for(['send /q PASSWORD', ' send /q a', 'send /q stomp://a:b@c', 'send /q api-key', '', 'x'.repeat(5_000)])(
    '%j is not kept',
    (line) => expect(mayKeep(line)).toBe(false),
  );

  test('a file that others could read is closed to them', async () => {
    const path = file('open', 'version\n');
    chmodSync(path, 0o644);
    const history = await History.open(path);
    await history.close();
    expect(history.lines).toEqual(['version']);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test('a link is not followed, and the shell goes on without a history', async () => {
    await using here = await stage();
    const target = file('target', 'keep me');
    const link = join(folder, 'link');
    symlinkSync(target, link);
    const shell = atTerminal(here, { STOMPBOX_HISTORY: link });
    await shell.says('stompbox> ');
    shell.type('quit');
    const { code, err } = await shell.ended;
    expect(code).toBe(0);
    expect(err).toContain('cannot be kept');
    expect(readFileSync(target, 'utf8')).toBe('keep me');
  });

  test('only the newest thousand lines are read, and a long file is cut to them', async () => {
    const path = file('long', Array.from({ length: 3_000 }, (_, at) => `send /queue/a ${at}\n`).join(''));
    const history = await History.open(path);
    await history.close();
    expect([history.lines.length, history.lines.at(-1)]).toEqual([1_000, 'send /queue/a 2999']);
    expect(readFileSync(path, 'utf8').split('\n').length).toBe(1_001);
  });
});

describe('completion', () => {
  const known = {
    places: ['/queue/orders', '/queue/others', '/topic/a\u001b[2J'],
    subscribed: ['/queue/orders'],
    held: { ids: ['m-1', 'm-2'] },
  };
  test.for([
    ['su', [['subscribe '], 'su']],
    ['send /queue/or', [['/queue/orders '], '/queue/or']],
    ['sendfile /queue/o', [['/queue/orders', '/queue/others'], '/queue/o']],
    ['unsubscribe ', [['/queue/orders '], '']],
    ['ack m', [['m-1', 'm-2'], 'm']],
    ['nack m-1 /', [['/queue/orders '], '/']],
    ['subscribe /queue/orders client-', [['client-individual '], 'client-']],
    ['stats o', [['off', 'on'], 'o']],
    ['help roll', [['rollback '], 'roll']],
    ['send /queue/orders x', [[], 'x']],
    ['send /topic/', [[], '/topic/']], // M-160
  ] as const)('%j offers %j', ([line, offer]) => {
    expect(complete(line, known)).toEqual(offer);
  });
});
