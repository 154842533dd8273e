// The same behaviour suite (tests/runtimes) in every runtime, with the packages as npm would deliver them.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { chromium as playwright } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Installation, installPacked } from '../runtimes/packed.ts';
import type { ProgramSettings } from '../runtimes/program.ts';
import { findRuntimes, type Runtime } from '../runtimes/runtimes.ts';
import { openStage } from '../runtimes/stage.ts';
import { BEHAVIOURS, DEADLINE_MS, type Outcome } from '../runtimes/suite.ts';
import { bundleClient } from './browser/bundle.ts';
import { QUIET, serve } from './browser/site.ts';
import { chromium, withPeer } from './peers.ts';

/** The client and the suite, in the page. */
declare const stompbox: typeof import('@stompbox/client') & typeof import('../runtimes/suite.ts');

const END_MS = 5_000;

const runtimes = await findRuntimes();
let installation: Installation;

beforeAll(async () => {
  installation = await installPacked();
});
afterAll(() => installation?.remove());

for (const [name, found] of runtimes) {
  withPeer(name, found, (runtime) => {
    test(`${runtime.version}: every behaviour holds over TCP, and nothing keeps the process`, async () => {
      await using stage = await openStage();
      await inProcess(runtime, { url: stage.tcp, control: stage.control, reactNative: false });
    });

    test(`${runtime.version}: every behaviour holds over WebSocket, and nothing keeps the process`, async () => {
      await using stage = await openStage();
      await inProcess(runtime, { url: stage.webSocket, control: stage.control, reactNative: false });
    });
  });
}

describe('React Native', () => {
  test('P16: every behaviour holds over a socket whose text frames end at NUL', async () => {
    await using stage = await openStage();
    const node = { path: process.execPath, version: process.versions.node, args: [] };
    await inProcess(node, { url: stage.webSocket, control: stage.control, reactNative: true });
  });
});

withPeer('Chromium', chromium, ({ path }) => {
  test('every behaviour holds', async () => {
    const suite = new URL('../runtimes/suite.ts', import.meta.url).pathname;
    const { script } = await bundleClient(`export * from '@stompbox/client'; export { runSuite } from '${suite}';`);
    const site = await serve(script);
    await using stage = await openStage([site.origin]);
    const browser = await playwright.launch({ executablePath: path, args: QUIET });
    try {
      const page = await browser.newPage();
      await page.goto(site.origin);
      const outcomes = await page.evaluate(
        ({ url, control }) =>
          stompbox.runSuite({
            stompbox,
            url,
            options: {},
            control: async (verb) => {
              const { status } = await fetch(`${control}/${verb}`, { method: 'POST' });
              if (status !== 204) throw new Error(`${verb} answered ${status}`);
            },
          }),
        { url: stage.webSocket, control: stage.control },
      );
      allHold(outcomes);
    } finally {
      await browser.close();
      await site.close();
    }
  });
});

function allHold(outcomes: readonly Outcome[]): void {
  expect(outcomes.filter(({ error }) => error !== undefined)).toEqual([]);
  expect(outcomes.map(({ name }) => name)).toEqual(Object.keys(BEHAVIOURS));
}

/** Holds it against the process, too, when it does not end. */
async function inProcess(runtime: Runtime, settings: ProgramSettings): Promise<void> {
  const args = [...runtime.args, installation.program, JSON.stringify(settings)];
  const child = spawn(runtime.path, args, { cwd: installation.folder, stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = once(child, 'close');
  const within = (ms: number) => setTimeout(() => child.kill('SIGKILL'), ms);
  let timer = within(DEADLINE_MS + END_MS);
  const outcomes: Outcome[] = [];
  let complained = '';
  createInterface({ input: child.stdout }).on('line', (line) => {
    outcomes.push(JSON.parse(line));
    clearTimeout(timer);
    timer = within(END_MS + (outcomes.length < Object.keys(BEHAVIOURS).length ? DEADLINE_MS : 0));
  });
  child.stderr.on('data', (text) => {
    complained += text;
  });
  const [code, signal] = await exited;
  clearTimeout(timer);
  allHold(outcomes);
  expect({ code, signal, complained }).toEqual({ code: 0, signal: null, complained: '' });
}
