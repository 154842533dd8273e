// What the transport tests share: an owner that writes down what it hears, and
// waits on events rather than on time.

import { createHash } from 'node:crypto';
import type { Channel, ChannelEnd, ChannelHandlers } from '../src/channel.ts';

/** Opens a channel and keeps a diary. Answers a half-close with its own end unless told not to. */
export class Owner implements ChannelHandlers {
  readonly channel: Channel;
  readonly diary: string[] = [];
  readonly chunks: Uint8Array[] = [];
  readonly #hash = createHash('sha256');
  readonly #keep: boolean;
  readonly #answerEnd: boolean;
  #waiting: { readonly met: () => boolean; readonly resolve: () => void }[] = [];
  received = 0;
  drains = 0;
  end: ChannelEnd | undefined;
  /** True while a test is inside a verb of the channel: nothing may be heard then. */
  inside = false;
  onData: ((bytes: Uint8Array) => void) | undefined;

  constructor(channel: Channel, options: { keep?: boolean; answerEnd?: boolean; opened?: boolean } = {}) {
    this.channel = channel;
    this.#keep = options.keep ?? true;
    this.#answerEnd = options.answerEnd ?? true;
    if (options.opened ?? true) channel.open(this);
  }

  data(bytes: Uint8Array): void {
    this.#note('data');
    this.received += bytes.length;
    this.#hash.update(bytes);
    if (this.#keep) this.chunks.push(bytes);
    this.onData?.(bytes);
    this.#look();
  }

  drain(): void {
    this.drains += 1;
    this.#note('drain');
    this.#look();
  }

  ended(): void {
    this.#note('ended');
    if (this.#answerEnd) this.channel.end();
    this.#look();
  }

  closed(end: ChannelEnd): void {
    this.#note('closed');
    this.end = end;
    this.#look();
  }

  /** Resolves when `met` holds, looked at after every event. */
  until(met: () => boolean): Promise<void> {
    if (met()) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ met, resolve }));
  }

  async whenClosed(): Promise<ChannelEnd> {
    await this.until(() => this.end !== undefined);
    return this.end ?? {};
  }

  get bytes(): Uint8Array {
    return Buffer.concat(this.chunks);
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString();
  }

  get digest(): string {
    return this.#hash.copy().digest('hex');
  }

  #note(word: string): void {
    if (this.inside) this.diary.push(`${word} from inside a verb`);
    else if (word !== 'data' || this.diary.at(-1) !== 'data') this.diary.push(word);
  }

  #look(): void {
    const met = this.#waiting.filter((one) => one.met());
    this.#waiting = this.#waiting.filter((one) => !met.includes(one));
    for (const one of met) one.resolve();
  }
}

export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Deterministic bytes of every value. */
export function noise(size: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(size);
  let x = seed;
  for (let i = 0; i < size; i += 1) {
    x = (Math.imul(x, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[i] = x >>> 24;
  }
  return bytes;
}

/** Writes all of it, waiting for drain whenever the channel says enough. */
export async function pour(owner: Owner, pieces: Iterable<Uint8Array>): Promise<void> {
  for (const piece of pieces) {
    const before = owner.drains;
    if (!owner.channel.write(piece)) await owner.until(() => owner.drains > before || owner.end !== undefined);
  }
}

/** Handles and timers that keep this process alive, by kind. */
export function running(): string {
  const kinds = /^(TCP|TLS|Pipe|HTTP|Timeout|GetAddrInfo|ConnectWrap)/;
  return process
    .getActiveResourcesInfo()
    .filter((kind) => kinds.test(kind))
    .sort()
    .join(' ');
}

/** Waits for turns of the event loop, not for time, until `met` holds; fails after many. */
export async function turnsUntil(met: () => boolean, what: () => string): Promise<void> {
  for (let turn = 0; turn < 2_000; turn += 1) {
    if (met()) return;
    await new Promise((resolve) => setImmediate(resolve));
    if (turn > 200) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  throw new Error(`never came: ${what()}`);
}
