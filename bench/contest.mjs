// What the contests between brokers share: each broker a process of its own, the same load for all of them, in turns.
//
// All of them run all the time; an idle broker costs next to nothing. Every turn has a destination of its own, so nothing
// of one is left for the next. The first round of a case warms up and is not counted.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { isSkipped, startActiveMq, startRabbitMq } from 'testkit/peers';
import { interleave, median, ratio, shown, target, times } from './harness.mjs';

const BROKER_PROCESS = fileURLToPath(new URL('broker-process.mjs', import.meta.url));

export const OURS = 'Stompbox';

/** A load that uses this much of a core is as fast as it gets, and the broker may be faster. */
const SATURATED = 0.9;

/** Our broker in a process of its own, with `options` of createBroker; `execArgv` is for Node. */
export async function startOurs(options = {}, execArgv = []) {
  const child = fork(BROKER_PROCESS, [JSON.stringify(options)], {
    execArgv,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const ended = once(child, 'exit');
  const failed = ended.then(([code]) => Promise.reject(new Error(`our broker ended with exit code ${code}`)));
  failed.catch(() => {}); // nobody may be waiting
  const [{ url }] = await Promise.race([once(child, 'message'), failed]);
  return {
    urls: { tcp: url },
    login: '',
    passcode: '',
    /** Kilobytes in memory, as Linux counts them: all, without what is mapped from files, and the most that all ever was. */
    memory: () => memoryOf(child.pid),
    async stop() {
      child.disconnect();
      await ended;
    },
  };
}

function memoryOf(pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const names = ['VmRSS', 'RssAnon', 'VmHWM'];
  const [all, own, most] = names.map((name) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]));
  return { all, own, most };
}

/** Starts the three; those that cannot be are left out, and `notes` says so. */
export async function startBrokers(options, progress, notes) {
  const starters = {
    [OURS]: () => startOurs(options),
    RabbitMQ: startRabbitMq,
    ActiveMQ: () => startActiveMq({ forSpeed: true }),
  };
  const brokers = new Map();
  try {
    for (const [name, start] of Object.entries(starters)) {
      progress(`starting ${name}`);
      const broker = await start();
      if (isSkipped(broker)) notes.push(`${name} is skipped: ${broker.skipped}`);
      else brokers.set(name, broker);
    }
  } catch (error) {
    await stopBrokers(brokers);
    throw error;
  }
  const versions = [...brokers].flatMap(([name, { version }]) => (version ? [`${name} ${version}`] : []));
  if (versions.length > 0) notes.unshift(`Against ${versions.join(' and ')}.`);
  return brokers;
}

export async function stopBrokers(brokers) {
  await Promise.all([...brokers.values()].map((broker) => broker.stop()));
}

/** How the load generator reaches a broker. */
export function addressOf({ urls, login, passcode }) {
  return { port: new URL(urls.tcp).port, login, passcode };
}

let destinations = 0;

/** One that nobody has used. */
export function destination(kind) {
  return `/${kind}/bench.${process.pid}.${++destinations}`;
}

/**
 * A case: every broker in turn, `rounds` times. `turn(broker, isWarmUp)` answers what the load generator said. The result
 * has a list of rounds by broker, without the brokers that did not get through.
 */
export async function race({ name, wanted }, brokers, rounds, progress, notes, turn) {
  const failed = new Set();
  let count = 0;
  const turns = await interleave([...brokers.keys()], rounds + 1, async (broker) => {
    const isWarmUp = ++count <= brokers.size;
    progress(`${name}, ${broker}${isWarmUp ? ', warming up' : ''}`);
    if (failed.has(broker)) return undefined;
    try {
      return await turn(brokers.get(broker), isWarmUp);
    } catch (error) {
      failed.add(broker);
      notes.push(`${broker} failed in "${name}": ${error.message}`);
      return undefined;
    }
  });
  for (const broker of failed) turns.delete(broker);
  for (const [broker, all] of turns) {
    all.shift(); // the warm-up
    if (all.some(({ busy }) => busy > SATURATED))
      notes.push(`In "${name}" the load generator had no more to give: ${broker} may be faster.`);
  }
  return { name, wanted, turns: Object.fromEntries(turns) };
}

export const COLUMNS = ['', OURS, 'RabbitMQ', 'ActiveMQ', '× RabbitMQ', '× ActiveMQ'];

/** A line of the table: what grows when a broker is better. */
export function rateRow(name, found, figure = 'perSecond') {
  const { [OURS]: ours, RabbitMQ: rabbit, ActiveMQ: active } = series(found, figure);
  return row(`${name}, /s`, ours, rabbit, active, ratio(ours, rabbit), ratio(ours, active));
}

/** A line of the table: what shrinks when a broker is better; the ratios say how much better ours is. */
export function latencyRow(name, found, figure) {
  const { [OURS]: ours, RabbitMQ: rabbit, ActiveMQ: active } = series(found, figure);
  return row(`${name}, µs`, ours, rabbit, active, ratio(rabbit, ours), ratio(active, ours));
}

/** The targets of a case: how many times as much as each of the others; `most` is what nobody could exceed. */
export function rateTargets(found, most = Number.POSITIVE_INFINITY) {
  const rates = series(found, 'perSecond');
  return Object.entries(found.wanted ?? {}).map(([broker, factor]) =>
    target(
      `${found.name}, against ${broker}`,
      factor,
      ratio(rates[OURS], rates[broker]),
      rates[broker] && most / median(rates[broker]),
    ),
  );
}

/** One figure of all rounds, by broker. */
export function series({ turns }, figure) {
  return Object.fromEntries(Object.entries(turns).map(([name, all]) => [name, all.map((each) => each[figure])]));
}

function row(name, ours, rabbit, active, overRabbit, overActive) {
  return [name, shown(ours), shown(rabbit), shown(active), times(overRabbit), times(overActive)];
}
