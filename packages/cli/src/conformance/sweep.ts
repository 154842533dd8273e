// What the checks left in their queues is taken out again.

import { toRemove } from './ask.ts';
import { Line } from './line.ts';
import type { Met } from './meet.ts';

type Outcome = 'emptied' | 'again' | 'failed';

const AT_A_TIME = 50;
const TRIES = 8;
/** A queue of this length is none of ours. */
const MESSAGES_AT_MOST = 100_000;

/** Empties the queues; answers those that could not be. RabbitMQ removes them by itself a minute later. */
export async function sweep(met: Met, queues: ReadonlySet<string>): Promise<string[]> {
  const all = [...queues];
  const left: string[] = [];
  for (let at = 0; at < all.length; at += AT_A_TIME) left.push(...(await emptyAll(met, all.slice(at, at + AT_A_TIME))));
  return left;
}

/** Answers those that resist: a queue that does is found by halving. */
async function emptyAll(met: Met, queues: readonly string[]): Promise<readonly string[]> {
  // What cannot be read ends a connection, and is taken out all the same.
  let outcome: Outcome = 'again';
  for (let tries = 0; tries < TRIES && outcome === 'again'; tries++) outcome = await empty(met, queues);
  if (outcome === 'emptied') return [];
  if (outcome === 'failed' || queues.length === 1) return queues;
  const middle = queues.length >> 1;
  return [...(await emptyAll(met, queues.slice(0, middle))), ...(await emptyAll(met, queues.slice(middle)))];
}

async function empty(met: Met, queues: readonly string[]): Promise<Outcome> {
  const { login, passcode, host, broker } = met;
  const { signal: _calledOff, ...options } = met.line; // who calls a run off wants it cleaned up all the same
  const line = await Line.open(met.url, options).catch(() => undefined);
  if (line === undefined) return 'failed';
  const who = `${login === undefined ? '' : `login:${login}\n`}${passcode === undefined ? '' : `passcode:${passcode}\n`}`;
  try {
    line.say(`CONNECT\naccept-version:1.2\nhost:${host}\n${who}\n\0`);
    const hello = await line.next();
    if (hello.is !== 'frame' || !hello.frame.is('CONNECTED')) return 'failed';
    for (const [id, queue] of queues.entries()) {
      line.say(`SUBSCRIBE\nid:${id}\ndestination:${queue}\n${toRemove(broker, queue)}\n\0`);
    }
    for (let messages = 0; messages < MESSAGES_AT_MOST; messages++) {
      const next = await line.next(500);
      if (next.is === 'silence') return 'emptied';
      if (next.is !== 'frame' || next.frame.is('ERROR')) return 'again';
    }
    return 'failed';
  } finally {
    line.drop();
  }
}
