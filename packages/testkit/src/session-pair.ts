// A client session wired to a server session in memory. The clock is a number in the
// test's hand, and every byte that crosses may be cut as a network could.
//
//   pair.client.send(…)    pair.toServer() ─► the server's events
//   pair.server.message(…) pair.toClient() ─► the client's events

import {
  type ClientEvent,
  ClientSession,
  type ClientSessionOptions,
  type ServerEvent,
  ServerSession,
  type ServerSessionOptions,
  type Version,
} from '@stompbox/protocol';
import type { Cut } from './cuts.ts';

/** The half of a session that listens. */
export interface Listener<Event> {
  receive(bytes: Uint8Array, now: number): void;
  next(now: number): Event | undefined;
}

/** Every event there is now. */
export function events<Event>(session: Listener<Event>, now = 0): Event[] {
  const all: Event[] = [];
  for (let event = session.next(now); event !== undefined; event = session.next(now)) all.push(event);
  return all;
}

/** Every event that these chunks are, in order; text stands for its UTF-8. */
export function hear<Event>(
  session: Listener<Event>,
  bytes: string | Uint8Array | readonly Uint8Array[],
  now = 0,
): Event[] {
  const chunks = typeof bytes === 'string' ? [new TextEncoder().encode(bytes)] : bytes;
  const all: Event[] = [];
  for (const chunk of chunks instanceof Uint8Array ? [chunks] : chunks) {
    session.receive(chunk, now);
    all.push(...events(session, now));
  }
  return all;
}

/** The one event of that type among them. Throws where there is none, or more. */
export function only<Event extends { readonly type: string }, Type extends Event['type']>(
  among: readonly Event[],
  type: Type,
): Extract<Event, { readonly type: Type }> {
  const found = among.filter((event): event is Extract<Event, { readonly type: Type }> => event.type === type);
  const [first] = found;
  if (first === undefined || found.length > 1) {
    throw new Error(`wanted one ${type}, came [${among.map((event) => event.type).join(', ')}]`);
  }
  return first;
}

export interface SessionPairOptions {
  readonly client?: ClientSessionOptions | undefined;
  readonly server?: ServerSessionOptions | undefined;
  /** How everything that crosses is cut; whole unless given. */
  readonly cut?: Cut | undefined;
  readonly now?: number | undefined;
}

export class SessionPair<Item = unknown> {
  readonly client: ClientSession;
  readonly server: ServerSession<Item>;
  /** The one clock of both, moved by the test. */
  now: number;
  readonly #cut: Cut | undefined;

  constructor(options: SessionPairOptions = {}) {
    this.now = options.now ?? 0;
    this.#cut = options.cut;
    this.client = new ClientSession(options.client ?? {}, this.now);
    this.server = new ServerSession<Item>(options.server ?? {}, this.now);
  }

  /** Carries what the client has written to the server. */
  toServer(): ServerEvent<Item>[] {
    return this.#carry(this.client.take(this.now), this.server);
  }

  /** Carries what the server has written to the client. */
  toClient(): ClientEvent[] {
    return this.#carry(this.server.take(this.now), this.client);
  }

  /** CONNECT and CONNECTED; answers the version both speak now. */
  connect(headers: Readonly<Record<string, string>> = { host: 'h' }): Version {
    this.client.connect(headers);
    only(this.toServer(), 'connect');
    this.server.accept({ session: 's', server: 'stompbox/0' }, this.now);
    return only(this.toClient(), 'connected').version;
  }

  #carry<Event>(bytes: Uint8Array, to: Listener<Event>): Event[] {
    return hear(to, this.#cut === undefined ? bytes : this.#cut.of(bytes), this.now);
  }
}

/** Both ends connected in that version, by default with no heart-beats. */
export function connected<Item = unknown>(version: Version, options: SessionPairOptions = {}): SessionPair<Item> {
  const pair = new SessionPair<Item>({
    ...options,
    client: { heartBeat: { send: 0, expect: 0 }, ...options.client, versions: [version] },
  });
  pair.connect();
  return pair;
}
