// Conformance 8.1 against the decoder: each row ends as the table says, however it is
// cut, and nothing but what the limits allow is ever held.

import { DEFAULT_LIMITS, type Decoded, Decoder, ProtocolError } from '@stompbox/protocol';
import { cuts, flood, HOSTILE, HOSTILITIES, type Hostile, type HostilityId, NOT_BYTES } from 'testkit';
import { describe, expect, test } from 'vitest';
import { decode, latin1, utf8 } from './support.ts';

const MIB = 1024 * 1024;
const LIMITS = { ...DEFAULT_LIMITS, maxBodyBytes: MIB };
/** What one decoder may hold: a whole frame, and the chunk that has just come. */
const BOUND = LIMITS.maxHeadBytes + LIMITS.maxBodyBytes + 64 * 1024 + 1;
const FLOOD = 64 * MIB;

interface End {
  readonly error: unknown;
  readonly frames: number;
  readonly heartBeats: number;
  readonly bodies: readonly string[];
  readonly header: string | undefined;
  readonly decoder: Decoder;
  /** The most that the decoder held after any push. */
  readonly most: number;
}

/** Until the first error, then on and on: a broken decoder must not keep anything either. */
function suffer(row: Hostile, limits = LIMITS): End {
  const decoder = new Decoder({ version: row.version, limits: { ...limits, ...row.limits } });
  const bodies: string[] = [];
  let error: unknown;
  let [frames, heartBeats, most, pushed] = [0, 0, 0, 0];
  let header: string | undefined;
  const count = (event: Decoded): void => {
    if (event.type === 'heart-beat') heartBeats++;
    if (event.type !== 'frame') return;
    frames++;
    header = event.headers.get('foo');
    if (bodies.length < 8) bodies.push(latin1(event.body));
  };
  for (const chunk of row.bytes()) {
    decoder.push(chunk);
    pushed += chunk.length;
    most = Math.max(most, decoder.length);
    if (error === undefined) {
      try {
        for (let event = decoder.next(); event !== undefined; event = decoder.next()) count(event);
      } catch (thrown) {
        error = thrown;
      }
    }
    if (error !== undefined && pushed > FLOOD) break;
  }
  return { error, frames, heartBeats, bodies, header, decoder, most };
}

const title = (row: Hostile): string =>
  `${row.id}, ${row.version ?? 'before negotiation'}: ${HOSTILITIES[row.id]}: ${row.name}`;

describe('I-1, I-3: refused or read, and never more held than the limits allow', () => {
  test.each(HOSTILE.map((row) => [title(row), row] as const))('%s', (_, row) => {
    const end = suffer(row);
    expect(end.most).toBeLessThanOrEqual(BOUND);
    if ('error' in row.expect) {
      expect(end.error).toBeInstanceOf(ProtocolError);
      expect(end.error).toMatchObject({ code: row.expect.error });
      expect(end.decoder.length).toBe(0);
      expect(() => end.decoder.next()).toThrow(ProtocolError);
      return;
    }
    expect(end.error).toBeUndefined();
    if ('waitsIn' in row.expect) {
      expect(end.decoder.progress).toBe(row.expect.waitsIn);
      return;
    }
    expect({ frames: end.frames, heartBeats: end.heartBeats }).toEqual({
      frames: row.expect.frames,
      heartBeats: row.expect.heartBeats,
    });
    expect(end.decoder.idle).toBe(true);
    if (row.expect.bodies !== undefined) expect(end.bodies).toEqual(row.expect.bodies);
    if (row.expect.header !== undefined) expect(end.header).toBe(row.expect.header);
  });
});

describe('I-4: the same, however it is cut', () => {
  const small = HOSTILE.filter((row) => {
    let length = 0;
    for (const chunk of row.bytes()) {
      length += chunk.length;
      if (length > 500) return false;
    }
    return true;
  });
  test.each(small.map((row) => [title(row), row] as const))('%s', (_, row) => {
    const bytes = Buffer.concat([...row.bytes()]);
    const options = { version: row.version, limits: row.limits };
    const whole = decode([bytes], options);
    for (const cut of cuts(bytes.length)) expect(decode(cut.of(bytes), options), cut.name).toEqual(whole);
  });
});

test('every hostility of section 8.1 is a row or has a reason', () => {
  const shown = new Set(HOSTILE.map((row) => row.id));
  const missing = (Object.keys(HOSTILITIES) as HostilityId[]).filter(
    (id) => !shown.has(id) && NOT_BYTES[id] === undefined,
  );
  expect(missing).toEqual([]);
});

describe('I-3: 64 MiB and more pass through a bounded decoder', () => {
  const through = (
    decoder: Decoder,
    chunks: Iterable<Uint8Array>,
  ): { passed: number; most: number; events: number } => {
    let [passed, most, events] = [0, 0, 0];
    for (const chunk of chunks) {
      decoder.push(chunk);
      most = Math.max(most, decoder.length);
      for (let event = decoder.next(); event !== undefined; event = decoder.next()) {
        events++;
        if (event.type === 'piece') passed += event.bytes.length;
        if (event.type === 'damage') passed += event.skipped;
      }
    }
    return { passed, most, events };
  };
  const CHUNK = 64 * 1024;

  test('a streamed body without content-length', () => {
    const decoder = new Decoder({ version: '1.2', streamBodiesOver: 1024, limits: LIMITS });
    const { passed, most } = through(decoder, flood('SEND\ndestination:/q\n\n', 'x', 80 * MIB, '\0'));
    expect(passed).toBe(80 * MIB);
    expect(most).toBeLessThanOrEqual(CHUNK + 1024);
    expect(decoder.idle).toBe(true);
  });

  test('a streamed body with content-length', () => {
    const decoder = new Decoder({ version: '1.2', streamBodiesOver: 1024, limits: LIMITS });
    const head = `SEND\ndestination:/q\ncontent-length:${80 * MIB}\n\n`;
    const { passed, most } = through(decoder, flood(head, '\0', 80 * MIB, '\0'));
    expect(passed).toBe(80 * MIB);
    expect(most).toBeLessThanOrEqual(CHUNK);
    expect(decoder.idle).toBe(true);
  });

  test('small frames, one behind the other', () => {
    const decoder = new Decoder({ version: '1.2', limits: LIMITS });
    const one = `SEND\ndestination:/q\n\n${'x'.repeat(1000)}\0`;
    const { most, events } = through(decoder, flood('', one, one.length * 70_000));
    expect(events).toBe(70_000);
    expect(most).toBeLessThanOrEqual(CHUNK);
  });

  test.each([
    ['NULs', '\0'],
    ['LFs', '\n'],
    ['letters of a command', 'S'],
    ['commands without an end', 'SEND\0'],
    ['lines that might be commands', 'SENDS\n'],
    ['CRs', '\r'],
  ])('%s, looked through for a frame', (_, pattern) => {
    const decoder = new Decoder({ version: '1.2', resync: true, limits: LIMITS });
    const { most, passed } = through(decoder, flood('FOO\n', pattern, 66 * MIB, '\nDISCONNECT\n\n\0'));
    expect(most).toBeLessThanOrEqual(CHUNK + 1024);
    expect(passed).toBe(4 + 66 * MIB + 1);
    expect(decoder.idle).toBe(true);
  });

  test('what was announced is not allocated: a body of 60 MiB of which 1 octet came', () => {
    const decoder = new Decoder({ version: '1.2' });
    const before = process.memoryUsage().arrayBuffers;
    decoder.push(utf8(`SEND\ncontent-length:${60 * MIB}\n\nx`));
    expect(decoder.next()).toBeUndefined();
    decoder.push(utf8('y'));
    expect(decoder.next()).toBeUndefined();
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * MIB);
    expect(decoder.length).toBe(2);
  });
});
