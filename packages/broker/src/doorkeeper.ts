// How many connections there may be, all together and from one address. One too many gets
// an ERROR that names the limit and is closed; where a crowd of those is still there, it is
// closed without a word (M-56).

import { ServerSession } from '@stompbox/protocol';
import type { Channel } from '@stompbox/transport';
import type { BrokerLimits } from './limits.ts';

export type DoorLimit = 'maxConnections' | 'maxConnectionsPerAddress';

/** What a doorkeeper needs of the broker. */
export interface DoorkeeperOwner {
  readonly limits: BrokerLimits;
  now(): number;
  schedule(ms: number, run: () => void): () => void;
  /** One was turned away, with a word or without. */
  turnedAway(limit: DoorLimit, told: boolean): void;
  /** That is to be logged; `suppressed` of them before were not. */
  tell(limit: DoorLimit, remote: string, suppressed: number): void;
}

/** Those that were turned away, and have a moment to read it. Listeners accept as many more than there may be connections. */
export const MAX_TURNED_AWAY = 64;
// A flood of connections is not to become a flood in the log.
const TOLD_EVERY_MS = 1_000;

export class Doorkeeper {
  readonly #owner: DoorkeeperOwner;
  readonly #perAddress = new Map<string, number>();
  readonly #turnedAway = new Set<Channel>();
  #open = 0;
  #toldAt = Number.NEGATIVE_INFINITY;
  #untold = 0;

  constructor(owner: DoorkeeperOwner) {
    this.#owner = owner;
  }

  /** Whether there is room for it; then `left` is to be called at its end. Otherwise it is taken care of. */
  admits(channel: Channel): boolean {
    const { address } = channel.peer;
    const { maxConnections, maxConnectionsPerAddress } = this.#owner.limits;
    const sameAddress = address === undefined ? 0 : (this.#perAddress.get(address) ?? 0);
    if (this.#open >= maxConnections) this.#turnAway(channel, 'maxConnections', `there are ${this.#open} connections`);
    else if (sameAddress >= maxConnectionsPerAddress) {
      this.#turnAway(channel, 'maxConnectionsPerAddress', `there are ${sameAddress} connections from this address`);
    } else {
      this.#open++;
      if (address !== undefined) this.#perAddress.set(address, sameAddress + 1);
      return true;
    }
    return false;
  }

  left({ peer: { address } }: Channel): void {
    this.#open--;
    if (address === undefined) return;
    const left = (this.#perAddress.get(address) ?? 1) - 1;
    if (left === 0) this.#perAddress.delete(address);
    else this.#perAddress.set(address, left);
  }

  /** A listener has dropped one before it was a channel. */
  dropped(address: string | undefined): void {
    this.#count('maxConnections', address ?? '', false);
  }

  /** Those who still read why they were turned away are cut. */
  close(): void {
    for (const channel of this.#turnedAway) channel.destroy();
  }

  #turnAway(channel: Channel, limit: DoorLimit, why: string): void {
    const told = this.#turnedAway.size < MAX_TURNED_AWAY;
    this.#count(limit, channel.peer.remote, told);
    if (told) this.#explain(channel, `${why} (${limit})`);
    else shut(channel);
  }

  // E-05: the last words, our side closed, and a while to read them; what comes meanwhile is dropped.
  #explain(channel: Channel, message: string): void {
    const now = this.#owner.now();
    const session = new ServerSession({}, now);
    session.error({ code: 'limit', message });
    this.#turnedAway.add(channel);
    const cancel = this.#owner.schedule(this.#owner.limits.lingerMs, () => channel.destroy());
    const closed = () => {
      cancel();
      this.#turnedAway.delete(channel);
    };
    channel.open({ data() {}, drain() {}, ended() {}, closed });
    channel.write(session.take(now));
    channel.end(1013); // "try again later"
  }

  #count(limit: DoorLimit, remote: string, told: boolean): void {
    this.#owner.turnedAway(limit, told);
    const now = this.#owner.now();
    if (now - this.#toldAt < TOLD_EVERY_MS) {
      this.#untold++;
      return;
    }
    this.#owner.tell(limit, remote, this.#untold);
    this.#toldAt = now;
    this.#untold = 0;
  }
}

/** Closes a channel that nobody has opened. */
export function shut(channel: Channel): void {
  channel.open({ data() {}, drain() {}, ended() {}, closed() {} });
  channel.destroy();
}
