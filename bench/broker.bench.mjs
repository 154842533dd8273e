// Our broker against RabbitMQ and ActiveMQ: the same load, in turns, each broker a process of its own.

import { isSkipped } from 'testkit/peers';
import {
  addressOf,
  COLUMNS,
  destination,
  latencyRow,
  race,
  rateRow,
  rateTargets,
  startBrokers,
  stopBrokers,
} from './contest.mjs';
import { drive, loadGenerator } from './load.mjs';

const ROUNDS = 3;
const WARM_UP_SECONDS = 3; // a JVM takes its time to optimise
const SECONDS = 1.5;

const WANTED = { RabbitMQ: 20, ActiveMQ: 10 };

// A bound on what is under way shows what a broker can keep up for ever, and ends a turn soon. Without one, what counts
// is how a broker digests a growing backlog: RabbitMQ takes messages faster than it delivers them.
const BOUNDED = { 'in-flight': 10_000 };

const CASES = [
  { name: 'queue, 128 B, auto ack', kind: 'queue', load: BOUNDED, wanted: WANTED },
  { name: 'queue, 128 B, auto ack, unbounded', kind: 'queue', wanted: WANTED },
  { name: 'queue, 128 B, each acknowledged', kind: 'queue', load: { ...BOUNDED, ack: 'client-individual' } },
  { name: 'queue, 128 B, a receipt for each SEND', kind: 'queue', load: { ...BOUNDED, window: 1000 } },
  { name: 'queue, 1 KiB, auto ack', kind: 'queue', load: { ...BOUNDED, size: 1024 } },
  { name: 'topic 1 to 1, 128 B', kind: 'topic', load: BOUNDED },
  { name: 'topic 1 to 20, 128 B, deliveries', kind: 'topic', load: { 'in-flight': 1_000, consumers: 20 } },
];
const LATENCY = { name: 'latency', kind: 'queue', load: { rate: 1_000, seconds: 3 } };
const PERCENTILES = ['p50', 'p90', 'p99'];

export async function run({ progress, rounds = ROUNDS }) {
  const notes = [];
  const result = {
    name: 'broker',
    title: 'Broker',
    legend: `Messages a second from one producer, in memory, medians of ${rounds} interleaved rounds; latency from SEND to MESSAGE at 1,000 a second.`,
  };
  const load = await loadGenerator();
  if (isSkipped(Object(load))) {
    return { ...result, table: table([]), targets: [], notes: [`skipped: ${load.skipped}`], figures: [] };
  }
  const say = (what) => progress(`broker: ${what}`);
  const brokers = await startBrokers({}, say, notes);
  try {
    const figures = [];
    for (const each of [...CASES, LATENCY]) {
      const turn = (broker, isWarmUp) =>
        drive(load, {
          ...addressOf(broker),
          destination: destination(each.kind),
          seconds: SECONDS,
          ...each.load,
          ...(isWarmUp && { seconds: WARM_UP_SECONDS }),
        });
      figures.push(await race(each, brokers, rounds, say, notes, turn));
    }
    return { ...result, table: table(figures), targets: figures.flatMap((each) => rateTargets(each)), notes, figures };
  } finally {
    await stopBrokers(brokers);
  }
}

function table(figures) {
  const rows = figures.flatMap((each) =>
    each.name === LATENCY.name
      ? PERCENTILES.map((figure) => latencyRow(`latency ${figure}`, each, figure))
      : [rateRow(each.name, each)],
  );
  return { columns: COLUMNS, rows };
}
