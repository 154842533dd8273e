import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { WebSocket } from 'ws';
import type { Channel } from '../src/channel.ts';
import { dial } from '../src/dial.ts';
import type { DialOptions } from '../src/dial-options.ts';
import { type ListenOptions, listen } from '../src/listen.ts';
import { type MemoryOptions, memoryPair } from '../src/memory.ts';
import { makeCertificates } from './certificates.ts';
import { channelContract, type Pair } from './contract.ts';

const certificates = makeCertificates();
const dir = mkdtempSync(join(tmpdir(), 'stompbox-unix-'));
afterAll(() => rmSync(dir, { recursive: true }));

const noHalfClose = 'a WebSocket closes both ways at once';

async function connected(url: string, dialling: DialOptions = {}, listening: ListenOptions = {}): Promise<Pair> {
  let arrived: (channel: Channel) => void = () => {};
  const accepted = new Promise<Channel>((resolve) => {
    arrived = resolve;
  });
  const listener = await listen(url, listening, (channel) => arrived(channel));
  const near = await dial(listener.url, dialling);
  return { near, far: await accepted, close: () => listener.close() };
}

function inMemory(options: MemoryOptions = {}): Pair {
  const { a, b } = memoryPair(options);
  return { near: a, far: b, close: async () => {} };
}

function turned(pair: Pair): Pair {
  return { near: pair.far, far: pair.near, close: pair.close };
}

const tls = { tls: { ca: certificates.ca } };
const serverTls = { tls: certificates.server };
const factory = (url: string, protocols: string[]): WebSocket => new WebSocket(url, protocols);
const schedule = (ms: number, fn: () => void): void => void setTimeout(fn, ms);

channelContract('memory', async () => inMemory());
channelContract('memory in odd chunks', async () => inMemory({ split: [1, 1000, 7, 65_536] }));
channelContract('memory with a delay', async () => inMemory({ delayMs: 1, schedule }));
channelContract('memory, framed', async () => inMemory({ framed: true }), { noHalfClose });
channelContract('tcp', () => connected('tcp://127.0.0.1:0'));
channelContract('tcp, seen from the listener', async () => turned(await connected('tcp://127.0.0.1:0')));
channelContract('unix', () => connected(`stomp+unix://${dir}/contract.sock`));
channelContract('tls', () => connected('stomp+ssl://127.0.0.1:0', tls, serverTls));
channelContract('tls, seen from the listener', async () =>
  turned(await connected('stomp+ssl://127.0.0.1:0', tls, serverTls)),
);
channelContract('ws', () => connected('ws://127.0.0.1:0'), { noHalfClose });
channelContract('ws, seen from the listener', async () => turned(await connected('ws://127.0.0.1:0')), { noHalfClose });
channelContract('wss', () => connected('wss://127.0.0.1:0', tls, serverTls), { noHalfClose });
channelContract(
  'ws with permessage-deflate',
  () => connected('ws://127.0.0.1:0', { webSocket: { compress: true } }, { webSocket: { compress: true } }),
  { noHalfClose },
);
channelContract('ws through a factory', () => connected('ws://127.0.0.1:0', { webSocket: { factory } }), {
  noHalfClose,
});
