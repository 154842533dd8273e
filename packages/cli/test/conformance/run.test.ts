// The matrix put to our own broker, and to some that are none.

import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { type Broker, createBroker } from '@stompbox/broker';
import { Decoder, Frame } from '@stompbox/protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NotLetIn } from '../../src/conformance/meet.ts';
import { RULES } from '../../src/conformance/rules.ts';
import { type Report, runConformance } from '../../src/conformance/run.ts';

const failures = ({ rows }: Report) =>
  rows.filter(({ outcome }) => outcome === 'fail').map(({ id, detail }) => [id, detail]);
const outcome = ({ rows }: Report, wanted: string) => rows.find(({ id }) => id === wanted)?.outcome;

describe('our broker', () => {
  let broker: Broker;
  beforeAll(async () => {
    broker = await createBroker({ listen: ['tcp://127.0.0.1:0', 'ws://127.0.0.1:0/stomp'] });
  });
  afterAll(() => broker.close());
  const url = (scheme: string) => broker.urls.find((one) => one.startsWith(scheme)) ?? '';

  test('keeps every rule that it can be asked about without harm, and nothing is left in it', async () => {
    const told: number[] = [];
    const report = await runConformance({ url: url('stomp:'), progress: (done) => told.push(done) });
    expect(failures(report)).toEqual([]);
    expect(report.rows.map(({ id }) => id)).toEqual(RULES.map(({ id }) => id));
    expect(report.rows.filter(({ outcome, detail }) => outcome === 'untested' && detail === undefined)).toEqual([]);
    expect(report.broker).toMatchObject({ name: 'stompbox', versions: ['1.0', '1.1', '1.2'] });
    expect(report.score.pass).toBeGreaterThan(150);
    expect(told).toEqual(told.map((_, n) => n + 1));
    expect(report.left).toEqual([]);
    expect(broker.stats()).toMatchObject({ bytes: 0 });
  });

  test('over WebSocket too, but for the version that a subprotocol should bound', async () => {
    const report = await runConformance({ url: url('ws:'), only: ['W', 'E', 'C-14'], hostile: true });
    expect(failures(report).map(([id]) => id)).toEqual(['W-03']);
    expect([outcome(report, 'W-04'), outcome(report, 'W-09'), outcome(report, 'E-10')]).toEqual([
      'pass',
      'pass',
      'untested',
    ]);
  });

  test('only the rules that were named are asked, and only those are reported', async () => {
    const report = await runConformance({ url: url('stomp:'), only: ['C-41', 'R'] });
    expect(new Set(report.rows.map(({ id }) => id.slice(0, 2)))).toEqual(new Set(['C-', 'R-']));
    expect(report.rows.filter(({ id }) => id.startsWith('C-')).map(({ id }) => id)).toEqual(['C-41']);
  });

  test('hostile input waits until it is asked for', async () => {
    const gentle = await runConformance({ url: url('stomp:'), only: ['M-60', 'M-62'] });
    expect(gentle.rows.map((row) => row.detail)).toEqual(Array(2).fill('a hostile input: --hostile asks it'));
    const harsh = await runConformance({ url: url('stomp:'), only: ['M-60', 'M-62'], hostile: true });
    expect(harsh.rows.map((row) => row.outcome)).toEqual(['pass', 'pass']);
  });

  test('a run that is called off rejects with the reason, and nothing is left of it either', async () => {
    const caller = new AbortController();
    const run = runConformance({
      url: url('stomp:'),
      signal: caller.signal,
      progress: () => caller.abort(new Error('enough')),
    });
    await expect(run).rejects.toThrow('enough');
    expect(broker.stats()).toMatchObject({ bytes: 0 });
  });
});

describe('a broker that says yes to everything', () => {
  let server: Server;
  const sockets = new Set<Socket>();
  beforeAll(async () => {
    server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      agreeTo(socket);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterAll(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const target = () => ({ url: `stomp://127.0.0.1:${(server.address() as AddressInfo).port}`, patienceMs: 100 });

  test('fails where it should have refused, and where something should have come of it', async () => {
    const only = ['C-21', 'C-41', 'C-51', 'F-05', 'T-04', 'A-09', 'N-18', 'N-10', 'T-03', 'H-03'];
    const report = await runConformance({ ...target(), only });
    expect(report.rows.filter(({ outcome }) => outcome === 'pass').map(({ id }) => id)).toEqual([]);
    expect(report.rows.find(({ id }) => id === 'C-21')).toMatchObject({
      outcome: 'fail',
      detail: 'no ERROR; the connection goes on',
      versions: ['1.0', '1.1', '1.2'],
    });
  });

  test('is still told that it answers receipts', async () => {
    expect(outcome(await runConformance({ ...target(), only: ['R-08', 'C-53'] }), 'R-08')).toBe('pass');
  });
});

/** CONNECTED to every CONNECT in the version asked for, a RECEIPT to every frame that wants one; errors are overlooked. */
function agreeTo(socket: Socket): void {
  let decoder = new Decoder({ resync: true });
  socket.on('data', (bytes: Buffer) => {
    decoder.push(bytes);
    for (const event of decoder) {
      if (!(event instanceof Frame)) continue;
      if (event.is('CONNECT') || event.is('STOMP')) {
        const version = event.get('accept-version')?.split(',').at(-1) ?? '1.0';
        socket.write(`CONNECTED\nversion:${version}\n\n\0`);
      } else if (event.headers.has('receipt')) socket.write(`RECEIPT\nreceipt-id:${event.get('receipt')}\n\n\0`);
      if (event.is('DISCONNECT')) socket.end();
    }
    decoder = decoder.idle ? decoder : new Decoder({ resync: true });
  });
}

test('what is no STOMP broker is said to be none', async () => {
  const server = createServer((socket) => socket.on('error', () => {}).end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `stomp://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await expect(runConformance({ url })).rejects.toThrow(/does not answer as a STOMP broker does/);
  await expect(runConformance({ url })).rejects.toBeInstanceOf(NotLetIn);
  server.close();
});

test('nobody there is a TransportError', async () => {
  await expect(runConformance({ url: 'stomp://127.0.0.1:1' })).rejects.toMatchObject({ code: 'refused' });
});
