// That something is subscribed to, whatever becomes of connections: how it is asked for on
// each, and left.

import type { AckMode } from '@stompbox/protocol';
import { frame } from '@stompbox/protocol';
import type { Subscription } from '../connection/subscription.ts';
import { type PortableSubscribe, type To, UnsupportedByBroker } from '../profiles/profile.ts';
import type { LeaveOptions, Wire } from './client-subscription.ts';
import type { Session } from './session.ts';

/** Where what comes goes to. */
export interface Reader {
  /** Messages come from here from now on. */
  attach(wire: Wire): void;
  /** A broker has confirmed it. */
  confirmed(): void;
  /** A broker has refused it; there may be another try. */
  refused(error: Error): void;
  /** There is none; `error` is why, unless it was asked for. */
  end(error: Error | undefined): void;
}

export interface IntentOptions extends PortableSubscribe {
  readonly ack?: AckMode | undefined;
  readonly headers?:
    | Readonly<Record<string, string>>
    | (() => Readonly<Record<string, string>> | PromiseLike<Readonly<Record<string, string>>>)
    | undefined;
  /** The mode where the broker knows ACK and none was asked for. */
  readonly usualAck: AckMode;
  readonly clientId: string | undefined;
}

export class Intent {
  readonly id: string;
  readonly destination: To;
  readonly reader: Reader;
  readonly #options: IntentOptions;
  #session: Session | undefined;
  #wire: Subscription | undefined;
  /** How often in a row it was refused. */
  refusals = 0;
  /** Not to be asked for yet. */
  stopQuarantine: (() => void) | undefined;
  isOver = false;

  constructor(id: string, destination: To, options: IntentOptions, reader: Reader) {
    this.id = id;
    this.destination = destination;
    this.reader = reader;
    this.#options = options;
  }

  /** The id it has on the connection of this moment. */
  get wireId(): string | undefined {
    return this.#wire?.id;
  }

  /**
   * Asks for it on this connection. Resolves when the broker has confirmed it, or where it never does, when it is written.
   * Rejects as `Subscription.ready` does, or with UsageError or UnsupportedByBroker: nothing was sent then.
   */
  async plug(session: Session): Promise<void> {
    const { connection, profile } = session;
    const { usualAck, clientId, headers, ...options } = this.#options;
    if (options.ack !== undefined && options.ack !== 'auto' && !profile.settles) {
      throw new UnsupportedByBroker('ack', profile.name, 'it knows no ACK; leave ack out');
    }
    const more = typeof headers === 'function' ? await headers() : headers;
    if (this.isOver || !connection.isOpen) return;
    const resolved = profile.resolve(this.destination, 'SUBSCRIBE');
    const { destination } = resolved;
    const words = profile.subscribe(options, { id: this.id, destination, clientId });
    this.#session = session;
    this.#wire = connection.subscribe(destination, {
      id: words.id,
      ack: options.ack ?? (profile.settles ? usualAck : 'auto'),
      headers: { ...words.headers, ...resolved.headers, ...more },
      confirm: profile.receipts === 'all',
    });
    this.reader.attach(this.#wire);
    const { ready, answer } = this.#wire;
    await ready.catch(() => answer); // at the end of a connection the first says why that ended
  }

  /** Leaves the connection it is on. `session` is that of this moment, where there is one. */
  async leave({ forget, ...options }: LeaveOptions, session: Session | undefined): Promise<void> {
    const wire = this.#wire;
    if (session === undefined || wire === undefined || session !== this.#session) return;
    const [first, ...more] = session.profile.unsubscribe({ durable: this.#options.durable, forget });
    const confirm = session.profile.receipts === 'all';
    await wire.unsubscribe({ ...options, confirm, headers: first });
    for (const headers of more) {
      const unsubscribe = frame('UNSUBSCRIBE', { id: wire.id, ...headers });
      await session.connection.sendFrame(unsubscribe, { ...options, confirm });
    }
  }
}
