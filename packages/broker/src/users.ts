// A file of users, and the authenticator that asks it.
//
//   # a comment; blank lines are fine
//   app:$scrypt$ln=15,r=8,p=1$…$…
//   ops:$scrypt$ln=15,r=8,p=1$…$…:admins,staff       in the groups `admins` and `staff`
//
// A login takes the same work whether there is such a user or not, and at most `concurrency` of them work at a time:
// a flood waits here, not in the thread pool. Logins for the same user with the same passcode that are under way at the
// same time share one verification, and a passcode that was right is known again (as an HMAC under a key that dies
// with the process), so that ten thousand clients can come back after a restart within their CONNECT time-out.

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { chmod, chown, open, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { quote } from '@stompbox/protocol';
import type { Authenticate, Identity } from './access.ts';
import { FileError, type Problem, reasonOf } from './file-error.ts';
import { decoy, type HashCost, hashPasscode, verifyPasscode, wrongHash } from './passcode.ts';

export interface User {
  readonly login: string;
  /** Of the passcode, as `hashPasscode` made it. */
  readonly hash: string;
  readonly groups: readonly string[];
}

/** Reads and checks a users file. Rejects with FileError that names every wrong line. */
export async function readUsers(path: string): Promise<readonly User[]> {
  return parse(path, await read(path));
}

/**
 * Adds a user or replaces its passcode, and its groups if given; everything else in the file stays as it is. The file is
 * replaced as a whole, or not at all; it keeps its owner and mode, and a new one is its owner's alone. Of two writers at
 * the same moment, the later wins.
 * Rejects with RangeError (a login or group that cannot be written) or FileError.
 */
export async function writeUser(
  path: string,
  login: string,
  passcode: string,
  options: { readonly groups?: readonly string[]; readonly cost?: HashCost } = {},
): Promise<void> {
  const wrong = wrongName('login', login) ?? options.groups?.map((group) => wrongName('group', group)).find(Boolean);
  if (wrong !== undefined) throw new RangeError(wrong);
  if (passcode === '') throw new RangeError(`the passcode of ${login} is empty`);
  const hash = await hashPasscode(passcode, options.cost);
  await rewrite(path, true, (lines, users) => {
    const before = users.get(login);
    const groups = options.groups ?? before?.user.groups ?? [];
    const line = [login, hash, ...(groups.length > 0 ? [groups.join(',')] : [])].join(':');
    if (before === undefined) lines.push(line);
    else lines[before.line - 1] = line;
  });
}

/** Takes a user out of the file; whether there was one. Rejects with FileError. */
export async function removeUser(path: string, login: string): Promise<boolean> {
  let found = false;
  await rewrite(path, false, (lines, users) => {
    const before = users.get(login);
    found = before !== undefined;
    if (before !== undefined) lines.splice(before.line - 1, 1);
  });
  return found;
}

export interface UsersFileOptions {
  /** Verifications at a time. 2 unless given: half of the thread pool. */
  readonly concurrency?: number;
  /** Logins that may wait for their turn; the next ones are refused. 1 000 unless given. */
  readonly maxWaiting?: number;
  /** Hears a sentence about a file that anybody may read, or that its group may write. */
  readonly onWarning?: (sentence: string) => void;
}

export interface UsersFile {
  readonly authenticate: Authenticate;
  /** Reads the file again. Rejects with FileError, and the users stay as they were. Who is connected stays connected. */
  reload(): Promise<void>;
  readonly size: number;
}

/** The users of a file, by login and passcode. Rejects with FileError. */
export async function usersFile(path: string, options: UsersFileOptions = {}): Promise<UsersFile> {
  const check = passcodeCheck(options);
  const load = async () => {
    check.replace(await readUsers(path));
    const { mode } = await stat(path);
    // Windows has no such bits and answers 0o666 for all.
    if (process.platform !== 'win32' && (mode & 0o027) !== 0) {
      const shown = (mode & 0o777).toString(8);
      options.onWarning?.(
        `${path} may be read or written by others than its owner and group (mode ${shown}): chmod 640 ${path}`,
      );
    }
  };
  await load();
  return {
    authenticate: check.authenticate,
    reload: load,
    get size() {
      return check.size;
    },
  };
}

interface Known extends User {
  /** HMAC of the passcode that was right last. */
  verified: Buffer | undefined;
}

/** The authenticator over users that may be replaced. */
function passcodeCheck({ concurrency = 2, maxWaiting = 1_000 }: UsersFileOptions) {
  const key = randomBytes(32);
  const turn = turns(concurrency, maxWaiting);
  const running = new Map<string, Promise<boolean>>();
  let users: ReadonlyMap<string, Known> = new Map();
  let stranger = decoy([]);

  const authenticate: Authenticate = async ({ login = '', passcode = '' }) => {
    const user = users.get(login);
    const hash = user?.hash ?? stranger;
    const shown = createHmac('sha256', key)
      .update(JSON.stringify([login, hash, passcode]))
      .digest();
    if (user?.verified !== undefined && timingSafeEqual(user.verified, shown)) return identityOf(user);

    const name = shown.toString('base64');
    let verification = running.get(name);
    if (verification === undefined) {
      verification = turn(() => verifyPasscode(passcode, hash)).finally(() => running.delete(name));
      running.set(name, verification);
    }
    const isRight = await verification;
    if (user === undefined || !isRight) return undefined;
    user.verified = shown;
    // The file may have been read again meanwhile: what it says now counts.
    const now = users.get(login);
    return now !== undefined && now.hash === user.hash ? identityOf(now) : undefined;
  };

  return {
    authenticate,
    get size() {
      return users.size;
    },
    replace(next: readonly User[]) {
      const known = next.map((user): [string, Known] => {
        const before = users.get(user.login);
        return [user.login, { ...user, verified: before?.hash === user.hash ? before.verified : undefined }];
      });
      users = new Map(known);
      stranger = decoy(next.map(({ hash }) => hash));
    },
  };
}

function identityOf({ login, groups }: User): Identity {
  return groups.length > 0 ? { name: login, groups } : { name: login };
}

/** Runs at most `concurrency` at a time, in the order they came; rejects when `maxWaiting` wait already. */
function turns(concurrency: number, maxWaiting: number): <T>(run: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let busy = 0;
  return async (run) => {
    if (busy >= concurrency) {
      if (waiting.length >= maxWaiting) throw new RangeError(`${maxWaiting} logins wait already`);
      await new Promise<void>((resolve) => waiting.push(resolve)); // whoever wakes us leaves us its place
    } else busy++;
    try {
      return await run();
    } finally {
      const next = waiting.shift();
      if (next === undefined) busy--;
      else next();
    }
  };
}

/** The users whose clients prove themselves with certificates, by the common name in them. */
export type CertificateLogins =
  | Readonly<Record<string, string | Identity>>
  | ((subject: string) => string | Identity | undefined);

/**
 * Lets clients in by a certificate that was verified (`tls.requestClientCertificate`), as the login its common name stands
 * for. A `login` in CONNECT must be that one or absent; the passcode is not looked at.
 */
export function certificates(logins: CertificateLogins): Authenticate {
  const known = typeof logins === 'function' ? undefined : new Map(Object.entries(logins));
  const find = typeof logins === 'function' ? logins : (subject: string) => known?.get(subject);
  return ({ peer, login }) => {
    const { certificate } = peer;
    if (certificate === undefined || !certificate.authorized || certificate.subject === '') return undefined;
    const found = find(certificate.subject);
    const identity = typeof found === 'string' ? { name: found } : found;
    return identity === undefined || (login !== undefined && login !== identity.name) ? undefined : identity;
  };
}

/** Asks one after the other; the first that knows who it is decides. One that throws is passed over, and rethrown if nobody knows. */
export function either(...authenticators: readonly Authenticate[]): Authenticate {
  return async (credentials) => {
    const failures: unknown[] = [];
    for (const authenticate of authenticators) {
      try {
        const identity = await authenticate(credentials);
        if (identity !== undefined) return identity;
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
    return undefined;
  };
}

// -------------------------------------------------------------------------------------------------------------- the file

async function read(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new FileError(path, [{ line: undefined, sentence: `the users cannot be read: ${reasonOf(cause)}` }], {
      cause,
    });
  }
}

function parse(path: string, text: string): User[] {
  const problems: Problem[] = [];
  const users = new Map<string, User>();
  for (const [at, content] of linesOf(text).entries()) {
    const line = at + 1;
    if (/^\s*(?:#|$)/.test(content)) continue;
    const user = parseLine(content);
    if (typeof user === 'string') problems.push({ line, sentence: user });
    else if (users.has(user.login)) problems.push({ line, sentence: `${quote(user.login)} is here a second time` });
    else users.set(user.login, user);
  }
  if (problems.length > 0) throw new FileError(path, problems);
  return [...users.values()];
}

function linesOf(text: string): string[] {
  const lines = text.replace(/^\ufeff/, '').split(/\r?\n/);
  if (lines.at(-1) === '') lines.pop();
  return lines;
}

// What is wrong is said without quoting anything behind the login: it may be a passcode in plain text. A line without
// a colon may be one as a whole.
function parseLine(line: string): User | string {
  const [login = '', hash, groups, ...rest] = line.split(':');
  if (hash === undefined || rest.length > 0) return 'a user is login:hash or login:hash:groups';
  const names = groups === undefined || groups === '' ? [] : groups.split(',').map((group) => group.trim());
  if (wrongName('login', login) !== undefined) return 'the login before the colon cannot be one';
  const wrong =
    wrongHash(hash.trim()) ?? (names.some((group) => wrongName('group', group)) ? 'a group has no name' : undefined);
  return wrong === undefined ? { login, hash: hash.trim(), groups: names } : `${quote(login)}: ${wrong}`;
}

function wrongName(what: 'login' | 'group', name: string): string | undefined {
  const isFine = /^[^\x00-\x1f\x7f:,#@\s](?:[^\x00-\x1f\x7f:,]*[^\x00-\x1f\x7f:,\s])?$/u.test(name);
  if (isFine && name !== '*') return undefined;
  return `${quote(name)} cannot be a ${what}: it has a colon, a comma or a control character, blanks at an end, begins with # or @, or is * or empty`;
}

async function rewrite(
  path: string,
  create: boolean,
  change: (lines: string[], users: ReadonlyMap<string, { readonly user: User; readonly line: number }>) => void,
): Promise<void> {
  const target = await realpath(path).catch(() => path); // a link stays one
  const text = await read(target).catch((error: unknown) => {
    const { cause } = error as FileError;
    if (create && cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return '';
    throw error;
  });
  parse(path, text); // nothing is written into a file that is wrong
  const lines = linesOf(text);
  const users = new Map<string, { user: User; line: number }>();
  for (const [at, content] of lines.entries()) {
    const user = /^\s*(?:#|$)/.test(content) ? '' : parseLine(content);
    if (typeof user !== 'string') users.set(user.login, { user, line: at + 1 });
  }
  change(lines, users);
  await replaceFile(target, lines.map((line) => `${line}\n`).join(''));
}

// Written beside it, flushed, and put in its place in one step.
async function replaceFile(path: string, text: string): Promise<void> {
  const folder = dirname(path);
  const draft = join(folder, `.${basename(path)}.${randomBytes(6).toString('hex')}`);
  try {
    const file = await open(draft, 'wx', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    const before = await stat(path).catch(() => undefined);
    await chmod(draft, (before?.mode ?? 0o600) & 0o777); // whatever the umask
    if (before !== undefined) await chown(draft, before.uid, before.gid).catch(() => undefined); // only root may give files away
    await rename(draft, path);
    const directory = await open(folder, 'r').catch(() => undefined); // not on Windows
    await directory?.sync().catch(() => undefined);
    await directory?.close();
  } catch (cause) {
    await rm(draft, { force: true });
    throw new FileError(path, [{ line: undefined, sentence: `the users cannot be written: ${reasonOf(cause)}` }], {
      cause,
    });
  }
}
