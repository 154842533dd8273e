// Two channels, each of which gets what the other says; what is said is overheard on the way.
//
//   client ──► [ ear ] ──► broker          a side that takes no more, or a listener that is behind,
//          ◄── [ ear ] ◄──                 pauses the other: nothing is held here
//
// The bytes are forwarded as they came. Only towards a WebSocket they are cut where frames end (W-05).

import type { Clock } from '@stompbox/client';
import { VERSIONS } from '@stompbox/protocol';
import type { Channel, ChannelEnd } from '@stompbox/transport';
import { Cutter } from './cutter.ts';
import { Ear, type Heard } from './ear.ts';
import type { Side } from './lines.ts';

/** A side that has ended is followed by the other within this time. */
const PARTING_MS = 5_000;
/** Held back at most for a frame to end. */
const MAX_HELD = 16 * 1024 * 1024;

export interface RelayOptions {
  readonly clock: Clock;
  /** Is told everything, in order. True: enough for now, until `resume`. */
  readonly hear: (from: Side, what: Heard) => boolean;
  /** Once, when both have ended: what there is to say about it. */
  readonly closed: (how: string) => void;
}

interface End {
  readonly channel: Channel;
  readonly ear: Ear;
  /** What it said and the other has not been given. Only where the other is framed. */
  readonly cutter: Cutter;
  isClosed: boolean;
  /** The other side takes no more. */
  isBlocked: boolean;
}

export class Relay {
  readonly #ends: Readonly<Record<Side, End>>;
  readonly #options: RelayOptions;
  #isBehind = false;
  #how: string[] = [];
  #stopParting: (() => void) | undefined;

  /** Opens both; they belong to it from now on. */
  constructor(client: Channel, broker: Channel, options: RelayOptions) {
    this.#options = options;
    this.#ends = { client: endOf(client), broker: endOf(broker) };
    this.#join('broker', 'client');
    this.#join('client', 'broker');
  }

  /** Whoever hears has caught up. */
  resume(): void {
    if (!this.#isBehind) return;
    this.#isBehind = false;
    for (const { isBlocked, channel } of Object.values(this.#ends)) if (!isBlocked) channel.resume();
  }

  /** Ends both at once. */
  destroy(): void {
    for (const { channel } of Object.values(this.#ends)) channel.destroy();
  }

  #join(from: Side, to: Side): void {
    const source = this.#ends[from];
    const target = this.#ends[to];
    source.channel.open({
      data: (bytes) => this.#forward(from, bytes, source, target),
      drain: () => {
        target.isBlocked = false;
        if (!this.#isBehind) target.channel.resume();
      },
      ended: () => {
        this.#flush(source, target);
        target.channel.end();
      },
      closed: (end) => this.#closed(from, end, source, target),
    });
  }

  #forward(from: Side, bytes: Uint8Array, source: End, target: End): void {
    const { framed } = target.channel;
    if (framed) source.cutter.push(bytes);
    for (const heard of source.ear.hear(bytes)) {
      if (heard.type === 'frame') this.#learn(from, heard);
      if (this.#options.hear(from, heard)) this.#isBehind = true;
      if (framed) this.#write(source.cutter.cut(source.ear.offset), source, target);
    }
    if (!framed) this.#write(bytes, source, target);
    else if (source.ear.isLost || source.cutter.size > MAX_HELD) this.#flush(source, target);
    if (this.#isBehind) for (const { channel } of Object.values(this.#ends)) channel.pause();
  }

  #flush(source: End, target: End): void {
    this.#write(source.cutter.take(), source, target);
  }

  #write(bytes: Uint8Array, source: End, target: End): void {
    if (bytes.length === 0 || target.isClosed || target.channel.write(bytes)) return;
    source.isBlocked = true;
    source.channel.pause();
  }

  /** What was negotiated is what both speak from here on (C-01). */
  #learn(from: Side, { frame }: Extract<Heard, { type: 'frame' }>): void {
    if (from !== 'broker' || !frame.is('CONNECTED')) return;
    const said = frame.get('version') ?? '1.0';
    const version = VERSIONS.find((one) => one === said);
    if (version !== undefined) for (const { ear } of Object.values(this.#ends)) ear.version = version;
  }

  #closed(from: Side, { error, code, reason }: ChannelEnd, source: End, target: End): void {
    source.isClosed = true;
    this.#how.push(...this.#account(from, source, error?.message ?? socketWords(code, reason)));
    if (target.isClosed) {
      this.#stopParting?.();
      this.#options.closed(this.#how.join('; '));
    } else if (error !== undefined) target.channel.destroy();
    else {
      this.#flush(source, target);
      target.channel.end();
      this.#stopParting = this.#options.clock.schedule(PARTING_MS, () => target.channel.destroy(), true);
    }
  }

  #account(from: Side, { ear }: End, words: string | undefined): string[] {
    const isFirst = this.#how.length === 0;
    const parts = [words, ear.rest].filter((part) => part !== undefined);
    if (!isFirst && parts.length === 0) return [];
    return [`${isFirst ? `closed by the ${from}` : `the ${from}`}${parts.length === 0 ? '' : `: ${parts.join(', ')}`}`];
  }
}

function socketWords(code: number | undefined, reason: string | undefined): string | undefined {
  if (code === undefined || code === 1000) return undefined;
  return reason === undefined || reason === '' ? `code ${code}` : `code ${code} ${reason}`;
}

function endOf(channel: Channel): End {
  return { channel, ear: new Ear(), cutter: new Cutter(), isClosed: false, isBlocked: false };
}
