// The same bytes in every chunking a network could make of them (C-14, I-4).

/** A way to cut, and what it is called in a test's name. */
export interface Cut {
  readonly name: string;
  of(bytes: Uint8Array): Uint8Array[];
}

/** Chunks of `size` bytes, each in memory of its own, so that no test passes by reading behind a chunk. */
export function inPieces(bytes: Uint8Array, size: number): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.slice(at, at + size));
  return pieces;
}

/** Whole, byte by byte, in small sizes, in two at every byte, and at random with the given seed. */
export function cuts(length: number, seed = 1): Cut[] {
  const all: Cut[] = [{ name: 'whole', of: (bytes) => [bytes.slice()] }];
  for (const size of [1, 2, 3, 5, 7, 64]) {
    if (size < length) all.push({ name: `${size} at a time`, of: (bytes) => inPieces(bytes, size) });
  }
  for (let at = 1; at < length; at++) {
    all.push({ name: `cut at ${at}`, of: (bytes) => [bytes.slice(0, at), bytes.slice(at)] });
  }
  for (let round = 0; round < 3; round++) {
    all.push({
      name: `at random (seed ${seed + round})`,
      of: (bytes) => {
        const next = random(seed + round);
        const pieces: Uint8Array[] = [];
        for (let at = 0; at < bytes.length; ) {
          const size = 1 + Math.floor(next() * 9);
          pieces.push(bytes.slice(at, at + size));
          at += size;
        }
        return pieces;
      },
    });
  }
  return all;
}

/** Numbers in [0, 1), the same for the same seed (mulberry32). */
export function random(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
