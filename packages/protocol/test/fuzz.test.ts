// Valid streams, bent: flipped bits, octets put in and taken out, ends cut off, pieces
// of one stream in another, pieces again and again, and plain noise.
//
//   STOMPBOX_FUZZ=10000000 npx vitest run packages/protocol/test/fuzz.test.ts    a long run
//   STOMPBOX_FUZZ_SEED=123                                                       another one, or the same one again

import { Decoder, type DecoderOptions, encode, Frame, ProtocolError, type Version } from '@stompbox/protocol';
import { HOSTILE, random, VECTORS } from 'testkit';
import { expect, test } from 'vitest';
import { decode, utf8, wire } from './support.ts';

const INPUTS = Number(process.env.STOMPBOX_FUZZ ?? 100_000);
const SEED = Number(process.env.STOMPBOX_FUZZ_SEED ?? 20261120);
const LONGEST = 400;

const CORPUS: readonly Uint8Array[] = [
  ...VECTORS.map((row) => wire(row.bytes)).filter((bytes) => bytes.length < 200),
  ...HOSTILE.flatMap((row) => {
    const chunks: Uint8Array[] = [];
    for (const chunk of row.bytes()) {
      chunks.push(chunk);
      if (chunks.length > 4 || chunk.length > LONGEST) return [];
    }
    return [new Uint8Array(Buffer.concat(chunks))];
  }),
];

const TOKENS = [
  '\n',
  '\r\n',
  '\0',
  ':',
  '\\',
  '\\c',
  '\r',
  'content-length:',
  'content-length:3\n',
  'SEND\n',
  'SEND\n\n',
  'MESSAGE\n',
  '\n\n',
  '\0\0',
  '\u{1f4a3}',
  '\ufeff',
  '-1',
  '9'.repeat(16),
].map(utf8);
const VERSIONS: readonly (Version | undefined)[] = [undefined, '1.0', '1.1', '1.2'];

type Next = () => number;

const below = (next: Next, limit: number): number => Math.floor(next() * limit);

function pick<T>(next: Next, from: readonly T[]): T {
  return from[below(next, from.length)] as T;
}

const joined = (...parts: Uint8Array[]): Uint8Array => {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
};

/** One way to bend a stream. */
const BENDS: readonly ((bytes: Uint8Array, next: Next) => Uint8Array)[] = [
  function flipABit(bytes, next) {
    const bent = bytes.slice();
    const at = below(next, bent.length);
    bent[at] = (bent[at] ?? 0) ^ (1 << below(next, 8));
    return bent;
  },
  function putInAnOctet(bytes, next) {
    const at = below(next, bytes.length + 1);
    return joined(bytes.subarray(0, at), Uint8Array.of(below(next, 256)), bytes.subarray(at));
  },
  function putInAToken(bytes, next) {
    const at = below(next, bytes.length + 1);
    return joined(bytes.subarray(0, at), pick(next, TOKENS), bytes.subarray(at));
  },
  function takeOut(bytes, next) {
    const at = below(next, bytes.length);
    return joined(bytes.subarray(0, at), bytes.subarray(at + 1 + below(next, 4)));
  },
  function cutOff(bytes, next) {
    return bytes.subarray(0, below(next, bytes.length));
  },
  function splice(bytes, next) {
    const other = pick(next, CORPUS);
    return joined(bytes.subarray(0, below(next, bytes.length)), other.subarray(below(next, other.length)));
  },
  function sayAgain(bytes, next) {
    const at = below(next, bytes.length);
    const piece = bytes.subarray(at, at + below(next, 24));
    return joined(bytes.subarray(0, at), piece, piece, piece, bytes.subarray(at));
  },
  function follow(bytes, next) {
    return joined(bytes, pick(next, CORPUS));
  },
  function noise(_, next) {
    return Uint8Array.from({ length: below(next, 60) }, () => below(next, 256));
  },
];

function input(next: Next): Uint8Array {
  let bytes = pick(next, CORPUS);
  for (let bends = 1 + below(next, 4); bends > 0 && bytes.length > 0; bends--) bytes = pick(next, BENDS)(bytes, next);
  return bytes.slice(0, LONGEST);
}

function options(next: Next): DecoderOptions {
  const sometimes = <T>(value: T): T | undefined => (next() < 0.12 ? value : undefined);
  return {
    version: pick(next, VERSIONS),
    crlf: sometimes('all'),
    skipInterFrameNul: sometimes(true),
    rejectRawColon: sometimes(true),
    lenientContentLength: sometimes(true),
    undefinedEscape: sometimes('keep'),
    escapeR11: sometimes('accept'),
    escape10: sometimes(true),
    trim10: sometimes(next() < 0.5 ? 'both' : 'none'),
    headerUtf8: sometimes(next() < 0.5 ? 'replace' : 'latin1'),
    allowNulInHeader: sometimes(true),
    discardStrayBody: sometimes(true),
    limits: sometimes({ maxBodyBytes: 10, maxHeaders: 3, maxHeaderLineBytes: 20, maxHeadBytes: 50 }),
  };
}

function octetByOctet(bytes: Uint8Array): Uint8Array[] {
  return Array.from(bytes, (octet) => Uint8Array.of(octet));
}

test(
  `garbage is decoded or refused with a ProtocolError, never anything else, in linear time and bounded memory (${INPUTS} inputs, seed ${SEED})`,
  () => {
    let [read, refused] = [0, 0];
    for (let round = 0; round < INPUTS; round++) {
      const seed = SEED + round;
      const next = random(seed);
      const bytes = input(next);
      const opted = options(next);
      const which = `STOMPBOX_FUZZ_SEED=${seed} STOMPBOX_FUZZ=1: ${JSON.stringify(opted)} ${JSON.stringify(Buffer.from(bytes).toString('latin1'))}`;
      try {
        const whole = decode([bytes], opted); // throws what is no ProtocolError
        if (whole.error === undefined) read++;
        else {
          refused++;
          const at = whole.error.offset ?? -1;
          if (at < 0 || at > bytes.length) throw new Error(`the offset ${at} is not in the stream`);
        }
        // I-4: bytes one by one say the same. A decoder that looked at anything twice would look at all of it every time.
        const apart = decode(octetByOctet(bytes), opted);
        if (JSON.stringify(apart) !== JSON.stringify(whole)) expect(apart).toEqual(whole);
        if (round % 4 === 0) {
          const streamed = decode([bytes], { ...opted, streamBodiesOver: 0 });
          if (whole.error?.code !== 'body-too-large' && JSON.stringify(streamed) !== JSON.stringify(whole))
            expect(streamed).toEqual(whole);
        }
        if (round % 4 === 1) {
          const found = decode([bytes], { ...opted, resync: true });
          if (found.error !== undefined) throw new Error('resync gave up');
          const again = decode(octetByOctet(bytes), { ...opted, resync: true });
          if (JSON.stringify(again) !== JSON.stringify(found)) expect(again).toEqual(found);
        }
        if (round % 4 === 2) relay(bytes, opted);
      } catch (error) {
        throw new Error(which, { cause: error });
      }
    }
    expect(read + refused).toBe(INPUTS);
    if (INPUTS >= 10_000) {
      // Neither all good nor all bad, or the bending is wrong.
      expect(read / INPUTS).toBeGreaterThan(0.05);
      expect(refused / INPUTS).toBeGreaterThan(0.3);
    }
  },
  24 * 3600_000,
);

/** What was read can be passed on to anybody, and says there no more than one frame each (C-45). */
function relay(bytes: Uint8Array, opted: DecoderOptions): void {
  const decoder = new Decoder(opted);
  decoder.push(bytes);
  const frames: Frame[] = [];
  try {
    for (const event of decoder) if (event instanceof Frame) frames.push(event);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
  }
  for (const frame of frames) {
    for (const version of VERSIONS) {
      if (version === '1.0' && (frame.command === 'NACK' || frame.command === 'STOMP')) continue;
      const passed = decode([encode(frame, { version, unrepresentable: 'replace' })], { version });
      if (passed.error !== undefined || passed.seen.length !== 1) {
        throw new Error(`a ${frame.command} cannot be passed on in ${version}: ${JSON.stringify(passed)}`);
      }
    }
  }
}

test('a decoder holds no more than it was given, and nothing once it refused', () => {
  for (let round = 0; round < 5000; round++) {
    const next = random(SEED - 1 - round);
    const bytes = input(next);
    const decoder = new Decoder(options(next));
    try {
      for (const octet of octetByOctet(bytes)) {
        decoder.push(octet);
        for (const _event of decoder);
        expect(decoder.length).toBeLessThanOrEqual(bytes.length);
      }
    } catch (error) {
      expect(error).toBeInstanceOf(ProtocolError);
      expect(decoder.length).toBe(0);
    }
  }
});
