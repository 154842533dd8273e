// What every Channel promises, asked of every transport. A transport that
// cannot do something names it, and the test is skipped under that name.

import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Channel, TransportError } from '../src/channel.ts';
import { noise, Owner, pour, running, turnsUntil, utf8 } from './support.ts';

/** Two connected channels, neither opened, and how to clear away what made them. */
export interface Pair {
  readonly near: Channel;
  readonly far: Channel;
  close(): Promise<void>;
}

/** What a transport cannot do, and why. */
export interface Limits {
  readonly noHalfClose?: string;
}

const MIB = 1024 * 1024;
const QUIET = running(); // what the test runner itself keeps

export function channelContract(name: string, makePair: () => Promise<Pair>, limits: Limits = {}): void {
  describe(`${name} keeps the contract of a channel`, () => {
    let pair: Pair;

    beforeEach(async () => {
      pair = await makePair();
    });

    afterEach(async () => {
      pair.near.destroy();
      pair.far.destroy();
      await pair.close();
    });

    test('every byte arrives once and in order, both ways at once', async () => {
      const near = new Owner(pair.near, { keep: false });
      const far = new Owner(pair.far, { keep: false });
      const sent = [oddPieces(6 * MIB, 7), oddPieces(4 * MIB, 11)] as const;
      await Promise.all([
        pour(near, sent[0]),
        pour(far, sent[1]),
        far.until(() => far.received >= 6 * MIB),
        near.until(() => near.received >= 4 * MIB),
      ]);
      expect(far.digest).toBe(digest(sent[0]));
      expect(near.digest).toBe(digest(sent[1]));
    });

    test('a far side that pauses makes write answer false; when it resumes, drain comes and nothing is lost', async () => {
      const near = new Owner(pair.near, { keep: false });
      const far = new Owner(pair.far, { keep: false });
      pair.far.pause();
      const piece = noise(32 * 1024);
      let sent = 0;
      let stuck = false;
      while (!stuck) {
        const drains = near.drains;
        const more = pair.near.write(piece);
        sent += piece.length;
        expect(sent).toBeLessThan(64 * MIB); // the kernel takes some; we must not
        if (more) continue;
        stuck = await Promise.race([near.until(() => near.drains > drains).then(() => false), after(150)]);
      }
      expect(pair.near.buffered).toBeGreaterThan(0);
      expect(pair.near.buffered).toBeLessThan(2 * MIB);
      const drains = near.drains;
      pair.far.resume();
      await near.until(() => near.drains > drains);
      await far.until(() => far.received === sent);
      expect(near.drains).toBe(drains + 1);
      expect(pair.near.buffered).toBe(0);
    });

    test('a pause before open holds the first byte back', async () => {
      pair.near.pause();
      const near = new Owner(pair.near);
      const far = new Owner(pair.far);
      pair.far.write(utf8('early'));
      expect(await Promise.race([near.until(() => near.received > 0).then(() => 'heard'), after(30)])).toBe(true);
      pair.near.resume();
      await near.until(() => near.text === 'early');
      expect(far.end).toBeUndefined();
    });

    test('bytes that came before open are kept, in order', async () => {
      pair.far.open(new Owner(pair.far, { opened: false }));
      pair.far.write(utf8('one '));
      pair.far.write(utf8('two '));
      await after(20); // long enough to arrive, on purpose: it must wait
      const near = new Owner(pair.near);
      pair.far.write(utf8('three'));
      await near.until(() => near.text === 'one two three');
    });

    test.skipIf(limits.noHalfClose !== undefined)(
      `after one side ended the other may still write${because(limits.noHalfClose)}`,
      async () => {
        const near = new Owner(pair.near);
        const far = new Owner(pair.far, { answerEnd: false });
        pair.near.write(utf8('last words'));
        pair.near.end();
        await far.until(() => far.diary.includes('ended'));
        expect(far.text).toBe('last words');
        pair.far.write(utf8('heard you'));
        await near.until(() => near.text === 'heard you');
        expect(near.end).toBeUndefined();
        pair.far.end();
        expect(await near.whenClosed()).toEqual({});
        expect(await far.whenClosed()).toEqual({});
      },
    );

    test('what was written before end arrives before the end, however much it is', async () => {
      const near = new Owner(pair.near, { keep: false });
      const far = new Owner(pair.far, { keep: false });
      const pieces = oddPieces(2 * MIB, 3);
      for (const piece of pieces) pair.near.write(piece); // deaf to false: the channel must cope
      pair.near.end();
      const ends = await Promise.all([near.whenClosed(), far.whenClosed()]);
      expect(far.digest).toBe(digest(pieces));
      for (const end of ends) expect(end.error).toBeUndefined();
    });

    test('closed comes exactly once, and last', async () => {
      const near = new Owner(pair.near);
      const far = new Owner(pair.far);
      pair.near.write(utf8('x'));
      pair.near.end();
      await Promise.all([near.whenClosed(), far.whenClosed()]);
      pair.near.destroy();
      pair.far.destroy(new TransportError('reset', 'too late'));
      pair.near.end();
      await after(10);
      for (const owner of [near, far]) {
        expect(owner.diary.filter((word) => word === 'closed')).toHaveLength(1);
        expect(owner.diary.at(-1)).toBe('closed');
        expect(owner.end?.error).toBeUndefined();
      }
    });

    test('a write after the end is dropped and answers false', async () => {
      const near = new Owner(pair.near);
      const far = new Owner(pair.far);
      pair.near.write(utf8('before'));
      pair.near.end();
      expect(pair.near.write(utf8('after'))).toBe(false);
      await Promise.all([near.whenClosed(), far.whenClosed()]);
      expect(far.text).toBe('before');
      expect(pair.near.write(utf8('long after'))).toBe(false);
      expect(pair.near.buffered).toBe(0);
    });

    test('end may be called twice, and destroy may be called twice', async () => {
      const near = new Owner(pair.near);
      const far = new Owner(pair.far);
      pair.near.end();
      pair.near.end();
      pair.near.destroy();
      pair.near.destroy();
      await Promise.all([near.whenClosed(), far.whenClosed()]);
      expect(near.diary.filter((word) => word === 'closed')).toHaveLength(1);
    });

    test('the error given to destroy comes with the end, and nothing comes before it', async () => {
      const near = new Owner(pair.near);
      const far = new Owner(pair.far);
      const fault = new TransportError('too-large', 'enough');
      pair.near.destroy(fault);
      expect((await near.whenClosed()).error).toBe(fault);
      expect(near.diary).toEqual(['closed']);
      await far.whenClosed();
      expect(far.diary.filter((word) => word === 'closed')).toHaveLength(1);
    });

    test('after destroy no more data is handed over', async () => {
      const near = new Owner(pair.near);
      const far = new Owner(pair.far);
      far.onData = () => pair.far.destroy();
      for (let i = 0; i < 200; i += 1) pair.near.write(noise(1000, i + 1));
      await far.whenClosed();
      const { received } = far;
      await near.whenClosed();
      expect(far.diary).toEqual(['data', 'closed']);
      expect(far.received).toBe(received);
    });

    test('nothing is heard from inside a verb', async () => {
      const near = new Owner(pair.near, { opened: false });
      const far = new Owner(pair.far);
      const inside = (verb: () => void): void => {
        near.inside = true;
        far.inside = true;
        verb();
        near.inside = false;
        far.inside = false;
      };
      inside(() => pair.near.open(near));
      inside(() => pair.near.write(utf8('hello')));
      await far.until(() => far.received === 5);
      inside(() => pair.far.pause());
      inside(() => pair.near.write(noise(256 * 1024)));
      inside(() => pair.far.resume());
      await far.until(() => far.received === 5 + 256 * 1024);
      inside(() => pair.near.end());
      inside(() => pair.far.destroy());
      await Promise.all([near.whenClosed(), far.whenClosed()]);
      expect([...near.diary, ...far.diary].filter((word) => word.includes('inside'))).toEqual([]);
    });

    test('a channel that ended before it was opened still tells its end', async () => {
      pair.near.destroy();
      const far = new Owner(pair.far);
      await far.whenClosed();
      const near = new Owner(pair.near, { opened: false });
      near.inside = true;
      pair.near.open(near);
      near.inside = false;
      await near.whenClosed();
      expect(near.diary).toEqual(['closed']);
    });

    test('a channel is opened once', () => {
      new Owner(pair.near);
      expect(() => new Owner(pair.near)).toThrow('opened once');
    });

    test('close leaves nothing running', async () => {
      const near = new Owner(pair.near, { keep: false });
      const far = new Owner(pair.far, { keep: false });
      await pour(near, oddPieces(MIB, 5));
      pair.near.end();
      await Promise.all([near.whenClosed(), far.whenClosed()]);
      await pair.close();
      await turnsUntil(
        () => running() === QUIET,
        () => `${QUIET} from ${running()}`,
      );
    });

    test('destroy leaves nothing running, also with bytes under way', async () => {
      const near = new Owner(pair.near);
      const far = new Owner(pair.far);
      pair.far.pause();
      for (let i = 0; i < 40; i += 1) pair.near.write(noise(256 * 1024));
      pair.near.destroy();
      pair.far.destroy();
      await Promise.all([near.whenClosed(), far.whenClosed()]);
      await pair.close();
      await turnsUntil(
        () => running() === QUIET,
        () => `${QUIET} from ${running()}`,
      );
    });
  });
}

/** Pieces of odd sizes: single bytes, text, and some larger than any buffer. */
function oddPieces(total: number, seed: number): Uint8Array[] {
  const all = noise(total, seed);
  const sizes = [1, 17, 4_093, 65_537, 3, 131_071, 999, 300_007];
  const pieces: Uint8Array[] = [];
  for (let at = 0, turn = seed; at < total; turn += 1) {
    const size = sizes[turn % sizes.length] ?? 1;
    pieces.push(all.subarray(at, at + size));
    at += size;
  }
  return pieces;
}

function digest(pieces: Iterable<Uint8Array>): string {
  const hash = createHash('sha256');
  for (const piece of pieces) hash.update(piece);
  return hash.digest('hex');
}

function after(ms: number): Promise<true> {
  return new Promise((resolve) => setTimeout(resolve, ms, true));
}

function because(why: string | undefined): string {
  return why === undefined ? '' : ` (${why})`;
}
