// Guarded: users, certificates, tokens and rules through a real broker; and no secret in any log.

import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseEndpoint, type WebSocketEndpoint } from '@stompbox/transport';
import { dial } from '@stompbox/transport/dial';
import { dialNodeWebSocket } from '@stompbox/transport/node';
import { MemoryClient, quiet } from 'testkit';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import {
  type Authenticate,
  authorizeBy,
  type Broker,
  type BrokerOptions,
  certificates,
  createBroker,
  either,
  usersFile,
  writeUser,
} from '../../src/index.ts';
import { place } from '../support.ts';
import { type Certificates, certificatesOfAll, remembering } from './support.ts';

const COST = { ln: 4, r: 8, p: 1 };
const SECRET = 'a:b\\c ü p4ssc0de';

let made: Certificates;
let folder: string;
let users: string;

beforeAll(async () => {
  made = await certificatesOfAll();
  folder = mkdtempSync(join(tmpdir(), 'stompbox-guarded-'));
  users = join(folder, 'users');
  await writeUser(users, 'app', SECRET, { cost: COST, groups: ['staff'] });
  await writeUser(users, 'guest', 'guest-passcode', { cost: COST });
  return () => rmSync(folder, { recursive: true });
});

async function listening(options: BrokerOptions): Promise<Broker> {
  const broker = await createBroker(options);
  onTestFinished(async () => {
    await broker.close({ timeoutMs: 100 });
  });
  return broker;
}

describe('a broker with a file of users', () => {
  test('lets in by the exact octets, in every version (M-53)', async () => {
    const { authenticate } = await usersFile(users);
    const at = await place({ authenticate });
    for (const version of ['1.1', '1.2'] as const) {
      const client = at.dial(version);
      const escaped = SECRET; // CONNECT does not escape
      client.write(`CONNECT\naccept-version:${version}\nhost:h\nlogin:app\npasscode:${escaped}\n\n\0`);
      expect((await client.next()).command).toBe('CONNECTED');
    }
    const wrong = at.dial();
    wrong.write(`CONNECT\naccept-version:1.2\nhost:h\nlogin:app\npasscode:${SECRET} \n\n\0`);
    await wrong.error();
  });

  test('wrong passcode, then SENDs: one ERROR, and nothing is kept (M-51)', async () => {
    const { authenticate } = await usersFile(users);
    const at = await place({ authenticate });
    const client = at.dial();
    const sends = 'SEND\ndestination:/queue/q\nreceipt:1\n\n\0'.repeat(3);
    client.write(`CONNECT\naccept-version:1.2\nhost:h\nlogin:app\npasscode:wrong\n\n\0${sends}`);
    await client.error();
    expect(client.frames.map(({ command }) => command)).toEqual(['ERROR']);
    expect(at.broker.inspect.queues()).toEqual([]);
  });

  test('of repeated login and passcode headers the first counts (M-52)', async () => {
    const { authenticate } = await usersFile(users);
    const at = await place({ authenticate });
    const good = `login:app\npasscode:${SECRET}\n`;
    const bad = 'login:app\npasscode:wrong\n';
    const first = at.dial();
    first.write(`CONNECT\naccept-version:1.2\nhost:h\n${good}${bad}\n\0`);
    expect((await first.next()).command).toBe('CONNECTED');
    const second = at.dial();
    second.write(`CONNECT\naccept-version:1.2\nhost:h\n${bad}${good}\n\0`);
    await second.error();
  });

  test('rules refuse without a hint whether the destination exists (M-85)', async () => {
    const { authenticate } = await usersFile(users);
    const authorize = authorizeBy([
      { who: '@staff', may: ['send', 'subscribe'], destination: '/queue/>' },
      { who: 'guest', may: 'send', destination: '/queue/open' },
    ]);
    const log = remembering();
    const at = await place({ authenticate, authorize, log });
    const app = await at.client('1.2', { login: 'app', passcode: SECRET });
    await app.send('/queue/there');
    const said = [];
    for (const destination of ['/queue/there', '/queue/not-there']) {
      const guest = await at.client('1.2', { login: 'guest', passcode: 'guest-passcode' });
      guest.say('SEND', { destination, receipt: 'r' });
      said.push((await guest.error()).get('message'));
    }
    expect(said[0]).toBe(said[1]);
    expect(log.of('access-refused')).toMatchObject([
      { identity: 'guest', verb: 'send', destination: '/queue/there' },
      { identity: 'guest', verb: 'send', destination: '/queue/not-there' },
    ]);
  });

  test('a temporary queue takes what others send, and nobody else’s SUBSCRIBE, whatever the rules (M-84)', async () => {
    const { authenticate } = await usersFile(users);
    const authorize = authorizeBy([{ who: '*', may: ['send', 'subscribe'], destination: '>' }]);
    const at = await place({ authenticate, authorize });
    const [a, b] = [
      await at.client('1.2', { login: 'app', passcode: SECRET }),
      await at.client('1.2', { login: 'guest', passcode: 'guest-passcode' }),
    ];
    await b.subscribe('1', '/queue/asked');
    await a.send('/queue/asked', '', { 'reply-to': '/temp-queue/mine' });
    const replyTo = (await b.next()).get('reply-to') ?? '';
    await b.send(replyTo, 'answer');
    expect(await a.bodies(1)).toEqual(['answer']);
    b.say('SUBSCRIBE', { id: '2', destination: replyTo });
    await b.error();
  });
});

test('an authenticator that throws makes the address wait as well (M-54), and its words are told without the passcode', async () => {
  const log = remembering();
  const at = await place({
    log,
    authenticate({ passcode }) {
      throw new Error(`cannot parse ${passcode}`, { cause: new Error(`${passcode} has no dots`) });
    },
  });
  const waits: number[] = [];
  for (let i = 0; i < 4; i++) {
    const client = at.dial();
    const start = at.clock.now();
    client.say('CONNECT', { 'accept-version': '1.2', host: 'h', login: 'app', passcode: 'tokentoken' });
    await quiet();
    while (client.frames.length === 0) await at.clock.advance(50);
    waits.push(at.clock.now() - start);
  }
  expect(waits).toEqual([0, 100, 200, 400]);
  expect(log.of('login-failed')[0]?.error).toBe('Error: cannot parse *** <- Error: *** has no dots');
  expect(log.text).not.toContain('tokentoken');
});

test('no secret is in any log, whatever the client does with it', async () => {
  const { authenticate } = await usersFile(users);
  const log = remembering();
  const at = await place({ authenticate, log, logLevel: 'debug', authorize: (_, verb) => verb === 'send' });
  const connect = (headers: string) => `CONNECT\naccept-version:1.2\nhost:h\n${headers}\n\0`;
  const said = [
    connect(`login:app\npasscode:${SECRET}\n`),
    connect('login:app\npasscode:S3CRET\n'),
    connect('login:S3CRET\npasscode:app\n'),
    connect('passcode:S3CRET\nlogin\n'),
    connect('S3CRET\n'),
    connect('passcode:S3CRET\\q\n'),
    connect(`passcode:${'S3CRET'.repeat(20_000)}\n`),
    'CONNECT\naccept-version:S3CRET\n\n\0',
    'S3CRET\n\n\0',
    `${connect(`login:app\npasscode:${SECRET}\n`)}SEND\ndestination:/queue/q\nheart-beat:S3CRET\nexpires:S3CRET\n\nS3CRET\0SUBSCRIBE\nid:1\ndestination:/queue/q\n\n\0`,
    `${connect(`login:app\npasscode:${SECRET}\n`)}SEND\nS3CRET\n\n\0`,
  ];
  for (const words of said) {
    const client = at.dial();
    client.write(words);
    await quiet();
    await at.clock.advance(5_000);
    client.channel.destroy();
  }
  await quiet();
  expect(log.told.length).toBeGreaterThan(20);
  expect(log.text).not.toContain('S3CRET');
  expect(log.text).not.toContain('p4ssc0de');
  expect(log.of('login-refused').length).toBeGreaterThan(0);
  const metrics = JSON.stringify(at.broker.metrics());
  expect(metrics).not.toContain('S3CRET');
});

test('a client certificate stands for a login, over TLS; one from elsewhere gets nowhere', async () => {
  const authenticate = either(
    certificates({ worker: { name: 'app', groups: ['staff'] } }),
    (await usersFile(users)).authenticate,
  );
  const authorize = authorizeBy([{ who: '@staff', may: ['send', 'subscribe'], destination: '>' }]);
  const tls = { ...made.server, ca: made.ca, requestClientCertificate: 'optional' as const };
  const broker = await listening({ listen: ['stomp+ssl://127.0.0.1:0'], tls, authenticate, authorize });
  const url = (broker.urls[0] ?? '').replace('127.0.0.1', 'localhost');
  const client = new MemoryClient(await dial(url, { tls: { ca: made.ca, ...made.client } }));
  await client.connect();
  await client.send('/queue/q', 'x');
  const byPasscode = new MemoryClient(await dial(url, { tls: { ca: made.ca } }));
  await byPasscode.connect({ login: 'guest', passcode: 'guest-passcode' });
  const nobody = new MemoryClient(await dial(url, { tls: { ca: made.ca } }));
  await expect(nobody.connect({ login: 'app' })).rejects.toThrow('the login was refused');
  const another = new MemoryClient(await dial(url, { tls: { ca: made.ca, ...made.client } }));
  await expect(another.connect({ login: 'guest' })).rejects.toThrow('the login was refused');
});

test('the JWT example lets a token in, with its groups for the rules, and no other', async () => {
  const example = new URL('../../../../examples/jwt-authenticator.mjs', import.meta.url).href;
  const { jwt } = (await import(/* @vite-ignore */ example)) as { jwt(options: { secret: string }): Authenticate };
  const secret = 'a secret of at least thirty-two bytes';
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const head = part({ alg: 'HS256' });
  const claims = part({ sub: 'ann', groups: ['staff'], exp: Date.now() / 1_000 + 60 });
  const signature = createHmac('sha256', secret).update(`${head}.${claims}`).digest('base64url');
  const log = remembering();
  const authorize = authorizeBy([{ who: '@staff', may: 'send', destination: '/queue/q' }]);
  const at = await place({ authenticate: jwt({ secret }), authorize, log });
  const client = await at.client('1.2', { passcode: `${head}.${claims}.${signature}` });
  await client.send('/queue/q');
  await expect(at.client('1.2', { passcode: `${head}.${claims}.x` })).rejects.toThrow('the login was refused');
  expect(log.of('login-accepted')).toMatchObject([{ identity: 'ann' }]);
  expect(log.text).not.toContain(signature);
});

test.each([
  ['https://evil.example', false],
  ['null', false],
  [undefined, true],
])('a WebSocket from the origin %s (M-108)', async (origin, isTaken) => {
  const broker = await listening({ listen: ['ws://127.0.0.1:0'] });
  const endpoint = parseEndpoint(broker.urls[0] ?? '') as WebSocketEndpoint;
  const dialled = dialNodeWebSocket(endpoint, { headers: origin === undefined ? {} : { Origin: origin } });
  if (isTaken) (await dialled).destroy();
  else await expect(dialled).rejects.toMatchObject({ code: 'unauthorized' });
});

test('a file that is wrong does not get far: writeUser is its way in', async () => {
  const path = join(folder, 'wrong');
  writeFileSync(path, 'app:plain-passcode\n');
  await expect(usersFile(path)).rejects.toThrow(/^(?!.*plain-passcode)/s);
});
