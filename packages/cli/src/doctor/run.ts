// `stompbox doctor`: one look at a broker from outside, a few connections long, each answer waited for in bounds. It sends
// to queues of its own, one at a time, and empties them.

import { PROFILES } from '@stompbox/client';
import { agree, ProtocolError, parseHeartBeat } from '@stompbox/protocol';
import { type PeerCertificate, TransportError } from '@stompbox/transport';
import { Ask, confirmed, heard, type Site, same, send, subscribe } from '../conformance/ask.ts';
import { type Met, meet, NotLetIn, type Target } from '../conformance/meet.ts';
import { sweep } from '../conformance/sweep.ts';
import { Departure } from '../conformance/verdict.ts';
import { certificateFindings, connectionProblem } from './connection.ts';
import type { Diagnosis, Finding, Topic } from './finding.ts';
import { limitsOf } from './limits.ts';

export interface DoctorOptions extends Target {
  /** How long to stay silent on a connection without heart-beats, to see whether something cuts it. Milliseconds; 0, not at all, unless given. */
  readonly idleMs?: number | undefined;
  /** Hears what is looked at next. */
  readonly progress?: ((topic: Topic) => void) | undefined;
}

const LONGEST_BEAT_MS = 10_000;
const ROUND_TRIPS = 20;

/**
 * Never rejects for what the broker does: that it cannot be reached, or refuses us, is a finding. Rejects with the signal's
 * reason, and with `bad-url`.
 */
export async function runDoctor(options: DoctorOptions): Promise<Diagnosis> {
  const { progress, signal } = options;
  const findings: Finding[] = [];
  let certificate: PeerCertificate | undefined;
  const tls = options.dial?.tls;
  const look = (seen: PeerCertificate): string | Error | undefined => {
    certificate = seen;
    return tls?.check?.(seen);
  };
  progress?.('connection');
  const isSecure = /^(?:stomp\+ssl|stomps|ssl|wss):/i.test(options.url);
  const started = performance.now();
  let met: Met;
  try {
    met = await meet({ ...options, dial: { ...options.dial, ...(isSecure && { tls: { ...tls, check: look } }) } });
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof TransportError && error.code === 'bad-url') throw error;
    if (error instanceof TransportError || error instanceof NotLetIn) {
      if (certificate !== undefined)
        findings.push(...certificateFindings(certificate, tls?.verify === false, new Date()));
      return { url: shownUrl(options.url), findings: [...findings, connectionProblem(error)], left: [] };
    }
    throw error;
  }
  findings.push({
    topic: 'connection',
    level: 'good',
    saw: `${met.shown} answers; four connections took ${Math.round(performance.now() - started)} ms`,
    advice: 'nothing to do',
  });
  if (certificate !== undefined) findings.push(...certificateFindings(certificate, tls?.verify === false, new Date()));
  if (!isSecure && met.passcode !== undefined && !isLocal(options.url)) {
    findings.push({
      topic: 'certificate',
      level: 'warning',
      saw: 'login and passcode go over the network as they are',
      advice: 'use the TLS port of the broker: stomp+ssl:// or wss://',
    });
  }
  findings.push(loginFinding(met), versionFinding(met), dialectFinding(met));

  const used = new Set<string>();
  const site: Site = { ...met, run: Math.random().toString(36).slice(2, 10) };
  const looks: readonly (readonly [Topic, (ask: Ask) => Promise<readonly Finding[]>])[] = [
    ['heart-beats', heartBeats],
    ['receipts', receipts],
    ['ack modes', ackModes],
    ['bodies', bodies],
    ['round trip', roundTrip],
    ['limits', limitsOf],
    ['idle', (ask) => idle(ask, options.idleMs ?? 0)],
  ];
  let left: readonly string[] = [];
  try {
    for (const [topic, see] of looks) {
      signal?.throwIfAborted();
      progress?.(topic);
      const ask = new Ask(site, `doctor-${topic.replace(' ', '-')}`, used);
      try {
        findings.push(...(await see(ask)));
        signal?.throwIfAborted();
      } catch (error) {
        signal?.throwIfAborted();
        if (!(error instanceof Departure) && !(error instanceof TransportError)) throw error;
        findings.push(unseen(topic, error));
      } finally {
        ask.close();
      }
    }
  } finally {
    left = await sweep(met, used);
  }
  return { url: met.shown, ...(met.server !== undefined && { server: met.server }), findings, left };
}

function unseen(topic: Topic, error: Error): Finding {
  return {
    topic,
    level: 'problem',
    saw: error.message,
    advice: 'look into the log of the broker: this user may lack the right to write and read queues',
  };
}

function loginFinding({ login, host }: Met): Finding {
  return {
    topic: 'login',
    level: 'good',
    saw: `${login === undefined ? 'no login was needed' : `${login} gets in`}; host:${host}`,
    advice:
      login === undefined
        ? 'if this broker is reachable for others, ask for a login there'
        : `clients need the same host header${host === '/' ? ': host is / and not the name of the machine' : ''}`,
    data: { host },
  };
}

function versionFinding({ versions }: Met): Finding {
  const best = versions.at(-1);
  const isBest = best === '1.2';
  return {
    topic: 'version',
    level: isBest ? 'good' : 'warning',
    saw: `it speaks STOMP ${versions.join(', ')}`,
    advice: isBest
      ? 'nothing to do: clients agree on 1.2'
      : 'only 1.2 can write CR in headers and has an id for each delivery; look for a newer broker',
    data: { versions },
  };
}

function dialectFinding({ broker, server }: Met): Finding {
  const profile = PROFILES[broker];
  const isGeneric = broker === 'generic';
  return {
    topic: 'dialect',
    level: isGeneric ? 'warning' : 'good',
    saw: `${server === undefined ? 'it does not say who it is' : `server:${server}`}; the profile is ${broker}`,
    advice: isGeneric
      ? 'name the profile (--dialect, or the option profile) if you know what is behind it; else only headers of the specification are sent'
      : `clients find it out by themselves; a nacked message is ${profile.nacked}, queues are ${profile.queues}`,
    data: { profile: broker, nacked: profile.nacked, queues: profile.queues },
  };
}

async function heartBeats(ask: Ask): Promise<readonly Finding[]> {
  const offer = '1000,1000';
  const line = await ask.line();
  line.say(`CONNECT\naccept-version:1.0,1.1,1.2\n${ask.hello}heart-beat:${offer}\n\n\0`);
  const answer = (await heard(line, 'CONNECTED')).get('heart-beat') ?? '0,0';
  let periods: { readonly in: number; readonly out: number };
  try {
    periods = agree(parseHeartBeat(offer), parseHeartBeat(answer));
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return [
      { topic: 'heart-beats', level: 'problem', saw: error.message, advice: 'offer no heart-beats to this broker' },
    ];
  }
  const agreed = `to ${offer} it answers ${answer}: we beat every ${periods.out} ms, it every ${periods.in} ms`;
  const data = { answer, weBeatEveryMs: periods.out, itBeatsEveryMs: periods.in };
  if (periods.in === 0) {
    return [
      {
        topic: 'heart-beats',
        level: 'warning',
        saw: `${agreed} (0 is never)`,
        advice: 'a dead connection is not noticed from this side; switch heart-beats on in the broker',
        data,
      },
    ];
  }
  if (periods.in > LONGEST_BEAT_MS) {
    const advice = 'nothing to do, unless a proxy cuts connections that are silent for less: see --idle';
    return [{ topic: 'heart-beats', level: 'note', saw: `${agreed}; too long to wait for one`, advice, data }];
  }
  const before = line.beats;
  for (let waited = 0; waited < 2 * periods.in + 500 && line.beats === before && !line.closed; waited += 500) {
    await line.next(500);
    line.say('\n');
  }
  const comes = line.beats > before;
  return [
    {
      topic: 'heart-beats',
      level: comes ? 'good' : 'problem',
      saw: `${agreed}; ${comes ? 'and they come' : 'but none came in two periods'}`,
      advice: comes
        ? 'nothing to do'
        : 'a client would give this connection up; offer heart-beat 0 for the broker, or look for what holds its bytes back',
      data: { ...data, comes },
    },
  ];
}

async function receipts(ask: Ask): Promise<readonly Finding[]> {
  const line = await ask.session();
  const queue = ask.queue();
  const silent: string[] = [];
  const frames: readonly (readonly [string, string])[] = [
    ['SEND', `SEND\n${ask.to(queue)}receipt:SEND\n\nx\0`],
    ['SUBSCRIBE', `SUBSCRIBE\nid:1\n${ask.to(queue)}receipt:SUBSCRIBE\n\n\0`],
    ['UNSUBSCRIBE', 'UNSUBSCRIBE\nid:1\nreceipt:UNSUBSCRIBE\n\n\0'],
    ['BEGIN', 'BEGIN\ntransaction:t\nreceipt:BEGIN\n\n\0'],
    ['COMMIT', 'COMMIT\ntransaction:t\nreceipt:COMMIT\n\n\0'],
    ['DISCONNECT', 'DISCONNECT\nreceipt:DISCONNECT\n\n\0'],
  ];
  for (const [command, bytes] of frames) {
    try {
      await confirmed(line, command, bytes);
    } catch (error) {
      const isSilence = error instanceof Departure && error.way === 'no-answer';
      if (!isSilence && !(command === 'DISCONNECT' && line.closed)) throw error;
      silent.push(command);
    }
  }
  if (silent.length === 0) {
    return [
      {
        topic: 'receipts',
        level: 'good',
        saw: 'every frame gets its RECEIPT',
        advice: 'ask for them where it matters',
      },
    ];
  }
  const onlyTheLast = silent.join() === 'DISCONNECT';
  return [
    {
      topic: 'receipts',
      level: onlyTheLast ? 'note' : 'warning',
      saw: `no RECEIPT comes for ${silent.join(', ')}`,
      advice: onlyTheLast
        ? 'clients take the end of the connection for the answer'
        : 'do not wait for receipts of these frames, or only with a deadline',
      data: { silent },
    },
  ];
}

async function ackModes(ask: Ask): Promise<readonly Finding[]> {
  const kept: string[] = [];
  for (const mode of ['client', 'client-individual']) {
    const queue = ask.queue();
    const line = await ask.session();
    await send(ask, line, queue, 'kept');
    await subscribe(ask, line, queue, `ack:${mode}\n`);
    const { headers } = await heard(line, 'MESSAGE');
    if (!headers.get('ack')) continue;
    line.drop();
    const again = await ask.session();
    await subscribe(ask, again, queue);
    if ((await again.next()).is === 'frame') kept.push(mode);
  }
  const isGood = kept.length === 2;
  return [
    {
      topic: 'ack modes',
      level: isGood ? 'good' : 'warning',
      saw: isGood
        ? 'a message that was not acked comes again, in modes client and client-individual'
        : `a message that was not acked comes again ${kept.length === 0 ? 'in no mode' : `only in mode ${kept.join()}`}`,
      advice: isGood
        ? 'use client-individual, unless acking many at once is wanted'
        : 'messages can be lost with a consumer that fails; do not count on ACK here',
      data: { kept },
    },
  ];
}

async function bodies(ask: Ask): Promise<readonly Finding[]> {
  const queue = ask.queue();
  const line = await ask.session();
  await subscribe(ask, line, queue);
  line.say(`SEND\n${ask.to(queue)}\ntext\0`);
  const text = await heard(line, 'MESSAGE');
  line.say(`SEND\n${ask.to(queue)}content-length:4\n\n`, new Uint8Array([0xff, 0, 0xfe, 1]), '\0');
  const octets = await heard(line, 'MESSAGE');
  same('the text', text.text(), 'text');
  const isWhole = Buffer.from(octets.body).toString('hex') === 'ff00fe01';
  const isTyped = !text.headers.has('content-length');
  return [
    {
      topic: 'bodies',
      level: isWhole ? (isTyped ? 'note' : 'good') : 'problem',
      saw: isWhole
        ? `octets arrive as they were sent${isTyped ? '; a text without content-length comes back without it' : ''}`
        : 'octets are changed on the way',
      advice: isWhole
        ? isTyped
          ? 'content-length tells JMS consumers bytes from text: leave it out for text (the option as: "text")'
          : 'nothing to do: text and bytes are the same to it'
        : 'send text only, or encode octets (base64)',
      data: { octets: isWhole, contentLengthMeansBytes: isTyped },
    },
  ];
}

async function roundTrip(ask: Ask): Promise<readonly Finding[]> {
  const queue = ask.queue();
  const line = await ask.session();
  await subscribe(ask, line, queue);
  const times: number[] = [];
  for (let n = 0; n < ROUND_TRIPS; n++) {
    const start = performance.now();
    line.say(`SEND\n${ask.to(queue)}\n${n}\0`);
    await heard(line, 'MESSAGE');
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  const median = times[ROUND_TRIPS >> 1] ?? 0;
  const worst = times.at(-1) ?? 0;
  const isSlow = median > 100;
  return [
    {
      topic: 'round trip',
      level: isSlow ? 'warning' : 'good',
      saw: `a message is back in ${median.toFixed(1)} ms, the slowest of ${ROUND_TRIPS} in ${worst.toFixed(1)} ms`,
      advice: isSlow ? 'send without waiting for each receipt, and with prefetch; or move closer' : 'nothing to do',
      data: { medianMs: round(median), slowestMs: round(worst) },
    },
  ];
}

async function idle(ask: Ask, idleMs: number): Promise<readonly Finding[]> {
  if (idleMs === 0) return [];
  const line = await ask.session();
  const start = performance.now();
  const next = await line.next(idleMs);
  const ms = Math.round(performance.now() - start);
  if (next.is === 'silence') {
    const advice = 'nothing to do up to there; heart-beats also find out when it is cut later';
    return [
      { topic: 'idle', level: 'good', saw: `a silent connection lives for ${idleMs / 1_000} s`, advice, data: { ms } },
    ];
  }
  return [
    {
      topic: 'idle',
      level: 'warning',
      saw: `a silent connection is cut after ${(ms / 1_000).toFixed(1)} s`,
      advice: `offer heart-beats of less than that: heart-beat:${Math.floor(ms / 2)},${Math.floor(ms / 2)}`,
      data: { ms },
    },
  ];
}

function round(ms: number): number {
  return Math.round(ms * 100) / 100;
}

function isLocal(url: string): boolean {
  return /\/\/(?:[^/@]*@)?(?:localhost|127\.|\[::1\])/i.test(url) || url.startsWith('stomp+unix:');
}

function shownUrl(url: string): string {
  return url.replace(/\/\/[^/?#]*@/, '//').replace(/\?.*$/s, '');
}
