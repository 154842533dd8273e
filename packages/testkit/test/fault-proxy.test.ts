// The proxy that breaks connections, between two plain sockets.

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { FaultProxy, faultPlan, playFaults } from 'testkit/fault-proxy';
import { afterEach, beforeEach, expect, test } from 'vitest';

let server: Server;
let proxy: FaultProxy;
let clients: Socket[];
let came: Socket[];
let awaited: ((socket: Socket) => void)[];

beforeEach(async () => {
  clients = [];
  came = [];
  awaited = [];
  server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on('error', () => {});
    came.push(socket);
    awaited.shift()?.(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  proxy = await FaultProxy.open(`stomp://127.0.0.1:${(server.address() as AddressInfo).port}`);
});

afterEach(async () => {
  await proxy.close();
  await Promise.all([...clients, ...came].map((socket) => closing(socket.destroy())));
  if (server.listening) await new Promise((resolve) => server.close(resolve));
});

function dial(): Socket {
  const socket = connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => {});
  clients.push(socket);
  return socket;
}

async function pair(): Promise<{ client: Socket; broker: Socket }> {
  const arrived = new Promise<Socket>((resolve) => awaited.push(resolve));
  const client = dial();
  await once(client, 'connect');
  return { client, broker: await arrived };
}

async function read(socket: Socket, bytes: number): Promise<{ text: string; chunks: number[] }> {
  let text = '';
  const chunks: number[] = [];
  while (text.length < bytes) {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    chunks.push(chunk.length);
    text += chunk;
  }
  return { text, chunks };
}

const closing = (socket: Socket) =>
  new Promise<void>((resolve) => (socket.closed ? resolve() : socket.resume().on('close', () => resolve())));
const ending = (socket: Socket) => once(socket.resume(), 'end');

test('bytes pass both ways, and an end follows them', async () => {
  const { client, broker } = await pair();
  client.end('hello');
  expect((await read(broker, 5)).text).toBe('hello');
  broker.end('goodbye');
  expect((await read(client, 7)).text).toBe('goodbye');
  await Promise.all([closing(client), closing(broker)]);
  await expect.poll(() => proxy.links.length).toBe(0);
});

test('its URL is the one of the target, with another port', async () => {
  expect(proxy.url).toBe(`stomp://127.0.0.1:${proxy.port}`);
  await using webSocket = await FaultProxy.open('ws://127.0.0.1:1/ws?a=b');
  expect(webSocket.url).toBe(`ws://127.0.0.1:${webSocket.port}/ws?a=b`);
});

test('a reset breaks both sides', async () => {
  const { client, broker } = await pair();
  await expect.poll(() => proxy.links.length).toBe(1);
  proxy.reset();
  await Promise.all([closing(client), closing(broker)]);
  expect(client.errored).toMatchObject({ code: 'ECONNRESET' });
  expect(broker.errored).toMatchObject({ code: 'ECONNRESET' });
});

test('a reset by one side reaches the other as one', async () => {
  const { client, broker } = await pair();
  broker.resetAndDestroy();
  await closing(client);
  expect(client.errored).toMatchObject({ code: 'ECONNRESET' });
});

test.each(['client', 'broker'] as const)(
  'a half-close ends what the %s hears, and it may go on talking',
  async (side) => {
    const { client, broker } = await pair();
    const [deaf, other] = side === 'client' ? [client, broker] : [broker, client];
    await expect.poll(() => proxy.links.length).toBe(1);
    proxy.halfClose(side);
    other.write('lost');
    await ending(deaf);
    deaf.write('still here');
    expect((await read(other, 10)).text).toBe('still here');
  },
);

test('a silent connection stays open and forwards nothing, until it heals', async () => {
  const { client, broker } = await pair();
  await expect.poll(() => proxy.links.length).toBe(1);
  proxy.silence();
  client.end('late');
  const second = await pair(); // a round trip, in which the bytes would have arrived
  second.client.write('x');
  await read(second.broker, 1);
  expect(broker.bytesRead).toBe(0);
  proxy.heal();
  expect((await read(broker, 4)).text).toBe('late');
});

test('one whose client has gone in silence is told so when it heals', async () => {
  const { client, broker } = await pair();
  await expect.poll(() => proxy.links.length).toBe(1);
  proxy.silence();
  client.resetAndDestroy();
  await expect.poll(() => proxy.links.length).toBe(0);
  expect(broker.destroyed).toBe(false);
  proxy.heal();
  await closing(broker);
});

test('pieces are no larger than the weather lets through, and nothing is lost', async () => {
  const { client, broker } = await pair();
  proxy.weather = { pieceBytes: 3 };
  client.write('0123456789');
  const { text, chunks } = await read(broker, 10);
  expect(text).toBe('0123456789');
  expect(chunks.length).toBeGreaterThan(1);
});

test('a delayed byte comes no sooner than that, and keeps its place', async () => {
  const { client, broker } = await pair();
  await expect.poll(() => proxy.links.length).toBe(1);
  proxy.weather = { delayMs: 50 };
  const began = performance.now();
  client.write('late, ');
  client.write('in order');
  expect((await read(broker, 14)).text).toBe('late, in order');
  expect(performance.now() - began).toBeGreaterThanOrEqual(49);
});

test('a throttle lets so many bytes through in a second', async () => {
  proxy.weather = { bytesPerSecond: 20_000 };
  const { client, broker } = await pair();
  const began = performance.now();
  client.write('x'.repeat(5_000));
  await read(broker, 5_000);
  expect(performance.now() - began).toBeGreaterThanOrEqual(150);
});

test('a fast sender is held up by a slow receiver', async () => {
  const { client, broker } = await pair();
  broker.pause();
  const large = Buffer.alloc(64 * 1024 * 1024);
  expect(client.write(large)).toBe(false);
  const drained = once(client, 'drain');
  broker.resume();
  await drained;
});

test('new connections are refused and old ones stay, until they are accepted again', async () => {
  const { client, broker } = await pair();
  proxy.refuse();
  const refused = dial();
  await closing(refused);
  expect(refused.errored).toMatchObject({ code: 'ECONNREFUSED' });
  client.write('old');
  expect((await read(broker, 3)).text).toBe('old');
  await proxy.accept();
  await pair();
});

test('a reordered connection is overtaken by the next one', async () => {
  proxy.reorder();
  const first = dial();
  first.write('first');
  await once(first, 'connect');
  const { client, broker } = await pair();
  client.write('second');
  expect((await read(broker, 6)).text).toBe('second');
  await expect.poll(() => came.length).toBe(2);
  expect((await read(came[1] as Socket, 5)).text).toBe('first');
});

test('another target serves the connections that come', async () => {
  const { client, broker } = await pair();
  proxy.forwardTo('stomp://127.0.0.1:1');
  await closing(dial());
  client.write('old');
  expect((await read(broker, 3)).text).toBe('old');
});

test('where the target is gone, so is the connection', async () => {
  server.close();
  const client = dial();
  await closing(client);
  expect(client.errored).toMatchObject({ code: 'ECONNRESET' });
});

test('a plan is the same for the same seed, and has every kind of fault', () => {
  const plan = faultPlan({ seed: 7, count: 200 });
  expect(faultPlan({ seed: 7, count: 200 })).toEqual(plan);
  expect(faultPlan({ seed: 8, count: 200 })).not.toEqual(plan);
  const kinds = [...new Set(plan.map(({ kind }) => kind))].sort();
  expect(kinds).toEqual(['half-close', 'refuse', 'reorder', 'reset', 'silent', 'weather']);
});

test('a plan that was played leaves fair weather and an open door', async () => {
  const seen: string[] = [];
  await pair();
  const plan = faultPlan({ seed: 3, count: 60, mostApartMs: 3, mostForMs: 5 });
  await playFaults(proxy, plan, ({ kind }) => seen.push(kind));
  expect(seen).toEqual(plan.map(({ kind }) => kind));
  expect(proxy.weather).toEqual({});
  await pair();
});

test('close() waits for nobody who does not read, also in the middle of a reset', async () => {
  const { client, broker } = await pair();
  broker.pause();
  client.write(Buffer.alloc(64 * 1024 * 1024));
  const other = await pair();
  await expect.poll(() => proxy.links.length).toBe(2);
  await expect.poll(() => broker.readableLength).toBeGreaterThan(0);
  other.client.end();
  proxy.reset();
  await proxy.close();
  expect(proxy.links).toEqual([]);
});

test('close() leaves nothing running, whatever was under way', async () => {
  const timers = running('Timeout');
  const other = await FaultProxy.open(proxy.url);
  const playing = playFaults(other, [{ kind: 'refuse', afterMs: 3_600_000, forMs: 1 }]);
  const held = connect(other.port, '127.0.0.1').on('error', () => {});
  await once(held, 'connect');
  other.weather = { delayMs: 3_600_000 };
  held.write('never');
  await expect.poll(() => other.links.length).toBe(1);
  other.silence();
  other.reorder();
  const second = connect(other.port, '127.0.0.1').on('error', () => {});
  await once(second, 'connect');
  await expect.poll(() => other.accepted).toBe(2);
  await Promise.all([other.close(), other.close(), playing, closing(held), closing(second)]);
  expect(running('Timeout')).toBeLessThanOrEqual(timers);
  await expect.poll(() => running('TCPSocketWrap')).toBe(0);
  expect(running('TCPServerWrap')).toBe(2); // of beforeEach
});

function running(kind: string): number {
  return process.getActiveResourcesInfo().filter((name) => name === kind).length;
}
