// Passcodes and their hashes: scrypt, as PHC strings, so that a stronger one can follow.
//
//   $scrypt$ln=15,r=8,p=1$<salt>$<hash>      base64 without padding; ln is the binary logarithm of the cost
//
// The work is done in libuv's pool of four threads, which the file system needs too: callers bound how much of it runs
// at a time (`users.ts`). One hash of the default cost takes about 0.1 s and 32 MiB.

import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';

export interface HashCost {
  /** Binary logarithm of the number of rounds. */
  readonly ln: number;
  readonly r: number;
  readonly p: number;
}

export const HASH_COST: HashCost = Object.freeze({ ln: 15, r: 8, p: 1 });

const SALT_BYTES = 16;
const HASH_BYTES = 32;
const MAX_MEMORY = 256 * 1024 * 1024;
const PHC = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/;

interface Hash extends HashCost {
  readonly salt: Buffer;
  readonly hash: Buffer;
}

/** The hash of a passcode, to be kept instead of it. Exact octets of its UTF-8 count (M-53). Rejects with RangeError for a cost out of range. */
export async function hashPasscode(passcode: string, cost: HashCost = HASH_COST): Promise<string> {
  const wrong = wrongCost(cost);
  if (wrong !== undefined) throw new RangeError(wrong);
  // scrypt pads with NUL: it could not tell `a` from `a\0`. No header can hold one.
  if (passcode.includes('\0')) throw new RangeError('a passcode holds no NUL');
  const salt = randomBytes(SALT_BYTES);
  const hash = await derive(passcode, { ...cost, salt, hash: Buffer.alloc(HASH_BYTES) });
  return format({ ...cost, salt, hash });
}

/** Whether the passcode is the one that was hashed. Compares in constant time. Rejects with RangeError for what is no hash of ours. */
export async function verifyPasscode(passcode: string, hash: string): Promise<boolean> {
  const known = parseHash(hash);
  if (typeof known === 'string') throw new RangeError(known);
  return timingSafeEqual(await derive(passcode, known), known.hash) && !passcode.includes('\0');
}

/** Why this is no hash that could be verified, without quoting it; undefined if it is one. */
export function wrongHash(hash: string): string | undefined {
  const parsed = parseHash(hash);
  return typeof parsed === 'string' ? parsed : undefined;
}

/** A hash that no passcode has, of the same cost as the dearest of `hashes`: to be verified for logins nobody has. */
export function decoy(hashes: Iterable<string>): string {
  let dearest: HashCost = HASH_COST;
  let most = 0;
  for (const hash of hashes) {
    const parsed = parseHash(hash);
    if (typeof parsed === 'string' || work(parsed) <= most) continue;
    most = work(parsed);
    dearest = { ln: parsed.ln, r: parsed.r, p: parsed.p };
  }
  return format({ ...dearest, salt: randomBytes(SALT_BYTES), hash: randomBytes(HASH_BYTES) });
}

function work({ ln, r, p }: HashCost): number {
  return 2 ** ln * r * p;
}

function wrongCost({ ln, r, p }: HashCost): string | undefined {
  if (!Number.isInteger(ln) || ln < 1 || ln > 20) return 'the cost ln of a passcode hash is not 1 to 20';
  if (!Number.isInteger(r) || r < 1 || r > 32) return 'the block size r of a passcode hash is not 1 to 32';
  if (!Number.isInteger(p) || p < 1 || p > 16) return 'the parallelism p of a passcode hash is not 1 to 16';
  return memory({ ln, r, p }) > MAX_MEMORY ? 'the passcode hash takes more than 256 MiB to verify' : undefined;
}

function memory({ ln, r, p }: HashCost): number {
  return 128 * r * (2 ** ln + p + 2);
}

function parseHash(text: string): Hash | string {
  const match = PHC.exec(text);
  if (match === null)
    return 'this is no passcode hash; it begins with $scrypt$ and has a salt and a hash behind its cost';
  const [, ln, r, p, salt = '', hash = ''] = match;
  const cost = { ln: Number(ln), r: Number(r), p: Number(p) };
  return wrongCost(cost) ?? { ...cost, salt: Buffer.from(salt, 'base64'), hash: Buffer.from(hash, 'base64') };
}

function format({ ln, r, p, salt, hash }: Hash): string {
  const base64 = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '');
  return `$scrypt$ln=${ln},r=${r},p=${p}$${base64(salt)}$${base64(hash)}`;
}

function derive(passcode: string, { salt, hash, ln, r, p }: Hash): Promise<Buffer> {
  const cost = { N: 2 ** ln, r, p, maxmem: memory({ ln, r, p }) };
  return new Promise((resolve, reject) => {
    scrypt(Buffer.from(passcode), salt, hash.length, cost, (error, key) => (error ? reject(error) : resolve(key)));
  });
}
