// The doctor's look at real brokers.

import type { PeerAddress } from 'testkit/peers';
import { expect, test } from 'vitest';
import type { Diagnosis, Topic } from '../../packages/cli/src/doctor/finding.ts';
import { runDoctor } from '../../packages/cli/src/doctor/run.ts';
import { activeMq, rabbitMq, withPeer } from './peers.ts';

const about = ({ findings }: Diagnosis, topic: Topic) => findings.filter((finding) => finding.topic === topic);
const problems = ({ findings }: Diagnosis) => findings.filter(({ level }) => level === 'problem');
const examine = ({ urls, login, passcode, ca }: PeerAddress, url: string = urls.tcp) =>
  runDoctor({ url, login, passcode, dial: { tls: { ca } } });

withPeer('RabbitMQ', rabbitMq, (peer) => {
  test('is known by its name, beats as agreed, confirms every frame, and is left empty', async () => {
    const diagnosis = await examine(peer);
    expect(problems(diagnosis)).toEqual([]);
    expect(about(diagnosis, 'dialect')).toMatchObject([{ data: { profile: 'rabbitmq' } }]);
    expect(about(diagnosis, 'heart-beats')).toMatchObject([{ level: 'good', data: { comes: true } }]);
    expect(about(diagnosis, 'receipts')).toMatchObject([{ level: 'good' }]);
    expect(about(diagnosis, 'ack modes')).toMatchObject([{ level: 'good' }]);
    expect(diagnosis.left).toEqual([]);
  });

  test('over WebSocket its last RECEIPT is missed (X-30)', async () => {
    if (peer.urls.ws === undefined) return;
    const { login, passcode } = peer;
    const diagnosis = await runDoctor({ url: peer.urls.ws, login, passcode });
    expect(about(diagnosis, 'receipts')).toMatchObject([{ level: 'note', data: { silent: ['DISCONNECT'] } }]);
  });

  test('its certificate is shown, believed or not', async () => {
    const believed = await examine(peer, peer.urls.tls);
    expect(about(believed, 'certificate')).toMatchObject([{ data: { issuer: 'Stompbox test CA' } }]);
    const { login, passcode } = peer;
    const doubted = await runDoctor({ url: peer.urls.tls, login, passcode });
    expect(doubted.findings).toMatchObject([{ topic: 'certificate', level: 'problem', data: { code: 'untrusted' } }]);
  });

  test('a wrong passcode is a finding about the login', async () => {
    const diagnosis = await runDoctor({ url: peer.urls.tcp, login: peer.login, passcode: 'wrong' });
    expect(diagnosis.findings).toMatchObject([{ topic: 'login', level: 'problem' }]);
  });
});

withPeer('ActiveMQ', activeMq, (peer) => {
  test('is known by its name, and content-length tells its bytes from text (C-56)', async () => {
    const diagnosis = await examine(peer);
    expect(problems(diagnosis)).toEqual([]);
    expect(about(diagnosis, 'dialect')).toMatchObject([{ data: { profile: 'activemq' } }]);
    expect(about(diagnosis, 'bodies')).toMatchObject([{ level: 'note', data: { contentLengthMeansBytes: true } }]);
    expect(about(diagnosis, 'limits').map(({ data }) => data?.what)).toEqual([
      'a body',
      'a header line',
      'header lines',
    ]);
    expect(diagnosis.left).toEqual([]);
  });
});
