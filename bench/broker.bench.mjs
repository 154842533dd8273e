// Our broker against RabbitMQ and ActiveMQ: the same load, in turns, each broker a process of its own.
//
// All three run all the time; an idle broker costs next to nothing. Every turn has a destination of its own, so nothing
// of one is left for the next. The first round of a case warms up and is not counted.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { isSkipped, startActiveMq, startRabbitMq } from 'testkit/peers';
import { interleave, ratio, shown, target, times } from './harness.mjs';
import { drive, loadGenerator } from './load.mjs';

const ROUNDS = 3;
const WARM_UP_SECONDS = 3; // a JVM takes its time to optimise
const SECONDS = 1.5;
const BROKER_PROCESS = fileURLToPath(new URL('broker-process.mjs', import.meta.url));

const OURS = 'Stompbox';
const STARTERS = { [OURS]: startOurs, RabbitMQ: startRabbitMq, ActiveMQ: () => startActiveMq({ forSpeed: true }) };
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

/** A load that uses this much of a core is as fast as it gets, and the broker may be faster. */
const SATURATED = 0.9;

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
  const brokers = new Map();
  try {
    for (const [name, start] of Object.entries(STARTERS)) {
      progress(`broker: starting ${name}`);
      const broker = await start();
      if (isSkipped(broker)) notes.push(`${name} is skipped: ${broker.skipped}`);
      else brokers.set(name, broker);
    }
    const versions = [...brokers].flatMap(([name, { version }]) => (version ? [`${name} ${version}`] : []));
    if (versions.length > 0) notes.unshift(`Against ${versions.join(' and ')}.`);
    const figures = [];
    for (const each of [...CASES, LATENCY]) figures.push(await race(each, brokers, load, rounds, progress, notes));
    return { ...result, table: table(figures), targets: targets(figures), notes, figures };
  } finally {
    await Promise.all([...brokers.values()].map((broker) => broker.stop()));
  }
}

/** What the load generator said, by broker, a list of rounds; without the brokers that did not get through. */
async function race({ name, kind, load: options, wanted }, brokers, load, rounds, progress, notes) {
  const failed = new Set();
  let count = 0;
  const turn = async (broker) => {
    const isWarmUp = ++count <= brokers.size;
    progress(`broker: ${name}, ${broker}${isWarmUp ? ', warming up' : ''}`);
    if (failed.has(broker)) return undefined;
    const { urls, login, passcode } = brokers.get(broker);
    try {
      return await drive(load, {
        port: new URL(urls.tcp).port,
        login,
        passcode,
        destination: `/${kind}/bench.${process.pid}.${Date.now()}`,
        seconds: SECONDS,
        ...options,
        ...(isWarmUp && { seconds: WARM_UP_SECONDS }),
      });
    } catch (error) {
      failed.add(broker);
      notes.push(`${broker} failed in "${name}": ${error.message}`);
      return undefined;
    }
  };
  const turns = await interleave([...brokers.keys()], rounds + 1, turn);
  for (const broker of failed) turns.delete(broker);
  for (const [broker, all] of turns) {
    all.shift(); // the warm-up
    if (all.some(({ busy }) => busy > SATURATED))
      notes.push(`In "${name}" the load generator had no more to give: ${broker} may be faster.`);
  }
  return { name, wanted, turns: Object.fromEntries(turns) };
}

async function startOurs() {
  const child = fork(BROKER_PROCESS, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const ended = once(child, 'exit');
  const [{ url }] = await Promise.race([
    once(child, 'message'),
    ended.then(([code]) => Promise.reject(new Error(`our broker ended with exit code ${code}`))),
  ]);
  const stop = async () => {
    child.disconnect();
    await ended;
  };
  return { urls: { tcp: url }, login: '', passcode: '', stop };
}

/** The figures of one row, by broker: throughput, or one percentile of the latency. */
function series({ turns }, figure) {
  return Object.fromEntries(Object.entries(turns).map(([name, all]) => [name, all.map((each) => each[figure])]));
}

function table(figures) {
  const columns = ['', 'Stompbox', 'RabbitMQ', 'ActiveMQ', '× RabbitMQ', '× ActiveMQ'];
  const rows = figures.flatMap((each) => {
    if (each.name !== LATENCY.name) {
      const { [OURS]: ours, RabbitMQ: rabbit, ActiveMQ: active } = series(each, 'perSecond');
      return [row(`${each.name}, /s`, ours, rabbit, active, ratio(ours, rabbit), ratio(ours, active))];
    }
    return PERCENTILES.map((figure) => {
      const { [OURS]: ours, RabbitMQ: rabbit, ActiveMQ: active } = series(each, figure);
      return row(`latency ${figure}, µs`, ours, rabbit, active, ratio(rabbit, ours), ratio(active, ours));
    });
  });
  return { columns, rows };
}

function row(name, ours, rabbit, active, overRabbit, overActive) {
  return [name, shown(ours), shown(rabbit), shown(active), times(overRabbit), times(overActive)];
}

function targets(figures) {
  return figures.flatMap((each) => {
    const rates = series(each, 'perSecond');
    return Object.entries(each.wanted ?? {}).map(([broker, factor]) =>
      target(`${each.name}, against ${broker}`, factor, ratio(rates[OURS], rates[broker])),
    );
  });
}
