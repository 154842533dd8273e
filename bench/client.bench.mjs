// Our client against stompit (TCP) and @stomp/stompjs (WebSocket) on one broker: ours, a process of its own, as each client is.
//
// Broker and client share the machine, so a turn says what both can do together. What a client costs by itself is the line
// below it: how many messages it would do in a second of its own CPU. Bare sockets, which send what was encoded before, show
// what nobody could exceed.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { connect } from '@stompbox/client';
import { CONTESTANTS } from './client-contestants.mjs';
import { interleave, ratio, shown, target, times } from './harness.mjs';

const ROUNDS = 3;
const MS = 700;
const WANTED = 5;
const SIZES = [
  { label: '1 KiB', size: 1024, count: 60_000 },
  { label: '64 KiB', size: 64 * 1024, count: 1_000 },
];

const CASES = SIZES.flatMap(({ label, size, count }) => [
  { name: `publish, ${label}`, size, work: 'publish', wanted: WANTED },
  { name: `publish, a receipt each, ${label}`, size, work: 'confirm', window: 100, wanted: WANTED },
  { name: `consume, auto ack, ${label}`, size, work: 'consume', ack: 'auto', count, wanted: WANTED },
  {
    name: `consume, each acknowledged, ${label}`,
    size,
    work: 'consume',
    ack: 'client-individual',
    count,
    wanted: WANTED,
  },
  { name: `request and reply, ${label}`, size, work: 'request' },
]);

/** Who is held against whom. */
const PAIRS = [
  ['Client, TCP', 'stompit, TCP'],
  ['Client, WebSocket', 'stompjs, WebSocket'],
  ['Connection, TCP', 'stompit, TCP'],
  ['Connection, WebSocket', 'stompjs, WebSocket'],
  ['client/stompjs, WebSocket', 'stompjs, WebSocket'],
];

export async function run({ progress, rounds = ROUNDS }) {
  const say = (what) => progress(`client: ${what}`);
  const [broker, urls] = await started('client-broker.mjs');
  const clients = new Map();
  const helper = await connect(urls.tcp);
  try {
    for (const [name, { over }] of Object.entries(CONTESTANTS)) {
      clients.set(name, (await started('client-process.mjs', name, urls[over]))[0]);
    }
    const figures = [];
    for (const each of CASES) figures.push(await race(each, clients, helper, rounds, say));
    return {
      name: 'client',
      title: 'Client',
      legend: `What one client does on one connection with our broker, messages a second, medians of ${rounds} interleaved rounds; request and reply in microseconds, one after the other.`,
      table: table(figures),
      targets: figures.flatMap(targets),
      notes: [],
      figures,
    };
  } finally {
    await helper.disconnect();
    for (const child of [...clients.values(), broker]) child.disconnect();
  }
}

/** A process of this folder, and the first thing it says. */
async function started(file, ...args) {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), args, {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const [first] = await answered(child, file);
  return [child, first];
}

/** The next thing a child says; rejects where it ends instead. */
async function answered(child, what) {
  const over = new AbortController();
  const ended = once(child, 'exit', { signal: over.signal }).then(([code]) => {
    throw new Error(`${what} ended with exit code ${code}`);
  });
  ended.catch(() => {}); // it answered
  try {
    return await Promise.race([once(child, 'message', { signal: over.signal }), ended]);
  } finally {
    over.abort();
  }
}

let destinations = 0;

async function race({ name, wanted, ...work }, clients, helper, rounds, say) {
  const able = [...clients.keys()].filter((each) => (CONTESTANTS[each].only ?? work.work) === work.work);
  const turns = await interleave(able, rounds + 1, async (contestant) => {
    say(`${name}, ${contestant}`);
    const child = clients.get(contestant);
    const stop = await prepared(work, helper);
    child.send({ ...work, ms: MS, destination: stop.destination, replies: stop.replies });
    const [found] = await answered(child, contestant);
    await stop();
    return found;
  });
  for (const all of turns.values()) all.shift(); // warms up
  return { name, wanted, turns: Object.fromEntries(turns) };
}

/** What a turn needs to be there: messages to consume, or somebody who answers. Nobody listens to what is published. */
async function prepared({ work, size, count }, helper) {
  const own = `bench.client.${++destinations}`;
  const queue = { destination: `/queue/${own}`, replies: `/queue/${own}.replies` };
  if (work === 'consume') {
    const body = 'x'.repeat(size);
    for (let sent = 1; sent < count; sent++) await helper.send(queue.destination, body, { confirm: false });
    await helper.send(queue.destination, body);
  }
  if (work !== 'request') {
    const nothing = { destination: work === 'consume' ? queue.destination : `/topic/${own}` };
    return Object.assign(async () => {}, nothing);
  }
  const echo = helper.subscribe(queue.destination, ({ bytes }) => {
    void helper.send(queue.replies, bytes, { confirm: false, contentType: 'text/plain' });
  });
  await echo.ready;
  return Object.assign(() => echo.unsubscribe(), queue);
}

// A turn is shared with the broker and the machine; a second of the client's own CPU is not.
function table(figures) {
  const names = Object.keys(CONTESTANTS);
  const row = (found, name, figure) => [
    name,
    ...names.map((contestant) => shown(series(found, contestant, figure))),
    ...PAIRS.map((pair) => times(gain(found, pair, figure))),
  ];
  return {
    columns: ['', ...names, ...PAIRS.map(([ours, theirs]) => `${ours} × ${theirs.split(',')[0]}`)],
    rows: figures.flatMap((found) =>
      found.wanted === undefined
        ? [row(found, `${found.name}, µs`, 'microseconds')]
        : [row(found, `${found.name}, /s`, 'perSecond'), row(found, '… for a second of its CPU', 'perCpuSecond')],
    ),
  };
}

function targets(found) {
  if (found.wanted === undefined) return [];
  return PAIRS.slice(0, 2).flatMap(([ours, theirs]) => {
    const bare = `bare socket, ${theirs.split(', ')[1]}`;
    const held = (what, figure) => {
      const most = found.turns[bare] && gain(found, [bare, theirs], figure);
      return target(`${found.name}: ${what}`, found.wanted, gain(found, [ours, theirs], figure), most);
    };
    return [held(`${ours} against ${theirs}`, 'perSecond'), held('the same for a second of CPU', 'perCpuSecond')];
  });
}

/** How many times better the first of a pair is. */
function gain(found, [ours, theirs], figure) {
  const [mine, others] = [series(found, ours, figure), series(found, theirs, figure)];
  return figure === 'microseconds' ? ratio(others, mine) : ratio(mine, others);
}

function series({ turns }, name, figure) {
  return turns[name]?.map((turn) => turn[figure]);
}
