// Who may come in, and what they may do.

import { quiet } from 'testkit';
import { describe, expect, test } from 'vitest';
import { LoginPenalty } from '../src/access.ts';
import { type Credentials, createBroker, passcodes } from '../src/index.ts';
import { books, place } from './support.ts';

const USERS = passcodes({ app: 'secret', empty: '', 'ü:\\': 'p:a\\s s' });
const peer = { transport: 'memory', remote: 'test' } as const;
const shown = (login?: string, passcode?: string): Credentials => ({ login, passcode, host: undefined, peer });

describe('passcodes', () => {
  test('know their users by the exact octets (M-53)', () => {
    expect(USERS(shown('app', 'secret'))).toEqual({ name: 'app' });
    expect(USERS(shown('empty', ''))).toEqual({ name: 'empty' });
    expect(USERS(shown('ü:\\', 'p:a\\s s'))).toEqual({ name: 'ü:\\' });
  });

  test('refuse everything else: wrong, longer, shorter, padded, absent, inherited', () => {
    const wrong: [string?, string?][] = [
      ['app', 'Secret'],
      ['app', 'secret '],
      ['app', 'secre'],
      ['app', `secret${'\0'.repeat(10)}`],
      ['app', ''],
      ['app'],
      ['nobody', 'secret'],
      ['nobody', ''],
      ['nobody'],
      [],
      ['toString', ''],
      ['__proto__', ''],
      ['app', 'x'.repeat(65_536)],
    ];
    for (const [login, passcode] of wrong) expect(USERS(shown(login, passcode)), `${login}`).toBeUndefined();
  });

  test('are copied: changing the record later changes nothing', () => {
    const users: Record<string, string> = { app: 'one' };
    const authenticate = passcodes(users);
    users.app = 'two';
    expect(authenticate(shown('app', 'one'))).toEqual({ name: 'app' });
  });
});

describe('authenticate', () => {
  test.each([
    ['at once', (c: Credentials) => (c.login === 'app' ? { name: 'app' } : undefined)],
    ['later', async (c: Credentials) => (c.login === 'app' ? { name: 'app' } : undefined)],
  ])('lets in and refuses, answering %s', async (_, authenticate) => {
    const at = await place({ authenticate });
    await at.client('1.2', { login: 'app' });
    await expect(at.client('1.2', { login: 'evil', passcode: 'hunter2' })).rejects.toThrow(/^the login was refused$/);
    expect(at.faults).toEqual([]);
  });

  test('sees what was shown, and where from', async () => {
    const seen: Credentials[] = [];
    const at = await place({
      authenticate(credentials) {
        seen.push(credentials);
        return { name: 'x' };
      },
    });
    await at.client('1.2', { login: 'l', passcode: 'p:\\n', host: 'v' });
    await at.client('1.0');
    expect(seen[0]).toEqual({
      login: 'l',
      passcode: 'p:\\n',
      host: 'v',
      peer: { transport: 'memory', remote: 'memory:a' },
    });
    expect([seen[1]?.login, seen[1]?.passcode]).toEqual([undefined, undefined]);
  });

  test('a throw refuses without a word why (N-17), and is reported', async () => {
    for (const authenticate of [
      () => {
        throw new Error('the database is down');
      },
      () => Promise.reject(new Error('the database is down')),
    ]) {
      const at = await place({ authenticate });
      await expect(at.client()).rejects.toThrow(/^the login was refused$/);
      expect(at.faults.map(String)).toEqual(['Error: the database is down']);
    }
  });

  test('what was sent behind CONNECT waits for the answer, and is dropped when that is no (M-51)', async () => {
    let answer: (identity: { name: string } | undefined) => void = () => {};
    const authenticate = () => new Promise<{ name: string } | undefined>((resolve) => (answer = resolve));
    const at = await place({ authenticate });
    for (const identity of [undefined, { name: 'x' }]) {
      const client = at.dial();
      client.write('CONNECT\naccept-version:1.2\nhost:h\n\n\0SEND\ndestination:/queue/q\nreceipt:1\n\n\0');
      expect(await client.rest()).toEqual([]);
      await at.clock.advance(100); // the second one pays for the first
      answer(identity);
      if (identity === undefined) {
        await client.error();
        expect(client.frames.length).toBe(1);
        expect(at.broker.inspect.queues()).toEqual([]);
      } else expect((await client.take(2)).map((frame) => frame.command)).toEqual(['CONNECTED', 'RECEIPT']);
    }
  });

  test('that never answers does not keep the connection beyond connectTimeoutMs', async () => {
    const at = await place({ authenticate: () => new Promise(() => {}), limits: { connectTimeoutMs: 500 } });
    const client = at.dial();
    client.say('CONNECT', { 'accept-version': '1.2', host: 'h' });
    await at.clock.advance(500);
    expect((await client.error()).get('message')).toMatch(/connectTimeoutMs/);
    await at.clock.advance(1_000);
    expect(at.broker.stats().connections).toBe(0);
  });

  test('a client that left before the answer is let go', async () => {
    let answer: (identity: { name: string }) => void = () => {};
    const at = await place({ authenticate: () => new Promise((resolve) => (answer = resolve)) });
    const client = at.dial();
    client.say('CONNECT', { 'accept-version': '1.2', host: 'h' });
    await client.rest();
    client.channel.destroy();
    await client.rest();
    answer({ name: 'x' });
    await client.rest();
    expect(at.broker.stats().connections).toBe(0);
    expect(at.faults).toEqual([]);
  });

  test('each failure makes the next answer to that address wait longer, until one is right (M-54)', async () => {
    const at = await place({ authenticate: USERS });
    const attempt = async (passcode: string): Promise<{ command: string; ms: number }> => {
      const client = at.dial();
      const start = at.clock.now();
      client.say('CONNECT', { 'accept-version': '1.2', host: 'h', login: 'app', passcode });
      await quiet();
      while (client.frames.length === 0) await at.clock.advance(50);
      return { command: client.frames[0]?.command ?? '', ms: at.clock.now() - start };
    };
    const waits = [];
    for (let i = 0; i < 5; i++) waits.push((await attempt('wrong')).ms);
    expect(waits).toEqual([0, 100, 200, 400, 800]);
    expect(await attempt('secret')).toEqual({ command: 'CONNECTED', ms: 1_600 });
    expect(await attempt('secret')).toEqual({ command: 'CONNECTED', ms: 0 });
  });

  test('close() does not wait for somebody’s penance', async () => {
    let asked = 0;
    const at = await place({
      authenticate() {
        asked++;
        return undefined;
      },
    });
    await expect(at.client()).rejects.toThrow();
    const client = at.dial();
    client.say('CONNECT', { 'accept-version': '1.2', host: 'h' });
    await client.rest();
    await at.broker.close();
    await client.error();
    await client.rest();
    expect([asked, at.clock.alarms]).toEqual([1, 0]);
  });
});

describe('the login penalty', () => {
  test('doubles up to five seconds, and is forgotten after a quiet minute', () => {
    const penalty = new LoginPenalty();
    const delays = [];
    for (let i = 0; i < 9; i++) {
      delays.push(penalty.delay('a', i));
      penalty.failed('a', i);
    }
    expect(delays).toEqual([0, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
    expect(penalty.delay('b', 8)).toBe(0);
    expect(penalty.delay('a', 8 + 60_000)).toBe(5_000);
    expect(penalty.delay('a', 9 + 60_000)).toBe(0);
  });

  test('remembers ten thousand addresses, the latest ones', () => {
    const penalty = new LoginPenalty();
    for (let i = 0; i < 10_001; i++) penalty.failed(`${i}`, 0);
    expect([penalty.delay('0', 0), penalty.delay('1', 0), penalty.delay('10000', 0)]).toEqual([0, 100, 100]);
  });
});

describe('authorize', () => {
  test('is asked for the verb and the destination as written, and refuses without a hint (M-85)', async () => {
    const asked: string[] = [];
    const at = await place({
      authenticate: ({ login = '' }) => ({ name: login }),
      authorize({ name }, verb, destination) {
        asked.push(`${name} ${verb} ${destination}`);
        return !destination.includes('secret');
      },
    });
    const client = await at.client('1.2', { login: 'app' });
    await client.subscribe('1', '/topic/a.*');
    for (let i = 0; i < 3; i++) await client.send('/queue/q');
    expect(asked).toEqual(['app subscribe /topic/a.*', 'app send /queue/q']); // a SEND's answer is remembered
    client.say('SEND', { destination: '/queue/secret', receipt: 'r' });
    const error = await client.error();
    expect([error.get('receipt-id'), error.get('message')]).toEqual(['r', 'you may not send here']);
    expect(books(at.broker, 'secret')).toBeUndefined();
    const other = await at.client('1.2', { login: 'other' });
    other.say('SUBSCRIBE', { id: '1', destination: '/queue/secret' });
    expect((await other.error()).get('message')).toBe('you may not subscribe here');
  });

  test('is asked about a SEND in a transaction before COMMIT (T-06)', async () => {
    const at = await place({ authorize: (_, verb) => verb !== 'send' });
    const client = await at.client();
    await client.ask('BEGIN', { transaction: 't' });
    client.say('SEND', { destination: '/queue/q', transaction: 't' });
    expect((await client.error()).get('message')).toBe('you may not send here');
  });

  test('need not allow a connection its own temporary queues', async () => {
    const at = await place({ authorize: () => false });
    const client = await at.client();
    await client.subscribe('1', '/temp-queue/x');
    await client.send('/temp-queue/x', 'a');
    expect(await client.bodies(1)).toEqual(['a']);
  });

  test('a throw ends that connection alone, and is reported', async () => {
    const bug = new Error('no such table');
    const at = await place({
      authorize(_, verb) {
        if (verb === 'subscribe') throw bug;
        return true;
      },
    });
    const [client, other] = [await at.client(), await at.client()];
    client.say('SUBSCRIBE', { id: '1', destination: '/queue/q', receipt: 's' });
    const error = await client.error();
    expect([error.get('receipt-id'), error.get('message')]).toEqual(['s', 'the broker failed; its log says how']);
    expect(at.faults).toEqual([bug]);
    await other.send('/queue/q', 'x');
  });
});

describe('without authenticate', () => {
  test.each(['tcp://0.0.0.0:0', 'tcp://[::]:0', 'ws://0.0.0.0:0', 'tcp://192.0.2.1:0', 'tcp://broker.example:0'])(
    '%s is refused with what to do about it',
    async (url) => {
      const refused = createBroker({ listen: ['tcp://127.0.0.1:0', url] });
      await expect(refused).rejects.toThrow(RangeError);
      await expect(refused).rejects.toThrow(/authenticate.*127\.0\.0\.1.*open: true/);
    },
  );

  test.each(['tcp://127.0.0.1:0', 'tcp://localhost:0', 'ws://127.0.0.1:0'])('%s is taken', async (url) => {
    const broker = await createBroker({ listen: [url] });
    await broker.close();
  });

  test('anything is taken where `open` says so, or somebody is asked', async () => {
    for (const options of [{ open: true }, { authenticate: USERS }]) {
      const broker = await createBroker({ listen: ['tcp://0.0.0.0:0'], ...options });
      await broker.close();
    }
  });
});
