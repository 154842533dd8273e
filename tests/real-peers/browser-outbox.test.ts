// An outbox in the IndexedDB of a real Chromium: what a page sent without a broker, the next page sends.

import { createBroker } from '@stompbox/broker';
import { connect } from '@stompbox/client';
import { type Browser, chromium as playwright } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bundleClient } from './browser/bundle.ts';
import { QUIET, type Site, serve } from './browser/site.ts';
import { chromium, withPeer } from './peers.ts';

/** The client, in the page. */
declare const stompbox: typeof import('@stompbox/client') & typeof import('@stompbox/client/outbox-indexeddb');

const BOTH = `export * from '@stompbox/client'; export * from '@stompbox/client/outbox-indexeddb';`;
const NOBODY = 'ws://127.0.0.1:1'; // where nobody listens

withPeer('Chromium', chromium, ({ path }) => {
  let site: Site;
  let browser: Browser;

  beforeAll(async () => {
    const { script } = await bundleClient(BOTH);
    site = await serve(script);
    browser = await playwright.launch({ executablePath: path, args: QUIET });
  });
  afterAll(async () => {
    await browser?.close();
    await site?.close();
  });

  test('a send outlives its page, byte for byte and in order, and is sent once', async () => {
    const context = await browser.newContext();
    const first = await context.newPage();
    await first.goto(site.origin);
    await first.evaluate(async (nobody) => {
      const store = stompbox.indexedDbOutbox();
      const client = new stompbox.Client(nobody, { outbox: { store }, onError: () => {} });
      for (const body of ['one', Uint8Array.of(0, 10, 255), { three: 3 }]) {
        client.send('/queue/from-the-page', body, { headers: { kind: typeof body } }).catch(() => {});
      }
      const database = await new Promise<IDBDatabase>((resolve) => {
        const opening = indexedDB.open('stompbox-outbox');
        opening.onsuccess = () => resolve(opening.result);
      });
      for (let kept = 0; kept < 3; ) {
        const counting = database.transaction('sends').objectStore('sends').count();
        kept = await new Promise<number>((resolve) => {
          counting.onsuccess = () => resolve(counting.result);
        });
      }
    }, NOBODY);
    await first.close(); // nobody says goodbye

    const broker = await createBroker({
      listen: ['ws://127.0.0.1:0', 'tcp://127.0.0.1:0'],
      webSocket: { origins: [site.origin] },
    });
    const second = await context.newPage();
    await second.goto(site.origin);
    const left = await second.evaluate(async (url) => {
      const store = stompbox.indexedDbOutbox();
      const client = new stompbox.Client(url, { outbox: { store } });
      await client.connect();
      await client.flush();
      await client.close();
      const again = stompbox.indexedDbOutbox();
      const kept = await again.load();
      await again.close();
      return kept.length;
    }, broker.urls[0] ?? '');
    expect(left).toBe(0);

    const connection = await connect(broker.urls[1] ?? '');
    const queue = connection.subscribe('/queue/from-the-page');
    const messages = [await queue.next(), await queue.next(), await queue.next()];
    expect(messages.map((message) => [...message.bytes])).toEqual([
      [...new TextEncoder().encode('one')],
      [0, 10, 255],
      [...new TextEncoder().encode('{"three":3}')],
    ]);
    expect(messages.map(({ headers }) => headers.get('kind'))).toEqual(['string', 'object', 'object']);
    await expect(queue.next({ timeoutMs: 50 })).rejects.toThrow();
    await connection.disconnect();
    await broker.close();
  });
});
