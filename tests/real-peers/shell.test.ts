// The shell against brokers that are not ours.

import type { PeerAddress } from 'testkit/peers';
import { expect, test } from 'vitest';
import { cli, start } from '../cli/support.ts';
import { activeMq, rabbitMq, withPeer } from './peers.ts';

function session(peer: PeerAddress): void {
  const env = {
    STOMPBOX_URL: peer.urls.tcp,
    STOMPBOX_LOGIN: peer.login,
    STOMPBOX_PASSCODE: peer.passcode,
    STOMPBOX_HISTORY: '',
    NO_COLOR: '1',
  };

  test('a session of the shell: a transaction, a message settled by its id, receipts', async () => {
    const queue = `/queue/shell-${process.pid}`;
    const shell = start(['shell', '--host', '/'], { env, terminals: ['stdin', 'stdout', 'stderr'] });
    const type = (line: string): void => void shell.stdin.write(`${line}\r`);
    await shell.says('stompbox> ');
    type('begin');
    type(`send ${queue} of a transaction`);
    type('commit');
    await shell.says('Committed: 1 sent, 0 settled');
    type(`subscribe ${queue} client-individual`);
    await shell.says('\nof a transaction\n');
    shell.stdin.write('ack \t');
    await new Promise((resolve) => setImmediate(resolve)); // a Tab in the middle of what comes at once is a tab
    type('');
    await shell.says('Acknowledged: 1\n');
    type(`unsubscribe ${queue}`);
    await shell.says('Unsubscribed from');
    type(`sendrec ${queue} with a receipt`);
    await shell.says('Receipt: the broker has it');
    type('quit');
    expect((await shell.ended).code).toBe(0);
    const { out } = await cli(['listen', '--host', '/', queue, '--count', '1', '--raw', '--timeout', '10s'], { env });
    expect(out).toBe('with a receipt\n');
  });
}

withPeer('RabbitMQ', rabbitMq, session);
withPeer('ActiveMQ', activeMq, session);
