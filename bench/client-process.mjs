// One client as a process of its own: does a turn when its parent says so, and answers what it measured.
//
//   { work: 'publish', destination, size, ms }              fire and forget, then one RECEIPT for all that was before it
//   { work: 'confirm', destination, size, ms, window }      so many RECEIPTs outstanding at a time
//   { work: 'consume', destination, size, ack, count }      what lies in the queue already
//   { work: 'request', destination, replies, size, ms }     one after the other, to an echo

import { CONTESTANTS } from './client-contestants.mjs';
import { median } from './harness.mjs';

const [name, url] = process.argv.slice(2);
const client = await CONTESTANTS[name].open(url);
const WORK = { publish, confirm, consume, request };

process.on('disconnect', () => process.exit());
process.on('message', async (turn) => {
  process.send(await WORK[turn.work](turn));
});
process.send('ready');

async function publish({ destination, size, ms }) {
  const body = 'x'.repeat(size);
  const from = start();
  let sent = 0;
  for (; sent % 64 !== 0 || performance.now() - from.time < ms; sent++) {
    const breath = client.publish(destination, body);
    if (breath !== undefined) await breath;
    // A client that never waits would never let its socket write.
    if (sent % 64 === 63) await new Promise(setImmediate);
  }
  await client.confirmed(destination, body);
  return rate(sent + 1, from);
}

async function confirm({ destination, size, ms, window }) {
  const body = 'x'.repeat(size);
  const from = start();
  let sent = 0;
  const one = async () => {
    while (performance.now() - from.time < ms) {
      sent++;
      await client.confirmed(destination, body);
    }
  };
  await Promise.all(Array.from({ length: window }, one));
  return rate(sent, from);
}

async function consume({ destination, size, ack, count }) {
  const from = start();
  let seen = 0;
  let stop;
  await new Promise((resolve, reject) => {
    const on = (text) => {
      if (text.length !== size) reject(new Error(`${text.length} characters came instead of ${size}`));
      if (++seen === count) resolve();
    };
    stop = client.listen(destination, ack, on);
  });
  await client.confirmed('/topic/nobody', 'behind the last ACK');
  const found = rate(count, from);
  await (await stop)();
  return found;
}

async function request({ destination, replies, size, ms }) {
  const body = 'x'.repeat(size);
  let answered = () => {};
  const stop = await client.listen(replies, 'auto', () => answered());
  const taken = [];
  const from = performance.now();
  while (performance.now() - from < ms) {
    const asked = performance.now();
    const answer = new Promise((resolve) => {
      answered = resolve;
    });
    void client.publish(destination, body);
    await answer;
    taken.push(performance.now() - asked);
  }
  await stop();
  return { microseconds: median(taken) * 1000 };
}

function start() {
  return { time: performance.now(), cpu: process.cpuUsage() };
}

function rate(count, { time, cpu }) {
  const { user, system } = process.cpuUsage(cpu);
  return { perSecond: (count / (performance.now() - time)) * 1e3, perCpuSecond: (count / (user + system)) * 1e6 };
}
