// Memory that was written is used again, but never before the channel has let go of it.

import { Connection } from '@stompbox/client';
import { Encoder, frame } from '@stompbox/protocol';
import { type Channel, memoryPair } from '@stompbox/transport';
import { ManualClock, random, ScriptedPeer } from 'testkit';
import { expect, test } from 'vitest';
import { Scratch } from '../src/connection/scratch.ts';

/** A channel that copies what it is given when `isSettled` says it has, and until then holds on to the very memory. */
function holding(channel: Channel, isSettled: () => boolean): Channel {
  let held: Uint8Array[] = [];
  let settled = true;
  const letGo = (): void => {
    for (const bytes of held) channel.write(bytes.slice());
    held = [];
  };
  return {
    peer: channel.peer,
    framed: channel.framed,
    get buffered() {
      return channel.buffered;
    },
    get settled() {
      return settled;
    },
    write(bytes) {
      held.push(bytes);
      settled = isSettled();
      if (settled) letGo();
      return true;
    },
    open: (handlers) => channel.open(handlers),
    pause: () => channel.pause(),
    resume: () => channel.resume(),
    end: () => {
      letGo();
      channel.end();
    },
    destroy: (error) => channel.destroy(error),
  };
}

test.each([1, 2, 3, 4, 5])('what a slow channel still holds is not written over (%d)', async (seed) => {
  const next = random(seed);
  const clock = new ManualClock();
  const pair = memoryPair();
  const peer = new ScriptedPeer(pair.b, clock, { heartBeat: { send: 0, expect: 0 }, receipts: false });
  let slow = false;
  const channel = holding(pair.a, () => !slow || next() < 0.5);
  const [connection] = await Promise.all([Connection.over(channel, { clock }), peer.accept()]);
  slow = true;
  const bodies: string[] = [];
  for (let i = 0; i < 300; i++) {
    const length = Math.floor(next() * (next() < 0.1 ? 90_000 : 3_000));
    const body = `${i} ${String.fromCharCode(97 + (i % 26)).repeat(length)}${next() < 0.2 ? 'é€😀' : ''}`;
    bodies.push(body);
    const sent = connection.send('/q', body, { confirm: false });
    if (next() < 0.5) await sent;
    if (next() < 0.1) await clock.advance(1);
  }
  const closing = connection.close();
  await clock.advance(5_000);
  await closing;
  const came = peer.frames.filter(({ command }) => command === 'SEND').map((sent) => sent.text());
  expect(came).toEqual(bodies);
});

test('an encoder that lends gives views, and writes over them only when they were given back', () => {
  const encoder = new Encoder({ version: '1.2' });
  const said = (body: string): Uint8Array => {
    encoder.frame(frame('SEND', { destination: '/q' }, body));
    const [bytes, ...more] = encoder.lendAll();
    expect(more).toEqual([]);
    return bytes as Uint8Array;
  };
  const first = said('a');
  const kept = first.slice();
  said('b');
  expect(first).toEqual(kept);
  encoder.reuse();
  expect(said('c').byteOffset).toBe(first.byteOffset);
});

test('an encoder keeps no very large buffer', () => {
  const encoder = new Encoder({ version: '1.2', onePiece: true });
  const memoryOf = (length: number): ArrayBufferLike | undefined => {
    encoder.frame(frame('SEND', { destination: '/q' }, new Uint8Array(length)));
    const [bytes] = encoder.lendAll();
    encoder.reuse();
    return bytes?.buffer;
  };
  expect(memoryOf(2_000_000)).not.toBe(memoryOf(10));
  expect(memoryOf(10)).toBe(memoryOf(20));
});

test('with one piece, a large body is copied', () => {
  const encoder = new Encoder({ version: '1.2', onePiece: true });
  const body = new Uint8Array(100_000).fill(7);
  encoder.frame(frame('SEND', { destination: '/q' }, body));
  const parts = encoder.lendAll();
  expect(parts.length).toBe(1);
  expect(parts[0]?.subarray(-100_001, -1)).toEqual(body);
});

test('a scratch encodes ASCII that is not very long, in the same memory once it is free', () => {
  const scratch = new Scratch();
  const first = scratch.encode('one');
  const second = scratch.encode('two');
  expect(new TextDecoder().decode(first)).toBe('one');
  expect(new TextDecoder().decode(second)).toBe('two');
  expect(scratch.encode('zwölf')).toBeUndefined();
  scratch.free();
  expect(scratch.encode('six')?.byteOffset).toBe(first?.byteOffset);
  expect(scratch.encode('x'.repeat(200_000))?.length).toBe(200_000);
  expect(scratch.encode('x'.repeat(300_000))).toBeUndefined();
});
