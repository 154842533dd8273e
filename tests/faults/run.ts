// Starts runs as processes, and sees to it that they end.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect } from 'vitest';
import type { Figures, Rules } from './books.ts';

/** How many faults a run has: `STOMPBOX_FAULTS=200` for a long one. */
export const FAULTS = Number(process.env.STOMPBOX_FAULTS ?? 15);
export const SEED = Number(process.env.STOMPBOX_SEED ?? Date.now() % 1e6);
/** Leave a run so long. */
export const RUN_MS: number = 120_000 + FAULTS * 2_000;

export interface Settings {
  readonly url: string;
  readonly login: string;
  readonly passcode: string;
  /** The virtual host, where it is not the host of the URL. */
  readonly host?: string;
  readonly seed: number;
  readonly faults: number;
  /** How often the broker is started again meanwhile. */
  readonly restarts: number;
  /** Producers, and as many consumers. */
  readonly actors: number;
  /** Who stays connected: the `Client`, one that sends again what is unknown, or a loop around `connect()`. */
  readonly stayer: 'managed' | 'resending' | 'naive';
  readonly rules: Rules;
}

export interface Report {
  /** How many faults. */
  readonly played: number;
  readonly figures: Figures;
  readonly problems: readonly string[];
}

const END_MS = 5_000; // after the report

/** What runs the program in a test file: bundled before the first test. `restart` answers where the broker is now. */
export function faultRuns(): (settings: Settings, restart?: () => Promise<string>) => Promise<Report> {
  const here = fileURLToPath(new URL('.', import.meta.url));
  const packages = join(here, '../../packages');
  const file = join(here, '.cache', `program-${process.pid}-${Math.random().toString(36).slice(2)}.mjs`);
  const running = new Set<ReturnType<typeof spawn>>();

  beforeAll(async () => {
    await build({
      entryPoints: [join(here, 'program.ts')],
      outfile: file,
      bundle: true,
      platform: 'node',
      format: 'esm',
      external: ['ws'],
      alias: {
        '@stompbox/client': join(packages, 'client/src/index.ts'),
        '@stompbox/protocol': join(packages, 'protocol/src/index.ts'),
        '@stompbox/transport': join(packages, 'transport/src/index.ts'),
        '@stompbox/transport/dial': join(packages, 'transport/src/dial.ts'),
        'testkit/fault-proxy': join(packages, 'testkit/src/fault-proxy.ts'),
      },
      logLevel: 'error',
    });
  });
  afterAll(() => {
    for (const child of running) child.kill('SIGKILL');
    rmSync(file, { force: true });
  });

  return async (settings, restart) => {
    const child = spawn(process.execPath, [file, JSON.stringify(settings)], { stdio: ['pipe', 'pipe', 'pipe'] });
    running.add(child);
    const exited = once(child, 'close').finally(() => running.delete(child));
    child.stdin.on('error', () => {}); // it went without an answer
    let errors = '';
    child.stderr.on('data', (text) => {
      errors += text;
    });
    let report: Report | undefined;
    let lastWord = 0;
    for await (const line of createInterface({ input: child.stdout })) {
      const said = JSON.parse(line);
      if (said.restart) child.stdin.write(`${JSON.stringify({ url: await restart?.() })}\n`);
      else {
        report = said as Report;
        lastWord = Date.now();
        setTimeout(() => child.kill('SIGKILL'), END_MS).unref();
      }
    }
    const [code, signal] = await exited;
    expect(errors).toBe('');
    if (report === undefined) throw new Error(`the run ended (${code ?? signal}) without a report`);
    expect({ code, signal }, `it ends by itself, within ${END_MS} ms of its report`).toEqual({ code: 0, signal: null });
    if (process.env.STOMPBOX_FAULTS !== undefined)
      process.stdout.write(
        `${JSON.stringify({ url: settings.url, ...report.figures, endMs: Date.now() - lastWord })}\n`,
      );
    return report;
  };
}

/** Nothing is held against anybody, and something has happened. */
export function expectGoodBooks({ problems, figures, played }: Report, { faults }: Settings): void {
  expect(problems).toEqual([]); // the seed in the test's name plays the same faults
  expect(played).toBe(faults);
  expect(figures.confirmed).toBeGreaterThan(faults);
  expect(figures.confirmed + figures.rejected + figures.unknown + figures.unsent).toBe(figures.sends);
}
