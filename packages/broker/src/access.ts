// Who may come in, and what they may do. A broker without an authenticator lets
// everybody in, and therefore listens on loopback only.

import { timingSafeEqual } from 'node:crypto';
import type { Endpoint, PeerInfo } from '@stompbox/transport';

/** What a client showed at the door. */
export interface Credentials {
  readonly login: string | undefined;
  readonly passcode: string | undefined;
  readonly host: string | undefined;
  readonly peer: PeerInfo;
}

/** Who it is, for `authorize` and for logs. */
export interface Identity {
  readonly name: string;
  /** What rules know as `@group`. */
  readonly groups?: readonly string[];
}

/**
 * Answers who it is, or undefined to refuse. May take its time: the connection waits, within `connectTimeoutMs`.
 * A throw refuses as well; the client is not told why (N-17).
 */
export type Authenticate = (credentials: Credentials) => Promise<Identity | undefined> | Identity | undefined;

export const VERBS = ['send', 'subscribe', 'manage'] as const;
/** What one may do with a destination. */
export type Verb = (typeof VERBS)[number];

export interface Authorize {
  /**
   * Whether that identity may send to, subscribe to (browsing with a SUBSCRIBE included), or manage (`broker.manageAs`: list,
   * browse, purge, move, forget) a destination: `/queue/a` (also where a frame says just `a`) or `/topic/a.b`, which may be a
   * pattern on `subscribe` and `manage`. Asked once per connection and destination, and again after a reload; for `manage`
   * each time.
   */
  (identity: Identity, verb: Verb, destination: string): boolean;
  /** Which rule says so, for operators; clients on the wire are never told (M-85). */
  readonly why?: (identity: Identity, verb: Verb, destination: string) => string;
}

/** Whether an address can be reached from outside: not where anybody may come in, unless somebody says so. */
export function isOpenDoor(endpoint: Endpoint): boolean {
  if (endpoint.transport === 'unix') return false;
  const { host } = endpoint;
  return !(host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host));
}

export const ANONYMOUS: Identity = { name: 'anonymous' };

/**
 * An authenticator over a fixed set of logins. Compares octets in constant time, for unknown logins as well (M-53), and
 * keeps the passcodes as they are: for tests and for the laptop.
 */
export function passcodes(users: Readonly<Record<string, string>>): Authenticate {
  const known = new Map(Object.entries(users));
  return ({ login = '', passcode = '' }) => {
    const expected = known.get(login);
    const same = equalTexts(expected ?? `${passcode}x`, passcode);
    return expected !== undefined && same ? { name: login } : undefined;
  };
}

function equalTexts(a: string, b: string): boolean {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  const length = Math.max(left.length, right.length, 1);
  const padded = (bytes: Buffer) => Buffer.concat([bytes], length);
  return timingSafeEqual(padded(left), padded(right)) && left.length === right.length;
}

const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 5_000;
const FORGET_AFTER_MS = 60_000;
const ADDRESSES = 10_000;

/** Failed logins make the next one from that address wait longer, twice as long each time (M-54). */
export class LoginPenalty {
  readonly #failures = new Map<string, { count: number; at: number }>();

  /** Milliseconds that an answer to this address waits now. */
  delay(address: string, now: number): number {
    const failed = this.#failures.get(address);
    if (failed === undefined || now - failed.at > FORGET_AFTER_MS) return 0;
    return Math.min(FIRST_DELAY_MS * 2 ** (failed.count - 1), LONGEST_DELAY_MS);
  }

  failed(address: string, now: number): void {
    const before = this.#failures.get(address);
    const count = before !== undefined && now - before.at <= FORGET_AFTER_MS ? before.count + 1 : 1;
    this.#failures.delete(address);
    this.#failures.set(address, { count, at: now });
    const oldest = this.#failures.keys().next();
    if (this.#failures.size > ADDRESSES && !oldest.done) this.#failures.delete(oldest.value);
  }

  succeeded(address: string): void {
    this.#failures.delete(address);
  }
}
