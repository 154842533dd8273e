// Conformance 7.2 and 7.3: each leniency and strictness of a session, off and on.

import { ClientSession, NameSet, ServerSession, type ServerSessionOptions, type Version } from '@stompbox/protocol';
import { hear, only } from 'testkit';
import { describe, expect, test } from 'vitest';
import { ackOf, deliver, faultOf, served, serving, subscribe } from './support.ts';

const FROM_1_1: readonly Version[] = ['1.1', '1.2'];
const ALL: readonly Version[] = ['1.0', ...FROM_1_1];

function connecting(headers: string, options: ServerSessionOptions): string {
  const heard = hear(new ServerSession(options, 0), `CONNECT\n${headers}\n\0`);
  return heard[0]?.type === 'connect' ? `connect ${heard[0].version}` : faultOf(heard);
}

describe('7.2: the session', () => {
  for (const value of ['1000, 1000', ' 1000,1000', '1000 ,\t1000 ']) {
    test(`X-22: heart-beat ${JSON.stringify(value)} is refused, and read by lenientHeartBeat`, () => {
      const headers = `accept-version:1.2\nhost:h\nheart-beat:${value}\n`;
      expect(connecting(headers, {})).toBe('bad-heart-beat H-09');
      expect(connecting(headers, { leniency: { lenientHeartBeat: true } })).toBe('connect 1.2');
    });
  }
  for (const value of ['10 00,1000', '1000', ' ', '-1, 0', '1000,,1000']) {
    test(`X-22: lenientHeartBeat does not make sense of ${JSON.stringify(value)}`, () => {
      const headers = `accept-version:1.2\nhost:h\nheart-beat:${value}\n`;
      expect(connecting(headers, { leniency: { lenientHeartBeat: true } })).toBe('bad-heart-beat H-09');
    });
  }

  for (const [accept, version] of [
    [' 1.2', 'connect 1.2'],
    ['1.1, 1.2', 'connect 1.2'],
  ] as const) {
    test(`X-26: accept-version ${JSON.stringify(accept)} is ${version}, and less by strictAcceptVersion`, () => {
      expect(connecting(`accept-version:${accept}\nhost:h\n`, {})).toBe(version);
      const strict = accept.includes(',') ? 'connect 1.1' : 'version-mismatch N-10';
      expect(connecting(`accept-version:${accept}\nhost:h\n`, { strictAcceptVersion: true })).toBe(strict);
    });
  }

  test('X-27: a host is missed only by requireHost', () => {
    expect(connecting('accept-version:1.2\n', {})).toBe('connect 1.2');
    expect(connecting('accept-version:1.2\n', { requireHost: true })).toBe('missing-header N-11');
  });

  test('X-29: an ERROR that names a subscription is fatal, and cancels it by errorPolicy', () => {
    for (const [errorPolicy, state] of [
      [undefined, 'closed'],
      ['fatal', 'closed'],
      ['profile', 'closed'], // it names none of ours
    ] as const) {
      const client = served('1.2', { errorPolicy });
      expect(only(hear(client, 'ERROR\nsubscription:none\n\n\0'), 'error').cancelled).toBeUndefined();
      expect(client.state).toBe(state);
    }
  });

  test('X-33: an idle client is left alone, and given up by idleTimeoutMs', () => {
    expect(serving('1.2').deadline).toBe(Number.POSITIVE_INFINITY);
    const server = serving('1.2', { idleTimeoutMs: 60_000 });
    expect(server.deadline).toBe(60_000);
    hear(server, '\n', 50_000);
    expect([server.deadline, server.tick(109_999)]).toEqual([110_000, undefined]);
    expect(server.tick(110_000)).toMatchObject({ code: 'silent-peer', rule: 'X-33' });
  });

  test('X-33: where heart-beats are agreed they tell the dead from the idle', () => {
    const server = new ServerSession({ idleTimeoutMs: 500, heartBeat: { send: 0, expect: 10_000 } }, 0);
    hear(server, 'CONNECT\naccept-version:1.2\nhost:h\nheart-beat:10000,0\n\n\0');
    server.accept({}, 0);
    expect(server.deadline).toBe(20_000);
  });

  test('H-10: heart-beats in 1.0 are honoured by a client, and not with heartBeatIn10 off', () => {
    for (const [heartBeatIn10, out] of [
      [true, 10_000],
      [false, 0],
    ] as const) {
      const client = new ClientSession({ heartBeatIn10 }, 0);
      client.connect({ host: 'h' });
      hear(client, 'CONNECTED\nheart-beat:0,1\n\n\0');
      expect(client.heartBeat.out).toBe(out);
    }
  });
});

describe('7.3: subscriptions and acknowledgement', () => {
  for (const version of FROM_1_1) {
    test(`X-40, X-44 in ${version}: SUBSCRIBE without an id is let in by optionalSubscriptionId, and works to the end`, () => {
      expect(faultOf(hear(serving(version), 'SUBSCRIBE\ndestination:/q\n\n\0'))).toBe('missing-header F-05');
      const server = serving(version, { leniency: { optionalSubscriptionId: true } });
      const subscription = subscribe(server, 'destination:/q\nack:client');
      const message = deliver(server, subscription, 'a');
      expect(message.wire).not.toContain('subscription');
      const ack = ackOf(version, message).replace('subscription:undefined\n', '');
      expect(only(hear(server, ack), 'settle').items).toEqual(['a']);
      only(hear(server, 'UNSUBSCRIBE\ndestination:/q\n\n\0'), 'unsubscribe');
      expect(faultOf(hear(server, 'SUBSCRIBE\nid:\ndestination:/q\n\n\0'))).toBe('missing-header F-05');
    });
  }

  for (const version of ALL) {
    test(`6.6 in ${version}: UNSUBSCRIBE of an id that is not open may name a durable subscription, where durableNames says how`, () => {
      const server = serving(version, { durableNames: new NameSet(['name']) });
      const [closed, forgotten] = [
        subscribe(server, 'id:1\ndestination:/t'),
        'UNSUBSCRIBE\nid:1\nname:n\nreceipt:r\n\n\0',
      ];
      expect(only(hear(server, forgotten), 'unsubscribe').subscription).toBe(closed);
      expect(only(hear(server, forgotten), 'forget')).toMatchObject({ receipt: 'r' });
      expect(faultOf(hear(serving(version), forgotten))).toBe('unknown-subscription F-08');
      expect(faultOf(hear(server, 'UNSUBSCRIBE\nid:1\nnames:n\n\n\0'))).toBe('unknown-subscription F-08');
    });
  }

  test('X-42: two subscriptions of 1.0 without an id to one destination are two', () => {
    const server = serving('1.0');
    const [one, two] = [subscribe(server, 'destination:/q'), subscribe(server, 'destination:/q')];
    expect([one === two, server.subscriptions.size]).toEqual([false, 2]);
    expect(only(hear(server, 'UNSUBSCRIBE\ndestination:/q\n\n\0'), 'unsubscribe').subscription).toBe(one);
    expect(only(hear(server, 'UNSUBSCRIBE\ndestination:/q\n\n\0'), 'unsubscribe').subscription).toBe(two);
  });

  for (const version of ALL) {
    test(`X-45 in ${version}: a late ACK is refused, and dropped by ignoreLateAck, which drops nothing else`, () => {
      for (const ignoreLateAck of [false, true]) {
        const server = serving(version, { leniency: { ignoreLateAck } });
        const message = deliver(server, subscribe(server, 'id:1\ndestination:/q\nack:client'), 'a');
        hear(server, 'UNSUBSCRIBE\nid:1\n\n\0');
        const heard = hear(server, ackOf(version, message, 'ACK', 'receipt:r\n'));
        if (!ignoreLateAck) expect(faultOf(heard)).toBe('unknown-ack A-09');
        else expect(only(heard, 'settle')).toMatchObject({ items: [], subscription: undefined, receipt: 'r' });
      }
      const server = serving(version, { leniency: { ignoreLateAck: true } });
      const twice = ackOf(version, deliver(server, subscribe(server, 'id:1\ndestination:/q\nack:client'), 'a'));
      expect(faultOf(hear(server, twice + twice))).toBe('unknown-ack A-09');
    });

    test(`X-46, X-47 in ${version}: a cumulative ACK leaves other subscriptions alone`, () => {
      const server = serving(version);
      const other = subscribe(server, 'id:0\ndestination:/q\nack:client-individual');
      deliver(server, other, 'x');
      const heard = hear(
        server,
        ackOf(version, deliver(server, subscribe(server, 'id:1\ndestination:/q\nack:client'), 'a')),
      );
      expect([only(heard, 'settle').items, other.owed.size]).toEqual([['a'], 1]);
    });

    test(`X-50 in ${version}: an ACK of what does not wait is refused, and dropped by ignoreUnknownAck`, () => {
      const unknown = 'ACK\nid:9.9\nmessage-id:1@9.9\nsubscription:none\n\n\0';
      expect(faultOf(hear(serving(version), unknown))).toBe('unknown-ack A-09');
      const lenient = serving(version, { leniency: { ignoreUnknownAck: true } });
      expect(only(hear(lenient, unknown), 'settle').items).toEqual([]);
      const twice = ackOf(version, deliver(lenient, subscribe(lenient, 'id:1\ndestination:/q\nack:client'), 'a'));
      expect(hear(lenient, twice + twice).map((event) => event.type === 'settle' && event.items)).toEqual([['a'], []]);
      expect(faultOf(hear(lenient, 'ACK\n\n\0'))).toMatch(/^missing-header/);
    });
  }

  test('A-11 in 1.1: ACK without `subscription` is refused, and read by optionalAckSubscription', () => {
    for (const optionalAckSubscription of [false, true]) {
      const server = serving('1.1', { leniency: { optionalAckSubscription } });
      const message = deliver(server, subscribe(server, 'id:1\ndestination:/q\nack:client'), 'a');
      const heard = hear(server, `ACK\nmessage-id:${message.get('message-id')}\n\n\0`);
      if (optionalAckSubscription) expect(only(heard, 'settle').items).toEqual(['a']);
      else expect(faultOf(heard)).toBe('missing-header A-11');
    }
  });
});
