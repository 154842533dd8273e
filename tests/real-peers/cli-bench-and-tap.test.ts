// `stompbox bench` and `stompbox tap` against brokers that are not ours.

import type { PeerAddress } from 'testkit/peers';
import { expect, test } from 'vitest';
import { EXIT } from '../../packages/cli/src/exit-codes.ts';
import { cli, type Said, start } from '../cli/support.ts';
import { activeMq, rabbitMq, withPeer } from './peers.ts';

function measures({ urls, login, passcode }: PeerAddress): void {
  const env = { STOMPBOX_URL: urls.tcp, STOMPBOX_LOGIN: login, STOMPBOX_PASSCODE: passcode };
  const bench = (...args: string[]): Promise<Said> => cli(['bench', '--host', '/', '--json', ...args], { env });

  test.for(['auto', 'client', 'client-individual'])('bench --ack %s: all come, none is left', async (ack) => {
    const { code, out, err } = await bench('--count', '500', '--ack', ack, '--consumers', '2', '--timeout', '5s');
    expect({ code, err }).toEqual({ code: EXIT.done, err: '' });
    expect(JSON.parse(out)).toMatchObject({ complete: true, sent: { messages: 500 }, received: { messages: 500 } });
  });

  test('bench of a topic, and of sending only', async () => {
    const topic = await bench('--topic', '--consumers', '3', '--count', '100', '--timeout', '5s');
    expect(JSON.parse(topic.out)).toMatchObject({ complete: true, received: { messages: 300 } });
    const sending = await bench('--consumers', '0', '--count', '100', '--timeout', '5s');
    expect(JSON.parse(sending.out)).toMatchObject({ complete: true, drained: 100 });
  });
}

function overhears({ urls, login, passcode }: PeerAddress, which: 'tcp' | 'ws'): void {
  const local = `stomp+unix:///tmp/stompbox-tap-${process.pid}-${which}-${login}`;

  test(`tap over ${which}: a client works through it, and its frames are shown`, async () => {
    const running = start(['tap', urls[which] ?? '', '--listen', local]);
    await running.says('Ctrl-C ends it');
    const env = { STOMPBOX_URL: local, STOMPBOX_LOGIN: login, STOMPBOX_PASSCODE: passcode };
    const { code } = await cli(['bench', '--host', '/', '--count', '50', '--timeout', '5s'], { env });
    expect(code).toBe(EXIT.done);
    await running.says('#2 --- closed');
    running.interrupt();
    const { out } = await running.ended;
    expect(out.match(/<<< MESSAGE/g)).toHaveLength(50);
    expect(out).not.toContain('no frame');
    expect(out).toContain('passcode:***');
  });
}

withPeer('RabbitMQ', rabbitMq, (peer) => {
  measures(peer);
  overhears(peer, 'tcp');
  overhears(peer, 'ws');
});
withPeer('ActiveMQ', activeMq, (peer) => {
  measures(peer);
  overhears(peer, 'tcp');
});
