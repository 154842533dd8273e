// Time in a real page: held back, blocked, and under a policy that allows no worker (P1, P5).

import { type Broker, createBroker } from '@stompbox/broker';
import { type Browser, type Page, chromium as playwright } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { bundleClient } from './browser/bundle.ts';
import { QUIET, type Site, serve } from './browser/site.ts';
import { chromium, withPeer } from './peers.ts';

/** The client, in the page. */
declare const stompbox: typeof import('@stompbox/client');

const { script } = await bundleClient();
const STRICT = "default-src 'none'; script-src 'self' 'unsafe-eval'; connect-src *"; // 'unsafe-eval' is for the test's own evaluate()

withPeer('Chromium', chromium, ({ path }) => {
  let broker: Broker;
  let browser: Browser;
  let url: string;
  const sites: Site[] = [];

  beforeAll(async () => {
    sites.push(await serve(script), await serve(script, STRICT));
    broker = await createBroker({
      listen: ['ws://127.0.0.1:0'],
      webSocket: { origins: sites.map(({ origin }) => origin) },
      limits: { minHeartBeatMs: 100 },
    });
    url = broker.urls[0] ?? '';
    browser = await playwright.launch({ executablePath: path, args: QUIET });
  });
  afterAll(async () => {
    await browser?.close();
    await Promise.all([broker?.close(), ...sites.map((site) => site.close())]);
  });

  describe.each([
    ['an open page', 0, 1],
    ['a page whose policy forbids the worker', 1, 0],
  ])('%s', (_, which, workers) => {
    let page: Page;
    beforeEach(async () => {
      page = await browser.newPage();
      await page.goto(sites[which]?.origin ?? '');
    });
    afterEach(() => page.close());

    test(`is served by ${workers} worker, also with many connections, and timers ring in order`, async () => {
      const order = await page.evaluate(async (url) => {
        const connections = await Promise.all([1, 2, 3].map(() => stompbox.connect(url)));
        const first = await new Promise<number[]>((resolve) => {
          const order: number[] = [];
          const { schedule } = stompbox.workerClock;
          for (const ms of [60, 20, 100, 40]) schedule(ms, () => order.push(ms) === 3 && resolve([...order]));
          schedule(10, () => order.push(10))(); // called off
          schedule(80, () => order.push(80))();
        });
        await Promise.all(connections.map((connection) => connection.disconnect()));
        return first;
      }, url);
      expect(order).toEqual([20, 40, 60]);
      expect(page.workers()).toHaveLength(workers);
    });

    test('beats, and stays connected', async () => {
      const beats = await page.evaluate(async (url) => {
        let beats = 0;
        const enough = new Promise<void>((resolve) => {
          stompbox
            .connect(url, {
              heartBeat: { send: 100, expect: 100 },
              observer: { heartBeat: (direction) => direction === 'sent' && ++beats === 4 && resolve() },
            })
            .then((connection) => Object.assign(globalThis, { connection }));
        });
        await enough;
        return beats;
      }, url);
      expect(beats).toBe(4);
      expect(broker.stats().connections).toBe(1);
    });
  });

  describe('P1', () => {
    let page: Page;
    beforeEach(async () => {
      page = await browser.newPage();
      await page.goto(sites[0]?.origin ?? '');
    });
    afterEach(() => page.close());

    test('a page that was blocked for longer than its patience looks at what came meanwhile', async () => {
      const told = await page.evaluate(async (url) => {
        const lost: string[] = [];
        const connection = await stompbox.connect(url, {
          heartBeat: { send: 0, expect: 100 }, // patience: 1.1 s
          observer: { heartBeatLost: ({ message }) => void lost.push(message) },
        });
        for (const until = performance.now() + 2_000; performance.now() < until; );
        await connection.send('/queue/awake', 'x');
        await connection.disconnect();
        return lost;
      }, url);
      expect(told).toEqual([]);
    });

    test('P5: a page that stood still notices that it was away', async () => {
      const awayMs = await page.evaluate(
        () =>
          new Promise<number>((resolve) => {
            stompbox.watchForSleep(stompbox.workerClock, resolve, { everyMs: 100, slackMs: 500 });
            for (const until = performance.now() + 1_000; performance.now() < until; );
          }),
      );
      expect(awayMs).toBeGreaterThan(500);
    });
  });

  test('P1: with timers that ring once in ten seconds, heart-beats are punctual all the same', async () => {
    const page = await browser.newPage();
    // As in a page that is hidden for long; headless ones never are.
    await page.addInitScript(() => {
      const { setTimeout } = globalThis;
      Object.assign(globalThis, { setTimeout: (fn: () => void, ms = 0) => setTimeout(fn, Math.max(ms, 10_000)) });
    });
    await page.goto(sites[0]?.origin ?? '');
    const kind = await page.evaluate(async (url) => {
      let beats = 0;
      const connection = await stompbox.connect(url, {
        heartBeat: { send: 100, expect: 100 },
        observer: {
          heartBeat: (direction) => void (direction === 'sent' && ++beats === 30 && connection.disconnect()),
        },
      });
      return (await connection.closed).kind;
    }, url);
    expect(kind).toBe('disconnected');
    await page.close();
  });
});
