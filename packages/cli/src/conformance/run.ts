// The matrix put to one broker: every check on connections of its own, a few at a time, each with its deadline; then what
// is left in the queues is taken away.

import type { ProfileName } from '@stompbox/client';
import type { Version } from '@stompbox/protocol';
import { parseEndpoint, TransportError } from '@stompbox/transport';
import { Ask, type Site, works } from './ask.ts';
import type { Check } from './check.ts';
import { CHECKS } from './checks.ts';
import { documented } from './documented.ts';
import { meet, type Target } from './meet.ts';
import type { RuleId } from './rule.ts';
import { RULES, type Rule } from './rules.ts';
import { sweep } from './sweep.ts';
import { Departure, NotAsked } from './verdict.ts';

/**
 * `pass`: the rule holds. `fail`: it does not. `differs`: it does not, and this broker is documented to do so.
 * `untested`: it was not asked, and `detail` says why.
 */
export type Outcome = 'pass' | 'fail' | 'differs' | 'untested';

export const OUTCOMES: readonly Outcome[] = ['pass', 'fail', 'differs', 'untested'];

export interface ReportRow {
  readonly id: RuleId;
  readonly says: string;
  readonly outcome: Outcome;
  /** What was seen, or why nothing was asked; absent where there is nothing to add. */
  readonly detail?: string;
  /** Versions it was asked in. */
  readonly versions: readonly Version[];
  readonly durationMs: number;
}

export interface Report {
  /** Without credentials. */
  readonly url: string;
  readonly broker: { readonly name: ProfileName; readonly server?: string; readonly versions: readonly Version[] };
  readonly hostile: boolean;
  readonly startedAt: string;
  readonly durationMs: number;
  readonly score: Readonly<Record<Outcome, number>>;
  /** Every rule of the matrix, sections 1 to 5 and 8, in its order. */
  readonly rows: readonly ReportRow[];
  /** Queues that could not be emptied afterwards. */
  readonly left: readonly string[];
}

export interface ConformanceOptions extends Target {
  /** Ids, or beginnings of them: `C-41`, `M-`, `H`. All unless given. */
  readonly only?: readonly string[] | undefined;
  /** Also inputs that may cost a careless broker dear. Never against one that others use. */
  readonly hostile?: boolean | undefined;
  /** Checks at a time. 4 unless given. */
  readonly parallel?: number | undefined;
  /** Hears after each check how many are done, out of how many. */
  readonly progress?: ((done: number, total: number) => void) | undefined;
}

const CHECK_MS = 15_000;
/** However slow the broker, the run ends. */
const RUN_MS = 10 * 60_000;
/** So long a broker may be busy with what it was sent. */
const ALIVE_MS = 20_000;

interface Finding {
  readonly outcome: Outcome;
  readonly detail: string | undefined;
  readonly version: Version;
  readonly ms: number;
}

/** Rejects with a TransportError or NotLetIn where there is no broker to ask, and with the signal's reason. */
export async function runConformance(options: ConformanceOptions): Promise<Report> {
  const startedAt = new Date();
  const met = await meet(options);
  const over = parseEndpoint(options.url).transport === 'websocket' ? 'websocket' : 'tcp';
  const isWanted = (id: RuleId): boolean =>
    options.only?.some((wanted) => id === wanted || isWithin(id, wanted)) ?? true;
  const checks = CHECKS.filter(
    (check) => check.ids.some(isWanted) && (options.hostile || !isHostile(check)) && (check.over ?? over) === over,
  );
  const site: Site = { ...met, run: Math.random().toString(36).slice(2, 10) };
  const used = new Set<string>();
  const deadline = AbortSignal.timeout(RUN_MS);
  const gentle = checks.filter((check) => !isHostile(check));
  const harsh = checks.filter(isHostile);
  const findings = new Map<Check, Finding[]>();
  const run = async (check: Check): Promise<void> => {
    options.signal?.throwIfAborted();
    if (!deadline.aborted) findings.set(check, await ask(check, site, used));
    options.signal?.throwIfAborted(); // it ends all connections, which is no finding
    options.progress?.(findings.size, checks.length);
  };
  let left: readonly string[] = [];
  try {
    await inParallel(gentle, options.parallel ?? 4, run);
    // One at a time, so that what one does to the broker is not put down to another.
    for (const check of harsh) {
      await run(check);
      if (!(await isAlive(site, used))) {
        findings.set(check, [...(findings.get(check) ?? []), fatal(check)]);
        break;
      }
    }
  } finally {
    left = await sweep(met, used);
  }
  const rows = RULES.filter((rule) => isWanted(rule.id)).map((rule) =>
    row(rule, findings, over, options.hostile ?? false),
  );
  return {
    url: met.shown,
    broker: { name: met.broker, ...(met.server === undefined ? {} : { server: met.server }), versions: met.versions },
    hostile: options.hostile ?? false,
    startedAt: startedAt.toISOString(),
    durationMs: Date.now() - startedAt.getTime(),
    score: score(rows),
    rows,
    left,
  };
}

/** Whether `--only` can name it. */
export function namesRules(wanted: string): boolean {
  return RULES.some(({ id }) => id === wanted || isWithin(id, wanted));
}

/** Rows of section 8 alone, and others that say so, wait for `--hostile`. */
function isHostile(check: Check): boolean {
  return check.hostile ?? check.ids.every((id) => id.startsWith('M-'));
}

/** `C-1` is no beginning of `C-11`, but `C` and `C-` are. */
function isWithin(id: string, wanted: string): boolean {
  return /^[A-Z]-?$/.test(wanted) && id.startsWith(wanted);
}

async function inParallel(
  checks: readonly Check[],
  width: number,
  run: (check: Check) => Promise<void>,
): Promise<void> {
  const waiting = [...checks];
  const worker = async (): Promise<void> => {
    for (let check = waiting.shift(); check !== undefined; check = waiting.shift()) await run(check);
  };
  const ends = await Promise.allSettled(Array.from({ length: Math.max(1, width) }, worker));
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
}

/** Whether somebody else is still served; a broker may need a while to get over what it was sent. */
async function isAlive(site: Site, used: Set<string>): Promise<boolean> {
  for (const end = performance.now() + ALIVE_MS; performance.now() < end; ) {
    site.line.signal?.throwIfAborted();
    const asked = new Ask(site, 'alive', used);
    try {
      await works(asked, await asked.session());
      return true;
    } catch (error) {
      if (!(error instanceof Departure) && !(error instanceof TransportError)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    } finally {
      asked.close();
    }
  }
  return false;
}

function fatal({ versions: [version = '1.2'] = [] }: Check): Finding {
  const detail = `afterwards nobody was served for ${ALIVE_MS / 1_000} s, so nothing more was asked`;
  return { outcome: 'fail', detail, version, ms: ALIVE_MS };
}

async function ask(check: Check, site: Site, used: Set<string>): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const version of check.versions ?? (['1.2'] as const)) {
    const asked = new Ask(site, `${check.ids[0]}-${version}`, used);
    const start = performance.now();
    try {
      const detail = await within(check.withinMs ?? CHECK_MS, said(check, asked, version));
      findings.push({ outcome: 'pass', detail, version, ms: performance.now() - start });
    } catch (error) {
      findings.push({ ...judged(error, check.ids[0], site.broker), version, ms: performance.now() - start });
    } finally {
      asked.close();
    }
  }
  return findings;
}

async function said(check: Check, asked: Ask, version: Version): Promise<string | undefined> {
  const sentence = await check.run(asked, version);
  return typeof sentence === 'string' ? sentence : undefined;
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Departure('no-answer', `not done within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function judged(error: unknown, id: RuleId, broker: ProfileName): Pick<Finding, 'outcome' | 'detail'> {
  if (error instanceof NotAsked) return { outcome: 'untested', detail: error.message };
  if (error instanceof Departure) {
    const known = documented(broker, id, error.way);
    if (known !== undefined) return { outcome: 'differs', detail: `${error.message} (${known.says})` };
    return { outcome: 'fail', detail: error.message };
  }
  if (error instanceof TransportError) return { outcome: 'fail', detail: `no connection: ${error.code}` };
  throw error;
}

const WORST_FIRST: readonly Outcome[] = ['fail', 'differs', 'pass', 'untested'];

function row(rule: Rule, findings: Map<Check, Finding[]>, over: 'tcp' | 'websocket', hostile: boolean): ReportRow {
  const { id, says } = rule;
  const applies = over === 'websocket' || !isOfWebSocket(id);
  const mine = applies ? [...findings].filter(([check]) => check.ids.includes(id)).flatMap(([, found]) => found) : [];
  const outcome = WORST_FIRST.find((one) => mine.some((finding) => finding.outcome === one));
  if (outcome === undefined) {
    return { id, says, outcome: 'untested', detail: whyNot(rule, over, hostile), versions: [], durationMs: 0 };
  }
  const telling = mine.filter((finding) => finding.outcome === outcome);
  const detail = told(telling, telling.length < mine.length);
  return {
    id,
    says,
    outcome,
    ...(detail === undefined ? {} : { detail }),
    versions: [...new Set(mine.map(({ version }) => version))].sort(),
    durationMs: Math.round(mine.reduce((sum, { ms }) => sum + ms, 0)),
  };
}

/** Each detail once, with its versions where not all say the same. */
function told(findings: readonly Finding[], isPart: boolean): string | undefined {
  const versions = new Map<string, Set<Version>>();
  for (const { detail, version } of findings) {
    if (detail !== undefined) versions.set(detail, (versions.get(detail) ?? new Set()).add(version));
  }
  if (versions.size === 0) return undefined;
  const some = isPart || versions.size > 1;
  return [...versions].map(([detail, in_]) => (some ? `${[...in_].join(', ')}: ${detail}` : detail)).join('; ');
}

function whyNot({ id, beyond }: Rule, over: 'tcp' | 'websocket', hostile: boolean): string {
  if (beyond !== undefined) return beyond;
  if (over === 'tcp' && isOfWebSocket(id)) return 'the URL is no WebSocket';
  const checks = CHECKS.filter((check) => check.ids.includes(id));
  if (checks.every((check) => (check.over ?? over) !== over)) return 'it is about TCP, and the URL is a WebSocket';
  return hostile ? 'the run was over before' : 'a hostile input: --hostile asks it';
}

/** Sections 5 and 8.5; their checks may ask other rules besides. */
function isOfWebSocket(id: RuleId): boolean {
  return id.startsWith('W-') || /^M-1[01]\d$/.test(id);
}

function score(rows: readonly ReportRow[]): Record<Outcome, number> {
  const count = (outcome: Outcome): number => rows.filter((one) => one.outcome === outcome).length;
  return { pass: count('pass'), fail: count('fail'), differs: count('differs'), untested: count('untested') };
}
