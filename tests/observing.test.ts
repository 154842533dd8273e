// What docs/observing.md shows, runs and prints what it says; and it names every event and every channel.

import * as channels from 'node:diagnostics_channel';
import { readFileSync } from 'node:fs';
import { createBroker } from '@stompbox/broker';
import * as client from '@stompbox/client';
import * as diagnostics from '@stompbox/client/diagnostics';
import * as protocol from '@stompbox/protocol';
import { describe, expect, test } from 'vitest';

const page = readFileSync(new URL('../docs/observing.md', import.meta.url), 'utf8');
const programs = [...page.matchAll(/^```js\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?/gms)].map(
  ([, code = '', prints]) => ({
    title: /^client\.use.*$|^const (?:stop|counted|hooks).*$|^subscribe.*$/m.exec(code)?.[0] ?? code,
    code,
    prints,
  }),
);

const MODULES: Readonly<Record<string, object>> = {
  'node:diagnostics_channel': channels,
  '@stompbox/client': client,
  '@stompbox/client/diagnostics': diagnostics,
  '@stompbox/protocol': protocol,
};

describe('docs/observing.md', () => {
  test('has programs', () => {
    expect(programs.length).toBe(5);
  });

  test.for(programs)('runs: $title', async ({ code, prints }) => {
    const lines = await run(code);
    if (prints !== undefined) expect(lines.map((line) => `${line}\n`).join('')).toBe(prints);
  });

  test('the program without a fixed output prints each frame, no secret, and what was received and counted', async () => {
    const lines = await run(programs.find(({ prints }) => prints === undefined)?.code ?? '');
    expect(lines.filter((line) => line.startsWith('>>> ')).map((line) => line.split(' ')[1])).toEqual(
      expect.arrayContaining(['CONNECT', 'SUBSCRIBE', 'SEND', 'ACK', 'DISCONNECT']),
    );
    expect(lines.at(-1)).toBe('hello 1');
    expect(lines.join('')).not.toContain('s3cret');
  });

  test('names every event and every channel', () => {
    const missing = client.EVENTS.filter((event) => !page.includes(`| \`${event}\``));
    const suffixes = Object.values(diagnostics.CHANNELS).map((name) => name.replace('stompbox:', ''));
    expect([...missing, ...suffixes.filter((name) => !page.includes(`\`${name}\``))]).toEqual([]);
    for (const kept of client.KEPT) expect(page).toContain(`\`${kept}\``);
  });
});

/** Runs a program in this process, its imports and its console handed in, against a broker of its own. Answers what it printed. */
async function run(code: string): Promise<string[]> {
  const broker = await createBroker({ listen: ['tcp://127.0.0.1:0'] });
  try {
    const lines: string[] = [];
    const given: Record<string, unknown> = { console: { log: (...said: unknown[]) => lines.push(said.join(' ')) } };
    const body = code.replace(/^import \{ (.*) \} from '(.*)';$/gm, (_, names: string, from: string) => {
      for (const name of names.split(', ')) given[name] = Reflect.get(MODULES[from] ?? {}, name);
      return '';
    });
    expect(body).not.toContain('import ');
    const port = new URL(broker.urls[0] ?? '').port;
    const program = new Function(
      ...Object.keys(given),
      `return (async () => {${body.replaceAll('localhost:61613', `127.0.0.1:${port}`)}})()`,
    );
    await program(...Object.values(given));
    return lines;
  } finally {
    await broker.close({ timeoutMs: 0 });
  }
}
