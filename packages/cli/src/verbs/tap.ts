// `stompbox tap`: a local port that leads to a broker, and one line for each frame that passes.

import { type Channel, formatEndpoint, parseEndpoint, TransportError } from '@stompbox/transport';
import { type DialOptions, dial } from '@stompbox/transport/dial';
import { type Listener, listen } from '@stompbox/transport/node';
import type { Command } from 'commander';
import { DEFAULT_URL, type ReachFlags, reachOptions, takeUrl, tlsOf, warnOfSecrets } from '../connecting.ts';
import { json } from '../escape.ts';
import { SystemFailure, WrongUsage } from '../exit-codes.ts';
import { examples, type House } from '../house.ts';
import { number } from '../progress.ts';
import { lineOf, type Note, type Side, type Told } from '../tap/lines.ts';
import { Relay } from '../tap/relay.ts';
import { fired } from '../time.ts';
import { isUrl, whole } from '../values.ts';

interface TapFlags extends ReachFlags {
  readonly url?: string;
  readonly listen: string;
  readonly body: number;
  readonly verbose?: boolean;
  readonly json?: boolean;
}

const MAX_CONNECTIONS = 1_000;
/** Characters that were printed and nobody has taken. */
const MAX_UNREAD = 256 * 1024;

export function tap(program: Command, house: House): void {
  const command = program
    .command('tap')
    .description('show the frames between a client and a broker, which passes through a local port')
    .argument('[url]', 'the broker')
    .option('-u, --url <url>', `the broker; STOMPBOX_URL, or else ${DEFAULT_URL}, unless given`)
    .option('--listen <address>', 'where clients connect: host:port, or a URL without TLS', '127.0.0.1:0')
    .option('--body <number>', 'show so many characters of a body', whole(0, 10_000), 80)
    .option('-v, --verbose', 'show heart-beats, too')
    .option('--json', 'one JSON object a line');
  reachOptions(command).action(house.run<TapFlags>((words, flags) => overhear(words, flags, house)));
  examples(command, [
    ['stompbox tap --listen 127.0.0.1:61620 stomp://broker.example', 'then let the client connect to port 61620'],
    [
      'stompbox tap stomp+ssl://broker.example --ca ca.pem',
      'TLS to the broker; to the tap the client speaks plain TCP',
    ],
    ['stompbox tap --json | jq \'select(.command == "ERROR")\'', 'what the broker refuses'],
  ]);
}

async function overhear(words: readonly string[], flags: TapFlags, house: House): Promise<undefined> {
  const { url: word, rest } = takeUrl(words);
  if (rest.length > 0) throw new WrongUsage(`${rest[0]} is no URL of a broker`);
  const typed = word ?? flags.url;
  const url = typed ?? house.world.env.STOMPBOX_URL ?? DEFAULT_URL;
  warnOfSecrets(house, {}, typed !== undefined, url);
  const target = parseEndpoint(url);
  const tls = await tlsOf(flags);
  const session = new Tapping(flags, house, (options) =>
    (house.world.dial ?? dial)(target, { ...options, ...(tls !== undefined && { tls }) }),
  );
  const listener = await startListening(flags.listen, (client) => void session.take(client));
  const broker = formatEndpoint(target);
  if (flags.json) house.out.say(json({ event: 'listening', url: listener.url, broker }));
  else house.out.say(`${house.out.name(listener.url)} leads to ${broker}; Ctrl-C ends it.`);
  try {
    await fired(session.stop);
  } finally {
    await listener.close();
    await session.close();
  }
  session.failed?.throwIfAborted();
  if (!flags.json) house.out.complain(session.account);
  return;
}

async function startListening(where: string, onClient: (client: Channel) => void): Promise<Listener> {
  const endpoint = parseEndpoint(isUrl(where) ? where : `tcp://${where}`, 'listen');
  if (endpoint.transport === 'tls' || (endpoint.transport === 'websocket' && endpoint.secure)) {
    throw new WrongUsage('--listen takes no TLS: the tap has no certificate; clients connect to it in plain');
  }
  try {
    return await listen(endpoint, { maxConnections: MAX_CONNECTIONS }, onClient);
  } catch (error) {
    if (!(error instanceof TransportError) || error.code === 'bad-url') throw error;
    throw new SystemFailure(`cannot listen: ${error.message}`, { cause: error });
  }
}

/** All connections of one run. */
class Tapping {
  readonly #flags: TapFlags;
  readonly #house: House;
  readonly #dial: (options: DialOptions) => Promise<Channel>;
  readonly #broken = new AbortController();
  readonly #relays = new Set<Relay>();
  readonly #connections = new Set<Promise<void>>();
  #count = 0;
  #frames = 0;
  #unread = 0;

  constructor(flags: TapFlags, house: House, dialBroker: (options: DialOptions) => Promise<Channel>) {
    this.#flags = flags;
    this.#house = house;
    this.#dial = dialBroker;
  }

  /** Fires when it is to end. */
  get stop(): AbortSignal {
    return AbortSignal.any([this.#house.stop, this.#broken.signal]);
  }

  /** Why nothing more can be printed, other than that nobody reads. */
  get failed(): AbortSignal {
    return this.#broken.signal;
  }

  get account(): string {
    return `${number(this.#frames)} frames on ${number(this.#count)} connections.`;
  }

  take(client: Channel): Promise<void> {
    const connection = ++this.#count;
    const over: Promise<void> = this.#connect(client, connection).finally(() => this.#connections.delete(over));
    this.#connections.add(over);
    return over;
  }

  /** Ends all connections; resolves when they are closed. */
  async close(): Promise<void> {
    for (const relay of this.#relays) relay.destroy();
    await Promise.all(this.#connections);
  }

  async #connect(client: Channel, connection: number): Promise<void> {
    const note = (type: Note['type'], text: string): void => void this.#tell({ connection, what: { type, text } });
    note('opened', `connected from ${client.peer.remote}`);
    let broker: Channel;
    try {
      broker = await this.#dial({ timeoutMs: this.#flags.connectTimeout, signal: this.stop });
    } catch (error) {
      client.destroy();
      note('failed', `no connection to the broker: ${error instanceof Error ? error.message : String(error)}`);
      return;
    }
    await new Promise<void>((resolve) => {
      const relay = new Relay(client, broker, {
        clock: this.#house.world.clock,
        hear: (from, what) => this.#hear(connection, from, what),
        closed: (how) => {
          this.#relays.delete(relay);
          note('closed', how);
          resolve();
        },
      });
      this.#relays.add(relay);
      if (this.stop.aborted) relay.destroy();
    });
  }

  #hear(connection: number, from: Side, what: Told['what']): boolean {
    if (what.type === 'frame') this.#frames++;
    if (what.type === 'heart-beat' && !this.#flags.verbose) return false;
    return this.#tell({ connection, from, what });
  }

  /** Answers whether whoever reads is behind. */
  #tell(told: Omit<Told, 'at'>): boolean {
    const { out } = this.#house;
    const { json: isJson = false, body } = this.#flags;
    const line = lineOf({ ...told, at: new Date() }, { json: isJson, bodyChars: body, out });
    this.#unread += line.length;
    void out.print(line).then(
      () => {
        this.#unread -= line.length;
        if (this.#unread <= MAX_UNREAD / 2) for (const relay of this.#relays) relay.resume();
      },
      (error: unknown) => this.#broken.abort(error),
    );
    return this.#unread > MAX_UNREAD;
  }
}
