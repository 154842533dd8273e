// What a check has in hand: connections of its own, destinations nobody else uses, and the few moves that most checks are
// made of. Everything is in bytes, so that a check shows on the page what it puts on the wire.

import type { ProfileName } from '@stompbox/client';
import type { Frame, ServerCommand, Version } from '@stompbox/protocol';
import { Line, type LineOptions } from './line.ts';
import { Departure, describe, instead, NotAsked } from './verdict.ts';

/** The broker under test, and what is known of it. */
export interface Site {
  readonly url: string;
  readonly login?: string | undefined;
  readonly passcode?: string | undefined;
  /** The `host` header of CONNECT. */
  readonly host: string;
  readonly line: LineOptions;
  readonly broker: ProfileName;
  /** In the names of all destinations of this run. */
  readonly run: string;
  /** Versions the broker has agreed to. */
  readonly versions: readonly Version[];
}

export type Bytes = string | Uint8Array;

/** How long a broker may take to close after its ERROR before we ask it whether it is still there. */
const CLOSING_MS = 300;

export class Ask {
  readonly site: Site;
  readonly #name: string;
  readonly #endings: (() => void)[] = [];
  #isOver = false;
  readonly #used: Set<string>;
  #queues = 0;

  constructor(site: Site, name: string, used: Set<string>) {
    this.site = site;
    this.#name = name;
    this.#used = used;
  }

  /** A queue of this check's own, another one each time unless it is named. */
  queue(name = `q${++this.#queues}`): string {
    const queue = `/queue/stompbox-conformance.${this.site.run}.${this.#name}.${name}`;
    this.#used.add(queue);
    return queue;
  }

  topic(name = 't'): string {
    return `/topic/stompbox-conformance.${this.site.run}.${this.#name}.${name}`;
  }

  /** The header lines that name a destination. RabbitMQ is asked to remove the queue a minute after its last use. */
  to(destination: string): string {
    return `destination:${destination}\n${toRemove(this.site.broker, destination)}`;
  }

  /** Header lines of CONNECT: who we are. */
  get credentials(): string {
    const { login, passcode } = this.site;
    return `${login === undefined ? '' : `login:${login}\n`}${passcode === undefined ? '' : `passcode:${passcode}\n`}`;
  }

  /** Header lines of CONNECT that any broker wants. */
  get hello(): string {
    return `host:${this.site.host}\n${this.credentials}`;
  }

  /** A connection that has said nothing yet. */
  async line(): Promise<Line> {
    const line = await Line.open(this.site.url, this.site.line);
    this.also(() => line.drop());
    return line;
  }

  /** A connection past CONNECTED, in exactly this version. */
  async session(version: Version = '1.2', headers = ''): Promise<Line> {
    if (!this.site.versions.includes(version)) throw new NotAsked(`the broker does not speak STOMP ${version}`);
    const line = await this.line();
    line.say(`CONNECT\n${version === '1.0' ? '' : `accept-version:${version}\n`}${this.hello}${headers}\n\0`);
    await heard(line, 'CONNECTED');
    return line;
  }

  /** Something else to end with the check. */
  also(end: () => void): void {
    if (this.#isOver) end();
    else this.#endings.push(end);
  }

  /** Ends all connections of the check. */
  close(): void {
    this.#isOver = true;
    for (const end of this.#endings) end();
  }
}

export function toRemove(broker: ProfileName, destination: string): string {
  return broker === 'rabbitmq' && destination.startsWith('/queue/') ? 'x-expires:60000\n' : '';
}

/** The next frame, which must be this command. */
export async function heard<C extends ServerCommand>(line: Line, command: C, withinMs?: number): Promise<Frame<C>> {
  const next = await line.next(withinMs);
  if (next.is === 'frame' && next.frame.is(command)) return next.frame;
  throw instead(command, next);
}

/** Says a frame whose head has `receipt:id` in it, and waits for its RECEIPT; MESSAGEs on the way are dropped. */
export async function confirmed(line: Line, id: string, ...bytes: readonly Bytes[]): Promise<Frame<'RECEIPT'>> {
  line.say(...bytes);
  for (;;) {
    const next = await line.next();
    if (next.is !== 'frame' || !(next.frame.is('MESSAGE') || next.frame.is('RECEIPT'))) throw instead('RECEIPT', next);
    if (next.frame.is('RECEIPT') && next.frame.get('receipt-id') === id) return next.frame;
  }
}

/** SUBSCRIBE with `id`, confirmed. */
export async function subscribe(ask: Ask, line: Line, destination: string, more = '', id = '1'): Promise<void> {
  await confirmed(line, `sub-${id}`, `SUBSCRIBE\nid:${id}\n${ask.to(destination)}receipt:sub-${id}\n${more}\n\0`);
}

/** SEND of a text, confirmed. */
export async function send(ask: Ask, line: Line, destination: string, body: string, more = ''): Promise<void> {
  const id = `send-${body}`;
  await confirmed(line, id, `SEND\n${ask.to(destination)}receipt:${id}\n${more}\n${body}\0`);
}

/** The connection still does its work: a SEND to a queue of its own is confirmed. */
export async function works(ask: Ask, line: Line): Promise<void> {
  await send(ask, line, ask.queue('works'), 'works');
}

/** Nothing but silence comes for this long. */
export async function quiet(line: Line, due: string, withinMs = 300): Promise<void> {
  const next = await line.next(withinMs);
  if (next.is !== 'silence') throw new Departure('otherwise', `${due}: ${describe(next)}`);
}

/**
 * Says `bytes`, which must be answered with one ERROR and the end of the connection (section 8, I-1 and E/C). Returns the
 * ERROR. A broker that does not react is asked whether it still works, so that "accepted" is known and not guessed.
 */
export async function refusal(ask: Ask, line: Line, ...bytes: readonly Bytes[]): Promise<Frame<'ERROR'>> {
  line.say(...bytes);
  const first = await answer(line, CLOSING_MS);
  if (first.is === 'silence') return await refusalAfterProbe(ask, line);
  return await endOf(ask, line, first);
}

async function refusalAfterProbe(ask: Ask, line: Line): Promise<Frame<'ERROR'>> {
  probe(ask, line);
  const next = await answer(line);
  if (next.is === 'silence')
    throw new Departure('no-answer', 'no ERROR, no end; and what followed was not answered either');
  if (next.is === 'frame' && next.frame.is('RECEIPT'))
    throw new Departure('accepted', 'no ERROR; the connection goes on');
  return await endOf(ask, line, next);
}

async function endOf(ask: Ask, line: Line, first: Awaited<ReturnType<Line['next']>>): Promise<Frame<'ERROR'>> {
  if (first.is === 'closed') throw new Departure('mute-close', 'the connection was closed without ERROR');
  if (first.is !== 'frame' || !first.frame.is('ERROR')) {
    const way = first.is === 'unreadable' ? 'otherwise' : 'accepted';
    throw new Departure(way, `instead of ERROR: ${describe(first)}`);
  }
  const error = first.frame;
  const next = await answer(line, CLOSING_MS);
  if (next.is === 'closed') return error;
  if (next.is === 'frame' && next.frame.is('ERROR')) throw new Departure('several-errors', 'more than one ERROR');
  if (next.is === 'silence') {
    probe(ask, line);
    const later = await answer(line);
    if (later.is === 'closed') return error;
    if (later.is === 'frame') throw new Departure('error-open', 'ERROR, but the connection goes on');
  }
  throw new Departure('error-open', 'ERROR, but the connection is not closed');
}

/** What comes next besides MESSAGE. */
async function answer(line: Line, withinMs?: number): Promise<Awaited<ReturnType<Line['next']>>> {
  for (;;) {
    const next = await line.next(withinMs);
    if (next.is !== 'frame' || !next.frame.is('MESSAGE')) return next;
  }
}

function probe(ask: Ask, line: Line): void {
  if (!line.closed) line.say(`SEND\n${ask.to(ask.queue('probe'))}receipt:probe\n\nprobe\0`);
}

export interface Trip {
  readonly version?: Version;
  /** The consumer's version; the producer's unless given. */
  readonly reader?: Version;
  /** Header lines of the SEND besides its destination, each with its LF. */
  readonly head?: string;
  readonly body?: Bytes;
  /** Header lines of the SUBSCRIBE. */
  readonly mode?: string;
}

/** SEND, and the MESSAGE that came of it. */
export async function trip(ask: Ask, { version = '1.2', reader = version, ...rest }: Trip): Promise<Frame<'MESSAGE'>> {
  const queue = ask.queue();
  const consumer = await ask.session(reader);
  const producer = reader === version ? consumer : await ask.session(version);
  await subscribe(ask, consumer, queue, rest.mode);
  producer.say(`SEND\n${ask.to(queue)}${rest.head ?? ''}\n`, rest.body ?? 'x', '\0');
  const next = await consumer.next();
  if (next.is === 'frame' && next.frame.is('MESSAGE')) return next.frame;
  if (producer !== consumer) {
    const said = await producer.next(1);
    if (said.is !== 'silence') throw instead('MESSAGE', said);
  }
  throw instead('MESSAGE', next);
}

/** A header of a frame must be exactly this. */
export function same(what: string, seen: string | undefined, due: string | undefined): void {
  if (seen !== due) throw new Departure('otherwise', `${what} is ${quoted(seen)}, not ${quoted(due)}`);
}

function quoted(text: string | undefined): string {
  if (text === undefined) return 'absent';
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}

/** A body octet by octet, as text of one character each. */
export function octetsOf(frame: Frame): string {
  return Buffer.from(frame.body).toString('latin1');
}

/** What a queue holds, asked on a connection of its own; ends when nothing more comes. */
export async function bodiesIn(ask: Ask, queue: string, atLeast = 1): Promise<string[]> {
  const line = await ask.session();
  await subscribe(ask, line, queue);
  const bodies: string[] = [];
  for (;;) {
    const next = await line.next(bodies.length < atLeast ? undefined : 300);
    if (next.is === 'silence') return bodies;
    if (next.is !== 'frame' || !next.frame.is('MESSAGE')) throw instead('MESSAGE', next);
    bodies.push(next.frame.text());
  }
}
