// The measuring: producers that send as fast as they may, consumers that read until all of it has come, and an empty
// destination at the end, however it ends.
//
//   consumers subscribed ─► producers ─► all confirmed ─► all received, or silence ─► unsubscribed
//                               └── Ctrl-C, a failure: no more is sent, what waits is still read

import { type Client, type ClientSubscription, queue, type To, topic } from '@stompbox/client';
import type { AckMode } from '@stompbox/protocol';
import type { House } from '../house.ts';
import type { Progress } from '../progress.ts';
import { pace } from '../sending.ts';
import { Histogram, type Percentiles } from './histogram.ts';

/** When a message was sent, on the clock of this process. */
export const SENT_AT = 'stompbox-bench-sent';

export interface BenchPlan {
  /** The bare name; nobody else's. */
  readonly name: string;
  readonly kind: 'queue' | 'topic';
  readonly producers: number;
  readonly consumers: number;
  /** Bytes of the bodies, taken in turn. */
  readonly sizes: readonly number[];
  /** So many messages by all producers together. */
  readonly count: number | undefined;
  /** Milliseconds of sending. */
  readonly durationMs: number | undefined;
  /** Messages a second by all producers together; as fast as it goes unless given. */
  readonly rate: number | undefined;
  /** Each message has its RECEIPT. */
  readonly confirm: boolean;
  /** So many messages of one producer may wait for their receipts. */
  readonly window: number;
  readonly ack: AckMode;
  readonly prefetch: number | undefined;
  /** It is over when nothing came for so long, in milliseconds. */
  readonly idleMs: number;
}

export interface Flow {
  readonly messages: number;
  readonly bytes: number;
  /** From the beginning of the measuring to the last of them. */
  readonly ms: number;
}

export interface Measured {
  /** Confirmed by the broker, or taken by the connections where no receipts are asked for. */
  readonly sent: Flow;
  readonly received: Flow;
  /** What consumers should have got of the messages that were sent. */
  readonly expected: number;
  /** Read after the measuring, where there were no consumers. */
  readonly drained: number;
  /** From SEND to its RECEIPT. */
  readonly confirmMs: Percentiles | undefined;
  /** From SEND to the consumer. */
  readonly latencyMs: Percentiles | undefined;
  /** What ended it before its time. */
  readonly failure: unknown;
}

class Counter {
  readonly #now: () => number;
  readonly #began: number;
  #messages = 0;
  #bytes = 0;
  #ms = 0;
  constructor(now: () => number) {
    this.#now = now;
    this.#began = now();
  }
  get messages(): number {
    return this.#messages;
  }
  add(bytes: number): void {
    this.#messages++;
    this.#bytes += bytes;
    this.#ms = this.#now() - this.#began;
  }
  get flow(): Flow {
    return { messages: this.#messages, bytes: this.#bytes, ms: this.#ms };
  }
}

/** Measures; what fails on the way is in the answer, with what was measured until then. Rejects where it could not begin. */
export async function runBench(
  plan: BenchPlan,
  open: () => Promise<Client>,
  house: House,
  progress: Progress,
): Promise<Measured> {
  const clients = await Promise.all(Array.from({ length: plan.producers + plan.consumers }, open));
  return await new Bench(plan, clients, house, progress).run();
}

class Bench {
  readonly #plan: BenchPlan;
  readonly #producers: readonly Client[];
  readonly #consumers: readonly Client[];
  readonly #house: House;
  readonly #progress: Progress;
  readonly #to: To;
  readonly #over = new AbortController();
  readonly #stop: AbortSignal;
  readonly #confirms = new Histogram();
  readonly #latencies = new Histogram();
  readonly #bodies: readonly Uint8Array[];
  #sent: Counter;
  #received: Counter;
  #began = 0;
  #taken = 0;
  #drained = 0;
  #failure: unknown;
  #arrived: () => void = () => {};

  constructor(plan: BenchPlan, clients: readonly Client[], house: House, progress: Progress) {
    this.#plan = plan;
    this.#producers = clients.slice(0, plan.producers);
    this.#consumers = clients.slice(plan.producers);
    this.#house = house;
    this.#progress = progress;
    this.#to = plan.kind === 'queue' ? queue(plan.name) : topic(plan.name);
    this.#stop = AbortSignal.any([house.stop, this.#over.signal]);
    this.#bodies = plan.sizes.map((size) => new Uint8Array(size).fill(0x78));
    this.#sent = this.#counter();
    this.#received = this.#counter();
    for (const client of clients) void client.closed.then(({ error }) => this.#fail(error));
  }

  async run(): Promise<Measured> {
    const subscriptions = this.#consumers.map((client) => this.#subscribe(client));
    await Promise.all(subscriptions.map(({ ready }) => ready));
    const reading = subscriptions.map((subscription) => this.#consume(subscription));
    this.#began = this.#house.world.clock.now();
    this.#sent = this.#counter();
    this.#received = this.#counter();
    const { durationMs } = this.#plan;
    const endTimer =
      durationMs === undefined
        ? undefined
        : this.#house.world.clock.schedule(durationMs, () => this.#over.abort(), true);
    try {
      await Promise.all(this.#producers.map((client) => this.#produce(client)));
    } finally {
      endTimer?.();
    }
    const expected = this.#expected;
    await this.#settled(() => this.#received.messages >= this.#expected);
    await this.#leave(subscriptions, reading);
    if (this.#plan.kind === 'queue' && this.#plan.consumers === 0) await this.#drain();
    return {
      sent: this.#sent.flow,
      received: this.#received.flow,
      expected,
      drained: this.#drained,
      confirmMs: this.#confirms.percentiles,
      latencyMs: this.#latencies.percentiles,
      failure: this.#failure ?? (this.#house.stop.aborted ? this.#house.stop.reason : undefined),
    };
  }

  get #expected(): number {
    const { kind, consumers } = this.#plan;
    return this.#sent.messages * (kind === 'topic' ? consumers : Math.min(consumers, 1));
  }

  #counter(): Counter {
    return new Counter(this.#house.world.clock.now);
  }

  /** The first failure ends the sending. */
  #fail(error: unknown): void {
    if (error === undefined || this.#house.stop.aborted) return;
    this.#failure ??= error;
    this.#over.abort();
    this.#arrived();
  }

  // ------------------------------------------------------------------------------------------------------------ sending

  async #produce(client: Client): Promise<void> {
    const { confirm, window, rate } = this.#plan;
    const { clock } = this.#house.world;
    let underWay = 0;
    let taken = (): void => {};
    const settle = (): void => {
      underWay--;
      taken();
    };
    const below = async (most: number): Promise<void> => {
      while (underWay > most)
        await new Promise<void>((resolve) => {
          taken = resolve;
        });
    };
    for (let nth = this.#take(); nth !== undefined; nth = this.#take()) {
      if (rate !== undefined && !(await this.#due(this.#began + (nth * 1_000) / rate))) break;
      underWay++;
      const began = clock.now();
      const body = this.#bodies[nth % this.#bodies.length] ?? new Uint8Array(0);
      void client
        .send(this.#to, body, { confirm, headers: { [SENT_AT]: began.toFixed(3) } })
        .then(() => {
          this.#sent.add(body.length);
          if (confirm) this.#confirms.add(clock.now() - began);
          if (this.#consumers.length === 0) this.#progress.add();
        })
        .catch((error: unknown) => this.#fail(error))
        .finally(settle);
      await below(window - 1);
    }
    await below(0);
  }

  #take(): number | undefined {
    if (this.#stop.aborted || this.#taken === this.#plan.count) return undefined;
    return this.#taken++;
  }

  /** Waits for its time; false where it is over before. */
  async #due(at: number): Promise<boolean> {
    try {
      await pace(this.#house.world.clock, at, this.#stop);
      return true;
    } catch (error) {
      if (this.#stop.aborted) return false;
      throw error;
    }
  }

  // ---------------------------------------------------------------------------------------------------------- receiving

  #subscribe(client: Client): ClientSubscription {
    const { ack, prefetch } = this.#plan;
    return client.subscribe(this.#to, { ack, prefetch });
  }

  async #consume(subscription: ClientSubscription): Promise<void> {
    const { clock } = this.#house.world;
    try {
      for await (const message of subscription) {
        const sentAt = Number(message.headers.get(SENT_AT));
        if (sentAt >= this.#began) this.#latencies.add(clock.now() - sentAt);
        this.#received.add(message.bytes.length);
        this.#progress.add();
        if (message.ackable) await message.ack();
        this.#arrived();
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Resolves when `isDone`, or when nothing has come for too long. */
  #settled(isDone: () => boolean): Promise<void> {
    const { clock } = this.#house.world;
    return new Promise((resolve) => {
      let stopIdle = (): void => {};
      const finish = (): void => {
        this.#arrived = () => {};
        stopIdle();
        resolve();
      };
      this.#arrived = () => {
        stopIdle();
        if (this.#failure === undefined && isDone())
          finish(); // after a failure more may come than was confirmed
        else stopIdle = clock.schedule(this.#plan.idleMs, finish, true);
      };
      this.#arrived();
    });
  }

  async #leave(subscriptions: readonly ClientSubscription[], reading: readonly Promise<void>[]): Promise<void> {
    const left = await Promise.allSettled(subscriptions.map((subscription) => subscription.unsubscribe()));
    for (const one of left) if (one.status === 'rejected') this.#fail(one.reason);
    await Promise.all(reading);
  }

  /** Nobody has read the queue: we do, so that nothing of ours is left at the broker. */
  async #drain(): Promise<void> {
    const [client] = this.#producers;
    if (client === undefined || this.#failure !== undefined || this.#sent.messages === 0) return;
    const subscription = client.subscribe(this.#to, { ack: 'auto' });
    const reading = (async () => {
      for await (const _ of subscription) {
        this.#drained++;
        this.#arrived();
      }
    })().catch((error: unknown) => this.#fail(error));
    await this.#settled(() => this.#drained >= this.#sent.messages);
    await this.#leave([subscription], [reading]);
  }
}
