// How much our broker holds, and in how much memory: a long durable queue, and many connections that say nothing.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isSkipped } from 'testkit/peers';
import { addressOf, destination, startOurs } from './contest.mjs';
import { number, target } from './harness.mjs';
import { drive, loadGenerator } from './load.mjs';

const MESSAGES = 2_000_000;
const PARTS = 10; // the memory is read after each
const DRAINED = 1_000_000;
const CONNECTIONS = 10_000;
const SOON_MS = 1_000;
const LATER_MS = 20_000; // V8 collects by itself where little happens

const MOST_QUEUE_MIB = 300;
const MOST_CONNECTION_KIB = 20;

const IDLE_PROCESS = fileURLToPath(new URL('idle-process.mjs', import.meta.url));
const SMALL = 1_000; // connections that make room for what all have in common

export async function run({ progress, messages = MESSAGES }) {
  const say = (what) => progress(`capacity: ${what}`);
  const notes = [];
  const queue = await longQueue(messages, say, notes);
  const idle = await idleConnections(say);
  return {
    name: 'capacity',
    title: 'Capacity',
    legend:
      'Our broker alone: the memory of its process as Linux counts it (VmRSS), and without what is mapped from files (RssAnon).',
    table: { columns: ['', 'seen', 'without files'], rows: [...queue.rows, ...idle.rows] },
    targets: [...queue.targets, ...idle.targets],
    notes,
    figures: { queue: queue.figures, idle: idle.figures },
  };
}

async function longQueue(messages, say, notes) {
  const load = await loadGenerator();
  if (isSkipped(Object(load))) {
    notes.push(`the long queue is skipped: ${load.skipped}`);
    return { rows: [], targets: [], figures: [] };
  }
  const data = mkdtempSync(join(tmpdir(), 'stompbox-capacity-'));
  const limits = { maxQueueMessages: 2 * messages, maxQueueBytes: 1_000 * messages };
  const broker = await startOurs({ data, limits });
  try {
    const where = { ...addressOf(broker), destination: destination('queue') };
    const figures = [{ messages: 0, ...broker.memory() }];
    let seconds = 0;
    for (let part = 1; part <= PARTS; part++) {
      say(`${number((messages / PARTS) * part)} messages`);
      const said = await drive(load, {
        ...where,
        persistent: true,
        consumers: 0,
        window: 1_000,
        messages: messages / PARTS,
      });
      seconds += said.seconds;
      figures.push({ messages: (messages / PARTS) * part, seconds, ...broker.memory() });
    }
    const size = statSync(join(data, 'data.mdb')).size;
    say(`draining ${number(DRAINED)}`);
    const drained = await drive(load, { ...where, producers: 0, messages: DRAINED, ack: 'client-individual' });
    const after = broker.memory();
    const { most } = after;
    const held = `${number(messages)} durable messages of 128 B`;
    return {
      figures: { filling: figures, drained: { seconds: drained.seconds, ...after } },
      rows: [
        ...figures
          .filter((_, at) => at === 0 || at === 1 || at === PARTS / 2 || at === PARTS)
          .map((each) => [`queue of ${number(each.messages)}, memory, MiB`, ...mebibytes(each)]),
        [`… after ${number(DRAINED)} were consumed, MiB`, ...mebibytes(after)],
        ['… the most it ever was, MiB', number(most / 1_024), ''],
        ['… time to fill, s', number(seconds), ''],
        [`… time to consume ${number(DRAINED)}, each acknowledged, s`, number(drained.seconds), ''],
        ['… on disk, MiB', number(size / 1_048_576), ''],
      ],
      targets: [target(`${held} in ${MOST_QUEUE_MIB} MiB`, 1, (MOST_QUEUE_MIB * 1_024) / most)],
    };
  } finally {
    await broker.stop();
    rmSync(data, { recursive: true, force: true });
  }
}

async function idleConnections(say) {
  // One more than there are, for whoever looks in.
  const limits = { maxConnections: CONNECTIONS + SMALL + 1, maxConnectionsPerAddress: CONNECTIONS + SMALL + 1 };
  const broker = await startOurs({ limits });
  const clients = [];
  try {
    const { port } = addressOf(broker);
    const after = (ms) => new Promise((done) => setTimeout(() => done(broker.memory()), ms));
    say(`${number(SMALL)} idle connections`);
    clients.push(await idle(port, SMALL));
    const before = await after(LATER_MS);
    say(`${number(CONNECTIONS)} idle connections`);
    clients.push(await idle(port, CONNECTIONS));
    const soon = await after(SOON_MS);
    const later = await after(LATER_MS);
    const each = ({ all, own }) => [all - before.all, own - before.own].map((more) => number(more / CONNECTIONS));
    return {
      figures: { before, soon, later },
      rows: [
        [`${number(SMALL)} idle connections, MiB`, ...mebibytes(before)],
        [`${number(CONNECTIONS)} more, after ${SOON_MS / 1_000} s, MiB`, ...mebibytes(soon)],
        ['… each of these, KiB', ...each(soon)],
        [`… after ${LATER_MS / 1_000} s, MiB`, ...mebibytes(later)],
        ['… each of these, KiB', ...each(later)],
      ],
      targets: [
        target(
          `${number(CONNECTIONS)} idle connections at ${MOST_CONNECTION_KIB} KiB`,
          1,
          (MOST_CONNECTION_KIB * CONNECTIONS) / (Math.max(soon.all, later.all) - before.all),
        ),
      ],
    };
  } finally {
    for (const client of clients) client.disconnect();
    await broker.stop();
  }
}

/** A process that holds so many connections until it is let go. */
async function idle(port, count) {
  const child = fork(IDLE_PROCESS, [String(port), String(count)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const ended = once(child, 'exit').then(([code]) =>
    Promise.reject(new Error(`connections failed, exit code ${code}`)),
  );
  ended.catch(() => {}); // it ends when we let it go
  await Promise.race([once(child, 'message'), ended]);
  return child;
}

function mebibytes({ all, own }) {
  return [number(all / 1_024), number(own / 1_024)];
}
