// One subscription at the broker, read by several here: each gets every message.
//
//   wire ─► pump ─┬─► [ share ] ─► ClientSubscription
//                 └─► [ share ] ─► ClientSubscription
//
// The pump stands still while one of the shares is full, so the slowest reader decides.

import type { AckMode } from '@stompbox/protocol';
import type { Message } from '../connection/message.ts';
import type { ClientSubscription, Wire } from './client-subscription.ts';
import type { Reader } from './intent.ts';

/** Messages that one reader may be behind. */
const MAX_BEHIND = 100;

export class Shared implements Reader {
  readonly #shares = new Map<ClientSubscription, Share>();
  #wires: Wire[] = [];
  #isConfirmed = false;

  get isEmpty(): boolean {
    return this.#shares.size === 0;
  }

  add(reader: ClientSubscription): void {
    const share = new Share(this.#pump);
    this.#shares.set(reader, share);
    reader.attach(share);
    if (this.#isConfirmed) reader.confirmed();
  }

  remove(reader: ClientSubscription): void {
    this.#shares.get(reader)?.end();
    this.#shares.delete(reader);
    this.#pump();
  }

  attach(wire: Wire): void {
    this.#wires.push(wire);
    wire.watch(this.#pump);
    this.#pump();
  }

  confirmed(): void {
    this.#isConfirmed = true;
    for (const reader of this.#shares.keys()) reader.confirmed();
  }

  refused(error: Error): void {
    for (const reader of this.#shares.keys()) reader.refused(error);
  }

  end(error: Error | undefined): void {
    for (const reader of this.#shares.keys()) reader.end(error);
  }

  readonly #pump = (): void => {
    for (let wire = this.#wires[0]; wire !== undefined; wire = this.#wires[0]) {
      for (const share of this.#shares.values()) if (share.isFull) return;
      const message = wire.take();
      if (message !== undefined) for (const share of this.#shares.values()) share.put(message);
      else if (wire.ended) this.#wires.shift();
      else return;
    }
  };
}

class Share implements Wire {
  readonly ack: AckMode = 'auto';
  readonly #messages: Message[] = [];
  readonly #roomMade: () => void;
  #watcher: (() => void) | undefined;
  ended = false;

  constructor(roomMade: () => void) {
    this.#roomMade = roomMade;
  }

  get isFull(): boolean {
    return this.#messages.length >= MAX_BEHIND;
  }

  put(message: Message): void {
    this.#messages.push(message);
    this.#watcher?.();
  }

  take(): Message | undefined {
    const wasFull = this.isFull;
    const message = this.#messages.shift();
    if (wasFull) queueMicrotask(this.#roomMade);
    return message;
  }

  watch(watcher: () => void): void {
    this.#watcher = watcher;
  }

  end(): void {
    this.ended = true;
    this.#watcher?.();
  }
}
