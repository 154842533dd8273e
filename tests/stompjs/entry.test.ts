// The entry as those see it who import it: the compiler, and a bundler for browsers.

import { fileURLToPath } from 'node:url';
import {
  ActivationState,
  Client,
  type IFrame,
  type IMessage,
  type Message,
  ReconnectionTimeMode,
  Stomp,
  type StompConfig,
  type StompHeaders,
  type StompSubscription,
} from '@stompbox/client/stompjs';
import { build } from 'esbuild';
import { expect, test } from 'vitest';

const packages = fileURLToPath(new URL('../../packages/', import.meta.url));

test('what applications of stompjs write down as types still compiles', () => {
  const headers: StompHeaders = { login: 'me' };
  const config: StompConfig = {
    webSocketFactory: () => new WebSocket('ws://localhost/ws'),
    connectHeaders: headers,
    beforeConnect: async (client: Client): Promise<void> => {
      client.connectHeaders = headers;
    },
    onConnect: (frame: IFrame) => void frame.headers.session,
    onWebSocketClose: (event: CloseEvent) => void event.wasClean,
    onWebSocketError: (event: Event) => void event.target,
    onChangeState: (state: ActivationState) => void ActivationState[state],
    reconnectTimeMode: ReconnectionTimeMode.EXPONENTIAL,
  };
  const client: Client = new Client(config);
  const subscribed = (): StompSubscription => client.subscribe('/queue/a', (message: Message) => void message.body);
  const handled = (message: IMessage): void => message.ack({ transaction: 'a' });
  const before = (): void => Stomp.over(() => new WebSocket('ws://localhost/ws')).connect({}, () => {});
  expect([typeof subscribed, typeof handled, typeof before]).toEqual(['function', 'function', 'function']);
});

test('it bundles for a browser: nothing of Node in it, and of the transports only what is loaded when asked for', async () => {
  const { outputFiles, metafile } = await build({
    stdin: { contents: `export { Client } from '${packages}client/src/stompjs.ts';`, resolveDir: packages },
    bundle: true,
    write: false,
    splitting: true,
    outdir: 'out',
    minify: true,
    metafile: true,
    platform: 'browser',
    format: 'esm',
    target: 'es2022',
    alias: {
      '@stompbox/protocol': `${packages}protocol/src/index.ts`,
      '@stompbox/transport/dial': `${packages}transport/src/dial-browser.ts`,
      '@stompbox/transport': `${packages}transport/src/index.ts`,
    },
  });
  const inputs = Object.keys(metafile.inputs);
  expect(inputs.filter((path) => path.startsWith('node:') || path.includes('node_modules'))).toEqual([]);
  const first = Object.values(metafile.outputs).find(({ entryPoint }) => entryPoint !== undefined);
  expect(Object.keys(first?.inputs ?? {}).filter((path) => path.includes('packages/transport'))).toEqual([]);
  expect(outputFiles.length).toBeGreaterThan(1);
});
