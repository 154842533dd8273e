// One run, as a process of its own, which must end by itself: `program <settings as JSON>`.
//
// Lines on stdout: `{"restart":true}` asks whoever started us to restart the broker, and to answer on stdin with its URL;
// `{"played":[…],"figures":{…},"problems":[…]}` is the last one.

import { argv, stdin, stdout } from 'node:process';
import { createInterface } from 'node:readline';
import { type ConnectionOptions, connect } from '@stompbox/client';
import { FaultProxy, faultPlan, playFaults, random } from 'testkit/fault-proxy';
import { consume, produce } from './actors.ts';
import { Books } from './books.ts';
import type { Report, Settings } from './run.ts';
import { type MakeStayer, managed, naive, resending, type Stayer } from './stayer.ts';

const STAYERS: Readonly<Record<Settings['stayer'], MakeStayer>> = { managed, naive, resending };
const CATCH_UP_MS = 30_000;
const SETTLE_MS = 15_000;
const EMPTY_MS = 1_000; // a queue from which nothing comes for so long is empty

const settings: Settings = JSON.parse(argv[2] ?? '{}');
const { seed, login, passcode } = settings;
const books = new Books(settings.rules);
const next = random(seed);
const dice = (below: number): number => Math.floor(next() * below);
let { url } = settings;
const queues = Array.from({ length: 3 }, (_, i) => `/queue/faults-${seed}-${i}`);
const identity: ConnectionOptions = {
  login,
  passcode,
  ...(settings.host === undefined ? {} : { host: settings.host }),
  heartBeat: { send: 500, expect: 500 },
  receiptTimeoutMs: 5_000,
  onError: (error) => books.problem(`onError heard ${error}`),
};

const lines = createInterface({ input: stdin })[Symbol.asyncIterator]();
const proxy = await FaultProxy.open(url);
const stayers: Stayer[] = [];
const lastAcks: (() => Promise<void>)[] = [];
const producing: Promise<void>[] = [];
const stop = new AbortController();
for (let i = 0; i < settings.actors; i++) {
  const consumer = `consumer-${i}`;
  const { observer, line } = books.watch(consumer);
  lastAcks.push(consume(enter(consumer, { observer }), line));
  producing.push(produce(enter(`producer-${i}`, { observer: books.watch(`producer-${i}`).observer }), stop.signal));
}

let played = 0;
const perPart = Math.ceil(settings.faults / (settings.restarts + 1));
const plan = faultPlan({ seed, count: settings.faults });
for (let part = 0; part <= settings.restarts; part++) {
  if (part > 0) await restart();
  await playFaults(proxy, plan.slice(part * perPart, (part + 1) * perPart), () => played++);
}

proxy.heal();
stop.abort();
await settles('a send', Promise.all(producing));
for (const deadline = Date.now() + CATCH_UP_MS; books.missing > 0 && Date.now() < deadline; ) await pause(20);
await settles('an ACK', Promise.all(lastAcks.map((last) => last())));
await settles('close()', Promise.all(stayers.map((stayer) => stayer.close())));
await proxy.close();
await drain();

const report: Report = { played, figures: books.close(), problems: books.problems };
await new Promise<void>((resolve) => stdout.write(`${JSON.stringify(report)}\n`, () => resolve()));
stdin.unref?.();
stdin.destroy();

function enter(name: string, options: ConnectionOptions) {
  const stayer = STAYERS[settings.stayer](proxy.url, { ...identity, ...options });
  stayers.push(stayer);
  return { name, stayer, books, queues, dice };
}

async function restart(): Promise<void> {
  stdout.write(`${JSON.stringify({ restart: true })}\n`);
  const { value } = await lines.next();
  url = JSON.parse(value ?? '{}').url;
  books.life++;
  proxy.forwardTo(url);
}

/** What nobody took: unknown sends that had arrived, and what a dead consumer gave back late. */
async function drain(): Promise<void> {
  const connection = await connect(url, identity);
  const line = books.line();
  for (const queue of queues) {
    const subscription = connection.subscribe(queue, { ack: 'client-individual' });
    for (;;) {
      const message = await subscription.next({ timeoutMs: EMPTY_MS }).catch(() => undefined);
      if (message === undefined) break;
      const sent = books.delivered(message, line);
      if (sent !== undefined) await books.acks(sent, line, message.ack({ confirm: true }));
    }
  }
  await connection.disconnect();
}

async function settles(what: string, all: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(() => {
      books.problem(`${what} hangs`);
      resolve();
    }, SETTLE_MS);
  });
  await Promise.race([all, late]);
  clearTimeout(timer);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
