// Section 2.2: heart-beats. The only checks that must wait as long as the broker says.

import { agree, type HeartBeatPeriods, parseHeartBeat } from '@stompbox/protocol';
import { type Ask, heard, refusal, same, works } from '../ask.ts';
import { type Check, FROM_11 } from '../check.ts';
import type { Line } from '../line.ts';
import { Departure, NotAsked } from '../verdict.ts';

/** Longer periods than this are not waited for. */
const LONGEST_MS = 3_000;

async function offering(ask: Ask, offer: string, version = '1.2'): Promise<{ line: Line; periods: HeartBeatPeriods }> {
  const line = await ask.line();
  line.say(`CONNECT\naccept-version:${version}\n${ask.hello}heart-beat:${offer}\n\n\0`);
  const answer = (await heard(line, 'CONNECTED')).get('heart-beat') ?? '0,0';
  if (!/^\d{1,15},\d{1,15}$/.test(answer)) throw new Departure('otherwise', `CONNECTED says heart-beat:${answer}`);
  return { line, periods: agree(parseHeartBeat(offer), parseHeartBeat(answer)) };
}

/** The period, where it is one we can wait for. */
function waitable(ms: number): number {
  if (ms === 0) throw new NotAsked('the broker agreed to no heart-beats in this direction');
  if (ms > LONGEST_MS)
    throw new NotAsked(`the broker wants ${ms} ms between heart-beats; that is too long to wait for`);
  return ms;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export const HEART_BEATS: readonly Check[] = [
  {
    ids: ['H-01'],
    versions: FROM_11,
    async run(ask, version) {
      const line = await ask.line();
      line.say(`CONNECT\naccept-version:${version}\n${ask.hello}\n\0`);
      const answer = (await heard(line, 'CONNECTED')).get('heart-beat') ?? '0,0';
      if (!/^\d{1,15},\d{1,15}$/.test(answer)) throw new Departure('otherwise', `CONNECTED says heart-beat:${answer}`);
    },
  },
  {
    ids: ['H-02'],
    versions: FROM_11,
    async run(ask, version) {
      const { periods } = await offering(ask, '0,0', version);
      same('what was agreed on for 0,0', `${periods.out},${periods.in}`, '0,0');
      const wish = (await offering(ask, '0,5000', version)).periods;
      same('what was agreed on for us to send, for 0,5000', String(wish.out), '0');
    },
  },
  {
    ids: ['H-03', 'W-08'],
    versions: ['1.2'],
    async run(ask) {
      const { line, periods } = await offering(ask, '0,1000');
      const period = waitable(periods.in);
      const before = line.beats;
      await pause(2 * period + 500);
      if (line.beats - before < 1) throw new Departure('no-answer', `no EOL came in two periods of ${period} ms`);
    },
  },
  {
    ids: ['H-04'],
    async run(ask) {
      const { line, periods } = await offering(ask, '1000,0');
      const period = waitable(periods.out);
      const slow = Buffer.from(`SEND\n${ask.to(ask.queue('slow'))}receipt:slow\n\n${'x'.repeat(10)}\0`);
      const drip = slow.subarray(-10);
      line.say(slow.subarray(0, -10));
      for (const octet of drip) {
        await pause(period / 2);
        line.say(new Uint8Array([octet]));
      }
      await heard(line, 'RECEIPT');
    },
  },
  {
    ids: ['H-05', 'H-12'],
    async run(ask) {
      const { line, periods } = await offering(ask, '1000,0');
      const period = waitable(periods.out);
      const first = await line.next(4 * period + 1000);
      if (first.is === 'silence') throw new Departure('accepted', 'the silent client was not given up in four periods');
      if (first.is === 'closed') return;
      const last = await line.next();
      if (last.is !== 'closed') throw new Departure('error-open', 'ERROR, but the connection is not closed');
    },
  },
  {
    ids: ['H-08'],
    versions: FROM_11,
    async run(ask, version) {
      const line = await ask.line();
      line.say(`CONNECT\naccept-version:${version}\n${ask.hello}heart-beat:99999999999,99999999999\n\n\0`);
      const next = await line.next();
      if (next.is === 'frame' && next.frame.is('ERROR')) return 'refused with ERROR';
      if (next.is === 'closed') throw new Departure('mute-close', 'the connection was closed without ERROR');
      if (next.is === 'silence') throw new Departure('no-answer', 'CONNECTED did not come');
      await works(ask, line);
      return 'taken';
    },
  },
  {
    ids: ['H-09', 'M-49'],
    async run(ask) {
      for (const offer of ['a,b', '1000', '1,2,3', '-1,0', '1.5,1', '']) {
        const line = await ask.line();
        try {
          await refusal(ask, line, `CONNECT\naccept-version:1.2\n${ask.hello}heart-beat:${offer}\n\n\0`);
        } catch (error) {
          if (!(error instanceof Departure)) throw error;
          throw new Departure(error.way, `heart-beat:${offer}: ${error.message}`);
        }
      }
    },
  },
  {
    ids: ['H-10'],
    versions: ['1.0'],
    async run(ask) {
      const line = await ask.line();
      line.say(`CONNECT\n${ask.hello}heart-beat:5000,5000\n\n\0`);
      same('heart-beat', (await heard(line, 'CONNECTED')).get('heart-beat'), undefined);
    },
  },
  {
    ids: ['M-50'],
    versions: FROM_11,
    async run(ask, version) {
      const { line, periods } = await offering(ask, '1,1', version);
      if (periods.in > 0 && periods.in < 10) {
        throw new Departure('accepted', `the broker promises a beat every ${periods.in} ms`);
      }
      await works(ask, line);
    },
  },
];
