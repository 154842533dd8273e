// What ours and the real brokers score, as docs/conformance.md has it. UPDATE_DOCS=1 in the environment writes the page
// anew; without it the page must be what the brokers score today.

import { readFileSync, writeFileSync } from 'node:fs';
import { createBroker } from '@stompbox/broker';
import { expect, test } from 'vitest';
import { markdownOf } from '../../packages/cli/src/conformance/render.ts';
import { type Report, runConformance } from '../../packages/cli/src/conformance/run.ts';
import { activeMq, rabbitMq, withPeer } from './peers.ts';

const PAGE = new URL('../../docs/conformance.md', import.meta.url);
const GENERATED = /(<!-- generated: (\w+) -->\n)[\s\S]*?(<!-- end -->)/g;

/** What may come out either way: it depends on which of two frames a broker gets to first. */
const UNSTEADY: ReadonlySet<string> = new Set(['R-04', 'C-73']);

/** This machine runs other tests at the same time. */
const PATIENT = { patienceMs: 4_000 };

async function ours(scheme: string, hostile: boolean): Promise<Report> {
  const broker = await createBroker({ listen: [`${scheme}://127.0.0.1:0${scheme === 'ws' ? '/stomp' : ''}`] });
  try {
    return await runConformance({ ...PATIENT, url: broker.urls[0] ?? '', hostile });
  } finally {
    await broker.close();
  }
}

/** The page with one of its parts written anew. */
function withPart(page: string, name: string, text: string): string {
  return page.replace(GENERATED, (all, begin: string, part: string, end: string) =>
    part === name ? `${begin}\n${text}\n${end}` : all,
  );
}

/** Which rules fail and differ must be as the page has it; how, may depend on which of two frames a broker gets to first. */
function withoutReasons(page: string): string {
  return page.replace(/^(- [A-Z]-\d+ \w+):.*$/gm, '$1');
}

/** The page says of `name` what was found just now; or is made to. */
function agrees(name: string, columns: readonly { readonly title: string; readonly report: Report }[]): void {
  const text = markdownOf(columns.map(({ title, report }) => ({ title, report: steady(report) })));
  const page = readFileSync(PAGE, 'utf8');
  const wanted = withPart(page, name, text);
  if (process.env.UPDATE_DOCS) writeFileSync(PAGE, wanted);
  else
    expect(withoutReasons(page), 'docs/conformance.md is old: run this with UPDATE_DOCS=1').toBe(
      withoutReasons(wanted),
    );
}

function steady(report: Report): Report {
  const rows = report.rows.filter(({ id }) => !UNSTEADY.has(id));
  const count = (outcome: string): number => rows.filter((row) => row.outcome === outcome).length;
  const score = { pass: count('pass'), fail: count('fail'), differs: count('differs'), untested: count('untested') };
  return { ...report, rows, score };
}

test('ours, over TCP and WebSocket, hostile input and all, scores what the page says', async () => {
  const [tcp, ws] = await Promise.all([ours('tcp', true), ours('ws', true)]);
  agrees('ours', [
    { title: 'Stompbox, TCP', report: tcp },
    { title: 'Stompbox, WebSocket', report: ws },
  ]);
}, 180_000);

withPeer('RabbitMQ', rabbitMq, ({ urls, login, passcode, version }) => {
  test('scores what the page says, over TCP and WebSocket, and nothing is left in it', async () => {
    const tcp = await runConformance({ ...PATIENT, url: urls.tcp, login, passcode });
    const ws = urls.ws === undefined ? [] : [await runConformance({ ...PATIENT, url: urls.ws, login, passcode })];
    expect([tcp, ...ws].flatMap(({ left }) => left)).toEqual([]);
    agrees('rabbitmq', [
      { title: `RabbitMQ ${version}, TCP`, report: tcp },
      ...ws.map((report) => ({ title: `RabbitMQ ${version}, WebSocket`, report })),
    ]);
  }, 180_000);
});

withPeer('ActiveMQ', activeMq, ({ urls, login, passcode, version }) => {
  test('scores what the page says, and nothing is left in it', async () => {
    const report = await runConformance({ ...PATIENT, url: urls.tcp, login, passcode });
    expect(report.left).toEqual([]);
    agrees('activemq', [{ title: `ActiveMQ ${version}, TCP`, report }]);
  }, 180_000);
});

test('each broker at hand has its part of the page', () => {
  const parts = [...readFileSync(PAGE, 'utf8').matchAll(GENERATED)].map(([, , name]) => name);
  expect(parts).toEqual(['ours', 'rabbitmq', 'activemq']);
});
