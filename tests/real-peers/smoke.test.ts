// The programs that the other tests of this folder rely on are there: seen without any code of ours.

import { execFile } from 'node:child_process';
import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { promisify } from 'node:util';
import { chromium as playwright } from 'playwright-core';
import { expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { activeMq, chromium, rabbitMq, stompPy, withPeer } from './peers.ts';
import { at, connectFrame, converse } from './raw.ts';

for (const [name, peer] of [
  ['RabbitMQ', rabbitMq],
  ['ActiveMQ', activeMq],
] as const) {
  withPeer(name, peer, (broker) => {
    test('answers CONNECT over TCP', async () => {
      expect(await converse(connectTcp(at(broker.urls.tcp)), [connectFrame(broker)])).toMatch(/^CONNECTED\n/);
    });

    test('answers CONNECT over TLS, with a certificate that verifies', async () => {
      const { host, port } = at(broker.urls.tls);
      const socket = connectTls({ host, port, servername: host, ca: broker.ca });
      expect(await converse(socket, [connectFrame(broker)])).toMatch(/^CONNECTED\n/);
    });

    test('refuses a wrong passcode', async () => {
      const frame = connectFrame({ ...broker, passcode: 'wrong' });
      expect(await converse(connectTcp(at(broker.urls.tcp)), [frame])).toMatch(/^ERROR\n/);
    });
  });
}

withPeer('Web-STOMP of RabbitMQ', rabbitMq, (broker) => {
  test('answers CONNECT in a binary frame', async () => {
    const socket = new WebSocket(broker.urls.ws ?? '', ['v12.stomp']);
    const answer = new Promise<[Buffer, boolean]>((resolve, reject) => {
      socket.once('open', () => socket.send(connectFrame(broker)));
      socket.once('message', (data: Buffer, isBinary) => resolve([data, isBinary]));
      socket.once('error', reject);
    });
    const [data, isBinary] = await answer.finally(() => socket.terminate());
    expect(`${data}`).toMatch(/^CONNECTED\n/);
    expect(isBinary).toBe(true);
  });
});

withPeer('stomp.py', stompPy, ({ path }) => {
  test('has its command line', async () => {
    const { stdout } = await promisify(execFile)(path, ['-m', 'stomp', '--version']);
    expect(stdout).toMatch(/\d+\.\d+/);
  });
});

withPeer('Chromium', chromium, ({ path }) => {
  test('opens a page', async () => {
    const browser = await playwright.launch({ executablePath: path, args: ['--no-sandbox', '--disable-gpu'] });
    const page = await browser.newPage();
    await page.setContent('<title>here</title>');
    expect(await page.title()).toBe('here');
    await browser.close();
  });
});
