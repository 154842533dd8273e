// Who may come in: asks the authenticator, and makes those wait who guessed wrong (M-54).

import type { Frame } from '@stompbox/protocol';
import type { PeerInfo } from '@stompbox/transport';
import { ANONYMOUS, type Authenticate, type Identity, LoginPenalty } from './access.ts';
import { type Log, reasons } from './log.ts';
import { Refusal } from './refusal.ts';

/** What logins need of the broker. */
export interface LoginsOwner {
  readonly counts: { refused: number; failed: number };
  readonly log: Log;
  now(): number;
  schedule(ms: number, run: () => void): () => void;
  /** The authenticator threw. */
  fault(error: unknown): void;
}

export class Logins {
  readonly #owner: LoginsOwner;
  readonly #penalty = new LoginPenalty();
  readonly #penances = new Set<() => void>();

  constructor(owner: LoginsOwner) {
    this.#owner = owner;
  }

  /** Answers who it is; rejects with Refusal. `isThere` tells whether the connection still waits for it. */
  async ask(
    authenticate: Authenticate | undefined,
    frame: Frame,
    connection: string,
    peer: PeerInfo,
    isThere: () => boolean,
  ): Promise<Identity> {
    if (authenticate === undefined) return ANONYMOUS;
    const { log } = this.#owner;
    const { remote, address = remote } = peer;
    const delay = this.#penalty.delay(address, this.#owner.now());
    const shown = { login: frame.get('login'), passcode: frame.get('passcode'), host: frame.get('host'), peer };
    const refusal = (cause?: unknown) => new Refusal('access-refused', 'the login was refused', { cause }); // N-17: no hint why
    if (delay > 0) await this.#penance(delay);
    if (!isThere()) throw refusal();
    let identity: Identity | undefined;
    try {
      identity = await authenticate(shown);
    } catch (cause) {
      this.#penalty.failed(address, this.#owner.now()); // M-54: guesses that make it throw are guesses
      this.#owner.counts.failed++;
      log('login-failed', { connection, remote, error: redacted(cause, shown.passcode) });
      this.#owner.fault(cause);
      throw refusal(cause);
    }
    if (identity === undefined) {
      this.#penalty.failed(address, this.#owner.now());
      this.#owner.counts.refused++;
      log('login-refused', { connection, remote, delayMs: this.#penalty.delay(address, this.#owner.now()) });
      throw refusal();
    }
    this.#penalty.succeeded(address);
    return identity;
  }

  /** Nobody waits any longer. */
  close(): void {
    for (const penance of this.#penances) penance();
  }

  async #penance(ms: number): Promise<void> {
    let cut = () => {};
    await new Promise<void>((resolve) => {
      const cancel = this.#owner.schedule(ms, resolve);
      cut = () => {
        cancel();
        resolve();
      };
      this.#penances.add(cut);
    });
    this.#penances.delete(cut);
  }
}

// What an authenticator throws may quote what it was shown.
function redacted(error: unknown, passcode: string | undefined): string {
  const text = reasons(error);
  return passcode ? text.replaceAll(passcode, '***') : text;
}
