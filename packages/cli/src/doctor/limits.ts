// How large a body and a header line may be: doubled until the broker refuses, then halved between, in a few steps. Bounded
// on both ends: what passes the largest size is said to pass, and not looked into further.

import type { Ask } from '../conformance/ask.ts';
import { Departure } from '../conformance/verdict.ts';
import type { Finding } from './finding.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

interface Probe {
  readonly what: string;
  readonly smallest: number;
  readonly largest: number;
  /** The frame that is as large as this. */
  readonly frame: (ask: Ask, size: number) => string;
  readonly advice: string;
}

const PROBES: readonly Probe[] = [
  {
    what: 'a body',
    smallest: 64 * KIB,
    largest: 8 * MIB,
    frame: (ask, size) => `SEND\n${ask.to(ask.queue())}receipt:r\ncontent-length:${size}\n\n${'x'.repeat(size)}\0`,
    advice:
      'send larger ones in parts, or put them elsewhere and send where they are; or raise the limit in the broker',
  },
  {
    what: 'a header line',
    smallest: KIB,
    largest: 64 * KIB,
    frame: (ask, size) => `SEND\n${ask.to(ask.queue())}receipt:r\nx-probe:${'x'.repeat(size - 8)}\n\nx\0`,
    advice: 'put more into the body',
  },
  {
    what: 'header lines',
    smallest: 32,
    largest: 512,
    frame: (ask, size) => {
      const lines = Array.from({ length: size - 2 }, (_, n) => `x-${n}:1\n`).join('');
      return `SEND\n${ask.to(ask.queue())}receipt:r\n${lines}\nx\0`;
    },
    advice: 'put more into the body',
  },
];

/** How close the answer is: the limit is known to a part of 2 to the power of this. */
const STEPS = 4;

export async function limitsOf(ask: Ask): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const probe of PROBES) findings.push(await look(ask, probe));
  return findings;
}

async function look(ask: Ask, { what, smallest, largest, frame, advice }: Probe): Promise<Finding> {
  let passes = 0;
  let fails: number | undefined;
  for (let size = smallest; size <= largest && fails === undefined; size *= 2) {
    if (await takes(ask, frame(ask, size))) passes = size;
    else fails = size;
  }
  if (fails === undefined) {
    return {
      topic: 'limits',
      level: 'good',
      saw: `${sized(what, largest)} is taken; larger ones were not tried`,
      advice: 'nothing to do',
      data: { what, atLeast: largest },
    };
  }
  for (let step = 0; step < STEPS && passes > 0 && fails - passes > 1; step++) {
    const middle = Math.floor((passes + fails) / 2);
    if (await takes(ask, frame(ask, middle))) passes = middle;
    else fails = middle;
  }
  return {
    topic: 'limits',
    level: passes === 0 ? 'warning' : 'note',
    saw:
      passes === 0
        ? `${sized(what, fails)} is refused`
        : `${sized(what, passes)} is taken, ${sized(what, fails)} is not`,
    advice,
    data: { what, taken: passes, refused: fails },
  };
}

/** Asked on a connection of its own, since a refusal ends it. */
async function takes(ask: Ask, frame: string): Promise<boolean> {
  ask.site.line.signal?.throwIfAborted();
  const line = await ask.session();
  line.say(frame);
  const next = await line.next(5 * ask.site.line.patienceMs);
  line.drop();
  if (next.is === 'silence') throw new Departure('no-answer', 'a large frame is neither confirmed nor refused');
  return next.is === 'frame' && next.frame.is('RECEIPT');
}

function sized(what: string, size: number): string {
  if (what === 'header lines') return `a frame of ${size} ${what}`;
  return `${what} of ${size >= MIB ? `${+(size / MIB).toFixed(2)} MiB` : `${+(size / KIB).toFixed(2)} KiB`}`;
}
