// Which endpoint next. A round walks every one of them once; when it is over, somebody else decides how long to wait.
//
//   listed     a b c │ b is lost │ c a b     begins behind the one that failed last
//   random     c a b │ b is lost │ a c b     anew for each round, the one that was lost at its end
//   priority   a b c │ b is lost │ a c b     from the top, the one that was lost at its end
//
// No clock in here, and no chance but what is handed in.

import { type Endpoint, formatEndpoint } from '@stompbox/transport';
import { boolean, type Check, type Given, number, oneOf, resolve, type Settings } from '../option-table.ts';

const names: Check = (value) =>
  Array.isArray(value) && value.every((one) => typeof one === 'string') ? undefined : 'a list of host names';

export const ENDPOINTS_OPTIONS = {
  order: {
    default: 'listed' as 'listed' | 'random' | 'priority',
    check: oneOf('listed', 'random', 'priority') as Check,
    say: "How several endpoints are tried: 'listed' (one after the other, going on behind the one that failed), 'random', or 'priority' (the first that answers, from the top).",
  },
  preferred: {
    default: 0 as number,
    check: number(0) as Check,
    say: 'So many from the front of the list are tried before the others, whatever the order.',
  },
  failBackMs: {
    default: 0 as number,
    check: number(0) as Check,
    say: 'Connected to a lesser endpoint (by priority, preferred or preferLocalhost), try a better one this often and move there when it answers; 0 stays.',
  },
  preferLocalhost: {
    default: false as boolean,
    check: boolean as Check,
    say: 'Try endpoints on this host first.',
  },
  tryLoopback: {
    default: false as boolean,
    check: boolean as Check,
    say: 'Try 127.0.0.1 as well, and before, for endpoints on this host. Not with TLS, where the name must be proven.',
  },
  localNames: {
    default: [] as readonly string[],
    check: names as Check,
    say: "Names of this host besides localhost and loopback addresses, such as Node's os.hostname().",
  },
};

/** Options of the choice of endpoints. Each has its sentence in ENDPOINTS_OPTIONS. */
export type EndpointsOptions = Given<typeof ENDPOINTS_OPTIONS>;

type EndpointsSettings = Settings<typeof ENDPOINTS_OPTIONS>;

interface Ranked {
  readonly endpoint: Endpoint;
  /** Lower is better; equal ones are as good as each other. */
  readonly rank: number;
}

export class Endpoints {
  readonly #all: readonly Ranked[];
  readonly #settings: EndpointsSettings;
  readonly #random: () => number;
  #round: Ranked[] = []; // what is still to be tried in it
  #failed: Ranked | undefined; // last of all
  #wasLost = false; // it had been connected
  #connected: Ranked | undefined;
  #probed = -1; // index of the last one that better() answered

  /** `random` answers numbers from 0 up to 1, as Math.random does. Throws UsageError `bad-option`. */
  constructor(list: readonly Endpoint[], options: EndpointsOptions = {}, random: () => number = Math.random) {
    this.#settings = resolve(ENDPOINTS_OPTIONS, options);
    this.#random = random;
    this.#all = ranked(list, this.#settings);
  }

  /** Every endpoint, those that tryLoopback added among them, in order of rank. */
  get all(): readonly Endpoint[] {
    return this.#all.map(({ endpoint }) => endpoint);
  }

  /** Whether every endpoint of this round was tried: the next one begins another, so wait before it. */
  get roundDone(): boolean {
    return this.#round.length === 0;
  }

  /** The one to try now; begins a round where none is under way. */
  next(): Endpoint {
    if (this.roundDone) this.#round = this.#newRound();
    const [first, ...rest] = this.#round;
    if (first === undefined) throw new RangeError('there is no endpoint');
    this.#round = rest;
    return first.endpoint;
  }

  /** One that `next` or `better` answered could not be reached, refused us, or was lost. The next round does not begin with it. */
  failed(endpoint: Endpoint): void {
    this.#failed = this.#find(endpoint);
    this.#wasLost = this.#failed !== undefined && this.#failed === this.#connected;
    if (this.#wasLost) this.#connected = undefined;
  }

  /** We are connected to it. The round is over. */
  succeeded(endpoint: Endpoint): void {
    this.#connected = this.#find(endpoint);
    this.#round = [];
    this.#probed = -1;
  }

  /**
   * A better endpoint than the one we are connected to, the best first and then the others by turns, or undefined where
   * there is none: what to try every `failBackMs`. Whether it answered need not be told unless we move there (`succeeded`).
   */
  better(): Endpoint | undefined {
    const connected = this.#connected;
    if (connected === undefined) return undefined;
    const better = this.#all.filter(({ rank }) => rank < connected.rank);
    this.#probed = (this.#probed + 1) % Math.max(1, better.length);
    return better[this.#probed]?.endpoint;
  }

  #newRound(): Ranked[] {
    const { order } = this.#settings;
    const last = this.#failed;
    let round = [...this.#all];
    if (order === 'random') shuffle(round, this.#random);
    if (order === 'listed' && last !== undefined) {
      const behind = this.#all.indexOf(last) + 1;
      round = [...round.slice(behind), ...round.slice(0, behind)];
    }
    round.sort((a, b) => a.rank - b.rank); // stable, so the order above holds among equals
    // Where a whole round failed, one by priority begins at the top again, and a random one with another than it ended with.
    const isBehind = this.#wasLost || (order !== 'priority' && round[0] === last);
    return last === undefined || !isBehind ? round : [...round.filter((one) => one !== last), last];
  }

  #find(endpoint: Endpoint): Ranked | undefined {
    return this.#all.find((one) => one.endpoint === endpoint);
  }
}

function ranked(list: readonly Endpoint[], settings: EndpointsSettings): Ranked[] {
  const { order, preferred, preferLocalhost, tryLoopback } = settings;
  const isLocal = (endpoint: Endpoint): boolean => local(endpoint, settings.localNames);
  const distance = (endpoint: Endpoint): number => (preferLocalhost && !isLocal(endpoint) ? list.length : 0);
  const known = new Set(list.map(formatEndpoint));
  const all = list.flatMap((endpoint, index) => {
    const rank = distance(endpoint) + (order === 'priority' ? index : index < preferred ? 0 : 1);
    const loopback = tryLoopback && isLocal(endpoint) ? overLoopback(endpoint) : undefined;
    if (loopback === undefined || known.has(formatEndpoint(loopback))) return [{ endpoint, rank }];
    known.add(formatEndpoint(loopback));
    return [
      { endpoint: loopback, rank },
      { endpoint, rank },
    ];
  });
  return all.sort((a, b) => a.rank - b.rank);
}

function local(endpoint: Endpoint, names: readonly string[]): boolean {
  if (endpoint.transport === 'unix') return true;
  const host = endpoint.host.toLowerCase();
  return (
    /^(localhost|.*\.localhost|127(\.\d+){3}|::1)$/.test(host) || names.some((name) => name.toLowerCase() === host)
  );
}

/** The same over 127.0.0.1, where no certificate names the host and the host was not an address already. */
function overLoopback(endpoint: Endpoint): Endpoint | undefined {
  if (endpoint.transport === 'unix' || /^[\d.]+$|:/.test(endpoint.host)) return undefined;
  const isPlain = endpoint.transport === 'tcp' || (endpoint.transport === 'websocket' && !endpoint.secure);
  return isPlain ? { ...endpoint, host: '127.0.0.1' } : undefined;
}

/** Fisher and Yates. */
function shuffle(list: unknown[], random: () => number): void {
  for (let i = list.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [list[i], list[j]] = [list[j], list[i]];
  }
}
