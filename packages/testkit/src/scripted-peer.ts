// The broker's end of a channel in a test's hand: it hears frames through a real
// ServerSession, so a client that breaks a rule is found out, and says whatever the
// script wants, well-formed or not.
//
//   const peer = new ScriptedPeer(pair.b, clock);
//   await peer.accept();                          // CONNECT came, CONNECTED went
//   const send = await peer.next('send');         // receipts are given by themselves
//   peer.say('MESSAGE\nsubscription:1\n…\0');

import {
  Content,
  Encoder,
  type Frame,
  frame,
  NameSet,
  type ServerEvent,
  ServerSession,
  type ServerSessionOptions,
} from '@stompbox/protocol';
import type { Channel, ChannelEnd } from '@stompbox/transport';

export type PeerEvent = ServerEvent<string>;

export interface ScriptedPeerOptions extends ServerSessionOptions {
  /** Answer every receipt as soon as it is asked for, and close after the one of DISCONNECT. True unless given. */
  readonly receipts?: boolean;
  /** Keep the connection when the client has ended its side; brokers close then. False unless given. */
  readonly lingers?: boolean;
}

export class ScriptedPeer {
  readonly channel: Channel;
  /** Every frame that came, in order. */
  readonly frames: Frame[] = [];
  /** Bytes of each chunk that came. */
  readonly chunks: Uint8Array[] = [];
  /** Heart-beats that came. */
  beats = 0;
  /** The other side will send no more, or is gone. */
  end: ChannelEnd | 'half' | undefined;
  readonly #session: ServerSession<string>;
  readonly #now: () => number;
  readonly #receipts: boolean;
  readonly #events: PeerEvent[] = [];
  #wake: () => void = () => {};
  #deliveries = 0;

  constructor(channel: Channel, clock: { now(): number }, options: ScriptedPeerOptions = {}) {
    this.channel = channel;
    this.#now = () => clock.now();
    this.#receipts = options.receipts ?? true;
    this.#session = new ServerSession<string>({ frameTimeoutMs: 0, connectTimeoutMs: 0, ...options }, clock.now());
    channel.open({
      data: (bytes) => this.#receive(bytes),
      drain: () => {},
      ended: () => {
        this.end ??= 'half';
        if (!options.lingers) channel.end();
        this.#wake();
      },
      closed: (end) => {
        this.end = end;
        this.#wake();
      },
    });
  }

  /** Waits for CONNECT and answers: with CONNECTED, or with `words` instead. */
  async accept(words?: string): Promise<Frame> {
    const { frame: connect } = await this.next('connect');
    this.#session.accept({ session: 'session-1', server: 'scripted/1' }, this.#now());
    const usual = this.#session.take(this.#now());
    this.channel.write(words === undefined ? usual : new TextEncoder().encode(words));
    this.#pump(); // what was sent behind CONNECT
    return connect;
  }

  /** The next event of that type, those before it dropped. Throws where the client broke a rule or went. */
  async next<Type extends PeerEvent['type']>(type: Type): Promise<Extract<PeerEvent, { type: Type }>> {
    for (;;) {
      const event = this.#events.shift();
      if (event === undefined) {
        if (this.end !== undefined) throw new Error(`the client went while the script waited for ${type}`);
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      } else if (isOf(event, type)) return event;
      else if (event.type === 'fault') throw event.error;
    }
  }

  /** Bytes or text, as they are. */
  say(words: string | Uint8Array): boolean {
    return this.channel.write(typeof words === 'string' ? new TextEncoder().encode(words) : words);
  }

  /** A MESSAGE on a subscription that is open, by the rules. Its `item` comes back when the client settles it. */
  deliver(
    subscription: string,
    body: string | Uint8Array,
    options: {
      readonly item?: string;
      readonly headers?: Readonly<Record<string, string>>;
      redeliveries?: number;
    } = {},
  ): void {
    const open = this.#session.subscriptions.get(subscription);
    if (open === undefined) throw new Error(`the client has no subscription ${subscription}`);
    const id = ++this.#deliveries;
    const sent = frame('SEND', { destination: open.destination, ...options.headers }, body);
    const content = Content.of(sent, new NameSet(['destination']), new Encoder({ version: '1.2' }));
    const { redeliveries = 0 } = options;
    const message = { id, destination: open.destination, content, redeliveries };
    this.#session.message(open, message, options.item ?? `item-${id}`);
    this.#flush();
  }

  receipt(id: string): void {
    this.#session.receipt(id);
    this.#flush();
  }

  /** Sends nothing more; the client may. */
  hangUp(): void {
    this.channel.end();
  }

  #receive(bytes: Uint8Array): void {
    this.chunks.push(bytes);
    this.#session.receive(bytes, this.#now());
    this.#pump();
  }

  #pump(): void {
    for (;;) {
      const event = this.#session.next(this.#now());
      if (event === undefined) break;
      if (event.type === 'heart-beat') {
        this.beats++;
        continue;
      }
      this.#events.push(event);
      if (event.type === 'fault') {
        this.#session.close();
        break;
      }
      this.frames.push(event.frame);
      if (event.type !== 'connect' && event.receipt !== undefined && this.#receipts) {
        this.#session.receipt(event.receipt);
        this.#flush();
      }
      if (event.type === 'disconnect' && this.#receipts) this.channel.end();
    }
    this.#wake();
  }

  #flush(): void {
    const bytes = this.#session.take(this.#now());
    if (bytes.length > 0) this.channel.write(bytes);
  }
}

function isOf<Type extends PeerEvent['type']>(
  event: PeerEvent,
  type: Type,
): event is Extract<PeerEvent, { type: Type }> {
  return event.type === type;
}
