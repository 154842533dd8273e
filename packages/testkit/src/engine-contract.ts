// What every engine promises to the peers above it, asked of each engine in turn.
//
//   for (const { name, skip, run } of engineContract(makeEngine)) test.skipIf(skip)(name, run);
//
// testkit lies below the broker, so the port is said again here, in the words of the
// one who asks. Nothing can drift: where an engine is handed in, the compiler compares.

import assert from 'node:assert/strict';
import { Content, Encoder, frame, NameSet } from '@stompbox/protocol';
import fc from 'fast-check';
import { ManualClock } from './clock.ts';

interface Destination {
  readonly kind: 'queue' | 'topic';
  readonly name: string;
  readonly text: string;
}

interface Attributes {
  readonly priority: number;
  readonly expiresAt: number;
  readonly dueAt: number;
  readonly persistent: boolean;
  readonly group: string | undefined;
  readonly duplicateId: string | undefined;
}

interface Send {
  readonly destination: Destination;
  readonly content: Content;
  readonly attributes?: Attributes | undefined;
}

interface Delivery {
  readonly id: number;
  readonly destination: string;
  readonly content: Content;
  readonly redeliveries: number;
}

type Outcome = 'ack' | 'nack' | 'return' | 'reject';

interface Settlement {
  readonly delivery: Delivery;
  readonly outcome: Outcome;
}

interface Feed {
  request(n: number): void;
  close(): void;
}

interface Refusal extends Error {
  readonly code: string;
  readonly at: number | undefined;
}

/** The engine port of the broker, as far as a contract can ask. */
export interface EngineUnderTest {
  commit(work: {
    readonly sends: readonly Send[];
    readonly settlements: readonly Settlement[];
    readonly atomic: boolean;
  }): Promise<void>;
  open(subscription: {
    readonly destination: Destination;
    readonly acknowledged: boolean;
    readonly selects?: ((content: Content) => boolean) | undefined;
    readonly exclusive?: boolean | undefined;
    deliver(delivery: Delivery): void;
    ended(error: Refusal): void;
  }): Promise<Feed>;
  discard(queue: string): Promise<void>;
  readonly inspect: {
    queues(): readonly {
      readonly name: string;
      readonly waiting: number;
      readonly unsettled: number;
      readonly bytes: number;
      readonly consumers: number;
    }[];
    readonly bytes: number;
  };
  close(): Promise<void>;
}

/** What a case wants of its engine; the rest is the engine's own. */
export interface EngineSettings {
  readonly maxQueueMessages?: number;
  readonly maxQueueBytes?: number;
  readonly maxMemoryBytes?: number;
  readonly maxQueues?: number;
  readonly maxDeliveries?: number;
  readonly producersWaitAboveBytes?: number;
  readonly slowConsumerGraceMs?: number;
}

export interface EngineContractOptions {
  /** Cases that this engine does not keep, by name, and why. */
  readonly skips?: Readonly<Record<string, string>>;
  /** Resolves when nothing is under way. Unless given, an engine delivers before its calls return. */
  readonly quiet?: () => Promise<void>;
}

export interface EngineCase {
  readonly name: string;
  /** Why it is not asked of this engine. */
  readonly skip: string | undefined;
  run(): Promise<void>;
}

type MakeEngine = (
  settings: EngineSettings,
  schedule: ManualClock['schedule'],
) => EngineUnderTest | Promise<EngineUnderTest>;

/** The cases, for any test runner. `make` is called once a case, with the limits it wants small. */
export function engineContract(make: MakeEngine, options: EngineContractOptions = {}): readonly EngineCase[] {
  const { skips = {}, quiet = async () => {} } = options;
  const unknown = Object.keys(skips).filter((name) => !(name in CASES));
  if (unknown.length > 0) throw new Error(`the contract has no case ${unknown.map((name) => `'${name}'`).join(', ')}`);
  return Object.entries(CASES).map(([name, { settings, ask }]) => ({
    name,
    skip: skips[name],
    async run() {
      const clock = new ManualClock();
      const open = async (): Promise<Bench> => new Bench(await make(settings, clock.schedule), clock, quiet);
      await ask(await open(), open);
    },
  }));
}

const scratch = new Encoder({ version: '1.2' });
const NONE = new NameSet([]);

function content(body: string, headers: Readonly<Record<string, string>> = {}): Content {
  return Content.of(frame('SEND', { ...headers } as { destination: string }, body), NONE, scratch);
}

const queue = (name: string): Destination => ({ kind: 'queue', name, text: `/queue/${name}` });
const topic = (name: string): Destination => ({ kind: 'topic', name, text: `/topic/${name}` });
const to = (destination: Destination, ...bodies: readonly string[]): Send[] =>
  bodies.map((body) => ({ destination, content: content(body) }));
const bodyOf = (delivery: Delivery): string => new TextDecoder().decode(delivery.content.body);

// A consumer that writes down what it hears.
class Consumer {
  readonly deliveries: Delivery[] = [];
  ended: Refusal | undefined;
  feed!: Feed;
  /** Asks for one more for every one that comes. */
  readonly greedy: boolean;

  constructor(greedy: boolean) {
    this.greedy = greedy;
  }

  get bodies(): string[] {
    return this.deliveries.map(bodyOf);
  }

  /** What came since the last look. */
  take(): Delivery[] {
    return this.deliveries.splice(0);
  }
}

// An engine, time by hand, and short words for both.
class Bench {
  readonly engine: EngineUnderTest;
  readonly clock: ManualClock;
  readonly quiet: () => Promise<void>;

  constructor(engine: EngineUnderTest, clock: ManualClock, quiet: () => Promise<void>) {
    this.engine = engine;
    this.clock = clock;
    this.quiet = quiet;
  }

  async consume(
    destination: Destination,
    {
      credit = 0,
      auto = false,
      greedy = false,
      ...choosing
    }: {
      credit?: number;
      auto?: boolean;
      greedy?: boolean;
      selects?: (content: Content) => boolean;
      exclusive?: boolean;
    } = {},
  ): Promise<Consumer> {
    const consumer = new Consumer(greedy);
    consumer.feed = await this.engine.open({
      destination,
      acknowledged: !auto,
      ...choosing,
      deliver(delivery) {
        consumer.deliveries.push(delivery);
        if (greedy) consumer.feed.request(1);
      },
      ended(error) {
        consumer.ended = error;
      },
    });
    if (credit > 0) consumer.feed.request(credit);
    await this.quiet();
    return consumer;
  }

  async send(...sends: readonly Send[]): Promise<void> {
    await this.commit(sends, []);
  }

  async settle(outcome: Outcome, ...deliveries: readonly (Delivery | undefined)[]): Promise<void> {
    const settlements = deliveries.map((delivery) => {
      assert.ok(delivery, `there is no delivery to ${outcome}`);
      return { delivery, outcome };
    });
    await this.commit([], settlements);
  }

  async commit(sends: readonly Send[], settlements: readonly Settlement[], atomic = false): Promise<void> {
    await this.engine.commit({ sends, settlements, atomic });
    await this.quiet();
  }

  /** How the engine refuses it. */
  async refusal(work: Promise<unknown>): Promise<Refusal> {
    const refused = await work.then(
      () => undefined,
      (error: unknown) => error as Refusal,
    );
    assert.ok(refused, 'the engine took it');
    await this.quiet();
    return refused;
  }

  /** Who looks for something in a queue may do so piece by piece, and let others have their turn. */
  async rest(): Promise<void> {
    await this.quiet();
    await this.clock.advance(0);
  }

  /** Whether this promise is still open after everything that can happen has happened. */
  async waits(work: Promise<unknown>): Promise<boolean> {
    let over = false;
    const done = () => {
      over = true;
    };
    work.then(done, done);
    await this.quiet();
    await this.clock.advance(0);
    return !over;
  }

  view(name: string): { waiting: number; unsettled: number; consumers: number } | undefined {
    const found = this.engine.inspect.queues().find((one) => one.name === name);
    return found && { waiting: found.waiting, unsettled: found.unsettled, consumers: found.consumers };
  }

  /** Nothing is left: no queue, no byte, no alarm. */
  empty(): void {
    assert.deepEqual(this.engine.inspect.queues(), []);
    assert.equal(this.engine.inspect.bytes, 0);
    assert.equal(this.clock.alarms, 0);
  }
}

interface Case {
  readonly settings: EngineSettings;
  ask(bench: Bench, another: () => Promise<Bench>): Promise<void>;
}

const MANY = 1_000_000;
const kilobytes = (n: number): string => 'x'.repeat(n * 1024);

const CASES: Readonly<Record<string, Case>> = {
  'what one producer sends to one queue reaches one consumer in order (promise 4)': {
    settings: {},
    async ask(bench) {
      await bench.send(...to(queue('q'), 'a', 'b'));
      const consumer = await bench.consume(queue('q'), { credit: 10 });
      await bench.send(...to(queue('q'), 'c'));
      await bench.send(...to(queue('q'), 'd', 'e'));
      assert.deepEqual(consumer.bodies, ['a', 'b', 'c', 'd', 'e']);
    },
  },

  'consumers of a queue compete in turn': {
    settings: {},
    async ask(bench) {
      const all = [];
      for (let i = 0; i < 3; i++) all.push(await bench.consume(queue('q'), { credit: 10 }));
      await bench.send(...to(queue('q'), ...'abcdefghi'));
      for (const consumer of all) assert.equal(consumer.deliveries.length, 3);
      const bodies = all.flatMap((consumer) => consumer.bodies);
      assert.deepEqual(bodies.sort(), [...'abcdefghi']);
    },
  },

  'nothing is delivered before it is asked for, and never more than was asked for (M-91)': {
    settings: {},
    async ask(bench) {
      for (const destination of [queue('q'), topic('t')]) {
        const consumer = await bench.consume(destination);
        await bench.send(...to(destination, 'a', 'b', 'c'));
        assert.deepEqual(consumer.bodies, []);
        consumer.feed.request(2);
        await bench.quiet();
        assert.deepEqual(consumer.bodies, ['a', 'b']);
        await bench.settle('ack', ...consumer.deliveries);
        assert.deepEqual(consumer.bodies, ['a', 'b']);
        consumer.feed.request(5);
        await bench.quiet();
        assert.deepEqual(consumer.bodies, ['a', 'b', 'c']);
      }
    },
  },

  'a consumer that asks for more from inside its delivery gets everything, in order': {
    settings: {},
    async ask(bench) {
      for (const destination of [queue('q'), topic('t')]) {
        const consumer = await bench.consume(destination, { auto: true, greedy: true });
        const bodies = Array.from({ length: 500 }, (_, i) => String(i));
        await bench.send(...to(destination, ...bodies.slice(0, 250)));
        consumer.feed.request(1);
        await bench.send(...to(destination, ...bodies.slice(250)));
        assert.deepEqual(consumer.bodies, bodies);
      }
    },
  },

  'a message leaves a queue when it is acked, never by being delivered (promise 2)': {
    settings: {},
    async ask(bench) {
      await bench.send(...to(queue('q'), 'a'));
      const consumer = await bench.consume(queue('q'), { credit: 1 });
      assert.deepEqual(bench.view('q'), { waiting: 0, unsettled: 1, consumers: 1 });
      assert.ok(bench.engine.inspect.bytes > 0);
      await bench.settle('ack', ...consumer.take());
      assert.deepEqual(bench.view('q'), { waiting: 0, unsettled: 0, consumers: 1 });
      consumer.feed.close();
      bench.empty();
    },
  },

  'to a consumer that need not acknowledge, delivering is settling (A-01)': {
    settings: {},
    async ask(bench) {
      const consumer = await bench.consume(queue('q'), { auto: true, credit: 1 });
      await bench.send(...to(queue('q'), 'a'));
      assert.deepEqual(bench.view('q'), { waiting: 0, unsettled: 0, consumers: 1 });
      await bench.settle('nack', ...consumer.deliveries); // means nothing
      consumer.feed.request(1);
      assert.deepEqual(consumer.bodies, ['a']);
      assert.equal(bench.engine.inspect.bytes, 0);
    },
  },

  'a consumer that selects gets what it wants, wherever in the queue it waits, in order, and leaves the rest': {
    settings: { maxDeliveries: 10, producersWaitAboveBytes: MANY * 10 },
    async ask(bench) {
      await bench.send(...to(queue('q'), ...Array.from({ length: 300 }, () => kilobytes(4)))); // more than is held of a queue
      await bench.send(...to(queue('q'), 'a', '-', 'b', 'c'));
      const letters = ({ body }: Content): boolean => /^[a-z]$/.test(new TextDecoder().decode(body));
      const consumer = await bench.consume(queue('q'), { selects: letters, credit: 2 });
      await bench.rest();
      const [a, b] = consumer.deliveries;
      assert.deepEqual(consumer.take().map(bodyOf), ['a', 'b']);
      await bench.send(...to(queue('q'), 'd', '+'));
      await bench.settle('nack', b, a);
      consumer.feed.request(10);
      await bench.quiet();
      assert.deepEqual(consumer.bodies, ['a', 'b', 'c', 'd']);
      assert.deepEqual(bench.view('q'), { waiting: 302, unsettled: 4, consumers: 1 });
      const other = await bench.consume(queue('q'), { credit: MANY, auto: true });
      assert.deepEqual(other.bodies.slice(300), ['-', '+']);
      consumer.feed.close();
      await bench.settle('return', ...consumer.take());
      assert.deepEqual(other.bodies.slice(302), ['a', 'b', 'c', 'd']);
    },
  },

  'an exclusive consumer has the queue for itself until it leaves; then the next one has what is left, in order': {
    settings: {},
    async ask(bench) {
      await bench.send(...to(queue('q'), ...'abc'));
      const one = await bench.consume(queue('q'), { exclusive: true, credit: 1 });
      const two = await bench.consume(queue('q'), { credit: 10 });
      await bench.send(...to(queue('q'), 'd'));
      assert.deepEqual([one.bodies, two.bodies], [['a'], []]);
      one.feed.close();
      await bench.settle('ack', ...one.take());
      assert.deepEqual(two.bodies, ['b', 'c', 'd']);
    },
  },

  'a group goes to one consumer, in order; while that one is busy the other groups go on, however much waits before them':
    {
      settings: { producersWaitAboveBytes: MANY * 10 },
      async ask(bench) {
        const groups = (group: string, ...bodies: string[]): Send[] =>
          bodies.map((body) => ({
            destination: queue('q'),
            content: content(body, { JMSXGroupID: group }),
            attributes: { priority: 4, expiresAt: 0, dueAt: 0, persistent: true, group, duplicateId: undefined },
          }));
        const busy = await bench.consume(queue('q'), { credit: 1 });
        await bench.send(...groups('x', 'x0', ...Array.from({ length: 300 }, () => kilobytes(4)), 'x1'));
        await bench.send(...groups('y', 'y0', 'y1'));
        const other = await bench.consume(queue('q'), { credit: MANY });
        await bench.rest();
        assert.deepEqual([busy.bodies, other.bodies], [['x0'], ['y0', 'y1']]);
        busy.feed.request(MANY);
        await bench.rest();
        assert.equal(busy.deliveries.length, 302);
        assert.equal(busy.bodies.at(-1), 'x1');
        busy.feed.close();
        await bench.settle('return', ...busy.take());
        assert.equal(other.deliveries.length, 304);
      },
    },

  'what is nacked or returned goes out again from its old place, counted (promise 2, X-48)': {
    settings: { maxDeliveries: 10 },
    async ask(bench) {
      for (const outcome of ['nack', 'return'] as const) {
        await bench.send(...to(queue(outcome), 'a', 'b', 'c', 'd'));
        const consumer = await bench.consume(queue(outcome), { credit: 2 });
        const [a, b] = consumer.take();
        await bench.settle(outcome, b);
        await bench.settle(outcome, a);
        consumer.feed.request(4);
        await bench.quiet();
        const seen = consumer.deliveries.map((delivery) => `${bodyOf(delivery)}${delivery.redeliveries}`);
        assert.deepEqual(seen, ['a1', 'b1', 'c0', 'd0']);
        assert.equal(consumer.deliveries[0]?.id, a?.id);
      }
    },
  },

  'what one piece of work gives back goes out in the old order, however it was listed': {
    settings: {},
    async ask(bench) {
      await bench.send(...to(queue('q'), ...'abcdef'));
      const gone = await bench.consume(queue('q'), { credit: 6 });
      const stays = await bench.consume(queue('q'), { credit: 10 });
      gone.feed.close();
      await bench.settle('return', ...gone.take().reverse());
      assert.deepEqual(stays.bodies, [...'abcdef']);
    },
  },

  'what is nacked goes to somebody else if anybody is ready (X-49)': {
    settings: {},
    async ask(bench) {
      for (let before = 0; before < 3; before++) {
        const name = `q${before}`;
        const consumers = [];
        for (let i = 0; i < 3; i++) consumers.push(await bench.consume(queue(name), { credit: 10 }));
        await bench.send(...to(queue(name), ...'abcd'.slice(0, before + 1)));
        const refuser = consumers.find(({ deliveries }) => deliveries.length > 0);
        const first = refuser?.take()[0];
        await bench.settle('nack', first);
        const again = consumers.filter(({ deliveries }) => deliveries.some(({ id }) => id === first?.id));
        assert.equal(again.length, 1);
        assert.notEqual(again[0], refuser);
      }
    },
  },

  'what is nacked comes back to the same consumer where there is no other': {
    settings: {},
    async ask(bench) {
      await bench.send(...to(queue('q'), 'a'));
      const consumer = await bench.consume(queue('q'), { credit: 2 });
      await bench.consume(queue('q')); // there, but not ready
      await bench.settle('nack', ...consumer.take());
      assert.deepEqual(consumer.bodies, ['a']);
    },
  },

  'what is nacked too often is a dead letter that says what, why and how often (X-48, M-94)': {
    settings: { maxDeliveries: 3 },
    async ask(bench) {
      await bench.send({ destination: queue('q'), content: content('poison', { kind: 'order' }) });
      const consumer = await bench.consume(queue('q'), { credit: 10 });
      for (let i = 0; i < 3; i++) await bench.settle('nack', ...consumer.take());
      assert.deepEqual(consumer.take(), []);
      const [letter] = (await bench.consume(queue('dlq.q'), { auto: true, credit: 10 })).deliveries;
      assert.ok(letter);
      assert.equal(bodyOf(letter), 'poison');
      assert.equal(letter.redeliveries, 0);
      const { headers } = letter.content;
      assert.equal(headers.get('original-destination'), '/queue/q');
      assert.equal(headers.get('dead-letter-reason'), 'redeliveries');
      assert.equal(headers.get('delivery-count'), '3');
      assert.equal(headers.get('kind'), 'order');
      assert.equal(headers.get('content-length'), '6');
    },
  },

  'what is rejected is a dead letter at once (X-48)': {
    settings: {},
    async ask(bench) {
      await bench.send(...to(queue('q'), 'a'));
      const consumer = await bench.consume(queue('q'), { credit: 10 });
      await bench.settle('reject', ...consumer.take());
      assert.deepEqual(consumer.take(), []);
      const [letter] = (await bench.consume(queue('dlq.q'), { auto: true, credit: 10 })).deliveries;
      assert.equal(letter?.content.headers.get('dead-letter-reason'), 'rejected');
      assert.equal(letter?.content.headers.get('delivery-count'), '1');
    },
  },

  'what is returned is never a dead letter: its consumers left, it did nothing wrong': {
    settings: { maxDeliveries: 2 },
    async ask(bench) {
      await bench.send(...to(queue('q'), 'a'));
      for (let i = 0; i < 5; i++) {
        const consumer = await bench.consume(queue('q'), { credit: 1 });
        assert.deepEqual(
          consumer.deliveries.map(({ redeliveries }) => redeliveries),
          [i],
        );
        consumer.feed.close();
        await bench.settle('return', ...consumer.take());
      }
      assert.equal(bench.view('dlq.q'), undefined);
    },
  },

  'a dead letter that is nacked too often stays where it is': {
    settings: { maxDeliveries: 2 },
    async ask(bench) {
      await bench.send(...to(queue('dlq.q'), 'a'));
      const consumer = await bench.consume(queue('dlq.q'), { credit: 10 });
      for (let i = 0; i < 5; i++) await bench.settle('nack', ...consumer.take());
      assert.deepEqual(consumer.bodies, ['a']);
      await bench.settle('reject', ...consumer.take());
      assert.equal(bench.engine.inspect.bytes, 0);
    },
  },

  'settling twice, or what was never delivered, changes nothing': {
    settings: {},
    async ask(bench, another) {
      await bench.send(...to(queue('q'), 'a', 'b'));
      const consumer = await bench.consume(queue('q'), { credit: 1 });
      const [a] = consumer.take();
      await bench.settle('ack', a, a);
      await bench.settle('nack', a);
      await bench.settle('reject', a);
      assert.deepEqual(bench.view('q'), { waiting: 1, unsettled: 0, consumers: 1 });
      const stranger = { id: 1, destination: '/queue/q', content: content('?'), redeliveries: 0 };
      await bench.settle('ack', stranger);
      const other = await another();
      await other.send(...to(queue('q'), 'elsewhere'));
      await bench.settle('ack', ...(await other.consume(queue('q'), { credit: 1 })).deliveries);
      assert.deepEqual(bench.view('q'), { waiting: 1, unsettled: 0, consumers: 1 });
    },
  },

  'a consumer that has closed gets nothing, and closing twice is fine': {
    settings: {},
    async ask(bench) {
      for (const destination of [queue('q'), topic('t')]) {
        const consumer = await bench.consume(destination, { credit: 10 });
        consumer.feed.close();
        consumer.feed.close();
        consumer.feed.request(5);
        await bench.send(...to(destination, 'a'));
        assert.deepEqual(consumer.bodies, []);
      }
      assert.deepEqual(bench.view('q'), { waiting: 1, unsettled: 0, consumers: 0 });
    },
  },

  'a queue with nothing in it and nobody at it is no more (M-95)': {
    settings: {},
    async ask(bench) {
      const consumer = await bench.consume(queue('q'), { credit: 1 });
      assert.deepEqual(bench.view('q'), { waiting: 0, unsettled: 0, consumers: 1 });
      await bench.send(...to(queue('q'), 'a'));
      consumer.feed.close();
      assert.deepEqual(bench.view('q'), { waiting: 0, unsettled: 1, consumers: 0 });
      await bench.settle('ack', ...consumer.take());
      bench.empty();
      const next = await bench.consume(queue('q'), { auto: true, credit: 1 });
      await bench.send(...to(queue('q'), 'b'));
      assert.deepEqual(next.bodies, ['b']);
    },
  },

  'a discarded queue takes everything with it, and late settlements change nothing': {
    settings: { maxDeliveries: 1, producersWaitAboveBytes: 1024 },
    async ask(bench) {
      const consumer = await bench.consume(queue('\0c/x'), { credit: 3 });
      const sending = bench.engine.commit({
        sends: to(queue('\0c/x'), kilobytes(1), kilobytes(1), kilobytes(1), kilobytes(1)),
        settlements: [],
        atomic: false,
      });
      assert.equal(await bench.waits(sending), true);
      await bench.engine.discard('\0c/x');
      await sending; // its producers wait for nobody
      bench.empty();
      consumer.feed.close();
      const [a, b, c] = consumer.take();
      await bench.settle('ack', a);
      await bench.settle('nack', b);
      await bench.settle('return', c);
      bench.empty();
    },
  },

  'work that is not atomic stands up to the send that is refused, settlements included': {
    settings: { maxQueueMessages: 2 },
    async ask(bench) {
      await bench.send(...to(queue('p'), 'old'));
      const old = (await bench.consume(queue('p'), { credit: 1 })).take();
      const sends = [...to(queue('p'), 'a'), ...to(queue('q'), 'b', 'c', 'd'), ...to(queue('p'), 'e')];
      const settlements = old.map((delivery) => ({ delivery, outcome: 'ack' as const }));
      const refused = await bench.refusal(bench.engine.commit({ sends, settlements, atomic: false }));
      assert.equal(refused.code, 'queue-full');
      assert.match(refused.message, /maxQueueMessages/);
      assert.equal(refused.at, 3);
      assert.deepEqual(bench.view('p'), { waiting: 1, unsettled: 0, consumers: 1 });
      assert.deepEqual(bench.view('q'), { waiting: 2, unsettled: 0, consumers: 0 });
    },
  },

  'atomic work is all or nothing: every limit counts what the work itself adds (promise 3, T-06)': {
    settings: {
      maxQueueMessages: 4,
      maxQueueBytes: 8 * 1024,
      maxMemoryBytes: 16 * 1024,
      maxQueues: 4,
      producersWaitAboveBytes: MANY,
    },
    async ask(bench) {
      await bench.send(...to(queue('kept'), 'kept'));
      const consumer = await bench.consume(queue('kept'), { credit: 1 });
      const settlements = consumer.deliveries.map((delivery) => ({ delivery, outcome: 'ack' as const }));
      const watcher = await bench.consume(topic('t'), { auto: true, credit: 100 });
      const before = bench.engine.inspect.queues();
      const tooMuch: [code: string, at: number, limit: RegExp, sends: Send[]][] = [
        ['queue-full', 4, /maxQueueMessages/, to(queue('q'), ...'abcde')],
        ['queue-full', 2, /maxQueueBytes/, to(queue('q'), kilobytes(3), kilobytes(3), kilobytes(3))],
        ['too-many-queues', 4, /maxQueues/, [...'abbcd'].flatMap((name) => to(queue(name), 'x'))],
        ['memory-full', 2, /maxMemoryBytes|maxStoreBytes/, [...'abc'].flatMap((name) => to(queue(name), kilobytes(6)))],
      ];
      for (const [code, at, limit, sends] of tooMuch) {
        const work = { sends: [...to(topic('t'), 'told'), ...sends], settlements, atomic: true };
        const refused = await bench.refusal(bench.engine.commit(work));
        assert.equal(refused.code.replace('store-full', 'memory-full'), code); // wherever its messages are
        assert.match(refused.message, limit);
        assert.equal(refused.at, at + 1);
        assert.deepEqual(bench.engine.inspect.queues(), before);
        assert.deepEqual(watcher.bodies, []);
      }
      // A topic of the same name is another thing.
      await bench.commit([...to(topic('q'), 'x', 'y'), ...to(queue('q'), ...'abcd')], settlements, true);
      assert.deepEqual(bench.view('q'), { waiting: 4, unsettled: 0, consumers: 0 });
      assert.deepEqual(bench.view('kept'), { waiting: 0, unsettled: 0, consumers: 1 });
    },
  },

  'a queue, all queues and their number have limits that are named (promise 5, M-93)': {
    settings: {
      maxQueueBytes: 4 * 1024,
      maxMemoryBytes: 6 * 1024,
      maxQueues: 3,
      producersWaitAboveBytes: MANY,
    },
    async ask(bench) {
      const refusal = async (...sends: Send[]) => (await bench.refusal(bench.send(...sends))).message;
      await bench.send(...to(queue('a'), kilobytes(3)));
      assert.match(await refusal(...to(queue('a'), kilobytes(1))), /maxQueueBytes/);
      await bench.send(...to(queue('b'), kilobytes(2)));
      assert.match(await refusal(...to(queue('c'), kilobytes(2))), /maxMemoryBytes/);
      await bench.send(...to(queue('c'), 'x'));
      assert.match(await refusal(...to(queue('d'), 'x')), /maxQueues/);
      assert.match((await bench.refusal(bench.consume(queue('d')))).message, /maxQueues/);
      await bench.consume(topic('d')); // no queue
      assert.equal(bench.engine.inspect.queues().length, 3);
    },
  },

  'every subscriber of a topic gets every message, as its pattern says': {
    settings: {},
    async ask(bench) {
      const patterns = ['a.b', 'a.*', 'a.>', 'a.#', '*.b', '>', '#', '*', 'a.b.c', '*.*.*'];
      const subscribers = new Map<string, Consumer>();
      for (const pattern of patterns)
        subscribers.set(pattern, await bench.consume(topic(pattern), { auto: true, credit: 10 }));
      for (const name of ['a', 'a.b', 'a.b.c', 'x.b', 'ab']) await bench.send(...to(topic(name), name));
      const seen = Object.fromEntries([...subscribers].map(([pattern, { bodies }]) => [pattern, bodies.join(' ')]));
      assert.deepEqual(seen, {
        'a.b': 'a.b',
        'a.*': 'a.b',
        'a.>': 'a a.b a.b.c',
        'a.#': 'a a.b a.b.c',
        '*.b': 'a.b x.b',
        '>': 'a a.b a.b.c x.b ab',
        '#': 'a a.b a.b.c x.b ab',
        '*': 'a ab',
        'a.b.c': 'a.b.c',
        '*.*.*': 'a.b.c',
      });
      const late = await bench.consume(topic('a.b'), { auto: true, credit: 10 });
      subscribers.get('a.b')?.feed.close();
      await bench.send(...to(topic('a.b'), 'again'));
      assert.deepEqual(late.bodies, ['again']);
      assert.deepEqual(subscribers.get('a.b')?.bodies, ['a.b']);
    },
  },

  'subscribers of a topic settle each for itself': {
    settings: { maxDeliveries: 3 },
    async ask(bench) {
      const one = await bench.consume(topic('t'), { credit: 10 });
      const two = await bench.consume(topic('t'), { credit: 10 });
      await bench.send(...to(topic('t'), 'a', 'b'));
      await bench.settle('ack', ...two.take());
      await bench.settle('nack', one.take()[0]);
      assert.deepEqual(one.bodies, ['a']);
      assert.equal(one.deliveries[0]?.redeliveries, 1);
      await bench.settle('nack', ...one.take());
      await bench.settle('nack', ...one.take()); // a topic has no dead letters
      assert.deepEqual([one.bodies, two.bodies], [[], []]);
    },
  },

  'what topic subscribers have not settled counts as memory, and none of it is left when they go (promise 5)': {
    settings: {},
    async ask(bench) {
      const consumer = await bench.consume(topic('t'), { credit: 2 });
      await bench.send(...to(topic('t'), kilobytes(1), kilobytes(1), kilobytes(1)));
      assert.ok(bench.engine.inspect.bytes >= 3 * 1024);
      await bench.settle('ack', consumer.deliveries[0], consumer.deliveries[0]);
      assert.ok(bench.engine.inspect.bytes >= 2 * 1024 && bench.engine.inspect.bytes < 3 * 1024);
      consumer.feed.close();
      bench.empty();
      await bench.settle('nack', consumer.deliveries[1]);
      bench.empty();
    },
  },

  'producers of a queue wait while its consumers are behind, and go on when these have caught up (promise 5, M-90)': {
    settings: { producersWaitAboveBytes: 4 * 1024 },
    async ask(bench) {
      const flood = to(queue('q'), ...Array.from({ length: 8 }, () => kilobytes(1)));
      await bench.send(...flood); // nobody is there to wait for
      const consumer = await bench.consume(queue('q'));
      const sending = bench.engine.commit({ sends: to(queue('q'), 'x'), settlements: [], atomic: false });
      const other = bench.engine.commit({ sends: to(queue('other'), 'x'), settlements: [], atomic: false });
      assert.equal(await bench.waits(sending), true);
      assert.equal(await bench.waits(other), false);
      consumer.feed.request(9);
      await bench.quiet();
      assert.equal(await bench.waits(sending), true); // delivered is not settled
      await bench.settle('ack', ...consumer.deliveries.slice(0, 6));
      assert.equal(await bench.waits(sending), true); // not until it is half empty
      await bench.settle('ack', ...consumer.deliveries.slice(6));
      await sending;
    },
  },

  'producers of a queue go on when its last consumer leaves': {
    settings: { producersWaitAboveBytes: 1024 },
    async ask(bench) {
      const one = await bench.consume(queue('q'));
      const two = await bench.consume(queue('q'));
      const sending = bench.engine.commit({ sends: to(queue('q'), kilobytes(2)), settlements: [], atomic: false });
      one.feed.close();
      assert.equal(await bench.waits(sending), true);
      two.feed.close();
      await sending;
    },
  },

  'a producer waits for all that it filled, topics and queues': {
    settings: { producersWaitAboveBytes: 1024, slowConsumerGraceMs: 1_000 },
    async ask(bench) {
      const consumer = await bench.consume(queue('q'), { auto: true });
      const subscriber = await bench.consume(topic('t'), { auto: true });
      const sends = [...to(queue('q'), kilobytes(2)), ...to(topic('t'), kilobytes(2))];
      const sending = bench.engine.commit({ sends, settlements: [], atomic: false });
      consumer.feed.request(1);
      assert.equal(await bench.waits(sending), true);
      subscriber.feed.request(1);
      await sending;
      assert.equal(bench.clock.alarms, 0);
    },
  },

  'producers of a topic wait for a slow subscriber, which is given up after its grace (promise 5)': {
    settings: { producersWaitAboveBytes: 2 * 1024, slowConsumerGraceMs: 1_000 },
    async ask(bench) {
      const slow = await bench.consume(topic('t'), { auto: true });
      const fast = await bench.consume(topic('t'), { auto: true, credit: MANY });
      const sending = bench.engine.commit({ sends: to(topic('t'), kilobytes(3)), settlements: [], atomic: false });
      assert.equal(await bench.waits(sending), true);
      await bench.clock.advance(999);
      assert.deepEqual([slow.ended, fast.ended], [undefined, undefined]);
      await bench.clock.advance(1);
      await sending;
      assert.equal(slow.ended?.code, 'slow-consumer');
      assert.match(slow.ended.message, /slowConsumerGraceMs/);
      assert.equal(fast.ended, undefined);
      slow.feed.request(1);
      await bench.send(...to(topic('t'), 'next'));
      assert.deepEqual(slow.bodies, []);
      assert.deepEqual(fast.bodies.slice(1), ['next']);
      assert.equal(bench.engine.inspect.bytes, 0);
    },
  },

  'each slow subscriber has a grace of its own, and one that catches up is forgiven': {
    settings: { producersWaitAboveBytes: 2 * 1024, slowConsumerGraceMs: 1_000 },
    async ask(bench) {
      const one = await bench.consume(topic('1'), { auto: true });
      const two = await bench.consume(topic('2'), { auto: true });
      const first = bench.engine.commit({ sends: to(topic('1'), kilobytes(3)), settlements: [], atomic: false });
      await bench.clock.advance(900);
      const second = bench.engine.commit({ sends: to(topic('2'), kilobytes(3)), settlements: [], atomic: false });
      one.feed.request(1);
      await first; // whatever goes on elsewhere
      await bench.clock.advance(900);
      assert.deepEqual([one.ended, two.ended], [undefined, undefined]);
      await bench.clock.advance(100);
      await second;
      assert.deepEqual([one.ended, two.ended?.code], [undefined, 'slow-consumer']);
      assert.equal(bench.clock.alarms, 0);
    },
  },

  'what may wait for one subscriber is bounded, whatever producers do (promise 5)': {
    settings: { producersWaitAboveBytes: 1024, maxMemoryBytes: 12 * 1024 },
    async ask(bench) {
      const slow = await bench.consume(topic('t'), { auto: true });
      const flood = async (): Promise<void> => {
        void bench.engine.commit({ sends: to(topic('t'), kilobytes(1)), settlements: [], atomic: false });
        await bench.quiet();
      };
      for (let i = 0; i < 8; i++) await flood();
      const given = slow.ended;
      assert.equal(given?.code, 'slow-consumer');
      assert.match(given.message, /producersWaitAboveBytes/);
      assert.equal(bench.engine.inspect.bytes, 0);
      // Several together are bounded by the memory of all.
      const several = [];
      for (let i = 0; i < 4; i++) several.push(await bench.consume(topic('t'), { auto: true }));
      for (let i = 0; i < 4; i++) await flood();
      const ends = several.flatMap(({ ended }) => ended ?? []);
      assert.ok(ends.length > 0 && ends.length < 4);
      assert.match(ends[0]?.message ?? '', /maxMemoryBytes/);
      assert.ok(bench.engine.inspect.bytes <= 12 * 1024);
    },
  },

  'close releases who waits, refuses what comes, and may be called twice': {
    settings: { producersWaitAboveBytes: 1024 },
    async ask(bench) {
      const consumer = await bench.consume(queue('q'), { credit: 1 });
      await bench.consume(topic('t'));
      const sends = [...to(queue('q'), kilobytes(2)), ...to(topic('t'), kilobytes(2))];
      const sending = bench.engine.commit({ sends, settlements: [], atomic: false });
      assert.equal(await bench.waits(sending), true);
      await bench.engine.close();
      await bench.engine.close();
      await sending;
      const [delivery] = consumer.deliveries;
      for (const refused of [
        await bench.refusal(bench.send(...to(queue('q'), 'x'))),
        await bench.refusal(bench.settle('ack', delivery)),
        await bench.refusal(bench.consume(queue('q'))),
      ]) {
        assert.equal(refused.code, 'engine-closed');
        assert.equal(refused.at, undefined);
      }
      assert.equal(bench.clock.alarms, 0);
    },
  },

  'any history of a queue: nothing lost, nothing twice at a time, oldest first, and the books balance (promises 2, 4)':
    {
      settings: { maxDeliveries: 4, producersWaitAboveBytes: MANY },
      async ask(_, another) {
        const step = fc.oneof(
          fc.record({ do: fc.constant('send' as const), n: fc.integer({ min: 1, max: 5 }) }),
          fc.record({ do: fc.constant('open' as const), auto: fc.boolean() }),
          fc.record({ do: fc.constant('ask' as const), who: fc.nat(9), n: fc.integer({ min: 1, max: 4 }) }),
          fc.record({
            do: fc.constant('settle' as const),
            who: fc.nat(9),
            which: fc.array(fc.nat(9), { maxLength: 4 }),
            outcome: fc.constantFrom('ack' as const, 'nack' as const, 'return' as const, 'reject' as const),
            sends: fc.nat(2),
            atomic: fc.boolean(),
          }),
          fc.record({ do: fc.constant('close' as const), who: fc.nat(9) }),
        );
        const histories = fc.array(step, { maxLength: 60 });
        const property = fc.asyncProperty(histories, async (history) => {
          const story = new Story(await another(), 4);
          for (const one of history) await story.tell(one);
          await story.end();
        });
        await fc.assert(property, { numRuns: 500 });
      },
    },
};

type Step =
  | { readonly do: 'send'; readonly n: number }
  | { readonly do: 'open'; readonly auto: boolean }
  | { readonly do: 'ask'; readonly who: number; readonly n: number }
  | {
      readonly do: 'settle';
      readonly who: number;
      readonly which: readonly number[];
      readonly outcome: Outcome;
      readonly sends: number;
      readonly atomic: boolean;
    }
  | { readonly do: 'close'; readonly who: number };

interface Actor {
  readonly auto: boolean;
  readonly owed: Delivery[];
  credit: number;
  feed: Feed;
}

// One queue, and the plainest model of it there is: a sorted list of what waits. The
// model is moved before the engine is, because an engine may deliver before it returns.
class Story {
  readonly #bench: Bench;
  readonly #maxDeliveries: number;
  readonly #actors: Actor[] = [];
  readonly #redeliveries = new Map<number, number>(); // by the number that is the body
  #waiting: number[] = [];
  #sent = 0;
  #dead = 0;

  constructor(bench: Bench, maxDeliveries: number) {
    this.#bench = bench;
    this.#maxDeliveries = maxDeliveries;
  }

  async tell(step: Step): Promise<void> {
    if (step.do === 'send') await this.#bench.send(...this.#write(step.n));
    else if (step.do === 'open') await this.#open(step.auto);
    else {
      const actor = this.#actors[step.who % this.#actors.length];
      if (actor === undefined) return;
      if (step.do === 'ask') this.#ask(actor, step.n);
      else if (step.do === 'close') await this.#close(actor);
      else await this.#settle(actor, step);
    }
    this.#balance();
  }

  /** Everybody leaves, what is left goes to one consumer, oldest first, and then there is nothing. */
  async end(): Promise<void> {
    for (const actor of [...this.#actors]) await this.#close(actor);
    const last = await this.#open(true);
    this.#ask(last, MANY);
    await this.#bench.quiet();
    assert.deepEqual(this.#waiting, []);
    last.feed.close();
    const letters = await this.#bench.consume(queue('dlq.q'), { auto: true, credit: MANY });
    assert.equal(letters.deliveries.length, this.#dead);
    letters.feed.close();
    this.#bench.empty();
  }

  #write(n: number): Send[] {
    const bodies = Array.from({ length: n }, () => this.#sent++);
    this.#waiting.push(...bodies);
    return to(queue('q'), ...bodies.map(String));
  }

  async #open(auto: boolean): Promise<Actor> {
    const actor: Actor = { auto, owed: [], credit: 0, feed: { request() {}, close() {} } };
    actor.feed = await this.#bench.engine.open({
      destination: queue('q'),
      acknowledged: !auto,
      deliver: (delivery) => this.#hear(actor, delivery),
      ended: (error) => assert.fail(error),
    });
    this.#actors.push(actor);
    return actor;
  }

  #hear(actor: Actor, delivery: Delivery): void {
    const body = Number(bodyOf(delivery));
    assert.ok(this.#actors.includes(actor), `${body} came to a consumer that has left`);
    assert.ok(actor.credit-- > 0, `${body} came without being asked for`);
    assert.equal(body, this.#waiting.shift(), 'the oldest that waits comes first');
    assert.equal(delivery.redeliveries, this.#redeliveries.get(body) ?? 0);
    if (!actor.auto) actor.owed.push(delivery);
  }

  #ask(actor: Actor, n: number): void {
    actor.credit += n;
    actor.feed.request(n);
  }

  async #settle(actor: Actor, step: Step & { do: 'settle' }): Promise<void> {
    const chosen = new Set(step.which.map((which) => actor.owed[which % actor.owed.length]));
    const settlements: Settlement[] = [];
    for (const delivery of chosen) {
      if (delivery === undefined) continue;
      actor.owed.splice(actor.owed.indexOf(delivery), 1);
      settlements.push({ delivery, outcome: step.outcome });
    }
    this.#fate(settlements);
    await this.#bench.commit(this.#write(step.sends), settlements, step.atomic);
  }

  async #close(actor: Actor): Promise<void> {
    this.#actors.splice(this.#actors.indexOf(actor), 1);
    actor.feed.close();
    const settlements = actor.owed.splice(0).map((delivery) => ({ delivery, outcome: 'return' as const }));
    this.#fate(settlements);
    await this.#bench.commit([], settlements);
  }

  #fate(settlements: readonly Settlement[]): void {
    for (const { delivery, outcome } of settlements) {
      if (outcome === 'ack') continue;
      const body = Number(bodyOf(delivery));
      const again = delivery.redeliveries + 1;
      this.#redeliveries.set(body, again);
      if (outcome === 'reject' || (outcome === 'nack' && again >= this.#maxDeliveries)) this.#dead++;
      else this.#waiting.push(body);
    }
    this.#waiting.sort((a, b) => a - b);
  }

  #balance(): void {
    const ready = this.#actors.some(({ credit }) => credit > 0);
    assert.ok(this.#waiting.length === 0 || !ready, 'nothing waits while somebody asks');
    const unsettled = this.#actors.reduce((sum, { owed }) => sum + owed.length, 0);
    const nothing = this.#waiting.length + unsettled + this.#actors.length === 0;
    const books = { waiting: this.#waiting.length, unsettled, consumers: this.#actors.length };
    assert.deepEqual(this.#bench.view('q'), nothing ? undefined : books);
    const letters = this.#bench.view('dlq.q');
    assert.equal(letters?.waiting ?? 0, this.#dead);
    const { bytes } = this.#bench.engine.inspect;
    const sum = this.#bench.engine.inspect.queues().reduce((total, one) => total + one.bytes, 0);
    assert.equal(bytes, sum);
    assert.equal(bytes === 0, this.#waiting.length + unsettled + this.#dead === 0);
  }
}
