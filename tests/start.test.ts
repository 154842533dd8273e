// `npm start` as a newcomer meets it: what it says, that it goes on, how it ends.

import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { connect } from '@stompbox/client';
import { expect, test } from 'vitest';

const script = fileURLToPath(new URL('../scripts/start.mjs', import.meta.url));

function start(...args: string[]) {
  const child = spawn(process.execPath, [script, ...args], { env: { ...process.env, NO_COLOR: '1' } });
  const out = { text: '', errors: '' };
  const listeners = new Set<() => void>();
  child.stdout.on('data', (chunk) => {
    out.text += chunk;
    for (const listener of listeners) listener();
  });
  child.stderr.on('data', (chunk) => {
    out.errors += chunk;
  });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  const says = (what: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const listener = (): void => {
        if (!out.text.includes(what)) return;
        listeners.delete(listener);
        resolve();
      };
      listeners.add(listener);
      void ended.then(() => reject(new Error(`ended without saying ${what}: ${out.text}${out.errors}`)));
      listener();
    });
  return { child, out, ended, says };
}

test('npm start runs a workload, stays up for others, and Ctrl-C drains and exits 0', async () => {
  const { child, out, ended, says } = start('--port', '0', '--ws-port', '0');
  try {
    await says('Ctrl-C stops it.');
    expect(out.text).toMatch(/10 orders sent, each confirmed by a receipt; two workers shipped \d+ and \d+/);
    expect(out.text).toContain('order 3 was nacked, came back as delivery 2, and was shipped');
    expect(out.text).toContain('/topic/prices.> heard both');
    expect(out.text).toContain('one committed: its 3 bills arrived; one aborted: nothing of it did');
    const url = /stomp:\/\/127\.0\.0\.1:\d+/.exec(out.text)?.[0] ?? '';
    const connection = await connect(url);
    await connection.send('/queue/from-outside', 'hello');
    expect((await connection.subscribe('/queue/from-outside').next({ timeoutMs: 5_000 })).text()).toBe('hello');
    child.kill('SIGINT');
    expect(await ended).toBe(0);
    expect((await connection.closed).kind).toBe('refused'); // it was told why
    expect(out.text).toContain('Stopping: 1 connected');
    expect(out.errors).toBe('');
  } finally {
    child.kill('SIGKILL');
  }
});

test('npm start says so when its port is taken, and how to take another', async () => {
  const squatter = createServer();
  await new Promise<void>((resolve) => squatter.listen(0, '127.0.0.1', resolve));
  const address = squatter.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  try {
    const { out, ended } = start('--port', String(port), '--ws-port', '0');
    expect(await ended).toBe(6);
    expect(out.errors).toContain(`${port} is taken`);
    expect(out.errors).toContain('npm start -- --port');
    expect(out.text).toBe('');
  } finally {
    squatter.close();
  }
});

test('npm start ends in order when nobody reads what it says any more', async () => {
  const { child, out, ended, says } = start('--port', '0', '--ws-port', '0');
  await says('Ctrl-C stops it.');
  child.stdout.destroy(); // as `| cat` does, which the same Ctrl-C ends first
  child.kill('SIGINT');
  expect(await ended).toBe(0);
  expect(out.errors).toBe('');
});

test('npm start refuses a port that is none', async () => {
  const { out, ended } = start('--port', '70000');
  expect(await ended).not.toBe(0);
  expect(out.errors).toContain('whole number from 0 to 65535');
});
