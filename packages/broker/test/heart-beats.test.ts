// Heart-beats between a broker and its clients, with time by hand (H-01 to H-12).

import { describe, expect, test } from 'vitest';
import { place } from './support.ts';

describe('heart-beats', () => {
  test('are offered each way, and not to 1.0 (H-10)', async () => {
    const at = await place();
    expect((await at.dial('1.2').connect()).get('heart-beat')).toBe('1000,1000');
    expect((await at.dial('1.0').connect({ 'heart-beat': '1,1' })).headers.has('heart-beat')).toBe(false);
  });

  test('of the broker come before each agreed gap is over, and any byte will do (H-03, H-04, H-06)', async () => {
    const at = await place();
    const client = await at.client('1.2', { 'heart-beat': '0,4000' });
    await at.clock.advance(2_999);
    expect(client.beats).toBe(0);
    await at.clock.advance(1);
    expect(client.beats).toBe(1);
    await at.clock.advance(2_000);
    await client.send('/queue/q', 'x'); // the RECEIPT counts
    await at.clock.advance(2_999);
    expect(client.beats).toBe(1);
    await at.clock.advance(1);
    expect(client.beats).toBe(2);
    await at.clock.advance(60_000);
    expect(client.beats).toBe(22);
    expect(client.end).toBeUndefined(); // it never promised any
  });

  test('of a client keep it; silence for twice the gap ends it, and its messages go back (H-05, H-12, M-97)', async () => {
    const at = await place();
    const client = await at.client('1.2', { 'heart-beat': '2000,0' });
    const other = await at.client();
    await client.subscribe('1', '/queue/q', 'client');
    await other.send('/queue/q', 'a');
    await client.next();
    for (let i = 0; i < 5; i++) {
      await at.clock.advance(3_900);
      client.write('\n');
    }
    await at.clock.advance(3_999);
    expect(client.end).toBeUndefined();
    await at.clock.advance(1);
    expect((await client.error()).get('message')).toMatch(/nothing came for 2000 ms.*H-05/);
    await other.subscribe('1', '/queue/q');
    expect((await other.next()).get('redelivered')).toBe('true');
  });

  test('part of a frame is a sign of life (H-04)', async () => {
    const at = await place();
    const client = await at.client('1.2', { 'heart-beat': '2000,0' });
    for (const byte of 'SEND\ndestination:/queue/q\nreceipt:1\n\n') {
      client.write(byte);
      await at.clock.advance(1_500);
    }
    client.write('\0');
    expect((await client.next()).get('receipt-id')).toBe('1');
  });

  test('wishes shorter than minHeartBeatMs are raised to it (M-50)', async () => {
    const at = await place({ limits: { minHeartBeatMs: 400 } });
    const client = at.dial();
    expect((await client.connect({ 'heart-beat': '1,1' })).get('heart-beat')).toBe('400,400');
    await at.clock.advance(1_399); // twice the gap, and one second more at the least
    expect([client.beats, client.end]).toEqual([4, undefined]);
    await at.clock.advance(1);
    await client.error();
  });

  test('huge ones are never a busy timer (H-08)', async () => {
    const at = await place();
    const client = await at.client('1.2', { 'heart-beat': '999999999999999,999999999999999' });
    await at.clock.advance(86_400_000);
    expect([client.beats, client.end]).toEqual([0, undefined]);
  });

  test('a client that is not read is not given up for its silence', async () => {
    const at = await place({ limits: { producersWaitAboveBytes: 1024 } });
    const [producer, consumer] = [await at.client('1.2', { 'heart-beat': '2000,0' }), await at.client()];
    await consumer.subscribe('1', '/queue/q', 'client', { 'prefetch-count': '1' });
    for (let i = 0; i < 8; i++) producer.say('SEND', { destination: '/queue/q' }, 'x'.repeat(50_000));
    producer.say('SEND', { destination: '/queue/q', receipt: 'last' });
    await producer.rest();
    expect(producer.channel.buffered).toBeGreaterThan(0); // the broker has stopped reading it
    await at.clock.advance(60_000);
    expect(producer.end).toBeUndefined();
    for (let i = 0; i < 9; i++) consumer.settle('ACK', await consumer.next());
    expect((await producer.next()).get('receipt-id')).toBe('last');
  });

  test('a silent hour takes no time, and no timer is left behind', async () => {
    const at = await place();
    const client = await at.client('1.2', { 'heart-beat': '3600000,0' });
    await at.clock.advance(3_600_000);
    expect(client.end).toBeUndefined();
    client.channel.destroy();
    await client.closed();
    await at.clock.advance(0);
    expect(at.clock.alarms).toBe(0);
  });
});

describe('CONNECT', () => {
  test('must come within connectTimeoutMs (M-42)', async () => {
    const at = await place({ limits: { connectTimeoutMs: 500 } });
    const client = at.dial();
    client.write('\n\nCONN');
    await at.clock.advance(499);
    expect(client.end).toBeUndefined();
    await at.clock.advance(1);
    expect((await client.error()).get('message')).toMatch(/connectTimeoutMs/);
  });

  test('says who we are, unless told not to', async () => {
    expect((await (await place()).dial().connect()).get('server')).toMatch(/^Stompbox\/\d/);
    expect((await (await place({ server: 'x/1' })).dial().connect()).get('server')).toBe('x/1');
    expect((await (await place({ server: false })).dial().connect()).headers.has('server')).toBe(false);
  });

  test('has a session id that is nobody else’s', async () => {
    const at = await place();
    const ids = [];
    for (let i = 0; i < 3; i++) ids.push((await at.dial().connect()).get('session'));
    expect(new Set(ids).size).toBe(3);
  });

  test('must name a host where requireHost says so (X-27)', async () => {
    const at = await place({ requireHost: true });
    await expect(at.dial().connect({ host: '' })).rejects.toThrow(/host/);
    await at.dial('1.0').connect();
  });
});
