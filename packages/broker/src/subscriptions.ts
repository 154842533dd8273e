// What SUBSCRIBE and UNSUBSCRIBE ask for -> consumers, and the end of durable subscriptions.

import type { Frame, ServerSession, ServerSubscription } from '@stompbox/protocol';
import type { Answers } from './answers.ts';
import { type Consumer, type Consumers, putBack, type Wishes } from './consumers.ts';
import type { Delivery, Engine } from './engine/engine.ts';
import type { BrokerLimits } from './limits.ts';
import { Refusal } from './refusal.ts';
import { durableNameOf, prefetchOf, type Router, selectorOf, wantsBrowsing, wantsExclusive } from './router.ts';

/** Whose they are. */
export interface SubscriptionsPeer {
  readonly login: string | undefined;
  readonly clientId: string | undefined;
  /** Nothing more happens. */
  readonly isOver: boolean;
}

interface Parts {
  readonly owner: { readonly engine: Engine; readonly limits: BrokerLimits };
  readonly peer: SubscriptionsPeer;
  readonly session: ServerSession<Delivery>;
  readonly router: Router;
  readonly consumers: Consumers;
  readonly answers: Answers;
}

export class Subscriptions {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Throws Refusal. */
  subscribe(frame: Frame, subscription: ServerSubscription<Delivery>, receipt: string | undefined): void {
    const { router, owner, consumers } = this.#parts;
    const destination = router.subscribe(frame, subscription.destination);
    const browse = destination.kind === 'queue' && wantsBrowsing(frame);
    const isUnbounded = subscription.ack === 'auto' || browse; // nobody has to settle a copy
    const window = isUnbounded ? Number.POSITIVE_INFINITY : prefetchOf(frame, owner.limits);
    const wishes: Wishes = {
      ...selectorOf(frame, owner.limits.maxSelectorBytes),
      exclusive: wantsExclusive(frame),
      browse,
      durable: destination.kind === 'topic' ? this.#durableName(frame, subscription.destination) : undefined,
    };
    this.#start(consumers.open(subscription, destination, window, wishes), receipt);
  }

  /**
   * With the headers that made it durable, a subscription is forgotten; without, it goes on gathering messages. `owed` goes
   * back. Throws Refusal.
   */
  unsubscribe(
    frame: Frame,
    subscription: ServerSubscription<Delivery>,
    owed: readonly Delivery[],
    receipt: string | undefined,
  ): void {
    const { owner, consumers, answers } = this.#parts;
    const durable = this.#durableName(frame, subscription.destination);
    const left = consumers.leave(subscription);
    const back = Promise.all([putBack(owner.engine, owed), left]);
    if (durable === undefined) answers.answer(back, receipt);
    else
      answers.answer(
        back.then(() => owner.engine.inspect.forgetDurable(durable)),
        receipt,
      );
  }

  /** ActiveMQ's clients end a durable subscription in two steps: UNSUBSCRIBE, and again with its name (6.6). Throws Refusal. */
  forget(frame: Frame, receipt: string | undefined): void {
    const { owner, peer, answers } = this.#parts;
    const name = this.#durableName(frame, '');
    if (name === undefined) throw new Refusal('bad-header', 'the name of the durable subscription is empty');
    answers.inTurn(async () => {
      if (peer.isOver) return;
      if (!(await owner.engine.inspect.forgetDurable(name)))
        throw new Refusal('bad-destination', 'there is no durable subscription of that name (F-08)');
    }, receipt);
  }

  /**
   * The subscription that answers to `reply-to:/temp-queue/x` arrive on, unless the client has made one (conformance 6.6).
   * Throws Refusal.
   */
  expectReplies(name: string): void {
    const { session, router, consumers } = this.#parts;
    const destination = router.temporaryQueue(name);
    const id = destination.text;
    if (session.subscriptions.has(id) || consumers.has(id)) return;
    this.#start(consumers.open(session.subscribeImplicitly(id, id), destination, Number.POSITIVE_INFINITY));
  }

  // RECEIPT first, then the first MESSAGE (F-11).
  #start(consumer: Consumer, receipt?: string): void {
    const { consumers, answers } = this.#parts;
    answers.later(
      consumer.feed,
      (feed) => {
        answers.receipt(receipt);
        consumers.start(consumer, feed);
      },
      () => receipt,
    );
  }

  #durableName(frame: Frame, destination: string): string | undefined {
    const { login = '', clientId } = this.#parts.peer;
    return durableNameOf(frame, login, clientId, destination);
  }
}
