// Conformance 2.2: the arithmetic, the header, and the clocks.

import {
  agree,
  formatHeartBeat,
  type HeartBeatOffer,
  keepAlive,
  ProtocolError,
  parseHeartBeat,
} from '@stompbox/protocol';
import { describe, expect, test } from 'vitest';

const MAX = 2 ** 31 - 1;
const offer = (send: number, expect: number): HeartBeatOffer => ({ send, expect });

describe('H-01, H-08, H-09: the header', () => {
  test.each([
    [undefined, 0, 0],
    ['0,0', 0, 0],
    ['0,5000', 0, 5000],
    ['10000,10000', 10_000, 10_000],
    ['1,1', 1, 1],
    ['007,010', 7, 10],
    ['99999999999,0', MAX, 0],
    ['0,999999999999999', 0, MAX],
    [`${MAX},${MAX + 1}`, MAX, MAX],
  ])('%j is an offer', (value, send, expected) => {
    expect(parseHeartBeat(value)).toEqual({ send, expect: expected });
  });

  const broken = [
    '',
    ',',
    '1000',
    '1000,',
    ',1000',
    '1,2,3',
    'a,b',
    '-1,0',
    '0,-1',
    '+1,0',
    '1.5,1',
    '1e3,1',
    '0x1,1',
    'NaN,NaN',
    '1;1',
    '1,1\n',
    '１,1',
    '1000000000000000,0',
    `${10n ** 20n},0`,
  ];
  test.each(broken)('%j is malformed, in any mood', (value) => {
    for (const lenient of [false, true]) {
      expect(() => parseHeartBeat(value, { lenient })).toThrow(ProtocolError);
      expect(() => parseHeartBeat(value, { lenient })).toThrow(
        expect.objectContaining({ code: 'bad-heart-beat', rule: 'H-09' }),
      );
    }
  });

  test.each(['1000, 1000', ' 1000,1000', '1000,1000 ', '\t1000\t,\t1000'])(
    'X-22: blanks in %j are forgiven only where asked',
    (value) => {
      expect(() => parseHeartBeat(value)).toThrow(expect.objectContaining({ code: 'bad-heart-beat' }));
      expect(parseHeartBeat(value, { lenient: true })).toEqual({ send: 1000, expect: 1000 });
    },
  );

  test.each(['1 000,1', '1,1 0', '1\n,1'])('X-22: blanks inside a number are not, as in %j', (value) => {
    expect(() => parseHeartBeat(value, { lenient: true })).toThrow(expect.objectContaining({ code: 'bad-heart-beat' }));
  });

  test('what is formatted is parsed', () => {
    for (const pair of [offer(0, 0), offer(1, 2), offer(MAX, 0)])
      expect(parseHeartBeat(formatHeartBeat(pair))).toEqual(pair);
  });
});

describe('H-01, H-02: what follows from two offers', () => {
  test.each([
    // client's, server's, client to server, server to client
    ['0,0', '0,0', 0, 0],
    ['0,5000', '4000,0', 0, 5000],
    ['1000,2000', '3000,4000', 4000, 3000],
    ['4000,3000', '2000,1000', 4000, 3000],
    ['1000,0', '1000,0', 0, 0],
    ['0,1000', '0,1000', 0, 0],
    ['10000,10000', '0,0', 0, 0],
    ['0,0', '10000,10000', 0, 0],
    ['1,1', '1,1', 1, 1],
    ['99999999999,1', '1,1', MAX, 1],
  ])('%s and %s', (client, server, up, down) => {
    const [mine, theirs] = [parseHeartBeat(client), parseHeartBeat(server)];
    expect(agree(mine, theirs)).toEqual({ out: up, in: down });
    expect(agree(theirs, mine), 'seen from the other end').toEqual({ out: down, in: up });
  });

  // The table of conformance 2.2: what the client asked, what the broker answered, what is agreed.
  test.each([
    ['RabbitMQ floors to whole seconds', '1500,1500', '1000,1000', 1500, 1500],
    ['RabbitMQ with nothing to say', '0,0', '0,0', 0, 0],
    ['ActiveMQ swaps', '100,2000', '2000,100', 100, 2000],
    ['ActiveMQ takes 1 ms', '1,1', '1,1', 1, 1],
    ['Artemis raises what it sends to 500', '10000,100', '500,30000', 30_000, 500],
    ['Artemis wants to hear even who offers nothing', '0,0', '0,30000', 0, 0],
    ['Spring sends what it was configured', '5000,5000', '10000,10000', 10_000, 10_000],
    ['Spring without a scheduler', '10000,10000', '0,0', 0, 0],
    ['go-stomp raises to a minute', '10000,10000', '60000,60000', 60_000, 60_000],
    ['go-stomp leaves 0', '0,10000', '60000,0', 0, 60_000],
    ['CoilMQ offers to who does not want', '0,0', '100,100', 0, 0],
    ['CoilMQ raises to 100', '50,50', '100,100', 100, 100],
  ])('%s: %s answered %s', (_, client, server, up, down) => {
    expect(agree(parseHeartBeat(client), parseHeartBeat(server))).toEqual({ out: up, in: down });
  });
});

describe('H-03 to H-08: the clocks', () => {
  test('nothing agreed: never a beat, never lost, no deadline', () => {
    const quiet = keepAlive({ out: 0, in: 0 }, 0);
    expect(quiet.deadline).toBe(Number.POSITIVE_INFINITY);
    expect(quiet.check(1e15)).toBe('fine');
  });

  test('H-06: we speak after three quarters of the gap', () => {
    const speaking = keepAlive({ out: 1000, in: 0 }, 100);
    expect(speaking.deadline).toBe(850);
    expect(speaking.check(849)).toBe('fine');
    expect(speaking.check(850)).toBe('beat');
    expect(speaking.check(851), 'until something is sent').toBe('beat');
    speaking.sent(851);
    expect(speaking.check(851)).toBe('fine');
    expect(speaking.deadline).toBe(1601);
  });

  test('H-04: anything sent counts, so a busy sender never beats', () => {
    const busy = keepAlive({ out: 1000, in: 0 }, 0);
    for (let now = 0; now < 100_000; now += 700) {
      expect(busy.check(now)).toBe('fine');
      busy.sent(now);
    }
  });

  test.each([
    [10_000, 20_000],
    [1000, 2000],
    [100, 1100],
    [1, 1001],
    [999, 1999],
  ])('H-05, H-06: a gap of %d ms is lost after %d', (gap, patience) => {
    const listening = keepAlive({ out: 0, in: gap }, 0);
    expect(listening.deadline).toBe(patience);
    expect(listening.check(patience - 1)).toBe('fine');
    expect(listening.check(patience)).toBe('lost');
  });

  test('a silent hour is one late heart-beat away from lost', () => {
    const silent = keepAlive({ out: 0, in: 3_600_000 }, 0);
    expect(silent.check(3_600_000)).toBe('fine');
    expect(silent.check(7_200_000)).toBe('lost');
  });

  test('H-04: drip-feeding a large body keeps a peer alive', () => {
    const dripping = keepAlive({ out: 0, in: 1000 }, 0);
    for (let now = 0; now < 100_000; now += 1999) {
      expect(dripping.check(now)).toBe('fine');
      dripping.received(now);
    }
  });

  test('H-07: both clocks start when they are made', () => {
    const late = keepAlive({ out: 1000, in: 1000 }, 50_000);
    expect(late.check(50_000)).toBe('fine');
    expect(late.deadline).toBe(50_750);
  });

  test('lost comes before beat, and the nearer deadline first', () => {
    const both = keepAlive({ out: 10_000, in: 1000 }, 0);
    expect(both.deadline).toBe(2000);
    expect(both.check(8000)).toBe('lost');
    both.received(8000);
    expect(both.check(8000)).toBe('beat');
  });

  test('H-06: the patience is configurable, and never less than a second more than agreed', () => {
    expect(keepAlive({ out: 0, in: 10_000 }, 0, { tolerance: 3 }).deadline).toBe(30_000);
    expect(keepAlive({ out: 0, in: 10_000 }, 0, { tolerance: 1 }).deadline).toBe(11_000);
    expect(keepAlive({ out: 0, in: 10_000 }, 0, { tolerance: 0 }).deadline).toBe(11_000);
  });

  test('H-08: no deadline is further away than a timer can reach', () => {
    const slow = keepAlive({ out: MAX, in: MAX }, 0);
    expect(slow.deadline).toBeLessThanOrEqual(MAX);
    expect(keepAlive({ out: 0, in: MAX }, 0).deadline).toBeLessThanOrEqual(MAX);
  });
});
