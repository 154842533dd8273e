// Time in a browser, kept by a worker too.
//
//   schedule(ms) ─┬─ setTimeout ─────────────────────────────► fn, by whichever rings first
//                 └─ postMessage ─► worker: setTimeout ─► ─┘
//
// The timers of a hidden tab ring once a second, and after five minutes once a minute, which is too late for heart-beats;
// a worker's are not held back. Where there is no worker (a content security policy without `worker-src blob:`, a runtime
// without Worker, a worker that never answers) the page's own timer is what it was: nothing has to find out.
//
// One worker serves all timers, and ends a while after the last one.

import { type Clock, systemClock } from './clock.ts';

const SCRIPT =
  'let t={};onmessage=({data:[i,m]})=>{clearTimeout(t[i]);delete t[i];if(m>=0)t[i]=setTimeout(()=>{delete t[i];postMessage(i)},m)}';
const IDLE_MS = 10_000;

const rings = new Map<number, () => void>();
let ids = 0;
let worker: Worker | undefined;
let url: string | undefined;
let isForbidden = false;
let stopIdling: (() => void) | undefined;

/**
 * The clock of a page: punctual in a hidden tab as well. Anywhere else it is `systemClock`. A page whose policy forbids the
 * worker reports that once; it can hand in `systemClock` instead.
 */
export const workerClock: Clock = {
  now: systemClock.now,
  schedule(ms, fn, holds) {
    const engaged = engage();
    if (engaged === undefined) return systemClock.schedule(ms, fn, holds);
    const id = ++ids;
    const end = (): boolean => {
      callOff();
      if (!rings.delete(id)) return false;
      if (rings.size === 0) stopIdling = systemClock.schedule(IDLE_MS, dismiss);
      return true;
    };
    const ring = (): void => {
      if (!end()) return;
      engaged.postMessage([id, -1]);
      fn();
    };
    const callOff = systemClock.schedule(ms, ring, holds);
    rings.set(id, ring);
    engaged.postMessage([id, Math.max(ms, 0)]);
    return () => {
      if (end()) engaged.postMessage([id, -1]);
    };
  },
};

/** What a connection goes by unless it is handed another. */
export const runtimeClock: Clock = typeof document === 'object' ? workerClock : systemClock;

function engage(): Worker | undefined {
  stopIdling?.();
  stopIdling = undefined;
  if (worker !== undefined || isForbidden) return worker;
  try {
    url ??= URL.createObjectURL(new Blob([SCRIPT], { type: 'text/javascript' }));
    worker = new Worker(url);
    worker.onmessage = ({ data }) => rings.get(data)?.();
    worker.onerror = (event) => {
      event.preventDefault();
      forbid();
    };
  } catch {
    forbid(); // some browsers throw where others fire `error`; the page's own timers go on either way
  }
  return worker;
}

function forbid(): void {
  isForbidden = true;
  dismiss();
}

function dismiss(): void {
  worker?.terminate();
  worker = undefined;
}
