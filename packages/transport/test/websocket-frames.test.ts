import { expect, test } from 'vitest';
import { ClientFrames } from '../src/websocket-frames.ts';

// RFC 6455, 5.2: one message as a server reads it, and where it ends.
function read(bytes: Uint8Array, at: number) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const opcode = view.getUint8(at);
  const isMasked = view.getUint8(at + 1) >= 128;
  let length = view.getUint8(at + 1) & 127;
  let head = at + 2;
  if (length === 126) {
    length = view.getUint16(head);
    head += 2;
  } else if (length === 127) {
    length = Number(view.getBigUint64(head));
    head += 8;
  }
  const key = bytes.slice(head, head + 4);
  const end = head + 4 + length;
  const payload = bytes.slice(head + 4, end).map((byte, i) => byte ^ (key[i & 3] ?? 0));
  return { opcode, isMasked, key, payload, end };
}

const LENGTHS = [1, 2, 3, 4, 5, 6, 7, 8, 125, 126, 127, 1_000, 1_001, 1_002, 1_003, 65_535, 65_536, 200_001];

function pattern(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 7 + length) & 255);
}

test.each(LENGTHS)('a message of %d bytes is masked and can be read back, wherever it lies in its buffer', (length) => {
  const payload = pattern(length);
  for (let before = 1; before <= 4; before++) {
    const frames = new ClientFrames();
    frames.add(pattern(before), false);
    frames.add(payload, true);
    const bytes = frames.take();
    const first = read(bytes, 0);
    expect(first).toMatchObject({ opcode: 0x82, isMasked: true, payload: pattern(before) });
    const second = read(bytes, first.end);
    expect(second).toMatchObject({ opcode: 0x81, isMasked: true, end: bytes.length });
    expect(second.payload).toEqual(payload);
  }
});

test('what was taken is not touched by what is added later', () => {
  const frames = new ClientFrames();
  const taken: Uint8Array[] = [];
  for (const length of LENGTHS) {
    frames.add(pattern(length), true);
    expect(frames.length).toBeGreaterThan(length);
    taken.push(frames.take());
    expect(frames.length).toBe(0);
  }
  expect(taken.map((bytes) => read(bytes, 0).payload)).toEqual(LENGTHS.map(pattern));
});

test('what was taken is written over only when it was given back', () => {
  const frames = new ClientFrames();
  frames.add(pattern(10), true);
  const first = frames.take();
  frames.add(pattern(11), true);
  expect(read(first, 0).payload).toEqual(pattern(10));
  frames.reuse();
  expect(read(frames.take(), 0).payload).toEqual(pattern(11)); // it had not been taken
  frames.reuse();
  frames.add(pattern(12), true);
  expect(frames.take().byteOffset).toBe(first.byteOffset);
});

test('every message has a key of its own (RFC 6455, 5.3)', () => {
  const frames = new ClientFrames();
  const keys = new Set<string>();
  for (let i = 0; i < 3_000; i++) {
    frames.add(pattern(3), true);
    keys.add(read(frames.take(), 0).key.join());
  }
  expect(keys.size).toBeGreaterThan(2_990); // of four billion
});
