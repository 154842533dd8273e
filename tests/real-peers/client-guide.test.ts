// What docs/client.md shows for a browser, in a real Chromium.

import { readFileSync } from 'node:fs';
import { createBroker } from '@stompbox/broker';
import { chromium as playwright } from 'playwright-core';
import { expect, test } from 'vitest';
import { bundleClient } from './browser/bundle.ts';
import { QUIET, serve } from './browser/site.ts';
import { chromium, withPeer } from './peers.ts';

const page = readFileSync(new URL('../../docs/client.md', import.meta.url), 'utf8');
const [, program = ''] = /^```js browser\n(.*?)^```/ms.exec(page) ?? [];

withPeer('Chromium', chromium, ({ path }) => {
  test('the program of the guide subscribes, keeps its outbox in IndexedDB, and sends', async () => {
    const site = await serve('');
    await using broker = await createBroker({ listen: ['ws://127.0.0.1:0'], webSocket: { origins: [site.origin] } });
    const browser = await playwright.launch({ executablePath: path, args: QUIET });
    try {
      expect(program).toContain('ws://localhost:15674/stomp');
      const { script } = await bundleClient(program.replace('ws://localhost:15674/stomp', broker.urls[0] ?? ''));
      const tab = await browser.newPage();
      await tab.goto(site.origin);
      await tab.addScriptTag({ content: script });
      await tab.waitForFunction(() => document.title === '1.07');
    } finally {
      await browser.close();
      await site.close();
    }
  });
});
