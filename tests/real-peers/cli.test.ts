// The everyday verbs of the command line against brokers that are not ours.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PeerAddress } from 'testkit/peers';
import { afterAll, expect, test } from 'vitest';
import { EXIT } from '../../packages/cli/src/exit-codes.ts';
import { cli, type Said, start } from '../cli/support.ts';
import { activeMq, rabbitMq, withPeer } from './peers.ts';

const folder = mkdtempSync(join(tmpdir(), 'stompbox-cli-'));
afterAll(() => rmSync(folder, { recursive: true }));

let names = 0;
/** A queue that no other test knows. */
function newQueue(): string {
  return `/queue/cli-${process.pid}-${++names}`;
}

const QUICK = ['--timeout', '1s'];
const OCTETS = Uint8Array.from({ length: 256 }, (_, at) => at);

function everydayVerbs(peer: PeerAddress, browses: boolean): void {
  const env = { STOMPBOX_URL: peer.urls.tcp, STOMPBOX_LOGIN: peer.login, STOMPBOX_PASSCODE: peer.passcode };
  const run = (args: readonly string[], stdin: string | Uint8Array = ''): Promise<Said> =>
    cli([args[0] ?? '', '--host', '/', ...args.slice(1)], { env, stdin });

  test('send and listen: lines, octets, headers, a transaction', async () => {
    const queue = newQueue();
    expect((await run(['send', queue, '--lines', '-H', 'tenant:a'], 'one\ntwo\n')).out).toContain('Sent 2 messages');
    expect((await run(['send', queue, '--as', 'bytes'], OCTETS)).code).toBe(0);
    expect((await run(['send', queue, '--lines', '--transaction'], 'three\n')).out).toContain('committed');
    const { code, out } = await run(['listen', queue, '--count', '4', '--json', '--timeout', '10s']);
    expect(code).toBe(0);
    const heard = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(heard.map(({ body }) => body)).toEqual(['one', 'two', undefined, 'three']);
    expect(heard[0].headers.tenant).toBe('a');
    expect([...Buffer.from(heard[2].base64, 'base64')]).toEqual([...OCTETS]);
    expect((await run(['listen', queue, ...QUICK])).code).toBe(EXIT.timeout); // all were acknowledged
  });

  test('a wrong passcode is 5; over TLS with the right authority it works, without it is 3', async () => {
    const wrong = await cli(['send', '--host', '/', newQueue(), 'x'], { env: { ...env, STOMPBOX_PASSCODE: 'wrong' } });
    expect(wrong.code).toBe(EXIT.login);
    const ca = join(folder, 'ca.pem');
    writeFileSync(ca, peer.ca ?? '');
    const secure = { ...env, STOMPBOX_URL: peer.urls.tls };
    expect(await cli(['send', '--host', '/', '--ca', ca, newQueue(), 'x'], { env: secure })).toMatchObject({
      code: 0,
      err: '',
    });
    const untrusted = await cli(['send', '--host', '/', newQueue(), 'x'], { env: secure });
    expect(untrusted.code).toBe(EXIT.connection);
  });

  test('request and respond', async () => {
    const queue = newQueue();
    const shout = [
      process.execPath,
      '-e',
      'process.stdin.on("data", (d) => process.stdout.write(String(d).toUpperCase()))',
    ];
    const responder = start(['respond', '--host', '/', queue, '--count', '1', '--', ...shout], { env });
    expect(await run(['request', queue, 'hello'])).toMatchObject({ code: 0, out: 'HELLO\n', err: '' });
    expect((await responder.ended).code).toBe(0);
  });

  test('a message that need not be kept goes to a queue that others use, there or not yet', async () => {
    const queue = newQueue();
    for (const body of ['one', 'two']) {
      expect(await run(['send', '--no-persistent', queue, body])).toMatchObject({ code: 0, err: '' });
    }
    expect((await run(['listen', queue, '--raw', '--count', '2', '--timeout', '10s'])).out).toBe('one\ntwo\n');
  });

  test('browse takes nothing', async () => {
    const queue = newQueue();
    await run(['send', queue, '--lines'], 'one\ntwo\n');
    const how = browses ? [] : ['--hold'];
    expect((await run(['browse', queue, '--raw', ...how, ...QUICK])).out).toBe('one\ntwo\n');
    expect((await run(['listen', queue, '--raw', '--count', '2', '--timeout', '10s'])).out).toBe('one\ntwo\n');
  });

  test('move, drain and replay keep every octet and the order', async () => {
    const [from, to] = [newQueue(), newQueue()];
    const file = join(folder, `${to.slice(7)}.jsonl`);
    await run(['send', from, '--as', 'bytes', '-H', 'tenant:a', '-t', 'image/x'], OCTETS);
    await run(['send', from, '--lines'], Array.from({ length: 120 }, (_, nth) => `${nth}\n`).join(''));
    expect((await run(['move', from, to, ...QUICK])).out).toBe(`Moved 121 from ${from} to ${to}.\n`);
    expect((await run(['drain', to, file, ...QUICK])).out).toContain('Drained 121');
    expect((await run(['replay', file, from])).out).toContain('Replayed 121');
    const { out } = await run(['listen', from, '--count', '121', '--json', '--timeout', '10s']);
    const [first, ...rest] = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect([...Buffer.from(first.base64, 'base64')]).toEqual([...OCTETS]);
    expect(first.headers).toMatchObject({ tenant: 'a', 'content-type': 'image/x' });
    expect(rest.map(({ body }) => body)).toEqual(Array.from({ length: 120 }, (_, nth) => `${nth}`));
  });
}

withPeer('RabbitMQ', rabbitMq, (peer) => everydayVerbs(peer, false));
withPeer('ActiveMQ', activeMq, (peer) => everydayVerbs(peer, true));
