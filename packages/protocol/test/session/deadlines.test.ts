// Deadlines with the clock in the test's hand: nothing here waits.

import { ClientSession, frame, ServerSession } from '@stompbox/protocol';
import { connected, events, hear } from 'testkit';
import { describe, expect, test } from 'vitest';
import { bytes, serving, text } from './support.ts';

const NEVER = Number.POSITIVE_INFINITY;

describe('connecting', () => {
  test('M-42: half a CONNECT is given up at the connect timeout, whatever drips in', () => {
    const server = new ServerSession({ connectTimeoutMs: 10_000, frameTimeoutMs: 0 }, 0);
    for (let now = 0; now < 10_000; now += 1000) {
      expect(server.deadline).toBe(10_000);
      expect([hear(server, 'C', now).length > 1, server.tick(now)]).toEqual([false, undefined]);
      if (now === 0) hear(server, 'ONNECT\nlogin:', now);
    }
    expect(server.tick(10_000)?.code).toBe('connect-timeout');
  });

  test('M-42: a login that takes too long is given up too, and its late answer says nothing', () => {
    const server = new ServerSession({}, 0);
    hear(server, 'CONNECT\naccept-version:1.2\nhost:h\n\n\0');
    const error = server.tick(10_000);
    if (error === undefined) throw new Error('no timeout');
    server.error(error);
    server.take(10_000);
    server.accept({}, 10_001);
    expect([server.pending, server.state, server.deadline]).toEqual([0, 'closed', NEVER]);
  });

  test('a connect timeout of 0 is for ever, and ends with CONNECTED', () => {
    expect(new ServerSession({ connectTimeoutMs: 0 }, 0).deadline).toBe(NEVER);
    expect(connected('1.2').client.deadline).toBe(NEVER);
  });

  test('the deadline of a CONNECT in two parts does not outlive it', () => {
    const server = new ServerSession({ connectTimeoutMs: 0, frameTimeoutMs: 1000 }, 0);
    hear(server, 'CONNECT\naccept-version:1.2\n', 0);
    expect(server.deadline).toBe(1000);
    hear(server, 'host:h\n\n\0', 500);
    expect([server.deadline, server.tick(5000)]).toEqual([NEVER, undefined]); // the login may take its time
  });
});

describe('a frame under way', () => {
  test('M-30: a head has a fixed time, however it drips', () => {
    const server = serving('1.2', { frameTimeoutMs: 1000 });
    let now = 100;
    for (const drop of 'SEND\nfoo:') {
      hear(server, drop, now);
      expect(server.deadline).toBe(1100);
      now += 50;
    }
    expect(server.tick(1099)).toBeUndefined();
    expect(server.tick(1100)).toMatchObject({ code: 'frame-timeout', rule: 'M-30' });
  });

  test('M-37: a body has new time with every piece', () => {
    const server = serving('1.2', { frameTimeoutMs: 1000 });
    hear(server, 'SEND\ndestination:/q\ncontent-length:100\n\n', 0);
    for (let now = 0; now < 20_000; now += 900) {
      hear(server, 'x', now);
      expect([server.deadline, server.tick(now)]).toEqual([now + 1000, undefined]);
    }
  });

  test('M-30: chunks that always end inside the next head are no slow frame', () => {
    const server = serving('1.2', { frameTimeoutMs: 1000 });
    hear(server, 'SEND\n', 0);
    for (let now = 500; now < 60_000; now += 500) {
      expect(hear(server, 'destination:/q\n\nx\0SEND\n', now)).toHaveLength(1);
      expect([server.deadline, server.tick(now)]).toEqual([now + 1000, undefined]);
    }
  });

  test('between frames there is no deadline, and asking for events does not move one', () => {
    const server = serving('1.2', { frameTimeoutMs: 1000 });
    hear(server, 'SEND\ndestination:/q\n\nx\0\n\n', 0);
    expect(server.deadline).toBe(NEVER);
    hear(server, 'SEND\n', 10);
    events(server, 700);
    expect(server.deadline).toBe(1010);
  });

  test('a session that ended has no deadline left, and ticks in silence', () => {
    const server = serving('1.2', { frameTimeoutMs: 1000, idleTimeoutMs: 1000 });
    hear(server, 'SEND\n', 0);
    server.close();
    expect([server.deadline, server.tick(99_999)]).toEqual([NEVER, undefined]);
    const client = new ClientSession({}, 0);
    client.close();
    expect([client.deadline, client.tick(99_999)]).toEqual([NEVER, undefined]);
  });
});

describe('heart-beats', () => {
  test('a tick at every deadline keeps two quiet ends alive for an hour, with a beat each 750 ms and no more', () => {
    const pair = connected('1.2', {
      client: { heartBeat: { send: 1000, expect: 1000 } },
      server: { heartBeat: { send: 1000, expect: 1000 } },
    });
    let [beats, ticks] = [0, 0];
    while (pair.now < 3_600_000) {
      pair.now = Math.min(pair.client.deadline, pair.server.deadline);
      expect([pair.client.tick(pair.now), pair.server.tick(pair.now)]).toEqual([undefined, undefined]);
      beats += [...pair.toServer(), ...pair.toClient()].length;
      ticks++;
    }
    expect([beats, ticks]).toEqual([9600, 4800]);
  });

  test('C-15: no beat is written inside a body that is being sent, and beats go on after it', () => {
    const pair = connected('1.2', {
      client: { heartBeat: { send: 1000, expect: 0 } },
      server: { heartBeat: { send: 0, expect: 1000 } },
    });
    const { client } = pair;
    client.sendHead(frame('SEND', { destination: '/q' }), 3);
    client.take(0);
    for (let now = 750; now < 10_000; now = client.deadline)
      expect([client.tick(now), client.pending]).toEqual([undefined, 0]);
    client.sendPiece(bytes('abc'), true);
    expect(text(client.take(10_000))).toBe('abc\0');
    client.tick(client.deadline);
    expect(text(client.take(10_750))).toBe('\n');
  });

  test('H-05: a server that is silent is given up by the client', () => {
    const { client } = connected('1.1', {
      client: { heartBeat: { send: 0, expect: 2000 } },
      server: { heartBeat: { send: 2000, expect: 0 } },
    });
    expect(client.deadline).toBe(4000);
    hear(client, '\n', 3000);
    expect([client.deadline, client.tick(6999), client.tick(7000)?.code]).toEqual([7000, undefined, 'silent-peer']);
  });
});
