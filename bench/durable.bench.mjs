// Messages that survive a power cut: our broker on LMDB, RabbitMQ with persistent messages, ActiveMQ with KahaDB.
//
// Every SEND is persistent and asks for a RECEIPT, which each of them gives when the message is on the disk. What a turn
// leaves in its queue is drained before the next one begins.

import { closeSync, fdatasyncSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isSkipped } from 'testkit/peers';
import {
  addressOf,
  COLUMNS,
  destination,
  latencyRow,
  OURS,
  race,
  rateRow,
  rateTargets,
  series,
  startBrokers,
  startOurs,
  stopBrokers,
} from './contest.mjs';
import { median, number, ratio, target } from './harness.mjs';
import { drive, loadGenerator } from './load.mjs';
import { hottest } from './profile.mjs';

const ROUNDS = 3;
const WARM_UP_SECONDS = 1;
const SECONDS = 1;
const WANTED = { RabbitMQ: 20, ActiveMQ: 20 };
const FLUSHES = 300;
const FLUSHED_BYTES = 4096;
const POURS = 3;
const POURED_MIB = 128;

// A second of 4 KiB is more than a queue may hold by default. The others have no such bound.
const LIMITS = { maxQueueMessages: 10_000_000, maxQueueBytes: 4 * 1_024 ** 3 };

const FILL = { persistent: true, consumers: 0 };
const THROUGH = { persistent: true, window: 1_000, 'in-flight': 10_000, ack: 'client-individual' };

const SIZES = { '128 B': 128, '4 KiB': 4096 };
const CONFIRMED = Object.entries(SIZES).flatMap(([name, size]) =>
  [1, 16].flatMap((producers) =>
    [1, 1_000].map((window) => ({
      name: `confirmed, ${name}, ${producers === 1 ? '1 producer' : `${producers} producers`}, window ${number(window)}`,
      kind: 'queue',
      load: { ...FILL, size, producers, window },
      together: producers * window, // the most that one flush can confirm
      wanted: WANTED,
    })),
  ),
);
const DRAIN = { name: 'drain, 128 B, each acknowledged', kind: 'queue', messages: 20_000 };
const CASES = [
  ...CONFIRMED,
  DRAIN,
  { name: 'confirmed and consumed, 128 B, each acknowledged', kind: 'queue', load: THROUGH },
  {
    name: 'topic 1 to 20, 128 B, confirmed, deliveries',
    kind: 'topic',
    load: { persistent: true, window: 1_000, 'in-flight': 1_000, consumers: 20 },
  },
  {
    name: 'topic 1 to 1,000, 128 B, confirmed, deliveries',
    kind: 'topic',
    load: { persistent: true, window: 1_000, 'in-flight': 50, consumers: 1_000 },
  },
];
const LATENCY = {
  name: 'latency',
  kind: 'queue',
  load: { persistent: true, window: 100_000, rate: 1_000, seconds: 3, ack: 'client-individual' },
};
const LATENCIES = { 'SEND to RECEIPT': 'confirm', 'SEND to MESSAGE': 'p' };
const PERCENTILES = [50, 90, 99];

const PROFILED = [1, 16];
const PROFILED_SECONDS = 3;

export async function run({ progress, rounds = ROUNDS }) {
  const notes = [];
  const result = {
    name: 'durable',
    title: 'Durable',
    legend: `Persistent messages a second, each with a RECEIPT; medians of ${rounds} interleaved rounds; latencies at 1,000 a second.`,
  };
  const load = await loadGenerator();
  if (isSkipped(Object(load))) {
    return { ...result, table: table([]), targets: [], notes: [`skipped: ${load.skipped}`], figures: [] };
  }
  const say = (what) => progress(`durable: ${what}`);
  const data = mkdtempSync(join(tmpdir(), 'stompbox-bench-'));
  try {
    const floor = { ...flushMicroseconds(join(data, 'floor')), bandwidth: bytesPerSecond(join(data, 'floor')) };
    const brokers = await startBrokers({ data: join(data, 'data'), limits: LIMITS }, say, notes);
    const figures = [];
    try {
      for (const each of [...CASES, LATENCY]) {
        const turn = (broker, isWarmUp) => play(load, broker, each, isWarmUp);
        figures.push(await race(each, brokers, rounds, say, notes, turn));
      }
    } finally {
      await stopBrokers(brokers);
    }
    notes.push(
      `All data lie on ${disk(data)}; there, writing 4 KiB and fdatasync take ${number(floor.p50)} µs (median), ${number(floor.p99)} µs (p99), and ${number(floor.bandwidth / 1_048_576)} MiB/s is the most it takes.`,
    );
    for (const producers of PROFILED) notes.push(await profile(load, producers, data, say));
    // Nobody can flush more often than the disk does, nor write more: what a broker could reach that did nothing else.
    const ceiling = ({ name }) => {
      const found = CONFIRMED.find((each) => each.name === name);
      return found && Math.min((1e6 / floor.p50) * found.together, floor.bandwidth / found.load.size);
    };
    const targets = [...figures.flatMap((each) => rateTargets(each, ceiling(each))), ...latencyTargets(figures.at(-1))];
    return { ...result, table: table(figures), targets, notes, figures };
  } finally {
    rmSync(data, { recursive: true, force: true });
  }
}

async function play(load, broker, { kind, load: options, messages }, isWarmUp) {
  const where = { ...addressOf(broker), destination: destination(kind) };
  const seconds = isWarmUp ? WARM_UP_SECONDS : SECONDS;
  const drain = (count) =>
    drive(load, { ...where, size: options?.size ?? 128, producers: 0, messages: count, ack: 'client-individual' });
  if (messages !== undefined) {
    await drive(load, { ...where, ...FILL, window: 1_000, messages });
    return drain(messages);
  }
  const said = await drive(load, { ...where, seconds, ...options });
  if (options.consumers === 0) await drain(said.sent);
  return said;
}

function table(figures) {
  const rows = figures.flatMap((each) =>
    each.name === LATENCY.name
      ? Object.entries(LATENCIES).flatMap(([what, figure]) =>
          PERCENTILES.map((percent) => latencyRow(`${what}, p${percent}`, each, `${figure}${percent}`)),
        )
      : [rateRow(each.name, each)],
  );
  return { columns: COLUMNS, rows };
}

/** No slower than the quicker of the others. */
function latencyTargets(found) {
  return Object.entries(LATENCIES).flatMap(([what, figure]) =>
    [50, 99].map((percent) => {
      const { [OURS]: ours, ...others } = series(found, `${figure}${percent}`);
      const ratios = Object.values(others).map((theirs) => ratio(theirs, ours));
      const seen = ours === undefined || ratios.length === 0 ? undefined : Math.min(...ratios);
      return target(`${what}, p${percent}, against the quicker`, 1, seen);
    }),
  );
}

/** What nobody can undercut who confirms one message at a time. */
function flushMicroseconds(path) {
  const file = openSync(path, 'w');
  const block = Buffer.alloc(FLUSHED_BYTES, 'x');
  const taken = [];
  for (let k = 0; k < FLUSHES; k++) {
    const begun = process.hrtime.bigint();
    writeSync(file, block);
    fdatasyncSync(file);
    taken.push(Number(process.hrtime.bigint() - begun) / 1_000);
  }
  closeSync(file);
  taken.sort((a, b) => a - b);
  return { p50: median(taken), p99: taken[Math.floor(taken.length * 0.99)] };
}

/** What goes to the disk in large pieces, at its best. */
function bytesPerSecond(path) {
  const block = Buffer.alloc(1_048_576, 'x');
  const rates = Array.from({ length: POURS }, () => {
    const file = openSync(path, 'w');
    const begun = process.hrtime.bigint();
    for (let k = 0; k < POURED_MIB; k++) writeSync(file, block);
    fdatasyncSync(file);
    const seconds = Number(process.hrtime.bigint() - begun) / 1e9;
    closeSync(file);
    return (POURED_MIB * block.length) / seconds;
  });
  return Math.max(...rates);
}

/** The device and file system that a path lies on. */
function disk(path) {
  const mounts = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, point]) => point !== undefined && `${path}/`.startsWith(point === '/' ? '/' : `${point}/`))
    .sort(([, a], [, b]) => b.length - a.length);
  const [device, , type] = mounts[0] ?? ['?', '', '?'];
  return type === 'tmpfs' ? 'a tmpfs, which is no disk: set TMPDIR' : `${device} (${type})`;
}

async function profile(load, producers, data, say) {
  say(`profile, ${producers} producers`);
  const name = `profile-${producers}`;
  const file = join(data, `${name}.cpuprofile`);
  const argv = ['--cpu-prof', '--cpu-prof-dir', data, '--cpu-prof-name', `${name}.cpuprofile`];
  const broker = await startOurs({ data: join(data, name), limits: LIMITS }, argv);
  try {
    const options = { ...FILL, producers, window: 1_000, seconds: PROFILED_SECONDS };
    await drive(load, { ...addressOf(broker), destination: destination('queue'), ...options });
  } finally {
    await broker.stop();
  }
  return `Our broker's main thread, 128 B, ${producers} producer${producers > 1 ? 's' : ''}, window 1,000: ${hottest(file, 12).join(', ')}.`;
}
