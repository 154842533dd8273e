// Questions and answers. The profile says how an answer comes back:
//
//   temporary   a queue of this connection's own, which it subscribes to        answers go with the connection
//   broker      the same, but the broker subscribes us to it (RabbitMQ)         answers go with the connection
//   shared      an address like any other, subscribed to by the client          answers survive a reconnect
//
// One address serves all requests; `correlation-id` tells them apart.

import type { Clock } from '../clock.ts';
import { type Body, isSource } from '../connection/body.ts';
import { Gauge, Inbox, type WaitOptions } from '../connection/inbox.ts';
import type { Message } from '../connection/message.ts';
import type { SendOptions } from '../connection/send.ts';
import { ConnectionLost, RequestRefused, TimeoutError } from '../errors.ts';
import type { HeaderRecord, PortableSend, To } from '../profiles/profile.ts';
import type { ClientSubscription } from './client-subscription.ts';
import { uniqueName } from './outbox.ts';
import type { Session } from './session.ts';

export interface RequestOptions extends Omit<SendOptions, 'transaction' | 'confirm'>, PortableSend {
  /** How long to wait for the answer, a connection included; 15,000 ms unless given, 0 is for ever. */
  readonly timeoutMs?: number | undefined;
}

export interface RequestManyOptions extends RequestOptions {
  /** Stop after so many answers. */
  readonly max?: number | undefined;
  /** Stop when none came for so long after the last one, in milliseconds. */
  readonly quietMs?: number | undefined;
}

/** What requests need of their client. */
export interface Asker {
  readonly clock: Clock;
  session(options: WaitOptions): Promise<Session>;
  /** A subscription that survives connections. */
  listen(destination: string, handler: (message: Message) => void, headers: HeaderRecord): ClientSubscription;
}

/** A header of an answer that says the responder failed; its value is why. */
export const FAILURE = 'stompbox-error';

const USUAL_MS = 15_000;

interface Place {
  readonly address: string;
  readonly session: Session | undefined; // it goes with that one
}

export class Requests {
  readonly #asker: Asker;
  readonly #name = uniqueName();
  readonly #open = new Map<string, { readonly answers: Inbox<Message>; readonly place: Place }>();
  #place: Promise<Place> | undefined;
  #count = 0;

  constructor(asker: Asker) {
    this.#asker = asker;
  }

  async one<T>(to: To, body: Body, options: RequestOptions): Promise<Message<T>> {
    for await (const answer of this.many<T>(to, body, { ...options, max: 1 })) return answer;
    throw new ConnectionLost('closed', 'the client was closed before an answer came');
  }

  /** Ends without an error when time runs out after the first answer. */
  async *many<T>(to: To, body: Body, options: RequestManyOptions): AsyncGenerator<Message<T>, void, undefined> {
    const { timeoutMs = USUAL_MS, quietMs, max = Number.POSITIVE_INFINITY, signal, ...how } = options;
    const { clock } = this.#asker;
    const until = timeoutMs === 0 ? Number.POSITIVE_INFINITY : clock.now() + timeoutMs;
    const left = (): number => (until === Number.POSITIVE_INFINITY ? 0 : Math.max(1, until - clock.now()));
    const correlationId = options.correlationId ?? `${this.#name}-${++this.#count}`;
    try {
      const answers = await this.#ask(to, body, { ...how, correlationId, signal }, left);
      for (let count = 0; count < max; count++) {
        const waitMs = count > 0 && quietMs !== undefined ? Math.min(quietMs, left() || quietMs) : left();
        let answer: Message | undefined;
        try {
          answer = await answers.next({ timeoutMs: waitMs, signal });
        } catch (error) {
          if (count > 0 && error instanceof TimeoutError) return;
          throw error;
        }
        if (answer === undefined) return;
        const failure = answer.headers.get(FAILURE);
        if (failure !== undefined) throw new RequestRefused(failure, answer.frame);
        yield answer as Message<T>;
      }
    } finally {
      this.#open.delete(correlationId);
    }
  }

  /** Writes the question, on another connection where one goes before it was asked. Answers where answers come. */
  async #ask(
    to: To,
    body: Body,
    options: RequestOptions & { readonly correlationId: string },
    left: () => number,
  ): Promise<Inbox<Message>> {
    const { correlationId, signal } = options;
    for (;;) {
      const session = await this.#asker.session({ timeoutMs: left(), signal });
      const { profile } = session;
      try {
        const place = await this.#placeOn(session, { timeoutMs: left(), signal });
        const answers = new Inbox<Message>(`an answer from ${JSON.stringify(to)}`, ({ frame }) => frame.body.length, {
          gauge: new Gauge(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, () => {}),
          clock: this.#asker.clock,
        });
        this.#open.set(correlationId, { answers, place });
        await session.send(to, body, {
          persistent: profile.supports('persistent') ? false : undefined,
          expiresInMs: left() > 0 && profile.supports('expiresInMs') ? Math.ceil(left()) : undefined,
          ...options,
          confirm: false,
          replyTo: place.address,
        });
        return answers;
      } catch (error) {
        const isAsked =
          this.#open.delete(correlationId) && !(error instanceof ConnectionLost && error.outcome === 'unsent');
        const mayBeAskedAgain = error instanceof ConnectionLost && !session.isOpen && !isSource(body);
        if (isAsked || !mayBeAskedAgain) throw error;
      }
    }
  }

  /** The connection went: what was asked on it gets no answer. */
  lost(reason: Error | undefined): void {
    const error = new ConnectionLost('closed', 'the connection went before the answer came; it may have been asked', {
      cause: reason,
    });
    for (const { answers, place } of this.#open.values()) {
      if (place.session !== undefined && !place.session.isOpen) answers.end(error, false);
    }
    void this.#place?.then(({ session }) => {
      if (session !== undefined && !session.isOpen) this.#place = undefined;
    });
  }

  end(error: Error): void {
    for (const { answers } of this.#open.values()) answers.end(error, false);
  }

  async #placeOn(session: Session, options: WaitOptions): Promise<Place> {
    const known = await this.#place;
    if (known !== undefined && (known.session === undefined || known.session === session)) return known;
    const place = this.#prepare(session, options);
    this.#place = place;
    place.catch(() => {
      if (this.#place === place) this.#place = undefined;
    });
    return await place;
  }

  async #prepare(session: Session, options: WaitOptions): Promise<Place> {
    const { connection, profile } = session;
    const { destination: address, subscribe } = profile.replyAddress(this.#name);
    const came = (message: Message): void => this.#answered(message);
    if (profile.reply === 'shared') {
      await this.#asker.listen(address, came, subscribe ?? {}).ready;
      return { address, session: undefined };
    }
    if (subscribe === undefined) connection.adopt(address, came);
    else {
      const confirm = profile.receipts === 'all';
      await connection.subscribe(address, came, { ...options, headers: subscribe, confirm }).ready;
    }
    return { address, session };
  }

  // Some responders send no correlation-id back: who asks alone is meant.
  #answered(message: Message): void {
    const id = message.correlationId;
    const named = id === undefined ? undefined : this.#open.get(id);
    const meant = named ?? (id === undefined && this.#open.size === 1 ? [...this.#open.values()][0] : undefined);
    meant?.answers.put(message);
  }
}
