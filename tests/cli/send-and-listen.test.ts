// send and listen against a broker in memory.

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Broker } from '@stompbox/broker';
import type { Dial } from '@stompbox/client';
import { type MemoryPair, memoryPair } from '@stompbox/transport';
import { ManualClock } from 'testkit';
import { afterAll, describe, expect, test } from 'vitest';
import { EXIT } from '../../packages/cli/src/exit-codes.ts';
import { stage } from './support.ts';

const folder = mkdtempSync(join(tmpdir(), 'stompbox-cli-'));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

describe('send', () => {
  test('sends the words as text, and says that the broker has it', async () => {
    await using here = await stage();
    expect(await here.run(['send', '/queue/a', 'hello', 'world'])).toMatchObject({
      code: 0,
      out: 'Sent 1 message to /queue/a, confirmed.\n',
      err: '',
    });
    expect(await here.bodies('a')).toEqual(['hello world']);
  });

  test('sends headers and what the broker makes of the options', async () => {
    await using here = await stage();
    const options = ['-H', 'tenant:x:y', '--priority', '9', '--correlation-id', 'c', '--type', 't', '--no-persistent'];
    expect(
      (await here.run(['send', '/queue/a', 'hi', ...options, '--content-type', 'text/x', '--expires', '1h'])).code,
    ).toBe(0);
    const { out } = await here.run(['listen', '/queue/a', '--count', '1', '--json']);
    expect(JSON.parse(out)).toMatchObject({
      destination: '/queue/a',
      body: 'hi',
      headers: {
        tenant: 'x:y',
        priority: '9',
        'correlation-id': 'c',
        type: 't',
        persistent: 'false',
        'content-type': 'text/x',
      },
    });
  });

  test('sends standard input whole, octets as they are', async () => {
    await using here = await stage();
    const octets = Uint8Array.from({ length: 256 }, (_, at) => at);
    expect((await here.run(['send', '/queue/a', '-q'], { stdin: octets })).out).toBe('');
    const { bytes } = await here.run(['listen', '/queue/a', '--raw', '--count', '1']);
    expect([...bytes]).toEqual([...octets, 10]);
  });

  test('sends files small and large, with their names and without their folders', async () => {
    await using here = await stage();
    const large = new Uint8Array(2 * 1024 * 1024).fill(7);
    const paths = [file('small.txt', 'small'), file('large.bin', large)];
    const args = paths.flatMap((path) => ['--file', path]);
    expect(await here.run(['send', '/queue/a', ...args])).toMatchObject({ code: 0, err: '' });
    const saved = join(folder, 'inbox');
    expect(await here.run(['listen', '/queue/a', '--count', '2', '--save', saved])).toMatchObject({ code: 0, err: '' });
    expect(readdirSync(saved).sort()).toEqual(['large.bin', 'small.txt']);
    expect(readFileSync(join(saved, 'large.bin')).equals(large)).toBe(true);
  });

  test('sends a message a line, however the lines end', async () => {
    await using here = await stage();
    const { out } = await here.run(['send', '/queue/a', '--lines'], { stdin: 'one\r\n\ntwo\nthree' });
    expect(out).toBe('Sent 4 messages to /queue/a, confirmed.\n');
    expect(await here.bodies('a')).toEqual(['one', '', 'two', 'three']);
  });

  test('a line that is no JSON ends it: its number is told, and what was sent before (M-164)', async () => {
    await using here = await stage();
    const { code, err } = await here.run(['send', '/queue/a', '--lines', '--json'], {
      stdin: '1\n{"a":2}\n{a:3}\n4\n',
    });
    expect(code).toBe(EXIT.usage);
    expect(err).toContain('line 3 is not JSON');
    expect(err).toContain('2 sent');
    expect(await here.bodies('a')).toEqual(['1', '{"a":2}']);
  });

  test('JSON is sent and reported as JSON', async () => {
    await using here = await stage();
    const { out } = await here.run(['send', '/queue/a', '--json', '{"id":7}']);
    expect(JSON.parse(out)).toMatchObject({ destination: '/queue/a', sent: 1, confirmed: true });
    const heard = await here.run(['listen', '/queue/a', '--json', '--count', '1']);
    expect(JSON.parse(heard.out)).toMatchObject({ body: '{"id":7}', headers: { 'content-type': 'application/json' } });
  });

  test('sends many, and shows how far it is on a terminal only', async () => {
    await using here = await stage();
    const quiet = await here.run(['send', '/queue/a', 'hi', '--count', '2000']);
    expect(quiet).toMatchObject({ code: 0, out: 'Sent 2,000 messages to /queue/a, confirmed.\n', err: '' });
    expect(await here.broker.inspect.queues()).toMatchObject([{ waiting: 2000 }]);
  });

  test('keeps to a rate, and shows count, rate and time left', async () => {
    const clock = new ManualClock();
    await using here = await stage();
    const running = here.start(['send', '/queue/a', 'hi', '--count', '30', '--rate', '10'], {
      clock,
      terminals: ['stderr'],
      stdin: '',
    });
    for (let tenth = 0; tenth < 10; tenth++) await clock.advance(100);
    const half = (await here.bodies('a')).length;
    expect(half).toBeGreaterThan(8);
    expect(half).toBeLessThan(13);
    for (let tenth = 0; tenth < 25; tenth++) await clock.advance(100);
    const { code, err } = await running.ended;
    expect(code).toBe(0);
    expect(err).toMatch(/\r\u001b\[K\d+ of 30 messages, \d+\/s, \d s left/);
    expect(err.endsWith('\r\u001b[K')).toBe(true);
  });

  test('a transaction is all or nothing', async () => {
    await using here = await stage();
    const good = await here.run(['send', '/queue/a', '--lines', '--transaction'], { stdin: 'one\ntwo\n' });
    expect(good.out).toBe('Sent 2 messages to /queue/a, committed.\n');
    const bad = await here.run(['send', '/queue/a', '--lines', '--transaction', '--json'], { stdin: '3\nfour\n' });
    expect(bad.code).toBe(EXIT.usage);
    expect(await here.bodies('a')).toEqual(['one', 'two']);
  });

  test('a refusal is 1, in the words of the broker', async () => {
    await using here = await stage({ authorize: (_, verb) => verb !== 'send' });
    const { code, err } = await here.run(['send', '/queue/a', 'hi']);
    expect(code).toBe(EXIT.refused);
    expect(err).toContain('the broker sent ERROR');
    expect((await here.run(['send', '/queue/a', 'hi', '--no-confirm'])).code).toBe(EXIT.refused);
  });

  test('Ctrl-C ends it in order: what was sent is told, 130', async () => {
    await using here = await stage();
    const running = here.start(['send', '/queue/a', '--lines']);
    running.stdin.write('one\ntwo\n');
    await turnsUntil(() => here.broker.inspect.browse('a').length === 2);
    running.interrupt();
    const { code, err } = await running.ended;
    expect(code).toBe(EXIT.interrupted);
    expect(err).toContain('cut short: 2 sent');
  });

  test.for([
    [['send', '/queue/a', '--lines', 'text'], '--lines takes no text'],
    [['send', '/queue/a', 'text', '--file', 'x'], 'contradict each other'],
    [['send', 'stomp://here'], 'where to?'],
    [['send', '/queue/a', 'x', '--transaction', '--no-confirm'], '--transaction'],
  ] as const)('%j is wrong usage', async ([args, why]) => {
    await using here = await stage();
    const { code, err } = await here.run(args);
    expect(code).toBe(EXIT.usage);
    expect(err).toContain(why);
  });

  test('a file that is not there is 6', async () => {
    await using here = await stage();
    expect((await here.run(['send', '/queue/a', '--file', join(folder, 'nowhere')])).code).toBe(EXIT.system);
  });
});

describe('listen', () => {
  test('prints for people, and nothing that others wrote reaches the terminal as it is (M-160)', async () => {
    await using here = await stage();
    await here.client.send('/queue/a', 'red \u001b[31m\nsecond line', { headers: { 'x\u202e': 'a\rb' } });
    const { out } = await here.run(['listen', '/queue/a', '--count', '1'], {
      terminals: ['stdout'],
      env: { NO_COLOR: '1' },
    });
    expect(out).toContain('/queue/a ');
    expect(out).toContain('red \\e[31m\nsecond line\n');
    expect(out).toContain('  x\\u202e: a\\rb\n');
    expect(out).toMatch(/^[\x20-\x7e\n]*$/);
  });

  test('colours are for terminals, and not with NO_COLOR', async () => {
    await using here = await stage();
    const args = ['listen', '/queue/a', '--count', '1'];
    await here.client.sendAll([1, 2, 3].map((nth) => ({ destination: '/queue/a', body: `${nth}` })));
    expect((await here.run(args)).out).not.toContain('\u001b');
    expect((await here.run(args, { terminals: ['stdout'], env: { NO_COLOR: '1' } })).out).not.toContain('\u001b');
    expect((await here.run(args, { terminals: ['stdout'] })).out).toContain('\u001b[1m/queue/a');
  });

  test('takes as many as were asked for; the others stay in their order', async () => {
    await using here = await stage();
    for (const body of ['1', '2', '3', '4']) await here.client.send('/queue/a', body);
    expect((await here.run(['listen', '/queue/a', '--count', '2', '--raw'])).out).toBe('1\n2\n');
    expect(await here.bodies('a')).toEqual(['3', '4']);
  });

  test('listens to several destinations at once, of one or the other kind', async () => {
    await using here = await stage();
    const running = here.start(['listen', '/queue/a', 'topic:prices.#', '--count', '2', '--raw']);
    await here.client.send('/queue/a', 'from a queue');
    await running.says('from a queue');
    await here.client.send('/topic/prices.eur', 'from a topic');
    expect((await running.ended).out).toBe('from a queue\nfrom a topic\n');
  });

  test('ends when nothing came for so long: 4 where more was wanted', async () => {
    await using here = await stage();
    const listen = (...more: string[]) => here.run(['listen', '/queue/a', '--timeout', '20ms', '--raw', ...more]);
    expect(await listen()).toMatchObject({ code: EXIT.timeout, out: '' });
    await here.client.send('/queue/a', '1');
    expect(await listen('--count', '2')).toMatchObject({ code: EXIT.timeout, out: '1\n' });
    await here.client.send('/queue/a', '2');
    expect(await listen()).toMatchObject({ code: 0, out: '2\n', err: '' });
  });

  test('a selector, a durable subscription and a header for SUBSCRIBE', async () => {
    await using here = await stage();
    await here.client.send('/queue/a', 'small', { headers: { size: 1 } });
    await here.client.send('/queue/a', 'large', { headers: { size: 9 } });
    expect((await here.run(['listen', '/queue/a', '--selector', 'size > 5', '--count', '1', '--raw'])).out).toBe(
      'large\n',
    );
    const durable = ['listen', '/topic/t', '--durable', 'audit', '--client-id', 'me', '--raw'];
    expect((await here.run([...durable, '--timeout', '10ms'])).code).toBe(EXIT.timeout);
    await here.client.send('/topic/t', 'kept');
    expect((await here.run([...durable, '--count', '1'])).out).toBe('kept\n');
  });

  test('Ctrl-C is how it is meant to end', async () => {
    await using here = await stage();
    const running = here.start(['listen', '/queue/a', '--raw']);
    await here.client.send('/queue/a', '1');
    await running.says('1');
    running.interrupt();
    expect(await running.ended).toMatchObject({ code: 0, out: '1\n', err: '' });
    const counted = here.start(['listen', '/queue/a', '--raw', '--count', '5']);
    await here.client.send('/queue/a', '2');
    await counted.says('2');
    counted.interrupt('SIGTERM');
    expect((await counted.ended).code).toBe(EXIT.terminated);
    expect(await here.bodies('a')).toEqual([]);
  });

  test('what nobody reads any more is not acknowledged, and is no failure (M-161)', async () => {
    await using here = await stage();
    const running = here.start(['listen', '/queue/a', '--raw']);
    await here.client.send('/queue/a', 'printed');
    await running.says('printed');
    running.stopReading();
    await here.client.send('/queue/a', 'not printed');
    expect(await running.ended).toMatchObject({ code: 0, err: '' });
    expect(await here.bodies('a')).toEqual(['not printed']);
  });

  test('a refused subscription is 1', async () => {
    await using here = await stage({ authorize: (_, verb) => verb !== 'subscribe' });
    const { code, err } = await here.run(['listen', '/queue/a', '--count', '1']);
    expect(code).toBe(EXIT.refused);
    expect(err).toContain('/queue/a');
  });

  test('what this broker cannot do is 2, and says what to do instead', async () => {
    await using here = await stage();
    const { code, err } = await here.run([
      'listen',
      '/queue/a',
      '--dialect',
      'rabbitmq',
      '--selector',
      'a = 1',
      '--count',
      '1',
    ]);
    expect(code).toBe(EXIT.usage);
    expect(err).toContain('selector is not for rabbitmq');
  });

  test('files never leave the folder, and are never written over (M-160)', async () => {
    await using here = await stage();
    const inbox = join(folder, 'safe');
    for (const body of ['one', 'two'])
      await here.client.send('/queue/a', body, { headers: { filename: '../../evil.txt' } });
    const { code, out } = await here.run(['listen', '/queue/a', '--count', '2', '--save', inbox, '--raw']);
    expect(code).toBe(0);
    expect(out).toBe(`${join(inbox, 'evil.txt')}\n${join(inbox, 'evil-2.txt')}\n`);
    expect(readFileSync(join(inbox, 'evil.txt'), 'utf8')).toBe('one');
  });
});

describe('a connection that is lost', () => {
  /** Dials like the stage, and can cut what was dialled last. */
  function cuttable(broker: Broker) {
    let last: MemoryPair | undefined;
    const dial: Dial = () => {
      last = memoryPair();
      broker.serve(last.b);
      return Promise.resolve(last.a);
    };
    return { dial, cut: () => last?.cut() };
  }

  test('listen connects again and says so', async () => {
    await using here = await stage();
    const { dial, cut } = cuttable(here.broker);
    const running = here.start(['listen', '/queue/a', '--raw'], { dial });
    await here.client.send('/queue/a', 'before');
    await running.says('before');
    await turnsUntil(() => here.broker.inspect.queues().every(({ unsettled }) => unsettled === 0));
    cut();
    await running.says('connecting again');
    await running.says('connected again to stomp://127.0.0.1:61613');
    await here.client.send('/queue/a', 'after');
    await running.says('after');
    running.interrupt();
    expect(await running.ended).toMatchObject({ code: 0, out: 'before\nafter\n' });
  });

  test('send ends with 3, and says how many the broker has', async () => {
    await using here = await stage();
    const { dial, cut } = cuttable(here.broker);
    const running = here.start(['send', '/queue/a', '--lines'], { dial });
    running.stdin.write('one\ntwo\n');
    await turnsUntil(() => here.broker.inspect.browse('a').length === 2);
    cut();
    running.stdin.end('three\n');
    const { code, out, err } = await running.ended;
    expect({ code, out }).toEqual({ code: EXIT.connection, out: '' });
    const [, sent, unknown = '0'] = /\((\d) sent(?:, the outcome of (\d) is unknown)?\)/.exec(err) ?? [];
    expect(Number(sent) + Number(unknown)).toBe(2);
  });
});

async function turnsUntil(met: () => boolean): Promise<void> {
  while (!met()) await new Promise((resolve) => setImmediate(resolve));
}
