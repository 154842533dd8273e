// Messages that were shown and wait for their ack or nack, found again by the id somebody types.

import type { Message } from '@stompbox/client';
import { printable } from '../escape.ts';
import { WrongUsage } from '../exit-codes.ts';

/** So many, and so many octets of bodies, are kept; then no more are read until some are settled. */
const MAX_HELD = 1_000;
const MAX_HELD_BYTES = 64 * 1024 * 1024;

/** What a message is found by. */
export interface Holder {
  /** What was subscribed to, as it was typed. */
  readonly name: string;
  /** The id of the subscription. */
  readonly id: string;
  /** ACK covers every earlier message of it. */
  readonly cumulative: boolean;
}

export interface HeldMessage {
  readonly message: Message;
  readonly holder: Holder;
}

export class Held {
  /** In the order in which they came. */
  #all: HeldMessage[] = [];
  #bytes = 0;
  #room: (() => void)[] = [];

  get isFull(): boolean {
    return this.#all.length >= MAX_HELD || this.#bytes >= MAX_HELD_BYTES;
  }

  /** The ids that may be typed. */
  get ids(): readonly string[] {
    return this.#all.map(({ message }) => message.id);
  }

  add(message: Message, holder: Holder): void {
    this.#all.push({ message, holder });
    this.#bytes += message.bytes.length;
  }

  /** Resolves when there is room for one more. */
  room(): Promise<void> {
    return this.isFull ? new Promise((resolve) => this.#room.push(resolve)) : Promise.resolve();
  }

  /** `subscription` is an id or a destination. Throws WrongUsage where none or several are meant. */
  find(messageId: string, subscription: string | undefined): HeldMessage {
    const found = this.#all.filter(
      ({ message, holder }) =>
        message.id === messageId &&
        (subscription === undefined || holder.id === subscription || holder.name === subscription),
    );
    const [one, another] = found;
    if (one === undefined) throw new WrongUsage(`no message ${printable(messageId)} waits for an ack or nack`);
    if (another !== undefined) {
      const names = found.map(({ holder }) => holder.name).join(' and ');
      throw new WrongUsage(`${names} both have a message ${printable(messageId)}: write one of them behind it`);
    }
    return one;
  }

  /** Takes out what settling this one settles. */
  take(one: HeldMessage, outcome: 'ack' | 'nack'): readonly HeldMessage[] {
    const at = this.#all.indexOf(one);
    const isCovered = (other: HeldMessage, index: number): boolean =>
      other === one || (outcome === 'ack' && one.holder.cumulative && other.holder === one.holder && index < at);
    const taken = this.#all.filter(isCovered);
    this.#keep(this.#all.filter((other, index) => !isCovered(other, index)));
    return taken;
  }

  /** They wait again, before those that came since: their transaction did not happen. */
  putBack(taken: readonly HeldMessage[]): void {
    this.#keep([...taken, ...this.#all]);
  }

  /** Their connection or subscription is gone, and the broker gives them to somebody again. All of them unless told whose. */
  drop(holder?: Holder): void {
    this.#keep(holder === undefined ? [] : this.#all.filter((one) => one.holder !== holder));
  }

  #keep(left: HeldMessage[]): void {
    this.#all = left;
    this.#bytes = left.reduce((sum, { message }) => sum + message.bytes.length, 0);
    if (this.isFull) return;
    const waiting = this.#room;
    this.#room = [];
    for (const go of waiting) go();
  }
}
