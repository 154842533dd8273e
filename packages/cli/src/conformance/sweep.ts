// What the checks left in their queues is taken out again.

import type { Met } from './meet.ts';
import { toRemove } from './ask.ts';
import { Line } from './line.ts';

const AT_A_TIME = 50;
/** A queue of this length is none of ours. */
const MESSAGES_AT_MOST = 100_000;

/** Empties the queues; answers those that could not be asked. RabbitMQ removes them by itself a minute later. */
export async function sweep(met: Met, queues: ReadonlySet<string>): Promise<string[]> {
  const all = [...queues];
  const left: string[] = [];
  for (let at = 0; at < all.length; at += AT_A_TIME) {
    const some = all.slice(at, at + AT_A_TIME);
    if (!(await emptied(met, some))) left.push(...some);
  }
  return left;
}

async function emptied(met: Met, queues: readonly string[]): Promise<boolean> {
  const line = await Line.open(met.url, met.line).catch(() => undefined);
  if (line === undefined) return false;
  const { login, passcode, host, broker } = met;
  const who = `${login === undefined ? '' : `login:${login}\n`}${passcode === undefined ? '' : `passcode:${passcode}\n`}`;
  try {
    line.say(`CONNECT\naccept-version:1.2\nhost:${host}\n${who}\n\0`);
    const hello = await line.next();
    if (hello.is !== 'frame' || !hello.frame.is('CONNECTED')) return false;
    for (const [id, queue] of queues.entries()) {
      line.say(`SUBSCRIBE\nid:${id}\ndestination:${queue}\n${toRemove(broker, queue)}\n\0`);
    }
    for (let messages = 0; messages < MESSAGES_AT_MOST; messages++) {
      const next = await line.next(500);
      if (next.is === 'silence') return true;
      if (next.is !== 'frame' || next.frame.is('ERROR')) return false;
    }
    return false;
  } finally {
    line.drop();
  }
}
