// `stompbox conformance` and `stompbox doctor` as somebody types them, against a broker in memory.

import { passcodes } from '@stompbox/broker';
import { afterEach, expect, test } from 'vitest';
import { EXIT } from '../../packages/cli/src/exit-codes.ts';
import { type Stage, stage } from './support.ts';

let open: Stage | undefined;
afterEach(() => open?.[Symbol.asyncDispose]());

async function scene(options: Parameters<typeof stage>[0] = {}): Promise<Stage> {
  open = await stage(options);
  return open;
}

test('conformance prints a line for each rule that was asked, and the score, and ends with 0', async () => {
  const { run } = await scene();
  const { code, out, err } = await run(['conformance', 'stomp://broker', '--only', 'C-21', 'C-41', 'C-43']);
  expect({ code, err }).toEqual({ code: EXIT.done, err: '' });
  expect(out.split('\n').slice(2, 4)).toEqual([
    'C-21   pass       a header line without a colon is an error',
    'C-41   pass       an undefined escape is an error',
  ]);
  expect(out).toContain('2 pass, 0 fail, 0 differ as documented, 1 were not tested');
});

test('conformance --all tells why the others were not tested', async () => {
  const { run } = await scene();
  const { out } = await run(['conformance', 'stomp://broker', '--only', 'C-43', 'M-28', 'W-01', '--all']);
  expect(out).toContain('a rule for the library that writes; no broker can be made to break it');
  expect(out).toContain('a hostile input: --hostile asks it');
  expect(out).toContain('the URL is no WebSocket');
});

test('conformance --json and --junit are for programs, and not both', async () => {
  const { run } = await scene();
  const words = ['conformance', 'stomp://ann:s3cret@broker', '--only', 'R-08'];
  const { out } = await run([...words, '--json']);
  expect(JSON.parse(out)).toMatchObject({
    url: 'stomp://broker:61613',
    broker: { name: 'stompbox', versions: ['1.0', '1.1', '1.2'] },
    score: { pass: 1, fail: 0 },
    rows: [{ id: 'R-08', outcome: 'pass', versions: ['1.2'] }],
    left: [],
  });
  expect((await run([...words, '--junit'])).out).toContain('<testsuites tests="1" failures="0"');
  expect((await run([...words, '--json', '--junit'])).code).toBe(EXIT.usage);
});

test('conformance ends with 1 where a rule is broken', async () => {
  const { run } = await scene({ limits: { maxHeaders: 20_100, maxHeadBytes: 1_000_000 } });
  const { code, out } = await run(['conformance', 'stomp://broker', '--only', 'M-12', '--hostile']);
  expect(out).toContain('M-12   FAIL');
  expect(code).toBe(EXIT.refused);
});

test('conformance refuses what means nothing: a rule that is none, a word that is no URL, flags of clients', async () => {
  const { run } = await scene();
  const wrong = [['--only', 'Q-1'], ['hello'], ['--heart-beat', '1,1']];
  for (const words of wrong) {
    const { code, err } = await run(['conformance', ...words]);
    expect({ code, said: err !== '' }).toEqual({ code: EXIT.usage, said: true });
  }
});

test('a login that is refused ends conformance with 5, and is a finding of the doctor', async () => {
  const { run } = await scene({ authenticate: passcodes({ ann: 's3cret' }) });
  const wrong = { env: { STOMPBOX_LOGIN: 'ann', STOMPBOX_PASSCODE: 'guess' } };
  expect((await run(['conformance', 'stomp://broker', '--only', 'R-08'], wrong)).code).toBe(EXIT.login);
  const doctor = await run(['doctor', 'stomp://broker'], wrong);
  expect(doctor.code).toBe(EXIT.refused);
  expect(doctor.out).toContain('BAD   login');
  expect(doctor.out).not.toContain('guess');
});

test('doctor prints each finding with what to do, and ends with 0 where nothing is wrong', async () => {
  const { run, broker } = await scene({ authenticate: passcodes({ ann: 's3cret' }) });
  const { code, out } = await run(['doctor', 'stomp://broker', '--idle', '20ms'], {
    env: { STOMPBOX_LOGIN: 'ann', STOMPBOX_PASSCODE: 's3cret' },
  });
  expect(code).toBe(EXIT.done);
  for (const topic of ['version', 'dialect', 'heart-beats', 'receipts', 'ack modes', 'limits', 'round trip', 'idle']) {
    expect(out).toMatch(new RegExp(`^(ok|note) +${topic} `, 'm'));
  }
  expect(out).toContain('ann gets in');
  expect(out).not.toContain('s3cret');
  expect(broker.stats()).toMatchObject({ bytes: 0 });
});

test('doctor --json has the figures', async () => {
  const { run } = await scene({ limits: { maxHeaders: 50 } });
  const { out } = await run(['doctor', 'stomp://broker', '--json']);
  expect(JSON.parse(out)).toMatchObject({
    url: 'stomp://broker:61613',
    findings: expect.arrayContaining([
      expect.objectContaining({
        topic: 'dialect',
        data: { profile: 'stompbox', nacked: 'redelivered', queues: 'shared' },
      }),
    ]),
  });
});

test.for(['doctor', 'conformance'])('%s ends at Ctrl-C, quietly', async (verb) => {
  const { start } = await scene();
  const running = start([verb, 'stomp://broker']);
  running.interrupt();
  expect(await running.ended).toMatchObject({ code: EXIT.interrupted, out: '', err: '' });
});
