// The browser build of the client: what is in it, and that it works in a real Chromium against our broker.

import { gzipSync } from 'node:zlib';
import { type Broker, createBroker } from '@stompbox/broker';
import { type Browser, type Page, chromium as playwright } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bundleClient } from './browser/bundle.ts';
import { QUIET, type Site, serve } from './browser/site.ts';
import { chromium, withPeer } from './peers.ts';

/** The client, in the page. */
declare const stompbox: typeof import('@stompbox/client');

const VERSIONS = ['1.0', '1.1', '1.2'] as const;

const { script, files } = await bundleClient();

describe('the browser build', () => {
  test('is made of our own files alone, and has neither Node nor ws in it', () => {
    expect(files).toContain('client/src/connection/connect.ts');
    expect(files).toContain('transport/src/dial-browser.ts');
    expect(files.filter((name) => !/^(client|protocol|transport)\/src\//.test(name))).toEqual([]);
    expect(files.filter((name) => /node|tcp|tls\./.test(name))).toEqual([]);
    expect(/["']node:|\brequire\(/.exec(script)?.[0]).toBeUndefined();
  });

  // 10 kB are wanted for the Client; these keep what there is from growing.
  test.each([
    ['connect', 31],
    ['Publisher', 44],
    ['Client', 48],
    ['*', 53],
  ])('with %s in it is smaller than %d kB, minified and gzipped', async (name, most) => {
    const wanted = name === '*' ? name : `{ ${name} }`;
    const bundle = await bundleClient(`export ${wanted} from '@stompbox/client';`);
    const kilobytes = gzipSync(bundle.script, { level: 9 }).length / 1_000;
    process.stdout.write(`a browser's bundle with ${name}: ${kilobytes.toFixed(1)} kB\n`);
    expect(kilobytes).toBeLessThan(most);
  });
});

withPeer('Chromium', chromium, ({ path }) => {
  let site: Site;
  let elsewhere: Site;
  let broker: Broker;
  let browser: Browser;
  let page: Page;
  let url: string;

  beforeAll(async () => {
    [site, elsewhere] = await Promise.all([serve(script), serve(script)]);
    broker = await createBroker({
      listen: ['ws://127.0.0.1:0'],
      webSocket: { origins: [site.origin] },
      limits: { minHeartBeatMs: 100 },
    });
    url = broker.urls[0] ?? '';
    browser = await playwright.launch({ executablePath: path, args: QUIET });
    page = await browser.newPage();
    await page.goto(site.origin);
  });
  afterAll(async () => {
    await browser?.close();
    await Promise.all([broker?.close(), site?.close(), elsewhere?.close()]);
  });

  describe.each(VERSIONS)('in STOMP %s', (version) => {
    test('connects over WebSocket', async () => {
      const connected = await page.evaluate(
        async ({ url, version }) => {
          const connection = await stompbox.connect(url, { versions: [version] });
          const { version: agreed, server } = connection;
          await connection.disconnect();
          return { agreed, server, end: (await connection.closed).kind };
        },
        { url, version },
      );
      expect(connected).toEqual({ agreed: version, server: expect.stringMatching(/^Stompbox/), end: 'disconnected' });
      await expect.poll(() => broker.stats().connections).toBe(0);
    });

    test('sends text, JSON and octets, and gets them back by iterating', async () => {
      const bodies = await page.evaluate(
        async ({ url, version, queue }) => {
          const connection = await stompbox.connect(url, { versions: [version] });
          await connection.send(queue, 'zażółć 🐢');
          await connection.send(queue, { answer: 42 });
          await connection.send(
            queue,
            Uint8Array.from({ length: 256 }, (_, octet) => octet),
          );
          await connection.send(queue, new Uint8Array(1 << 20).fill(7));
          const messages = [];
          for await (const message of connection.subscribe(queue)) if (messages.push(message) === 4) break;
          const [text, json, octets, large] = messages;
          await connection.disconnect();
          return [text?.text(), json?.json(), [...(octets?.bytes ?? [])], large?.bytes.every((octet) => octet === 7)];
        },
        { url, version, queue: uniqueQueue() },
      );
      expect(bodies).toEqual(['zażółć 🐢', { answer: 42 }, Array.from({ length: 256 }, (_, octet) => octet), true]);
    });

    test('acks one message and leaves the other', async () => {
      const queue = uniqueQueue();
      const seen = await page.evaluate(
        async ({ url, version, queue }) => {
          const connection = await stompbox.connect(url, { versions: [version] });
          await connection.send(queue, 'one');
          await connection.send(queue, 'two');
          const subscription = connection.subscribe(queue, { ack: 'client-individual' });
          const [one, two] = [await subscription.next(), await subscription.next()];
          await two.ack({ confirm: true });
          await connection.disconnect();
          return [one.text(), two.text()];
        },
        { url, version, queue },
      );
      expect(seen).toEqual(['one', 'two']);
      await expect.poll(() => queued(queue)).toMatchObject({ waiting: 1, unsettled: 0 });
    });

    test('commits a transaction and aborts another', async () => {
      const queue = uniqueQueue();
      const result = await page.evaluate(
        async ({ url, version, queue }) => {
          const connection = await stompbox.connect(url, { versions: [version] });
          await connection.transaction(async (transaction) => {
            await transaction.send(queue, 'one');
            await transaction.send(queue, 'two');
          });
          const failed = await connection
            .transaction(async (transaction) => {
              await transaction.send(queue, 'three');
              throw new Error('changed my mind');
            })
            .catch((error: Error) => error.message);
          await connection.disconnect();
          return failed;
        },
        { url, version, queue },
      );
      expect(result).toBe('changed my mind');
      expect(queued(queue)).toMatchObject({ waiting: 2 });
    });

    test('hears by callback what another tab says on a topic', async () => {
      const topic = `/topic/${crypto.randomUUID()}`;
      const hearing = page.evaluate(
        async ({ url, version, topic }) => {
          const connection = await stompbox.connect(url, { versions: [version] });
          const heard = await new Promise((resolve) => {
            connection.subscribe(topic, (message) => resolve(message.text()));
            connection.send('/queue/listening', topic);
          });
          await connection.disconnect();
          return heard;
        },
        { url, version, topic },
      );
      const other = await browser.newPage();
      try {
        await other.goto(site.origin);
        await other.evaluate(
          async ({ url, topic }) => {
            const connection = await stompbox.connect(url);
            for await (const message of connection.subscribe('/queue/listening')) if (message.text() === topic) break;
            await connection.send(topic, 'news');
            await connection.disconnect();
          },
          { url, topic },
        );
        expect(await hearing).toBe('news');
      } finally {
        await other.close();
      }
    });

    test('an ERROR is a BrokerError', async () => {
      const error = await page.evaluate(
        async ({ url, version }) => {
          const connection = await stompbox.connect(url, { versions: [version] });
          const error: unknown = await connection.send('/queue/', 'nowhere').catch((reason: unknown) => reason);
          return [error instanceof stompbox.BrokerError, String(error)];
        },
        { url, version },
      );
      expect(error).toEqual([true, expect.stringContaining('names nothing')]);
    });
  });

  test.each(['1.1', '1.2'] as const)('beats in STOMP %s, and hears us beat', async (version) => {
    const beats = await page.evaluate(
      async ({ url, version }) => {
        const beats = { sent: 0, received: 0 };
        const connection = await stompbox.connect(url, {
          versions: [version],
          heartBeat: { send: 100, expect: 100 },
          observer: { heartBeat: (direction) => void beats[direction]++ },
        });
        for (let ms = 0; ms < 5_000 && (beats.sent < 3 || beats.received < 3); ms += 20) {
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
        await connection.disconnect();
        return beats;
      },
      { url, version },
    );
    expect(beats.sent).toBeGreaterThanOrEqual(3);
    expect(beats.received).toBeGreaterThanOrEqual(3);
  });

  test('a page of another origin is kept out (W-12)', async () => {
    const stranger = await browser.newPage();
    try {
      await stranger.goto(elsewhere.origin);
      const error = await stranger.evaluate(
        (url) =>
          stompbox.connect(url).then(
            () => 'connected',
            (error: { name: string; code: string }) => `${error.name} ${error.code}`,
          ),
        url,
      );
      expect(error).toBe('ConnectionLost unreachable');
    } finally {
      await stranger.close();
    }
  });

  test('a tab that is closed gives back what it had not acked', async () => {
    const queue = uniqueQueue();
    const tab = await browser.newPage();
    await tab.goto(site.origin);
    await tab.evaluate(
      async ({ url, queue }) => {
        const connection = await stompbox.connect(url);
        await connection.send(queue, 'unfinished');
        await connection.subscribe(queue, { ack: 'client' }).next();
      },
      { url, queue },
    );
    expect(queued(queue)).toMatchObject({ unsettled: 1 });
    await tab.close();
    await expect.poll(() => queued(queue)).toMatchObject({ waiting: 1, unsettled: 0 });
  });

  function queued(text: string) {
    return broker.inspect.queues().find(({ name }) => `/queue/${name}` === text);
  }
});

function uniqueQueue(): string {
  return `/queue/${crypto.randomUUID()}`;
}
