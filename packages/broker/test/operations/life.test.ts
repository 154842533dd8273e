// Operated: a file starts a broker, what changes is reloaded, the log and the figures tell of it, and the end says what it left.

import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { dial } from '@stompbox/transport/dial';
import { MemoryClient, quiet } from 'testkit';
import { beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import {
  authorizeBy,
  type Broker,
  createBroker,
  EVENTS,
  LIMITS,
  METRICS,
  passcodes,
  readConfig,
  renderMetrics,
  SECTIONS,
  writeUser,
} from '../../src/index.ts';
import { place } from '../support.ts';
import { type Certificates, certificatesOfAll, remembering } from './support.ts';

const COST = { ln: 4, r: 8, p: 1 };
let made: Certificates;
let folder: string;

beforeAll(async () => {
  made = await certificatesOfAll();
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stompbox-life-'));
  return () => rmSync(folder, { recursive: true });
});

const file = (name: string, text: string) => writeFileSync(join(folder, name), text);

function closedWithTest(broker: Broker): Broker {
  onTestFinished(async () => {
    await broker.close({ timeoutMs: 100 });
  });
  return broker;
}

/** The common name of the certificate that a TLS port shows now. */
function nameShownBy(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: Number(new URL(url).port), rejectUnauthorized: false }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

test('a file that uses every key starts a broker that does what it says, and is reloaded', async () => {
  file('cert.pem', made.server.cert);
  file('key.pem', made.server.key);
  file('ca.pem', made.ca);
  await writeUser(join(folder, 'users'), 'app', 'secret', { cost: COST, groups: ['staff'] });
  const config = `
listen: [tcp://127.0.0.1:0, stomp+ssl://127.0.0.1:0, wss://127.0.0.1:0]
open: false
server: mine/1
requireHost: true
tls: { cert: cert.pem, key: key.pem, ca: ca.pem, requestClientCertificate: optional }
webSocket: { path: /ws, origins: any, compress: true }
users: users
certificates: { worker: app }
rules: [{ who: app, may: [send, subscribe], destination: '/queue/>' }]
data: data
whenFull: drop-oldest
deadLetters: { prefix: dead. }
log: { level: debug }
limits:
${Object.entries(LIMITS)
  .map(([name, limit]) => `  ${name}: ${name === 'maxQueueMessages' ? 2 : limit.default}`)
  .join('\n')}
`;
  const path = join(folder, 'stompbox.yaml');
  writeFileSync(path, config);
  for (const { name } of SECTIONS.flatMap(({ settings }) => settings)) {
    const [section, key] = name.split('.');
    expect(config, name).toMatch(new RegExp(key === undefined ? `^${section}:` : `${key}:`, 'm'));
  }
  const { options } = await readConfig(path);
  const log = remembering();
  const broker = closedWithTest(await createBroker({ ...options, log }));
  const [tcp = '', tls = '', ws = ''] = broker.urls;
  expect(ws).toMatch(/\/ws$/);
  const client = new MemoryClient(await dial(tcp));
  const connected = await client.connect({ login: 'app', passcode: 'secret' });
  expect(connected.get('server')).toBe('mine/1');
  for (let i = 0; i < 3; i++) await client.send('/queue/q', `${i}`); // the first one is dropped
  await client.subscribe('1', '/queue/q', 'client-individual');
  const [one] = await client.take(2);
  expect(one?.text()).toBe('1');
  if (one) client.settle('NACK', one, { requeue: 'false' });
  await client.ask('UNSUBSCRIBE', { id: '1' });
  expect(broker.inspect.queues().map(({ name }) => name)).toContain('dead.q');
  const secure = new MemoryClient(
    await dial(tls.replace('127.0.0.1', 'localhost'), { tls: { ca: made.ca, ...made.client } }),
  );
  await secure.connect();
  const web = new MemoryClient(await dial(ws.replace('127.0.0.1', 'localhost'), { tls: { ca: made.ca } }));
  await web.connect({ login: 'app', passcode: 'secret' });
  web.say('SEND', { destination: '/topic/t' });
  expect((await web.error()).get('message')).toBe('you may not send here');
  expect(readdirSync(join(folder, 'data'))).toContain('data.mdb');
  const events = log.told.map(({ event }) => event);
  for (const event of [
    'store-opened',
    'broker-started',
    'connection-opened',
    'login-accepted',
    'dead-letter',
    'access-refused',
  ] as const)
    expect(events).toContain(event);
  expect(log.of('store-opened')).toMatchObject([{ path: join(folder, 'data'), messages: 0 }]);

  file('cert.pem', made.elsewhere.cert);
  file('key.pem', made.elsewhere.key);
  await writeUser(join(folder, 'users'), 'app', 'other', { cost: COST });
  writeFileSync(path, config.replace('/queue/>', '/topic/>'));
  broker.reload((await readConfig(path)).options);
  expect([await nameShownBy(tls), await nameShownBy(ws)]).toEqual(['elsewhere.example', 'elsewhere.example']);
  await client.ask('BEGIN', { transaction: 't' }); // the old connection is there, under the new rules
  await client.send('/topic/t');
  client.say('SEND', { destination: '/queue/q' });
  expect((await client.error()).get('message')).toBe('you may not send here');
  await expect(new MemoryClient(await dial(tcp)).connect({ login: 'app', passcode: 'secret' })).rejects.toThrow(
    'refused',
  );
  await new MemoryClient(await dial(tcp)).connect({ login: 'app', passcode: 'other' });
  expect(log.of('configuration-reloaded')).toEqual([{ what: ['tls', 'authenticate', 'authorize'] }]);
});

test('what cannot be reloaded changes nothing, and is told', async () => {
  const log = remembering();
  const listen = ['stomp+ssl://127.0.0.1:0'];
  const broker = closedWithTest(
    await createBroker({ listen, tls: made.server, log, authenticate: passcodes({ a: 'b' }) }),
  );
  const mixed = { cert: made.server.cert, key: made.elsewhere.key };
  expect(() => broker.reload({ tls: mixed, authenticate: () => ({ name: 'anybody' }) })).toThrow();
  expect(await nameShownBy(broker.urls[0] ?? '')).toBe('localhost');
  const client = new MemoryClient(
    await dial((broker.urls[0] ?? '').replace('127.0.0.1', 'localhost'), { tls: { ca: made.ca } }),
  );
  await expect(client.connect()).rejects.toThrow('the login was refused');
  expect(log.of('reload-failed')).toHaveLength(1);
});

test('other rules are for those who are there too: for their next SEND and SUBSCRIBE', async () => {
  const at = await place({ authorize: authorizeBy([{ who: '*', may: 'send', destination: '>' }]) });
  const client = await at.client();
  await client.send('/queue/q');
  at.broker.reload({ authorize: authorizeBy([]) });
  client.say('SEND', { destination: '/queue/q' });
  expect((await client.error()).get('message')).toBe('you may not send here');
});

describe('the log', () => {
  test('tells of a connection from its beginning to its end, with what it did', async () => {
    const log = remembering();
    const at = await place({ log, logLevel: 'debug' });
    const client = await at.client();
    await client.subscribe('1', '/queue/q');
    await client.send('/queue/q');
    await at.clock.advance(70);
    client.channel.destroy();
    await quiet();
    expect(log.told.map(({ event }) => event)).toEqual([
      'broker-started',
      'connection-opened',
      'login-accepted',
      'connection-closed',
    ]);
    const [opened] = log.of('connection-opened');
    const [closed] = log.of('connection-closed');
    expect(opened).toMatchObject({ transport: 'memory' });
    expect(closed).toMatchObject({
      connection: opened?.connection,
      ms: 70,
      received: 1,
      delivered: 1,
      identity: 'anonymous',
    });
  });

  test('tells of an ERROR, of a limit, and of a subscriber that was given up, but never of a message', async () => {
    const log = remembering();
    const at = await place({ log, limits: { maxQueueMessages: 10, producersWaitAboveBytes: 1_024 } });
    const [client, slow] = [await at.client(), await at.client()];
    await slow.subscribe('1', '/topic/t', 'client', { 'prefetch-count': '1' });
    for (let i = 0; i < 12; i++) client.say('SEND', { destination: '/topic/t' }, 'x'.repeat(1_000));
    await slow.error();
    const before = log.told.length;
    for (let i = 0; i < 10; i++) await client.send('/queue/q');
    expect(log.told.length).toBe(before);
    client.say('SEND', { destination: '/queue/q' });
    await client.error();
    expect(log.of('slow-consumer')).toHaveLength(1);
    expect(log.of('limit-reached')).toMatchObject([{ limit: 'maxQueueMessages' }]);
    expect(log.of('client-error').map(({ code }) => code)).toEqual(['slow-consumer', 'queue-full']);
  });

  test('tells of a file of users that others may read', async () => {
    await writeUser(join(folder, 'users'), 'app', 'secret', { cost: COST });
    chmodSync(join(folder, 'users'), 0o644);
    file('c.yaml', 'listen: tcp://127.0.0.1:0\nusers: users\ndata: false\n');
    const log = remembering();
    const { options } = await readConfig(join(folder, 'c.yaml'));
    const broker = closedWithTest(await createBroker({ ...options, log }));
    broker.reload(options);
    expect(log.of('configuration-warning')).toEqual([
      { warning: expect.stringContaining('chmod 640') },
      { warning: expect.stringContaining('chmod 640') },
    ]);
  });

  test('tells of a poison message', async () => {
    const log = remembering();
    const at = await place({ log, limits: { maxDeliveries: 1 } });
    const client = await at.client();
    await client.subscribe('1', '/queue/q', 'client-individual');
    await client.send('/queue/q');
    client.settle('NACK', await client.next());
    await quiet();
    expect(log.of('dead-letter')).toMatchObject([{ destination: '/queue/q', reason: 'redeliveries', deliveries: 1 }]);
  });

  test('every event is told somewhere', () => {
    const sources = ['broker.ts', 'logins.ts', 'own-engine.ts'].map((name) =>
      readFileSync(new URL(`../../src/${name}`, import.meta.url), 'utf8'),
    );
    for (const event of Object.keys(EVENTS)) expect(sources.join('\n')).toContain(`'${event}'`);
  });
});

test('every metric is told by a broker with a data directory, and reads as text', async () => {
  const at = await place({ data: join(folder, 'data') });
  const client = await at.client();
  await client.subscribe('1', '/queue/q', 'client-individual');
  await client.send('/queue/q', 'abc');
  await client.ask('BEGIN', { transaction: 't' });
  const other = at.dial();
  other.write('BOO\n\n\0');
  await other.error();
  const snapshot = at.broker.metrics();
  for (const name of Object.keys(METRICS))
    if (name !== 'stompbox_series_left_out') expect(snapshot).toHaveProperty(name);
  expect(snapshot).toMatchObject({
    stompbox_info: [{ labels: { engine: 'lmdb' }, value: 1 }],
    stompbox_messages_received_total: 1,
    stompbox_messages_delivered_total: 1,
    stompbox_unsettled: 1,
    stompbox_transactions: 1,
    stompbox_queues: 1,
  });
  expect(snapshot.stompbox_store_commits_total).toBeGreaterThan(0);
  expect(snapshot.stompbox_bytes_received_total).toBeGreaterThan(100);
  expect(renderMetrics(snapshot)).toContain('stompbox_queue_messages{queue="q",state="unsettled"} 1\n');
});

describe('close()', () => {
  test('says that it left nothing', async () => {
    const log = remembering();
    const at = await place({ log, data: join(folder, 'data') });
    const client = await at.client();
    await client.send('/queue/q');
    expect(await at.broker.close()).toEqual({ cut: 0, unsettled: 0, unflushed: 0 });
    expect(log.told.map(({ event }) => event).slice(-3)).toEqual([
      'login-accepted',
      'broker-stopping',
      'broker-stopped',
    ]);
  });

  test('says how many deliveries nobody settled, and how many connections were cut at the deadline', async () => {
    const log = remembering();
    const at = await place({ log, limits: { lingerMs: 10_000 } });
    const client = await at.client();
    await client.subscribe('1', '/queue/q', 'client');
    for (let i = 0; i < 3; i++) await client.send('/queue/q');
    await client.take(3);
    client.channel.pause(); // it will not read our last words
    const closing = at.broker.close({ timeoutMs: 500 });
    await at.clock.advance(500);
    expect(await closing).toEqual({ cut: 1, unsettled: 3, unflushed: 0 });
    expect(log.of('broker-stopped')).toMatchObject([{ cut: 1, unsettled: 3, unflushed: 0, ms: 500 }]);
  });
});

test('docs/operating.md: its code runs, and it names every event', async () => {
  const page = readFileSync(new URL('../../../../docs/operating.md', import.meta.url), 'utf8');
  for (const event of Object.keys(EVENTS)) expect(page, event).toContain(`\`${event}\``);
  const snippets = [...page.matchAll(/```js\n(.*?)```/gs)].map(([, code]) => code ?? '');
  expect(snippets.length).toBeGreaterThan(0);
  file('stompbox.yaml', 'listen: tcp://127.0.0.1:0\n');
  const broker: typeof import('../../src/index.ts') = await import('../../src/index.ts');
  const Run = Object.getPrototypeOf(async () => {}).constructor as new (
    ...args: string[]
  ) => (lib: unknown, process: unknown, path: string) => Promise<void>;
  const code = snippets
    .join('\n')
    .replace(/import (\{.*?\}) from '@stompbox\/broker';/gs, 'const $1 = lib;')
    .replaceAll("'/etc/stompbox/", "path + '/");
  const printed: string[] = [];
  const told: (() => Promise<void>)[] = [];
  const stdout = { write: (text: string) => void printed.push(text) };
  const process = { stdout, stderr: stdout, on: (_: string, run: () => Promise<void>) => void told.push(run) };
  await new Run('lib', 'process', 'path', code)(broker, process, folder);
  for (const run of told) await run();
  const events = printed.join('').match(/"event":"[a-z-]+"/g);
  expect(events).toContain('"event":"broker-started"');
  expect(events).toContain('"event":"configuration-reloaded"');
  expect(events).toContain('"event":"broker-stopped"');
});
