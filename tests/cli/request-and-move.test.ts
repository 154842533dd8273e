// request, respond, browse and move against a broker in memory.

import { describe, expect, test } from 'vitest';
import { EXIT } from '../../packages/cli/src/exit-codes.ts';
import { stage } from './support.ts';

const NODE = process.execPath;
const shout = [NODE, '-e', 'process.stdin.on("data", (d) => process.stdout.write(String(d).toUpperCase()))'];

describe('request and respond', () => {
  test('a command answers: body on its standard input, answer on its standard output', async () => {
    await using here = await stage();
    const responder = here.start(['respond', '/queue/shout', '--count', '1', '--', ...shout]);
    expect(await here.run(['request', '/queue/shout', 'hello'])).toEqual(
      expect.objectContaining({ code: 0, out: 'HELLO\n', err: '' }),
    );
    const { code, out } = await responder.ended;
    expect(code).toBe(0);
    expect(out).toMatch(/^Answered \d+ of \/queue\/shout: 5 bytes in, 5 out\.\n$/);
  });

  test('JSON both ways', async () => {
    await using here = await stage();
    const double = [
      NODE,
      '-e',
      'process.stdin.on("data", (d) => console.log(JSON.stringify({ n: JSON.parse(d).n * 2 })))',
    ];
    const responder = here.start(['respond', '/queue/double', '--json', '--count', '1', '--', ...double]);
    const { out } = await here.run(['request', '/queue/double', '--json', '{"n":21}']);
    expect(JSON.parse(out)).toMatchObject({ body: '{"n":42}', headers: { 'content-type': 'application/json' } });
    expect(JSON.parse((await responder.ended).out)).toMatchObject({ destination: '/queue/double', bytes: 8 });
  });

  test('another exit code than 0 refuses, and nothing of what the command complained about travels', async () => {
    await using here = await stage();
    const fail = [NODE, '-e', 'console.error("a s3cret path \\u001b[31m"); process.exit(3)'];
    const responder = here.start(['respond', '/queue/fail', '--count', '1', '--', ...fail]);
    const { code, out, err } = await here.run(['request', '/queue/fail', 'x']);
    expect({ code, out }).toEqual({ code: EXIT.refused, out: '' });
    expect(err).toContain('the command ended with exit code 3');
    expect(err).not.toContain('s3cret');
    expect((await responder.ended).err).toContain('a s3cret path \\e[31m\n');
  });

  test('a command that does not end is killed, and the request refused', async () => {
    await using here = await stage();
    const hang = [NODE, '-e', 'setInterval(() => {}, 1000)'];
    const responder = here.start(['respond', '/queue/hang', '--count', '1', '--timeout', '300ms', '--', ...hang]);
    const { code, err } = await here.run(['request', '/queue/hang', 'x']);
    expect(code).toBe(EXIT.refused);
    expect(err).toContain('did not end within 300 ms');
    expect((await responder.ended).code).toBe(0);
  });

  test('a command that is not there refuses and ends the responder with 6', async () => {
    await using here = await stage();
    const responder = here.start(['respond', '/queue/none', '--', '/nowhere/at/all']);
    expect((await here.run(['request', '/queue/none', 'x'])).code).toBe(EXIT.refused);
    const { code, err } = await responder.ended;
    expect(code).toBe(EXIT.system);
    expect(err).toContain('/nowhere/at/all cannot be run');
  });

  test('the command knows the message from its environment, and not our passcode', async () => {
    await using here = await stage();
    const tell = [
      NODE,
      '-e',
      'process.stdout.write(JSON.stringify([process.env.STOMP_DESTINATION, process.env.STOMPBOX_PASSCODE ?? null]))',
    ];
    const env = { STOMPBOX_PASSCODE: 's3cret', PATH: process.env.PATH ?? '' };
    const responder = here.start(['respond', '/queue/env', '--count', '1', '--', ...tell], { env });
    expect((await here.run(['request', '/queue/env', 'x'])).out).toBe('["/queue/env",null]\n');
    await responder.ended;
  });

  test('Ctrl-C lets the request under way be answered', async () => {
    await using here = await stage();
    const slow = [NODE, '-e', 'console.error("begun"); setTimeout(() => console.log("late"), 200)'];
    const responder = here.start(['respond', '/queue/slow', '--', ...slow]);
    const asked = here.run(['request', '/queue/slow', 'x']);
    await responder.says('begun');
    responder.interrupt();
    expect((await asked).out).toBe('late\n\n');
    expect((await responder.ended).code).toBe(0);
  });

  test('no answer in time is 4', async () => {
    await using here = await stage();
    expect((await here.run(['request', '/queue/nobody', 'x', '--timeout', '20ms'])).code).toBe(EXIT.timeout);
  });

  test('several answers, until enough or quiet', async () => {
    await using here = await stage();
    for (const name of ['ann', 'bob']) await here.client.respond('/topic/who', () => name).ready;
    const { out } = await here.run(['request', '/topic/who', '?', '--answers', '5', '--quiet-for', '50ms']);
    expect(out.split('\n').sort().join(' ').trim()).toBe('ann bob');
  });

  test('an answer cannot speak to a terminal (M-160)', async () => {
    await using here = await stage();
    await here.client.respond('/queue/evil', () => 'a\u001b]0;b').ready;
    expect((await here.run(['request', '/queue/evil', 'x'], { terminals: ['stdout'] })).out).toBe('a\\e]0;b\n');
    expect((await here.run(['request', '/queue/evil', 'x'])).out).toBe('a\u001b]0;b\n');
  });
});

describe('browse', () => {
  test('prints what waits, and takes nothing', async () => {
    await using here = await stage();
    for (const body of ['1', '2', '3']) await here.client.send('/queue/a', body);
    expect(await here.run(['browse', '/queue/a', '--raw'])).toMatchObject({ code: 0, out: '1\n2\n3\n', err: '' });
    expect((await here.run(['browse', '/queue/a', '--raw', '--count', '2'])).out).toBe('1\n2\n');
    expect(here.broker.inspect.browse('a').map(({ redeliveries }) => redeliveries)).toEqual([0, 0, 0]);
    expect((await here.run(['browse', '/queue/empty', '--raw'])).out).toBe('');
  });

  test('where the broker cannot, --hold takes and gives back', async () => {
    await using here = await stage();
    for (const body of ['1', '2', '3']) await here.client.send('/queue/a', body);
    const refused = await here.run(['browse', '/queue/a', '--dialect', 'rabbitmq']);
    expect(refused.code).toBe(EXIT.usage);
    expect(refused.err).toContain('--hold');
    const held = await here.run(['browse', '/queue/a', '--dialect', 'rabbitmq', '--hold', '--count', '2', '--raw']);
    expect(held.out).toBe('1\n2\n');
    expect(await here.bodies('a')).toEqual(['1', '2', '3']);
  });
});

describe('move', () => {
  test('moves all, with octets and headers as they were, in order', async () => {
    await using here = await stage();
    const octets = Uint8Array.from({ length: 256 }, (_, at) => at);
    await here.client.send('/queue/a', octets, {
      contentType: 'image/x',
      headers: { tenant: 'a:b\nc' },
      priority: 4,
      correlationId: 'c',
      replyTo: '/queue/r',
      type: 't',
      expiresInMs: 3_600_000,
      persistent: false,
    });
    for (let nth = 0; nth < 120; nth++) await here.client.send('/queue/a', String(nth));
    const moved = await here.run(['move', '/queue/a', '/queue/b', '--timeout', '20ms']);
    expect(moved).toMatchObject({ code: 0, out: 'Moved 121 from /queue/a to /queue/b.\n', err: '' });
    expect(await here.bodies('a')).toEqual([]);
    const [first, ...rest] = (await here.run(['browse', '/queue/b', '--json'])).out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(rest.map(({ body }) => body)).toEqual(Array.from({ length: 120 }, (_, nth) => String(nth)));
    expect([...Buffer.from(first.base64, 'base64')]).toEqual([...octets]);
    expect(first.headers).toMatchObject({
      tenant: 'a:b\nc',
      'content-type': 'image/x',
      'correlation-id': 'c',
      'reply-to': '/queue/r',
      type: 't',
      persistent: 'false',
    });
    expect(Number(first.headers.expiration)).toBeGreaterThan(3_000_000);
  });

  test('dead letters go back where they came from, without what made them dead', async () => {
    await using here = await stage();
    const deduplicationId = 'once'; // which would make its return a duplicate
    await here.client.send('/queue/orders', 'bad luck', { headers: { tenant: 'a' }, deduplicationId });
    const consumer = here.client.subscribe('/queue/orders', { ack: 'client-individual' });
    await (await consumer.next()).nack({ requeue: false });
    await consumer.unsubscribe();
    expect(await here.bodies('dlq.orders')).toEqual(['bad luck']);
    const { code, out } = await here.run([
      'move',
      '--dead-letters',
      '/queue/dlq.orders',
      '--timeout',
      '20ms',
      '--json',
    ]);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toEqual({ from: '/queue/dlq.orders', to: null, moved: 1, left: 0 });
    const [line] = (await here.run(['browse', '/queue/orders', '--json'])).out.split('\n');
    const { headers } = JSON.parse(line ?? '');
    expect(headers.tenant).toBe('a');
    expect(Object.keys(headers).filter((name) => /dead|original/.test(name))).toEqual([]);
  });

  test('one whose origin is not known stays, is counted, and makes it 1', async () => {
    await using here = await stage();
    await here.client.send('/queue/dlq.a', 'from nowhere');
    const { code, err } = await here.run(['move', '--dead-letters', '/queue/dlq.a', '--timeout', '20ms']);
    expect(code).toBe(EXIT.refused);
    expect(err).toContain('1 were left');
    expect(await here.bodies('dlq.a')).toEqual(['from nowhere']);
  });

  test('no more than were asked for, and only those that were meant', async () => {
    await using here = await stage();
    for (const size of [1, 9, 2, 8, 7]) await here.client.send('/queue/a', `${size}`, { headers: { size } });
    const args = ['move', '/queue/a', '/queue/b', '--selector', 'size > 5', '--count', '2', '--timeout', '20ms'];
    expect((await here.run(args)).out).toBe('Moved 2 from /queue/a to /queue/b.\n');
    expect(await here.bodies('b')).toEqual(['9', '8']);
    expect(await here.bodies('a')).toEqual(['1', '2', '7']);
  });

  test('what is refused at its new place stays where it was', async () => {
    await using here = await stage({ authorize: (_, verb, place) => !(verb === 'send' && place === '/queue/b') });
    await here.client.send('/queue/a', 'x');
    expect((await here.run(['move', '/queue/a', '/queue/b', '--timeout', '20ms'])).code).toBe(EXIT.refused);
    expect(await here.bodies('a')).toEqual(['x']);
  });

  test('a queue is not moved to itself', async () => {
    await using here = await stage();
    expect((await here.run(['move', '/queue/a', '/queue/a'])).code).toBe(EXIT.usage);
    expect((await here.run(['move', '/queue/a'])).code).toBe(EXIT.usage);
  });
});
