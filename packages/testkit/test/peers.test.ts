import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { connect, createServer as createTlsServer } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type LeashedProcess, leash } from '../src/peers/leash.ts';
import { freePorts } from '../src/peers/ports.ts';
import { run } from '../src/peers/programs.ts';
import { makeCertificates, which } from '../src/peers.ts';

let folder: string;
let started: LeashedProcess[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'stompbox-peers-test-'));
  started = [];
});

afterEach(async () => {
  await Promise.all(started.map((process) => process.kill()));
  await rm(folder, { recursive: true, force: true });
});

function shell(script: string): LeashedProcess {
  const process = leash('/bin/sh', ['-c', script], {
    folder,
    env: { PATH: '/usr/bin:/bin' },
    log: join(folder, 'log'),
  });
  started.push(process);
  return process;
}

/** Alive or not; a zombie, which only waits for its parent to look, is not. */
async function isAlive(pid: number): Promise<boolean> {
  const state = await run('ps', ['-o', 'stat=', '-p', `${pid}`]).catch(() => '');
  return state.trim() !== '' && !state.startsWith('Z');
}

test('a program that ends before it is ready is an error with the end of its output', async () => {
  const dying = shell('echo the port is taken; exit 3');
  await expect(dying.logged(/ready/, 5_000)).rejects.toThrow(/ended \(exit code 3\).*\nthe port is taken$/);
});

test('a program that never gets ready is an error when time runs out', async () => {
  const silent = shell('echo waiting; sleep 100');
  await expect(silent.logged(/ready/, 200)).rejects.toThrow(/did not say \/ready\/ within 200 ms.*\nwaiting$/);
});

test('end() lets a program say good-bye', async () => {
  const polite = shell('trap "echo bye; exit" TERM; echo ready; while :; do sleep 0.05; done');
  await polite.logged(/ready/, 5_000);
  await polite.end();
  await expect(polite.logged(/bye/, 0)).resolves.toBeTruthy();
});

test('kill() takes the children of a program along, and may be called twice', async () => {
  const parent = shell('sleep 100 & echo child $!; wait');
  const [, child] = await parent.logged(/child (\d+)/, 5_000);
  await parent.kill();
  await parent.kill();
  await vi.waitFor(async () => expect(await isAlive(Number(child))).toBe(false), 5_000);
});

test('a program dies with the process that started it, kill -9 included, and its folder goes too', async () => {
  const inner = join(folder, 'inner');
  const bundle = join(folder, 'starter.mjs');
  await build({
    stdin: {
      contents: `
        import { mkdirSync } from 'node:fs';
        import { leash } from './leash.ts';
        mkdirSync(${JSON.stringify(inner)});
        const { pid } = leash('sleep', ['100'], { folder: ${JSON.stringify(inner)}, env: process.env, log: ${JSON.stringify(join(folder, 'log'))} });
        console.log(pid);
        setInterval(() => {}, 1_000);`,
      resolveDir: fileURLToPath(new URL('../src/peers/', import.meta.url)),
    },
    bundle: true,
    platform: 'node',
    format: 'esm',
    outfile: bundle,
  });
  const starter = spawn(process.execPath, [bundle], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await once(createInterface(starter.stdout), 'line');
  expect(await isAlive(Number(line))).toBe(true);

  starter.kill('SIGKILL');
  await vi.waitFor(async () => expect(await isAlive(Number(line))).toBe(false), 5_000);
  await vi.waitFor(() => expect(access(inner)).rejects.toThrow('ENOENT'), 5_000);
});

test('free ports are different and can be listened on', async () => {
  const ports = await freePorts(20);
  expect(new Set(ports).size).toBe(20);
  const servers = ports.map((port) => createServer().listen(port, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  for (const server of servers) server.close();
});

test('which() knows what is installed, by name or by path, and takes the first', async () => {
  expect(await which('no-such-program', 'sh')).toMatch(/\/sh$/);
  expect(await which('/bin/sh')).toBe('/bin/sh');
  expect(await which('/no/such/sh', 'no-such-program')).toBeUndefined();
  await writeFile(join(folder, 'data'), 'not a program', { mode: 0o644 });
  expect(await which(join(folder, 'data'))).toBeUndefined();
});

test('a failing program is an error with what it complained of', async () => {
  await expect(run('/bin/sh', ['-c', 'echo no such key >&2; exit 1'])).rejects.toThrow('no such key');
});

test.skipIf((await which('openssl')) === undefined)(
  'certificates verify for localhost and 127.0.0.1 against their authority, and against no other',
  async () => {
    const { ca, cert, key } = await makeCertificates(folder);
    const server = createTlsServer({ cert, key }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    for (const host of ['localhost', '127.0.0.1']) {
      const socket = connect({ host: '127.0.0.1', port, ca, servername: host === 'localhost' ? host : '' });
      await once(socket, 'secureConnect');
      expect(socket.authorized).toBe(true);
      socket.destroy();
    }
    const stranger = connect({ host: '127.0.0.1', port });
    await expect(once(stranger, 'secureConnect')).rejects.toThrow(/certificate/);
    server.close();
  },
);
