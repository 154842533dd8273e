// Every row of the table, every way: whole, cut, streamed, encoded and there and back.

import { Decoder, Encoder, type EncoderOptions, Frame, Headers, PROTOCOL_RULES } from '@stompbox/protocol';
import {
  CODEC_RULES,
  cuts,
  isRefusal,
  NOT_VECTORS,
  octets,
  type Reading,
  type Refusal,
  RULES,
  type RuleId,
  VECTORS,
  type Vector,
} from 'testkit';
import { describe, expect, test } from 'vitest';
import { decode, framesOf, framesSeen, latin1, optionsOf, titleOf, wire } from './support.ts';

type Read = Vector & { readonly expect: Reading };
type Refused = Vector & { readonly expect: Refusal };

const READ = VECTORS.filter((row): row is Read => !isRefusal(row.expect));
const REFUSED = VECTORS.filter((row): row is Refused => isRefusal(row.expect));
const WRITTEN = READ.filter((row) => row.encode !== false && row.options === undefined);

const beats = (seen: readonly unknown[]): number => seen.filter((event) => event === 'heart-beat').length;
const frames = (seen: readonly unknown[]): unknown[] => seen.filter((event) => event !== 'heart-beat');

describe('what the bytes mean', () => {
  test.each(READ.map((row) => [titleOf(row), row] as const))('%s', (_, row) => {
    const bytes = wire(row.bytes);
    const decoder = new Decoder(optionsOf(row));
    decoder.push(bytes.slice());
    for (const _event of decoder);
    expect({ offset: decoder.offset, length: decoder.length, idle: decoder.idle }).toEqual({
      offset: bytes.length,
      length: 0,
      idle: true,
    });

    const whole = decode([bytes.slice()], optionsOf(row));
    expect(whole.error).toBeUndefined();
    expect(frames(whole.seen)).toEqual(framesSeen(row.expect.frames));
    expect(beats(whole.seen)).toBe(row.expect.heartBeats);
  });
});

describe('why the bytes are refused', () => {
  test.each(REFUSED.map((row) => [titleOf(row), row] as const))('%s', (_, row) => {
    const { seen, error } = decode([wire(row.bytes)], optionsOf(row));
    expect(error).toMatchObject({ code: row.expect.error, offset: row.expect.offset });
    expect([row.id].flat(), 'the rule in the error is one the row cites').toContain(error?.rule);
    expect(frames(seen)).toEqual(framesSeen(row.expect.before.frames));
    expect(beats(seen)).toBe(row.expect.before.heartBeats);
  });
});

describe('I-4, C-14: the chunks change nothing', () => {
  test.each(VECTORS.map((row) => [titleOf(row), row] as const))('%s', (_, row) => {
    const bytes = wire(row.bytes);
    const whole = decode([bytes.slice()], optionsOf(row));
    for (const cut of cuts(bytes.length)) expect(decode(cut.of(bytes), optionsOf(row)), cut.name).toEqual(whole);
  });
});

describe('a streamed body is the same body', () => {
  const rows = VECTORS.filter((row) => !(isRefusal(row.expect) && row.expect.error === 'body-too-large'));
  test.each(rows.map((row) => [titleOf(row), row] as const))('%s', (_, row) => {
    const bytes = wire(row.bytes);
    const whole = decode([bytes.slice()], optionsOf(row));
    for (const streamBodiesOver of [0, 1]) {
      for (const cut of cuts(bytes.length)) {
        expect(decode(cut.of(bytes), { ...optionsOf(row), streamBodiesOver }), cut.name).toEqual(whole);
      }
    }
  });
});

/** content-length is announced where the row has it, and otherwise only where the body needs it. */
function encoderFor(row: Read): Encoder {
  const announced = row.expect.frames.some((frame) => frame.headers.some(([name]) => name === 'content-length'));
  const options: EncoderOptions = { version: row.version, contentLength: announced ? 'always' : 'whenNeeded' };
  return new Encoder(options);
}

describe('how the frames are written', () => {
  test.each(WRITTEN.map((row) => [titleOf(row), row] as const))('%s', (_, row) => {
    const encoder = encoderFor(row);
    for (const { command, headers, body } of row.expect.frames)
      encoder.frame(new Frame(command, Headers.from(headers), wire(body)));
    const canonical = wire(row.encode === undefined || row.encode === false ? row.bytes : row.encode);
    expect(latin1(encoder.take())).toBe(latin1(canonical));
  });
});

describe('what was read, written and read again is the same', () => {
  test.each(WRITTEN.map((row) => [titleOf(row), row] as const))('%s', (_, row) => {
    const encoder = encoderFor(row);
    for (const frame of framesOf(wire(row.bytes), optionsOf(row))) encoder.frame(frame);
    const written = encoder.take();
    expect(latin1(written)).toBe(
      latin1(row.encode === undefined || row.encode === false ? wire(row.bytes) : wire(row.encode)),
    );

    const again = new Encoder({ version: row.version, contentLength: 'whenNeeded' });
    const announcing = encoderFor(row);
    for (const frame of framesOf(written, optionsOf(row))) {
      again.frame(frame);
      announcing.frame(frame);
    }
    expect(latin1(announcing.take())).toBe(latin1(written));
    expect(decode([again.take()], optionsOf(row)).error).toBeUndefined();
  });
});

describe('the table is complete', () => {
  const cited = new Set<RuleId>(VECTORS.flatMap((row) => [row.id].flat()));

  test('every rule of section 1 is a row or has a reason', () => {
    const missing = CODEC_RULES.filter((id) => !cited.has(id) && NOT_VECTORS[id] === undefined);
    expect(missing).toEqual([]);
  });

  test('no rule is both a row and excused', () => {
    expect(Object.keys(NOT_VECTORS).filter((id) => cited.has(id as RuleId))).toEqual([]);
  });

  test('every rule is summed up in five to ten words', () => {
    expect(Object.values(RULES).filter((words) => !/^(\S+\s+){4,9}\S+$/.test(words))).toEqual([]);
  });

  test('no two rows have the same title', () => {
    const titles = VECTORS.map(titleOf);
    expect(titles.filter((title, at) => titles.indexOf(title) !== at)).toEqual([]);
  });

  test('every way the codec refuses is a row', () => {
    const codes = Object.keys(PROTOCOL_RULES);
    const codec = codes.slice(0, codes.indexOf('unexpected-frame'));
    expect(codec.filter((code) => !REFUSED.some((row) => row.expect.error === code))).toEqual([]);
  });

  test.each([
    'crlf: all',
    'skipInterFrameNul: true',
    'rejectRawColon: true',
    'lenientContentLength: true',
    'undefinedEscape: keep',
    'escapeR11: accept',
    'escape10: true',
    'trim10: both',
    'trim10: none',
    'trim10: leading',
    'headerUtf8: replace',
    'headerUtf8: latin1',
    'allowNulInHeader: true',
    'discardStrayBody: true',
  ])('%s has rows with it and without it, on the same bytes', (option) => {
    const on = VECTORS.filter((row) =>
      Object.entries(row.options ?? {}).some(([name, value]) => `${name}: ${value}` === option),
    );
    const paired = on.filter((row) =>
      VECTORS.some(
        (other) =>
          other.options === undefined &&
          other.version === row.version &&
          latin1(wire(other.bytes)) === latin1(wire(row.bytes)),
      ),
    );
    expect(paired.length).toBeGreaterThan(0);
  });
});

test('I-5: an error quotes at most 256 bytes of the input', () => {
  for (const bytes of [
    octets(...new Array<number>(32).fill(1), '\n'),
    octets('SEND\n', ...new Array<number>(200).fill(1), '\n\n\0'),
    octets('SEND\ncontent-length:', ...new Array<number>(200).fill(1), '\n\n\0'),
    octets('SEND\n', ...new Array<number>(200).fill(0xe9), '\n\n\0'),
  ]) {
    const decoder = new Decoder({ version: '1.1' });
    decoder.push(bytes);
    let message = '';
    try {
      for (const _event of decoder);
    } catch (error) {
      message = error instanceof Error ? error.message : '';
    }
    const quoted = /".*"/s.exec(message)?.[0] ?? '';
    expect(quoted).not.toBe('');
    expect(new TextEncoder().encode(quoted).length, message).toBeLessThanOrEqual(256 + 2);
  }
});
