// What holds for every frame, every version and every chunking.

import { Content, Decoder, Encoder, encode, Frame, Headers, NameSet, VERSIONS, type Version } from '@stompbox/protocol';
import fc from 'fast-check';
import { bodies, chunkings, chunksOf, frames } from 'testkit';
import { describe, expect, test } from 'vitest';
import { decode, framesOf, latin1, pairs, utf8 } from './support.ts';

const EVERY: readonly (Version | undefined)[] = [undefined, ...VERSIONS];

const plain = (frame: Frame): unknown => ({
  command: frame.command,
  headers: pairs(frame.headers).filter(([name]) => name !== 'content-length'),
  body: latin1(frame.body),
});

const streams = (version: Version | undefined) =>
  fc.array(frames(version), { minLength: 1, maxLength: 4 }).chain((sent) =>
    fc.constantFrom<'always' | 'whenNeeded'>('always', 'whenNeeded').chain((contentLength) => {
      const bytes = Buffer.concat(sent.map((frame) => encode(frame, { version, contentLength })));
      return chunkings(bytes.length).map((ends) => ({ sent, bytes, chunks: chunksOf(bytes, ends), contentLength }));
    }),
  );

describe.each(EVERY)('STOMP %s', (version) => {
  test('what is encoded and decoded is the same, however it is cut, order and repeats of the headers kept', () => {
    fc.assert(
      fc.property(streams(version), ({ sent, chunks }) => {
        const decoder = new Decoder({ version });
        const got: Frame[] = [];
        for (const chunk of chunks) {
          decoder.push(chunk);
          for (const event of decoder) if (event instanceof Frame) got.push(event);
        }
        expect(got.map(plain)).toEqual(sent.map(plain));
        expect(decoder.idle).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  test('what is decoded is encoded to the same bytes', () => {
    fc.assert(
      fc.property(streams(version), ({ bytes, contentLength }) => {
        const again = framesOf(bytes, { version }).map((frame) => encode(frame, { version, contentLength }));
        expect(latin1(Buffer.concat(again))).toBe(latin1(bytes));
      }),
      { numRuns: 500 },
    );
  });

  test('headers on the wire equal the same headers made by hand, whichever way they are asked', () => {
    fc.assert(
      fc.property(
        streams(version),
        fc.string({ unit: 'binary', minLength: 1, maxLength: 3 }),
        ({ sent, bytes }, other) => {
          for (const [at, lazy] of framesOf(bytes, { version }).entries()) {
            const eager = Headers.from(pairs((sent[at] as Frame).headers));
            for (const name of [...pairs(eager).map(([known]) => known), other]) {
              if (name === 'content-length') continue;
              expect(lazy.headers.get(name)).toBe(eager.get(name));
              expect(lazy.headers.has(name)).toBe(eager.has(name));
            }
            for (const [name] of eager) expect(lazy.headers.getAll(name)).toEqual(eager.getAll(name));
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  test('X-12: what is kept of a SEND is the same from the wire and by hand, and one frame in every version', () => {
    const scratch = new Encoder({ version: '1.2', unrepresentable: 'replace' });
    const without = new NameSet(['receipt']);
    fc.assert(
      fc.property(frames(version), (any) => {
        const eager = new Frame('SEND', any.headers, any.body);
        for (const lazy of framesOf(encode(eager, { version }), { version })) {
          const content = Content.of(lazy, without, scratch);
          expect(latin1(content.bytes)).toBe(latin1(Content.of(eager, without, scratch).bytes));
          const expected = pairs(eager.headers).filter(([name]) => name !== 'receipt');
          const announced: [string, string][] =
            any.body.length > 0 ? [['content-length', String(any.body.length)]] : [];
          expect(pairs(content.headers)).toEqual([...announced, ...expected]);
          for (const consumer of VERSIONS) {
            const { seen, error } = decode([utf8('MESSAGE\n'), content.in(consumer).slice()], { version: consumer });
            expect(error).toBeUndefined();
            expect(seen).toMatchObject([{ command: 'MESSAGE', body: latin1(any.body) }]);
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  test('resync finds the next intact frame', () => {
    fc.assert(
      fc.property(frames(version), bodies(), frames(version), (first, junk, last) => {
        const bytes = Buffer.concat([
          encode(first, { version }),
          Uint8Array.of(0), // broken here, and any junk behind it ends somewhere
          junk,
          Uint8Array.of(0, 10),
          encode(last, { version }),
        ]);
        const whole = decode([bytes], { version, resync: true });
        expect(whole.error).toBeUndefined();
        const found = whole.seen.at(-1);
        expect(found).toMatchObject({ command: last.command, body: latin1(last.body) });
        fc.pre(bytes.length < 400);
        expect(
          decode(
            [...bytes].map((octet) => Uint8Array.of(octet)),
            { version, resync: true },
          ),
        ).toEqual(whole);
      }),
      { numRuns: 500 },
    );
  });
});
