// Users, their passcodes, certificates, and an authenticator of one's own.

import { createHmac } from 'node:crypto';
import {
  chmodSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import type { Authenticate, Credentials } from '../src/access.ts';
import { FileError } from '../src/file-error.ts';
import { hashPasscode, verifyPasscode, wrongHash } from '../src/passcode.ts';
import { certificates, either, readUsers, removeUser, usersFile, writeUser } from '../src/users.ts';

const folder = mkdtempSync(join(tmpdir(), 'stompbox-users-'));
afterAll(() => rmSync(folder, { recursive: true }));
const CHEAP = { ln: 4, r: 8, p: 1 };
let files = 0;

function fileWith(text: string): string {
  const path = join(folder, `users-${++files}`);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

function shows(login?: string, passcode?: string, certificate?: { authorized: boolean; subject: string }): Credentials {
  const peer = { transport: 'tcp' as const, remote: '192.0.2.1:5', ...(certificate && { certificate }) };
  return { login, passcode, host: undefined, peer };
}

async function failure(work: Promise<unknown>): Promise<FileError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(FileError);
  return error as FileError;
}

describe('passcodes', () => {
  test('a hash is a PHC string of the chosen cost, with a salt of its own', async () => {
    const [one, other] = await Promise.all([hashPasscode('secret'), hashPasscode('secret')]);
    expect(one).toMatch(/^\$scrypt\$ln=15,r=8,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
    expect(one).not.toBe(other);
    expect(await verifyPasscode('secret', one)).toBe(true);
    expect(await verifyPasscode('Secret', one)).toBe(false);
  });
  test('M-53: exact octets count, whatever they are', async () => {
    const odd = ['', 'a:b', 'a\\b', ' a ', 'ä', 'a\u0308', 'x'.repeat(65_536), '😀'];
    const hashes = await Promise.all(odd.map((passcode) => hashPasscode(passcode, CHEAP)));
    for (const [i, hash] of hashes.entries()) {
      for (const [j, passcode] of odd.entries()) expect(await verifyPasscode(passcode, hash)).toBe(i === j);
      expect(await verifyPasscode(`${odd[i]}\0`, hash)).toBe(false);
    }
    await expect(hashPasscode('a\0')).rejects.toThrow('NUL');
  });
  test('a hash made elsewhere is verified (RFC 7914, 12: "pleaseletmein", 64 bytes)', async () => {
    const hex =
      '7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887';
    const base64 = (bytes: Buffer) => bytes.toString('base64').replaceAll('=', '');
    const hash = `$scrypt$ln=14,r=8,p=1$${base64(Buffer.from('SodiumChloride'))}$${base64(Buffer.from(hex, 'hex'))}`;
    expect(await verifyPasscode('pleaseletmein', hash)).toBe(true);
  });
  test.each([
    '',
    'plain',
    '$scrypt$ln=15,r=8,p=1$',
    '$argon2id$v=19$m=65536$x$y',
    '$scrypt$ln=40,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
    '$scrypt$ln=20,r=32,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
  ])('%s is no hash, and is not quoted', async (hash) => {
    expect(wrongHash(hash)).toBeDefined();
    if (hash !== '') expect(wrongHash(hash)).not.toContain(hash);
    await expect(verifyPasscode('x', hash)).rejects.toThrow(RangeError);
  });
});

describe('the file', () => {
  test('comments, blank lines, groups and Windows line ends', async () => {
    const hash = await hashPasscode('x', CHEAP);
    const path = fileWith(`\ufeff# people\r\n\r\n  # more\r\napp:${hash}\r\nann@example:${hash}:staff, ops\r\n`);
    expect(await readUsers(path)).toEqual([
      { login: 'app', hash, groups: [] },
      { login: 'ann@example', hash, groups: ['staff', 'ops'] },
    ]);
  });
  test('every wrong line is named, and nothing that could be a passcode is quoted', async () => {
    const hash = await hashPasscode('x', CHEAP);
    const path = fileWith(
      [
        'hunter1',
        'app:hunter2',
        `app:${hash}`,
        `app:${hash}`,
        `x:${hash}:a,,b`,
        `@x:${hash}`,
        `a:${hash}:g:hunter3`,
      ].join('\n'),
    );
    const { message, problems } = await failure(readUsers(path));
    expect(problems.map(({ line }) => line)).toEqual([1, 2, 4, 5, 6, 7]);
    expect(message).toContain(`${path}:4: "app" is here a second time`);
    expect(message).not.toContain('hunter');
    expect(message).not.toContain(hash);
  });
  test('a file that is not there', async () => {
    const { message } = await failure(readUsers(join(folder, 'none')));
    expect(message).toBe(`${join(folder, 'none')}: the users cannot be read: there is no such file`);
  });
  test('writeUser adds, replaces and keeps the rest, and leaves nothing beside the file', async () => {
    const path = join(folder, 'written');
    await writeUser(path, 'app', 'one', { cost: CHEAP, groups: ['g'] });
    if (process.platform !== 'win32') expect(statSync(path).mode & 0o777).toBe(0o600);
    writeFileSync(path, `# kept\n${readFileSync(path, 'utf8')}\n# kept as well`);
    await writeUser(path, 'ann', 'two', { cost: CHEAP });
    await writeUser(path, 'app', 'three', { cost: CHEAP });
    const users = await readUsers(path);
    expect(users.map(({ login, groups }) => [login, groups])).toEqual([
      ['app', ['g']],
      ['ann', []],
    ]);
    expect(await verifyPasscode('three', users[0]?.hash ?? '')).toBe(true);
    expect(readFileSync(path, 'utf8')).toMatch(/^# kept\napp:.*:g\n\n# kept as well\nann:.*\n$/);
    expect(await removeUser(path, 'app')).toBe(true);
    expect(await removeUser(path, 'app')).toBe(false);
    expect(readFileSync(path, 'utf8')).toMatch(/^# kept\n\n# kept as well\nann:.*\n$/);
    expect(readdirSync(folder).filter((name) => name.startsWith('.'))).toEqual([]);
  });
  test('writeUser goes through a link and keeps the mode', async () => {
    const path = fileWith('');
    chmodSync(path, 0o640);
    const link = `${path}-link`;
    symlinkSync(path, link);
    await writeUser(link, 'app', 'x', { cost: CHEAP });
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    expect(statSync(path).mode & 0o777).toBe(0o640);
    expect(await readUsers(path)).toHaveLength(1);
  });
  test.each(['', ' a', 'a ', 'a:b', 'a\nb', '#a', '@a', '*', 'a,b'])('the login %j is refused', async (login) => {
    await expect(writeUser(join(folder, 'never'), login, 'x')).rejects.toThrow(RangeError);
  });
  test('nothing is written into a file that is wrong', async () => {
    const path = fileWith('broken\n');
    await failure(writeUser(path, 'app', 'x', { cost: CHEAP }));
    expect(readFileSync(path, 'utf8')).toBe('broken\n');
  });
  test('property: what is written is read', async () => {
    const path = fileWith('');
    const name = fc.stringMatching(/^[a-zé][a-z .@#é]{0,8}[a-z]$/);
    await fc.assert(
      fc.asyncProperty(name, fc.array(name, { maxLength: 3 }), async (login, groups) => {
        await writeUser(path, login, 'x', { cost: { ln: 1, r: 1, p: 1 }, groups });
        expect((await readUsers(path)).find((user) => user.login === login)?.groups).toEqual(groups);
      }),
      { numRuns: 30 },
    );
  });
});

describe('usersFile', () => {
  async function twoUsers(options = {}) {
    const path = fileWith('');
    await writeUser(path, 'app', 'secret', { cost: CHEAP, groups: ['staff'] });
    await writeUser(path, 'ann', 'geheim', { cost: CHEAP });
    return { path, users: await usersFile(path, options) };
  }

  test('lets in who has the passcode, and nobody else', async () => {
    const { users } = await twoUsers();
    expect(users.size).toBe(2);
    for (let again = 0; again < 2; again++) {
      expect(await users.authenticate(shows('app', 'secret'))).toEqual({ name: 'app', groups: ['staff'] });
      expect(await users.authenticate(shows('ann', 'geheim'))).toEqual({ name: 'ann' });
      expect(await users.authenticate(shows('app', 'geheim'))).toBeUndefined();
      expect(await users.authenticate(shows('app', 'secret '))).toBeUndefined();
      expect(await users.authenticate(shows('app'))).toBeUndefined();
      expect(await users.authenticate(shows(undefined, 'secret'))).toBeUndefined();
      expect(await users.authenticate(shows('constructor', 'secret'))).toBeUndefined();
      expect(await users.authenticate(shows())).toBeUndefined();
    }
  });
  test('an unknown login takes as long as a wrong passcode', async () => {
    const path = fileWith('');
    await writeUser(path, 'app', 'secret', { cost: { ln: 14, r: 8, p: 1 } });
    const { authenticate } = await usersFile(path);
    const time = async (login: string) => {
      const took: number[] = [];
      for (let i = 0; i < 5; i++) {
        const start = performance.now();
        await authenticate(shows(login, `wrong ${i}`));
        took.push(performance.now() - start);
      }
      return Math.min(...took); // the least disturbed one
    };
    const [known, unknown] = [await time('app'), await time('nobody')];
    expect(unknown / known).toBeGreaterThan(0.3);
    expect(unknown / known).toBeLessThan(3);
  });
  test('reload takes what the file says now, and a wrong file changes nothing', async () => {
    const { path, users } = await twoUsers();
    expect(await users.authenticate(shows('app', 'secret'))).toBeDefined();
    await writeUser(path, 'app', 'new', { cost: CHEAP });
    await removeUser(path, 'ann');
    expect(await users.authenticate(shows('app', 'secret'))).toBeDefined();
    await users.reload();
    expect(await users.authenticate(shows('app', 'secret'))).toBeUndefined();
    expect(await users.authenticate(shows('app', 'new'))).toBeDefined();
    expect(await users.authenticate(shows('ann', 'geheim'))).toBeUndefined();
    writeFileSync(path, 'broken');
    await failure(users.reload());
    expect(await users.authenticate(shows('app', 'new'))).toBeDefined();
  });
  test('a reload while a login is under way decides it', async () => {
    const { path, users } = await twoUsers();
    await removeUser(path, 'app');
    const login = users.authenticate(shows('app', 'secret'));
    await users.reload();
    const after = await users.authenticate(shows('app', 'secret'));
    expect(after).toBeUndefined();
    await login; // either is right; it must not be remembered
    expect(await users.authenticate(shows('app', 'secret'))).toBeUndefined();
  });
  test('a flood of logins waits in its turn, and what is too much is refused', async () => {
    const { users } = await twoUsers({ concurrency: 1, maxWaiting: 3 });
    const flood = Array.from({ length: 20 }, (_, i) => users.authenticate(shows('app', `guess ${i}`)));
    const outcomes = await Promise.allSettled(flood);
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(4);
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
    expect(refused).toHaveLength(16);
    expect(String(refused[0]?.reason)).toBe('RangeError: 3 logins wait already');
    expect(await users.authenticate(shows('app', 'secret'))).toBeDefined();
  });
  test('a thousand clients with the same right passcode cost one verification', async () => {
    const { users } = await twoUsers({ concurrency: 1, maxWaiting: 0 });
    const all = await Promise.all(Array.from({ length: 1_000 }, () => users.authenticate(shows('app', 'secret'))));
    expect(all.every((identity) => identity?.name === 'app')).toBe(true);
  });
  test.skipIf(process.platform === 'win32')('a file that others may read is warned of', async () => {
    const { path } = await twoUsers();
    const warnings: string[] = [];
    const onWarning = (sentence: string) => void warnings.push(sentence);
    const users = await usersFile(path, { onWarning });
    expect(warnings).toEqual([]);
    chmodSync(path, 0o644);
    await users.reload();
    expect(warnings).toEqual([
      `${path} may be read or written by others than its owner and group (mode 644): chmod 640 ${path}`,
    ]);
  });
});

describe('certificates', () => {
  const check = certificates({ worker: 'app', boss: { name: 'root', groups: ['ops'] } });
  const rows: readonly (readonly [string, Credentials, string | undefined])[] = [
    ['a verified one that is known', shows(undefined, undefined, { authorized: true, subject: 'worker' }), 'app'],
    ['the login it stands for', shows('app', 'anything', { authorized: true, subject: 'worker' }), 'app'],
    ['another login', shows('root', undefined, { authorized: true, subject: 'worker' }), undefined],
    ['one that was not verified', shows(undefined, undefined, { authorized: false, subject: 'worker' }), undefined],
    ['one nobody knows', shows(undefined, undefined, { authorized: true, subject: 'stranger' }), undefined],
    ['a name that objects have', shows(undefined, undefined, { authorized: true, subject: 'toString' }), undefined],
    ['none', shows('app', 'x'), undefined],
  ];
  test.each(rows)('%s', async (_, credentials, name) => expect((await check(credentials))?.name).toBe(name));
  test('logins by a function, which never hears of an empty name', async () => {
    const own = certificates((subject) => subject);
    expect(await own(shows(undefined, undefined, { authorized: true, subject: 'x' }))).toEqual({ name: 'x' });
    expect(await own(shows(undefined, undefined, { authorized: true, subject: '' }))).toBeUndefined();
  });
});

describe('either', () => {
  const yes: Authenticate = ({ login }) => (login === 'yes' ? { name: 'yes' } : undefined);
  const broken: Authenticate = () => {
    throw new Error('the directory is down');
  };
  test('the first that knows decides, and one that fails does not keep others from it', async () => {
    expect(await either(certificates({}), yes)(shows('yes'))).toEqual({ name: 'yes' });
    expect(await either(broken, yes)(shows('yes'))).toEqual({ name: 'yes' });
    expect(await either(yes)(shows('no'))).toBeUndefined();
    expect(await either()(shows('yes'))).toBeUndefined();
  });
  test('a failure is heard of when nobody else knows', async () => {
    await expect(either(broken, yes)(shows('no'))).rejects.toThrow('the directory is down');
  });
});

describe('examples/jwt-authenticator.mjs', async () => {
  const example = new URL('../../../examples/jwt-authenticator.mjs', import.meta.url).href;
  const { jwt } = (await import(/* @vite-ignore */ example)) as {
    jwt(options: { secret: string; issuer?: string; audience?: string; now?: () => number }): Authenticate;
  };
  const secret = 'a secret of at least thirty-two bytes';
  const NOW = 1_800_000_000;
  const check = jwt({ secret, issuer: 'me', audience: 'stompbox', now: () => NOW * 1_000 });
  const good = { sub: 'ann', iss: 'me', aud: ['stompbox'], exp: NOW + 60, groups: ['staff', 5] };
  const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  function token(claims: unknown, head: unknown = { alg: 'HS256', typ: 'JWT' }, key = secret): string {
    const signed = `${base64(head)}.${base64(claims)}`;
    return `${signed}.${createHmac('sha256', key).update(signed).digest('base64url')}`;
  }
  test('a good token', async () => {
    expect(await check(shows(undefined, token(good)))).toEqual({ name: 'ann', groups: ['staff'] });
    expect(await check(shows('ann', token(good)))).toBeDefined();
  });
  test.each([
    ['no token', ''],
    ['another secret', token(good, undefined, 'x'.repeat(40))],
    ['alg none', `${base64({ alg: 'none' })}.${base64(good)}.`],
    ['another alg', token(good, { alg: 'HS512' })],
    ['out of date', token({ ...good, exp: NOW - 31 })],
    ['without an end', token({ ...good, exp: undefined })],
    ['not yet', token({ ...good, nbf: NOW + 31 })],
    ['another issuer', token({ ...good, iss: 'you' })],
    ['another audience', token({ ...good, aud: 'x' })],
    ['no subject', token({ ...good, sub: '' })],
    ['not an object', token('text')],
    ['changed claims', token(good).replace(/\..*\./, `.${base64({ ...good, sub: 'root' })}.`)],
    ['more parts', `${token(good)}.x`],
  ])('%s is refused', async (_, passcode) => {
    expect(await check(shows(undefined, passcode))).toBeUndefined();
  });
  test('the token of another login is refused', async () => {
    expect(await check(shows('root', token(good)))).toBeUndefined();
  });
  test('a short secret is refused', () => expect(() => jwt({ secret: 'short' })).toThrow('32 bytes'));
});
