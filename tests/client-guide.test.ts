// What docs/client.md shows, runs: each program as it stands there, in a process of its own, against a broker of ours.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createBroker } from '@stompbox/broker';
import { expect, test } from 'vitest';
import { type Certificates, makeCertificates } from '../packages/transport/test/certificates.ts';
import { ROOT, runProgram } from './programs.ts';

const page = readFileSync(join(ROOT, 'docs/client.md'), 'utf8');
const PRELUDE = `import { Client } from '@stompbox/client';\nconst client = new Client('stomp://localhost:61613');\n`;

const programs = page.split(/^## /m).flatMap((chapter) => {
  const title = chapter.slice(0, chapter.indexOf('\n'));
  return [...chapter.matchAll(/^```js\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?/gms)].map(
    ([, code = '', prints = '']) => ({
      title,
      code,
      prints,
    }),
  );
});

test('every block of docs/client.md is a program, what it prints, how to install, or for a browser', () => {
  const kinds = [...page.matchAll(/^```(.+)$/gm)].map(([, kind]) => kind);
  const count = (kind: string): number => kinds.filter((one) => one === kind).length;
  expect(count('js')).toBe(programs.length);
  expect(kinds.length).toBe(count('js') + count('text') + count('sh') + count('js browser'));
  expect([count('sh'), count('js browser')]).toEqual([1, 1]);
  expect(programs.length).toBeGreaterThan(12);
});

test.for(programs)('$title: its program runs, says what it should, and ends by itself', async ({ code, prints }) => {
  const { ca, server } = certificates();
  await using broker = await createBroker({
    listen: ['tcp://127.0.0.1:0', 'stomp+ssl://127.0.0.1:0', 'ws://127.0.0.1:0/stomp'],
    tls: server,
  });
  const [plain = 0, secure = 0, web = 0] = broker.urls.map((url) => new URL(url).port);
  const whole = /\bclient = /.test(code) ? code : code.includes('client.') ? PRELUDE + code : code;
  const addressed = whole
    .replaceAll('localhost:61613', `127.0.0.1:${plain}`)
    .replaceAll('localhost:61614', `localhost:${secure}`)
    .replaceAll('localhost:15674', `127.0.0.1:${web}`);
  const closing = /\bclient = /.test(whole) ? '\nawait client.close();\n' : '';
  expect(await runProgram(`${addressed}${closing}`, { files: { 'ca.pem': ca } })).toEqual({
    code: 0,
    stdout: prints,
    stderr: '',
  });
});

let made: Certificates | undefined;
function certificates(): Certificates {
  made ??= makeCertificates();
  return made;
}
