// What the doctor sees, of our own broker and of worse ones.

import { type AddressInfo, createServer, type Socket } from 'node:net';
import { type Broker, createBroker } from '@stompbox/broker';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { certificateFindings } from '../../src/doctor/connection.ts';
import type { Diagnosis, Topic } from '../../src/doctor/finding.ts';
import { textOf } from '../../src/doctor/render.ts';
import { runDoctor } from '../../src/doctor/run.ts';

const PLAIN = {
  good: (text: string) => text,
  bad: (text: string) => text,
  dim: (text: string) => text,
  bold: (text: string) => text,
};

const about = ({ findings }: Diagnosis, topic: Topic) => findings.filter((finding) => finding.topic === topic);
const endings: (() => void)[] = [];
afterEach(() => {
  for (const end of endings.splice(0)) end();
});

/** A server on a free port that does this with each connection; gone after the test. */
async function serve(talk: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    talk(socket);
  });
  endings.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `stomp://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('our broker', () => {
  let broker: Broker;
  let diagnosis: Diagnosis;
  beforeAll(async () => {
    broker = await createBroker({
      listen: ['tcp://127.0.0.1:0'],
      limits: { maxBodyBytes: 1_000_000, maxHeaderLineBytes: 8_192, maxHeaders: 100 },
    });
    diagnosis = await runDoctor({ url: broker.urls[0] ?? '', idleMs: 50 });
  });
  afterAll(() => broker.close());

  test('is well: no problem and no warning, something to do with each finding, and nothing left in it', () => {
    expect(diagnosis.findings.filter(({ level }) => level === 'problem' || level === 'warning')).toEqual([]);
    expect(diagnosis.findings.filter(({ advice, saw }) => advice === '' || saw === '')).toEqual([]);
    expect(diagnosis.left).toEqual([]);
    expect(broker.stats()).toMatchObject({ bytes: 0 });
  });

  test('every topic is looked at but the certificate that it has not', () => {
    expect(new Set(diagnosis.findings.map(({ topic }) => topic))).toEqual(
      new Set<Topic>([
        'connection',
        'login',
        'version',
        'dialect',
        'heart-beats',
        'receipts',
        'ack modes',
        'bodies',
        'limits',
        'round trip',
        'idle',
      ]),
    );
  });

  test('its limits are found, within a sixteenth', () => {
    const [body, line, lines] = about(diagnosis, 'limits').map(({ data }) => data);
    expect(Number(body?.taken)).toBeLessThanOrEqual(1_000_000);
    expect(Number(body?.refused)).toBeGreaterThan(1_000_000);
    expect(Number(body?.refused) - Number(body?.taken)).toBeLessThanOrEqual(1_000_000 / 8);
    expect(line).toMatchObject({ taken: 8_192 });
    expect(Number(lines?.taken)).toBeLessThanOrEqual(100);
    expect(Number(lines?.refused)).toBeGreaterThan(100);
  });

  test('as text, each finding has its mark, and the last line counts', () => {
    const text = [...textOf(diagnosis, PLAIN)];
    expect(text.at(-1)).toBe('0 problems, 0 warnings');
    expect(text).toContainEqual(expect.stringMatching(/^ok {4}version {6}it speaks STOMP 1.0, 1.1, 1.2$/));
  });
});

test('nobody there: what to look at, and no exception', async () => {
  const { findings } = await runDoctor({ url: 'stomp://127.0.0.1:1' });
  expect(findings).toMatchObject([{ topic: 'connection', level: 'problem', data: { code: 'refused' } }]);
});

test('something that is no STOMP broker is told from one that does not let us in', async () => {
  const http = await serve((socket) => void socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  expect((await runDoctor({ url: http })).findings).toMatchObject([{ topic: 'connection', level: 'problem' }]);
  const strict = await serve((socket) => void socket.end('ERROR\nmessage:who are you\n\n\0'));
  expect((await runDoctor({ url: strict })).findings).toMatchObject([
    { topic: 'login', level: 'problem', saw: expect.stringContaining('who are you') },
  ]);
});

test('a passcode in the URL is not repeated', async () => {
  const text = JSON.stringify(await runDoctor({ url: 'stomp://ann:s3cret@127.0.0.1:1' }));
  expect(text).not.toContain('s3cret');
});

test('a broker that promises heart-beats and sends none, and answers nothing, is told what is wrong with it', async () => {
  const url = await serve((socket) => {
    socket.on('data', (bytes) => {
      if (String(bytes).startsWith('CONNECT')) socket.write('CONNECTED\nversion:1.2\nheart-beat:100,0\n\n\0');
    });
  });
  const diagnosis = await runDoctor({ url, patienceMs: 50 });
  expect(about(diagnosis, 'heart-beats')).toMatchObject([{ level: 'problem', data: { comes: false } }]);
  expect(about(diagnosis, 'receipts')).toMatchObject([{ level: 'warning' }]);
  expect(about(diagnosis, 'dialect')).toMatchObject([{ level: 'warning', data: { profile: 'generic' } }]);
  expect(about(diagnosis, 'version')).toMatchObject([{ level: 'good', data: { versions: ['1.2'] } }]);
}, 60_000);

test('a look that is called off rejects with the reason, also in the middle of an hour of silence', async () => {
  const broker = await createBroker({ listen: ['tcp://127.0.0.1:0'] });
  endings.push(() => void broker.close());
  const caller = new AbortController();
  const progress = (topic: Topic): void => {
    if (topic === 'idle') setImmediate(() => caller.abort(new Error('enough')));
  };
  const look = runDoctor({ url: broker.urls[0] ?? '', idleMs: 3_600_000, signal: caller.signal, progress });
  await expect(look).rejects.toThrow('enough');
});

test('a certificate is judged by its date', () => {
  const certificate = {
    host: 'broker.example',
    subject: 'broker.example',
    issuer: 'An authority',
    subjectAltName: 'DNS:broker.example',
    fingerprint256: 'AB:CD',
    validFrom: new Date('2026-01-01'),
    validTo: new Date('2026-06-01'),
    raw: new Uint8Array(),
    distrust: 'self-signed',
  };
  const at = (day: string, isUnchecked = false) =>
    certificateFindings(certificate, isUnchecked, new Date(day)).map(({ level }) => level);
  expect(at('2026-02-01')).toEqual(['good']);
  expect(at('2026-05-20')).toEqual(['warning']);
  expect(at('2026-06-02')).toEqual(['problem']);
  expect(at('2026-02-01', true)).toEqual(['good', 'warning']);
});
