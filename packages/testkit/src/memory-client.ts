// A client over any channel, for tests of a broker: it says what it is told, by the
// rules or not, and reads frames strictly. It knows no session: nothing is answered,
// and nothing is held back.

import {
  type AckMode,
  type ClientCommand,
  Decoder,
  Encoder,
  type Frame,
  frame,
  type HeadersInit,
  isHandshake,
  type Version,
} from '@stompbox/protocol';
import type { Channel, ChannelEnd } from '@stompbox/transport';
import { settled } from './clock.ts';

type SaidHeaders = Readonly<Record<string, string | number>>;

export class MemoryClient {
  readonly channel: Channel;
  /** What came and nobody has asked for yet, in order. */
  readonly frames: Frame[] = [];
  /** Heart-beats that came. */
  beats = 0;
  /** How the channel ended, or that the broker will say no more. */
  end: ChannelEnd | 'half' | undefined;
  readonly #decoder = new Decoder();
  readonly #encoder: Encoder;
  #version: Version = '1.2';
  #receipts = 0;
  #wake: (() => void)[] = [];

  constructor(channel: Channel, version: Version = '1.2') {
    this.channel = channel;
    this.#version = version;
    this.#encoder = new Encoder({ version });
    channel.open({
      data: (bytes) => this.#hear(bytes),
      drain: () => {},
      ended: () => this.#over('half'),
      closed: (end) => this.#over(end),
    });
  }

  /** CONNECT; answers CONNECTED. Rejects where ERROR came instead, in its words. */
  async connect(headers: SaidHeaders = {}): Promise<Frame> {
    const offer: SaidHeaders = this.#version === '1.0' ? {} : { 'accept-version': this.#version, host: 'h' };
    this.say('CONNECT', { ...offer, ...headers });
    const answer = await this.next();
    if (answer.command !== 'CONNECTED') throw new Error(answer.get('message'));
    return answer;
  }

  /** Writes one frame. */
  say(command: ClientCommand, headers: SaidHeaders = {}, body: string | Uint8Array = ''): void {
    this.#encoder.frame(frame(command, headers as HeadersInit<ClientCommand>, body));
    this.channel.write(this.#encoder.take());
  }

  /** Several frames, or something that is none, in one write. */
  write(words: string | Uint8Array): void {
    this.channel.write(typeof words === 'string' ? new TextEncoder().encode(words) : words);
  }

  /** Writes one frame and waits for its RECEIPT; what comes meanwhile is kept. */
  async ask(command: ClientCommand, headers: SaidHeaders = {}, body: string | Uint8Array = ''): Promise<void> {
    const receipt = `r${this.#receipts++}`;
    this.say(command, { ...headers, receipt }, body);
    await this.until(
      () => this.frames.some((one) => one.command === 'RECEIPT' && one.get('receipt-id') === receipt),
      `the receipt of ${command}`,
    );
    const at = this.frames.findIndex((one) => one.get('receipt-id') === receipt);
    this.frames.splice(at, 1);
  }

  send(destination: string, body: string | Uint8Array = '', headers: SaidHeaders = {}): Promise<void> {
    return this.ask('SEND', { destination, ...headers }, body);
  }

  subscribe(id: string, destination: string, ack: AckMode = 'auto', headers: SaidHeaders = {}): Promise<void> {
    return this.ask('SUBSCRIBE', { id, destination, ack, ...headers });
  }

  /** Settles a MESSAGE in the words of this version. */
  settle(outcome: 'ACK' | 'NACK', message: Frame, headers: SaidHeaders = {}): void {
    const name: Record<Version, SaidHeaders> = {
      '1.0': { 'message-id': message.get('message-id') ?? '' },
      '1.1': { 'message-id': message.get('message-id') ?? '', subscription: message.get('subscription') ?? '' },
      '1.2': { id: message.get('ack') ?? '' },
    };
    this.say(outcome, { ...name[this.#version], ...headers });
  }

  /** The next frame. Rejects where the broker ended instead. */
  async next(): Promise<Frame> {
    await this.until(() => this.frames.length > 0, 'a frame');
    return this.frames.shift() as Frame;
  }

  /** The next `n` frames. */
  async take(n: number): Promise<Frame[]> {
    await this.until(() => this.frames.length >= n, `${n} frames`);
    return this.frames.splice(0, n);
  }

  /** The bodies of the next `n` frames, which are MESSAGEs. */
  async bodies(n: number): Promise<string[]> {
    return (await this.take(n)).map((one) => (one.command === 'MESSAGE' ? one.text() : one.command));
  }

  /** The ERROR that is the last word, after which the broker closed. */
  async error(): Promise<Frame> {
    await this.until(() => this.frames.at(-1)?.command === 'ERROR' && this.end !== undefined, 'an ERROR');
    return this.frames.at(-1) as Frame;
  }

  /** Whatever has come when nothing is under way any more: for what should not come. */
  async rest(): Promise<Frame[]> {
    await quiet();
    return this.frames.splice(0);
  }

  async closed(): Promise<void> {
    await this.until(() => this.end !== undefined, 'the end');
  }

  /** Resolves as soon as `met`, looked at whenever something came. Rejects at the end. */
  async until(met: () => boolean, what: string): Promise<void> {
    while (!met()) {
      if (this.end !== undefined) {
        const last = this.frames.at(-1);
        throw new Error(`the broker ended where ${what} should come: ${last?.get('message') ?? 'without a word'}`);
      }
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  #hear(bytes: Uint8Array): void {
    this.#decoder.push(bytes);
    for (;;) {
      const decoded = this.#decoder.next();
      if (decoded === undefined) break;
      if (decoded.type === 'heart-beat') this.beats++;
      if (decoded.type !== 'frame') continue;
      if (isHandshake(decoded.command)) this.#decoder.version = this.#version;
      this.frames.push(decoded);
    }
    this.#look();
  }

  #over(end: ChannelEnd | 'half'): void {
    if (end === 'half') this.channel.end();
    this.end = end;
    this.#look();
  }

  #look(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}

/** When nothing is under way between ends in memory: a broker answers within two turns of the loop. */
export async function quiet(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await settled();
}
