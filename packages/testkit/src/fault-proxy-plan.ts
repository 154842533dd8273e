// Faults at random, the same for the same seed.
//
// A plan is plain data, so that a failing run can print it; playing it touches nothing but the proxy. What lasts (weather,
// refusal, silence) ends by itself before the next fault, so a run always comes back to fair weather.

import { random } from './cuts.ts';
import type { Link, Weather } from './fault-proxy-link.ts';

/** What a plan needs of a FaultProxy. */
export interface Breakable {
  readonly links: readonly Link[];
  weather: Weather;
  reset(): void;
  reorder(): void;
  refuse(): void;
  accept(): Promise<void>;
  /** Calls `fn` at the end. Answers how to call it off. */
  onClose(fn: () => void): () => void;
}

/** `which` chooses among the open connections, modulo their number; undefined is all of them. */
export type Fault = { readonly afterMs: number } & (
  | { readonly kind: 'reset'; readonly which: number | undefined }
  | { readonly kind: 'half-close'; readonly which: number | undefined; readonly side: 'client' | 'broker' }
  | { readonly kind: 'silent'; readonly which: number | undefined; readonly heals: boolean; readonly forMs: number }
  | { readonly kind: 'refuse'; readonly forMs: number }
  | { readonly kind: 'weather'; readonly weather: Weather; readonly forMs: number }
  | { readonly kind: 'reorder'; readonly which: number | undefined }
);

export interface FaultPlanOptions {
  readonly seed: number;
  readonly count: number;
  /** The longest time between two faults; 200 ms unless given. */
  readonly mostApartMs?: number;
  /** The longest time anything lasts; 300 ms unless given. */
  readonly mostForMs?: number;
}

export function faultPlan({ seed, count, mostApartMs = 200, mostForMs = 300 }: FaultPlanOptions): Fault[] {
  const next = random(seed);
  const dice = (below: number): number => Math.floor(next() * below);
  return Array.from({ length: count }, (): Fault => {
    const afterMs = dice(mostApartMs);
    const which = dice(3) === 0 ? undefined : dice(1_000);
    const forMs = 1 + dice(mostForMs);
    switch (dice(10)) {
      case 0:
      case 1:
      case 2:
        return { kind: 'reset', afterMs, which };
      case 3:
      case 4:
        return { kind: 'half-close', afterMs, which, side: dice(2) === 0 ? 'client' : 'broker' };
      case 5:
        return { kind: 'silent', afterMs, which, heals: dice(2) === 0, forMs };
      case 6:
        return { kind: 'refuse', afterMs, forMs };
      case 7:
        return { kind: 'reorder', afterMs, which };
      default:
        return { kind: 'weather', afterMs, forMs, weather: someWeather(dice) };
    }
  });
}

function someWeather(dice: (below: number) => number): Weather {
  switch (dice(3)) {
    case 0:
      return { delayMs: 1 + dice(50) };
    case 1:
      return { pieceBytes: 1 + dice(64) };
    default:
      return { bytesPerSecond: 10_000 << dice(6) };
  }
}

/**
 * Plays the faults one after the other. Resolves when the last one is over, or when the proxy closes; `played` hears of each
 * as it begins.
 */
export async function playFaults(
  proxy: Breakable,
  plan: readonly Fault[],
  played: (fault: Fault) => void = () => {},
): Promise<void> {
  const closed = new AbortController();
  const callOff = proxy.onClose(() => closed.abort());
  for (const fault of plan) {
    await pause(fault.afterMs, closed.signal);
    if (closed.signal.aborted) break;
    played(fault);
    await play(proxy, fault, (ms) => pause(ms, closed.signal));
  }
  callOff();
}

async function play(proxy: Breakable, fault: Fault, sleep: (ms: number) => Promise<void>): Promise<void> {
  switch (fault.kind) {
    case 'reset':
      for (const link of chosen(proxy, fault.which)) link.reset();
      return;
    case 'half-close':
      for (const link of chosen(proxy, fault.which)) link.halfClose(fault.side);
      return;
    case 'silent': {
      const links = chosen(proxy, fault.which);
      for (const link of links) link.silence();
      if (!fault.heals) return;
      await sleep(fault.forMs);
      for (const link of links) link.heal();
      return;
    }
    case 'refuse':
      proxy.refuse();
      proxy.reset(); // or nobody would notice
      await sleep(fault.forMs);
      await proxy.accept();
      return;
    case 'weather':
      proxy.weather = fault.weather;
      await sleep(fault.forMs);
      proxy.weather = {};
      return;
    case 'reorder':
      proxy.reorder();
      for (const link of chosen(proxy, fault.which)) link.reset(); // so that somebody comes again
  }
}

function chosen({ links }: Breakable, which: number | undefined): readonly Link[] {
  if (which === undefined || links.length === 0) return links;
  const link = links[which % links.length];
  return link === undefined ? [] : [link];
}

/** Resolves early when the signal fires, and leaves no timer. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}
